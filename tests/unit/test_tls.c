/* Who is trusted: a certificate made here, a server that shows it, and the
 * sender with and without it in its bundle. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/http.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	int fd, port;
	pthread_t thread;
	SSL_CTX *ctx;
	_Atomic int requests;
	char bundle[64];
} srv;

static void *server(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(srv.fd, NULL, NULL)) >= 0) {
		SSL *s = SSL_new(srv.ctx);
		char text[4096];

		SSL_set_fd(s, fd);
		if (SSL_accept(s) == 1 && SSL_read(s, text, sizeof text) > 0) {
			static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";

			srv.requests++;
			SSL_write(s, ok, sizeof ok - 1);
			SSL_shutdown(s);
		}
		SSL_free(s);
		close(fd);
	}
	return NULL;
}

/* For "localhost", not for 127.0.0.1. */
static X509 *certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	X509_add_ext(x, san, -1);
	X509_EXTENSION_free(san);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static void write_bundle(X509 *x)
{
	int fd;
	FILE *f;

	snprintf(srv.bundle, sizeof srv.bundle, "/tmp/test_tls.XXXXXX");
	fd = mkstemp(srv.bundle);
	f = fdopen(fd, "w");
	assert_non_null(f);
	PEM_write_X509(f, x);
	fclose(f);
}

static int setup(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = certificate(key);

	(void)state;
	srv.ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(srv.ctx, x);
	SSL_CTX_use_PrivateKey(srv.ctx, key);
	write_bundle(x);
	X509_free(x);
	EVP_PKEY_free(key);
	srv.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(srv.fd, (struct sockaddr *)&a, sizeof a) || listen(srv.fd, 8))
		return -1;
	getsockname(srv.fd, (struct sockaddr *)&a, &n);
	srv.port = ntohs(a.sin_port);
	return pthread_create(&srv.thread, NULL, server, NULL);
}

static int teardown(void **state)
{
	(void)state;
	shutdown(srv.fd, SHUT_RDWR);
	pthread_join(srv.thread, NULL);
	close(srv.fd);
	unlink(srv.bundle);
	SSL_CTX_free(srv.ctx);
	return 0;
}

/* The name is always led to our server. */
static int ask(const char *bundle, const char *name, struct http_res *a, struct err *e)
{
	struct http_curl *c = http_curl_new(bundle);
	autofree char *url = xasprintf("https://%s:%d/", name, srv.port);
	autofree char *to = xasprintf("127.0.0.1:%d", srv.port);
	int rc;

	*e = (struct err){ 0 };
	rc = http_curl_send(c, &(struct http_req){ .method = "POST", .url = url, .connect_to = to,
						   .body = "x", .nbody = 1, .no_proxy = true }, a, e);
	http_curl_free(c);
	return rc;
}

static void a_bundle_is_trusted(void **state)
{
	autores struct http_res a = { 0 };
	struct err e;

	(void)state;
	if (ask(srv.bundle, "localhost", &a, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "hi");
	assert_int_equal(srv.requests, 1);
}

static void strangers_are_not(void **state)
{
	autores struct http_res a = { 0 };
	struct err e;

	(void)state;
	srv.requests = 0;
	assert_int_equal(ask(NULL, "localhost", &a, &e), -1);
	assert_int_equal(e.kind, ERR_NET); /* surely not executed */
	assert_non_null(strstr(e.msg, "AWS_CA_BUNDLE"));
	assert_int_equal(srv.requests, 0);
}

static void another_name_is_not(void **state)
{
	autores struct http_res a = { 0 };
	struct err e;

	(void)state;
	srv.requests = 0;
	assert_int_equal(ask(srv.bundle, "wiki.example", &a, &e), -1);
	assert_int_equal(e.kind, ERR_NET);
	assert_int_equal(srv.requests, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_is_trusted),
		cmocka_unit_test(strangers_are_not),
		cmocka_unit_test(another_name_is_not),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

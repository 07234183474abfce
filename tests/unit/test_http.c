/* The sender against a server on loopback that does what servers should not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/http.h"
#include "net/url.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum act {
	ANSWER,        /* text, then keep the connection */
	ANSWER_CLOSE,  /* text, then close */
	RESET_FIRST,   /* before reading the request */
	RESET_AFTER,   /* after it */
	CLOSE_AFTER,
	SILENT,        /* reads and never answers */
	FLOOD_HEAD,
	ANSWER_THEN_CLOSE_NEXT, /* the second request of a connection is read and not answered */
};

/* A thread a connection. */
static struct {
	int fd, port;
	pthread_t thread, conn[64];
	int nconn; /* of the accepting thread, until it has ended */
	_Atomic enum act act;
	const char *text;
	_Atomic int accepted, requests;
	pthread_mutex_t lock;
	struct buf last; /* the last request */
} srv = { .lock = PTHREAD_MUTEX_INITIALIZER, .last = BUF_MAX(1 << 20) };

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\n\r\nhi"

static void reset(int fd)
{
	struct linger l = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

/* A whole request with its Content-Length; false when the connection ends. */
static bool read_request(int fd)
{
	autobuf struct buf b = BUF_MAX(1 << 20);
	char piece[4096];
	const char *end, *cl;
	ssize_t n;

	for (;;) {
		end = b.p ? strstr(b.p, "\r\n\r\n") : NULL;
		cl = end ? strcasestr(b.p, "\r\ncontent-length:") : NULL;
		if (end && b.len >= (size_t)(end + 4 - b.p) + (cl ? strtoul(cl + 17, NULL, 10) : 0))
			break;
		n = recv(fd, piece, sizeof piece, 0);
		if (n <= 0)
			return false;
		buf_add(&b, piece, (size_t)n);
	}
	pthread_mutex_lock(&srv.lock);
	buf_clear(&srv.last);
	buf_add(&srv.last, b.p, b.len);
	pthread_mutex_unlock(&srv.lock);
	srv.requests++;
	return true;
}

static void say(int fd, const char *s)
{
	(void)!send(fd, s, strlen(s), MSG_NOSIGNAL);
}

static void flood(int fd)
{
	say(fd, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 3000; i++)
		say(fd, "X-Padding: 0123456789012345678901234567890123456789\r\n");
	say(fd, "\r\n");
}

/* false: close the connection. */
static bool serve(int fd, int nth)
{
	switch (srv.act) {
	case ANSWER:
		say(fd, srv.text);
		return true;
	case ANSWER_CLOSE:
		say(fd, srv.text);
		return false;
	case RESET_AFTER:
		reset(fd);
		return false;
	case SILENT:
		while (recv(fd, (char[16]){ 0 }, 16, 0) > 0)
			;
		return false;
	case FLOOD_HEAD:
		flood(fd);
		return false;
	case ANSWER_THEN_CLOSE_NEXT:
		if (!nth)
			say(fd, srv.text);
		return !nth;
	default:
		return false;
	}
}

static void *connection(void *arg)
{
	int fd = (int)(intptr_t)arg;

	if (srv.act == RESET_FIRST)
		reset(fd);
	else
		for (int nth = 0; read_request(fd) && serve(fd, nth); nth++)
			;
	close(fd);
	return NULL;
}

static void *server(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(srv.fd, NULL, NULL)) >= 0 && srv.nconn < 64) {
		srv.accepted++;
		if (!pthread_create(&srv.conn[srv.nconn], NULL, connection, (void *)(intptr_t)fd))
			srv.nconn++;
	}
	return NULL;
}

static int bound_socket(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	getsockname(fd, (struct sockaddr *)&a, &n);
	*port = ntohs(a.sin_port);
	return fd;
}

static struct http_curl *curl;

static int setup(void **state)
{
	(void)state;
	srv.act = ANSWER;
	srv.text = OK_TEXT;
	srv.accepted = srv.requests = srv.nconn = 0;
	srv.fd = bound_socket(&srv.port);
	curl = http_curl_new(NULL);
	return listen(srv.fd, 8) || pthread_create(&srv.thread, NULL, server, NULL);
}

static int teardown(void **state)
{
	(void)state;
	http_curl_free(curl); /* closes kept connections, so the server sees their end */
	shutdown(srv.fd, SHUT_RDWR);
	pthread_join(srv.thread, NULL);
	while (srv.nconn)
		pthread_join(srv.conn[--srv.nconn], NULL);
	close(srv.fd);
	buf_free(&srv.last);
	return 0;
}

static int ask(struct http_req q, const char *path, struct http_res *a, struct err *e)
{
	autofree char *url = xasprintf("http://127.0.0.1:%d%s", srv.port, path);

	q.url = url;
	q.method = q.method ? q.method : "GET";
	*e = (struct err){ 0 };
	return http_curl_send(curl, &q, a, e);
}

static void must_fail(struct http_req q, enum err_kind kind)
{
	autores struct http_res a = { 0 };
	struct err e;

	assert_int_equal(ask(q, "/?secret=x", &a, &e), -1);
	if (e.kind != kind)
		fail_msg("%s, not %s: %s", err_kind_name(e.kind), err_kind_name(kind), e.msg);
	assert_null(strstr(e.msg, "secret")); /* a query may be a signature */
}

static const char *last_request(void)
{
	static char text[8192];

	pthread_mutex_lock(&srv.lock);
	snprintf(text, sizeof text, "%s", srv.last.p ? srv.last.p : "");
	pthread_mutex_unlock(&srv.lock);
	return text;
}

static void headers_are_found(void **state)
{
	autores struct http_res a = { 0 };
	char v[32], tiny[4];
	struct err e;

	(void)state;
	srv.text = "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n"
		   "HTTP/1.1 418 Teapot\r\nContent-Length: 5\r\nX-OnE:  some value \r\nX-Empty:\r\n\r\nabcde";
	assert_int_equal(ask((struct http_req){ 0 }, "/", &a, &e), 0);
	assert_int_equal(a.status, 418);
	assert_string_equal(a.body, "abcde");
	assert_int_equal(a.nbody, 5);
	assert_true(a.took_ms >= 0);
	assert_true(http_header(&a, "x-one", v, sizeof v));
	assert_string_equal(v, "some value");
	assert_true(http_header(&a, "X-One", tiny, sizeof tiny));
	assert_string_equal(tiny, "som");
	assert_true(http_header(&a, "x-empty", v, sizeof v));
	assert_string_equal(v, "");
	assert_false(http_header(&a, "x-early", v, sizeof v)); /* of an answer before the last */
	assert_false(http_header(&a, "x-on", v, sizeof v));
}

static void an_empty_answer_is_an_answer(void **state)
{
	autores struct http_res a = { 0 };
	struct err e;

	(void)state;
	srv.text = "HTTP/1.1 204 No Content\r\n\r\n";
	assert_int_equal(ask((struct http_req){ .method = "DELETE" }, "/", &a, &e), 0);
	assert_int_equal(a.status, 204);
	assert_string_equal(a.body, "");
	assert_non_null(a.head);
}

static void what_is_asked_is_what_is_sent(void **state)
{
	autores struct http_res a = { 0 };
	struct kv head[] = { { "host", "rules.example.com" }, { "x-amz-date", "now" }, { "x-none", "" } };
	struct err e;

	(void)state;
	assert_int_equal(ask((struct http_req){ .method = "POST", .head = head, .nhead = 3, .body = "a=b",
						.nbody = 3 }, "/a/../b//c?x=%20", &a, &e), 0);
	assert_non_null(strstr(last_request(), "POST /a/../b//c?x=%20 HTTP/1.1\r\n"));
	assert_non_null(strcasestr(last_request(), "\r\nhost: rules.example.com\r\n"));
	assert_non_null(strcasestr(last_request(), "\r\nx-amz-date: now\r\n"));
	assert_non_null(strcasestr(last_request(), "\r\nx-none:\r\n"));
	assert_non_null(strcasestr(last_request(), "\r\ncontent-length: 3\r\n"));
	assert_null(strcasestr(last_request(), "\r\nexpect:"));
	assert_null(strcasestr(last_request(), "\r\ncontent-type:"));
	assert_non_null(strstr(last_request(), "\r\n\r\na=b"));
}

static void methods_without_a_body(void **state)
{
	struct err e;

	(void)state;
	for (int i = 0; i < 4; i++) {
		const char *method = (const char *[]){ "GET", "DELETE", "PUT", "POST" }[i];
		autores struct http_res a = { 0 };

		assert_int_equal(ask((struct http_req){ .method = method }, "/", &a, &e), 0);
		assert_int_equal(strncmp(last_request(), method, strlen(method)), 0);
		assert_int_equal(!!strcasestr(last_request(), "\r\ncontent-length: 0\r\n"), i >= 2);
	}
}

static void head_has_no_body(void **state)
{
	autores struct http_res a = { 0 };
	struct err e;

	(void)state;
	srv.text = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
	assert_int_equal(ask((struct http_req){ .method = "HEAD" }, "/", &a, &e), 0);
	assert_int_equal(a.nbody, 0);
}

static void line_breaks_in_headers_are_not_sent(void **state)
{
	static const struct kv bad[] = {
		{ "x", "a\r\nEvil: 1" }, { "x\r\nEvil", "1" }, { "a b", "1" }, { "a:b", "1" }, { "", "1" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		must_fail((struct http_req){ .head = &bad[i], .nhead = 1 }, ERR_INPUT);
	assert_int_equal(srv.requests, 0);
}

static void refused_is_surely_not_executed(void **state)
{
	autores struct http_res a = { 0 };
	autofree char *url = NULL;
	struct err e = { 0 };
	int port, fd = bound_socket(&port); /* bound, nobody listens */

	(void)state;
	url = xasprintf("http://127.0.0.1:%d/", port);
	assert_int_equal(http_curl_send(curl, &(struct http_req){ .method = "GET", .url = url }, &a, &e), -1);
	assert_int_equal(e.kind, ERR_NET);
	close(fd);
}

static void an_unknown_name_is_surely_not_executed(void **state)
{
	autores struct http_res a = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(http_curl_send(curl, &(struct http_req){ .method = "GET", .url = "https://nobody.invalid/",
					.no_proxy = true }, &a, &e), -1);
	assert_int_equal(e.kind, ERR_NET);
}

static void failed_tls_is_surely_not_executed(void **state)
{
	autores struct http_res a = { 0 };
	autofree char *url = xasprintf("https://127.0.0.1:%d/", srv.port);
	struct err e = { 0 };

	(void)state;
	srv.act = RESET_FIRST;
	assert_int_equal(http_curl_send(curl, &(struct http_req){ .method = "POST", .url = url }, &a, &e), -1);
	assert_int_equal(e.kind, ERR_NET);
	assert_int_equal(srv.requests, 0);
}

static void a_reset_is_unsure(void **state)
{
	(void)state;
	srv.act = RESET_AFTER; /* one that comes before the request is read looks the same, or as if nobody had listened */
	must_fail((struct http_req){ .method = "POST", .body = "x", .nbody = 1 }, ERR_UNSURE);
	srv.act = CLOSE_AFTER;
	must_fail((struct http_req){ .method = "POST", .body = "x", .nbody = 1 }, ERR_UNSURE);
	assert_int_equal(srv.requests, 2);
}

static void half_an_answer_is_unsure(void **state)
{
	static const char *const halves[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
		"HTTP/1.1 200 OK\r\nContent-Le",
		"this is not HTTP\r\n\r\n",
		"\r\n",
	};

	(void)state;
	srv.act = ANSWER_CLOSE;
	for (size_t i = 0; i < COUNT(halves); i++) {
		srv.text = halves[i];
		must_fail((struct http_req){ 0 }, ERR_UNSURE);
	}
}

static void too_long_an_answer_is_unsure(void **state)
{
	autores struct http_res a = { 0 };
	struct err e;

	(void)state;
	srv.act = ANSWER_CLOSE;
	srv.text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
	assert_int_equal(ask((struct http_req){ .max_answer = 10 }, "/", &a, &e), 0);
	must_fail((struct http_req){ .max_answer = 9 }, ERR_UNSURE);
	srv.act = FLOOD_HEAD;
	must_fail((struct http_req){ 0 }, ERR_UNSURE);
}

static void silence_ends_at_the_time_limit(void **state)
{
	int64_t began = clock_mono(&clock_real), took;

	(void)state;
	srv.act = SILENT;
	must_fail((struct http_req){ .timeout_ms = 300 }, ERR_UNSURE);
	took = clock_mono(&clock_real) - began;
	assert_true(took >= 290);
	assert_true(took < 10000);
}

static struct cancel given_up;

static void on_alarm(int sig)
{
	(void)sig;
	cancel_raise(&given_up, CANCEL_ORDER);
}

static void what_is_waited_for_can_be_given_up(void **state)
{
	int64_t begun = clock_mono(&clock_real);
	struct sigaction sa = { .sa_handler = on_alarm }, old;

	(void)state;
	cancel_open(&given_up);
	sigaction(SIGALRM, &sa, &old);
	setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { .tv_usec = 300000 } }, NULL);
	srv.act = SILENT;
	must_fail((struct http_req){ .timeout_ms = 60000, .cancel = &given_up }, ERR_CANCELLED);
	assert_true(clock_mono(&clock_real) - begun < 10000);
	must_fail((struct http_req){ .timeout_ms = 60000, .cancel = &given_up }, ERR_CANCELLED); /* nor is it begun */
	sigaction(SIGALRM, &old, NULL);
	cancel_close(&given_up);
}

static void redirects_are_answers(void **state)
{
	autores struct http_res a = { 0 };
	struct err e;

	(void)state;
	srv.text = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
	assert_int_equal(ask((struct http_req){ 0 }, "/", &a, &e), 0);
	assert_int_equal(a.status, 302);
	assert_int_equal(srv.requests, 1);
}

static void connect_to_keeps_the_name(void **state)
{
	autofree char *to = xasprintf("127.0.0.1:%d", srv.port);
	autores struct http_res a = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(http_curl_send(curl, &(struct http_req){ .method = "GET", .url = "http://wiki.example/w",
					.connect_to = to }, &a, &e), 0);
	assert_non_null(strcasestr(last_request(), "\r\nhost: wiki.example\r\n"));
}

static void proxies_can_be_left_out(void **state)
{
	autores struct http_res a = { 0 };
	struct err e;
	int port, fd = bound_socket(&port);
	autofree char *proxy = xasprintf("http://127.0.0.1:%d", port);

	(void)state;
	setenv("http_proxy", proxy, 1);
	must_fail((struct http_req){ 0 }, ERR_NET);
	assert_int_equal(ask((struct http_req){ .no_proxy = true }, "/", &a, &e), 0);
	unsetenv("http_proxy");
	close(fd);
}

static void connections_are_kept(void **state)
{
	struct err e;

	(void)state;
	for (int i = 0; i < 3; i++) {
		autores struct http_res a = { 0 };

		assert_int_equal(ask((struct http_req){ 0 }, "/", &a, &e), 0);
	}
	assert_int_equal(srv.accepted, 1);
}

/* The trap: on a kept connection that dies without an answer curl sends the
 * request again by itself. Two requests then leave for the second call. */
static void a_write_is_never_sent_twice(void **state)
{
	(void)state;
	srv.act = ANSWER_THEN_CLOSE_NEXT;
	for (int once = 0; once < 2; once++) {
		autores struct http_res first = { 0 }, second = { 0 };
		struct err e;

		http_curl_free(curl);
		curl = http_curl_new(NULL);
		srv.requests = 0;
		assert_int_equal(ask((struct http_req){ .method = "POST" }, "/", &first, &e), 0);
		ask((struct http_req){ .method = "POST", .once = once }, "/", &second, &e);
		assert_int_equal(srv.requests, once ? 2 : 3);
	}
}

static void what_is_no_url_is_our_mistake(void **state)
{
	static const char *const bad[] = { "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "no url" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		autores struct http_res a = { 0 };
		struct err e = { 0 };

		assert_int_equal(http_curl_send(curl, &(struct http_req){ .method = "GET", .url = bad[i] }, &a, &e), -1);
		if (e.kind != ERR_INPUT && e.kind != ERR_NET)
			fail_msg("%s: %s", bad[i], e.msg);
	}
}

static void a_bad_ca_bundle_is_named(void **state)
{
	autores struct http_res a = { 0 };
	autofree char *url = xasprintf("https://127.0.0.1:%d/", srv.port);
	struct http_curl *c = http_curl_new("/no/such/bundle.pem");
	struct err e = { 0 };

	(void)state;
	assert_int_equal(http_curl_send(c, &(struct http_req){ .method = "GET", .url = url }, &a, &e), -1);
	assert_int_equal(e.kind, ERR_NET);
	assert_non_null(strstr(e.msg, "AWS_CA_BUNDLE"));
	http_curl_free(c);
}

static void logins_in_urls_are_hidden(void **state)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "GET https://user:geheim@host.example/x", "GET https://***@host.example/x" },
		{ "https://geheim@host.example/", "https://***@host.example/" },
		{ "in 'http://u:ge/he im@host:80' and", "in 'http://***@host:80' and" },
		{ "Unsupported proxy syntax in 'u:geheim@host:8x'", "Unsupported proxy syntax in '***@host:8x'" },
		{ "\"https:/u:geheim@host\"", "\"***@host\"" },
		{ "https://a:geheim@one/ https://b:geheim@two/", "https://***@one/ https://***@two/" },
		{ "https://host:8080/@page and [::1]:80", "https://host:8080/@page and [::1]:80" },
		{ "https://[::1]:80/@page", "https://[::1]:80/@page" },
		{ "somebody@example.org and user@host:3306", "somebody@example.org and user@host:3306" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		autofree char *shown = url_hide_logins(rows[i].text);

		assert_string_equal(shown, rows[i].want);
	}
}

/* curl quotes what it cannot read: the proxy's password stood in the journal. */
static void a_password_in_a_url_is_never_said(void **state)
{
	static const char *const proxies[] = {
		"http://user:geheim@127.0.0.1:99999", "http://user:geheim@[::1", "htp://user:geheim@127.0.0.1:1", "user:geheim@127.0.0.1:x",
		"http://user:geheim@127.0.0.1:1",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(proxies); i++) {
		autores struct http_res a = { 0 };
		struct err e;

		setenv("http_proxy", proxies[i], 1);
		if (!ask((struct http_req){ 0 }, "/", &a, &e))
			fail_msg("%s is no proxy", proxies[i]);
		unsetenv("http_proxy");
		if (strstr(e.msg, "geheim"))
			fail_msg("%s", e.msg);
	}
	for (int i = 0; i < 2; i++) {
		autores struct http_res a = { 0 };
		struct err e = { 0 };

		http_curl_send(curl, &(struct http_req){ .method = "GET", .url = i ? "http://user:geheim@127.0.0.1:1/" :
			"http://user:geheim@127.0.0.1:x/" }, &a, &e);
		assert_non_null(strstr(e.msg, "***@127.0.0.1"));
		assert_null(strstr(e.msg, "geheim"));
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(headers_are_found), T(an_empty_answer_is_an_answer), T(what_is_asked_is_what_is_sent),
		T(methods_without_a_body), T(head_has_no_body), T(line_breaks_in_headers_are_not_sent),
		T(refused_is_surely_not_executed), T(an_unknown_name_is_surely_not_executed),
		T(failed_tls_is_surely_not_executed), T(a_reset_is_unsure), T(half_an_answer_is_unsure),
		T(too_long_an_answer_is_unsure), T(silence_ends_at_the_time_limit), T(what_is_waited_for_can_be_given_up),
		T(redirects_are_answers), T(connect_to_keeps_the_name), T(proxies_can_be_left_out),
		T(connections_are_kept), T(a_write_is_never_sent_twice),
		T(what_is_no_url_is_our_mistake), T(a_bad_ca_bundle_is_named), T(logins_in_urls_are_hidden), T(a_password_in_a_url_is_never_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

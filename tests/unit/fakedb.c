#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fakedb.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html */
#define CAPS (0x1u | 0x8u | 0x200u | 0x2000u | 0x8000u | 0x80000u | 0x200000u)
#define CAP_TLS 0x800u
#define PACKET (1u << 20)

struct talk {
	struct fakedb *f;
	int fd;
	SSL *ssl;
	unsigned char seq;
	unsigned char *in;
	size_t nin;
};

/* --- certificates --- */

static X509 *certificate(EVP_PKEY *key, const char *san, const char *name)
{
	X509 *x = X509_new();
	X509_NAME *n = X509_get_subject_name(x);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, n);
	X509_set_pubkey(x, key);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static void write_pem(struct fakedb *f, X509 *x)
{
	FILE *file;

	snprintf(f->ca, sizeof f->ca, "/tmp/fakedb.XXXXXX");
	file = fdopen(mkstemp(f->ca), "w");
	assert_non_null(file);
	PEM_write_X509(file, x);
	fclose(file);
}

/* A stranger's bundle holds another certificate than the one it shows. */
static void make_tls(struct fakedb *f)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	bool named = f->tls != FAKEDB_TLS_OTHER_NAME;
	X509 *x = certificate(key, named ? "IP:127.0.0.1" : "DNS:db.example.org", named ? "127.0.0.1" : "db.example.org");
	X509 *y = certificate(other, "IP:127.0.0.1", "somebody else");

	f->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(f->ctx, x);
	SSL_CTX_use_PrivateKey(f->ctx, key);
	write_pem(f, f->tls == FAKEDB_TLS_STRANGER ? y : x);
	X509_free(x);
	X509_free(y);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

/* --- packets --- */

static bool put_raw(struct talk *t, const void *p, size_t n)
{
	const char *at = p;

	while (n) {
		ssize_t k = t->ssl ? SSL_write(t->ssl, at, (int)n) : send(t->fd, at, n, MSG_NOSIGNAL);

		if (k <= 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

static bool get_raw(struct talk *t, void *p, size_t n)
{
	char *at = p;

	while (n) {
		ssize_t k = t->ssl ? SSL_read(t->ssl, at, (int)n) : recv(t->fd, at, n, 0);

		if (k <= 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

static bool put(struct talk *t, const struct buf *b)
{
	unsigned char head[4] = { (unsigned char)b->len, (unsigned char)(b->len >> 8), (unsigned char)(b->len >> 16), t->seq++ };

	return put_raw(t, head, 4) && put_raw(t, b->p, b->len);
}

static bool get(struct talk *t)
{
	unsigned char head[4];

	if (!get_raw(t, head, 4))
		return false;
	t->nin = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
	t->seq = (unsigned char)(head[3] + 1);
	if (t->nin >= PACKET || !get_raw(t, t->in, t->nin))
		return false;
	t->in[t->nin] = '\0';
	return true;
}

static void lenenc(struct buf *b, const char *s, size_t n)
{
	unsigned char head[4] = { 0xfd, (unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16) };

	if (!s)
		buf_add(b, "\xfb", 1);
	else if (n < 251)
		buf_add(b, &(unsigned char){ (unsigned char)n }, 1);
	else
		buf_add(b, head, 4);
	if (s)
		buf_add(b, s, n);
}

static bool put_ok(struct talk *t)
{
	autobuf struct buf b = BUF_MAX(64);

	buf_add(&b, "\0\0\0\x02\0\0\0", 7);
	return put(t, &b);
}

static bool put_eof(struct talk *t, int warnings)
{
	autobuf struct buf b = BUF_MAX(64);
	unsigned char eof[5] = { 0xfe, (unsigned char)warnings, 0, 2, 0 };

	buf_add(&b, eof, sizeof eof);
	return put(t, &b);
}

static bool put_error(struct talk *t, unsigned number, const char *text)
{
	autobuf struct buf b = BUF_MAX(1024);
	unsigned char head[3] = { 0xff, (unsigned char)number, (unsigned char)(number >> 8) };

	buf_add(&b, head, 3);
	buf_adds(&b, "#HY000");
	buf_adds(&b, text);
	return put(t, &b);
}

/* --- logging in --- */

static bool greet(struct talk *t)
{
	autobuf struct buf b = BUF_MAX(512);
	unsigned caps = CAPS | (t->f->tls ? CAP_TLS : 0);
	unsigned char low[2] = { (unsigned char)caps, (unsigned char)(caps >> 8) };
	unsigned char high[2] = { (unsigned char)(caps >> 16), (unsigned char)(caps >> 24) };

	buf_add(&b, "\x0a", 1);
	buf_adds(&b, t->f->version ? t->f->version : "5.5.5-10.11.19-MariaDB-log");
	buf_add(&b, "\0\x07\0\0\0aaaaaaaa\0", 14);
	buf_add(&b, low, 2);
	buf_add(&b, "\x2d\x02\0", 3);
	buf_add(&b, high, 2);
	buf_add(&b, "\x15\0\0\0\0\0\0\0\0\0\0aaaaaaaaaaaa\0", 24);
	buf_add(&b, "mysql_native_password", 22);
	return put(t, &b);
}

/* A letter every 200 ms for half a minute: each restarts a time limit of its own wait. */
static bool drip_letters(struct talk *t)
{
	for (int i = 0; i < 150; i++) {
		usleep(200000);
		if (!put_raw(t, "x", 1))
			return false;
	}
	return true;
}

/* The head of a record of 16 KiB, and of the ServerHello in it. */
static bool drip_hello(struct talk *t)
{
	static const unsigned char head[] = { 22, 3, 3, 0x3f, 0xff, 2, 0, 0x3f, 0xfb };

	return put_raw(t, head, sizeof head) && drip_letters(t);
}

static bool drip_login(struct talk *t)
{
	unsigned char head[4] = { 250, 0, 0, t->seq++ };

	return put_raw(t, head, sizeof head) && drip_letters(t);
}

static bool start_tls(struct talk *t)
{
	if (t->f->trick == FAKEDB_DRIPS_HELLO)
		return drip_hello(t) && false;
	t->ssl = SSL_new(t->f->ctx);
	SSL_set_fd(t->ssl, t->fd);
	return SSL_accept(t->ssl) == 1 && get(t);
}

static bool wants_tls(const struct talk *t)
{
	return t->f->tls && t->nin >= 4 && t->in[1] & (CAP_TLS >> 8);
}

static void note_user(struct talk *t)
{
	struct fakedb *f = t->f;

	pthread_mutex_lock(&f->lock);
	f->logins++;
	snprintf(f->user, sizeof f->user, "%s", t->nin > 32 ? (char *)t->in + 32 : "");
	pthread_mutex_unlock(&f->lock);
}

static void note_password(struct talk *t)
{
	struct fakedb *f = t->f;

	pthread_mutex_lock(&f->lock);
	f->password_seen = true;
	f->password_in_clear |= !t->ssl;
	snprintf(f->password, sizeof f->password, "%s", (char *)t->in);
	pthread_mutex_unlock(&f->lock);
}

static bool switch_plugin(struct talk *t)
{
	autobuf struct buf b = BUF_MAX(256);

	buf_add(&b, "\xfe", 1);
	buf_add(&b, t->f->plugin, strlen(t->f->plugin) + 1);
	buf_add(&b, "bbbbbbbbbbbbbbbbbbbb", 21);
	if (!put(t, &b) || !get(t))
		return false;
	note_password(t);
	return true;
}

static bool log_in(struct talk *t)
{
	struct fakedb *f = t->f;

	if (!greet(t) || !get(t) || (wants_tls(t) && !start_tls(t)))
		return false;
	note_user(t);
	if (f->trick == FAKEDB_DRIPS_LOGIN)
		return drip_login(t) && false;
	if (f->plugin && !switch_plugin(t))
		return false;
	if (f->refuse)
		return put_error(t, (unsigned)f->refuse, "Access denied for user"), false;
	return put_ok(t);
}

/* --- answers --- */

static bool put_count(struct talk *t, unsigned n)
{
	autobuf struct buf b = BUF_MAX(16);
	unsigned char wide[3] = { 0xfc, (unsigned char)n, (unsigned char)(n >> 8) };

	buf_add(&b, n < 251 ? (const void *)&(unsigned char){ (unsigned char)n } : wide, n < 251 ? 1 : 3);
	return put(t, &b);
}

static bool put_column(struct talk *t, const char *name, size_t n)
{
	autobuf struct buf b = BUF_MAX(1024);

	lenenc(&b, "def", 3);
	for (int i = 0; i < 3; i++)
		lenenc(&b, "", 0);
	lenenc(&b, name, n);
	lenenc(&b, name, n);
	buf_add(&b, "\x0c\x2d\0\xff\xff\0\0\xfd\0\0\0\0\0", 13);
	return put(t, &b);
}

/* "a,b" as one row, or as the names of columns. */
static bool put_row(struct talk *t, const char *line, size_t n)
{
	autobuf struct buf b = BUF_MAX(1 << 20);
	const char *end = line + n;

	for (const char *p = line; p <= end;) {
		size_t k = strcspn(p, ",\n");

		k = p + k > end ? (size_t)(end - p) : k;
		lenenc(&b, k == 4 && !strncmp(p, "NULL", 4) ? NULL : p, k);
		p += k + 1;
	}
	return put(t, &b);
}

static bool put_columns(struct talk *t, const char *names)
{
	size_t n = strcspn(names, "\n");
	unsigned count = 1;

	for (size_t i = 0; i < n; i++)
		count += names[i] == ',';
	if (!put_count(t, count))
		return false;
	for (const char *p = names; count--; p += strcspn(p, ",\n") + 1)
		if (!put_column(t, p, strcspn(p, ",\n")))
			return false;
	return put_eof(t, 0);
}

static bool put_table(struct talk *t, const char *text)
{
	const char *p = text + strcspn(text, "\n");

	if (!put_columns(t, text))
		return false;
	while (*p && *++p) {
		size_t n = strcspn(p, "\n");

		if (!put_row(t, p, n))
			return false;
		p += n;
	}
	return put_eof(t, t->f->warnings);
}

static const char *answer_to(const struct fakedb *f, const char *sql)
{
	for (const struct fakedb_answer *a = f->answers; a && a->when; a++)
		if (strstr(sql, a->when))
			return a->says;
	return "nothing\n";
}

static bool warn(struct talk *t)
{
	if (!put_columns(t, "Level,Code,Message"))
		return false;
	while (put_row(t, "Warning,1287,old", 16))
		;
	return false;
}

static bool endless(struct talk *t)
{
	if (!put_columns(t, "a"))
		return false;
	while (put_row(t, "0123456789", 10))
		;
	return false;
}

/* One row of 1 GiB: 64 packets of 16 MiB - 1, the text's length at the beginning. */
static bool huge(struct talk *t)
{
	static const char length[9] = { (char)0xfe, 0, 0, 0, 0x3f };
	autofree char *block = xcalloc(1, 0xffffff);

	if (!put_columns(t, "a"))
		return false;
	memcpy(block, length, sizeof length);
	for (int i = 0; i < 64; i++) {
		unsigned char head[4] = { 0xff, 0xff, 0xff, t->seq++ };

		if (!put_raw(t, head, 4) || !put_raw(t, block, 0xffffff))
			return false;
	}
	return false;
}

static bool ask_for_file(struct talk *t)
{
	autobuf struct buf b = BUF_MAX(64);

	buf_adds(&b, "\xfb/etc/passwd");
	if (!put(t, &b) || !get(t))
		return false;
	if (t->nin)
		note_password(t);
	return put_ok(t);
}

static bool wide(struct talk *t)
{
	if (!put_count(t, 60000))
		return false;
	for (int i = 0; i < 60000; i++)
		if (!put_column(t, "c", 1))
			return false;
	return put_eof(t, 0) && put_eof(t, 0);
}

static bool drip(struct talk *t)
{
	unsigned char head[5] = { 251, 0, 0, t->seq, 250 };

	if (!put_columns(t, "a"))
		return false;
	head[3] = t->seq++;
	if (!put_raw(t, head, sizeof head))
		return false;
	return drip_letters(t) && false;
}

static bool play(struct talk *t, const char *sql)
{
	const char *says = answer_to(t->f, sql);

	switch (t->f->trick) {
	case FAKEDB_ENDLESS:
		return endless(t);
	case FAKEDB_HUGE:
		return huge(t);
	case FAKEDB_CUT:
		put_columns(t, "a");
		put_row(t, "1", 1);
		return false;
	case FAKEDB_WANTS_FILE:
		return ask_for_file(t);
	case FAKEDB_HANGS:
		return get(t);
	case FAKEDB_WIDE:
		return wide(t);
	case FAKEDB_DRIPS:
		return drip(t);
	default:
		return *says == '!' ? put_error(t, (unsigned)atoi(says + 1), strchr(says, ' ') + 1) : put_table(t, says);
	}
}

static void note_statement(struct fakedb *f, const char *sql)
{
	size_t n;

	pthread_mutex_lock(&f->lock);
	f->statements++;
	n = strlen(f->said);
	snprintf(f->said + n, sizeof f->said - n, "%s\n", sql);
	pthread_mutex_unlock(&f->lock);
}

/* The session's own statements are answered honestly whatever the trick. */
static bool answer(struct talk *t)
{
	const char *sql = (char *)t->in + 1;

	if (t->in[0] == 2)
		return put_ok(t);
	if (t->in[0] != 3)
		return false;
	note_statement(t->f, sql);
	if (!strncmp(sql, "SET ", 4))
		return put_ok(t);
	if (t->f->trick == FAKEDB_WARNS && !strcmp(sql, "SHOW WARNINGS"))
		return warn(t);
	if (!strncmp(sql, "SHOW VARIABLES", 14) || !strcmp(sql, "SHOW WARNINGS"))
		return put_table(t, answer_to(t->f, sql));
	return play(t, sql);
}

static void play_stranger(struct talk *t)
{
	char text[64];

	if (t->f->trick == FAKEDB_SSH)
		put_raw(t, "SSH-2.0-OpenSSH_9.2p1\r\n", 23);
	if (t->f->trick == FAKEDB_POSTGRES && recv(t->fd, text, sizeof text, 0) == 8)
		put_raw(t, "N", 1);
	while (recv(t->fd, text, sizeof text, 0) > 0)
		;
}

static void *converse(void *arg)
{
	struct talk *t = arg;
	struct fakedb *f = t->f;
	bool stranger = f->trick == FAKEDB_SILENT || f->trick == FAKEDB_POSTGRES || f->trick == FAKEDB_SSH;

	t->in = xmalloc(PACKET + 1);
	if (stranger)
		play_stranger(t);
	else if (f->most && f->open > f->most)
		put_error(t, 1040, "Too many connections");
	else if (log_in(t))
		while (get(t) && t->nin && answer(t))
			;
	if (t->ssl)
		SSL_free(t->ssl);
	close(t->fd);
	free(t->in);
	free(t);
	f->ended++;
	f->open--;
	return NULL;
}

static void *listen_on(void *arg)
{
	struct fakedb *f = arg;
	int fd;

	while ((fd = accept(f->fd, NULL, NULL)) >= 0) {
		struct talk *t = xcalloc(1, sizeof *t);
		pthread_t thread;

		t->f = f;
		t->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		f->open++;
		pthread_create(&thread, NULL, converse, t);
		pthread_detach(thread);
	}
	return NULL;
}

void fakedb_start(struct fakedb *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;

	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&f->lock, NULL);
	if (f->tls)
		make_tls(f);
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(f->fd, 16), 0);
	getsockname(f->fd, (struct sockaddr *)&a, &n);
	f->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&f->thread, NULL, listen_on, f), 0);
}

void fakedb_stop(struct fakedb *f)
{
	shutdown(f->fd, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->fd);
	for (int i = 0; f->open && i < 5000; i++)
		usleep(1000);
	assert_int_equal(f->open, 0);
	if (*f->ca)
		unlink(f->ca);
	SSL_CTX_free(f->ctx);
	pthread_mutex_destroy(&f->lock);
}

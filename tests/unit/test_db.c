/* A connection that only reads: who gets the password, what an answer may
 * cost, what errors mean. The other side is fakedb.c; test_health.c has the
 * checks, tests/cli the real server. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/aws.h"
#include "aws/cred.h"
#include "aws/rds_token.h"
#include "aws/secrets.h"
#include "base/clock.h"
#include "base/file.h"
#include "db/apart.h"
#include "db/health.h"
#include "db/db.h"
#include "fakedb.h"
#include "wire.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECRET "arn:aws:secretsmanager:eu-central-1:123456789012:secret:wiki"
#define PASSWORD "correct horse"

static struct fakedb f;
static struct db *d;
static struct err e;
static struct wire w;
static struct cred_chain *creds;
static struct aws *aws;

static int setup(void **state)
{
	(void)state;
	wire_clean_env();
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	setenv("TEST_DB_PASSWORD", PASSWORD, 1);
	wire_init(&w);
	creds = cred_chain_new(&w.http, &w.clock);
	aws = aws_new(&(struct aws_opts){ .http = &w.http, .clock = &w.clock, .creds = creds,
					  .region = "eu-central-1", .seed = 1 });
	e = (struct err){ 0 };
	f = (struct fakedb){ 0 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	db_close(&d);
	if (f.port)
		fakedb_stop(&f);
	aws_free(aws);
	cred_chain_free(creds);
	wire_free(&w);
	wire_clean_env();
	return 0;
}

static int open_source(const struct db_source *s)
{
	autologin struct db_login *l = NULL;

	db_close(&d);
	e = (struct err){ 0 };
	return db_login_new(s, aws, &l, &e) || db_open(l, &d, &e) ? -1 : 0;
}

/* To the fake server, in the usual way, with its own CA when it has TLS. */
static struct db_source usual(void)
{
	return (struct db_source){ .host = "127.0.0.1", .port = f.port, .user = "cutover", .ca = f.tls ? f.ca : NULL,
				   .password_env = "TEST_DB_PASSWORD", .connect_ms = 1000, .statement_ms = 1000 };
}

static void open_fake(const struct fakedb *how)
{
	struct db_source s;

	f = *how;
	fakedb_start(&f);
	s = usual();
	if (open_source(&s))
		fail_msg("%s", e.msg);
}

static void fails(int rc, enum err_kind kind, const char *part)
{
	assert_int_equal(rc, -1);
	assert_string_equal(err_kind_name(e.kind), err_kind_name(kind));
	if (!strstr(e.msg, part))
		fail_msg("\"%s\" is not in: %s", part, e.msg);
	assert_null(strstr(e.msg, PASSWORD));
}

/* --- sources --- */

static void sources_are_checked_first(void **state)
{
	static const struct { struct db_source s; const char *part; } rows[] = {
		{ { .user = "u" }, "host is missing" },
		{ { .host = "a b", .user = "u" }, "no host name" },
		{ { .host = "h\n", .user = "u" }, "no host name" },
		{ { .host = "127.0.0.1", .user = "u", .port = 70000 }, "70000 is no port" },
		{ { .host = "127.0.0.1" }, "as which user" },
		{ { .host = "127.0.0.1", .user = "" }, "user is empty" },
		{ { .host = "127.0.0.1", .user = "u", .iam = true, .secret = "s" }, "in 2 ways" },
		{ { .host = "db.example.org", .user = "u" }, "where the password" },
		{ { .host = "127.evil.example", .user = "u" }, "where the password" }, /* not this machine */
		{ { .host = "/run/s.sock", .user = "u", .iam = true }, "Unix socket" },
		{ { .host = "127.0.0.1", .user = "u", .password_env = "TEST_NO_SUCH" }, "is not set" },
		{ { .host = "127.0.0.1", .user = "u", .password_file = "/dev/null" }, "is empty" },
		{ { .host = "127.0.0.1", .user = "u", .password_file = "/nonexistent" }, "cannot open" },
		{ { .host = "127.0.0.1", .user = "u", .ca = "/nonexistent" }, "CA bundle" },
		{ { .host = "127.0.0.1", .user = "u", .ca = "/dev/null" }, "no certificate in PEM form" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		autologin struct db_login *l = NULL;

		e = (struct err){ 0 };
		assert_int_equal(db_login_new(&rows[i].s, aws, &l, &e), -1);
		if (!strstr(e.msg, rows[i].part))
			fail_msg("\"%s\" is not in: %s", rows[i].part, e.msg);
	}
	e = (struct err){ 0 };
	fails(open_source(&(struct db_source){ .host = "127.0.0.1", .user = "u", .ca = "/nonexistent" }), ERR_GONE, "CA");
	assert_int_equal(w.nasked, 0);
}

/* --- who gets the password --- */

static void a_local_server_may_be_without_tls(void **state)
{
	autojson json_t *rows = NULL;

	(void)state;
	open_fake(&(struct fakedb){ .answers = (const struct fakedb_answer[]){ { "FROM t", "a,b\n1,NULL\nx,y\n" }, { 0 } } });
	assert_string_equal(db_server(d)->tls, "");
	assert_int_equal(db_server(d)->flavour, DB_MARIADB);
	assert_int_equal(db_server(d)->version, 101119);
	assert_int_equal(db_json(d, "SELECT a, b FROM t", NULL, &rows, &e), 0);
	assert_int_equal(json_array_size(rows), 2);
	assert_true(json_is_null(json_object_get(json_array_get(rows, 0), "b")));
	assert_string_equal(json_str(json_array_get(rows, 1), "a", ""), "x");
	assert_string_equal(f.user, "cutover");
}

static void the_session_can_only_read(void **state)
{
	(void)state;
	open_fake(&(struct fakedb){ 0 });
	assert_non_null(strstr(f.said, "READ ONLY"));
	assert_non_null(strstr(f.said, "max_statement_time=1.000"));
	assert_non_null(strstr(f.said, "lock_wait_timeout=1"));
	assert_non_null(strstr(f.said, "NO_BACKSLASH_ESCAPES"));
	db_close(&d);
	fakedb_stop(&f);
	open_fake(&(struct fakedb){ .version = "8.0.39", .answers = (const struct fakedb_answer[]){
		{ "aurora_version", "Variable_name,Value\naurora_version,3.08.0\n" }, { 0 } } });
	assert_non_null(strstr(f.said, "max_execution_time=1000"));
	assert_non_null(strstr(f.said, "information_schema_stats_expiry=0"));
	assert_true(db_server(d)->aurora);
	assert_int_equal(db_server(d)->flavour, DB_MYSQL);
}

static void an_old_server_cannot_keep_time(void **state)
{
	struct db_source s;

	(void)state;
	f.version = "5.6.10";
	fakedb_start(&f);
	s = usual();
	fails(open_source(&s), ERR_INPUT, "too old");
	assert_int_equal(f.statements, 0);
}

static void tls_is_verified(void **state)
{
	(void)state;
	open_fake(&(struct fakedb){ .tls = FAKEDB_TLS });
	assert_non_null(strstr(db_server(d)->tls, "TLS_"));
	assert_int_equal(f.logins, 1);
}

/* Each of these must learn nothing, not even the user's name. */
static void who_is_not_verified_learns_nothing(void **state)
{
	static const struct { enum fakedb_tls tls; const char *part; } rows[] = {
		{ FAKEDB_PLAIN, "has no TLS" },
		{ FAKEDB_TLS_OTHER_NAME, "another host name" },
		{ FAKEDB_TLS_STRANGER, "signed by" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows) * 2; i++) {
		struct fakedb good = { .tls = FAKEDB_TLS };
		struct db_source s;

		fakedb_start(&good); /* for its CA */
		f = (struct fakedb){ .tls = rows[i / 2].tls, .plugin = "mysql_clear_password" };
		fakedb_start(&f);
		s = usual();
		s.ca = f.tls ? f.ca : good.ca;
		s.iam = i % 2;
		s.password_env = s.iam ? NULL : s.password_env;
		fails(open_source(&s), ERR_DENIED, rows[i / 2].part);
		assert_int_equal(f.logins, 0);
		assert_false(f.password_seen);
		fakedb_stop(&f);
		fakedb_stop(&good);
		f.port = 0;
	}
}

/* 0.0.0.0 leads to this machine, and is no address of loopback. */
static void without_tls_only_this_machine(void **state)
{
	struct db_source s;

	(void)state;
	fakedb_start(&f);
	s = usual();
	s.host = "0.0.0.0";
	fails(open_source(&s), ERR_DENIED, "has no TLS");
	assert_int_equal(f.logins, 0);
}

static void clear_text_is_for_tokens_only(void **state)
{
	struct db_source s;

	(void)state;
	for (enum fakedb_tls tls = FAKEDB_PLAIN; tls <= FAKEDB_TLS; tls++) {
		f = (struct fakedb){ .tls = tls, .plugin = "mysql_clear_password" };
		fakedb_start(&f);
		s = usual();
		fails(open_source(&s), ERR_DENIED, "clear text");
		assert_false(f.password_seen && strstr(f.password, PASSWORD));
		fakedb_stop(&f);
		f.port = 0;
	}
}

/* --- where the password is --- */

static struct db_source with_iam(void)
{
	struct db_source s = usual();

	s.iam = true;
	s.password_env = NULL;
	return s;
}

static void a_token_is_made_for_each_connection(void **state)
{
	autologin struct db_login *l = NULL;
	struct db_source s;
	char first[4096], want[64];

	(void)state;
	setenv("AWS_SESSION_TOKEN", "session", 1);
	f = (struct fakedb){ .tls = FAKEDB_TLS, .plugin = "mysql_clear_password" };
	fakedb_start(&f);
	s = with_iam();
	assert_int_equal(db_login_new(&s, aws, &l, &e), 0);
	assert_int_equal(db_open(l, &d, &e), 0);
	assert_false(f.password_in_clear);
	snprintf(want, sizeof want, "127.0.0.1:%d/?Action=connect&DBUser=cutover&", f.port);
	assert_memory_equal(f.password, want, strlen(want));
	assert_non_null(strstr(f.password, "X-Amz-Expires=900"));
	assert_non_null(strstr(f.password, "%2Frds-db%2Faws4_request"));
	assert_non_null(strstr(f.password, "X-Amz-Security-Token=session"));
	snprintf(first, sizeof first, "%s", f.password);
	db_close(&d);
	w.wall += 1000 * RDS_TOKEN_SECONDS;
	assert_int_equal(db_open(l, &d, &e), 0);
	assert_string_not_equal(f.password, first);
}

static void a_refused_token_says_what_to_look_at(void **state)
{
	struct db_source s;

	(void)state;
	f = (struct fakedb){ .tls = FAKEDB_TLS, .plugin = "mysql_clear_password", .refuse = 1045 };
	fakedb_start(&f);
	s = with_iam();
	fails(open_source(&s), ERR_DENIED, "IAM token was refused");
	assert_non_null(strstr(e.msg, "rds-db:connect"));
	assert_non_null(strstr(e.msg, "clock"));
	assert_string_equal(e.code, "1045");
}

static void a_token_is_not_sent_to_who_wants_a_hash(void **state)
{
	struct db_source s;

	(void)state;
	f = (struct fakedb){ .tls = FAKEDB_TLS, .plugin = "mysql_native_password" };
	fakedb_start(&f);
	s = with_iam();
	fails(open_source(&s), ERR_DENIED, "no IAM token");
	assert_string_equal(f.password, "");
}

static void without_credentials_there_is_no_token(void **state)
{
	struct db_source s;

	(void)state;
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	f = (struct fakedb){ .tls = FAKEDB_TLS, .plugin = "mysql_clear_password" };
	fakedb_start(&f);
	s = with_iam();
	fails(open_source(&s), ERR_DENIED, "making an IAM token");
	assert_int_equal(f.logins, 0);
}

static void answer_secret(const char *body)
{
	w.nreply = 0;
	wire_add(&w, (struct wire_reply){ .status = 200, .body = body, .stays = true });
}

static void the_password_may_be_in_secrets_manager(void **state)
{
	struct db_source s;

	(void)state;
	fakedb_start(&f);
	s = usual();
	s.password_env = NULL;
	s.user = NULL;
	s.secret = SECRET;
	answer_secret("{\"SecretString\":\"{\\\"username\\\":\\\"wiki\\\",\\\"password\\\":\\\"" PASSWORD "\\\",\\\"port\\\":3306}\"}");
	if (open_source(&s))
		fail_msg("%s", e.msg);
	assert_string_equal(f.user, "wiki");
	assert_non_null(strstr(wire_asked(&w, 0), "x-amz-target: secretsmanager.GetSecretValue"));
	assert_non_null(strstr(wire_asked(&w, 0), "{\"SecretId\":\"" SECRET "\"}"));
}

static void secrets_that_are_none(void **state)
{
	static const struct { const char *body; enum err_kind kind; } rows[] = {
		{ "{}", ERR_UNSURE },
		{ "{\"SecretBinary\":\"aGk=\"}", ERR_INPUT },
		{ "{\"SecretString\":\"" PASSWORD "\"}", ERR_INPUT },
		{ "{\"SecretString\":\"{\\\"username\\\":\\\"wiki\\\"}\"}", ERR_INPUT },
		{ "{\"SecretString\":\"{\\\"password\\\":\\\"\\\"}\"}", ERR_INPUT },
		{ "{\"SecretString\":\"{\\\"password\\\":7}\"}", ERR_INPUT },
		{ "{\"SecretString\":\"{\\\"password\\\":\\\"" PASSWORD "\\\"}\"}", ERR_INPUT }, /* and no user */
		{ "{\"SecretString\":\"{\\\"password\\\":\\\"" PASSWORD "\\\"\"}", ERR_INPUT },
	};
	struct db_source s = { .host = "127.0.0.1", .secret = SECRET };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		answer_secret(rows[i].body);
		fails(open_source(&s), rows[i].kind, SECRET);
	}
	w.nreply = 0;
	wire_add(&w, (struct wire_reply){ .status = 400, .stays = true,
		.body = "{\"__type\":\"ResourceNotFoundException\",\"Message\":\"Secrets Manager can't find the specified secret.\"}" });
	fails(open_source(&s), ERR_GONE, "reading secret");
	assert_int_equal(open_source(&(struct db_source){ .host = "127.0.0.1", .user = "u", .secret = "\xff" }), -1);
}

static void a_password_file_has_one_line(void **state)
{
	char path[] = "/tmp/test_db.XXXXXX";
	struct db_source s;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(file_write(path, "token\r\nmore", 11, &e), 0);
	f.plugin = "dialog"; /* never asked for: not in the list */
	fakedb_start(&f);
	s = usual();
	s.password_env = NULL;
	s.password_file = path;
	fails(open_source(&s), ERR_DENIED, "gets nothing");
	assert_false(f.password_seen && strstr(f.password, "token"));
	unlink(path);
}

/* --- who does not answer --- */

static void refusals_are_sentences(void **state)
{
	static const struct { int number; enum err_kind kind; const char *part; } rows[] = {
		{ 1045, ERR_DENIED, "the password was refused" }, { 1130, ERR_DENIED, "from this host" },
		{ 1040, ERR_BUSY, "connections are taken" }, { 1049, ERR_GONE, "1049" }, { 1044, ERR_DENIED, "1044" },
		{ 4151, ERR_DENIED, "locked" }, { 9999, ERR_INPUT, "9999" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct db_source s;

		f = (struct fakedb){ .refuse = rows[i].number };
		fakedb_start(&f);
		s = usual();
		fails(open_source(&s), rows[i].kind, rows[i].part);
		assert_int_equal(atoi(e.code), rows[i].number);
		fakedb_stop(&f);
		f.port = 0;
	}
}

static void nobody_is_there(void **state)
{
	struct db_source s;

	(void)state;
	fakedb_start(&f);
	s = usual();
	fakedb_stop(&f);
	f.port = 0;
	fails(open_source(&s), ERR_NET, "nothing listens there");
	s.host = "no-such-host.invalid";
	fails(open_source(&s), ERR_NET, "cannot be resolved");
	s.host = "/tmp/no-such.sock";
	fails(open_source(&s), ERR_NET, "no such socket");
}

static void strangers_are_named(void **state)
{
	static const struct { enum fakedb_trick trick; enum err_kind kind; const char *part; } rows[] = {
		{ FAKEDB_SILENT, ERR_NET, "is the port right?" },
		{ FAKEDB_POSTGRES, ERR_INPUT, "this is PostgreSQL" },
		{ FAKEDB_SSH, ERR_INPUT, "this is an SSH server" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct db_source s;

		f = (struct fakedb){ .trick = rows[i].trick };
		fakedb_start(&f);
		s = usual();
		fails(open_source(&s), rows[i].kind, rows[i].part);
		fakedb_stop(&f);
		f.port = 0;
	}
}

/* --- answers --- */

static int count_rows(void *ctx, const struct db_row *row, struct err *err)
{
	(void)row;
	(void)err;
	++*(size_t *)ctx;
	return 0;
}

static void answers_have_limits(void **state)
{
	size_t n = 0;

	(void)state;
	open_fake(&(struct fakedb){ .trick = FAKEDB_ENDLESS });
	fails(db_query(d, "SELECT 1", &(struct db_limit){ .rows = 10 }, count_rows, &n, &e), ERR_INPUT, "more rows");
	assert_int_equal(n, 10);
	fails(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), ERR_NET, "closed");
	fails(db_use(d, "x", &e), ERR_NET, "closed");
	assert_int_equal(open_source(&(struct db_source){ .host = "127.0.0.1", .port = f.port, .user = "u" }), 0);
	fails(db_query(d, "SELECT 1", &(struct db_limit){ .bytes = 1000 }, count_rows, &n, &e), ERR_INPUT, "larger");
	assert_int_equal(open_source(&(struct db_source){ .host = "127.0.0.1", .port = f.port, .user = "u" }), 0);
	fails(db_query(d, "SELECT 1", &(struct db_limit){ .rows = 1u << 30, .bytes = SIZE_MAX, .ms = 1 }, count_rows, &n, &e),
	      ERR_BUSY, "no whole answer within");
}

static void one_row_has_a_limit(void **state)
{
	size_t n = 0;

	(void)state;
	open_fake(&(struct fakedb){ .trick = FAKEDB_HUGE });
	assert_int_equal(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), -1);
	assert_int_equal(n, 0);
}

static void broken_answers_are_errors(void **state)
{
	size_t n = 0;

	(void)state;
	open_fake(&(struct fakedb){ .trick = FAKEDB_CUT });
	fails(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), ERR_NET, "lost");
	assert_int_equal(n, 1);
	db_close(&d);
	fakedb_stop(&f);
	open_fake(&(struct fakedb){ .trick = FAKEDB_WIDE });
	fails(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), ERR_INPUT, "columns");
}

static void files_of_ours_stay_here(void **state)
{
	size_t n = 0;

	(void)state;
	open_fake(&(struct fakedb){ .trick = FAKEDB_WANTS_FILE });
	assert_int_equal(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), -1);
	assert_false(f.password_seen); /* the file's text would be there */
}

static void a_server_that_hangs_is_left(void **state)
{
	struct db_source s;
	size_t n = 0;

	(void)state;
	f.trick = FAKEDB_HANGS;
	fakedb_start(&f);
	s = usual();
	s.statement_ms = 1;
	assert_int_equal(open_source(&s), 0);
	fails(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), ERR_BUSY, "no whole answer within");
}

/* It was waited for as long as a statement may take, which is an hour for a large wiki's rows. */
static void a_server_that_does_not_greet_is_left(void **state)
{
	int64_t begun = clock_mono(&clock_real);
	struct db_source s;

	(void)state;
	f = (struct fakedb){ .trick = FAKEDB_SILENT };
	fakedb_start(&f);
	s = usual();
	s.statement_ms = 3600000;
	fails(open_source(&s), ERR_NET, "did not greet");
	assert_true(clock_mono(&clock_real) - begun < 15000);
}

/* The library waits inside of OpenSSL's reading until somebody tells it not to: a
 * handshake of a letter every 0.4 s held its caller for 299 s, a login over TLS for 84 s. */
static void a_handshake_or_login_that_drips_is_left_in_time(void **state)
{
	static const struct fakedb how[] = {
		{ .trick = FAKEDB_DRIPS_HELLO, .tls = FAKEDB_TLS }, { .trick = FAKEDB_DRIPS_LOGIN, .tls = FAKEDB_TLS },
		{ .trick = FAKEDB_DRIPS_LOGIN },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(how); i++) {
		int64_t begun, took;
		struct db_source s;

		f = how[i];
		fakedb_start(&f);
		s = usual();
		begun = clock_mono(&clock_real);
		fails(open_source(&s), ERR_NET, "not logged in within 2000 ms");
		took = clock_mono(&clock_real) - begun;
		if (took > 2000 + 1000)
			fail_msg("row %zu: %lld ms", i, (long long)took);
		fakedb_stop(&f);
		f.port = 0;
	}
}

/* The library reads one byte behind a text without point. */
static void a_version_is_read_by_us(void **state)
{
	static const struct { const char *version, *part; } rows[] = {
		{ "", "no version number" }, { "MariaDB", "no version number" }, { "10", "no version number" },
		{ "10.", "no version number" }, { "5.6.10", "too old" },
		{ "999999999999999999999999999999999999999999999999999999999999", "no version number" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct db_source s;

		f = (struct fakedb){ .version = rows[i].version };
		fakedb_start(&f);
		s = usual();
		fails(open_source(&s), ERR_INPUT, rows[i].part);
		assert_int_equal(f.statements, 0);
		fakedb_stop(&f);
		f.port = 0;
	}
}

static void count_signal(int sig) { (void)sig; }

/* The waiting for an answer ended with "the connection was lost" at any signal that was caught. */
static void a_signal_is_no_lost_connection(void **state)
{
	const struct itimerval often = { { 0, 20000 }, { 0, 20000 } }, never = { 0 };
	struct sigaction act = { .sa_handler = count_signal };
	size_t n = 0;
	int rc;

	(void)state;
	open_fake(&(struct fakedb){ .trick = FAKEDB_HANGS });
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	rc = db_query(d, "SELECT 1", NULL, count_rows, &n, &e);
	setitimer(ITIMER_REAL, &never, NULL);
	fails(rc, ERR_BUSY, "no whole answer within");
}

/* --- a job beside the caller --- */

struct job {
	struct db_login *login;
	int64_t n;
};

static _Atomic int discarded;

static struct job *new_job(void)
{
	struct db_source s = usual();
	struct job *j = xcalloc(1, sizeof *j);

	assert_int_equal(db_login_new(&s, aws, &j->login, &e), 0);
	return j;
}

static void free_job(void *ctx)
{
	struct job *j = ctx;

	db_login_free(&j->login);
	free(j);
	discarded++;
}

static int ask_one(void *ctx, struct err *err)
{
	struct job *j = ctx;
	autodb struct db *db = NULL;
	bool null;

	return db_open(j->login, &db, err) || db_number(db, "SELECT 1", &j->n, &null, err) ? -1 : 0;
}

static const struct db_job asks_one = { ask_one, free_job };

static void a_job_apart_gives_its_answer(void **state)
{
	struct db_apart *a;
	void *ctx = NULL;

	(void)state;
	f.answers = (const struct fakedb_answer[]){ { "SELECT 1", "one\n7\n" }, { 0 } };
	fakedb_start(&f);
	assert_int_equal(db_apart_start(&asks_one, new_job(), &a, &e), 0);
	assert_true(db_apart_over(a, 10000));
	assert_int_equal(db_apart_end(&a, &ctx, &e), 0);
	assert_int_equal(((struct job *)ctx)->n, 7);
	assert_null(a);
	free_job(ctx);
}

/* Whatever it does: nothing of the other side's making lasts longer than we want. */
static void a_job_apart_can_be_left(void **state)
{
	static const enum fakedb_trick tricks[] = { FAKEDB_HANGS, FAKEDB_SILENT, FAKEDB_DRIPS_LOGIN, FAKEDB_DRIPS_HELLO };

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(tricks); i++) {
		int64_t begun;
		struct db_apart *a;

		f = (struct fakedb){ .trick = tricks[i / 2], .tls = i % 2 ? FAKEDB_TLS : FAKEDB_PLAIN };
		if (f.trick == FAKEDB_DRIPS_HELLO && !f.tls)
			continue;
		fakedb_start(&f);
		discarded = 0;
		assert_int_equal(db_apart_start(&asks_one, new_job(), &a, &e), 0);
		assert_false(db_apart_over(a, 50));
		begun = clock_mono(&clock_real);
		db_apart_leave(&a);
		assert_true(clock_mono(&clock_real) - begun < 1000);
		for (int k = 0; !discarded && k < 500; k++)
			usleep(10000);
		assert_int_equal(discarded, 1);
		fakedb_stop(&f);
		f.port = 0;
	}
}

/* The library's own limit begins anew with each byte. */
static void a_server_that_drips_is_left(void **state)
{
	(void)state;
	for (enum fakedb_tls tls = FAKEDB_PLAIN; tls <= FAKEDB_TLS; tls++) {
		time_t begun = time(NULL);
		struct db_source s;
		size_t n = 0;

		f = (struct fakedb){ .trick = FAKEDB_DRIPS, .tls = tls };
		fakedb_start(&f);
		s = usual();
		s.statement_ms = 1;
		assert_int_equal(open_source(&s), 0);
		fails(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), ERR_BUSY, "no whole answer within");
		assert_true(time(NULL) - begun < 20);
		db_close(&d);
		fakedb_stop(&f);
		f.port = 0;
	}
}

static void statements_fail_by_kind(void **state)
{
	static const struct fakedb_answer answers[] = {
		{ "q1", "!1227 you need PROCESS" }, { "q2", "!1146 no table" }, { "q3", "!1969 slow" },
		{ "q4", "!1792 read only" }, { "q5", "!3024 slow" }, { "q6", "!1205 lock" }, { 0 },
	};
	static const enum err_kind kinds[] = { ERR_DENIED, ERR_GONE, ERR_BUSY, ERR_BUG, ERR_BUSY, ERR_BUSY };
	size_t n = 0;

	(void)state;
	open_fake(&(struct fakedb){ .answers = answers });
	for (size_t i = 0; i < COUNT(kinds); i++) {
		e = (struct err){ 0 };
		assert_int_equal(db_query(d, answers[i].when, NULL, count_rows, &n, &e), -1);
		assert_int_equal(e.kind, kinds[i]);
		assert_int_equal(atoi(e.code), atoi(answers[i].says + 1));
	}
	assert_int_equal(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), 0); /* and the connection lives */
}

/* information_schema tells of what it could not look at by warnings only. */
static void warnings_are_errors(void **state)
{
	static const struct fakedb_answer harmless[] = {
		{ "SHOW WARNINGS", "Level,Code,Message\nWarning,1287,old\nNote,1003,x\n" }, { 0 } };
	static const struct fakedb_answer serious[] = {
		{ "SHOW WARNINGS", "Level,Code,Message\nWarning,1287,old\nWarning,1033,Incorrect information in file\n" }, { 0 } };
	size_t n = 0;

	(void)state;
	open_fake(&(struct fakedb){ .warnings = 2, .answers = harmless });
	assert_int_equal(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), 0);
	db_close(&d);
	fakedb_stop(&f);
	open_fake(&(struct fakedb){ .warnings = 2, .answers = serious });
	fails(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), ERR_BUSY, "Incorrect information");
	assert_string_equal(e.code, "1033");
}

/* They were read whole: 2.5 GB in the 12 s that a hostile server was given. */
static void warnings_have_a_limit(void **state)
{
	int64_t begun = clock_mono(&clock_real);
	size_t n = 0;

	(void)state;
	open_fake(&(struct fakedb){ .warnings = 1, .trick = FAKEDB_WARNS });
	fails(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), ERR_INPUT, "more rows than it may have");
	assert_true(clock_mono(&clock_real) - begun < 3000);
	fails(db_query(d, "SELECT 1", NULL, count_rows, &n, &e), ERR_NET, "closed");
}

/* A parameter group may say otherwise: rows would be cut off without a word, or tables stay locked. */
static void the_session_is_wholly_ours(void **state)
{
	static const char *const wanted[] = { "autocommit=1", "sql_select_limit=18446744073709551615", "sql_big_selects=1",
					      "SET NAMES utf8mb4" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		open_fake(&(struct fakedb){ .version = i ? "8.0.39" : NULL });
		for (size_t k = 0; k < COUNT(wanted); k++)
			assert_non_null(strstr(f.said, wanted[k]));
		db_close(&d);
		fakedb_stop(&f);
		f.port = 0;
	}
}

static void numbers(void **state)
{
	static const struct fakedb_answer answers[] = {
		{ "q1", "n\n42\n" }, { "q2", "n\nNULL\n" }, { "q3", "n\n" }, { "q4", "n\nabc\n" }, { "q5", "n\n1\n2\n" },
		{ "q6", "n\n7.5\n" }, { 0 } };
	int64_t n = 0;
	bool null = false;

	(void)state;
	open_fake(&(struct fakedb){ .answers = answers });
	assert_int_equal(db_number(d, "q1", &n, &null, &e), 0);
	assert_int_equal(n, 42);
	assert_false(null);
	assert_int_equal(db_number(d, "q6", &n, &null, &e), 0);
	assert_int_equal(n, 7);
	assert_int_equal(db_number(d, "q2", &n, &null, &e), 0);
	assert_true(null);
	fails(db_number(d, "q3", &n, &null, &e), ERR_GONE, "no row");
	fails(db_number(d, "q5", &n, &null, &e), ERR_INPUT, "more rows");
	db_close(&d);
	assert_int_equal(open_source(&(struct db_source){ .host = "127.0.0.1", .port = f.port, .user = "u" }), 0);
	fails(db_number(d, "q4", &n, &null, &e), ERR_INPUT, "another text");
}

/* A copy of several sources is as late as the latest, in whatever order they are told. */
static void the_worst_of_several_sources_counts(void **state)
{
	static const struct fakedb_answer answers[][2] = { { { "SHOW ALL SLAVES", "Seconds_Behind_Master\n1\n900\n" }, { 0 } },
							   { { "SHOW ALL SLAVES", "Seconds_Behind_Master\n900\n1\n" }, { 0 } } };
	const struct db_thresholds t = DB_HEALTH_DEFAULTS;

	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		autojson json_t *rows = json_array();
		enum db_verdict worst = DB_GOOD;
		size_t k;
		json_t *row;
		int64_t lag = 0;

		open_fake(&(struct fakedb){ .answers = answers[i] });
		assert_int_equal(db_health(d, NULL, &t, rows, &worst, &e), 0);
		json_array_foreach(rows, k, row)
			if (!strcmp(json_str(row, "check", ""), "lag"))
				lag = json_num(row, "value", 0);
		assert_int_equal(lag, 900);
		db_close(&d);
		fakedb_stop(&f);
		f.port = 0;
	}
}

static void names_are_quoted(void **state)
{
	static const struct { const char *name, *text, *id; } rows[] = {
		{ "wiki", "'wiki'", "`wiki`" }, { "it's", "'it''s'", "`it's`" }, { "a`b\\", "'a`b\\'", "`a``b\\`" },
	};
	char longest[66] = "";

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		autofree char *text = db_quote(rows[i].name), *id = db_quote_id(rows[i].name);

		assert_string_equal(text, rows[i].text);
		assert_string_equal(id, rows[i].id);
	}
	assert_null(db_quote(""));
	assert_null(db_quote("a\nb"));
	memset(longest, '\'', 64);
	free(db_quote(longest));
	memset(longest, 'x', 65);
	assert_null(db_quote(longest));
}

/* --- many at once --- */

struct fan_seen {
	_Atomic int jobs;
	size_t last;
	int reports, fail_at;
};

static int fan_job(void *ctx, struct db *one, size_t job, struct err *err)
{
	struct fan_seen *s = ctx;
	bool null;
	int64_t n;

	s->jobs++;
	if ((int)job == s->fail_at)
		return err_set(err, ERR_GONE, "job %zu fails", job);
	return db_number(one, "q1", &n, &null, err);
}

static void fan_done(void *ctx, size_t done, size_t of)
{
	struct fan_seen *s = ctx;

	assert_true(done <= of);
	s->last = done;
	s->reports++;
}

static int fan(size_t width, size_t n, struct fan_seen *seen)
{
	autologin struct db_login *l = NULL;
	struct db_source s = usual();

	assert_int_equal(db_login_new(&s, aws, &l, &e), 0);
	return db_fan(l, width, n, fan_job, fan_done, seen, &e);
}

static void jobs_are_shared_by_connections(void **state)
{
	struct fan_seen seen = { .fail_at = -1 };

	(void)state;
	f.answers = (const struct fakedb_answer[]){ { "q1", "n\n1\n" }, { 0 } };
	fakedb_start(&f);
	assert_int_equal(fan(4, 100, &seen), 0);
	assert_int_equal(seen.jobs, 100);
	assert_int_equal(seen.last, 100);
	assert_int_equal(f.logins, 4);
	assert_int_equal(fan(4, 0, &seen), 0);
	assert_int_equal(fan(50, 2, &seen), 0);
	assert_int_equal(f.logins, 6);
}

static void a_job_that_fails_ends_all(void **state)
{
	struct fan_seen seen = { .fail_at = 10 };

	(void)state;
	f.answers = (const struct fakedb_answer[]){ { "q1", "n\n1\n" }, { 0 } };
	fakedb_start(&f);
	fails(fan(3, 1000, &seen), ERR_GONE, "job 10 fails");
	assert_true(seen.jobs < 1000);
}

static void fewer_connections_will_do(void **state)
{
	struct fan_seen seen = { .fail_at = -1 };

	(void)state;
	f.answers = (const struct fakedb_answer[]){ { "q1", "n\n1\n" }, { 0 } };
	f.most = 2;
	fakedb_start(&f);
	assert_int_equal(fan(8, 50, &seen), 0);
	assert_int_equal(seen.jobs, 50);
	assert_int_equal(f.logins, 2);
	fakedb_stop(&f);
	f = (struct fakedb){ .refuse = 1045 };
	fakedb_start(&f);
	fails(fan(8, 50, &seen), ERR_DENIED, "refused");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sources_are_checked_first), T(a_local_server_may_be_without_tls), T(the_session_can_only_read),
		T(an_old_server_cannot_keep_time), T(tls_is_verified), T(who_is_not_verified_learns_nothing),
		T(without_tls_only_this_machine), T(clear_text_is_for_tokens_only),
		T(a_token_is_made_for_each_connection), T(a_refused_token_says_what_to_look_at), T(a_token_is_not_sent_to_who_wants_a_hash),
		T(without_credentials_there_is_no_token), T(the_password_may_be_in_secrets_manager),
		T(secrets_that_are_none), T(a_password_file_has_one_line), T(refusals_are_sentences), T(nobody_is_there),
		T(strangers_are_named), T(answers_have_limits), T(one_row_has_a_limit), T(broken_answers_are_errors),
		T(files_of_ours_stay_here), T(a_server_that_hangs_is_left), T(a_server_that_does_not_greet_is_left), T(a_server_that_drips_is_left),
		T(a_handshake_or_login_that_drips_is_left_in_time), T(a_version_is_read_by_us), T(warnings_have_a_limit), T(the_session_is_wholly_ours),
		T(a_signal_is_no_lost_connection), T(a_job_apart_gives_its_answer), T(a_job_apart_can_be_left), T(statements_fail_by_kind),
		T(warnings_are_errors), T(numbers), T(the_worst_of_several_sources_counts), T(names_are_quoted), T(jobs_are_shared_by_connections),
		T(a_job_that_fails_ends_all), T(fewer_connections_will_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

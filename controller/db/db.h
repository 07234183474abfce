/* db/db.h - one connection to MariaDB or MySQL that can only read.
 *
 * Who answers is checked before anything secret is sent: TLS with a verified
 * certificate and host name, and only authentication plugins that this login
 * wants (Connector/C's MYSQL_OPT_SSL_ENFORCE and MYSQL_ENABLE_CLEARTEXT_PLUGIN
 * promise that and do not do it: MDEV-28634; tests/unit/test_db.c). Without TLS
 * only a server on this machine is spoken to.
 *
 * A session is read-only (the server refuses anything else with 1792), READ
 * COMMITTED (it keeps old row versions alive only while a statement runs, and
 * sees no half of anybody's edit), waits for no lock longer than a second, and
 * each statement has a time limit that the server itself keeps. A connection
 * belongs to one thread at a time: for several at once, db_fan() below; for one
 * beside the caller, db/apart.h. The library's non-blocking calls block over TLS
 * (CONC-594).
 *
 * Errors. e->code has the server's number ("1146") where there is one.
 *   ERR_NET     nobody answers, or the connection was lost (only reads were lost)
 *   ERR_BUSY    too many connections, a lock or the time limit: try again later
 *   ERR_DENIED  login, rights, TLS: the sentence says which
 *   ERR_GONE    no such database, table or column
 *   ERR_INPUT   what was asked for cannot be right, or the answer is too large */
#ifndef CUTOVER_DB_DB_H
#define CUTOVER_DB_DB_H

#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aws;
struct db;
struct db_login;

/* Where a database is and who we are there, as a plan or a command line says
 * it. All strings are lent; NULL or 0: not said. Exactly one of secret, iam,
 * password_file, password_env and password is said, or none for an account
 * without password, which only loopback may have. */
struct db_source {
	const char *host;          /* a name, an address, or "/path" of a Unix socket */
	int port;                  /* 0: 3306 */
	const char *user;          /* may be NULL with `secret`, which has one */
	const char *secret;        /* ARN or name in Secrets Manager: {"username", "password"} */
	bool iam;                  /* RDS IAM token, made anew for each connection */
	const char *password_file; /* its first line */
	const char *password_env;  /* name of an environment variable */
	const char *password;      /* itself: from LocalSettings.php, never from a plan or an argument */
	const char *ca;            /* PEM bundle; NULL: the system's, or plain text on loopback */
	const char *database;      /* NULL: none */
	int connect_ms;            /* 0: 3000 */
	int statement_ms;          /* longest a statement may take; 0: 10000 */
};

/* A checked copy of the source, with the password fetched. Wiped when freed.
 * `a` may be NULL when neither secret nor iam is said; it is lent and used by
 * each db_open() of an iam login. */
int db_login_new(const struct db_source *s, struct aws *a, struct db_login **out, struct err *e);
void db_login_free(struct db_login **l);
#define autologin __attribute__((cleanup(db_login_free)))
/* Makes the IAM token of an iam login now, for a db_open() of another thread soon
 * (a token lives for 15 minutes); without iam, nothing. */
int db_login_token(struct db_login *l, struct err *e);
const char *db_login_name(const struct db_login *l); /* "user@host:port", for people */

enum db_flavour { DB_MARIADB, DB_MYSQL };
struct db_server {
	enum db_flavour flavour;
	bool aurora;
	int version;      /* 101119 for MariaDB 10.11.19, 80039 for MySQL 8.0.39 */
	char text[64];    /* "10.11.19-MariaDB-log", as the server says it */
	char tls[64];     /* cipher; "" without TLS (loopback only) */
};

/* Greeting, TLS, login and settings together take connect_ms and 5 s (or
 * statement_ms, if that is less) at most, whatever the other side does; the
 * resolver's own limits come before that, and two seconds to find out who it is
 * that does not greet. */
int db_open(const struct db_login *l, struct db **out, struct err *e);
void db_close(struct db **d);
#define autodb __attribute__((cleanup(db_close)))
const struct db_server *db_server(const struct db *d);
const char *db_name(const struct db *d); /* "user@host:port" */
/* Changes the default database. ERR_GONE when there is none of that name. */
int db_use(struct db *d, const char *database, struct err *e);

/* What an answer may cost at most; 0: 200,000 rows, 32 MiB, the source's statement_ms. */
struct db_limit {
	size_t rows, bytes;
	int ms;
};
/* One row; text[i] is NULL for SQL's NULL, else len[i] bytes and a NUL. Lent until fn returns. */
struct db_row {
	unsigned n;
	char *const *text;
	const unsigned long *len;
	const char *const *name; /* the columns, as the server calls them */
};
/* -1 ends the reading, and the connection with it. */
typedef int db_row_fn(void *ctx, const struct db_row *row, struct err *e);

/* Sends one statement and gives its rows one by one: memory is one row, however
 * many there are. Warnings of the server are an error, since information_schema
 * tells of a table that it could not look at only that way. Past a limit, the
 * connection is closed and further calls say ERR_NET. l may be NULL. */
int db_query(struct db *d, const char *sql, const struct db_limit *l, db_row_fn *fn, void *ctx,
	     struct err *e);
/* All rows: [{"column": "text" or null}]; caller frees. */
int db_json(struct db *d, const char *sql, const struct db_limit *l, json_t **out, struct err *e);
/* The first column of the one row there must be. *null when it is NULL. */
int db_number(struct db *d, const char *sql, int64_t *out, bool *null, struct err *e);
/* 'it''s' with its quotes; NULL when it is no valid name (empty, over 64 letters,
 * control characters); for a session of db_open(), which has no
 * backslash escapes. Caller frees. */
char *db_quote(const char *name);
/* `na``me`, the same. */
char *db_quote_id(const char *name);

/* Does n jobs over at most `width` connections, each in a thread of its own:
 * connections are opened one after the other (tokens are made in the calling
 * thread), jobs are taken in order. A job that fails ends the whole; the error
 * is its. `job` runs in many threads at once; `done` (may be NULL) is called in
 * the calling thread for progress, about every 200 ms and at the end. */
typedef int db_job_fn(void *ctx, struct db *d, size_t job, struct err *e);
typedef void db_done_fn(void *ctx, size_t done, size_t of);
int db_fan(const struct db_login *l, size_t width, size_t n, db_job_fn *job, db_done_fn *done,
	   void *ctx, struct err *e);
#endif

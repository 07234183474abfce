/* cli/dbopen.h - a database that the options of a command lead to: --server or
 * --settings, and where its password is. */
#ifndef CUTOVER_CLI_DBOPEN_H
#define CUTOVER_CLI_DBOPEN_H

#include "db/db.h"
#include "mediawiki/settings.h"
#include "net/http.h"

struct cli;

struct dbopen {
	struct db_login *login;
	struct db *db;              /* the first connection: for looking around */
	const char *prefix;         /* of the wiki's tables; "" */
	char **names;               /* databases, sorted as they were said */
	size_t n;
	/* own */
	struct settings settings;
	char *user, *host, *region;
	struct http http;
	struct http_curl *curl;
	struct cred_chain *creds;
	struct aws *aws;
};
#define autodbopen __attribute__((cleanup(dbopen_close)))
/* Connects, and finds out which databases are meant: those of the arguments,
 * else --all-databases, else the one of --settings. */
int dbopen(const struct cli *c, struct dbopen *x, struct err *e);
void dbopen_close(struct dbopen *x);
/* --name as a number up to most; *out stays when it is not given. */
int dbopen_number(const struct cli *c, const char *name, int64_t most, int64_t *out, struct err *e);
/* For db_fan(): how far it is, on stderr when that is a terminal, or a line
 * every ten seconds. */
db_done_fn *dbopen_progress(void);
/* What cannot be asked now is a refusal, not an internal error. Gives the exit code. */
int dbopen_fail(struct err *e);
#endif

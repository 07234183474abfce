/* mediawiki/checks.h - what tables can hide: rows that a version cannot read.
 *
 * A check is one SELECT that counts rows which the version would not see or
 * would read wrong; 0 is good. On 1.39 each revision's comment is in a table of
 * its own and rev_comment_id is 0: 1.43 shows such a wiki without any history,
 * and no schema tells. Which checks are for which versions stands in the table
 * (checks.c); a row there is all that a new version needs. */
#ifndef CUTOVER_MEDIAWIKI_CHECKS_H
#define CUTOVER_MEDIAWIKI_CHECKS_H

#include "mediawiki/schema.h"
#include "mediawiki/verdict.h"

struct data_check {
	const char *id, *sql;         /* a table is written {revision}; the prefix is put before it */
	const char *since, *before;   /* versions that need it: since <= version < before; NULL: no limit */
	const char *column;           /* "revision.rev_comment_id": asked only where it is; NULL: where all {tables} are */
	enum schema_effect effect;    /* for that version, when the count is not 0 */
	const char *means;
};
extern const struct data_check data_checks[]; /* id NULL ends */
const struct data_check *data_check_find(const char *id); /* NULL: there is none */

/* One statement with one row and one number: db_number() behind it, in the program. */
typedef int data_ask_fn(void *ctx, const char *sql, int64_t *n, bool *null, struct err *e);
/* Runs what `version` needs on the database that `have` shows. `known`
 * ({statement: number}, NULL: none) is read and filled: most checks are for both
 * versions, and a large table is not read twice. *rows:
 * [{"check", "count": n or null, "effect", "why"}], also of those that are 0; a
 * check that cannot be answered is unknown (count null), and has the effect that
 * it guards against. *worst is the worst effect. Caller frees *rows. -1 when the
 * version is none ("1.43.11"), or nobody answers any more (ERR_NET). */
int data_checks_run(const char *version, const struct schema *have, const char *prefix, data_ask_fn *ask,
		    void *ctx, json_t *known, json_t **rows, enum schema_effect *worst, struct err *e);
/* The statement with the prefix put in; NULL when the prefix is no plain name. Caller frees. */
char *data_check_sql(const struct data_check *c, const char *prefix);
#endif

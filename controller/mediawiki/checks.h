/* mediawiki/checks.h - what tables can hide: rows that a version cannot read.
 *
 * A check is one SELECT that counts rows which the version would not see or
 * would refuse; 0 is good. On 1.39 each revision's comment is in another table
 * and rev_comment_id is 0: 1.43 shows such a wiki without any history, and no
 * schema tells. Which checks are for which versions stands in the table. */
#ifndef CUTOVER_MEDIAWIKI_CHECKS_H
#define CUTOVER_MEDIAWIKI_CHECKS_H

#include "mediawiki/schema.h"
#include "mediawiki/verdict.h"

struct data_check {
	const char *id, *sql;         /* a table is written {revision}; the prefix is put before it */
	const char *since, *before;   /* versions that need it: since <= version < before; NULL: no limit */
	const char *table, *column;   /* asked only where these are; column may be NULL */
	enum schema_effect effect;    /* for that version, when it is not 0 */
	const char *means;
};
extern const struct data_check data_checks[]; /* id NULL ends */

/* One statement with one row and one number: db_number() behind it, in the program. */
typedef int data_ask_fn(void *ctx, const char *sql, int64_t *n, bool *null, struct err *e);
/* Runs what `version` needs on the database that `have` shows. *rows:
 * [{"check", "count": n or null, "effect", "why"}], also of those that are 0; a
 * check that cannot be answered is unknown, and its effect is the one it would
 * have. *worst is the worst effect. -1 when the version is none ("1.43.11"). */
int data_checks_run(const char *version, const struct schema *have, const char *prefix, data_ask_fn *ask,
		    void *ctx, json_t **rows, enum schema_effect *worst, struct err *e);
/* The statement with the prefix put in; caller frees. */
char *data_check_sql(const struct data_check *c, const char *prefix);
#endif

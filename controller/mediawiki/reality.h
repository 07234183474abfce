/* mediawiki/reality.h - the tables that a database really has.
 *
 * Three statements a database, each about one kind of row of
 * information_schema, streamed: memory is the schema itself (about 50 KiB a
 * wiki). They read definitions only, wait for no lock longer than a second and
 * take none. */
#ifndef CUTOVER_MEDIAWIKI_REALITY_H
#define CUTOVER_MEDIAWIKI_REALITY_H

#include "db/db.h"
#include "mediawiki/schema.h"

/* *out is sealed; prefix may be NULL. ERR_GONE: no such database, or none of
 * its tables begins with the prefix (the sentence names a prefix that fits when
 * there is one). */
int reality_read(struct db *d, const char *database, const char *prefix, struct schema **out, struct err *e);

/* Names of all databases of the server that hold a wiki: a table "page" behind
 * the prefix. Sorted; *n may be 0. Caller frees with reality_names_free(). */
int reality_wikis(struct db *d, const char *prefix, char ***names, size_t *n, struct err *e);
void reality_names_free(char **names, size_t n);

/* The prefix with which these tables would be a wiki's ("mw_" for mw_page,
 * mw_revision and mw_user); "" when they are as they stand; NULL: none. Caller frees. */
char *reality_guess_prefix(const struct schema *all);
#endif

/* effects.h - the rules: what code feels whose tables are not what it wants.
 *
 * Each takes what the code wants and what it meets. They suppose a session as
 * MediaWiki opens it: $wgSQLMode = '', so that a server stores the next best
 * value and says nothing where a strict one would refuse. */
#ifndef CUTOVER_MEDIAWIKI_EFFECTS_H
#define CUTOVER_MEDIAWIKI_EFFECTS_H

#include "mediawiki/internal.h"
#include "mediawiki/verdict.h"

struct ruling {
	enum schema_effect effect;
	const char *why; /* literal, or in the pool */
};

/* Columns that both have: "type", "null", "default", "auto", "charset". */
struct facet {
	const char *what;
	bool (*differs)(const struct schema_column *a, const struct schema_column *b);
	const char *(*show)(struct pool *p, const struct schema_column *c);
	struct ruling (*rule)(struct pool *p, const struct schema_column *want, const struct schema_column *have);
};
extern const struct facet facets[]; /* what NULL ends */

/* One side is NULL where there is none of that name. */
struct ruling effect_of_table(struct pool *p, const struct schema_table *want, const struct schema_table *have);
struct ruling effect_of_column(struct pool *p, const struct schema_column *want, const struct schema_column *have);
struct ruling effect_of_index(struct pool *p, const struct schema_table *want_table, const struct schema_index *want,
			      const struct schema_table *have_table, const struct schema_index *have);
/* What upgraded wikis are known to have; false: nothing known. */
bool effect_known(const char *table, const char *name, const char *what, const char *want, const char *have,
		  struct ruling *out);
#endif

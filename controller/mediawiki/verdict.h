/* mediawiki/verdict.h - what a difference between two schemas does to the code.
 *
 * A row has an effect for each of two versions: [0] is what A's code would feel
 * on B's tables, [1] what B's code would feel on A's. With a snapshot as B, [0]
 * is what counts: A's code on that database. Rules: mediawiki/effects.c, with
 * what real wikis did (1.35, 1.39, 1.43 on each other's tables). */
#ifndef CUTOVER_MEDIAWIKI_VERDICT_H
#define CUTOVER_MEDIAWIKI_VERDICT_H

#include "mediawiki/schema.h"

enum schema_effect { /* worse is greater */
	EFFECT_HARMLESS,
	EFFECT_SLOW,   /* works, without an index it was written for */
	EFFECT_WRITES, /* a write is refused: 1364, 1054, 1265 */
	EFFECT_READS,  /* a read is refused: 1146, 1054, 1176 */
	EFFECT_LOSS,   /* nothing is refused and data is cut, changed or not seen */
};
const char *schema_effect_name(enum schema_effect f); /* "harmless", "slow", "breaks writes", ... */
static inline bool schema_effect_blocks(enum schema_effect f) { return f >= EFFECT_WRITES; }

struct schema_row {
	const char *table, *name; /* name of the column or index; "" for the table itself */
	const char *what;         /* "table", "column", "type", "null", "default", "auto", "charset", "index", "engine" */
	const char *a, *b;        /* how it is in each; NULL: not there */
	enum schema_effect effect[2];
	const char *why[2];       /* a sentence for each */
};
struct schema_diff {
	struct schema_row *row;
	size_t n;
	enum schema_effect worst[2];
	size_t blocking[2];       /* rows that the version could not live with */
	struct schema_diff_private *own;
};
/* Borrows nothing: a and b may go before it. Both are sealed. */
struct schema_diff *schema_compare(const struct schema *a, const struct schema *b);
void schema_diff_free(struct schema_diff **d);
#define autodiff __attribute__((cleanup(schema_diff_free)))
/* [{"table", "name", "what", "a", "b", "effect_a", "why_a", "effect_b", "why_b"}] */
json_t *schema_diff_json(const struct schema_diff *d);

/* --- may two versions share this database? --- */
enum schema_sharing {
	SHARING_SHARED,     /* both versions work on it as it is */
	SHARING_FREEZE,     /* green needs other tables: copy, freeze writes, update, then shift */
	SHARING_IMPOSSIBLE, /* no update leads from here to green's tables, or blue does not work here already */
};
const char *schema_sharing_name(enum schema_sharing k);
struct schema_verdict {
	enum schema_sharing kind;
	size_t blue, green; /* differences that block each version on the database */
	char why[640];
};
/* `have` is a snapshot of blue's database; NULL: it is taken to be as blue expects. */
void schema_judge(const struct schema *blue, const struct schema *green, const struct schema *have,
		  struct schema_verdict *out);

/* --- how far the way back is free --- */
enum horizon_act {       /* what a step does, for this question */
	HORIZON_NOTHING, /* nothing that a way back would lose */
	HORIZON_FREEZE,  /* writes are refused from here */
	HORIZON_UPDATE,  /* green's tables change, in a copy */
	HORIZON_IN_PLACE,/* the tables that blue uses change */
	HORIZON_SHIFT,   /* green serves users */
	HORIZON_UNFREEZE,/* writes are accepted again */
	HORIZON_RETIRE,  /* blue, or its database, goes */
};
struct horizon_step { const char *name; enum horizon_act act; };
struct horizon {
	size_t last;     /* the way back is free until this many steps are done */
	bool sound;      /* false: the order itself loses writes; why says how */
	char why[320];
};
/* Pure. SHARING_SHARED: both colours use one database; else each has its own. */
void schema_horizon(enum schema_sharing kind, const struct horizon_step *step, size_t n, struct horizon *out);
#endif

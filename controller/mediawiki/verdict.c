/* verdict.c - one database for two versions, or not; and how far back is free. */
#include "mediawiki/internal.h"
#include "mediawiki/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Long-term releases. update.php of a version leads from the two before it, and
 * from what lies between (the oldest patch in MysqlUpdater::getCoreUpdateList:
 * 1.31 in 1.39, 1.36 in 1.43). */
static const long long_term[] = { 1027000, 1031000, 1035000, 1039000, 1043000, 1047000 };

const char *schema_sharing_name(enum schema_sharing k)
{
	static const char *const names[] = { "shared", "freeze", "impossible" };

	return (size_t)k < COUNT(names) ? names[k] : "unknown";
}

/* --- sharing ---------------------------------------------------------------------------- */

static void say(struct schema_verdict *v, enum schema_sharing kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void say(struct schema_verdict *v, enum schema_sharing kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	v->kind = kind;
	vsnprintf(v->why, sizeof v->why, fmt, ap);
	va_end(ap);
}

static const char *named(const struct schema *s, const char *colour, char out[96])
{
	snprintf(out, 96, "%s%s%.60s", colour, s->version ? " " : "", s->version ? s->version : "");
	return out;
}

/* The first row that the code of side 0 cannot live with. */
static const struct schema_row *first_block(const struct schema_diff *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (schema_effect_blocks(d->row[i].effect[0]))
			return &d->row[i];
	return NULL;
}

/* "page.page_links_updated (type): it ..." */
static void describe(const struct schema_diff *d, char *out, size_t size)
{
	const struct schema_row *r = first_block(d);

	if (!r) {
		*out = 0;
		return;
	}
	snprintf(out, size, "%.64s%s%.64s (%s): %.200s", r->table, *r->name ? "." : "", r->name, schema_effect_name(r->effect[0]),
		 r->why[0]);
}

/* Below which version update.php of this one does not begin; 0: unknown. */
static long oldest_start(long version)
{
	size_t n = 0;

	while (n < COUNT(long_term) && long_term[n] < version - version % 1000)
		n++;
	return n >= 2 ? long_term[n - 2] : 0;
}

/* Does green's update.php lead from blue's version to its own? */
static bool update_leads(const struct schema *blue, const struct schema *green, char *why, size_t size)
{
	long from = version_number(blue->version), to = version_number(green->version);

	if (from < 0 || to < 0)
		return true; /* not said: the schema after the update is what counts */
	if (to < from) {
		snprintf(why, size, "green %s is older than blue %s, and update.php does not lead back", green->version,
			 blue->version);
		return false;
	}
	if (from < oldest_start(to)) {
		snprintf(why, size, "update.php of %s starts at 1.%ld, and blue is %s: go by a long-term release between them",
			 green->version, oldest_start(to) / 1000 % 1000, blue->version);
		return false;
	}
	return true;
}

void schema_judge(const struct schema *blue, const struct schema *green, const struct schema *have,
		  struct schema_verdict *out)
{
	autodiff struct schema_diff *on_blue = have ? schema_compare(blue, have) : NULL;
	autodiff struct schema_diff *on_green = schema_compare(green, have ? have : blue);
	char why[480], bname[96], gname[96];

	*out = (struct schema_verdict){ .blue = on_blue ? on_blue->blocking[0] : 0, .green = on_green->blocking[0] };
	named(blue, "blue", bname);
	named(green, "green", gname);
	if (on_blue && out->blue) {
		describe(on_blue, why, sizeof why);
		say(out, SHARING_IMPOSSIBLE, "%s does not work on this database as it is, in %zu places; first: %s", bname,
		    out->blue, why);
	} else if (!out->green) {
		say(out, SHARING_SHARED, "%s and %s both work on this database as it is", bname, gname);
	} else if (!update_leads(blue, green, why, sizeof why)) {
		say(out, SHARING_IMPOSSIBLE, "%s", why);
	} else {
		describe(on_green, why, sizeof why);
		say(out, SHARING_FREEZE, "%s needs other tables, in %zu places; first: %s. Copy the database, freeze "
		    "writes, update the copy, then shift", gname, out->green, why);
	}
}

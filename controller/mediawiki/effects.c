/* effects.c - rules for tables and indexes, and what is known of real wikis. */
#include "mediawiki/effects.h"

#include <string.h>

#define HARMLESS(why) (struct ruling){ EFFECT_HARMLESS, why }
#define MAX_PARTS 32

/* Indexes that MediaWiki names in USE INDEX (Rdbms writes FORCE INDEX): without
 * one of this name the query is refused with 1176, even where another index has
 * the same columns. From the sources of 1.35, 1.39 and 1.43: useIndex(), 'USE
 * INDEX', and the names that ApiQueryBacklinksprop and LinksMigration put
 * together, also those of 1.44 and 1.45. A test looks for more in each release. */
static const struct { const char *table, *index; } named_in_code[] = {
	{ "revision", "PRIMARY" }, { "revision", "rev_page_id" }, { "revision", "rev_page_timestamp" },
	{ "revision", "page_timestamp" },
	{ "revision", "rev_actor_timestamp" }, { "revision", "rev_timestamp" },
	{ "revision_actor_temp", "actor_timestamp" },
	{ "page", "PRIMARY" }, { "page", "page_name_title" }, { "page", "name_title" },
	{ "page", "page_redirect_namespace_len" },
	{ "logging", "PRIMARY" }, { "logging", "log_actor_time" }, { "logging", "log_actor_type_time" },
	{ "oldimage", "oi_name_timestamp" }, { "category", "cat_title" },
	{ "categorylinks", "cl_timestamp" }, { "categorylinks", "cl_sortkey" }, { "categorylinks", "cl_sortkey_id" },
	{ "categorylinks", "cl_timestamp_id" },
	{ "pagelinks", "pl_namespace" }, { "pagelinks", "pl_target_id" },
	{ "pagelinks", "pl_backlinks_namespace" }, { "pagelinks", "pl_backlinks_namespace_target_id" },
	{ "templatelinks", "PRIMARY" }, { "templatelinks", "tl_namespace" }, { "templatelinks", "tl_target_id" },
	{ "templatelinks", "tl_backlinks_namespace" }, { "templatelinks", "tl_backlinks_namespace_target_id" },
	{ "imagelinks", "il_to" }, { "imagelinks", "il_backlinks_namespace" }, { "imagelinks", "il_target_id" },
	{ "imagelinks", "il_backlinks_namespace_target_id" },
	{ "recentchanges", "rc_new_name_timestamp" }, { "recentchanges", "new_name_timestamp" },
	{ "linter", "linter_cat_page_position" },
};

/* What real wikis have, and live well with. NULL: any. */
static const struct { const char *table, *name, *what, *want, *have, *why; } known[] = {
	{ "searchindex", "si_text", "type", "mediumtext", "longtext",
	  "every wiki upgraded from 1.39 has it so; longtext holds more" },
	{ "change_tag", "ct_rc_id", "type", "int unsigned", "int",
	  "every wiki upgraded from 1.35 has it so; rc_id itself stays below 2,147,483,648 there" },
	{ "page", "page_links_updated", "type", "varbinary(14)", "binary(14)",
	  "only NULL and timestamps of 14 digits are written" },
};

bool effect_known(const char *table, const char *name, const char *what, const char *want, const char *have,
		  struct ruling *out)
{
	for (size_t i = 0; i < COUNT(known); i++)
		if (!strcmp(known[i].table, table) && !strcmp(known[i].name, name) && !strcmp(known[i].what, what) &&
		    want && !strcmp(known[i].want, want) && have && !strcmp(known[i].have, have)) {
			*out = HARMLESS(known[i].why);
			return true;
		}
	return false;
}

/* --- tables ---------------------------------------------------------------------------- */

struct ruling effect_of_table(struct pool *p, const struct schema_table *want, const struct schema_table *have)
{
	(void)p;
	if (!have)
		return (struct ruling){ EFFECT_READS, "it asks this table, and the server answers 1146 (no such table)" };
	if (!want)
		return HARMLESS("it never asks this table");
	if (!want->view && have->view)
		return (struct ruling){ EFFECT_WRITES, "this is a view: rows may be refused, and no index can be named" };
	return HARMLESS("another storage engine keeps the same rows");
}

/* --- indexes ------------------------------------------------------------------------------ */

static bool is_named(const char *table, const char *index)
{
	for (size_t i = 0; i < COUNT(named_in_code); i++)
		if (!strcmp(named_in_code[i].table, table) && !strcmp(named_in_code[i].index, index))
			return true;
	return false;
}

struct parts {
	const char *at[MAX_PARTS];
	size_t len[MAX_PARTS], n;
};

static void split(const char *columns, struct parts *out)
{
	out->n = 0;
	while (*columns && out->n < MAX_PARTS) {
		out->at[out->n] = columns;
		out->len[out->n] = strcspn(columns, ",");
		columns += out->len[out->n++];
		columns += *columns == ',';
	}
}

static bool same_part(const struct parts *a, size_t i, const struct parts *b, size_t j)
{
	return a->len[i] == b->len[j] && !strncmp(a->at[i], b->at[j], a->len[i]);
}

/* Is every part of the one among those of the other, in any order? */
static bool is_subset(const char *some, const char *all)
{
	struct parts a, b;

	split(some, &a);
	split(all, &b);
	for (size_t i = 0; i < a.n; i++) {
		size_t j = 0;

		while (j < b.n && !same_part(&a, i, &b, j))
			j++;
		if (j == b.n)
			return false;
	}
	return true;
}

/* Does the index begin with the other's columns, so that it serves the same queries? */
static bool begins_with(const char *columns, const char *wanted)
{
	size_t n = strlen(wanted);

	return !strncmp(columns, wanted, n) && (!columns[n] || columns[n] == ',');
}

/* Does some unique index see to it that no two rows have these? */
static bool is_kept_unique(const struct schema_table *t, const char *columns)
{
	for (unsigned i = 0; i < t->nindexes; i++)
		if (t->index[i].unique && is_subset(t->index[i].columns, columns))
			return true;
	return false;
}

static const char *served_by(const struct schema_table *t, const struct schema_index *want)
{
	for (unsigned i = 0; i < t->nindexes; i++)
		if (t->index[i].fulltext == want->fulltext && begins_with(t->index[i].columns, want->columns))
			return t->index[i].name;
	return NULL;
}

/* Nothing of this name, or nothing that does its work. */
static struct ruling rule_missing(struct pool *p, const struct schema_table *want_table, const struct schema_index *want,
				  const struct schema_table *have_table)
{
	const char *other = served_by(have_table, want);

	if (want->unique && !is_kept_unique(have_table, want->columns))
		return (struct ruling){ EFFECT_LOSS, pool_printf(p, "nothing keeps (%s) unique: what it writes twice is "
								 "stored twice", want->columns) };
	if (want->fulltext && !other)
		return (struct ruling){ EFFECT_READS, "its search is refused without the fulltext index: 1191" };
	if (!schema_index(have_table, want->name) && is_named(want_table->name, want->name))
		return (struct ruling){ EFFECT_READS, "its code names this index (FORCE INDEX), and the server answers 1176" };
	if (other)
		return (struct ruling){ EFFECT_HARMLESS, pool_printf(p, "index %s serves the same queries", other) };
	return (struct ruling){ EFFECT_SLOW, "queries written for it read the whole table" };
}

/* Uniqueness that the code does not count on. */
static bool is_too_strict(const struct schema_table *want_table, const struct schema_index *have)
{
	return have->unique && !is_kept_unique(want_table, have->columns);
}

struct ruling effect_of_index(struct pool *p, const struct schema_table *want_table, const struct schema_index *want,
			      const struct schema_table *have_table, const struct schema_index *have)
{
	if (have && is_too_strict(want_table, have))
		return (struct ruling){ EFFECT_WRITES, pool_printf(p, "(%s) must be unique there, which it does not count on: "
								   "rows are refused (1062) or replace others", have->columns) };
	if (!want)
		return HARMLESS("it does not need this index");
	return rule_missing(p, want_table, want, have_table);
}

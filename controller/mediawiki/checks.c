#include "mediawiki/checks.h"

#include "mediawiki/internal.h"

#include <string.h>

/* Each compares with what update.php of the version has to have done, or with a
 * join that the version's own queries make. Those that old wikis fail since
 * years, and both versions alike, are harmless here and still reported. */
const struct data_check data_checks[] = {
	{ "revisions-without-comment", "SELECT COUNT(*) FROM {revision} WHERE rev_comment_id = 0", "1.40", NULL,
	  "revision.rev_comment_id", EFFECT_LOSS,
	  "revisions whose comment is still in revision_comment_temp: pages show no history and API answers have no revisions" },
	{ "revisions-without-comment-temp", "SELECT COUNT(*) FROM {revision} LEFT JOIN {revision_comment_temp} "
	  "ON revcomment_rev = rev_id WHERE revcomment_rev IS NULL", NULL, "1.40", "revision_comment_temp.revcomment_rev", EFFECT_LOSS,
	  "revisions whose comment is only in revision: histories leave them out" },
	{ "revisions-without-actor", "SELECT COUNT(*) FROM {revision} LEFT JOIN {actor} ON actor_id = rev_actor "
	  "WHERE actor_id IS NULL", "1.39", NULL, "revision.rev_actor", EFFECT_LOSS,
	  "revisions without an author: histories leave them out" },
	{ "page-links-without-target", "SELECT COUNT(*) FROM {pagelinks} LEFT JOIN {linktarget} ON lt_id = pl_target_id "
	  "WHERE lt_id IS NULL", "1.43", NULL, "pagelinks.pl_target_id", EFFECT_LOSS,
	  "links that lead nowhere: Special:WhatLinksHere leaves them out (MigrateLinksTable has not run)" },
	{ "template-links-without-target", "SELECT COUNT(*) FROM {templatelinks} LEFT JOIN {linktarget} ON lt_id = tl_target_id "
	  "WHERE lt_id IS NULL", "1.39", NULL, "templatelinks.tl_target_id", EFFECT_LOSS,
	  "template links that lead nowhere: a changed template does not refresh its pages" },
	{ "external-links-without-domain", "SELECT COUNT(*) FROM {externallinks} WHERE el_to_domain_index = ''", "1.41", NULL,
	  "externallinks.el_to_domain_index", EFFECT_LOSS,
	  "external links that no search finds (MigrateExternallinks has not run)" },
	{ "blocks-without-target", "SELECT COUNT(*) FROM {block} LEFT JOIN {block_target} ON bt_id = bl_target "
	  "WHERE bt_id IS NULL", "1.42", NULL, NULL, EFFECT_LOSS, "blocks that block nobody" },
	{ "blocks-left-behind", "SELECT COUNT(*) FROM {ipblocks} LEFT JOIN {block} ON bl_id = ipb_id WHERE bl_id IS NULL",
	  "1.43", NULL, NULL, EFFECT_LOSS, "blocks that are only in ipblocks: they block nobody (MigrateBlocks has not run)" },
	{ "pages-without-revision", "SELECT COUNT(*) FROM {page} LEFT JOIN {revision} ON rev_id = page_latest "
	  "WHERE rev_id IS NULL", NULL, NULL, NULL, EFFECT_HARMLESS, "pages that cannot be shown, by any version" },
	{ "double-actors", "SELECT COUNT(*) FROM (SELECT actor_name FROM {actor} GROUP BY actor_name HAVING COUNT(*) > 1) x",
	  NULL, NULL, "actor.actor_name", EFFECT_HARMLESS, "names with two actors: contributions are split, in any version" },
	{ "site-statistics", "SELECT 1 - LEAST(COUNT(*), 1) FROM {site_stats}", NULL, NULL, NULL, EFFECT_HARMLESS,
	  "no row in site_stats: was the installation finished?" },
	{ 0 },
};

const struct data_check *data_check_find(const char *id)
{
	for (const struct data_check *c = data_checks; c->id; c++)
		if (!strcmp(c->id, id))
			return c;
	return NULL;
}

/* --- the statement --------------------------------------------------------------------------- */

static bool is_plain_name(const char *s)
{
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(s);
}

char *data_check_sql(const struct data_check *c, const char *prefix)
{
	autobuf struct buf b = BUF_MAX(8192);

	if (prefix && !is_plain_name(prefix))
		return NULL;
	for (const char *s = c->sql; *s; s++) {
		if (*s == '{')
			buf_addf(&b, "`%s", prefix ? prefix : "");
		else
			buf_add(&b, *s == '}' ? "`" : s, 1);
	}
	return buf_take(&b);
}

/* --- what is asked ------------------------------------------------------------------------------ */

static bool is_for(const struct data_check *c, long version)
{
	return (!c->since || version >= version_number(c->since)) && (!c->before || version < version_number(c->before));
}

static bool has_tables(const struct schema *have, const char *sql)
{
	while ((sql = strchr(sql, '{'))) {
		autofree char *name = xstrndup(sql + 1, strcspn(sql + 1, "}"));

		if (!schema_table(have, name))
			return false;
		sql++;
	}
	return true;
}

static bool has_column(const struct schema *have, const char *column)
{
	autofree char *table = xstrndup(column, strcspn(column, "."));
	const struct schema_table *t = schema_table(have, table);

	return t && schema_column(t, column + strlen(table) + 1);
}

/* Where a table is missing, the schema's own difference says so. */
static bool can_ask(const struct data_check *c, const struct schema *have)
{
	return has_tables(have, c->sql) && (!c->column || has_column(have, c->column));
}

/* --- the answer ----------------------------------------------------------------------------------- */

static void add_row(json_t *rows, const struct data_check *c, json_t *count, enum schema_effect f, const char *why,
		    enum schema_effect *worst)
{
	json_array_append_new(rows, json_pack("{s:s, s:o, s:s, s:o}", "check", c->id, "count", count, "effect",
					      schema_effect_name(f), "why", json_text(why)));
	*worst = f > *worst ? f : *worst;
}

struct asking {
	data_ask_fn *ask;
	void *ctx;
	json_t *known;
};

static int ask_once(const struct asking *a, const char *sql, int64_t *n, bool *null, struct err *e)
{
	const json_t *known = json_object_get(a->known, sql);

	*null = false;
	*n = json_integer_value(known);
	if (known)
		return 0;
	if (a->ask(a->ctx, sql, n, null, e))
		return -1;
	if (a->known && !*null)
		json_object_set_new(a->known, sql, json_integer(*n));
	return 0;
}

static int run_one(const struct data_check *c, const char *prefix, const struct asking *a, json_t *rows,
		   enum schema_effect *worst, struct err *e)
{
	autofree char *sql = data_check_sql(c, prefix), *why = NULL;
	struct err trouble = { 0 };
	int64_t n = 0;
	bool null = false;

	if (!sql)
		err_set(&trouble, ERR_INPUT, "the table prefix \"%.40s\" is no plain name", prefix);
	if (sql && !ask_once(a, sql, &n, &null, &trouble) && !null) {
		add_row(rows, c, json_integer(n), n ? c->effect : EFFECT_HARMLESS, n ? c->means : "none", worst);
		return 0;
	}
	if (trouble.kind == ERR_NET) {
		*e = trouble;
		return err_wrap(e, "looking for %s", c->id);
	}
	why = xasprintf("unknown, so it counts as found: %s (%s)", null ? "the server answered NULL" : trouble.msg, c->means);
	add_row(rows, c, json_null(), c->effect, why, worst);
	return 0;
}

int data_checks_run(const char *version, const struct schema *have, const char *prefix, data_ask_fn *ask, void *ctx,
		    json_t *known, json_t **rows, enum schema_effect *worst, struct err *e)
{
	const struct asking a = { ask, ctx, known };
	autojson json_t *list = json_array();
	long number = version_number(version);

	if (number < 0)
		return err_set(e, ERR_INPUT, "\"%.40s\" is no version of MediaWiki (1.43.11), so it is not known which data "
			       "checks it needs", version ? version : "");
	*worst = EFFECT_HARMLESS;
	for (const struct data_check *c = data_checks; c->id; c++)
		if (is_for(c, number) && can_ask(c, have) && run_one(c, prefix, &a, list, worst, e))
			return -1;
	*rows = steal(&list);
	return 0;
}

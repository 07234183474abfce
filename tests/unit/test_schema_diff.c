/* Changed schemas: what the gate must stop, what it must let pass. Each row of
 * the table is one change to the tables of 1.43 (plans/schemas), judged for
 * 1.43's code on the changed tables. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"
#include "mediawiki/verdict.h"

#include <stdio.h>
#include <string.h>

#define OLD "plans/schemas/mediawiki-1.39.json"
#define NEW "plans/schemas/mediawiki-1.43.json"

static struct schema *load(const char *path)
{
	struct schema *s = NULL;
	struct err e = { 0 };

	if (schema_read(path, &s, &e))
		fail_msg("%s", e.msg);
	return s;
}

/* --- changes to the JSON of a schema --------------------------------------------------------- */

static json_t *table(json_t *doc, const char *name)
{
	return json_object_get(json_object_get(doc, "tables"), name);
}

static json_t *member(json_t *doc, const char *t, const char *kind, const char *name)
{
	return json_object_get(json_object_get(table(doc, t), kind), name);
}

static bool drop_table(json_t *doc, const char *t, const char *name, const char *arg)
{
	(void)name, (void)arg;
	return !json_object_del(json_object_get(doc, "tables"), t);
}

static bool add_table(json_t *doc, const char *t, const char *name, const char *arg)
{
	(void)name, (void)arg;
	return !json_object_set_new(json_object_get(doc, "tables"), t,
		json_pack("{s:{s:{s:s}}, s:{}}", "columns", "x", "type", "int", "indexes"));
}

static bool rename_table(json_t *doc, const char *t, const char *name, const char *arg)
{
	(void)name;
	return !json_object_set(json_object_get(doc, "tables"), arg, table(doc, t)) && drop_table(doc, t, NULL, NULL);
}

static bool drop(json_t *doc, const char *t, const char *kind, const char *name)
{
	return !json_object_del(json_object_get(table(doc, t), kind), name);
}

static bool drop_column(json_t *doc, const char *t, const char *name, const char *arg)
{
	(void)arg;
	return drop(doc, t, "columns", name);
}

static bool rename_column(json_t *doc, const char *t, const char *name, const char *arg)
{
	return !json_object_set(json_object_get(table(doc, t), "columns"), arg, member(doc, t, "columns", name)) &&
	       drop(doc, t, "columns", name);
}

/* arg is the column as JSON. */
static bool add_column(json_t *doc, const char *t, const char *name, const char *arg)
{
	return !json_object_set_new(json_object_get(table(doc, t), "columns"), name, json_loads(arg, 0, NULL));
}

/* arg is "key" (taken away), or "key=text", or "key!" (true). */
static bool set(json_t *o, const char *arg)
{
	size_t n = strcspn(arg, "=!");
	autofree char *key = xstrndup(arg, n);

	if (!o)
		return false;
	if (!arg[n])
		return !json_object_del(o, key);
	return !json_object_set_new(o, key, arg[n] == '!' ? json_true() : json_string(arg + n + 1));
}

static bool column(json_t *doc, const char *t, const char *name, const char *arg)
{
	return set(member(doc, t, "columns", name), arg);
}

static bool drop_index(json_t *doc, const char *t, const char *name, const char *arg)
{
	(void)arg;
	return drop(doc, t, "indexes", name);
}

static bool rename_index(json_t *doc, const char *t, const char *name, const char *arg)
{
	return !json_object_set(json_object_get(table(doc, t), "indexes"), arg, member(doc, t, "indexes", name)) &&
	       drop(doc, t, "indexes", name);
}

static bool add_index(json_t *doc, const char *t, const char *name, const char *arg)
{
	return !json_object_set_new(json_object_get(table(doc, t), "indexes"), name, json_loads(arg, 0, NULL));
}

static bool index_(json_t *doc, const char *t, const char *name, const char *arg)
{
	return set(member(doc, t, "indexes", name), arg);
}

static bool engine(json_t *doc, const char *t, const char *name, const char *arg)
{
	(void)name;
	return set(table(doc, t), arg);
}

/* The last column becomes the first. */
static bool reorder(json_t *doc, const char *t, const char *name, const char *arg)
{
	json_t *columns = json_object_get(table(doc, t), "columns"), *again = json_object();

	(void)arg;
	json_object_set(again, name, json_object_get(columns, name));
	json_object_update_missing(again, columns);
	return !json_object_set_new(table(doc, t), "columns", again);
}

static const struct change {
	bool (*make)(json_t *doc, const char *t, const char *name, const char *arg);
	const char *table, *name, *arg;
	enum schema_effect effect;
} changes[] = {
	{ drop_table, "page", "", "", EFFECT_READS },
	{ drop_table, "block_target", "", "", EFFECT_READS },
	{ drop_table, "site_stats", "", "", EFFECT_READS },
	{ drop_table, "updatelog", "", "", EFFECT_READS },
	{ rename_table, "linktarget", "", "link_target", EFFECT_READS },
	{ rename_table, "user", "", "users", EFFECT_READS },
	{ add_table, "revision_comment_temp", "", "", EFFECT_HARMLESS },
	{ add_table, "flow_revision", "", "", EFFECT_HARMLESS },
	{ add_table, "aaa", "", "", EFFECT_HARMLESS },
	{ engine, "searchindex", "", "engine=InnoDB", EFFECT_HARMLESS },
	{ engine, "page", "", "engine=MyISAM", EFFECT_HARMLESS },
	{ engine, "logging", "", "engine=Aria", EFFECT_HARMLESS },
	{ engine, "page", "", "view!", EFFECT_WRITES },
	{ drop_column, "page", "page_lang", "", EFFECT_READS },
	{ drop_column, "externallinks", "el_to_domain_index", "", EFFECT_READS },
	{ drop_column, "user", "user_is_temp", "", EFFECT_READS },
	{ drop_column, "revision", "rev_comment_id", "", EFFECT_READS },
	{ rename_column, "revision", "rev_actor", "rev_user", EFFECT_READS },
	{ rename_column, "image", "img_size", "img_length", EFFECT_READS },
	{ add_column, "page", "page_extra", "{\"type\": \"int\", \"null\": true}", EFFECT_HARMLESS },
	{ add_column, "page", "page_extra", "{\"type\": \"int\", \"default\": \"0\"}", EFFECT_HARMLESS },
	{ add_column, "revision", "rev_text_id", "{\"type\": \"int unsigned\"}", EFFECT_WRITES },
	{ add_column, "user", "user_legacy", "{\"type\": \"varbinary(10)\"}", EFFECT_WRITES },
	{ add_column, "logging", "log_new", "{\"type\": \"blob\", \"null\": true}", EFFECT_HARMLESS },
	{ reorder, "page", "page_lang", "", EFFECT_HARMLESS },
	{ reorder, "revision", "rev_sha1", "", EFFECT_HARMLESS },
	{ column, "revision", "rev_id", "type=int unsigned", EFFECT_LOSS },
	{ column, "recentchanges", "rc_id", "type=bigint", EFFECT_LOSS },
	{ column, "page", "page_id", "type=int", EFFECT_LOSS },
	{ column, "page", "page_namespace", "type=int unsigned", EFFECT_LOSS },
	{ column, "page", "page_namespace", "type=bigint", EFFECT_HARMLESS },
	{ column, "page", "page_len", "type=bigint unsigned", EFFECT_HARMLESS },
	{ column, "page", "page_len", "type=bigint", EFFECT_HARMLESS },
	{ column, "page", "page_len", "type=mediumint unsigned", EFFECT_LOSS },
	{ column, "page", "page_random", "type=float unsigned", EFFECT_LOSS },
	{ column, "page", "page_random", "type=int unsigned", EFFECT_LOSS },
	{ column, "page", "page_title", "type=varbinary(200)", EFFECT_LOSS },
	{ column, "page", "page_title", "type=varbinary(512)", EFFECT_HARMLESS },
	{ column, "page", "page_title", "type=varchar(255)", EFFECT_LOSS },
	{ column, "page", "page_title", "type=blob", EFFECT_HARMLESS },
	{ column, "page", "page_title", "type=binary(255)", EFFECT_LOSS },
	{ column, "page", "page_touched", "type=varbinary(14)", EFFECT_HARMLESS },
	{ column, "page", "page_touched", "type=binary(8)", EFFECT_LOSS },
	{ column, "page", "page_touched", "type=binary(20)", EFFECT_LOSS },
	{ column, "page", "page_touched", "type=datetime", EFFECT_LOSS },
	{ column, "text", "old_text", "type=blob", EFFECT_LOSS },
	{ column, "text", "old_text", "type=longblob", EFFECT_HARMLESS },
	{ column, "text", "old_text", "type=mediumtext", EFFECT_LOSS },
	{ column, "searchindex", "si_text", "type=longtext", EFFECT_HARMLESS }, /* known drift */
	{ column, "searchindex", "si_text", "type=text", EFFECT_LOSS },
	{ column, "searchindex", "si_text", "charset=utf8mb3", EFFECT_LOSS },
	{ column, "searchindex", "si_text", "charset=latin1", EFFECT_LOSS },
	{ column, "change_tag", "ct_rc_id", "type=int unsigned", EFFECT_LOSS },
	{ column, "categorylinks", "cl_type", "type=enum('page','file')", EFFECT_LOSS },
	{ column, "categorylinks", "cl_type", "type=enum('page','subcat','file','more')", EFFECT_HARMLESS },
	{ column, "categorylinks", "cl_type", "type=enum('file','subcat','page')", EFFECT_HARMLESS },
	{ column, "categorylinks", "cl_type", "type=varbinary(10)", EFFECT_HARMLESS },
	{ column, "categorylinks", "cl_type", "type=varbinary(5)", EFFECT_LOSS },
	{ column, "categorylinks", "cl_timestamp", "type=datetime", EFFECT_HARMLESS },
	{ column, "categorylinks", "cl_timestamp", "default=(current_timestamp)", EFFECT_HARMLESS },
	{ column, "categorylinks", "cl_timestamp", "type=binary(14)", EFFECT_LOSS },
	{ column, "page", "page_lang", "null", EFFECT_WRITES },
	{ column, "block", "bl_parent_block_id", "null", EFFECT_WRITES },
	{ column, "recentchanges", "rc_params", "null", EFFECT_WRITES },
	{ column, "page", "page_title", "null!", EFFECT_HARMLESS },
	{ column, "revision", "rev_comment_id", "null!", EFFECT_HARMLESS },
	{ column, "revision", "rev_comment_id", "default=0", EFFECT_HARMLESS },
	{ column, "logging", "log_timestamp", "default", EFFECT_WRITES },
	{ column, "block", "bl_create_account", "default", EFFECT_WRITES },
	{ column, "block", "bl_sitewide", "default=0", EFFECT_LOSS },
	{ column, "page", "page_is_new", "default", EFFECT_HARMLESS }, /* 0 is stored without it, too */
	{ column, "page", "page_lang", "default=en", EFFECT_LOSS },
	{ column, "oldimage", "oi_minor_mime", "default=", EFFECT_LOSS },
	{ column, "page", "page_id", "auto", EFFECT_WRITES },
	{ column, "logging", "log_id", "auto", EFFECT_WRITES },
	{ column, "site_stats", "ss_row_id", "auto!", EFFECT_HARMLESS },
	{ drop_index, "revision", "rev_page_timestamp", "", EFFECT_READS },
	{ drop_index, "page", "page_redirect_namespace_len", "", EFFECT_READS },
	{ drop_index, "imagelinks", "il_backlinks_namespace", "", EFFECT_READS },
	{ drop_index, "page", "page_random", "", EFFECT_SLOW },
	{ drop_index, "recentchanges", "rc_ip", "", EFFECT_SLOW },
	{ drop_index, "page", "page_name_title", "", EFFECT_LOSS },
	{ drop_index, "pagelinks", "PRIMARY", "", EFFECT_LOSS },
	{ drop_index, "change_tag", "ct_rev_tag_id", "", EFFECT_LOSS },
	{ drop_index, "searchindex", "si_text", "", EFFECT_READS },
	{ rename_index, "revision", "rev_page_timestamp", "page_timestamp", EFFECT_READS },
	{ rename_index, "categorylinks", "cl_sortkey", "sortkey", EFFECT_READS },
	{ rename_index, "page", "page_len", "len", EFFECT_HARMLESS },
	{ rename_index, "user", "user_name", "name", EFFECT_HARMLESS },
	{ rename_index, "page", "page_name_title", "name_title", EFFECT_READS }, /* SpecialAllPages names it */
	{ add_index, "page", "by_lang", "{\"columns\": \"page_lang\"}", EFFECT_HARMLESS },
	{ add_index, "page", "by_lang", "{\"columns\": \"page_lang\", \"unique\": true}", EFFECT_WRITES },
	{ add_index, "user", "mail", "{\"columns\": \"user_email(50)\", \"unique\": true}", EFFECT_WRITES },
	{ add_index, "page", "more", "{\"columns\": \"page_id,page_len\", \"unique\": true}", EFFECT_HARMLESS },
	{ index_, "page", "page_name_title", "columns=page_title,page_namespace", EFFECT_SLOW },
	{ index_, "page", "page_name_title", "columns=page_namespace,page_title(20)", EFFECT_WRITES },
	{ index_, "page", "page_name_title", "unique", EFFECT_LOSS },
	{ index_, "page", "page_len", "unique!", EFFECT_WRITES },
	{ index_, "page", "page_len", "columns=page_len,page_id", EFFECT_HARMLESS },
	{ index_, "page", "page_len", "columns=page_random", EFFECT_SLOW },
	{ index_, "pagelinks", "PRIMARY", "columns=pl_from", EFFECT_WRITES },
	{ index_, "pagelinks", "PRIMARY", "columns=pl_from,pl_target_id,pl_from_namespace", EFFECT_LOSS },
	{ index_, "revision", "rev_actor_timestamp", "columns=rev_timestamp,rev_actor", EFFECT_SLOW },
	{ index_, "searchindex", "si_text", "fulltext", EFFECT_READS },
};

/* --- the tests ------------------------------------------------------------------------------------ */

static struct schema *changed(const struct schema *base, const struct change *c)
{
	autojson json_t *doc = schema_json(base);
	struct schema *s = NULL;
	struct err e = { 0 };

	if (!c->make(doc, c->table, c->name, c->arg))
		fail_msg("%s.%s cannot be changed so: %s", c->table, c->name, c->arg);
	if (schema_from_json(doc, "changed", &s, &e))
		fail_msg("%s.%s %s: %s", c->table, c->name, c->arg, e.msg);
	return s;
}

static void no_change_is_missed_and_no_harmless_one_stopped(void **state)
{
	autoschema struct schema *base = load(NEW);
	size_t stopped = 0, passed = 0, wrong = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		const struct change *c = &changes[i];
		autoschema struct schema *s = changed(base, c);
		autodiff struct schema_diff *d = schema_compare(base, s);

		if ((!d->n && c->make != reorder) || d->worst[0] != c->effect || !d->blocking[0] == schema_effect_blocks(c->effect)) {
			print_error("%s.%s \"%s\": %s instead of %s (%zu rows)%s%s\n", c->table, c->name, c->arg,
				    schema_effect_name(d->worst[0]), schema_effect_name(c->effect), d->n, d->n ? ": " : "",
				    d->n ? d->row[0].why[0] : "");
			wrong++;
		}
		stopped += schema_effect_blocks(c->effect);
		passed += !schema_effect_blocks(c->effect);
	}
	print_message("%zu changes: %zu must be stopped, %zu may pass; %zu judged otherwise\n", COUNT(changes), stopped, passed, wrong);
	assert_int_equal(wrong, 0);
	assert_true(stopped >= 40 && passed >= 20);
}

/* Of a table t with a column v of one type, and an index of some columns, against another. */
static enum schema_effect effect_of(const char *want_type, const char *have_type, const char *want_index, const char *have_index)
{
	const char *const type[] = { want_type, have_type }, *const index[] = { want_index, have_index };
	struct schema *s[2] = { NULL };
	struct err e = { 0 };
	enum schema_effect worst;
	struct schema_diff *d;

	for (int i = 0; i < 2; i++) {
		autojson json_t *doc = json_pack("{s:i, s:{s:{s:{s:{s:s}}, s:{s:{s:s}}}}}", "schema", 1, "tables", "t", "columns", "v",
						 "type", type[i], "indexes", i ? "other" : "wanted", "columns", index[i]);

		assert_int_equal(schema_from_json(doc, "made", &s[i], &e), 0);
	}
	d = schema_compare(s[0], s[1]);
	worst = d->worst[0];
	schema_diff_free(&d);
	schema_free(&s[0]);
	schema_free(&s[1]);
	return worst;
}

static void types_that_mediawiki_does_not_use_are_judged_too(void **state)
{
	static const struct { const char *want, *have; enum schema_effect effect; } rows[] = {
		{ "decimal(10,2)", "decimal(10,2)", EFFECT_HARMLESS }, { "decimal(10,2)", "decimal(12,2)", EFFECT_HARMLESS },
		{ "decimal(10,2)", "decimal(12,1)", EFFECT_LOSS },     { "decimal(10,2)", "decimal(10,3)", EFFECT_LOSS },
		{ "enum('a','b')", "enum('b','a','c')", EFFECT_HARMLESS }, { "enum('a','b')", "enum('a','bb')", EFFECT_LOSS },
		{ "enum('a','b", "enum('a','b')", EFFECT_HARMLESS }, /* cut off: read to its end and no further */
		{ "enum('a',", "enum('a','b')", EFFECT_HARMLESS },     { "enum('a','x", "enum('a','b')", EFFECT_LOSS },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (effect_of(rows[i].want, rows[i].have, "v", "v") != rows[i].effect)
			fail_msg("%s on %s", rows[i].want, rows[i].have);
}

static void an_index_serves_whole_columns_only(void **state)
{
	(void)state;
	assert_int_equal(effect_of("int", "int", "v", "v,w"), EFFECT_HARMLESS);
	assert_int_equal(effect_of("int", "int", "v", "value,w"), EFFECT_SLOW);
	assert_int_equal(effect_of("int", "int", "v", "w,v"), EFFECT_SLOW);
}

static void every_change_is_seen_from_both_sides(void **state)
{
	autoschema struct schema *base = load(NEW);

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		autoschema struct schema *s = changed(base, &changes[i]);
		autodiff struct schema_diff *there = schema_compare(base, s), *back = schema_compare(s, base);

		assert_int_equal(there->n, back->n);
		assert_int_equal(there->worst[0], back->worst[1]);
		assert_int_equal(there->worst[1], back->worst[0]);
		for (size_t k = 0; k < there->n; k++)
			assert_true(there->row[k].a || there->row[k].b);
	}
}

static void a_schema_does_not_differ_from_itself(void **state)
{
	static const char *const files[] = { OLD, NEW };

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		autoschema struct schema *a = load(files[i]), *b = load(files[i]);
		autodiff struct schema_diff *d = schema_compare(a, b);

		assert_int_equal(d->n, 0);
	}
}

/* facts: 16 indexes, 10 types, 3 defaults, 5 columns each way, 2 tables each way, 2 charsets */
static size_t count(const struct schema_diff *d, const char *what, bool a, bool b)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += !strcmp(d->row[i].what, what) && !d->row[i].a == !a && !d->row[i].b == !b;
	return n;
}

static void from_1_39_to_1_43_the_differences_are_those_of_real_wikis(void **state)
{
	autoschema struct schema *a = load(OLD), *b = load(NEW);
	autodiff struct schema_diff *d = schema_compare(a, b);

	(void)state;
	assert_int_equal(count(d, "table", true, false), 2);
	assert_int_equal(count(d, "table", false, true), 2);
	assert_int_equal(count(d, "column", true, false), 5);
	assert_int_equal(count(d, "column", false, true), 5);
	assert_int_equal(count(d, "type", true, true), 10);
	assert_int_equal(count(d, "default", true, true), 3);
	assert_int_equal(count(d, "null", true, true), 0);
	assert_int_equal(count(d, "charset", true, true), 2);
	assert_int_equal(count(d, "index", true, false), 16);
	assert_int_equal(count(d, "index", false, true), 4);
	assert_int_equal(count(d, "index", true, true), 3);
	assert_true(d->blocking[0] > 0 && d->blocking[1] > 0);
}

static void the_differences_as_json_say_what_and_why(void **state)
{
	autoschema struct schema *a = load(OLD), *b = load(NEW);
	autodiff struct schema_diff *d = schema_compare(a, b);
	autojson json_t *list = schema_diff_json(d);
	size_t i;
	json_t *v;

	(void)state;
	assert_int_equal(json_array_size(list), d->n);
	json_array_foreach(list, i, v) {
		assert_non_null(json_str(v, "table", NULL));
		assert_true(strlen(json_str(v, "why_a", "")) > 3 && strlen(json_str(v, "why_b", "")) > 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_change_is_missed_and_no_harmless_one_stopped),
		cmocka_unit_test(types_that_mediawiki_does_not_use_are_judged_too),
		cmocka_unit_test(an_index_serves_whole_columns_only),
		cmocka_unit_test(every_change_is_seen_from_both_sides),
		cmocka_unit_test(a_schema_does_not_differ_from_itself),
		cmocka_unit_test(from_1_39_to_1_43_the_differences_are_those_of_real_wikis),
		cmocka_unit_test(the_differences_as_json_say_what_and_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

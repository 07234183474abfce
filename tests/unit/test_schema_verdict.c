/* One database or two, how far back is free, and what tables do not show. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "mediawiki/checks.h"
#include "mediawiki/verdict.h"

#include <stdio.h>
#include <string.h>

#define OLD "plans/schemas/mediawiki-1.39.json"
#define NEW "plans/schemas/mediawiki-1.43.json"

static struct schema *load(const char *path, const char *version)
{
	struct schema *s = NULL;
	struct err e = { 0 };

	if (schema_read(path, &s, &e))
		fail_msg("%s", e.msg);
	schema_set_version(s, version);
	return s;
}

/* --- sharing ------------------------------------------------------------------------------------- */

static const struct {
	const char *blue, *blue_version, *green, *green_version, *have; /* have NULL: as blue expects */
	enum schema_sharing kind;
	const char *says;
} pairs[] = {
	{ NEW, "1.43.9", NEW, "1.43.11", NULL, SHARING_SHARED, "both work" },
	{ NEW, "1.43.9", NEW, "1.43.11", NEW, SHARING_SHARED, "both work" },
	{ OLD, "1.39.17", OLD, "1.39.13", NULL, SHARING_SHARED, "both work" },
	{ OLD, "1.39.17", NEW, "1.43.11", NULL, SHARING_FREEZE, "Copy the database" },
	{ OLD, "1.39.17", NEW, "1.43.11", OLD, SHARING_FREEZE, "green 1.43.11 needs other tables" },
	{ OLD, NULL, NEW, NULL, OLD, SHARING_FREEZE, "green needs other tables" },
	{ OLD, "1.39.17", NEW, "1.43.11", NEW, SHARING_IMPOSSIBLE, "blue 1.39.17 does not work on this database" },
	{ NEW, "1.43.11", OLD, "1.39.17", NULL, SHARING_IMPOSSIBLE, "older than blue" },
	{ OLD, "1.34.4", NEW, "1.43.11", NULL, SHARING_IMPOSSIBLE, "starts at 1.35" },
	{ OLD, "1.35.13", NEW, "1.43.11", NULL, SHARING_FREEZE, "needs other tables" },
	{ OLD, "1.35.13", NEW, "1.44.0", NULL, SHARING_IMPOSSIBLE, "starts at 1.39" },
	{ OLD, "1.31.0", NEW, "1.39.17", NULL, SHARING_FREEZE, "needs other tables" },
};

static void two_versions_share_a_database_or_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		autoschema struct schema *blue = load(pairs[i].blue, pairs[i].blue_version);
		autoschema struct schema *green = load(pairs[i].green, pairs[i].green_version);
		autoschema struct schema *have = pairs[i].have ? load(pairs[i].have, NULL) : NULL;
		struct schema_verdict v;

		schema_judge(blue, green, have, &v);
		if (v.kind != pairs[i].kind || !strstr(v.why, pairs[i].says))
			fail_msg("pair %zu: %s: %s", i, schema_sharing_name(v.kind), v.why);
	}
}

/* --- the way back ------------------------------------------------------------------------------------ */

static const struct {
	const char *acts; /* a letter a step: Nothing Freeze Update Inplace Shift unfreeZe Retire */
	enum schema_sharing kind;
	size_t last;
	bool sound;
	const char *says;
} orders[] = {
	{ "NSNS", SHARING_SHARED, 4, true, "until the end" },
	{ "NSR", SHARING_SHARED, 2, true, "no blue" },
	{ "", SHARING_SHARED, 0, true, "until the end" },
	{ "NFNUNSSZR", SHARING_FREEZE, 7, true, "going back would lose them" },
	{ "NFUSSS", SHARING_FREEZE, 6, true, "until the end" },
	{ "NUFSZ", SHARING_FREEZE, 1, false, "replication breaks" },
	{ "FUZSR", SHARING_FREEZE, 3, false, "freeze before it" },
	{ "NS", SHARING_FREEZE, 1, false, "a database each" },
	{ "FSZ", SHARING_FREEZE, 2, false, "no step updates" },
	{ "FS", SHARING_FREEZE, 2, false, "no step updates" },
	{ "FZFUSZ", SHARING_FREEZE, 5, true, "going back would lose" },
	{ "FIS", SHARING_FREEZE, 1, false, "blue does not work" },
	{ "SI", SHARING_SHARED, 1, false, "blue does not work" },
	{ "FUS", SHARING_SHARED, 1, false, "tables that blue is using" },
	{ "FUSZ", SHARING_IMPOSSIBLE, 0, false, "cannot follow" },
	{ "FRUS", SHARING_FREEZE, 1, true, "no blue" },
};

static enum horizon_act act(char c)
{
	static const char letters[] = "NFUISZR";

	return (enum horizon_act)(strchr(letters, c) - letters);
}

static void the_way_back_is_free_until_a_step(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(orders); i++) {
		size_t n = strlen(orders[i].acts);
		struct horizon_step step[16];
		struct horizon h;

		for (size_t k = 0; k < n; k++)
			step[k] = (struct horizon_step){ "x", act(orders[i].acts[k]) };
		schema_horizon(orders[i].kind, step, n, &h);
		if (h.last != orders[i].last || h.sound != orders[i].sound || !strstr(h.why, orders[i].says))
			fail_msg("%s: %zu, %s: %s", orders[i].acts, h.last, h.sound ? "sound" : "not sound", h.why);
	}
}

/* --- what tables do not show ---------------------------------------------------------------------------- */

struct server {
	const char *match; /* a statement that has this ... */
	int64_t answer;    /* ... is answered so; others 0 */
	bool null, fails, gone;
	size_t asked;
	char last[512];
};

static int ask(void *ctx, const char *sql, int64_t *n, bool *null, struct err *e)
{
	struct server *s = ctx;
	bool hit = s->match && strstr(sql, s->match);

	s->asked++;
	if (hit)
		snprintf(s->last, sizeof s->last, "%s", sql);
	if (hit && s->gone)
		return err_set(e, ERR_NET, "the connection was lost");
	if (hit && s->fails)
		return err_set(e, ERR_BUSY, "the statement took longer than 10 s");
	*n = hit ? s->answer : 0;
	*null = hit && s->null;
	return 0;
}

static const json_t *row_of(const json_t *rows, const char *check)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)rows, i, v)
		if (!strcmp(json_str(v, "check", ""), check))
			return v;
	return NULL;
}

static void an_upgrade_without_its_data_is_a_silent_loss(void **state)
{
	autoschema struct schema *have = load(NEW, NULL);
	struct server s = { .match = "rev_comment_id = 0", .answer = 203 };
	autojson json_t *rows = NULL;
	enum schema_effect worst;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(data_checks_run("1.43.11", have, "mw_", ask, &s, NULL, &rows, &worst, &e), 0);
	assert_int_equal(worst, EFFECT_LOSS);
	assert_int_equal(json_num(row_of(rows, "revisions-without-comment"), "count", -1), 203);
	assert_string_equal(s.last, "SELECT COUNT(*) FROM `mw_revision` WHERE rev_comment_id = 0");
}

static void a_sound_wiki_is_harmless_and_every_check_is_told(void **state)
{
	autoschema struct schema *have = load(NEW, NULL);
	struct server s = { 0 };
	autojson json_t *rows = NULL;
	enum schema_effect worst;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(data_checks_run("1.43.11", have, NULL, ask, &s, NULL, &rows, &worst, &e), 0);
	assert_int_equal(worst, EFFECT_HARMLESS);
	assert_int_equal(json_array_size(rows), s.asked);
	assert_true(s.asked >= 8);
	assert_null(row_of(rows, "revisions-without-comment-temp")); /* of 1.39 and before */
	assert_null(row_of(rows, "blocks-left-behind"));             /* there is no ipblocks any more */
}

static void each_version_asks_its_own_questions(void **state)
{
	autoschema struct schema *old = load(OLD, NULL);
	struct server s = { .match = "revision_comment_temp", .answer = 1 };
	autojson json_t *rows = NULL;
	enum schema_effect worst;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(data_checks_run("1.39.17", old, NULL, ask, &s, NULL, &rows, &worst, &e), 0);
	assert_int_equal(worst, EFFECT_LOSS);
	assert_non_null(row_of(rows, "revisions-without-comment-temp"));
	assert_null(row_of(rows, "revisions-without-comment"));
	json_decref(rows);
	rows = NULL;
	assert_int_equal(data_checks_run("1.40.0", old, NULL, ask, &s, NULL, &rows, &worst, &e), 0); /* "before 1.40" ends here */
	assert_null(row_of(rows, "revisions-without-comment-temp"));
}

static void what_cannot_be_asked_is_not_good(void **state)
{
	autoschema struct schema *have = load(NEW, NULL);
	struct server servers[] = { { .match = "pl_target_id", .fails = true }, { .match = "pl_target_id", .null = true } };

	(void)state;
	for (size_t i = 0; i < COUNT(servers); i++) {
		autojson json_t *rows = NULL;
		enum schema_effect worst;
		struct err e = { 0 };
		const json_t *row;

		assert_int_equal(data_checks_run("1.43.11", have, NULL, ask, &servers[i], NULL, &rows, &worst, &e), 0);
		row = row_of(rows, "page-links-without-target");
		assert_int_equal(worst, EFFECT_LOSS);
		assert_true(json_is_null(json_object_get(row, "count")));
		assert_non_null(strstr(json_str(row, "why", ""), "unknown"));
	}
}

/* It was a row "unknown", and so a refusal: the run would have gone back for a broken cable. */
static void a_lost_connection_is_no_finding(void **state)
{
	autoschema struct schema *have = load(NEW, NULL);
	struct server s = { .match = "pl_target_id", .gone = true };
	autojson json_t *rows = NULL;
	enum schema_effect worst;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(data_checks_run("1.43.11", have, NULL, ask, &s, NULL, &rows, &worst, &e), -1);
	assert_int_equal(e.kind, ERR_NET);
	assert_non_null(strstr(e.msg, "page-links-without-target"));
	assert_null(rows);
}

static void a_row_is_counted_once_for_both_versions(void **state)
{
	autoschema struct schema *have = load(NEW, NULL);
	autojson json_t *known = json_object();
	struct server s = { .match = "rev_comment_id = 0", .answer = 203 };
	enum schema_effect worst;
	struct err e = { 0 };
	size_t asked = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		autojson json_t *rows = NULL;

		assert_int_equal(data_checks_run("1.43.11", have, NULL, ask, &s, known, &rows, &worst, &e), 0);
		assert_int_equal(json_num(row_of(rows, "revisions-without-comment"), "count", 0), 203);
		assert_true(!i || s.asked == asked);
		asked = s.asked;
	}
}

static void a_prefix_is_a_plain_name_and_a_version_is_one(void **state)
{
	autoschema struct schema *have = load(NEW, NULL);
	struct server s = { 0 };
	autojson json_t *rows = NULL;
	enum schema_effect worst;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(data_checks_run("1.43.11", have, "a`; DROP TABLE page; --", ask, &s, NULL, &rows, &worst, &e), 0);
	assert_int_equal(s.asked, 0);
	assert_int_equal(worst, EFFECT_LOSS);
	assert_int_equal(data_checks_run("newest", have, NULL, ask, &s, NULL, &rows, &worst, &e), -1);
	assert_non_null(strstr(e.msg, "no version"));
	assert_int_equal(data_checks_run(NULL, have, NULL, ask, &s, NULL, &rows, &worst, &e), -1);
}

/* A check whose version nobody can parse would never run. */
static void every_check_is_written_soundly(void **state)
{
	(void)state;
	for (const struct data_check *c = data_checks; c->id; c++) {
		autofree char *sql = data_check_sql(c, "p_");
		unsigned major, minor;

		assert_true(!c->since || sscanf(c->since, "%u.%u", &major, &minor) == 2);
		assert_true(!c->before || sscanf(c->before, "%u.%u", &major, &minor) == 2);
		assert_true(!strncmp(sql, "SELECT ", 7) && strstr(sql, "`p_") && !strpbrk(sql, "{};"));
		assert_true(!c->column || strchr(c->column, '.'));
		assert_true(strlen(c->means) > 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_versions_share_a_database_or_not),
		cmocka_unit_test(the_way_back_is_free_until_a_step),
		cmocka_unit_test(an_upgrade_without_its_data_is_a_silent_loss),
		cmocka_unit_test(a_sound_wiki_is_harmless_and_every_check_is_told),
		cmocka_unit_test(each_version_asks_its_own_questions),
		cmocka_unit_test(what_cannot_be_asked_is_not_good),
		cmocka_unit_test(a_lost_connection_is_no_finding),
		cmocka_unit_test(a_row_is_counted_once_for_both_versions),
		cmocka_unit_test(a_prefix_is_a_plain_name_and_a_version_is_one),
		cmocka_unit_test(every_check_is_written_soundly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

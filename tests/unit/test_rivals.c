/* Other runs on the same rule: all of them are looked at, and one that cannot be read is no "none". */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

static struct store *s;

static int fresh(void **state)
{
	struct err e = { 0 };

	(void)state;
	return store_open(":memory:", &s, &e);
}

static int gone(void **state)
{
	(void)state;
	store_close(s);
	return 0;
}

static void line(const char *run, int64_t seq, const char *kind, const char *body)
{
	struct err e = { 0 };

	if (store_append(s, &(struct event){ .run = (char *)run, .seq = seq, .at = 1000 + seq, .actor = "a", .kind = (char *)kind,
					     .step = "", .body = (char *)body }, &e))
		fail_msg("%s", e.msg);
}

static int rivals(char out[96], struct err *e)
{
	struct engine en = { .store = s };
	struct plan p = { .rule = "ours" };
	struct step_run r = { .engine = &en, .plan = &p, .run = "me" };

	return step_rivals(&r, out, 96, e);
}

static void a_run_behind_hundreds_of_others_is_a_rival(void **state)
{
	struct err e = { 0 };
	char id[32], out[96];

	(void)state;
	line("me", 1, "start", "{\"rule\":\"ours\"}");
	line("a-first", 1, "start", "{\"rule\":\"ours\"}"); /* of the same time: the last that is looked at */
	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof id, "run-%d", i);
		line(id, 1, "start", i % 2 ? "{\"rule\":\"ours\"}" : "{\"rule\":\"theirs\"}");
		line(id, 2, "refused", "{}");
	}
	assert_int_equal(rivals(out, &e), 0);
	assert_string_equal(out, "a-first");
	line("a-first", 2, "promoted", "{}");
	assert_int_equal(rivals(out, &e), 0);
	assert_string_equal(out, "");
	line("a-first", 3, "back", "{}");
	assert_int_equal(rivals(out, &e), 0);
	assert_string_equal(out, "a-first");
}

/* A run that was stopped before anything was changed kept every later one off its rule. */
static void whatever_ends_a_run_ends_its_rivalry(void **state)
{
	struct err e = { 0 };
	char id[32], out[96];
	int ends = 0;

	(void)state;
	for (size_t i = 0; i < run_ntransitions; i++) {
		const struct run_transition *t = &run_transitions[i];

		if (t->from != RUN_FORWARD || t->to == RUN_BACK)
			continue;
		snprintf(id, sizeof id, "run-%d", ends++);
		line(id, 1, "start", "{\"rule\":\"ours\"}");
		line(id, 2, event_name(t->event), "{}");
		assert_int_equal(rivals(out, &e), 0);
		if (*out)
			fail_msg("after \"%s\" run %s counts as under way", event_name(t->event), out);
	}
	assert_true(ends >= 4);
}

static void a_run_that_cannot_be_read_is_an_error(void **state)
{
	struct err e = { 0 };
	char out[96];

	(void)state;
	line("broken", 1, "start", "{\"rule\":");
	assert_int_equal(rivals(out, &e), -1);
	assert_int_equal(e.kind, ERR_GATE);
	assert_non_null(strstr(e.msg, "run broken"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
int main(void)
{
	const struct CMUnitTest tests[] = { T(a_run_behind_hundreds_of_others_is_a_rival), T(whatever_ends_a_run_ends_its_rivalry),
					    T(a_run_that_cannot_be_read_is_an_error) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

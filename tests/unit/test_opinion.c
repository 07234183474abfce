/* Guarded rules and sequential judge together: which of them speaks, and in what words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "judge/opinion.h"

#include <string.h>

static const struct judge_limits limits = { .catastrophic_permille = 200, .catastrophic_requests = 50, .good_requests = 100,
					    .blind_periods = 3 };

/* A green with a quarter of 1,000 requests a period, judged for some periods. */
static struct judge judge;
static struct judge_answer answer;
static struct evidence ev;
static struct opinion opinion;

static void begin_with(unsigned metrics)
{
	static struct judge_history past;
	struct judge_stages stages = { .weight = { .25, .5, 1 }, .n = 3 };
	struct judge_tuning tune;

	for (int i = 0; i < JUDGE_HISTORY; i++) {
		past.requests[i] = 1000, past.half_requests[i] = 500;
		past.count[0][i] = 2, past.half_count[0][i] = i % 3;
	}
	judge_tuning_usual(&tune);
	judge_start(&judge, &tune, &stages, &past, metrics);
	ev = (struct evidence){ .period_ms = 60000, .green_permille = 250, .green_healthy = 4, .green_total = 4,
				.blue_healthy = 4, .blue_total = 4, .past_worst = .002, .past_periods = JUDGE_HISTORY,
				.raises = 1 };
	opinion = (struct opinion){ .judge = &judge, .answer = &answer, .name = { "errors", "slow answers" } };
}

static void begin(void) { begin_with(0); }

/* Further periods with these errors, and so many slow answers of green, of 250 green and 750 blue requests. */
static void live_slowly(int periods, double green, double blue, double slow)
{
	for (int i = 0; i < periods; i++) {
		int k = (int)ev.n;
		struct judge_point g = { .period = k, .requests = 250, .count = { green, slow } };
		struct judge_point b = { .period = k, .requests = 750, .count = { blue } };

		ev.green[k] = (struct sample){ true, 250, green, 100 };
		ev.blue[k] = (struct sample){ true, 750, blue, 100 };
		ev.n++;
		judge_see(&judge, JUDGE_GREEN, k + 1, &g);
		judge_see(&judge, JUDGE_BLUE, k + 1, &b);
		judge_poll(&judge, k + 1, 0, .25, &answer);
	}
}

static void live(int periods, double green, double blue) { live_slowly(periods, green, blue, 0); }

static struct verdict verdict_of(void)
{
	struct verdict v;

	opinion_form(&ev, &limits, &opinion, &v);
	return v;
}

static void says(enum verdict_kind kind, const char *rule, const char *part)
{
	struct verdict v = verdict_of();

	if (v.kind != kind || strcmp(v.rule, rule) || !strstr(v.why, part))
		fail_msg("%s (%s): %s; wanted %s (%s): %s", verdict_name(v.kind), v.rule, v.why, verdict_name(kind), rule, part);
}

static void good_needs_what_the_next_stage_cannot_afford(void **state)
{
	(void)state;
	begin();
	says(VERDICT_HOLD, "evidence", "0 requests in this stage");
	live(1, 0, 1);
	says(VERDICT_HOLD, "evidence", "is not excluded yet");
	live(30, 0, 1);
	says(VERDICT_GOOD, "evidence", "nothing speaks against green");
	assert_true(verdict_of().judged);
	assert_true(verdict_of().excess <= verdict_of().need);
}

static void the_guard_may_want_more(void **state)
{
	(void)state;
	begin();
	live(32, 0, 1);
	ev.stage_from = ev.n;
	says(VERDICT_HOLD, "evidence", "0 requests in this stage, 100 are needed");
	ev.stage_from = 0;
	strcpy(ev.missing[SOURCE_WEIGHTS], "reading the production rule: throttled");
	says(VERDICT_HOLD, "unknown", "could not be read");
}

static void a_worse_green_is_bad_with_its_numbers(void **state)
{
	struct verdict v;

	(void)state;
	begin();
	live(10, 8, 1); /* 3.2 % against 0.13 %: no guarded rule minds */
	says(VERDICT_BAD, "worse", "green is worse than blue, by its errors (green fails 3");
	v = verdict_of();
	assert_true(v.log_e >= v.log_limit);
	assert_true(v.error_rate[1].low > v.error_rate[0].high && v.error_rate[1].rate > .03);
}

/* It once said "evidence 0.97, most of all its errors". */
static void a_cold_green_is_called_cold(void **state)
{
	(void)state;
	begin_with(1U << JUDGE_ERRORS | 1U << JUDGE_SLOW);
	live_slowly(3, 0, 1, 60);
	says(VERDICT_HOLD, "cold", "green's first answers were slower than blue's (green 180 in 750 requests, blue 0 in 2250)");
	live_slowly(20, 0, 1, 0);
	says(VERDICT_GOOD, "evidence", "nothing speaks against green");
}

/* The evidence of all together may be below 1 then. */
static void a_green_that_may_be_slow_is_called_slow(void **state)
{
	(void)state;
	begin_with(1U << JUDGE_ERRORS | 1U << JUDGE_SLOW);
	live(30, 0, 1);
	live_slowly(1, 0, 1, 2);
	says(VERDICT_HOLD, "slow", "green's slow answers (green 2 in 7750 requests, blue 0 in 23250) are, by themselves, evidence of ");
}

/* At 100 % no probes are sent: those that failed before must not hold the last stage for ever. */
static void probes_that_failed_before_hold_no_later_stage(void **state)
{
	(void)state;
	begin_with(1U << JUDGE_PROBES);
	live(30, 0, 1);
	judge_probed(&judge, &(struct judge_probes){ .sent = { 4, 4 }, .failed = { 4, 3 } });
	opinion.ill = "reading /: it answered 404";
	says(VERDICT_HOLD, "both-probes", "(green 3 of 4, blue 4 of 4; green's last: reading /: it answered 404)");
	ev.green_permille = 1000;
	says(VERDICT_GOOD, "evidence", "nothing speaks against green");
}

static void suspicion_holds(void **state)
{
	(void)state;
	begin();
	live(32, 0, 1);
	for (int i = 0; i < 40 && !answer.suspicious; i++)
		live(1, 2, 1);
	says(VERDICT_HOLD, "suspicion", "most of all its errors (green fails");
	ev.stage_from = ev.n; /* also where the guarded rules have seen too little */
	says(VERDICT_HOLD, "suspicion", "most of all its errors (green fails");
}

static void a_catastrophe_does_not_wait_for_evidence(void **state)
{
	(void)state;
	begin();
	live(3, 0, 1);
	ev.green[2].errors = 60;
	says(VERDICT_BAD, "catastrophic", "green failed 60 of 250");
}

static void both_sick_is_nobodys_fault(void **state)
{
	(void)state;
	begin();
	live(20, 0, 1);
	ev.raise_at[0] = 0;
	live(3, 10, 30);
	says(VERDICT_HOLD, "both-sick", "going back would not help");
	assert_null(strstr(verdict_of().why, "green may be the cause"));
	ev.raise_at[0] = 20;
	says(VERDICT_HOLD, "both-sick", "green may be the cause");
}

static void a_green_that_makes_blue_sick_is_bad(void **state)
{
	(void)state;
	begin();
	ev.raises = 2;
	ev.raise_at[0] = 10;
	ev.raise_at[1] = 20;
	live(10, 0, 1);
	live(10, 3, 9);
	assert_int_not_equal(verdict_of().kind, VERDICT_BAD); /* once may be chance */
	live(3, 8, 24);
	says(VERDICT_BAD, "blue-by-green", "got worse right after 2 raises");
	ev.raise_at[1] = 15; /* it came at no raise: a shared incident */
	says(VERDICT_HOLD, "both-sick", "both colours fail");
	ev.raise_at[1] = 20;
	ev.past_worst = .03; /* blue has been as sick without green */
	says(VERDICT_HOLD, "both-sick", "both colours fail");
	ev.past_worst = .002;
	ev.past_periods = 60; /* an hour is no past */
	says(VERDICT_HOLD, "both-sick", "both colours fail");
}

static void what_contradicts_itself_is_blind(void **state)
{
	(void)state;
	begin();
	live(32, 0, 1);
	ev.contradicts = true;
	strcpy(ev.contradicts_why, "more errors than requests");
	says(VERDICT_BLIND, "contradiction", "more errors than requests");
	ev.contradicts = false;
	says(VERDICT_GOOD, "evidence", "");
	ev.green_permille = 10;
	says(VERDICT_BLIND, "contradiction", "it is reached another way too");
	ev.stage_from = ev.n - 2; /* not for long enough */
	says(VERDICT_GOOD, "evidence", "");
	ev.stage_from = ev.n - 3;
	says(VERDICT_BLIND, "contradiction", "250 of 1000 requests");
}

static void no_datapoints_are_blind(void **state)
{
	(void)state;
	begin();
	live(32, 0, 1);
	answer.stale = true;
	says(VERDICT_BLIND, "stale", "none can be compared");
}

static void without_its_past_nothing_is_good(void **state)
{
	const struct opinion none = { .why_none = "blue's past has not been read yet" };
	struct verdict v;

	(void)state;
	begin();
	live(32, 0, 1);
	opinion_form(&ev, &limits, &none, &v);
	assert_int_equal(v.kind, VERDICT_HOLD);
	assert_string_equal(v.rule, "no-judge");
	assert_false(v.judged);
	opinion_form(&ev, &limits, NULL, &v); /* the plan wants none */
	assert_int_equal(v.kind, VERDICT_GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_needs_what_the_next_stage_cannot_afford),
		cmocka_unit_test(the_guard_may_want_more),
		cmocka_unit_test(a_worse_green_is_bad_with_its_numbers),
		cmocka_unit_test(a_cold_green_is_called_cold),
		cmocka_unit_test(a_green_that_may_be_slow_is_called_slow),
		cmocka_unit_test(probes_that_failed_before_hold_no_later_stage),
		cmocka_unit_test(suspicion_holds),
		cmocka_unit_test(a_catastrophe_does_not_wait_for_evidence),
		cmocka_unit_test(both_sick_is_nobodys_fault),
		cmocka_unit_test(a_green_that_makes_blue_sick_is_bad),
		cmocka_unit_test(what_contradicts_itself_is_blind),
		cmocka_unit_test(no_datapoints_are_blind),
		cmocka_unit_test(without_its_past_nothing_is_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

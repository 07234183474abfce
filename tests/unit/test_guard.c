/* The guarded rules: what is BAD, what is not known, and what blue has to do with it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "judge/judge.h"

#include <string.h>

static const struct judge_limits limits = {
	.catastrophic_permille = 200, .catastrophic_requests = 50, .error_permille = 20, .error_periods = 3,
	.error_requests = 100, .latency_ms = 2000, .latency_periods = 3, .latency_requests = 100,
	.good_requests = 100, .blind_periods = 3,
};

/* n closed periods in which green answers `green` and blue `blue` requests, with these errors. */
static struct evidence seen(size_t n, double green, double green_errors, double blue, double blue_errors)
{
	struct evidence ev = { .period_ms = 60000, .n = n, .green_permille = 250, .green_healthy = 4, .green_total = 4,
			       .blue_healthy = 4, .blue_total = 4 };

	for (size_t i = 0; i < n; i++) {
		ev.green[i] = (struct sample){ true, green, green_errors, 100 };
		ev.blue[i] = (struct sample){ true, blue, blue_errors, 100 };
	}
	return ev;
}

static void judged(const struct evidence *ev, enum verdict_kind kind, const char *rule)
{
	struct verdict v;

	judge_guard(ev, &limits, &v);
	if (v.kind != kind || strcmp(v.rule, rule))
		fail_msg("%s (%s): %s; wanted %s (%s)", verdict_name(v.kind), v.rule, v.why, verdict_name(kind), rule);
}

static void healthy_green_is_good_only_with_enough_requests(void **state)
{
	struct evidence ev = seen(5, 30, 0, 90, 0);

	(void)state;
	judged(&ev, VERDICT_GOOD, "evidence");
	ev.stage_from = 3;
	judged(&ev, VERDICT_HOLD, "evidence");
}

static void one_catastrophic_period_is_bad(void **state)
{
	struct evidence ev = seen(5, 60, 0, 180, 0);

	(void)state;
	ev.green[2].errors = 12;
	judged(&ev, VERDICT_BAD, "catastrophic");
	ev.green[2].errors = 11.9;
	ev.green[2].requests = 60;
	judged(&ev, VERDICT_BAD, "error-rate"); /* 11.9 of 180 in three periods is over 2 % too */
}

static void few_requests_are_no_catastrophe(void **state)
{
	struct evidence ev = seen(2, 49, 49, 150, 0);

	(void)state;
	judged(&ev, VERDICT_HOLD, "evidence"); /* 98 requests, and two periods only */
}

static void threshold_needs_its_periods_and_its_count(void **state)
{
	struct evidence ev = seen(3, 100, 2, 300, 0);

	(void)state;
	judged(&ev, VERDICT_GOOD, "evidence"); /* 2 % is not above 2 % */
	ev = seen(3, 100, 3, 300, 0);
	judged(&ev, VERDICT_BAD, "error-rate");
	ev = seen(2, 100, 3, 300, 0);
	judged(&ev, VERDICT_GOOD, "evidence");
	ev = seen(3, 33, 1, 100, 0);
	judged(&ev, VERDICT_HOLD, "evidence"); /* 99 requests are below the minimum count */
}

/* kayenta#377: control has zero errors, canary has some, and it passed. */
static void zero_errors_of_blue_against_some_of_green_is_seen(void **state)
{
	struct evidence ev = seen(3, 100, 10, 300, 0);

	(void)state;
	judged(&ev, VERDICT_BAD, "error-rate");
}

static void both_sick_holds_and_calls_instead_of_going_back(void **state)
{
	struct evidence ev = seen(3, 100, 50, 300, 150);

	(void)state;
	judged(&ev, VERDICT_HOLD, "both-sick");
	ev.green_healthy = ev.blue_healthy = 0;
	judged(&ev, VERDICT_HOLD, "both-sick");
}

/* A shared outage that is over must not hold the run for ever. */
static void a_shared_outage_that_is_over_is_over(void **state)
{
	struct evidence ev = seen(12, 100, 0, 300, 0);

	(void)state;
	for (size_t i = 2; i < 5; i++) {
		ev.green[i].errors = 50;
		ev.blue[i].errors = 150;
	}
	judged(&ev, VERDICT_GOOD, "evidence");
}

static void slow_green_is_bad_unless_blue_is_slow_too(void **state)
{
	struct evidence ev = seen(3, 100, 0, 300, 0);

	(void)state;
	for (size_t i = 0; i < 3; i++)
		ev.green[i].latency_ms = 2500;
	judged(&ev, VERDICT_BAD, "latency");
	ev.green[1].latency_ms = 1900;
	judged(&ev, VERDICT_GOOD, "evidence");
	for (size_t i = 0; i < 3; i++)
		ev.green[i].latency_ms = ev.blue[i].latency_ms = 2500;
	judged(&ev, VERDICT_HOLD, "both-slow");
}

static void no_healthy_target_is_bad(void **state)
{
	struct evidence ev = seen(3, 100, 0, 300, 0);

	(void)state;
	ev.green_healthy = 0;
	judged(&ev, VERDICT_BAD, "target-health");
	ev.green_healthy = 3;
	judged(&ev, VERDICT_HOLD, "target-health");
	ev.green_healthy = ev.green_total = -1;
	judged(&ev, VERDICT_HOLD, "health-unknown");
}

static void a_named_alarm_is_bad(void **state)
{
	struct evidence ev = seen(3, 100, 0, 300, 0);

	(void)state;
	ev.alarm = true;
	strcpy(ev.alarm_why, "alarm wiki-5xx fires");
	judged(&ev, VERDICT_BAD, "alarm");
}

/* argo-rollouts#4147: five empty answers were "Successful". */
static void empty_is_not_zero(void **state)
{
	struct evidence ev = seen(5, 0, 0, 300, 0);

	(void)state;
	for (size_t i = 0; i < 5; i++)
		ev.green[i].seen = false;
	judged(&ev, VERDICT_BLIND, "no-green");
}

static void blue_too_quiet_to_expect_green_is_hold(void **state)
{
	struct evidence ev = seen(5, 0, 0, 10, 0);

	(void)state;
	for (size_t i = 0; i < 5; i++)
		ev.green[i].seen = false;
	judged(&ev, VERDICT_HOLD, "evidence");
}

static void late_answers_hold_then_blind(void **state)
{
	struct evidence ev = seen(5, 100, 0, 300, 0);

	(void)state;
	ev.behind = 1;
	judged(&ev, VERDICT_HOLD, "late");
	ev.behind = 3;
	judged(&ev, VERDICT_BLIND, "no-answer");
}

/* "CloudWatch has not answered", when it did, with the reason. */
static void blindness_says_its_cause(void **state)
{
	struct evidence ev = seen(5, 100, 0, 300, 0);
	struct verdict v;

	(void)state;
	ev.behind = 3;
	strcpy(ev.missing[SOURCE_METRICS], "reading metrics: AccessDenied: not authorized to perform: cloudwatch:GetMetricData");
	strcpy(ev.missing[SOURCE_ALARMS], "reading alarms: ExpiredToken");
	judge_guard(&ev, &limits, &v);
	assert_int_equal(v.kind, VERDICT_BLIND);
	assert_non_null(strstr(v.why, "3 closed periods could not be read: reading metrics: AccessDenied"));
	ev.behind = 0;
	judge_guard(&ev, &limits, &v);
	assert_non_null(strstr(v.why, "the alarms could not be read: reading alarms: ExpiredToken"));
	ev.missing[SOURCE_ALARMS][0] = '\0';
	ev.green_healthy = -1;
	strcpy(ev.missing[SOURCE_GREEN_HEALTH], "DescribeTargetHealth: HTTP 500");
	judge_guard(&ev, &limits, &v);
	assert_non_null(strstr(v.why, "HTTP 500"));
}

/* Unknown is never OK: a look at weights or alarms that failed cannot be GOOD. */
static void what_could_not_be_read_is_not_good(void **state)
{
	struct evidence ev = seen(5, 100, 0, 300, 0);

	(void)state;
	strcpy(ev.missing[SOURCE_ALARMS], "reading alarms: throttled");
	judged(&ev, VERDICT_HOLD, "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy_green_is_good_only_with_enough_requests),
		cmocka_unit_test(one_catastrophic_period_is_bad),
		cmocka_unit_test(few_requests_are_no_catastrophe),
		cmocka_unit_test(threshold_needs_its_periods_and_its_count),
		cmocka_unit_test(zero_errors_of_blue_against_some_of_green_is_seen),
		cmocka_unit_test(both_sick_holds_and_calls_instead_of_going_back),
		cmocka_unit_test(a_shared_outage_that_is_over_is_over),
		cmocka_unit_test(slow_green_is_bad_unless_blue_is_slow_too),
		cmocka_unit_test(no_healthy_target_is_bad),
		cmocka_unit_test(a_named_alarm_is_bad),
		cmocka_unit_test(empty_is_not_zero),
		cmocka_unit_test(blue_too_quiet_to_expect_green_is_hold),
		cmocka_unit_test(late_answers_hold_then_blind),
		cmocka_unit_test(what_could_not_be_read_is_not_good),
		cmocka_unit_test(blindness_says_its_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

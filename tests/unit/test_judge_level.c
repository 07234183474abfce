/* What a judge must not believe: a quiet hour, one event that came as many
 * errors, a history in which little or a great deal happened. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "judge/sequential.h"

#include <math.h>

#define REQUESTS 1000.0 /* of both colours, a period */

static const struct judge_stages halves = { .n = 2, .weight = { .5, 1 } };
static struct judge j;
static double weight;

/* Blue's past: so many errors in each period, and so many of them in one zone. */
static void past(struct judge_history *h, double errors, double half)
{
	*h = (struct judge_history){ 0 };
	for (int i = 0; i < JUDGE_HISTORY; i++) {
		h->requests[i] = REQUESTS;
		h->half_requests[i] = REQUESTS / 2;
		h->count[JUDGE_ERRORS][i] = errors;
		h->half_count[JUDGE_ERRORS][i] = half;
	}
}

static void begin(const struct judge_history *h, double green, const char *name, double value)
{
	struct judge_tuning t;

	judge_tuning_usual(&t);
	assert_true(!name || judge_tune(&t, name, value));
	judge_start(&j, &t, &halves, h, 1U << JUDGE_ERRORS);
	weight = green;
}

static struct judge_answer period(int k, double blue, double green)
{
	struct judge_point b = { .period = k, .requests = REQUESTS * (1 - weight), .count = { blue } };
	struct judge_point g = { .period = k, .requests = REQUESTS * weight, .count = { green } };
	struct judge_answer a;

	if (weight < 1)
		judge_see(&j, JUDGE_BLUE, k + 1, &b);
	judge_see(&j, JUDGE_GREEN, k + 1, &g);
	judge_poll(&j, k + 1, weight < 1 ? 0 : 1, weight, &a);
	return a;
}

/* Blue fails half as often as it usually does, green twice as often as blue: as
 * often as blue usually does. */
static bool is_good_in_a_quiet_hour(double joint)
{
	struct judge_history h;
	bool good = false;

	past(&h, 10, 5);
	begin(&h, .5, "joint", joint);
	for (int k = 0; k < 60; k++)
		good |= period(k, k % 2 ? 2 : 3, 5).kind == VERDICT_GOOD;
	return good;
}

static void a_quiet_hour_hides_no_green_that_fails_twice_as_often(void **unused)
{
	(void)unused;
	assert_false(is_good_in_a_quiet_hour(1));
	assert_true(is_good_in_a_quiet_hour(0)); /* whoever first estimates the level, and then compares, is fooled */
}

static int good_after(const struct judge_history *h, const char *name, double value)
{
	begin(h, .5, name, value);
	for (int k = 0; k < 300; k++)
		if (period(k, 0, 0).kind == VERDICT_GOOD)
			return k;
	return 300;
}

static void one_uneven_minute_of_history_does_not_slow_the_gate(void **unused)
{
	struct judge_history h;

	(void)unused;
	past(&h, 0, 0);
	h.count[JUDGE_ERRORS][90] = 30;
	h.half_count[JUDGE_ERRORS][90] = 23;
	assert_true(2 * good_after(&h, NULL, 0) < good_after(&h, "clump_sure", 0));
}

/* The largest evidence of minutes in which green alone fails. */
static double evidence(const struct judge_history *h, double green, const double *errors, int n, const char *name, double value)
{
	double most = -INFINITY;

	begin(h, green, name, value);
	for (int k = 0; k < n; k++)
		most = fmax(most, period(k, 0, errors[k]).log_e);
	return most;
}

static void one_event_of_many_errors_is_no_proof_without_a_history(void **unused)
{
	static const double event[] = { 0, 0, 9, 0, 0, 0 }, fault[] = { 0, 3, 3, 3, 0, 0 };
	struct judge_history h;

	(void)unused;
	past(&h, 0, 0);
	assert_true(evidence(&h, .25, event, 6, NULL, 0) < log(100));
	assert_true(evidence(&h, .25, event, 6, "clump_alone", 1) > log(100));
	assert_true(evidence(&h, .25, fault, 6, NULL, 0) > log(100)); /* as many, but again and again */
}

/* Each minute's errors fall on one zone; bursts of hundreds fall on both, now more on one, now on the other. */
static void bursts_of_history_hide_no_clumps(void **unused)
{
	static const double event[] = { 0, 6, 0, 0, 0, 0 };
	struct judge_history h;

	(void)unused;
	past(&h, 5, 0);
	for (int i = 0; i < JUDGE_HISTORY; i++)
		h.half_count[JUDGE_ERRORS][i] = i % 2 ? 5 : 0;
	for (int i = 30; i < 50; i++) {
		h.count[JUDGE_ERRORS][i] = 900;
		h.half_count[JUDGE_ERRORS][i] = i < 40 ? 360 : 540;
	}
	assert_true(evidence(&h, .01, event, 6, NULL, 0) < log(100));
	assert_true(evidence(&h, .01, event, 6, "quiet", 0) > log(100));
}

/* Evidence of 4 to 10 when blue's last request was given away: nothing is left that could change it. */
static void a_suspicion_that_nothing_can_change_does_not_hold_for_ever(void **unused)
{
	struct judge_history h;
	struct judge_answer a;
	int k = 0;

	(void)unused;
	past(&h, 10, 5);
	begin(&h, .5, NULL, 0);
	for (; k < 30; k++)
		period(k, 5, 5);
	do {
		assert_true(k < 120);
		a = period(k++, 5, 8);
	} while (a.log_e < log(5));
	assert_true(a.suspicious && a.log_e < log(10));
	weight = 1;
	for (int end = k + 60; k < end; k++)
		a = period(k, 0, 8);
	assert_true(a.log_e < log(10));
	assert_false(a.suspicious);
}

/* More errors than requests, which no wiki has: bounded all the same. */
static void a_past_of_nonsense_makes_no_nonsense(void **unused)
{
	struct judge_history h;

	(void)unused;
	past(&h, 3 * REQUESTS, 2 * REQUESTS);
	begin(&h, .5, NULL, 0);
	for (int k = 0; k < 30; k++)
		assert_true(isfinite(period(k, 500, 500).log_e));
	for (int d = 0; d < JUDGE_GATES; d++)
		assert_true(isfinite(j.gate.run[d]) && isfinite(j.gate.stage[d]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_hour_hides_no_green_that_fails_twice_as_often),
		cmocka_unit_test(one_uneven_minute_of_history_does_not_slow_the_gate),
		cmocka_unit_test(one_event_of_many_errors_is_no_proof_without_a_history),
		cmocka_unit_test(bursts_of_history_hide_no_clumps),
		cmocka_unit_test(a_past_of_nonsense_makes_no_nonsense),
		cmocka_unit_test(a_suspicion_that_nothing_can_change_does_not_hold_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

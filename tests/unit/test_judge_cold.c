/* A green whose caches are cold: what is forgiven, and what is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "judge/sequential.h"

#include <math.h>

#define REQUESTS 1000
#define OWN 2 /* the first metric that a plan names */

static const struct judge_stages halves = { .n = 2, .weight = { .5, 1 } };

static struct judge judge_of_even_blue(void)
{
	struct judge_history h = { 0 };
	struct judge_tuning t;
	struct judge j;

	for (int i = 0; i < JUDGE_HISTORY; i++) {
		h.requests[i] = 2 * REQUESTS;
		h.half_requests[i] = REQUESTS;
		for (int m = 0; m < 2; m++) {
			h.count[m][i] = 20;
			h.half_count[m][i] = 10;
		}
	}
	judge_tuning_usual(&t);
	judge_start(&j, &t, &halves, &h, 1U << JUDGE_ERRORS | 1U << JUDGE_SLOW | 1U << OWN);
	return j;
}

/* Blue's counts are ten of a thousand; green's are those given. */
static struct judge_answer period(struct judge *j, int k, double slow, double own)
{
	struct judge_point blue = { .period = k, .requests = REQUESTS, .count = { 10, 10, 10, -1, -1, -1, -1, -1 } }, green = blue;
	struct judge_answer a;

	green.count[JUDGE_SLOW] = slow;
	green.count[OWN] = own;
	if (slow <= 0)
		blue.count[JUDGE_SLOW] = 0;
	judge_see(j, JUDGE_BLUE, k + 1, &blue);
	judge_see(j, JUDGE_GREEN, k + 1, &green);
	judge_poll(j, k + 1, 0, .5, &a);
	return a;
}

static void slowness_is_forgiven_while_caches_are_cold(void **unused)
{
	struct judge j = judge_of_even_blue();

	(void)unused;
	for (int k = 0; k < (int)j.tune.warm; k++)
		assert_int_not_equal(period(&j, k, 200, 10).kind, VERDICT_BAD);
	assert_int_equal(period(&j, (int)j.tune.warm, 200, 10).kind, VERDICT_BAD);
}

static void a_plans_own_failures_are_not_forgiven_while_caches_are_cold(void **unused)
{
	struct judge j = judge_of_even_blue();

	(void)unused;
	assert_int_equal(period(&j, 0, 10, 200).kind, VERDICT_BAD);
}

static void a_green_without_slow_requests_is_not_the_more_suspicious_for_it(void **unused)
{
	struct judge j = judge_of_even_blue();

	(void)unused;
	for (int k = 0; k < (int)j.tune.warm - 1; k++)
		period(&j, k, 0, 10);
	assert_true(fabs(j.cold.log_e) < 1e-9);
	assert_false(period(&j, (int)j.tune.warm - 1, 10, 10).suspicious);
	assert_true(j.cold.log_e < 0);
}

static void a_green_that_was_slow_stays_small_until_it_was_seen_warm(void **unused)
{
	struct judge j = judge_of_even_blue();
	int k = 0;

	(void)unused;
	for (; k < (int)j.tune.warm; k++)
		assert_true(period(&j, k, 200, 10).suspicious);
	assert_true(period(&j, k++, 10, 10).suspicious);
	for (int more = 0; more < 3; more++)
		period(&j, k++, 10, 10);
	assert_false(period(&j, k, 10, 10).suspicious);
}

/* Of green's answers a tenth took more than twice the limit, of blue's a hundredth more than once: no cold cache. */
static void three_times_as_slow_is_not_forgiven_while_caches_are_cold(void **unused)
{
	struct judge_point blue = { .requests = REQUESTS, .count = { 10, 10, 10, -1, -1, -1, -1, -1 } }, green = blue;

	(void)unused;
	green.count[JUDGE_SLOW] = 200;
	for (int slower = 0; slower <= 100; slower += 100) {
		struct judge j = judge_of_even_blue();
		struct judge_answer a;

		green.slower = slower;
		judge_see(&j, JUDGE_BLUE, 1, &blue);
		judge_see(&j, JUDGE_GREEN, 1, &green);
		judge_poll(&j, 1, 0, .5, &a);
		assert_int_equal(a.kind, slower ? VERDICT_BAD : VERDICT_HOLD);
	}
}

/* The evidence of all metrics together hardly moves when one of them begins to speak. */
static void a_green_that_may_be_slow_gets_no_larger_share(void **unused)
{
	struct judge j = judge_of_even_blue();
	struct judge_answer a = { 0 };
	int k = 0;

	(void)unused;
	for (; k < (int)j.tune.warm + 3; k++)
		a = period(&j, k, 10, 10);
	assert_false(a.suspicious);
	a = period(&j, k++, 32, 10);
	assert_true(a.suspicious && a.slow && a.log_e < log(j.tune.suspect));
}

/* A minute of many slow answers, and none after it that could say more. Before blue's last request is given away that is
 * reason to stay for longer. */
static void a_suspicion_of_slowness_that_nothing_clears_up_does_not_keep_green_for_ever(void **unused)
{
	(void)unused;
	for (int more = 0; more <= 1; more++) {
		struct judge j = judge_of_even_blue();
		struct judge_answer a;
		int k = 0;

		if (more)
			j.stages = (struct judge_stages){ .n = 3, .weight = { .5, .8, 1 } };
		for (; k < (int)j.tune.warm + 3; k++)
			period(&j, k, 10, 10);
		assert_true(period(&j, k++, 32, 10).slow);
		judge_poll(&j, k += 5, 0, .5, &a);
		assert_true(a.slow);
		judge_poll(&j, k += 60, 0, .5, &a);
		assert_int_equal(a.slow, !more);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slowness_is_forgiven_while_caches_are_cold),
		cmocka_unit_test(a_plans_own_failures_are_not_forgiven_while_caches_are_cold),
		cmocka_unit_test(a_green_without_slow_requests_is_not_the_more_suspicious_for_it),
		cmocka_unit_test(a_green_that_was_slow_stays_small_until_it_was_seen_warm),
		cmocka_unit_test(three_times_as_slow_is_not_forgiven_while_caches_are_cold),
		cmocka_unit_test(a_green_that_may_be_slow_gets_no_larger_share),
		cmocka_unit_test(a_suspicion_of_slowness_that_nothing_clears_up_does_not_keep_green_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

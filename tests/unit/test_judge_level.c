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
static double weight, traffic = REQUESTS;

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
	struct judge_point b = { .period = k, .requests = traffic * (1 - weight), .count = { blue } };
	struct judge_point g = { .period = k, .requests = traffic * weight, .count = { green } };
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
	assert_true(2 * good_after(&h, NULL, 0) < good_after(&h, "posterior", 0));
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

/* All of green's requests fail, and blue has a burst of one in a hundred. */
static void all_requests_that_fail_are_no_clump_because_blue_has_a_burst(void **unused)
{
	struct judge_history h;
	double log_e = 0;

	(void)unused;
	past(&h, 0, 0);
	begin(&h, .25, NULL, 0);
	for (int k = 0; k < 3; k++)
		log_e = period(k, k ? 8 : 0, k ? 250 : 0).log_e;
	assert_true(log_e > log(100));
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
	assert_true(evidence(&h, .01, event, 6, "posterior", 0) > log(100));
}

/* One burst of which a zone had 14 of 20 errors: no proof that errors come in clumps. */
static void one_uneven_burst_of_history_hides_no_fault(void **unused)
{
	static const double fault[] = { 0, 29, 29 };
	struct judge_history h;

	(void)unused;
	past(&h, 0, 0);
	h.count[JUDGE_ERRORS][104] = 20;
	h.half_count[JUDGE_ERRORS][104] = 14;
	assert_true(evidence(&h, .5, fault, 3, NULL, 0) > log(100));
	assert_true(evidence(&h, .5, fault, 3, "posterior", 0) < log(100));
}

/* Slow requests of the two zones differ a little more than by chance, minute by
 * minute, in thousands of requests: that is known well, and no reason to hear no
 * minute out. One in which green is five times as slow is enough. */
static void small_clumps_that_are_known_well_hide_no_slow_green(void **unused)
{
	struct judge_tuning t;
	struct judge_history h;
	struct judge_answer a;

	(void)unused;
	past(&h, 0, 0);
	for (int i = 0; i < JUDGE_HISTORY; i++) {
		h.requests[i] = 60000;
		h.half_requests[i] = 30000;
		h.count[JUDGE_SLOW][i] = 600;
		h.half_count[JUDGE_SLOW][i] = i % 2 ? 317 : 283;
	}
	judge_tuning_usual(&t);
	assert_true(judge_tune(&t, "warm", 0));
	judge_start(&j, &t, &halves, &h, 1U << JUDGE_ERRORS | 1U << JUDGE_SLOW);
	judge_see(&j, JUDGE_BLUE, 1, &(struct judge_point){ .requests = 59400, .count = { 0, 594 } });
	judge_see(&j, JUDGE_GREEN, 1, &(struct judge_point){ .requests = 600, .count = { 0, 30 } });
	judge_poll(&j, 1, 0, .01, &a);
	assert_true(a.log_e > log(100));
}

/* How much a healthy green has still to show when it has all traffic, and that grows. */
static double asked_when_traffic_grows(double firm)
{
	struct judge_history h;
	struct judge_answer a = { .need = 0 };

	past(&h, 1, .5);
	begin(&h, .5, "firm", firm);
	for (int k = 0; k < 40; k++)
		period(k, k % 2, (k + 1) % 2);
	weight = 1;
	for (int k = 40; k < 80; k++) {
		traffic = k < 45 ? REQUESTS : 5 * REQUESTS;
		a = period(k, 0, 1);
	}
	traffic = REQUESTS;
	return a.need;
}

static void the_last_stage_asks_for_no_more_when_traffic_grows(void **unused)
{
	(void)unused;
	assert_true(asked_when_traffic_grows(1) > 1.2 * asked_when_traffic_grows(0));
}

/* A green as good as blue, until it gets all traffic; the next period. */
static int begin_alone(const char *name, double value)
{
	struct judge_history h;
	int k = 0;

	past(&h, 10, 5);
	begin(&h, .5, name, value);
	while (period(k++, 5, 5).kind != VERDICT_GOOD)
		assert_true(k < 120);
	weight = 1;
	return k;
}

/* Minutes until green is good again after an incident at 100 %, where no blue shows that it is none of green's. */
static int held_by_an_incident(double cap_alone)
{
	int k = begin_alone("cap_alone", cap_alone);

	for (int end = k + 20; k < end; k++)
		period(k, 0, 10);
	assert_int_not_equal(period(k++, 0, 40).kind, VERDICT_BAD);
	for (int from = k; k < from + 120; k++)
		if (period(k, 0, 10).kind == VERDICT_GOOD)
			return k - from;
	return 120;
}

static void a_minute_of_both_is_not_held_against_green_for_long(void **unused)
{
	(void)unused;
	assert_true(held_by_an_incident(1.5) < held_by_an_incident(0));
}

/* 300 requests a minute of which 0.1 % fail: 27 failed requests in half an hour could be afforded. */
static void little_traffic_lets_no_gross_fault_pass(void **unused)
{
	struct judge_history h;
	struct judge_answer a;

	(void)unused;
	past(&h, 0, 0);
	traffic = 300;
	for (int i = 0; i < JUDGE_HISTORY; i++) {
		h.requests[i] = traffic;
		h.half_requests[i] = traffic / 2;
		h.count[JUDGE_ERRORS][i] = i % 10 < 3;
	}
	for (int gross = 0; gross <= 4; gross += 4) {
		begin(&h, .5, "gross", gross);
		a = period(0, 0, 0);
		assert_true(gross ? a.need < .0035 : a.need > .0035);
	}
	traffic = REQUESTS;
}

/* What is excluded grows from minute to minute: the rates of the gate are not steps. */
static void what_is_excluded_moves_with_every_minute(void **unused)
{
	struct judge_history h;
	double excess[15];

	(void)unused;
	past(&h, 1, .5);
	begin(&h, .5, NULL, 0);
	for (int k = 0; k < 15; k++)
		excess[k] = period(k, 0, 0).excess;
	for (int k = 1; k < 15; k++)
		assert_true(excess[k] < excess[k - 1]);
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

/* 500 errors a minute, of which a zone has half, give or take `apart`; green fails a third more often than blue. */
static bool sees_a_third_more(double apart, double slight)
{
	struct judge_history h;
	bool seen = false;

	past(&h, 500, 0);
	for (int i = 0; i < JUDGE_HISTORY; i++) {
		h.requests[i] *= 50;
		h.half_requests[i] *= 50;
		h.half_count[JUDGE_ERRORS][i] = 250 + (i / 2 % 2 ? apart : -apart);
	}
	begin(&h, .25, "slight", slight);
	traffic = 50 * REQUESTS;
	for (int k = 0; k < 10; k++)
		seen |= period(k, 375, 165).kind == VERDICT_BAD;
	traffic = REQUESTS;
	return seen;
}

static void a_green_that_fails_a_third_more_is_seen_where_groups_are_known_to_be_alike(void **unused)
{
	(void)unused;
	assert_true(sees_a_third_more(11, .05));
	assert_false(sees_a_third_more(11, 0)); /* ratios from 2 on are all it can be */
	assert_false(sees_a_third_more(60, .05));
}

/* What is feared to be a few events, and what is too much to count in full, is one doubt and not two: once, 40
 * errors of green's in each of two minutes said less than 20. */
static void more_errors_of_green_are_not_less_evidence(void **unused)
{
	struct judge_history h;
	double before = 0;

	(void)unused;
	past(&h, 0, 0);
	for (double x = 10; x <= 300; x += 10) {
		const double fault[] = { 0, x, x };
		double e = evidence(&h, .5, fault, 3, NULL, 0);

		assert_true(e > before - .5); /* the excess rates that are asked for are some way apart */
		before = e;
		assert_true(x < 20 || e > log(100));
	}
}

/* What green's first errors say of its minute `k`, while blue's requests of that minute have not come. */
static double evidence_ahead(int k, double errors)
{
	struct judge_history h;
	struct judge_answer a;

	past(&h, 1, .5);
	begin(&h, .1, NULL, 0);
	for (int i = 0; i < k; i++)
		period(i, 1, 0);
	judge_see(&j, JUDGE_GREEN, k + 1, &(struct judge_point){ .period = k, .requests = 100, .count = { errors } });
	judge_poll(&j, k + 1, 0, .1, &a);
	return a.log_e;
}

/* That an incident of both colours begins in the very minute in which green does is a rare chance; any other is not. */
static void a_fault_of_greens_first_minute_is_hardly_an_incident_of_both(void **unused)
{
	(void)unused;
	assert_true(evidence_ahead(0, 20) > log(100));
	assert_true(evidence_ahead(9, 20) < log(100));
}

/* Two zones whose error rates wander apart were once not compared by level at all: where blue has hardly any errors
 * that took from the judge what it sees best. */
static void groups_that_wander_are_compared_by_level_all_the_same(void **unused)
{
	static const double fault[] = { 0, 4, 4 };
	struct judge_history h;

	(void)unused;
	past(&h, 0, 0);
	for (int i = 0; i < 10; i++) {
		h.count[JUDGE_ERRORS][20 + i] = 100;
		h.half_count[JUDGE_ERRORS][20 + i] = i < 5 ? 35 : 65;
	}
	assert_true(evidence(&h, .1, fault, 3, NULL, 0) > log(100));
	assert_true(evidence(&h, .1, fault, 3, "noisy", 2.5) < log(100));
}

/* Of the last two periods only green's requests have come: with its errors, or without. */
static void a_stage_is_left_by_what_is_there_but_for_the_newest_minute(void **unused)
{
	struct judge_history h;
	struct judge_answer a;
	double before, late;

	(void)unused;
	past(&h, 1, .5);
	begin(&h, .5, NULL, 0);
	for (int k = 0; k < 5; k++)
		before = period(k, 0, 0).excess;
	judge_see(&j, JUDGE_GREEN, 7, &(struct judge_point){ .period = 6, .requests = 500, .count = { 0 } });
	judge_poll(&j, 7, 0, .5, &a);
	assert_true(a.excess == before);
	judge_see(&j, JUDGE_GREEN, 7, &(struct judge_point){ .period = 5, .requests = 500, .count = { -1 } });
	judge_poll(&j, 7, 0, .5, &a);
	late = a.excess;
	assert_true(late < before);
	judge_see(&j, JUDGE_GREEN, 7, &(struct judge_point){ .period = 5, .requests = 500, .count = { 0 } });
	judge_poll(&j, 7, 0, .5, &a);
	assert_true(a.excess < late); /* none, not perhaps some that are late */
}

static void who_has_waited_long_in_a_stage_may_risk_more_in_the_next(void **unused)
{
	static const struct judge_stages three = { .n = 3, .weight = { .1, .5, 1 } };
	struct judge_tuning t;
	struct judge_history h;
	double need[20];

	(void)unused;
	past(&h, 1, .5);
	judge_tuning_usual(&t);
	judge_start(&j, &t, &three, &h, 1U << JUDGE_ERRORS);
	weight = .1;
	for (int k = 0; k < 20; k++)
		need[k] = period(k, 1, 0).need;
	assert_true(need[9] < 1.01 * need[0] && need[13] > 1.1 * need[9] && need[19] > need[13]);
}

/* What a stage asks for falls with time. Once it rose, after a while, from the chance of an error that one stage
 * more may have to that of the last look. */
static void whoever_waits_longer_is_asked_for_no_more(void **unused)
{
	struct judge_history h;

	(void)unused;
	for (traffic = 500; traffic < 1e5; traffic *= 2) {
		struct judge_answer a, before = { .excess = 1 };

		past(&h, traffic / 1000, traffic / 2000);
		for (int i = 0; i < JUDGE_HISTORY; i++) {
			h.requests[i] = traffic;
			h.half_requests[i] = traffic / 2;
		}
		begin(&h, .5, NULL, 0);
		for (int k = 0; k < 40; before = a, k++) {
			a = period(k, traffic / 2000, traffic / 2000);
			assert_true(a.excess <= before.excess && a.need > .95 * before.need);
		}
	}
	traffic = REQUESTS;
}

/* Green's ten requests of its first minute fail. Once, a single error among 990 requests of blue's made of that a minute
 * in which both fail, and of ten errors no more than two. */
static void one_error_of_blue_hides_no_green_that_fails_altogether(void **unused)
{
	struct judge_history h;

	(void)unused;
	past(&h, 0, 0);
	for (int i = 0; i < JUDGE_HISTORY; i += 10)
		h.count[JUDGE_ERRORS][i] = 1;
	for (int blue = 0; blue <= 2; blue++) {
		begin(&h, .01, NULL, 0);
		assert_int_equal(period(0, blue, 10).kind, VERDICT_BAD);
	}
}

/* Ten in a hundred of green's requests fail, one of blue's. What green's half said before blue's 500 errors came is not to
 * be taken back by them: once, as many errors together counted as twenty, of which green had two. */
static void many_errors_of_blue_make_no_less_of_greens(void **unused)
{
	struct judge_history h;
	double ahead;

	(void)unused;
	past(&h, 500, 250);
	for (int i = 0; i < JUDGE_HISTORY; i++) {
		h.requests[i] = 50 * REQUESTS;
		h.half_requests[i] = 25 * REQUESTS;
	}
	begin(&h, .01, NULL, 0);
	judge_see(&j, JUDGE_GREEN, 1, &(struct judge_point){ .requests = 500, .count = { 50 } });
	judge_poll(&j, 1, 0, .01, &(struct judge_answer){ 0 });
	ahead = j.log_errors;
	traffic = 50 * REQUESTS;
	assert_true(period(0, 495, 50).log_level > ahead);
	traffic = REQUESTS;
}

/* Green fails twice as often as usual for half an hour at 100 %, and for five minutes no more than usual. */
static bool is_good_after_a_good_spell(const char *name, double value)
{
	int k = begin_alone(name, value);
	bool good = false;

	for (int from = k; k < from + 35; k++)
		good |= period(k, 0, k < from + 30 ? 20 : 10).kind == VERDICT_GOOD && k > from + 10;
	return good;
}

static void a_good_spell_does_not_make_a_bad_half_hour_good(void **unused)
{
	(void)unused;
	assert_false(is_good_after_a_good_spell(NULL, 0));
	assert_true(is_good_after_a_good_spell("gate_floor", -3.25));
}

/* What the first of three stages asks for, beside what it would ask if a fault cost nothing until it is found. */
static double asked_beside_harm_alone(double errors)
{
	static const struct judge_stages three = { .n = 3, .weight = { .1, .5, 1 } };
	struct judge_history h;
	struct judge_tuning t;
	double need[2];

	past(&h, errors, errors / 2);
	for (int with = 0; with < 2; with++) {
		judge_tuning_usual(&t);
		if (!with)
			t.intrinsic = 0;
		judge_start(&j, &t, &three, &h, 1U << JUDGE_ERRORS);
		weight = .1;
		need[with] = period(0, .9 * errors, .1 * errors).need;
	}
	return need[1] / need[0];
}

/* A doubled error rate costs many failed requests until it is seen, at any weight; where blue never fails, a few tell. */
static void what_a_fault_costs_anyhow_is_no_reason_to_wait(void **unused)
{
	(void)unused;
	assert_true(asked_beside_harm_alone(20) > 4);
	assert_true(asked_beside_harm_alone(0) > 1 && asked_beside_harm_alone(0) < 3);
}

/* One error of green's in its first minutes, and at this weight never much to be seen of it. */
static void a_suspicion_that_a_small_weight_cannot_clear_up_does_not_keep_green_there(void **unused)
{
	static const struct judge_stages three = { .n = 3, .weight = { .01, .05, 1 } };
	struct judge_history h;
	struct judge_tuning t;
	int suspicious = 0;

	(void)unused;
	past(&h, 1, .5);
	judge_tuning_usual(&t);
	judge_start(&j, &t, &three, &h, 1U << JUDGE_ERRORS);
	weight = .01;
	for (int k = 0; k < 60; k++) {
		struct judge_answer a = period(k, 0, k == 2);

		suspicious = a.suspicious ? k : suspicious;
		assert_true(k < 2 || a.log_e > log(t.suspect));
	}
	assert_true(suspicious > t.hurry && suspicious < 40);
}

/* Two minutes of forty errors: if the first was one event, events are large, and the second proves little. */
static void another_event_is_less_of_a_surprise(void **unused)
{
	struct judge_history h;
	double first, second;

	(void)unused;
	past(&h, 0, 0);
	begin(&h, .5, NULL, 0);
	period(0, 0, 0);
	first = period(1, 0, 40).log_e;
	second = period(2, 0, 40).log_e;
	assert_true(second > first && second - first < first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_hour_hides_no_green_that_fails_twice_as_often),
		cmocka_unit_test(one_uneven_minute_of_history_does_not_slow_the_gate),
		cmocka_unit_test(one_event_of_many_errors_is_no_proof_without_a_history),
		cmocka_unit_test(all_requests_that_fail_are_no_clump_because_blue_has_a_burst),
		cmocka_unit_test(bursts_of_history_hide_no_clumps),
		cmocka_unit_test(one_uneven_burst_of_history_hides_no_fault),
		cmocka_unit_test(small_clumps_that_are_known_well_hide_no_slow_green),
		cmocka_unit_test(the_last_stage_asks_for_no_more_when_traffic_grows),
		cmocka_unit_test(a_minute_of_both_is_not_held_against_green_for_long),
		cmocka_unit_test(little_traffic_lets_no_gross_fault_pass),
		cmocka_unit_test(what_is_excluded_moves_with_every_minute),
		cmocka_unit_test(a_past_of_nonsense_makes_no_nonsense),
		cmocka_unit_test(a_suspicion_that_nothing_can_change_does_not_hold_for_ever),
		cmocka_unit_test(a_green_that_fails_a_third_more_is_seen_where_groups_are_known_to_be_alike),
		cmocka_unit_test(more_errors_of_green_are_not_less_evidence),
		cmocka_unit_test(one_error_of_blue_hides_no_green_that_fails_altogether),
		cmocka_unit_test(many_errors_of_blue_make_no_less_of_greens),
		cmocka_unit_test(a_good_spell_does_not_make_a_bad_half_hour_good),
		cmocka_unit_test(what_a_fault_costs_anyhow_is_no_reason_to_wait),
		cmocka_unit_test(a_suspicion_that_a_small_weight_cannot_clear_up_does_not_keep_green_there),
		cmocka_unit_test(another_event_is_less_of_a_surprise),
		cmocka_unit_test(a_fault_of_greens_first_minute_is_hardly_an_incident_of_both),
		cmocka_unit_test(groups_that_wander_are_compared_by_level_all_the_same),
		cmocka_unit_test(a_stage_is_left_by_what_is_there_but_for_the_newest_minute),
		cmocka_unit_test(who_has_waited_long_in_a_stage_may_risk_more_in_the_next),
		cmocka_unit_test(whoever_waits_longer_is_asked_for_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What can be seen before the start, and a service's own past judged as a cutover. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "cli/past.h"
#include "judge/chance.h"
#include "judge/power.h"
#include "plan/plan.h"
#include "simworld.h"

#include <math.h>
#include <string.h>

#define PERIOD 60000LL
#define DAY (1440 * PERIOD)

static struct plan sim_plan(void)
{
	struct plan p = { .region = (char *)SIM_REGION, .rule = (char *)SIM_RULE };

	p.blue.target_group = (char *)SIM_BLUE;
	p.watch.period_ms = PERIOD;
	strcpy(p.watch.latency_stat, "p90");
	return p;
}

/* --- chance --------------------------------------------------------------------------- */

static void draws_have_the_mean_and_the_spread_of_a_binomial(void **unused)
{
	static const double cases[][2] = { { 10, .3 }, { 1000, .001 }, { 1000, .2 }, { 1e6, .5 }, { 50, .98 } };

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		double n = cases[i][0], p = cases[i][1], sum = 0, squares = 0;
		uint64_t state = i;

		for (int k = 0; k < 20000; k++) {
			double x = chance_draw(&state, n, p);

			assert_true(x >= 0 && x <= n && x == floor(x));
			sum += x / 20000;
			squares += (x - n * p) * (x - n * p) / 20000;
		}
		assert_true(fabs(sum - n * p) <= 5 * sqrt(n * p * (1 - p) / 20000));
		assert_true(fabs(squares / (n * p * (1 - p)) - 1) <= .08);
	}
}

static void draws_of_nothing_are_nothing(void **unused)
{
	uint64_t state = 1;

	(void)unused;
	assert_true(chance_draw(&state, 0, .5) == 0 && chance_draw(&state, -3, .5) == 0 && chance_draw(&state, 10, 0) == 0);
	assert_true(chance_draw(&state, 10, 1) == 10 && chance_draw(&state, 10, 2) == 10 && chance_draw(&state, NAN, NAN) == 0);
}

/* --- exposure ----------------------------------------------------------------------------- */

static struct power_plan plan_of(double requests)
{
	struct power_plan p = { .requests = requests, .errors = .001, .stages = 3, .lag = 2, .hold = 30,
				.stage = { { .05, 5 }, { .25, 8 }, { 1, 8 } },
				.metrics = 1U << JUDGE_ERRORS | 1U << JUDGE_LATENCY };

	judge_tuning_usual(&p.tune);
	return p;
}

enum { NONE, TWICE, TENFOLD, HALF, TWO, TEN, TOTAL };

static void more_traffic_and_more_weight_see_more(void **unused)
{
	struct power_sight thin[3][POWER_FAULTS], busy[3][POWER_FAULTS];
	struct power_plan a = plan_of(50), b = plan_of(20000);

	(void)unused;
	power_look(&a, thin);
	power_look(&b, busy);
	for (int s = 0; s < 2; s++)
		for (int f = TWICE; f < POWER_FAULTS; f++)
			assert_true(busy[s][f].found >= thin[s][f].found);
	assert_true(busy[1][TENFOLD].found >= POWER_SURE && busy[1][TENFOLD].after > 0 && busy[1][TENFOLD].after <= 8);
	assert_true(busy[1][TWO].found >= busy[0][TWICE].found && busy[0][NONE].found <= .05 && busy[1][NONE].found <= .05);
	assert_true(thin[0][TWO].found < .2 && thin[0][TWO].after < 0);
}

static void a_run_ends_in_one_of_three_ways(void **unused)
{
	struct power_plan p = plan_of(2000);
	struct power_run r, again;

	(void)unused;
	for (int f = 0; f < POWER_FAULTS; f++) {
		power_try(&p, &power_faults[f], &r);
		assert_true(fabs(r.found + r.held + r.promoted - 1) <= 1e-9);
		power_try(&p, &power_faults[f], &again);
		assert_memory_equal(&r, &again, sizeof r);
	}
	power_try(&p, &power_faults[NONE], &r);
	assert_true(r.found <= .05 && r.harm == 0);
	power_try(&p, &power_faults[TOTAL], &r);
	assert_true(r.found == 1 && r.stage == 0 && r.harm > 100 && r.harm_worst < 2000 && r.took < 0);
}

static void weights_of_its_own_cost_less(void **unused)
{
	struct power_plan p = plan_of(2000), own = p;
	struct power_run fixed, ramp;

	(void)unused;
	own.automatic = true;
	own.stages = 1;
	own.longest = 180;
	power_try(&p, &power_faults[TOTAL], &fixed);
	power_try(&own, &power_faults[TOTAL], &ramp);
	assert_true(ramp.found == 1 && ramp.harm < fixed.harm);
	power_try(&own, &power_faults[NONE], &ramp);
	assert_true(ramp.found <= .05 && ramp.promoted > .8 && ramp.took > 15);
}

/* Nothing to bake, no traffic, no errors: an answer all the same. */
static void odd_plans_have_answers(void **unused)
{
	struct power_plan p = plan_of(0);
	struct power_sight sight[3][POWER_FAULTS];
	struct power_run r;

	(void)unused;
	p.errors = 0;
	p.stage[0].bake = 0;
	power_look(&p, sight);
	for (int f = 0; f < POWER_FAULTS; f++) {
		power_try(&p, &power_faults[f], &r);
		assert_true(sight[0][f].found == 0 && r.found == 0 && r.harm == 0);
	}
}

/* --- two groups alike ------------------------------------------------------------------------ */

#define LONG 600
static struct aa_period group[2][LONG];

static void fill(double rate_a, double rate_b, uint64_t seed)
{
	uint64_t state = seed;

	for (int i = 0; i < LONG; i++) {
		group[0][i] = (struct aa_period){ chance_draw(&state, 2000, .5), 0, 80, 0 };
		group[1][i] = (struct aa_period){ chance_draw(&state, 2000, .5), 0, 80, 0 };
		group[0][i].errors = chance_draw(&state, group[0][i].requests, rate_a);
		group[1][i].errors = chance_draw(&state, group[1][i].requests, rate_b);
	}
}

static int taken_back(bool zones, int starts)
{
	struct aa_past past = { { group[0], zones ? group[1] : NULL }, LONG };
	struct power_plan p = plan_of(0);
	struct aa_outcome o;
	int n = 0;

	for (int i = 0; i < starts; i++) {
		aa_try(&p, &past, JUDGE_HISTORY + 10 * i, (uint64_t)i, &o);
		n += o.end == AA_BACK;
	}
	return n;
}

static int taken_back_by_itself(int starts)
{
	struct aa_past past = { { group[0], group[1] }, LONG };
	struct power_plan p = plan_of(0);
	struct aa_outcome o;
	int n = 0;

	p.automatic = true;
	p.longest = 120;
	for (int i = 0; i < starts; i++) {
		aa_try(&p, &past, JUDGE_HISTORY + 10 * i, (uint64_t)i, &o);
		n += o.end == AA_BACK;
		assert_true(o.end != AA_THROUGH || o.took > 15);
	}
	return n;
}

static void what_did_not_change_is_not_taken_back(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		fill(.002, .002, seed);
		assert_in_range(taken_back(true, 20), 0, 1);
		assert_in_range(taken_back(false, 20), 0, 1);
		assert_in_range(taken_back_by_itself(20), 0, 1);
	}
}

/* A zone that fails from some minute on is what a cutover to a bad green looks like. */
static void a_zone_that_goes_bad_is_seen(void **unused)
{
	struct aa_past past = { { group[0], group[1] }, LONG };
	struct power_plan p = plan_of(0);
	struct aa_outcome o;
	uint64_t state = 9;

	(void)unused;
	fill(.002, .002, 1);
	for (int i = 300; i < LONG; i++)
		group[1][i].errors = chance_draw(&state, group[1][i].requests, .1);
	aa_try(&p, &past, 298, 1, &o);
	assert_int_equal(o.end, AA_BACK);
	assert_in_range(o.took, 3, 15);
	assert_true(o.log_e >= log(100) && strstr(o.reason, "worse"));
	aa_try(&p, &past, LONG - 5, 1, &o);
	assert_true(o.end == AA_BACK || o.end == AA_ENDS);
}

static void a_slower_zone_is_slower_by_its_percentile(void **unused)
{
	struct aa_past past = { { group[0], group[1] }, LONG };
	struct power_plan p = plan_of(0);
	struct aa_outcome o;

	(void)unused;
	fill(.002, .002, 1);
	for (int i = 0; i < LONG; i++)
		group[1][i].latency = 200;
	aa_try(&p, &past, 200, 1, &o);
	assert_int_equal(o.end, AA_BACK);
}

/* Slow requests are counted: zones alike are, one with ten times as many is not. */
static void slow_requests_are_counted_where_the_plan_counts_them(void **unused)
{
	struct aa_past past = { { group[0], group[1] }, LONG };
	struct power_plan p = plan_of(0);
	struct aa_outcome o;
	uint64_t state = 5;

	(void)unused;
	p.metrics = 1U << JUDGE_ERRORS | 1U << JUDGE_SLOW;
	fill(.002, .002, 1);
	for (int i = 0; i < LONG; i++)
		for (int c = 0; c < 2; c++)
			group[c][i].slow = chance_draw(&state, group[c][i].requests, .01);
	aa_try(&p, &past, 200, 1, &o);
	assert_true(o.end != AA_BACK);
	for (int i = 300; i < LONG; i++)
		group[1][i].slow = chance_draw(&state, group[1][i].requests, .1);
	aa_try(&p, &past, 298, 1, &o);
	assert_int_equal(o.end, AA_BACK);
}

static void slow_requests_are_read_as_a_share(void **unused)
{
	struct simworld w;
	struct plan p = sim_plan();
	autopast struct past past = { 0 };
	int64_t now;
	double slow = 0, requests = 0;

	(void)unused;
	p.watch.slow_ms = 200;
	simworld_open(&w, &(struct sim_opts){ .seed = 1, .requests_per_s = 20 });
	now = clock_wall(sim_clock(w.sim)) - 5 * PERIOD;
	if (past_read(w.aws, &p, now - 300 * PERIOD, now, &past, &w.e))
		fail_msg("%s", w.e.msg);
	for (int i = 0; i < past.n; i++) {
		slow += past.half[0][i].slow + past.half[1][i].slow;
		requests += past.half[0][i].requests + past.half[1][i].requests;
		assert_true(past.whole[i].latency == 0 && past.whole[i].slow <= past.whole[i].requests);
	}
	assert_true(slow / requests > .005 && slow / requests < .5);
	simworld_close(&w);
}

static void holes_in_the_past_are_holes(void **unused)
{
	struct aa_past past = { { group[0], group[1] }, LONG };
	struct power_plan p = plan_of(0);
	struct aa_outcome o;

	(void)unused;
	fill(.002, .002, 1);
	for (int i = 0; i < LONG; i += 3)
		group[i % 2][i].requests = -1;
	for (int start = 0; start <= LONG; start += 50) {
		aa_try(&p, &past, start, 1, &o);
		assert_true(o.end != AA_BACK);
	}
	for (int i = 0; i < LONG; i++)
		group[0][i].requests = group[1][i].requests = -1;
	aa_try(&p, &past, 200, 1, &o);
	assert_true(o.end != AA_BACK && o.took > 0);
	aa_try(&p, &past, LONG, 1, &o);
	assert_int_equal(o.end, AA_ENDS);
}

/* --- from CloudWatch ------------------------------------------------------------------------------- */

static void the_past_is_read_in_days_and_by_zones(void **unused)
{
	struct simworld w;
	struct plan p = sim_plan();
	autopast struct past past = { 0 };
	int64_t now;
	double whole = 0, zones = 0;
	uint64_t before;

	(void)unused;
	simworld_open(&w, &(struct sim_opts){ .seed = 1, .requests_per_s = 20 });
	simworld_wait(&w, 1200);
	now = clock_wall(sim_clock(w.sim)) - 5 * PERIOD;
	before = sim_requests(w.sim);
	if (past_read(w.aws, &p, now - 2 * DAY - 7 * PERIOD, now, &past, &w.e))
		fail_msg("%s", w.e.msg);
	assert_int_equal(past.n, 2887);
	assert_in_range(sim_requests(w.sim) - before, 3, 6); /* three days' calls, two pages each */
	assert_true(past.seen > .99 && past.half[0] && past.half[1]);
	assert_string_not_equal(past.zone[0], past.zone[1]);
	for (int i = 0; i < past.n; i++) {
		assert_true(past.whole[i].errors <= past.whole[i].requests || past.whole[i].requests < 0);
		whole += past.whole[i].requests;
		zones += past.half[0][i].requests + past.half[1][i].requests;
	}
	assert_true(fabs(zones / whole - 1) <= .001);
	assert_true(fabs(whole / past.n - 1200) <= 30);
	assert_true(past.whole[100].latency > 1 && past.whole[100].latency < 10000);
	simworld_close(&w);
}

static void a_week_of_a_steady_service_is_hardly_ever_taken_back(void **unused)
{
	struct simworld w;
	struct plan p = sim_plan();
	autopast struct past past = { 0 };
	struct power_plan plan = plan_of(0);
	struct aa_outcome o;
	int64_t now;
	int back = 0, n = 0;

	(void)unused;
	simworld_open(&w, &(struct sim_opts){ .seed = 7 });
	now = clock_wall(sim_clock(w.sim)) - 5 * PERIOD;
	if (past_read(w.aws, &p, now - 7 * DAY, now, &past, &w.e))
		fail_msg("%s", w.e.msg);
	for (int start = JUDGE_HISTORY; start + 100 < past.n; start += 150, n++) {
		aa_try(&plan, &(struct aa_past){ { past.half[0], past.half[1] }, past.n }, start, (uint64_t)start, &o);
		back += o.end == AA_BACK;
	}
	assert_in_range(n, 60, 70);
	assert_in_range(back, 0, 1);
	simworld_close(&w);
}

static void rates_come_by_the_hour(void **unused)
{
	struct simworld w;
	struct plan p = sim_plan();
	struct past_rates r;
	int64_t now;

	(void)unused;
	simworld_open(&w, &(struct sim_opts){ .seed = 1, .requests_per_s = 20 });
	now = clock_wall(sim_clock(w.sim)) / 3600000 * 3600000;
	if (past_rates(w.aws, &p, now - 14 * DAY, now, &r, &w.e))
		fail_msg("%s", w.e.msg);
	assert_true(fabs(r.per_minute - 1200) <= 30);
	assert_true(r.quiet <= r.per_minute && r.per_minute <= r.busy && r.errors > 0 && r.errors < .01 && r.hours > 330);
	simworld_close(&w);
}

static int read_canned(const char *body, struct err *e)
{
	struct canned c = { .bodies = (const char *const[]){ body, NULL } };
	struct simworld w;
	struct plan p = sim_plan();
	struct past past;
	int rc;

	simworld_open_canned(&w, &c);
	rc = past_read(w.aws, &p, 1767232800000, 1767232800000 + 10 * PERIOD, &past, &w.e);
	past_free(&past);
	*e = w.e;
	simworld_close(&w);
	return rc;
}

static char *answer(const char *status, const char *times, const char *values)
{
	autobuf struct buf b = BUF_MAX(16384);

	buf_adds(&b, "{\"MetricDataResults\":[");
	for (int i = 0; i < 28; i++)
		buf_addf(&b, "%s{\"Id\":\"q%d\",\"Timestamps\":[%s],\"Values\":[%s],\"StatusCode\":\"%s\"}", i ? "," : "", i, times,
			 values, status);
	buf_adds(&b, "]}");
	return buf_take(&b);
}

/* Unknown is never a quiet past. */
static void a_past_that_is_not_whole_is_an_error(void **unused)
{
	autofree char *partial = answer("PartialData", "1767232800", "5"), *nothing = answer("Complete", "", "");
	autofree char *zones = answer("Complete", "1767232800", "5"), *odd = answer("Complete", "1767232800,1767232860", "-5,1e300");
	struct err e;

	(void)unused;
	assert_int_equal(read_canned(partial, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_int_equal(read_canned(nothing, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
	assert_int_equal(read_canned(odd, &e), -1); /* counts that cannot be are no answer */
	assert_int_equal(e.kind, ERR_UNSURE);
	assert_int_equal(read_canned(zones, &e), 0); /* zones that do not add up are not compared */
}

static void more_than_cloudwatch_keeps_is_refused(void **unused)
{
	struct simworld w;
	struct plan p = sim_plan();
	struct past past;
	struct past_rates r;

	(void)unused;
	simworld_open(&w, &(struct sim_opts){ .seed = 1 });
	assert_int_equal(past_read(w.aws, &p, 0, 16 * DAY, &past, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_INPUT);
	assert_int_equal(past_read(w.aws, &p, DAY, DAY, &past, &w.e), -1);
	assert_int_equal(past_rates(w.aws, &p, DAY, DAY - 1, &r, &w.e), -1);
	simworld_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(draws_have_the_mean_and_the_spread_of_a_binomial),
		cmocka_unit_test(draws_of_nothing_are_nothing),
		cmocka_unit_test(more_traffic_and_more_weight_see_more),
		cmocka_unit_test(a_run_ends_in_one_of_three_ways),
		cmocka_unit_test(weights_of_its_own_cost_less),
		cmocka_unit_test(odd_plans_have_answers),
		cmocka_unit_test(what_did_not_change_is_not_taken_back),
		cmocka_unit_test(a_zone_that_goes_bad_is_seen),
		cmocka_unit_test(a_slower_zone_is_slower_by_its_percentile),
		cmocka_unit_test(slow_requests_are_counted_where_the_plan_counts_them),
		cmocka_unit_test(slow_requests_are_read_as_a_share),
		cmocka_unit_test(holes_in_the_past_are_holes),
		cmocka_unit_test(the_past_is_read_in_days_and_by_zones),
		cmocka_unit_test(a_week_of_a_steady_service_is_hardly_ever_taken_back),
		cmocka_unit_test(rates_come_by_the_hour),
		cmocka_unit_test(a_past_that_is_not_whole_is_an_error),
		cmocka_unit_test(more_than_cloudwatch_keeps_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

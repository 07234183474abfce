/* What must hold of the sequential judge whatever is done to the evidence. Worlds
 * by seed: both colours behind one load balancer, green at a quarter. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "judge/protocol.h"
#include "judge/rate.h"

#include <math.h>
#include <string.h>

#define PERIODS 60
#define SEEDS 20
#define GREEN .25
#define UNLUCKY 4 /* faults whose history, by chance, looked as noisy as they are */
#define CHANCE 1 /* of SEEDS healthy worlds may be taken back by chance: the budget is 1 % */

static uint64_t state;

static double dice(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static double binomial(double n, double p)
{
	double x = 0;

	for (int i = 0; i < (int)n; i++)
		x += dice() < p;
	return x;
}

/* --- worlds ---------------------------------------------------------------------------- */

struct world {
	int n;
	double weight;
	double requests[2][4 * PERIODS], errors[2][4 * PERIODS], slow[2][4 * PERIODS];
	int shown[2][4 * PERIODS]; /* the poll at which it can be seen; 0: never */
	struct judge_history history;
};

enum fault { HEALTHY, THREEFOLD, SOME, MANY, SLOW, FAULTS };
static const struct { double blue, green, slow; } faults[FAULTS] = {
	[HEALTHY] = { .01, .01, .01 }, [THREEFOLD] = { .01, .03, .01 }, [SOME] = { .001, .02, .01 },
	[MANY] = { 0, .1, .01 }, [SLOW] = { .001, .001, .1 },
};

static void fill_history(struct judge_history *h, double requests, double errors)
{
	for (int i = 0; i < JUDGE_HISTORY; i++) {
		h->requests[i] = requests;
		h->half_requests[i] = binomial(requests, .5);
		h->count[JUDGE_ERRORS][i] = binomial(requests, errors);
		h->half_count[JUDGE_ERRORS][i] = binomial(h->count[JUDGE_ERRORS][i], h->half_requests[i] / requests);
		h->count[JUDGE_SLOW][i] = binomial(requests, .01);
		h->half_count[JUDGE_SLOW][i] = binomial(h->count[JUDGE_SLOW][i], h->half_requests[i] / requests);
	}
}

static struct world world_of(enum fault f, uint64_t seed)
{
	struct world w = { .n = PERIODS, .weight = GREEN };

	state = seed * FAULTS + f;
	fill_history(&w.history, 400, faults[f].blue);
	for (int k = 0; k < PERIODS; k++) {
		w.requests[JUDGE_GREEN][k] = binomial(400, GREEN);
		w.requests[JUDGE_BLUE][k] = 400 - w.requests[JUDGE_GREEN][k];
		w.errors[JUDGE_BLUE][k] = binomial(w.requests[JUDGE_BLUE][k], faults[f].blue);
		w.errors[JUDGE_GREEN][k] = binomial(w.requests[JUDGE_GREEN][k], faults[f].green);
		w.slow[JUDGE_BLUE][k] = binomial(w.requests[JUDGE_BLUE][k], .01);
		w.slow[JUDGE_GREEN][k] = binomial(w.requests[JUDGE_GREEN][k], faults[f].slow);
		w.shown[0][k] = w.shown[1][k] = k + 2;
	}
	return w;
}

struct outcome {
	int bad;             /* the first poll that said so; 0: none did */
	double log_e, split, most;
	enum verdict_kind kind;
};

static void see(struct judge *j, const struct world *w, int now, int c, int k)
{
	struct judge_point p = { .period = k, .requests = w->requests[c][k] };

	if (w->shown[c][k] != now)
		return;
	p.count[JUDGE_ERRORS] = w->errors[c][k] > 0 ? w->errors[c][k] : -1;
	p.count[JUDGE_SLOW] = w->slow[c][k];
	judge_see(j, (enum judge_colour)c, now, &p);
}

/* order: what becomes visible at one poll is handed over forwards or backwards. */
static struct outcome run(const struct world *w, bool backwards)
{
	struct judge_stages stages = { .n = 2, .weight = { w->weight, 1 } };
	struct outcome o = { .most = -INFINITY };
	static struct judge j;
	struct judge_tuning t;
	struct judge_answer a;

	judge_tuning_usual(&t);
	judge_start(&j, &t, &stages, &w->history, 1U << JUDGE_ERRORS | 1U << JUDGE_SLOW);
	for (int now = 0; now < w->n + 10; now++) {
		for (int i = 0; i < 2 * w->n; i++) {
			int at = backwards ? 2 * w->n - 1 - i : i;

			see(&j, w, now, at % 2, at / 2);
		}
		judge_poll(&j, now, 0, now ? w->weight : 0, &a);
		if (a.kind == VERDICT_BAD && !o.bad)
			o.bad = now;
		o.most = fmax(o.most, a.log_e);
	}
	o.log_e = a.log_e;
	o.split = a.log_split;
	o.kind = a.kind;
	return o;
}

/* --- properties --------------------------------------------------------------------------- */

typedef void (*change)(struct world *w);

/* A changed world: the healthy stay unharmed, the faulty are found, not much later. */
static void survives(change f, int stretch, int later)
{
	int wrong = 0, found = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		for (enum fault k = HEALTHY; k < FAULTS; k++) {
			struct world w = world_of(k, seed);
			struct outcome before = run(&w, false), after;

			f(&w);
			after = run(&w, false);
			found += before.bad > 0;
			if (k == HEALTHY)
				wrong += after.bad && !before.bad;
			else if (before.bad && (!after.bad || after.bad > stretch * before.bad + later))
				fail_msg("seed %d, fault %d: found at %d, changed at %d", (int)seed, (int)k, before.bad, after.bad);
		}
	if (wrong > CHANCE)
		fail_msg("%d of %d healthy worlds were taken back", wrong, SEEDS);
	assert_in_range(found, (FAULTS - 1) * SEEDS - UNLUCKY, FAULTS * SEEDS); /* else this compares nothing */
}

static void the_order_within_a_poll_says_nothing(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		for (enum fault k = HEALTHY; k < FAULTS; k++) {
			struct world w = world_of(k, seed);
			struct outcome a, b;

			for (int i = 0; i < w.n; i++)
				w.shown[i % 2][i] += i % 4; /* so that several come at once */
			a = run(&w, false);
			b = run(&w, true);
			assert_int_equal(a.bad, b.bad);
			assert_true(a.log_e == b.log_e && a.split == b.split);
		}
}

static void come_late(struct world *w)
{
	for (int c = 0; c < 2; c++)
		for (int k = 0; k < w->n; k++)
			w->shown[c][k] += (int)(4 * dice());
}

static void late_points_in_any_order_change_no_verdict(void **unused)
{
	(void)unused;
	survives(come_late, 1, 6);
}

/* Each period becomes two, what it saw thrown to one or the other. */
static void halve(struct world *w)
{
	for (int c = 0; c < 2; c++)
		for (int k = w->n - 1; k >= 0; k--) {
			double errors = binomial(w->errors[c][k], .5), slow = binomial(w->slow[c][k], .5);
			double rest = binomial(w->requests[c][k] - w->errors[c][k], .5);

			w->requests[c][2 * k + 1] = w->requests[c][k] - errors - rest;
			w->errors[c][2 * k + 1] = w->errors[c][k] - errors;
			w->slow[c][2 * k + 1] = fmin(w->slow[c][k] - slow, w->requests[c][2 * k + 1]);
			w->requests[c][2 * k] = errors + rest;
			w->errors[c][2 * k] = errors;
			w->slow[c][2 * k] = fmin(slow, errors + rest);
			w->shown[c][2 * k] = 2 * k + 2;
			w->shown[c][2 * k + 1] = 2 * k + 3;
		}
	w->n *= 2;
}

static void a_period_split_in_two_changes_no_verdict(void **unused)
{
	(void)unused;
	survives(halve, 2, 10);
}

static void silence_between(struct world *w)
{
	for (int c = 0; c < 2; c++)
		for (int k = w->n - 1; k >= 0; k--) {
			w->requests[c][2 * k] = w->requests[c][k];
			w->errors[c][2 * k] = w->errors[c][k];
			w->slow[c][2 * k] = w->slow[c][k];
			w->requests[c][2 * k + 1] = w->errors[c][2 * k + 1] = w->slow[c][2 * k + 1] = 0;
			w->shown[c][2 * k] = 2 * k + 2;
			w->shown[c][2 * k + 1] = k % 2 ? 2 * k + 3 : 0; /* a zero, or nothing at all */
		}
	w->n *= 2;
}

static void periods_without_traffic_change_no_verdict(void **unused)
{
	(void)unused;
	survives(silence_between, 2, 6);
}

/* Evidence does not grow while nothing is seen. */
static void silence_at_the_end_is_no_evidence(void **unused)
{
	(void)unused;
	for (enum fault k = HEALTHY; k < FAULTS; k++) {
		struct world w = world_of(k, 1);
		struct outcome before = run(&w, false), after;

		for (int c = 0; c < 2; c++)
			for (int i = w.n; i < w.n + 30; i++)
				w.shown[c][i] = i + 2;
		w.n += 30;
		after = run(&w, false);
		assert_true(fabs(before.log_e - after.log_e) <= 1e-6);
	}
}

/* Zones as alike as can be: at any scale no sign of clumps. */
static void even_history(struct judge_history *h, double requests, double errors)
{
	for (int i = 0; i < JUDGE_HISTORY; i++) {
		h->requests[i] = requests;
		h->half_requests[i] = requests / 2;
		for (int m = 0; m < 2; m++) {
			h->count[m][i] = requests * errors;
			h->half_count[m][i] = h->count[m][i] / 2;
		}
	}
}

static double factor;

static void scale(struct world *w)
{
	for (int c = 0; c < 2; c++)
		for (int k = 0; k < w->n; k++) {
			w->requests[c][k] *= factor;
			w->errors[c][k] *= factor;
			w->slow[c][k] *= factor;
		}
	even_history(&w->history, 400 * factor, .01);
}

/* More of the same traffic makes a fault no harder to see ... */
static void more_traffic_finds_a_fault_no_later(void **unused)
{
	static const double factors[] = { 2, 10, 1000 };

	(void)unused;
	for (size_t i = 0; i < COUNT(factors); i++)
		for (enum fault k = THREEFOLD; k < FAULTS; k++) {
			struct world w = world_of(k, i + 1);
			struct outcome before, after;

			even_history(&w.history, 400, faults[k].blue);
			before = run(&w, false);
			factor = factors[i];
			scale(&w);
			even_history(&w.history, 400 * factor, faults[k].blue);
			after = run(&w, false);
			if (!before.bad || !after.bad || after.bad > before.bad)
				fail_msg("fault %d, %g times: found at %d, then at %d", (int)k, factor, before.bad, after.bad);
		}
}

/* ... and makes nothing of two colours that fail alike. */
static void colours_that_fail_alike_are_alike_at_any_scale(void **unused)
{
	static const double factors[] = { 1, 10, 1e4, 1e8 };

	(void)unused;
	for (size_t i = 0; i < COUNT(factors); i++) {
		struct world w = world_of(HEALTHY, 1);

		factor = factors[i];
		for (int c = 0; c < 2; c++)
			for (int k = 0; k < w.n; k++) {
				double rate = k > 20 && k < 30 ? .5 : .01; /* an incident that both share */

				w.requests[c][k] = c == JUDGE_GREEN ? 100 : 300;
				w.errors[c][k] = rate * w.requests[c][k];
				w.slow[c][k] = .01 * w.requests[c][k];
			}
		scale(&w);
		assert_int_equal(run(&w, false).bad, 0);
	}
}

static void swap(double *a, double *b, int n)
{
	for (int i = 0; i < n; i++) {
		double t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

static void swap_colours(struct world *w)
{
	swap(w->requests[0], w->requests[1], w->n);
	swap(w->errors[0], w->errors[1], w->n);
	swap(w->slow[0], w->slow[1], w->n);
	w->weight = 1 - w->weight;
}

/* A green that is better than blue is not taken back. */
static void of_two_colours_at_most_one_is_worse(void **unused)
{
	int wrong = 0, found = 0;

	(void)unused;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		for (enum fault k = THREEFOLD; k < FAULTS; k++) {
			struct world w = world_of(k, seed);

			found += run(&w, false).bad > 0;
			swap_colours(&w);
			wrong += run(&w, false).bad > 0;
		}
	assert_in_range(found, (FAULTS - 1) * SEEDS - UNLUCKY, FAULTS * SEEDS);
	assert_in_range(wrong, 0, CHANCE);
}

static void more_errors_of_green_are_found_no_later(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w = world_of(SOME, seed);
		struct outcome before = run(&w, false), after;

		for (int k = 0; k < w.n; k++)
			w.errors[JUDGE_GREEN][k] = fmin(w.errors[JUDGE_GREEN][k] + 3, w.requests[JUDGE_GREEN][k]);
		after = run(&w, false);
		assert_in_range(after.bad, 1, before.bad);
	}
}

/* --- any numbers ---------------------------------------------------------------------------- */

static double nonsense(void)
{
	static const double odd[] = { 0, -1, 1, NAN, INFINITY, -INFINITY, 1e308, -1e308, 5e-324, 1e12, .5, 1000 };

	return odd[(int)(dice() * COUNT(odd))];
}

/* What comes from a history was bounded by its reader. */
static void fill_nonsense(double *v, int n)
{
	for (int i = 0; i < n; i++) {
		double d = fabs(nonsense());

		v[i] = d <= 1e12 ? d : 0;
	}
}

static void sane(const struct judge_answer *a)
{
	assert_false(isnan(a->log_e) || isnan(a->log_split) || isnan(a->log_level) || isnan(a->log_slow) || isnan(a->log_latency));
	assert_true(a->excess > 0 && a->excess <= 1 && a->need >= 0 && a->weight >= 0 && a->weight <= 1);
	assert_non_null(memchr(a->reason, 0, sizeof a->reason));
	assert_in_range(a->kind, VERDICT_GOOD, VERDICT_BAD);
}

static void no_input_makes_it_lose_its_mind(void **unused)
{
	static struct judge_history h;
	static struct judge j;
	struct judge_tuning t;
	struct judge_answer a;

	(void)unused;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct judge_stages s = { .n = 2, .weight = { .1, 1 }, .automatic = seed % 2 };

		state = seed;
		judge_tuning_usual(&t);
		t.early = (double)(seed / 2 % 2);
		fill_nonsense(h.requests, JUDGE_HISTORY);
		for (int m = 0; m < 2; m++)
			for (int i = 0; i < JUDGE_HISTORY; i++)
				h.count[m][i] = floor(dice() * h.requests[i]);
		judge_start(&j, &t, &s, &h, seed % 512);
		for (int now = 0; now < 80; now++) {
			for (int i = 0; i < 6; i++) {
				struct judge_point p = { .period = now - 3 + i, .requests = nonsense(), .latency = nonsense() };

				for (int m = 0; m < JUDGE_METRICS; m++)
					p.count[m] = nonsense();
				judge_see(&j, dice() < .5 ? JUDGE_BLUE : JUDGE_GREEN, now, &p);
			}
			judge_poll(&j, now, now / 40, dice(), &a);
			sane(&a);
		}
	}
}

/* --- what is said beside it ------------------------------------------------------------------- */

static void an_interval_holds_its_rate_at_every_look(void **unused)
{
	int left = 0;

	(void)unused;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		double x = 0;
		bool inside = true;

		state = seed;
		for (int n = 50; n <= 3000; n += 50) {
			struct rate_interval r = rate_interval(x += binomial(50, .02), n, .05);

			assert_true(r.low <= r.rate && r.rate <= r.high);
			inside = inside && r.low <= .02 && .02 <= r.high;
		}
		left += !inside;
	}
	assert_in_range(left, 0, 10); /* 5 % of 200 */
}

static void an_interval_of_nothing_is_everything(void **unused)
{
	struct rate_interval r = rate_interval(0, 0, .05), few = rate_interval(0, 10, .05), many = rate_interval(0, 1e9, .05);

	(void)unused;
	assert_true(r.low <= 0 && r.high >= 1);
	assert_true(few.low <= 0 && few.high > .2 && many.high < 1e-7 && many.high > 0);
	r = rate_interval(10, 10, .05);
	assert_true(r.rate >= 1 && r.high >= 1 && r.low < 1 && r.low > .4);
	r = rate_interval(NAN, NAN, .05);
	assert_true(r.low <= 0 && r.high >= 1);
}

/* Probes alone, one of each colour a period: the poll at which they are too much; 0: never. */
static int probed(double green, double blue)
{
	struct judge_stages stages = { .n = 2, .weight = { GREEN, 1 } };
	struct judge_history h;
	struct judge_tuning t;
	struct judge_answer a;
	struct judge j;

	even_history(&h, 400, .01);
	judge_tuning_usual(&t);
	judge_start(&j, &t, &stages, &h, 1U << JUDGE_PROBES);
	for (int now = 1; now <= PERIODS; now++) {
		judge_probed(&j, &(struct judge_probes){ .sent = { 1, 1 }, .failed = { blue, green } });
		judge_poll(&j, now, 0, GREEN, &a);
		if (a.kind == VERDICT_BAD)
			return now;
	}
	return 0;
}

static void some_ten_probes_that_only_green_fails_are_bad(void **unused)
{
	(void)unused;
	assert_in_range(probed(1, 0), 8, 12);
	assert_int_equal(probed(0, 1), 0);
	assert_int_equal(probed(1, 1), 0);
	assert_int_equal(probed(0, 0), 0);
	assert_int_equal(probed(NAN, NAN), 0);
}

static void every_setting_has_bounds_and_they_hold(void **unused)
{
	const struct judge_tunable *row;
	struct judge_tuning t;

	(void)unused;
	judge_tuning_usual(&t);
	for (size_t i = 0; (row = judge_tunable(i)); i++) {
		assert_true(row->min <= row->usual && row->usual <= row->max);
		assert_true(judge_tune(&t, row->name, row->min) && judge_tune(&t, row->name, row->max));
		assert_false(judge_tune(&t, row->name, row->min - 1) || judge_tune(&t, row->name, row->max * 2 + 1) ||
			     judge_tune(&t, row->name, NAN));
	}
	assert_false(judge_tune(&t, "nothing", 1));
}

static void a_judged_metric_takes_little_room(void **unused)
{
	(void)unused;
	assert_in_range(sizeof(struct judge), 1, 2 * 16384); /* errors and slow requests at least */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_within_a_poll_says_nothing),
		cmocka_unit_test(late_points_in_any_order_change_no_verdict),
		cmocka_unit_test(a_period_split_in_two_changes_no_verdict),
		cmocka_unit_test(periods_without_traffic_change_no_verdict),
		cmocka_unit_test(silence_at_the_end_is_no_evidence),
		cmocka_unit_test(more_traffic_finds_a_fault_no_later),
		cmocka_unit_test(colours_that_fail_alike_are_alike_at_any_scale),
		cmocka_unit_test(of_two_colours_at_most_one_is_worse),
		cmocka_unit_test(more_errors_of_green_are_found_no_later),
		cmocka_unit_test(no_input_makes_it_lose_its_mind),
		cmocka_unit_test(an_interval_holds_its_rate_at_every_look),
		cmocka_unit_test(an_interval_of_nothing_is_everything),
		cmocka_unit_test(some_ten_probes_that_only_green_fails_are_bad),
		cmocka_unit_test(every_setting_has_bounds_and_they_hold),
		cmocka_unit_test(a_judged_metric_takes_little_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

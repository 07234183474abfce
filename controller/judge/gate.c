/* judge/gate.c - a stage is left only when it has shown enough.
 *
 * Not seeing a fault proves little when few requests were seen. For each excess
 * rate d the gate follows the log evidence against "green fails at max(2p, p + d)",
 * a sequential test with error beta at ln(1/beta) (Wald, Sequential analysis,
 * 1947), kept from falling below a floor so that one bad hour needs no more
 * than another to be made good. A stage may be left when those d are excluded that
 * the next one could not afford: budget / (traffic x next weight x time to
 * react). The budget is a number of failed requests, and some times those that a
 * fault costs at any weight until it is seen: to wait does not save these. So a
 * suspicious green stays small while evidence grows.
 *
 * While blue has traffic, p is whatever both colours show (exclude.c). Without
 * blue, and for what one stage must show by itself,
 *
 *     G_d += log P(green's errors | p) / P(green's errors | max(2p, p + d))
 *
 * at one estimate of p: blue's, decaying over a quarter of an hour, kept near
 * the usual one: a burst of blue must not make green look good. */
#include "judge/parts.h"

#include <math.h>
#include <string.h>

static const double excess[JUDGE_GATES] = { 1e-4, 1.4e-4, 2e-4, 3e-4, 5e-4, 7e-4, 1e-3, 1.4e-3, 2e-3, 3e-3, 5e-3, 7e-3, .01,
					    .014, .02, .03, .05, .07, .1, .14, .2, .3, .4, .5, .7 };

#define MEMORY 15.0 /* periods */
#define HEAD 2      /* what a gate may have above its threshold */

double gate_smallest(void)
{
	return excess[0];
}

void gate_start(struct judge_gate *g, const struct judge_tuning *t, const struct judge_history *h, double traffic, double clump)
{
	double usual = history_usual(h->requests, h->count[JUDGE_ERRORS], JUDGE_HISTORY);

	*g = (struct judge_gate){ .clump = clump, .usual = usual, .errors = usual * traffic * 30, .requests = traffic * 30 };
	exclude_start(&g->exclude, usual, t->excess_ratio, excess, h);
}

static double expected_blue(const struct judge_gate *g, const struct judge_pair *p)
{
	return g->errors / g->requests * p->requests[JUDGE_BLUE];
}

static void follow_blue(struct judge_gate *g, const struct judge_tuning *t, const struct judge_pair *p, double traffic)
{
	double keep = exp(-1 / MEMORY), prior = (1 - keep) * traffic * t->level_prior;
	double expected = expected_blue(g, p), most = expected + 2 * sqrt(expected) + 1;

	g->errors = g->errors * keep + fmin(p->count[JUDGE_BLUE], most) + g->usual * prior;
	g->requests = g->requests * keep + p->requests[JUDGE_BLUE] + prior;
}

/* Blue itself has far more errors than it usually has: an incident of both. */
static bool is_burst(const struct judge_gate *g, const struct judge_tuning *t, const struct judge_pair *p)
{
	double expected = expected_blue(g, p);

	return t->burst > 0 && p->count[JUDGE_BLUE] > expected + t->burst * sqrt(expected) + 2;
}

/* In a burst the level says nothing; the split still may speak against green. */
static double burst_log(const struct judge_pair *p, double ratio)
{
	double share = p->requests[JUDGE_GREEN] / (p->requests[JUDGE_GREEN] + p->requests[JUDGE_BLUE]);
	double total = p->count[JUDGE_GREEN] + p->count[JUDGE_BLUE];

	return fmin(total * log(ratio * share + 1 - share) - p->count[JUDGE_GREEN] * log(ratio), 0);
}

static double level(const struct judge_gate *g, const struct judge_tuning *t)
{
	double p = g->errors / g->requests;

	return clamp(clamp(p, t->level_low * g->usual, t->level_high * g->usual), 1e-7, .9);
}

static double alternative(const struct judge_tuning *t, double usual, double more)
{
	return fmin(fmax(t->excess_ratio * usual, usual + more), .98);
}

/* What a period says at one estimate of the level. */
static void at_level(const struct judge_gate *g, const struct judge_tuning *t, const struct judge_pair *p, bool burst, int step,
		     double *against)
{
	double failed = p->count[JUDGE_GREEN], served = p->requests[JUDGE_GREEN] - failed, usual = level(g, t);

	for (int i = 0; i < JUDGE_GATES; i += step) {
		double bad = alternative(t, usual, excess[i]);

		against[i] = burst ? burst_log(p, t->excess_ratio) : failed * log(usual / bad) + served * log((1 - usual) / (1 - bad));
		if (p->known[JUDGE_GREEN] == PAIR_MISSING) /* none, or late */
			against[i] = fmin(against[i], -log(PAIR_LATE));
	}
}

/* `alone`: blue had no request. Then an incident of both looks like a fault, and
 * what a bad period takes is bounded. */
static double add(const struct judge_gate *g, const struct judge_tuning *t, bool alone, double evidence, double against)
{
	double l = against / g->clump, most = alone ? t->cap_alone : t->gate_cap;

	if (most > 0)
		l = fmax(l, -most);
	return clamp(evidence + l, t->gate_floor, log(1 / fmin(fmin(t->beta, t->beta_look), t->beta_last)) + HEAD);
}

void gate_update(struct judge_gate *g, const struct judge_tuning *t, const struct judge_pair *p, double traffic, int period)
{
	double run[JUDGE_GATES], stage[JUDGE_GATES];
	bool burst = is_burst(g, t, p), unseen = p->known[JUDGE_BLUE] == PAIR_UNSEEN, alone = p->requests[JUDGE_BLUE] <= 0 && !unseen;
	int step = t->fine > 0 ? 1 : 2;

	follow_blue(g, t, p, traffic);
	at_level(g, t, p, burst, step, stage);
	memcpy(run, stage, sizeof run);
	if (t->joint > 0 && !alone)
		exclude_update(&g->exclude, p, step, run);
	for (int i = 0; i < JUDGE_GATES; i += step) {
		g->run[i] = add(g, t, alone, g->run[i], run[i]);
		if (period >= g->stage_from)
			g->stage[i] = add(g, t, alone, g->stage[i], stage[i]);
	}
}

void gate_stage(struct judge_gate *g, int now)
{
	memset(g->stage, 0, sizeof g->stage);
	g->stage_from = now;
}

/* Expected log evidence of a healthy request: Kullback & Leibler's divergence,
 * On information and sufficiency, 1951. */
static double divergence(double p, double q)
{
	return p * log(p / q) + (1 - p) * log((1 - p) / (1 - q));
}

/* Between two excess rates, of which the first has less evidence than is needed,
 * and the second has it. Their line may be a little above the evidence itself,
 * which bends upwards over the logarithm of the rate d: where neighbours are r
 * apart, by some (ln r)^2 / 8, 1 to 3 %, of the failures that d would have added. */
static double between(const struct judge_tuning *t, int i, double less, double more, double need)
{
	if (t->fine <= 0 || i == 0 || less <= 0)
		return excess[i];
	return excess[i - 1] * pow(excess[i] / excess[i - 1], (need - less) / (more - less));
}

double gate_visible(const struct judge_gate *g, const struct judge_tuning *t, double requests, double evidence)
{
	double usual = level(g, t), less = 0;

	for (int i = 0; i < JUDGE_GATES; i++) {
		double more = requests * divergence(usual, alternative(t, usual, excess[i]));

		if (more >= evidence)
			return between(t, i, less, more, evidence);
		less = more;
	}
	return 1;
}

double gate_gross(const struct judge_gate *g, const struct judge_tuning *t, double requests, double evidence)
{
	double usual = clamp(g->usual, 1e-7, .9), gross = fmin(t->gross * usual, .98);

	if (t->gross <= 1 || requests * divergence(usual, gross) < evidence)
		return 1;
	return fmax(gross - usual, gate_smallest());
}

double gate_excluded(const struct judge_tuning *t, const double *evidence, double need)
{
	for (int i = 0; i < JUDGE_GATES; i++)
		if (evidence[i] >= need)
			return between(t, i, i ? evidence[i - 1] : 0, evidence[i], need);
	return 1;
}

/* judge/dispersion.c - how two healthy groups differ, by blue's last hours.
 *
 * Two availability zones of blue are two healthy groups behind one load
 * balancer. Of x errors, x_a are one zone's, whose share of the requests is
 * theta. Under "both alike" off = x_a - x theta has variance J = x theta (1 -
 * theta). Errors that come in clumps and stick to one group multiply it by the
 * clump's size c, whatever J; a ratio that wanders adds w J to that:
 *
 *     off^2 / J ~ (c + w J) chi^2_1
 *
 * (overdispersion: McCullagh & Nelder, Generalized linear models, 1989, section
 * 4.5). Periods with few errors tell c, bursts tell w, and so do ten periods
 * together, in which J is ten times as large. Both are unknown: every pair of a
 * grid is weighed by the likelihood of all splits, and what follows is a mean
 * over it. So one uneven minute says what one minute can say, and a history
 * without errors leaves what was thought before: clumps are rare. What clumps
 * make of a period's evidence is in clump.c. */
#include "judge/parts.h"

#include <math.h>

#define BLOCK 10     /* periods */
#define AVERAGED 1.4 /* a wandering ratio is averaged a little over a block */
#define LARGE 5.0    /* clumps from here on: one of them in a minute looks like a fault */
#define LARGEST 20.0 /* errors of one event that are feared where both colours fail */

#define CLUMPS JUDGE_CLUMPS
#define WANDERS 9
static const double wanders[WANDERS] = { 0, .002, .005, .01, .02, .04, .08, .15, .3 };

static void add_splits(double l[CLUMPS][WANDERS], const struct judge_history *h, int metric, int size, double averaged)
{
	struct judge_uneven u;

	for (int i = 0; i < JUDGE_HISTORY / size; i++) {
		if (!history_split(h, metric, i, size, &u))
			continue;
		for (int c = 0; c < CLUMPS; c++)
			for (int w = 0; w < WANDERS; w++) {
				double expected = clump_size[c] + wanders[w] * u.information / averaged;

				l[c][w] -= (log(expected) + u.square / expected) / 2;
			}
	}
}

/* From log likelihoods to probabilities. */
static void normalise(double l[CLUMPS][WANDERS])
{
	double most = -INFINITY, total = 0;

	for (int i = 0; i < CLUMPS * WANDERS; i++)
		most = fmax(most, l[i / WANDERS][i % WANDERS]);
	for (int i = 0; i < CLUMPS * WANDERS; i++)
		total += l[i / WANDERS][i % WANDERS] = exp(l[i / WANDERS][i % WANDERS] - most);
	for (int i = 0; i < CLUMPS * WANDERS; i++)
		l[i / WANDERS][i % WANDERS] /= total;
}

/* The largest clump that is exceeded all but surely. */
static double surely(double p[CLUMPS][WANDERS], double doubt)
{
	double below = 0;

	for (int c = 0; c < CLUMPS; c++) {
		for (int w = 0; w < WANDERS; w++)
			below += p[c][w];
		if (below > doubt)
			return clump_size[c];
	}
	return clump_size[CLUMPS - 1];
}

static bool may_be_large(double p[CLUMPS][WANDERS], double doubt)
{
	double large = 0;

	for (int c = 0; c < CLUMPS; c++)
		for (int w = 0; w < WANDERS && clump_size[c] >= LARGE; w++)
			large += p[c][w];
	return large > doubt;
}

static struct judge_dispersion posterior(const struct judge_history *h, const struct judge_tuning *t, int metric)
{
	double p[CLUMPS][WANDERS], clump = 0, wander = 0;
	struct judge_dispersion d = { .unknown = { .both = 1, .largest = LARGEST, .times = t->clump_alone } };

	for (int c = 0; c < CLUMPS; c++)
		for (int w = 0; w < WANDERS; w++)
			p[c][w] = c * log(t->clump_prior) + w * log(t->wander_prior);
	add_splits(p, h, metric, 1, 1);
	add_splits(p, h, metric, BLOCK, AVERAGED);
	normalise(p);
	for (int c = 0; c < CLUMPS; c++)
		for (int w = 0; w < WANDERS; w++) {
			clump += p[c][w] * clump_size[c];
			wander += p[c][w] * wanders[w];
			d.unknown.chance[c] += p[c][w];
		}
	d.clump = 1 + t->clump_more * fmax(clump - t->clump_slack, 0);
	d.sure = fmin(surely(p, t->clump_sure), d.clump);
	d.unknown.large = d.clump > 1 && may_be_large(p, t->clump_sure);
	d.wander = t->wander_more * wander;
	return d;
}

/* --- the published candidate's estimate: mean squares ----------------------------- */

#define PRIOR 3.0 /* periods' worth of "alike" */
#define PRIOR_WANDER .005
#define INFLATE 1.5
#define WANDER_SURE 2.0

/* Means over blocks of periods, weighted by errors. */
struct spread {
	double square, information;
};

static struct spread spread_of(const struct judge_history *h, int metric, int size)
{
	double weights = 0, squares = 0, information = 0;
	struct judge_uneven u;

	for (int i = 0; i < JUDGE_HISTORY / size; i++) {
		double w;

		if (!history_split(h, metric, i, size, &u))
			continue;
		w = fmin(u.count - 1, 30);
		weights += w;
		squares += w * u.square;
		information += w * u.information;
	}
	return (struct spread){ (squares + PRIOR) / (weights + PRIOR), information / (weights + PRIOR) };
}

static struct judge_dispersion mean_squares(const struct judge_history *h, int metric)
{
	struct spread one = spread_of(h, metric, 1), ten = spread_of(h, metric, BLOCK);
	double apart = fmax(ten.information - one.information, .5), slope = AVERAGED * fmax(ten.square - one.square, 0) / apart;
	bool sure = slope > WANDER_SURE * sqrt(2.0 * BLOCK / JUDGE_HISTORY) * one.square / apart;
	double extra = one.square - fmin(sure ? slope : 0, .3) * one.information - 1;
	struct judge_dispersion d = { .unknown = { .both = 1, .largest = INFINITY } };

	d.clump = d.sure = 1 + (extra > .5 ? extra : 0);
	d.unknown.large = d.clump > 1;
	d.wander = fmin(sure ? INFLATE * slope : PRIOR_WANDER, 1);
	return d;
}

/* --- both ------------------------------------------------------------------------- */

/* Errors that came with others: each shows whether they fall on one group. */
static double in_company(const struct judge_history *h, int metric)
{
	struct judge_uneven u;
	double n = 0;

	for (int i = 0; i < JUDGE_HISTORY; i++)
		n += history_split(h, metric, i, 1, &u) ? fmin(u.count - 1, 30) : 0;
	return n;
}

struct judge_dispersion dispersion_of(const struct judge_history *h, const struct judge_tuning *t, int metric)
{
	struct judge_dispersion d = t->posterior > 0 ? posterior(h, t, metric) : mean_squares(h, metric);

	if (in_company(h, metric) < t->clump_known)
		d.unknown.both = fmax(t->clump_unknown / d.clump, 1);
	return d;
}

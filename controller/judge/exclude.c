/* judge/exclude.c - what one period says against each excess rate, whatever the
 * level of both colours is just now.
 *
 * The error rate p that both colours share is hidden: it walks, sometimes goes
 * back to the usual and seldom jumps (an incident). Two filters follow it side
 * by side, "green fails at p" and "green fails at max(r p, p + d)", and the log
 * of the ratio of what the two expected of the period is the evidence against d.
 * So a green that fails twice as often in a quiet hour is not taken for a good
 * one in a usual hour, as it is by whoever first estimates p and then compares.
 *
 * Filter: forward recursion of a hidden Markov model (Baum & Petrie,
 * Statistical inference for probabilistic functions of finite state Markov
 * chains, 1966); the evidence is that of a sequential test between two composite
 * hypotheses by weight functions (Wald, Sequential analysis, 1947, chapter 4). */
#include "judge/parts.h"

#include <math.h>
#include <string.h>

#define LEAST 2e-5   /* a usual level below is far below the smallest excess: no matter how far */
#define LOWEST .4    /* of the usual level: where the grid begins */
#define FINE 1.25    /* ratio of neighbouring levels near the usual one */
#define FINE_LEVELS 9
#define COARSE 2.6   /* ... and above */
#define HIGHEST .6
#define WORST .98    /* no green fails more */
#define WALK .3      /* a period: a step up or down the grid */
#define BACK .05     /* ... to the usual */
#define JUMP .01     /* ... anywhere */
#define SURE .97     /* three hours do not show more of the usual than this */
#define ROUNDS 2     /* of expectation and maximisation */
#define SPREAD .1    /* of what is learnt, to both neighbours */
#define BLOCK 5      /* periods of history taken together */
#define RECENT 30    /* periods that say where the level is now */
#define NEGLIGIBLE (-60) /* e to that is nothing beside what goes back to the usual */

static struct judge_odds odds_of(double p)
{
	return (struct judge_odds){ log(p), log1p(-p) };
}

/* Log likelihood of a count at each level. */
static void row_of(double *row, const struct judge_odds *at, int levels, double n, double count)
{
	for (int i = 0; i < levels; i++)
		row[i] = count * at[i].fails + (n - count) * at[i].serves;
}

/* Weighs `a` by the row, brings its sum to 1, and returns the log of what it was. */
static double weigh(double *a, const double *row, int levels)
{
	double most = -INFINITY, total = 0;

	for (int i = 0; i < levels; i++)
		most = row[i] > most ? row[i] : most;
	for (int i = 0; i < levels; i++)
		total += a[i] *= row[i] - most < NEGLIGIBLE ? 0 : exp(row[i] - most);
	for (int i = 0; i < levels; i++)
		a[i] /= total; /* what goes back to the usual, and anywhere, keeps it well above 0 */
	return most + log(total);
}

/* One period on. What would leave the grid stays at its edge. */
static void advance(const struct judge_exclude *x, double *a)
{
	double was = a[0];

	for (int i = 0; i < x->levels; i++) {
		double here = a[i], next = i + 1 < x->levels ? a[i + 1] : here;

		a[i] = (1 - JUMP - BACK) * ((1 - WALK) * here + WALK / 2 * (was + next)) + x->drift[i];
		was = here;
	}
}

static void grid(struct judge_exclude *x, double usual, double ratio, const double *excess)
{
	double p = clamp(usual, LEAST, 1) * LOWEST;

	for (x->levels = 0; x->levels < JUDGE_NEAR && p < HIGHEST; x->levels++) {
		x->as_blue[x->levels] = odds_of(p);
		for (int d = 0; d < JUDGE_GATES; d++)
			x->as_worse[d][x->levels] = odds_of(fmin(fmax(ratio * p, p + excess[d]), WORST));
		p *= x->levels + 1 < FINE_LEVELS ? FINE : COARSE;
	}
}

/* Adds where the level was in one block of history. */
static void learn_block(double *sum, const struct judge_exclude *x, const double *law, const double *requests, const double *errors)
{
	double a[JUDGE_NEAR], row[JUDGE_NEAR], served = 0, failed = 0;

	for (int i = 0; i < BLOCK; i++) {
		served += requests[i];
		failed += errors[i];
	}
	memcpy(a, law, sizeof a);
	row_of(row, x->as_blue, x->levels, served, failed);
	weigh(a, row, x->levels);
	for (int i = 0; i < x->levels; i++)
		sum[i] += a[i];
}

/* How often the level was where, in all of history. */
static void learn(double *law, const struct judge_exclude *x, const struct judge_history *h)
{
	for (int i = 0; i < JUDGE_NEAR; i++)
		law[i] = i < x->levels ? 1.0 / x->levels : 0;
	for (int round = 0; round < ROUNDS; round++) {
		double sum[JUDGE_NEAR] = { 0 };

		for (int b = 0; b < JUDGE_HISTORY; b += BLOCK)
			learn_block(sum, x, law, h->requests + b, h->count[JUDGE_ERRORS] + b);
		for (int i = 0; i < x->levels; i++) {
			double beside = (sum[i ? i - 1 : 0] + sum[i + 1 < x->levels ? i + 1 : i]) / 2;
			double often = ((1 - SPREAD) * sum[i] + SPREAD * beside) * BLOCK / JUDGE_HISTORY;

			law[i] = SURE * often + (1 - SURE) / x->levels;
		}
	}
}

void exclude_start(struct judge_exclude *x, double usual, double ratio, const double *excess, const struct judge_history *h)
{
	double law[JUDGE_NEAR], row[JUDGE_NEAR];

	grid(x, usual, ratio, excess);
	learn(law, x, h);
	for (int i = 0; i < x->levels; i++)
		x->drift[i] = BACK * law[i] + JUMP / x->levels;
	memcpy(x->same, law, sizeof x->same);
	for (int k = JUDGE_HISTORY - RECENT; k < JUDGE_HISTORY; k++) {
		advance(x, x->same);
		row_of(row, x->as_blue, x->levels, h->requests[k], h->count[JUDGE_ERRORS][k]);
		weigh(x->same, row, x->levels);
	}
	for (int d = 0; d < JUDGE_GATES; d++)
		memcpy(x->worse[d], x->same, sizeof x->same);
}

static double green_half(const struct judge_pair *p, struct judge_odds one)
{
	double failed = p->count[JUDGE_GREEN], served = p->requests[JUDGE_GREEN] - failed;

	if (p->known[JUDGE_GREEN] == PAIR_MISSING) /* none, or late */
		return log(PAIR_LATE + (1 - PAIR_LATE) * exp(served * one.serves));
	return failed * one.fails + served * one.serves;
}

/* What each level makes of a period, relative to `most` and bounded: what is
 * beyond is excluded, or believed, whatever comes later. Where two neighbouring
 * excess rates ask for the same, `as` and `before`, it is there already. */
static void factors(double *factor, const struct judge_exclude *x, const double *blue, const struct judge_odds *as,
		    const struct judge_odds *before, const struct judge_pair *p, double most)
{
	for (int i = 0; i < x->levels; i++)
		if (!before || as[i].fails != before[i].fails)
			factor[i] = exp(clamp(blue[i] + green_half(p, as[i]) - most, NEGLIGIBLE, -NEGLIGIBLE));
}

/* Log probability of the period, relative to the factors' `most`; `a` follows it. */
static double expected(const struct judge_exclude *x, double *a, const double *factor)
{
	double total = 0;

	advance(x, a);
	for (int i = 0; i < x->levels; i++)
		total += a[i] *= factor[i];
	for (int i = 0; i < x->levels; i++)
		a[i] /= total; /* what goes back to the usual, and anywhere, keeps it well above 0 */
	return log(total);
}

void exclude_update(struct judge_exclude *x, const struct judge_pair *p, int step, double *against)
{
	double blue[JUDGE_NEAR], row[JUDGE_NEAR], factor[JUDGE_NEAR], most = -INFINITY, same;

	row_of(blue, x->as_blue, x->levels, p->requests[JUDGE_BLUE], p->count[JUDGE_BLUE]);
	row_of(row, x->as_blue, x->levels, p->requests[JUDGE_GREEN], p->count[JUDGE_GREEN]);
	for (int i = 0; i < x->levels; i++)
		most = fmax(most, blue[i] + row[i]);
	factors(factor, x, blue, x->as_blue, NULL, p, most);
	same = expected(x, x->same, factor);
	for (int d = 0; d < JUDGE_GATES; d += step) {
		factors(factor, x, blue, x->as_worse[d], d ? x->as_worse[d - step] : NULL, p, most);
		against[d] = same - expected(x, x->worse[d], factor);
	}
}

/* judge/history.c - what blue's last hours say about healthy.
 *
 * Two availability zones of blue are two healthy groups behind one load
 * balancer. Under "both alike", d = (x_a - x theta)^2 / J with
 * J = x theta (1 - theta) has mean 1. Errors that come in clumps and stick to
 * one group raise it at any J; a ratio that wanders adds its variance times J.
 * Two time scales tell the two apart: in ten periods J is ten times as large,
 * a clump is as large as before. (Overdispersion by the Pearson statistic:
 * McCullagh & Nelder, Generalized linear models, 1989, section 4.5.) Periods in
 * which J is small show clumps best: there a ratio that wanders adds little, and
 * a burst of thousands of errors does not drown what is usual. */
#include "judge/parts.h"

#include <math.h>
#include <stdlib.h>

#define BLOCK 10
#define ENOUGH 30         /* blocks of which a mean is no accident */
#define SINGLES 3.0       /* so many errors of one period are taken for as many events */
#define PRIOR 3.0         /* periods' worth of "alike" */
#define PRIOR_WANDER .005
#define INFLATE 1.5       /* a variance from three hours is an estimate */

static double take(const double *v, int block, int size)
{
	double t = 0;

	for (int i = 0; i < size; i++)
		t += v[block * size + i];
	return t;
}

/* Means over blocks of periods, weighted by errors; the weight; and of how many blocks alike that is the mean. */
struct spread {
	double d, j, weight, blocks;
};

/* Over blocks of `size` periods in which J is `most` at most. */
static struct spread spread_of(const struct judge_history *h, int m, int size, double most)
{
	double weights = 0, squares = 0, ds = 0, js = 0;

	for (int i = 0; i < JUDGE_HISTORY / size; i++) {
		double n = take(h->requests, i, size), x = take(h->count[m], i, size);
		double share = take(h->half_requests, i, size) / fmax(n, 1), j = x * share * (1 - share);
		double off = take(h->half_count[m], i, size) - x * share, w = fmin(x - 1, 30);

		if (x < 2 || j <= 0 || j > most)
			continue;
		weights += w;
		squares += w * w;
		ds += w * off * off / fmax(j, 1e-9);
		js += w * j;
	}
	return (struct spread){ (ds + PRIOR) / (weights + PRIOR), js / (weights + PRIOR), weights, weights * weights / fmax(squares, 1e-9) };
}

struct judge_dispersion history_dispersion(const struct judge_history *h, const struct judge_tuning *t, int metric)
{
	struct spread one = spread_of(h, metric, 1, INFINITY), ten = spread_of(h, metric, BLOCK, INFINITY);
	struct spread quiet = spread_of(h, metric, 1, t->quiet > 0 ? t->quiet : INFINITY);
	double slope = 1.4 * fmax(ten.d - one.d, 0) / fmax(ten.j - one.j, .5), extra, wander;
	bool sure = slope > t->wander_sure * sqrt(2.0 * BLOCK / JUDGE_HISTORY) * one.d / fmax(ten.j - one.j, .5);
	struct judge_dispersion d;

	wander = fmin(sure ? slope : 0, .3);
	extra = one.d - wander * one.j - 1;
	if (quiet.blocks >= ENOUGH)
		extra = fmax(extra, quiet.d - wander * quiet.j - 1);
	d.clump = 1 + (extra > .5 ? t->clump_more * extra : 0);
	d.sure = extra > t->clump_sure * sqrt(2 / fmax(one.blocks, 1)) ? d.clump : 1;
	d.wander = fmin(sure ? INFLATE * slope : PRIOR_WANDER, 1);
	d.unknown = (struct judge_clump){ 1, 1 };
	if (one.weight < t->clump_known)
		d.unknown = (struct judge_clump){ .both = fmax(t->clump_unknown / d.clump, 1), .alone = t->clump_alone };
	return d;
}

/* A clump is one event: it falls on one colour. Few errors in a period are
 * taken for as many events, else a fault's first ones would count for nothing. */
double clump_doubt(const struct judge_clump *unknown, double blue, double green)
{
	if (blue > 0 && green > 0)
		return unknown->both;
	return green > SINGLES ? green / (SINGLES + (green - SINGLES) / unknown->alone) : 1;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Median over blocks of 10, 20, 30 or 60 periods, the shortest with 8 errors on
 * average, so that a burst does not count as usual. */
double history_usual(const double *requests, const double *errors, int n)
{
	static const int sizes[] = { 30, 20, 10 };
	double rate[JUDGE_HISTORY / 10], total = 0;
	int size = 60, blocks;

	for (int i = 0; i < n; i++)
		total += errors[i];
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (total * sizes[i] / n >= 8)
			size = sizes[i];
	blocks = n / size;
	for (int i = 0; i < blocks; i++)
		rate[i] = (take(errors, i, size) + .2) / (take(requests, i, size) + 1);
	qsort(rate, (size_t)blocks, sizeof *rate, ascending);
	return blocks % 2 ? rate[blocks / 2] : (rate[blocks / 2 - 1] + rate[blocks / 2]) / 2;
}

/* judge/history.c - what blue's last hours say about healthy.
 *
 * Two availability zones of blue are two healthy groups behind one load
 * balancer. Under "both alike", d = (x_a - x theta)^2 / J with
 * J = x theta (1 - theta) has mean 1. Errors that come in clumps and stick to
 * one group raise it at any J; a ratio that wanders adds its variance times J.
 * Two time scales tell the two apart: in ten periods J is ten times as large,
 * a clump is as large as before. (Overdispersion by the Pearson statistic:
 * McCullagh & Nelder, Generalized linear models, 1989, section 4.5.) */
#include "judge/parts.h"

#include <math.h>
#include <stdlib.h>

#define BLOCK 10
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

/* Mean of d and of J over blocks of `size` periods, weighted by errors; the weight. */
static double scale(const struct judge_history *h, int m, int size, double *mean_d, double *mean_j)
{
	double weights = 0, ds = 0, js = 0;

	for (int i = 0; i < JUDGE_HISTORY / size; i++) {
		double n = take(h->requests, i, size), x = take(h->count[m], i, size);
		double share = take(h->half_requests, i, size) / fmax(n, 1), j = x * share * (1 - share);
		double off = take(h->half_count[m], i, size) - x * share, w = fmin(x - 1, 30);

		if (x < 2 || j <= 0)
			continue;
		weights += w;
		ds += w * off * off / fmax(j, 1e-9);
		js += w * j;
	}
	*mean_d = (ds + PRIOR) / (weights + PRIOR);
	*mean_j = js / (weights + PRIOR);
	return weights;
}

struct judge_dispersion history_dispersion(const struct judge_history *h, const struct judge_tuning *t, int metric)
{
	double d1, j1, d2, j2, slope, extra, known = scale(h, metric, 1, &d1, &j1);
	struct judge_dispersion d;
	bool sure;

	scale(h, metric, BLOCK, &d2, &j2);
	slope = 1.4 * fmax(d2 - d1, 0) / fmax(j2 - j1, .5);
	sure = slope > t->wander_sure * sqrt(2.0 * BLOCK / JUDGE_HISTORY) * d1 / fmax(j2 - j1, .5);
	extra = d1 - 1 - fmin(sure ? slope : 0, .3) * j1;
	d.clump = 1 + (extra > .5 ? t->clump_more * extra : 0);
	d.wander = fmin(sure ? INFLATE * slope : PRIOR_WANDER, 1);
	d.shared = known < t->clump_known ? fmax(t->clump_unknown, d.clump) : d.clump;
	return d;
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

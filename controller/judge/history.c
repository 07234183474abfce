/* judge/history.c - blue's last hours: what is usual, and how they split between
 * two zones. */
#include "judge/parts.h"

#include <math.h>
#include <stdlib.h>

static double take(const double *v, int block, int size)
{
	double t = 0;

	for (int i = 0; i < size; i++)
		t += v[block * size + i];
	return t;
}

bool history_split(const struct judge_history *h, int metric, int block, int size, struct judge_uneven *u)
{
	double n = take(h->requests, block, size), x = take(h->count[metric], block, size);
	double share = take(h->half_requests, block, size) / fmax(n, 1), off = take(h->half_count[metric], block, size) - x * share;

	u->count = x;
	u->information = x * share * (1 - share);
	u->square = off * off / fmax(u->information, 1e-9);
	return x >= 2 && u->information > 0;
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

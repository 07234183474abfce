/* judge/clump.c - what errors that come in clumps leave of a period's evidence.
 *
 * A clump is an event whose errors fall on one colour: c on average, geometric,
 * so that it brings at least x with probability (1 - 1/c)^(x-1). How likely each
 * c is, dispersion.c learns from blue's history.
 *
 * Where both colours fail, a period may say little; but the largest event that is
 * feared explains away only so much. Where green alone fails, all its errors but
 * three may be one event, and how many that brings is itself evidence: the mean
 * of the chance above over c. What was seen of such events moves the weights of
 * c, so that the next is no surprise. */
#include "judge/parts.h"

#include <math.h>

#define ASIDE 2.0 /* so few errors of blue are no part of what happens to green */

const double clump_size[JUDGE_CLUMPS] = { 1, 1.5, 2.2, 3.3, 5, 7.5, 11, 16, 25 };

static double doubt_of(const struct judge_clump *k, double blue, double green) { return blue > 0 && green > 0 ? k->both : 1; }

bool clump_feared(const struct judge_clump *k, double blue, double green)
{
	return k->large || doubt_of(k, blue, green) > 1;
}

double clump_believed(const struct judge_clump *k, double blue, double green, double l)
{
	double doubt = doubt_of(k, blue, green);

	if (!clump_feared(k, blue, green))
		return l;
	return fmin(l, fmax(fmin(l / doubt, CLUMP_MOST), l / fmax(doubt, k->largest)));
}

bool clump_alone(const struct judge_clump *k, double blue, double green)
{
	return k->times > 0 && green > CLUMP_SINGLES && (blue <= 0 || (blue <= ASIDE && clump_feared(k, blue, green)));
}

/* Of an event of c errors on average: the chance that it brings at least so many.
 * A history shows large ones seldom, so they are feared to be larger. */
static double chance_of(const struct judge_clump *k, int c, double errors)
{
	return k->chance[c] * pow(1 - 1 / fmax(clump_size[c] * k->times, 1), errors - 1);
}

double clump_surprise(const struct judge_clump *k, double errors)
{
	double chance = 0;

	for (int c = 1; c < JUDGE_CLUMPS; c++)
		chance += chance_of(k, c, errors);
	return -log(chance);
}

void clump_seen(struct judge_clump *k, double errors)
{
	double total = 0, seen[JUDGE_CLUMPS];

	for (int c = 1; c < JUDGE_CLUMPS; c++)
		total += seen[c] = chance_of(k, c, errors);
	for (int c = 1; c < JUDGE_CLUMPS && total > 0; c++)
		k->chance[c] = seen[c] / total;
}

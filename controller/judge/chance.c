#include "judge/chance.h"

#include <math.h>

double chance_roll(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return ((double)((z ^ (z >> 31)) >> 11) + .5) * 0x1p-53;
}

#define FEW 40 /* successes: fewer are counted one by one, more are as good as normal */

/* Box & Muller, A note on the generation of random normal deviates, 1958. */
static double normal(uint64_t *state)
{
	double a = chance_roll(state), b = chance_roll(state);

	return sqrt(-2 * log(a)) * cos(6.283185307179586 * b);
}

/* One by one: the distance to the next success is geometric. */
double chance_draw(uint64_t *state, double n, double p)
{
	double x = 0, at = -1, mean = n * p;

	if (!(n > 0 && p > 0))
		return 0;
	if (p >= 1)
		return n;
	if (p > .5)
		return n - chance_draw(state, n, 1 - p);
	if (mean > FEW)
		return fmin(fmax(round(mean + sqrt(mean * (1 - p)) * normal(state)), 0), n);
	while ((at += 1 + floor(log(chance_roll(state)) / log1p(-p))) < n)
		x++;
	return x;
}

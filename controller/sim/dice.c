#include "sim/dice.h"

#include <math.h>

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

#define GOLDEN 0x9e3779b97f4a7c15u

void dice_seed(struct dice *d, uint64_t seed, uint64_t stream)
{
	uint64_t x = mix(seed + GOLDEN) ^ mix(stream * GOLDEN + 1);

	for (int i = 0; i < 4; i++)
		d->s[i] = mix(x += GOLDEN);
}

static uint64_t turn(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t dice_roll(struct dice *d)
{
	uint64_t *s = d->s, r = turn(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = turn(s[3], 45);
	return r;
}

static double real_of(uint64_t x) { return (double)(x >> 11) * 0x1p-53; }

double dice_real(struct dice *d) { return real_of(dice_roll(d)); }

int64_t dice_between(struct dice *d, int64_t lo, int64_t hi)
{
	return lo + (int64_t)(dice_real(d) * (double)(hi - lo + 1));
}

double dice_normal(struct dice *d)
{
	double u = 1 - dice_real(d), v = dice_real(d);

	return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

double dice_count(struct dice *d, double mean)
{
	double p, limit, k = 0;

	if (mean <= 0)
		return 0;
	if (mean >= 16)
		return fmax(0, round(mean + sqrt(mean) * dice_normal(d)));
	limit = exp(-mean);
	p = dice_real(d);
	while (p > limit) {
		p *= dice_real(d);
		k++;
	}
	return k;
}

static double dice_each(struct dice *d, double n, double p)
{
	double k = 0;

	for (int i = 0; i < (int)n; i++) /* a few hundred at most: n p < 16, and p is a tenth or more */
		k += dice_real(d) < p;
	return k;
}

double dice_share(struct dice *d, double n, double p)
{
	double mean = n * p;

	if (mean <= 0)
		return 0;
	if (p >= 1)
		return n;
	if (p > 0.5)
		return n - dice_share(d, n, 1 - p);
	if (mean < 16) /* of many, each seldom; or of few, each asked: a half of six varies by less than chance with mean 3 */
		return p < .1 ? fmin(n, dice_count(d, mean)) : dice_each(d, n, p);
	return fmin(n, fmax(0, round(mean + sqrt(mean * (1 - p)) * dice_normal(d))));
}

double dice_fixed(uint64_t a, uint64_t b, uint64_t c)
{
	return real_of(mix(mix(mix(a + GOLDEN) + b) + c));
}

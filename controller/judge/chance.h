/* judge/chance.h - chance that is the same each time: for simulated minutes and
 * for splitting real ones. */
#ifndef CUTOVER_JUDGE_CHANCE_H
#define CUTOVER_JUDGE_CHANCE_H

#include <stdint.h>

/* In (0, 1). The generator is SplitMix64 (Steele, Lea & Flood, Fast splittable
 * pseudorandom number generators, 2014); any state is a good one. */
double chance_roll(uint64_t *state);
/* Binomial: how many of n with probability p each. Many are drawn from the
 * normal law. n need not be whole; 0 when n or p is not above 0. */
double chance_draw(uint64_t *state, double n, double p);
#endif

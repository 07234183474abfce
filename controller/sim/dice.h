/* sim/dice.h - chance that repeats: everything follows from the seed. */
#ifndef CUTOVER_SIM_DICE_H
#define CUTOVER_SIM_DICE_H

#include <stdint.h>

/* xoshiro256** (Blackman and Vigna), seeded by splitmix64. One for each
 * purpose, so that a mishap more does not change the traffic. */
struct dice {
	uint64_t s[4];
};
void dice_seed(struct dice *d, uint64_t seed, uint64_t stream);
uint64_t dice_roll(struct dice *d);
double dice_real(struct dice *d);                           /* [0, 1) */
int64_t dice_between(struct dice *d, int64_t lo, int64_t hi); /* both included */
double dice_normal(struct dice *d);                         /* mean 0, deviation 1 */
double dice_count(struct dice *d, double mean);             /* Poisson; normal from 16 on */
double dice_share(struct dice *d, double n, double p);      /* binomial, approximated */

/* The same three numbers always give the same [0, 1): for what is looked up
 * rather than rolled, however often and in whatever order. */
double dice_fixed(uint64_t a, uint64_t b, uint64_t c);
#endif

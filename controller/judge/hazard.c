/* judge/hazard.c - when did the fault begin? Nobody knows, so every onset gets
 * some prior mass: a lump at green's first request, one at each raise of the
 * weight, and a slow leak in between that never runs out (harmonic). The mixture
 * over onsets is what makes one e-process answer to all of them (Shin, Ramdas &
 * Rinaldo, E-detectors, 2023). */
#include "judge/parts.h"

#include <math.h>

#define A_RAISE 1.01 /* ratio of weights that counts as one */

static double hazard_now(const struct judge_hazard *h, double weight)
{
	if (!h->n)
		return h->first;
	return weight > h->last_weight * A_RAISE ? h->raise : h->slow / (h->n + 4);
}

double hazard_spend(struct judge_hazard *h, double weight)
{
	double spent = hazard_now(h, weight) * h->left;

	h->n++;
	h->last_weight = fmax(h->last_weight, weight);
	h->left -= spent;
	return spent;
}

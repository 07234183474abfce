/* judge/budget.c - what a green that is worse may cost, as the excess rate that
 * has to be excluded before it gets more. */
#include "judge/parts.h"

#include <math.h>

double judge_affordable(const struct judge *j, double share)
{
	const struct judge_tuning *t = &j->tune;
	double harm = j->stages.automatic ? t->harm_auto : t->harm, sure = log(1 / t->beta_last);
	double visible = j->stages.automatic ? t->visible_auto : t->visible;
	double need = fmax(harm / (j->traffic * t->observe), gate_smallest());

	if (visible > 0)
		need = fmax(need, gate_visible(&j->gate, t, j->traffic * share * t->observe, visible * sure));
	return fmin(need, gate_gross(&j->gate, t, j->traffic * share * t->patience, sure));
}

double judge_asks(struct judge *j)
{
	double need = judge_affordable(j, 1);

	if (j->tune.firm > 0)
		j->asked = need = fmax(j->asked, need);
	return need;
}

/* judge/bet.c - latency, where CloudWatch offers a percentile and no count.
 *
 * Each period bets on y = log(green's percentile / blue's): the stake wins
 * (y - margin) / width, cut to [-1, 1]. If green's periods are not slower than
 * the margin on the whole, wealth is a supermartingale whatever the law of the
 * percentiles (Waudby-Smith & Ramdas, Estimating means of bounded random
 * variables by betting, 2023). Stakes and onsets are mixed as everywhere.
 *
 * A high percentile of few requests lies low, so it speaks for green: periods
 * with too few requests for it are left out. */
#include "judge/parts.h"

#include <math.h>

static const double stake[JUDGE_STAKES] = { .1, .25, .5, .9 };

#define MARGIN .1  /* log ratio that healthy colours may show */
#define WIDTH .35
#define TAIL 3     /* requests beyond the percentile that make it worth reading */

void bet_start(struct judge_bet *b)
{
	*b = (struct judge_bet){ 0 };
	for (int i = 0; i < JUDGE_STAKES; i++)
		b->log_wealth[i] = -INFINITY;
}

static bool readable(const struct judge_point *p, double quantile)
{
	return p && p->latency > 0 && p->requests * (1 - quantile) >= TAIL;
}

void bet_update(struct judge_bet *b, const struct judge_point *blue, const struct judge_point *green, double quantile,
		double onset, double left)
{
	bool read = readable(blue, quantile) && readable(green, quantile);
	double won = read ? clamp((log(green->latency / blue->latency) - MARGIN) / WIDTH, -1, 1) : 0;
	double sum = log(left);

	for (int i = 0; i < JUDGE_STAKES; i++) {
		b->log_wealth[i] = log_sum(b->log_wealth[i], log(onset / JUDGE_STAKES)) + log1p(stake[i] * won);
		sum = log_sum(sum, b->log_wealth[i]);
	}
	b->log_e = sum;
}

/* judge/split.c - the split of errors between the colours, given their total.
 *
 * If green is as good as blue, each of the x errors of a period was green's
 * with probability theta = green's share of the requests that were counted,
 * whatever the traffic, the level and the bursts: the load balancer throws the
 * dice. If green fails r times as often, that probability is
 * r theta / (r theta + 1 - theta), and the likelihood ratio is
 *
 *     L_r = r^x_green / (r theta + 1 - theta)^x.
 *
 * The e-process is the mixture of its products over ratios and onsets
 * (Robbins, Statistical methods related to the law of the iterated logarithm,
 * 1970; for counts Lindon & Malek, Anytime-valid inference for multinomial
 * count data, 2022).
 *
 * Two healthy groups are not always that alike. What blue's own zones show is
 * divided out: errors that come in clumps (a factor), and a ratio that wanders
 * (variance of its logarithm, so it grows with the information). */
#include "judge/parts.h"

#include <math.h>

#define SLIGHT 0 /* of these ratios: asked for where groups are known to be that alike */
static const double ratio[JUDGE_RATIOS] = { 1.3, 2, 2.6, 4, 7, 15, 40, 150, 1000, 1e5 };
static const double prior[SPLIT_PRIORS][JUDGE_RATIOS] = {
	[SPLIT_ANY] = { 0, .28, .12, .16, .12, .10, .08, .06, .04, .04 },
	[SPLIT_SPEED] = { 0, .2, .22, .26, .18, .08, .03, .02, .01, 0 },
};

#define WANDER_SDS 4.5    /* ratios closer to 1 than this many deviations are left out */
#define WANDER_MOST 4.0   /* ... up to exp(4) */
#define RATIO_KEPT 100    /* ratios from here on are always asked for */

void split_start(struct judge_split *s, const struct judge_dispersion *d, enum split_prior kind, double slight)
{
	double total = 0;

	*s = (struct judge_split){ .clump = d->clump, .wander = d->wander, .unknown = d->unknown };
	s->ratio_min = exp(fmin(WANDER_SDS * sqrt(d->wander), WANDER_MOST));
	for (int i = 0; i < JUDGE_RATIOS; i++) {
		s->prior[i] = ratio[i] >= fmin(s->ratio_min, RATIO_KEPT) * .999 ? (i == SLIGHT ? slight : prior[kind][i]) : 0;
		s->log_ratio[i] = -INFINITY;
		total += s->prior[i];
	}
	for (int i = 0; i < JUDGE_RATIOS; i++)
		s->prior[i] /= total;
}

struct judge_split split_begun(const struct judge_split *s)
{
	struct judge_split begun = *s;

	for (int i = 0; i < JUDGE_RATIOS; i++)
		begun.log_ratio[i] = log(s->prior[i]);
	return begun;
}

void split_expect(struct judge_split *s, const struct judge_split *seen)
{
	for (int i = 0; i < JUDGE_RATIOS; i++)
		s->prior[i] = (s->prior[i] + exp(seen->log_ratio[i] - seen->log_e)) / 2;
}

/* A clump is one event: it falls on one colour. Where green alone fails, its
 * errors say no more than three single ones, or than one that is a surprise by
 * how many errors it brings; `single`: what an error of green says. */
static double as_events(const struct judge_split *s, double green, double single)
{
	return fmax(CLUMP_SINGLES * single, single + clump_surprise(&s->unknown, green));
}

/* What is believed of `l` where green alone fails. */
static double believed_alone(const struct judge_split *s, double green, double l, double single)
{
	const struct judge_clump *k = &s->unknown;

	if (clump_alone(k, 0, green))
		l = fmin(l, as_events(s, green, single));
	if (k->large)
		l = fmin(l, fmax(CLUMP_MOST, k->times > 0 ? single + clump_surprise(k, green) : 0));
	return l;
}

/* ... and where both do: a few errors of blue do not make less of what green's say
 * alone. `fails`: what an error of green says, `any`: ... of anybody, against. */
static double believed(const struct judge_split *s, double blue, double green, double l, double fails, double any)
{
	double most = clump_believed(&s->unknown, blue, green, l);

	if (clump_alone(&s->unknown, blue, green))
		most = fmax(most, fmin(l, as_events(s, green, fails - any) - blue * any));
	return most;
}

void split_update(struct judge_split *s, const struct judge_pair *p, double onset, double left)
{
	double green = p->count[JUDGE_GREEN], blue = p->count[JUDGE_BLUE], total = green + blue;
	double share = p->requests[JUDGE_GREEN] / fmax(p->requests[JUDGE_GREEN] + p->requests[JUDGE_BLUE], 1);
	double divisor = s->clump + s->wander * total * share * (1 - share);
	double sum = log(left);

	for (int i = 0; i < JUDGE_RATIOS; i++) {
		double fails = log(ratio[i]) / divisor, any = log(ratio[i] * share + 1 - share) / divisor;
		double l = green * fails - total * any;

		l = blue > 0 ? believed(s, blue, green, l, fails, any) : believed_alone(s, green, l, fails - any);
		s->log_ratio[i] = log_sum(s->log_ratio[i], log(onset * s->prior[i])) + l;
		sum = log_sum(sum, s->log_ratio[i]);
	}
	s->log_e = sum;
	if (clump_alone(&s->unknown, blue, green))
		clump_seen(&s->unknown, green);
}

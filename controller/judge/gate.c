/* judge/gate.c - a stage is left only when it has shown enough.
 *
 * Not seeing a fault proves little when few requests were seen. For each excess
 * rate d the gate follows the log evidence against it,
 *
 *     G_d += log P(green's errors | p) / P(green's errors | max(2p, p + d)),
 *
 * a sequential test with error beta at ln(1/beta) (Wald, Sequential analysis,
 * 1947), kept from falling below a floor so that one bad hour does not need
 * another to be made good. A stage may be left when those d are excluded that
 * the next one could not afford: budget / (traffic x next weight x time to
 * react). So a suspicious green stays small while evidence grows.
 *
 * The level p is blue's, decaying over a quarter of an hour, kept near the
 * usual one: a burst of blue must not make green look good. */
#include "judge/parts.h"

#include <math.h>
#include <string.h>

static const double excess[JUDGE_GATES] = { 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, .01, .02, .05, .1, .2, .4, .7 };

#define MEMORY 15.0 /* periods */
#define HEAD 2      /* what a gate may have above its threshold */

double gate_smallest(void)
{
	return excess[0];
}

void gate_start(struct judge_gate *g, const struct judge_tuning *t, double usual, double traffic)
{
	(void)t;
	*g = (struct judge_gate){ .usual = usual, .errors = usual * traffic * 30, .requests = traffic * 30 };
}

static void follow_blue(struct judge_gate *g, const struct judge_tuning *t, const struct judge_pair *p, double traffic)
{
	double keep = exp(-1 / MEMORY), prior = (1 - keep) * traffic * t->level_prior;
	double expected = g->errors / g->requests * p->requests[JUDGE_BLUE];
	double most = expected + 2 * sqrt(expected) + 1;

	g->errors = g->errors * keep + fmin(p->count[JUDGE_BLUE], most) + g->usual * prior;
	g->requests = g->requests * keep + p->requests[JUDGE_BLUE] + prior;
}

static double level(const struct judge_gate *g, const struct judge_tuning *t)
{
	double p = g->errors / g->requests;

	return clamp(clamp(p, t->level_low * g->usual, t->level_high * g->usual), 1e-7, .9);
}

void gate_update(struct judge_gate *g, const struct judge_tuning *t, const struct judge_pair *p, double traffic,
		 double clump, int period)
{
	double failed = p->count[JUDGE_GREEN], served = p->requests[JUDGE_GREEN] - failed, usual;
	double top = log(1 / t->beta) + HEAD;

	follow_blue(g, t, p, traffic);
	usual = level(g, t);
	for (int i = 0; i < JUDGE_GATES; i++) {
		double bad = fmin(fmax(t->excess_ratio * usual, usual + excess[i]), .98);
		double l = (failed * log(usual / bad) + served * log((1 - usual) / (1 - bad))) / clump;

		if (t->gate_cap > 0)
			l = fmax(l, -t->gate_cap);
		g->run[i] = clamp(g->run[i] + l, t->gate_floor, top);
		if (period >= g->stage_from)
			g->stage[i] = clamp(g->stage[i] + l, t->gate_floor, top);
	}
}

void gate_stage(struct judge_gate *g, int now)
{
	memset(g->stage, 0, sizeof g->stage);
	g->stage_from = now;
}

double gate_excluded(const double *evidence, double need)
{
	for (int i = 0; i < JUDGE_GATES; i++)
		if (evidence[i] >= need)
			return excess[i];
	return 1;
}

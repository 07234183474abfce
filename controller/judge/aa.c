#include "judge/aa.h"

#include "judge/chance.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct drive {
	struct judge judge;
	struct judge_answer answer;
	const struct power_plan *plan;
	const struct aa_past *past;
	struct judge_point late[JUDGE_RING][2]; /* until they would be shown */
	uint64_t dice;
	int start, now;
};

static bool seen(const struct aa_period *p) { return p->requests > 0; }

/* Each request stays with probability `share`, failed or not. */
static struct aa_period thin(struct aa_period p, double share, uint64_t *dice)
{
	double failed = chance_draw(dice, p.errors, share);

	p.requests = failed + chance_draw(dice, p.requests - p.errors, share);
	p.errors = failed;
	p.slow = fmin(chance_draw(dice, p.slow, share), p.requests);
	return p;
}

static struct aa_period rest(struct aa_period all, struct aa_period part)
{
	return (struct aa_period){ all.requests - part.requests, all.errors - part.errors, all.latency,
				   fmin(all.slow - part.slow, all.requests - part.requests) };
}

/* --- before ------------------------------------------------------------------------ */

static void history_at(struct judge_history *h, int i, const struct aa_period *whole, const struct aa_period *half)
{
	h->requests[i] = whole->requests;
	h->count[JUDGE_ERRORS][i] = whole->errors;
	h->half_requests[i] = half->requests;
	h->half_count[JUDGE_ERRORS][i] = half->errors;
	h->count[JUDGE_SLOW][i] = whole->slow;
	h->half_count[JUDGE_SLOW][i] = half->slow;
}

static void fill_history(struct drive *d, struct judge_history *h)
{
	const struct aa_past *past = d->past;

	memset(h, 0, sizeof *h);
	for (int i = 0; i < JUDGE_HISTORY; i++) {
		int k = d->start - JUDGE_HISTORY + i;
		struct aa_period a, b = { 0 };

		if (k < 0 || !seen(&past->group[0][k]))
			continue;
		a = past->group[0][k];
		if (!past->group[1]) {
			b = a;
			a = thin(b, .5, &d->dice);
			history_at(h, i, &b, &a);
			continue;
		}
		if (seen(&past->group[1][k]))
			b = past->group[1][k];
		b.requests += a.requests;
		b.errors += a.errors;
		b.slow += a.slow;
		history_at(h, i, &b, &a);
	}
}

/* --- during --------------------------------------------------------------------------- */

/* Green is to have `weight` of what both have. */
static void divide(struct drive *d, int k, double weight, struct aa_period *blue, struct aa_period *green)
{
	const struct aa_period *const *group = d->past->group;
	double share;

	*blue = *green = group[0][k];
	if (!group[1]) {
		*green = thin(*blue, weight, &d->dice);
		*blue = rest(*blue, *green);
		blue->latency = green->latency = 0; /* one series: nothing to compare */
		return;
	}
	*green = group[1][k];
	if (!seen(green) || !seen(blue))
		return;
	share = weight < 1 ? weight / (1 - weight) * blue->requests / green->requests : INFINITY;
	if (share <= 1)
		*green = thin(*green, share, &d->dice);
	else
		*blue = thin(*blue, 1 / share, &d->dice);
}

static struct judge_point point_of(int period, const struct aa_period *p)
{
	struct judge_point out = { .period = period, .requests = p->requests, .latency = p->latency };

	for (int m = 0; m < JUDGE_METRICS; m++)
		out.count[m] = -1;
	if (p->errors > 0)
		out.count[JUDGE_ERRORS] = p->errors;
	out.count[JUDGE_SLOW] = p->slow;
	return out;
}

static void show(struct drive *d, int period)
{
	for (int c = 0; c < 2 && period >= 0; c++)
		if (d->late[period % JUDGE_RING][c].requests > 0)
			judge_see(&d->judge, (enum judge_colour)c, d->now, &d->late[period % JUDGE_RING][c]);
}

static void pass(struct drive *d, int stage, double weight)
{
	struct aa_period blue, green;
	struct judge_point *late = d->late[d->now % JUDGE_RING];

	divide(d, d->start + d->now, weight, &blue, &green);
	late[JUDGE_BLUE] = point_of(d->now, &blue);
	late[JUDGE_GREEN] = point_of(d->now, &green);
	d->now++;
	show(d, d->now - 1 - d->plan->lag);
	judge_poll(&d->judge, d->now, stage, weight, &d->answer);
}

/* False: it has ended. */
static bool goes_on(struct drive *d, int stage, double weight, struct aa_outcome *out)
{
	if (d->start + d->now >= d->past->n) {
		out->end = AA_ENDS;
		return false;
	}
	pass(d, stage, weight);
	out->log_e = fmax(out->log_e, d->answer.log_e);
	if (d->answer.kind == VERDICT_BAD)
		out->end = AA_BACK;
	return d->answer.kind != VERDICT_BAD;
}

/* A stage is left when its bake is over and the judge lets go. */
static bool stay(struct drive *d, int stage, struct aa_outcome *out)
{
	const struct power_stage *s = &d->plan->stage[stage];
	int longest = s->bake + d->plan->hold;

	for (int i = 1; i <= longest; i++) {
		if (!goes_on(d, stage, s->weight, out))
			return false;
		if (i >= s->bake && d->answer.kind == VERDICT_GOOD)
			return true;
	}
	out->end = AA_HELD;
	return longest < 1;
}

/* Weights of its own: until it promotes. */
static bool ramp(struct drive *d, struct aa_outcome *out)
{
	for (int i = 0; i < d->plan->longest; i++) {
		if (!goes_on(d, 0, d->answer.weight, out))
			return false;
		if (d->answer.promote)
			return true;
	}
	out->end = AA_HELD;
	return false;
}

static void begin(struct drive *d)
{
	struct judge_stages s = { .n = d->plan->stages, .automatic = d->plan->automatic };
	struct judge_history h;

	for (int i = 0; i < s.n; i++)
		s.weight[i] = d->plan->stage[i].weight;
	fill_history(d, &h);
	judge_start(&d->judge, &d->plan->tune, &s, &h, d->plan->metrics);
	judge_poll(&d->judge, 0, 0, 0, &d->answer);
}

void aa_try(const struct power_plan *p, const struct aa_past *past, int start, uint64_t seed, struct aa_outcome *out)
{
	struct drive d = { .plan = p, .past = past, .start = start, .dice = seed };

	begin(&d);
	*out = (struct aa_outcome){ .log_e = -INFINITY };
	for (out->stage = 0; out->stage < p->stages; out->stage++)
		if (!(p->automatic ? ramp(&d, out) : stay(&d, out->stage, out)))
			break;
	if (out->stage == p->stages)
		out->end = AA_THROUGH;
	out->took = d.now;
	snprintf(out->reason, sizeof out->reason, "%s", d.answer.reason);
}

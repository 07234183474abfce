#include "judge/power.h"

#include "judge/chance.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POLLS 30000 /* of one question: long bakes are shown to fewer worlds */
#define FEWEST 20

const struct power_fault power_faults[POWER_FAULTS] = {
	{ "none", 0, 0 }, { "x2", 2, 0 }, { "x10", 10, 0 }, { "0.5%", 0, .005 }, { "2%", 0, .02 }, { "10%", 0, .1 }, { "100%", 0, 1 },
};

double power_rate(const struct power_plan *p, const struct power_fault *f)
{
	return fmin(fmax(fmax(p->errors, f->ratio * p->errors), f->rate), 1);
}

/* --- one world ---------------------------------------------------------------------- */

struct world {
	struct judge judge;
	struct judge_answer answer;
	struct judge_point late[JUDGE_RING][2]; /* until CloudWatch shows them */
	uint64_t dice;
	int now;
	double harm;
};

static void fill_history(struct judge_history *h, const struct power_plan *p, uint64_t *dice)
{
	memset(h, 0, sizeof *h);
	for (int i = 0; i < JUDGE_HISTORY; i++) {
		h->requests[i] = chance_draw(dice, p->requests * 1000, .001);
		h->half_requests[i] = chance_draw(dice, h->requests[i], .5);
		h->half_count[JUDGE_ERRORS][i] = chance_draw(dice, h->half_requests[i], p->errors);
		h->count[JUDGE_ERRORS][i] = h->half_count[JUDGE_ERRORS][i] +
			chance_draw(dice, h->requests[i] - h->half_requests[i], p->errors);
	}
}

static void world_begin(struct world *w, const struct power_plan *p, int number)
{
	struct judge_stages s = { .n = p->stages, .automatic = p->automatic };
	struct judge_history h;

	memset(w, 0, sizeof *w);
	w->dice = (uint64_t)number * 0x9e3779b9u + 1;
	for (int i = 0; i < p->stages; i++)
		s.weight[i] = p->stage[i].weight;
	fill_history(&h, p, &w->dice);
	judge_start(&w->judge, &p->tune, &s, &h, p->metrics);
	judge_poll(&w->judge, 0, 0, 0, &w->answer);
}

static struct judge_point count(struct world *w, double requests, double rate)
{
	struct judge_point p = { .period = w->now, .requests = requests };
	double failed = chance_draw(&w->dice, requests, rate);

	for (int m = 0; m < JUDGE_METRICS; m++)
		p.count[m] = -1;
	if (failed > 0)
		p.count[JUDGE_ERRORS] = failed;
	return p;
}

/* CloudWatch has no datapoint of a group that got nothing. */
static void show(struct world *w, int period)
{
	for (int c = 0; c < 2; c++)
		if (period >= 0 && w->late[period % JUDGE_RING][c].requests > 0)
			judge_see(&w->judge, (enum judge_colour)c, w->now, &w->late[period % JUDGE_RING][c]);
}

static double weight_at(const struct world *w, const struct power_plan *p, int stage)
{
	return p->automatic ? w->answer.weight : p->stage[stage].weight;
}

/* One more period at this stage; true when green is taken back at its end. */
static bool pass(struct world *w, const struct power_plan *p, int stage, double green_rate)
{
	double weight = weight_at(w, p, stage);
	double all = chance_draw(&w->dice, p->requests * 1000, .001), green = chance_draw(&w->dice, all, weight);
	struct judge_point *late = w->late[w->now % JUDGE_RING];

	late[JUDGE_BLUE] = count(w, all - green, p->errors);
	late[JUDGE_GREEN] = count(w, green, green_rate);
	w->harm += green * (green_rate - p->errors);
	w->now++;
	show(w, w->now - 1 - p->lag);
	judge_poll(&w->judge, w->now, stage, weight, &w->answer);
	return w->answer.kind == VERDICT_BAD;
}

static int worlds_for(int polls)
{
	int n = polls > 0 ? POLLS / polls : POWER_WORLDS;

	return n > POWER_WORLDS ? POWER_WORLDS : n < FEWEST ? FEWEST : n;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The smallest value that `share` of them do not exceed. */
static double quantile(double *v, int n, double share)
{
	int i = (int)ceil(share * n) - 1;

	qsort(v, (size_t)n, sizeof *v, ascending);
	return n > 0 ? v[i < 0 ? 0 : i] : INFINITY;
}

/* --- stage by stage --------------------------------------------------------------------- */

/* Periods from the stage's beginning until it is found; 0: not within the bake. */
static short find_in_stage(const struct world *before, const struct power_plan *p, int stage, double rate)
{
	struct world w = *before;

	for (int i = 1; i <= p->stage[stage].bake && i <= SHRT_MAX; i++)
		if (pass(&w, p, stage, rate))
			return (short)i;
	return 0;
}

static struct power_sight sight_of(const short *found, int n)
{
	struct power_sight s = { 0 };
	double v[POWER_WORLDS];

	for (int i = 0; i < n; i++) {
		v[i] = found[i] ? found[i] : INFINITY;
		s.found += found[i] ? 1.0 / n : 0;
	}
	s.after = quantile(v, n, POWER_SURE);
	if (!isfinite(s.after))
		s.after = -1;
	return s;
}

/* All faults at each stage of one world, which stays healthy itself. */
static void look_at_world(const struct power_plan *p, int number, short found[][POWER_FAULTS][POWER_WORLDS])
{
	struct world w;

	world_begin(&w, p, number);
	for (int s = 0; s < p->stages; s++) {
		for (int f = 0; f < POWER_FAULTS; f++)
			found[s][f][number] = find_in_stage(&w, p, s, power_rate(p, &power_faults[f]));
		for (int k = 0; k < p->stage[s].bake; k++)
			pass(&w, p, s, p->errors);
	}
}

void power_look(const struct power_plan *p, struct power_sight out[][POWER_FAULTS])
{
	short found[JUDGE_STAGES][POWER_FAULTS][POWER_WORLDS];
	int polls = 0, worlds;

	for (int i = 0; i < p->stages; i++)
		polls += p->stage[i].bake * (POWER_FAULTS / 2 + 1);
	worlds = worlds_for(polls);
	for (int i = 0; i < worlds; i++)
		look_at_world(p, i, found);
	for (int s = 0; s < p->stages; s++)
		for (int f = 0; f < POWER_FAULTS; f++)
			out[s][f] = sight_of(found[s][f], worlds);
}

/* --- a whole run ------------------------------------------------------------------------------ */

enum end { FOUND, HELD, THROUGH };
struct trip {
	enum end end;
	int stage;
	double took, harm, excess[JUDGE_STAGES];
};

/* Stays until the bake is over and the judge lets go. */
static bool leave_stage(struct world *w, const struct power_plan *p, double rate, struct trip *t)
{
	int longest = p->stage[t->stage].bake + p->hold;

	for (int i = 1; i <= longest; i++) {
		if (pass(w, p, t->stage, rate)) {
			t->end = FOUND;
			return false;
		}
		if (i >= p->stage[t->stage].bake && w->answer.kind == VERDICT_GOOD)
			return true;
	}
	t->end = HELD;
	return longest < 1;
}

/* Weights of its own: until it promotes. */
static void ramp(struct world *w, const struct power_plan *p, double rate, struct trip *t)
{
	t->end = HELD;
	for (int i = 0; i < p->longest && t->end == HELD; i++)
		if (pass(w, p, 0, rate))
			t->end = FOUND;
		else if (w->answer.promote)
			t->end = THROUGH;
	t->stage = t->end == THROUGH;
	t->excess[0] = w->answer.excess;
}

static void climb(struct world *w, const struct power_plan *p, double rate, struct trip *t)
{
	for (t->stage = 0; t->stage < p->stages; t->stage++) {
		if (!leave_stage(w, p, rate, t))
			return;
		t->end = THROUGH;
		t->excess[t->stage] = w->answer.excess;
	}
}

static struct trip travel(const struct power_plan *p, const struct power_fault *f, int number)
{
	struct trip t = { .end = THROUGH };
	double rate = power_rate(p, f);
	struct world w;

	world_begin(&w, p, number);
	(p->automatic ? ramp : climb)(&w, p, rate, &t);
	t.took = w.now;
	t.harm = w.harm;
	return t;
}

static double share(const struct trip *t, int n, enum end end)
{
	double x = 0;

	for (int i = 0; i < n; i++)
		x += t[i].end == end;
	return x / n;
}

/* v[i] of those that ended so; the rest are left out. */
static int pick_took(const struct trip *t, int n, enum end end, double *v)
{
	int k = 0;

	for (int i = 0; i < n; i++)
		if (t[i].end == end)
			v[k++] = t[i].took;
	return k;
}

static void sum_up_found(const struct trip *t, int n, struct power_run *out)
{
	double v[POWER_WORLDS];

	for (int i = 0; i < n; i++)
		v[i] = t[i].end == FOUND ? t[i].took : INFINITY;
	out->after = quantile(v, n, POWER_SURE);
	for (int i = 0; i < n; i++)
		if (t[i].end == FOUND && t[i].took <= out->after && t[i].stage > out->stage)
			out->stage = t[i].stage;
	if (!isfinite(out->after))
		out->after = -1;
}

static void sum_up(const struct trip *t, int n, int stages, struct power_run *out)
{
	double v[POWER_WORLDS];
	int k;

	*out = (struct power_run){ .found = share(t, n, FOUND), .held = share(t, n, HELD), .promoted = share(t, n, THROUGH) };
	sum_up_found(t, n, out);
	for (int i = 0; i < n; i++)
		out->harm += (v[i] = t[i].harm) / n;
	out->harm_worst = quantile(v, n, .9);
	k = pick_took(t, n, THROUGH, v);
	out->took = k ? quantile(v, k, .5) : -1;
	for (int s = 0; s < stages; s++) {
		k = 0;
		for (int i = 0; i < n; i++)
			if (t[i].stage > s)
				v[k++] = t[i].excess[s];
		out->excess[s] = k ? quantile(v, k, .5) : 1;
	}
}

void power_try(const struct power_plan *p, const struct power_fault *f, struct power_run *out)
{
	struct trip t[POWER_WORLDS];
	int polls = p->automatic ? p->longest / 4 : 0, worlds;

	for (int i = 0; i < p->stages; i++)
		polls += p->stage[i].bake + p->hold / 2;
	worlds = worlds_for(polls * 4);
	for (int i = 0; i < worlds; i++)
		t[i] = travel(p, f, i);
	sum_up(t, worlds, p->automatic ? 1 : p->stages, out);
}

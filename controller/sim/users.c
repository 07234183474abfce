/* The users: how many requests there are each second, and what became of them. */
#include "sim/world.h"

#include <math.h>
#include <string.h>

#define DAY_MS    86400000.0
#define RATE_MS   60000
#define UNFIT     0.5   /* of the requests fail when the tables are another version's (measured, 1.43 on 1.39's) */

struct tally *users_tally(struct sim *s, struct tally *ring, int64_t period)
{
	struct tally *t = &ring[period % PERIODS];

	(void)s;
	if (t->period != period)
		*t = (struct tally){ .period = period, .healthy = TARGETS_MAX };
	return t;
}

/* Busier by day than by night, and never twice the same. */
static void new_rate(struct sim *s)
{
	double day = 2 * M_PI * fmod((double)s->now, DAY_MS) / DAY_MS;

	s->drift = 0.9 * s->drift + 0.04 * dice_normal(&s->users_dice);
	s->rate = s->base_rate * (1 - 0.15 * cos(day)) * exp(s->drift);
	s->next_rate = s->now + RATE_MS;
}

static void refuse(struct sim *s, struct tally *t, double n)
{
	t->unserved += n;
	s->failed += n;
}

/* Where the balancer sends requests of a group: to the healthy; when all are
 * unhealthy, to all (it "fails open"); nowhere while the first checks run. */
static int reachable(const struct side *c, int *dead)
{
	int n[DRAINING + 1] = { 0 }, gone[DRAINING + 1] = { 0 };

	for (int i = 0; i < c->ntargets; i++) {
		n[c->target[i].state]++;
		gone[c->target[i].state] += c->target[i].dead;
	}
	*dead = n[HEALTHY] ? gone[HEALTHY] : gone[UNHEALTHY];
	return n[HEALTHY] ? n[HEALTHY] : n[UNHEALTHY];
}

static void serve(struct sim *s, int colour, double n, int64_t period)
{
	struct side *c = &s->side[colour];
	struct tally *t = users_tally(s, c->tally, period);
	int dead, targets = reachable(c, &dead), healthy = balancer_healthy(c);

	t->healthy = healthy < t->healthy ? healthy : t->healthy;
	t->unhealthy = c->ntargets - healthy > t->unhealthy ? c->ntargets - healthy : t->unhealthy;
	if (n <= 0)
		return;
	if (!targets) {
		refuse(s, users_tally(s, s->balancer_tally, period), n);
		s->failed_by[colour] += n;
		return;
	}
	double refused = dice_share(&s->users_dice, n, c->cold ? 1 : (double)dead / targets);
	double errors = dice_share(&s->users_dice, n - refused, databases_fit(s, colour) ? c->errors : UNFIT);

	databases_edit(s, colour, n - refused - errors);
	t->requests += n;
	t->refused += refused;
	t->errors += errors;
	t->api += c->api > 0 ? dice_share(&s->users_dice, n - refused - errors, c->api) : 0;
	t->slowness += n * c->slowness;
	s->failed += refused + errors;
	s->failed_by[colour] += refused + errors;
}

void users_tick(struct sim *s)
{
	int64_t period = (s->now - 1) / s->period_ms; /* the second that ends now */
	struct tally *all = users_tally(s, s->balancer_tally, period);
	double n, green;

	if (s->now >= s->next_rate)
		new_rate(s);
	n = dice_count(&s->users_dice, s->rate);
	s->users += n;
	all->requests += n;
	if (s->live.of[BLUE] <= 0 && s->live.of[GREEN] <= 0) {
		refuse(s, all, n);
		return;
	}
	green = dice_share(&s->users_dice, n, green_share(&s->live));
	serve(s, BLUE, n - green, period);
	serve(s, GREEN, green, period);
}

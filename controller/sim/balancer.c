/* Rules, weights on their way to the data plane, target groups and health. */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#define WEIGHT_MAX   999
#define STICKY_MAX   604800
#define DRAIN_MS     60000
#define UNHEALTHY_MS 45000

/* --- weights -------------------------------------------------------------- */

static void remember(struct sim *s)
{
	if (s->npast == PAST)
		memmove(s->past, s->past + 1, --s->npast * sizeof *s->past);
	s->past[s->npast++] = (struct moved){ s->now, s->control };
}

/* The data plane follows 2 to 20 s later, and never overtakes itself. */
static void send_out(struct sim *s)
{
	int64_t at = s->now + dice_between(&s->world_dice, 2000, 20000);

	if (s->nwaiting == WAITING)
		s->nwaiting--;
	if (s->nwaiting && s->waiting[s->nwaiting - 1].at > at)
		at = s->waiting[s->nwaiting - 1].at;
	s->waiting[s->nwaiting++] = (struct moved){ at, s->control };
}

static void start_checks(struct sim *s, struct side *c)
{
	for (int i = 0; i < c->ntargets; i++) {
		struct target *t = &c->target[i];

		if (t->state != UNUSED)
			continue;
		t->state = INITIAL;
		t->due = s->now + dice_between(&s->world_dice, 30000, 60000);
	}
}

/* A group that no rule names is not checked: its targets are "unused". */
static void follow_rule(struct sim *s)
{
	for (int i = 0; i < COLOURS; i++) {
		struct side *c = &s->side[i];

		c->on_rule = s->control.of[i] >= 0;
		if (c->on_rule)
			start_checks(s, c);
		for (int k = 0; k < c->ntargets && !c->on_rule; k++)
			if (c->target[k].state != DRAINING)
				c->target[k].state = UNUSED, c->target[k].due = 0;
	}
}

void balancer_set(struct sim *s, struct split w)
{
	s->control = w;
	remember(s);
	send_out(s);
	follow_rule(s);
}

void balancer_open(struct sim *s, int blue_weight)
{
	s->control = s->live = (struct split){ { blue_weight, -1 } };
	remember(s);
	for (int i = 0; i < TARGETS; i++)
		s->side[BLUE].target[i] = (struct target){ .state = HEALTHY };
	s->side[BLUE].ntargets = s->side[BLUE].desired = TARGETS;
	s->side[BLUE].on_rule = true;
}

/* --- health ----------------------------------------------------------------- */

int balancer_healthy(const struct side *c)
{
	int n = 0;

	for (int i = 0; i < c->ntargets; i++)
		n += c->target[i].state == HEALTHY;
	return n;
}

static int running(const struct side *c)
{
	int n = 0;

	for (int i = 0; i < c->ntargets; i++)
		n += c->target[i].state != DRAINING;
	return n;
}

static void add_target(struct sim *s, struct side *c)
{
	if (c->ntargets == TARGETS_MAX)
		return;
	c->target[c->ntargets++] = (struct target){ .state = UNUSED };
	if (c->on_rule)
		start_checks(s, c);
}

void balancer_run(struct sim *s, int colour, int targets)
{
	struct side *c = &s->side[colour];
	int surplus = running(c) - targets;

	for (; surplus < 0 && c->ntargets < TARGETS_MAX; surplus++)
		add_target(s, c);
	for (int i = c->ntargets - 1; i >= 0 && surplus > 0; i--) {
		if (c->target[i].state == DRAINING)
			continue;
		c->target[i].state = DRAINING;
		c->target[i].due = s->now + DRAIN_MS;
		surplus--;
	}
}

static void settle(const struct side *c, struct target *t)
{
	t->due = 0;
	t->state = c->cold || t->dead ? UNHEALTHY : HEALTHY;
}

static void check_targets(struct sim *s, struct side *c)
{
	for (int i = 0; i < c->ntargets; i++) {
		struct target *t = &c->target[i];

		if (t->dead && t->state == HEALTHY && !t->due)
			t->due = s->now + dice_between(&s->world_dice, UNHEALTHY_MS / 2, UNHEALTHY_MS);
		if (!t->due || t->due > s->now)
			continue;
		if (t->state == DRAINING)
			c->target[i--] = c->target[--c->ntargets];
		else
			settle(c, t);
	}
}

void balancer_tick(struct sim *s)
{
	while (s->nwaiting && s->waiting[0].at <= s->now) {
		s->live = s->waiting[0].w;
		memmove(s->waiting, s->waiting + 1, --s->nwaiting * sizeof *s->waiting);
	}
	for (int i = 0; i < COLOURS; i++) {
		if (!s->side[i].since && s->live.of[i] > 0)
			s->side[i].since = s->now;
		check_targets(s, &s->side[i]);
	}
}

/* --- ModifyRule -------------------------------------------------------------- */

int balancer_colour(const struct sim *s, const char *arn)
{
	for (int i = 0; i < COLOURS; i++)
		if (s->side[i].exists && !strcmp(s->side[i].arn, arn))
			return i;
	return -1;
}

static const char *check_group(const struct sim *s, const struct modify *m, size_t i, struct split *w,
			       char *why, size_t size)
{
	int colour = balancer_colour(s, m->group[i].arn);

	if (!*m->group[i].arn)
		return snprintf(why, size, "A target group ARN must be specified"), "ValidationError";
	if (m->group[i].weight < 0 || m->group[i].weight > WEIGHT_MAX)
		return snprintf(why, size, "Weight %ld is not between 0 and 999", m->group[i].weight),
		       "ValidationError";
	if (colour < 0)
		return snprintf(why, size, "Target groups '%.200s' not found", m->group[i].arn),
		       "TargetGroupNotFound";
	if (w->of[colour] >= 0)
		return snprintf(why, size, "Target group '%.200s' is specified more than once", m->group[i].arn),
		       "ValidationError";
	w->of[colour] = (int)m->group[i].weight;
	return NULL;
}

static const char *check_rule(const struct sim *s, const struct modify *m, char *why, size_t size)
{
	if (!strcmp(m->rule, s->default_rule))
		return snprintf(why, size, "Default rule '%.200s' cannot be modified", m->rule),
		       "OperationNotPermitted";
	if (strcmp(m->rule, s->rule))
		return snprintf(why, size, "One or more rules not found"), "RuleNotFound";
	if (!m->n || m->n > 5)
		return snprintf(why, size, "A forward action takes 1 to 5 target groups"),
		       m->n ? "TooManyTargetGroups" : "ValidationError";
	if (m->sticky && (m->sticky_s < 1 || m->sticky_s > STICKY_MAX))
		return snprintf(why, size, "Stickiness duration must be between 1 and 604800"), "ValidationError";
	return NULL;
}

const char *balancer_modify(struct sim *s, const struct modify *m, char *why, size_t size)
{
	struct split w = { { -1, -1 } };
	const char *code = check_rule(s, m, why, size);

	for (size_t i = 0; !code && i < m->n; i++)
		code = check_group(s, m, i, &w, why, size);
	if (code)
		return code;
	if (m->sticky_given) {
		s->sticky = m->sticky;
		s->sticky_s = (int)m->sticky_s;
	}
	balancer_set(s, w);
	s->modify_rules++;
	return NULL;
}

/* --- by hand --------------------------------------------------------------- */

void sim_set_weights(struct sim *s, int blue, int green)
{
	balancer_set(s, (struct split){ { blue, green } });
}

void sim_set_tasks(struct sim *s, int blue)
{
	s->side[BLUE].desired = blue;
	balancer_run(s, BLUE, blue);
}

void sim_kill_targets(struct sim *s, bool green)
{
	struct side *c = &s->side[green ? GREEN : BLUE];

	for (int i = 0; i < c->ntargets; i++)
		c->target[i].dead = true;
}

#include "sim/sim.h"

#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#define START_MS 1767232800000 /* 2026-01-01T02:00:00Z */

/* --- making a world ------------------------------------------------------------------ */

static void set(char *field, size_t size, const char *value, const char *otherwise)
{
	snprintf(field, size, "%s", value && *value ? value : otherwise);
}

/* What follows the n-th slash or colon of an ARN; "" when it has fewer. */
static const char *after(const char *s, char c, int n)
{
	while (n-- && s) {
		s = strchr(s, c);
		s += !!s;
	}
	return s ? s : "";
}

/* "...:listener-rule/app/name/id/listener/rule" -> "app/name/id" */
static void name_balancer(struct sim *s)
{
	const char *app = after(s->rule, '/', 1), *end = after(app, '/', 3), *last = strrchr(s->rule, '/');

	snprintf(s->balancer, sizeof s->balancer, "%.*s", *end ? (int)(end - app - 1) : 0, app);
	snprintf(s->default_rule, sizeof s->default_rule, "%.*s/default0default0", last ? (int)(last - s->rule) : 0,
		 s->rule);
}

static void make_side(struct side *c, const char *arn, const char *service, const char *version)
{
	const char *name;

	snprintf(c->arn, sizeof c->arn, "%s", arn);
	snprintf(c->dimension, sizeof c->dimension, "%.150s", after(arn, ':', 5));
	name = after(c->dimension, '/', 1);
	snprintf(c->name, sizeof c->name, "%.*s", (int)(strcspn(name, "/") < 60 ? strcspn(name, "/") : 60), name);
	set(c->service, sizeof c->service, service, "");
	snprintf(c->version, sizeof c->version, "MediaWiki %.32s", version);
	c->errors = SIM_BASE_ERRORS;
	c->slowness = 1;
}

static void make_alarms(struct sim *s, const struct sim_opts *o)
{
	s->nalarms = o->alarms > 0 ? o->alarms : 0;
	s->alarm = xcalloc((size_t)s->nalarms, sizeof *s->alarm);
	for (int i = 0; i < s->nalarms; i++)
		snprintf(s->alarm[i], sizeof s->alarm[i], "%s", o->alarm_names[i]);
	s->firing = -1;
}

static void make_sides(struct sim *s, const struct sim_opts *o)
{
	struct side *blue = &s->side[BLUE], *green = &s->side[GREEN];

	make_side(blue, o->blue ? o->blue : SIM_BLUE, o->blue_service, o->blue_version ? o->blue_version : "1.43.9");
	make_side(green, o->green ? o->green : SIM_GREEN, o->green_service,
		  o->green_version ? o->green_version : "1.43.11");
	blue->exists = blue->service_exists = true;
	green->exists = green->service_exists = !o->green_by_stack;
	green->desired = green->exists ? TARGETS : 0;
	blue->answered = 1000; /* blue is warm */
	balancer_open(s, o->blue_weight > 0 ? o->blue_weight : 999);
	balancer_run(s, GREEN, green->desired);
}

struct sim *sim_new(const struct sim_opts *o)
{
	const struct fault *fault = fault_find(o->fault);
	struct sim *s = fault ? xcalloc(1, sizeof *s) : NULL;

	if (!s)
		return NULL;
	time_open(s, o->start ? o->start : START_MS);
	s->seed = o->seed;
	dice_seed(&s->users_dice, o->seed, 1);
	dice_seed(&s->world_dice, o->seed, 2);
	dice_seed(&s->net_dice, o->seed, 3);
	dice_seed(&s->mishap_dice, o->seed, 4);
	dice_seed(&s->edits_dice, o->seed, 5);
	dice_seed(&s->slow_dice, o->seed, 6);
	s->upgrade = o->upgrade;
	set(s->region, sizeof s->region, o->region, SIM_REGION);
	set(s->account, sizeof s->account, o->account, SIM_ACCOUNT);
	set(s->rule, sizeof s->rule, o->rule, SIM_RULE);
	name_balancer(s);
	s->base_rate = o->requests_per_s > 0 ? o->requests_per_s : 200;
	s->period_ms = (int64_t)(o->period_s > 0 ? o->period_s : 60) * 1000;
	make_alarms(s, o);
	make_sides(s, o);
	stacks_open(s, o->blue_stack);
	log_open(s);
	s->fault = fault;
	fault_start(s);
	return s;
}

void sim_free(struct sim *s)
{
	if (!s)
		return;
	flights_close(s);
	time_close(s);
	stacks_close(s);
	schedules_close(s);
	log_close(s);
	free(s->alarm);
	free(s);
}

/* --- knobs ------------------------------------------------------------------------------ */

void sim_mishap_at(struct sim *s, uint64_t n, enum sim_mishap what)
{
	if (s->nmishaps < MISHAPS)
		s->mishap[s->nmishaps++] = (struct mishap){ s->requests + n + 1, what };
}

void sim_mishap_rate(struct sim *s, double share) { s->mishap_rate = share; }

void sim_die_at(struct sim *s, uint64_t n, bool before)
{
	s->die_at = s->requests + n;
	s->die_before = before;
	s->will_die = true;
}

bool sim_is_dead(const struct sim *s) { return s->dead; }
uint64_t sim_requests(const struct sim *s) { return s->requests; }

void sim_revive(struct sim *s)
{
	s->dead = s->will_die = false;
}

void sim_green_errors(struct sim *s, double rate) { s->side[GREEN].errors = rate; }

/* --- the truth ----------------------------------------------------------------------------- */

static int waiting_schedules(const struct sim *s)
{
	int n = 0;

	for (int i = 0; i < SCHEDULES; i++)
		n += s->sched[i].used;
	return n;
}

/* What users wrote, and whoever serves them now does not have. */
static double lost_edits(struct sim *s)
{
	const struct copy *c = databases_newest(s);
	double own = 0;

	if (!c)
		return 0;
	for (size_t i = 0; i < s->db.ncopies; i++)
		own += s->db.copy[i].own;
	return s->control.of[GREEN] > 0 ? s->db.edits - c->has + own - c->own : own;
}

static void database_truth(struct sim *s, struct sim_truth *out)
{
	const struct copy *c = databases_newest(s);

	out->edits = s->db.edits;
	out->edits_in_copy = c ? c->has : s->db.edits;
	out->edits_of_green = c ? c->own : 0;
	out->refused = s->db.refused;
	out->lost = lost_edits(s);
	out->read_only = s->db.locked;
	out->read_only_ms = s->db.locked_ms + (s->db.locked ? (double)(s->now - s->db.locked_at) : 0);
	out->copies = (int)s->db.ncopies;
	out->updated = *databases_tables(s, GREEN) == TABLES_NEW;
	for (int i = 0; i < ERRANDS; i++) {
		out->errands += s->errand[i].used;
		out->errands_alive += s->errand[i].used && !s->errand[i].stopped;
	}
}

void sim_truth(struct sim *s, struct sim_truth *out)
{
	const struct side *b = &s->side[BLUE], *g = &s->side[GREEN];

	*out = (struct sim_truth){
		.weight_blue = s->control.of[BLUE], .weight_green = s->control.of[GREEN],
		.live_blue = s->live.of[BLUE], .live_green = s->live.of[GREEN],
		.users = s->users, .failed = s->failed, .failed_by_green = s->failed_by[GREEN],
		.blue_healthy = balancer_healthy(b), .green_healthy = balancer_healthy(g),
		.blue_total = b->ntargets, .green_total = g->ntargets,
		.stacks = stacks_count(s), .modify_rules = s->modify_rules,
		.schedules = waiting_schedules(s), .fired = s->fired,
		.blue_tasks = b->ntargets, .green_tasks = g->ntargets,
	};
	database_truth(s, out);
}

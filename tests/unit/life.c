#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct life my;
static bool reached[32];

struct rig *life_with(const char *top, const char *watch, const char *steps, const struct sim_opts *world)
{
	static const struct sim_opts usual = { .seed = 11, .requests_per_s = 100 };
	autofree char *plan = rig_plan_with(top ? top : "", watch ? watch : "", steps);
	struct rig *r = rig_new(plan, world ? world : &usual, step_kinds);

	assert_non_null(r);
	my = (struct life){ 0 };
	return r;
}

struct rig *life_new(const char *steps)
{
	return life_with(NULL, NULL, steps, NULL);
}

/* CUTOVER_TELL=1: the journal, line by line. */
static int tell(void *ctx, const struct event *ev)
{
	char hms[9];

	(void)ctx;
	clock_hms(ev->at, hms);
	print_message("    %s %3lld %-9s %-8s %.200s\n", hms, (long long)ev->seq, ev->kind, ev->step, ev->body);
	return 0;
}

void life_to(struct rig *r, enum run_state end)
{
	int rc = rig_process(r);
	const struct run *run = rig_run(r);
	struct err e = { 0 };

	if (getenv("CUTOVER_TELL"))
		store_read(r->store, r->id, 0, tell, NULL, &e);
	if (rc || !run || run->state != end)
		fail_msg("wanted %s; is %s (%d): %s %s", run_state_name(end), run ? run_state_name(run->state) : "nothing", rc,
			 run ? run->why : "", r->broken);
}

struct rig *life_seen(const char *steps, void (*see)(struct rig *r), enum run_state end)
{
	struct rig *r = life_new(steps);

	r->see = see;
	life_to(r, end);
	return r;
}

/* --- the state machine, as it was gone through ---------------------------------------------- */

static int follow(void *ctx, const struct event *ev)
{
	enum run_state *s = ctx;

	for (size_t i = 0; i < run_ntransitions; i++)
		if (run_transitions[i].from == *s && run_transitions[i].event == event_kind_of(ev)) {
			reached[i] = true;
			*s = run_transitions[i].to;
			break;
		}
	return 0;
}

bool transition_reached(size_t i) { return reached[i]; }

void life_over(struct rig *r)
{
	enum run_state s = RUN_FORWARD;
	struct err e = { 0 };
	int64_t n;

	assert_true(run_ntransitions <= COUNT(reached));
	if (r->broken[0] || my.broken[0])
		fail_msg("%s%s", r->broken, my.broken);
	if (store_verify(r->store, r->id, &n, &e) || store_read(r->store, r->id, 0, follow, &s, &e))
		fail_msg("%s", e.msg);
	rig_free(r);
}

/* --- meanwhile ------------------------------------------------------------------------------ */

bool at_step(struct rig *r, const char *id)
{
	const struct run *run = rig_run(r);
	const struct step *s = run_current(run);

	return run->state == RUN_FORWARD && s && !strcmp(s->id, id) &&
	       run->step[s - run->plan->steps].state == STEP_IS_DOING;
}

bool first_time(bool when)
{
	if (!when || my.once)
		return false;
	my.once = true;
	return true;
}

int64_t now(struct rig *r) { return clock_wall(sim_clock(r->sim)); }

struct sim_truth truth(struct rig *r)
{
	struct sim_truth t;

	sim_truth(r->sim, &t);
	return t;
}

static bool in_head(const struct http_req *q, const char *name, const char *part)
{
	for (size_t i = 0; i < q->nhead; i++)
		if (!strcasecmp(q->head[i].k, name) && strstr(q->head[i].v, part))
			return true;
	return false;
}

bool is_call(const struct http_req *q, const char *action)
{
	autofree char *query = xasprintf("Action=%s&", action), *json = xasprintf(".%s", action);

	return (q->body && strstr(q->body, query)) || in_head(q, "x-amz-target", json);
}

bool is_change(const struct http_req *q)
{
	static const char *const actions[] = { "ModifyRule", "CreateChangeSet", "ExecuteChangeSet", "DeleteChangeSet",
					       "DeleteStack", "UpdateService" };

	for (size_t i = 0; i < COUNT(actions); i++)
		if (is_call(q, actions[i]))
			return true;
	return strstr(q->url, "/schedules/") && strcmp(q->method, "GET");
}

void mishap(struct rig *r, enum sim_mishap what) { sim_mishap_at(r->sim, 0, what); }

void forbid(bool what, const char *why)
{
	if (what && !my.broken[0])
		snprintf(my.broken, sizeof my.broken, "%s", why);
}

/* --- afterwards -------------------------------------------------------------------------------- */

struct search {
	const char *kind;
	int nth, found;
	int64_t at;
	json_t *body;
};

static int search(void *ctx, const struct event *ev)
{
	struct search *s = ctx;

	if (strcmp(ev->kind, s->kind) || ++s->found != s->nth)
		return 0;
	s->at = ev->at;
	s->body = json_loads(ev->body, 0, NULL);
	return 1;
}

static struct search search_for(struct rig *r, const char *kind, int nth)
{
	struct search s = { .kind = kind, .nth = nth };
	struct err e = { 0 };

	if (store_read(r->store, r->id, 0, search, &s, &e))
		fail_msg("%s", e.msg);
	return s;
}

int lines(struct rig *r, const char *kind) { return search_for(r, kind, 0).found; }
json_t *line(struct rig *r, const char *kind, int nth) { return search_for(r, kind, nth).body; }

int64_t line_at(struct rig *r, const char *kind, int nth)
{
	struct search s = search_for(r, kind, nth);

	json_decref(s.body);
	return s.at;
}

void assert_on_blue(struct rig *r)
{
	struct sim_truth t = truth(r);

	if (t.weight_blue <= 0 || t.weight_green > 0 || t.live_green > 0 || t.blue_healthy <= 0)
		fail_msg("weights are %d/%d, live %d/%d, blue has %d healthy targets", t.weight_blue, t.weight_green,
			 t.live_blue, t.live_green, t.blue_healthy);
}

void assert_why(struct rig *r, const char *part)
{
	if (!strstr(rig_run(r)->why, part))
		fail_msg("\"%s\" is not in \"%s\"", part, rig_run(r)->why);
}

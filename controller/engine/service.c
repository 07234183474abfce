/* engine/service.c - what a step may ask of the engine (engine/step.h). */
#include "base/buf.h"
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

/* Behind a one-way door blue is no place to go back to: what was done before
 * must hold at this moment, and the switch that would put the weights there goes
 * first. */
static int close_the_way_back(struct step_run *r, struct err *e)
{
	bool closes = r->step->kind->flags & STEP_ONE_WAY && !r->engine->run->one_way;
	enum step_verdict v = closes ? holds_now(r, e) : STEP_DONE;

	if (v == STEP_WAIT)
		return err_set(e, ERR_BUSY, "%s", r->saying);
	return v == STEP_FAIL || (closes && deadman_disarm(r->engine, e)) ? -1 : 0;
}

int step_intend(struct step_run *r, json_t *memo, struct err *e)
{
	if (close_the_way_back(r, e)) {
		json_decref(memo);
		return -1;
	}
	if (engine_append(r->engine, EVENT_INTEND, r->step->id, json_pack("{s:o}", "memo", memo), e))
		return -1;
	r->memo = r->engine->run->step[r->step - r->plan->steps].memo;
	return 0;
}

int step_note(struct step_run *r, const char *what, json_t *detail, struct err *e)
{
	json_t *body = json_object();

	json_object_set_new(body, "what", json_text(what));
	if (detail)
		json_object_update(body, detail);
	json_decref(detail);
	return engine_append(r->engine, EVENT_NOTE, r->step->id, body, e);
}

int step_call(struct step_run *r, const char *why, struct err *e)
{
	return engine_call(r->engine, why, e);
}

enum step_verdict step_green_alone(struct step_run *r, struct err *e)
{
	return traffic_green_alone(r->engine, e);
}

enum step_verdict step_traffic(struct step_run *r, int green_permille, struct err *e)
{
	const struct run_traffic *t = &r->engine->run->traffic;
	bool raises = green_permille > step_green_intended(r);
	enum step_verdict v = raises ? holds_now(r, e) : STEP_DONE;

	if (v != STEP_DONE)
		return v;
	v = traffic_reach(r->engine, green_permille, e);
	if (v == STEP_WAIT && t->foreign)
		step_say(r, "somebody else set the weights to blue %d, green %d: `cutover resume` sets ours again, `cutover rollback` goes back",
			 t->foreign_blue, t->foreign_green);
	else if (v == STEP_WAIT)
		step_say(r, r->engine->run->paused ? "paused" : "looking again at the weights");
	return v;
}

bool step_blue_can_serve(struct step_run *r)
{
	return drained_blue_can_serve(r->aws, r->blue, r->green);
}

int step_drained(struct step_run *r, const char *quiet, const char *busy, int n, struct drained *out, struct err *e)
{
	const struct drained_of of = { quiet, busy, step_weight_since(r), r->now, n };

	return drained_look(r->aws, r->plan, &of, out, e);
}

const struct verdict *step_verdict_now(const struct step_run *r)
{
	static const struct verdict nothing_yet = {
		.kind = VERDICT_HOLD, .rule = "evidence", .why = "nothing has been seen of this stage yet",
		.green_latency_ms = -1, .blue_latency_ms = -1,
	};
	const struct watch *w = &r->engine->watch;

	return w->have && w->looked > r->engine->run->traffic.since ? &w->verdict : &nothing_yet;
}

struct step_advice step_judge_says(const struct step_run *r)
{
	return mind_advice(r->engine);
}

int64_t step_weight_since(const struct step_run *r)
{
	return r->engine->run->traffic.since;
}

int step_green_permille(const struct step_run *r)
{
	const struct run_traffic *t = &r->engine->run->traffic;
	struct weights w = { t->left_blue, t->left_green };

	return t->known ? traffic_permille(&w) : 0;
}

int step_green_intended(const struct step_run *r)
{
	const struct run_traffic *t = &r->engine->run->traffic;
	struct weights w = { t->to_blue, t->to_green };

	return t->writing ? traffic_permille(&w) : step_green_permille(r);
}

/* --- people ------------------------------------------------------------------------ */

static struct run_step *service_step(const struct step_run *r)
{
	return &r->engine->run->step[r->step - r->plan->steps];
}

/* What the program that calls a person is told: enough to answer it. */
static int service_call(struct step_run *r, const struct step_question *q, struct err *e)
{
	const struct run_question *asked = &service_step(r)->ask;
	char until[21];
	autofree char *why = NULL;

	clock_iso(q->until, until);
	why = xasprintf("%s asks until %s, then %s: %s - `cutover promote %s --answer %s@%lld` says yes, `cutover rollback %s` goes back",
			r->step->id, until, q->otherwise, q->text, r->run, r->step->id, (long long)asked->seq, r->run);
	return engine_call_for(r->engine, why, asked->seq, e);
}

int step_ask(struct step_run *r, const struct step_question *q, struct err *e)
{
	const struct run_question *asked = &service_step(r)->ask;

	if (!asked->seq && engine_append(r->engine, EVENT_ASKS, r->step->id, json_pack("{s:o, s:I, s:s}", "question",
					 json_text(q->text), "until", (json_int_t)q->until, "default", q->otherwise), e))
		return -1;
	return asked->call || !json_array_size(r->plan->call) ? 0 : service_call(r, q, e);
}

bool step_answered(const struct step_run *r, char *who, size_t size)
{
	const char *yes = service_step(r)->yes;

	snprintf(who, size, "%s", yes[0] ? yes : r->engine->run->full_by);
	return who[0];
}

int64_t step_bake_skipped(const struct step_run *r, char *who, size_t size)
{
	const struct run_order *o = run_order(r->engine->run, service_step(r)->skip);

	snprintf(who, size, "%s", o ? o->by : "");
	return o ? o->seq : 0;
}

/* --- other runs on the same rule ------------------------------------------------- */

struct ending {
	enum run_state state; /* as the state machine has it, line by line */
	bool readable, same_rule;
	const char *rule;
};

static int see_ending(void *ctx, const struct event *ev)
{
	enum event_kind kind = event_kind_of(ev);
	struct ending *x = ctx;

	if (ev->seq == 1) {
		autojson json_t *body = json_loads(ev->body, 0, NULL);
		const char *rule = json_str(body, "rule", NULL);

		x->readable = rule && kind == EVENT_START;
		x->same_rule = x->readable && !strcmp(rule, x->rule);
	}
	x->state = run_state_after(x->state, kind);
	return !x->same_rule;
}

static bool is_under_way(const struct ending *x)
{
	return x->same_rule && (x->state == RUN_FORWARD || x->state == RUN_BACK);
}

struct rivals {
	const struct step_run *r;
	char *out;
	size_t size;
	int rc;
	struct err *e;
};

/* A run that cannot be read may be under way on this rule. */
static int see_rival(void *ctx, const struct event *ev)
{
	struct rivals *v = ctx;
	struct ending x = { .rule = v->r->plan->rule };

	if (!strcmp(ev->run, v->r->run))
		return 0;
	if (store_read(v->r->engine->store, ev->run, 0, see_ending, &x, v->e))
		return v->rc = -1;
	if (!x.readable)
		return v->rc = err_set(v->e, ERR_GATE, "line 1 of run %s in this journal cannot be read: whether it is under way on this rule is not known",
				       ev->run);
	if (is_under_way(&x))
		snprintf(v->out, v->size, "%s", ev->run);
	return v->out[0] != '\0';
}

int step_rivals(struct step_run *r, char *out, size_t size, struct err *e)
{
	struct rivals v = { .r = r, .out = out, .size = size, .e = e };

	out[0] = '\0';
	return store_runs(r->engine->store, see_rival, &v, e) ? -1 : v.rc;
}

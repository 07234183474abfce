/* fakestep.h - one step alone: the engine's services replaced by the simplest
 * that can be, AWS by the simulated world. For test programs that do not link
 * the engine (the definitions below are in its place). */
#ifndef TESTS_FAKESTEP_H
#define TESTS_FAKESTEP_H

#include "aws/elb.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/duration.h"
#include "judge/judge.h"
#include "plan/plan.h"
#include "simworld.h"
#include "steps/registry.h"

#include <stdio.h>
#include <string.h>

struct fake {
	struct simworld w;
	struct step step;
	struct plan plan;
	struct http http;      /* of probes and hooks */
	json_t *params, *memo, *out, *notes;
	struct verdict verdict;
	struct step_advice advice;
	int64_t since, weight_since;
	int permille, attempt, intents, calls;
	bool asks, answered, skipped;
	char question[240];
	char rival[96], saying[240];
	bool simulated;
	struct err e;
};

static struct fake *fake_of(const struct step_run *r) { return (struct fake *)r->engine; }

int step_intend(struct step_run *r, json_t *memo, struct err *e)
{
	struct fake *f = fake_of(r);

	(void)e;
	assert_non_null(memo);
	json_decref(f->memo);
	f->memo = r->memo = memo;
	f->intents++;
	return 0;
}

int step_note(struct step_run *r, const char *what, json_t *detail, struct err *e)
{
	json_t *n = detail ? detail : json_object();

	(void)e;
	json_object_set_new(n, "what", json_string(what));
	return json_array_append_new(fake_of(r)->notes, n);
}

enum step_verdict step_green_alone(struct step_run *r, struct err *e)
{
	(void)e;
	sim_set_weights(fake_of(r)->w.sim, -1, 999);
	return STEP_DONE;
}

int step_call(struct step_run *r, const char *why, struct err *e)
{
	return step_note(r, "call", json_pack("{s:s}", "why", why), e);
}

void step_say(struct step_run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->saying, sizeof r->saying, fmt, ap);
	va_end(ap);
}

void step_output(struct step_run *r, const char *name, const char *value)
{
	json_object_set_new(r->out, name, json_string(value));
}

enum step_verdict step_traffic(struct step_run *r, int permille, struct err *e)
{
	struct elb_weight g[2] = { { .weight = permille >= 1000 ? 0 : 1000 - permille }, { .weight = permille } };
	autorule struct elb_rule rule = { 0 };
	struct fake *f = fake_of(r);

	g[0].weight = g[0].weight > 999 ? 999 : g[0].weight;
	g[1].weight = g[1].weight > 999 ? 999 : g[1].weight;
	snprintf(g[0].arn, sizeof g[0].arn, "%s", r->blue);
	snprintf(g[1].arn, sizeof g[1].arn, "%s", r->green);
	if (elb_rule_get(r->aws, r->plan->rule, &rule, e))
		return STEP_FAIL;
	if (elb_rule_weight(&rule, r->green) == g[1].weight && elb_rule_weight(&rule, r->blue) == g[0].weight) {
		if (!f->weight_since)
			f->weight_since = r->now;
		return STEP_DONE;
	}
	if (elb_rule_set(r->aws, &rule, g, 2, e))
		return STEP_FAIL;
	f->permille = permille;
	f->weight_since = r->now;
	return STEP_DONE;
}

struct step_advice step_judge_says(const struct step_run *r) { return fake_of(r)->advice; }
const struct verdict *step_verdict_now(const struct step_run *r) { return &fake_of(r)->verdict; }
int64_t step_weight_since(const struct step_run *r) { return fake_of(r)->weight_since; }
int step_green_permille(const struct step_run *r) { return fake_of(r)->permille; }
int step_green_intended(const struct step_run *r) { return step_green_permille(r); }

bool step_blue_can_serve(struct step_run *r) { return drained_blue_can_serve(r->aws, r->blue, r->green); }

int step_drained(struct step_run *r, const char *quiet, const char *busy, int n, struct drained *out, struct err *e)
{
	const struct drained_of of = { quiet, busy, step_weight_since(r), r->now, n };

	return drained_look(r->aws, r->plan, &of, out, e);
}

int step_ask(struct step_run *r, const struct step_question *q, struct err *e)
{
	struct fake *f = fake_of(r);

	(void)e;
	f->asks = true;
	snprintf(f->question, sizeof f->question, "%.200s", q->text);
	return 0;
}

bool step_answered(const struct step_run *r, char *who, size_t size)
{
	snprintf(who, size, "%s", fake_of(r)->answered ? "anna" : "");
	return fake_of(r)->answered;
}

int64_t step_bake_skipped(const struct step_run *r, char *who, size_t size)
{
	snprintf(who, size, "%s", fake_of(r)->skipped ? "anna" : "");
	return fake_of(r)->skipped ? 7 : 0;
}

int step_rivals(struct step_run *r, char *out, size_t size, struct err *e)
{
	(void)e;
	snprintf(out, size, "%s", fake_of(r)->rival);
	return 0;
}

/* --- making one ---------------------------------------------------------------------- */

static json_t *fake_default(const struct param *p)
{
	json_t *v = json_loads(p->def, JSON_DECODE_ANY, NULL);
	struct err e = { 0 };
	int64_t ms;

	if (p->type == PARAM_DURATION) {
		assert_int_equal(duration_parse(json_string_value(v), &ms, &e), 0);
		json_decref(v);
		return json_integer(ms);
	}
	if (p->type == PARAM_PERCENT && json_is_string(v)) {
		double percent = atof(json_string_value(v));

		json_decref(v);
		return json_integer((json_int_t)(percent * 10 + 0.5));
	}
	return v;
}

/* params: JSON, durations in ms and shares per mille already. */
static void fake_open(struct fake *f, const char *kind, const char *params, const struct sim_opts *world)
{
	*f = (struct fake){ .attempt = 1 };
	simworld_open(&f->w, world ? world : &(struct sim_opts){ .seed = 7 });
	f->http = f->w.http;
	f->step = (struct step){ .id = "it", .kind = step_kind_find(kind) };
	assert_non_null(f->step.kind);
	f->params = json_loads(params, 0, NULL);
	assert_non_null(f->params);
	for (const struct param *p = f->step.kind->params; p->name; p++)
		if (p->def && !json_object_get(f->params, p->name))
			json_object_set_new(f->params, p->name, fake_default(p));
	f->step.params = f->params;
	f->step.timeout_ms = f->step.kind->timeout_ms;
	f->plan = (struct plan){ .file = "plan.json", .name = "fake", .region = SIM_REGION, .account = SIM_ACCOUNT,
				 .rule = SIM_RULE, .steps = &f->step, .nsteps = 1,
				 .blue = { .target_group = SIM_BLUE, .cluster = "wiki", .service = "blue" },
				 .watch = { .period_ms = 60000, .lag_ms = 120000, .poll_ms = 30000, .hold_limit_ms = 600000 } };
	f->notes = json_array();
	f->verdict = (struct verdict){ .kind = VERDICT_GOOD, .why = "fine" };
	f->since = clock_wall(sim_clock(f->w.sim));
}

static void fake_close(struct fake *f)
{
	json_decref(f->params);
	json_decref(f->memo);
	json_decref(f->out);
	json_decref(f->notes);
	simworld_close(&f->w);
}

/* One call, as by a new process: nothing but memo is left of the last one. */
static enum step_verdict fake_call(struct fake *f, enum step_verdict (*fn)(struct step_run *, struct err *),
				   int64_t *wake_at)
{
	struct step_run r = {
		.step = &f->step, .params = f->params, .memo = f->memo, .out = json_object(), .attempt = f->attempt,
		.now = clock_wall(sim_clock(f->w.sim)), .since = f->since, .plan = &f->plan, .blue = SIM_BLUE,
		.green = SIM_GREEN, .aws = f->w.aws, .http = &f->http, .simulated = f->simulated,
		.engine = (struct engine *)f,
	};
	enum step_verdict v;

	r.run = "run";
	snprintf(r.token, sizeof r.token, "run-it-%d", f->attempt);
	f->e = (struct err){ 0 };
	f->calls++;
	v = fn(&r, &f->e);
	json_decref(f->out);
	f->out = r.out;
	snprintf(f->saying, sizeof f->saying, "%s", r.saying);
	*wake_at = r.wake_at ? r.wake_at : r.now + f->plan.watch.poll_ms;
	return v;
}

/* As the engine would: until it is done, has failed for good, or `limit_ms` of
 * world time are over (STEP_WAIT). */
static enum step_verdict fake_run(struct fake *f, enum step_verdict (*fn)(struct step_run *, struct err *),
				  int64_t limit_ms)
{
	int64_t end = clock_wall(sim_clock(f->w.sim)) + limit_ms, wake;
	enum step_verdict v;

	for (;;) {
		v = fake_call(f, fn, &wake);
		if (v == STEP_DONE || (v == STEP_FAIL && !err_retryable(&f->e)))
			return v;
		if (v == STEP_FAIL)
			wake = clock_wall(sim_clock(f->w.sim)) + 5000;
		if (wake > end)
			return v;
		clock_sleep(sim_clock(f->w.sim), wake - clock_wall(sim_clock(f->w.sim)));
	}
}

static enum step_verdict fake_advance(struct fake *f, int64_t limit_ms)
{
	return fake_run(f, f->step.kind->advance, limit_ms);
}

static enum step_verdict fake_undo(struct fake *f, int64_t limit_ms)
{
	return fake_run(f, f->step.kind->undo, limit_ms);
}

static bool fake_noted(const struct fake *f, const char *what)
{
	size_t i;
	json_t *n;

	json_array_foreach(f->notes, i, n)
		if (!strcmp(json_str(n, "what", ""), what))
			return true;
	return false;
}

#define assert_says(text, part) \
	do { \
		if (!strstr((text), (part))) \
			fail_msg("\"%s\" does not say \"%s\"", (text), (part)); \
	} while (0)
#endif

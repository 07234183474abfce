#include "engine/orders.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/run.h"

#include <stdio.h>
#include <string.h>

/* --- names --------------------------------------------------------------------------- */

static const char *const names[ORDER_KINDS] = {
	[ORDER_PROMOTE] = "promote", [ORDER_SKIP_BAKE] = "skip-bake", [ORDER_ROLLBACK] = "rollback",
	[ORDER_PAUSE] = "pause", [ORDER_RESUME] = "resume", [ORDER_RETRY] = "retry",
};

const char *order_name(enum order_kind k)
{
	return (unsigned)k < ORDER_KINDS && names[k] ? names[k] : "?";
}

enum order_kind order_by_name(const char *name)
{
	for (int k = ORDER_NONE + 1; k < ORDER_KINDS; k++)
		if (!strcmp(names[k], name))
			return (enum order_kind)k;
	return ORDER_NONE;
}

const char *order_effect_name(enum order_effect x)
{
	static const char *const effects[ORDER_EFFECTS] = {
		[ORDER_PENDING] = "pending", [ORDER_OBEYED] = "obeyed", [ORDER_NEEDLESS] = "needless",
		[ORDER_REPEATED] = "repeated", [ORDER_VOID] = "none",
	};

	return (unsigned)x < ORDER_EFFECTS ? effects[x] : "?";
}

/* --- all that were given ----------------------------------------------------------------- */

static struct run_order *orders_at(const struct run *r, int64_t line)
{
	size_t lo = 0, hi = r->norders;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (r->order[mid].seq < line)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->norders && r->order[lo].seq == line ? &r->order[lo] : NULL;
}

const struct run_order *run_order(const struct run *r, int64_t line)
{
	return orders_at(r, line);
}

const struct run_order *run_order_counts(const struct run *r, const struct run_order *o)
{
	return o->effect == ORDER_REPEATED ? orders_at(r, o->other) : o;
}

static struct run_order *orders_add(struct run *r, const struct event *ev, const char *name)
{
	struct run_order *o;

	if (!(r->norders & (r->norders - 1)))
		r->order = xrealloc(r->order, (r->norders ? 2 * r->norders : 1) * sizeof *r->order);
	o = &r->order[r->norders++];
	*o = (struct run_order){ .seq = ev->seq, .at = ev->at, .kind = order_by_name(name), .state = (int)r->state,
				 .attempt = r->attempt, .step = -1 };
	text_line(o->by, sizeof o->by, ev->actor);
	return o;
}

static void orders_is(struct run_order *o, enum order_effect effect, enum order_why why, int64_t other)
{
	o->effect = effect;
	o->why = why;
	o->other = other;
}

static void orders_void(struct run_order *o, enum order_why why, int64_t other)
{
	orders_is(o, ORDER_VOID, why, other);
}

/* --- ids ------------------------------------------------------------------------------------- */

/* What a repeated order to go forward did once is not done again in any
 * attempt. Going back is different: green has traffic again. */
const struct run_order *run_order_by_id(const struct run *r, const char *id, enum order_kind kind)
{
	const json_t *line = json_object_get(r->order_ids, id);
	const struct run_order *first = line ? orders_at(r, json_integer_value(line)) : NULL;

	if (first && kind == ORDER_ROLLBACK && first->kind == ORDER_ROLLBACK && first->attempt < r->attempt)
		return NULL;
	return first;
}

/* A new attempt asks anew: an answer of the last one is none, and must not look like one. */
enum order_why run_order_clash(const struct run *r, const struct run_order *first, enum order_kind kind)
{
	if (first->kind != kind)
		return ORDER_ID_TAKEN;
	return first->attempt < r->attempt && kind != ORDER_RETRY ? ORDER_ID_OLD : ORDER_WHY_NONE;
}

/* --- questions and answers ----------------------------------------------------------------------- */

void orders_asked(struct run *r, size_t step, const struct event *ev, const json_t *body)
{
	struct run_question *q = &r->step[step].ask;

	*q = (struct run_question){ .seq = ev->seq, .at = ev->at, .until = json_num(body, "until", 0) };
	text_line(q->text, sizeof q->text, json_str(body, "question", ""));
	snprintf(q->otherwise, sizeof q->otherwise, "%s", json_str(body, "default", ""));
	r->names = true;
}

void orders_called(struct run *r, const struct event *ev, const json_t *body)
{
	int64_t line = json_num(body, "asks", 0);

	for (size_t i = 0; line && i < r->plan->nsteps; i++)
		if (r->step[i].ask.seq == line)
			r->step[i].ask.call = ev->seq;
}

static bool orders_is_open(const struct run *r, size_t step)
{
	return r->state == RUN_FORWARD && step < r->plan->nsteps && r->step[step].state == STEP_IS_DOING &&
	       r->step[step].ask.seq && !r->step[step].ask.answer;
}

const struct run_question *run_question(const struct run *r, size_t *step)
{
	size_t i = run_current_index(r);

	if (step)
		*step = i;
	return orders_is_open(r, i) ? &r->step[i].ask : NULL;
}

static void orders_answer(struct run *r, struct run_order *o, size_t step)
{
	o->step = (int)step;
	r->step[step].ask.answer = o->seq;
	snprintf(r->step[step].yes, sizeof r->step[step].yes, "%s", o->by);
	orders_is(o, ORDER_OBEYED, ORDER_WHY_NONE, r->step[step].ask.seq);
}

static void orders_answer_named(struct run *r, struct run_order *o, size_t step, int64_t line)
{
	const struct run_question *q = &r->step[step].ask;
	bool meant = q->seq == line;

	o->step = (int)step;
	if (meant && q->answer)
		orders_void(o, ORDER_ANSWERED, q->answer);
	else if (meant && orders_is_open(r, step))
		orders_answer(r, o, step);
	else
		orders_void(o, ORDER_QUESTION_GONE, line);
}

/* Programs before `asks` lines: an order meant whatever step was there when it was read. */
static void orders_answer_unnamed(struct run *r, struct run_order *o)
{
	size_t i = run_current_index(r);

	if (orders_is_open(r, i)) {
		orders_answer(r, o, i);
	} else if (r->names || i == r->plan->nsteps) {
		orders_void(o, ORDER_NOT_ASKED, 0);
	} else {
		o->step = (int)i;
		snprintf(r->step[i].yes, sizeof r->step[i].yes, "%s", o->by);
		r->step[i].skip = o->seq;
		orders_is(o, ORDER_OBEYED, ORDER_WHY_NONE, 0);
	}
}

static int orders_step_of(const struct run *r, const json_t *body)
{
	const struct step *s = plan_step(r->plan, json_str(body, "step", ""));

	return s ? (int)(s - r->plan->steps) : -1;
}

static void order_promote(struct run *r, struct run_order *o, const struct event *ev, const json_t *body)
{
	bool named = json_object_get(body, "step"); /* "": it answers nothing that is asked now */
	int step = orders_step_of(r, body);

	(void)ev;
	o->full = json_yes(body, "full");
	r->names |= named;
	if (r->state != RUN_FORWARD) {
		orders_void(o, ORDER_STATE, 0);
		return;
	}
	if (step >= 0)
		orders_answer_named(r, o, (size_t)step, json_num(body, "line", 0));
	else if (named)
		orders_void(o, ORDER_NOT_ASKED, 0);
	else
		orders_answer_unnamed(r, o);
	if (!o->full)
		return;
	/* Whatever became of the first, the later ones are answered. */
	snprintf(r->full_by, sizeof r->full_by, "%s", o->by);
	o->effect = ORDER_OBEYED;
}

/* --- bakes ------------------------------------------------------------------------------------------ */

static bool orders_baking(const struct run *r, size_t step)
{
	const struct run_traffic *t = &r->traffic;
	int blue = t->left_blue > 0 ? t->left_blue : 0, green = t->left_green > 0 ? t->left_green : 0;
	int wanted = step < r->plan->nsteps ? plan_stage_permille(&r->plan->steps[step]) : -1;

	if (wanted < 0 || r->state != RUN_FORWARD || r->step[step].state != STEP_IS_DOING || !t->known || t->writing || !green)
		return false;
	return !wanted || (1000 * green + (blue + green) / 2) / (blue + green) == wanted;
}

bool run_bakes(const struct run *r)
{
	return orders_baking(r, run_current_index(r));
}

static void order_skip_bake(struct run *r, struct run_order *o, const struct event *ev, const json_t *body)
{
	struct run_step *s;

	o->step = orders_step_of(r, body);
	r->names = true;
	if (o->step < 0) {
		orders_void(o, ORDER_BAKE_OVER, 0);
		return;
	}
	s = &r->step[o->step];
	if (s->began != json_num(body, "line", 0) || s->state != STEP_IS_DOING)
		orders_void(o, ORDER_BAKE_OVER, 0);
	else if (r->state != RUN_FORWARD)
		orders_void(o, ORDER_STATE, 0);
	else if (s->skip)
		orders_is(o, ORDER_NEEDLESS, ORDER_WHY_NONE, s->skip);
	else if (!orders_baking(r, (size_t)o->step))
		orders_void(o, ORDER_NOT_BAKING, 0);
	else
		s->skip = ev->seq; /* pending until the verdict lets it */
}

void orders_noted(struct run *r, const json_t *body)
{
	struct run_order *o = orders_at(r, json_num(body, "order", 0));

	if (!o || o->effect != ORDER_PENDING)
		return;
	orders_is(o, ORDER_OBEYED, ORDER_WHY_NONE, o->other);
	snprintf(o->verdict, sizeof o->verdict, "%s", json_str(body, "verdict", ""));
}

void orders_step_done(struct run *r, size_t step)
{
	struct run_order *o = orders_at(r, r->step[step].skip);

	if (o && o->effect == ORDER_PENDING)
		orders_void(o, ORDER_BAKE_OVER, 0);
}

/* --- going back, and the rest -------------------------------------------------------------------------- */

static void orders_wish(struct run *r, struct run_order *o, const struct event *ev, const json_t *body)
{
	r->wish = o->kind;
	r->wish_line = o->seq;
	text_line(r->wish_by, sizeof r->wish_by, ev->actor);
	text_line(r->wish_why, sizeof r->wish_why, json_str(body, "reason", ""));
}

static void orders_withdraw(struct run *r, int64_t by)
{
	struct run_order *o = orders_at(r, r->wish_line);

	if (o)
		orders_void(o, ORDER_WITHDRAWN, by);
	r->wish = ORDER_NONE;
}

static void order_rollback(struct run *r, struct run_order *o, const struct event *ev, const json_t *body)
{
	r->paused = false;
	if (r->wish == ORDER_RETRY) {
		orders_withdraw(r, ev->seq);
		orders_is(o, ORDER_OBEYED, ORDER_WITHDRAWN, r->wish_line);
	} else if (r->wish == ORDER_ROLLBACK) {
		orders_is(o, ORDER_NEEDLESS, ORDER_WHY_NONE, r->wish_line);
	} else if (r->state == RUN_FORWARD || r->state == RUN_PROMOTED || r->state == RUN_FROZEN) {
		orders_wish(r, o, ev, body);
	} else {
		orders_is(o, ORDER_NEEDLESS, ORDER_STATE, 0);
	}
}

static void order_pause(struct run *r, struct run_order *o, const struct event *ev, const json_t *body)
{
	(void)ev, (void)body;
	if (r->state != RUN_FORWARD)
		orders_void(o, ORDER_STATE, 0);
	else
		orders_is(o, r->paused ? ORDER_NEEDLESS : ORDER_OBEYED, ORDER_WHY_NONE, 0);
	r->paused = r->state == RUN_FORWARD;
}

static void order_resume(struct run *r, struct run_order *o, const struct event *ev, const json_t *body)
{
	struct run_traffic *t = &r->traffic;

	(void)ev, (void)body;
	orders_is(o, r->state == RUN_FORWARD && (r->paused || t->foreign) ? ORDER_OBEYED : ORDER_NEEDLESS, ORDER_WHY_NONE, 0);
	r->paused = false;
	/* The person has seen whose weights they are: ours are set again. */
	if (t->foreign)
		run_expect_echo(t, t->foreign_blue, t->foreign_green);
	t->foreign = 0;
}

static void order_retry(struct run *r, struct run_order *o, const struct event *ev, const json_t *body)
{
	if (r->wish == ORDER_RETRY)
		orders_is(o, ORDER_NEEDLESS, ORDER_WHY_NONE, r->wish_line);
	else if (r->state == RUN_ROLLED_BACK || r->state == RUN_REFUSED)
		orders_wish(r, o, ev, body);
	else
		orders_void(o, ORDER_STATE, 0);
}

void orders_fold(struct run *r, const struct event *ev, const json_t *body)
{
	static void (*const fold[ORDER_KINDS])(struct run *, struct run_order *, const struct event *, const json_t *) = {
		[ORDER_PROMOTE] = order_promote, [ORDER_SKIP_BAKE] = order_skip_bake, [ORDER_ROLLBACK] = order_rollback,
		[ORDER_PAUSE] = order_pause, [ORDER_RESUME] = order_resume, [ORDER_RETRY] = order_retry,
	};
	const char *id = json_str(body, "id", "");
	struct run_order *o = orders_add(r, ev, json_str(body, "order", ""));
	const struct run_order *first = run_order_by_id(r, id, o->kind);

	if (o->kind == ORDER_NONE)
		orders_void(o, ORDER_UNKNOWN, 0);
	else if (first && run_order_clash(r, first, o->kind))
		orders_void(o, run_order_clash(r, first, o->kind), first->seq);
	else if (first)
		orders_is(o, ORDER_REPEATED, ORDER_WHY_NONE, first->seq);
	else
		fold[o->kind](r, o, ev, body);
	if (o->effect != ORDER_VOID && o->effect != ORDER_REPEATED)
		json_object_set_new(r->order_ids, id, json_integer(ev->seq));
}

/* --- answered by what the run does ------------------------------------------------------------------------ */

/* A run that had touched nothing is stopped, where there is no way to go back. */
static bool orders_done_by(const struct run_order *o, const struct run *r)
{
	return (o->kind == ORDER_ROLLBACK && (r->state == RUN_BACK || r->stopped)) ||
	       (o->kind == ORDER_RETRY && r->state == RUN_FORWARD);
}

void orders_settle(struct run *r, const struct event *ev)
{
	for (size_t i = 0; i < r->norders; i++) {
		struct run_order *o = &r->order[i];

		if (o->effect != ORDER_PENDING)
			continue;
		if (orders_done_by(o, r))
			orders_is(o, ORDER_OBEYED, ORDER_WHY_NONE, ev->seq);
		else
			orders_void(o, o->kind == ORDER_ROLLBACK ? ORDER_DOOR : ORDER_STATE, ev->seq);
		o->state = (int)r->state;
	}
	r->wish = ORDER_NONE;
}

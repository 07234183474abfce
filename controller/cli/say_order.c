#include "cli/say_order.h"

#include "base/clock.h"
#include "base/duration.h"
#include "engine/run.h"

#include <stdio.h>

/* --- questions ------------------------------------------------------------------------- */

void say_question(const struct run *r, long long now, struct buf *out)
{
	size_t step;
	const struct run_question *q = run_question(r, &step);
	char until[21], left[32];

	if (!q)
		return;
	clock_iso(q->until, until);
	duration_say(q->until > now ? (q->until - now + 999) / 1000 * 1000 : 0, left);
	buf_addf(out, "ASKS     %s: %s\n", r->plan->steps[step].id, q->text);
	buf_addf(out, "         until %s (%s left), then %s: `cutover promote %s` says yes, `cutover rollback %s` goes back\n", until,
		 left, q->otherwise, r->id, r->id);
}

json_t *say_question_json(const struct run *r)
{
	size_t step;
	const struct run_question *q = run_question(r, &step);
	char asked[21], until[21];
	const char *id;
	autofree char *answer = NULL;

	if (!q)
		return NULL;
	id = r->plan->steps[step].id;
	answer = xasprintf("%s@%lld", id, (long long)q->seq);
	clock_iso(q->at, asked);
	clock_iso(q->until, until);
	return json_pack("{s:s, s:I, s:o, s:s, s:s, s:s, s:s}", "step", id, "line", (json_int_t)q->seq, "question",
			 json_text(q->text), "asked", asked, "until", until, "default", q->otherwise, "answer", answer);
}

/* --- what became of an order ------------------------------------------------------------------ */

static const char *say_step(const struct run *r, const struct run_order *o)
{
	return o->step >= 0 ? r->plan->steps[o->step].id : "?";
}

/* "by anna at 10:53:44 (line 41)" */
static void say_whose(const struct run *r, int64_t line, struct buf *out)
{
	const struct run_order *o = run_order(r, line);
	char hms[9];

	if (!o)
		return;
	clock_hms(o->at, hms);
	buf_addf(out, " by %s at %s UTC (line %lld)", o->by, hms, (long long)line);
}

void say_void(const struct run *r, const struct run_order *o, struct buf *out)
{
	const struct run_order *other = run_order(r, o->other);

	switch (o->why) {
	case ORDER_ID_OLD:
		buf_addf(out, "its id was used for attempt %d", other ? other->attempt : 1);
		say_whose(r, o->other, out);
		buf_addf(out, ": this is attempt %d, give it an id of its own", r->attempt);
		break;
	case ORDER_ID_TAKEN:
		buf_addf(out, "its id was used for %s before", other ? order_name(other->kind) : "another order");
		say_whose(r, o->other, out);
		buf_addf(out, ": give this %s an id of its own", order_name(o->kind));
		break;
	case ORDER_ANSWERED:
		buf_addf(out, "`%s` was already answered", say_step(r, o));
		say_whose(r, o->other, out);
		break;
	case ORDER_QUESTION_GONE:
		buf_addf(out, "`%s` does not ask that now", say_step(r, o));
		break;
	case ORDER_NOT_ASKED:
		buf_adds(out, "nothing is asked");
		break;
	case ORDER_BAKE_OVER:
		buf_addf(out, "the bake of `%s` was over", say_step(r, o));
		break;
	case ORDER_NOT_BAKING:
		buf_addf(out, "the bake of `%s` has not begun: its weights are not reached yet", say_step(r, o));
		break;
	case ORDER_DOOR:
		buf_adds(out, "the way back was closed: a one-way step had begun");
		break;
	case ORDER_WITHDRAWN:
		buf_adds(out, "a rollback came before it was begun,");
		say_whose(r, o->other, out);
		break;
	case ORDER_UNKNOWN:
		buf_adds(out, "this program does not know it");
		break;
	default:
		buf_addf(out, "the run was %s", run_state_name((enum run_state)o->state));
	}
}

static void say_promote(const struct run *r, const struct run_order *o, struct buf *out)
{
	const struct run_question *q = o->step >= 0 ? &r->step[o->step].ask : NULL;

	if (q && q->answer == o->seq)
		buf_addf(out, "answers `%s`: %s", say_step(r, o), q->text);
	else if (o->why == ORDER_WHY_NONE)
		buf_addf(out, "said yes to `%s`", say_step(r, o));
	if (o->full)
		buf_addf(out, "%syes to every question still to come in this attempt; bakes take their time", out->len ? "; " : "");
}

static void say_skip_bake(const struct run *r, const struct run_order *o, struct buf *out)
{
	if (o->effect == ORDER_PENDING)
		buf_addf(out, "ends the bake of `%s` as soon as the verdict is neither BAD nor BLIND", say_step(r, o));
	else
		buf_addf(out, "ended the bake of `%s`, verdict %s", say_step(r, o), o->verdict[0] ? o->verdict : "unknown");
}

static void say_rollback(const struct run *r, const struct run_order *o, struct buf *out)
{
	(void)r;
	if (o->why == ORDER_WITHDRAWN)
		buf_adds(out, "the retry that was ordered is withdrawn");
	else if (o->effect == ORDER_PENDING)
		buf_adds(out, "traffic goes back to blue as soon as whoever drives the run has read this");
	else if (o->state == RUN_REFUSED)
		buf_addf(out, "stopped the run before anything was changed (line %lld)", (long long)o->other);
	else
		buf_addf(out, "began the way back (line %lld)", (long long)o->other);
}

static void say_pause(const struct run *r, const struct run_order *o, struct buf *out)
{
	(void)r, (void)o;
	buf_adds(out, "no further step begins");
}

static void say_resume(const struct run *r, const struct run_order *o, struct buf *out)
{
	(void)r, (void)o;
	buf_adds(out, "the run goes on");
}

static void say_retry(const struct run *r, const struct run_order *o, struct buf *out)
{
	(void)r;
	if (o->effect == ORDER_PENDING)
		buf_adds(out, "another attempt begins as soon as somebody drives the run");
	else
		buf_addf(out, "began another attempt (line %lld)", (long long)o->other);
}

static void say_needless(const struct run *r, const struct run_order *o, struct buf *out)
{
	buf_adds(out, "had nothing to do: ");
	if (o->kind == ORDER_PAUSE) {
		buf_adds(out, "the run was paused already");
	} else if (o->kind == ORDER_RESUME) {
		buf_adds(out, "the run was not paused");
	} else if (o->other) {
		buf_adds(out, "it was ordered before");
		say_whose(r, o->other, out);
	} else {
		buf_addf(out, "the run was %s already", run_state_name((enum run_state)o->state));
	}
}

void say_effect(const struct run *r, const struct run_order *o, struct buf *out)
{
	static void (*const say[ORDER_KINDS])(const struct run *, const struct run_order *, struct buf *) = {
		[ORDER_PROMOTE] = say_promote, [ORDER_SKIP_BAKE] = say_skip_bake, [ORDER_ROLLBACK] = say_rollback,
		[ORDER_PAUSE] = say_pause, [ORDER_RESUME] = say_resume, [ORDER_RETRY] = say_retry,
	};
	autobuf struct buf text = BUF_MAX(2048);

	if (o->effect == ORDER_VOID) {
		buf_adds(&text, "HAD NO EFFECT: ");
		say_void(r, o, &text);
	} else if (o->effect == ORDER_NEEDLESS) {
		say_needless(r, o, &text);
	} else if (o->effect == ORDER_REPEATED) {
		buf_adds(&text, "repeats the order given");
		say_whose(r, o->other, &text);
		buf_adds(&text, ", which counts");
	} else if (say[o->kind]) {
		say[o->kind](r, o, &text);
	}
	buf_adds(out, text.p ? text.p : "");
}

json_t *say_effect_json(const struct run *r, const struct run_order *o)
{
	autobuf struct buf text = BUF_MAX(2048);
	json_t *j;

	say_effect(r, o, &text);
	j = json_pack("{s:s, s:o}", "effect", order_effect_name(o->effect), "text", json_text(text.p ? text.p : ""));
	if (o->step >= 0)
		json_object_set_new(j, "step", json_string(say_step(r, o)));
	if (o->other)
		json_object_set_new(j, "line", json_integer(o->other));
	return j;
}

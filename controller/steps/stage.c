#include "steps/stage.h"

#include "aws/elb.h"
#include "base/buf.h"
#include "base/duration.h"
#include "base/err.h"
#include "judge/judge.h"
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

/* --- green must be able to carry it ------------------------------------------------ */

static enum step_verdict not_ready(struct step_run *r, const struct elb_health *green, int need, struct err *e)
{
	int64_t ready = json_num(r->params, "ready", 0);
	char limit[32];

	step_say(r, "green has %d of %d healthy targets%s%.120s", green->healthy, need, green->reason[0] ? ": " : "",
		 green->reason);
	if (r->now - r->since < ready)
		return STEP_WAIT;
	duration_say(ready, limit);
	return err_set(e, ERR_GATE, "green did not get ready within %s: %s", limit, r->saying);
}

/* A target group that no rule names is not health-checked: green goes on the
 * rule with the share it has, mostly 0, before it is asked for its health. A
 * raise whose end was not read has put it there, and must not be taken back. */
static enum step_verdict put_on_the_rule(struct step_run *r, struct err *e)
{
	int share = step_green_permille(r);

	return step_green_intended(r) > share ? STEP_DONE : step_traffic(r, share, e);
}

static enum step_verdict wait_until_green_is_ready(struct step_run *r, struct err *e)
{
	enum step_verdict v = put_on_the_rule(r, e);
	struct elb_health blue, green;
	int need;

	if (v != STEP_DONE)
		return v;
	if (elb_health(r->aws, r->blue, &blue, e) || elb_health(r->aws, r->green, &green, e))
		return STEP_FAIL;
	need = blue.healthy > 0 ? blue.healthy : 1;
	return green.healthy >= need ? STEP_DONE : not_ready(r, &green, need, e);
}

enum step_verdict stage_reach(struct step_run *r, int permille, struct err *e)
{
	if (permille > step_green_permille(r)) {
		enum step_verdict v = wait_until_green_is_ready(r, e);

		if (v != STEP_DONE)
			return v;
	}
	return step_traffic(r, permille, e);
}

enum step_verdict stage_undo(struct step_run *r, struct err *e)
{
	/* Not step_traffic(0) always: the rule may already be without green again. */
	return step_green_permille(r) > 0 ? step_traffic(r, 0, e) : STEP_DONE;
}

/* --- and be seen to ------------------------------------------------------------------ */

static int64_t stage_since(const struct step_run *r)
{
	int64_t weight = step_weight_since(r);

	return weight > r->since ? weight : r->since;
}

static void say_share(const struct step_run *r, char *out, size_t size)
{
	int permille = step_green_permille(r);

	snprintf(out, size, permille % 10 ? "%d.%d %%" : "%d %%", permille / 10, permille % 10);
}

static enum step_verdict bake_on(struct step_run *r, int64_t until, const struct verdict *v)
{
	char share[16], left[32];

	say_share(r, share, sizeof share);
	duration_say((until - r->now + 999) / 1000 * 1000, left);
	step_say(r, "baking at %s, %s left; %s: %.150s", share, left, verdict_name(v->kind), v->why);
	r->wake_at = until;
	return STEP_WAIT;
}

static enum step_verdict end_early(struct step_run *r, const char *what, const char *who, int64_t order, struct err *e)
{
	json_t *how = json_pack("{s:o, s:s}", "by", json_text(who), "verdict", verdict_name(step_verdict_now(r)->kind));

	if (order)
		json_object_set_new(how, "order", json_integer(order));
	return step_note(r, what, how, e) ? STEP_FAIL : STEP_DONE;
}

static enum step_verdict ask_a_person(struct step_run *r, const struct verdict *v, struct err *e)
{
	autofree char *text = xasprintf("go on with too little evidence? %.300s", v->why);
	char who[96];

	if (step_answered(r, who, sizeof who))
		return end_early(r, "goes on with too little evidence", who, 0, e);
	step_say(r, "too little evidence, a person decides: `cutover promote` goes on, `cutover rollback` goes back: %.110s",
		 v->why);
	return step_ask(r, &(struct step_question){ .text = text, .otherwise = "rollback", .until = r->since + r->step->timeout_ms },
			e) ? STEP_FAIL : STEP_WAIT;
}

/* The time is up and the verdict is not GOOD. BAD and BLIND are the engine's to
 * act on; HOLD lengthens the stage, but not for ever. */
static enum step_verdict hold_on(struct step_run *r, int64_t over_ms, const struct verdict *v, struct err *e)
{
	const struct plan_watch *w = &r->plan->watch;
	char limit[32];

	step_say(r, "bake is over, the verdict is %s: %.180s", verdict_name(v->kind), v->why);
	if (v->kind != VERDICT_HOLD || over_ms < w->hold_limit_ms)
		return STEP_WAIT;
	if (w->on_hold == PLAN_HOLD_CALL)
		return ask_a_person(r, v, e);
	duration_say(w->hold_limit_ms, limit);
	return err_set(e, ERR_GATE, "still not enough evidence %s after the bake: %s", limit, v->why);
}

/* An order of its own, with a reason: never an answer that came twice. */
static bool is_skipped(struct step_run *r, const struct verdict *v, char *who, size_t size, int64_t *order)
{
	*order = v->kind != VERDICT_BAD && v->kind != VERDICT_BLIND ? step_bake_skipped(r, who, size) : 0;
	return *order;
}

/* A share that an earlier step gave was judged there, before what came between
 * (edits are taken again, say): at least a period of this step's own must close. */
static int64_t bake_until(const struct step_run *r)
{
	const struct plan_watch *w = &r->plan->watch;
	int64_t until = stage_since(r) + json_num(r->params, "bake", 0), weight = step_weight_since(r);
	int64_t seen = r->since + 2 * w->period_ms + plan_watch_lag_ms(w);

	return weight && weight < r->since && seen > until ? seen : until;
}

enum step_verdict stage_bake(struct step_run *r, struct err *e)
{
	const struct verdict *v = step_verdict_now(r);
	int64_t until = bake_until(r), order;
	char who[96];

	if (r->now >= until && v->kind == VERDICT_GOOD)
		return STEP_DONE;
	if (is_skipped(r, v, who, sizeof who, &order))
		return end_early(r, "bake ended early", who, order, e);
	if (r->now < until)
		return bake_on(r, until, v);
	return hold_on(r, r->now - until, v, e);
}

/* --- weights of the judge's own ---------------------------------------------------------- */

#define DEADLINE_MS (4 * 3600000LL)

bool stage_is_automatic(const struct step *s)
{
	return !strcmp(json_str(s->params, "stages", ""), "auto");
}

static int64_t deadline_of(const struct step *s)
{
	return json_num(s->params, "deadline", DEADLINE_MS);
}

/* A raise needs eyes: what the guarded rules hold stays where it is. A step back does not. */
static bool may_raise(const struct verdict *v)
{
	return v->kind == VERDICT_GOOD || (v->kind == VERDICT_HOLD && !strcmp(v->rule, "evidence"));
}

static int share_wanted(const struct step_run *r, const struct verdict *v, const struct step_advice *a)
{
	int share = step_green_intended(r);

	if (share < 1)
		return 1;
	if (!a->known || (a->permille > share && !may_raise(v)))
		return share;
	return a->permille;
}

static enum step_verdict follow_on(struct step_run *r, const struct verdict *v, struct err *e)
{
	int64_t over = r->now - r->since - deadline_of(r->step);
	char share[16], limit[32];

	say_share(r, share, sizeof share);
	step_say(r, "the judge gives green %s; %s: %.170s", share, verdict_name(v->kind), v->why);
	if (over < 0 || v->kind == VERDICT_BAD || v->kind == VERDICT_BLIND)
		return STEP_WAIT;
	if (r->plan->watch.on_hold == PLAN_HOLD_CALL)
		return ask_a_person(r, v, e);
	duration_say(deadline_of(r->step), limit);
	return err_set(e, ERR_GATE, "green has not shown enough within the deadline of %s: %s", limit, v->why);
}

enum step_verdict stage_follow(struct step_run *r, struct err *e)
{
	const struct verdict *v = step_verdict_now(r);
	struct step_advice a = step_judge_says(r);
	enum step_verdict reached = stage_reach(r, share_wanted(r, v, &a), e);
	char who[96];
	int64_t order;

	if (reached != STEP_DONE)
		return reached;
	if (a.promote && v->kind == VERDICT_GOOD)
		return STEP_DONE;
	if (is_skipped(r, v, who, sizeof who, &order))
		return end_early(r, "raising ended early", who, order, e);
	return follow_on(r, v, e);
}

/* --- in the plan ----------------------------------------------------------------------- */

int64_t stage_worst_ms(const struct step *s)
{
	return (stage_is_automatic(s) ? deadline_of(s) : json_num(s->params, "bake", 0)) + json_num(s->params, "ready", 0);
}

void stage_validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	int64_t need = stage_worst_ms(s) + p->watch.hold_limit_ms;
	char text[32];

	if (s->timeout_ms > need)
		return;
	duration_say(need, text);
	plan_bad(errs, p, s, "timeout", "must be longer than ready, bake and the watch's hold_limit together (%s)", text);
}

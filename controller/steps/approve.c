/* steps/approve.c - asks a person. The watch goes on meanwhile. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "judge/judge.h"
#include "plan/plan.h"
#include "steps/kinds.h"

#include <string.h>

static enum step_verdict approved(struct step_run *r, const char *who, struct err *e)
{
	return step_note(r, "approved", json_pack("{s:o}", "by", json_text(who)), e) ? STEP_FAIL : STEP_DONE;
}

/* Silence is consent only where the plan says so and the evidence does not object. */
static enum step_verdict nobody_answered(struct step_run *r, struct err *e)
{
	const struct verdict *v = step_verdict_now(r);
	char until[21];

	clock_iso(r->since + json_num(r->params, "deadline", 0), until);
	if (strcmp(json_str(r->params, "default", "rollback"), "promote"))
		return err_set(e, ERR_GATE, "nobody approved until %s", until);
	if (step_green_permille(r) > 0 && v->kind != VERDICT_GOOD)
		return err_set(e, ERR_GATE, "nobody answered until %s, and the verdict is %s: %s", until,
			       verdict_name(v->kind), v->why);
	return approved(r, "the plan's default", e);
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	const struct step_question q = { .text = json_str(r->params, "ask", ""), .otherwise = json_str(r->params, "default", "rollback"),
					 .until = r->since + json_num(r->params, "deadline", 0) };
	char who[96], iso[21];

	if (step_answered(r, who, sizeof who))
		return approved(r, who, e);
	if (r->now >= q.until)
		return nobody_answered(r, e);
	if (step_ask(r, &q, e))
		return STEP_FAIL;
	clock_iso(q.until, iso);
	step_say(r, "waiting for `cutover promote` or `cutover rollback` until %s, then %s: %.130s", iso, q.otherwise, q.text);
	r->wake_at = q.until;
	return STEP_WAIT;
}

static int64_t worst_ms(const struct step *s)
{
	return json_num(s->params, "deadline", 0);
}

static void validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	if (s->timeout_ms <= worst_ms(s))
		plan_bad(errs, p, s, "timeout", "must be longer than the deadline");
}

static const char *const defaults[] = { "rollback", "promote", NULL };

static const struct param params[] = {
	{ .name = "ask", .type = PARAM_STRING, .required = true, .about = "the question, as a person shall read it" },
	{ .name = "deadline", .type = PARAM_DURATION, .def = "\"PT4H\"", .min = 1000, .max = 7 * 86400000L,
	  .about = "how long to wait for an answer" },
	{ .name = "default", .type = PARAM_CHOICE, .def = "\"rollback\"", .choices = defaults,
	  .about = "what silence means; promote also needs a good verdict while green has traffic" },
	{ 0 },
};

const struct step_kind step_approve = {
	.name = "approve", .about = "ask a person, with a deadline and a default",
	.params = params, .timeout_ms = DAYS(8), .validate = validate, .worst_ms = worst_ms, .advance = advance,
};

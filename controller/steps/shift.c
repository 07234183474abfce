/* steps/shift.c - gives green a share of the traffic and keeps it for a while. */
#include "aws/aws.h"
#include "base/buf.h"
#include "plan/plan.h"
#include "steps/kinds.h"
#include "steps/stage.h"

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	enum step_verdict v;

	if (stage_is_automatic(r->step))
		return stage_follow(r, e);
	v = stage_reach(r, (int)json_num(r->params, "weight", 0), e);

	return v == STEP_DONE ? stage_bake(r, e) : v;
}

static const char *const stages_choices[] = { "auto", NULL };

static const struct param params[] = {
	{ .name = "weight", .type = PARAM_PERCENT, .min = 1, .max = 1000,
	  .about = "green's share of the traffic" },
	{ .name = "stages", .type = PARAM_CHOICE, .choices = stages_choices,
	  .about = "\"auto\" instead of `weight`: the judge chooses shares and times, from a thousandth up to nine tenths" },
	{ .name = "harm", .type = PARAM_INT, .min = 1, .max = 1000000000,
	  .about = "with \"auto\": failed requests that a raise may cost before its fault is seen; without it: watch.judge.harm" },
	{ .name = "deadline", .type = PARAM_DURATION, .min = 60000, .max = 7 * 86400000L,
	  .about = "with \"auto\": time until green must have shown enough, without it 4 hours; then as watch.on_hold says" },
	STAGE_PARAMS,
	{ 0 },
};

static bool has(const struct step *s, const char *key) { return json_object_get(s->params, key) != NULL; }

static bool is_alone(const struct step *s, const struct plan *p)
{
	for (size_t i = 0; i < p->nsteps; i++)
		if (p->steps[i].kind == &step_shift && &p->steps[i] != s)
			return false;
	return true;
}

static void validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	bool automatic = stage_is_automatic(s);

	if (has(s, "weight") == automatic)
		plan_bad(errs, p, s, automatic ? "weight" : NULL, automatic ? "stands beside \"stages\": \"auto\"; one of them is enough" :
			 "needs `weight`, or \"stages\": \"auto\"");
	if (automatic && !p->watch.sequential)
		plan_bad(errs, p, s, "stages", "is for the judge to choose, and watch.judge.on is false");
	if (automatic && !is_alone(s, p))
		plan_bad(errs, p, s, "stages", "leaves no room for other shift steps: the judge goes all the way");
	if (!automatic && (has(s, "harm") || has(s, "deadline")))
		plan_bad(errs, p, s, has(s, "harm") ? "harm" : "deadline", "goes with \"stages\": \"auto\" only");
	stage_validate(s, p, errs);
}

static const enum aws_op ops[] = {
	ELB_DESCRIBE_RULES, ELB_DESCRIBE_TARGET_HEALTH, ELB_MODIFY_RULE, CW_GET_METRIC_DATA, CW_DESCRIBE_ALARMS,
};

const struct step_kind step_shift = {
	.name = "shift",
	.about = "give green a share of the traffic when it is healthy, and keep it until the evidence is good",
	.params = params, .flags = STEP_TRAFFIC | STEP_TOUCHES, .timeout_ms = DAYS(1), .ops = ops, .nops = COUNT(ops),
	.validate = validate, .worst_ms = stage_worst_ms, .advance = advance, .undo = stage_undo,
};

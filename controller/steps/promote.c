/* steps/promote.c - gives green everything, keeps it, and proves it. */
#include "aws/aws.h"
#include "aws/elb.h"
#include "base/buf.h"
#include "base/err.h"
#include "judge/judge.h"
#include "plan/plan.h"
#include "steps/kinds.h"
#include "steps/stage.h"

static json_t *facts(const struct step_run *r, const struct elb_split *is)
{
	const struct verdict *v = step_verdict_now(r);

	return json_pack("{s:i, s:i, s:s, s:f, s:f}", "blue", is->blue, "green", is->green, "verdict", verdict_name(v->kind),
			 "requests", v->green_requests, "errors", v->green_errors);
}

/* The claim "promoted" rests on what AWS says now, not on what was sent. */
static enum step_verdict prove(struct step_run *r, struct err *e)
{
	struct elb_split is;

	if (elb_split_get(r->aws, r->plan->rule, r->blue, r->green, &is, e))
		return STEP_FAIL;
	if (is.blue > 0 || is.green <= 0) {
		step_say(r, "the rule gives blue %d and green %d: not promoted yet", is.blue, is.green);
		return STEP_WAIT;
	}
	return step_note(r, "all traffic is on green", facts(r, &is), e) ? STEP_FAIL : STEP_DONE;
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	static enum step_verdict (*const then[])(struct step_run *, struct err *) = { stage_bake, prove };
	enum step_verdict v = stage_reach(r, 1000, e);

	for (size_t i = 0; v == STEP_DONE && i < COUNT(then); i++)
		v = then[i](r, e);
	return v;
}

static const struct param params[] = { STAGE_PARAMS, { 0 } };

static const enum aws_op ops[] = {
	ELB_DESCRIBE_RULES, ELB_DESCRIBE_TARGET_HEALTH, ELB_MODIFY_RULE, CW_GET_METRIC_DATA, CW_DESCRIBE_ALARMS,
};

const struct step_kind step_promote = {
	.name = "promote",
	.about = "give green all traffic, keep it until the evidence is good, and read the rule back as proof",
	.params = params, .flags = STEP_TRAFFIC | STEP_TOUCHES, .timeout_ms = DAYS(1), .ops = ops, .nops = COUNT(ops),
	.validate = stage_validate, .worst_ms = stage_worst_ms, .advance = advance, .undo = stage_undo,
};

/* steps/shift.c - gives green a share of the traffic and keeps it for a while. */
#include "aws/aws.h"
#include "base/buf.h"
#include "steps/kinds.h"
#include "steps/stage.h"

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	enum step_verdict v = stage_reach(r, (int)json_num(r->params, "weight", 0), e);

	return v == STEP_DONE ? stage_bake(r, e) : v;
}

static const struct param params[] = {
	{ .name = "weight", .type = PARAM_PERCENT, .required = true, .min = 1, .max = 1000,
	  .about = "green's share of the traffic" },
	STAGE_PARAMS,
	{ 0 },
};

static const enum aws_op ops[] = {
	ELB_DESCRIBE_RULES, ELB_DESCRIBE_TARGET_HEALTH, ELB_MODIFY_RULE, CW_GET_METRIC_DATA, CW_DESCRIBE_ALARMS,
};

const struct step_kind step_shift = {
	.name = "shift",
	.about = "give green a share of the traffic when it is healthy, and keep it until the evidence is good",
	.params = params, .flags = STEP_TRAFFIC | STEP_TOUCHES, .timeout_ms = DAYS(1), .ops = ops, .nops = COUNT(ops),
	.validate = stage_validate, .worst_ms = stage_worst_ms, .advance = advance, .undo = stage_undo,
};

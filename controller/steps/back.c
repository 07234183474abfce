/* steps/back.c - takes all traffic off green, for plans that are a way back. */
#include "aws/aws.h"
#include "aws/elb.h"
#include "base/buf.h"
#include "base/err.h"
#include "plan/plan.h"
#include "steps/kinds.h"

static enum step_verdict wait_for_blue(struct step_run *r, const struct elb_health *blue)
{
	step_say(r, "blue has no healthy target%s%.150s", blue->reason[0] ? ": " : "", blue->reason);
	return STEP_WAIT;
}

/* Users are not sent where nobody answers while somebody does elsewhere. */
static enum step_verdict blue_is_no_worse(struct step_run *r, struct err *e)
{
	(void)e;
	if (step_blue_can_serve(r))
		return STEP_DONE;
	step_say(r, "blue has no healthy target and green has: traffic stays on green until blue is healthy");
	return STEP_WAIT;
}

static enum step_verdict blue_is_healthy(struct step_run *r, struct err *e)
{
	struct elb_health blue;

	if (elb_health(r->aws, r->blue, &blue, e))
		return STEP_FAIL;
	return blue.healthy > 0 ? STEP_DONE : wait_for_blue(r, &blue);
}

static enum step_verdict move(struct step_run *r, struct err *e)
{
	return step_traffic(r, 0, e);
}

/* DescribeRules tells what the control plane was told; requests are the proof. */
static enum step_verdict prove(struct step_run *r, struct err *e)
{
	int n = (int)json_num(r->params, "quiet_periods", 0);
	struct drained q = { 0 };

	if (n && step_drained(r, r->green, r->blue, n > DRAINED_SILENT ? n : DRAINED_SILENT, &q, e))
		return STEP_FAIL;
	if (!n || drained_is_proved(&q, n))
		return step_note(r, "traffic is on blue", json_pack("{s:i, s:i}", "blue_only_periods", q.busy,
								    "silent_periods", q.silent), e) ? STEP_FAIL : STEP_DONE;
	step_say(r, q.loud ? "the rule gives green no weight, but green still answers requests"
			   : "the rule is on blue; waiting for CloudWatch to show green without requests");
	return STEP_WAIT;
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	static enum step_verdict (*const then[])(struct step_run *, struct err *) = {
		blue_is_no_worse, move, blue_is_healthy, prove,
	};
	enum step_verdict v = STEP_DONE;

	for (size_t i = 0; v == STEP_DONE && i < COUNT(then); i++)
		v = then[i](r, e);
	return v;
}

static int64_t worst_ms(const struct step *s)
{
	(void)s;
	return MINUTES(10);
}

static const struct param params[] = {
	{ .name = "quiet_periods", .type = PARAM_INT, .def = "1", .max = 60,
	  .about = "closed CloudWatch periods in which blue was asked and green was not; 0: the rule alone is proof" },
	{ 0 },
};

static const enum aws_op ops[] = {
	ELB_DESCRIBE_RULES, ELB_DESCRIBE_TARGET_HEALTH, ELB_MODIFY_RULE, CW_GET_METRIC_DATA,
};

const struct step_kind step_back = {
	.name = "back", .about = "take all traffic off green and prove that blue serves it",
	.params = params, .flags = STEP_TRAFFIC | STEP_TOUCHES, .timeout_ms = HOURS(1), .ops = ops, .nops = COUNT(ops),
	.worst_ms = worst_ms, .advance = advance,
};

/* steps/retire.c - takes blue away. A one-way door: there is no undo.
 *
 * Before the door: the soak, in which the way back stays open, and the proof
 * that nobody asks blue any more. Others scaled the old side down on an
 * unanswered look while all traffic still went to it (argo-rollouts#3333). */
#include "aws/aws.h"
#include "aws/cloudformation.h"
#include "aws/ecs.h"
#include "aws/elb.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "plan/plan.h"
#include "steps/kinds.h"

#include <string.h>

#define POLL_MS 5000
#define CALLED_POLL_MS 60000 /* when only a person can help */
#define TRIES 2 /* a service may show the old number for a while */

static bool deletes(const struct step_run *r)
{
	return !strcmp(json_str(r->params, "how", ""), "delete-stack");
}

/* --- before the door --------------------------------------------------------------------- */

static enum step_verdict soak(struct step_run *r, struct err *e)
{
	int64_t since = step_weight_since(r), until = since + json_num(r->params, "soak", 0);
	char iso[21], left[32];

	if (!since || step_green_permille(r) < 1000)
		return err_set(e, ERR_GATE, "blue may not be retired: this run has not given green all traffic");
	if (r->now >= until)
		return STEP_DONE;
	clock_iso(until, iso);
	duration_say((until - r->now + 999) / 1000 * 1000, left);
	step_say(r, "soaking until %s (%s left); until then `cutover rollback` still works", iso, left);
	r->wake_at = until;
	return STEP_WAIT;
}

/* Read from AWS, not from memory: asked right before every destructive call too. */
static enum step_verdict no_weight(struct step_run *r, struct err *e)
{
	struct elb_split is;

	if (elb_split_get(r->aws, r->plan->rule, r->blue, r->green, &is, e))
		return STEP_FAIL;
	if (is.blue <= 0 && is.green > 0)
		return STEP_DONE;
	step_say(r, "the rule gives blue %d and green %d: blue is not retired while it has weight", is.blue, is.green);
	return STEP_WAIT;
}

static enum step_verdict quiet(struct step_run *r, struct err *e)
{
	int n = (int)json_num(r->params, "quiet_periods", 0);
	struct drained q;

	if (step_drained(r, r->blue, r->green, n, &q, e))
		return STEP_FAIL;
	if (q.complete && q.closed == n && q.busy == n && !q.loud)
		return STEP_DONE;
	if (q.loud)
		step_say(r, "blue was still asked: %.0f requests in %d of the last %d closed periods", q.requests, q.loud,
			 q.closed);
	else if (!q.complete)
		step_say(r, "CloudWatch's answer was incomplete: no proof that nobody asks blue");
	else
		step_say(r, "waiting for proof that nobody asks blue: green was seen in %d of %d closed periods", q.busy, n);
	r->wake_at = r->now + r->plan->watch.period_ms;
	return STEP_WAIT;
}

/* What will be taken away, fixed before the first change: a stack by its id, so
 * that one made later under the same name is not meant. */
static json_t *target(struct step_run *r, struct err *e)
{
	const struct plan_side *b = &r->plan->blue;
	autostack struct cfn_stack s = { 0 };
	struct ecs_service svc;

	if (deletes(r))
		return cfn_stack_get(r->aws, b->stack, &s, e) ? NULL : json_pack("{s:s}", "stack", s.id);
	if (ecs_service_get(r->aws, b->cluster, b->service, &svc, e))
		return NULL;
	return json_pack("{s:s, s:s, s:i}", "cluster", b->cluster, "service", b->service, "desired", svc.desired);
}

static enum step_verdict open_door(struct step_run *r, struct err *e)
{
	autojson json_t *what = target(r, e);

	if (!what)
		return STEP_FAIL;
	if (step_note(r, "nobody asks blue: retiring it", json_incref(what), e) || step_intend(r, json_incref(what), e))
		return STEP_FAIL;
	r->wake_at = r->now;
	return STEP_WAIT;
}

/* --- behind it -------------------------------------------------------------------------------- */

static enum step_verdict wait_saying(struct step_run *r, const char *what, const char *status)
{
	step_say(r, "%s (%s)", what, status);
	r->wake_at = r->now + POLL_MS;
	return STEP_WAIT;
}

/* Durably: how many of our writes AWS took, and whether a person was told that they do not last. */
static int remember(struct step_run *r, const char *key, int value, struct err *e)
{
	json_t *memo = json_deep_copy(r->memo);

	json_object_set_new(memo, key, json_integer(value));
	return step_intend(r, memo, e);
}

/* Somebody else's number is not fought over: it was ours twice, and came back. */
static enum step_verdict comes_back(struct step_run *r, const struct ecs_service *s, struct err *e)
{
	const char *service = json_str(r->memo, "service", "");
	autofree char *why = xasprintf(
		"blue's ECS service %.100s was set to 0 tasks %d times, and is at %d again: something else sets it, as Application Auto "
		"Scaling does whose minimum is %d. cutover leaves it alone and waits: end that (`aws application-autoscaling "
		"deregister-scalable-target`, or a minimum of 0), then set the service to 0 tasks",
		service, TRIES, s->desired, s->desired);

	if (!json_num(r->memo, "told", 0) && (remember(r, "told", 1, e) || step_call(r, why, e)))
		return STEP_FAIL;
	step_say(r, "%s", why);
	r->wake_at = r->now + CALLED_POLL_MS;
	return STEP_WAIT;
}

static enum step_verdict set_to_none(struct step_run *r, const struct ecs_service *s, struct err *e)
{
	int taken = (int)json_num(r->memo, "taken", 0);
	enum step_verdict v = no_weight(r, e);

	if (v != STEP_DONE)
		return v;
	if (taken >= TRIES)
		return comes_back(r, s, e);
	if (ecs_service_scale(r->aws, json_str(r->memo, "cluster", ""), json_str(r->memo, "service", ""), 0, e) ||
	    remember(r, "taken", taken + 1, e))
		return STEP_FAIL;
	return wait_saying(r, "scaling blue down", s->status);
}

static enum step_verdict scale_down(struct step_run *r, struct err *e)
{
	struct ecs_service s;

	if (ecs_service_get(r->aws, json_str(r->memo, "cluster", ""), json_str(r->memo, "service", ""), &s, e))
		return STEP_FAIL;
	if (!s.desired && !s.running && !s.pending)
		return STEP_DONE;
	return s.desired ? set_to_none(r, &s, e) : wait_saying(r, "waiting until blue's last task has stopped", s.status);
}

static enum step_verdict delete_it(struct step_run *r, const char *id, const char *status, struct err *e)
{
	enum step_verdict v = no_weight(r, e);

	v = v == STEP_DONE ? step_green_alone(r, e) : v;
	if (v == STEP_DONE && cfn_stack_delete(r->aws, id, r->token, e))
		return STEP_FAIL;
	return v == STEP_DONE ? wait_saying(r, "deleting blue's stack", status) : v;
}

static enum step_verdict delete_failed(struct step_run *r, const struct cfn_stack *s, struct err *e)
{
	char why[400] = "";
	struct err ignored = { 0 };

	(void)cfn_why_failed(r->aws, s->id, r->token, why, sizeof why, &ignored);
	return err_set(e, ERR_GATE, "blue's stack could not be deleted: %s", why[0] ? why : s->reason);
}

static enum step_verdict delete_stack(struct step_run *r, struct err *e)
{
	const char *id = json_str(r->memo, "stack", "");
	autostack struct cfn_stack s = { 0 };
	struct err why = { 0 };

	if (cfn_stack_get(r->aws, id, &s, &why)) {
		if (why.kind == ERR_GONE)
			return STEP_DONE;
		*e = why;
		return STEP_FAIL;
	}
	if (cfn_phase(s.status) == CFN_DELETED)
		return STEP_DONE;
	if (!strcmp(s.status, "DELETE_FAILED"))
		return delete_failed(r, &s, e);
	if (cfn_phase(s.status) == CFN_BUSY)
		return wait_saying(r, "waiting for blue's stack", s.status);
	return delete_it(r, id, s.status, e);
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	static enum step_verdict (*const before[])(struct step_run *, struct err *) = { soak, no_weight, quiet, open_door };
	enum step_verdict v = STEP_DONE;

	if (r->memo)
		return deletes(r) ? delete_stack(r, e) : scale_down(r, e);
	for (size_t i = 0; v == STEP_DONE && i < COUNT(before); i++)
		v = before[i](r, e);
	return v;
}

/* --- in the plan --------------------------------------------------------------------------------- */

static bool follows_promote(const struct step *s, const struct plan *p)
{
	for (const struct step *t = p->steps; t < s; t++)
		if (t->kind == &step_promote)
			return true;
	return false;
}

static int64_t worst_ms(const struct step *s)
{
	return json_num(s->params, "soak", 0) + HOURS(1);
}

static void validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	bool stack = !strcmp(json_str(s->params, "how", ""), "delete-stack");

	if (!follows_promote(s, p))
		plan_bad(errs, p, s, NULL, "must come after a promote step");
	if (stack && !p->blue.stack)
		plan_bad(errs, p, s, "how", "\"delete-stack\" needs blue.stack in the plan");
	if (!stack && (!p->blue.cluster || !p->blue.service))
		plan_bad(errs, p, s, "how", "\"scale-down\" needs blue.cluster and blue.service in the plan");
	if (s->timeout_ms < worst_ms(s))
		plan_bad(errs, p, s, "timeout", "must be an hour longer than the soak");
}

static const char *const hows[] = { "scale-down", "delete-stack", NULL };

static const struct param params[] = {
	{ .name = "how", .type = PARAM_CHOICE, .def = "\"scale-down\"", .choices = hows,
	  .about = "set blue's ECS service to 0 tasks, and leave blue on the rule without weight; or take blue off the rule and "
		   "delete its CloudFormation stack" },
	{ .name = "soak", .type = PARAM_DURATION, .def = "\"PT24H\"", .max = 14 * 86400000L,
	  .about = "how long green must have had all traffic; the way back stays open meanwhile" },
	{ .name = "quiet_periods", .type = PARAM_INT, .def = "5", .min = 2, .max = 60,
	  .about = "closed CloudWatch periods in which green was asked and blue was not" },
	{ 0 },
};

static const enum aws_op ops[] = {
	ELB_DESCRIBE_RULES, ELB_MODIFY_RULE, CW_GET_METRIC_DATA, ECS_DESCRIBE_SERVICES, ECS_UPDATE_SERVICE, CFN_DESCRIBE_STACKS,
	CFN_DESCRIBE_STACK_EVENTS, CFN_DELETE_STACK,
};

const struct step_kind step_retire = {
	.name = "retire", .about = "take blue away, after soak and proof that nobody asks it; cannot be undone",
	.params = params, .flags = STEP_ONE_WAY | STEP_TOUCHES, .timeout_ms = DAYS(15), .ops = ops, .nops = COUNT(ops),
	.validate = validate, .worst_ms = worst_ms, .advance = advance,
};

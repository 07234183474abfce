/* engine/deadman.c - AWS itself puts the weights back when nobody comes.
 *
 * A one-time EventBridge schedule calls ModifyRule with the rollback weights.
 * It is armed before the first raise, moved on while this process lives, and
 * removed after proof. A fired switch looks like somebody taking traffic back
 * by hand, and is obeyed as that. */
#include "engine/internal.h"

#include "aws/scheduler.h"

#include <stdio.h>

#define TARGET "arn:aws:scheduler:::aws-sdk:elasticloadbalancingv2:modifyRule"

static void name_of(struct engine *en, char out[65])
{
	snprintf(out, 65, "cutover-%.55s", en->run->id);
}

static json_t *rollback_input(struct engine *en)
{
	return json_pack("{s:s, s:[{s:s, s:{s:[{s:s, s:i}, {s:s, s:i}]}}]}", "RuleArn", en->run->plan->rule,
			 "Actions", "Type", "forward", "ForwardConfig", "TargetGroups",
			 "TargetGroupArn", en->blue, "Weight", ELB_WEIGHT_MAX,
			 "TargetGroupArn", en->green, "Weight", 0);
}

/* A write that was not answered may have been done, or an earlier one has: what
 * is there counts, when it is far enough off. Its payload is this run's own. */
static bool deadman_is_there(struct engine *en, const char *name, int64_t *at)
{
	const struct plan_deadman *d = &en->run->plan->deadman;
	struct err ignored = { 0 };
	bool exists = false;

	return !schedule_get(en->aws, d->group, name, &exists, at, &ignored) && exists &&
	       *at > engine_now(en) + d->after_ms / 2;
}

int deadman_arm(struct engine *en, struct err *e)
{
	const struct plan_deadman *d = &en->run->plan->deadman;
	autojson json_t *input = NULL;
	int64_t at = engine_now(en) + d->after_ms;
	char name[65], token[65];

	if (!d->on || en->run->one_way)
		return 0;
	input = rollback_input(en);
	name_of(en, name);
	snprintf(token, sizeof token, "%.40s-%lld", en->run->id, (long long)(at / 1000));
	if (schedule_put(en->aws, &(struct schedule){ .group = d->group, .name = name, .at = at, .target = TARGET,
						      .role = d->role, .input = input, .token = token }, e) &&
	    (e->kind != ERR_UNSURE || !deadman_is_there(en, name, &at)))
		return err_wrap(e, "arming the dead-man's switch");
	return engine_append(en, EVENT_ARMED, "", json_pack("{s:I}", "at", (json_int_t)at), e);
}

int deadman_rearm_if_due(struct engine *en, struct err *e)
{
	const struct plan_deadman *d = &en->run->plan->deadman;

	if (!d->on || !en->run->traffic.armed || en->run->traffic.armed - engine_now(en) > d->after_ms / 2)
		return 0;
	return deadman_arm(en, e);
}

int deadman_disarm(struct engine *en, struct err *e)
{
	char name[65];

	if (!en->run->plan->deadman.on || !en->run->traffic.armed)
		return 0;
	name_of(en, name);
	if (schedule_delete(en->aws, en->run->plan->deadman.group, name, e) && e->kind != ERR_GONE)
		return err_wrap(e, "removing the dead-man's switch");
	return engine_append(en, EVENT_ARMED, "", json_pack("{s:i}", "at", 0), e);
}

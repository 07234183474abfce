/* The lives of stacks. What will happen to one is written down as events when
 * an operation starts; each takes effect when its time has come. */
#include "sim/stacks.h"

#include <stdio.h>
#include <string.h>

#define EVENTS_MAX 200

enum effect { NOTHING, MAKE_GROUP, START_TASKS, STOP_TASKS, DROP_GROUP, RESTART };

const struct part stack_parts[PARTS] = {
	{ "Logs", "AWS::Logs::LogGroup", NOTHING, NOTHING },
	{ "Task", "AWS::ECS::TaskDefinition", NOTHING, NOTHING },
	{ "TargetGroup", "AWS::ElasticLoadBalancingV2::TargetGroup", MAKE_GROUP, DROP_GROUP },
	{ "Service", "AWS::ECS::Service", START_TASKS, STOP_TASKS },
};
#define SERVICE (PARTS - 1)

static struct event *plan_event(struct stack *k, int64_t at, const char *token)
{
	struct event *ev;

	if (k->nevents == EVENTS_MAX) { /* the oldest is forgotten */
		memmove(k->event, k->event + 1, --k->nevents * sizeof *k->event);
		k->done -= !!k->done;
	}
	k->event = xrealloc(k->event, (k->nevents + 1) * sizeof *k->event);
	ev = &k->event[k->nevents++];
	*ev = (struct event){ .at = at };
	snprintf(ev->token, sizeof ev->token, "%s", token);
	return ev;
}

static void plan_part(struct stack *k, int64_t at, const char *token, const struct part *p,
		      const char *status, const char *reason, int effect)
{
	struct event *ev = plan_event(k, at, token);

	snprintf(ev->logical, sizeof ev->logical, "%s", p->logical);
	snprintf(ev->type, sizeof ev->type, "%s", p->type);
	snprintf(ev->status, sizeof ev->status, "%s", status);
	snprintf(ev->reason, sizeof ev->reason, "%s", reason);
	ev->effect = effect;
}

static void plan_stack(struct stack *k, int64_t at, const char *token, const char *status, const char *reason)
{
	struct part whole = { k->name, "AWS::CloudFormation::Stack", 0, 0 };

	plan_part(k, at, token, &whole, status, reason, NOTHING);
	k->event[k->nevents - 1].is_stack = true;
}

static void plan_removal(struct stack *k, int64_t at, const char *token, const char *end)
{
	for (size_t i = PARTS; i-- > 0; at += 8000) {
		plan_part(k, at, token, &stack_parts[i], "DELETE_IN_PROGRESS", "", NOTHING);
		plan_part(k, at + 6000, token, &stack_parts[i], "DELETE_COMPLETE", "", stack_parts[i].gone);
	}
	plan_stack(k, at + 1000, token, end, "");
}

static void plan_failure(struct stack *k, int64_t at, const char *token)
{
	plan_part(k, at, token, &stack_parts[SERVICE], "CREATE_FAILED",
		  "Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit "
		  "Breaker was triggered'.\" (HandlerErrorCode: GeneralServiceException)", NOTHING);
	plan_part(k, at + 100, token, &stack_parts[0], "CREATE_FAILED", "Resource creation cancelled", NOTHING);
	plan_stack(k, at + 200, token, "ROLLBACK_IN_PROGRESS",
		   "The following resource(s) failed to create: [Service]. Rollback requested by user.");
	plan_removal(k, at + 2000, token, "ROLLBACK_COMPLETE");
}

void life_create(struct sim *s, struct stack *k, const char *token)
{
	int64_t took = dice_between(&s->world_dice, 60000, 300000), slice = took / (int64_t)(PARTS + 1);
	int64_t at = s->now + 1000;

	plan_stack(k, at, token, "CREATE_IN_PROGRESS", "User Initiated");
	for (size_t i = 0; i < PARTS; i++, at += slice) {
		plan_part(k, at, token, &stack_parts[i], "CREATE_IN_PROGRESS", "", NOTHING);
		if (i == SERVICE && s->stacks_fail) {
			plan_failure(k, at + slice, token);
			return; 		}
		plan_part(k, at + slice, token, &stack_parts[i], "CREATE_COMPLETE", "", stack_parts[i].made);
	}
	plan_stack(k, s->now + took, token, "CREATE_COMPLETE", "");
}

void life_update(struct sim *s, struct stack *k, const char *token)
{
	int64_t took = dice_between(&s->world_dice, 30000, 120000);

	plan_stack(k, s->now + 500, token, "UPDATE_IN_PROGRESS", "User Initiated");
	plan_part(k, s->now + 2000, token, &stack_parts[SERVICE], "UPDATE_IN_PROGRESS", "", NOTHING);
	plan_part(k, s->now + took - 2000, token, &stack_parts[SERVICE], "UPDATE_COMPLETE", "", RESTART);
	plan_stack(k, s->now + took, token, "UPDATE_COMPLETE", "");
}

/* AWS does not delete a target group that a rule still names. */
static void refuse_removal(struct sim *s, struct stack *k, struct event *ev)
{
	char token[sizeof ev->token];

	memcpy(token, ev->token, sizeof token);
	snprintf(ev->status, sizeof ev->status, "DELETE_FAILED");
	snprintf(ev->reason, sizeof ev->reason,
		 "Target group '%.150s' is currently in use by a listener or a rule", s->side[k->colour].arn);
	k->nevents = (size_t)(ev - k->event) + 1; /* what was to come does not */
	plan_stack(k, s->now + 500, token, "DELETE_FAILED",
		   "The following resource(s) failed to delete: [TargetGroup].");
}

static void take_effect(struct sim *s, struct stack *k, struct event *ev)
{
	struct side *c = &s->side[k->colour];

	if (ev->effect == DROP_GROUP && c->on_rule)
		return refuse_removal(s, k, ev);
	if (ev->effect == MAKE_GROUP)
		c->exists = true;
	if (ev->effect == DROP_GROUP)
		c->exists = false, c->ntargets = 0;
	if (ev->effect == START_TASKS || ev->effect == STOP_TASKS) {
		c->service_exists = ev->effect == START_TASKS;
		c->desired = c->service_exists ? TARGETS : 0;
		balancer_run(s, k->colour, c->desired);
	}
	if (ev->effect == RESTART)
		c->answered = 0; /* new processes have cold caches */
}

static void stack_event(struct stack *k, const struct event *ev)
{
	memcpy(k->status, ev->status, sizeof k->status);
	memcpy(k->reason, ev->reason, sizeof k->reason);
	k->deleted = !strcmp(k->status, "DELETE_COMPLETE");
}

static void stack_tick(struct sim *s, struct stack *k)
{
	while (k->done < k->nevents && k->event[k->done].at <= s->now) {
		struct event *ev = &k->event[k->done++];

		if (ev->is_stack)
			stack_event(k, ev);
		take_effect(s, k, ev); /* may plan more, which moves ev */
	}
}

void stacks_tick(struct sim *s)
{
	for (int i = 0; i < STACKS; i++)
		if (s->stack[i].used && s->stack[i].done < s->stack[i].nevents)
			stack_tick(s, &s->stack[i]);
}

/* --- for the other files ------------------------------------------------------------ */

void life_event(struct sim *s, struct stack *k, const char *token, const char *status)
{
	plan_stack(k, s->now, token, status, strcmp(status, "CREATE_COMPLETE") ? "User Initiated" : "");
	stack_tick(s, k);
}

/* What an earlier operation had in mind no longer happens. */
void life_delete(struct sim *s, struct stack *k, const char *token)
{
	bool hollow = !strcmp(k->status, "REVIEW_IN_PROGRESS") || !strcmp(k->status, "ROLLBACK_COMPLETE");

	k->nevents = k->done;
	plan_stack(k, s->now, token, "DELETE_IN_PROGRESS", "User Initiated");
	if (hollow)
		plan_stack(k, s->now + 2000, token, "DELETE_COMPLETE", "");
	else
		plan_removal(k, s->now + 2000, token, "DELETE_COMPLETE");
	stack_tick(s, k);
}

/* --- stacks with a template of their own ---------------------------------------------- */

static struct part part_of(const json_t *row)
{
	return (struct part){ json_str(row, "logical", "?"), json_str(row, "type", "?"), NOTHING, NOTHING };
}

static void plan_row(struct stack *k, int64_t at, int64_t until, const char *token, const json_t *row)
{
	static const struct { const char *action, *begins, *ends; } words[] = {
		{ "Add", "CREATE_IN_PROGRESS", "CREATE_COMPLETE" },
		{ "Modify", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE" },
		{ "Remove", "DELETE_IN_PROGRESS", "DELETE_COMPLETE" },
	};
	struct part p = part_of(row);

	for (size_t i = 0; i < COUNT(words); i++)
		if (!strcmp(words[i].action, json_str(row, "action", ""))) {
			plan_part(k, at, token, &p, words[i].begins, "", NOTHING);
			plan_part(k, until, token, &p, words[i].ends, "", NOTHING);
		}
}

/* One that cannot be made: it has the property "Impossible". */
static void plan_rows_failure(struct stack *k, int64_t at, const char *token, const json_t *row, bool create)
{
	struct part p = part_of(row);

	plan_part(k, at, token, &p, create ? "CREATE_FAILED" : "UPDATE_FAILED", "Resource limit exceeded", NOTHING);
	plan_stack(k, at + 200, token, create ? "ROLLBACK_IN_PROGRESS" : "UPDATE_ROLLBACK_IN_PROGRESS", "");
	plan_stack(k, at + 5000, token, create ? "ROLLBACK_COMPLETE" : "UPDATE_ROLLBACK_COMPLETE", "");
}

void life_rows(struct sim *s, struct stack *k, const char *token, const json_t *rows, bool create)
{
	int64_t slice = dice_between(&s->world_dice, 5000, 20000), at = s->now + 1000;
	size_t i;
	json_t *row;

	plan_stack(k, s->now, token, create ? "CREATE_IN_PROGRESS" : "UPDATE_IN_PROGRESS", "User Initiated");
	stack_tick(s, k);
	json_array_foreach(rows, i, row) {
		if (json_yes(row, "impossible")) {
			plan_rows_failure(k, at + slice, token, row, create);
			return;
		}
		plan_row(k, at, at + slice, token, row);
		at += slice;
	}
	plan_stack(k, at + 1000, token, create ? "CREATE_COMPLETE" : "UPDATE_COMPLETE", "");
}

void life_remove(struct sim *s, struct stack *k, const char *token)
{
	k->nevents = k->done;
	plan_stack(k, s->now, token, "DELETE_IN_PROGRESS", "User Initiated");
	plan_stack(k, s->now + dice_between(&s->world_dice, 5000, 30000), token, "DELETE_COMPLETE", "");
	stack_tick(s, k);
}

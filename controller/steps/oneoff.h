/* steps/oneoff.h - a one-off ECS task that is started once, whoever starts it:
 * what task, freeze and thaw have in common.
 *
 * A task has a name made of run, step, attempt and a word of ours. Whoever takes
 * over finds it by that name (startedBy), and a RunTask that is sent twice
 * starts one task, since its client token is made of the same name. */
#ifndef CUTOVER_STEPS_ONEOFF_H
#define CUTOVER_STEPS_ONEOFF_H

#include "aws/ecs.h"
#include "engine/step.h"

/* A started task may be missing from ListTasks for a moment. */
#define ONEOFF_SETTLE_MS 15000
#define ONEOFF_POLL_MS 1000

#define ONEOFF_PARAMS \
	{ .name = "cluster", .type = PARAM_STRING, .required = true, .about = "ECS cluster to run the task in" }, \
	{ .name = "task_definition", .type = PARAM_STRING, .required = true, \
	  .about = "family:revision or ARN: \"${green.TaskDefinition}\"" }, \
	{ .name = "container", .type = PARAM_STRING, .required = true, \
	  .about = "the container of it that gets the command" }, \
	{ .name = "launch", .type = PARAM_CHOICE, .choices = oneoff_launches, \
	  .about = "launch type; without it, the cluster's capacity providers" }, \
	{ .name = "subnets", .type = PARAM_STRINGS, .min = 1, .max = 16, \
	  .about = "for awsvpc task definitions (Fargate always)" }, \
	{ .name = "security_groups", .type = PARAM_STRINGS, .min = 1, .max = 5, .about = "for awsvpc task definitions" }, \
	{ .name = "public_ip", .type = PARAM_BOOL, .def = "false", \
	  .about = "give the task a public address: in a subnet without NAT it cannot fetch its image otherwise" }
extern const char *const oneoff_launches[];

#define ONEOFF_OPS ECS_LIST_TASKS, ECS_DESCRIBE_TASKS, ECS_RUN_TASK, ECS_STOP_TASK

/* Which of this step's tasks: "1", "2", ... or "undo-1". */
enum oneoff_state {
	ONEOFF_NONE,      /* never started, as far as ECS knows */
	ONEOFF_ALIVE,     /* from the request until the container's end */
	ONEOFF_STOPPED,
	ONEOFF_FORGOTTEN, /* ECS had it and does not know it any more: how it ended is unknown */
};
/* arn: as memo knows it, "" when it does not. */
int oneoff_look(struct step_run *r, const char *which, const char *arn, enum oneoff_state *state,
		struct ecs_task *t, struct err *e);
/* The one change; to be called after step_intend(). command: list of strings;
 * env: object of strings. */
int oneoff_start(struct step_run *r, const char *which, const json_t *command, const json_t *env,
		 struct ecs_task *t, struct err *e);
int oneoff_stop(struct step_run *r, const struct ecs_task *t, const char *why, struct err *e);
/* "ended with 1", "left no exit code (OutOfMemoryError: ...)"; for people. */
void oneoff_say_end(enum oneoff_state state, const struct ecs_task *t, char *out, size_t size);
bool oneoff_went_well(enum oneoff_state state, const struct ecs_task *t);

void oneoff_validate(const struct step *s, const struct plan *p, struct plan_errors *errs);
#endif

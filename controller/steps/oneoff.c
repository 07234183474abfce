#include "steps/oneoff.h"

#include "base/buf.h"
#include "base/err.h"
#include "plan/plan.h"
#include "steps/token.h"

#include <stdio.h>
#include <string.h>

const char *const oneoff_launches[] = { "FARGATE", "EC2", "EXTERNAL", NULL };

static void started_by(const struct step_run *r, const char *which, char out[ECS_STARTED_BY_MAX + 1])
{
	snprintf(out, ECS_STARTED_BY_MAX + 1, "cutover/%.96s/%.20s", r->token, which);
}

/* Shorter than the name may be: its hash stands for it. */
static void client_token(const char *name, char out[ECS_TOKEN_MAX + 1])
{
	char hash[33];

	token_hash(name, 32, hash);
	snprintf(out, ECS_TOKEN_MAX + 1, "cutover-%s", hash);
}

/* --- looking ---------------------------------------------------------------------------- */

static int describe(struct step_run *r, const char *arn, enum oneoff_state *state, struct ecs_task *t, struct err *e)
{
	struct err why = { 0 };

	if (!ecs_task_get(r->aws, json_str(r->params, "cluster", ""), arn, json_str(r->params, "container", ""), t, &why)) {
		*state = t->stopped ? ONEOFF_STOPPED : ONEOFF_ALIVE;
		return 0;
	}
	*state = ONEOFF_FORGOTTEN;
	if (why.kind == ERR_GONE)
		return 0;
	*e = why;
	return -1;
}

int oneoff_look(struct step_run *r, const char *which, const char *arn, enum oneoff_state *state, struct ecs_task *t,
		struct err *e)
{
	char name[ECS_STARTED_BY_MAX + 1], found[256];

	*state = ONEOFF_NONE;
	*t = (struct ecs_task){ .exit_code = -1 };
	if (*arn)
		return describe(r, arn, state, t, e);
	started_by(r, which, name);
	if (ecs_task_find(r->aws, json_str(r->params, "cluster", ""), name, found, e))
		return -1;
	return found[0] ? describe(r, found, state, t, e) : 0;
}

/* --- changing ------------------------------------------------------------------------------ */

int oneoff_start(struct step_run *r, const char *which, const json_t *command, const json_t *env, struct ecs_task *t,
		 struct err *e)
{
	char name[ECS_STARTED_BY_MAX + 1], token[ECS_TOKEN_MAX + 1];
	const json_t *p = r->params;
	struct ecs_task_request q = {
		.cluster = json_str(p, "cluster", ""), .definition = json_str(p, "task_definition", ""),
		.container = json_str(p, "container", ""), .launch = json_str(p, "launch", NULL), .command = command,
		.env = env, .subnets = json_object_get(p, "subnets"), .groups = json_object_get(p, "security_groups"),
		.public_ip = json_yes(p, "public_ip"), .token = token, .started_by = name,
	};

	started_by(r, which, name);
	client_token(name, token);
	return ecs_task_run(r->aws, &q, t, e);
}

int oneoff_stop(struct step_run *r, const struct ecs_task *t, const char *why, struct err *e)
{
	return ecs_task_stop(r->aws, json_str(r->params, "cluster", ""), t->arn, why, e);
}

/* --- how it ended --------------------------------------------------------------------------- */

void oneoff_say_end(enum oneoff_state state, const struct ecs_task *t, char *out, size_t size)
{
	if (state == ONEOFF_FORGOTTEN)
		snprintf(out, size, "is not known to ECS any more, so how it ended is unknown");
	else if (t->exited)
		snprintf(out, size, "ended with %d", t->exit_code);
	else
		snprintf(out, size, "left no exit code (%.200s)", t->reason[0] ? t->reason : t->code[0] ? t->code : "no reason given");
}

bool oneoff_went_well(enum oneoff_state state, const struct ecs_task *t)
{
	return state == ONEOFF_STOPPED && t->exited && !t->exit_code;
}

/* --- in the plan -------------------------------------------------------------------------------- */

void oneoff_validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	bool subnets = json_object_get(s->params, "subnets");

	if (!subnets && !strcmp(json_str(s->params, "launch", ""), "FARGATE"))
		plan_bad(errs, p, s, "subnets", "is missing: a Fargate task needs subnets");
	if (!subnets && (json_object_get(s->params, "security_groups") || json_yes(s->params, "public_ip")))
		plan_bad(errs, p, s, "subnets", "is missing: security_groups and public_ip only mean something with subnets");
}

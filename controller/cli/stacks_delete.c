/* cli/stacks_delete.c - the end of an environment: in reverse order, and nothing
 * at all while a stack that holds data is not named. What templates retain
 * (DeletionPolicy) stays with AWS. */
#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/stacks.h"

#include <string.h>

#define NAP_MS 1000
#define DELETE_MAX_MS INT64_C(2 * 3600000)

static void tell(struct stacks *s, const struct environment_stack *st, const char *what, const char *more)
{
	s->tell(s, json_pack("{s:s, s:s, s:o}", "what", what, "stack", st->name, "saying", json_text(more)));
}

/* 0: *k is there; 1: it is not. */
static int find(struct stacks *s, const struct environment_stack *st, const char *name, struct cfn_stack *k, struct err *e)
{
	struct err why = { 0 };

	if (!cfn_stack_get(stacks_aws(s, st->region), name, k, &why))
		return cfn_phase(k->status) == CFN_DELETED;
	if (why.kind == ERR_GONE)
		return 1;
	*e = why;
	return -1;
}

static int may_delete(struct stacks *s, const struct environment_stack *st, const struct cfn_stack *k, struct err *e)
{
	bool named = stacks_named(s->may_delete, st->name, st->name);

	if (!st->once && cfn_phase(k->status) != CFN_REVIEW && strcmp(json_str(k->tags, STACKS_OWNER_TAG, ""), s->env->name) != 0)
		return err_set(e, ERR_GATE, "stack %s is not this environment's (its tag " STACKS_OWNER_TAG " is not \"%s\"): it is left as it is",
			       st->name, s->env->name);
	if (st->stateful && !named)
		return err_set(e, ERR_GATE, "stack %s holds what cannot be made again: name it with --may-delete %s if that is meant; nothing was deleted",
			       st->name, st->name);
	return 0;
}

static int check_all(struct stacks *s, struct err *e)
{
	for (size_t i = 0; i < s->env->nstacks; i++) {
		const struct environment_stack *st = &s->env->stacks[i];
		autostack struct cfn_stack k = { 0 };
		int rc = find(s, st, st->name, &k, e);

		if (rc < 0 || (!rc && may_delete(s, st, &k, e)))
			return -1;
		if (!rc)
			stacks_keep_outputs(s, st->name, k.outputs);
	}
	return 0;
}

static int failed(struct stacks *s, const struct environment_stack *st, const struct cfn_stack *k, struct err *e)
{
	char why[400] = "";
	struct err ignored = { 0 };

	(void)cfn_why_failed(stacks_aws(s, st->region), k->id, NULL, why, sizeof why, &ignored);
	return err_set(e, ERR_GATE, "stack %s could not be deleted: %s", st->name, why[0] ? why : k->reason);
}

/* 1: told to stop. By id: the name is soon nobody's. */
static int wait_until_gone(struct stacks *s, const struct environment_stack *st, const char *id, struct err *e)
{
	int64_t until = clock_mono(s->clock) + DELETE_MAX_MS;

	while (clock_mono(s->clock) < until) {
		autostack struct cfn_stack k = { 0 };
		int rc = find(s, st, id, &k, e);

		if (rc < 0 && !err_retryable(e))
			return -1;
		if (rc == 1)
			return 0;
		if (!rc && !strcmp(k.status, "DELETE_FAILED"))
			return failed(s, st, &k, e);
		if (*s->stop)
			return 1;
		clock_sleep(s->clock, NAP_MS);
	}
	return err_set(e, ERR_GATE, "stack %s is not deleted after 2 hours: look at it in the console", st->name);
}

/* Its answer may be lost: what is there decides whether there is anything to wait for. */
static int begin(struct stacks *s, const struct environment_stack *st, const struct cfn_stack *k, struct err *e)
{
	autostack struct cfn_stack now = { 0 };
	struct err why = { 0 };
	int rc = 0;

	if (!strcmp(k->status, "DELETE_IN_PROGRESS") || !cfn_stack_delete(stacks_aws(s, st->region), k->id, NULL, &why))
		return 0;
	if (err_retryable(&why))
		rc = find(s, st, k->id, &now, e);
	if (rc < 0)
		return -1;
	if (rc || !strncmp(now.status, "DELETE_", 7))
		return 0;
	*e = why;
	return -1;
}

static int delete_one(struct stacks *s, const struct environment_stack *st, struct err *e)
{
	autostack struct cfn_stack k = { 0 };
	int rc = find(s, st, st->name, &k, e);

	if (rc)
		return rc < 0 ? -1 : (tell(s, st, "gone", "it is not there"), 0);
	s->touched = true;
	if (k.is_protected && cfn_stack_protect(stacks_aws(s, st->region), st->name, false, e))
		return -1;
	tell(s, st, "deleting", k.status);
	if (begin(s, st, &k, e))
		return -1;
	rc = wait_until_gone(s, st, k.id, e);
	if (!rc)
		tell(s, st, "gone", "deleted");
	return rc;
}

int stacks_delete(struct stacks *s, struct err *e)
{
	int rc = check_all(s, e) || stacks_rule_is_ours(s, e) || stacks_rule_remove(s, e) ? -1 : 0;

	for (size_t i = s->env->nstacks; i-- > 0 && !rc;)
		rc = delete_one(s, &s->env->stacks[i], e);
	return rc > 0 ? CUTOVER_EXIT_RUNNING : rc;
}

/* steps/stack.c - makes (or updates) a CloudFormation stack through a change set.
 *
 * A change set shows before it acts, and its name, made of run, step and
 * attempt, lets us find our own work again after a crash. The stack carries the
 * same token as a tag: only a stack with our token is ever deleted by undo. */
#include "aws/changeset.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "plan/plan.h"
#include "steps/kinds.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_TAG "cutover:token"

struct job {
	struct step_run *r;
	struct changeset c;
	char name[128]; /* of the change set */
};

static const struct changeset_calls calls;

static void job_load(struct job *j, struct step_run *r)
{
	*j = (struct job){ .r = r };
	snprintf(j->name, sizeof j->name, "cutover-%s", r->token);
	j->c = (struct changeset){
		.aws = r->aws, .stack = json_str(r->params, "stack", ""), .name = j->name, .token = r->token,
		.tag = TOKEN_TAG, .calls = &calls, .ctx = j, .now = r->now,
		.creates = json_yes(r->memo, "created"), .since = json_num(r->memo, "since", 0),
	};
	snprintf(j->c.phase, sizeof j->c.phase, "%s", json_str(r->memo, "phase", ""));
	snprintf(j->c.was, sizeof j->c.was, "%s", json_str(r->memo, "was", ""));
}

static int intend(struct changeset *c, struct err *e)
{
	struct job *j = c->ctx;

	return step_intend(j->r, json_pack("{s:s, s:b, s:o, s:I}", "phase", c->phase, "created", c->creates, "was",
					   json_text(c->was), "since", (json_int_t)c->since), e);
}

/* What the change set waits for is what the step waits for. */
static enum step_verdict wait_as(struct job *j)
{
	if (j->c.saying[0])
		step_say(j->r, "%s", j->c.saying);
	j->r->wake_at = j->c.wake_at;
	return STEP_WAIT;
}

static enum step_verdict wait_saying(struct job *j, const char *what, const char *status)
{
	changeset_wait(&j->c, what, status);
	return wait_as(j);
}

static enum step_verdict finish(struct job *j, const struct cfn_stack *s)
{
	const char *key;
	json_t *v;

	json_object_foreach(s->outputs, key, v)
		step_output(j->r, key, json_string_value(v));
	return STEP_DONE;
}

/* --- the request ----------------------------------------------------------------------- */

/* Relative to the plan file, so that a plan means the same wherever it is started. */
static char *template_path(const struct job *j)
{
	const char *path = json_str(j->r->params, "template", ""), *plan = j->r->plan->file;
	const char *slash = plan ? strrchr(plan, '/') : NULL;

	if (path[0] == '/' || !slash)
		return xstrdup(path);
	return xasprintf("%.*s/%s", (int)(slash - plan), plan, path);
}

static int read_template(const struct job *j, char **text, struct err *e)
{
	autofree char *path = template_path(j);
	size_t n;

	*text = NULL;
	if (!json_object_get(j->r->params, "template"))
		return 0;
	if (file_read(path, CFN_BODY_MAX, text, &n, e))
		return err_wrap(e, "the template must be a file of at most %d bytes; put a larger one on S3 and say template_url",
				CFN_BODY_MAX);
	return 0;
}

static json_t *tags(const struct job *j)
{
	const json_t *given = json_object_get(j->r->params, "tags");
	json_t *all = given ? json_copy((json_t *)given) : json_object();

	json_object_set_new(all, TOKEN_TAG, json_string(j->r->token));
	return all;
}

/* A secret that a stack was given is not shown, and "****" is no password. */
static int refuse_hidden(const char *stack, const json_t *parameters, struct err *e)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)parameters, key, v)
		if (!strcmp(json_string_value(v), "****"))
			return err_set(e, ERR_INPUT, "parameter %.100s of stack %.100s is hidden (NoEcho): write it in parameters", key, stack);
	return 0;
}

/* What the plan says, and for the rest what the stack `like` was made with. */
static int parameters(const struct job *j, json_t **out, struct err *e)
{
	const json_t *given = json_object_get(j->r->params, "parameters");
	const char *like = json_str(j->r->params, "like", NULL);
	autojson json_t *all = json_object();
	autostack struct cfn_stack s = { 0 };

	*out = NULL;
	if (like && cfn_stack_get(j->r->aws, like, &s, e)) {
		if (e->kind == ERR_GONE)
			e->kind = ERR_INPUT;
		return -1;
	}
	json_object_update(all, s.parameters);
	if (given)
		json_object_update(all, (json_t *)given);
	if (like && refuse_hidden(like, all, e))
		return -1;
	*out = steal(&all);
	return 0;
}

static int make(struct changeset *c, struct err *e)
{
	const struct job *j = c->ctx;
	const json_t *p = j->r->params;
	autofree char *body = NULL;
	autojson json_t *all_tags = tags(j), *values = NULL;
	struct cfn_change_request q = {
		.stack = c->stack, .name = c->name, .type = c->creates ? "CREATE" : "UPDATE",
		.template_url = json_str(p, "template_url", NULL),
		.tags = all_tags, .capabilities = json_object_get(p, "capabilities"),
		.role_arn = json_str(p, "role", NULL), .token = c->token,
	};

	if (read_template(j, &body, e) || parameters(j, &values, e))
		return -1;
	q.template_body = body;
	q.parameters = values;
	return cfn_change_create(c->aws, &q, e);
}

/* --- before it is executed ----------------------------------------------------------------- */

static bool is_allowed(const struct job *j, const json_t *change)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(j->r->params, "may_replace"), i, v)
		if (!strcmp(json_string_value(v), json_str(change, "logical", "")))
			return true;
	return false;
}

/* An update that replaces or removes takes something away from whoever uses it
 * now, and undo could not give it back. */
static int refuse_harm(const struct job *j, const struct cfn_change *change, struct err *e)
{
	size_t i;
	json_t *v;

	json_array_foreach(change->changes, i, v)
		if (!j->c.creates && change_harm(v) && !is_allowed(j, v))
			return err_set(e, ERR_GATE, "the update of stack %s would remove or replace %s (%s): name it in may_replace if that is meant",
				       j->c.stack, json_str(v, "logical", "?"), json_str(v, "type", "?"));
	return 0;
}

static int show(struct changeset *c, const struct cfn_change *change, struct err *e)
{
	struct job *j = c->ctx;
	json_t *shown = json_pack("{s:s, s:s, s:O}", "stack", c->stack, "type", c->creates ? "CREATE" : "UPDATE", "changes",
				  change->changes);

	return step_note(j->r, "change set", shown, e) || refuse_harm(j, change, e) ? -1 : 0;
}

static int unchanged(struct changeset *c, struct err *e)
{
	struct job *j = c->ctx;

	return step_note(j->r, "nothing to change", NULL, e);
}

static const struct changeset_calls calls = { .intend = intend, .make = make, .show = show, .unchanged = unchanged };

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	autostack struct cfn_stack s = { 0 };
	struct job j;

	job_load(&j, r);
	switch (changeset_advance(&j.c, &s, e)) {
	case CHANGESET_DONE:
		return finish(&j, &s);
	case CHANGESET_WAIT:
		return wait_as(&j);
	default:
		return STEP_FAIL;
	}
}

/* --- the way back ------------------------------------------------------------------------------------- */

/* A stack in review has no tags of ours yet, but our change set. */
static int is_ours(struct job *j, const struct cfn_stack *s, bool *ours, struct err *e)
{
	autochange struct cfn_change c = { 0 };
	struct err why = { 0 };

	*ours = changeset_has_tag(&j->c, s);
	if (*ours || cfn_phase(s->status) != CFN_REVIEW)
		return 0;
	*ours = !cfn_change_get(j->c.aws, j->c.stack, j->c.name, &c, &why);
	if (*ours || why.kind == ERR_GONE)
		return 0;
	*e = why;
	return -1;
}

static int intend_deletion(struct job *j, struct err *e)
{
	if (changeset_is_phase(&j->c, "deleting"))
		return 0;
	snprintf(j->c.phase, sizeof j->c.phase, "deleting");
	j->c.since = j->r->now;
	return intend(&j->c, e);
}

static enum step_verdict delete_stack(struct job *j, const struct cfn_stack *s, struct err *e)
{
	autofree char *token = xasprintf("%s-undo", j->r->token);

	if (intend_deletion(j, e) || cfn_stack_delete(j->r->aws, s->id, token, e))
		return STEP_FAIL;
	return wait_saying(j, "deleting it", s->status);
}

static enum step_verdict delete_failed(struct job *j, const struct cfn_stack *s, struct err *e)
{
	char why[400] = "";
	struct err ignored = { 0 };

	(void)cfn_why_failed(j->r->aws, s->id, NULL, why, sizeof why, &ignored);
	return err_set(e, ERR_GATE, "stack %s could not be deleted: %s", j->c.stack, why[0] ? why : s->reason);
}

static enum step_verdict delete_created(struct job *j, const struct cfn_stack *s, struct err *e)
{
	bool ours;

	if (cfn_phase(s->status) == CFN_DELETED)
		return STEP_DONE;
	/* Before asking whose it is: deleted in review, it has neither tags nor change set any more. */
	if (!strcmp(s->status, "DELETE_IN_PROGRESS"))
		return wait_saying(j, "waiting until it is deleted", s->status);
	if (is_ours(j, s, &ours, e))
		return STEP_FAIL;
	if (!ours)
		return err_set(e, ERR_GATE, "stack %s does not carry this run's token: it is left as it is", j->c.stack);
	if (!strcmp(s->status, "DELETE_FAILED"))
		return delete_failed(j, s, e);
	return delete_stack(j, s, e);
}

/* What was only planned is thrown away; what was done stays. */
static enum step_verdict leave_update(struct job *j, struct err *e)
{
	if (!changeset_is_phase(&j->c, "making"))
		return err_set(e, ERR_GATE, "stack %s was there before and was updated: the update is left as it is", j->c.stack);
	return changeset_drop(&j->c, e) ? STEP_FAIL : STEP_DONE;
}

static enum step_verdict undo(struct step_run *r, struct err *e)
{
	autostack struct cfn_stack s = { 0 };
	struct err why = { 0 };
	struct job j;

	job_load(&j, r);
	if (!j.c.phase[0])
		return STEP_DONE;
	if (!j.c.creates)
		return leave_update(&j, e);
	if (!cfn_stack_get(r->aws, j.c.stack, &s, &why))
		return delete_created(&j, &s, e);
	if (why.kind == ERR_GONE)
		return STEP_DONE;
	*e = why;
	return STEP_FAIL;
}

/* --- in the plan ------------------------------------------------------------------------------------- */

static bool is_stack_name(const char *s)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";

	return *s && strchr(letters, *s) && !s[strspn(s, more)] && strlen(s) <= 128;
}

static void check_tags(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(s->params, "tags"), key, v)
		if (!strncmp(key, "aws:", 4) || !strncmp(key, "cutover:", 8))
			plan_bad(errs, p, s, "tags", "\"%.100s\" is a reserved key", key);
}

static void validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	const char *name = json_str(s->params, "stack", "");

	if (!is_stack_name(name) && !strstr(name, "${"))
		plan_bad(errs, p, s, "stack", "\"%.60s\" is not a stack name: a letter, then letters, digits and hyphens", name);
	if (!json_object_get(s->params, "template") == !json_object_get(s->params, "template_url"))
		plan_bad(errs, p, s, NULL, "needs template or template_url, one of them");
	check_tags(s, p, errs);
}

static const struct param params[] = {
	{ .name = "stack", .type = PARAM_STRING, .required = true, .about = "name of the stack; updated when it is there" },
	{ .name = "template", .type = PARAM_STRING, .about = "file, relative to the plan's, at most 51,200 bytes" },
	{ .name = "template_url", .type = PARAM_STRING, .about = "S3 URL of a larger template" },
	{ .name = "parameters", .type = PARAM_MAP, .about = "the template's parameters" },
	{ .name = "like", .type = PARAM_STRING,
	  .about = "name of a stack, blue's: parameters that are not written are as it was made with" },
	{ .name = "tags", .type = PARAM_MAP, .about = "tags of the stack and its resources" },
	{ .name = "capabilities", .type = PARAM_STRINGS, .max = 3, .about = "\"CAPABILITY_IAM\", \"CAPABILITY_NAMED_IAM\", \"CAPABILITY_AUTO_EXPAND\"" },
	{ .name = "may_replace", .type = PARAM_STRINGS, .max = 100,
	  .about = "logical ids that an update may replace or remove, which is refused otherwise" },
	{ .name = "role", .type = PARAM_STRING, .about = "ARN of the service role CloudFormation shall use" },
	{ 0 },
};

static const enum aws_op ops[] = {
	CFN_DESCRIBE_STACKS, CFN_CREATE_CHANGE_SET, CFN_DESCRIBE_CHANGE_SET, CFN_EXECUTE_CHANGE_SET,
	CFN_DELETE_CHANGE_SET, CFN_DESCRIBE_STACK_EVENTS, CFN_DELETE_STACK,
};

const struct step_kind step_stack = {
	.name = "stack", .about = "make or update a CloudFormation stack through a change set that is shown first",
	.params = params, .flags = STEP_TOUCHES, .timeout_ms = HOURS(1), .ops = ops, .nops = COUNT(ops),
	.validate = validate, .advance = advance, .undo = undo,
};

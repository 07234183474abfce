/* steps/stack.c - makes (or updates) a CloudFormation stack through a change set.
 *
 * A change set shows before it acts, and its name, made of run, step and
 * attempt, lets us find our own work again after a crash. The stack carries the
 * same token as a tag: only a stack with our token is ever deleted by undo. */
#include "aws/cloudformation.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "plan/plan.h"
#include "steps/kinds.h"

#include <stdio.h>
#include <string.h>

#define TEMPLATE_MAX 51200 /* AWS: TemplateBody, bytes */
#define POLL_MS 3000
#define SETTLE_MS 15000 /* DescribeStacks may show the state before for so long after an execution */
#define TOKEN_TAG "cutover:token"

struct job {
	struct step_run *r;
	const char *name;  /* of the stack */
	char change[128];  /* of the change set */
	bool creates;      /* memo: the stack was not there before */
	char phase[16], was[48]; /* memo: "making", "executing", "deleting"; status before */
	int64_t since;     /* memo: wall ms of the phase */
};

static void job_load(struct job *j, struct step_run *r)
{
	*j = (struct job){ .r = r, .name = json_str(r->params, "stack", ""), .creates = json_yes(r->memo, "created"),
			   .since = json_num(r->memo, "since", 0) };
	snprintf(j->change, sizeof j->change, "cutover-%s", r->token);
	snprintf(j->phase, sizeof j->phase, "%s", json_str(r->memo, "phase", ""));
	snprintf(j->was, sizeof j->was, "%s", json_str(r->memo, "was", ""));
}

static int intend(struct job *j, const char *phase, struct err *e)
{
	snprintf(j->phase, sizeof j->phase, "%s", phase);
	return step_intend(j->r, json_pack("{s:s, s:b, s:o, s:I}", "phase", phase, "created", j->creates, "was",
					   json_text(j->was), "since", (json_int_t)j->r->now), e);
}

static bool is_phase(const struct job *j, const char *phase) { return !strcmp(j->phase, phase); }

static bool has_our_token(const struct job *j, const struct cfn_stack *s)
{
	return !strcmp(json_str(s->tags, TOKEN_TAG, ""), j->r->token);
}

static enum step_verdict wait_saying(struct job *j, const char *what, const char *status)
{
	step_say(j->r, "stack %.100s: %s (%s)", j->name, what, status);
	j->r->wake_at = j->r->now + POLL_MS;
	return STEP_WAIT;
}

static enum step_verdict look_again(struct job *j)
{
	j->r->wake_at = j->r->now;
	return STEP_WAIT;
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
	if (file_read(path, TEMPLATE_MAX, text, &n, e))
		return err_wrap(e, "the template must be a file of at most %d bytes; put a larger one on S3 and say template_url",
				TEMPLATE_MAX);
	return 0;
}

static json_t *tags(const struct job *j)
{
	const json_t *given = json_object_get(j->r->params, "tags");
	json_t *all = given ? json_copy((json_t *)given) : json_object();

	json_object_set_new(all, TOKEN_TAG, json_string(j->r->token));
	return all;
}

static int request_change(const struct job *j, struct err *e)
{
	const json_t *p = j->r->params;
	autofree char *body = NULL;
	autojson json_t *all_tags = tags(j);
	struct cfn_change_request q = {
		.stack = j->name, .name = j->change, .type = j->creates ? "CREATE" : "UPDATE",
		.template_url = json_str(p, "template_url", NULL), .parameters = json_object_get(p, "parameters"),
		.tags = all_tags, .capabilities = json_object_get(p, "capabilities"),
		.role_arn = json_str(p, "role", NULL), .token = j->r->token,
	};

	if (read_template(j, &body, e))
		return -1;
	q.template_body = body;
	return cfn_change_create(j->r->aws, &q, e);
}

/* --- from nothing to a change set ---------------------------------------------------------- */

static bool can_be_updated(const char *status)
{
	return cfn_phase(status) == CFN_READY || !strcmp(status, "UPDATE_ROLLBACK_COMPLETE") ||
	       !strcmp(status, "IMPORT_ROLLBACK_COMPLETE");
}

static enum step_verdict begin_making(struct job *j, bool creates, const char *was, struct err *e)
{
	j->creates = creates;
	snprintf(j->was, sizeof j->was, "%s", was);
	return intend(j, "making", e) ? STEP_FAIL : look_again(j);
}

static enum step_verdict begin(struct job *j, struct err *e)
{
	autostack struct cfn_stack s = { 0 };
	struct err why = { 0 };

	if (cfn_stack_get(j->r->aws, j->name, &s, &why)) {
		if (why.kind == ERR_GONE)
			return begin_making(j, true, "", e);
		*e = why;
		return STEP_FAIL;
	}
	if (has_our_token(j, &s) && cfn_phase(s.status) == CFN_READY)
		return finish(j, &s);
	if (can_be_updated(s.status))
		return begin_making(j, false, s.status, e);
	if (cfn_phase(s.status) == CFN_BUSY)
		return wait_saying(j, "somebody else is changing it", s.status);
	if (cfn_phase(s.status) == CFN_DELETED)
		return begin_making(j, true, "", e);
	return err_set(e, ERR_GATE, "stack %s is in %s and was not left so by this run: delete it or choose another name",
		       j->name, s.status);
}

/* --- the change set ---------------------------------------------------------------------------- */

static enum step_verdict make(struct job *j, struct err *e)
{
	struct err why = { 0 };

	if (!request_change(j, &why))
		return wait_saying(j, "waiting for the change set", "CREATE_PENDING");
	if (!strcmp(why.code, "AlreadyExistsException"))
		return look_again(j);
	*e = why;
	return STEP_FAIL;
}

static bool is_allowed(const struct job *j, const json_t *change)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(j->r->params, "may_replace"), i, v)
		if (!strcmp(json_string_value(v), json_str(change, "logical", "")))
			return true;
	return false;
}

static bool is_harmful(const json_t *change)
{
	const char *replaces = json_str(change, "replacement", "");

	return !strcmp(json_str(change, "action", ""), "Remove") || !strcmp(replaces, "True") ||
	       !strcmp(replaces, "Conditional");
}

/* An update that replaces or removes takes something away from whoever uses it
 * now, and undo could not give it back. */
static int refuse_harm(const struct job *j, const struct cfn_change *c, struct err *e)
{
	size_t i;
	json_t *v;

	json_array_foreach(c->changes, i, v)
		if (!j->creates && is_harmful(v) && !is_allowed(j, v))
			return err_set(e, ERR_GATE, "the update of stack %s would remove or replace %s (%s): name it in may_replace if that is meant",
				       j->name, json_str(v, "logical", "?"), json_str(v, "type", "?"));
	return 0;
}

static int execute(struct job *j, struct err *e)
{
	return cfn_change_execute(j->r->aws, j->name, j->change, j->r->token, e);
}

static enum step_verdict show_and_execute(struct job *j, const struct cfn_change *c, struct err *e)
{
	json_t *shown = json_pack("{s:s, s:s, s:O}", "stack", j->name, "type", j->creates ? "CREATE" : "UPDATE", "changes",
				  c->changes);

	if (step_note(j->r, "change set", shown, e) || refuse_harm(j, c, e) || intend(j, "executing", e) || execute(j, e))
		return STEP_FAIL;
	return wait_saying(j, "executing the change set", "EXECUTE_IN_PROGRESS");
}

static enum step_verdict nothing_to_change(struct job *j, struct err *e)
{
	autostack struct cfn_stack s = { 0 };

	if (cfn_stack_get(j->r->aws, j->name, &s, e) || step_note(j->r, "nothing to change", NULL, e))
		return STEP_FAIL;
	return finish(j, &s);
}

static bool has_begun(const struct cfn_change *c)
{
	return !strncmp(c->execution, "EXECUTE_", 8);
}

static enum step_verdict made(struct job *j, const struct cfn_change *c, struct err *e)
{
	if (cfn_change_is_empty(c))
		return nothing_to_change(j, e);
	if (!strcmp(c->status, "FAILED"))
		return err_set(e, ERR_GATE, "the change set of stack %s failed: %s", j->name, c->reason);
	if (has_begun(c)) /* by a person in the console */
		return intend(j, "executing", e) ? STEP_FAIL : look_again(j);
	if (!strcmp(c->status, "CREATE_COMPLETE") && !strcmp(c->execution, "AVAILABLE"))
		return show_and_execute(j, c, e);
	if (!strcmp(c->execution, "OBSOLETE"))
		return err_set(e, ERR_GATE, "the change set of stack %s is obsolete: somebody else changed the stack; `cutover retry` makes a new one",
			       j->name);
	return wait_saying(j, "waiting for the change set", c->status);
}

static enum step_verdict making(struct job *j, struct err *e)
{
	autochange struct cfn_change c = { 0 };
	struct err why = { 0 };

	if (!cfn_change_get(j->r->aws, j->name, j->change, &c, &why))
		return made(j, &c, e);
	if (why.kind == ERR_GONE)
		return make(j, e);
	*e = why;
	return STEP_FAIL;
}

/* --- the stack ------------------------------------------------------------------------------------ */

static enum step_verdict failed(struct job *j, const struct cfn_stack *s, struct err *e)
{
	char why[400] = "";
	struct err ignored = { 0 };

	if (cfn_why_failed(j->r->aws, s->id, j->r->token, why, sizeof why, &ignored) && err_retryable(&ignored)) {
		*e = ignored;
		return STEP_FAIL;
	}
	return err_set(e, ERR_GATE, "stack %s is in %s: %s", j->name, s->status, why[0] ? why : s->reason);
}

/* READY and FAILED may still be how the stack was before: only the change set,
 * or our token on the stack, says that it is our doing, and an unchanged status
 * means nothing for a while. c NULL: the change set is gone. */
static bool is_our_doing(const struct job *j, const struct cfn_stack *s, const struct cfn_change *c)
{
	bool ended = c && (!strcmp(c->execution, "EXECUTE_COMPLETE") || !strcmp(c->execution, "EXECUTE_FAILED"));

	return (ended || has_our_token(j, s)) && (strcmp(s->status, j->was) || j->r->now - j->since >= SETTLE_MS);
}

static enum step_verdict executed(struct job *j, const struct cfn_stack *s, const struct cfn_change *c, struct err *e)
{
	enum cfn_phase phase = cfn_phase(s->status);

	if (phase == CFN_DELETED)
		return err_set(e, ERR_GATE, "stack %s was deleted by somebody else", j->name);
	if (phase == CFN_READY && is_our_doing(j, s, c))
		return finish(j, s);
	if (phase == CFN_FAILED && (is_our_doing(j, s, c) || strcmp(s->status, j->was)))
		return failed(j, s, e);
	if (!c && phase != CFN_BUSY && j->r->now - j->since >= SETTLE_MS)
		return err_set(e, ERR_GATE, "the change set of stack %s is gone and the stack is not changed (%s): somebody else deleted it",
			       j->name, s->status);
	return wait_saying(j, "waiting until it is complete", s->status);
}

static enum step_verdict look_at_both(struct job *j, const struct cfn_change *c, struct err *e)
{
	autostack struct cfn_stack s = { 0 };

	if (cfn_stack_get(j->r->aws, j->name, &s, e)) {
		if (e->kind == ERR_GONE)
			e->kind = ERR_GATE;
		return STEP_FAIL;
	}
	return executed(j, &s, c, e);
}

static enum step_verdict executing(struct job *j, struct err *e)
{
	autochange struct cfn_change c = { 0 };
	struct err why = { 0 };

	if (cfn_change_get(j->r->aws, j->name, j->change, &c, &why)) {
		if (why.kind == ERR_GONE)
			return look_at_both(j, NULL, e);
		*e = why;
		return STEP_FAIL;
	}
	if (has_begun(&c) || strcmp(c.execution, "AVAILABLE"))
		return look_at_both(j, &c, e);
	/* The request to execute never arrived. */
	return intend(j, "executing", e) || execute(j, e) ? STEP_FAIL : look_again(j);
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	struct job j;

	job_load(&j, r);
	if (is_phase(&j, "making"))
		return making(&j, e);
	return is_phase(&j, "executing") ? executing(&j, e) : begin(&j, e);
}

/* --- the way back ------------------------------------------------------------------------------------- */

/* A stack in review has no tags of ours yet, but our change set. */
static int is_ours(struct job *j, const struct cfn_stack *s, bool *ours, struct err *e)
{
	autochange struct cfn_change c = { 0 };
	struct err why = { 0 };

	*ours = has_our_token(j, s);
	if (*ours || cfn_phase(s->status) != CFN_REVIEW)
		return 0;
	*ours = !cfn_change_get(j->r->aws, j->name, j->change, &c, &why);
	if (*ours || why.kind == ERR_GONE)
		return 0;
	*e = why;
	return -1;
}

static enum step_verdict delete_stack(struct job *j, const struct cfn_stack *s, struct err *e)
{
	autofree char *token = xasprintf("%s-undo", j->r->token);

	if ((!is_phase(j, "deleting") && intend(j, "deleting", e)) || cfn_stack_delete(j->r->aws, s->id, token, e))
		return STEP_FAIL;
	return wait_saying(j, "deleting it", s->status);
}

static enum step_verdict delete_failed(struct job *j, const struct cfn_stack *s, struct err *e)
{
	char why[400] = "";
	struct err ignored = { 0 };

	(void)cfn_why_failed(j->r->aws, s->id, NULL, why, sizeof why, &ignored);
	return err_set(e, ERR_GATE, "stack %s could not be deleted: %s", j->name, why[0] ? why : s->reason);
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
		return err_set(e, ERR_GATE, "stack %s does not carry this run's token: it is left as it is", j->name);
	if (!strcmp(s->status, "DELETE_FAILED"))
		return delete_failed(j, s, e);
	return delete_stack(j, s, e);
}

/* What was only planned is thrown away; what was done stays. */
static enum step_verdict leave_update(struct job *j, struct err *e)
{
	struct err why = { 0 };

	if (!is_phase(j, "making"))
		return err_set(e, ERR_GATE, "stack %s was there before and was updated: the update is left as it is", j->name);
	if (cfn_change_delete(j->r->aws, j->name, j->change, &why) && why.kind != ERR_GONE &&
	    strcmp(why.code, "ChangeSetNotFound")) {
		*e = why;
		return STEP_FAIL;
	}
	return STEP_DONE;
}

static enum step_verdict undo(struct step_run *r, struct err *e)
{
	autostack struct cfn_stack s = { 0 };
	struct err why = { 0 };
	struct job j;

	job_load(&j, r);
	if (!j.phase[0])
		return STEP_DONE;
	if (!j.creates)
		return leave_update(&j, e);
	if (!cfn_stack_get(r->aws, j.name, &s, &why))
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

#include "aws/cloudformation.h"

#include "aws/answer.h"
#include "aws/cfn.h"
#include "aws/core.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define CHANGES_MAX 500 /* AWS: resources per stack */

/* "Stack with id x does not exist" has no code of its own; where the words were
 * cut off on their way, nobody knows what was said. */
int cfn_failed(struct err *e, const char *doing, const char *stack)
{
	size_t n = strlen(e->msg);

	if (!strcmp(e->code, "ValidationError") && strstr(e->msg, "does not exist"))
		e->kind = ERR_GONE;
	else if (!strcmp(e->code, "ValidationError") && n && e->msg[n - 1] == ')' && strstr(e->msg, " (HTTP "))
		e->kind = ERR_UNSURE;
	return err_wrap(e, "%s stack %.100s", doing, stack);
}

static int read_stack(struct xml *s, struct cfn_stack *out, struct err *e)
{
	if (answer_text(s, "StackId", out->id, sizeof out->id, e) ||
	    answer_text(s, "StackStatus", out->status, sizeof out->status, e))
		return -1;
	answer_say(s, "StackStatusReason", out->reason, sizeof out->reason);
	out->is_protected = !strcmp(xml_text(s, "EnableTerminationProtection"), "true");
	out->outputs = answer_pairs(xml_at(s, "Outputs"), "OutputKey", "OutputValue");
	out->tags = answer_pairs(xml_at(s, "Tags"), "Key", "Value");
	out->parameters = answer_pairs(xml_at(s, "Parameters"), "ParameterKey", "ParameterValue");
	return 0;
}

int cfn_stack_get(struct aws *a, const char *name, struct cfn_stack *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *s;

	*out = (struct cfn_stack){ 0 };
	aws_arg(args, name, "StackName");
	if (aws_query(a, CFN_DESCRIBE_STACKS, args, &x, e))
		return cfn_failed(e, "reading", name);
	s = answer_at(x, "DescribeStacksResult/Stacks/member", e);
	if (!s || read_stack(s, out, e))
		return cfn_failed(e, "reading", name);
	return 0;
}

void cfn_stack_free(struct cfn_stack *s)
{
	json_decref(s->outputs);
	json_decref(s->tags);
	json_decref(s->parameters);
	*s = (struct cfn_stack){ 0 };
}

enum cfn_phase cfn_phase(const char *status)
{
	static const struct { const char *status; enum cfn_phase phase; } ends[] = {
		{ "CREATE_COMPLETE", CFN_READY },          { "UPDATE_COMPLETE", CFN_READY },
		{ "IMPORT_COMPLETE", CFN_READY },          { "REVIEW_IN_PROGRESS", CFN_REVIEW },
		{ "CREATE_FAILED", CFN_FAILED },           { "ROLLBACK_COMPLETE", CFN_FAILED },
		{ "ROLLBACK_FAILED", CFN_FAILED },         { "UPDATE_FAILED", CFN_FAILED },
		{ "UPDATE_ROLLBACK_COMPLETE", CFN_FAILED }, { "UPDATE_ROLLBACK_FAILED", CFN_FAILED },
		{ "IMPORT_ROLLBACK_COMPLETE", CFN_FAILED }, { "IMPORT_ROLLBACK_FAILED", CFN_FAILED },
		{ "DELETE_FAILED", CFN_FAILED },           { "DELETE_COMPLETE", CFN_DELETED },
	};

	for (size_t i = 0; i < COUNT(ends); i++)
		if (!strcmp(ends[i].status, status))
			return ends[i].phase;
	return CFN_BUSY;
}

/* {key: value} as "<list>.member.N.<k>" and "<list>.member.N.<v>". */
static int add_pairs(struct aws_args *args, const json_t *o, const char *list, const char *k,
		     const char *v, struct err *e)
{
	const char *key;
	json_t *value;
	int n = 0;

	json_object_foreach((json_t *)o, key, value) {
		if (!json_is_string(value))
			return err_set(e, ERR_INPUT, "%s: %.100s is not a text", list, key);
		n++;
		aws_arg(args, key, "%s.member.%d.%s", list, n, k);
		aws_arg(args, json_string_value(value), "%s.member.%d.%s", list, n, v);
	}
	return 0;
}

static int add_capabilities(struct aws_args *args, const json_t *list, struct err *e)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v) {
		if (!json_is_string(v))
			return err_set(e, ERR_INPUT, "Capabilities: element %zu is not a text", i + 1);
		aws_arg(args, json_string_value(v), "Capabilities.member.%zu", i + 1);
	}
	return 0;
}

static void add_if(struct aws_args *args, const char *key, const char *value)
{
	if (value)
		aws_arg(args, value, "%s", key);
}

int cfn_change_create(struct aws *a, const struct cfn_change_request *q, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;

	aws_arg(args, q->stack, "StackName");
	aws_arg(args, q->name, "ChangeSetName");
	aws_arg(args, q->type, "ChangeSetType"); /* AWS's default is UPDATE */
	add_if(args, "TemplateBody", q->template_body);
	add_if(args, "TemplateURL", q->template_url);
	add_if(args, "RoleARN", q->role_arn);
	add_if(args, "ClientToken", q->token);
	if (add_pairs(args, q->parameters, "Parameters", "ParameterKey", "ParameterValue", e) ||
	    add_pairs(args, q->tags, "Tags", "Key", "Value", e) ||
	    add_capabilities(args, q->capabilities, e) ||
	    aws_query(a, CFN_CREATE_CHANGE_SET, args, &x, e))
		return cfn_failed(e, "making a change set for", q->stack);
	return 0;
}

/* Names of the properties that change; tags and metadata are none. */
static json_t *read_properties(struct xml *details)
{
	json_t *names = json_array();

	for (struct xml *m = xml_at(details, "member"); m; m = xml_next(m))
		if (!strcmp(xml_text(m, "Target/Attribute"), "Properties"))
			json_array_append_new(names, json_text(xml_text(m, "Target/Name")));
	return names;
}

static int read_changes(struct xml *list, json_t *out, struct err *e)
{
	for (struct xml *m = xml_at(list, "member"); m; m = xml_next(m)) {
		struct xml *r = xml_at(m, "ResourceChange");

		if (!r) /* a hook's row: no resource changes */
			continue;
		if (json_array_size(out) >= CHANGES_MAX)
			return err_set(e, ERR_UNSURE, "the change set has more than %d changes", CHANGES_MAX);
		json_array_append_new(out, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}",
			"action", json_text(xml_text(r, "Action")),
			"logical", json_text(xml_text(r, "LogicalResourceId")),
			"type", json_text(xml_text(r, "ResourceType")),
			"replacement", json_text(xml_text(r, "Replacement")),
			"policy", json_text(xml_text(r, "PolicyAction")),
			"properties", read_properties(xml_at(r, "Details"))));
	}
	return 0;
}

static int read_change(struct xml *r, struct cfn_change *out, struct err *e)
{
	if (answer_text(r, "ChangeSetId", out->id, sizeof out->id, e) ||
	    answer_text(r, "Status", out->status, sizeof out->status, e) ||
	    answer_text(r, "ExecutionStatus", out->execution, sizeof out->execution, e))
		return -1;
	answer_say(r, "StatusReason", out->reason, sizeof out->reason);
	return read_changes(xml_at(r, "Changes"), out->changes, e);
}

static int change_page(struct aws *a, const char *stack, const char *name, char **next,
		       struct cfn_change *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *r;

	aws_arg(args, stack, "StackName");
	aws_arg(args, name, "ChangeSetName");
	add_if(args, "NextToken", *next);
	free(*next);
	*next = NULL;
	if (aws_query(a, CFN_DESCRIBE_CHANGE_SET, args, &x, e))
		return -1;
	r = answer_at(x, "DescribeChangeSetResult", e);
	if (!r || read_change(r, out, e))
		return -1;
	if (*xml_text(r, "NextToken"))
		*next = xstrdup(xml_text(r, "NextToken"));
	return 0;
}

int cfn_change_get(struct aws *a, const char *stack, const char *name, struct cfn_change *out,
		   struct err *e)
{
	autofree char *next = NULL;

	*out = (struct cfn_change){ .changes = json_array() };
	for (int page = 0; page < CFN_PAGES_MAX; page++) {
		if (change_page(a, stack, name, &next, out, e)) {
			if (!strcmp(e->code, "ChangeSetNotFound"))
				e->kind = ERR_GONE;
			cfn_change_free(out);
			return cfn_failed(e, "reading the change set of", stack);
		}
		if (!next)
			return 0;
	}
	cfn_change_free(out);
	return err_set(e, ERR_UNSURE, "the change set of stack %s has more than %d pages", stack, CFN_PAGES_MAX);
}

void cfn_change_free(struct cfn_change *c)
{
	json_decref(c->changes);
	*c = (struct cfn_change){ 0 };
}

bool cfn_change_is_empty(const struct cfn_change *c)
{
	return !strcmp(c->status, "FAILED") && (strstr(c->reason, "didn't contain changes") ||
						strstr(c->reason, "No updates are to be performed"));
}

int cfn_change_execute(struct aws *a, const char *stack, const char *name, const char *token,
		       struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;

	aws_arg(args, stack, "StackName");
	aws_arg(args, name, "ChangeSetName");
	add_if(args, "ClientRequestToken", token);
	if (aws_query(a, CFN_EXECUTE_CHANGE_SET, args, &x, e))
		return cfn_failed(e, "executing the change set of", stack);
	return 0;
}

int cfn_change_delete(struct aws *a, const char *stack, const char *name, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;

	aws_arg(args, stack, "StackName");
	aws_arg(args, name, "ChangeSetName");
	if (aws_query(a, CFN_DELETE_CHANGE_SET, args, &x, e))
		return cfn_failed(e, "deleting the change set of", stack);
	return 0;
}

int cfn_stack_delete(struct aws *a, const char *id, const char *token, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;

	aws_arg(args, id, "StackName");
	add_if(args, "ClientRequestToken", token);
	if (aws_query(a, CFN_DELETE_STACK, args, &x, e))
		return cfn_failed(e, "deleting", id);
	return 0;
}

/* Events come newest first, so the one kept last is the first that failed. */
struct blame {
	char token[132];   /* of the operation */
	bool any_token;    /* take the newest event's */
	bool own;          /* out has a resource's own reason, not only the stack's */
	char *out;
	size_t size;
	char status[48];   /* the stack's newest in this operation; "": none yet */
};

static bool is_failure(const char *status)
{
	size_t n = strlen(status);

	return n > 7 && !strcmp(status + n - 7, "_FAILED");
}

static void weigh_failure(struct blame *b, struct xml *ev)
{
	const char *reason = xml_text(ev, "ResourceStatusReason"), *id = xml_text(ev, "PhysicalResourceId");
	bool is_stack = !strcmp(id, xml_text(ev, "StackId"));

	if (strstr(reason, "cancelled") || (is_stack && b->own))
		return; /* the cascade, not the cause */
	b->own = b->own || !is_stack;
	snprintf(b->out, b->size, "%s (%s): %s", xml_text(ev, "LogicalResourceId"),
		 xml_text(ev, "ResourceType"), *reason ? reason : xml_text(ev, "ResourceStatus"));
	text_clean(b->out);
}

static void read_events(struct blame *b, struct xml *list)
{
	for (struct xml *ev = xml_at(list, "member"); ev; ev = xml_next(ev)) {
		const char *token = xml_text(ev, "ClientRequestToken");

		if (b->any_token) {
			snprintf(b->token, sizeof b->token, "%.128s", token);
			b->any_token = false;
		}
		if (strcmp(token, b->token))
			continue;
		if (!b->status[0] && !strcmp(xml_text(ev, "PhysicalResourceId"), xml_text(ev, "StackId")))
			snprintf(b->status, sizeof b->status, "%.47s", xml_text(ev, "ResourceStatus"));
		if (is_failure(xml_text(ev, "ResourceStatus")))
			weigh_failure(b, ev);
	}
}

static int event_page(struct aws *a, const char *stack, char **next, struct blame *b, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *list;

	aws_arg(args, stack, "StackName");
	add_if(args, "NextToken", *next);
	free(*next);
	*next = NULL;
	if (aws_query(a, CFN_DESCRIBE_STACK_EVENTS, args, &x, e))
		return -1;
	list = answer_at(x, "DescribeStackEventsResult/StackEvents", e);
	if (!list)
		return -1;
	read_events(b, list);
	if (*xml_text(x, "DescribeStackEventsResult/NextToken"))
		*next = xstrdup(xml_text(x, "DescribeStackEventsResult/NextToken"));
	return 0;
}

static int read_operation(struct aws *a, const char *stack, struct blame *b, struct err *e)
{
	autofree char *next = NULL;

	b->out[0] = '\0';
	for (int page = 0; page < CFN_PAGES_MAX; page++) {
		if (event_page(a, stack, &next, b, e))
			return cfn_failed(e, "reading the events of", stack);
		if (!next)
			break;
	}
	return 0;
}

int cfn_why_failed(struct aws *a, const char *stack, const char *token, char *out, size_t size,
		   struct err *e)
{
	struct blame b = { .any_token = !token, .out = out, .size = size };

	snprintf(b.token, sizeof b.token, "%.128s", token ? token : "");
	return read_operation(a, stack, &b, e);
}

int cfn_operation_status(struct aws *a, const char *stack, const char *token, char *out, size_t size,
			 struct err *e)
{
	char why[8];
	struct blame b = { .out = why, .size = sizeof why };

	snprintf(b.token, sizeof b.token, "%.128s", token);
	if (read_operation(a, stack, &b, e))
		return -1;
	snprintf(out, size, "%s", b.status);
	return 0;
}

int cfn_stack_policy(struct aws *a, const char *stack, const char *policy, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;

	aws_arg(args, stack, "StackName");
	aws_arg(args, policy, "StackPolicyBody");
	if (aws_query(a, CFN_SET_STACK_POLICY, args, &x, e))
		return cfn_failed(e, "setting the policy of", stack);
	return 0;
}

int cfn_stack_protect(struct aws *a, const char *stack, bool on, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;

	aws_arg(args, stack, "StackName");
	aws_arg(args, on ? "true" : "false", "EnableTerminationProtection");
	if (aws_query(a, CFN_UPDATE_TERMINATION_PROTECTION, args, &x, e))
		return cfn_failed(e, on ? "protecting" : "taking the protection from", stack);
	return 0;
}

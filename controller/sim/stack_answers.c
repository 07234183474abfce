/* CloudFormation: what is answered about stacks, and which file answers what. */
#include "sim/stacks.h"

#include <stdio.h>
#include <string.h>

#define PAGE 10 /* events */

static void say_output(struct say *a, const char *key, const char *value)
{
	buf_adds(&a->body, "<member>");
	say_tag(a, "OutputKey", "%s", key);
	say_tag(a, "OutputValue", "%s", value);
	buf_adds(&a->body, "</member>");
}

static void say_own_outputs(struct say *a, const struct stack *k)
{
	autojson json_t *all = template_outputs(k);
	const char *key;
	json_t *v;

	buf_adds(&a->body, "<Outputs>");
	json_object_foreach(all, key, v)
		say_output(a, key, json_string_value(v));
	buf_adds(&a->body, "</Outputs>");
}

static void say_outputs(struct say *a, const struct sim *s, const struct stack *k)
{
	const struct side *c = &s->side[k->colour];
	char service[200];

	snprintf(service, sizeof service, "%s", *c->service ? c->service : k->name);
	buf_adds(&a->body, "<Outputs>");
	say_output(a, "TargetGroupArn", c->arn);
	say_output(a, "TargetGroupFullName", c->dimension);
	say_output(a, "ServiceName", service);
	say_output(a, "ClusterName", "wiki");
	say_output(a, "TaskDefinitionArn", "arn:aws:ecs:eu-central-1:111122223333:task-definition/wiki:7");
	buf_adds(&a->body, "</Outputs>");
}

static void say_tags(struct say *a, json_t *tags)
{
	const char *key;
	json_t *v;

	buf_adds(&a->body, "<Tags>");
	json_object_foreach(tags, key, v) {
		buf_adds(&a->body, "<member>");
		say_tag(a, "Key", "%s", key);
		say_tag(a, "Value", "%s", json_string_value(v));
		buf_adds(&a->body, "</member>");
	}
	buf_adds(&a->body, "</Tags>");
}

static void say_parameters(struct say *a, json_t *params)
{
	const char *key;
	json_t *v;

	buf_adds(&a->body, "<Parameters>");
	json_object_foreach(params, key, v) {
		buf_adds(&a->body, "<member>");
		say_tag(a, "ParameterKey", "%s", key);
		say_tag(a, "ParameterValue", "%s", json_string_value(v));
		buf_adds(&a->body, "</member>");
	}
	buf_adds(&a->body, "</Parameters>");
}

static void describe_stacks(struct sim *s, const struct ask *ask, struct say *a)
{
	struct stack *k = stack_asked(s, a);

	(void)ask;
	if (!k)
		return;
	say_begin(a);
	buf_adds(&a->body, "<Stacks><member>");
	say_tag(a, "StackId", "%s", k->id);
	say_tag(a, "StackName", "%s", k->name);
	say_tag(a, "StackStatus", "%s", k->status);
	if (*k->reason)
		say_tag(a, "StackStatusReason", "%s", k->reason);
	if (k->template && (!strcmp(k->status, "CREATE_COMPLETE") || !strncmp(k->status, "UPDATE_", 7)))
		say_own_outputs(a, k);
	else if (!strcmp(k->status, "CREATE_COMPLETE") || !strncmp(k->status, "UPDATE_", 7))
		say_outputs(a, s, k);
	say_tag(a, "EnableTerminationProtection", "%s", k->is_protected ? "true" : "false");
	say_tags(a, k->tags);
	say_parameters(a, k->params);
	buf_adds(&a->body, "</member></Stacks>");
	say_end(a);
}

static void say_event(struct say *a, const struct stack *k, const struct event *ev)
{
	buf_adds(&a->body, "<member>");
	say_tag(a, "StackId", "%s", k->id);
	say_tag(a, "EventId", "%s-%lld", ev->logical, (long long)ev->at);
	say_tag(a, "StackName", "%s", k->name);
	say_tag(a, "LogicalResourceId", "%s", ev->logical);
	say_tag(a, "PhysicalResourceId", "%s", ev->is_stack ? k->id : ev->logical);
	say_tag(a, "ResourceType", "%s", ev->type);
	say_time(a, "Timestamp", ev->at);
	say_tag(a, "ResourceStatus", "%s", ev->status);
	if (*ev->reason)
		say_tag(a, "ResourceStatusReason", "%s", ev->reason);
	if (*ev->token)
		say_tag(a, "ClientRequestToken", "%s", ev->token);
	buf_adds(&a->body, "</member>");
}

static void describe_stack_events(struct sim *s, const struct ask *ask, struct say *a)
{
	struct stack *k = stack_asked(s, a);
	size_t from = (size_t)strtoul(ask_field(ask, "NextToken"), NULL, 10);

	if (!k)
		return;
	say_begin(a);
	buf_adds(&a->body, "<StackEvents>");
	for (size_t i = from; i < k->done && i < from + PAGE; i++)
		say_event(a, k, &k->event[k->done - 1 - i]);
	buf_adds(&a->body, "</StackEvents>");
	if (from + PAGE < k->done)
		say_tag(a, "NextToken", "%zu", from + PAGE);
	say_end(a);
}

/* Deleting what is not there is fine with AWS; deleting twice starts nothing new. */
static void delete_stack(struct sim *s, const struct ask *ask, struct say *a)
{
	const char *name = say_missing(a, "StackName");
	struct stack *k = name ? stack_find(s, name) : NULL;
	const char *token = ask_field(ask, "ClientRequestToken");

	if (!name)
		return;
	if (k && k->is_protected)
		return say_error(a, 400, "ValidationError", "Stack [%.128s] cannot be deleted while TerminationProtection is enabled",
				 k->name);
	if (k && !k->deleted && strcmp(k->status, "DELETE_IN_PROGRESS") != 0) {
		if (k->template)
			life_remove(s, k, token);
		else
			life_delete(s, k, token);
	}
	say_begin(a);
	say_end(a);
}

/* --- what guards it, and whether somebody went around it --------------------------- */

static void set_policy(struct sim *s, const struct ask *ask, struct say *a)
{
	struct stack *k = stack_asked(s, a);

	if (!k)
		return;
	free(k->policy);
	k->policy = xstrdup(ask_field(ask, "StackPolicyBody"));
	say_begin(a);
	say_end(a);
}

static void set_protection(struct sim *s, const struct ask *ask, struct say *a)
{
	struct stack *k = stack_asked(s, a);

	if (!k)
		return;
	k->is_protected = !strcmp(ask_field(ask, "EnableTerminationProtection"), "true");
	say_begin(a);
	say_tag(a, "StackId", "%s", k->id);
	say_end(a);
}

static void detect_drift(struct sim *s, const struct ask *ask, struct say *a)
{
	struct stack *k = stack_asked(s, a);

	(void)ask;
	if (!k)
		return;
	say_begin(a);
	say_tag(a, "StackDriftDetectionId", "%d-%lld", (int)(k - s->stack), (long long)s->now + 5000);
	say_end(a);
}

static void describe_drift(struct sim *s, const struct ask *ask, struct say *a)
{
	char *end;
	long i = strtol(ask_field(ask, "StackDriftDetectionId"), &end, 10);
	bool over = *end == '-' && strtoll(end + 1, NULL, 10) <= s->now;

	if (*end != '-' || i < 0 || i >= STACKS)
		return say_error(a, 400, "ValidationError", "Drift detection id does not exist");
	say_begin(a);
	say_tag(a, "DetectionStatus", "%s", over ? "DETECTION_COMPLETE" : "DETECTION_IN_PROGRESS");
	if (over)
		say_tag(a, "StackDriftStatus", "%s", s->stack[i].drifted ? "DRIFTED" : "IN_SYNC");
	say_end(a);
}

static void describe_drifts(struct sim *s, const struct ask *ask, struct say *a)
{
	struct stack *k = stack_asked(s, a);

	(void)ask;
	if (!k)
		return;
	say_begin(a);
	buf_adds(&a->body, "<StackResourceDrifts>");
	if (k->drifted)
		buf_adds(&a->body, "<member><LogicalResourceId>Vpc</LogicalResourceId><ResourceType>AWS::EC2::VPC</ResourceType>"
			 "<StackResourceDriftStatus>MODIFIED</StackResourceDriftStatus><PropertyDifferences><member>"
			 "<PropertyPath>/EnableDnsSupport</PropertyPath><ExpectedValue>true</ExpectedValue><ActualValue>false</ActualValue>"
			 "</member></PropertyDifferences></member>");
	buf_adds(&a->body, "</StackResourceDrifts>");
	say_end(a);
}

void sim_drift(struct sim *s, const char *stack)
{
	struct stack *k = stack_find(s, stack);

	if (k)
		k->drifted = 1;
}

const char *sim_stack_policy(struct sim *s, const char *stack)
{
	struct stack *k = stack_find(s, stack);

	return k ? k->policy : NULL;
}

const struct answer stacks_answers[] = {
	{ "CreateChangeSet", changes_create },
	{ "DescribeChangeSet", changes_describe },
	{ "ExecuteChangeSet", changes_execute },
	{ "DeleteChangeSet", changes_delete },
	{ "DescribeStacks", describe_stacks },
	{ "DescribeStackEvents", describe_stack_events },
	{ "DeleteStack", delete_stack },
	{ "GetTemplateSummary", template_summary },
	{ "SetStackPolicy", set_policy },
	{ "UpdateTerminationProtection", set_protection },
	{ "DetectStackDrift", detect_drift },
	{ "DescribeStackDriftDetectionStatus", describe_drift },
	{ "DescribeStackResourceDrifts", describe_drifts },
	{ NULL, NULL },
};

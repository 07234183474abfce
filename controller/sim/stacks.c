/* CloudFormation: change sets, and stacks that take their time. What will
 * happen to a stack is written down as events when an operation starts; each
 * takes effect when its time has come. */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#define EVENTS_MAX 200
#define PAGE       10
#define BODY_MAX   51200

enum effect { NOTHING, MAKE_GROUP, START_TASKS, STOP_TASKS, DROP_GROUP, RESTART };

struct part { const char *logical, *type; int made, gone; };
static const struct part parts[] = {
	{ "Logs", "AWS::Logs::LogGroup", NOTHING, NOTHING },
	{ "Task", "AWS::ECS::TaskDefinition", NOTHING, NOTHING },
	{ "TargetGroup", "AWS::ElasticLoadBalancingV2::TargetGroup", MAKE_GROUP, DROP_GROUP },
	{ "Service", "AWS::ECS::Service", START_TASKS, STOP_TASKS },
};
#define SERVICE (COUNT(parts) - 1)

/* --- events --------------------------------------------------------------------- */

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
	for (size_t i = COUNT(parts); i-- > 0; at += 8000) {
		plan_part(k, at, token, &parts[i], "DELETE_IN_PROGRESS", "", NOTHING);
		plan_part(k, at + 6000, token, &parts[i], "DELETE_COMPLETE", "", parts[i].gone);
	}
	plan_stack(k, at + 1000, token, end, "");
}

static void plan_failure(struct stack *k, int64_t at, const char *token)
{
	plan_part(k, at, token, &parts[SERVICE], "CREATE_FAILED",
		  "Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit "
		  "Breaker was triggered'.\" (HandlerErrorCode: GeneralServiceException)", NOTHING);
	plan_part(k, at + 100, token, &parts[0], "CREATE_FAILED", "Resource creation cancelled", NOTHING);
	plan_stack(k, at + 200, token, "ROLLBACK_IN_PROGRESS",
		   "The following resource(s) failed to create: [Service]. Rollback requested by user.");
	plan_removal(k, at + 2000, token, "ROLLBACK_COMPLETE");
}

static void plan_creation(struct sim *s, struct stack *k, const char *token)
{
	int64_t took = dice_between(&s->world_dice, 60000, 300000), slice = took / (int64_t)(COUNT(parts) + 1);
	int64_t at = s->now + 1000;

	plan_stack(k, at, token, "CREATE_IN_PROGRESS", "User Initiated");
	for (size_t i = 0; i < COUNT(parts); i++, at += slice) {
		plan_part(k, at, token, &parts[i], "CREATE_IN_PROGRESS", "", NOTHING);
		if (i == SERVICE && s->stacks_fail) {
			plan_failure(k, at + slice, token);
			return;
		}
		plan_part(k, at + slice, token, &parts[i], "CREATE_COMPLETE", "", parts[i].made);
	}
	plan_stack(k, s->now + took, token, "CREATE_COMPLETE", "");
}

static void plan_update(struct sim *s, struct stack *k, const char *token)
{
	int64_t took = dice_between(&s->world_dice, 30000, 120000);

	plan_stack(k, s->now + 500, token, "UPDATE_IN_PROGRESS", "User Initiated");
	plan_part(k, s->now + 2000, token, &parts[SERVICE], "UPDATE_IN_PROGRESS", "", NOTHING);
	plan_part(k, s->now + took - 2000, token, &parts[SERVICE], "UPDATE_COMPLETE", "", RESTART);
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

/* --- the table of stacks ------------------------------------------------------------ */

static void forget(struct stack *k)
{
	free(k->event);
	json_decref(k->params);
	json_decref(k->tags);
	json_decref(k->wanted_params);
	json_decref(k->wanted_tags);
	*k = (struct stack){ 0 };
}

static struct stack *new_stack(struct sim *s, const char *name, int colour)
{
	struct stack *k = NULL;

	for (int i = 0; i < STACKS && !k; i++)
		if (!s->stack[i].used)
			k = &s->stack[i];
	for (int i = 0; i < STACKS && !k; i++)
		if (s->stack[i].deleted)
			k = &s->stack[i];
	if (!k)
		return NULL;
	forget(k);
	k->used = true;
	k->colour = colour;
	snprintf(k->name, sizeof k->name, "%.128s", name);
	snprintf(k->id, sizeof k->id, "arn:aws:cloudformation:%s:%s:stack/%.128s/%08llx-0000-11f0-8000-0a58a9feac02",
		 s->region, s->account, name, (unsigned long long)++s->ids);
	return k;
}

static struct stack *find_stack(struct sim *s, const char *name)
{
	for (int i = 0; i < STACKS; i++) {
		struct stack *k = &s->stack[i];

		if (k->used && (!strcmp(k->id, name) || (!k->deleted && !strcmp(k->name, name))))
			return k;
	}
	return NULL;
}

void stacks_open(struct sim *s, const char *blue_stack)
{
	struct stack *k = blue_stack ? new_stack(s, blue_stack, BLUE) : NULL;

	if (!k)
		return;
	plan_stack(k, s->now, "", "CREATE_COMPLETE", "");
	k->params = json_object();
	k->tags = json_object();
	stack_tick(s, k);
}

void stacks_close(struct sim *s)
{
	for (int i = 0; i < STACKS; i++)
		forget(&s->stack[i]);
}

int stacks_count(const struct sim *s)
{
	int n = 0;

	for (int i = 0; i < STACKS; i++)
		n += s->stack[i].used && !s->stack[i].deleted;
	return n;
}

static struct stack *stack_asked(struct sim *s, struct say *a)
{
	const char *name = say_missing(a, "StackName");
	struct stack *k = name ? find_stack(s, name) : NULL;

	if (name && !k)
		say_error(a, 400, "ValidationError", "Stack with id %.200s does not exist", name);
	return k;
}

/* --- change sets ------------------------------------------------------------------- */

static json_t *read_pairs(const struct ask *k, const char *list, const char *key, const char *value)
{
	json_t *o = json_object();

	for (int i = 1; *ask_field(k, "%s.member.%d.%s", list, i, key); i++)
		json_object_set_new(o, ask_field(k, "%s.member.%d.%s", list, i, key),
				    json_string(ask_field(k, "%s.member.%d.%s", list, i, value)));
	return o;
}

static uint64_t digest(const struct ask *k, const json_t *params)
{
	autofree char *flat = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
	const char *texts[] = { ask_field(k, "TemplateBody"), ask_field(k, "TemplateURL"), flat ? flat : "" };
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < COUNT(texts); i++)
		for (const char *p = texts[i]; *p; p++)
			h = (h ^ (unsigned char)*p) * 1099511628211u;
	return h;
}

static struct change *find_change(struct stack *k, const char *name)
{
	for (int i = 0; i < CHANGES; i++)
		if (k->change[i].used && (!strcmp(k->change[i].name, name) || !strcmp(k->change[i].id, name)))
			return &k->change[i];
	return NULL;
}

static bool check_template(const struct ask *k, struct say *a)
{
	const char *body = ask_field(k, "TemplateBody"), *url = ask_field(k, "TemplateURL");

	if (!*body == !*url)
		say_error(a, 400, "ValidationError", "Either Template URL or Template Body must be specified.");
	else if (strlen(body) > BODY_MAX)
		say_error(a, 400, "ValidationError", "1 validation error detected: Value at 'templateBody' failed to "
			  "satisfy constraint: Member must have length less than or equal to %d", BODY_MAX);
	else
		return true;
	return false;
}

/* CREATE wants a new name, UPDATE a stack that is there. */
static struct stack *stack_for_change(struct sim *s, const char *name, const char *type, struct say *a)
{
	struct stack *k = find_stack(s, name);
	bool create = !strcmp(type, "CREATE");

	if (create && !k) {
		k = new_stack(s, name, GREEN);
		if (!k) {
			say_error(a, 400, "LimitExceededException", "Limit for stack has been exceeded");
			return NULL;
		}
		plan_stack(k, s->now, "", "REVIEW_IN_PROGRESS", "User Initiated");
		stack_tick(s, k);
		return k;
	}
	if (!k)
		say_error(a, 400, "ValidationError", "Stack [%.128s] does not exist", name);
	else if (create != !strcmp(k->status, "REVIEW_IN_PROGRESS"))
		say_error(a, 400, "ValidationError", "Stack [%.128s] already exists and cannot be created again with the "
			  "changeSet", name);
	else
		return k;
	return NULL;
}

static struct change *new_change(struct sim *s, struct stack *k, const char *name, struct say *a)
{
	struct change *c = NULL;

	for (int i = 0; i < CHANGES && !c; i++)
		if (!k->change[i].used)
			c = &k->change[i];
	if (!c) {
		say_error(a, 400, "LimitExceededException", "ChangeSet limit exceeded for stack");
		return NULL;
	}
	*c = (struct change){ .used = true, .ready = s->now + dice_between(&s->world_dice, 3000, 10000) };
	snprintf(c->name, sizeof c->name, "%.128s", name);
	snprintf(c->id, sizeof c->id, "arn:aws:cloudformation:%s:%s:changeSet/%.128s/%08llx-0000-4000-8000-0a58a9feac02",
		 s->region, s->account, name, (unsigned long long)++s->ids);
	return c;
}

static void say_change(struct say *a, const struct stack *k, const struct change *c)
{
	say_begin(a);
	say_tag(a, "Id", "%s", c->id);
	say_tag(a, "StackId", "%s", k->id);
	say_end(a);
}

static void fill_change(struct stack *k, struct change *c, const struct ask *ask, const char *type)
{
	json_decref(k->wanted_params);
	json_decref(k->wanted_tags);
	k->wanted_params = read_pairs(ask, "Parameters", "ParameterKey", "ParameterValue");
	k->wanted_tags = read_pairs(ask, "Tags", "Key", "Value");
	c->digest = digest(ask, k->wanted_params);
	c->empty = !strcmp(type, "UPDATE") && c->digest == k->digest;
	snprintf(c->token, sizeof c->token, "%s", ask_field(ask, "ClientToken"));
	snprintf(c->type, sizeof c->type, "%s", type);
	snprintf(c->execution, sizeof c->execution, "%s", c->empty ? "UNAVAILABLE" : "AVAILABLE");
}

static void create_change_set(struct sim *s, const struct ask *k, struct say *a)
{
	const char *name = say_missing(a, "StackName"), *set = name ? say_missing(a, "ChangeSetName") : NULL;
	const char *type = *ask_field(k, "ChangeSetType") ? ask_field(k, "ChangeSetType") : "UPDATE";
	struct stack *stack = name ? find_stack(s, name) : NULL;
	struct change *c = stack && set ? find_change(stack, set) : NULL;

	if (!set || !check_template(k, a))
		return;
	if (c && *c->token && !strcmp(c->token, ask_field(k, "ClientToken"))) /* the same request again */
		return say_change(a, stack, c);
	if (c)
		return say_error(a, 400, "AlreadyExistsException", "ChangeSet %.128s cannot be created due to a name "
				 "conflict", set);
	stack = stack_for_change(s, name, type, a);
	c = stack ? new_change(s, stack, set, a) : NULL;
	if (!c)
		return;
	fill_change(stack, c, k, type);
	say_change(a, stack, c);
}

static struct change *change_asked(struct sim *s, struct say *a, struct stack **k)
{
	const char *name;
	struct change *c;

	*k = stack_asked(s, a);
	name = *k ? say_missing(a, "ChangeSetName") : NULL;
	c = name ? find_change(*k, name) : NULL;
	if (name && !c)
		say_error(a, 404, "ChangeSetNotFound", "ChangeSet [%.128s] does not exist", name);
	return c;
}

static void say_changes(struct say *a, const struct change *c, size_t from)
{
	bool create = !strcmp(c->type, "CREATE");

	buf_adds(&a->body, "<Changes>");
	for (size_t i = from; i < from + 2 && i < COUNT(parts) && !c->empty; i++) {
		buf_adds(&a->body, "<member><Type>Resource</Type><ResourceChange>");
		say_tag(a, "Action", "%s", create ? "Add" : "Modify");
		say_tag(a, "LogicalResourceId", "%s", parts[i].logical);
		say_tag(a, "ResourceType", "%s", parts[i].type);
		if (!create)
			say_tag(a, "Replacement", "%s", i == 1 ? "True" : "False");
		buf_adds(&a->body, "</ResourceChange></member>");
	}
	buf_adds(&a->body, "</Changes>");
}

static void describe_change_set(struct sim *s, const struct ask *k, struct say *a)
{
	struct stack *stack;
	struct change *c = change_asked(s, a, &stack);
	size_t from = (size_t)strtoul(ask_field(k, "NextToken"), NULL, 10);
	bool ready = c && s->now >= c->ready;

	if (!c)
		return;
	say_begin(a);
	say_tag(a, "ChangeSetId", "%s", c->id);
	say_tag(a, "ChangeSetName", "%s", c->name);
	say_tag(a, "StackId", "%s", stack->id);
	say_tag(a, "Status", "%s", !ready ? "CREATE_PENDING" : c->empty ? "FAILED" : "CREATE_COMPLETE");
	if (ready && c->empty)
		say_tag(a, "StatusReason", "The submitted information didn't contain changes. Submit different "
			"information to create a change set.");
	say_tag(a, "ExecutionStatus", "%s", ready ? c->execution : "UNAVAILABLE");
	if (ready)
		say_changes(a, c, from);
	if (ready && !c->empty && from + 2 < COUNT(parts)) /* two a page, so that pages are turned */
		say_tag(a, "NextToken", "%zu", from + 2);
	say_end(a);
}

static void execute(struct sim *s, struct stack *k, struct change *c, const char *token)
{
	json_decref(k->params);
	json_decref(k->tags);
	k->params = json_incref(k->wanted_params);
	k->tags = json_incref(k->wanted_tags);
	k->digest = c->digest;
	snprintf(c->execution, sizeof c->execution, "EXECUTE_COMPLETE");
	if (!strcmp(c->type, "CREATE"))
		plan_creation(s, k, token);
	else
		plan_update(s, k, token);
	stack_tick(s, k);
}

static void execute_change_set(struct sim *s, const struct ask *k, struct say *a)
{
	struct stack *stack;
	struct change *c = change_asked(s, a, &stack);

	if (!c)
		return;
	if (s->now < c->ready || strcmp(c->execution, "AVAILABLE"))
		return say_error(a, 400, "InvalidChangeSetStatus", "ChangeSet [%.128s] cannot be executed in its current "
				 "execution status of [%s]", c->name, s->now < c->ready ? "UNAVAILABLE" : c->execution);
	execute(s, stack, c, ask_field(k, "ClientRequestToken"));
	say_begin(a);
	say_end(a);
}

static void delete_change_set(struct sim *s, const struct ask *k, struct say *a)
{
	struct stack *stack = stack_asked(s, a);
	struct change *c = stack ? find_change(stack, ask_field(k, "ChangeSetName")) : NULL;

	if (!stack)
		return;
	if (c)
		*c = (struct change){ 0 };
	say_begin(a);
	say_end(a);
}

/* --- stacks ------------------------------------------------------------------------- */

static void say_output(struct say *a, const char *key, const char *value)
{
	buf_adds(&a->body, "<member>");
	say_tag(a, "OutputKey", "%s", key);
	say_tag(a, "OutputValue", "%s", value);
	buf_adds(&a->body, "</member>");
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
	if (!strcmp(k->status, "CREATE_COMPLETE") || !strncmp(k->status, "UPDATE_", 7))
		say_outputs(a, s, k);
	say_tags(a, k->tags);
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
	struct stack *k = name ? find_stack(s, name) : NULL;
	const char *token = ask_field(ask, "ClientRequestToken");

	if (!name)
		return;
	if (k && !k->deleted && strcmp(k->status, "DELETE_IN_PROGRESS")) {
		k->nevents = k->done;
		plan_stack(k, s->now, token, "DELETE_IN_PROGRESS", "User Initiated");
		if (strcmp(k->status, "REVIEW_IN_PROGRESS") && strcmp(k->status, "ROLLBACK_COMPLETE"))
			plan_removal(k, s->now + 2000, token, "DELETE_COMPLETE");
		else
			plan_stack(k, s->now + 2000, token, "DELETE_COMPLETE", "");
		stack_tick(s, k);
	}
	say_begin(a);
	say_end(a);
}

const struct answer stacks_answers[] = {
	{ "CreateChangeSet", create_change_set },
	{ "DescribeChangeSet", describe_change_set },
	{ "ExecuteChangeSet", execute_change_set },
	{ "DeleteChangeSet", delete_change_set },
	{ "DescribeStacks", describe_stacks },
	{ "DescribeStackEvents", describe_stack_events },
	{ "DeleteStack", delete_stack },
	{ NULL, NULL },
};

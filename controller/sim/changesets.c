/* CloudFormation's change sets: shown first, executed once. */
#include "sim/stacks.h"

#include <stdio.h>
#include <string.h>

#define BODY_MAX 51200
#define PAGE     2 /* changes; so few that pages are turned */

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

static bool check_parameters(const struct ask *k, struct say *a)
{
	autojson json_t *t = template_read(k), *params = read_pairs(k, "Parameters", "ParameterKey", "ParameterValue");

	return !t || template_check(t, params, a);
}

/* CREATE wants a new name, UPDATE a stack that is there. */
static struct stack *stack_for_change(struct sim *s, const char *name, const char *type, struct say *a)
{
	struct stack *k = stack_find(s, name);
	bool create = !strcmp(type, "CREATE");

	if (create && !k) {
		k = stack_new(s, name, GREEN);
		if (!k) {
			say_error(a, 400, "LimitExceededException", "Limit for stack has been exceeded");
			return NULL;
		}
		life_event(s, k, "", "REVIEW_IN_PROGRESS");
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

/* A stack with a template of its own: what is wanted belongs to the change set,
 * since several may wait. */
static void fill_rows(struct stack *k, struct change *c, const struct ask *ask)
{
	c->template = template_read(ask);
	if (!c->template)
		return;
	c->params = json_incref(k->wanted_params);
	c->tags = json_incref(k->wanted_tags);
	c->rows = template_rows(k, c->template, c->params);
	c->empty = !strcmp(ask_field(ask, "ChangeSetType"), "UPDATE") && !json_array_size(c->rows) && json_equal(k->tags, c->tags) &&
		   json_equal(json_object_get(k->template, "Outputs"), json_object_get(c->template, "Outputs"));
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
	fill_rows(k, c, ask);
	snprintf(c->execution, sizeof c->execution, "%s", c->empty ? "UNAVAILABLE" : "AVAILABLE");
}

void changes_create(struct sim *s, const struct ask *k, struct say *a)
{
	const char *name = say_missing(a, "StackName"), *set = name ? say_missing(a, "ChangeSetName") : NULL;
	const char *type = *ask_field(k, "ChangeSetType") ? ask_field(k, "ChangeSetType") : "UPDATE";
	struct stack *stack = name ? stack_find(s, name) : NULL;
	struct change *c = stack && set ? find_change(stack, set) : NULL;

	if (!set || !check_template(k, a) || !check_parameters(k, a))
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

static void say_row(struct say *a, const json_t *row)
{
	buf_adds(&a->body, "<member><Type>Resource</Type><ResourceChange>");
	say_tag(a, "Action", "%s", json_str(row, "action", ""));
	say_tag(a, "LogicalResourceId", "%s", json_str(row, "logical", ""));
	say_tag(a, "ResourceType", "%s", json_str(row, "type", ""));
	if (*json_str(row, "replacement", ""))
		say_tag(a, "Replacement", "%s", json_str(row, "replacement", ""));
	if (*json_str(row, "property", "")) {
		buf_adds(&a->body, "<Details><member><Target><Attribute>Properties</Attribute>");
		say_tag(a, "Name", "%s", json_str(row, "property", ""));
		buf_adds(&a->body, "</Target></member></Details>");
	}
	buf_adds(&a->body, "</ResourceChange></member>");
}

static void say_rows(struct say *a, const json_t *rows, size_t from)
{
	buf_adds(&a->body, "<Changes>");
	for (size_t i = from; i < from + PAGE && i < json_array_size(rows); i++)
		say_row(a, json_array_get(rows, i));
	buf_adds(&a->body, "</Changes>");
}

static void say_changes(struct say *a, const struct change *c, size_t from)
{
	bool create = !strcmp(c->type, "CREATE");

	buf_adds(&a->body, "<Changes>");
	for (size_t i = from; i < from + PAGE && i < PARTS && !c->empty; i++) {
		buf_adds(&a->body, "<member><Type>Resource</Type><ResourceChange>");
		say_tag(a, "Action", "%s", create ? "Add" : "Modify");
		say_tag(a, "LogicalResourceId", "%s", stack_parts[i].logical);
		say_tag(a, "ResourceType", "%s", stack_parts[i].type);
		if (!create)
			say_tag(a, "Replacement", "%s", i == 1 ? "True" : "False");
		buf_adds(&a->body, "</ResourceChange></member>");
	}
	buf_adds(&a->body, "</Changes>");
}

void changes_describe(struct sim *s, const struct ask *k, struct say *a)
{
	struct stack *stack;
	struct change *c = change_asked(s, a, &stack);
	size_t from = (size_t)strtoul(ask_field(k, "NextToken"), NULL, 10);
	bool ready = c && s->now >= c->ready;
	size_t count = c && c->rows ? json_array_size(c->rows) : PARTS;

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
	if (ready && c->rows)
		say_rows(a, c->rows, from);
	else if (ready)
		say_changes(a, c, from);
	if (ready && !c->empty && from + PAGE < count)
		say_tag(a, "NextToken", "%zu", from + PAGE);
	say_end(a);
}

/* Whatever else waited for this stack is obsolete now. */
static void execute_rows(struct sim *s, struct stack *k, struct change *c, const char *token)
{
	json_decref(k->template);
	json_decref(k->params);
	json_decref(k->tags);
	k->template = json_incref(c->template);
	k->params = json_incref(c->params);
	k->tags = json_incref(c->tags);
	for (int i = 0; i < CHANGES; i++)
		if (k->change[i].used && !strcmp(k->change[i].execution, "AVAILABLE"))
			snprintf(k->change[i].execution, sizeof k->change[i].execution, "OBSOLETE");
	snprintf(c->execution, sizeof c->execution, "EXECUTE_COMPLETE");
	life_rows(s, k, token, c->rows, !strcmp(c->type, "CREATE"));
}

static void execute(struct sim *s, struct stack *k, struct change *c, const char *token)
{
	if (c->rows)
		return execute_rows(s, k, c, token);
	json_decref(k->params);
	json_decref(k->tags);
	k->params = json_incref(k->wanted_params);
	k->tags = json_incref(k->wanted_tags);
	k->digest = c->digest;
	snprintf(c->execution, sizeof c->execution, "EXECUTE_COMPLETE");
	if (!strcmp(c->type, "CREATE"))
		life_create(s, k, token);
	else
		life_update(s, k, token);
}

void changes_execute(struct sim *s, const struct ask *k, struct say *a)
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

void changes_delete(struct sim *s, const struct ask *k, struct say *a)
{
	struct stack *stack = stack_asked(s, a);
	struct change *c = stack ? find_change(stack, ask_field(k, "ChangeSetName")) : NULL;

	if (!stack)
		return;
	if (c)
		change_close(c);
	say_begin(a);
	say_end(a);
}


#include "plan/environment.h"

#include "base/err.h"
#include "base/file.h"
#include "plan/internal.h"

#include <stdio.h>
#include <string.h>

#define MAX_STACKS 40
#define MAX_BYTES ((size_t)256 << 10)

static const struct param stack_fields[] = {
	{ .name = "name", .type = PARAM_STRING, .required = true, .about = "the stack's name, as AWS knows it" },
	{ .name = "template", .type = PARAM_STRING, .about = "file, relative to this one, at most 51,200 bytes" },
	{ .name = "template_url", .type = PARAM_STRING, .about = "S3 URL of a larger template" },
	{ .name = "about", .type = PARAM_STRING, .required = true, .about = "one line that says what the stack is for" },
	{ .name = "stateful", .type = PARAM_BOOL, .required = true,
	  .about = "true: nothing in it is replaced or removed unless it is named" },
	{ .name = "protect", .type = PARAM_BOOL, .def = "false", .about = "termination protection" },
	{ .name = "once", .type = PARAM_BOOL, .def = "false",
	  .about = "made when it is not there, never updated: plans own it from then on, and may delete it" },
	{ .name = "policy", .type = PARAM_STRING, .about = "stack policy, a file relative to this one; set after creation" },
	{ .name = "region", .type = PARAM_STRING, .about = "only where it is not the environment's" },
	{ .name = "parameters", .type = PARAM_MAP, .def = "{}", .about = "what is no output of an earlier stack" },
	{ .name = "tags", .type = PARAM_MAP, .def = "{}", .max = 40, .about = "tags of the stack and its resources" },
	{ 0 },
};

static const struct param rule_fields[] = {
	{ .name = "listener", .type = PARAM_STRING, .required = true, .about = "\"${edge.HttpsListenerArn}\"" },
	{ .name = "target_group", .type = PARAM_STRING, .required = true,
	  .about = "of the first release: \"${blue.TargetGroupArn}\"" },
	{ .name = "priority", .type = PARAM_INT, .def = "100", .min = 1, .max = 50000, .about = "of the rule" },
	{ .name = "tags", .type = PARAM_MAP, .def = "{}", .max = 40, .about = "beside cutover:managed=true" },
	{ 0 },
};

static const struct param environment_fields[] = {
	{ .name = "name", .type = PARAM_STRING, .required = true, .about = "1 to 32 of a-z, 0-9, - and ." },
	{ .name = "region", .type = PARAM_STRING, .required = true, .about = "AWS region" },
	{ .name = "account", .type = PARAM_STRING, .required = true, .about = "AWS account it may touch, 12 digits" },
	{ .name = "stacks", .type = PARAM_OBJECTS, .required = true, .min = 1, .max = MAX_STACKS, .fields = stack_fields,
	  .about = "the stacks, in the order they are made" },
	{ 0 },
};

static const struct section environment_sections[] = {
	{ .name = "rule", .about = "the production rule, made once", .shape = { .fields = rule_fields } },
	{ 0 },
};

static const char *const also[] = { "$schema", NULL };
static const struct shape environment_shape = { .fields = environment_fields, .sections = environment_sections, .also = also };

/* --- checks -------------------------------------------------------------------------------- */

#define STACK_AT(i) (&(struct at){ &(struct at){ NULL, "stacks", 0 }, NULL, i })
#define KEY_AT(i, k) (&(struct at){ STACK_AT(i), k, 0 })

const struct environment_stack *environment_stack(const struct environment *env, const char *name)
{
	for (size_t i = 0; i < env->nstacks; i++)
		if (!strcmp(env->stacks[i].name, name))
			return &env->stacks[i];
	return NULL;
}

/* Lower case, since ${stack.Output} must be able to name it. */
static bool is_name(const char *s)
{
	static const char more[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	return *s >= 'a' && *s <= 'z' && !s[strspn(s, more)] && strlen(s) <= 100;
}

static void check_name(struct reader *r, const struct environment *env, size_t i)
{
	const struct environment_stack *s = &env->stacks[i];

	if (*s->name && !is_name(s->name))
		bad(r, KEY_AT(i, "name"), "\"%.60s\" is not a stack name here: a letter, then a-z, 0-9 and -, at most 100", s->name);
	else if (*s->name && environment_stack(env, s->name) != s)
		bad(r, KEY_AT(i, "name"), "stack \"%.100s\" stands twice in the list", s->name);
}

struct seen {
	struct reader *r;
	const struct environment *env;
	const struct at *at;
	size_t before; /* the stacks that may be named */
};

static void check_ref(void *ctx, const char *stack, const char *output)
{
	struct seen *s = ctx;
	const struct environment_stack *found = environment_stack(s->env, stack);

	(void)output;
	if (!found)
		bad(s->r, s->at, "${%.60s.%.60s} names no stack of this file", stack, output);
	else if ((size_t)(found - s->env->stacks) >= s->before)
		bad(s->r, s->at, "${%.60s.%.60s} names a stack that is made later", stack, output);
}

static void check_refs(struct reader *r, const struct environment *env, const char *text, const struct at *at, size_t before)
{
	text_refs(text, check_ref, &(struct seen){ r, env, at, before });
}

static void check_tags(struct reader *r, const json_t *tags, const struct at *at)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)tags, key, v) {
		if (!strncmp(key, "aws:", 4) || !strncmp(key, "cutover:", 8))
			bad(r, at, "\"%.100s\" is a reserved key", key);
		if (strstr(json_string_value(v), "${"))
			bad(r, at, "\"%.100s\": only ${env:NAME} may stand in a tag", key);
	}
}

static void check_stack(struct reader *r, const struct environment *env, size_t i)
{
	const struct environment_stack *s = &env->stacks[i];
	const char *key;
	json_t *v;

	check_name(r, env, i);
	if (!s->template == !s->template_url)
		bad(r, STACK_AT(i), "needs template or template_url, one of them");
	check_tags(r, s->tags, KEY_AT(i, "tags"));
	json_object_foreach((json_t *)s->parameters, key, v)
		check_refs(r, env, json_string_value(v), &(struct at){ KEY_AT(i, "parameters"), key, 0 }, i);
}

static void check(struct reader *r, const struct environment *env)
{
	plan_check_names(r);
	for (size_t i = 0; i < env->nstacks; i++)
		check_stack(r, env, i);
	if (!env->rule.on)
		return;
	check_refs(r, env, env->rule.listener, &(struct at){ &(struct at){ NULL, "rule", 0 }, "listener", 0 }, env->nstacks);
	check_refs(r, env, env->rule.target_group, &(struct at){ &(struct at){ NULL, "rule", 0 }, "target_group", 0 },
		   env->nstacks);
	check_tags(r, env->rule.tags, &(struct at){ &(struct at){ NULL, "rule", 0 }, "tags", 0 });
}

/* --- from the tables' result ------------------------------------------------------------------- */

/* Relative to the environment file, so that it means the same wherever it is used. */
static char *path_of(const struct environment *env, const char *path)
{
	const char *slash = strrchr(env->file, '/');

	if (!path || path[0] == '/' || !slash)
		return xstrdup(path);
	return xasprintf("%.*s/%s", (int)(slash - env->file), env->file, path);
}

static void fill_stack(const struct environment *env, struct environment_stack *s, const json_t *o)
{
	*s = (struct environment_stack){
		.name = json_str(o, "name", ""), .about = json_str(o, "about", ""),
		.region = json_str(o, "region", env->region), .template_url = json_str(o, "template_url", NULL),
		.template = path_of(env, json_str(o, "template", NULL)), .policy = path_of(env, json_str(o, "policy", NULL)),
		.parameters = json_object_get(o, "parameters"), .tags = json_object_get(o, "tags"),
		.stateful = json_yes(o, "stateful"), .protect = json_yes(o, "protect"), .once = json_yes(o, "once"),
	};
}

static void fill(struct environment *env)
{
	const json_t *list = json_object_get(env->doc, "stacks"), *rule = json_object_get(env->doc, "rule");

	env->name = json_str(env->doc, "name", "");
	env->region = json_str(env->doc, "region", "");
	env->account = json_str(env->doc, "account", "");
	env->nstacks = json_array_size(list);
	env->stacks = xcalloc(env->nstacks, sizeof *env->stacks);
	for (size_t i = 0; i < env->nstacks; i++)
		fill_stack(env, &env->stacks[i], json_array_get(list, i));
	env->rule = (struct environment_rule){
		.on = rule != NULL, .listener = json_str(rule, "listener", ""), .target_group = json_str(rule, "target_group", ""),
		.priority = (int)json_num(rule, "priority", 100), .tags = json_object_get(rule, "tags"),
	};
}

/* The reader and the check of names work on a plan; this one has what they use. */
static struct plan *as_plan(const struct environment *env, char *text, size_t n)
{
	struct plan *p = xcalloc(1, sizeof *p);

	p->file = xstrdup(env->file);
	p->text = text;
	p->ntext = n;
	p->env = json_object();
	return p;
}

static void read_all(struct reader *r, struct environment *env)
{
	autojson json_t *doc = plan_document(r, "an environment");

	if (!json_is_object(doc))
		return;
	secrets_check(r, doc);
	env->doc = shape_read(r, &environment_shape, doc, NULL);
	fill(env);
	r->plan->name = xstrdup(env->name);
	r->plan->region = xstrdup(env->region);
	r->plan->account = xstrdup(env->account);
	check(r, env);
}

int environment_load(const char *path, struct environment **out, struct plan_errors *errs)
{
	autoenvironment struct environment *env = xcalloc(1, sizeof *env);
	autoplan struct plan *p = NULL;
	struct reader r = { .errs = errs };
	struct err e = { 0 };
	char *text;
	size_t n;

	if (file_read(path, MAX_BYTES, &text, &n, &e)) {
		errs_add(errs, 0, NULL, "%s", e.msg);
		return -1;
	}
	env->file = xstrdup(path);
	r.plan = p = as_plan(env, text, n);
	read_all(&r, env);
	errs_sort(errs);
	if (errs->n)
		return -1;
	*out = steal(&env);
	return 0;
}

void environment_free(struct environment *env)
{
	if (!env)
		return;
	for (size_t i = 0; i < env->nstacks; i++) {
		free(env->stacks[i].template);
		free(env->stacks[i].policy);
	}
	free(env->stacks);
	free(env->file);
	json_decref(env->doc);
	free(env);
}

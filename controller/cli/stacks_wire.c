/* cli/stacks_wire.c - where the parameters of a stack come from: the environment
 * file, else the output of that name of an earlier stack, else the template's
 * default. The name chooses, the type is checked: a subnet is no VPC. */
#include "aws/cloudformation.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/stacks.h"
#include "plan/plan.h"

#include <string.h>

json_t *stacks_missing(const struct stacks *s, const struct environment_stack *st)
{
	json_t *names = json_array();

	for (const struct environment_stack *k = s->env->stacks; k < st; k++)
		if (!json_object_get(s->outputs, k->name))
			json_array_append_new(names, json_string(k->name));
	return names;
}

/* The one earlier stack that has this output; *value NULL: none has. */
static int find_output(const struct stacks *s, const struct environment_stack *st, const char *name, const char **value,
		       struct err *e)
{
	const char *from = NULL;

	*value = NULL;
	for (const struct environment_stack *k = s->env->stacks; k < st; k++) {
		const char *v = json_str(json_object_get(s->outputs, k->name), name, NULL);

		if (v && from)
			return err_set(e, ERR_INPUT, "parameter %.100s of stack %.100s is an output of both %.100s and %.100s: write \"${%.100s.%.100s}\" or the other",
				       name, st->name, from, k->name, k->name, name);
		if (v) {
			from = k->name;
			*value = v;
		}
	}
	return 0;
}

static int check_type(const struct environment_stack *st, const char *name, const char *type, const char *value, struct err *e)
{
	const char *wants = cfn_type_wants(type, value);

	if (!wants)
		return 0;
	return err_set(e, ERR_INPUT, "parameter %.100s of stack %.100s is of type %.100s, %s, and cannot be \"%.200s\"", name,
		       st->name, type, wants, value);
}

/* 0 and *out NULL: the template's default stands. */
static int find_value(const struct stacks *s, const struct environment_stack *st, const char *name, bool has_default,
		      char **out, struct err *e)
{
	const char *written = json_str(st->parameters, name, NULL), *found = NULL;

	*out = NULL;
	if (written) {
		*out = plan_resolve_text(written, s->outputs, e);
		return *out ? 0 : err_wrap(e, "parameter %.100s of stack %.100s", name, st->name);
	}
	if (find_output(s, st, name, &found, e))
		return -1;
	if (!found && !has_default)
		return err_set(e, ERR_INPUT, "parameter %.100s of stack %.100s has no value: write one in %.200s; no earlier stack has an output of that name",
			       name, st->name, s->env->file);
	*out = xstrdup(found);
	return 0;
}

static int add_parameter(const struct stacks *s, const struct environment_stack *st, const char *name, const json_t *p,
			 json_t *out, struct err *e)
{
	autofree char *value = NULL;

	if (find_value(s, st, name, json_object_get(p, "default") != NULL, &value, e))
		return -1;
	if (!value)
		return 0;
	if (check_type(st, name, json_str(p, "type", ""), value, e))
		return -1;
	json_object_set_new(out, name, json_text(value));
	return 0;
}

static int refuse_unknown(const struct environment_stack *st, const struct cfn_template *t, struct err *e)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)st->parameters, key, v)
		if (!json_object_get(t->parameters, key))
			return err_set(e, ERR_INPUT, "stack %.100s: its template has no parameter \"%.100s\"", st->name, key);
	return 0;
}

int stacks_parameters(struct stacks *s, const struct environment_stack *st, const struct cfn_template *t, json_t **out,
		      struct err *e)
{
	autojson json_t *all = json_object();
	const char *key;
	json_t *p;

	*out = NULL;
	if (refuse_unknown(st, t, e))
		return -1;
	json_object_foreach(t->parameters, key, p)
		if (add_parameter(s, st, key, p, all, e))
			return -1;
	*out = steal(&all);
	return 0;
}

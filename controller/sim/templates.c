/* CloudFormation templates of the simulated world: JSON, with Parameters,
 * Resources and Outputs, and marked by {"Metadata": {"simulate": true}}: every other
 * template, whatever is in it, stands for a colour. A resource is replaced when its property "Name" changes,
 * perhaps replaced when "Maybe" does, and cannot be made when it has "Impossible". */
#include "sim/stacks.h"

#include <stdio.h>
#include <string.h>

json_t *template_read(const struct ask *k)
{
	json_t *t = json_loads(ask_field(k, "TemplateBody"), 0, NULL);

	if (json_yes(json_object_get(t, "Metadata"), "simulate"))
		return t;
	json_decref(t);
	return NULL;
}

bool template_check(json_t *template, const json_t *params, struct say *a)
{
	json_t *declared = json_object_get(template, "Parameters"), *v;
	const char *key;

	json_object_foreach((json_t *)params, key, v)
		if (!json_object_get(declared, key)) {
			say_error(a, 400, "ValidationError", "Parameters: [%.100s] do not exist in the template", key);
			return false;
		}
	json_object_foreach(declared, key, v)
		if (!json_object_get(params, key) && !json_object_get(v, "Default")) {
			say_error(a, 400, "ValidationError", "Parameters: [%.100s] must have values", key);
			return false;
		}
	return true;
}

/* --- values ------------------------------------------------------------------------------- */

static const char *parameter(const json_t *template, const json_t *params, const char *name)
{
	const json_t *declared = json_object_get(json_object_get(template, "Parameters"), name);

	return json_str(params, name, json_str(declared, "Default", NULL));
}

static const struct { const char *type, *prefix; } ids[] = {
	{ "AWS::EC2::VPC", "vpc-0" }, { "AWS::EC2::Subnet", "subnet-0" }, { "AWS::EC2::SecurityGroup", "sg-0" },
};

/* What AWS calls a resource: new when it is replaced. */
static char *physical(const struct stack *k, const char *logical)
{
	const json_t *r = json_object_get(json_object_get(k->template, "Resources"), logical);
	const char *type = json_str(r, "Type", ""), *name = json_str(json_object_get(r, "Properties"), "Name", "1");

	for (size_t i = 0; i < COUNT(ids); i++)
		if (!strcmp(ids[i].type, type))
			return xasprintf("%s%s-%s", ids[i].prefix, logical, name);
	return xasprintf("%s-%s-%s", k->name, logical, name);
}

static char *value_of(const struct stack *k, const json_t *v)
{
	const char *ref = json_str(v, "Ref", NULL);
	const json_t *get = json_object_get(v, "Fn::GetAtt");

	if (json_is_string(v))
		return xstrdup(json_string_value(v));
	if (ref && parameter(k->template, k->params, ref))
		return xstrdup(parameter(k->template, k->params, ref));
	if (ref)
		return physical(k, ref);
	return xasprintf("%s.%s", json_string_value(json_array_get(get, 0)), json_string_value(json_array_get(get, 1)));
}

json_t *template_outputs(const struct stack *k)
{
	json_t *out = json_object(), *v;
	const char *key;

	json_object_foreach(json_object_get(k->template, "Outputs"), key, v) {
		autofree char *text = value_of(k, json_object_get(v, "Value"));

		json_object_set_new(out, key, json_string(text));
	}
	return out;
}

/* --- differences -------------------------------------------------------------------------- */

/* A property as it comes out: its text, parameters filled in. */
static json_t *resolved(const json_t *v, const json_t *template, const json_t *params)
{
	const char *ref = json_str(v, "Ref", NULL), *value = ref ? parameter(template, params, ref) : NULL;

	return value ? json_string(value) : json_deep_copy(v);
}

static json_t *properties(const json_t *template, const json_t *params, const char *logical)
{
	json_t *in = json_object_get(json_object_get(json_object_get(template, "Resources"), logical), "Properties"), *v;
	json_t *out = json_object();
	const char *key;

	json_object_foreach(in, key, v)
		json_object_set_new(out, key, resolved(v, template, params));
	return out;
}

static void add_row(json_t *rows, const char *action, const char *logical, const json_t *r, const char *replacement,
		    const char *property)
{
	json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "action", action, "logical", logical, "type",
					      json_str(r, "Type", "?"), "replacement", replacement, "property", property,
					      "impossible", json_object_get(json_object_get(r, "Properties"), "Impossible") &&
					      strcmp(action, "Remove")));
}

/* The first property that differs; NULL: none does. */
static const char *differing(const json_t *a, const json_t *b)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)b, key, v)
		if (!json_equal(json_object_get(a, key), v))
			return key;
	json_object_foreach((json_t *)a, key, v)
		if (!json_object_get(b, key))
			return key;
	return NULL;
}

static void compare(json_t *rows, const struct stack *k, json_t *wanted, json_t *params, const char *logical, const json_t *r)
{
	autojson json_t *was = properties(k->template, k->params, logical), *is = properties(wanted, params, logical);
	const char *what;

	if (!json_object_get(json_object_get(k->template, "Resources"), logical)) {
		add_row(rows, "Add", logical, r, "", "");
		return;
	}
	what = differing(was, is);
	if (what)
		add_row(rows, "Modify", logical, r, !strcmp(what, "Name") ? "True" : !strcmp(what, "Maybe") ? "Conditional" : "False",
			what);
}

json_t *template_rows(const struct stack *k, json_t *wanted, json_t *params)
{
	json_t *rows = json_array(), *r, *next = json_object_get(wanted, "Resources");
	const char *logical;

	json_object_foreach(next, logical, r)
		compare(rows, k, wanted, params, logical, r);
	json_object_foreach(json_object_get(k->template, "Resources"), logical, r)
		if (!json_object_get(next, logical))
			add_row(rows, "Remove", logical, r, "", "");
	return rows;
}

/* --- GetTemplateSummary ---------------------------------------------------------------------- */

static void say_parameter(struct say *a, const char *name, const json_t *p)
{
	buf_adds(&a->body, "<member>");
	say_tag(a, "ParameterKey", "%s", name);
	say_tag(a, "ParameterType", "%s", json_str(p, "Type", "String"));
	if (json_object_get(p, "Default"))
		say_tag(a, "DefaultValue", "%s", json_str(p, "Default", ""));
	buf_adds(&a->body, "<NoEcho>false</NoEcho></member>");
}

void template_summary(struct sim *s, const struct ask *k, struct say *a)
{
	autojson json_t *t = template_read(k);
	const char *key;
	json_t *v;

	(void)s;
	if (!t)
		return say_error(a, 400, "ValidationError", "Template format error: unsupported structure.");
	say_begin(a);
	buf_adds(&a->body, "<Parameters>");
	json_object_foreach(json_object_get(t, "Parameters"), key, v)
		say_parameter(a, key, v);
	buf_adds(&a->body, "</Parameters><ResourceTypes>");
	json_object_foreach(json_object_get(t, "Resources"), key, v)
		say_tag(a, "member", "%s", json_str(v, "Type", "?"));
	buf_adds(&a->body, "</ResourceTypes>");
	say_end(a);
}

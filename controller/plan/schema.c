/* plan/schema.c - the tables of this room and of the step kinds as JSON Schema
 * (draft 2020-12), for editors and for checks that do not run this program.
 * It is a little more lenient than plan_parse: what only makes sense across
 * keys, and every value behind ${...}, is checked there alone. */
#include "plan/internal.h"

#include <stdio.h>
#include <string.h>

#define ENV "\\$\\{env:[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}"
#define DURATION "^(P(?=.)([0-9.]+W)?([0-9.]+D)?(T(?=.)([0-9.]+H)?([0-9.]+M)?([0-9.]+S)?)?|.*" ENV ".*)$"
#define PERCENT "^([0-9]{1,3}(\\.[0-9]+)?%?|.*" ENV ".*)$"

static json_t *object_of(const struct shape *shape);

static json_t *put(json_t *o, const char *key, json_t *v)
{
	if (v && json_object_set_new(o, key, v))
		abort();
	return o;
}

static json_t *type_of(const char *name)
{
	return json_pack("{s:s}", "type", name);
}

static json_t *integer_of(const struct param *p)
{
	json_t *o = type_of("integer");

	if (p->min || p->max)
		put(o, "minimum", json_integer(p->min));
	return p->max ? put(o, "maximum", json_integer(p->max)) : o;
}

static json_t *percent_of(const struct param *p)
{
	(void)p;
	return json_pack("{s:[{s:s, s:s}, {s:s, s:i, s:i}]}", "anyOf", "type", "string", "pattern", PERCENT,
			 "type", "number", "minimum", 0, "maximum", 100);
}

static json_t *duration_of(const struct param *p)
{
	(void)p;
	return json_pack("{s:s, s:s}", "type", "string", "pattern", DURATION);
}

static json_t *choice_of(const struct param *p)
{
	json_t *names = json_array();

	for (const char *const *c = p->choices; *c; c++)
		json_array_append_new(names, json_string(*c));
	return json_pack("{s:[{s:o}, {s:s, s:s}]}", "anyOf", "enum", names, "type", "string", "pattern", "^.*" ENV ".*$");
}

static json_t *list_of(const struct param *p, json_t *items)
{
	json_t *o = put(type_of("array"), "items", items);

	if (p->min)
		put(o, "minItems", json_integer(p->min));
	return p->max ? put(o, "maxItems", json_integer(p->max)) : o;
}

static json_t *value_of(const struct param *p)
{
	switch (p->type) {
	case PARAM_INT:
		return integer_of(p);
	case PARAM_BOOL:
		return type_of("boolean");
	case PARAM_DURATION:
		return duration_of(p);
	case PARAM_PERCENT:
		return percent_of(p);
	case PARAM_CHOICE:
		return choice_of(p);
	case PARAM_STRINGS:
		return list_of(p, type_of("string"));
	case PARAM_MAP:
		return json_pack("{s:s, s:{s:{}}, s:{s:s}}", "type", "object", "patternProperties", "^//",
				 "additionalProperties", "type", "string");
	case PARAM_OBJECTS:
		return list_of(p, object_of(&(struct shape){ .fields = p->fields }));
	default:
		return type_of("string");
	}
}

static json_t *described(const struct param *p)
{
	json_t *o = put(value_of(p), "description", json_string(p->about));

	return p->def ? put(o, "default", json_loads(p->def, JSON_DECODE_ANY, NULL)) : o;
}

static void add_fields(const struct param *p, json_t *properties, json_t *required)
{
	for (; p && p->name; p++) {
		put(properties, p->name, described(p));
		if (p->required)
			json_array_append_new(required, json_string(p->name));
	}
}

static json_t *closed(json_t *properties, json_t *required)
{
	return json_pack("{s:s, s:o, s:o, s:{s:{}}, s:b}", "type", "object", "properties", properties, "required",
			 required, "patternProperties", "^//", "additionalProperties", 0);
}

static json_t *object_of(const struct shape *shape)
{
	json_t *properties = json_object(), *required = json_array();

	add_fields(shape->more, properties, required);
	add_fields(shape->fields, properties, required);
	for (const struct section *s = shape->sections; s && s->name; s++) {
		put(properties, s->name, put(object_of(&s->shape), "description", json_string(s->about)));
		if (s->required)
			json_array_append_new(required, json_string(s->name));
	}
	return closed(properties, required);
}

/* --- steps: one definition a kind, chosen by "do" ------------------------------------------- */

static json_t *kind_of(const struct step_kind *k)
{
	json_t *o = object_of(&(struct shape){ .more = plan_step_common, .fields = k->params });

	put(json_object_get(o, "properties"), "do", json_pack("{s:s}", "const", k->name));
	return put(o, "description", json_string(k->about));
}

static json_t *branch_of(const struct step_kind *k)
{
	autofree char *ref = xasprintf("#/$defs/%s", k->name);

	return json_pack("{s:{s:s, s:[s], s:{s:{s:s}}}, s:{s:s}}", "if", "type", "object", "required", "do", "properties",
			 "do", "const", k->name, "then", "$ref", ref);
}

static json_t *step_of(const struct step_kind *const *kinds)
{
	json_t *names = json_array(), *branches = json_array();

	for (const struct step_kind *const *k = kinds; *k; k++) {
		json_array_append_new(names, json_string((*k)->name));
		json_array_append_new(branches, branch_of(*k));
	}
	return json_pack("{s:s, s:[s, s], s:{s:{s:o}}, s:o}", "type", "object", "required", "id", "do", "properties",
			 "do", "enum", names, "allOf", branches);
}

json_t *plan_schema(const struct step_kind *const *kinds)
{
	json_t *doc = json_pack("{s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema", "title",
				"A plan of cutover");
	autojson json_t *top = object_of(&plan_shape);
	json_t *properties = json_object_get(top, "properties"), *defs = json_object();

	put(properties, "$schema", type_of("string"));
	put(properties, "steps", json_pack("{s:s, s:s, s:i, s:i, s:o}", "type", "array", "description",
					   "what is done, in this order", "minItems", 1, "maxItems", PLAN_MAX_STEPS,
					   "items", step_of(kinds)));
	json_array_append_new(json_object_get(top, "required"), json_string("steps"));
	for (const struct step_kind *const *k = kinds; *k; k++)
		put(defs, (*k)->name, kind_of(*k));
	if (json_object_update(doc, top))
		abort();
	return put(doc, "$defs", defs);
}

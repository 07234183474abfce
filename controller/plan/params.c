/* plan/params.c - reads one object by its tables: which keys, which types,
 * which values; fills in defaults; turns "PT5M" into ms and "5%" into per mille.
 * Everything wrong is reported, nothing stops at the first. */
#include "base/duration.h"
#include "base/err.h"
#include "plan/internal.h"

#include <stdio.h>
#include <string.h>

#define MAX_STRING 4096
#define MAX_LIST 200
#define MAX_NAMES 64

const char *type_said(const json_t *v)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list", [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true", [JSON_FALSE] = "false",
		[JSON_NULL] = "null",
	};

	return names[json_typeof(v)];
}

static json_t *wrong(struct reader *r, const struct at *at, const char *want, const json_t *v)
{
	bad(r, at, "must be %s, not %s", want, type_said(v));
	return NULL;
}

/* --- numbers ----------------------------------------------------------------------------- */

/* How a normalised number is written in the file. */
static void number_said(enum param_type type, long n, char out[32])
{
	if (type == PARAM_DURATION)
		duration_say(n, out);
	else if (type == PARAM_PERCENT && n % 10)
		snprintf(out, 32, "%ld.%ld%%", n / 10, n % 10);
	else
		snprintf(out, 32, type == PARAM_PERCENT ? "%ld%%" : "%ld", type == PARAM_PERCENT ? n / 10 : n);
}

static json_t *in_range(struct reader *r, const struct param *p, const struct at *at, json_int_t n)
{
	char is[32], min[32], max[32];

	if ((!p->min && !p->max) || (n >= p->min && (!p->max || n <= p->max)))
		return json_integer(n);
	number_said(p->type, (long)n, is);
	number_said(p->type, p->min, min);
	number_said(p->type, p->max, max);
	if (p->max)
		bad(r, at, "is %s; allowed: %s to %s", is, min, max);
	else
		bad(r, at, "is %s; allowed: %s or more", is, min);
	return NULL;
}

static json_t *read_int(struct reader *r, const struct param *p, const json_t *v, const struct at *at)
{
	if (!json_is_integer(v))
		return wrong(r, at, "a whole number", v);
	return in_range(r, p, at, json_integer_value(v));
}

static json_t *read_bool(struct reader *r, const struct param *p, const json_t *v, const struct at *at)
{
	(void)p;
	return json_is_boolean(v) ? json_boolean(json_is_true(v)) : wrong(r, at, "true or false", v);
}

/* A text whose meaning is fixed when the plan is loaded: no step output in it. */
static char *read_fixed(struct reader *r, const json_t *v, const struct at *at, const char *want)
{
	autofree char *s = NULL;

	if (!json_is_string(v)) {
		wrong(r, at, want, v);
		return NULL;
	}
	s = text_env(r, at, json_string_value(v));
	if (s && strstr(s, "${")) {
		bad(r, at, "must be %s; ${...} can only name ${env:NAME} here", want);
		return NULL;
	}
	return steal(&s);
}

static json_t *read_duration(struct reader *r, const struct param *p, const json_t *v, const struct at *at)
{
	autofree char *s = read_fixed(r, v, at, "a duration such as \"PT30S\", \"PT5M\" or \"PT1H\"");
	struct err e;
	int64_t ms;

	if (!s)
		return NULL;
	if (duration_parse(s, &ms, &e)) {
		bad(r, at, "%s", e.msg);
		return NULL;
	}
	return in_range(r, p, at, ms);
}

/* "5%", "0.1%", "5"; -1: neither. */
static double percent_parse(const char *s)
{
	size_t digits = strspn(s, "0123456789"), frac = s[digits] == '.' ? strspn(s + digits + 1, "0123456789") : 0;
	const char *end = s + digits + (s[digits] == '.' ? 1 + frac : 0);

	if (!digits || digits > 6 || (s[digits] == '.' && !frac) || (*end && strcmp(end, "%")))
		return -1;
	return strtod(s, NULL);
}

static json_t *permille(struct reader *r, const struct param *p, const struct at *at, double percent)
{
	double whole = (double)(long)(percent * 10 + 0.5), off = percent * 10 - whole;

	if (off > 1e-6 || off < -1e-6) {
		bad(r, at, "must be a whole number of tenths of a percent, such as \"0.1%%\"");
		return NULL;
	}
	return in_range(r, p, at, (json_int_t)whole);
}

static json_t *read_percent(struct reader *r, const struct param *p, const json_t *v, const struct at *at)
{
	autofree char *s = NULL;
	double x;

	if (!json_is_number(v)) {
		s = read_fixed(r, v, at, "a share such as \"5%\"");
		if (!s)
			return NULL;
	}
	x = s ? percent_parse(s) : json_number_value(v);
	if (!(x >= 0 && x <= 100)) {
		bad(r, at, "must be a share from 0%% to 100%%, written like \"5%%\" or \"0.1%%\"");
		return NULL;
	}
	return permille(r, p, at, x);
}

/* --- texts --------------------------------------------------------------------------------- */

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 && *s != '\n' && *s != '\t')
			return true;
	return false;
}

/* A text that may name outputs of earlier steps. */
static json_t *read_text(struct reader *r, const json_t *v, const struct at *at, bool may_be_empty)
{
	autofree char *s = json_is_string(v) ? text_env(r, at, json_string_value(v)) : NULL;

	if (!json_is_string(v))
		return wrong(r, at, "a string", v);
	if (!s)
		return NULL;
	if (!*s && !may_be_empty)
		bad(r, at, "must not be empty; leave the key out instead");
	else if (strlen(s) > MAX_STRING)
		bad(r, at, "is longer than %d bytes", MAX_STRING);
	else if (has_control(s))
		bad(r, at, "has control characters in it");
	else if (!text_refs(s, NULL, NULL))
		bad(r, at, "has a \"${\" that is neither ${env:NAME} nor ${step.output}");
	else
		return json_string(s);
	return NULL;
}

/* Empty only where that is the default too. */
static json_t *read_string(struct reader *r, const struct param *p, const json_t *v, const struct at *at)
{
	return read_text(r, v, at, p->def && !strcmp(p->def, "\"\""));
}

static json_t *read_choice(struct reader *r, const struct param *p, const json_t *v, const struct at *at)
{
	autofree char *s = read_fixed(r, v, at, "one of the words it allows"), *hint = NULL;
	size_t n = 0;

	if (!s)
		return NULL;
	for (; p->choices[n]; n++)
		if (!strcmp(p->choices[n], s))
			return json_string(s);
	hint = name_hint(s, p->choices, n);
	bad(r, at, "\"%.60s\" is not allowed%s", s, hint);
	return NULL;
}

/* --- lists and objects ----------------------------------------------------------------------- */

static bool count_is_right(struct reader *r, const struct param *p, const struct at *at, size_t n)
{
	long min = p->min, max = p->max ? p->max : MAX_LIST;

	if ((long)n >= min && (long)n <= max)
		return true;
	bad(r, at, "has %zu entries; allowed: %ld to %ld", n, min, max);
	return false;
}

static json_t *read_strings(struct reader *r, const struct param *p, const json_t *v, const struct at *at)
{
	autojson json_t *list = json_array();
	json_t *x;
	size_t i;

	if (!json_is_array(v))
		return wrong(r, at, "a list of strings such as [\"a\", \"b\"]", v);
	if (!count_is_right(r, p, at, json_array_size(v)))
		return NULL;
	json_array_foreach(v, i, x)
		json_array_append_new(list, read_text(r, x, &(struct at){ at, NULL, i }, false));
	return json_array_size(list) == json_array_size(v) ? steal(&list) : NULL;
}

static json_t *read_map(struct reader *r, const struct param *p, const json_t *v, const struct at *at)
{
	autojson json_t *map = json_object();
	const char *key;
	bool ok = true;
	json_t *x;

	if (!json_is_object(v))
		return wrong(r, at, "an object of strings such as {\"Key\": \"value\"}", v);
	if (!count_is_right(r, p, at, json_object_size(v)))
		return NULL;
	json_object_foreach((json_t *)v, key, x)
		if (!key_is_comment(key) && json_object_set_new(map, key, read_text(r, x, &(struct at){ at, key, 0 }, true)))
			ok = false;
	return ok ? steal(&map) : NULL;
}

static json_t *read_objects(struct reader *r, const struct param *p, const json_t *v, const struct at *at)
{
	const struct shape shape = { .fields = p->fields };
	autojson json_t *list = json_array();
	json_t *x;
	size_t i;

	if (!json_is_array(v))
		return wrong(r, at, "a list of objects such as [{...}]", v);
	if (!count_is_right(r, p, at, json_array_size(v)))
		return NULL;
	json_array_foreach(v, i, x)
		json_array_append_new(list, shape_read(r, &shape, x, &(struct at){ at, NULL, i }));
	return steal(&list);
}

/* --- one object by its shape ------------------------------------------------------------------ */

static json_t *read_value(struct reader *r, const struct param *p, const json_t *v, const struct at *at)
{
	static json_t *(*const readers[])(struct reader *, const struct param *, const json_t *, const struct at *) = {
		[PARAM_STRING] = read_string, [PARAM_INT] = read_int, [PARAM_BOOL] = read_bool,
		[PARAM_DURATION] = read_duration, [PARAM_PERCENT] = read_percent, [PARAM_CHOICE] = read_choice,
		[PARAM_STRINGS] = read_strings, [PARAM_MAP] = read_map, [PARAM_OBJECTS] = read_objects,
	};

	return readers[p->type](r, p, v, at);
}

static void read_fields(struct reader *r, const struct param *p, const json_t *in, const struct at *up, json_t *out)
{
	for (; p && p->name; p++) {
		autojson json_t *def = NULL;
		struct at at = { up, p->name, 0 };
		const json_t *v = json_object_get(in, p->name);
		json_t *got = NULL;

		if (!v && p->required)
			bad(r, &at, "is missing: %s", p->about);
		if (!v && p->def)
			v = def = json_loads(p->def, JSON_DECODE_ANY, NULL);
		if (v)
			got = read_value(r, p, v, &at);
		if (got)
			json_object_set_new(out, p->name, got);
	}
}

static void read_sections(struct reader *r, const struct section *s, const json_t *in, const struct at *up, json_t *out)
{
	autojson json_t *nothing = json_object();

	for (; s && s->name; s++) {
		struct at at = { up, s->name, 0 };
		const json_t *v = json_object_get(in, s->name);

		if (!v && s->required)
			bad(r, &at, "is missing: %s", s->about);
		if (!v && s->always)
			v = nothing;
		if (v)
			json_object_set_new(out, s->name, shape_read(r, &s->shape, v, &at));
	}
}

static size_t known_names(const struct shape *shape, const char *names[MAX_NAMES])
{
	size_t n = 0;

	for (const struct param *p = shape->more; p && p->name && n < MAX_NAMES; p++)
		names[n++] = p->name;
	for (const struct param *p = shape->fields; p && p->name && n < MAX_NAMES; p++)
		names[n++] = p->name;
	for (const struct section *s = shape->sections; s && s->name && n < MAX_NAMES; s++)
		names[n++] = s->name;
	for (const char *const *a = shape->also; a && *a && n < MAX_NAMES; a++)
		names[n++] = *a;
	return n;
}

static bool is_known(const char *key, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(key, names[i]))
			return true;
	return key_is_comment(key);
}

static void refuse_unknown(struct reader *r, const struct shape *shape, const json_t *in, const struct at *up)
{
	const char *names[MAX_NAMES], *key;
	size_t n = known_names(shape, names);
	json_t *v;

	json_object_foreach((json_t *)in, key, v) {
		autofree char *hint = NULL;

		if (is_known(key, names, n))
			continue;
		hint = name_hint(key, names, n);
		bad(r, &(struct at){ up, key, 0 }, "is not a key that is known here%s", hint);
	}
}

json_t *shape_read(struct reader *r, const struct shape *shape, const json_t *in, const struct at *at)
{
	json_t *out = json_object();

	if (!json_is_object(in)) {
		wrong(r, at, "an object {...}", in);
		return out;
	}
	refuse_unknown(r, shape, in, at);
	read_fields(r, shape->more, in, at, out);
	read_fields(r, shape->fields, in, at, out);
	read_sections(r, shape->sections, in, at, out);
	return out;
}

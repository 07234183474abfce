/* plan/lines.c - jansson keeps no positions, so a second, small scanner walks
 * the same text and remembers lines. It judges nothing but what jansson cannot
 * tell: where a duplicate key stands, and how much there is at all. */
#include "plan/internal.h"

struct scan {
	const char *p, *end;
	int line;
	int depth;
	size_t values;
	bool too_much;
	struct plan_errors *errs;
};

static json_t *scan_value(struct scan *s, const struct at *at);

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct scan *s)
{
	for (; s->p < s->end && is_space(*s->p); s->p++)
		s->line += *s->p == '\n';
}

static bool take(struct scan *s, char c)
{
	skip_space(s);
	if (s->p >= s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* Past the closing quote; false when there is none in this line. */
static bool skip_string(struct scan *s)
{
	if (!take(s, '"'))
		return false;
	for (; s->p < s->end && *s->p != '"' && *s->p != '\n'; s->p++)
		if (*s->p == '\\' && s->p + 1 < s->end && s->p[1] != '\n')
			s->p++;
	if (s->p >= s->end || *s->p != '"')
		return false;
	s->p++;
	return true;
}

static char *scan_key(struct scan *s)
{
	autojson json_t *text = NULL;
	const char *from;

	skip_space(s);
	from = s->p;
	if (!skip_string(s))
		return NULL;
	text = json_loadb(from, (size_t)(s->p - from), JSON_DECODE_ANY, NULL);
	return xstrdup(json_string_value(text));
}

static bool scan_member(struct scan *s, json_t *seen, const struct at *up)
{
	autofree char *key = scan_key(s);
	struct at at = { up, key, 0 };
	int line = s->line;
	json_t *v;

	if (!key || !take(s, ':'))
		return false;
	if (json_object_get(seen, key) && !key_is_comment(key))
		errs_add(s->errs, line, &at, "stands twice in this object; the first is in line %d",
			 lines_find(json_object_get(seen, key), NULL));
	v = scan_value(s, &at);
	return v && !json_object_set_new(seen, key, v);
}

/* What stands behind text that is not JSON is not looked at any more. */
static void scan_end(struct scan *s, char bracket)
{
	if (!take(s, bracket))
		s->p = s->end;
}

static json_t *scan_object(struct scan *s, const struct at *at)
{
	json_t *seen = json_object();

	while (scan_member(s, seen, at) && take(s, ','))
		;
	scan_end(s, '}');
	return seen;
}

static json_t *scan_list(struct scan *s, const struct at *up)
{
	json_t *list = json_array(), *v;

	if (take(s, ']'))
		return list;
	do
		v = scan_value(s, &(struct at){ up, NULL, json_array_size(list) });
	while (v && !json_array_append_new(list, v) && take(s, ','));
	scan_end(s, ']');
	return list;
}

static json_t *scan_container(struct scan *s, const struct at *at, int line)
{
	bool object = *s->p++ == '{';
	json_t *in;

	s->depth++;
	in = object ? scan_object(s, at) : scan_list(s, at);
	s->depth--;
	return json_pack("[i, o]", line, in);
}

static bool is_too_much(struct scan *s, const struct at *at)
{
	if (++s->values > PLAN_MAX_VALUES)
		errs_add(s->errs, s->line, NULL, "more than %d values: this is not a plan", PLAN_MAX_VALUES);
	else if (s->depth > PLAN_MAX_DEPTH)
		errs_add(s->errs, s->line, at, "nested deeper than %d levels: this is not a plan", PLAN_MAX_DEPTH);
	else
		return false;
	s->too_much = true;
	s->p = s->end;
	return true;
}

static json_t *scan_value(struct scan *s, const struct at *at)
{
	int line;

	skip_space(s);
	line = s->line;
	if (s->p >= s->end || is_too_much(s, at))
		return NULL;
	if (*s->p == '{' || *s->p == '[')
		return scan_container(s, at, line);
	if (*s->p == '"')
		return skip_string(s) ? json_integer(line) : NULL;
	while (s->p < s->end && !is_space(*s->p) && *s->p != ',' && *s->p != ']' && *s->p != '}')
		s->p++;
	return json_integer(line);
}

json_t *lines_scan(const char *text, size_t n, struct plan_errors *errs)
{
	struct scan s = { .p = text, .end = text + n, .line = 1, .errs = errs };
	autojson json_t *tree = scan_value(&s, NULL);

	if (s.too_much)
		return NULL;
	return tree ? steal(&tree) : json_integer(1);
}

static const json_t *node(const json_t *lines, const struct at *at)
{
	const json_t *up = at ? node(lines, at->up) : NULL, *in = json_array_get(up, 1), *found;

	if (!at)
		return lines;
	found = at->key ? json_object_get(in, at->key) : json_array_get(in, at->i);
	return found ? found : up;
}

int lines_find(const json_t *lines, const struct at *at)
{
	const json_t *n = node(lines, at);

	return (int)json_integer_value(json_is_array(n) ? json_array_get(n, 0) : n);
}

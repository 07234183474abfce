#include "aws/answer.h"

#include "aws/core.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int missing(const char *what, struct err *e)
{
	return err_set(e, ERR_UNSURE, "the answer has no %s: what AWS thinks of it is unknown", what);
}

static int take_text(const char *s, const char *what, char *out, size_t size, struct err *e)
{
	size_t n = strlen(s);

	if (!n)
		return missing(what, e);
	if (n >= size)
		return err_set(e, ERR_UNSURE, "the answer's %s has %zu bytes, more than the %zu it may have",
			       what, n, size - 1);
	memcpy(out, s, n + 1);
	text_clean(out);
	return 0;
}

static int take_int(long long v, const char *what, int min, int max, int *out, struct err *e)
{
	if (v < min || v > max)
		return err_set(e, ERR_UNSURE, "the answer's %s is %lld, not within %d to %d", what, v, min,
			       max);
	*out = (int)v;
	return 0;
}

struct xml *answer_at(struct xml *x, const char *path, struct err *e)
{
	struct xml *at = xml_at(x, path);

	if (!at)
		missing(path, e);
	return at;
}

int answer_text(struct xml *x, const char *path, char *out, size_t size, struct err *e)
{
	return take_text(xml_text(x, path), path, out, size, e);
}

int answer_int(struct xml *x, const char *path, int min, int max, int *out, struct err *e)
{
	const char *s = xml_text(x, path);
	char *end;
	long long v;

	if (!*s)
		return missing(path, e);
	errno = 0;
	v = strtoll(s, &end, 10);
	if (*end || errno)
		return err_set(e, ERR_UNSURE, "the answer's %s is not a number: \"%.40s\"", path, s);
	return take_int(v, path, min, max, out, e);
}

int answer_json_text(const json_t *o, const char *key, char *out, size_t size, struct err *e)
{
	return take_text(json_str(o, key, ""), key, out, size, e);
}

int answer_json_int(const json_t *o, const char *key, int min, int max, int *out, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v))
		return missing(key, e);
	return take_int(json_integer_value(v), key, min, max, out, e);
}

json_t *answer_pairs(struct xml *list, const char *k, const char *v)
{
	json_t *o = json_object();

	for (struct xml *m = xml_at(list, "member"); m; m = xml_next(m))
		if (*xml_text(m, k))
			json_object_set_new(o, xml_text(m, k), json_text(xml_text(m, v)));
	return o;
}

void answer_say(struct xml *x, const char *path, char *out, size_t size)
{
	answer_copy(out, size, xml_text(x, path));
}

void answer_copy(char *out, size_t size, const char *s)
{
	snprintf(out, size, "%s", s);
	text_clean(out);
}

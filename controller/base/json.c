#include "base/json.h"

#include "base/buf.h"
#include "base/text.h"

#include <stdint.h>
#include <string.h>

/* Lines and tabs of a program's output stay; text_add_line() takes care of them where they are shown. */
static bool json_is_odd(const char *p, size_t len)
{
	return text_is_odd(p, len) && !(len && (*p == '\t' || *p == '\n'));
}

json_t *json_text_n(const char *s, size_t n)
{
	autobuf struct buf b = BUF_MAX((size_t)1 << 24);

	for (size_t i = 0; i < n;) {
		size_t len = text_char(s + i, n - i);

		if (json_is_odd(s + i, len))
			buf_adds(&b, "\xef\xbf\xbd");
		else
			buf_add(&b, s + i, len);
		i += len ? len : 1;
	}
	return json_stringn(b.p ? b.p : "", b.len);
}

json_t *json_text(const char *s)
{
	return json_text_n(s ? s : "", s ? strlen(s) : 0);
}

const char *json_str(const json_t *o, const char *key, const char *or)
{
	const json_t *v = json_object_get(o, key);

	return json_is_string(v) ? json_string_value(v) : or;
}

json_int_t json_num(const json_t *o, const char *key, json_int_t or)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer_value(v) : or;
}

double json_dbl(const json_t *o, const char *key, double or)
{
	const json_t *v = json_object_get(o, key);

	return json_is_number(v) ? json_number_value(v) : or;
}

int json_yes(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

json_t *json_line(const char *s)
{
	autobuf struct buf b = BUF_MAX((size_t)1 << 24);

	text_add_line(&b, s ? s : "", s ? strlen(s) : 0);
	return json_stringn(b.p ? b.p : "", b.len);
}

/* Jansson writes C0 as \uXXXX. The other odd ones can only stand in a string,
 * where \uXXXX is the same, and steers no terminal. */
static char *json_escape_odd(char *text)
{
	size_t n = strlen(text);
	autobuf struct buf b = BUF_MAX(SIZE_MAX);
	autofree char *mine __attribute__((unused)) = text; /* freed when this ends */

	for (size_t i = 0, len; i < n; i += len ? len : 1) {
		unsigned code;

		len = text_char(text + i, n - i);
		code = len > 1 && text_is_odd(text + i, len) ? text_code(text + i, len) : 0;
		if (code || text[i] == 0x7f)
			buf_addf(&b, "\\u%04x", code ? code : 0x7f);
		else
			buf_add(&b, text + i, len ? len : 1);
	}
	return buf_take(&b);
}

char *json_flat(const json_t *j)
{
	char *s = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!s)
		abort();
	return json_escape_odd(s);
}

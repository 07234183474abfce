#include "base/json.h"

#include "base/buf.h"

#include <string.h>

/* Length of the well-formed UTF-8 sequence at p, 0 when there is none (RFC 3629). */
static size_t utf8_len(const unsigned char *p, size_t n)
{
	size_t want = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 :
		      (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;

	if (!want || want > n)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if (want == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)))
		return 0;
	if (want == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)))
		return 0;
	return want;
}

json_t *json_text_n(const char *s, size_t n)
{
	autobuf struct buf b = BUF_MAX((size_t)1 << 24);
	const unsigned char *p = (const void *)s;

	for (size_t i = 0; i < n;) {
		size_t len = utf8_len(p + i, n - i);
		bool odd = !len || p[i] == 0x7f || (p[i] < 0x20 && p[i] != '\t' && p[i] != '\n');

		if (odd)
			buf_adds(&b, "\xef\xbf\xbd");
		else
			buf_add(&b, p + i, len);
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

char *json_flat(const json_t *j)
{
	char *s = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!s)
		abort();
	return s;
}

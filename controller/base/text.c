#include "base/text.h"

#include "base/buf.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

size_t text_char(const char *s, size_t n)
{
	const unsigned char *p = (const void *)s;
	size_t want = !n ? 0 : p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 :
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

unsigned text_code(const char *s, size_t len)
{
	const unsigned char *p = (const void *)s;
	unsigned code = len == 1 ? p[0] : p[0] & (0x7f >> len);

	for (size_t i = 1; i < len; i++)
		code = code << 6 | (p[i] & 0x3f);
	return code;
}

bool text_is_odd(const char *p, size_t len)
{
	static const struct { unsigned from, to; } odd[] = {
		{ 0, 0x1f }, { 0x7f, 0x9f }, { 0x61c, 0x61c }, { 0x200e, 0x200f }, { 0x2028, 0x202e }, { 0x2066, 0x2069 },
	};
	unsigned code = len ? text_code(p, len) : 0; /* no character at all is as odd as NUL */

	for (size_t i = 0; i < COUNT(odd); i++)
		if (code >= odd[i].from && code <= odd[i].to)
			return true;
	return false;
}

/* What stands in a line for the character at p. */
static const char *text_stands_for(const char *p, size_t len)
{
	if (!text_is_odd(p, len))
		return NULL;
	return len && *p == '\n' ? "\\n" : len && *p == '\t' ? " " : REPLACEMENT;
}

void text_add_line(struct buf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t len = text_char(s + i, n - i);
		const char *other = text_stands_for(s + i, len);

		if (other)
			buf_adds(out, other);
		else
			buf_add(out, s + i, len);
		i += len ? len : 1;
	}
}

/* What is left of a character that was cut off. */
static bool text_is_cut(const char *p, size_t n)
{
	size_t want = (*p & 0xe0) == 0xc0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : (*p & 0xf8) == 0xf0 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return false;
	return n < want;
}

void text_line(char *out, size_t size, const char *s)
{
	size_t n = s ? strlen(s) : 0, at = 0;

	for (size_t i = 0; i < n;) {
		size_t len = text_char(s + i, n - i);
		const char *other = text_stands_for(s + i, len);
		const char *from = other ? other : s + i;
		size_t more = other ? strlen(other) : len;

		if (at + more >= size || (!len && text_is_cut(s + i, n - i)))
			break;
		memcpy(out + at, from, more);
		at += more;
		i += len ? len : 1;
	}
	out[at] = '\0';
}

void text_clean(char *s)
{
	size_t n = strlen(s), at = 0;

	for (size_t i = 0, len; i < n; i += len ? len : 1) {
		len = text_char(s + i, n - i);
		if (!text_is_odd(s + i, len)) {
			memmove(s + at, s + i, len);
			at += len;
		} else {
			s[at++] = len && (s[i] == '\n' || s[i] == '\t') ? ' ' : '?';
		}
	}
	s[at] = '\0';
}

#include "net/url.h"

#include "base/buf.h"

#include <ctype.h>
#include <string.h>

static const char *const ends = " \t\r\n'\"<>()";

/* "host:80", "[::1]:80", "host" */
static bool is_plain_host(const char *s, size_t n)
{
	const char *colon = *s == '[' ? memchr(s, ']', n) : s;

	colon = colon ? memchr(colon, ':', n - (size_t)(colon - s)) : NULL;
	for (const char *p = colon ? colon + 1 : s + n; p < s + n; p++)
		if (!isdigit((unsigned char)*p))
			return false;
	return true;
}

static const char *last_at(const char *s, size_t n)
{
	return memrchr(s, '@', n);
}

/* Where a login that begins at s ends: its @; NULL: there is none. Where no host
 * and port stand, the password may have a slash or a blank in it. */
static const char *login_end(const char *s)
{
	size_t word = strcspn(s, ends), host = strcspn(s, "/?#");
	const char *at;

	host = host < word ? host : word;
	at = last_at(s, host);
	if (at || is_plain_host(s, host))
		return at;
	at = last_at(s, word);
	return at ? at : last_at(s, strlen(s));
}

/* "user:pw@host" without a scheme: a word with a colon before its @. */
static const char *bare_login_end(const char *s)
{
	size_t word = strcspn(s, ends);
	const char *at = last_at(s, word), *colon = at ? memchr(s, ':', (size_t)(at - s)) : NULL;

	return colon && colon > s && strncmp(colon, "://", 3) ? at : NULL;
}

char *url_hide_logins(const char *text)
{
	struct buf b = BUF_MAX(strlen(text) * 2 + 64);
	bool word = true; /* begins here */

	while (*text) {
		bool url = !strncmp(text, "://", 3);
		const char *at = url ? login_end(text + 3) : word ? bare_login_end(text) : NULL;

		if (url)
			buf_adds(&b, "://");
		if (at)
			buf_adds(&b, "***");
		word = strchr(ends, *text);
		if (!at && !url)
			buf_add(&b, text, 1);
		text = at ? at : url ? text + 3 : text + 1;
	}
	return buf_take(&b);
}

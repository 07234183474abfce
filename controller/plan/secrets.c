/* plan/secrets.c - a plan is committed, shown and journalled: what looks like a
 * secret in it is refused wherever it stands, comments included. */
#include "plan/internal.h"

#include <ctype.h>
#include <string.h>

#define KEY_ID_LEN 20   /* AKIA.../ASIA...: IAM's reference_identifiers.html, unique ids */
#define SECRET_LEN 40

static size_t run_of(const char *s, const char *extra)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]) || (s[n] && strchr(extra, s[n])))
		n++;
	return n;
}

static bool is_key_id(const char *s, size_t n)
{
	if (n != KEY_ID_LEN || (strncmp(s, "AKIA", 4) && strncmp(s, "ASIA", 4)))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isupper((unsigned char)s[i]) && !isdigit((unsigned char)s[i]))
			return false;
	return true;
}

/* Forty characters of all three sorts: hashes have no capitals, names no such mix. */
static bool is_secret_key(const char *s, size_t n)
{
	bool upper = false, lower = false, digit = false;

	for (size_t i = 0; i < n && n == SECRET_LEN; i++) {
		upper |= isupper((unsigned char)s[i]) != 0;
		lower |= islower((unsigned char)s[i]) != 0;
		digit |= isdigit((unsigned char)s[i]) != 0;
	}
	return upper && lower && digit;
}

/* Runs of `extra` and letters, each asked with is(). */
static bool any_run(const char *s, const char *extra, bool (*is)(const char *, size_t))
{
	while (*s) {
		size_t n = run_of(s, extra);

		if (n && is(s, n))
			return true;
		s += n ? n : 1;
	}
	return false;
}

static bool has_login(const char *s)
{
	const char *p = strstr(s, "://"), *host = p ? p + 3 : NULL;
	size_t n = host ? strcspn(host, "/?#") : 0;
	const char *at = n ? memchr(host, '@', n) : NULL;

	return at && memchr(host, ':', (size_t)(at - host));
}

const char *secret_seen(const char *s)
{
	if (any_run(s, "", is_key_id))
		return "an AWS access key id";
	/* ARNs and URLs have paths that are as long and as mixed by chance */
	if (strncmp(s, "arn:", 4) && !strstr(s, "://") && any_run(s, "/+", is_secret_key))
		return "an AWS secret key";
	if (strstr(s, "PRIVATE KEY-----"))
		return "a private key";
	if (has_login(s))
		return "a URL with a password";
	return NULL;
}

/* A password that is written out; a reference to one is what should stand there. */
static bool is_password(const char *key, const char *s)
{
	static const char *const references[] = { "arn:", "{{resolve:", "${" };

	for (size_t i = 0; i < COUNT(references); i++)
		if (!strncmp(s, references[i], strlen(references[i])))
			return false;
	return *s && key && strcasestr(key, "password") && !key_is_comment(key);
}

static void check(struct reader *r, const json_t *v, const struct at *at)
{
	const char *key, *s = json_string_value(v), *what = s ? secret_seen(s) : NULL;
	size_t i;
	json_t *in;

	if (what)
		bad(r, at, "looks like %s; plans are committed and journalled: they hold ARNs, never secrets", what);
	else if (s && at && is_password(at->key, s))
		bad(r, at, "is a password written out; give the ARN of its secret, or {{resolve:secretsmanager:...}}");
	json_object_foreach((json_t *)v, key, in)
		check(r, in, &(struct at){ at, key, 0 });
	json_array_foreach(v, i, in)
		check(r, in, &(struct at){ at, NULL, i });
}

void secrets_check(struct reader *r, const json_t *doc)
{
	check(r, doc, NULL);
}

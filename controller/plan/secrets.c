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

/* "https://me:pw@host", "https://token@host"; a user's name alone is usual elsewhere (ssh://git@host). */
static bool has_login(const char *s)
{
	for (const char *p = strstr(s, "://"); p; p = strstr(p + 3, "://")) {
		const char *host = p + 3, *at = memchr(host, '@', strcspn(host, "/?#"));
		bool web = (p - s >= 4 && !strncasecmp(p - 4, "http", 4)) || (p - s >= 5 && !strncasecmp(p - 5, "https", 5));

		if (at && (web || memchr(host, ':', (size_t)(at - host))))
			return true;
	}
	return false;
}

/* --- tokens that say what they are ------------------------------------------------------- */

#define TOKEN_EXTRA "-._~+/=" /* RFC 6750 2.1, b64token */

/* docs.github.com/authentication/keeping-your-account-and-data-secure/about-authentication-to-github,
 * docs.gitlab.com/security/tokens, docs.slack.dev/authentication/tokens, and their like */
static const struct { const char *begin; size_t more; } tokens[] = {
	{ "ghp_", 20 }, { "gho_", 20 }, { "ghu_", 20 }, { "ghs_", 20 }, { "ghr_", 20 }, { "github_pat_", 20 }, { "glpat-", 16 },
	{ "xoxb-", 10 }, { "xoxp-", 10 }, { "xoxa-", 10 }, { "xoxr-", 10 }, { "xoxs-", 10 }, { "xapp-", 10 }, { "npm_", 30 },
	{ "sk_live_", 10 }, { "rk_live_", 10 }, { "hvs.", 20 }, { "AIza", 30 }, { "pypi-", 30 }, { "dop_v1_", 30 },
	{ "hooks.slack.com/services/", 20 }, { "eyJ", 30 }, /* a JWT's header, which begins with {" */
};

static bool is_letter(char c) { return isalnum((unsigned char)c) || c == '_'; }

static bool has_token(const char *s)
{
	for (size_t i = 0; i < COUNT(tokens); i++)
		for (const char *p = strstr(s, tokens[i].begin); p; p = strstr(p + 1, tokens[i].begin))
			if ((p == s || !is_letter(p[-1])) && run_of(p + strlen(tokens[i].begin), TOKEN_EXTRA "_") >= tokens[i].more)
				return true;
	return false;
}

/* Long, or mixed as no word is. */
static bool is_random(const char *s, size_t n)
{
	size_t odd = 0;

	for (size_t i = 1; i < n; i++)
		odd += !islower((unsigned char)s[i]);
	return n >= 24 || (n >= 8 && odd);
}

/* "Authorization: Bearer x", as curl and webhooks want it */
static bool has_authorization(const char *s)
{
	static const char *const schemes[] = { "bearer ", "basic ", "token " };

	for (size_t i = 0; i < COUNT(schemes); i++)
		for (const char *p = strcasestr(s, schemes[i]); p; p = strcasestr(p + 1, schemes[i])) {
			const char *v = p + strlen(schemes[i]);

			if ((p == s || !is_letter(p[-1])) && is_random(v, run_of(v, TOKEN_EXTRA)))
				return true;
		}
	return false;
}

/* --- names that say what stands behind them ------------------------------------------------ */

static const char *const secret_words[] = {
	"password", "passwd", "passphrase", "passwort", "pass", "pwd", "secret", "token", "credential", "credentials", "apikey", "api key",
	"private key", "access key", "secret key", "auth key",
};

/* "DBPasswordValue" to "db password value": words of small letters, a blank between them. */
static void words_of(const char *name, size_t n, char *out, size_t size)
{
	size_t k = 0;

	for (size_t i = 0; i < n && k + 2 < size; i++) {
		bool letter = isalpha((unsigned char)name[i]);
		bool begins = letter && isupper((unsigned char)name[i]) && i && (islower((unsigned char)name[i - 1]) ||
			(i + 1 < n && islower((unsigned char)name[i + 1])));

		if ((!letter || begins) && k && out[k - 1] != ' ')
			out[k++] = ' ';
		if (letter)
			out[k++] = (char)tolower((unsigned char)name[i]);
	}
	while (k && out[k - 1] == ' ')
		k--;
	out[k] = '\0';
}

static bool ends_with_word(const char *text, const char *word)
{
	size_t n = strlen(text), k = strlen(word);

	return n >= k && !strcmp(text + n - k, word) && (n == k || text[n - k - 1] == ' ' || !strncmp(word, "passw", 5));
}

/* What its last word says: "DbPwd", "api_token", "--password"; a password's
 * length, name, ARN or parameter is none. */
static bool names_a_secret(const char *name, size_t n)
{
	static const char *const same[] = { " value", " string", " text" };
	char words[160];

	words_of(name, n, words, sizeof words);
	for (size_t i = 0; i < COUNT(same); i++)
		if (ends_with_word(words, same[i] + 1) && strlen(words) > strlen(same[i]))
			words[strlen(words) - strlen(same[i])] = '\0';
	for (size_t i = 0; i < COUNT(secret_words); i++)
		if (ends_with_word(words, secret_words[i]))
			return true;
	return false;
}

/* What stands for a secret, or for none: a reference, a name in a store, a blank to fill, yes and no. */
static bool is_no_secret(const char *s, size_t n)
{
	static const char *const references[] = { "arn:", "{{resolve:", "${", "$", "<", "*", "file://", "ssm:", "secretsmanager:" };
	static const char *const words[] = { "yes", "no", "true", "false", "none", "null", "on", "off" };

	for (size_t i = 0; i < COUNT(references); i++)
		if (n >= strlen(references[i]) && !strncmp(s, references[i], strlen(references[i])))
			return true;
	for (size_t i = 0; i < COUNT(words); i++)
		if (n == strlen(words[i]) && !strncasecmp(s, words[i], n))
			return true;
	return !n;
}

/* "prod/wiki/db": how secrets and parameters are called */
static bool is_store_name(const char *s, size_t n)
{
	return memchr(s, '/', n) && !any_run(s, "", is_key_id) && !any_run(s, "/+", is_secret_key);
}

/* "--password=x", "MYSQL_PWD=x", "?access_token=x" */
static bool has_assignment(const char *s)
{
	for (const char *eq = strchr(s, '='); eq; eq = strchr(eq + 1, '=')) {
		const char *name = eq;
		size_t n = strcspn(eq + 1, " &;'\"");

		while (name > s && (is_letter(name[-1]) || name[-1] == '-'))
			name--;
		if (names_a_secret(name, (size_t)(eq - name)) && !is_no_secret(eq + 1, n) && !is_store_name(eq + 1, n))
			return true;
	}
	return false;
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
		return "a URL with a login in it";
	if (has_token(s) || has_authorization(s))
		return "an access token";
	if (has_assignment(s))
		return "a password in an argument";
	return NULL;
}

/* A password that is written out; a reference to one is what should stand there.
 * A step's own parameters (`secret`) have a meaning that we know; in a map, the
 * user's own name says what it is. */
static bool is_password(const struct at *at, const char *s)
{
	size_t n = strlen(s);
	bool in_map = at->up && at->up->key;

	if (!at->key || key_is_comment(at->key) || is_no_secret(s, n) || !names_a_secret(at->key, strlen(at->key)))
		return false;
	return strcasestr(at->key, "pass") || strcasestr(at->key, "pwd") || (in_map && !is_store_name(s, n));
}

/* ["--password", "x"] */
static bool is_value_of_flag(const json_t *list, size_t i)
{
	const char *flag = i ? json_string_value(json_array_get(list, i - 1)) : NULL, *s = json_string_value(json_array_get(list, i));

	return flag && s && flag[0] == '-' && s[0] != '-' && !strchr(flag, '=') && names_a_secret(flag, strlen(flag)) &&
	       !is_no_secret(s, strlen(s)) && !is_store_name(s, strlen(s));
}

static void check(struct reader *r, const json_t *v, const struct at *at)
{
	const char *key, *s = json_string_value(v), *what = s ? secret_seen(s) : NULL;
	size_t i;
	json_t *in;

	if (what)
		bad(r, at, "looks like %s; plans are committed and journalled: they hold ARNs, never secrets", what);
	else if (s && at && is_password(at, s))
		bad(r, at, "is a password written out; give the ARN of its secret, or {{resolve:secretsmanager:...}}");
	json_object_foreach((json_t *)v, key, in)
		check(r, in, &(struct at){ at, key, 0 });
	json_array_foreach(v, i, in) {
		if (is_value_of_flag(v, i))
			bad(r, &(struct at){ at, NULL, i }, "is a password written out; give its program the ARN of its secret");
		check(r, in, &(struct at){ at, NULL, i });
	}
}

void secrets_check(struct reader *r, const json_t *doc)
{
	check(r, doc, NULL);
}

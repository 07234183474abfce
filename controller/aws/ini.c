#include "aws/ini.h"

#include "base/buf.h"
#include "base/err.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define SETTINGS_MAX 20000

struct setting {
	char *section, *key, *value; /* key NULL: only says that the section exists */
};

struct ini {
	struct setting *at;
	size_t n, cap;
};

/* Where the reader is. */
struct reader {
	struct ini *ini;
	const char *from;
	char *section;  /* NULL before the first */
	size_t indent;  /* of the last setting */
	bool has_last;
	int line;
};

static void add(struct ini *i, const char *section, char *key, char *value)
{
	if (i->n == i->cap) {
		i->cap = i->cap ? 2 * i->cap : 32;
		i->at = xrealloc(i->at, i->cap * sizeof *i->at);
	}
	i->at[i->n++] = (struct setting){ xstrdup(section), key, value };
}

void ini_free(struct ini *i)
{
	for (size_t k = 0; i && k < i->n; k++) {
		free(i->at[k].section);
		free(i->at[k].key);
		if (i->at[k].value)
			explicit_bzero(i->at[k].value, strlen(i->at[k].value));
		free(i->at[k].value);
	}
	if (i)
		free(i->at);
	free(i);
}

static void trim(const char **p, size_t *n)
{
	while (*n && isspace((unsigned char)**p))
		(*p)++, (*n)--;
	while (*n && isspace((unsigned char)(*p)[*n - 1]))
		(*n)--;
}

static int bad_line(const struct reader *r, const char *what, struct err *e)
{
	return err_set(e, ERR_INPUT, "%s line %d: %s", r->from, r->line, what);
}

/* [profile "my name"] is the profile `my name`; other words in quotes likewise. */
static char *section_name(const char *p, size_t n)
{
	autobuf struct buf b = BUF_MAX(4096);
	bool space = false;

	trim(&p, &n);
	for (size_t i = 0; i < n; i++) {
		bool blank = isspace((unsigned char)p[i]);

		if (!blank && p[i] != '"' && p[i] != '\'')
			buf_add(&b, p + i, 1);
		else if (blank && !space)
			buf_adds(&b, " ");
		space = blank;
	}
	return buf_take(&b);
}

static int read_section(struct reader *r, const char *p, size_t n, struct err *e)
{
	const char *close = memchr(p, ']', n);

	if (!close)
		return bad_line(r, "the section's ] is missing", e);
	free(r->section);
	r->section = section_name(p + 1, (size_t)(close - p - 1));
	r->has_last = false;
	add(r->ini, r->section, NULL, NULL);
	return 0;
}

static int read_setting(struct reader *r, const char *p, size_t n, struct err *e)
{
	size_t key = 0, value;
	const char *v;

	while (key < n && p[key] != '=' && p[key] != ':')
		key++;
	if (key == n)
		return bad_line(r, "expected key = value", e);
	v = p + key + 1;
	value = n - key - 1;
	trim(&p, &key);
	trim(&v, &value);
	if (!key)
		return bad_line(r, "there is no key before the =", e);
	if (!r->section)
		return bad_line(r, "a setting before the first [section]", e);
	if (r->ini->n == SETTINGS_MAX)
		return bad_line(r, "there are more settings than we read", e);
	add(r->ini, r->section, xstrndup(p, key), xstrndup(v, value));
	return 0;
}

/* A line deeper than the setting before it continues that setting (nested
 * values such as `s3 =`): none of those concerns us. */
static int read_line(struct reader *r, const char *p, size_t n, struct err *e)
{
	const char *begin = p;
	size_t indent;

	trim(&p, &n);
	indent = (size_t)(p - begin);
	if (!n || *p == '#' || *p == ';')
		return 0;
	if (memchr(p, '\0', n))
		return bad_line(r, "there is a zero byte in it", e);
	if (r->has_last && indent > r->indent)
		return 0;
	if (*p == '[')
		return read_section(r, p, n, e);
	r->indent = indent;
	r->has_last = true;
	return read_setting(r, p, n, e);
}

struct ini *ini_parse(const char *text, size_t n, const char *from, struct err *e)
{
	autoini struct ini *i = xcalloc(1, sizeof *i);
	struct reader r = { .ini = i, .from = from };
	int rc = 0;

	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3, n -= 3;
	while (n && !rc) {
		const char *end = memchr(text, '\n', n);
		size_t len = end ? (size_t)(end - text) : n;

		r.line++;
		rc = read_line(&r, text, len, e);
		len += end != NULL;
		text += len;
		n -= len;
	}
	free(r.section);
	return rc ? NULL : steal(&i);
}

const char *ini_get(const struct ini *i, const char *section, const char *key)
{
	for (size_t k = i ? i->n : 0; k--;) {
		const struct setting *s = &i->at[k];

		if (s->key && !strcmp(s->section, section) && !strcasecmp(s->key, key))
			return s->value;
	}
	return NULL;
}

int ini_has(const struct ini *i, const char *section)
{
	for (size_t k = 0; i && k < i->n; k++)
		if (!strcmp(i->at[k].section, section))
			return 1;
	return 0;
}

int ini_has_prefix(const struct ini *i, const char *section, const char *prefix)
{
	for (size_t k = 0; i && k < i->n; k++)
		if (i->at[k].key && !strcmp(i->at[k].section, section) &&
		    !strncasecmp(i->at[k].key, prefix, strlen(prefix)))
			return 1;
	return 0;
}

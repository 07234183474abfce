/* canon.c - what a server says about a column, in one form for all of them.
 *
 * MariaDB 10.2.7 and later: COLUMN_DEFAULT is SQL text ('x', NULL, 0,
 * current_timestamp()). MySQL: the bare value, 0xHEX for bytes, and NULL both
 * for none and for DEFAULT NULL. Integer widths are shown by MariaDB, and by
 * MySQL before 8.0.19; they mean nothing. */
#include "mediawiki/internal.h"

#include <ctype.h>
#include <string.h>

static const char *const integers[] = { "tinyint", "smallint", "mediumint", "int", "bigint" };

static bool is_integer(const char *s, size_t n)
{
	for (size_t i = 0; i < COUNT(integers); i++)
		if (strlen(integers[i]) == n && !strncasecmp(s, integers[i], n))
			return true;
	return false;
}

/* Behind a bracketed list, whose quoted values may hold brackets. */
static const char *behind_bracket(const char *s)
{
	bool quoted = false;

	for (; *s; s++) {
		if (*s == '\'')
			quoted = !quoted;
		else if (*s == ')' && !quoted)
			return s + 1;
	}
	return s;
}

/* Attributes that change nothing a wiki would notice. */
static bool is_noise(const char *word, size_t n)
{
	return n == 8 && !strncasecmp(word, "zerofill", n);
}

static void add_lower(struct buf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_add(out, &(char){ (char)tolower((unsigned char)s[i]) }, 1);
}

void canon_type(const char *type, struct buf *out)
{
	size_t n = strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	const char *rest = type + n, *end;

	add_lower(out, type, n);
	if (*rest == '(') {
		end = behind_bracket(rest);
		if (!is_integer(type, n))
			buf_add(out, rest, (size_t)(end - rest));
		rest = end;
	}
	while (*(rest += strspn(rest, " "))) { /* a comment tells of an old storage format */
		n = strcspn(rest, " ");
		if (!strncmp(rest, "/*", 2))
			return;
		if (!is_noise(rest, n)) {
			buf_adds(out, " ");
			add_lower(out, rest, n);
		}
		rest += n;
	}
}

/* --- defaults ---------------------------------------------------------------------- */

static bool is_plain(const char *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isprint((unsigned char)v[i]))
			return false;
	return n < 2 || strncmp(v, "0x", 2);
}

void canon_value(const char *type, const char *v, size_t n, struct buf *out)
{
	if (!strncmp(type, "binary(", 7))
		while (n && !v[n - 1])
			n--;
	if (is_plain(v, n)) {
		buf_add(out, v, n);
		return;
	}
	buf_adds(out, "0x");
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "%02X", (unsigned char)v[i]);
}

static char unescaped(char c)
{
	static const char pairs[] = "n\nr\rt\tb\bZ\032";
	const char *at = c == '0' ? NULL : strchr(pairs, c);

	if (c == '0')
		return 0;
	return at && c && !((at - pairs) % 2) ? at[1] : c;
}

/* 'it''s\0' without its quotes. */
static void unquote(const char *s, struct buf *out)
{
	for (s++; *s && !(*s == '\'' && s[1] != '\''); s++) {
		char c = *s;

		if (c == '\'')
			s++;
		else if (c == '\\' && s[1])
			c = unescaped(*++s);
		buf_add(out, &c, 1);
	}
}

static int digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : toupper((unsigned char)c) - 'A' + 10;
}

/* MySQL shows the default of a binary column as 0x756E; "0x" alone is padding. */
static bool is_hex(const char *s, const char *charset)
{
	return !charset && !strncmp(s, "0x", 2) && strspn(s + 2, "0123456789abcdefABCDEF") == strlen(s + 2) &&
	       strlen(s) % 2 == 0;
}

static void unhex(const char *s, struct buf *out)
{
	for (s += 2; *s; s += 2)
		buf_add(out, &(char){ (char)(digit(s[0]) * 16 + digit(s[1])) }, 1);
}

/* current_timestamp() and CURRENT_TIMESTAMP are one. */
static void add_expression(const char *def, struct buf *out)
{
	size_t n = strlen(def);

	if (n > 2 && !strcmp(def + n - 2, "()"))
		n -= 2;
	buf_adds(out, "(");
	add_lower(out, def, n);
	buf_adds(out, ")");
}

bool canon_default(enum schema_server server, const char *type, const char *charset, const char *def,
		   bool expression, struct buf *out)
{
	autobuf struct buf raw = BUF_MAX(65536);

	if (!def || (server == SCHEMA_MARIADB && !strcmp(def, "NULL")))
		return false;
	if (expression || (server == SCHEMA_MARIADB && isalpha((unsigned char)*def))) {
		add_expression(def, out);
		return true;
	}
	if (server == SCHEMA_MARIADB && *def == '\'')
		unquote(def, &raw);
	else if (server == SCHEMA_MYSQL && is_hex(def, charset))
		unhex(def, &raw);
	else
		buf_adds(&raw, def);
	canon_value(type, raw.p ? raw.p : "", raw.len, out);
	return true;
}

const char *canon_charset(struct pool *p, const char *s)
{
	size_t n = s ? strcspn(s, "_") : 0;

	if (!n || (n == 6 && !strncasecmp(s, "binary", n)))
		return NULL;
	if (n == 4 && !strncasecmp(s, "utf8", n))
		return "utf8mb3";
	return pool_printf(p, "%.*s", (int)(n > 64 ? 64 : n), s);
}

long version_number(const char *s)
{
	long part[3] = { 0 };

	for (int i = 0; i < 3; i++) {
		char *end;

		if (!s || !isdigit((unsigned char)*s))
			return -1;
		part[i] = strtol(s, &end, 10);
		if (part[i] > 999)
			return -1;
		s = end;
		if (*s != '.')
			break; /* "1.45.0-rc.1", "1.44.0-alpha": what is before counts */
		s++;
	}
	return part[0] * 1000000 + part[1] * 1000 + part[2];
}

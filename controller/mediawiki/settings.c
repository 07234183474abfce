#include "mediawiki/settings.h"

#include "base/buf.h"
#include "base/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)4 << 20)
#define VALUE_MAX 1024

static const char *const names[SETTINGS] = {
	"wgDBtype", "wgDBserver", "wgDBname", "wgDBuser", "wgDBpassword", "wgDBprefix",
};

struct cursor {
	const char *p, *end;
};

static bool starts(const struct cursor *c, const char *with)
{
	size_t n = strlen(with);

	return (size_t)(c->end - c->p) >= n && !memcmp(c->p, with, n);
}

static void skip_to(struct cursor *c, const char *what)
{
	while (c->p < c->end && !starts(c, what))
		c->p++;
}

/* Of one comment or of white space; false when there is neither. */
static bool skip_gap(struct cursor *c)
{
	if (c->p == c->end)
		return false;
	if (isspace((unsigned char)*c->p)) {
		c->p++;
		return true;
	}
	if (*c->p == '#' || starts(c, "//")) {
		skip_to(c, "\n");
		return true;
	}
	if (!starts(c, "/*"))
		return false;
	c->p += 2;
	skip_to(c, "*/");
	c->p += starts(c, "*/") ? 2 : 0;
	return true;
}

static void skip_gaps(struct cursor *c)
{
	while (skip_gap(c))
		;
}

/* What follows the backslash in a string of this quote; 0: the backslash stays. */
static char unescape(char quote, char c)
{
	if (c == quote || c == '\\')
		return c;
	if (quote == '\'')
		return 0;
	return c == 'n' ? '\n' : c == 't' ? '\t' : c == '$' ? '$' : 0;
}

/* A string of either quote. NULL when it is none that is just text; the cursor
 * is behind it in any case. */
static char *read_string(struct cursor *c)
{
	autobuf struct buf b = BUF_MAX(VALUE_MAX);
	char quote = *c->p++;
	bool plain = true;

	buf_adds(&b, "");
	for (; c->p < c->end && *c->p != quote; c->p++) {
		char now = *c->p, escaped = now == '\\' && c->p + 1 < c->end ? unescape(quote, c->p[1]) : 0;

		plain &= now != '\0' && !(quote == '"' && now == '$');
		if (escaped)
			c->p++;
		buf_add(&b, escaped ? &escaped : &now, 1);
	}
	plain &= c->p < c->end && !b.full;
	c->p += c->p < c->end;
	return plain ? buf_take(&b) : NULL;
}

static void wipe(char *v)
{
	if (v)
		explicit_bzero(v, strlen(v));
	free(v);
}

/* The text of "= 'text';" behind a name; *is_one: there is an assignment. */
static char *read_assignment(struct cursor *c, bool *is_one)
{
	char *v = NULL;

	skip_gaps(c);
	*is_one = starts(c, "=") && !starts(c, "==") && !starts(c, "=>");
	if (!*is_one)
		return NULL;
	c->p++;
	skip_gaps(c);
	if (c->p < c->end && (*c->p == '"' || *c->p == '\''))
		v = read_string(c);
	skip_gaps(c);
	if (v && !starts(c, ";"))
		wipe(steal(&v));
	return v;
}

static size_t word_length(const struct cursor *c)
{
	size_t n = 0;

	while (c->p + n < c->end && (isalnum((unsigned char)c->p[n]) || c->p[n] == '_'))
		n++;
	return n;
}

static void keep(struct settings *s, size_t i, char *value)
{
	wipe(s->value[i]);
	s->value[i] = value;
	s->computed[i] = !value;
}

/* The cursor is behind a '$'. */
static void read_variable(struct cursor *c, struct settings *s)
{
	size_t n = word_length(c);
	const char *word = c->p;

	c->p += n;
	for (size_t i = 0; i < SETTINGS; i++) {
		bool is_one;
		char *value;

		if (strlen(names[i]) != n || memcmp(names[i], word, n))
			continue;
		value = read_assignment(c, &is_one);
		if (is_one)
			keep(s, i, value);
	}
}

/* "host", "host:3306", "localhost:/run/mysqld.sock", "[::1]:3306" */
static void split_server(struct settings *s)
{
	const char *server = s->value[SETTING_SERVER], *colon = server ? strrchr(server, ':') : NULL;
	const char *socket = server ? strstr(server, ":/") : NULL;
	size_t n = server ? strlen(server) : 0;

	if (socket) {
		s->host = xstrdup(socket + 1);
		return;
	}
	if (colon && (strchr(server, ':') == colon || colon[-1] == ']')) {
		s->port = (int)strtol(colon + 1, NULL, 10);
		n = (size_t)(colon - server);
	}
	if (n > 1 && server[0] == '[' && server[n - 1] == ']')
		s->host = xstrndup(server + 1, n - 2);
	else if (server)
		s->host = xstrndup(server, n);
}

void settings_parse(const char *text, size_t n, struct settings *out)
{
	struct cursor c = { text, text + n };

	*out = (struct settings){ 0 };
	while (c.p < c.end) {
		if (skip_gap(&c))
			continue;
		if (*c.p == '\'' || *c.p == '"')
			free(read_string(&c));
		else if (*c.p++ == '$')
			read_variable(&c, out);
	}
	split_server(out);
}

static int check_type(const char *path, const struct settings *s, struct err *e)
{
	static const struct { const char *type, *what; } others[] = {
		{ "sqlite", "SQLite" }, { "postgres", "PostgreSQL" }, { "mssql", "SQL Server" }, { "oracle", "Oracle" },
	};
	const char *type = s->value[SETTING_TYPE];

	if (s->computed[SETTING_TYPE])
		return err_set(e, ERR_INPUT, "%s computes $wgDBtype, so what its database is cannot be read there: name the "
			       "server on the command line", path);
	for (size_t i = 0; type && i < COUNT(others); i++)
		if (!strcmp(type, others[i].type))
			return err_set(e, ERR_INPUT, "%s says that this wiki keeps its pages in %s ($wgDBtype), and cutover knows "
				       "MariaDB and MySQL only; nothing was touched", path, others[i].what);
	if (type && strcmp(type, "mysql"))
		return err_set(e, ERR_INPUT, "%s has a $wgDBtype that is not mysql; nothing was touched", path);
	return 0;
}

int settings_read(const char *path, struct settings *out, struct err *e)
{
	autofree char *text = NULL;
	size_t n;

	*out = (struct settings){ 0 };
	if (file_read(path, FILE_MAX, &text, &n, e))
		return err_wrap(e, "reading the wiki's settings");
	settings_parse(text, n, out);
	explicit_bzero(text, n);
	return check_type(path, out, e);
}

void settings_free(struct settings *s)
{
	for (size_t i = 0; i < SETTINGS; i++)
		wipe(s->value[i]);
	free(s->host);
	*s = (struct settings){ 0 };
}

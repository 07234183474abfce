#include "mediawiki/schema.h"

#include "mediawiki/internal.h"

#include <string.h>

#define MAX_NAME 192 /* 64 characters of up to three bytes */
#define MAX_PARTS 8192 /* bytes of an index's columns: MariaDB has at most 32 of them, MySQL 16 */

struct schema_private {
	struct pool pool;
	enum schema_server server;
	char *prefix;
	struct schema_table *last; /* rows of one table follow each other */
	bool sealed;
};

/* --- life ------------------------------------------------------------------------------ */

struct schema *schema_new(const char *source)
{
	struct schema *s = xcalloc(1, sizeof *s);

	s->own = xcalloc(1, sizeof *s->own);
	s->source = pool_copy(&s->own->pool, source ? source : "");
	return s;
}

void schema_free(struct schema **sp)
{
	struct schema *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	for (unsigned i = 0; i < s->ntables; i++) {
		free(s->table[i].column);
		free(s->table[i].index);
	}
	free(s->table);
	pool_free(&s->own->pool);
	free(s->own->prefix);
	free(s->own);
	free(s);
}

void schema_set_version(struct schema *s, const char *version)
{
	s->version = pool_copy(&s->own->pool, version);
}

void schema_set_origin(struct schema *s, enum schema_server server, const char *prefix)
{
	s->own->server = server;
	free(s->own->prefix);
	s->own->prefix = xstrdup(prefix && *prefix ? prefix : NULL);
}

struct pool *schema_pool(struct schema *s)
{
	return &s->own->pool;
}

/* --- adding ------------------------------------------------------------------------------ */

static int check_name(const struct schema *s, const char *what, const char *name, struct err *e)
{
	if (!name || !*name)
		return err_set(e, ERR_INPUT, "%s: a %s without a name", s->source, what);
	if (strlen(name) > MAX_NAME)
		return err_set(e, ERR_INPUT, "%s: a %s whose name has %zu bytes: \"%.40s...\"", s->source, what,
			       strlen(name), name);
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			return err_set(e, ERR_INPUT, "%s: a %s with a control character in its name", s->source, what);
	return s->own->pool.bytes <= SCHEMA_MAX_BYTES ? 0 :
		err_set(e, ERR_INPUT, "%s: more than %u MiB of table descriptions", s->source, SCHEMA_MAX_BYTES >> 20);
}

/* Room for one more; doubled when n is a power of two. */
static void *grow(void *p, unsigned n, size_t size)
{
	return n & (n - 1) ? p : xrealloc(p, (n ? 2 * (size_t)n : 1) * size);
}

int schema_put_table(struct schema *s, const char *name, struct schema_table **out, struct err *e)
{
	if (check_name(s, "table", name, e))
		return -1;
	if (s->ntables >= SCHEMA_MAX_TABLES)
		return err_set(e, ERR_INPUT, "%s: more than %d tables; say the wiki's table prefix", s->source,
			       SCHEMA_MAX_TABLES);
	s->table = grow(s->table, s->ntables, sizeof *s->table);
	s->own->last = *out = &s->table[s->ntables++];
	**out = (struct schema_table){ .name = pool_copy(&s->own->pool, name) };
	return 0;
}

int schema_put_column(struct schema *s, struct schema_table *t, const struct schema_column *c, struct err *e)
{
	struct pool *p = &s->own->pool;

	if (check_name(s, "column", c->name, e))
		return err_wrap(e, "table %s", t->name);
	if (t->ncolumns >= SCHEMA_MAX_COLUMNS)
		return err_set(e, ERR_INPUT, "%s: table %s has more than %d columns", s->source, t->name, SCHEMA_MAX_COLUMNS);
	t->column = grow(t->column, t->ncolumns, sizeof *t->column);
	t->column[t->ncolumns++] = (struct schema_column){
		.name = pool_copy(p, c->name), .type = pool_copy(p, c->type), .def = pool_copy(p, c->def),
		.charset = pool_copy(p, c->charset), .nullable = c->nullable, .autoinc = c->autoinc,
	};
	return 0;
}

int schema_put_index(struct schema *s, struct schema_table *t, const struct schema_index *i, struct err *e)
{
	struct pool *p = &s->own->pool;

	if (check_name(s, "index", i->name, e))
		return err_wrap(e, "table %s", t->name);
	if (t->nindexes >= SCHEMA_MAX_INDEXES)
		return err_set(e, ERR_INPUT, "%s: table %s has more than %d indexes", s->source, t->name, SCHEMA_MAX_INDEXES);
	t->index = grow(t->index, t->nindexes, sizeof *t->index);
	t->index[t->nindexes++] = (struct schema_index){
		.name = pool_copy(p, i->name), .columns = pool_copy(p, i->columns), .unique = i->unique,
		.fulltext = i->fulltext,
	};
	return 0;
}

/* --- rows of information_schema ------------------------------------------------------------ */

/* The name behind the prefix; NULL: another wiki's. */
static const char *ours(const struct schema *s, const char *table)
{
	size_t n = s->own->prefix ? strlen(s->own->prefix) : 0;

	return table && !strncmp(table, n ? s->own->prefix : "", n) && table[n] ? table + n : NULL;
}

int schema_add_table(struct schema *s, const struct schema_table_row *r, struct err *e)
{
	const char *name = ours(s, r->name);
	struct schema_table *t;

	if (!name && r->name) {
		s->others++;
		return 0;
	}
	if (schema_put_table(s, name, &t, e))
		return -1;
	t->view = !r->type || strcasecmp(r->type, "BASE TABLE");
	t->engine = pool_copy(&s->own->pool, r->engine);
	t->charset = canon_charset(&s->own->pool, r->collation);
	return 0;
}

/* A row's table; NULL for one that is not ours, or that came later. */
static struct schema_table *row_table(struct schema *s, const char *table)
{
	const char *name = ours(s, table);

	if (!name)
		return NULL;
	if (s->own->last && !strcmp(s->own->last->name, name))
		return s->own->last;
	for (unsigned i = 0; i < s->ntables; i++)
		if (!strcmp(s->table[i].name, name))
			return s->own->last = &s->table[i];
	return NULL;
}

static bool says(const char *extra, const char *word)
{
	return extra && strcasestr(extra, word);
}

int schema_add_column(struct schema *s, const struct schema_column_row *r, struct err *e)
{
	struct schema_table *t = row_table(s, r->table);
	autobuf struct buf type = BUF_MAX(65536), def = BUF_MAX(65536);
	struct schema_column c = { .name = r->name, .autoinc = says(r->extra, "auto_increment") };

	if (!t)
		return 0;
	if (!r->type || !r->nullable)
		return err_set(e, ERR_INPUT, "%s: %s.%s: the server tells no %s", s->source, t->name, r->name ? r->name : "?",
			       r->type ? "nullability" : "type");
	canon_type(r->type, &type);
	c.type = type.p ? type.p : "";
	c.nullable = !strcasecmp(r->nullable, "YES");
	c.charset = canon_charset(&s->own->pool, r->charset);
	buf_adds(&def, "");
	if (canon_default(s->own->server, c.type, c.charset, r->def, says(r->extra, "DEFAULT_GENERATED"), &def))
		c.def = def.p ? def.p : "";
	if (says(r->extra, " GENERATED"))
		c.def = "(generated)"; /* no one writes it */
	if (type.full || def.full)
		return err_set(e, ERR_INPUT, "%s: %s.%s: type or default has more than 64 KiB", s->source, t->name, r->name);
	return schema_put_column(s, t, &c, e);
}

int schema_add_index(struct schema *s, const struct schema_index_row *r, struct err *e)
{
	struct schema_table *t = row_table(s, r->table);
	struct schema_index *i = t && t->nindexes ? &t->index[t->nindexes - 1] : NULL;
	struct pool *p = &s->own->pool;
	const char *part = r->column ? r->column : "(expression)";

	if (!t)
		return 0;
	if (r->sub_part)
		part = pool_printf(p, "%s(%s)", part, r->sub_part);
	if (i && r->name && !strcmp(i->name, r->name)) {
		i->columns = pool_printf(p, "%s,%s", i->columns, part);
		return strlen(i->columns) <= MAX_PARTS ? 0 : err_set(e, ERR_INPUT, "%s: index %s.%s has too many columns", s->source,
								t->name, i->name);
	}
	return schema_put_index(s, t, &(struct schema_index){
		.name = r->name, .columns = part, .unique = r->non_unique && !strcmp(r->non_unique, "0"),
		.fulltext = r->type && !strcasecmp(r->type, "FULLTEXT"),
	}, e);
}

/* --- sealing and looking --------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct schema_table *)a)->name, ((const struct schema_table *)b)->name);
}

static int no_doubles(const struct schema *s, const struct schema_table *t, struct err *e)
{
	for (unsigned i = 0; i < t->ncolumns; i++)
		if (schema_column(t, t->column[i].name) != &t->column[i])
			return err_set(e, ERR_INPUT, "%s: %s has two columns \"%s\"", s->source, t->name, t->column[i].name);
	for (unsigned i = 0; i < t->nindexes; i++)
		if (schema_index(t, t->index[i].name) != &t->index[i])
			return err_set(e, ERR_INPUT, "%s: %s has two indexes \"%s\"", s->source, t->name, t->index[i].name);
	return 0;
}

int schema_seal(struct schema *s, struct err *e)
{
	if (!s->ntables)
		return err_set(e, ERR_GONE, s->others && s->own->prefix ?
			       "%s: no table begins with \"%s\"; say the prefix of LocalSettings.php ($wgDBprefix)" :
			       "%s: there is no table, so no wiki%s", s->source, s->own->prefix ? s->own->prefix : "");
	qsort(s->table, s->ntables, sizeof *s->table, by_name);
	s->own->last = NULL;
	s->own->sealed = true;
	for (unsigned i = 0; i < s->ntables; i++) {
		if (i && !by_name(&s->table[i - 1], &s->table[i]))
			return err_set(e, ERR_INPUT, "%s: there are two tables \"%s\"", s->source, s->table[i].name);
		if (no_doubles(s, &s->table[i], e))
			return -1;
	}
	return 0;
}

const struct schema_table *schema_table(const struct schema *s, const char *name)
{
	struct schema_table key = { .name = name };

	return s->own->sealed ? bsearch(&key, s->table, s->ntables, sizeof *s->table, by_name) : NULL;
}

const struct schema_column *schema_column(const struct schema_table *t, const char *name)
{
	for (unsigned i = 0; i < t->ncolumns; i++)
		if (!strcmp(t->column[i].name, name))
			return &t->column[i];
	return NULL;
}

const struct schema_index *schema_index(const struct schema_table *t, const char *name)
{
	for (unsigned i = 0; i < t->nindexes; i++)
		if (!strcmp(t->index[i].name, name))
			return &t->index[i];
	return NULL;
}

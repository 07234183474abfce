#include "mediawiki/reality.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#define WIKIS_MAX 20000
#define PREFIX_LONGEST 48

/* As MediaWiki takes it: letters, digits and underscores (Installer, DatabaseSettingsForm). */
static int check_prefix(const char *prefix, struct err *e)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	if (prefix && (strlen(prefix) > PREFIX_LONGEST || prefix[strspn(prefix, ok)]))
		return err_set(e, ERR_INPUT, "the table prefix is longer than %d letters, or has others than letters, digits, _ and -",
			       PREFIX_LONGEST);
	return 0;
}

static const char *at(const struct db_row *row, unsigned i)
{
	return i < row->n ? row->text[i] : NULL;
}

static int add_table(void *ctx, const struct db_row *r, struct err *e)
{
	return schema_add_table(ctx, &(struct schema_table_row){ at(r, 0), at(r, 1), at(r, 2), at(r, 3) }, e);
}

static int add_column(void *ctx, const struct db_row *r, struct err *e)
{
	return schema_add_column(ctx, &(struct schema_column_row){ at(r, 0), at(r, 1), at(r, 2), at(r, 3), at(r, 4),
								   at(r, 5), at(r, 6) }, e);
}

static int add_index(void *ctx, const struct db_row *r, struct err *e)
{
	return schema_add_index(ctx, &(struct schema_index_row){ at(r, 0), at(r, 1), at(r, 2), at(r, 3), at(r, 4),
								 at(r, 5) }, e);
}

/* The database stands as a constant: only so does MariaDB look into no other. */
static const struct { const char *columns, *from, *order; db_row_fn *add; } statements[] = {
	{ "table_name, table_type, engine, table_collation", "tables", "table_name", add_table },
	{ "table_name, column_name, column_type, is_nullable, column_default, extra, character_set_name", "columns",
	  "table_name, ordinal_position", add_column },
	{ "table_name, index_name, non_unique, column_name, sub_part, index_type", "statistics",
	  "table_name, index_name, seq_in_index", add_index },
};

static int read_rows(struct db *d, const char *database, struct schema *s, struct err *e)
{
	autofree char *name = db_quote(database);

	if (!name)
		return err_set(e, ERR_INPUT, "\"%.80s\" can be no database's name", database);
	for (size_t i = 0; i < COUNT(statements); i++) {
		autofree char *sql = xasprintf("SELECT %s FROM information_schema.%s WHERE table_schema=%s ORDER BY %s",
					       statements[i].columns, statements[i].from, name, statements[i].order);

		if (db_query(d, sql, NULL, statements[i].add, s, e))
			return -1;
	}
	return 0;
}

static struct schema *empty_schema(struct db *d, const char *database, const char *prefix)
{
	autofree char *source = xasprintf("database %s of %s", database, db_name(d));
	struct schema *s = schema_new(source);

	schema_set_origin(s, db_server(d)->flavour == DB_MARIADB ? SCHEMA_MARIADB : SCHEMA_MYSQL, prefix);
	return s;
}

/* --- a wrong prefix --- */

static bool has_wiki(const struct schema *all, const char *table, size_t n)
{
	static const char *const wanted[] = { "revision", "user", "site_stats" };

	for (size_t i = 0; i < COUNT(wanted); i++) {
		autofree char *name = xasprintf("%.*s%s", (int)n, table, wanted[i]);

		if (!schema_table(all, name))
			return false;
	}
	return true;
}

char *reality_guess_prefix(const struct schema *all)
{
	for (unsigned i = 0; i < all->ntables; i++) {
		const char *name = all->table[i].name;
		size_t n = strlen(name);

		if (n >= 4 && n - 4 <= PREFIX_LONGEST && !strcmp(name + n - 4, "page") && has_wiki(all, name, n - 4))
			return xstrndup(name, n - 4);
	}
	return NULL;
}

static int explain_none(struct db *d, const char *database, const char *prefix, struct err *e)
{
	autoschema struct schema *all = empty_schema(d, database, NULL);
	autofree char *guess = NULL;
	struct err why = { 0 };

	if (!read_rows(d, database, all, &why) && !schema_seal(all, &why))
		guess = reality_guess_prefix(all);
	if (guess && strcmp(guess, prefix ? prefix : ""))
		return err_set(e, ERR_GONE, "database %s has no wiki with the prefix \"%s\"; the one it has has the prefix \"%s\": "
			       "say that", database, prefix ? prefix : "", guess);
	if (!all->ntables)
		return err_set(e, ERR_GONE, "database %s on %s has no tables, or none that this user may see: it is empty, or the "
			       "user lacks SELECT on it", database, db_name(d));
	return err_set(e, ERR_GONE, "database %s on %s has %u tables, and none is a wiki's: is it the right one?", database,
		       db_name(d), all->ntables);
}

/* Tables of the prefix that have nothing of a wiki in them are none. */
static bool is_wiki(const struct schema *s)
{
	return schema_table(s, "page") || schema_table(s, "revision") || schema_table(s, "user") ||
	       schema_table(s, "site_stats");
}

int reality_read(struct db *d, const char *database, const char *prefix, struct schema **out, struct err *e)
{
	autoschema struct schema *s = NULL;
	struct err why = { 0 };

	if (check_prefix(prefix, e) || db_use(d, database, e))
		return -1;
	s = empty_schema(d, database, prefix);
	if (read_rows(d, database, s, e))
		return err_wrap(e, "reading the tables of %.64s", database);
	if (schema_seal(s, &why) && why.kind != ERR_GONE) {
		*e = why;
		return -1;
	}
	if (why.kind || !is_wiki(s))
		return explain_none(d, database, prefix, e);
	*out = steal(&s);
	return 0;
}

/* --- which databases there are --- */

struct names {
	char **name;
	size_t n, room;
};

static int keep_name(void *ctx, const struct db_row *row, struct err *e)
{
	struct names *k = ctx;

	(void)e;
	if (!at(row, 0))
		return 0;
	if (k->n == k->room) {
		k->room = k->room ? 2 * k->room : 64;
		k->name = xrealloc(k->name, k->room * sizeof *k->name);
	}
	k->name[k->n++] = xstrdup(row->text[0]);
	return 0;
}

void reality_names_free(char **names, size_t n)
{
	while (n--)
		free(names[n]);
	free(names);
}

int reality_wikis(struct db *d, const char *prefix, char ***names, size_t *n, struct err *e)
{
	autofree char *table = xasprintf("%spage", prefix ? prefix : "");
	autofree char *quoted = db_quote(table), *sql = NULL;
	struct names k = { 0 };

	if (check_prefix(prefix, e))
		return -1;
	sql = xasprintf("SELECT table_schema FROM information_schema.tables WHERE table_name=%s AND table_type='BASE TABLE' "
			"AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1",
			quoted);
	if (db_query(d, sql, &(struct db_limit){ .rows = WIKIS_MAX }, keep_name, &k, e)) {
		reality_names_free(k.name, k.n);
		return err_wrap(e, "looking for wikis");
	}
	*names = k.name;
	*n = k.n;
	return 0;
}

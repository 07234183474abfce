#include "db/binlog.h"

#include "db/internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAGE 500        /* events a question */
#define EVENTS_MOST 5000 /* read by one call: the rest is the next one's */
#define FIRST_AT 4      /* where a file's first event begins */
#define NAMED_MOST 6    /* tables in a sentence */

void binlog_written_free(struct binlog_written *w)
{
	json_decref(w->tables);
	w->tables = NULL;
}

/* --- what counts --------------------------------------------------------------------- */

static bool is_own_schema(const char *database)
{
	static const char *const own[] = { "mysql", "sys", "information_schema", "performance_schema" };

	for (size_t i = 0; i < COUNT(own); i++)
		if (!strcasecmp(database, own[i]))
			return true;
	return false;
}

/* "en_*" is "en_page" too. Names are compared as servers that know no case do. */
static bool binlog_fits(const char *pattern, const char *name)
{
	size_t n = strlen(pattern);

	if (n && pattern[n - 1] == '*')
		return !strncasecmp(pattern, name, n - 1);
	return !strcasecmp(pattern, name);
}

static bool binlog_matches(const char *pattern, const char *database, const char *table)
{
	const char *dot = strchr(pattern, '.');
	size_t n = dot ? (size_t)(dot - pattern) : strlen(pattern);

	if (strlen(database) != n || strncasecmp(pattern, database, n))
		return false;
	return !dot || !table || binlog_fits(dot + 1, table);
}

/* table NULL: any of that database. */
static bool binlog_counts(const json_t *counts, const char *database, const char *table)
{
	size_t i;
	const json_t *v;

	if (!json_array_size(counts))
		return !is_own_schema(database);
	json_array_foreach(counts, i, v)
		if (binlog_matches(json_string_value(v), database, table))
			return true;
	return false;
}

bool binlog_is_name(const char *counts)
{
	const char *dot = strchr(counts, '.'), *star = strchr(counts, '*');

	return *counts && *counts != '.' && !(dot && (!dot[1] || strchr(dot + 1, '.'))) && !(star && (!dot || star < dot || star[1]));
}

/* --- a statement ------------------------------------------------------------------------ */

/* These change no table that anybody else sees. */
static bool changes_nothing(const char *sql)
{
	static const char *const words[] = {
		"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE SAVEPOINT", "XA ", "# Dummy", "FLUSH", "ANALYZE", "OPTIMIZE",
		"GRANT", "REVOKE", "SET PASSWORD", "SET DEFAULT ROLE", "CREATE USER", "ALTER USER", "DROP USER", "RENAME USER",
		"CREATE ROLE", "DROP ROLE", "CREATE TEMPORARY", "DROP TEMPORARY", "DROP /*!40005 TEMPORARY */",
	};

	for (size_t i = 0; i < COUNT(words); i++)
		if (!strncasecmp(sql, words[i], strlen(words[i])))
			return true;
	return false;
}

static bool is_letter(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80); }

/* What follows: a name, `quoted` or not, into name; "" none. Texts in quotes and numbers are passed over. */
static const char *statement_next(const char *p, char name[65])
{
	size_t n = 0;
	char q = *p;

	name[0] = '\0';
	if (q == '\'' || q == '"' || q == '`') {
		for (p++; *p && *p != q; p += 1 + (q != '`' && *p == '\\' && p[1]))
			if (q == '`' && n < 64)
				name[n++] = *p;
		p += *p == q;
	} else if (is_letter(q)) {
		for (; is_letter(*p); p++)
			if (n < 64)
				name[n++] = *p;
		if (isdigit((unsigned char)q))
			n = 0;
	} else {
		p++;
	}
	name[n] = '\0';
	return p;
}

/* The database that this name is, in `name.` and behind DATABASE or SCHEMA (IF NOT EXISTS). */
static bool is_database(const char *after, const char *before)
{
	return *after == '.' || !strcasecmp(before, "DATABASE") || !strcasecmp(before, "SCHEMA");
}

static bool is_between(const char *name)
{
	return !strcasecmp(name, "IF") || !strcasecmp(name, "NOT") || !strcasecmp(name, "EXISTS");
}

/* The first database it names that counts, into name. */
static bool statement_names(const char *sql, const json_t *counts, char name[65])
{
	char before[65] = "";

	for (const char *p = sql; *p;) {
		p = statement_next(p, name);
		if (!*name || is_between(name))
			continue;
		if (is_database(p, before) && binlog_counts(counts, name, NULL))
			return true;
		memcpy(before, name, sizeof before);
	}
	return false;
}

/* "use `wiki`; INSERT ...": its default database, and the statement. */
static const char *statement_default(const char *info, char name[65])
{
	const char *p = info;

	name[0] = '\0';
	if (strncmp(p, "use `", 5))
		return p;
	p = statement_next(p + 4, name);
	return !strncmp(p, "; ", 2) ? p + 2 : p;
}

/* --- one event ---------------------------------------------------------------------------- */

static void written_add(struct binlog_written *w, const char *what)
{
	json_object_set_new(w->tables, what, json_integer(json_num(w->tables, what, 0) + 1));
}

static int event_see_statement(struct binlog_written *w, const char *info, const json_t *counts, struct err *e)
{
	char name[65];
	const char *sql = statement_default(info, name);

	(void)e;
	if (changes_nothing(sql))
		return 0;
	if (!(*name && binlog_counts(counts, name, NULL)) && !statement_names(sql, counts, name))
		return 0;
	written_add(w, name);
	if (!w->statement[0])
		name_copy(w->statement, sizeof w->statement, sql);
	return 0;
}

/* "table_id: 18 (wiki.page)" */
static int event_see_table(struct binlog_written *w, const char *info, const json_t *counts, struct err *e)
{
	const char *open = strchr(info, '('), *close = strrchr(info, ')'), *dot = open ? strchr(open, '.') : NULL;
	char database[65], table[65], both[132];

	if (!dot || !close || close < dot)
		return err_set(e, ERR_GATE, "an event of its log names no table: %.80s", info);
	snprintf(database, sizeof database, "%.*s", (int)(dot - open - 1), open + 1);
	snprintf(table, sizeof table, "%.*s", (int)(close - dot - 1), dot + 1);
	if (!binlog_counts(counts, database, table))
		return 0;
	snprintf(both, sizeof both, "%s.%s", database, table);
	written_add(w, both);
	return 0;
}

static int event_see_loss(struct binlog_written *w, const char *info, const json_t *counts, struct err *e)
{
	(void)w, (void)counts;
	return err_set(e, ERR_GATE, "its log says that it lacks events (%.80s)", info);
}

/* Sorts of events, as MariaDB and MySQL call them; a star: what begins so. fn
 * NULL: it changes nothing by itself. Compressed transactions of MySQL are
 * unpacked by the server: what is in them stands behind them. */
static const struct sort {
	const char *name;
	int (*fn)(struct binlog_written *w, const char *info, const json_t *counts, struct err *e);
} sorts[] = {
	{ "Table_map", event_see_table },       { "Query", event_see_statement },     { "Query_compressed", event_see_statement },
	{ "Execute_load_query", event_see_statement }, { "Incident", event_see_loss },
	{ "Write_rows*", NULL },          { "Update_rows*", NULL },       { "Delete_rows*", NULL },
	{ "Gtid*", NULL },                { "Anonymous_Gtid", NULL },     { "Previous_gtids", NULL },
	{ "Xid", NULL },                  { "XA_prepare", NULL },         { "Format_desc", NULL },
	{ "Rotate", NULL },               { "Stop", NULL },               { "Intvar", NULL },
	{ "RAND", NULL },                 { "User var", NULL },           { "Annotate_rows", NULL },
	{ "Rows_query", NULL },           { "Binlog_checkpoint", NULL },  { "Start_encryption", NULL },
	{ "Heartbeat*", NULL },           { "Transaction_payload", NULL },{ "Begin_load_query", NULL },
	{ "Append_block", NULL },         { "Delete_file", NULL },
};

static int event_see(struct binlog_written *w, const json_t *row, const json_t *counts, struct err *e)
{
	const char *type = json_str(row, "Event_type", ""), *info = json_str(row, "Info", "");

	for (size_t i = 0; i < COUNT(sorts); i++)
		if (binlog_fits(sorts[i].name, type))
			return sorts[i].fn ? sorts[i].fn(w, info, counts, e) : 0;
	return err_set(e, ERR_GATE, "its log has an event of a sort that is not known here (%.40s)", type);
}

/* --- the log -------------------------------------------------------------------------------- */

/* Up to PAGE events from upto on; *more: there may be others in this file. */
static int binlog_read_page(const struct binlog *b, const json_t *counts, struct binlog_written *w, bool *more, struct err *e)
{
	autojson json_t *rows = NULL;
	size_t i;
	json_t *row;

	if (b->events(b->ctx, &w->upto, PAGE, &rows, e))
		return -1;
	json_array_foreach(rows, i, row) {
		uint64_t end = strtoull(json_str(row, "End_log_pos", "0"), NULL, 10);

		if (event_see(w, row, counts, e))
			return -1;
		w->upto.at = end > w->upto.at ? end : w->upto.at;
	}
	w->events += i;
	*more = i == PAGE;
	return 0;
}

static size_t binlog_file(const json_t *files, const char *name)
{
	size_t i;
	const json_t *f;

	json_array_foreach(files, i, f)
		if (!strcmp(json_str(f, "Log_name", ""), name))
			break;
	return i;
}

/* To the end of the newest file, or until EVENTS_MOST are read. */
static int binlog_read(const struct binlog *b, const json_t *files, const json_t *counts, struct binlog_written *w, struct err *e)
{
	size_t i = binlog_file(files, w->upto.file), n = json_array_size(files);
	bool more = true;

	if (i == n)
		return err_set(e, ERR_GATE, "its log %.80s is gone (removed, or begun anew)", w->upto.file);
	while (w->events < EVENTS_MOST) {
		if (binlog_read_page(b, counts, w, &more, e))
			return -1;
		if (more)
			continue;
		if (++i == n) {
			w->whole = true;
			return 0;
		}
		w->upto.at = FIRST_AT;
		snprintf(w->upto.file, sizeof w->upto.file, "%.120s", json_str(json_array_get(files, i), "Log_name", ""));
	}
	return 0;
}

/* "a,b" of binlog_do_db and binlog_ignore_db: is what counts among them? Where
 * everything counts, anything left out does. */
static bool binlog_leaves_out(const char *only, const char *without, const json_t *counts)
{
	size_t i;
	const json_t *v;

	if (!json_array_size(counts))
		return *only || *without;
	json_array_foreach(counts, i, v) {
		const char *name = json_string_value(v);
		autofree char *in = xasprintf(",%.*s,", (int)strcspn(name, "."), name);
		autofree char *only_in = xasprintf(",%s,", only), *without_in = xasprintf(",%s,", without);

		if ((*only && !strcasestr(only_in, in)) || strcasestr(without_in, in))
			return true;
	}
	return false;
}

static int binlog_check(const struct binlog *b, const json_t *counts, struct err *e)
{
	autojson json_t *rows = NULL;
	const json_t *row;
	const char *only, *without;

	if (b->status(b->ctx, &rows, e))
		return -1;
	row = json_array_get(rows, 0);
	only = json_str(row, "Binlog_Do_DB", "");
	without = json_str(row, "Binlog_Ignore_DB", "");
	if (!*json_str(row, "File", ""))
		return err_set(e, ERR_GATE, "it writes no binlog");
	if (binlog_leaves_out(only, without, counts))
		return err_set(e, ERR_GATE, "its log leaves databases out (%s%.120s): name what counts in `counts`",
			       *only ? "it has only " : "it has not ", *only ? only : without);
	return 0;
}

int binlog_written_since(const struct binlog *b, const struct db_position *since, const json_t *counts,
			 struct binlog_written *out, struct err *e)
{
	autojson json_t *files = NULL;

	*out = (struct binlog_written){ .upto = *since, .tables = json_object() };
	if (!since->file[0])
		return err_set(e, ERR_GATE, "it wrote no binlog when this began");
	if (binlog_check(b, counts, e) || b->files(b->ctx, &files, e))
		return -1;
	return binlog_read(b, files, counts, out, e);
}

char *binlog_say(const struct binlog_written *w)
{
	autobuf struct buf b = BUF_MAX(2048);
	json_int_t all = 0;
	size_t n = 0;
	const char *name;
	json_t *v;

	json_object_foreach(w->tables, name, v)
		all += json_integer_value(v);
	buf_addf(&b, "%" JSON_INTEGER_FORMAT " %s (", all, all == 1 ? "write" : "writes");
	json_object_foreach(w->tables, name, v)
		if (n++ < NAMED_MOST)
			buf_addf(&b, "%s%s %" JSON_INTEGER_FORMAT, n > 1 ? ", " : "", name, json_integer_value(v));
	if (n > NAMED_MOST)
		buf_addf(&b, ", %zu tables more", n - NAMED_MOST);
	buf_adds(&b, ")");
	if (w->statement[0])
		buf_addf(&b, ", such as: %s", w->statement);
	return buf_take(&b);
}

/* --- a server's --------------------------------------------------------------------------------- */

static int server_rows(void *ctx, const char *sql, json_t **rows, struct err *e)
{
	struct db *d = ctx;

	if (!db_json(d, sql, NULL, rows, e))
		return 0;
	if (!strcmp(e->code, "1220")) /* no such file, or no event begins there */
		e->kind = ERR_GATE;
	return e->kind == ERR_DENIED ? err_wrap(e, "this needs the rights REPLICATION CLIENT and REPLICATION SLAVE (BINLOG MONITOR on MariaDB)") : -1;
}

static int server_status(void *ctx, json_t **rows, struct err *e)
{
	return server_rows(ctx, db_log_status(ctx), rows, e);
}

static int server_files(void *ctx, json_t **rows, struct err *e)
{
	return server_rows(ctx, "SHOW BINARY LOGS", rows, e);
}

static int server_events(void *ctx, const struct db_position *from, int most, json_t **rows, struct err *e)
{
	autofree char *file = db_quote(from->file), *sql = NULL;

	if (!file)
		return err_set(e, ERR_GATE, "its log has a name that is none");
	sql = xasprintf("SHOW BINLOG EVENTS IN %s FROM %" PRIu64 " LIMIT %d", file, from->at, most);
	return server_rows(ctx, sql, rows, e);
}

static int binlog_knows_one(struct db *d, const char *counts, struct err *e)
{
	autofree char *database = xasprintf("%.*s", (int)strcspn(counts, "."), counts), *name = db_quote(database), *sql = NULL;
	int64_t n = 0;
	bool null;

	sql = xasprintf("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s", name ? name : "NULL");
	if (db_number(d, sql, &n, &null, e))
		return -1;
	return n ? 0 : err_set(e, ERR_GATE, "`counts` names %.80s, and there is no such database that this login may see (SELECT on it)",
			       counts);
}

int binlog_knows(struct db *d, const json_t *counts, struct err *e)
{
	size_t i;
	const json_t *v;

	json_array_foreach(counts, i, v)
		if (binlog_knows_one(d, json_string_value(v), e))
			return -1;
	return 0;
}

struct binlog binlog_of(struct db *d)
{
	return (struct binlog){ server_status, server_files, server_events, d };
}

/* Asks what the table says, compares, and says it in sentences. */
#include "db/health_table.h"
#include "db/internal.h"

#include <stdio.h>
#include <string.h>

struct look {
	const struct db_check *check;
	const char *column;  /* of the number; NULL: the first */
	bool found, null;    /* any row; one of them was NULL */
	int64_t value;
	char detail[240];
};

const char *db_verdict_name(enum db_verdict v)
{
	static const char *const names[] = { "good", "note", "unknown", "bad" };

	return names[v];
}

static enum db_dialect dialect_of(const struct db_server *s)
{
	if (s->flavour == DB_MARIADB)
		return SQL_MARIADB;
	return s->version < 90000 ? SQL_MYSQL8 : SQL_MYSQL9;
}

/* Columns of the table are filled from the left: what is not said is as before. */
static const char *said_for(const char *const columns[SQL_DIALECTS], enum db_dialect d)
{
	while (d > 0 && !columns[d])
		d--;
	return columns[d];
}

static const char *text_at(const struct db_row *row, const char *column, unsigned place)
{
	for (unsigned i = 0; column && i < row->n; i++)
		if (!strcasecmp(row->name[i], column))
			return row->text[i];
	return !column && place < row->n ? row->text[place] : NULL;
}

/* Of several rows (a replica of several sources) the worst counts. */
static bool is_worse(const struct look *l, int64_t value)
{
	if (!l->found)
		return true;
	return l->check->bound == BOUND_LEAST ? value < l->value : value > l->value;
}

static int see(void *ctx, const struct db_row *row, struct err *e)
{
	struct look *l = ctx;
	const char *number = text_at(row, l->column, 0), *detail = l->column ? NULL : text_at(row, NULL, 1);
	char *end;
	int64_t value = number ? strtoll(number, &end, 10) : 0;

	(void)e;
	l->null |= !number || end == number;
	if (is_worse(l, value)) {
		l->value = value;
		name_copy(l->detail, sizeof l->detail, detail ? detail : "");
	}
	l->found = true;
	return 0;
}

static bool is_within(const struct db_check *c, int64_t value, int64_t limit)
{
	switch (c->bound) {
	case BOUND_MOST:
		return value <= limit;
	case BOUND_LEAST:
		return value >= limit;
	case BOUND_EQUAL:
		return value == limit;
	default:
		return true;
	}
}

static enum db_verdict judge(const struct look *l, bool limited, int64_t limit)
{
	if (!l->found)
		return l->check->none;
	if (l->null && l->check->null != DB_GOOD)
		return l->check->null;
	return !limited || is_within(l->check, l->value, limit) ? DB_GOOD : l->check->beyond;
}

static const char *bound_word(enum db_check_bound b)
{
	return b == BOUND_MOST ? "at most" : b == BOUND_LEAST ? "at least" : "should be";
}

static char *sentence(const struct look *l, enum db_verdict v, bool limited, int64_t limit)
{
	autobuf struct buf b = BUF_MAX(1024);
	const struct db_check *c = l->check;

	buf_addf(&b, "%s: ", c->about);
	if (!l->found)
		buf_adds(&b, "the server gave no answer");
	else if (l->null && c->null != DB_GOOD)
		buf_adds(&b, "NULL");
	else
		buf_addf(&b, "%lld%s", (long long)l->value, c->unit);
	if (*l->detail)
		buf_addf(&b, " (%s)", l->detail);
	if (v != DB_GOOD && limited)
		buf_addf(&b, ", %s %lld%s", bound_word(c->bound), (long long)limit, c->unit);
	if (v != DB_GOOD && c->advice)
		buf_addf(&b, "; %s", c->advice);
	return buf_take(&b);
}

static void put(json_t *rows, enum db_verdict *worst, const char *id, enum db_verdict v, json_t *value,
		json_t *limit, const char *fact)
{
	json_array_append_new(rows, json_pack("{s:s, s:s, s:o, s:o, s:o}", "check", id, "verdict", db_verdict_name(v),
					      "value", value, "limit", limit, "fact", json_text(fact)));
	*worst = v > *worst ? v : *worst;
}

static void tell(const struct look *l, const struct db_thresholds *t, json_t *rows, enum db_verdict *worst)
{
	int64_t limit = 0;
	bool limited = l->check->limit && l->check->limit(t, &limit);
	enum db_verdict v = judge(l, limited, limit);
	autofree char *fact = sentence(l, v, limited, limit);

	if (!l->found && v == DB_GOOD)
		return;
	put(rows, worst, l->check->id, v, l->found && !l->null ? json_integer(l->value) : json_null(),
	    limited ? json_integer(limit) : json_null(), fact);
}

/* No right, no such table: the answer is not known, and the others may be. */
static int ask(struct db *d, const struct db_check *c, const struct db_thresholds *t, json_t *rows,
	       enum db_verdict *worst, struct err *e)
{
	enum db_dialect dialect = dialect_of(db_server(d));
	struct look l = { .check = c, .column = said_for(c->value, dialect) };
	struct err why = { 0 };
	autofree char *fact = NULL;

	if (!db_query(d, said_for(c->sql, dialect), NULL, see, &l, &why)) {
		tell(&l, t, rows, worst);
		return 0;
	}
	if (why.kind == ERR_NET || why.kind == ERR_BUSY || why.kind == ERR_BUG) {
		*e = why;
		return err_wrap(e, "looking at the %s", c->about);
	}
	fact = xasprintf("%s: not known: %s", c->about, why.msg);
	put(rows, worst, c->id, DB_UNKNOWN, json_null(), json_null(), fact);
	return 0;
}

static bool applies(const struct db_check *c, const struct db_server *s, const struct db_thresholds *t, bool server,
		    bool tables)
{
	switch (c->when) {
	case WHEN_TABLES:
		return tables;
	case WHEN_DDL:
		return tables && t->need_ddl_rights;
	case WHEN_AURORA:
		return server && s->aurora;
	case WHEN_BINLOG:
		return server && t->need_binlog;
	default:
		return server;
	}
}

static int look_at(struct db *d, bool server, bool tables, const struct db_thresholds *t, json_t *rows,
		   enum db_verdict *worst, struct err *e)
{
	size_t n;
	const struct db_check *c = db_checks(&n);

	for (size_t i = 0; i < n; i++)
		if (applies(&c[i], db_server(d), t, server, tables) && ask(d, &c[i], t, rows, worst, e))
			return -1;
	return 0;
}

static bool has_row(const json_t *rows, size_t from, const char *id)
{
	for (size_t i = from; i < json_array_size(rows); i++)
		if (!strcmp(json_str(json_array_get(rows, i), "check", ""), id))
			return true;
	return false;
}

int db_health(struct db *d, const char *database, const struct db_thresholds *t, json_t *rows,
	      enum db_verdict *worst, struct err *e)
{
	size_t from = json_array_size(rows);

	if (database && db_use(d, database, e))
		return -1;
	if (look_at(d, true, database != NULL, t, rows, worst, e))
		return -1;
	if (t->replica && !has_row(rows, from, "lag"))
		put(rows, worst, "lag", DB_BAD, json_null(), json_integer(t->max_lag_s),
		    "replication lag: this server is no replica, and it should be one");
	return 0;
}

int db_health_tables(struct db *d, const char *database, const struct db_thresholds *t, json_t *rows,
		     enum db_verdict *worst, struct err *e)
{
	if (db_use(d, database, e))
		return -1;
	return look_at(d, false, true, t, rows, worst, e);
}

bool db_health_has(const char *check)
{
	size_t n;
	const struct db_check *c = db_checks(&n);

	while (n && strcmp(c->id, check)) {
		n--;
		c++;
	}
	return n > 0;
}

json_t *db_health_table(void)
{
	json_t *rows = json_array();
	size_t n;
	const struct db_check *c = db_checks(&n);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:s}", "check", c[i].id, "about", c[i].about,
						      "mariadb", said_for(c[i].sql, SQL_MARIADB),
						      "mysql", said_for(c[i].sql, SQL_MYSQL8),
						      "mysql9", said_for(c[i].sql, SQL_MYSQL9)));
	return rows;
}

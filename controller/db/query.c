/* One statement, its rows one by one, and what they may cost. */
#include "db/internal.h"

#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ROWS 200000
#define BYTES ((size_t)32 << 20)
#define GRACE_MS 2000 /* past the server's own limit */
#define COLUMNS 128
#define WARNINGS 65536
#define WARNING_BYTES ((size_t)4 << 20)
#define NAME_LONGEST 64

static void result_free(MYSQL_RES **r) { mysql_free_result(*r); }
#define autoresult __attribute__((cleanup(result_free)))

struct reading {
	struct db *d;
	struct db_limit left;
	int64_t until;
};

static struct reading reading_of(struct db *d, const struct db_limit *l)
{
	struct reading r = { .d = d, .left = l ? *l : (struct db_limit){ 0 } };

	r.left.rows = r.left.rows ? r.left.rows : ROWS;
	r.left.bytes = r.left.bytes ? r.left.bytes : BYTES;
	r.left.ms = r.left.ms > 0 ? r.left.ms : d->statement_ms;
	r.until = now_ms() + r.left.ms + GRACE_MS;
	return r;
}

/* The rest of the answer is not read: the other side learns it by the socket. */
static int hang_up(struct db *d)
{
	d->closed = true;
	shutdown(mysql_get_socket(d->my), SHUT_RDWR);
	return -1;
}

static int over(struct reading *r, const char *what, struct err *e)
{
	err_set(e, ERR_INPUT, "the answer of %s is %s; it was not read to its end", r->d->name, what);
	return hang_up(r->d);
}

/* However the library calls it: 2013, 2026, or a row that came too late. */
static int too_late(struct reading *r, struct err *e)
{
	err_set(e, ERR_BUSY, "database %s: no whole answer within %d ms, and the connection was closed", r->d->name,
		r->left.ms + GRACE_MS);
	return hang_up(r->d);
}

static int count(struct reading *r, const struct db_row *row, struct err *e)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < row->n; i++)
		bytes += row->len[i] + sizeof(char *);
	if (!r->left.rows--)
		return over(r, "of more rows than it may have", e);
	if (bytes > r->left.bytes)
		return over(r, "larger than it may be", e);
	if (now_ms() > r->until)
		return too_late(r, e);
	r->left.bytes -= bytes;
	return 0;
}

static int check_columns(struct reading *r, MYSQL_RES *res, const char **names, struct err *e)
{
	unsigned n = mysql_num_fields(res);

	if (n > COLUMNS)
		return over(r, "of more columns than anything we ask for", e);
	for (unsigned i = 0; i < n; i++)
		names[i] = mysql_fetch_field_direct(res, i)->name;
	return 0;
}

static int fetch_rows(struct reading *r, MYSQL_RES *res, db_row_fn *fn, void *ctx, struct err *e)
{
	const char *names[COLUMNS];
	struct db_row row = { .n = mysql_num_fields(res), .name = names };

	if (check_columns(r, res, names, e))
		return -1;
	while ((row.text = mysql_fetch_row(res))) {
		row.len = mysql_fetch_lengths(res);
		if (count(r, &row, e))
			return -1;
		if (fn(ctx, &row, e))
			return hang_up(r->d);
	}
	return mysql_errno(r->d->my) ? refusal_query(r->d, e) : 0;
}

static int read_answer(struct reading *r, db_row_fn *fn, void *ctx, struct err *e)
{
	autoresult MYSQL_RES *res = mysql_use_result(r->d->my);

	if (!res)
		return mysql_errno(r->d->my) ? refusal_query(r->d, e) :
			err_set(e, ERR_BUG, "a statement without rows was sent to %s", r->d->name);
	return fetch_rows(r, res, fn, ctx, e);
}

/* These tell nothing about whether the answer is whole. */
static const struct { unsigned code; const char *about; } harmless[] = {
	{ 1287, "deprecated syntax" }, { 1681, "deprecated syntax" }, { 3719, "utf8 is utf8mb3" },
	{ 1292, "a text was read as a number" }, { 1365, "division by zero gives NULL" },
	{ 6, "a temporary file could not be deleted, since it was gone" },
	{ 1356, "a view that is broken: MediaWiki has none" },
};

static bool is_harmless(const char *code)
{
	char *end;
	unsigned long n = strtoul(code, &end, 10);

	for (size_t i = 0; i < COUNT(harmless); i++)
		if (harmless[i].code == n)
			return true;
	return false;
}

/* The first that tells something; the rest is read, so that the connection lives on. */
static int see_warning(void *ctx, const struct db_row *row, struct err *e)
{
	struct err *first = ctx;
	char text[200];

	(void)e;
	if (row->n != 3 || first->kind || !row->text[1] || !row->text[2] || is_harmless(row->text[1]) ||
	    (row->text[0] && !strcmp(row->text[0], "Note")))
		return 0;
	name_copy(text, sizeof text, row->text[2]);
	err_set(first, ERR_BUSY, "%s", text);
	snprintf(first->code, sizeof first->code, "%.20s", row->text[1]);
	return 0;
}

/* The server keeps 64 as a rule, and 65,535 at most (max_error_count). */
static int check_warnings(const struct reading *statement, struct err *e)
{
	struct db *d = statement->d;
	struct reading r = reading_of(d, &(struct db_limit){ .rows = WARNINGS, .bytes = WARNING_BYTES });
	struct err first = { 0 };

	r.until = statement->until;
	if (!mysql_warning_count(d->my))
		return 0;
	if (mysql_query(d->my, "SHOW WARNINGS"))
		return refusal_query(d, e);
	if (read_answer(&r, see_warning, &first, e))
		return err_wrap(e, "its warnings");
	if (!first.kind)
		return 0;
	*e = first;
	return err_wrap(e, "%s did not answer wholly", d->name);
}

int db_query(struct db *d, const char *sql, const struct db_limit *l, db_row_fn *fn, void *ctx,
	     struct err *e)
{
	struct reading r = reading_of(d, l);
	int rc;

	if (d->closed)
		return err_set(e, ERR_NET, "the connection to %s was closed after an answer past its limit", d->name);
	deadline_set(r.until);
	rc = mysql_real_query(d->my, sql, strlen(sql)) ? refusal_query(d, e) : read_answer(&r, fn, ctx, e);
	rc = rc ? rc : check_warnings(&r, e);
	deadline_set(0);
	return rc && now_ms() >= r.until ? too_late(&r, e) : rc;
}

/* --- the usual ways to keep an answer --- */

static int keep_row(void *ctx, const struct db_row *row, struct err *e)
{
	json_t *o = json_object();

	(void)e;
	for (unsigned i = 0; i < row->n; i++)
		json_object_set_new(o, row->name[i],
					    row->text[i] ? json_text_n(row->text[i], row->len[i]) : json_null());
	return json_array_append_new(ctx, o);
}

int db_json(struct db *d, const char *sql, const struct db_limit *l, json_t **out, struct err *e)
{
	autojson json_t *rows = json_array();

	if (db_query(d, sql, l, keep_row, rows, e))
		return -1;
	*out = steal(&rows);
	return 0;
}

struct number {
	int64_t value;
	bool null;
	int rows;
};

static int keep_number(void *ctx, const struct db_row *row, struct err *e)
{
	struct number *n = ctx;
	char *end;

	if (n->rows++)
		return err_set(e, ERR_INPUT, "one number was asked for and more rows came");
	n->null = !row->n || !row->text[0];
	if (n->null)
		return 0;
	n->value = strtoll(row->text[0], &end, 10);
	if (end == row->text[0] || (*end && *end != '.'))
		return err_set(e, ERR_INPUT, "a number was asked for and another text came");
	return 0;
}

int db_number(struct db *d, const char *sql, int64_t *out, bool *null, struct err *e)
{
	struct number n = { 0 };

	if (db_query(d, sql, NULL, keep_number, &n, e))
		return -1;
	if (!n.rows)
		return err_set(e, ERR_GONE, "%s answered with no row where there must be one", d->name);
	*out = n.value;
	*null = n.null;
	return 0;
}

static char *quoted(const char *name, char quote)
{
	autobuf struct buf b = BUF_MAX(4 * NAME_LONGEST * 2 + 3);
	size_t letters = 0;

	buf_add(&b, &quote, 1);
	for (const char *p = name; *p; p++) {
		if (iscntrl((unsigned char)*p))
			return NULL;
		letters += ((unsigned char)*p & 0xc0) != 0x80;
		buf_add(&b, p, 1);
		if (*p == quote)
			buf_add(&b, p, 1);
	}
	buf_add(&b, &quote, 1);
	return letters && letters <= NAME_LONGEST && !b.full ? buf_take(&b) : NULL;
}

char *db_quote(const char *name) { return quoted(name, '\''); }
char *db_quote_id(const char *name) { return quoted(name, '`'); }

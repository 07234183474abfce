/* store/read.c - looking into journals without being in anybody's way.
 *
 * While a SELECT is open SQLite's shared lock is held, and nobody can commit: a
 * pager that does not read, or a large journal, would stop every rollback. So
 * lines are copied in batches, statement and lock go, and only then is the
 * caller told. Lines are only ever appended, so batches join without a gap. */
#include "store/sqlite.h"

#include "base/buf.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

#define BATCH_ROWS  256
#define BATCH_BYTES ((size_t)1 << 20)
#define BATCH_RUNS  256

struct event store_event(sqlite3_stmt *st)
{
	struct event ev = {
		.run = store_column(st, 0), .seq = sqlite3_column_int64(st, 1), .at = sqlite3_column_int64(st, 2),
		.actor = store_column(st, 3), .kind = store_column(st, 4), .step = store_column(st, 5),
		.body = store_column(st, 6),
	};

	snprintf(ev.prev, sizeof ev.prev, "%s", store_column(st, 7));
	snprintf(ev.hash, sizeof ev.hash, "%s", store_column(st, 8));
	return ev;
}

/* --- lines of a run ------------------------------------------------------------ */

struct batch {
	struct event row[BATCH_ROWS]; /* each owns its texts, in one block that `run` is the head of */
	size_t n, bytes, most; /* most: rows that are wanted of this one */
	bool more;
};

static void batch_clear(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->row[i].run);
	b->n = b->bytes = 0;
	b->more = false;
}

static void batch_free(struct batch **b)
{
	if (*b)
		batch_clear(*b);
	free(*b);
}
#define autobatch __attribute__((cleanup(batch_free)))

static void batch_add(struct batch *b, const struct event *lent)
{
	struct event *ev = &b->row[b->n++];
	char **text[] = { &ev->run, &ev->actor, &ev->kind, &ev->step, &ev->body };
	size_t size[COUNT(text)], all = 0;
	char *block;

	*ev = *lent;
	for (size_t i = 0; i < COUNT(text); i++)
		all += size[i] = strlen(*text[i]) + 1;
	block = xmalloc(all);
	for (size_t i = 0; i < COUNT(text); block += size[i++]) {
		memcpy(block, *text[i], size[i]);
		*text[i] = block;
	}
	b->bytes += all;
}

static bool batch_is_full(const struct batch *b)
{
	return b->n == b->most || b->bytes >= BATCH_BYTES;
}

/* Where a reader stands. */
struct place {
	const char *run;
	int64_t seq;
	char hash[65]; /* of that line; "" when it is not known */
};

static int place_is_lost(struct store *s, const struct place *at, struct err *e)
{
	return err_set(e, ERR_DAMAGED,
		       "the journal %s is not the one that was read before: line %lld of run %s is gone, or another; it was damaged, or an older copy was put in its place",
		       store_path(s), (long long)at->seq, at->run);
}

/* The line a reader stands on comes first, when its hash is known. */
static int batch_fill(struct store *s, const struct place *at, sqlite3_stmt *st, struct batch *b, struct err *e)
{
	bool checked = !at->hash[0];
	int rc = SQLITE_ROW;

	while (!batch_is_full(b) && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct event ev = store_event(st);

		if (checked)
			batch_add(b, &ev);
		else if (ev.seq != at->seq || strcmp(ev.hash, at->hash))
			return place_is_lost(s, at, e);
		checked = true;
	}
	b->more = batch_is_full(b);
	if (!b->more && rc != SQLITE_DONE)
		return store_sql_err(s, "read", e);
	return checked ? 0 : place_is_lost(s, at, e);
}

static int batch_read(struct store *s, const struct place *at, struct batch *b, struct err *e)
{
	STORE_LOCKED(s);
	autostmt sqlite3_stmt *st = NULL;

	batch_clear(b);
	if (sqlite3_prepare_v2(s->db, "SELECT " STORE_COLUMNS " FROM event WHERE run=? AND seq>=? ORDER BY seq",
			       -1, &st, NULL))
		return store_sql_err(s, "read", e);
	sqlite3_bind_text(st, 1, at->run, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, at->hash[0] ? at->seq : at->seq + 1);
	return batch_fill(s, at, st, b, e);
}

/* False: it wants no more. */
static bool batch_tell(const struct batch *b, struct place *at, store_each_fn *each, void *ctx)
{
	for (size_t i = 0; i < b->n; i++) {
		at->seq = b->row[i].seq;
		memcpy(at->hash, b->row[i].hash, sizeof at->hash);
		if (each(ctx, &b->row[i]))
			return false;
	}
	return true;
}

int store_follow(struct store *s, const char *run, int64_t after, const char *hash, store_each_fn *each, void *ctx,
		 struct err *e)
{
	autobatch struct batch *b = xcalloc(1, sizeof *b);
	struct place at = { .run = run, .seq = after };

	b->most = BATCH_ROWS;
	snprintf(at.hash, sizeof at.hash, "%s", hash);
	do {
		if (batch_read(s, &at, b, e))
			return -1;
	} while (batch_tell(b, &at, each, ctx) && b->more);
	return 0;
}

int store_read(struct store *s, const char *run, int64_t after, store_each_fn *each, void *ctx, struct err *e)
{
	return store_follow(s, run, after, "", each, ctx, e);
}

/* --- runs ------------------------------------------------------------------------ */

struct head { /* of a run */
	char *run;
	int64_t at;
};

struct heads {
	struct head *at;
	size_t n;
};

static void heads_free(struct heads *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->at[i].run);
	free(h->at);
}
#define autoheads __attribute__((cleanup(heads_free)))

static void heads_add(struct heads *h, const struct event *ev)
{
	h->at = xrealloc(h->at, (h->n + 1) * sizeof *h->at);
	h->at[h->n++] = (struct head){ xstrdup(ev->run), ev->at };
}

static int newest_first(const void *a, const void *b)
{
	const struct head *x = a, *y = b;

	return x->at != y->at ? (x->at < y->at) - (x->at > y->at) : -strcmp(x->run, y->run);
}

/* From name to name, a look-up each: the lines between, which may be a million, are not read. */
static int heads_read(struct store *s, struct heads *h, bool *more, struct err *e)
{
	STORE_LOCKED(s);
	autostmt sqlite3_stmt *st = NULL;
	int rc = SQLITE_ROW;

	if (sqlite3_prepare_v2(s->db, "SELECT run, at FROM event WHERE run>? ORDER BY run, seq LIMIT 1",
			       -1, &st, NULL))
		return store_sql_err(s, "read", e);
	for (int i = 0; i < BATCH_RUNS && rc == SQLITE_ROW; i++) {
		sqlite3_bind_text(st, 1, h->n ? h->at[h->n - 1].run : "", -1, SQLITE_TRANSIENT);
		rc = sqlite3_step(st);
		if (rc == SQLITE_ROW)
			heads_add(h, &(struct event){ .run = store_column(st, 0), .at = sqlite3_column_int64(st, 1) });
		sqlite3_reset(st);
	}
	*more = rc == SQLITE_ROW;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_sql_err(s, "read", e);
}

static int heads_of(struct store *s, struct heads *h, struct err *e)
{
	bool more = true;

	while (more)
		if (heads_read(s, h, &more, e))
			return -1;
	if (h->n)
		qsort(h->at, h->n, sizeof *h->at, newest_first);
	return 0;
}

struct first {
	store_each_fn *each;
	void *ctx;
	bool enough;
};

static int tell_first(struct store *s, const char *run, struct first *f, struct err *e)
{
	autobatch struct batch *b = xcalloc(1, sizeof *b);

	b->most = 1;
	if (batch_read(s, &(struct place){ .run = run }, b, e))
		return -1;
	f->enough = b->n && f->each(f->ctx, &b->row[0]);
	return 0;
}

int store_runs(struct store *s, store_each_fn *each, void *ctx, struct err *e)
{
	autoheads struct heads h = { 0 };
	struct first f = { .each = each, .ctx = ctx };

	if (heads_of(s, &h, e))
		return -1;
	for (size_t i = 0; i < h.n && !f.enough; i++)
		if (tell_first(s, h.at[i].run, &f, e))
			return -1;
	return 0;
}

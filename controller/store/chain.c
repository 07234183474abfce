/* store/chain.c - one line after the other: each carries the hash of the line
 * before, and only the next one can be written. */
#include "store/sqlite.h"

#include "base/buf.h"
#include "base/err.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

void store_hash(const struct event *ev, const char *prev, char out[65])
{
	autofree char *line = xasprintf("%s\n%s\n%lld\n%lld\n%s\n%s\n%s\n%s", prev, ev->run,
					(long long)ev->seq, (long long)ev->at, ev->actor, ev->kind,
					ev->step, ev->body);
	unsigned char md[32];

	if (!EVP_Digest(line, strlen(line), md, NULL, EVP_sha256(), NULL))
		abort();
	for (size_t i = 0; i < sizeof md; i++)
		snprintf(out + 2 * i, 3, "%02x", md[i]);
}

static int chain_tail(struct store *s, const char *run, int64_t *seq, char hash[65], struct err *e)
{
	autostmt sqlite3_stmt *st = NULL;
	int rc;

	*seq = 0;
	hash[0] = '\0';
	if (sqlite3_prepare_v2(s->db, "SELECT seq, hash FROM event WHERE run=? ORDER BY seq DESC LIMIT 1",
			       -1, &st, NULL))
		return store_sql_err(s, "read", e);
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*seq = sqlite3_column_int64(st, 0);
		snprintf(hash, 65, "%s", store_column(st, 1));
		return 0;
	}
	return rc == SQLITE_DONE ? 0 : store_sql_err(s, "read", e);
}

static int chain_insert(struct store *s, const struct event *ev, const char *prev, struct err *e)
{
	autostmt sqlite3_stmt *st = NULL;
	const char *text[] = { ev->actor, ev->kind, ev->step, ev->body, prev };
	char hash[65];

	store_hash(ev, prev, hash);
	if (sqlite3_prepare_v2(s->db, "INSERT INTO event(" STORE_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?)", -1, &st, NULL))
		return store_sql_err(s, "write", e);
	sqlite3_bind_text(st, 1, ev->run, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, ev->seq);
	sqlite3_bind_int64(st, 3, ev->at);
	for (int i = 0; i < 5; i++)
		sqlite3_bind_text(st, 4 + i, text[i], -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 9, hash, -1, SQLITE_STATIC);
	return sqlite3_step(st) == SQLITE_DONE ? 0 : store_sql_err(s, "write", e);
}

static int chain_append(struct store *s, const struct event *ev, struct err *e)
{
	char prev[65];
	int64_t last;

	if (chain_tail(s, ev->run, &last, prev, e))
		return -1;
	if (ev->seq != last + 1)
		return err_set(e, ERR_MOVED, "the journal of run %s has moved on to line %lld", ev->run,
			       (long long)last);
	return chain_insert(s, ev, prev, e);
}

static int chain_append_each(struct store *s, store_next_fn *next, void *ctx, struct err *e)
{
	struct event ev;

	while (next(ctx, &ev))
		if (chain_append(s, &ev, e))
			return -1;
	return 0;
}

int store_append_all(struct store *s, store_next_fn *next, void *ctx, struct err *e)
{
	STORE_LOCKED(s);
	if (store_exec(s, "BEGIN IMMEDIATE", e))
		return -1;
	if (chain_append_each(s, next, ctx, e) || store_exec(s, "COMMIT", e)) {
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return 0;
}

static bool chain_just_one(void *ctx, struct event *ev)
{
	const struct event **one = ctx;

	if (!*one)
		return false;
	*ev = **one;
	*one = NULL;
	return true;
}

int store_append(struct store *s, const struct event *ev, struct err *e)
{
	return store_append_all(s, chain_just_one, &ev, e);
}

int store_last(struct store *s, const char *run, int64_t *seq, struct err *e)
{
	STORE_LOCKED(s);
	char hash[65];

	return chain_tail(s, run, seq, hash, e);
}

/* --- signs of life ---------------------------------------------------------- */

int store_beat(struct store *s, const char *run, const char *holder, struct err *e)
{
	STORE_LOCKED(s);
	autostmt sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, "INSERT INTO beat VALUES(?,1,?) ON CONFLICT(run) DO UPDATE"
			       " SET count=count+1, holder=excluded.holder", -1, &st, NULL))
		return store_sql_err(s, "write", e);
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, holder, -1, SQLITE_STATIC);
	return sqlite3_step(st) == SQLITE_DONE ? 0 : store_sql_err(s, "write", e);
}

int store_beats(struct store *s, const char *run, int64_t *count, struct err *e)
{
	STORE_LOCKED(s);
	autostmt sqlite3_stmt *st = NULL;
	int rc;

	*count = 0;
	if (sqlite3_prepare_v2(s->db, "SELECT count FROM beat WHERE run=?", -1, &st, NULL))
		return store_sql_err(s, "read", e);
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*count = sqlite3_column_int64(st, 0);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_sql_err(s, "read", e);
}

/* --- proof ------------------------------------------------------------------ */

struct verify {
	int64_t lines;
	char prev[65], why[160];
};

static int chain_verify_line(void *ctx, const struct event *ev)
{
	struct verify *v = ctx;
	char hash[65];

	store_hash(ev, ev->prev, hash);
	if (ev->seq != v->lines + 1)
		snprintf(v->why, sizeof v->why, "line %lld is missing", (long long)v->lines + 1);
	else if (strcmp(ev->prev, v->prev))
		snprintf(v->why, sizeof v->why, "line %lld does not follow the line before it", (long long)ev->seq);
	else if (strcmp(ev->hash, hash))
		snprintf(v->why, sizeof v->why, "line %lld was changed after it was written", (long long)ev->seq);
	else
		v->lines++;
	memcpy(v->prev, ev->hash, sizeof v->prev);
	return v->why[0] != '\0';
}

int store_verify(struct store *s, const char *run, int64_t *lines, struct err *e)
{
	struct verify v = { 0 };

	if (store_read(s, run, 0, chain_verify_line, &v, e))
		return -1;
	*lines = v.lines;
	return v.why[0] ? err_set(e, ERR_GATE, "the journal of run %s is broken: %s", run, v.why) : 0;
}

struct recheck {
	int64_t last;
	int left;
	char prev[65];
	bool wrong;
};

static int chain_recheck_line(void *ctx, const struct event *ev)
{
	struct recheck *r = ctx;
	char hash[65];

	store_hash(ev, ev->prev, hash);
	r->wrong = ev->seq != r->last + 1 || strcmp(ev->hash, hash) || (r->prev[0] && strcmp(ev->prev, r->prev));
	memcpy(r->prev, ev->hash, sizeof r->prev);
	r->last = ev->seq;
	return r->wrong || --r->left <= 0;
}

/* What is written over by others than SQLite stays unseen while its pages are cached. */
static void chain_forget_cache(struct store *s)
{
	STORE_LOCKED(s);
	sqlite3_db_release_memory(s->db);
}

int store_recheck(struct store *s, const char *run, int64_t *after, int most, struct err *e)
{
	struct recheck r = { .last = *after, .left = most };

	chain_forget_cache(s);
	if (store_read(s, run, *after, chain_recheck_line, &r, e))
		return -1;
	if (r.wrong)
		return err_set(e, ERR_DAMAGED, "line %lld of run %s in the journal %s is not as it was written", (long long)r.last, run,
			       store_path(s));
	*after = r.left > 0 ? 0 : r.last;
	return 0;
}

/* store/sqlite.c - journals in one SQLite file.
 *
 * Rollback journal, not WAL: SQLite 3.7.0 to 3.51.2 can lose commits when a
 * checkpoint and a write meet in WAL mode (sqlite.org/wal.html#walresetbug),
 * and Debian 12 ships 3.40. synchronous=EXTRA also syncs the folder, so that a
 * line that was said to be written is there after a power cut. */
#include "store/store.h"

#include "base/buf.h"
#include "base/err.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define APPLICATION_ID 0x63757431 /* "cut1" */
#define COLUMNS "run, seq, at, actor, kind, step, body, prev, hash"

struct store {
	sqlite3 *db;
	int watch;
	pthread_mutex_t lock; /* one operation at a time; recursive: who reads may append */
};

static void store_unlock(pthread_mutex_t **lock) { pthread_mutex_unlock(*lock); }
/* Held until the function ends. */
#define STORE_LOCKED(s) \
	__attribute__((cleanup(store_unlock))) pthread_mutex_t *locked = &(s)->lock; \
	pthread_mutex_lock(locked)

static void stmt_free(sqlite3_stmt **st) { sqlite3_finalize(*st); }
#define autostmt __attribute__((cleanup(stmt_free)))

static enum err_kind kind_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_INPUT;
	default:
		return ERR_STORE;
	}
}

/* What a person can do about it. */
static const char *hint_of(int rc)
{
	if (rc == SQLITE_READONLY_DBMOVED)
		return "; the file was moved or removed: nothing is sent to AWS until it is back";
	switch (rc & 0xff) {
	case SQLITE_FULL:
	case SQLITE_IOERR:
		return "; nothing is sent to AWS until it can be written: make room on its disk";
	case SQLITE_READONLY:
		return "; nothing is sent to AWS until it can be written";
	default:
		return "";
	}
}

static int sql_err(struct store *s, const char *doing, struct err *e)
{
	int rc = sqlite3_extended_errcode(s->db);

	return err_set(e, kind_of(rc), "cannot %s the journal %s: %s%s", doing,
		       sqlite3_db_filename(s->db, "main"), sqlite3_errmsg(s->db), hint_of(rc));
}

static int exec(struct store *s, const char *sql, struct err *e)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) ? sql_err(s, "use", e) : 0;
}

static int check_format(struct store *s, struct err *e)
{
	autostmt sqlite3_stmt *st = NULL;
	int id = 0;

	if (sqlite3_prepare_v2(s->db, "PRAGMA application_id", -1, &st, NULL))
		return sql_err(s, "read", e);
	if (sqlite3_step(st) == SQLITE_ROW)
		id = sqlite3_column_int(st, 0);
	if (id && id != APPLICATION_ID)
		return err_set(e, ERR_INPUT, "%s is a database of another program: name another file with --state",
			       sqlite3_db_filename(s->db, "main"));
	return 0;
}

static const char schema[] =
	"PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA;"
	"BEGIN IMMEDIATE;"
	"PRAGMA application_id=1668641841; PRAGMA user_version=1;"
	"CREATE TABLE IF NOT EXISTS event(run TEXT NOT NULL, seq INTEGER NOT NULL,"
	" at INTEGER NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL, step TEXT NOT NULL,"
	" body TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL,"
	" PRIMARY KEY(run, seq)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS beat(run TEXT PRIMARY KEY, count INTEGER NOT NULL,"
	" holder TEXT NOT NULL) STRICT;"
	"COMMIT;";

static int has_schema(struct store *s)
{
	autostmt sqlite3_stmt *st = NULL;

	return !sqlite3_prepare_v2(s->db, "SELECT 1 FROM sqlite_master WHERE name='beat'", -1, &st, NULL) &&
	       sqlite3_step(st) == SQLITE_ROW;
}

static int prepare_file(struct store *s, struct err *e)
{
	sqlite3_busy_timeout(s->db, 5000);
	if (check_format(s, e))
		return -1;
	if (!has_schema(s))
		return exec(s, schema, e);
	return exec(s, "PRAGMA synchronous=EXTRA", e);
}

int store_open(const char *path, struct store **out, struct err *e)
{
	struct store *s = xcalloc(1, sizeof *s);
	pthread_mutexattr_t recursive;

	s->watch = -1;
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&s->lock, &recursive);
	pthread_mutexattr_destroy(&recursive);
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL)) {
		err_set(e, ERR_STORE, "cannot open the journal %s: %s", path, sqlite3_errmsg(s->db));
		store_close(s);
		return -1;
	}
	if (prepare_file(s, e)) {
		store_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->watch >= 0)
		close(s->watch);
	sqlite3_close(s->db);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* --- the chain ------------------------------------------------------------ */

static void hash_of(const struct event *ev, const char *prev, char out[65])
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

static int tail_of(struct store *s, const char *run, int64_t *seq, char hash[65], struct err *e)
{
	autostmt sqlite3_stmt *st = NULL;
	int rc;

	*seq = 0;
	hash[0] = '\0';
	if (sqlite3_prepare_v2(s->db, "SELECT seq, hash FROM event WHERE run=? ORDER BY seq DESC LIMIT 1",
			       -1, &st, NULL))
		return sql_err(s, "read", e);
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*seq = sqlite3_column_int64(st, 0);
		snprintf(hash, 65, "%s", (const char *)sqlite3_column_text(st, 1));
		return 0;
	}
	return rc == SQLITE_DONE ? 0 : sql_err(s, "read", e);
}

static int insert(struct store *s, const struct event *ev, const char *prev, struct err *e)
{
	autostmt sqlite3_stmt *st = NULL;
	const char *text[] = { ev->actor, ev->kind, ev->step, ev->body, prev };
	char hash[65];

	hash_of(ev, prev, hash);
	if (sqlite3_prepare_v2(s->db, "INSERT INTO event(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?)", -1, &st, NULL))
		return sql_err(s, "write", e);
	sqlite3_bind_text(st, 1, ev->run, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, ev->seq);
	sqlite3_bind_int64(st, 3, ev->at);
	for (int i = 0; i < 5; i++)
		sqlite3_bind_text(st, 4 + i, text[i], -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 9, hash, -1, SQLITE_STATIC);
	return sqlite3_step(st) == SQLITE_DONE ? 0 : sql_err(s, "write", e);
}

static int append_locked(struct store *s, const struct event *ev, struct err *e)
{
	char prev[65];
	int64_t last;

	if (tail_of(s, ev->run, &last, prev, e))
		return -1;
	if (ev->seq != last + 1)
		return err_set(e, ERR_MOVED, "the journal of run %s has moved on to line %lld", ev->run,
			       (long long)last);
	return insert(s, ev, prev, e);
}

int store_append(struct store *s, const struct event *ev, struct err *e)
{
	STORE_LOCKED(s);
	if (exec(s, "BEGIN IMMEDIATE", e))
		return -1;
	if (append_locked(s, ev, e) || exec(s, "COMMIT", e)) {
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return 0;
}

/* --- reading -------------------------------------------------------------- */

static char *column(sqlite3_stmt *st, int i)
{
	const char *p = (const char *)sqlite3_column_text(st, i);

	return (char *)(p ? p : "");
}

static struct event event_of(sqlite3_stmt *st)
{
	struct event ev = {
		.run = column(st, 0), .seq = sqlite3_column_int64(st, 1), .at = sqlite3_column_int64(st, 2),
		.actor = column(st, 3), .kind = column(st, 4), .step = column(st, 5), .body = column(st, 6),
	};

	snprintf(ev.prev, sizeof ev.prev, "%s", column(st, 7));
	snprintf(ev.hash, sizeof ev.hash, "%s", column(st, 8));
	return ev;
}

static int each_row(struct store *s, sqlite3_stmt *st, store_each_fn *each, void *ctx, struct err *e)
{
	int rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct event ev = event_of(st);

		if (each(ctx, &ev))
			return 0;
	}
	return rc == SQLITE_DONE ? 0 : sql_err(s, "read", e);
}

int store_read(struct store *s, const char *run, int64_t after, store_each_fn *each, void *ctx, struct err *e)
{
	STORE_LOCKED(s);
	autostmt sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, "SELECT " COLUMNS " FROM event WHERE run=? AND seq>? ORDER BY seq",
			       -1, &st, NULL))
		return sql_err(s, "read", e);
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, after);
	return each_row(s, st, each, ctx, e);
}

int store_last(struct store *s, const char *run, int64_t *seq, struct err *e)
{
	STORE_LOCKED(s);
	char hash[65];

	return tail_of(s, run, seq, hash, e);
}

int store_runs(struct store *s, store_each_fn *each, void *ctx, struct err *e)
{
	STORE_LOCKED(s);
	autostmt sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, "SELECT " COLUMNS " FROM event WHERE seq=1 ORDER BY at DESC, run DESC",
			       -1, &st, NULL))
		return sql_err(s, "read", e);
	return each_row(s, st, each, ctx, e);
}

struct find {
	const char *prefix;
	char *run;
	int hits;
};

static int find_one(void *ctx, const struct event *ev)
{
	struct find *f = ctx;
	bool exact = f->prefix && !strcmp(ev->run, f->prefix);

	if (f->prefix && strncmp(ev->run, f->prefix, strlen(f->prefix)))
		return 0;
	f->hits = exact ? 1 : f->hits + 1;
	if (exact || !f->run) {
		free(f->run);
		f->run = xstrdup(ev->run);
	}
	return exact || !f->prefix;
}

int store_find(struct store *s, const char *prefix, char **run, struct err *e)
{
	struct find f = { .prefix = prefix };
	autofree char *mine = NULL;

	if (store_runs(s, find_one, &f, e)) {
		free(f.run);
		return -1;
	}
	mine = f.run;
	if (!f.hits && prefix)
		return err_set(e, ERR_INPUT, "there is no run \"%s\" in %s: `cutover list` shows what there is",
			       prefix, sqlite3_db_filename(s->db, "main"));
	if (!f.hits)
		return err_set(e, ERR_INPUT, "there is no run in %s yet", sqlite3_db_filename(s->db, "main"));
	if (f.hits > 1)
		return err_set(e, ERR_INPUT, "%d runs begin with \"%s\": give more of the name", f.hits, prefix);
	*run = steal(&mine);
	return 0;
}

/* --- signs of life ---------------------------------------------------------- */

int store_beat(struct store *s, const char *run, const char *holder, struct err *e)
{
	STORE_LOCKED(s);
	autostmt sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, "INSERT INTO beat VALUES(?,1,?) ON CONFLICT(run) DO UPDATE"
			       " SET count=count+1, holder=excluded.holder", -1, &st, NULL))
		return sql_err(s, "write", e);
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, holder, -1, SQLITE_STATIC);
	return sqlite3_step(st) == SQLITE_DONE ? 0 : sql_err(s, "write", e);
}

int store_beats(struct store *s, const char *run, int64_t *count, struct err *e)
{
	STORE_LOCKED(s);
	autostmt sqlite3_stmt *st = NULL;

	*count = 0;
	if (sqlite3_prepare_v2(s->db, "SELECT count FROM beat WHERE run=?", -1, &st, NULL))
		return sql_err(s, "read", e);
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW)
		*count = sqlite3_column_int64(st, 0);
	return 0;
}

/* --- proof ------------------------------------------------------------------ */

struct verify {
	int64_t lines;
	char prev[65], why[160];
};

static int verify_line(void *ctx, const struct event *ev)
{
	struct verify *v = ctx;
	char hash[65];

	hash_of(ev, ev->prev, hash);
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

	if (store_read(s, run, 0, verify_line, &v, e))
		return -1;
	*lines = v.lines;
	return v.why[0] ? err_set(e, ERR_GATE, "the journal of run %s is broken: %s", run, v.why) : 0;
}

/* --- waking up ---------------------------------------------------------------- */

int store_watch_open(struct store *s)
{
	const char *path = sqlite3_db_filename(s->db, "main");
	int fd = path && *path ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;

	if (fd >= 0 && inotify_add_watch(fd, path, IN_MODIFY) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

void store_watch_drain(int fd)
{
	char junk[4096];

	while (fd >= 0 && read(fd, junk, sizeof junk) > 0)
		;
}

int store_watch_fd(struct store *s)
{
	if (s->watch < 0)
		s->watch = store_watch_open(s);
	return s->watch;
}

void store_watch_clear(struct store *s)
{
	store_watch_drain(s->watch);
}

/* store/sqlite.c - journals in one SQLite file: opening it, and what went wrong.
 *
 * Rollback journal, not WAL: SQLite 3.7.0 to 3.51.2 can lose commits when a
 * checkpoint and a write meet in WAL mode (sqlite.org/wal.html#walresetbug),
 * and Debian 12 ships 3.40. synchronous=EXTRA also syncs the folder, so that a
 * line that was said to be written is there after a power cut. */
#include "store/sqlite.h"

#include "base/buf.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPLICATION_ID 0x63757431 /* "cut1" */
#define FILE_FORMAT    1          /* user_version: the tables; what the lines mean, each run says itself */
#define PATIENCE_MS    5000       /* with a lock of somebody else's */

void store_unlock(pthread_mutex_t **lock) { pthread_mutex_unlock(*lock); }

const char *store_path(const struct store *s)
{
	const char *path = sqlite3_db_filename(s->db, "main");

	return path ? path : "";
}

/* --- what went wrong --------------------------------------------------------- */

/* SQLITE_ERROR: a table that was there is not. */
static enum err_kind sqlite_kind(int rc)
{
	if (rc == SQLITE_READONLY_DBMOVED)
		return ERR_DAMAGED;
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:
		return ERR_DAMAGED;
	default:
		return ERR_STORE;
	}
}

static const char *sqlite_errno_hint(int number)
{
	switch (number) {
	case ENOSPC:
	case EDQUOT:
	case 0:
		return ": make room on its disk";
	case EPERM:
		return ": the system forbids it (Operation not permitted): is it immutable? see `lsattr`";
	case EROFS:
		return ": its disk is mounted read-only";
	case EACCES:
		return ": this user may not (Permission denied)";
	default:
		return ": its disk reports an error";
	}
}

/* What a person can do about it. */
/* A process that is stopped in the middle of a commit keeps everybody out, for ever. */
static void sqlite_lock_hint(const char *path, char *out, size_t size)
{
	bool stopped;
	long pid;

	if (!store_locked_by(path, &pid, &stopped))
		snprintf(out, size, ": another program holds its lock; `fuser -v %.200s` names it", path);
	else if (stopped)
		snprintf(out, size, ": process %ld holds its lock and is stopped: `kill -CONT %ld` lets it go on, `kill -9 %ld` ends it, and the run can be taken over",
			 pid, pid, pid);
	else
		snprintf(out, size, ": process %ld holds its lock", pid);
}

static void sqlite_hint(struct store *s, int rc, char *out, size_t size)
{
	static const char until[] = "; nothing is sent to AWS until it can be written";

	out[0] = '\0';
	if (rc == SQLITE_READONLY_DBMOVED)
		snprintf(out, size, "; the file was moved or removed: nothing is sent to AWS until it is back");
	else if ((rc & 0xff) == SQLITE_FULL)
		snprintf(out, size, "%s: make room on its disk", until);
	else if ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN)
		snprintf(out, size, "%s%s", until, sqlite_errno_hint(sqlite3_system_errno(s->db)));
	else if ((rc & 0xff) == SQLITE_READONLY)
		snprintf(out, size, "%s", until);
	else if ((rc & 0xff) == SQLITE_BUSY)
		sqlite_lock_hint(store_path(s), out, size);
}

int store_sql_err(struct store *s, const char *doing, struct err *e)
{
	int rc = sqlite3_extended_errcode(s->db);
	char hint[320];

	sqlite_hint(s, rc, hint, sizeof hint);
	return err_set(e, sqlite_kind(rc), "cannot %s the journal %s: %s%s", doing, store_path(s), sqlite3_errmsg(s->db), hint);
}

int store_exec(struct store *s, const char *sql, struct err *e)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) ? store_sql_err(s, "use", e) : 0;
}

char *store_column(sqlite3_stmt *st, int i)
{
	const char *p = (const char *)sqlite3_column_text(st, i);

	return (char *)(p ? p : "");
}

/* --- opening ------------------------------------------------------------------- */

static int sqlite_pragma(struct store *s, const char *sql, int *value, struct err *e)
{
	autostmt sqlite3_stmt *st = NULL;

	*value = 0;
	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) || sqlite3_step(st) != SQLITE_ROW)
		return store_sql_err(s, "read", e);
	*value = sqlite3_column_int(st, 0);
	return 0;
}

static int sqlite_check_format(struct store *s, struct err *e)
{
	int id, format;

	if (sqlite_pragma(s, "PRAGMA application_id", &id, e) || sqlite_pragma(s, "PRAGMA user_version", &format, e)) {
		if (e->kind == ERR_DAMAGED) /* it never was ours */
			e->kind = ERR_INPUT;
		return -1;
	}
	if (id && id != APPLICATION_ID)
		return err_set(e, ERR_INPUT, "%s is a database of another program: name another file with --state", store_path(s));
	if (id && format > FILE_FORMAT)
		return err_set(e, ERR_GATE, "%s is a journal of a newer cutover (file format %d; this one knows %d): use that program",
			       store_path(s), format, FILE_FORMAT);
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

/* That it cannot be read does not mean that it is not there. */
static int sqlite_has_schema(struct store *s, bool *has, struct err *e)
{
	autostmt sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "SELECT 1 FROM sqlite_master WHERE name='beat'", -1, &st, NULL);

	if (rc)
		return store_sql_err(s, "read", e);
	rc = sqlite3_step(st);
	*has = rc == SQLITE_ROW;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_sql_err(s, "read", e);
}

static int sqlite_no_runs(const char *path, struct err *e)
{
	return err_set(e, ERR_GONE, "there are no runs in %s: `cutover start` makes it; --state or CUTOVER_STATE names another journal", path);
}

static int sqlite_prepare_file(struct store *s, bool make, struct err *e)
{
	bool has = false;

	sqlite3_busy_timeout(s->db, PATIENCE_MS);
	if (sqlite_check_format(s, e) || sqlite_has_schema(s, &has, e))
		return -1;
	if (!has && !make)
		return sqlite_no_runs(store_path(s), e);
	return store_exec(s, has ? "PRAGMA synchronous=EXTRA" : schema, e);
}

/* The mode of SQLite's own journal beside it follows the file's. A file of an
 * older program is tightened without a word by its owner, or by root; for
 * others that fails, and is the owner's matter. By path, not by descriptor:
 * closing one would drop the locks this process has on the file. */
static void sqlite_make_private(const char *path)
{
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || !(st.st_mode & 077))
		return;
	if (chmod(path, st.st_mode & 0700))
		errno = 0;
}

static int sqlite_make_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EEXIST ? 0 : err_set(e, ERR_STORE, "cannot make the journal %s: %s", path, strerror(errno));
	fchmod(fd, 0600); /* whatever the umask took */
	close(fd);
	return 0;
}

static int sqlite_ready_path(const char *path, bool make, struct err *e)
{
	if (!strcmp(path, ":memory:"))
		return 0;
	if (make && sqlite_make_file(path, e))
		return -1;
	if (!make && access(path, F_OK) && errno == ENOENT)
		return sqlite_no_runs(path, e);
	sqlite_make_private(path);
	return 0;
}

static struct store *sqlite_new(void)
{
	struct store *s = xcalloc(1, sizeof *s);

	s->watch = -1;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

static int sqlite_open(const char *path, bool make, struct store **out, struct err *e)
{
	autostore struct store *s = sqlite_new();

	if (sqlite_ready_path(path, make, e))
		return -1;
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL))
		return err_set(e, ERR_STORE, "cannot open the journal %s: %s%s", path, sqlite3_errmsg(s->db),
			       access(path, R_OK) && errno == EACCES ? " (it is private: only the user who began its runs, and root, may)" : "");
	if (sqlite_prepare_file(s, make, e))
		return -1;
	*out = steal(&s);
	return 0;
}

int store_open(const char *path, struct store **out, struct err *e)
{
	return sqlite_open(path, true, out, e);
}

int store_open_existing(const char *path, struct store **out, struct err *e)
{
	return sqlite_open(path, false, out, e);
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

/* --- another file in its place --------------------------------------------------- */

void store_become(struct store *s, struct store *other)
{
	sqlite3 *was;

	pthread_mutex_lock(&s->lock);
	was = s->db;
	s->db = other->db;
	other->db = was;
	if (s->watch >= 0 && *store_path(s))
		inotify_add_watch(s->watch, store_path(s), IN_MODIFY);
	pthread_mutex_unlock(&s->lock);
	store_close(other);
}

int store_reopen(struct store *s, struct err *e)
{
	autofree char *path = xstrdup(store_path(s));
	struct store *again;

	if (!*path)
		return 0;
	if (store_open_existing(path, &again, e))
		return -1;
	store_become(s, again);
	return 0;
}

bool store_has_moved(struct store *s)
{
	STORE_LOCKED(s);
	int moved = 0;

	return sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
}

/* --- waking up ---------------------------------------------------------------- */

int store_watch_open(struct store *s)
{
	const char *path = store_path(s);
	int fd = *path ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;

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

/* store/said.c - what a driver last said of its run, beside its signs of life:
 * outside the chain, since it is said again. */
#include "store/sqlite.h"

#include "base/buf.h"
#include "base/err.h"

#include <stdio.h>

static const char said_table[] =
	"CREATE TABLE IF NOT EXISTS said(run TEXT PRIMARY KEY, holder TEXT NOT NULL, step TEXT NOT NULL,"
	" text TEXT NOT NULL, next INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;";
#define SAID_PUT "INSERT OR REPLACE INTO said VALUES(?,?,?,?,?,?)"

int store_say(struct store *s, const char *run, const struct store_said *said, struct err *e)
{
	STORE_LOCKED(s);
	autostmt sqlite3_stmt *st = NULL;

	/* A journal that an older program has begun. */
	if (sqlite3_prepare_v2(s->db, SAID_PUT, -1, &st, NULL) &&
	    (store_exec(s, said_table, e) || sqlite3_prepare_v2(s->db, SAID_PUT, -1, &st, NULL)))
		return store_sql_err(s, "write", e);
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, said->holder, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, said->step, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, said->text, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 5, said->next);
	sqlite3_bind_int64(st, 6, said->at);
	return sqlite3_step(st) == SQLITE_DONE ? 0 : store_sql_err(s, "write", e);
}

bool store_said(struct store *s, const char *run, struct store_said *out)
{
	STORE_LOCKED(s);
	autostmt sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, "SELECT holder, step, text, next, at FROM said WHERE run=?", -1, &st, NULL))
		return false;
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	if (sqlite3_step(st) != SQLITE_ROW)
		return false;
	snprintf(out->holder, sizeof out->holder, "%s", store_column(st, 0));
	snprintf(out->step, sizeof out->step, "%s", store_column(st, 1));
	snprintf(out->text, sizeof out->text, "%s", store_column(st, 2));
	out->next = sqlite3_column_int64(st, 3);
	out->at = sqlite3_column_int64(st, 4);
	return true;
}

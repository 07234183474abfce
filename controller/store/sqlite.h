/* store/sqlite.h - what the store's files share with each other only. */
#ifndef CUTOVER_STORE_SQLITE_H
#define CUTOVER_STORE_SQLITE_H

#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>

struct store {
	sqlite3 *db;
	int watch;
	pthread_mutex_t lock; /* one operation at a time; never held while somebody is called back */
};

void store_unlock(pthread_mutex_t **lock);
/* Held until the function ends. */
#define STORE_LOCKED(s) \
	__attribute__((cleanup(store_unlock))) pthread_mutex_t *locked = &(s)->lock; \
	pthread_mutex_lock(locked)

static inline void store_stmt_free(sqlite3_stmt **st) { sqlite3_finalize(*st); }
#define autostmt __attribute__((cleanup(store_stmt_free)))

int store_sql_err(struct store *s, const char *doing, struct err *e);
int store_exec(struct store *s, const char *sql, struct err *e);
char *store_column(sqlite3_stmt *st, int i); /* never NULL */

#define STORE_COLUMNS "run, seq, at, actor, kind, step, body, prev, hash"
struct event store_event(sqlite3_stmt *st); /* of a row of STORE_COLUMNS; lent until the next step */
void store_hash(const struct event *ev, const char *prev, char out[65]);
/* locked.c: who holds the lock of the journal at path; false: nobody, or /proc does not say. */
bool store_locked_by(const char *path, long *pid, bool *stopped);
#endif

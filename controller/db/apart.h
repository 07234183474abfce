/* db/apart.h - one job with databases in a thread of its own, while the caller
 * goes on: to read a large wiki's rows takes minutes, to find a name, to greet
 * and to log in as long as the other side likes, and who has traffic to watch
 * and orders to obey has seconds. */
#ifndef CUTOVER_DB_APART_H
#define CUTOVER_DB_APART_H

#include "db/db.h"

struct db_apart;
/* What the thread does with ctx, and what is done with ctx when nobody wants it
 * any more. Both may be called in the thread, so ctx shares nothing with others:
 * of a login, db_login_token() was asked before. */
struct db_job {
	int (*ask)(void *ctx, struct err *e);
	void (*discard)(void *ctx);
};
/* Takes ctx; when no thread can be made (ERR_BUSY) it is discarded. */
int db_apart_start(const struct db_job *job, void *ctx, struct db_apart **out, struct err *e);
/* Is the job over? Waits for that at most wait_ms of real time. */
bool db_apart_over(struct db_apart *a, int wait_ms);
/* Of a job that is over: what ask() returned, and ctx, which is the caller's again. */
int db_apart_end(struct db_apart **a, void **ctx, struct err *e);
/* Nobody wants the answer: what the thread waits for ends within a fifth of a
 * second, its connections are closed and ctx is discarded. Waits for that half a
 * second at most: who looks up a name or computes is left to himself, and
 * discards what he has when he is done. */
void db_apart_leave(struct db_apart **a);
#endif

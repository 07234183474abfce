/* db/apart.h - one job with a connection in a thread of its own, while the caller
 * goes on: to read a large wiki's rows takes minutes, and who has traffic to
 * watch and orders to obey has seconds. */
#ifndef CUTOVER_DB_APART_H
#define CUTOVER_DB_APART_H

#include "db/db.h"

struct db_apart;
typedef int db_apart_fn(void *ctx, struct db *d, struct err *e);
/* Takes the connection, also when it fails. `ctx` belongs to the job until db_apart_end(). */
int db_apart_start(struct db **d, db_apart_fn *job, void *ctx, struct db_apart **out, struct err *e);
/* Is the job over? Waits for that at most wait_ms of real time. */
bool db_apart_over(struct db_apart *a, int wait_ms);
/* What the job returned. One that is not over loses its connection first, and
 * ends within a fifth of a second, unless it computes. Closes the connection. */
int db_apart_end(struct db_apart **a, struct err *e);
#endif

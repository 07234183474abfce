/* db/replica.h - how far a copy follows its source by binlog, and the one
 * change that this program makes in a database: the copy stops to follow.
 *
 * "No lag" of the server means that nothing it has fetched is left to apply; it
 * says nothing of what it has not fetched. So the proof is a position: the
 * source's, read when nobody writes any more, and what the copy has applied. */
#ifndef CUTOVER_DB_REPLICA_H
#define CUTOVER_DB_REPLICA_H

#include "db/db.h"

struct db_position {
	char file[128]; /* "mysql-bin.000042"; "": the server writes no binlog */
	uint64_t at;
};
/* Is what `done` says at or behind `want` in the log? Files of other names: no. */
bool db_position_reached(const struct db_position *done, const struct db_position *want);
bool db_position_same(const struct db_position *a, const struct db_position *b);

/* Where the server's own binlog ends. ERR_DENIED names the right that is missing. */
int db_position(struct db *d, struct db_position *out, struct err *e);
/* Transactions of others that were open `older_s` seconds ago already: they may
 * still write, whatever the wiki says now. ERR_BUSY: the server's list is old. */
int db_open_since(struct db *d, int64_t older_s, int64_t *n, struct err *e);
/* Those that have changed rows and not ended: what they wrote is in no log yet.
 * counts (db/binlog.h): of sessions in its databases, or in none; NULL: of all. */
int db_open_writers(struct db *d, const json_t *counts, int64_t *n, struct err *e);
const char *db_log_status(const struct db *d); /* the statement that says where its binlog ends */

struct db_replica {
	bool follows;               /* it is set up to; everything else is only then of use */
	bool fetches, applies;      /* its two threads run */
	int64_t lag_s;              /* -1: the server does not know */
	struct db_position done;    /* of the source's binlog, applied */
	char source[128];           /* host it follows */
	char error[300];            /* of either thread, "" none */
};
/* ERR_INPUT when it follows several sources. */
int db_replica(struct db *d, struct db_replica *out, struct err *e);
/* Stops following and forgets the source, so that no restart resumes it: RDS's
 * stored procedures where the server has them (UserGuide/
 * mysql-stored-proc-replicating.html), else the server's own statements. Done
 * again it does nothing. ERR_UNSURE: it may have been done; look again. */
int db_replica_detach(struct db *d, struct err *e);
#endif

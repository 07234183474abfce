/* db/binlog.h - what was written to a server since a place in its binlog.
 *
 * Written means: events that change tables which count. That the log's end has
 * moved says nothing: RDS begins a new file every five minutes and writes
 * mysql.rds_heartbeat2 by itself. The log is read by SHOW BINLOG EVENTS, from
 * `since` on, file by file.
 *
 * What it does not tell: writes of a session that has switched its log off
 * (sql_log_bin=0, which takes an administrator's right), and a transaction that
 * has not ended yet (db_open_writers, db/replica.h). The log has no times that
 * SQL shows: when something was written is known by who looks again and again.
 *
 * Of a row event the table is known, of a statement only the databases it names:
 * it counts when one of them has anything that counts. */
#ifndef CUTOVER_DB_BINLOG_H
#define CUTOVER_DB_BINLOG_H

#include "db/replica.h"

/* Who tells of the log: a server, or the simulated world. Rows are as the server
 * names their columns; caller frees. */
struct binlog {
	int (*status)(void *ctx, json_t **rows, struct err *e); /* SHOW MASTER STATUS */
	int (*files)(void *ctx, json_t **rows, struct err *e);  /* SHOW BINARY LOGS */
	/* SHOW BINLOG EVENTS IN from->file FROM from->at LIMIT most */
	int (*events)(void *ctx, const struct db_position *from, int most, json_t **rows, struct err *e);
	void *ctx;
};
struct binlog binlog_of(struct db *d);

struct binlog_written {
	struct db_position upto; /* all before it was read */
	bool whole;              /* that is where the log ends now; else ask again from there */
	size_t events;           /* read */
	json_t *tables;          /* {"wiki.page": 3, "wiki": 1}: how often written; a database for a statement */
	char statement[120];     /* the first one that counts; "" none */
};
void binlog_written_free(struct binlog_written *w);
#define autowritten __attribute__((cleanup(binlog_written_free)))

/* counts: ["wiki", "shared.user", "farm.en_*"], or NULL for every database but
 * the server's own (mysql, sys, information_schema, performance_schema).
 * ERR_GATE: it cannot be known, and why (no binlog, the file is gone, what counts
 * is left out of it, an event that is not understood). ERR_DENIED names the right. */
int binlog_written_since(const struct binlog *b, const struct db_position *since, const json_t *counts,
			 struct binlog_written *out, struct err *e);
/* ERR_GATE: the server has, or shows us, no such database: nothing of it would ever
 * be seen to be written. */
int binlog_knows(struct db *d, const json_t *counts, struct err *e);
/* "database", "database.table", "database.begins_so*"? For a plan's check. */
bool binlog_is_name(const char *counts);
/* "3 writes (wiki.page 2, wiki.revision 1)"; caller frees. */
char *binlog_say(const struct binlog_written *w);
#endif

/* db/health.h - is a database fit for a cutover? A table of checks, one SQL each.
 *
 * A check asks one question and gets one number (or NULL), which is compared
 * with a threshold; the dialects of MariaDB, MySQL 8 (Aurora 3) and MySQL 9
 * stand beside each other in the table (db/health_table.c). What cannot be
 * asked (no rights, no such variable) is DB_UNKNOWN, and unknown is never good. */
#ifndef CUTOVER_DB_HEALTH_H
#define CUTOVER_DB_HEALTH_H

#include "db/db.h"

enum db_role { DB_WRITER, DB_READER, DB_ANY };
enum db_verdict { DB_GOOD, DB_NOTE, DB_UNKNOWN, DB_BAD }; /* worse is greater */
const char *db_verdict_name(enum db_verdict v);

/* What is asked of a server. DB_HEALTH_DEFAULTS first, then what the plan says. */
struct db_thresholds {
	enum db_role role;         /* a reader given as writer is BAD, and the other way round */
	bool replica;              /* it must be a replica */
	int64_t max_lag_s;         /* of a replica; the server's NULL counts as infinite */
	int64_t max_trx_s;         /* age of the oldest open transaction */
	int64_t max_ddl_waits;     /* sessions that wait for a metadata lock */
	int64_t min_headroom_pm;   /* per mille of an auto_increment's range that is free */
	int64_t min_free_conns;    /* max_connections less those connected */
	bool need_binlog;          /* log_bin, binlog_format=ROW, binlog_row_image=FULL */
	bool need_ddl_rights;      /* the login itself may create, alter, index and drop */
};
#define DB_HEALTH_DEFAULTS { .role = DB_WRITER, .max_lag_s = 5, .max_trx_s = 60, .max_ddl_waits = 0, \
			     .min_headroom_pm = 100, .min_free_conns = 10 }

/* Looks at one server, and at the tables of `database` (NULL: at the server
 * only). Appends to `rows`: {"check", "verdict": "good|note|unknown|bad",
 * "value": number or null, "limit": number or null, "fact": sentence}, for the
 * journal and the screen. *worst is raised to the worst of them. -1 only when
 * the connection is lost or busy: then nothing is known. */
int db_health(struct db *d, const char *database, const struct db_thresholds *t, json_t *rows,
	      enum db_verdict *worst, struct err *e);
/* The checks of tables only: for each further wiki of a farm. */
int db_health_tables(struct db *d, const char *database, const struct db_thresholds *t, json_t *rows,
		     enum db_verdict *worst, struct err *e);
bool db_health_has(const char *check); /* is there one of this name? */
/* The table, for documentation: [{"check", "about", "mariadb", "mysql", "mysql9"}]; caller frees. */
json_t *db_health_table(void);
#endif

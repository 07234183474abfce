/* db/health_table.h - one check of a database's health is one row. */
#ifndef CUTOVER_DB_HEALTH_TABLE_H
#define CUTOVER_DB_HEALTH_TABLE_H

#include "db/health.h"

enum db_dialect { SQL_MARIADB, SQL_MYSQL8, SQL_MYSQL9, SQL_DIALECTS };

enum db_check_when { /* else it is left out */
	WHEN_ALWAYS,
	WHEN_TABLES,  /* a database is named */
	WHEN_AURORA,
	WHEN_DDL,     /* the login must be able to change tables */
	WHEN_BINLOG,  /* a binlog is needed */
};

enum db_check_bound {
	BOUND_TELL,   /* no limit: for the record */
	BOUND_MOST,   /* the limit itself is still good */
	BOUND_LEAST,
	BOUND_EQUAL,
};

struct db_check {
	const char *id, *about;  /* "replication lag" */
	const char *unit;        /* " s"; "" */
	enum db_check_when when;
	/* Rows whose first column is the number; of more rows the worst counts.
	 * A second column is a text for people. NULL: as for the dialect before. */
	const char *sql[SQL_DIALECTS];
	const char *value[SQL_DIALECTS]; /* name of the column, where SHOW has its own; NULL: the first */
	enum db_check_bound bound;
	/* False: no limit applies, only tell. */
	bool (*limit)(const struct db_thresholds *t, int64_t *limit);
	enum db_verdict beyond;  /* what it is past the limit */
	enum db_verdict null;    /* what NULL is; GOOD: as 0 */
	enum db_verdict none;    /* what no row is; GOOD: left out */
	const char *advice;      /* follows the fact when it is not good */
};
const struct db_check *db_checks(size_t *n);
#endif

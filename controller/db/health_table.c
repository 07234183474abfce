/* The checks. Differences between servers were measured on MariaDB 10.11 and
 * MySQL 9.7; Aurora MySQL 3 is MySQL 8.0 (AuroraMySQLReleaseNotes). */
#include "db/health_table.h"

#include "base/buf.h"

/* --- limits --- */

static bool wanted_role(const struct db_thresholds *t, int64_t *limit)
{
	*limit = t->role == DB_READER;
	return t->role != DB_ANY;
}

static bool lag(const struct db_thresholds *t, int64_t *limit)
{
	*limit = t->max_lag_s;
	return true;
}

static bool trx(const struct db_thresholds *t, int64_t *limit)
{
	*limit = t->max_trx_s;
	return true;
}

static bool ddl_waits(const struct db_thresholds *t, int64_t *limit)
{
	*limit = t->max_ddl_waits;
	return true;
}

static bool headroom(const struct db_thresholds *t, int64_t *limit)
{
	*limit = t->min_headroom_pm;
	return true;
}

static bool free_conns(const struct db_thresholds *t, int64_t *limit)
{
	*limit = t->min_free_conns;
	return true;
}

static bool binlog(const struct db_thresholds *t, int64_t *limit)
{
	*limit = 3;
	return t->need_binlog;
}

static bool zero(const struct db_thresholds *t, int64_t *limit)
{
	(void)t;
	*limit = 0;
	return true;
}

static bool one(const struct db_thresholds *t, int64_t *limit)
{
	(void)t;
	*limit = 1;
	return true;
}

static bool four(const struct db_thresholds *t, int64_t *limit)
{
	(void)t;
	*limit = 4;
	return true;
}

/* --- SQL --- */

/* read_only is a number, from MariaDB 12 on a word. An Aurora reader has
 * innodb_read_only=1 (Aurora.Overview.Endpoints, "determining which instance"). */
#define READ_ONLY "SELECT IF(@@global.read_only IN ('0', 'OFF') AND @@global.innodb_read_only=0, 0, 1), " \
		  "CONCAT('read_only=', @@global.read_only, ' innodb_read_only=', @@global.innodb_read_only)"

/* Without PROCESS the process list is one's own sessions only, and would look
 * empty; innodb_trx refuses then (1227), so that the check is unknown. */
#define PROVE_PROCESS "(SELECT COUNT(*) FROM information_schema.innodb_trx) >= 0"
#define WAITING(processlist) "SELECT COUNT(*), GROUP_CONCAT(id ORDER BY id) FROM " processlist \
			     " WHERE state LIKE 'Waiting for table metadata lock%' AND " PROVE_PROCESS

#define TABLES_OF "information_schema.tables t WHERE t.table_schema=DATABASE() AND t.table_type='BASE TABLE'"
#define NAMES_OF(n) "LEFT(GROUP_CONCAT(" n " ORDER BY " n " SEPARATOR ', '), 200)"

/* Literals, since max*2 is out of BIGINT's range (1690). */
#define LARGEST "CASE WHEN c.column_type LIKE 'tinyint%unsigned%' THEN 255 WHEN c.column_type LIKE 'tinyint%' THEN 127 " \
		"WHEN c.column_type LIKE 'smallint%unsigned%' THEN 65535 WHEN c.column_type LIKE 'smallint%' THEN 32767 " \
		"WHEN c.column_type LIKE 'mediumint%unsigned%' THEN 16777215 WHEN c.column_type LIKE 'mediumint%' THEN 8388607 " \
		"WHEN c.column_type LIKE 'int%unsigned%' THEN 4294967295 WHEN c.column_type LIKE 'int%' THEN 2147483647 " \
		"WHEN c.column_type LIKE 'bigint%unsigned%' THEN 18446744073709551615 ELSE 9223372036854775807 END"
#define FREE "GREATEST(0, 1000 - CEIL(1000 * COALESCE(t.auto_increment, 1) / " LARGEST "))"

/* MariaDB looks at one database only where each table is compared with a constant:
 * "t.table_schema=c.table_schema" would make it open every table of the server. */

/* Grants to this account itself; what it has by a role is in neither view. */
#define ME "CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')"
#define RIGHTS(which) "SELECT COUNT(DISTINCT privilege_type) FROM (SELECT privilege_type FROM information_schema.user_privileges " \
		      "WHERE grantee=" ME " UNION ALL SELECT privilege_type FROM information_schema.schema_privileges " \
		      "WHERE grantee=" ME " AND DATABASE() LIKE table_schema) p WHERE privilege_type IN (" which ")"

#define BINLOG "SELECT (@@global.log_bin=1) + (@@global.binlog_format='ROW') + (@@global.binlog_row_image='FULL'), " \
	       "CONCAT('log_bin=', @@global.log_bin, ' binlog_format=', @@global.binlog_format, ' binlog_row_image=', " \
	       "@@global.binlog_row_image)"

static const struct db_check checks[] = {
	{ .id = "role", .about = "writer (0) or reader (1)", .unit = "",
	  .sql = { READ_ONLY }, .bound = BOUND_EQUAL, .limit = wanted_role, .beyond = DB_BAD, .null = DB_UNKNOWN,
	  .none = DB_UNKNOWN, .advice = "is this the right endpoint? A cluster's name may still lead to the old writer after a failover" },
	{ .id = "lag", .about = "replication lag", .unit = " s",
	  .sql = { "SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS" },
	  .value = { "Seconds_Behind_Master", "Seconds_Behind_Source" },
	  .bound = BOUND_MOST, .limit = lag, .beyond = DB_BAD, .null = DB_BAD, .none = DB_GOOD,
	  .advice = "NULL means that replication does not run, which counts as infinite" },
	{ .id = "aurora-lag", .about = "lag of the cluster's slowest reader", .unit = " s", .when = WHEN_AURORA,
	  .sql = { "", "SELECT CEIL(MAX(replica_lag_in_milliseconds) / 1000) FROM information_schema.replica_host_status "
		   "WHERE session_id <> 'MASTER_SESSION_ID'" },
	  .bound = BOUND_MOST, .limit = lag, .beyond = DB_BAD, .null = DB_GOOD, .none = DB_GOOD },
	{ .id = "transactions", .about = "age of the oldest open transaction", .unit = " s",
	  .sql = { "SELECT MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())), "
		   "CONCAT('thread ', SUBSTRING_INDEX(GROUP_CONCAT(trx_mysql_thread_id ORDER BY trx_started), ',', 1)) "
		   "FROM information_schema.innodb_trx" },
	  .bound = BOUND_MOST, .limit = trx, .beyond = DB_BAD, .null = DB_GOOD, .none = DB_UNKNOWN,
	  .advice = "changes of tables would wait for it, and everybody else behind them" },
	{ .id = "waiting-ddl", .about = "sessions that wait for a metadata lock", .unit = "",
	  .sql = { WAITING("information_schema.processlist"), NULL, WAITING("performance_schema.processlist") },
	  .bound = BOUND_MOST, .limit = ddl_waits, .beyond = DB_BAD, .null = DB_UNKNOWN, .none = DB_UNKNOWN,
	  .advice = "somebody changes a table right now" },
	{ .id = "connections", .about = "free connections", .unit = "",
	  .sql = { "SELECT @@global.max_connections - CAST(variable_value AS SIGNED) FROM information_schema.global_status "
		   "WHERE variable_name='Threads_connected'",
		   "SELECT @@global.max_connections - CAST(variable_value AS SIGNED) FROM performance_schema.global_status "
		   "WHERE variable_name='Threads_connected'" },
	  .bound = BOUND_LEAST, .limit = free_conns, .beyond = DB_BAD, .null = DB_UNKNOWN, .none = DB_UNKNOWN,
	  .advice = "green's processes need theirs while blue still has its own" },
	{ .id = "binlog", .about = "binlog on, by row, with whole rows (3 of 3)", .unit = "",
	  .sql = { BINLOG }, .bound = BOUND_LEAST, .limit = binlog, .beyond = DB_BAD, .null = DB_UNKNOWN, .none = DB_UNKNOWN,
	  .advice = "a copy that follows needs all three: set them in the cluster's parameter group" },
	{ .id = "binlog-events", .about = "right to read the binlog (where its first event ends)", .unit = "", .when = WHEN_BINLOG,
	  .sql = { "SHOW BINLOG EVENTS LIMIT 1" }, .value = { "End_log_pos" },
	  .bound = BOUND_LEAST, .limit = one, .beyond = DB_UNKNOWN, .null = DB_UNKNOWN, .none = DB_UNKNOWN,
	  .advice = "without it nobody can know what is written after the copy is cut off: grant REPLICATION SLAVE (MariaDB: BINLOG MONITOR)" },
	{ .id = "read-rights", .about = "right to read the whole database (1)", .unit = "", .when = WHEN_TABLES,
	  .sql = { RIGHTS("'SELECT'") }, .bound = BOUND_LEAST, .limit = one, .beyond = DB_NOTE, .null = DB_UNKNOWN,
	  .none = DB_UNKNOWN, .advice = "rights by a role cannot be seen; a table that may not be read looks as if it were missing" },
	{ .id = "ddl-rights", .about = "rights to create, alter, index and drop (4)", .unit = "", .when = WHEN_DDL,
	  .sql = { RIGHTS("'CREATE', 'ALTER', 'INDEX', 'DROP'") }, .bound = BOUND_LEAST, .limit = four, .beyond = DB_UNKNOWN,
	  .null = DB_UNKNOWN, .none = DB_UNKNOWN, .advice = "update.php ends with an error without them; rights by a role cannot be seen" },
	{ .id = "auto-increment", .about = "free part of the fullest auto_increment", .unit = " per mille", .when = WHEN_TABLES,
	  .sql = { "SELECT " FREE ", CONCAT(t.table_name, '.', c.column_name) FROM information_schema.columns c "
		   "JOIN information_schema.tables t ON t.table_name=c.table_name "
		   "WHERE c.table_schema=DATABASE() AND t.table_schema=DATABASE() AND c.extra LIKE '%auto_increment%' "
		   "ORDER BY 1 LIMIT 1" },
	  .bound = BOUND_LEAST, .limit = headroom, .beyond = DB_BAD, .null = DB_UNKNOWN, .none = DB_GOOD,
	  .advice = "when it is full, inserts fail" },
	{ .id = "primary-keys", .about = "tables without primary key", .unit = "", .when = WHEN_TABLES,
	  .sql = { "SELECT COUNT(*), " NAMES_OF("t.table_name") " FROM " TABLES_OF " AND t.table_name NOT IN (SELECT k.table_name FROM "
		   "information_schema.statistics k WHERE k.table_schema=DATABASE() AND k.index_name='PRIMARY')" },
	  .bound = BOUND_MOST, .limit = zero, .beyond = DB_NOTE, .null = DB_UNKNOWN, .none = DB_UNKNOWN,
	  .advice = "replication by row is slow on them; MediaWiki 1.39 to 1.43 has oldimage, querycache, querycachetwo and user_newtalk so" },
	{ .id = "engines", .about = "tables that are not InnoDB", .unit = "", .when = WHEN_TABLES,
	  .sql = { "SELECT COUNT(*), " NAMES_OF("CONCAT(t.table_name, ' ', t.engine)") " FROM " TABLES_OF " AND t.engine<>'InnoDB'" },
	  .bound = BOUND_MOST, .limit = zero, .beyond = DB_NOTE, .null = DB_UNKNOWN, .none = DB_UNKNOWN,
	  .advice = "they have no transactions; MediaWiki's searchindex is MyISAM" },
	{ .id = "charsets", .about = "collations among the InnoDB tables", .unit = "", .when = WHEN_TABLES,
	  .sql = { "SELECT COUNT(DISTINCT t.table_collation), " "GROUP_CONCAT(DISTINCT t.table_collation ORDER BY t.table_collation SEPARATOR ', ')" " FROM " TABLES_OF
		   " AND t.engine='InnoDB'" },
	  .bound = BOUND_MOST, .limit = one, .beyond = DB_NOTE, .null = DB_UNKNOWN, .none = DB_UNKNOWN,
	  .advice = "tables of one wiki should have one" },
};

const struct db_check *db_checks(size_t *n)
{
	*n = COUNT(checks);
	return checks;
}

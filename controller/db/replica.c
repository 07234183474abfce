#include "db/replica.h"

#include "db/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NEW_WORDS 80022    /* MySQL: SHOW REPLICA STATUS, STOP REPLICA */
#define NEW_LOG_WORDS 80200 /* MySQL: SHOW BINARY LOG STATUS */
#define CHANGE_MS 10000     /* to stop following waits for the transaction that is being applied */

/* --- positions ------------------------------------------------------------------------ */

/* "mysql-bin.000042" -> 42, and the length of what stands before the point. */
static bool split(const char *file, size_t *base, unsigned long *n)
{
	const char *dot = strrchr(file, '.');
	char *end;

	if (!dot || !dot[1])
		return false;
	*base = (size_t)(dot - file);
	*n = strtoul(dot + 1, &end, 10);
	return !*end;
}

bool db_position_same(const struct db_position *a, const struct db_position *b)
{
	return !strcmp(a->file, b->file) && a->at == b->at;
}

bool db_position_reached(const struct db_position *done, const struct db_position *want)
{
	unsigned long has = 0, needs = 0;
	size_t a = 0, b = 0;

	if (!split(done->file, &a, &has) || !split(want->file, &b, &needs) || a != b || memcmp(done->file, want->file, a))
		return false;
	return has != needs ? has > needs : done->at >= want->at;
}

static bool is_mysql_since(const struct db *d, int version)
{
	return d->server.flavour == DB_MYSQL && d->server.version >= version;
}

/* The first of the names that the row has; "" for NULL and for none. */
static const char *field(const json_t *row, const char *new_name, const char *old_name)
{
	const char *v = json_str(row, new_name, NULL);

	return v ? v : json_str(row, old_name, "");
}

static void read_position(struct db_position *p, const char *file, const char *at)
{
	snprintf(p->file, sizeof p->file, "%.120s", file);
	p->at = strtoull(at, NULL, 10);
}

static int say_right(struct err *e, const char *right)
{
	return e->kind == ERR_DENIED ? err_wrap(e, "this needs the right %s", right) : -1;
}

const char *db_log_status(const struct db *d)
{
	return is_mysql_since(d, NEW_LOG_WORDS) ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS";
}

int db_position(struct db *d, struct db_position *out, struct err *e)
{
	autojson json_t *rows = NULL;
	const json_t *row;

	*out = (struct db_position){ 0 };
	if (db_json(d, db_log_status(d), NULL, &rows, e))
		return say_right(e, "REPLICATION CLIENT (BINLOG MONITOR on MariaDB)");
	row = json_array_get(rows, 0);
	if (row)
		read_position(out, field(row, "File", "File"), field(row, "Position", "Position"));
	return 0;
}

/* InnoDB answers from a copy that it makes anew only when nobody has read it for
 * 0.1 s (CACHE_MIN_IDLE_TIME_NS, storage/innobase/trx/trx0i_s.cc): with somebody
 * who reads more often, the copy stays as it is. Our own transaction is the
 * witness: a list without it, or with an older one of ours, is not of now. */
static int count_open(struct db *d, const char *which, int64_t *n, struct err *e)
{
	autofree char *sql = xasprintf(
		"SELECT IF(SUM(trx_mysql_thread_id = CONNECTION_ID() AND trx_started >= NOW() - INTERVAL 1 SECOND), "
		"SUM(trx_mysql_thread_id NOT IN (0, CONNECTION_ID()) AND %s), "
		"NULL) FROM information_schema.innodb_trx", which);
	bool old;

	if (db_number(d, sql, n, &old, e))
		return say_right(e, "PROCESS");
	if (old)
		return err_set(e, ERR_BUSY, "%s answers with an old list of transactions: somebody else reads "
			       "information_schema.innodb_trx more than ten times a second, end that", d->name);
	return 0;
}

/* A statement without rows that changes nothing. */
static int tell(struct db *d, const char *sql, struct err *e)
{
	int rc;

	deadline_set(now_ms() + d->statement_ms);
	rc = mysql_query(d->my, sql) ? refusal_query(d, e) : 0;
	deadline_set(0);
	return rc;
}

static int look_at_open(struct db *d, const char *which, int64_t *n, struct err *e)
{
	struct err end = { 0 };
	int rc;

	if (tell(d, "START TRANSACTION WITH CONSISTENT SNAPSHOT", e))
		return -1;
	rc = count_open(d, which, n, e);
	if (tell(d, "ROLLBACK", &end) && !rc) {
		*e = end;
		return -1;
	}
	return rc;
}

int db_open_since(struct db *d, int64_t older_s, int64_t *n, struct err *e)
{
	autofree char *which = xasprintf("trx_started <= NOW() - INTERVAL %" PRId64 " SECOND", older_s);

	return look_at_open(d, which, n, e);
}

/* Of sessions in these databases, or in none: who is elsewhere may write here
 * too, and is not waited for on a server that never rests. */
static char *in_databases(struct db *d, const json_t *counts)
{
	const char *list = is_mysql_since(d, 90000) ? "performance_schema.processlist" : "information_schema.processlist";
	autobuf struct buf b = BUF_MAX(16384);
	size_t i;
	const json_t *v;

	buf_addf(&b, "AND trx_mysql_thread_id IN (SELECT id FROM %s WHERE db IS NULL", list);
	json_array_foreach(counts, i, v) {
		const char *name = json_string_value(v);
		autofree char *database = xasprintf("%.*s", (int)strcspn(name, "."), name), *quoted = db_quote(database);

		if (quoted)
			buf_addf(&b, " OR db = %s", quoted);
	}
	buf_adds(&b, ")");
	return buf_take(&b);
}

int db_open_writers(struct db *d, const json_t *counts, int64_t *n, struct err *e)
{
	autofree char *where = json_array_size(counts) ? in_databases(d, counts) : xstrdup("");
	autofree char *which = xasprintf("trx_rows_modified > 0 %s", where);

	return look_at_open(d, which, n, e);
}

/* --- the replica ------------------------------------------------------------------------ */

static void read_error(const json_t *row, struct db_replica *out)
{
	const char *io = field(row, "Last_IO_Error", "Last_IO_Error"), *sql = field(row, "Last_SQL_Error", "Last_SQL_Error");

	name_copy(out->error, sizeof out->error, *sql ? sql : io);
}

static void read_replica(const json_t *row, struct db_replica *out)
{
	const char *lag = field(row, "Seconds_Behind_Source", "Seconds_Behind_Master");

	out->follows = true;
	out->fetches = !strcmp(field(row, "Replica_IO_Running", "Slave_IO_Running"), "Yes");
	out->applies = !strcmp(field(row, "Replica_SQL_Running", "Slave_SQL_Running"), "Yes");
	out->lag_s = *lag ? strtoll(lag, NULL, 10) : -1;
	read_position(&out->done, field(row, "Relay_Source_Log_File", "Relay_Master_Log_File"),
		      field(row, "Exec_Source_Log_Pos", "Exec_Master_Log_Pos"));
	name_copy(out->source, sizeof out->source, field(row, "Source_Host", "Master_Host"));
	read_error(row, out);
}

int db_replica(struct db *d, struct db_replica *out, struct err *e)
{
	const char *sql = is_mysql_since(d, NEW_WORDS) ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS";
	autojson json_t *rows = NULL;

	*out = (struct db_replica){ .lag_s = -1 };
	if (db_json(d, sql, NULL, &rows, e))
		return say_right(e, "REPLICATION CLIENT (REPLICA MONITOR on MariaDB)");
	if (json_array_size(rows) > 1)
		return err_set(e, ERR_INPUT, "%s follows %zu sources; only a copy with one is understood", d->name,
			       json_array_size(rows));
	if (json_array_size(rows))
		read_replica(json_array_get(rows, 0), out);
	return 0;
}

/* --- the one change ------------------------------------------------------------------------ */

/* One way for each sort of server: what stops, and what forgets. */
static const struct way {
	const char *routine;      /* of schema mysql; NULL: the server's own words */
	enum db_flavour flavour;
	int since;
	const char *stop, *forget;
} ways[] = {
	{ "rds_reset_external_source", DB_MYSQL, 0, "CALL mysql.rds_stop_replication", "CALL mysql.rds_reset_external_source" },
	{ "rds_reset_external_master", DB_MYSQL, 0, "CALL mysql.rds_stop_replication", "CALL mysql.rds_reset_external_master" },
	{ "rds_reset_external_master", DB_MARIADB, 0, "CALL mysql.rds_stop_replication", "CALL mysql.rds_reset_external_master" },
	{ NULL, DB_MARIADB, 0, "STOP SLAVE", "RESET SLAVE ALL" },
	{ NULL, DB_MYSQL, NEW_WORDS, "STOP REPLICA", "RESET REPLICA ALL" },
	{ NULL, DB_MYSQL, 0, "STOP SLAVE", "RESET SLAVE ALL" },
};

static int has_routine(struct db *d, const char *name, bool *has, struct err *e)
{
	autofree char *sql = xasprintf("SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = 'mysql' "
				       "AND routine_name = '%s'", name);
	int64_t n;
	bool null;

	if (db_number(d, sql, &n, &null, e))
		return -1;
	*has = n > 0;
	return 0;
}

static int find_way(struct db *d, const struct way **out, struct err *e)
{
	for (size_t i = 0; i < COUNT(ways); i++) {
		const struct way *w = &ways[i];
		bool has = true;

		if (w->flavour != d->server.flavour || d->server.version < w->since)
			continue;
		if (w->routine && has_routine(d, w->routine, &has, e))
			return -1;
		if (has) {
			*out = w;
			return 0;
		}
	}
	return err_set(e, ERR_INPUT, "%s: how such a server stops to follow another is not known here", d->name);
}

/* A procedure answers with rows and a status of its own: all are read. */
static int drain(struct db *d)
{
	int more;

	do {
		mysql_free_result(mysql_store_result(d->my));
		if (mysql_errno(d->my))
			return -1;
		more = mysql_next_result(d->my);
	} while (!more);
	return more > 0 ? -1 : 0;
}

/* Past CHANGE_MS it may still be done: who asks again looks first. */
static int do_it(struct db *d, const char *sql, struct err *e)
{
	int rc;

	deadline_set(now_ms() + CHANGE_MS);
	rc = mysql_real_query(d->my, sql, strlen(sql)) || drain(d) ? -1 : 0;
	deadline_set(0);
	if (!rc)
		return 0;
	refusal_query(d, e);
	if (e->kind == ERR_NET) /* this was no read */
		e->kind = ERR_UNSURE;
	if (e->kind == ERR_DENIED)
		return say_right(e, "to stop replication (RDS's master user has it; elsewhere REPLICATION SLAVE ADMIN and RELOAD)");
	return err_wrap(e, "%s", sql);
}

/* MariaDB's own limit of a statement would break a change off in its middle. */
static int allow_change(struct db *d, struct err *e)
{
	if (d->server.flavour == DB_MARIADB && do_it(d, "SET SESSION max_statement_time=0", e))
		return -1;
	return do_it(d, "SET SESSION TRANSACTION READ WRITE", e);
}

int db_replica_detach(struct db *d, struct err *e)
{
	const struct way *w = NULL;
	struct db_replica now;

	if (db_replica(d, &now, e))
		return -1;
	if (!now.follows)
		return 0;
	if (find_way(d, &w, e) || allow_change(d, e))
		return -1;
	return do_it(d, w->stop, e) || do_it(d, w->forget, e) ? -1 : 0;
}

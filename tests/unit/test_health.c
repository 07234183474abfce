/* Health of a database: which question each server is asked, and what answers mean. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "db/health.h"
#include "db/health_table.h"
#include "fakedb.h"

#include <string.h>

/* A healthy answer to each question of MariaDB; the first that fits counts, so
 * a test puts its own before these. */
#define HEALTHY { "innodb_read_only", "a,b\n0,x\n" }, { "SLAVES STATUS", "Seconds_Behind_Master\n" }, \
	{ "REPLICA STATUS", "Seconds_Behind_Source\n" }, { "metadata lock", "n,ids\n0,NULL\n" }, \
	{ "trx_started, NOW()", "n,t\nNULL,NULL\n" }, { "Threads_connected", "n\n100\n" }, \
	{ "log_bin", "n,t\n3,x\n" }, { "'ALTER'", "n\n4\n" }, { "privilege_type IN ('SELECT')", "n\n1\n" }, \
	{ "auto_increment", "n,t\n999,page.page_id\n" }, { "PRIMARY", "n,t\n0,NULL\n" }, \
	{ "t.engine<>", "n,t\n0,NULL\n" }, { "table_collation", "n,t\n1,binary\n" }, { 0 }

static struct fakedb f;
static struct db *d;
static json_t *rows;
static enum db_verdict worst;
static struct err e;

static int teardown(void **state)
{
	(void)state;
	db_close(&d);
	if (f.port)
		fakedb_stop(&f);
	json_decref(rows);
	rows = NULL;
	f = (struct fakedb){ 0 };
	return 0;
}

/* Asks a server that answers so; the rows of before are forgotten. */
static int look(const struct fakedb_answer *answers, const char *version, const struct db_thresholds *t)
{
	autologin struct db_login *l = NULL;

	teardown(NULL);
	f = (struct fakedb){ .answers = answers, .version = version };
	fakedb_start(&f);
	rows = json_array();
	worst = DB_GOOD;
	e = (struct err){ 0 };
	if (db_login_new(&(struct db_source){ .host = "127.0.0.1", .port = f.port, .user = "u" }, NULL, &l, &e) ||
	    db_open(l, &d, &e))
		fail_msg("%s", e.msg);
	return db_health(d, "wiki", t, rows, &worst, &e);
}

static const json_t *row(const char *check)
{
	const json_t *r;
	size_t i;

	json_array_foreach(rows, i, r)
		if (!strcmp(json_str(r, "check", ""), check))
			return r;
	return NULL;
}

static void is(const char *check, const char *verdict, const char *part)
{
	const json_t *r = row(check);

	if (!r)
		fail_msg("no row %s", check);
	assert_string_equal(json_str(r, "verdict", ""), verdict);
	if (!strstr(json_str(r, "fact", ""), part))
		fail_msg("\"%s\" is not in: %s", part, json_str(r, "fact", ""));
}

static const struct db_thresholds usual = DB_HEALTH_DEFAULTS;

static void a_healthy_server_is_good(void **state)
{
	static const struct fakedb_answer answers[] = { HEALTHY };
	static const char *const versions[] = { NULL, "8.0.39", "9.7.0" };

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		if (look(answers, versions[i], &usual))
			fail_msg("%s", e.msg);
		assert_int_equal(worst, DB_GOOD);
		assert_int_equal(json_array_size(rows), 10);
		assert_null(row("lag")); /* no replica, and none was wanted */
		assert_null(row("ddl-rights"));
	}
}

static void each_server_is_asked_in_its_words(void **state)
{
	static const struct fakedb_answer answers[] = { HEALTHY };

	(void)state;
	look(answers, NULL, &usual);
	assert_non_null(strstr(f.said, "SHOW ALL SLAVES STATUS"));
	assert_non_null(strstr(f.said, "information_schema.global_status"));
	look(answers, "8.0.39", &usual);
	assert_non_null(strstr(f.said, "SHOW REPLICA STATUS"));
	assert_non_null(strstr(f.said, "performance_schema.global_status"));
	assert_non_null(strstr(f.said, "information_schema.processlist"));
	look(answers, "9.7.0", &usual);
	assert_non_null(strstr(f.said, "performance_schema.processlist"));
	assert_null(strstr(f.said, "replica_host_status"));
}

static void aurora_is_asked_for_its_readers(void **state)
{
	static const struct fakedb_answer answers[] = {
		{ "SHOW VARIABLES", "n,v\naurora_version,3.08\n" }, { "replica_host_status", "n\n9\n" }, HEALTHY };

	(void)state;
	look(answers, "8.0.39", &usual);
	is("aurora-lag", "bad", "9 s, at most 5 s");
}

static void limits_are_compared(void **state)
{
	static const struct { const char *when, *good, *bad, *check, *part; } r[] = {
		{ "innodb_read_only", "a,b\n0,x\n", "a,b\n1,read_only=1\n", "role", "1 (read_only=1), should be 0" },
		{ "SLAVES STATUS", "x,Seconds_Behind_Master\ny,5\n", "x,Seconds_Behind_Master\ny,6\n", "lag", "6 s, at most 5 s" },
		{ "SLAVES STATUS", "Seconds_Behind_Master\n0\n", "Seconds_Behind_Master\nNULL\n", "lag", "NULL, at most 5 s" },
		{ "SLAVES STATUS", "Seconds_Behind_Master\n0\n1\n", "Seconds_Behind_Master\n0\n7\n1\n", "lag", "7 s" },
		{ "SLAVES STATUS", "Seconds_Behind_Master\n0\n1\n", "Seconds_Behind_Master\n0\nNULL\n", "lag", "NULL" },
		{ "trx_started, NOW()", "n,t\n60,x\n", "n,t\n61,thread 7\n", "transactions", "61 s (thread 7), at most 60 s" },
		{ "metadata lock", "n,t\n0,NULL\n", "n,t\n1,8\n", "waiting-ddl", "1 (8), at most 0" },
		{ "Threads_connected", "n\n10\n", "n\n9\n", "connections", "9, at least 10" },
		{ "auto_increment", "n,t\n100,x\n", "n,t\n99,job.job_id\n", "auto-increment", "99 per mille (job.job_id)" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(r); i++) {
		struct fakedb_answer good[] = { { r[i].when, r[i].good }, HEALTHY };
		struct fakedb_answer bad[] = { { r[i].when, r[i].bad }, HEALTHY };

		look(good, NULL, &usual);
		is(r[i].check, "good", "");
		assert_int_equal(worst, DB_GOOD);
		look(bad, NULL, &usual);
		is(r[i].check, "bad", r[i].part);
		assert_int_equal(worst, DB_BAD);
	}
}

static void notes_are_no_refusals(void **state)
{
	static const struct fakedb_answer answers[] = { { "PRIMARY", "n,t\n2,a b\n" }, { "t.engine<>", "n,t\n1,searchindex MyISAM\n" },
							{ "privilege_type IN ('SELECT')", "n\n0\n" }, HEALTHY };

	(void)state;
	look(answers, NULL, &usual);
	is("primary-keys", "note", "2 (a b)");
	is("engines", "note", "searchindex");
	is("read-rights", "note", "by a role");
	assert_int_equal(worst, DB_NOTE);
}

static void what_cannot_be_asked_is_unknown(void **state)
{
	static const struct { const char *when, *says, *check; } r[] = {
		{ "SLAVES STATUS", "!1227 you need SLAVE MONITOR", "lag" },
		{ "trx_started, NOW()", "!1227 you need PROCESS", "transactions" },
		{ "metadata lock", "!1142 SELECT denied", "waiting-ddl" },
		{ "innodb_read_only", "!1193 unknown variable", "role" },
		{ "Threads_connected", "n\n", "connections" },
		{ "innodb_read_only", "a\n", "role" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(r); i++) {
		struct fakedb_answer answers[] = { { r[i].when, r[i].says }, HEALTHY };

		assert_int_equal(look(answers, NULL, &usual), 0);
		is(r[i].check, "unknown", "");
		assert_true(json_is_null(json_object_get(row(r[i].check), "value")));
		assert_int_equal(worst, DB_UNKNOWN);
	}
}

static void an_answer_that_is_no_number_is_none(void **state)
{
	static const struct fakedb_answer answers[] = { { "Threads_connected", "n\nmany\n" }, HEALTHY };

	(void)state;
	look(answers, NULL, &usual);
	is("connections", "unknown", "NULL");
}

/* Then nothing is known, and the caller may come again. */
static void a_lost_connection_is_an_error(void **state)
{
	static const struct fakedb_answer answers[] = { { "metadata lock", "!1969 took too long" }, HEALTHY };

	(void)state;
	assert_int_equal(look(answers, NULL, &usual), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_non_null(strstr(e.msg, "metadata lock"));
}

static void wishes_of_the_plan(void **state)
{
	static const struct fakedb_answer none[] = { { "log_bin", "n,t\n1,log_bin=1 STATEMENT\n" }, { "'ALTER'", "n\n2\n" }, HEALTHY };
	static const struct fakedb_answer replica[] = { { "SLAVES STATUS", "Seconds_Behind_Master\n0\n" },
							{ "innodb_read_only", "a,b\n1,x\n" }, HEALTHY };
	struct db_thresholds t = usual;

	(void)state;
	look(none, NULL, &t);
	is("binlog", "good", "1 (log_bin=1 STATEMENT)");
	t.need_binlog = t.need_ddl_rights = t.replica = true;
	look(none, NULL, &t);
	is("binlog", "bad", "parameter group");
	is("binlog-events", "unknown", "REPLICATION SLAVE");
	is("ddl-rights", "unknown", "update.php");
	is("lag", "bad", "no replica");
	t = usual;
	t.replica = true;
	t.role = DB_READER;
	look(replica, NULL, &t);
	is("role", "good", "1");
	is("lag", "good", "0 s");
	t.role = DB_ANY;
	look(replica, NULL, &t);
	is("role", "good", "1");
	assert_true(json_is_null(json_object_get(row("role"), "limit")));
}

static void tables_are_asked_of_the_database_named(void **state)
{
	static const struct fakedb_answer answers[] = { HEALTHY };

	(void)state;
	look(answers, NULL, &usual);
	json_array_clear(rows);
	assert_int_equal(db_health_tables(d, "other", &usual, rows, &worst, &e), 0);
	assert_int_equal(json_array_size(rows), 5);
	json_array_clear(rows);
	assert_int_equal(db_health(d, NULL, &usual, rows, &worst, &e), 0);
	assert_int_equal(json_array_size(rows), 5);
}

static void the_table_is_whole(void **state)
{
	autojson json_t *table = db_health_table();
	size_t n;
	const struct db_check *c = db_checks(&n);

	(void)state;
	assert_int_equal(json_array_size(table), n);
	for (size_t i = 0; i < n; i++) {
		assert_non_null(c[i].about);
		assert_non_null(c[i].unit);
		assert_true(c[i].bound == BOUND_TELL || c[i].limit);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(c[i].id, c[j].id);
		assert_non_null(c[i].sql[SQL_MARIADB]);
	}
	for (enum db_verdict v = DB_GOOD; v <= DB_BAD; v++)
		assert_non_null(db_verdict_name(v));
}

#define T(fn) cmocka_unit_test_teardown(fn, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_healthy_server_is_good), T(each_server_is_asked_in_its_words), T(aurora_is_asked_for_its_readers),
		T(limits_are_compared), T(notes_are_no_refusals), T(what_cannot_be_asked_is_unknown),
		T(an_answer_that_is_no_number_is_none), T(a_lost_connection_is_an_error), T(wishes_of_the_plan),
		T(tables_are_asked_of_the_database_named), T(the_table_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

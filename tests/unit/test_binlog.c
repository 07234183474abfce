/* What counts as written: rows of SHOW BINLOG EVENTS, as MariaDB 10.11 and MySQL 8 give them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "db/binlog.h"

#include <stdio.h>
#include <string.h>

/* A log of one or more files. "type|info" an event; each is 100 bytes. */
struct log {
	const char *file[4];         /* names */
	const char *const *event[4]; /* NULL ends */
	size_t repeat;               /* this many of the last file's events, over and over; 0: as they are */
	const char *only, *without;  /* databases */
	int questions;
};

static int log_status(void *ctx, json_t **rows, struct err *e)
{
	const struct log *l = ctx;

	(void)e;
	*rows = l->file[0] ? json_pack("[{s:s,s:s,s:s}]", "File", "bin.000001", "Binlog_Do_DB", l->only ? l->only : "",
				       "Binlog_Ignore_DB", l->without ? l->without : "") : json_array();
	return 0;
}

static int log_files(void *ctx, json_t **rows, struct err *e)
{
	const struct log *l = ctx;

	(void)e;
	*rows = json_array();
	for (int i = 0; i < 4 && l->file[i]; i++)
		json_array_append_new(*rows, json_pack("{s:s}", "Log_name", l->file[i]));
	return 0;
}

static size_t length(const char *const *events)
{
	size_t n = 0;

	while (events[n])
		n++;
	return n;
}

static int log_events(void *ctx, const struct db_position *from, int most, json_t **rows, struct err *e)
{
	struct log *l = ctx;
	int f = 0;
	size_t n;

	while (f < 4 && l->file[f] && strcmp(l->file[f], from->file))
		f++;
	if (f == 4 || !l->file[f])
		return err_set(e, ERR_GATE, "no such file");
	l->questions++;
	*rows = json_array();
	n = length(l->event[f]);
	for (size_t i = (from->at - 4) / 100; i < (l->repeat ? l->repeat : n) && json_array_size(*rows) < (size_t)most; i++) {
		const char *text = l->event[f][i % n], *bar = strchr(text, '|');
		char end[24];

		snprintf(end, sizeof end, "%zu", 4 + 100 * (i + 1));
		json_array_append_new(*rows, json_pack("{s:o,s:s,s:s}", "Event_type", json_stringn(text, (size_t)(bar - text)), "Info", bar + 1,
						       "End_log_pos", end));
	}
	return 0;
}

static int ask(struct log *l, const char *counts, struct binlog_written *w, struct err *e)
{
	struct binlog log = { log_status, log_files, log_events, l };
	struct db_position since = { .file = "bin.000001", .at = 4 };
	autojson json_t *names = counts ? json_loads(counts, 0, NULL) : NULL;

	*e = (struct err){ 0 };
	return binlog_written_since(&log, &since, names, w, e);
}

/* What one event is, as binlog_say has it; "" nothing, "?..." it cannot be known. */
static char *said_of(const char *event, const char *counts)
{
	const char *const events[] = { event, NULL };
	struct log l = { .file = { "bin.000001" }, .event = { events } };
	autowritten struct binlog_written w = { 0 };
	struct err e;

	if (ask(&l, counts, &w, &e)) {
		assert_int_equal(e.kind, ERR_GATE);
		return xasprintf("?%s", e.msg);
	}
	assert_true(w.whole);
	assert_int_equal(w.upto.at, 104);
	return json_object_size(w.tables) ? binlog_say(&w) : xstrdup("");
}

struct row { const char *event, *counts, *says; };

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		autofree char *said = said_of(rows[i].event, rows[i].counts);

		if (*rows[i].says ? !strstr(said, rows[i].says) : *said)
			fail_msg("%s counts %s: \"%s\", not \"%s\"", rows[i].event, rows[i].counts ? rows[i].counts : "all", said, rows[i].says);
	}
}

static void what_the_server_does_by_itself_is_no_write(void **state)
{
	static const struct row rows[] = {
		{ "Query|use `mysql`; INSERT INTO mysql.rds_heartbeat2(id, value) values (1,1483041015005) ON DUPLICATE KEY UPDATE value = 1483041015005", NULL, "" },
		{ "Table_map|table_id: 18 (mysql.rds_heartbeat2)", NULL, "" },
		{ "Rotate|bin.000002;pos=4", NULL, "" }, { "Format_desc|Server ver: 10.11", NULL, "" }, { "Stop|", NULL, "" },
		{ "Gtid|BEGIN GTID 0-1-8", NULL, "" }, { "Gtid_list|[0-1-16]", NULL, "" }, { "Anonymous_Gtid|SET @@SESSION.GTID_NEXT= 'ANONYMOUS'", NULL, "" },
		{ "Previous_gtids|", NULL, "" }, { "Binlog_checkpoint|bin.000001", NULL, "" }, { "Heartbeat|", NULL, "" },
		{ "Query|BEGIN", NULL, "" }, { "Query|COMMIT", NULL, "" }, { "Query|XA END X'61',X'',1", NULL, "" },
		{ "Query|CREATE USER nobody@'%'", NULL, "" }, { "Query|GRANT SELECT ON `wiki`.* TO x", NULL, "" },
		{ "Query|use `wiki`; ANALYZE TABLE page", NULL, "" }, { "Query|FLUSH PRIVILEGES", NULL, "" },
		{ "Query|use `wiki`; DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `y`", NULL, "" },
		{ "Transaction_payload|compression='ZSTD', decompressed_size=200 bytes", NULL, "" },
		{ "Annotate_rows|INSERT INTO wiki.page VALUES (1)", NULL, "" }, { "Rows_query|# INSERT INTO wiki.page", NULL, "" },
	};

	(void)state;
	check(rows, COUNT(rows));
}

static void a_write_is_named_by_its_table(void **state)
{
	static const struct row rows[] = {
		{ "Table_map|table_id: 18 (wiki.page)", NULL, "1 write (wiki.page 1)" },
		{ "Table_map|table_id: 108 (wiki.page) [has_generated_invisible_primary_key=0]", NULL, "(wiki.page 1)" },
		{ "Table_map|table_id: 18 (wiki.page)", "[\"wiki\"]", "(wiki.page 1)" },
		{ "Table_map|table_id: 18 (WIKI.page)", "[\"wiki\"]", "(WIKI.page 1)" },
		{ "Table_map|table_id: 18 (wiki2.page)", "[\"wiki\"]", "" }, { "Table_map|table_id: 18 (wik.page)", "[\"wiki\"]", "" },
		{ "Table_map|table_id: 18 (shared.user)", "[\"wiki\",\"shared.user\"]", "(shared.user 1)" },
		{ "Table_map|table_id: 18 (shared.user_newtalk)", "[\"wiki\",\"shared.user\"]", "" },
		{ "Table_map|table_id: 18 (farm.en_page)", "[\"farm.en_*\"]", "(farm.en_page 1)" },
		{ "Table_map|table_id: 18 (farm.de_page)", "[\"farm.en_*\"]", "" },
		{ "Table_map|table_id: 18 (mysql.user)", "[\"mysql\"]", "(mysql.user 1)" },
	};

	(void)state;
	check(rows, COUNT(rows));
}

static void a_statement_counts_by_the_databases_it_names(void **state)
{
	static const struct row rows[] = {
		{ "Query|use `wiki`; INSERT INTO t VALUES (9)", NULL, "(wiki 1), such as: INSERT INTO t" },
		{ "Query_compressed|use `wiki`; INSERT INTO t VALUES (9)", NULL, "(wiki 1)" },
		{ "Execute_load_query|use `wiki`; LOAD DATA INFILE 'x' INTO TABLE t ;file_id=1", NULL, "(wiki 1)" },
		{ "Query|use `mysql`; INSERT INTO wiki.t VALUES (7)", NULL, "(wiki 1)" },
		{ "Query|use `mysql`; INSERT INTO `wiki`.`t` VALUES (7)", "[\"wiki\"]", "(wiki 1)" },
		{ "Query|INSERT INTO wiki.t VALUES (7)", "[\"wiki\"]", "(wiki 1)" },
		{ "Query|use `other`; DELETE FROM t WHERE a = 'wiki.page'", "[\"wiki\"]", "" },
		{ "Query|use `other`; DELETE FROM t WHERE a = 'it\\'s wiki.page'", "[\"wiki\"]", "" },
		{ "Query|use `other`; UPDATE t SET a = 1.5", "[\"wiki\"]", "" },
		{ "Query|use `farm`; DELETE FROM de_page", "[\"farm.en_*\"]", "(farm 1)" }, /* which table is not known */
		{ "Query|CREATE DATABASE wiki", NULL, "(wiki 1)" }, { "Query|DROP SCHEMA IF EXISTS wiki", "[\"wiki\"]", "(wiki 1)" },
		{ "Query|CREATE DATABASE IF NOT EXISTS other", "[\"wiki\"]", "" },
		{ "Query|TRUNCATE wiki.t", NULL, "(wiki 1)" }, { "Query|/* x */ TRUNCATE wiki.t", "[\"wiki\"]", "(wiki 1)" },
		{ "Query|use `wiki`; CREATE TEMPORARY TABLE y (a int)", NULL, "" },
	};

	(void)state;
	check(rows, COUNT(rows));
}

static void what_is_not_understood_cannot_be_known(void **state)
{
	static const struct row rows[] = {
		{ "Tomorrows_rows|table_id: 18", NULL, "?its log has an event of a sort that is not known here (Tomorrows_rows)" },
		{ "Incident|#1 (LOST_EVENTS)", NULL, "?its log says that it lacks events" },
		{ "Table_map|table_id: 18", NULL, "?an event of its log names no table" },
		{ "Table_map|table_id: 18 (page)", NULL, "?an event of its log names no table" },
	};

	(void)state;
	check(rows, COUNT(rows));
}

static const char *const calm[] = { "Gtid|BEGIN", "Table_map|table_id: 1 (mysql.rds_heartbeat2)", "Update_rows_v1|table_id: 1", "Xid|COMMIT", NULL };
static const char *const busy[] = { "Gtid|BEGIN", "Table_map|table_id: 1 (wiki.page)", "Table_map|table_id: 2 (wiki.revision)",
				    "Write_rows_v1|table_id: 1", "Xid|COMMIT", NULL };

static void a_log_is_read_through_its_files(void **state)
{
	struct log l = { .file = { "bin.000000", "bin.000001", "bin.000002", "bin.000003" }, .event = { busy, calm, busy, calm } };
	autowritten struct binlog_written w = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(ask(&l, NULL, &w, &e), 0);
	assert_true(w.whole);
	assert_string_equal(w.upto.file, "bin.000003");
	assert_int_equal(w.upto.at, 404);
	assert_int_equal(json_object_size(w.tables), 2); /* not those of the file before */
	assert_int_equal(json_num(w.tables, "wiki.revision", 0), 1);
}

/* A log that grows as fast as it is read: the rest is the next call's. */
static void a_long_log_is_read_in_parts(void **state)
{
	struct log l = { .file = { "bin.000001" }, .event = { calm }, .repeat = 12000 };
	struct binlog log = { log_status, log_files, log_events, &l };
	struct db_position at = { .file = "bin.000001", .at = 4 };
	struct err e = { 0 };
	size_t calls = 0, events = 0;
	bool whole = false;

	(void)state;
	while (!whole && calls++ < 10) {
		autowritten struct binlog_written w = { 0 };
		int before = l.questions;

		assert_int_equal(binlog_written_since(&log, &at, NULL, &w, &e), 0);
		assert_true(l.questions - before <= 11);
		assert_int_equal(json_object_size(w.tables), 0);
		events += w.events;
		whole = w.whole;
		at = w.upto;
	}
	assert_true(whole);
	assert_int_equal(events, 12000);
	assert_int_equal(at.at, 4 + 100 * 12000);
}

static void a_log_that_is_not_there_cannot_be_known(void **state)
{
	static const struct { struct log log; const char *counts, *says; } rows[] = {
		{ { .file = { NULL } }, NULL, "it writes no binlog" },
		{ { .file = { "bin.000002" }, .event = { calm } }, NULL, "its log bin.000001 is gone" },
		{ { .file = { "bin.000001" }, .event = { calm }, .without = "sessions" }, NULL, "leaves databases out (it has not sessions)" },
		{ { .file = { "bin.000001" }, .event = { calm }, .without = "sessions" }, "[\"wiki\"]", "" },
		{ { .file = { "bin.000001" }, .event = { calm }, .without = "sessions,wiki" }, "[\"wiki.page\"]", "leaves databases out" },
		{ { .file = { "bin.000001" }, .event = { calm }, .without = "wiki2,awiki" }, "[\"wiki\"]", "" },
		{ { .file = { "bin.000001" }, .event = { calm }, .only = "wiki" }, "[\"wiki\"]", "" },
		{ { .file = { "bin.000001" }, .event = { calm }, .only = "wiki" }, "[\"wiki\",\"shared.user\"]", "it has only wiki" },
		{ { .file = { "bin.000001" }, .event = { calm }, .only = "wiki" }, NULL, "it has only wiki" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		autowritten struct binlog_written w = { 0 };
		struct log l = rows[i].log;
		struct err e;
		int rc = ask(&l, rows[i].counts, &w, &e);

		if (rc ? !*rows[i].says || e.kind != ERR_GATE || !strstr(e.msg, rows[i].says) : *rows[i].says)
			fail_msg("row %zu: %d %s", i, rc, e.msg);
	}
}

static void a_position_of_no_log_cannot_be_known(void **state)
{
	struct log l = { .file = { "bin.000001" }, .event = { calm } };
	struct binlog log = { log_status, log_files, log_events, &l };
	autowritten struct binlog_written w = { 0 };
	struct db_position none = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(binlog_written_since(&log, &none, NULL, &w, &e), -1);
	assert_int_equal(e.kind, ERR_GATE);
}

static void names_of_a_plan_are_databases_and_tables(void **state)
{
	static const struct { const char *name; bool is; } rows[] = {
		{ "wiki", true }, { "shared.user", true }, { "farm.en_*", true }, { "", false }, { "wiki.", false }, { ".page", false },
		{ "a.b.c", false }, { "wi*", false }, { "*", false }, { "wiki.*page", false }, { "wiki.*", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (binlog_is_name(rows[i].name) != rows[i].is)
			fail_msg("%s", rows[i].name);
}

static void many_tables_are_not_all_named(void **state)
{
	autowritten struct binlog_written w = { .tables = json_object() };
	autofree char *said = NULL;

	(void)state;
	for (int i = 0; i < 30; i++) {
		char name[32];

		snprintf(name, sizeof name, "wiki.t%d", i);
		json_object_set_new(w.tables, name, json_integer(2));
	}
	said = binlog_say(&w);
	assert_non_null(strstr(said, "60 writes (wiki.t0 2"));
	assert_non_null(strstr(said, ", 24 tables more)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_server_does_by_itself_is_no_write),
		cmocka_unit_test(a_write_is_named_by_its_table),
		cmocka_unit_test(a_statement_counts_by_the_databases_it_names),
		cmocka_unit_test(what_is_not_understood_cannot_be_known),
		cmocka_unit_test(a_log_is_read_through_its_files),
		cmocka_unit_test(a_long_log_is_read_in_parts),
		cmocka_unit_test(a_log_that_is_not_there_cannot_be_known),
		cmocka_unit_test(a_position_of_no_log_cannot_be_known),
		cmocka_unit_test(names_of_a_plan_are_databases_and_tables),
		cmocka_unit_test(many_tables_are_not_all_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

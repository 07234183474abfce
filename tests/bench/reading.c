/* usage: reading SOCKET DATABASE BLUE GREEN TIMES
 *
 * What reading a wiki's tables and judging them costs beside the three bare
 * statements on information_schema, in one process, by turns, each over a
 * connection that is already there. Prints ms bare, ms whole: of each the tenth
 * percentile, which other programs' work disturbs less than the median. */
#include "base/buf.h"
#include "mediawiki/reality.h"
#include "mediawiki/verdict.h"

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TIMES_MAX 10000

static const char *const statements[] = {
	"SELECT table_name, table_type, engine, table_collation FROM information_schema.tables WHERE table_schema='%s' ORDER BY table_name",
	"SELECT table_name, column_name, column_type, is_nullable, column_default, extra, character_set_name "
	"FROM information_schema.columns WHERE table_schema='%s' ORDER BY table_name, ordinal_position",
	"SELECT table_name, index_name, non_unique, column_name, sub_part, index_type "
	"FROM information_schema.statistics WHERE table_schema='%s' ORDER BY table_name, index_name, seq_in_index",
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const char *what)
{
	fprintf(stderr, "reading: %s\n", what);
	exit(1);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void ask_bare(MYSQL *my, const char *database)
{
	for (size_t i = 0; i < COUNT(statements); i++) {
		char sql[512];
		MYSQL_RES *r;

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(sql, sizeof sql, statements[i], database);
		if (mysql_query(my, sql) || !(r = mysql_store_result(my)))
			fail(mysql_error(my));
		while (mysql_fetch_row(r))
			;
		mysql_free_result(r);
	}
}

static void ask_whole(struct db *d, const char *database, const struct schema *blue, const struct schema *green)
{
	autoschema struct schema *have = NULL;
	struct schema_verdict v;
	struct err e = { 0 };

	if (reality_read(d, database, NULL, &have, &e))
		fail(e.msg);
	schema_judge(blue, green, have, &v);
	if (v.kind != SHARING_SHARED)
		fail(v.why);
}

int main(int argc, char **argv)
{
	static double bare[TIMES_MAX], whole[TIMES_MAX];
	autoschema struct schema *blue = NULL, *green = NULL;
	autologin struct db_login *l = NULL;
	autodb struct db *d = NULL;
	struct err e = { 0 };
	MYSQL *my = mysql_init(NULL);
	size_t n = argc == 6 ? strtoul(argv[5], NULL, 10) : 0;

	if (n < 1 || n > TIMES_MAX)
		fail("usage: reading SOCKET DATABASE BLUE GREEN TIMES");
	if (!mysql_real_connect(my, NULL, "root", "", NULL, 0, argv[1], 0))
		fail(mysql_error(my));
	if (schema_read(argv[3], &blue, &e) || schema_read(argv[4], &green, &e) ||
	    db_login_new(&(struct db_source){ .host = argv[1], .user = "root" }, NULL, &l, &e) || db_open(l, &d, &e))
		fail(e.msg);
	ask_bare(my, argv[2]);
	for (size_t i = 0; i < n; i++) {
		double t0 = now(), t1;

		ask_bare(my, argv[2]);
		t1 = now();
		ask_whole(d, argv[2], blue, green);
		bare[i] = t1 - t0;
		whole[i] = now() - t1;
	}
	mysql_close(my);
	qsort(bare, n, sizeof *bare, by_size);
	qsort(whole, n, sizeof *whole, by_size);
	printf("%.3f %.3f\n", bare[n / 10], whole[n / 10]);
	return 0;
}

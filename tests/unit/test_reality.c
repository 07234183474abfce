/* The tables of a database, read from a server that says what it likes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "fakedb.h"
#include "mediawiki/reality.h"

#include <string.h>

#define TABLES "information_schema.tables"
#define COLUMNS "information_schema.columns"
#define INDEXES "information_schema.statistics"
#define PAGE "a,b,c,d\npage,BASE TABLE,InnoDB,binary\n"
#define PAGE_ID "a,b,c,d,e,f,g\npage,page_id,int(10) unsigned,NO,NULL,auto_increment,NULL\n"
#define PAGE_KEY "a,b,c,d,e,f\npage,PRIMARY,0,page_id,NULL,BTREE\n"

static struct fakedb f;
static struct db *d;
static struct err e;

static int teardown(void **state)
{
	(void)state;
	db_close(&d);
	if (f.port)
		fakedb_stop(&f);
	f = (struct fakedb){ 0 };
	return 0;
}

static void serve(const struct fakedb_answer *answers, const char *version)
{
	autologin struct db_login *l = NULL;

	teardown(NULL);
	f = (struct fakedb){ .answers = answers, .version = version };
	fakedb_start(&f);
	e = (struct err){ 0 };
	if (db_login_new(&(struct db_source){ .host = "127.0.0.1", .port = f.port, .user = "u" }, NULL, &l, &e) ||
	    db_open(l, &d, &e))
		fail_msg("%s", e.msg);
}

static int read_all(const char *tables, const char *columns, const char *indexes, const char *prefix, struct schema **out)
{
	struct fakedb_answer answers[] = { { TABLES, tables }, { COLUMNS, columns }, { INDEXES, indexes }, { 0 } };

	serve(answers, NULL);
	return reality_read(d, "wiki", prefix, out, &e);
}

static void three_statements_make_a_schema(void **state)
{
	autoschema struct schema *s = NULL;
	const struct schema_table *t;

	(void)state;
	if (read_all(PAGE, PAGE_ID, PAGE_KEY, NULL, &s))
		fail_msg("%s", e.msg);
	assert_int_equal(s->ntables, 1);
	t = schema_table(s, "page");
	assert_non_null(t);
	assert_string_equal(schema_column(t, "page_id")->type, "int unsigned");
	assert_true(schema_column(t, "page_id")->autoinc);
	assert_string_equal(schema_index(t, "PRIMARY")->columns, "page_id");
	assert_int_equal(f.statements, 6); /* three to set up the session */
	assert_null(strstr(f.said, "page_id")); /* nothing of the tables themselves */
}

static void a_prefix_is_taken_off(void **state)
{
	autoschema struct schema *s = NULL;

	(void)state;
	if (read_all("a,b,c,d\nmw_page,BASE TABLE,InnoDB,binary\nother,BASE TABLE,InnoDB,binary\n",
		     "a,b,c,d,e,f,g\nmw_page,page_id,int,NO,NULL,,NULL\nother,x,int,NO,NULL,,NULL\n", PAGE_KEY, "mw_", &s))
		fail_msg("%s", e.msg);
	assert_int_equal(s->ntables, 1);
	assert_int_equal(s->others, 1);
	assert_non_null(schema_table(s, "page"));
}

static void no_wiki_is_said_to_be_none(void **state)
{
	static const struct { const char *tables, *prefix, *part; } rows[] = {
		{ "a,b,c,d\n", NULL, "has no tables" },
		{ "a,b,c,d\nx,BASE TABLE,InnoDB,binary\n", NULL, "none is a wiki's" },
		{ PAGE, "mw_", "none is a wiki's" },
		{ "a,b,c,d\nw_page,BASE TABLE,,\nw_revision,BASE TABLE,,\nw_user,BASE TABLE,,\nw_site_stats,BASE TABLE,,\n", NULL,
		  "prefix \"w_\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		autoschema struct schema *s = NULL;

		assert_int_equal(read_all(rows[i].tables, "a,b,c,d,e,f,g\n", "a,b,c,d,e,f\n", rows[i].prefix, &s), -1);
		assert_int_equal(e.kind, ERR_GONE);
		if (!strstr(e.msg, rows[i].part))
			fail_msg("\"%s\" is not in: %s", rows[i].part, e.msg);
	}
}

/* Rows with too few columns, NULL where text must be, text that is none. */
static void odd_rows_are_errors(void **state)
{
	static const struct { const char *tables, *columns, *indexes; } rows[] = {
		{ "a\npage\nNULL\n", PAGE_ID, PAGE_KEY },
		{ PAGE, "a\npage\n", PAGE_KEY },
		{ PAGE, "a,b,c,d,e,f,g\npage,NULL,int,NO,NULL,,NULL\n", PAGE_KEY },
		{ PAGE, "a,b,c,d,e,f,g\npage,page_id,NULL,NO,NULL,,NULL\n", PAGE_KEY },
		{ PAGE, PAGE_ID, "a,b\npage,NULL\n" },
		{ PAGE "page,BASE TABLE,InnoDB,binary\n", PAGE_ID, PAGE_KEY },
		{ "!1142 SELECT denied", PAGE_ID, PAGE_KEY },
		{ PAGE, "!1969 too long", PAGE_KEY },
		{ PAGE, PAGE_ID, "!1205 locked" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		autoschema struct schema *s = NULL;

		if (!read_all(rows[i].tables, rows[i].columns, rows[i].indexes, NULL, &s))
			fail_msg("row %zu was taken", i);
		assert_null(s);
		assert_true(*e.msg);
	}
}

static void odd_names_are_not_sent(void **state)
{
	autoschema struct schema *s = NULL;
	static const struct fakedb_answer answers[] = { { TABLES, PAGE }, { COLUMNS, PAGE_ID }, { INDEXES, PAGE_KEY }, { 0 } };

	(void)state;
	serve(answers, NULL);
	assert_int_equal(reality_read(d, "wi'ki", NULL, &s, &e), 0);
	assert_non_null(strstr(f.said, "table_schema='wi''ki'"));
	schema_free(&s);
	assert_int_equal(reality_read(d, "a\nb", NULL, &s, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(reality_read(d, "wiki", "x'; DROP TABLE page; --", &s, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_null(strstr(f.said, "DROP"));
}

static void wikis_of_a_server(void **state)
{
	static const struct fakedb_answer answers[] = { { "table_name='mw_page'", "a\none\ntwo\nNULL\n" }, { 0 } };
	char **names = NULL;
	size_t n = 0;

	(void)state;
	serve(answers, "9.7.0");
	assert_int_equal(reality_wikis(d, "mw_", &names, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(names[1], "two");
	reality_names_free(names, n);
	assert_int_equal(reality_wikis(d, NULL, &names, &n, &e), 0);
	assert_int_equal(n, 0);
	reality_names_free(names, n);
	assert_int_equal(reality_wikis(d, "no good", &names, &n, &e), -1);
}

#define T(fn) cmocka_unit_test_teardown(fn, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(three_statements_make_a_schema), T(a_prefix_is_taken_off), T(no_wiki_is_said_to_be_none),
		T(odd_rows_are_errors), T(odd_names_are_not_sent), T(wikis_of_a_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* From a MediaWiki's files, and from a server's rows, to the same schema. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "mediawiki/tree.h"
#include "mediawiki/verdict.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- a tree made for the test ----------------------------------------------------------------- */

static char folder[] = "/tmp/cutover-tree-XXXXXX";

static void put(const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", folder, name), *dir = xstrdup(path);
	struct err e = { 0 };

	*strrchr(dir, '/') = 0;
	if (file_mkdirs(dir, &e) || file_write(path, text, strlen(text), &e))
		fail_msg("%s", e.msg);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	autofree char *cmd = xasprintf("rm -rf '%s'", folder);

	(void)state;
	return system(cmd); /* NOLINT(cert-env33-c): our own folder */
}

#define COLUMN(name, type, options) "{\"name\": \"" name "\", \"type\": \"" type "\", \"options\": {" options "}}"
#define TABLE(name, columns, indexes, more) \
	"{\"name\": \"" name "\", \"columns\": [" columns "], \"indexes\": [" indexes "]" more "}"

static struct schema *tree_of(const char *tables, const char *at)
{
	autofree char *path = xasprintf("%s/%s", folder, at);
	struct schema *s = NULL;
	struct err e = { 0 };
	char *one = folder;

	put(at, tables);
	if (schema_from_tree(&one, 1, NULL, 0, &s, &e))
		fail_msg("%s", e.msg);
	unlink(path);
	return s;
}

static const struct schema_column *only(const struct schema *s, const char *name)
{
	const struct schema_table *t = schema_table(s, "page");
	const struct schema_column *c = t ? schema_column(t, name) : NULL;

	if (!c)
		fail_msg("there is no page.%s", name);
	return c;
}

/* --- types ----------------------------------------------------------------------------------------- */

static const struct {
	const char *json, *type, *def; /* what a server shows of it, canonical */
	bool nullable;
} columns[] = {
	{ COLUMN("x", "integer", "\"unsigned\": true"), "int unsigned", NULL, false },
	{ COLUMN("x", "integer", "\"notnull\": false"), "int", NULL, true },
	{ COLUMN("x", "integer", "\"notNull\": false, \"Unsigned\": true"), "int unsigned", NULL, true }, /* as in 1.35 */
	{ COLUMN("x", "bigint", "\"default\": 0"), "bigint", "0", false },
	{ COLUMN("x", "bigint", "\"default\": \"0\""), "bigint", "0", false },
	{ COLUMN("x", "smallint", "\"unsigned\": true"), "smallint unsigned", NULL, false },
	{ COLUMN("x", "mwtinyint", "\"length\": 1"), "tinyint", NULL, false },
	{ COLUMN("x", "boolean", "\"default\": false"), "tinyint", "0", false },
	{ COLUMN("x", "boolean", "\"default\": true"), "tinyint", "1", false },
	{ COLUMN("x", "binary", ""), "varbinary(255)", NULL, false },
	{ COLUMN("x", "binary", "\"length\": 32, \"fixed\": true, \"default\": \"\""), "binary(32)", "", false },
	{ COLUMN("x", "binary", "\"length\": 14, \"default\": \"19700101000000\""), "varbinary(14)", "19700101000000", false },
	{ COLUMN("x", "string", "\"length\": 230"), "varbinary(230)", NULL, false },
	{ COLUMN("x", "blob", "\"length\": 255"), "tinyblob", NULL, false },
	{ COLUMN("x", "blob", "\"length\": 256"), "blob", NULL, false },
	{ COLUMN("x", "blob", "\"length\": 65536"), "mediumblob", NULL, false },
	{ COLUMN("x", "blob", "\"length\": 16777216"), "longblob", NULL, false },
	{ COLUMN("x", "blob", ""), "longblob", NULL, false },
	{ COLUMN("x", "text", "\"length\": 255"), "tinyblob", NULL, false },
	{ COLUMN("x", "mwtimestamp", ""), "binary(14)", NULL, false },
	{ COLUMN("x", "mwtimestamp", "\"CustomSchemaOptions\": {\"allowInfinite\": true}"), "varbinary(14)", NULL, false },
	{ COLUMN("x", "mwtimestamp", "\"CustomSchemaOptions\": {\"allowInfinite\": false}"), "binary(14)", NULL, false },
	{ COLUMN("x", "datetimetz", ""), "datetime", NULL, false },
	{ COLUMN("x", "datetimetz", "\"PlatformOptions\": {\"version\": true}"), "timestamp", NULL, false },
	{ COLUMN("x", "float", "\"unsigned\": true"), "float unsigned", NULL, false },
	{ COLUMN("x", "float", "\"CustomSchemaOptions\": {\"doublePrecision\": true}"), "double", NULL, false },
	{ COLUMN("x", "decimal", "\"precision\": 8, \"scale\": 2"), "decimal(8,2)", NULL, false },
	{ COLUMN("x", "mwenum", "\"default\": \"b\", \"CustomSchemaOptions\": {\"enum_values\": [\"a\", \"b\"]}"),
	  "enum('a','b')", "b", false },
};

static void each_type_of_the_abstract_schema_is_what_servers_show(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(columns); i++) {
		autofree char *text = xasprintf("[" TABLE("page", "%s", "", "") "]", columns[i].json);
		autoschema struct schema *s = tree_of(text, "maintenance/tables.json");
		const struct schema_column *c = only(s, "x");

		if (strcmp(c->type, columns[i].type) || c->nullable != columns[i].nullable || !c->def != !columns[i].def ||
		    (c->def && strcmp(c->def, columns[i].def)))
			fail_msg("%s: %s%s default %s", columns[i].json, c->type, c->nullable ? " null" : "", c->def ? c->def : "none");
	}
}

static void oddities_are_those_of_real_files(void **state)
{
	autoschema struct schema *s = tree_of(
		"[" TABLE("page", COLUMN("a", "binary", "\"length\": 20, \"notnull\": false") "," COLUMN("b", "string", "\"length\": 255") "," COLUMN("c", "blob", "\"length\": 255"),
			  "{\"name\": \"j\", \"columns\": [\"c\"], \"unique\": false, \"options\": {\"lengths\": [255]}},"
			  "{\"name\": \"i\", \"columns\": [\"a\", \"b\"], \"unique\": true, \"options\": {\"lengths\": [20, 50]}}",
			  ", \"pk\": [\"a\"]") ","
		TABLE("searchindex", COLUMN("t", "text", "\"length\": 16777215") "," COLUMN("v", "string", ""),
		      "{\"name\": \"f\", \"columns\": [\"t\"], \"unique\": false, \"flags\": [\"fulltext\"]}",
		      ", \"table_options\": [\"ENGINE=MyISAM\", \"DEFAULT CHARSET=utf8\"]") ","
		"{\"name\": \"to_come\", \"comment\": \"no columns yet\"}]", "sql/tables.json");
	const struct schema_table *page = schema_table(s, "page"), *search = schema_table(s, "searchindex");

	(void)state;
	assert_int_equal(s->ntables, 2);
	assert_false(schema_column(page, "a")->nullable); /* a primary key is not, whatever the file says */
	assert_string_equal(schema_index(page, "i")->columns, "a,b(50)"); /* 20 of 20 bytes is no prefix */
	assert_string_equal(schema_index(page, "j")->columns, "c(255)");  /* of a tinyblob it is */
	assert_string_equal(schema_index(page, "PRIMARY")->columns, "a");
	assert_string_equal(search->engine, "MyISAM");
	assert_string_equal(schema_column(search, "t")->type, "mediumtext");
	assert_string_equal(schema_column(search, "v")->type, "varchar(255)");
	assert_string_equal(schema_column(search, "v")->charset, "utf8mb3");
	assert_true(schema_index(search, "f")->fulltext);
}

static void version_and_extensions_are_found(void **state)
{
	static char one[] = "Thing", all[] = "*", none[] = "Other", simple[] = "Plain", away[] = "Absent";
	char *tree = folder, *thing = one, *every = all, *other = none, *plain = simple, *absent = away;
	struct err e = { 0 };

	(void)state;
	put("maintenance/tables.json", "[" TABLE("page", COLUMN("page_id", "integer", ""), "", "") "]");
	put("includes/Defines.php", "<?php\n/** x */\ndefine( 'MW_VERSION', '1.43.7' );\n");
	put("extensions/Thing/sql/tables.json", "[" TABLE("thing", COLUMN("t", "integer", ""), "", "") "]");
	put("extensions/Thing/sql/patch-x.json", "{\"comment\": \"a patch\", \"before\": {}, \"after\": {}}");
	put("extensions/Other/sql/tables.sql", "CREATE TABLE other (x INT);");
	put("extensions/Plain/readme.json", "{}");
	for (int i = 0; i < 3; i++) {
		autoschema struct schema *s = NULL;

		assert_int_equal(schema_from_tree(&tree, 1, i ? i == 1 ? &thing : &every : NULL, i ? 1 : 0, &s, &e), 0);
		assert_string_equal(s->version, "1.43.7");
		assert_int_equal(s->ntables, i ? 2 : 1);
	}
	autoschema struct schema *s = NULL;

	assert_int_equal(schema_from_tree(&tree, 1, &other, 1, &s, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
	assert_non_null(strstr(e.msg, "in SQL only"));
	assert_int_equal(schema_from_tree(&tree, 1, &plain, 1, &s, &e), 0);
	schema_free(&s);
	assert_int_equal(schema_from_tree(&tree, 1, &absent, 1, &s, &e), -1);
	assert_non_null(strstr(e.msg, "no such extension"));
}

/* --- what is wrong with a file ------------------------------------------------------------------------ */

static const struct { const char *text; enum err_kind kind; const char *says; } bad[] = {
	{ "{", ERR_INPUT, "line 1" },
	{ "", ERR_INPUT, "line 1" },
	{ "{}", ERR_INPUT, "no list of tables" },
	{ "[]", ERR_GONE, "before 1.39" },
	{ "[1]", ERR_INPUT, "no object with a name" },
	{ "[{\"columns\": []}]", ERR_INPUT, "without a name" },
	{ "[" TABLE("page", "{}", "", "") "]", ERR_INPUT, "a name and a type" },
	{ "[" TABLE("page", COLUMN("a", "geometry", ""), "", "") "]", ERR_INPUT, "page.a: no type that this cutover knows: geometry" },
	{ "[" TABLE("page", COLUMN("a", "binary", "\"length\": -1"), "", "") "]", ERR_INPUT, "length cannot be" },
	{ "[" TABLE("page", COLUMN("a", "binary", "\"length\": \"x\""), "", "") "]", ERR_INPUT, "no whole number" },
	{ "[" TABLE("page", COLUMN("a", "blob", "\"length\": 99999999999"), "", "") "]", ERR_INPUT, "length cannot be" },
	{ "[" TABLE("page", COLUMN("a", "mwenum", ""), "", "") "]", ERR_INPUT, "enum_values" },
	{ "[" TABLE("page", COLUMN("a", "integer", "\"default\": []"), "", "") "]", ERR_INPUT, "default is no value" },
	{ "[" TABLE("page", COLUMN("a", "integer", "") "," COLUMN("a", "integer", ""), "", "") "]", ERR_INPUT, "two columns \"a\"" },
	{ "[" TABLE("page", COLUMN("a", "integer", ""), "{\"name\": \"i\", \"columns\": [\"b\"]}", "") "]", ERR_INPUT, "not there: b" },
	{ "[" TABLE("page", COLUMN("a", "integer", ""), "{\"name\": \"i\"}", "") "]", ERR_INPUT, "index without columns" },
	{ "[" TABLE("page", COLUMN("a", "integer", ""), "{\"columns\": [\"a\"]}", "") "]", ERR_INPUT, "index without a name" },
	{ "[" TABLE("page", COLUMN("a", "integer", ""), "", "") "," TABLE("page", COLUMN("a", "integer", ""), "", "") "]",
	  ERR_INPUT, "two tables \"page\"" },
	{ "[" TABLE("pa\\u0001ge", COLUMN("a", "integer", ""), "", "") "]", ERR_INPUT, "control character" },
};

static void mistakes_are_named_with_their_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		autoschema struct schema *s = NULL;
		struct err e = { 0 };
		char *tree = folder;

		put("maintenance/tables.json", bad[i].text);
		if (!schema_from_tree(&tree, 1, NULL, 0, &s, &e))
			fail_msg("%s was taken", bad[i].text);
		if (e.kind != bad[i].kind || !strstr(e.msg, bad[i].says))
			fail_msg("%s: %s", bad[i].text, e.msg);
	}
}

static void a_folder_that_is_no_mediawiki_says_so(void **state)
{
	static char nowhere[] = "/nonexistent/wiki", tmp[] = "/tmp";
	char *a = nowhere, *b = tmp;
	autoschema struct schema *s = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(schema_from_tree(&a, 1, NULL, 0, &s, &e), -1);
	assert_non_null(strstr(e.msg, "no such file or folder"));
	assert_int_equal(schema_from_tree(&b, 1, NULL, 0, &s, &e), -1);
	assert_non_null(strstr(e.msg, "neither sql/tables.json"));
}

/* --- the same from every server -------------------------------------------------------------------- */

struct rows {
	enum schema_server server;
	const char *type, *def, *extra, *charset;
};
/* The first of each is MariaDB 10.11; what MySQL 8.0, 8.0.18 and 9 say of the same column follows. */
static const struct { const char *type, *def; struct rows as[4]; } shown[] = {
	{ "int unsigned", "0", { { SCHEMA_MARIADB, "int(10) unsigned", "0", "", NULL }, { SCHEMA_MYSQL, "int unsigned", "0", "", NULL },
				 { SCHEMA_MYSQL, "INT(10) UNSIGNED", "0", "", NULL } } },
	{ "bigint", NULL, { { SCHEMA_MARIADB, "bigint(20)", NULL, "", NULL }, { SCHEMA_MYSQL, "bigint", NULL, NULL, NULL } } },
	{ "tinyint", NULL, { { SCHEMA_MARIADB, "tinyint(1)", "NULL", "", NULL }, { SCHEMA_MYSQL, "tinyint(1)", NULL, "", NULL } } },
	{ "varbinary(255)", "", { { SCHEMA_MARIADB, "varbinary(255)", "''", "", NULL }, { SCHEMA_MYSQL, "varbinary(255)", "", "", NULL },
				  { SCHEMA_MYSQL, "varbinary(255)", "0x", "", NULL } } },
	{ "varbinary(32)", "unknown", { { SCHEMA_MARIADB, "varbinary(32)", "'unknown'", "", NULL },
					{ SCHEMA_MYSQL, "varbinary(32)", "0x756E6B6E6F776E", "", NULL } } },
	{ "binary(4)", "", { { SCHEMA_MARIADB, "binary(4)", "'\\0\\0\\0\\0'", "", NULL }, { SCHEMA_MYSQL, "binary(4)", "0x00000000", "", NULL },
			     { SCHEMA_MYSQL, "binary(4)", "0x", "", NULL } } },
	{ "varbinary(9)", "it's \\", { { SCHEMA_MARIADB, "varbinary(9)", "'it''s \\\\'", "", NULL },
				       { SCHEMA_MYSQL, "varbinary(9)", "0x69742773205C", "", NULL } } },
	{ "enum('a','(b')", "a", { { SCHEMA_MARIADB, "enum('a','(b')", "'a'", "", NULL }, { SCHEMA_MYSQL, "enum('a','(b')", "0x61", "", NULL } } },
	{ "timestamp", "(current_timestamp)", { { SCHEMA_MARIADB, "timestamp", "current_timestamp()", "on update current_timestamp()", NULL },
		{ SCHEMA_MYSQL, "timestamp", "CURRENT_TIMESTAMP", "DEFAULT_GENERATED on update CURRENT_TIMESTAMP", NULL },
		{ SCHEMA_MARIADB, "timestamp /* mariadb-5.3 */", "current_timestamp()", "", NULL } } },
	{ "mediumtext", NULL, { { SCHEMA_MARIADB, "mediumtext", NULL, "", "utf8mb3" }, { SCHEMA_MYSQL, "mediumtext", NULL, "", "utf8" } } },
	{ "varchar(4)", "0x30783431", { { SCHEMA_MARIADB, "varchar(4)", "'0x41'", "", "utf8mb3" }, { SCHEMA_MYSQL, "varchar(4)", "0x41", "", "utf8" } } },
	{ "int", "(generated)", { { SCHEMA_MARIADB, "int(11)", NULL, "STORED GENERATED", NULL }, { SCHEMA_MYSQL, "int", NULL, "VIRTUAL GENERATED", NULL } } },
	{ "decimal(8,2)", "1.00", { { SCHEMA_MARIADB, "decimal(8,2)", "1.00", "", NULL }, { SCHEMA_MYSQL, "decimal(8,2)", "1.00", "", NULL } } },
};

static struct schema *one_column(const struct rows *r)
{
	struct schema *s = schema_new("a server");
	struct err e = { 0 };

	schema_set_origin(s, r->server, NULL);
	assert_int_equal(schema_add_table(s, &(struct schema_table_row){ "page", "BASE TABLE", "InnoDB", "binary" }, &e), 0);
	if (schema_add_column(s, &(struct schema_column_row){ "page", "x", r->type, "NO", r->def, r->extra, r->charset }, &e) ||
	    schema_seal(s, &e))
		fail_msg("%s", e.msg);
	return s;
}

static void servers_say_the_same_in_other_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shown); i++)
		for (const struct rows *r = shown[i].as; r->type; r++) {
			autoschema struct schema *s = one_column(r);
			const struct schema_column *c = only(s, "x");

			if (strcmp(c->type, shown[i].type))
				fail_msg("%s is %s", r->type, c->type);
			if (!c->def != !shown[i].def || (c->def && strcmp(c->def, shown[i].def)))
				fail_msg("%s default %s is %s", r->type, r->def ? r->def : "NULL", c->def ? c->def : "none");
		}
}

static void another_wikis_tables_are_passed_over(void **state)
{
	autoschema struct schema *s = schema_new("a server");
	struct err e = { 0 };

	(void)state;
	schema_set_origin(s, SCHEMA_MARIADB, "mw_");
	assert_int_equal(schema_add_table(s, &(struct schema_table_row){ "mw_page", "BASE TABLE", "InnoDB", "binary" }, &e), 0);
	assert_int_equal(schema_add_table(s, &(struct schema_table_row){ "other", "BASE TABLE", "InnoDB", "binary" }, &e), 0);
	assert_int_equal(schema_add_column(s, &(struct schema_column_row){ "other", "x", "int", "NO", NULL, "", NULL }, &e), 0);
	assert_int_equal(schema_add_column(s, &(struct schema_column_row){ "mw_page", "x", "int", "NO", NULL, "", NULL }, &e), 0);
	assert_int_equal(schema_add_column(s, &(struct schema_column_row){ "mw_late", "x", "int", "NO", NULL, "", NULL }, &e), 0);
	assert_int_equal(schema_add_index(s, &(struct schema_index_row){ "mw_page", "i", "0", "x", "4", "BTREE" }, &e), 0);
	assert_int_equal(schema_add_index(s, &(struct schema_index_row){ "mw_page", "i", "0", "y", NULL, "BTREE" }, &e), 0);
	assert_int_equal(schema_seal(s, &e), 0);
	assert_int_equal(s->ntables, 1);
	assert_int_equal(s->others, 1);
	assert_string_equal(schema_index(schema_table(s, "page"), "i")->columns, "x(4),y");
	assert_true(schema_index(schema_table(s, "page"), "i")->unique);
}

static void rows_that_cannot_be_are_refused(void **state)
{
	autoschema struct schema *s = schema_new("a server"), *empty = schema_new("a server"), *prefixed = schema_new("a server");
	struct err e = { 0 };

	(void)state;
	assert_int_equal(schema_add_table(s, &(struct schema_table_row){ NULL, NULL, NULL, NULL }, &e), -1);
	assert_int_equal(schema_add_table(s, &(struct schema_table_row){ "page", NULL, NULL, NULL }, &e), 0);
	assert_int_equal(schema_add_column(s, &(struct schema_column_row){ "page", "x", NULL, "NO", NULL, NULL, NULL }, &e), -1);
	assert_int_equal(schema_add_column(s, &(struct schema_column_row){ "page", NULL, "int", "NO", NULL, NULL, NULL }, &e), -1);
	assert_int_equal(schema_add_index(s, &(struct schema_index_row){ "page", NULL, NULL, NULL, NULL, NULL }, &e), -1);
	assert_int_equal(schema_add_column(s, &(struct schema_column_row){ NULL, NULL, NULL, NULL, NULL, NULL, NULL }, &e), 0);
	assert_int_equal(schema_seal(empty, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
	assert_non_null(strstr(e.msg, "no wiki"));
	schema_set_origin(prefixed, SCHEMA_MYSQL, "mw_");
	assert_int_equal(schema_add_table(prefixed, &(struct schema_table_row){ "page", "BASE TABLE", "InnoDB", "binary" }, &e), 0);
	assert_int_equal(schema_seal(prefixed, &e), -1);
	assert_non_null(strstr(e.msg, "$wgDBprefix"));
}

/* --- manifests ----------------------------------------------------------------------------------------- */

static const struct { const char *path; unsigned tables; size_t columns, indexes; } manifests[] = {
	{ "plans/schemas/mediawiki-1.39.json", 58, 362, 185 }, /* as information_schema of fresh installs has them */
	{ "plans/schemas/mediawiki-1.43.json", 58, 365, 174 },
};

static void the_shipped_manifests_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(manifests); i++) {
		autoschema struct schema *s = NULL;
		struct err e = { 0 };
		size_t ncolumns = 0, nindexes = 0;

		if (schema_read(manifests[i].path, &s, &e))
			fail_msg("%s", e.msg);
		for (unsigned k = 0; k < s->ntables; k++) {
			ncolumns += s->table[k].ncolumns;
			nindexes += s->table[k].nindexes;
		}
		assert_int_equal(s->ntables, manifests[i].tables);
		assert_int_equal(ncolumns, manifests[i].columns);
		assert_int_equal(nindexes, manifests[i].indexes);
	}
}

static void a_manifest_written_is_the_manifest_read(void **state)
{
	autoschema struct schema *a = NULL, *b = NULL;
	autofree char *path = xasprintf("%s/again.json", folder), *text = NULL, *again = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(schema_read(manifests[1].path, &a, &e), 0);
	text = schema_text(a);
	assert_int_equal(file_write(path, text, strlen(text), &e), 0);
	assert_int_equal(schema_read(path, &b, &e), 0);
	b->source = a->source;
	again = schema_text(b);
	assert_string_equal(text, again);
}

static const struct { const char *text, *says; } broken[] = {
	{ "[]", "an object is wanted" },
	{ "{}", "\"schema\" is missing" },
	{ "{\"schema\": 2, \"tables\": {}}", "format 2 is not known" },
	{ "{\"schema\": 1, \"tables\": {}}", "no wiki" },
	{ "{\"schema\": 1, \"tables\": {}, \"x\": 1}", "\"x\" is no key" },
	{ "{\"schema\": 1, \"tables\": []}", "\"tables\" is an array" },
	{ "{\"schema\": 1, \"tables\": {\"page\": {\"columns\": {}}}}", "\"indexes\" is missing" },
	{ "{\"schema\": 1, \"tables\": {\"page\": {\"columns\": {\"a\": {}}, \"indexes\": {}}}}", "table page: column a: \"type\" is missing" },
	{ "{\"schema\": 1, \"tables\": {\"page\": {\"columns\": {\"a\": {\"type\": \"int\", \"null\": 1}}, \"indexes\": {}}}}", "must be true" },
	{ "{\"schema\": 1, \"schema\": 1}", "duplicate" },
	{ "not json", "line 1" },
};

static void a_broken_manifest_says_where(void **state)
{
	autofree char *path = xasprintf("%s/broken.json", folder);

	(void)state;
	for (size_t i = 0; i < COUNT(broken); i++) {
		autoschema struct schema *s = NULL;
		struct err e = { 0 };

		put("broken.json", broken[i].text);
		if (!schema_read(path, &s, &e))
			fail_msg("%s was taken", broken[i].text);
		if (!strstr(e.msg, broken[i].says) || !strstr(e.msg, "broken.json"))
			fail_msg("%s: %s", broken[i].text, e.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_of_the_abstract_schema_is_what_servers_show),
		cmocka_unit_test(oddities_are_those_of_real_files),
		cmocka_unit_test(version_and_extensions_are_found),
		cmocka_unit_test(mistakes_are_named_with_their_place),
		cmocka_unit_test(a_folder_that_is_no_mediawiki_says_so),
		cmocka_unit_test(servers_say_the_same_in_other_words),
		cmocka_unit_test(another_wikis_tables_are_passed_over),
		cmocka_unit_test(rows_that_cannot_be_are_refused),
		cmocka_unit_test(the_shipped_manifests_are_whole),
		cmocka_unit_test(a_manifest_written_is_the_manifest_read),
		cmocka_unit_test(a_broken_manifest_says_where),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

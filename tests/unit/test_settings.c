/* LocalSettings.php as text: what it says, what it computes, what it does not say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "mediawiki/settings.h"

#include <string.h>
#include <unistd.h>

static struct settings parse(const char *text)
{
	struct settings s;

	settings_parse(text, strlen(text), &s);
	return s;
}

static void said(const char *text, enum settings_name name, const char *value, bool computed)
{
	autosettings struct settings s = parse(text);

	if (!value)
		assert_null(s.value[name]);
	else
		assert_string_equal(s.value[name], value);
	assert_int_equal(s.computed[name], computed);
}

static void assignments_are_read(void **state)
{
	static const struct { const char *text, *value; bool computed; } rows[] = {
		{ "$wgDBname = 'wiki';", "wiki", false },
		{ "$wgDBname=\"wiki\" ;", "wiki", false },
		{ "$wgDBname = 'a'; $wgDBname = 'b';", "b", false },
		{ "$wgDBname /* x */ = // y\n 'wiki';", "wiki", false },
		{ "$wgDBname = 'it\\'s \\\\ \\n';", "it's \\ \\n", false },
		{ "$wgDBname = \"a\\\"\\$b\\t\";", "a\"$b\t", false },
		{ "$wgDBname = '';", "", false },
		{ "", NULL, false },
		{ "# $wgDBname = 'no';\n// $wgDBname = 'no';\n/* $wgDBname = 'no'; */", NULL, false },
		{ "$x = '$wgDBname = \"no\";';", NULL, false },
		{ "if ($wgDBname == 'wiki') {}", NULL, false },
		{ "array($wgDBname => 'wiki');", NULL, false },
		{ "$wgDBnames = 'no'; $wgDBnam = 'no';", NULL, false },
		{ "$wgDBname = getenv('X');", NULL, true },
		{ "$wgDBname = 'a' . 'b';", NULL, true },
		{ "$wgDBname = \"a$b\";", NULL, true },
		{ "$wgDBname = 'wiki'; $wgDBname = f();", NULL, true },
		{ "$wgDBname = f(); $wgDBname = 'wiki';", "wiki", false },
		{ "$wgDBname = 'not ended", NULL, true },
		{ "$wgDBname = ", NULL, true },
		{ "$wgDBname", NULL, false },
		{ "/* not ended $wgDBname = 'no';", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		said(rows[i].text, SETTING_NAME, rows[i].value, rows[i].computed);
}

static void servers_are_split(void **state)
{
	static const struct { const char *text, *host; int port; } rows[] = {
		{ "db.example.org", "db.example.org", 0 },
		{ "db.example.org:3307", "db.example.org", 3307 },
		{ "localhost:/run/mysqld.sock", "/run/mysqld.sock", 0 },
		{ "[::1]:3307", "::1", 3307 },
		{ "[::1]", "::1", 0 },
		{ "::1", "::1", 0 },
		{ ":", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		autofree char *text = xasprintf("$wgDBserver = '%s';", rows[i].text);
		autosettings struct settings s = parse(text);

		assert_string_equal(s.host, rows[i].host);
		assert_int_equal(s.port, rows[i].port);
	}
}

static void too_long_is_not_read(void **state)
{
	autobuf struct buf b = BUF_MAX(1 << 16);

	(void)state;
	buf_adds(&b, "$wgDBname = '");
	for (int i = 0; i < 5000; i++)
		buf_adds(&b, "x");
	buf_adds(&b, "'; $wgDBuser = 'u';");
	said(b.p, SETTING_NAME, NULL, true);
	said(b.p, SETTING_USER, "u", false);
}

static void read_text(const char *text, int rc, const char *part)
{
	autosettings struct settings s = { 0 };
	char path[] = "/tmp/test_settings.XXXXXX";
	struct err e = { 0 };

	close(mkstemp(path));
	assert_int_equal(file_write(path, text, strlen(text), &e), 0);
	assert_int_equal(settings_read(path, &s, &e), rc);
	unlink(path);
	if (rc && !strstr(e.msg, part))
		fail_msg("\"%s\" is not in: %s", part, e.msg);
	if (rc)
		assert_int_equal(e.kind, ERR_INPUT);
}

static void other_databases_are_refused(void **state)
{
	autosettings struct settings s = { 0 };
	struct err e = { 0 };

	(void)state;
	read_text("$wgDBtype = 'mysql';", 0, "");
	read_text("$wgDBname = 'w';", 0, ""); /* mysql is MediaWiki's default */
	read_text("$wgDBtype = 'sqlite';", -1, "SQLite");
	read_text("$wgDBtype = 'postgres';", -1, "PostgreSQL");
	read_text("$wgDBtype = 'dbase';", -1, "not mysql");
	read_text("$wgDBtype = f();", -1, "computes $wgDBtype");
	assert_int_equal(settings_read("/nonexistent", &s, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(assignments_are_read), cmocka_unit_test(servers_are_split),
		cmocka_unit_test(too_long_is_not_read), cmocka_unit_test(other_databases_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

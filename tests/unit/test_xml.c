/* The tree, and everything a hostile answer may try. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/xml.h"

#include <string.h>

static struct xml *parse(const char *s)
{
	struct err e = { 0 };
	struct xml *x = xml_parse(s, strlen(s), &e);

	if (!x)
		print_error("%s\n", e.msg);
	return x;
}

static void refused(const char *s, size_t n, const char *why)
{
	struct err e = { 0 };

	assert_null(xml_parse(s, n, &e));
	assert_int_equal(e.kind, ERR_UNSURE);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
}

static void a_tree_is_walked(void **state)
{
	autoxml struct xml *x = parse(
		"<?xml version='1.0'?>\n<R xmlns='http://x/'>\n  <L>\n    <member><A>1</A></member>\n"
		"    <member><A>2</A><B/></member>\n    <other/>\n    <member><A>3</A></member>\n  </L>\n</R>");
	struct xml *m = xml_at(x, "L/member");

	(void)state;
	assert_string_equal(x->name, "R");
	assert_string_equal(xml_text(m, "A"), "1");
	m = xml_next(m);
	assert_string_equal(xml_text(m, "A"), "2");
	assert_string_equal(xml_text(m, "B"), "");
	m = xml_next(m);
	assert_string_equal(xml_text(m, "A"), "3");
	assert_null(xml_next(m));
	assert_ptr_equal(m->up, xml_at(x, "L"));
	assert_null(xml_at(x, "L/nobody"));
	assert_null(xml_at(x, "A")); /* kids only, not their kids */
	assert_string_equal(xml_text(NULL, "A"), "");
	assert_null(xml_at(NULL, "A/B"));
	assert_null(xml_next(NULL));
}

static void names_lose_their_prefix_and_texts_keep_their_bytes(void **state)
{
	autoxml struct xml *x = parse("<ns:R xmlns:ns='u'><ns:T>a &lt;&amp;&#xe4; <![CDATA[<b>]]></ns:T></ns:R>");

	(void)state;
	assert_string_equal(x->name, "R");
	assert_string_equal(xml_text(x, "T"), "a <&\xc3\xa4 <b>");
	assert_null(x->text); /* it has a kid */
	assert_ptr_equal(xml_at(x, ""), x);
}

static void what_is_not_xml_is_unsure(void **state)
{
	(void)state;
	refused("", 0, "not XML");
	refused("<a><b></a>", 10, "line 1");
	refused("<html><body>502 Bad Gateway<br></body></html>", 45, "not XML");
	refused("{\"a\":1}", 7, "not XML");
	refused("<a>\xff</a>", 8, "not XML");
	refused("<a></a><b></b>", 14, "not XML");
	refused("<a>", 3, "not XML");
	refused("<a>\0</a>", 8, "not XML");
}

static void entities_and_types_are_refused(void **state)
{
	const char *bomb = "<!DOCTYPE r [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><r>&b;</r>";
	const char *file = "<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><r>&x;</r>";

	(void)state;
	refused(bomb, strlen(bomb), "document type");
	refused(file, strlen(file), "document type");
	refused("<!DOCTYPE html><html></html>", 28, "document type");
}

static void depth_has_a_ceiling(void **state)
{
	autobuf struct buf fits = BUF_MAX(1 << 20), deep = BUF_MAX(1 << 20);

	(void)state;
	for (int i = 0; i < 64; i++)
		buf_adds(&fits, "<a>");
	for (int i = 0; i < 64; i++)
		buf_adds(&fits, "</a>");
	xml_free(parse(fits.p));
	for (int i = 0; i < 100000; i++)
		buf_adds(&deep, "<a>");
	refused(deep.p, deep.len, "nested too deeply");
	buf_clear(&deep);
	for (int i = 0; i < 65; i++)
		buf_adds(&deep, "<a>");
	buf_adds(&deep, "<b/>");
	refused(deep.p, deep.len, "nested too deeply");
}

/* As many siblings as fit: also shows that appending one does not walk the others. */
static void width_has_a_ceiling(void **state)
{
	autobuf struct buf b = BUF_MAX((size_t)8 << 20);
	struct xml *x;

	(void)state;
	buf_adds(&b, "<r>");
	for (int i = 0; i < 199999; i++)
		buf_adds(&b, "<a/>");
	buf_adds(&b, "</r>");
	x = parse(b.p);
	assert_non_null(x);
	xml_free(x);
	b.len -= 4;
	buf_adds(&b, "<a/></r>");
	refused(b.p, b.len, "too many elements");
}

static void long_texts_are_refused(void **state)
{
	autobuf struct buf b = BUF_MAX((size_t)8 << 20);

	(void)state;
	buf_adds(&b, "<r>");
	for (int i = 0; i < (1 << 20) + 1; i++)
		buf_adds(&b, "x");
	buf_adds(&b, "</r>");
	refused(b.p, b.len, "too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_is_walked),
		cmocka_unit_test(names_lose_their_prefix_and_texts_keep_their_bytes),
		cmocka_unit_test(what_is_not_xml_is_unsure),
		cmocka_unit_test(entities_and_types_are_refused),
		cmocka_unit_test(depth_has_a_ceiling),
		cmocka_unit_test(width_has_a_ceiling),
		cmocka_unit_test(long_texts_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

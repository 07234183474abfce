/* What each step kind refuses in a plan, beyond types and ranges. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "plan/plan.h"
#include "steps/registry.h"

#include <string.h>

#define LB "arn:aws:elasticloadbalancing:eu-central-1:123456789012:"
#define PROMOTE "{\"id\":\"all\",\"do\":\"promote\"}"

/* The step before or after a promote, in a plan without blue's stack. */
static char *plan_of(const char *step, bool after)
{
	return xasprintf("{\"name\":\"t\",\"region\":\"eu-central-1\",\"account\":\"123456789012\",\"rule\":\"" LB
			 "listener-rule/app/wiki/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee\","
			 "\"blue\":{\"target_group\":\"" LB "targetgroup/blue/73e2d6bc24d8a067\",\"cluster\":\"c\",\"service\":\"s\"},"
			 "\"green\":{\"target_group\":\"" LB "targetgroup/green/0123456789abcdef\"},"
			 "\"watch\":{\"period\":\"PT1M\"},\"steps\":[{\"id\":\"look\",\"do\":\"preflight\"},%s%s%s%s]}",
			 after ? PROMOTE "," : "", step, after ? "" : ",", after ? "" : PROMOTE);
}

/* All that was said against it, "" when nothing. Caller frees. */
static char *against(const char *step, bool after)
{
	autobuf struct buf said = BUF_MAX(65536);
	autofree char *text = plan_of(step, after);
	struct plan_errors errs = { 0 };
	autoplan struct plan *p = NULL;

	if (plan_parse(text, strlen(text), "t.json", step_kinds, NULL, &p, &errs))
		plan_errors_print(&errs, "t.json", &said);
	plan_errors_free(&errs);
	return buf_take(&said);
}

static const struct { const char *step, *says; bool after; } bad[] = {
	{ "{\"id\":\"x\",\"do\":\"stack\",\"stack\":\"a\"}", "needs template or template_url", false },
	{ "{\"id\":\"x\",\"do\":\"stack\",\"stack\":\"a\",\"template\":\"a\",\"template_url\":\"https://b\"}", "needs template or template_url", false },
	{ "{\"id\":\"x\",\"do\":\"stack\",\"stack\":\"1_a\",\"template\":\"a\"}", "is not a stack name", false },
	{ "{\"id\":\"x\",\"do\":\"stack\",\"stack\":\"a\",\"template\":\"a\",\"tags\":{\"cutover:token\":\"x\"}}", "reserved", false },
	{ "{\"id\":\"x\",\"do\":\"probe\",\"url\":\"ftp://w\"}", "https://host", false },
	{ "{\"id\":\"x\",\"do\":\"probe\",\"url\":\"https://w/path\"}", "without a path", false },
	{ "{\"id\":\"x\",\"do\":\"probe\",\"url\":\"https://w\",\"through\":\"nohost\"}", "host:port", false },
	{ "{\"id\":\"x\",\"do\":\"probe\",\"url\":\"https://w\",\"headers\":{\"Host\":\"other\"}}", "not a header that may be sent", false },
	{ "{\"id\":\"x\",\"do\":\"warm\",\"url\":\"https://w\",\"paths\":[\"/\"],\"headers\":{\"A b\":\"c\"}}", "not a header that may be sent", false },
	{ "{\"id\":\"x\",\"do\":\"probe\",\"url\":\"https://w\",\"paths\":[\"a\"]}", "must begin with a slash", false },
	{ "{\"id\":\"x\",\"do\":\"probe\",\"url\":\"https://w\",\"article\":\"wiki/\"}", "must begin with a slash", false },
	{ "{\"id\":\"x\",\"do\":\"probe\",\"url\":\"https://w\",\"timeout\":\"PT1M\"}", "longer than patience", false },
	{ "{\"id\":\"x\",\"do\":\"warm\",\"url\":\"https://w\",\"paths\":[]}", "paths", false },
	{ "{\"id\":\"x\",\"do\":\"shift\",\"weight\":\"0%\"}", "weight", false },
	{ "{\"id\":\"x\",\"do\":\"shift\",\"weight\":\"5%\",\"bake\":\"PT1H\",\"timeout\":\"PT1H\"}", "longer than ready, bake", false },
	{ "{\"id\":\"x\",\"do\":\"shift\"}", "needs `weight`, or", false },
	{ "{\"id\":\"x\",\"do\":\"shift\",\"weight\":\"5%\",\"stages\":\"auto\"}", "one of them is enough", false },
	{ "{\"id\":\"x\",\"do\":\"shift\",\"weight\":\"5%\",\"harm\":9}", "goes with \"stages\"", false },
	{ "{\"id\":\"x\",\"do\":\"shift\",\"stages\":\"auto\"},{\"id\":\"y\",\"do\":\"shift\",\"weight\":\"95%\"}", "no room for other shift", false },
	{ "{\"id\":\"x\",\"do\":\"approve\",\"ask\":\"?\",\"deadline\":\"PT1H\",\"timeout\":\"PT1H\"}", "longer than the deadline", false },
	{ "{\"id\":\"x\",\"do\":\"hook\"}", "needs program or url", false },
	{ "{\"id\":\"x\",\"do\":\"hook\",\"program\":[\"/a\"],\"url\":\"https://b\"}", "needs program or url", false },
	{ "{\"id\":\"x\",\"do\":\"hook\",\"program\":[\"a\"]}", "absolute path", false },
	{ "{\"id\":\"x\",\"do\":\"hook\",\"url\":\"http://hook.example.org\"}", "must be https", false },
	{ "{\"id\":\"x\",\"do\":\"hook\",\"url\":\"http://127.0.0.1.evil.example/\"}", "must be https", false },
	{ "{\"id\":\"x\",\"do\":\"hook\",\"program\":[\"/a\"],\"limit\":\"PT10M\"}", "limit", false },
	{ "{\"id\":\"x\",\"do\":\"retire\"}", "after a promote", false },
	{ "{\"id\":\"x\",\"do\":\"retire\",\"how\":\"delete-stack\"}", "needs blue.stack", true },
	{ "{\"id\":\"x\",\"do\":\"retire\",\"soak\":\"PT10H\",\"timeout\":\"PT10H\"}", "longer than the soak", true },
	{ "{\"id\":\"x\",\"do\":\"task\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"command\":[\"a\"],\"judge\":\"nobody\"}", "the id of a schema step after this one", false },
	{ "{\"id\":\"x\",\"do\":\"task\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"command\":[\"a\"],\"judge\":\"look\"}", "the id of a schema step after this one", false },
	{ "{\"id\":\"x\",\"do\":\"task\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"command\":[\"a\"],\"launch\":\"FARGATE\"}", "needs subnets", false },
	{ "{\"id\":\"x\",\"do\":\"task\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"command\":[\"a\"],\"public_ip\":true}", "only mean something with subnets", false },
	{ "{\"id\":\"x\",\"do\":\"task\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"command\":[\"a\"],\"limit\":\"PT2H\",\"runs\":3}", "all runs together", false },
	{ "{\"id\":\"x\",\"do\":\"freeze\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"file\":\"/l\",\"url\":\"https://w\"}", "no thaw step follows", false },
	{ "{\"id\":\"x\",\"do\":\"thaw\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"file\":\"/l\",\"url\":\"https://w\"}", "after a freeze step", true },
	{ "{\"id\":\"f\",\"do\":\"freeze\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"file\":\"/l\",\"url\":\"https://w\"},{\"id\":\"x\",\"do\":\"thaw\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"file\":\"/l\",\"url\":\"https://w\"}", "gives green all traffic", false },
	{ "{\"id\":\"x\",\"do\":\"freeze\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"file\":\"l\",\"url\":\"https://w\"}", "absolute path of $wgReadOnlyFile", false },
	{ "{\"id\":\"x\",\"do\":\"freeze\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"file\":\"/l\",\"url\":\"https://w\",\"through\":[\"nohost\"]}", "host:port", false },
	{ "{\"id\":\"x\",\"do\":\"database\",\"how\":\"detach\",\"host\":\"h\",\"source_host\":\"s\"}", "after a freeze step", false },
	{ "{\"id\":\"x\",\"do\":\"database\",\"how\":\"clone\",\"source\":\"s\",\"instance_class\":\"i\",\"source_host\":\"h\"}", "after a freeze step", false },
	{ "{\"id\":\"x\",\"do\":\"database\",\"how\":\"clone\",\"instance_class\":\"i\",\"source_host\":\"h\"}", "source is missing", false },
	{ "{\"id\":\"x\",\"do\":\"database\",\"how\":\"blue-green\",\"source\":\"s\",\"acu_min\":\"1\"}", "go together", false },
	{ "{\"id\":\"x\",\"do\":\"schema\",\"blue\":\"b.json\",\"green\":\"g.json\",\"host\":\"h\",\"name\":\"n\",\"kind\":\"shared\",\"secret\":\"a\",\"iam\":true,\"user\":\"u\"}", "two ways to log in", false },
	{ "{\"id\":\"x\",\"do\":\"schema\",\"blue\":\"b.json\",\"green\":\"g.json\",\"host\":\"h\",\"name\":\"n\",\"kind\":\"shared\",\"iam\":true}", "made for a user", false },
	{ "{\"id\":\"x\",\"do\":\"schema\",\"blue\":\"b.json\",\"green\":\"g.json\",\"host\":\"h\",\"name\":\"n\",\"kind\":\"shared\",\"waived\":[\"charset\"]}", "\"charset\" is no check of health or data", false },
	{ "{\"id\":\"x\",\"do\":\"schema\",\"blue\":\"b.json\",\"green\":\"g.json\",\"host\":\"h\",\"name\":\"n\",\"kind\":\"shared\",\"statement_limit\":\"PT1H\",\"timeout\":\"PT1H\"}", "longer than statement_limit", false },
	{ "{\"id\":\"x\",\"do\":\"schema\",\"blue\":\"b.json\",\"green\":\"g.json\",\"host\":\"h\",\"name\":\"n\",\"kind\":\"freeze\"}", "the order of the steps does not fit it", false },
};

static const struct { const char *step; bool after; } good[] = {
	{ "{\"id\":\"x\",\"do\":\"stack\",\"stack\":\"wiki-green\",\"template\":\"a.yaml\",\"parameters\":{\"A\":\"b\"}}", false },
	{ "{\"id\":\"x\",\"do\":\"probe\",\"url\":\"https://w/\",\"through\":\"10.0.0.1:8443\",\"headers\":{\"X-MW-Color\":\"green\"}}", false },
	{ "{\"id\":\"x\",\"do\":\"warm\",\"url\":\"https://w\",\"paths\":[\"/a\"]}", false },
	{ "{\"id\":\"x\",\"do\":\"shift\",\"weight\":\"0.1%\"}", false },
	{ "{\"id\":\"x\",\"do\":\"approve\",\"ask\":\"go?\"}", false },
	{ "{\"id\":\"x\",\"do\":\"hook\",\"program\":[\"/bin/true\"],\"data\":{\"a\":\"b\"}}", false },
	{ "{\"id\":\"x\",\"do\":\"hook\",\"url\":\"http://127.0.0.1:8080/h\"}", false },
	{ "{\"id\":\"x\",\"do\":\"hook\",\"url\":\"http://[::1]/h\"}", false },
	{ "{\"id\":\"x\",\"do\":\"retire\"}", true },
	{ "{\"id\":\"x\",\"do\":\"task\",\"cluster\":\"c\",\"task_definition\":\"t\",\"container\":\"k\",\"command\":[\"a\"]}", false },
	{ "{\"id\":\"x\",\"do\":\"database\",\"how\":\"blue-green\",\"source\":\"s\"}", false },
	{ "{\"id\":\"x\",\"do\":\"schema\",\"blue\":\"b.json\",\"green\":\"g.json\",\"host\":\"h\",\"name\":\"n\",\"kind\":\"shared\"}", false },
	{ "{\"id\":\"x\",\"do\":\"schema\",\"blue\":\"b.json\",\"green\":\"g.json\",\"host\":\"h\",\"name\":\"n\",\"kind\":\"shared\","
	  "\"waived\":[\"charsets\",\"revisions-without-comment\"]}", false },
};

static void bad_plans_are_refused_with_a_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		autofree char *said = against(bad[i].step, bad[i].after);

		if (!strstr(said, bad[i].says))
			fail_msg("%s: expected \"%s\", got \"%s\"", bad[i].step, bad[i].says, said);
	}
}

static void good_plans_are_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		autofree char *said = against(good[i].step, good[i].after);

		if (*said)
			fail_msg("%s: %s", good[i].step, said);
	}
}

/* The tables that help, docs and the schema are made of. */
static void tables_are_complete(void **state)
{
	(void)state;
	for (const struct step_kind *const *k = step_kinds; *k; k++) {
		assert_ptr_equal(step_kind_find((*k)->name), *k);
		assert_non_null((*k)->about);
		assert_non_null((*k)->advance);
		assert_true((*k)->timeout_ms > 0);
		assert_true(!((*k)->flags & STEP_ONE_WAY) || !(*k)->undo);
		for (const struct param *p = (*k)->params; p->name; p++)
			if (!p->about || (p->required && p->def))
				fail_msg("%s.%s has no text, or is required and has a default", (*k)->name, p->name);
	}
	assert_null(step_kind_find("nonsense"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_plans_are_refused_with_a_reason), cmocka_unit_test(good_plans_are_not),
		cmocka_unit_test(tables_are_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

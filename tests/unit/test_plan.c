/* Plan files: what is read, what is refused, and that every refusal names line and path. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/step.h"
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

/* --- kinds of steps with every type of parameter ---------------------------------------------- */

static const struct param field_params[] = {
	{ .name = "name", .type = PARAM_STRING, .required = true, .about = "a name" },
	{ .name = "size", .type = PARAM_INT, .def = "7", .min = 1, .max = 9, .about = "a size" },
	{ 0 },
};
static const char *const colours[] = { "red", "yellow", NULL };
static const struct param all_params[] = {
	{ .name = "text", .type = PARAM_STRING, .def = "\"hello\"", .about = "a text" },
	{ .name = "empty", .type = PARAM_STRING, .def = "\"\"", .about = "may be empty" },
	{ .name = "count", .type = PARAM_INT, .def = "3", .min = 1, .max = 9, .about = "a count" },
	{ .name = "sure", .type = PARAM_BOOL, .def = "false", .about = "or not" },
	{ .name = "wait", .type = PARAM_DURATION, .def = "\"PT5M\"", .min = 1000, .max = 3600000, .about = "a time" },
	{ .name = "share", .type = PARAM_PERCENT, .def = "\"10%\"", .min = 1, .max = 500, .about = "a share" },
	{ .name = "colour", .type = PARAM_CHOICE, .def = "\"red\"", .choices = colours, .about = "a colour" },
	{ .name = "list", .type = PARAM_STRINGS, .max = 3, .about = "some" },
	{ .name = "map", .type = PARAM_MAP, .about = "pairs" },
	{ .name = "objects", .type = PARAM_OBJECTS, .max = 3, .fields = field_params, .about = "things" },
	{ .name = "role", .type = PARAM_STRING, .about = "an ARN" },
	{ 0 },
};
static const struct param none[] = { { 0 } };
static const struct param shift_params[] = {
	{ .name = "weight", .type = PARAM_PERCENT, .required = true, .min = 1, .max = 1000, .about = "the weight" },
	{ .name = "bake", .type = PARAM_DURATION, .def = "\"PT10M\"", .about = "a time" },
	{ 0 },
};

static int64_t shift_worst(const struct step *s)
{
	return json_num(s->params, "bake", 0);
}

static void odd_count(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	if (json_num(s->params, "count", 1) % 2 == 0)
		plan_bad(errs, p, s, "count", "must be odd in region %s", p->region);
}

static const struct step_kind
	preflight = { .name = "preflight", .about = "looks", .params = none, .timeout_ms = 60000 },
	all = { .name = "all", .about = "has everything", .params = all_params, .timeout_ms = 60000, .validate = odd_count },
	shift = { .name = "shift", .about = "shifts", .params = shift_params, .timeout_ms = 3600000,
		  .flags = STEP_TRAFFIC | STEP_TOUCHES, .worst_ms = shift_worst },
	promote = { .name = "promote", .about = "promotes", .params = none, .timeout_ms = 60000,
		    .flags = STEP_TRAFFIC | STEP_TOUCHES },
	back = { .name = "back", .about = "goes back", .params = none, .timeout_ms = 60000, .flags = STEP_TRAFFIC };
static const struct step_kind *const kinds[] = { &preflight, &all, &shift, &promote, &back, NULL };

/* --- asking ------------------------------------------------------------------------------------- */

#define ELB "arn:aws:elasticloadbalancing:eu-central-1:123456789012:"
#define HEAD "{\"name\":\"w\",\"region\":\"eu-central-1\",\"account\":\"123456789012\",\n" \
	     "\"rule\":\"" ELB "listener-rule/app/wiki/1/2/3\",\n"
#define BLUE "\"blue\":{\"target_group\":\"" ELB "targetgroup/blue/1\"},\n"
#define GREEN "\"green\":{\"target_group\":\"" ELB "targetgroup/green/2\"},\n"
#define TOP HEAD BLUE GREEN /* four lines: what follows stands in line 5 */

struct asked {
	struct plan *plan;
	struct plan_errors errs;
};

static void close_asked(struct asked *a)
{
	plan_free(a->plan);
	plan_errors_free(&a->errs);
}
#define autoasked __attribute__((cleanup(close_asked)))

static struct asked ask_n(const char *text, size_t n, const json_t *env)
{
	struct asked a = { 0 };
	int rc = plan_parse(text, n, "p.json", kinds, env, &a.plan, &a.errs);

	if ((rc == 0) != (a.plan != NULL) || (rc == 0) != (a.errs.n == 0))
		fail_msg("rc %d, plan %p, %zu errors", rc, (void *)a.plan, a.errs.n);
	return a;
}

static struct asked ask(const char *text)
{
	return ask_n(text, strlen(text), NULL);
}

static bool has(const struct plan_errors *errs, int line, const char *path, const char *part)
{
	for (size_t i = 0; i < errs->n; i++)
		if (errs->at[i].line == line && !strcmp(errs->at[i].path, path) && strstr(errs->at[i].text, part))
			return true;
	return false;
}

static void must_have(const struct plan_errors *errs, int line, const char *path, const char *part)
{
	autobuf struct buf all_text = BUF_MAX(65536);

	plan_errors_print(errs, "p.json", &all_text);
	if (!has(errs, line, path, part))
		fail_msg("no error in line %d at %s with \"%s\" among:\n%s", line, path, part, all_text.p ? all_text.p : "(none)");
}

static void refused(const char *text, int line, const char *path, const char *part)
{
	autoasked struct asked a = ask(text);

	must_have(&a.errs, line, path, part);
}

/* One error and no other: a mistake is not reported twice. */
static void refused_once(const char *text, int line, const char *path, const char *part)
{
	autoasked struct asked a = ask(text);

	must_have(&a.errs, line, path, part);
	assert_int_equal(a.errs.n, 1);
}

static struct asked accepted(const char *text)
{
	struct asked a = ask(text);

	for (size_t i = 0; i < a.errs.n; i++)
		print_error("%d %s %s\n", a.errs.at[i].line, a.errs.at[i].path, a.errs.at[i].text);
	assert_non_null(a.plan);
	return a;
}

/* A plan with this as the parameters of its one step, which stands in line 6. */
static void step_refused(const char *params, const char *path, const char *part)
{
	autofree char *text = xasprintf(TOP "\"steps\":[\n{\"id\":\"x\",\"do\":\"all\"%s}]}", params);

	refused_once(text, 6, path, part);
}

/* --- what is read --------------------------------------------------------------------------------- */

static void defaults_are_filled_in(void **state)
{
	autoasked struct asked a = accepted(TOP "\"steps\":[{\"id\":\"x\",\"do\":\"all\"}]}");
	const struct plan *p = a.plan;
	const struct plan_watch *w = &p->watch;
	const json_t *q = p->steps[0].params;
	struct judge_tuning usual;

	(void)state;
	assert_int_equal(w->period_ms, 60000);
	assert_int_equal(w->lag_ms, 120000);
	assert_int_equal(w->poll_ms, 30000);
	assert_int_equal(w->blind_after_ms, 300000);
	assert_int_equal(w->hold_limit_ms, 3600000);
	assert_int_equal(w->foreign_grace_ms, 120000);
	assert_int_equal(w->on_hold, PLAN_HOLD_ROLLBACK);
	assert_string_equal(w->latency_stat, "p90");
	assert_int_equal(w->limits.catastrophic_permille, 200);
	assert_int_equal(w->limits.catastrophic_requests, 50);
	assert_int_equal(w->limits.error_permille, 0); /* fixed limits stand in the plan, or there are none */
	assert_int_equal(w->limits.latency_ms, 0);
	assert_true(w->sequential);
	judge_tuning_usual(&usual);
	assert_memory_equal(&w->tuning, &usual, sizeof usual);
	assert_int_equal(w->slow_ms, 0);
	assert_int_equal(json_array_size(w->metrics), 0);
	assert_int_equal(w->limits.good_requests, 100);
	assert_int_equal(w->limits.blind_periods, 3);
	assert_int_equal(json_array_size(w->alarms), 0);
	assert_false(p->deadman.on);
	assert_int_equal(p->deadline_ms, 0);
	assert_null(p->call);
	assert_int_equal(p->steps[0].timeout_ms, 60000);
	assert_int_equal(p->steps[0].line, 5);
	assert_string_equal(json_str(q, "text", ""), "hello");
	assert_int_equal(json_num(q, "count", 0), 3);
	assert_int_equal(json_num(q, "wait", 0), 300000);
	assert_int_equal(json_num(q, "share", 0), 100);
	assert_string_equal(json_str(q, "colour", ""), "red");
	assert_true(json_is_false(json_object_get(q, "sure")));
	assert_null(json_object_get(q, "list"));
	assert_null(json_object_get(q, "id"));
}

static void what_is_written_is_read(void **state)
{
	autoasked struct asked a = accepted(
		TOP "\"watch\":{\"period\":\"PT10S\",\"lag\":\"PT30S\",\"poll\":\"PT4S\",\"on_hold\":\"call\",\"errors\":{\"rate\":\"0.5%\"},"
		"\"latency\":{\"above\":\"PT1.2S\",\"stat\":\"p99\"},\"alarms\":[\"a\",\"b\"],\"waived\":[\"b\"]},"
		"\"deadman\":{\"role\":\"arn:aws:iam::123456789012:role/x\"},\"deadline\":\"PT6H\",\"call\":[\"/bin/page\",\"me\"],"
		"\"steps\":[{\"id\":\"look\",\"do\":\"preflight\"},"
		"{\"id\":\"x\",\"do\":\"all\",\"//\":1,\"//\":2,\"share\":0.1,\"wait\":\"PT1M30S\",\"empty\":\"\",\"list\":[\"a\"],"
		"\"map\":{\"K\":\"v\",\"Empty\":\"\",\"// why\":3},\"objects\":[{\"name\":\"n\"}],\"timeout\":\"PT7M\"},"
		"{\"id\":\"s\",\"do\":\"shift\",\"weight\":\"12.5%\"},{\"id\":\"p\",\"do\":\"promote\"}]}");
	const struct plan *p = a.plan;
	const json_t *q = p->steps[1].params;

	(void)state;
	assert_int_equal(p->watch.period_ms, 10000);
	assert_int_equal(p->watch.lag_ms, 30000);
	assert_int_equal(p->watch.poll_ms, 4000);
	assert_int_equal(p->watch.on_hold, PLAN_HOLD_CALL);
	assert_int_equal(p->watch.limits.error_permille, 5);
	assert_int_equal(p->watch.limits.error_periods, 3);
	assert_int_equal(p->watch.limits.latency_ms, 0);
	assert_int_equal(p->watch.slow_ms, 1200);
	assert_string_equal(p->watch.latency_stat, "p99");
	assert_int_equal(json_array_size(p->watch.waived), 1);
	assert_true(p->deadman.on);
	assert_string_equal(p->deadman.group, "default");
	assert_int_equal(p->deadman.after_ms, 900000);
	assert_int_equal(p->deadline_ms, 6 * 3600000);
	assert_int_equal(json_num(q, "share", 0), 1);
	assert_int_equal(json_num(q, "wait", 0), 90000);
	assert_int_equal(json_object_size(json_object_get(q, "map")), 2);
	assert_int_equal(json_num(json_array_get(json_object_get(q, "objects"), 0), "size", 0), 7);
	assert_int_equal(p->steps[1].timeout_ms, 420000);
	assert_int_equal(json_num(p->steps[2].params, "weight", 0), 125);
	assert_ptr_equal(plan_step(p, "s"), &p->steps[2]);
	assert_null(plan_step(p, "t"));
}

static void the_file_is_kept_byte_by_byte(void **state)
{
	static const char text[] = TOP "\"steps\":[{\"id\":\"x\",\"do\":\"all\"}]}\n\n";
	autoasked struct asked a = accepted(text), b = accepted(TOP "\"steps\":[{\"id\":\"x\",\"do\":\"all\"}]}\n");

	(void)state;
	assert_int_equal(a.plan->ntext, sizeof text - 1);
	assert_memory_equal(a.plan->text, text, sizeof text);
	assert_int_equal(strlen(a.plan->sha256), 64);
	assert_string_not_equal(a.plan->sha256, b.plan->sha256);
	assert_string_equal(a.plan->file, "p.json");
}

static void a_long_bake_has_time_of_its_own(void **state)
{
	autoasked struct asked a = accepted(TOP "\"steps\":[{\"id\":\"l\",\"do\":\"preflight\"},"
		"{\"id\":\"s\",\"do\":\"shift\",\"weight\":5,\"bake\":\"PT5H\"},{\"id\":\"p\",\"do\":\"promote\"}]}");

	(void)state;
	assert_true(a.plan->steps[1].timeout_ms > 5 * 3600000 + a.plan->watch.hold_limit_ms);
}

/* --- one mistake each ------------------------------------------------------------------------------- */

static void parameters_are_checked_by_their_table(void **state)
{
	(void)state;
	step_refused(",\"text\":5", "steps[0].text", "must be a string, not a number");
	step_refused(",\"text\":\"\"", "steps[0].text", "must not be empty");
	step_refused(",\"text\":\"a\\u0007b\"", "steps[0].text", "control characters");
	step_refused(",\"count\":\"3\"", "steps[0].count", "must be a whole number, not a string");
	step_refused(",\"count\":3.5", "steps[0].count", "must be a whole number");
	step_refused(",\"count\":11", "steps[0].count", "is 11; allowed: 1 to 9");
	step_refused(",\"count\":-1", "steps[0].count", "is -1; allowed: 1 to 9");
	step_refused(",\"sure\":\"yes\"", "steps[0].sure", "must be true or false, not a string");
	step_refused(",\"wait\":60", "steps[0].wait", "must be a duration such as");
	step_refused(",\"wait\":\"5m\"", "steps[0].wait", "is not a duration");
	step_refused(",\"wait\":\"PT2H\"", "steps[0].wait", "is 2 h; allowed: 1 s to 1 h");
	step_refused(",\"wait\":\"P1M\"", "steps[0].wait", "is not a duration");
	step_refused(",\"share\":\"60%\"", "steps[0].share", "is 60%; allowed: 0.1% to 50%");
	step_refused(",\"share\":\"0.05%\"", "steps[0].share", "tenths of a percent");
	step_refused(",\"share\":\"five\"", "steps[0].share", "must be a share from 0% to 100%");
	step_refused(",\"share\":-1", "steps[0].share", "must be a share from 0% to 100%");
	step_refused(",\"share\":1e300", "steps[0].share", "must be a share from 0% to 100%");
	step_refused(",\"share\":true", "steps[0].share", "must be a share such as");
	step_refused(",\"colour\":\"yelow\"", "steps[0].colour", "did you mean \"yellow\"?");
	step_refused(",\"colour\":\"magenta\"", "steps[0].colour", "allowed: red, yellow");
	step_refused(",\"colour\":null", "steps[0].colour", "not null");
	step_refused(",\"list\":\"a\"", "steps[0].list", "must be a list of strings");
	step_refused(",\"list\":[\"a\",1]", "steps[0].list[1]", "must be a string, not a number");
	step_refused(",\"list\":[\"a\",\"b\",\"c\",\"d\"]", "steps[0].list", "has 4 entries; allowed: 0 to 3");
	step_refused(",\"map\":[]", "steps[0].map", "must be an object of strings");
	step_refused(",\"map\":{\"K\":3}", "steps[0].map.K", "must be a string, not a number");
	step_refused(",\"objects\":{}", "steps[0].objects", "must be a list of objects");
	step_refused(",\"objects\":[5]", "steps[0].objects[0]", "must be an object {...}, not a number");
	step_refused(",\"objects\":[{}]", "steps[0].objects[0].name", "is missing: a name");
	step_refused(",\"objects\":[{\"name\":\"n\",\"size\":0}]", "steps[0].objects[0].size", "allowed: 1 to 9");
	step_refused(",\"colur\":\"red\"", "steps[0].colur", "did you mean \"colour\"?");
	step_refused(",\"zzz\":1", "steps[0].zzz", "allowed: id, do, timeout, text");
	step_refused(",\"count\":4", "steps[0].count", "must be odd in region eu-central-1");
	step_refused(",\"timeout\":\"PT0S\"", "steps[0].timeout", "allowed: 1 s to");
	step_refused(",\"role\":\"me\"", "steps[0].role", "must be an ARN like arn:aws:iam");
	step_refused(",\"role\":\"arn:aws:iam::999999999999:role/x\"", "steps[0].role", "is in account 999999999999");
}

#define STEPS "\"steps\":[{\"id\":\"x\",\"do\":\"all\"}]}"

static void names_and_arns_are_checked(void **state)
{
	(void)state;
	refused_once("{\"name\":\"My Wiki\",\"region\":\"eu-central-1\",\"account\":\"123456789012\",\n\"rule\":\"" ELB
		     "listener-rule/app/wiki/1/2/3\"," BLUE GREEN STEPS, 1, "name", "1 to 32 of a-z");
	refused(HEAD BLUE "\"green\":{\"target_group\":\"" ELB "targetgroup/blue/1\"},\n" STEPS, 4, "green.target_group",
		"is blue's target group too");
	refused(HEAD "\"blue\":{\"target_group\":\"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/b/1\"},\n" GREEN STEPS,
		3, "blue.target_group", "is in region us-east-1, but the plan is for eu-central-1");
	refused(HEAD "\"blue\":{\"target_group\":\"arn:aws:elasticloadbalancing:eu-central-1:210987654321:targetgroup/b/1\"},\n" GREEN STEPS,
		3, "blue.target_group", "is in account 210987654321, but the plan is for 123456789012");
	refused(HEAD "\"blue\":{\"target_group\":\"wiki-blue\"},\n" GREEN STEPS, 3, "blue.target_group", "must be an ARN like");
	refused(HEAD "\"blue\":{\"target_group\":\"" ELB "targetgroup/b/1/2\"},\n" GREEN STEPS, 3, "blue.target_group", "must be an ARN like");
	refused(HEAD "\"blue\":{\"target_group\":\"" ELB "loadbalancer/app/b/1\"},\n" GREEN STEPS, 3, "blue.target_group", "must be an ARN like");
	refused("{\"name\":\"w\",\"region\":\"europe\",\"account\":123456789012,\"rule\":\"" ELB "listener/app/wiki/1/2\",\n" BLUE GREEN STEPS,
		1, "rule", "listener-rule/app/NAME/ID/ID/ID");
	refused("{\"name\":\"w\",\"region\":\"europe\",\"account\":123456789012,\n" BLUE GREEN STEPS, 1, "region", "AWS region such as");
	refused("{\"name\":\"w\",\"region\":\"europe\",\n\"account\":123456789012," BLUE GREEN STEPS, 2, "account", "must be a string, not a number");
	refused("{\"name\":\"w\",\"account\":\"12345\",\n" BLUE GREEN STEPS, 1, "account", "12 digits");
	refused(TOP "\"deadman\":{\"role\":\"" ELB "targetgroup/a/1\"},\n" STEPS, 5, "deadman.role", "must be an ARN like arn:aws:iam::ACCOUNT:role/NAME");
	refused(HEAD "\"blue\":{\"target_group\":\"" ELB "targetgroup/blue/1\",\"stack\":\"s\"},\n\"green\":{\"target_group\":\"" ELB
		"targetgroup/green/2\",\"stack\":\"s\"},\n" STEPS, 4, "green.stack", "blue's stack too");
	refused(HEAD "\"blue\":{\"target_group\":\"" ELB "targetgroup/blue/1\",\"cluster\":\"c\",\"service\":\"s\"},\n\"green\":{\"target_group\":\"" ELB
		"targetgroup/green/2\",\"cluster\":\"c\",\"service\":\"s\"},\n" STEPS, 4, "green.service", "blue's service too");
}

static void the_judge_is_set_in_the_plan(void **state)
{
	autoasked struct asked a = accepted(
		TOP "\"watch\":{\"judge\":{\"false_rollback\":\"0.5%\",\"missed\":\"0.1%\",\"harm\":50,\"settings\":{\"react\":\"6\",\"// why\":\"slow\"}},"
		"\"latency\":{\"stat\":\"p95\",\"above\":\"PT1S\",\"periods\":2},\"metrics\":[{\"name\":\"API errors\",\"namespace\":\"Wiki\","
		"\"metric\":\"ApiErrors\",\"blue\":{\"Colour\":\"blue\"},\"green\":{\"Colour\":\"green\"},\"always\":true}]},"
		"\"steps\":[{\"id\":\"look\",\"do\":\"preflight\"},{\"id\":\"s\",\"do\":\"shift\",\"weight\":\"12.5%\"},{\"id\":\"p\",\"do\":\"promote\"}]}");
	const struct plan_watch *w = &a.plan->watch;
	struct judge_stages stages;

	(void)state;
	assert_true(w->tuning.alpha == 0.005 && w->tuning.beta == 0.001 && w->tuning.react == 6);
	assert_true(w->tuning.harm == 50 && w->tuning.harm_auto == 50);
	assert_true(w->tuning.beta_auto == 0.001 && w->tuning.beta_look == 0.001 && w->tuning.beta_last < 0.001);
	assert_true(w->tuning.quantile == 0.95);
	assert_int_equal(w->limits.latency_ms, 1000);
	assert_int_equal(w->limits.latency_periods, 2);
	assert_int_equal(w->slow_ms, 1000);
	assert_string_equal(json_str(json_array_get(w->metrics, 0), "metric", ""), "ApiErrors");
	plan_stages(a.plan, &stages);
	assert_int_equal(stages.n, 2);
	assert_true(stages.weight[0] == 0.125 && stages.weight[1] == 1 && !stages.automatic);
	assert_int_equal(plan_stage_at(a.plan, 0), 0);
	assert_int_equal(plan_stage_at(a.plan, 1), 0);
	assert_int_equal(plan_stage_at(a.plan, 3), 1);
}

#define METRIC "{\"name\":\"m\",\"namespace\":\"N\",\"metric\":\"M\",\"blue\":{\"C\":\"b\"},\"green\":{\"C\":\"g\"}}"

static void what_the_judge_cannot_be_told_is_refused(void **state)
{
	(void)state;
	refused_once(TOP "\"watch\":{\"judge\":{\"settings\":{\"reakt\":\"6\"}}},\n" STEPS, 5, "watch.judge.settings.reakt", "did you mean \"react\"?");
	refused_once(TOP "\"watch\":{\"judge\":{\"settings\":{\"react\":\"0\"}}},\n" STEPS, 5, "watch.judge.settings.react", "allowed: 1 to 100");
	refused_once(TOP "\"watch\":{\"judge\":{\"false_rollback\":\"0%\"}},\n" STEPS, 5, "watch.judge.false_rollback", "allowed: 0.1% to 20%");
	refused_once(TOP "\"watch\":{\"latency\":{\"periods\":3}},\n" STEPS, 5, "watch.latency.periods", "needs `above`");
	refused_once(TOP "\"watch\":{\"metrics\":[" METRIC "," METRIC "]},\n" STEPS, 5, "watch.metrics[1].name", "stands twice");
	refused_once(TOP "\"watch\":{\"metrics\":[{\"name\":\"m\",\"namespace\":\"N\",\"metric\":\"M\",\"blue\":{\"C\":\"b\"},\"green\":{\"C\":\"b\"}}]},\n"
		     STEPS, 5, "watch.metrics[0].green", "could not be told apart");
	refused_once(TOP "\"watch\":{\"metrics\":[{\"name\":\"m\",\"namespace\":\"N\",\"metric\":\"M\",\"blue\":{\"C\":\"${x.y}\"},\"green\":{\"C\":\"b\"}}]},\n"
		     STEPS, 5, "watch.metrics[0].blue.C", "no step has run");
}

#define DOORS "\"blue\":{\"through\":\"lb:8443\"},\"green\":{\"through\":\"lb:8444\"}"
#define ASKING "\"url\":\"https://w.org\",\"paths\":[\"/\"],"

static void probes_are_checked(void **state)
{
	(void)state;
	refused_once(TOP "\"watch\":{\"probes\":{\"url\":\"https://w.org\"," DOORS "}},\n" STEPS, 5, "watch.probes", "ask for nothing");
	refused_once(TOP "\"watch\":{\"probes\":{\"paths\":[\"/\"],\"url\":\"https://w.org/wiki\"," DOORS "}},\n" STEPS, 5, "watch.probes.url",
		     "without a path");
	refused_once(TOP "\"watch\":{\"probes\":{\"paths\":[\"x\"],\"url\":\"https://w.org\"," DOORS "}},\n" STEPS, 5, "watch.probes.paths[0]",
		     "begin with a slash");
	refused_once(TOP "\"watch\":{\"probes\":{\"scripts\":\"w\"," ASKING DOORS "}},\n" STEPS, 5, "watch.probes.scripts", "begin with a slash");
	refused_once(TOP "\"watch\":{\"probes\":{" ASKING "\"blue\":{\"through\":\"lb:1\"},\"green\":{\"through\":\"lb:1\"}}},\n" STEPS, 5,
		     "watch.probes.green", "could not be told apart");
	refused_once(TOP "\"watch\":{\"probes\":{" ASKING "\"blue\":{\"through\":\"lb\"},\"green\":{}}},\n" STEPS, 5, "watch.probes.blue.through",
		     "host:port");
	refused_once(TOP "\"watch\":{\"probes\":{" ASKING "\"blue\":{\"through\":\"${green.Test}:1\"},\"green\":{}}},\n" STEPS, 5,
		     "watch.probes.blue.through", "there is no step \"green\"");
	refused_once(TOP "\"watch\":{\"probes\":{" ASKING "\"blue\":{\"headers\":{\"Host\":\"x\"}},\"green\":{}}},\n" STEPS, 5,
		     "watch.probes.blue.headers.Host", "not a header");
	refused_once(TOP "\"watch\":{\"judge\":{\"on\":false},\"probes\":{" ASKING DOORS "}},\n" STEPS, 5, "watch.probes", "switches off");
	refused_once(TOP "\"watch\":{\"probes\":{" ASKING "\"blue\":{},\"green\":{\"through\":\"${no.Test}:1\"}}},\n" STEPS, 5,
		     "watch.probes.green.through", "there is no step \"no\"");
	refused_once(TOP "\"watch\":{\"probes\":{\"url\":\"https://${no.Host}\",\"paths\":[\"/\"]," DOORS "}},\n" STEPS, 5,
		     "watch.probes.url", "there is no step \"no\"");
}

static void the_watch_is_checked(void **state)
{
	(void)state;
	refused_once(TOP "\"watch\":{\"period\":\"PT90S\"},\n" STEPS, 5, "watch.period", "is 90 s; allowed: 1 s to 60 s");
	refused_once(TOP "\"watch\":{\"period\":\"PT1.5S\"},\n" STEPS, 5, "watch.period", "whole seconds");
	refused_once(TOP "\"watch\":{\"poll\":\"PT3M\"},\n" STEPS, 5, "watch.poll", "longer than two periods");
	refused_once(TOP "\"watch\":{\"blind_after\":\"PT10S\"},\n" STEPS, 5, "watch.blind_after", "shorter than poll");
	refused_once(TOP "\"watch\":{\"errors\":{\"rate\":\"0%\"}},\n" STEPS, 5, "watch.errors.rate", "is 0%; allowed: 0.1% to 100%");
	refused_once(TOP "\"watch\":{\"errors\":{\"perods\":3}},\n" STEPS, 5, "watch.errors.perods", "did you mean \"periods\"?");
	refused_once(TOP "\"watch\":{\"alarms\":[\"a\",\n\"a\"]}," STEPS, 6, "watch.alarms[1]", "stands twice");
	refused_once(TOP "\"watch\":{\"alarms\":[\"a\"],\n\"waived\":[\"b\"]}," STEPS, 6, "watch.waived[0]", "is not one of watch.alarms");
	refused_once(TOP "\"watch\":5," STEPS, 5, "watch", "must be an object {...}, not a number");
	refused_once(TOP "\"deadman\":{\"role\":\"arn:aws:iam::123456789012:role/x\",\"after\":\"PT10S\"},\n" STEPS, 5, "deadman.after",
		     "allowed: 2 min to");
	refused_once(TOP "\"call\":[\"page-me\"],\n" STEPS, 5, "call[0]", "must be the absolute path");
	refused_once(TOP "\"call\":[],\n" STEPS, 5, "call", "has 0 entries");
}

#define LOOK "{\"id\":\"look\",\"do\":\"preflight\"},\n"
#define ALL ",\n{\"id\":\"all\",\"do\":\"promote\"}"
#define SHIFT(id, w) "{\"id\":\"" id "\",\"do\":\"shift\",\"weight\":\"" w "\"}"

static void the_order_of_steps_is_checked(void **state)
{
	(void)state;
	refused_once(TOP "\"steps\":[" LOOK SHIFT("a", "50%") ",\n" SHIFT("b", "25%") ALL "]}", 7, "steps[2].weight", "is less than the 50% before");
	refused_once(TOP "\"steps\":[" SHIFT("a", "5%") ALL "]}", 5, "steps[0]", "must be a preflight");
	refused_once(TOP "\"steps\":[{\"id\":\"x\",\"do\":\"all\"},\n{\"id\":\"l\",\"do\":\"preflight\"}]}", 6, "steps[1]", "must be the first step");
	refused_once(TOP "\"steps\":[" LOOK SHIFT("a", "5%") "]}", 5, "steps", "no promote follows");
	refused_once(TOP "\"steps\":[" LOOK "{\"id\":\"p\",\"do\":\"promote\"}" ALL "]}", 7, "steps[2]", "second promote");
	refused_once(TOP "\"steps\":[" LOOK "{\"id\":\"p\",\"do\":\"promote\"},\n" SHIFT("a", "5%") "]}", 7, "steps[2]", "shift after promote");
	refused_once(TOP "\"steps\":[" LOOK "{\"id\":\"b\",\"do\":\"back\"}" ALL "]}", 5, "steps", "one way");
	refused_once(TOP "\"steps\":[" LOOK "{\"id\":\"look\",\"do\":\"all\"}]}", 6, "steps[1].id", "is the id of steps[0] too");
	refused_once(TOP "\"steps\":[{\"id\":\"Upper\",\"do\":\"all\"}]}", 5, "steps[0].id", "1 to 24 of a-z");
	refused_once(TOP "\"steps\":[{\"do\":\"all\"}]}", 5, "steps[0].id", "is missing");
	refused_once(TOP "\"steps\":[{\"id\":\"x\"}]}", 5, "steps[0].do", "is missing");
	refused_once(TOP "\"steps\":[{\"id\":\"x\",\"do\":\"shfit\"}]}", 5, "steps[0].do", "did you mean \"shift\"?");
	refused_once(TOP "\"steps\":[5]}", 5, "steps[0]", "must be an object {...}, not a number");
	refused_once(TOP "\"steps\":[]}", 5, "steps", "has 0 steps; allowed: 1 to 100");
	refused_once(TOP "\"steps\":{}}", 5, "steps", "must be a list of steps, not an object");
	refused_once(TOP "\"x\":1," STEPS, 5, "x", "is not a key that is known here");
	refused_once(TOP "\"// no steps\":1}", 1, "steps", "is missing");
	refused_once(TOP "\"deadline\":\"PT5M\",\n\"steps\":[" LOOK SHIFT("a", "5%") ALL "]}", 5, "deadline", "the bakes and soaks alone take 10 min");
	refused_once(TOP "\"steps\":[" LOOK "{\"id\":\"s\",\"do\":\"shift\",\"weight\":5,\"timeout\":\"PT1M\"}" ALL "]}", 6, "steps[1].timeout",
		     "the step takes up to 10 min");
}

/* The same weight twice is a second bake, and 100 % is a shift like any other. */
static void equal_weights_are_allowed(void **state)
{
	autoasked struct asked a = accepted(TOP "\"steps\":[" LOOK SHIFT("a", "0.1%") "," SHIFT("b", "0.1%") "," SHIFT("c", "100%") ALL "]}");

	(void)state;
	assert_int_equal(a.plan->nsteps, 5);
}

/* --- many mistakes at once ---------------------------------------------------------------------------- */

static void all_errors_come_at_once_and_in_order(void **state)
{
	autoasked struct asked a = ask(
		"{\n"                                                        /* 1: rule, blue missing */
		"  \"name\": \"W\",\n"                                       /* 2 */
		"  \"region\": 5,\n"                                         /* 3 */
		"  \"account\": \"123456789012\",\n"
		"  \"account\": \"123456789012\",\n"                         /* 5 */
		"  \"green\": { \"target_group\": \"${nobody.Out}\" },\n"    /* 6 */
		"  \"steps\": [\n"
		"    { \"id\": \"a\", \"do\": \"all\", \"count\": 99 },\n"   /* 8 */
		"    { \"id\": \"a\", \"do\": \"all\", \"cuont\": 1,\n"      /* 9: twice */
		"      \"map\": {\n"
		"         \"K\": false } }\n"                                /* 11 */
		"  ]\n"
		"}\n");
	static const struct { int line; const char *path; } want[] = {
		{ 1, "rule" }, { 1, "blue" }, { 2, "name" }, { 3, "region" }, { 5, "account" }, { 6, "green.target_group" },
		{ 8, "steps[0].count" }, { 9, "steps[1].cuont" }, { 9, "steps[1].id" }, { 11, "steps[1].map.K" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(want); i++)
		must_have(&a.errs, want[i].line, want[i].path, "");
	assert_int_equal(a.errs.n, COUNT(want));
	for (size_t i = 1; i < a.errs.n; i++)
		assert_true(a.errs.at[i - 1].line <= a.errs.at[i].line);
}

static void errors_print_as_file_line_path(void **state)
{
	autobuf struct buf out = BUF_MAX(65536);
	autoasked struct asked a = ask(TOP "\"watch\":{\"period\":\"PT90S\"},\n" STEPS);

	(void)state;
	plan_errors_print(&a.errs, "plans/x.json", &out);
	assert_string_equal(out.p, "plans/x.json:5: watch.period is 90 s; allowed: 1 s to 60 s\n");
}

static void there_is_an_end_to_errors(void **state)
{
	autobuf struct buf text = BUF_MAX(1 << 20);
	autoasked struct asked a = { 0 };

	(void)state;
	buf_adds(&text, "{");
	for (int i = 0; i < 5000; i++)
		buf_addf(&text, "\"k%d\":1,\n", i);
	buf_adds(&text, "\"last\":1}");
	a = ask(text.p);
	assert_int_equal(a.errs.n, 101);
	assert_non_null(strstr(a.errs.at[100].text, "more errors"));
}

/* --- text that is not a plan ---------------------------------------------------------------------------- */

static void what_is_not_json_is_named_with_its_line(void **state)
{
	(void)state;
	refused_once("", 1, "", "the file is empty");
	refused_once("{\n\"a\": 1,\n}", 3, "", "there is no comma after the last key");
	refused_once("{\n// hi\n}", 2, "", "a comment is a key that begins with");
	refused_once("{\"a\": [1, 2", 1, "", "a closing bracket is missing");
	refused_once("{} {}", 1, "", "behind the last bracket");
	refused_once("\xef\xbb\xbf{}", 1, "", "byte order mark");
	refused_once("[1]", 1, "", "a plan is an object {...}, not a list");
	refused_once("{\"a\":\"\xff\"}", 1, "", "is not JSON");
	refused_once("{'a':1}", 1, "", "is not JSON");
}

static void duplicates_are_found_everywhere(void **state)
{
	(void)state;
	refused(TOP "\"watch\":{\"errors\":{\"rate\":\"1%\",\n\"rate\":\"2%\"}}," STEPS, 6, "watch.errors.rate", "the first is in line 5");
	/* the same key, spelled with an escape */
	refused(TOP "\"deadline\":\"PT1H\",\n\"dead\\u006cine\":\"PT2H\"," STEPS, 6, "deadline", "stands twice");
	refused(TOP "\"steps\":[{\"id\":\"x\",\"do\":\"all\",\"map\":{\"A\":\"1\",\n\"A\":\"2\"}}]}", 6, "steps[0].map.A", "stands twice");
}

static void hostile_sizes_are_refused(void **state)
{
	autobuf struct buf deep = BUF_MAX(1 << 20), wide = BUF_MAX(1 << 21);
	autofree char *huge = xmalloc(PLAN_MAX_BYTES + 1), *name = xmalloc(500001);
	autofree char *keyed = NULL;
	autoasked struct asked a = { 0 };

	(void)state;
	for (int i = 0; i < 200000; i++)
		buf_adds(&deep, "[");
	refused_once(deep.p, 1, "[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]", "nested deeper than");
	buf_adds(&wide, "[1");
	for (int i = 0; i < 200000; i++)
		buf_adds(&wide, ",\n[]");
	buf_adds(&wide, "]");
	refused_once(wide.p, 20000, "", "more than 20000 values");
	memset(huge, ' ', PLAN_MAX_BYTES + 1);
	a = ask_n(huge, PLAN_MAX_BYTES + 1, NULL);
	must_have(&a.errs, 0, "", "is larger than 1048576 bytes");
	/* a key of half a megabyte with many errors below it stays cheap, and short on the screen */
	memset(name, 'k', 500000);
	name[500000] = '\0';
	keyed = xasprintf("{\"%s\":1,\"steps\":[{\"%s\":1}]}", name, name);
	close_asked(&a);
	a = ask(keyed);
	for (size_t i = 0; i < a.errs.n; i++)
		assert_true(strlen(a.errs.at[i].path) + strlen(a.errs.at[i].text) < 800);
}

static void nothing_in_a_file_steers_the_terminal(void **state)
{
	autobuf struct buf out = BUF_MAX(65536);
	autoasked struct asked a = ask(TOP "\"a\\u001b[2Jb\\nc\":1,\"steps\":[{\"id\":\"\\u001b]0;x\\u0007\",\"do\":\"\\u009b2J\\u001b\"}]}");

	(void)state;
	plan_errors_print(&a.errs, "p.json", &out);
	assert_true(a.errs.n >= 3);
	assert_null(strchr(out.p, '\x1b'));
	assert_null(strchr(out.p, '\x07'));
	assert_null(strstr(out.p, "\xc2\x9b"));
	for (size_t i = 0, lines = 0; i <= out.len; i++) {
		lines += out.p[i] == '\n';
		if (i == out.len)
			assert_int_equal(lines, a.errs.n);
	}
}

/* Every prefix, and every byte changed: no crash, and never both a plan and an error (ask_n). */
static void damaged_files_do_no_harm(void **state)
{
	static const char text[] = TOP "\"watch\":{\"period\":\"PT1M\",\"alarms\":[\"a\"]},\"steps\":[" LOOK SHIFT("a", "5%") ALL "]}";
	static const char odd[] = "\"\\{}[],:\n\x00\xff\x01 0x$";
	autofree char *copy = xmalloc(sizeof text);
	size_t good = 0;

	(void)state;
	for (size_t n = 0; n < sizeof text; n++) {
		autoasked struct asked a = ask_n(text, n, NULL);

		good += a.plan != NULL;
	}
	assert_int_equal(good, 1);
	for (size_t i = 0; i < sizeof text - 1; i++)
		for (size_t j = 0; j < sizeof odd - 1; j += 3) {
			memcpy(copy, text, sizeof text);
			copy[i] = odd[(i + j) % (sizeof odd - 1)];
			autoasked struct asked a = ask_n(copy, sizeof text - 1, NULL);

			assert_true(a.plan || a.errs.n);
		}
}

/* --- substitutions ------------------------------------------------------------------------------------------ */

static void environment_is_filled_in_and_kept(void **state)
{
	autojson json_t *env = json_pack("{s:s, s:s, s:s}", "T", "hi", "D", "PT9M", "UNUSED", "x");
	static const char text[] = TOP "\"steps\":[{\"id\":\"x\",\"do\":\"all\",\"text\":\"<${env:T}${env:T}>\",\"wait\":\"${env:D}\","
		"\"colour\":\"${env:NONE:-yellow}\",\"share\":\"${env:NONE:-20%}\",\"list\":[\"${env:T:-no}\"]}]}";
	autoasked struct asked a = ask_n(text, strlen(text), env);
	const json_t *q;

	(void)state;
	assert_non_null(a.plan);
	q = a.plan->steps[0].params;
	assert_string_equal(json_str(q, "text", ""), "<hihi>");
	assert_int_equal(json_num(q, "wait", 0), 540000);
	assert_string_equal(json_str(q, "colour", ""), "yellow");
	assert_int_equal(json_num(q, "share", 0), 200);
	assert_string_equal(json_string_value(json_array_get(json_object_get(q, "list"), 0)), "hi");
	assert_int_equal(json_object_size(a.plan->env), 2);
	assert_string_equal(json_str(a.plan->env, "T", ""), "hi");
	/* what was kept gives the same plan again, wherever it is read */
	autoasked struct asked again = ask_n(text, strlen(text), a.plan->env);

	assert_non_null(again.plan);
	assert_true(json_equal(again.plan->steps[0].params, a.plan->steps[0].params));
}

static void process_environment_is_the_default(void **state)
{
	(void)state;
	setenv("CUTOVER_TEST_TEXT", "from outside", 1);
	unsetenv("CUTOVER_TEST_NONE");
	autoasked struct asked a = accepted(TOP "\"steps\":[{\"id\":\"x\",\"do\":\"all\",\"text\":\"${env:CUTOVER_TEST_TEXT}\"}]}");

	assert_string_equal(json_str(a.plan->steps[0].params, "text", ""), "from outside");
	step_refused(",\"text\":\"${env:CUTOVER_TEST_NONE}\"", "steps[0].text", "CUTOVER_TEST_NONE is not set");
	setenv("CUTOVER_TEST_TEXT", "", 1);
	step_refused(",\"text\":\"${env:CUTOVER_TEST_TEXT}\"", "steps[0].text", "must not be empty");
	setenv("CUTOVER_TEST_TEXT", "\xff", 1);
	step_refused(",\"text\":\"${env:CUTOVER_TEST_TEXT}\"", "steps[0].text", "is not UTF-8");
	setenv("CUTOVER_TEST_TEXT", "${x.y}", 1);
	step_refused(",\"text\":\"${env:CUTOVER_TEST_TEXT}\"", "steps[0].text", "has a \"${\" of its own");
	unsetenv("CUTOVER_TEST_TEXT");
}

static void malformed_substitutions_are_refused(void **state)
{
	(void)state;
	step_refused(",\"text\":\"${env:}\"", "steps[0].text", "write ${env:NAME}");
	step_refused(",\"text\":\"${env:A-B}\"", "steps[0].text", "write ${env:NAME}");
	step_refused(",\"text\":\"${env:A\"", "steps[0].text", "write ${env:NAME}");
	step_refused(",\"text\":\"${\"", "steps[0].text", "neither ${env:NAME} nor ${step.output}");
	step_refused(",\"text\":\"${a}\"", "steps[0].text", "neither");
	step_refused(",\"text\":\"${a.b\"", "steps[0].text", "neither");
	step_refused(",\"text\":\"${A.b}\"", "steps[0].text", "neither");
	step_refused(",\"wait\":\"${a.b}\"", "steps[0].wait", "can only name ${env:NAME} here");
	step_refused(",\"colour\":\"${a.b}\"", "steps[0].colour", "can only name ${env:NAME} here");
	step_refused(",\"text\":\"${env:MY_PASSWORD}\"", "steps[0].text", "would write a secret into the journal");
	step_refused(",\"text\":\"${env:API_TOKEN:-x}\"", "steps[0].text", "would write a secret into the journal");
}

static void references_name_earlier_steps(void **state)
{
	autoasked struct asked a = accepted(HEAD BLUE "\"green\":{\"target_group\":\"${x.Arn}\"},\n\"steps\":[" LOOK
		"{\"id\":\"x\",\"do\":\"all\"},{\"id\":\"y\",\"do\":\"all\",\"list\":[\"${x.A}-${x.B}\"]}," SHIFT("s", "5%") ALL "]}");

	(void)state;
	assert_string_equal(a.plan->green.target_group, "${x.Arn}");
	step_refused(",\"text\":\"${x.Out}\"", "steps[0].text", "step \"x\" has not run yet");
	step_refused(",\"map\":{\"K\":\"${nobody.Out}\"}", "steps[0].map.K", "there is no step \"nobody\"");
	refused_once(HEAD BLUE "\"green\":{\"target_group\":\"${late.Arn}\"},\n\"steps\":[" LOOK SHIFT("s", "5%") ",{\"id\":\"late\",\"do\":\"all\"}" ALL "]}",
		     4, "green.target_group", "step \"late\" has not run yet");
	refused_once(HEAD "\"blue\":{\"target_group\":\"" ELB "targetgroup/blue/1\",\n\"service\":\"${x.S}\"},\n" GREEN STEPS, 4, "blue.service",
		     "no step has run when it is needed");
}

static void outputs_are_filled_in(void **state)
{
	autojson json_t *out = json_pack("{s:{s:s, s:s}}", "green", "Arn", "arn:x", "Evil", "${green.Arn}");
	autojson json_t *params = json_pack("{s:s, s:[s, i], s:{s:s}, s:i}", "a", "${green.Arn}/${green.Arn}", "b", "x${green.Arn}", 5,
					    "c", "d", "plain", "n", 7);
	autojson json_t *want = json_pack("{s:s, s:[s, i], s:{s:s}, s:i}", "a", "arn:x/arn:x", "b", "xarn:x", 5, "c", "d", "plain", "n", 7);
	struct err e = { 0 };
	autojson json_t *got = plan_resolve(params, out, &e);
	autofree char *once = plan_resolve_text("${green.Evil}", out, &e);

	(void)state;
	assert_true(json_equal(got, want));
	assert_string_equal(once, "${green.Arn}"); /* a replaced text is not looked at again */
	assert_null(plan_resolve_text("${green.None}", out, &e));
	assert_int_equal(e.kind, ERR_INPUT);
	assert_string_equal(e.msg, "step \"green\" has given no output \"None\"");
	assert_null(plan_resolve_text("${blue.Arn}", NULL, &e));
	assert_null(plan_resolve_text("${", out, &e));
	json_object_set_new(params, "z", json_string("${no.No}"));
	assert_null(plan_resolve(params, out, &e));
}

static void filled_in_texts_have_a_ceiling(void **state)
{
	autofree char *big = xmalloc(40001);
	autojson json_t *out = NULL;
	struct err e = { 0 };

	(void)state;
	memset(big, 'x', 40000);
	big[40000] = '\0';
	out = json_pack("{s:{s:s}}", "a", "b", big);
	assert_null(plan_resolve_text("${a.b}${a.b}", out, &e));
	assert_non_null(strstr(e.msg, "longer than"));
}

/* --- secrets ---------------------------------------------------------------------------------------------------- */

/* Put together here, so that nothing that looks like a key stands in this file. */
#define KEY_ID "AKI" "A1234567890ABCDEF"
#define SECRET "wJalrXUtnFEMI/K7MDENG" "/bPxRfiCYabcdefghij"

static void secrets_are_refused_wherever_they_stand(void **state)
{
	(void)state;
	step_refused(",\"text\":\"" KEY_ID "\"", "steps[0].text", "looks like an AWS access key id");
	step_refused(",\"// note\":\"old key: " KEY_ID ".\"", "steps[0].// note", "looks like an AWS access key id");
	step_refused(",\"list\":[\"x\",\"secret=" SECRET "\"]", "steps[0].list[1]", "looks like an AWS secret key");
	step_refused(",\"text\":\"-----BEGIN RSA PRIVATE KEY-----\"", "steps[0].text", "looks like a private key");
	step_refused(",\"text\":\"https://me:pw@example.org/\"", "steps[0].text", "looks like a URL with a login in it");
	step_refused(",\"map\":{\"MasterUserPassword\":\"hunter2\"}", "steps[0].map.MasterUserPassword", "is a password written out");
	setenv("CUTOVER_TEST_TEXT", KEY_ID, 1);
	step_refused(",\"text\":\"${env:CUTOVER_TEST_TEXT}\"", "steps[0].text", "value looks like an AWS access key id");
	unsetenv("CUTOVER_TEST_TEXT");
}

/* Tokens and passwords as hooks get them were taken without a word, and journalled. */
static void tokens_and_passwords_in_data_and_arguments_are_refused(void **state)
{
	static const struct { const char *json, *path, *part; } rows[] = {
		{ "\"text\":\"Authorization: Bearer " "a1b2c3d4e5f6g7h8\"", "steps[0].text", "looks like an access token" },
		{ "\"text\":\"Authorization: Basic " "dXNlcjpodW50ZXIy\"", "steps[0].text", "looks like an access token" },
		{ "\"text\":\"" "gh" "p_0123456789abcdefghijABCDEFGHIJ012345\"", "steps[0].text", "looks like an access token" },
		{ "\"text\":\"" "gl" "pat-0123456789abcdefghij\"", "steps[0].text", "looks like an access token" },
		{ "\"text\":\"https://hooks.slack" ".com/services/T01234567/B01234567/abcdefghijklm\"", "steps[0].text",
		  "looks like an access token" },
		{ "\"text\":\"https://abcdef@example.org/\"", "steps[0].text", "looks like a URL with a login" },
		{ "\"text\":\"https://example.org/ and https://abcdef@example.org/\"", "steps[0].text", "looks like a URL with a login" },
		{ "\"text\":\"https://example.org/?access_token=abcdef\"", "steps[0].text", "a password in an argument" },
		{ "\"list\":[\"/bin/x\",\"--password=hunter2\"]", "steps[0].list[1]", "a password in an argument" },
		{ "\"list\":[\"/usr/bin/env\",\"MYSQL_PWD=hunter2\"]", "steps[0].list[1]", "a password in an argument" },
		{ "\"list\":[\"/bin/x\",\"--api-token\",\"hunter2\"]", "steps[0].list[2]", "is a password written out" },
		{ "\"map\":{\"token\":\"hunter2\"}", "steps[0].map.token", "is a password written out" },
		{ "\"map\":{\"secret\":\"hunter2\"}", "steps[0].map.secret", "is a password written out" },
		{ "\"map\":{\"passwd\":\"hunter2\"}", "steps[0].map.passwd", "is a password written out" },
		{ "\"map\":{\"DBPass\":\"hunter2\"}", "steps[0].map.DBPass", "is a password written out" },
		{ "\"map\":{\"DbPwd\":\"hunter2\"}", "steps[0].map.DbPwd", "is a password written out" },
		{ "\"map\":{\"MasterUserSecret\":\"hunter2-example\"}", "steps[0].map.MasterUserSecret", "is a password written out" },
		{ "\"map\":{\"API_KEY\":\"hunter2\"}", "steps[0].map.API_KEY", "is a password written out" },
		{ "\"map\":{\"SecretString\":\"hunter2\"}", "steps[0].map.SecretString", "is a password written out" },
		{ "\"map\":{\"dbpassword2\":\"hunter2\"}", "steps[0].map.dbpassword2", "is a password written out" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		autofree char *json = xasprintf(",%s", rows[i].json);

		step_refused(json, rows[i].path, rows[i].part);
	}
}

/* Names, lengths and addresses of passwords are none (prowler#4893, kics#5892). */
static void what_is_about_a_secret_is_let_pass(void **state)
{
	static const char *const texts[] = {
		"the bearer of bad news: token bucket, basic authentication", "--password=${env:HOME}", "--password-file=/run/x", "--no-password",
		"ssh://git@example.org/x", "https://example.org/@me?page=Password", "--secret=prod/wiki/db", "password=<yours>",
	};
	autoasked struct asked a = accepted(TOP "\"steps\":[{\"id\":\"x\",\"do\":\"all\",\"list\":[\"--secret\",\"prod/wiki/db\"],\"map\":{"
		"\"DBPasswordParameterName\":\"/prod/wiki/db/password\",\"PasswordSecretName\":\"prod/wiki/db\",\"PasswordMinimumLength\":\"14\","
		"\"AllowEmptyPassword\":\"no\",\"PasswordResetUrl\":\"https://wiki.example.org/reset\",\"TokenTtl\":\"300\",\"Compass\":\"north\","
		"\"MasterUserSecret\":\"prod/wiki/db\",\"Secret\":\"{{resolve:secretsmanager:x}}\"}},"
		"{\"id\":\"y\",\"do\":\"all\",\"list\":[\"--token\",\"<token>\",\"--force\"]}]}");

	(void)state;
	assert_int_equal(json_object_size(json_object_get(a.plan->steps[0].params, "map")), 9);
	for (size_t i = 0; i < COUNT(texts); i++) {
		autofree char *json = xasprintf(TOP "\"steps\":[{\"id\":\"x\",\"do\":\"all\",\"text\":\"%s\"}]}", texts[i]);
		autoasked struct asked one = accepted(json);

		assert_non_null(one.plan);
	}
}

static void what_only_resembles_a_secret_is_let_pass(void **state)
{
	autoasked struct asked a = accepted(TOP "\"steps\":[{\"id\":\"x\",\"do\":\"all\",\"map\":{"
		"\"Password\":\"{{resolve:secretsmanager:wiki}}\",\"DbPasswordArn\":\"arn:aws:secretsmanager:eu-central-1:123456789012:secret:wiki\","
		"\"Commit\":\"0123456789abcdef0123456789abcdef01234567\",\"Long\":\"" ELB "targetgroup/WikiGreenForReaders01/73e2d6bc24d8a067\","
		"\"Url\":\"https://example.org/a/Path1/that/is/as/long/as/Secrets/are/12\",\"Mail\":\"me@example.org\"}}]}");

	(void)state;
	assert_int_equal(json_object_size(json_object_get(a.plan->steps[0].params, "map")), 6);
}

/* --- files and schema ---------------------------------------------------------------------------------------------- */

static void files_that_cannot_be_read_say_so(void **state)
{
	autoasked struct asked a = { 0 };

	(void)state;
	assert_int_equal(plan_load("/nonexistent/plan.json", kinds, &a.plan, &a.errs), -1);
	must_have(&a.errs, 0, "", "No such file");
	assert_int_equal(plan_load("/", kinds, &a.plan, &a.errs), -1);
	must_have(&a.errs, 0, "", "directory");
}

static void the_schema_comes_from_the_same_tables(void **state)
{
	autojson json_t *s = plan_schema(kinds);
	const json_t *defs = json_object_get(s, "$defs"), *all_def = json_object_get(json_object_get(defs, "all"), "properties");
	const json_t *watch = json_object_get(json_object_get(json_object_get(s, "properties"), "watch"), "properties");

	(void)state;
	assert_int_equal(json_object_size(defs), 5);
	for (const struct param *p = all_params; p->name; p++)
		assert_string_equal(json_str(json_object_get(all_def, p->name), "description", ""), p->about);
	assert_int_equal(json_num(json_object_get(all_def, "count"), "maximum", 0), 9);
	assert_string_equal(json_str(json_object_get(watch, "period"), "default", ""), "PT1M");
	assert_true(json_is_false(json_object_get(s, "additionalProperties")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_file_is_kept_byte_by_byte),
		cmocka_unit_test(a_long_bake_has_time_of_its_own),
		cmocka_unit_test(parameters_are_checked_by_their_table),
		cmocka_unit_test(names_and_arns_are_checked),
		cmocka_unit_test(the_judge_is_set_in_the_plan),
		cmocka_unit_test(what_the_judge_cannot_be_told_is_refused),
		cmocka_unit_test(probes_are_checked),
		cmocka_unit_test(the_watch_is_checked),
		cmocka_unit_test(the_order_of_steps_is_checked),
		cmocka_unit_test(equal_weights_are_allowed),
		cmocka_unit_test(all_errors_come_at_once_and_in_order),
		cmocka_unit_test(errors_print_as_file_line_path),
		cmocka_unit_test(there_is_an_end_to_errors),
		cmocka_unit_test(what_is_not_json_is_named_with_its_line),
		cmocka_unit_test(duplicates_are_found_everywhere),
		cmocka_unit_test(hostile_sizes_are_refused),
		cmocka_unit_test(nothing_in_a_file_steers_the_terminal),
		cmocka_unit_test(damaged_files_do_no_harm),
		cmocka_unit_test(environment_is_filled_in_and_kept),
		cmocka_unit_test(process_environment_is_the_default),
		cmocka_unit_test(malformed_substitutions_are_refused),
		cmocka_unit_test(references_name_earlier_steps),
		cmocka_unit_test(outputs_are_filled_in),
		cmocka_unit_test(filled_in_texts_have_a_ceiling),
		cmocka_unit_test(secrets_are_refused_wherever_they_stand),
		cmocka_unit_test(tokens_and_passwords_in_data_and_arguments_are_refused),
		cmocka_unit_test(what_is_about_a_secret_is_let_pass),
		cmocka_unit_test(what_only_resembles_a_secret_is_let_pass),
		cmocka_unit_test(files_that_cannot_be_read_say_so),
		cmocka_unit_test(the_schema_comes_from_the_same_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

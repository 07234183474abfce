/* ECS, STS and the scheduler: what is sent, and what hostile answers come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/ecs.h"
#include "aws/scheduler.h"
#include "aws/sts.h"
#include "base/buf.h"
#include "simworld.h"

#include <string.h>

#define OK(call) do { if (call) fail_msg("%s: %s", #call, w.e.msg); } while (0)

static struct simworld w;
static struct canned c;

static void answer(const char *first, const char *second, int status)
{
	static const char *bodies[3];

	bodies[0] = first, bodies[1] = second;
	c = (struct canned){ .status = status, .bodies = bodies };
	simworld_open_canned(&w, &c);
}

/* --- ECS ----------------------------------------------------------------------- */

#define SERVICE(counts) "{\"services\":[{\"serviceArn\":\"arn\",\"status\":\"ACTIVE\",\"taskDefinition\":\"t:1\"" counts \
			"}],\"failures\":[]}"

static void a_service_is_read_whole(void **state)
{
	static const struct { const char *body; enum err_kind kind; } rows[] = {
		{ SERVICE(",\"desiredCount\":2,\"runningCount\":1"), ERR_UNSURE },
		{ SERVICE(",\"desiredCount\":2,\"runningCount\":\"1\",\"pendingCount\":0"), ERR_UNSURE },
		{ SERVICE(",\"desiredCount\":-2,\"runningCount\":1,\"pendingCount\":0"), ERR_UNSURE },
		{ SERVICE(",\"desiredCount\":2.0,\"runningCount\":1,\"pendingCount\":0"), ERR_UNSURE },
		{ "{\"services\":[],\"failures\":[{\"reason\":\"MISSING\"}]}", ERR_GONE },
		{ "{\"services\":[],\"failures\":[{\"reason\":\"NEW\"}]}", ERR_UNSURE },
		{ "{\"services\":[]}", ERR_UNSURE },
		{ "{}", ERR_UNSURE },
		{ "{\"services\":[7]}", ERR_UNSURE },
	};
	struct ecs_service s;

	(void)state;
	answer(SERVICE(",\"desiredCount\":2,\"runningCount\":1,\"pendingCount\":1"), NULL, 200);
	OK(ecs_service_get(w.aws, "wiki", "blue", &s, &w.e));
	assert_string_equal(s.task_definition, "t:1");
	assert_int_equal(s.desired + 10 * s.running + 100 * s.pending, 112);
	simworld_close(&w);
	for (size_t i = 0; i < COUNT(rows); i++) {
		answer(rows[i].body, NULL, 200);
		if (!ecs_service_get(w.aws, "wiki", "blue", &s, &w.e) || w.e.kind != rows[i].kind)
			fail_msg("row %zu: %s", i, w.e.msg);
		simworld_close(&w);
	}
}

static void scaling_names_the_number(void **state)
{
	autojson json_t *sent = NULL;

	(void)state;
	answer("{}", NULL, 200);
	OK(ecs_service_scale(w.aws, "wiki", "blue", 0, &w.e));
	sent = json_loads(c.last, 0, NULL);
	assert_int_equal(json_num(sent, "desiredCount", -1), 0);
	assert_string_equal(json_str(sent, "cluster", ""), "wiki");
	assert_int_equal(ecs_service_scale(w.aws, "wiki", "\xff", 0, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_INPUT);
	simworld_close(&w);
}

/* --- STS ------------------------------------------------------------------------ */

#define WHO(inside) "<GetCallerIdentityResponse><GetCallerIdentityResult>" inside \
		    "</GetCallerIdentityResult></GetCallerIdentityResponse>"

static void who_we_are_is_never_guessed(void **state)
{
	static const char *const rows[] = {
		WHO("<Account>111122223333</Account>"), WHO("<Arn>a</Arn>"), WHO(""), "<GetCallerIdentityResponse/>",
		WHO("<Account>1111222233334444</Account><Arn>a</Arn>"),
	};
	struct sts_who who;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		answer(rows[i], NULL, 200);
		assert_int_equal(sts_who(w.aws, &who, &w.e), -1);
		assert_int_equal(w.e.kind, ERR_UNSURE);
		simworld_close(&w);
	}
}

/* --- the scheduler ----------------------------------------------------------------- */

#define AT 1767233700000 /* 2026-01-01T02:15:00Z */

static json_t *put(int64_t at)
{
	autojson json_t *input = json_pack("{s:s}", "RuleArn", SIM_RULE);

	OK(schedule_put(w.aws, &(struct schedule){ .group = "cutover", .name = "run-1", .at = at, .target = "arn:t",
						   .role = "arn:r", .input = input, .token = "tok" }, &w.e));
	return json_loads(c.last, 0, NULL);
}

static void everything_is_said_at_each_put(void **state)
{
	autojson json_t *sent = NULL;
	const json_t *target;

	(void)state;
	answer("{\"ScheduleArn\":\"a\"}", NULL, 200);
	sent = put(AT - 59999);
	assert_non_null(strstr(c.url, "PUT https://scheduler." SIM_REGION ".amazonaws.com/schedules/run-1"));
	assert_string_equal(json_str(sent, "ScheduleExpression", ""), "at(2026-01-01T02:15:00)"); /* rounded up */
	assert_string_equal(json_str(sent, "ScheduleExpressionTimezone", ""), "UTC");
	assert_string_equal(json_str(sent, "ActionAfterCompletion", ""), "DELETE");
	assert_string_equal(json_str(sent, "GroupName", ""), "cutover");
	assert_string_equal(json_str(sent, "ClientToken", ""), "tok");
	assert_string_equal(json_str(json_object_get(sent, "FlexibleTimeWindow"), "Mode", ""), "OFF");
	target = json_object_get(sent, "Target");
	assert_string_equal(json_str(target, "Arn", ""), "arn:t");
	assert_string_equal(json_str(target, "RoleArn", ""), "arn:r");
	assert_string_equal(json_str(target, "Input", ""), "{\"RuleArn\":\"" SIM_RULE "\"}");
	target = json_object_get(target, "RetryPolicy");
	assert_in_range(json_num(target, "MaximumEventAgeInSeconds", 86400), 60, 600);
	simworld_close(&w);
}

static void a_put_makes_what_is_not_there(void **state)
{
	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 1 });
	for (int i = 0; i < 2; i++) {
		struct sim_truth t;

		json_decref(put(AT + i * 60000));
		sim_truth(w.sim, &t);
		assert_int_equal(t.schedules, 1);
	}
	simworld_close(&w);
}

static void odd_names_are_refused(void **state)
{
	static const char *const names[] = { "", "a/b", "a?b", "a b", "..%2f", NULL,
		"01234567890123456789012345678901234567890123456789012345678901234" };
	bool exists;
	int64_t at;

	(void)state;
	answer("{}", NULL, 200);
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_int_equal(schedule_get(w.aws, NULL, names[i], &exists, &at, &w.e), -1);
		assert_int_equal(w.e.kind, ERR_INPUT);
		assert_int_equal(schedule_delete(w.aws, names[i] ? names[i] : "/", "good", &w.e), -1);
	}
	assert_string_equal(c.url, "");
	simworld_close(&w);
}

static void times_are_read_strictly(void **state)
{
	static const char *const rows[] = {
		"{}", "{\"ScheduleExpression\":\"rate(5 minutes)\"}", "{\"ScheduleExpression\":\"at()\"}",
		"{\"ScheduleExpression\":\"at(2026-01-01T02:15:00\"}", "{\"ScheduleExpression\":7}",
		"{\"ScheduleExpression\":\"at(2026-01-01T02:15:00)\",\"ScheduleExpressionTimezone\":\"Europe/Berlin\"}",
		"{\"ScheduleExpression\":\"at(tomorrow)\"}",
	};
	bool exists;
	int64_t at;

	(void)state;
	answer("{\"ScheduleExpression\":\"at(2026-01-01T02:15:00)\",\"ScheduleExpressionTimezone\":\"UTC\"}", NULL, 200);
	OK(schedule_get(w.aws, "g", "n", &exists, &at, &w.e));
	assert_true(exists && at == AT);
	assert_non_null(strstr(c.url, "/schedules/n?groupName=g"));
	simworld_close(&w);
	for (size_t i = 0; i < COUNT(rows); i++) {
		answer(rows[i], NULL, 200);
		assert_int_equal(schedule_get(w.aws, "g", "n", &exists, &at, &w.e), -1);
		assert_int_equal(w.e.kind, ERR_UNSURE);
		simworld_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_is_read_whole),
		cmocka_unit_test(scaling_names_the_number),
		cmocka_unit_test(who_we_are_is_never_guessed),
		cmocka_unit_test(everything_is_said_at_each_put),
		cmocka_unit_test(a_put_makes_what_is_not_there),
		cmocka_unit_test(odd_names_are_refused),
		cmocka_unit_test(times_are_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

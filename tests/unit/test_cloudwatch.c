/* Metrics and alarms: pages, partial answers, and what is never an empty series. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/cloudwatch.h"
#include "base/buf.h"
#include "simworld.h"

#include <stdio.h>
#include <string.h>

#define OK(call) do { if (call) fail_msg("%s: %s", #call, w.e.msg); } while (0)
#define T0 1767232800 /* a whole minute */

static struct simworld w;
static struct canned c;
static const struct cw_query two[2] = {
	{ "AWS/ApplicationELB", "RequestCount", "Sum", "targetgroup/g/1", "app/a/1", NULL, NULL },
	{ "AWS/ApplicationELB", "TargetResponseTime", "p90", NULL, "app/a/1", NULL, NULL },
};
static struct cw_series s[2];

/* Asks for both series over ten minutes. */
static int ask(const char *const *bodies)
{
	c = (struct canned){ .bodies = bodies };
	w.e = (struct err){ 0 };
	simworld_open_canned(&w, &c);
	return cw_get(w.aws, two, 2, T0 * 1000LL + 59999, (T0 + 600) * 1000LL + 1, 60, s, &w.e);
}

static void done(void)
{
	cw_series_free(s, 2);
	simworld_close(&w);
}

#define ONE(id, times, values, status) "{\"Id\":\"" id "\",\"Timestamps\":[" times "],\"Values\":[" values \
				       "],\"StatusCode\":\"" status "\"}"
#define PAGE(results) "{\"MetricDataResults\":[" results "]}"
#define MORE(results) "{\"NextToken\":\"next\",\"MetricDataResults\":[" results "]}"

/* A zone's part of a target group; and whatever a plan names. */
static void other_dimensions_are_sent_as_given(void **state)
{
	autojson json_t *own = json_pack("{s:s}", "Colour", "green"), *sent = NULL;
	const struct cw_query q[2] = { { "AWS/ApplicationELB", "RequestCount", "Sum", "targetgroup/g/1", "app/a/1", "eu-central-1a", NULL },
				       { "Wiki", "ApiErrors", "Sum", "not", "these", NULL, own } };
	autofree char *first = NULL, *second = NULL;

	(void)state;
	c = (struct canned){ .bodies = (const char *const[]){ PAGE(ONE("q0", "", "", "Complete") "," ONE("q1", "", "", "Complete")), NULL } };
	w.e = (struct err){ 0 };
	simworld_open_canned(&w, &c);
	assert_int_equal(cw_get(w.aws, q, 2, T0 * 1000LL, (T0 + 600) * 1000LL, 60, s, &w.e), 0);
	sent = json_loads(c.last, 0, NULL);
	first = json_flat(json_object_get(json_object_get(json_object_get(json_array_get(json_object_get(sent, "MetricDataQueries"), 0),
									   "MetricStat"), "Metric"), "Dimensions"));
	second = json_flat(json_object_get(json_object_get(json_object_get(json_array_get(json_object_get(sent, "MetricDataQueries"), 1),
									    "MetricStat"), "Metric"), "Dimensions"));
	assert_non_null(strstr(first, "{\"Name\":\"AvailabilityZone\",\"Value\":\"eu-central-1a\"}"));
	assert_non_null(strstr(first, "\"TargetGroup\""));
	assert_string_equal(second, "[{\"Name\":\"Colour\",\"Value\":\"green\"}]");
	done();
}

static void the_request_is_as_aws_wants_it(void **state)
{
	autojson json_t *sent = NULL;
	const json_t *q;

	(void)state;
	assert_int_equal(ask((const char *const[]){ PAGE(ONE("q0", "", "", "Complete") "," ONE("q1", "", "", "Complete")),
						    NULL }), 0);
	sent = json_loads(c.last, 0, NULL);
	assert_int_equal(json_num(sent, "StartTime", 0), T0);
	assert_int_equal(json_num(sent, "EndTime", 0), T0 + 600);
	assert_string_equal(json_str(sent, "ScanBy", ""), "TimestampAscending");
	q = json_array_get(json_object_get(sent, "MetricDataQueries"), 0);
	assert_string_equal(json_str(q, "Id", ""), "q0");
	q = json_object_get(q, "MetricStat");
	assert_int_equal(json_num(q, "Period", 0), 60);
	assert_string_equal(json_str(q, "Stat", ""), "Sum");
	q = json_object_get(json_object_get(q, "Metric"), "Dimensions");
	assert_int_equal(json_array_size(q), 2);
	assert_string_equal(json_str(json_array_get(q, 0), "Value", ""), "targetgroup/g/1");
	q = json_array_get(json_object_get(sent, "MetricDataQueries"), 1);
	q = json_object_get(json_object_get(json_object_get(q, "MetricStat"), "Metric"), "Dimensions");
	assert_int_equal(json_array_size(q), 1);
	done();
}

static void points_are_sorted_clipped_and_merged(void **state)
{
	(void)state;
	/* newest first, one twice, one at the end, one before, one between, real and integer times */
	assert_int_equal(ask((const char *const[]){
		PAGE(ONE("q1", "1767232800", "0.5", "Complete") ","
		     ONE("q0", "1767233400,1767233340.0,1767232860,1767232800.0,1767232740,1767232830,1767232860",
			 "9,5,2,1,8,7,4.0", "Complete")), NULL }), 0);
	assert_int_equal(s[0].n, 3);
	assert_true(s[0].complete);
	assert_int_equal(s[0].points[0].at, T0 * 1000LL);
	assert_true(s[0].points[0].value == 1);
	assert_int_equal(s[0].points[1].at, (T0 + 60) * 1000LL);
	assert_true(s[0].points[1].value == 4.0); /* the newer of two */
	assert_int_equal(s[0].points[2].at, (T0 + 540) * 1000LL);
	assert_int_equal(s[1].n, 1);
	done();
}

static void pages_are_merged_by_id(void **state)
{
	(void)state;
	assert_int_equal(ask((const char *const[]){
		MORE(ONE("q0", "1767232800", "1", "PartialData") "," ONE("q1", "1767232800", "4", "Complete")),
		PAGE(ONE("q0", "1767232860", "2", "Complete")), NULL }), 0);
	assert_non_null(strstr(c.last, "\"NextToken\":\"next\""));
	assert_int_equal(s[0].n, 2);
	assert_true(s[0].complete); /* a later page completed it */
	assert_true(s[1].complete);
	done();
}

static void what_is_not_whole_says_so(void **state)
{
	static const char *const rows[] = {
		PAGE(ONE("q0", "1767232800", "1", "PartialData") "," ONE("q1", "", "", "Complete")),
		PAGE(ONE("q0", "1767232800", "1", "SomethingNew") "," ONE("q1", "", "", "Complete")),
		PAGE("{\"Id\":\"q0\",\"Timestamps\":[],\"Values\":[]}," ONE("q1", "", "", "Complete")),
		PAGE("{\"Id\":\"q0\",\"Timestamps\":[],\"Values\":[],\"StatusCode\":\"Complete\",\"Messages\":[{\"Code\":\"x\"}]},"
		     ONE("q1", "", "", "Complete")),
	};

	static const char *const why[] = { "PartialData", "SomethingNew", "no status", "Complete, x: " };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(ask((const char *const[]){ rows[i], NULL }), 0);
		assert_false(s[0].complete);
		assert_true(s[1].complete);
		assert_string_equal(s[0].why, why[i]);
		done();
	}
	assert_int_equal(ask((const char *const[]){
		"{\"MetricDataResults\":[" ONE("q0", "", "", "Complete") "," ONE("q1", "", "", "Complete")
		"],\"Messages\":[{\"Code\":\"MaxMetricsExceeded\"}]}", NULL }), 0);
	assert_false(s[0].complete || s[1].complete);
	done();
}

static void unknown_is_never_empty(void **state)
{
	static const struct { const char *body; enum err_kind kind; } rows[] = {
		{ PAGE(ONE("q0", "", "", "Forbidden") "," ONE("q1", "", "", "Complete")), ERR_DENIED },
		{ PAGE(ONE("q0", "", "", "Complete") "," ONE("q1", "", "", "InternalError")), ERR_BUSY },
		{ PAGE(ONE("q0", "", "", "Complete")), ERR_UNSURE },
		{ PAGE(""), ERR_UNSURE },
		{ "{}", ERR_UNSURE },
		{ "{\"MetricDataResults\":{}}", ERR_UNSURE },
		{ PAGE(ONE("q0", "1767232800", "", "Complete") "," ONE("q1", "", "", "Complete")), ERR_UNSURE },
		{ PAGE(ONE("q0", "1767232800", "\"1\"", "Complete") "," ONE("q1", "", "", "Complete")), ERR_UNSURE },
		{ PAGE(ONE("q0", "\"2026\"", "1", "Complete") "," ONE("q1", "", "", "Complete")), ERR_UNSURE },
		{ PAGE(ONE("q0", "", "", "Complete") "," ONE("q2", "", "", "Complete")), ERR_UNSURE },
		{ PAGE(ONE("q0", "", "", "Complete") "," ONE("q-1", "", "", "Complete")), ERR_UNSURE },
		{ PAGE("null," ONE("q0", "", "", "Complete")), ERR_UNSURE },
		{ MORE(ONE("q0", "", "", "Complete") "," ONE("q1", "", "", "Complete")), ERR_UNSURE }, /* pages without end */
		{ "[]", ERR_UNSURE },
		{ "not json", ERR_UNSURE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (!ask((const char *const[]){ rows[i].body, NULL }))
			fail_msg("row %zu was read", i);
		if (w.e.kind != rows[i].kind)
			fail_msg("row %zu: %s: %s", i, err_kind_name(w.e.kind), w.e.msg);
		assert_null(s[0].points);
		done();
	}
}

static void odd_points_are_ignored(void **state)
{
	(void)state;
	assert_int_equal(ask((const char *const[]){
		PAGE(ONE("q0", "-5,0,1e300,1767232800", "1,1,1,1", "Complete") "," ONE("q1", "", "", "Complete")), NULL }), 0);
	assert_int_equal(s[0].n, 1);
	done();
}

/* A stranger who answered with 1e300 requests had a run promoted. */
static void counts_that_cannot_be_are_no_answer(void **state)
{
	static const char *const bodies[] = {
		PAGE(ONE("q0", "1767232800", "1e300", "Complete") "," ONE("q1", "", "", "Complete")),
		PAGE(ONE("q0", "1767232800", "1e12", "Complete") "," ONE("q1", "", "", "Complete")),
		PAGE(ONE("q0", "1767232800", "-1", "Complete") "," ONE("q1", "", "", "Complete")),
		PAGE(ONE("q0", "1767232800", "1.5", "Complete") "," ONE("q1", "", "", "Complete")),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		if (!ask((const char *const[]){ bodies[i], NULL }))
			fail_msg("row %zu was read", i);
		assert_int_equal(w.e.kind, ERR_UNSURE);
		assert_non_null(strstr(w.e.msg, "RequestCount of "));
		assert_non_null(strstr(w.e.msg, "which cannot be"));
		assert_null(s[0].points);
		done();
	}
}

static void impossible_questions_are_not_asked(void **state)
{
	struct cw_series out[1];

	(void)state;
	c = (struct canned){ .bodies = (const char *const[]){ "{}", NULL } };
	simworld_open_canned(&w, &c);
	assert_int_equal(cw_get(w.aws, two, 1, 1000, 0, 60, out, &w.e), -1);
	assert_int_equal(cw_get(w.aws, two, 1, 0, 1000, 0, out, &w.e), -1);
	assert_int_equal(cw_get(w.aws, two, 1, 0, 400LL * 86400000, 1, out, &w.e), -1);
	assert_string_equal(c.url, "");
	simworld_close(&w);
}

/* --- alarms ---------------------------------------------------------------------- */

#define ALARM(name, state, more) "{\"AlarmName\":\"" name "\",\"StateValue\":\"" state "\"" more "}"

static int ask_alarms(const char *body, const char *second, struct cw_alarm out[2])
{
	static const char *const names[] = { "a", "b" };

	c = (struct canned){ .bodies = (const char *const[]){ body, second, NULL } };
	simworld_open_canned(&w, &c);
	return cw_alarms(w.aws, names, 2, out, &w.e);
}

static void both_kinds_of_alarms_are_found(void **state)
{
	struct cw_alarm a[2];

	(void)state;
	OK(ask_alarms("{\"MetricAlarms\":[" ALARM("b", "ALARM", ",\"StateReason\":\"high\\u001b[2J\",\"TreatMissingData\":\"breaching\"")
		      "],\"NextToken\":\"2\"}",
		      "{\"CompositeAlarms\":[" ALARM("a", "INSUFFICIENT_DATA", ",\"EvaluationState\":\"PARTIAL_DATA\"")
		      "]}", a));
	assert_string_equal(a[0].name, "a");
	assert_int_equal(a[0].state, CW_INSUFFICIENT);
	assert_true(a[0].evaluation_troubled && !a[0].missing_is_breaching);
	assert_int_equal(a[1].state, CW_ALARM);
	assert_string_equal(a[1].reason, "high?[2J"); /* no word from outside moves the cursor */
	assert_true(a[1].missing_is_breaching && !a[1].evaluation_troubled);
	assert_non_null(strstr(c.last, "\"CompositeAlarm\""));
	assert_non_null(strstr(c.last, "\"NextToken\":\"2\""));
	simworld_close(&w);
}

static void an_alarm_that_is_not_there_is_named(void **state)
{
	struct cw_alarm a[2];

	(void)state;
	assert_int_equal(ask_alarms("{\"MetricAlarms\":[" ALARM("a", "OK", "") "],\"CompositeAlarms\":[]}", NULL, a), -1);
	assert_int_equal(w.e.kind, ERR_GONE);
	assert_non_null(strstr(w.e.msg, "\"b\""));
	assert_null(strstr(w.e.msg, "\"a\""));
	simworld_close(&w);
}

static void alarm_states_are_not_guessed(void **state)
{
	static const char *const rows[] = {
		"{}", "{\"MetricAlarms\":7}",
		"{\"MetricAlarms\":[" ALARM("a", "FINE", "") "," ALARM("b", "OK", "") "]}",
		"{\"MetricAlarms\":[{\"AlarmName\":\"a\"}," ALARM("b", "OK", "") "]}",
	};
	struct cw_alarm a[2];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(ask_alarms(rows[i], NULL, a), -1);
		assert_int_equal(w.e.kind, ERR_UNSURE);
		simworld_close(&w);
	}
	assert_string_equal(cw_state_name(CW_ALARM), "ALARM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_is_as_aws_wants_it),
		cmocka_unit_test(other_dimensions_are_sent_as_given),
		cmocka_unit_test(points_are_sorted_clipped_and_merged),
		cmocka_unit_test(pages_are_merged_by_id),
		cmocka_unit_test(what_is_not_whole_says_so),
		cmocka_unit_test(unknown_is_never_empty),
		cmocka_unit_test(odd_points_are_ignored), cmocka_unit_test(counts_that_cannot_be_are_no_answer),
		cmocka_unit_test(impossible_questions_are_not_asked),
		cmocka_unit_test(both_kinds_of_alarms_are_found),
		cmocka_unit_test(an_alarm_that_is_not_there_is_named),
		cmocka_unit_test(alarm_states_are_not_guessed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

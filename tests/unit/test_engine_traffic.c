/* Whole runs in which AWS answers late, wrongly or not at all, other people
 * change the weights, and colours fall ill. Orders, drivers and the journal are
 * in test_engine.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG_SHIFT ",{\"id\":\"to-25\",\"do\":\"shift\",\"weight\":\"25%\",\"bake\":\"PT10M\"}"
#define DEADMAN "\"deadman\":{\"role\":\"arn:aws:iam::123456789012:role/deadman\",\"after\":\"PT5M\"},"

static bool is_read(const struct http_req *q)
{
	return strstr(q->url, "monitoring") || is_call(q, "DescribeRules") || is_call(q, "DescribeTargetHealth");
}

static bool on_green(struct rig *r, int weight)
{
	return rig_run(r)->state == RUN_FORWARD && truth(r).weight_green == weight;
}

static int verdicts(struct rig *r, const char *kind, const char *rule)
{
	int n = 0;

	for (int i = 1;; i++) {
		autojson json_t *v = line(r, "verdict", i);

		if (!v)
			return n;
		n += !strcmp(json_str(v, "verdict", ""), kind) && (!rule || !strcmp(json_str(v, "rule", ""), rule));
	}
}

/* --- answers that are lost, late or stale --------------------------------------------------- */

static void lose_one_answer(struct rig *r, const struct http_req *q)
{
	if (is_call(q, "ModifyRule") && ++my.writes == my.n)
		mishap(r, SIM_REPLY_LOST);
}

static uint64_t writes_of(uint64_t lost, double errors, enum run_state end)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	uint64_t n;

	my.n = lost;
	r->ask = lose_one_answer;
	sim_green_errors(r->sim, errors);
	life_to(r, end);
	n = truth(r).modify_rules;
	assert_true(lost <= my.writes);
	assert_int_equal(my.writes, n); /* nothing was sent twice */
	life_over(r);
	return n;
}

static void a_lost_reply_to_modify_rule_is_looked_up(void **state)
{
	uint64_t there = writes_of(0, 0, RUN_PROMOTED), back = writes_of(0, 0.5, RUN_ROLLED_BACK);

	(void)state;
	for (uint64_t i = 1; i <= there; i++)
		assert_int_equal(writes_of(i, 0, RUN_PROMOTED), there);
	for (uint64_t i = 1; i <= back; i++)
		assert_int_equal(writes_of(i, 0.5, RUN_ROLLED_BACK), back);
}

static void never_arrives(struct rig *r, const struct http_req *q)
{
	if (is_call(q, "ModifyRule") && my.n++ < 3)
		mishap(r, SIM_TIMEOUT_BEFORE);
}

static void a_write_that_never_arrived_is_made_again(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	r->ask = never_arrives;
	life_to(r, RUN_PROMOTED);
	assert_true(lines(r, "unsure") >= 1);
	assert_int_equal(truth(r).modify_rules, 3);
	life_over(r);
}

static void throttle_the_watch(struct rig *r, const struct http_req *q)
{
	if (on_green(r, 250) && !my.at)
		my.at = now(r);
	if (my.at && now(r) - my.at < 20 * MINUTE && is_read(q))
		mishap(r, SIM_THROTTLED);
	forbid(my.at && now(r) - my.at < 20 * MINUTE && at_step(r, "promote"), "an unanswered look counted as a good one");
	forbid(my.at && now(r) - my.at < 20 * MINUTE && rig_run(r)->proved, "an unanswered look counted as proof");
}

/* argo-rollouts#3333: an unanswered look counted as "verified", and the old side
 * was scaled down while all traffic still went to it. */
static void throttled_reads_are_unknown_not_ok(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE RETIRE);

	(void)state;
	r->ask = throttle_the_watch;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(verdicts(r, "BLIND", NULL) > 0);
	assert_int_equal(truth(r).blue_tasks, 4);
	assert_int_equal(lines(r, "proved"), 1);
	assert_on_blue(r);
	life_over(r);
}

static void silence_cloudwatch(struct rig *r, const struct http_req *q)
{
	if (on_green(r, 250))
		my.on = true;
	if (my.on && strstr(q->url, "monitoring"))
		mishap(r, SIM_THROTTLED);
	forbid(is_call(q, "DeleteStack") && rig_run(r)->state == RUN_BACK, "green was destroyed before proof");
}

static void what_cannot_be_proved_is_not_called_rolled_back(void **state)
{
	struct rig *r = life_with("\"call\":[\"/bin/true\"],", NULL, LOOK STACK SHIFT PROMOTE, NULL);

	(void)state;
	r->ask = silence_cloudwatch;
	life_to(r, RUN_FROZEN);
	assert_int_equal(run_exit_code(rig_run(r)), 4);
	assert_int_equal(lines(r, "proved"), 0);
	assert_true(lines(r, "call") >= 1);
	assert_int_equal(truth(r).stacks, 1);
	assert_on_blue(r);
	/* CloudWatch speaks again, and a person says it once more. */
	r->ask = NULL;
	rig_order(r, "rollback", NULL, false);
	life_to(r, RUN_ROLLED_BACK);
	assert_int_equal(lines(r, "proved"), 1);
	assert_int_equal(truth(r).stacks, 0);
	life_over(r);
}

static void all_rules_stale(struct rig *r, const struct http_req *q)
{
	if (is_call(q, "DescribeRules"))
		mishap(r, SIM_STALE);
}

static void a_stale_read_is_not_foreign(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	r->ask = all_rules_stale;
	life_to(r, RUN_PROMOTED);
	assert_int_equal(lines(r, "foreign"), 0);
	life_over(r);
	r = life_new(LOOK SHIFT PROMOTE);
	r->ask = all_rules_stale;
	sim_green_errors(r->sim, 0.5);
	life_to(r, RUN_ROLLED_BACK);
	assert_int_equal(lines(r, "foreign"), 0);
	assert_on_blue(r);
	life_over(r);
}

/* --- the judge, in whole runs ----------------------------------------------------------------- */

/* argo-rollouts#3850, #4147, #4479: promoted on measurements that said nothing. */
static void too_little_evidence_is_never_promoted(void **state)
{
	static const struct sim_opts lonely = { .seed = 11, .requests_per_s = 0.02 };
	struct rig *r = life_with(NULL, ",\"hold_limit\":\"PT5M\"", LOOK SHIFT PROMOTE, &lonely);

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "not enough evidence");
	assert_int_equal(verdicts(r, "GOOD", NULL), 0);
	life_over(r);
}

static void answer_the_call(struct rig *r)
{
	forbid(at_step(r, "promote") && !my.once, "went on before the person answered");
	if (first_time(lines(r, "asks") > 0))
		my.at = now(r);
	if (my.at && now(r) - my.at > 30 * MINUTE && !my.on) {
		my.on = true;
		rig_order(r, "promote", NULL, true);
	}
}

static void too_little_evidence_may_be_a_persons_to_judge(void **state)
{
	static const struct sim_opts lonely = { .seed = 11, .requests_per_s = 0.02 };
	struct rig *r = life_with(NULL, ",\"hold_limit\":\"PT5M\",\"on_hold\":\"call\"", LOOK SHIFT PROMOTE, &lonely);

	(void)state;
	r->see = answer_the_call;
	life_to(r, RUN_PROMOTED);
	assert_true(my.on);
	assert_int_equal(lines(r, "asks"), 1); /* what comes later was answered beforehand */
	life_over(r);
}

static void a_blind_watch_goes_back(void **state)
{
	static const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .fault = "blind" };
	struct rig *r = life_with(NULL, NULL, LOOK LONG_SHIFT PROMOTE, &world);

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "blind");
	assert_on_blue(r);
	life_over(r);
}

/* What GetMetricData answers once green has weight, and what of it must stand where the decision stands. */
static const struct refusal { int status; const char *body, *cause; } *metrics_say;

static void refuse_metrics(struct rig *r, const struct http_req *q, struct http_res *a)
{
	if (!is_call(q, "GetMetricData") || !at_step(r, "to-25") || rig_run(r)->traffic.left_green <= 0)
		return;
	free(a->body);
	a->body = xstrdup(metrics_say->body);
	a->nbody = strlen(a->body);
	a->status = metrics_say->status;
}

/* "CloudWatch has not answered", when it did, and said why. */
static void blindness_names_what_cloudwatch_said(void **state)
{
	static const struct refusal rows[] = {
		{ 400, "{\"__type\":\"AccessDeniedException\",\"message\":\"not authorized to perform: cloudwatch:GetMetricData\"}",
		  "not authorized to perform: cloudwatch:GetMetricData" },
		{ 500, "{\"__type\":\"InternalServiceFault\",\"message\":\"sorry\"}", "sorry" },
		{ 400, "{\"__type\":\"Throttling\",\"message\":\"Rate exceeded\"}", "Rate exceeded" },
		{ 200, "{\"MetricDataResults\":[{\"Id\":\"q0\",\"Timestamps\":[],\"Values\":[],\"StatusCode\":\"InternalError\","
		       "\"Messages\":[{\"Code\":\"Broken\",\"Value\":\"for now\"}]}]}", "InternalError of a series, Broken: for now" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rig *r = life_new(LOOK LONG_SHIFT PROMOTE);
		autojson json_t *verdict = NULL;

		metrics_say = &rows[i];
		r->heard = refuse_metrics;
		life_to(r, RUN_ROLLED_BACK);
		assert_why(r, "blind for too long");
		assert_why(r, rows[i].cause);
		verdict = json_incref(rig_run(r)->verdict);
		assert_non_null(strstr(json_str(json_object_get(verdict, "missing"), "metrics", ""), rows[i].cause));
		life_over(r);
	}
}

static void both_sick_holds_and_does_not_flap(void **state)
{
	static const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .fault = "blue-sick" };
	struct rig *r = life_with(NULL, ",\"hold_limit\":\"PT5M\"", LOOK LONG_SHIFT PROMOTE, &world);

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(verdicts(r, "HOLD", "both-sick") > 0);
	assert_int_equal(verdicts(r, "BAD", NULL), 0);
	assert_true(rig_run(r)->state_since - rig_run(r)->started > 15 * MINUTE); /* bake and limit, not at once */
	life_over(r);
}

/* wikitech 2023-01-17: judged on what was counted before the new version served. */
static void evidence_of_one_stage_does_not_count_in_the_next(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	autojson json_t *v = NULL;

	(void)state;
	life_to(r, RUN_PROMOTED);
	for (int i = 1; json_num(v, "permille", 0) < 1000; i++) {
		json_decref(v);
		v = line(r, "verdict", i);
		assert_non_null(v);
	}
	assert_string_equal(json_str(v, "verdict", ""), "HOLD");
	assert_true(json_real_value(json_object_get(json_object_get(v, "green"), "requests")) < 1);
	assert_true(line_at(r, "promoted", 1) - line_at(r, "weights", 3) >= 3 * MINUTE); /* a closed period of its own */
	life_over(r);
}

static double newest_point(const json_t *results)
{
	double newest = 0;
	size_t i, k;
	json_t *m, *at;

	json_array_foreach(results, i, m)
		json_array_foreach(json_object_get(m, "Timestamps"), k, at)
			newest = json_number_value(at) > newest ? json_number_value(at) : newest;
	return newest;
}

static void hide_point(json_t *metric, double at)
{
	json_t *times = json_object_get(metric, "Timestamps"), *t;
	size_t i;

	json_array_foreach(times, i, t)
		if (json_number_value(t) >= at) {
			json_array_remove(times, i);
			json_array_remove(json_object_get(metric, "Values"), i);
			my.n++;
			return;
		}
}

/* CloudWatch counts the newest period's 5xx only in its next answer. */
static void errors_come_late(struct rig *r, const struct http_req *q, struct http_res *a)
{
	autojson json_t *j = strstr(q->url, "monitoring") && is_call(q, "GetMetricData") ? json_loads(a->body, 0, NULL) : NULL;
	json_t *results = json_object_get(j, "MetricDataResults"), *m;
	double newest = newest_point(results);
	size_t i;

	(void)r;
	if (json_array_size(results) != 8) /* the watch's question: four metrics of two colours */
		return;
	json_array_foreach(results, i, m)
		if (strtol(json_str(m, "Id", "m0") + 1, NULL, 10) % 4 == 1)
			hide_point(m, newest);
	free(a->body);
	a->body = json_flat(j);
	a->nbody = strlen(a->body);
}

static void errors_at_25(struct rig *r)
{
	if (first_time(on_green(r, 250)))
		sim_green_errors(r->sim, 0.5);
}

/* Netflix/atlas#1300, keda#2242: the load balancer's last minutes are revised. */
static void late_points_are_read_again(void **state)
{
	struct rig *r = life_new(LOOK LONG_SHIFT PROMOTE);

	(void)state;
	r->see = errors_at_25;
	r->heard = errors_come_late;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(my.n > 0);
	assert_why(r, "green failed");
	life_over(r);
}

/* flagger#1810: what was measured, not only that it failed. The judge would be a minute earlier. */
static void a_rollback_says_what_was_measured(void **state)
{
	static const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .fault = "errors" };
	struct rig *r = life_with(NULL, ",\"judge\":{\"on\":false}", LOOK LONG_SHIFT PROMOTE, &world);
	int failed = 0, of = 0;

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_int_equal(verdicts(r, "BAD", "catastrophic"), 1);
	assert_int_equal(sscanf(rig_run(r)->why, "catastrophic: green failed %d of %d requests", &failed, &of), 2);
	assert_true(failed > of / 5 && failed < of / 2); /* the fault fails 30 % */
	life_over(r);
}

/* --- what has to be healthy ---------------------------------------------------------------------- */

static void no_weight_for_green(struct rig *r, const struct http_req *q)
{
	(void)q;
	forbid(truth(r).weight_green > 0, "a green that is not ready got traffic");
	my.on = my.on || truth(r).weight_green == 0;
}

static void green_without_healthy_targets_gets_no_traffic(void **state)
{
	static const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .fault = "cold" };
	struct rig *r = life_with(NULL, NULL, LOOK ",{\"id\":\"to-25\",\"do\":\"shift\",\"weight\":\"25%\",\"bake\":\"PT1M\",\"ready\":\"PT3M\"}" PROMOTE, &world);

	(void)state;
	r->ask = no_weight_for_green;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(my.on); /* it was on the rule with 0: without that AWS does not check its health */
	assert_why(r, "green did not get ready");
	assert_int_equal(truth(r).weight_green, -1);
	life_over(r);
}

/* Says of one healthy target of green that it is not. */
static void one_of_green_is_sick(struct rig *r, const struct http_req *q, struct http_res *a)
{
	char *p = is_call(q, "DescribeTargetHealth") && strstr(a->body, "<Id>10.0.2.11</Id>") ? strstr(a->body, "<State>healthy<") : NULL;

	(void)r;
	if (p)
		memcpy(p, "<State>initial<", 15);
}

static void green_without_enough_healthy_targets_gets_no_traffic(void **state)
{
	struct rig *r = life_with(NULL, NULL, LOOK ",{\"id\":\"to-25\",\"do\":\"shift\",\"weight\":\"25%\",\"bake\":\"PT1M\",\"ready\":\"PT3M\"}" PROMOTE, NULL);

	(void)state;
	r->ask = no_weight_for_green;
	r->heard = one_of_green_is_sick;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "green has 3 of 4 healthy targets");
	life_over(r);
}

static void blue_dies_then_rollback(struct rig *r)
{
	if (first_time(on_green(r, 250))) {
		sim_kill_targets(r->sim, false);
		my.at = now(r);
	}
	if (my.at && now(r) - my.at > 5 * MINUTE && !my.on) {
		my.on = true;
		rig_order(r, "rollback", NULL, false);
	}
	forbid(my.at && truth(r).weight_green != 250, "traffic was sent to a blue that nobody answers at");
	if (my.at && now(r) - my.at > 20 * MINUTE)
		r->dead = 1;
}

/* flagger#1931: promotion failed, and traffic was sent to the unhealthy primary. */
static void blue_without_healthy_targets_keeps_traffic_and_calls(void **state)
{
	struct rig *r = life_new(LOOK LONG_SHIFT PROMOTE);

	(void)state;
	r->see = blue_dies_then_rollback;
	assert_int_equal(rig_process(r), 1);
	assert_true(my.on);
	assert_int_equal(rig_run(r)->state, RUN_BACK);
	assert_int_equal(truth(r).weight_green, 250);
	assert_int_equal(lines(r, "call"), 1);
	life_over(r);
}

static void both_die(struct rig *r)
{
	if (!first_time(on_green(r, 250)))
		return;
	sim_kill_targets(r->sim, false);
	sim_kill_targets(r->sim, true);
	clock_sleep(sim_clock(r->sim), 2 * MINUTE);
	rig_order(r, "rollback", NULL, false);
}

static void when_neither_is_healthy_rollback_is_obeyed(void **state)
{
	struct rig *r = life_new(LOOK LONG_SHIFT PROMOTE);

	(void)state;
	r->see = both_die;
	life_to(r, RUN_FROZEN); /* on blue, but no healthy target proves it */
	assert_true(truth(r).weight_blue > 0 && truth(r).weight_green <= 0);
	assert_true(lines(r, "call") >= 1);
	life_over(r);
}

/* --- the order of the way back ------------------------------------------------------------------- */

static void watch_the_way_back(struct rig *r, const struct http_req *q)
{
	if (rig_run(r)->state == RUN_FORWARD && on_green(r, 250) && first_time(true))
		sim_green_errors(r->sim, 0.5);
	if (!is_call(q, "DeleteStack"))
		return;
	my.n++;
	forbid(truth(r).live_green > 0, "green was destroyed while it had traffic");
	forbid(!rig_run(r)->proved, "green was destroyed before CloudWatch showed that nobody asks it");
}

/* argo-rollouts#4900, #1841, #3926: scaled down before traffic had left. */
static void nothing_is_destroyed_before_proof(void **state)
{
	struct rig *r = life_new(LOOK STACK SHIFT PROMOTE);

	(void)state;
	r->ask = watch_the_way_back;
	life_to(r, RUN_ROLLED_BACK);
	assert_int_equal(my.n, 1);
	assert_int_equal(truth(r).stacks, 0);
	assert_on_blue(r);
	life_over(r);
}

/* aws/copilot-cli#4838: the way back put back only a part of what was changed. */
static void the_rule_is_put_back_exactly(void **state)
{
	static const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .fault = "errors", .blue_weight = 321 };
	struct rig *r = life_with(NULL, NULL, LOOK SHIFT PROMOTE, &world);

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_int_equal(truth(r).weight_blue, 321);
	assert_int_equal(truth(r).weight_green, -1); /* not on the rule, as before */
	life_over(r);
}

#define UPDATE ",{\"id\":\"green\",\"do\":\"stack\",\"stack\":\"wiki-green\",\"template\":\"tests/unit/green.json\",\"may_replace\":[\"Task\"]}"

static void what_cannot_be_cleaned_up_is_said(void **state)
{
	static const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .blue_stack = "wiki-green" };
	struct rig *r = life_with(NULL, NULL, LOOK UPDATE SHIFT PROMOTE, &world);
	autojson json_t *left = NULL;

	(void)state;
	r->ask = watch_the_way_back;
	life_to(r, RUN_ROLLED_BACK);
	assert_int_equal(my.n, 0);
	for (int i = 1; !json_str(left, "left", NULL); i++) {
		json_decref(left);
		left = line(r, "undone", i);
		assert_non_null(left);
	}
	assert_non_null(strstr(json_str(left, "left", ""), "was there before"));
	assert_on_blue(r);
	life_over(r);
}

/* --- somebody else ------------------------------------------------------------------------------- */

static void somebody_sets_400_600(struct rig *r)
{
	if (first_time(on_green(r, 250))) {
		sim_set_weights(r->sim, 400, 600);
		my.at = now(r);
		my.writes = truth(r).modify_rules;
	}
	if (my.at && rig_run(r)->state == RUN_FORWARD)
		forbid(truth(r).modify_rules != my.writes, "somebody else's weights were overwritten in silence");
}

/* aws-cdk#36649: a stack update resets weights in the middle of a shift. */
static void foreign_weights_are_named_then_rolled_back_after_grace(void **state)
{
	struct rig *r = life_seen(LOOK LONG_SHIFT PROMOTE, somebody_sets_400_600, RUN_ROLLED_BACK);
	autojson json_t *named = line(r, "foreign", 1);
	int64_t grace = rig_run(r)->plan->watch.foreign_grace_ms;

	(void)state;
	assert_int_equal(json_num(named, "blue", 0), 400);
	assert_int_equal(json_num(named, "green", 0), 600);
	assert_int_equal(json_num(named, "left_blue", 0), 750);
	assert_int_equal(json_num(named, "left_green", 0), 250);
	assert_true(line_at(r, "back", 1) - line_at(r, "foreign", 1) >= grace);
	assert_true(line_at(r, "back", 1) - line_at(r, "foreign", 1) < grace + 2 * MINUTE);
	assert_why(r, "blue 400, green 600");
	assert_on_blue(r);
	life_over(r);
}

static void raise_never_arrives(struct rig *r, const struct http_req *q)
{
	if (is_call(q, "ModifyRule") && rig_run(r)->traffic.to_green > 0 && my.n++ < 3)
		mishap(r, SIM_TIMEOUT_BEFORE);
}

static void somebody_changes_blue_only(struct rig *r)
{
	if (first_time(on_green(r, 250)))
		sim_set_weights(r->sim, 1, 250);
}

/* A write that may still arrive was known again by green's weight alone: nearly all traffic on green passed as ours. */
static void weights_like_a_late_write_for_green_only_are_foreign(void **state)
{
	struct rig *r = life_new(LOOK LONG_SHIFT PROMOTE);
	autojson json_t *named = NULL;

	(void)state;
	r->ask = raise_never_arrives;
	r->see = somebody_changes_blue_only;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(lines(r, "unsure") >= 1);
	assert_int_equal(lines(r, "foreign"), 1);
	named = line(r, "foreign", 1);
	assert_int_equal(json_num(named, "blue", 0), 1);
	assert_int_equal(json_num(named, "green", 0), 250);
	assert_on_blue(r);
	life_over(r);
}

static void somebody_then_resume(struct rig *r)
{
	if (first_time(on_green(r, 250)))
		sim_set_weights(r->sim, 400, 600);
	if (rig_run(r)->traffic.foreign && !my.on) {
		my.on = true;
		my.at = now(r);
		rig_order(r, "resume", NULL, false);
	}
	if (my.at && at_step(r, "to-25") && now(r) - my.at > 2 * MINUTE) {
		forbid(truth(r).weight_blue != 750 || truth(r).weight_green != 250, "ours were not set again");
		my.n++;
	}
}

static void resume_after_foreign_sets_ours_again(void **state)
{
	struct rig *r = life_seen(LOOK LONG_SHIFT PROMOTE, somebody_then_resume, RUN_PROMOTED);

	(void)state;
	assert_true(my.on && my.n > 0);
	assert_int_equal(lines(r, "foreign"), 1);
	life_over(r);
}

static void back_by_hand(struct rig *r)
{
	if (first_time(on_green(r, 250))) {
		sim_set_weights(r->sim, 999, 0);
		my.at = now(r);
	}
}

static void somebody_taking_traffic_back_by_hand_is_a_rollback(void **state)
{
	struct rig *r = life_seen(LOOK LONG_SHIFT PROMOTE, back_by_hand, RUN_ROLLED_BACK);

	(void)state;
	assert_why(r, "took all traffic off green");
	assert_true(line_at(r, "back", 1) - my.at <= 2 * MINUTE);
	assert_on_blue(r);
	life_over(r);
}

static void fight(struct rig *r)
{
	const struct run_traffic *t = &rig_run(r)->traffic;

	if (first_time(on_green(r, 250)))
		sim_green_errors(r->sim, 0.5);
	if (rig_run(r)->state == RUN_BACK && t->known && !t->writing && t->left_green <= 0 && !my.on) {
		my.on = true;
		sim_set_weights(r->sim, 500, 500);
		my.writes = truth(r).modify_rules;
	}
}

static struct rig *a_fight(void)
{
	struct rig *r = life_seen(LOOK LONG_SHIFT PROMOTE, fight, RUN_FROZEN);

	assert_true(my.on);
	assert_int_equal(lines(r, "call"), 1);
	assert_int_equal(truth(r).modify_rules, my.writes);
	assert_int_equal(truth(r).weight_green, 500);
	assert_int_equal(run_exit_code(rig_run(r)), 4);
	r->see = NULL;
	return r;
}

static void foreign_after_rollback_freezes_and_calls(void **state)
{
	(void)state;
	life_over(a_fight());
}

/* Who orders it has seen whose weights they are. */
static void a_frozen_run_is_rolled_back_when_a_person_orders_it(void **state)
{
	struct rig *r = a_fight();

	(void)state;
	rig_order(r, "rollback", NULL, false);
	life_to(r, RUN_ROLLED_BACK);
	assert_on_blue(r);
	life_over(r);
}

/* --- a third group ---------------------------------------------------------------------------------- */

#define THIRD "<member><TargetGroupArn>" RIG_LB "targetgroup/third/1111222233334444</TargetGroupArn><Weight>100</Weight></member>"

static void add_a_third(struct rig *r, const struct http_req *q, struct http_res *a)
{
	char *p = is_call(q, "DescribeRules") ? strstr(a->body, "<TargetGroups>") : NULL;
	char *with;

	(void)r;
	if (!p || !my.on)
		return;
	p += strlen("<TargetGroups>");
	with = xasprintf("%.*s" THIRD "%s", (int)(p - a->body), a->body, p);
	free(a->body);
	a->body = with;
	a->nbody = strlen(with);
}

static void third_group_on_the_rule_is_refused(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	my.on = true;
	r->heard = add_a_third;
	life_to(r, RUN_REFUSED);
	assert_why(r, "neither blue nor green");
	assert_int_equal(truth(r).modify_rules, 0);
	life_over(r);
}

static void a_third_appears(struct rig *r)
{
	if (first_time(on_green(r, 250))) {
		my.on = true;
		my.writes = truth(r).modify_rules;
	}
	forbid(my.on && truth(r).modify_rules != my.writes, "a rule with a third group was written");
	if (rig_run(r)->state == RUN_BACK && !my.at)
		my.at = now(r);
	if (my.at && now(r) - my.at > 5 * MINUTE)
		my.on = false; /* gone again */
}

static void a_third_group_in_mid_run_is_not_overwritten(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	r->heard = add_a_third;
	r->see = a_third_appears;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(my.at > 0);
	assert_true(lines(r, "call") >= 1);
	assert_on_blue(r);
	life_over(r);
}

/* --- steps of traffic --------------------------------------------------------------------------------- */

static void look_at_a_tenth(struct rig *r)
{
	if (truth(r).weight_green == 1 && truth(r).weight_blue == 999)
		my.on = true;
	forbid(at_step(r, "tenth") && truth(r).weight_green > 1, "more than a tenth of a percent");
}

/* argo-rollouts#2657: a first step of 0.1 %. */
static void weights_in_tenths_of_a_percent(void **state)
{
	static const struct sim_opts busy = { .seed = 11, .requests_per_s = 500 };
	struct rig *r = life_with(NULL, ",\"good_requests\":20,\"judge\":{\"harm\":1000000}",
				  LOOK ",{\"id\":\"tenth\",\"do\":\"shift\",\"weight\":\"0.1%\",\"bake\":\"PT1M\"}" PROMOTE, &busy);

	(void)state;
	r->see = look_at_a_tenth;
	life_to(r, RUN_PROMOTED);
	assert_true(my.on);
	life_over(r);
}

static void only_upwards(struct rig *r, const struct http_req *q)
{
	struct sim_truth t = truth(r);
	uint64_t w = t.weight_green > 0 ? (uint64_t)t.weight_green : 0;

	lose_one_answer(r, q);
	forbid(w < my.at_most, "green's weight went down on the way forward");
	my.at_most = w;
}

/* argo-rollouts#1718, #2064: traffic flapped to the old version at promotion. */
static void green_never_loses_weight_on_the_way_forward(void **state)
{
	(void)state;
	/* The n-th write's answer is lost; 0: none. */
	for (uint64_t n = 0; n <= 5; n++) {
		struct rig *r = life_new(LOOK ",{\"id\":\"to-5\",\"do\":\"shift\",\"weight\":\"5%\",\"bake\":\"PT1M\"}" SHIFT
					 ",{\"id\":\"to-75\",\"do\":\"shift\",\"weight\":\"75%\",\"bake\":\"PT1M\"}" PROMOTE);

		my.n = n;
		r->ask = only_upwards;
		life_to(r, RUN_PROMOTED);
		assert_int_equal(my.writes, 5);
		life_over(r);
	}
}

static void hide_the_last_step(struct rig *r, const struct http_req *q)
{
	if (truth(r).weight_green == 999 && !my.at)
		my.at = now(r);
	if (my.at && now(r) - my.at < 4 * MINUTE && is_call(q, "DescribeRules"))
		mishap(r, SIM_500);
}

static void not_yet_promoted(struct rig *r)
{
	forbid(my.at && now(r) - my.at < 4 * MINUTE && rig_run(r)->state == RUN_PROMOTED,
	       "promoted before the last step was read back");
}

/* argo-rollouts#3627: of all steps the last one was not verified. */
static void the_last_step_is_verified_too(void **state)
{
	struct rig *r = life_new(LOOK SHIFT ",{\"id\":\"promote\",\"do\":\"promote\",\"bake\":\"PT0S\"}");

	(void)state;
	r->ask = hide_the_last_step;
	r->see = not_yet_promoted;
	life_to(r, RUN_PROMOTED);
	assert_true(rig_run(r)->state_since - my.at >= 4 * MINUTE);
	life_over(r);
}

static void somebody_undoes_the_last_step(struct rig *r)
{
	if (first_time(on_green(r, 999)))
		sim_set_weights(r->sim, 750, 250);
}

static void a_last_step_that_was_undone_is_not_promoted(void **state)
{
	struct rig *r = life_seen(LOOK SHIFT PROMOTE, somebody_undoes_the_last_step, RUN_ROLLED_BACK);

	(void)state;
	assert_true(my.once);
	assert_int_equal(lines(r, "foreign"), 1);
	assert_on_blue(r);
	life_over(r);
}

/* --- when nobody comes ------------------------------------------------------------------------------------ */

static void die_at_25(struct rig *r)
{
	if (first_time(on_green(r, 250)))
		r->dead = 1;
}

static void deadman_puts_weights_back_when_nobody_comes(void **state)
{
	struct rig *r = life_with(DEADMAN, NULL, LOOK LONG_SHIFT PROMOTE, NULL);

	(void)state;
	r->see = die_at_25;
	assert_int_equal(rig_process(r), 1);
	assert_int_equal(truth(r).weight_green, 250);
	clock_sleep(sim_clock(r->sim), 7 * MINUTE);
	assert_int_equal(truth(r).fired, 1);
	assert_on_blue(r);
	r->dead = 0;
	r->see = NULL;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "took all traffic off green");
	assert_int_equal(truth(r).schedules, 0);
	life_over(r);
}

static void no_weight_without_the_switch(struct rig *r)
{
	forbid(truth(r).weight_green > 0 && rig_run(r)->state == RUN_FORWARD && !truth(r).schedules,
	       "green had weight and no switch was armed");
}

static void deadman_moves_on_while_somebody_lives(void **state)
{
	struct rig *r = life_with(DEADMAN, NULL, LOOK ",{\"id\":\"to-25\",\"do\":\"shift\",\"weight\":\"25%\",\"bake\":\"PT30M\"}" PROMOTE, NULL);

	(void)state;
	r->see = no_weight_without_the_switch;
	life_to(r, RUN_PROMOTED);
	assert_int_equal(truth(r).fired, 0);
	assert_int_equal(truth(r).schedules, 0);
	life_over(r);
}

/* --- blue leaves the rule ---------------------------------------------------------------------------------- */

#define DELETE ",{\"id\":\"retire\",\"do\":\"retire\",\"soak\":\"PT10M\",\"quiet_periods\":2,\"how\":\"delete-stack\"}"

static struct rig *deletion(void (*see)(struct rig *r), enum run_state end)
{
	struct rig *r = life_with(NULL, NULL, LOOK SHIFT PROMOTE DELETE, &(struct sim_opts){ .seed = 11, .blue_stack = "wiki-blue" });

	r->see = see;
	life_to(r, end);
	return r;
}

static void a_group_is_deleted_when_no_rule_names_it(void **state)
{
	struct rig *r = deletion(NULL, RUN_PROMOTED);
	autojson json_t *write = line(r, "write", lines(r, "write"));

	(void)state;
	assert_int_equal(json_num(write, "blue", 0), -1);
	assert_int_equal(truth(r).weight_blue, -1);
	assert_int_equal(truth(r).weight_green, 999);
	assert_int_equal(truth(r).stacks, 0);
	life_over(r);
}

static void somebody_names_blue_again(struct rig *r)
{
	if (first_time(truth(r).weight_blue < 0))
		sim_set_weights(r->sim, 500, 499);
}

/* What is deleted meanwhile is not known to be whole: a person decides. */
static void blue_named_again_behind_the_door_is_a_persons_matter(void **state)
{
	struct rig *r = deletion(somebody_names_blue_again, RUN_FROZEN);

	(void)state;
	assert_true(lines(r, "call") > 0);
	assert_int_equal(truth(r).weight_blue, 500); /* not fought over */
	life_over(r);
}

static void there_is_no_way_back_to_a_deleted_blue(void **state)
{
	struct rig *r = deletion(NULL, RUN_PROMOTED);

	(void)state;
	assert_int_equal(rig_order(r, "rollback", NULL, false), 0);
	life_to(r, RUN_PROMOTED);
	assert_int_equal(truth(r).weight_green, 999);
	life_over(r);
}

/* --- the whole machine ---------------------------------------------------------------------------------------- */

static void order_behind_the_door(struct rig *r)
{
	if (first_time(rig_run(r)->one_way))
		rig_order(r, "rollback", NULL, false);
}

/* Goes through every row by itself, so that it says the same alone. */
static void every_transition_in_the_table_is_reached(void **state)
{
	struct rig *r;

	life_over(life_seen(LOOK SHIFT PROMOTE RETIRE, order_behind_the_door, RUN_FROZEN));
	r = life_new(LOOK SHIFT PROMOTE);
	sim_set_weights(r->sim, 900, 99);
	life_to(r, RUN_REFUSED);
	sim_set_weights(r->sim, 999, 0);
	rig_order(r, "retry", NULL, false);
	life_to(r, RUN_PROMOTED);
	rig_order(r, "rollback", NULL, false);
	life_to(r, RUN_ROLLED_BACK);
	rig_order(r, "retry", NULL, false);
	life_to(r, RUN_PROMOTED);
	life_over(r);
	r = life_new(LOOK SHIFT PROMOTE);
	rig_order(r, "rollback", NULL, false);
	life_to(r, RUN_REFUSED);
	life_over(r);
	foreign_weights_are_named_then_rolled_back_after_grace(state);
	a_frozen_run_is_rolled_back_when_a_person_orders_it(state);
	for (size_t i = 0; i < run_ntransitions; i++)
		if (!transition_reached(i))
			fail_msg("nobody went from %s by \"%s\"", run_state_name(run_transitions[i].from), event_name(run_transitions[i].event));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_is_deleted_when_no_rule_names_it),
		cmocka_unit_test(blue_named_again_behind_the_door_is_a_persons_matter),
		cmocka_unit_test(there_is_no_way_back_to_a_deleted_blue),
		cmocka_unit_test(a_lost_reply_to_modify_rule_is_looked_up),
		cmocka_unit_test(a_write_that_never_arrived_is_made_again),
		cmocka_unit_test(throttled_reads_are_unknown_not_ok),
		cmocka_unit_test(what_cannot_be_proved_is_not_called_rolled_back),
		cmocka_unit_test(a_stale_read_is_not_foreign),
		cmocka_unit_test(too_little_evidence_is_never_promoted),
		cmocka_unit_test(too_little_evidence_may_be_a_persons_to_judge),
		cmocka_unit_test(a_blind_watch_goes_back),
		cmocka_unit_test(blindness_names_what_cloudwatch_said),
		cmocka_unit_test(both_sick_holds_and_does_not_flap),
		cmocka_unit_test(evidence_of_one_stage_does_not_count_in_the_next),
		cmocka_unit_test(late_points_are_read_again),
		cmocka_unit_test(a_rollback_says_what_was_measured),
		cmocka_unit_test(green_without_healthy_targets_gets_no_traffic),
		cmocka_unit_test(green_without_enough_healthy_targets_gets_no_traffic),
		cmocka_unit_test(blue_without_healthy_targets_keeps_traffic_and_calls),
		cmocka_unit_test(when_neither_is_healthy_rollback_is_obeyed),
		cmocka_unit_test(nothing_is_destroyed_before_proof),
		cmocka_unit_test(the_rule_is_put_back_exactly),
		cmocka_unit_test(what_cannot_be_cleaned_up_is_said),
		cmocka_unit_test(foreign_weights_are_named_then_rolled_back_after_grace),
		cmocka_unit_test(weights_like_a_late_write_for_green_only_are_foreign),
		cmocka_unit_test(resume_after_foreign_sets_ours_again),
		cmocka_unit_test(somebody_taking_traffic_back_by_hand_is_a_rollback),
		cmocka_unit_test(foreign_after_rollback_freezes_and_calls),
		cmocka_unit_test(a_frozen_run_is_rolled_back_when_a_person_orders_it),
		cmocka_unit_test(third_group_on_the_rule_is_refused),
		cmocka_unit_test(a_third_group_in_mid_run_is_not_overwritten),
		cmocka_unit_test(weights_in_tenths_of_a_percent),
		cmocka_unit_test(green_never_loses_weight_on_the_way_forward),
		cmocka_unit_test(the_last_step_is_verified_too),
		cmocka_unit_test(a_last_step_that_was_undone_is_not_promoted),
		cmocka_unit_test(deadman_puts_weights_back_when_nobody_comes),
		cmocka_unit_test(deadman_moves_on_while_somebody_lives),
		cmocka_unit_test(every_transition_in_the_table_is_reached),
	};

	if (getenv("CUTOVER_TEST"))
		cmocka_set_test_filter(getenv("CUTOVER_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

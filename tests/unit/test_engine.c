/* Whole runs, each test after what went wrong for others or what the design
 * demands: orders, states, drivers, journal. tests/lessons.md says whose lesson
 * is answered where. What AWS and other people do to the weights is in
 * test_engine_traffic.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "life.h"

#include "aws/elb.h"
#include "base/file.h"
#include "cli/say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUIET_ASK ",{\"id\":\"ask\",\"do\":\"approve\",\"ask\":\"go on?\",\"deadline\":\"PT5M\",\"default\":\"promote\"}"
#define EVERYTHING LOOK STACK PROBE WARM HOOK SHIFT QUIET_ASK PROMOTE RETIRE

static void assert_nothing_left(struct rig *r)
{
	struct sim_truth t = truth(r);

	assert_on_blue(r);
	assert_int_equal(t.stacks, 0);
	assert_int_equal(t.blue_tasks, 4);
}

/* --- rollback, whenever it is ordered ----------------------------------------------------- */

static void note_the_door(struct rig *r)
{
	if (!rig_run(r)->one_way)
		my.n = r->moments;
}

static uint64_t moments_before_the_door(void)
{
	struct rig *r = life_seen(EVERYTHING, note_the_door, RUN_PROMOTED);

	life_over(r);
	return my.n;
}

/* An order that comes before anything was touched stops the run; any other takes it back. */
static void to_blue_or_stopped(struct rig *r)
{
	assert_int_equal(rig_process(r), 0);
	if (rig_run(r)->state != RUN_ROLLED_BACK)
		assert_true(rig_run(r)->stopped && !rig_run(r)->touched && !lines(r, "write"));
}

/* argo-rollouts#4461, #1259: an abort that is accepted, and nothing happens. */
static void rollback_is_accepted_at_every_moment(void **state)
{
	uint64_t n = moments_before_the_door(), step = n / 25;

	(void)state;
	assert_true(n > 200);
	for (uint64_t at = 1; at + step < n; at += step) {
		struct rig *r = life_new(EVERYTHING);

		r->order[0].at = at;
		r->order[0].order = "rollback";
		to_blue_or_stopped(r);
		assert_nothing_left(r);
		life_over(r);
	}
}

static const char *where; /* the step at which the order is given */

static void order_rollback_there(struct rig *r)
{
	if (first_time(at_step(r, where)))
		rig_order(r, "rollback", NULL, false);
}

static void rollback_is_accepted_in_every_step(void **state)
{
	/* look, probe and warm are over within a tick; rollback_is_accepted_at_every_moment meets them */
	static const char *const steps[] = { "green", "to-25", "ask", "promote", "retire" };

	(void)state;
	for (size_t i = 0; i < COUNT(steps); i++) {
		where = steps[i];
		struct rig *r = life_seen(EVERYTHING, order_rollback_there, RUN_ROLLED_BACK);

		assert_true(my.once);
		assert_nothing_left(r);
		assert_string_equal(rig_run(r)->by, "somebody");
		life_over(r);
	}
}

static void rollback_ends_a_hook_that_runs(void **state)
{
	struct rig *r = life_new(LOOK SLOW_HOOK SHIFT PROMOTE);

	(void)state;
	where = "hook";
	r->programs = true;
	r->see = order_rollback_there;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(my.once);
	assert_true(rig_run(r)->state_since - rig_run(r)->started < MINUTE);
	life_over(r);
}

/* CloudWatch answers nobody any more, and a person orders the way back while it is waited for. */
static void cloudwatch_hangs_at_25(struct rig *r, const struct http_req *q)
{
	bool hangs = is_call(q, "GetMetricData") || is_call(q, "DescribeAlarms");

	if (my.at && !my.on && is_call(q, "ModifyRule")) {
		my.on = true;
		forbid(now(r) - my.at > 2000, "an order to go back waited for an answer of CloudWatch");
	}
	if (!at_step(r, "to-25") || rig_run(r)->traffic.left_green <= 0 || !hangs)
		return;
	mishap(r, SIM_TIMEOUT_BEFORE);
	if (first_time(true)) {
		rig_order(r, "rollback", NULL, false);
		my.at = now(r);
	}
}

static void an_order_does_not_wait_for_who_does_not_answer(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	r->ask = cloudwatch_hangs_at_25;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(my.on);
	assert_on_blue(r);
	life_over(r);
}

/* "rollback" again and again, with each request that is made. */
static void hammer(struct rig *r, const struct http_req *q)
{
	(void)q;
	if ((at_step(r, "to-25") && rig_run(r)->traffic.left_green > 0) || rig_run(r)->state == RUN_BACK) {
		rig_order(r, "rollback", NULL, false);
		my.n++;
	}
	if (my.n && !my.at)
		my.at = now(r);
	if (is_call(q, "ModifyRule") && my.at && !my.on) {
		my.on = true;
		forbid(now(r) - my.at > 5000, "the way back was held up by those who ordered it");
	}
}

static void orders_again_and_again_do_not_hold_the_way_back(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	r->ask = hammer;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(my.on && my.n > 5);
	assert_on_blue(r);
	life_over(r);
}

/* A pause can wait for an answer that is under way: what was asked is answered, and asked once. */
static void pause_at_25(struct rig *r, const struct http_req *q)
{
	if (is_call(q, "GetMetricData") && at_step(r, "to-25") && rig_run(r)->traffic.left_green > 0 && !my.on) {
		my.n++;
		if (first_time(true))
			rig_order(r, "pause", NULL, false);
	}
	if (my.on && rig_run(r)->paused && !my.at) {
		my.at = 1;
		rig_order(r, "resume", NULL, false);
	}
}

static void first_answer(struct rig *r, const struct http_req *q, struct http_res *a)
{
	(void)r, (void)a;
	if (my.once && is_call(q, "GetMetricData"))
		my.on = true;
}

static void only_an_urgent_order_ends_a_read(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	r->ask = pause_at_25;
	r->heard = first_answer;
	life_to(r, RUN_PROMOTED);
	assert_true(my.on && my.at);
	assert_int_equal(my.n, 1);
	life_over(r);
}

static void order_again_while_back(struct rig *r)
{
	if (first_time(at_step(r, "to-25")))
		rig_order(r, "rollback", NULL, false);
	if (rig_run(r)->state == RUN_BACK && my.n++ < 3)
		rig_order(r, my.n == 2 ? "promote" : "rollback", NULL, true);
}

static void orders_during_a_rollback_change_nothing(void **state)
{
	struct rig *r = life_seen(LOOK STACK SHIFT PROMOTE, order_again_while_back, RUN_ROLLED_BACK);

	(void)state;
	assert_true(my.n >= 3);
	assert_int_equal(lines(r, "back"), 1);
	assert_nothing_left(r);
	life_over(r);
}

/* flagger#453, #616: back at once after it succeeded, while blue is there. */
static void a_promoted_run_can_be_rolled_back(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	life_to(r, RUN_PROMOTED);
	assert_int_equal(run_exit_code(rig_run(r)), 0);
	rig_order(r, "rollback", NULL, false);
	life_to(r, RUN_ROLLED_BACK);
	assert_int_equal(lines(r, "proved"), 1);
	assert_on_blue(r);
	life_over(r);
}

static void die_there(struct rig *r)
{
	if (first_time(at_step(r, where)))
		r->dead = 1;
}

static void revive(struct rig *r)
{
	r->dead = 0;
	r->see = NULL;
}

static void an_order_given_while_nobody_drives_is_obeyed(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	where = "to-25";
	r->see = die_there;
	assert_int_equal(rig_process(r), 1);
	rig_order(r, "rollback", NULL, false);
	revive(r);
	life_to(r, RUN_ROLLED_BACK);
	assert_string_equal(rig_run(r)->by, "somebody");
	assert_on_blue(r);
	life_over(r);
}

/* Aborted is aborted: argo-rollouts#2929 tried again by itself. */
static void a_rolled_back_run_stays_so(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	uint64_t writes;

	(void)state;
	where = "to-25";
	r->see = order_rollback_there;
	life_to(r, RUN_ROLLED_BACK);
	writes = truth(r).modify_rules;
	r->see = NULL;
	clock_sleep(sim_clock(r->sim), 60 * MINUTE);
	life_to(r, RUN_ROLLED_BACK);
	assert_int_equal(truth(r).modify_rules, writes);
	assert_int_equal(rig_run(r)->attempt, 1);
	life_over(r);
}

/* --- pause ---------------------------------------------------------------------------------- */

static void pause_before_the_raise(struct rig *r)
{
	if (first_time(at_step(r, "to-25") && truth(r).weight_green <= 0)) {
		rig_order(r, "pause", NULL, false);
		my.at = now(r);
	}
	if (my.at && now(r) - my.at > 20 * MINUTE && !my.on) {
		forbid(truth(r).weight_green > 0, "a paused run raised the weight");
		my.on = true;
		rig_order(r, "resume", NULL, false);
	}
}

static void a_pause_before_the_raise_holds_it(void **state)
{
	struct rig *r = life_seen(LOOK SHIFT PROMOTE, pause_before_the_raise, RUN_PROMOTED);

	(void)state;
	assert_true(my.on);
	life_over(r);
}

static void pause_then_rollback(struct rig *r)
{
	if (first_time(at_step(r, "to-25") && truth(r).weight_green == 250)) {
		rig_order(r, "pause", NULL, false);
		my.at = now(r);
	}
	if (my.at && now(r) - my.at > 20 * MINUTE && !my.on) {
		forbid(truth(r).weight_green != 250, "a paused run changed the weights");
		forbid(at_step(r, "promote"), "a paused run began a step");
		my.on = true;
		rig_order(r, "rollback", NULL, false);
	}
}

static void rollback_by_order_while_paused(void **state)
{
	struct rig *r = life_seen(LOOK SHIFT PROMOTE, pause_then_rollback, RUN_ROLLED_BACK);

	(void)state;
	assert_true(my.on);
	assert_on_blue(r);
	life_over(r);
}

static void pause_then_resume(struct rig *r)
{
	if (first_time(at_step(r, "to-25") && truth(r).weight_green == 250)) {
		rig_order(r, "pause", NULL, false);
		my.at = now(r);
	}
	if (my.at && now(r) - my.at > 20 * MINUTE && !my.on) {
		forbid(at_step(r, "promote"), "a paused run began a step");
		my.on = true;
		rig_order(r, "resume", NULL, false);
	}
}

static void a_paused_run_goes_on_after_resume(void **state)
{
	struct rig *r = life_seen(LOOK SHIFT PROMOTE, pause_then_resume, RUN_PROMOTED);

	(void)state;
	assert_true(my.on);
	life_over(r);
}

static void pause_then_errors(struct rig *r)
{
	if (first_time(at_step(r, "to-25") && truth(r).weight_green == 250)) {
		rig_order(r, "pause", NULL, false);
		my.at = now(r);
	}
	if (my.at && now(r) - my.at > 10 * MINUTE)
		sim_green_errors(r->sim, 0.5);
}

static void pause_holds_but_the_watch_goes_on(void **state)
{
	struct rig *r = life_seen(LOOK SHIFT PROMOTE, pause_then_errors, RUN_ROLLED_BACK);

	(void)state;
	assert_true(rig_run(r)->paused);
	assert_why(r, "green fail"); /* whichever rule sees it first */
	assert_on_blue(r);
	life_over(r);
}

/* --- the watch in waits ------------------------------------------------------------------------ */

static void errors_there(struct rig *r)
{
	if (first_time(at_step(r, where)))
		sim_green_errors(r->sim, 0.5);
}

/* flagger#1801: eighteen failed checks, a threshold of five, and no rollback,
 * since somebody was asked. */
static void approval_is_watched(void **state)
{
	struct rig *r = life_new(LOOK SHIFT ASK PROMOTE);

	(void)state;
	where = "ask";
	r->see = errors_there;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "green fail"); /* whichever rule sees it first */
	assert_true(r->longest_gap < 3 * MINUTE);
	assert_on_blue(r);
	life_over(r);
}

static void dead_there(struct rig *r)
{
	if (first_time(at_step(r, where)))
		sim_kill_targets(r->sim, true);
}

static void a_running_hook_is_watched(void **state)
{
	struct rig *r = life_with(NULL, ",\"poll\":\"PT5S\"", LOOK SHIFT SLOW_HOOK PROMOTE, NULL);

	(void)state;
	where = "hook";
	r->programs = true;
	r->see = dead_there;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "none of green's");
	assert_on_blue(r);
	life_over(r);
}

static void the_soak_before_retire_is_watched(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE RETIRE);

	(void)state;
	where = "retire";
	r->see = errors_there;
	life_to(r, RUN_ROLLED_BACK);
	assert_nothing_left(r);
	life_over(r);
}

/* --- orders ----------------------------------------------------------------------------------- */

static void promote_with_one_id(struct rig *r)
{
	if (at_step(r, "ask") || at_step(r, "ask-2"))
		rig_order(r, "promote", "the-same", false);
}

static void an_order_is_taken_once_per_id(void **state)
{
	struct rig *r = life_seen(LOOK ASK ",{\"id\":\"ask-2\",\"do\":\"approve\",\"ask\":\"sure?\",\"deadline\":\"PT5M\"}",
				  promote_with_one_id, RUN_REFUSED);

	(void)state;
	assert_true(rig_run(r)->step[1].state == STEP_IS_DONE);
	assert_why(r, "nobody approved");
	life_over(r);
}

static void promote_all(struct rig *r)
{
	if (first_time(at_step(r, "ask")))
		rig_order(r, "promote", NULL, true);
}

static void a_full_promotion_answers_every_question(void **state)
{
	struct rig *r = life_seen(LOOK ASK SHIFT PROMOTE, promote_all, RUN_PROMOTED);

	(void)state;
	assert_string_equal(rig_run(r)->full_by, "somebody");
	life_over(r);
}

static void promote_while_blind(struct rig *r)
{
	const struct run *run = rig_run(r);

	if (run->blind_since && my.n++ < 20)
		rig_order(r, my.n % 2 ? "skip-bake" : "promote", NULL, true);
	forbid(run->blind_since && at_step(r, "promote"), "a person's order overruled BLIND");
}

static void promote_order_never_overrules_blind(void **state)
{
	static const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .fault = "blind" };
	struct rig *r = life_with(NULL, NULL, LOOK ",{\"id\":\"to-25\",\"do\":\"shift\",\"weight\":\"25%\",\"bake\":\"PT30M\"}" PROMOTE, &world);

	(void)state;
	r->see = promote_while_blind;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(my.n > 0);
	assert_why(r, "blind");
	life_over(r);
}

static void promote_a_dead_green(struct rig *r)
{
	forbid(truth(r).weight_green > 250, "a green without healthy targets got more traffic");
	if (first_time(at_step(r, "to-25")))
		sim_kill_targets(r->sim, true);
	if (my.once && !my.on && truth(r).green_healthy == 0) {
		my.on = true;
		rig_order(r, "promote", NULL, true);
		rig_order(r, "skip-bake", NULL, false);
	}
}

static void promote_order_never_overrules_bad(void **state)
{
	struct rig *r = life_seen(LOOK SHIFT PROMOTE, promote_a_dead_green, RUN_ROLLED_BACK);

	(void)state;
	assert_true(my.on);
	assert_on_blue(r);
	life_over(r);
}

/* --- retry -------------------------------------------------------------------------------------- */

static void fail_once(struct rig *r)
{
	if (at_step(r, "ask"))
		rig_order(r, "promote", NULL, false);
	if (first_time(at_step(r, "to-25")))
		sim_green_errors(r->sim, 0.5);
}

/* Two deploys were judged against the failed one before them, and all wikis
 * went down (wikitech 2018-01-29); argo-rollouts#2897 reused the failed analysis. */
static void retry_is_a_new_attempt(void **state)
{
	static const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .blue_weight = 700 };
	struct rig *r = life_with(NULL, NULL, LOOK ASK SHIFT PROMOTE, &world);
	autojson json_t *baseline = NULL;

	(void)state;
	r->see = fail_once;
	life_to(r, RUN_ROLLED_BACK);
	assert_int_equal(truth(r).weight_blue, 700);
	sim_green_errors(r->sim, 0);
	rig_order(r, "retry", "again", false);
	rig_order(r, "retry", "again", false);
	life_to(r, RUN_PROMOTED); /* the order of the first attempt does not answer: it is asked anew */
	assert_int_equal(rig_run(r)->attempt, 2);
	assert_int_equal(lines(r, "attempt"), 1);
	assert_int_equal(lines(r, "baseline"), 1);
	baseline = line(r, "baseline", 1);
	assert_int_equal(json_num(json_array_get(json_object_get(baseline, "groups"), 0), "weight", 0), 700);
	life_over(r);
}

static void an_answer_is_for_one_attempt(void **state)
{
	struct rig *r = life_new(LOOK ASK SHIFT PROMOTE);

	(void)state;
	r->see = fail_once;
	life_to(r, RUN_ROLLED_BACK);
	sim_green_errors(r->sim, 0);
	r->see = NULL;
	rig_order(r, "retry", NULL, false);
	life_to(r, RUN_REFUSED); /* nobody answered in this attempt, and nothing was touched in it */
	assert_why(r, "nobody approved");
	assert_on_blue(r);
	life_over(r);
}

/* --- what is said of it ------------------------------------------------------------------ */

static void nobody_there(struct rig *r, const struct http_req *q)
{
	(void)q;
	mishap(r, SIM_TIMEOUT_BEFORE);
	if (first_time(true))
		rig_order(r, "rollback", NULL, false);
}

static void assert_outcome(struct rig *r, const char *part, const char *never)
{
	autobuf struct buf text = BUF_MAX(4096);

	say_outcome(rig_run(r), &text);
	say_screen(rig_run(r), "", now(r), false, &text);
	assert_non_null(strstr(text.p, part));
	assert_null(strstr(text.p, never));
}

/* "ROLLED BACK: traffic is proved on blue", exit 3, of an AWS that never answered. */
static void nothing_touched_and_nothing_known_is_said(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	autojson json_t *traffic = NULL;

	(void)state;
	r->ask = nobody_there;
	life_to(r, RUN_REFUSED);
	assert_true(rig_run(r)->stopped);
	assert_int_equal(run_exit_code(rig_run(r)), 5);
	assert_int_equal(lines(r, "back") + lines(r, "proved") + lines(r, "rolled-back"), 0);
	assert_why(r, "stopped before anything was changed; AWS has not answered: test");
	assert_string_equal(rig_run(r)->by, "somebody");
	assert_outcome(r, "traffic  unknown", "proved");
	assert_outcome(r, "STOPPED: nothing was touched", "%");
	traffic = run_traffic_json(rig_run(r));
	assert_true(json_is_null(json_object_get(traffic, "blue")) && json_is_null(json_object_get(traffic, "green")));
	assert_string_equal(json_str(traffic, "free_of_green", ""), "nothing");
	life_over(r);
}

static void order_rollback_at_ask(struct rig *r)
{
	if (first_time(at_step(r, "ask")))
		rig_order(r, "rollback", NULL, false);
}

/* What the look before anything read is what AWS last said. */
static void who_is_stopped_is_told_what_aws_said(void **state)
{
	struct rig *r = life_seen(LOOK ASK SHIFT PROMOTE, order_rollback_at_ask, RUN_REFUSED);

	(void)state;
	assert_why(r, "stopped before anything was changed; AWS last said: blue ");
	assert_outcome(r, "green had 0.0 % of the weight when AWS was last read", "proved");
	life_over(r);
}

static void order_rollback_at_stack(struct rig *r)
{
	if (first_time(at_step(r, "green")))
		rig_order(r, "rollback", NULL, false);
}

/* Taken back without green's ever having had weight: not "proved", but what the rule said. */
static void back_without_weight_is_not_called_proved(void **state)
{
	struct rig *r = life_seen(LOOK STACK SHIFT PROMOTE, order_rollback_at_stack, RUN_ROLLED_BACK);
	autojson json_t *end = line(r, "rolled-back", 1);

	(void)state;
	assert_int_equal(lines(r, "proved"), 0);
	assert_outcome(r, "ROLLED BACK: green never had weight in this attempt; the rule gave it none at 20", "proved");
	assert_non_null(strstr(json_str(end, "traffic", ""), "the rule gave it none at"));
	assert_nothing_left(r);
	life_over(r);
}

/* --- doors --------------------------------------------------------------------------------------- */

static void order_behind_the_door(struct rig *r)
{
	if (first_time(rig_run(r)->one_way))
		rig_order(r, "rollback", NULL, false);
}

static void behind_the_door_rollback_calls_a_person(void **state)
{
	struct rig *r = life_seen(LOOK SHIFT PROMOTE RETIRE, order_behind_the_door, RUN_FROZEN);

	(void)state;
	assert_true(truth(r).weight_green > 0);
	assert_true(truth(r).weight_blue <= 0);
	assert_int_equal(run_exit_code(rig_run(r)), 4);
	assert_why(r, "the way back is closed");
	life_over(r);
}

static void after_retire_rollback_is_refused_and_ends(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE RETIRE);

	(void)state;
	life_to(r, RUN_PROMOTED);
	rig_order(r, "rollback", NULL, false);
	life_to(r, RUN_PROMOTED);
	assert_int_equal(lines(r, "trouble"), 1);
	assert_true(truth(r).weight_blue <= 0);
	life_over(r);
}

static void watch_the_door(struct rig *r, const struct http_req *q)
{
	if (is_call(q, "UpdateService"))
		forbid(!rig_run(r)->one_way, "blue was scaled down before the journal closed the door");
	else
		forbid(rig_run(r)->one_way && !my.on, "the door closed before its one change");
	my.on = my.on || is_call(q, "UpdateService") || is_call(q, "DescribeServices") || is_call(q, "DescribeRules");
	my.n += is_call(q, "UpdateService");
}

static void one_way_closes_only_when_retire_announces(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE RETIRE);

	(void)state;
	r->ask = watch_the_door;
	life_to(r, RUN_PROMOTED);
	assert_int_equal(my.n, 1);
	assert_int_equal(truth(r).blue_tasks, 0);
	life_over(r);
}

/* --- drivers ------------------------------------------------------------------------------------- */

/* A clock for the second process in whose sleep the first one lives on. */
struct shared_clock {
	struct clock clock;
	struct rig *r;
	struct engine *other; /* NULL: it is silent */
};

static int64_t shared_wall(struct clock *c) { return clock_wall(sim_clock(((struct shared_clock *)c)->r->sim)); }
static int64_t shared_mono(struct clock *c) { return clock_mono(sim_clock(((struct shared_clock *)c)->r->sim)); }

static void shared_sleep(struct clock *c, int64_t ms)
{
	struct shared_clock *s = (struct shared_clock *)c;
	struct err e = { 0 };
	int64_t wake_at;

	clock_sleep(sim_clock(s->r->sim), ms);
	if (s->other)
		assert_int_equal(engine_tick(s->other, &wake_at, &e), 0);
}

static struct ticker *shared_every(struct clock *c, int64_t ms, int wake_fd, void (*fn)(void *), void *ctx)
{
	return clock_every(sim_clock(((struct shared_clock *)c)->r->sim), ms, wake_fd, fn, ctx);
}

static void shared_stop(struct clock *c, struct ticker *t)
{
	clock_stop(sim_clock(((struct shared_clock *)c)->r->sim), t);
}

static struct engine *second_process(struct rig *r, struct shared_clock *c, struct err *e)
{
	struct engine *en = NULL;

	*c = (struct shared_clock){ { .wall = shared_wall, .mono = shared_mono, .sleep = shared_sleep, .wake_fd = -1,
				       .every = shared_every, .stop = shared_stop }, r, r->en };
	assert_int_equal(engine_open(&(struct engine_opts){ .store = r->store, .kinds = r->kinds, .clock = &c->clock,
							    .http = &r->http, .creds = r->creds, .run = r->id,
							    .actor = "second", .holder = "process-second",
							    .simulated = true, .seed = 2 }, &en, e), 0);
	return en;
}

static void tick_until_there(struct rig *r, const char *step)
{
	struct err e = { 0 };
	int64_t wake_at;

	while (!at_step(r, step)) {
		assert_int_equal(engine_tick(r->en, &wake_at, &e), 0);
		clock_sleep(sim_clock(r->sim), 1000);
	}
}

static void assert_gate_is_closed(struct rig *r, struct err *e)
{
	autorule struct elb_rule rule = { 0 };
	uint64_t before = truth(r).modify_rules;
	struct elb_weight g = { .arn = RIG_BLUE, .weight = 1 };

	assert_int_equal(elb_rule_get(engine_aws(r->en), RIG_RULE, &rule, e), 0);
	assert_int_equal(elb_rule_set(engine_aws(r->en), &rule, &g, 1, e), -1);
	assert_int_equal(e->kind, ERR_LOST);
	assert_int_equal(truth(r).modify_rules, before);
}

/* argo-rollouts#2117: two leaders at once after a lost lease. */
static void two_drivers(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	struct err e = { 0 };
	struct shared_clock c;
	struct engine *second;
	int64_t wake_at;

	(void)state;
	assert_int_equal(rig_open_process(r, &e), 0);
	assert_int_equal(engine_claim(r->en, &e), 0);
	tick_until_there(r, "to-25");
	second = second_process(r, &c, &e);
	assert_int_equal(engine_claim(second, &e), -1); /* the first one lives */
	assert_int_equal(e.kind, ERR_LOST);
	c.other = NULL;
	my.at = now(r);
	sim_hold_tickers(r->sim, true); /* the first one is stopped */
	assert_int_equal(engine_claim(second, &e), 0);
	sim_hold_tickers(r->sim, false);
	assert_true(now(r) - my.at >= ENGINE_LEASE_MS);
	assert_int_equal(engine_tick(r->en, &wake_at, &e), -1);
	assert_int_equal(e.kind, ERR_LOST);
	assert_gate_is_closed(r, &e);
	assert_int_equal(engine_drive(second, NULL, NULL, NULL, &e), 0);
	assert_int_equal(engine_run(second)->state, RUN_PROMOTED);
	engine_close(second);
	life_over(r);
}

/* The machine sleeps while a write is about to leave. */
static void sleep_before_the_write(struct rig *r, const struct http_req *q)
{
	const struct run_traffic *t = &rig_run(r)->traffic;
	struct err e = { 0 };
	int64_t beats = 0;

	store_beats(r->store, r->id, &beats, &e);
	if (is_call(q, "DescribeTargetHealth") && t->known && first_time(!t->left_green)) {
		sim_hold_tickers(r->sim, true);
		clock_sleep(sim_clock(r->sim), ENGINE_LEASE_MS + 1000);
		sim_hold_tickers(r->sim, false);
		my.n = (uint64_t)beats;
	}
	forbid(my.once && is_call(q, "ModifyRule") && (uint64_t)beats == my.n,
	       "a process that had slept through its lease wrote without a sign of life");
}

static void who_slept_through_his_lease_writes_nothing(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	r->ask = sleep_before_the_write;
	life_to(r, RUN_PROMOTED);
	assert_true(my.once);
	life_over(r);
}

static struct engine *taker; /* who takes the run over meanwhile */

/* The machine sleeps while a look is about to be written down, and another process takes over. */
static void sleep_before_the_line(struct rig *r, const struct http_req *q)
{
	struct err e = { 0 };

	if (!first_time(is_call(q, "GetMetricData") && at_step(r, "to-25")))
		return;
	sim_hold_tickers(r->sim, true);
	clock_sleep(sim_clock(r->sim), ENGINE_LEASE_MS + 1000);
	assert_int_equal(engine_claim(taker, &e), 0);
	sim_hold_tickers(r->sim, false);
}

/* "the journal of run … has moved on to line 20", and who has it was not said. */
static void who_slept_is_told_who_drives_now(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	struct err e = { 0 };
	struct shared_clock c;

	(void)state;
	assert_int_equal(rig_open_process(r, &e), 0);
	assert_int_equal(engine_claim(r->en, &e), 0);
	taker = second_process(r, &c, &e);
	c.other = NULL;
	r->ask = sleep_before_the_line;
	assert_int_equal(engine_drive(r->en, NULL, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_LOST);
	assert_non_null(strstr(e.msg, "is driven by process-second"));
	assert_int_equal(engine_drive(taker, NULL, NULL, NULL, &e), 0);
	engine_close(taker);
	life_over(r);
}

/* --- the journal ----------------------------------------------------------------------------------- */

static void full_for_ten_minutes(struct rig *r)
{
	if (first_time(at_step(r, "to-25"))) {
		r->disk_full = true;
		my.at = now(r);
	}
	if (my.at && now(r) - my.at > 10 * MINUTE)
		r->disk_full = false;
}

static void nothing_changes_while_full(struct rig *r, const struct http_req *q)
{
	forbid(r->disk_full && is_change(q), "something was changed while the journal could not be written");
}

static void disk_full_stops_before_the_next_write_and_goes_on(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	r->see = full_for_ten_minutes;
	r->ask = nothing_changes_while_full;
	life_to(r, RUN_PROMOTED);
	assert_false(r->disk_full);
	assert_true(my.at > 0);
	life_over(r);
}

/* What was announced while there still was room may be done, once. */
static void full_from_here(struct rig *r, const struct http_req *q)
{
	my.writes += r->disk_full && is_change(q);
	forbid(my.writes > 1, "more was changed than was announced before the disk was full");
	if (first_time(r->moments >= my.n)) {
		r->disk_full = true;
		my.at = now(r);
	}
}

static void room_after_a_minute(struct rig *r)
{
	if (my.at && now(r) - my.at > MINUTE)
		r->disk_full = false;
}

static void a_disk_may_fill_up_at_any_moment(void **state)
{
	(void)state;
	for (uint64_t at = 2; at < 150; at += 7) {
		struct rig *r = life_new(LOOK STACK SHIFT PROMOTE);

		my.n = at;
		r->ask = full_from_here;
		r->see = room_after_a_minute;
		life_to(r, RUN_PROMOTED);
		assert_true(my.once);
		life_over(r);
	}
}

static void unknown_event_in_journal_is_refused(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	struct event ev = { .seq = 2, .at = 1, .run = r->id, .actor = "newer", .kind = "teleport", .step = "", .body = "{}" };
	autorun struct run *run = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_append(r->store, &ev, &e), 0);
	assert_int_equal(run_load(r->store, r->id, step_kinds, &run, &e), -1);
	assert_non_null(strstr(e.msg, "teleport"));
	assert_int_equal(rig_process(r), -1);
	assert_int_equal(truth(r).modify_rules, 0);
	rig_free(r);
}

static void a_line_that_no_state_allows_is_refused(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	struct event ev = { .seq = 2, .at = 1, .run = r->id, .actor = "x", .kind = "rolled-back", .step = "", .body = "{}" };
	autorun struct run *run = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_append(r->store, &ev, &e), 0);
	assert_int_equal(run_load(r->store, r->id, step_kinds, &run, &e), -1);
	assert_non_null(strstr(e.msg, "rolled-back"));
	rig_free(r);
}

/* --- refusals and ends --------------------------------------------------------------------------------- */

static void no_change_at_all(struct rig *r, const struct http_req *q)
{
	(void)r;
	forbid(is_change(q), "a refused run changed something");
}

static void assert_refused(struct rig *r, const char *why)
{
	r->ask = no_change_at_all;
	life_to(r, RUN_REFUSED);
	assert_int_equal(run_exit_code(rig_run(r)), 5);
	assert_why(r, why);
	assert_int_equal(truth(r).modify_rules, 0);
	life_over(r);
}

static void start_another_run(struct rig *r)
{
	autofree char *text = rig_plan(LOOK SHIFT PROMOTE);
	struct plan_errors errs = { 0 };
	autoplan struct plan *p = NULL;
	struct err e = { 0 };
	char id[96] = "other";

	assert_int_equal(plan_parse(text, strlen(text), "other.json", r->kinds, NULL, &p, &errs), 0);
	assert_int_equal(engine_start(r->store, p, sim_clock(r->sim), "somebody", id, &e), 0);
}

static void refused_run_touched_nothing(void **state)
{
	struct rig *r = life_new(LOOK STACK SHIFT PROMOTE);

	(void)state;
	sim_kill_targets(r->sim, false);
	clock_sleep(sim_clock(r->sim), 5 * MINUTE);
	assert_refused(r, "blue has no healthy target");
	r = life_new(LOOK STACK SHIFT PROMOTE);
	sim_set_weights(r->sim, 900, 99);
	assert_refused(r, "the rule gives green weight 99 already");
	r = life_new(LOOK STACK SHIFT PROMOTE);
	start_another_run(r);
	assert_refused(r, "run other is under way on the same rule");
}

/* Who may not read something that the run needs when green has users. */
static const struct right { const char *action, *path, *needs; } *denied;

static void deny(struct rig *r, const struct http_req *q, struct http_res *a)
{
	(void)r;
	if (!(denied->action && is_call(q, denied->action)) && !(denied->path && strstr(q->url, denied->path)))
		return;
	free(a->body);
	a->body = xstrdup("{\"__type\":\"AccessDeniedException\",\"message\":\"not authorized\"}");
	a->nbody = strlen(a->body);
	a->status = 403;
}

/* 25 % went into the dark, and the run never ended. */
static void what_cannot_be_read_is_refused_before_anything(void **state)
{
	static const struct right rights[] = {
		{ "GetMetricData", NULL, "cloudwatch:GetMetricData" },
		{ "DescribeAlarms", NULL, "alarms" },
		{ "DescribeTargetHealth", NULL, "elasticloadbalancing:DescribeTargetHealth" },
		{ NULL, "/schedules/", "scheduler:GetSchedule" },
	};
	static const char top[] = "\"deadman\":{\"role\":\"arn:aws:iam::" RIG_ACCOUNT ":role/back\",\"after\":\"PT15M\"},";

	(void)state;
	for (size_t i = 0; i < COUNT(rights); i++) {
		struct rig *r = life_with(top, NULL, LOOK SHIFT PROMOTE, NULL);

		denied = &rights[i];
		r->heard = deny;
		r->ask = no_change_at_all;
		life_to(r, RUN_REFUSED);
		assert_why(r, rights[i].needs);
		assert_int_equal(lines(r, "write"), 0);
		life_over(r);
	}
}

/* A blue that nobody asks gives nothing to compare green with: said before, not after 25 %. */
static void a_blue_without_a_past_is_said_before_anything(void **state)
{
	static const struct sim_opts nobody = { .seed = 11, .requests_per_s = 1e-9 };
	struct rig *r = life_with(NULL, NULL, LOOK SHIFT PROMOTE, &nobody);

	(void)state;
	life_to(r, RUN_REFUSED);
	assert_why(r, "CloudWatch shows 0 periods of blue with requests, 5 are needed");
	assert_int_equal(lines(r, "write"), 0);
	life_over(r);
}

/* The page's tables name every state's event and every limit of the way back. */
static void the_page_of_the_engine_names_every_transition(void **state)
{
	autofree char *page = NULL;
	size_t n;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(file_read("controller/engine/README.md", 1 << 20, &page, &n, &e), 0);
	for (size_t i = 0; i < run_ntransitions; i++) {
		autofree char *word = xasprintf("`%s`", event_name(run_transitions[i].event));

		if (!strstr(page, word))
			fail_msg("%s is not in engine/README.md", word);
	}
}

static void say_sticky(struct rig *r, const struct http_req *q, struct http_res *a)
{
	static const char off[] = "<Enabled>false</Enabled>", on[] = "<Enabled>true</Enabled><DurationSeconds>3600</DurationSeconds>";
	char *p = is_call(q, "DescribeRules") ? strstr(a->body, off) : NULL;
	char *with;

	(void)r;
	if (!p)
		return;
	with = xasprintf("%.*s%s%s", (int)(p - a->body), a->body, on, p + strlen(off));
	free(a->body);
	a->body = with;
	a->nbody = strlen(with);
}

/* argo-rollouts#1572, #2726: users who stay where they are mix both versions. */
static void a_sticky_rule_is_refused(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	r->heard = say_sticky;
	assert_refused(r, "stickiness (3600 s)");
}

static void a_refused_run_can_be_tried_again(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	sim_set_weights(r->sim, 900, 99);
	life_to(r, RUN_REFUSED);
	sim_set_weights(r->sim, 999, 0);
	rig_order(r, "retry", NULL, false);
	life_to(r, RUN_PROMOTED);
	life_over(r);
}

/* flagger#1591: a deadline that passed, and no way out. */
static void the_plans_deadline_takes_traffic_back(void **state)
{
	struct rig *r = life_with("\"deadline\":\"PT20M\",", NULL, LOOK SHIFT ASK PROMOTE, NULL);

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "deadline");
	assert_true(rig_run(r)->state_since - rig_run(r)->started < 45 * MINUTE);
	assert_on_blue(r);
	life_over(r);
}

static void every_state_has_its_exit_code(void **state)
{
	static const int codes[RUN_STATES] = {
		[RUN_FORWARD] = 7, [RUN_BACK] = 7, [RUN_PROMOTED] = 0, [RUN_ROLLED_BACK] = 3, [RUN_FROZEN] = 4,
		[RUN_REFUSED] = 5,
	};

	(void)state;
	for (int i = 0; i < RUN_STATES; i++)
		assert_int_equal(run_exit_code(&(struct run){ .state = (enum run_state)i }), codes[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rollback_is_accepted_at_every_moment),
		cmocka_unit_test(rollback_is_accepted_in_every_step),
		cmocka_unit_test(rollback_ends_a_hook_that_runs),
		cmocka_unit_test(an_order_does_not_wait_for_who_does_not_answer),
		cmocka_unit_test(only_an_urgent_order_ends_a_read),
		cmocka_unit_test(orders_again_and_again_do_not_hold_the_way_back),
		cmocka_unit_test(orders_during_a_rollback_change_nothing),
		cmocka_unit_test(a_promoted_run_can_be_rolled_back),
		cmocka_unit_test(an_order_given_while_nobody_drives_is_obeyed),
		cmocka_unit_test(a_rolled_back_run_stays_so),
		cmocka_unit_test(a_pause_before_the_raise_holds_it),
		cmocka_unit_test(rollback_by_order_while_paused),
		cmocka_unit_test(a_paused_run_goes_on_after_resume),
		cmocka_unit_test(pause_holds_but_the_watch_goes_on),
		cmocka_unit_test(approval_is_watched),
		cmocka_unit_test(a_running_hook_is_watched),
		cmocka_unit_test(the_soak_before_retire_is_watched),
		cmocka_unit_test(an_order_is_taken_once_per_id),
		cmocka_unit_test(a_full_promotion_answers_every_question),
		cmocka_unit_test(promote_order_never_overrules_blind),
		cmocka_unit_test(promote_order_never_overrules_bad),
		cmocka_unit_test(retry_is_a_new_attempt),
		cmocka_unit_test(an_answer_is_for_one_attempt),
		cmocka_unit_test(behind_the_door_rollback_calls_a_person),
		cmocka_unit_test(after_retire_rollback_is_refused_and_ends),
		cmocka_unit_test(one_way_closes_only_when_retire_announces),
		cmocka_unit_test(two_drivers),
		cmocka_unit_test(who_slept_through_his_lease_writes_nothing),
		cmocka_unit_test(who_slept_is_told_who_drives_now),
		cmocka_unit_test(disk_full_stops_before_the_next_write_and_goes_on),
		cmocka_unit_test(a_disk_may_fill_up_at_any_moment),
		cmocka_unit_test(unknown_event_in_journal_is_refused),
		cmocka_unit_test(a_line_that_no_state_allows_is_refused),
		cmocka_unit_test(refused_run_touched_nothing),
		cmocka_unit_test(a_sticky_rule_is_refused),
		cmocka_unit_test(what_cannot_be_read_is_refused_before_anything),
		cmocka_unit_test(a_blue_without_a_past_is_said_before_anything),
		cmocka_unit_test(the_page_of_the_engine_names_every_transition),
		cmocka_unit_test(a_refused_run_can_be_tried_again),
		cmocka_unit_test(the_plans_deadline_takes_traffic_back),
		cmocka_unit_test(every_state_has_its_exit_code),
		cmocka_unit_test(nothing_touched_and_nothing_known_is_said),
		cmocka_unit_test(who_is_stopped_is_told_what_aws_said),
		cmocka_unit_test(back_without_weight_is_not_called_proved),
	};

	if (getenv("CUTOVER_TEST"))
		cmocka_set_test_filter(getenv("CUTOVER_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

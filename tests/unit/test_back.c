/* engine/back.c: how long what holds the way back up is borne, and when a person hears of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/internal.h"
#include "life.h"

#include <string.h>

static void refuse_all(struct rig *r, const struct http_req *q)
{
	(void)q;
	if (my.on)
		mishap(r, SIM_REFUSED);
}

/* On the way back, green has weight, and from now on AWS refuses to answer. */
static struct rig *stuck(void)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	struct err e = { 0 };

	assert_int_equal(rig_open_process(r, &e), 0);
	assert_int_equal(engine_claim(r->en, &e), 0);
	sim_set_weights(r->sim, 750, 250);
	assert_int_equal(engine_append(r->en, EVENT_WRITE, "", json_pack("{s:i, s:i}", "blue", 750, "green", 250), &e), 0);
	assert_int_equal(engine_append(r->en, EVENT_WEIGHTS, "", json_pack("{s:i, s:i}", "blue", 750, "green", 250), &e), 0);
	assert_int_equal(engine_append(r->en, EVENT_BACK, "", json_pack("{s:s}", "why", "test"), &e), 0);
	r->ask = refuse_all;
	my.on = true;
	return r;
}

/* Time passes in which the driver gets nowhere, as in one long wait. */
static void at_minute(struct rig *r, int64_t minute)
{
	int64_t wake_at, left = engine_run(r->en)->state_since + minute * MINUTE - now(r);
	struct err e = { 0 };

	assert_true(left >= 0);
	clock_sleep(sim_clock(r->sim), left);
	if (engine_tick(r->en, &wake_at, &e))
		fail_msg("%s", e.msg);
}

static void a_silent_aws_is_asked_for_six_hours(void **state)
{
	struct rig *r = stuck();

	(void)state;
	at_minute(r, 1);
	assert_int_equal(lines(r, "call"), 0);
	at_minute(r, 2);
	assert_int_equal(lines(r, "call"), 1);
	at_minute(r, 16); /* what AWS refuses for good is borne no longer than this */
	at_minute(r, 5 * 60 + 58);
	assert_int_equal(engine_run(r->en)->state, RUN_BACK);
	assert_int_equal(lines(r, "call"), 1);
	at_minute(r, 6 * 60);
	assert_int_equal(engine_run(r->en)->state, RUN_FROZEN);
	assert_int_equal(lines(r, "call"), 2);
	life_over(r);
}

static void an_aws_that_answers_in_the_sixth_hour_is_told_to_go_back(void **state)
{
	struct rig *r = stuck();

	(void)state;
	at_minute(r, 2);
	at_minute(r, 5 * 60 + 50);
	my.on = false;
	at_minute(r, 5 * 60 + 51);
	assert_int_equal(truth(r).weight_green, 0);
	assert_int_equal(engine_run(r->en)->state, RUN_BACK); /* proof has its own time */
	life_over(r);
}

/* What no waiting makes good: a third group on the rule, say. */
static void a_refusal_for_good_freezes_after_a_quarter_of_an_hour(void **state)
{
	struct rig *r = stuck();

	(void)state;
	my.on = false;
	sim_set_weights(r->sim, -1, 999); /* blue is not on the rule any more, and not by our doing */
	at_minute(r, 2);
	assert_int_equal(lines(r, "call"), 1);
	at_minute(r, 14);
	assert_int_equal(engine_run(r->en)->state, RUN_BACK);
	at_minute(r, 15);
	assert_int_equal(engine_run(r->en)->state, RUN_FROZEN);
	life_over(r);
}

/* A way back that another machine began, whose clock is three hours ahead: nobody was called for so long. */
static void a_way_back_that_begins_in_the_future_is_called_for(void **state)
{
	struct rig *r = stuck();
	struct err e = { 0 };
	int64_t wake_at;

	(void)state;
	r->en->run->state_since += 180 * MINUTE;
	for (int i = 0; i < 14 && !lines(r, "call"); i++) {
		if (engine_tick(r->en, &wake_at, &e))
			fail_msg("%s", e.msg);
		clock_sleep(sim_clock(r->sim), 10000);
	}
	assert_int_equal(lines(r, "call"), 1);
	life_over(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_aws_is_asked_for_six_hours),
		cmocka_unit_test(a_way_back_that_begins_in_the_future_is_called_for),
		cmocka_unit_test(an_aws_that_answers_in_the_sixth_hour_is_told_to_go_back),
		cmocka_unit_test(a_refusal_for_good_freezes_after_a_quarter_of_an_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

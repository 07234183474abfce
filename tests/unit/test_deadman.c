/* engine/deadman.c: the switch that puts the weights back when nobody comes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/internal.h"
#include "life.h"

#include <string.h>

#define AFTER (10 * MINUTE)
#define SWITCH "\"deadman\":{\"role\":\"arn:aws:iam::" RIG_ACCOUNT ":role/deadman\",\"after\":\"PT10M\"},"

static struct rig *with_switch(const char *top)
{
	struct rig *r = life_with(top, NULL, LOOK SHIFT PROMOTE, NULL);
	struct err e = { 0 };

	assert_int_equal(rig_open_process(r, &e), 0);
	assert_int_equal(engine_claim(r->en, &e), 0);
	assert_int_equal(engine_resolve(r->en, &e), 0);
	return r;
}

/* As a driver that lives: one that gets nowhere may not write. */
static void live(struct rig *r, int64_t ms)
{
	for (int64_t slice; ms > 0; ms -= slice) {
		slice = ms < 10000 ? ms : 10000;
		clock_sleep(sim_clock(r->sim), slice);
		lease_progress(&r->en->lease);
	}
}

static int64_t armed(struct rig *r) { return engine_run(r->en)->traffic.armed; }

static void a_switch_is_moved_on_when_half_its_time_is_gone(void **state)
{
	struct rig *r = with_switch(SWITCH);
	struct err e = { 0 };
	int64_t first;

	(void)state;
	assert_int_equal(deadman_arm(r->en, &e), 0);
	first = armed(r);
	assert_true(first >= now(r) + AFTER - MINUTE && first <= now(r) + AFTER);
	live(r, AFTER / 2 - 2000);
	assert_int_equal(deadman_rearm_if_due(r->en, &e), 0);
	assert_int_equal(armed(r), first);
	live(r, 3000);
	assert_int_equal(deadman_rearm_if_due(r->en, &e), 0);
	assert_true(armed(r) >= first + AFTER / 2 && armed(r) <= now(r) + AFTER);
	clock_sleep(sim_clock(r->sim), AFTER - MINUTE); /* the first would have fired */
	assert_int_equal(truth(r).fired, 0);
	life_over(r);
}

static void a_switch_that_nobody_moves_on_fires(void **state)
{
	struct rig *r = with_switch(SWITCH);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(deadman_arm(r->en, &e), 0);
	sim_set_weights(r->sim, 500, 500);
	clock_sleep(sim_clock(r->sim), AFTER + 2 * MINUTE);
	assert_int_equal(truth(r).fired, 1);
	assert_int_equal(truth(r).weight_green, 0);
	life_over(r);
}

/* A scheduler that is slow to answer writes held the first raise up for a day. */
static void a_switch_whose_write_was_not_answered_is_found(void **state)
{
	struct rig *r = with_switch(SWITCH);
	struct err e = { 0 };
	int tries = 0;

	(void)state;
	sim_slow(r->sim, &(struct sim_slow){ .after_ms = 15000, .service = "scheduler", .only = SIM_WRITES });
	while (tries < 4 && deadman_arm(r->en, &e)) {
		assert_int_equal(e.kind, ERR_UNSURE);
		tries++;
		live(r, 10000);
	}
	assert_true(tries > 0 && tries < 4);
	assert_true(armed(r) > now(r) + AFTER / 2);
	life_over(r);
}

static void a_switch_is_removed_once(void **state)
{
	struct rig *r = with_switch(SWITCH);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(deadman_arm(r->en, &e), 0);
	assert_int_equal(truth(r).schedules, 1);
	assert_int_equal(deadman_disarm(r->en, &e), 0);
	assert_int_equal(deadman_disarm(r->en, &e), 0);
	assert_int_equal(truth(r).schedules, 0);
	assert_int_equal(armed(r), 0);
	assert_int_equal(lines(r, "armed"), 2);
	life_over(r);
}

static void without_a_switch_or_behind_the_door_none_is_armed(void **state)
{
	struct rig *r = with_switch(NULL);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(deadman_arm(r->en, &e), 0);
	assert_int_equal(deadman_rearm_if_due(r->en, &e), 0);
	assert_int_equal(lines(r, "armed"), 0);
	life_over(r);
	r = with_switch(SWITCH);
	r->en->run->one_way = true;
	assert_int_equal(deadman_arm(r->en, &e), 0);
	assert_int_equal(truth(r).schedules, 0);
	life_over(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_switch_is_moved_on_when_half_its_time_is_gone),
		cmocka_unit_test(a_switch_that_nobody_moves_on_fires),
		cmocka_unit_test(a_switch_whose_write_was_not_answered_is_found),
		cmocka_unit_test(a_switch_is_removed_once),
		cmocka_unit_test(without_a_switch_or_behind_the_door_none_is_armed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* AWS is slow: its answers are right and late, the first try of each request
 * hangs, what nobody waits for any more is carried out all the same. Traffic
 * goes back nevertheless, or a person hears what holds it up (rig.c looks every
 * minute); and "rolled back" is not said before the last write has landed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "life.h"

#include <stdio.h>
#include <string.h>

static const struct sim_slow *how; /* AWS is, from when the test says so */

static char *deadman(const char *after)
{
	return after ? xasprintf("\"deadman\":{\"role\":\"arn:aws:iam::" RIG_ACCOUNT ":role/deadman\",\"after\":\"%s\"},", after)
		     : xstrdup("");
}

static void slow_from_now_on(struct rig *r)
{
	struct sim_slow slow = *how;

	slow.from_ms = now(r) - line_at(r, "start", 1);
	sim_slow(r->sim, &slow);
}

static void slow_on_the_way_back(struct rig *r, const struct http_req *q)
{
	(void)q;
	if (first_time(rig_run(r)->state == RUN_BACK))
		slow_from_now_on(r);
}

static void slow_once_green_has_users(struct rig *r, const struct http_req *q)
{
	(void)q;
	if (first_time(truth(r).live_green > 0))
		slow_from_now_on(r);
}

static struct rig *slow_life(const char *after, const struct sim_slow *slow, void (*ask)(struct rig *, const struct http_req *))
{
	autofree char *top = deadman(after);
	struct rig *r = life_with(top, NULL, LOOK SHIFT PROMOTE, NULL);

	how = slow;
	r->ask = ask;
	sim_green_errors(r->sim, 0.5);
	return r;
}

static void rolled_back_for_good(struct rig *r)
{
	life_to(r, RUN_ROLLED_BACK);
	assert_true(my.once);
	assert_on_blue(r);
	sim_slow(r->sim, NULL);
	rig_settle(r);
	assert_on_blue(r);
	life_over(r);
}

static const char *const switches[] = { NULL, "PT5M", "PT15M" };

/* Each of them can be waited for: by the program's own rules a request may take as long. */
static const struct sim_slow bearable[] = {
	{ .service = "elasticloadbalancing", .only = SIM_READS }, /* the second try of each works */
	{ .service = "elasticloadbalancing" },
	{ .only = SIM_READS },
	{ .after_ms = 0 },
	{ .after_ms = 3000 },
	{ .after_ms = 9000 },
	{ .after_ms = 9000, .service = "elasticloadbalancing", .only = SIM_READS },
	{ .after_ms = 15000, .only = SIM_WRITES },
	{ .after_ms = 29000, .only = SIM_WRITES },
	{ .after_ms = 60000, .only = SIM_WRITES },
	{ .after_ms = 60000, .service = "monitoring", .for_ms = 10 * MINUTE },
};

/* 119 `write` lines in an hour, no ModifyRule sent, 40,000 failed requests, nobody called. */
static void slow_reads_do_not_lock_the_run_out_of_its_own_rollback(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bearable) * COUNT(switches); i++)
		rolled_back_for_good(slow_life(switches[i % COUNT(switches)], &bearable[i / COUNT(switches)], slow_on_the_way_back));
}

static void an_aws_that_is_slow_from_greens_first_user_on_keeps_nobody_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bearable); i++)
		rolled_back_for_good(slow_life(NULL, &bearable[i], slow_once_green_has_users));
}

/* An hour in which no read is ever answered in time; then AWS is well. */
static void an_aws_too_slow_to_be_read_calls_a_person_who_hears_why(void **state)
{
	static const struct sim_slow unbearable[] = {
		{ .after_ms = 15000, .for_ms = 60 * MINUTE },
		{ .after_ms = 29000, .service = "elasticloadbalancing", .for_ms = 60 * MINUTE },
		{ .after_ms = 60000, .op = "DescribeRules", .for_ms = 60 * MINUTE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(unbearable); i++) {
		struct rig *r = slow_life(NULL, &unbearable[i], slow_on_the_way_back);
		json_t *call;

		life_to(r, RUN_ROLLED_BACK);
		call = line(r, "call", 1);
		assert_non_null(strstr(json_str(call, "why", ""), "DescribeRules"));
		json_decref(call);
		life_over(r);
	}
}

static void order_when_users_come(struct rig *r, const struct http_req *q)
{
	slow_once_green_has_users(r, q);
	if (my.once && !my.at && is_call(q, "GetMetricData")) {
		my.at = now(r);
		rig_order(r, "rollback", NULL, false);
	}
}

static void an_order_is_carried_out_by_a_slow_aws(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bearable); i++) {
		struct rig *r = slow_life(NULL, &bearable[i], order_when_users_come);

		sim_green_errors(r->sim, 0);
		rolled_back_for_good(r);
	}
}

/* Ordered while the write that gives green its share is in the network still. */
static void order_while_it_is_raised(struct rig *r, const struct http_req *q)
{
	if (!first_time(is_call(q, "ModifyRule") && at_step(r, "to-25") && truth(r).weight_green == 0))
		return;
	slow_from_now_on(r);
	rig_order(r, "rollback", NULL, false);
}

static void a_raise_that_lands_after_the_order_is_taken_back_too(void **state)
{
	static const int64_t late[] = { 9000, 15000, 29000, 60000 };

	(void)state;
	for (size_t i = 0; i < COUNT(late); i++) {
		const struct sim_slow raise = { .after_ms = late[i], .only = SIM_WRITES, .for_ms = 1000 };
		struct rig *r = slow_life(NULL, &raise, order_while_it_is_raised);

		rolled_back_for_good(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_reads_do_not_lock_the_run_out_of_its_own_rollback),
		cmocka_unit_test(an_aws_that_is_slow_from_greens_first_user_on_keeps_nobody_there),
		cmocka_unit_test(an_aws_too_slow_to_be_read_calls_a_person_who_hears_why),
		cmocka_unit_test(an_order_is_carried_out_by_a_slow_aws),
		cmocka_unit_test(a_raise_that_lands_after_the_order_is_taken_back_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

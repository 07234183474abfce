/* engine/proof.c: is green really free of requests? */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/internal.h"
#include "life.h"

#include <string.h>

#define WEIGHTS_TO_ALL 20000 /* ms until the data plane has followed */

static struct rig *on_its_way_back(void)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	struct err e = { 0 };

	assert_int_equal(rig_open_process(r, &e), 0);
	assert_int_equal(engine_claim(r->en, &e), 0);
	assert_int_equal(engine_resolve(r->en, &e), 0);
	r->en->run->traffic.raised = now(r);
	return r;
}

static void give_green(struct rig *r, int blue, int green, int minutes)
{
	sim_set_weights(r->sim, blue, green);
	clock_sleep(sim_clock(r->sim), WEIGHTS_TO_ALL + minutes * MINUTE);
}

static enum step_verdict prove(struct rig *r, char saying[240])
{
	struct err e = { 0 };
	enum step_verdict v;

	saying[0] = '\0';
	v = proof_of_blue(r->en, proof_nothing_is_late(r->en), saying, 240, &e);
	assert_string_equal(e.msg, "");
	return v;
}

static void a_closed_period_that_asked_blue_alone_is_proof(void **state)
{
	struct rig *r = on_its_way_back();
	char saying[240];

	(void)state;
	give_green(r, 999, 0, 1);
	r->en->run->traffic.since = now(r);
	assert_int_equal(prove(r, saying), STEP_WAIT); /* nothing has closed yet */
	clock_sleep(sim_clock(r->sim), 5 * MINUTE);
	assert_int_equal(prove(r, saying), STEP_DONE);
	assert_int_equal(lines(r, "proved"), 1);
	life_over(r);
}

/* Somebody asked green again after a period in which nobody did. */
static void only_what_comes_after_greens_last_request_proves_anything(void **state)
{
	struct rig *r = on_its_way_back();
	char saying[240];

	(void)state;
	give_green(r, 999, 0, 1);
	r->en->run->traffic.since = now(r);
	clock_sleep(sim_clock(r->sim), 3 * MINUTE);
	give_green(r, 500, 499, 6);
	assert_int_equal(prove(r, saying), STEP_WAIT);
	assert_non_null(strstr(saying, "green still answers"));
	assert_int_equal(lines(r, "proved"), 0);
	life_over(r);
}

static void no_request(struct rig *r, const struct http_req *q)
{
	(void)r, (void)q;
	my.n++;
}

/* Also where green never had weight, and the rule alone would be proof. */
static void a_write_that_was_never_answered_is_waited_out(void **state)
{
	(void)state;
	for (int raised = 0; raised < 2; raised++) {
		struct rig *r = on_its_way_back();
		struct run_traffic *t = &r->en->run->traffic;
		char saying[240];

		t->raised = raised ? t->raised : 0;
		give_green(r, 999, 0, 10);
		t->since = now(r) - 8 * MINUTE;
		t->unsure_seq = r->en->run->seq; /* a line of a host whose clock says nothing here: it is waited out from now on */
		assert_false(proof_nothing_is_late(r->en));
		clock_sleep(sim_clock(r->sim), PROOF_LATE_WRITE_MS - 1);
		r->ask = no_request;
		assert_int_equal(prove(r, saying), STEP_WAIT);
		assert_non_null(strstr(saying, "never answered"));
		assert_int_equal(my.n, 0);
		clock_sleep(sim_clock(r->sim), 1);
		assert_int_equal(prove(r, saying), STEP_DONE);
		life_over(r);
	}
}

static void a_blue_without_healthy_targets_proves_nothing(void **state)
{
	struct rig *r = on_its_way_back();
	char saying[240];

	(void)state;
	give_green(r, 999, 0, 1);
	r->en->run->traffic.since = now(r);
	sim_kill_targets(r->sim, false);
	clock_sleep(sim_clock(r->sim), 5 * MINUTE);
	assert_int_equal(prove(r, saying), STEP_WAIT);
	assert_non_null(strstr(saying, "no healthy target"));
	life_over(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_closed_period_that_asked_blue_alone_is_proof),
		cmocka_unit_test(only_what_comes_after_greens_last_request_proves_anything),
		cmocka_unit_test(a_write_that_was_never_answered_is_waited_out),
		cmocka_unit_test(a_blue_without_healthy_targets_proves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

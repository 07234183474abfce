/* engine/claim.c, engine/lease.c: who drives, and who may write. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/engine.h"
#include "engine/internal.h"
#include "life.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- who is surely dead ------------------------------------------------------------ */

struct words { /* of a holder */
	char host[64], boot[40], pid[12], start[24], ns[24];
};

static struct words own_words(void)
{
	struct words w;
	char holder[160];

	engine_own_holder(holder, sizeof holder);
	assert_int_equal(sscanf(holder, "%63s %39s %11s %23s %23s", w.host, w.boot, w.pid, w.start, w.ns), 5);
	return w;
}

static bool is_dead(const struct words *w)
{
	struct run r = { 0 };

	assert_true((size_t)snprintf(r.holder, sizeof r.holder, "%s %s %s %s %s", w->host, w->boot, w->pid, w->start, w->ns) <
		    sizeof r.holder);
	return engine_holder_is_dead(&r);
}

static pid_t child_that_ended(bool reaped)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	if (reaped)
		waitpid(pid, NULL, 0);
	else
		while (waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT))
			;
	return pid;
}

static void who_lives_is_not_dead(void **state)
{
	struct words w = own_words();

	(void)state;
	assert_false(is_dead(&w));
}

static void who_ended_is_dead_whether_or_not_somebody_asked(void **state)
{
	struct words w = own_words();
	pid_t zombie;

	(void)state;
	snprintf(w.pid, sizeof w.pid, "%d", (int)child_that_ended(true));
	assert_true(is_dead(&w));
	zombie = child_that_ended(false);
	snprintf(w.pid, sizeof w.pid, "%d", (int)zombie);
	assert_true(is_dead(&w));
	waitpid(zombie, NULL, 0);
}

static void a_pid_that_was_given_again_is_another_process(void **state)
{
	struct words w = own_words();

	(void)state;
	snprintf(w.start, sizeof w.start, "1");
	assert_true(is_dead(&w));
}

/* A run was taken from a living driver in a container: its pid means nothing here. */
static void a_pid_of_another_namespace_is_not_visible_and_not_dead(void **state)
{
	struct words w = own_words();

	(void)state;
	snprintf(w.pid, sizeof w.pid, "%d", (int)child_that_ended(true));
	snprintf(w.ns, sizeof w.ns, "1");
	assert_false(is_dead(&w));
	snprintf(w.ns, sizeof w.ns, "0"); /* nor one that could not find out its own */
	assert_false(is_dead(&w));
}

static void another_boot_may_be_another_machine(void **state)
{
	struct words w = own_words();

	(void)state;
	snprintf(w.pid, sizeof w.pid, "%d", (int)child_that_ended(true));
	snprintf(w.boot, sizeof w.boot, "00000000-0000-0000-0000-000000000000");
	assert_false(is_dead(&w));
	snprintf(w.boot, sizeof w.boot, "unknown"); /* two that do not know are not the same */
	assert_false(is_dead(&w));
}

static void a_claim_that_names_no_namespace_is_waited_out(void **state)
{
	struct words w = own_words();
	struct run r = { 0 };

	(void)state;
	snprintf(r.holder, sizeof r.holder, "%s %s %d 1", w.host, w.boot, (int)child_that_ended(true));
	assert_false(engine_holder_is_dead(&r));
}

/* --- who may write ------------------------------------------------------------------ */

static struct rig *claimed(void)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	struct err e = { 0 };

	assert_int_equal(rig_open_process(r, &e), 0);
	assert_int_equal(engine_claim(r->en, &e), 0);
	return r;
}

static void sleep_through_it(struct rig *r, int64_t ms)
{
	sim_hold_tickers(r->sim, true);
	clock_sleep(sim_clock(r->sim), ms);
	sim_hold_tickers(r->sim, false);
}

static void who_slept_for_less_than_his_lease_may_write(void **state)
{
	struct rig *r = claimed();
	struct err e = { 0 };

	(void)state;
	sleep_through_it(r, ENGINE_LEASE_MS - 1000);
	assert_int_equal(engine_gate(r->en, &e), 0);
	life_over(r);
}

static void who_overslept_reads_again_and_claims_anew(void **state)
{
	struct rig *r = claimed();
	struct err e = { 0 };
	int64_t wake_at, had = engine_run(r->en)->claim_seq;

	(void)state;
	sleep_through_it(r, ENGINE_LEASE_MS);
	assert_int_equal(engine_gate(r->en, &e), -1);
	assert_int_equal(e.kind, ERR_MOVED);
	clock_sleep(sim_clock(r->sim), 2000); /* the ticker must not make that good */
	assert_int_equal(engine_gate(r->en, &e), -1);
	if (engine_tick(r->en, &wake_at, &e))
		fail_msg("%s", e.msg);
	assert_true(engine_run(r->en)->claim_seq > had);
	assert_int_equal(engine_gate(r->en, &e), 0);
	life_over(r);
}

static void signs_of_life_go_on_while_aws_is_slow(void **state)
{
	struct rig *r = claimed();
	int64_t before, after;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_beats(r->store, r->id, &before, &e), 0);
	clock_sleep(sim_clock(r->sim), 40000); /* as a request that is under way */
	assert_int_equal(store_beats(r->store, r->id, &after, &e), 0);
	assert_true(after >= before + 7);
	assert_int_equal(engine_gate(r->en, &e), 0);
	life_over(r);
}

/* A worker that hangs is not alive, whatever its threads do. */
static void a_worker_that_gets_nowhere_gives_no_sign_of_life(void **state)
{
	struct rig *r = claimed();
	int64_t before, after;
	struct err e = { 0 };

	(void)state;
	clock_sleep(sim_clock(r->sim), 100000);
	assert_int_equal(store_beats(r->store, r->id, &before, &e), 0);
	clock_sleep(sim_clock(r->sim), 60000);
	assert_int_equal(store_beats(r->store, r->id, &after, &e), 0);
	assert_int_equal(after, before);
	assert_int_equal(engine_gate(r->en, &e), -1);
	life_over(r);
}

/* --- what a dead holder left on its way ----------------------------------------------- */

/* A driver was killed with its ModifyRule in the network; "rolled back" was said before it landed. */
static void a_write_that_a_dead_holder_announced_may_still_arrive(void **state)
{
	struct rig *r = claimed();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(engine_append(r->en, EVENT_WRITE, "", json_pack("{s:i, s:i}", "blue", 750, "green", 250), &e), 0);
	assert_int_equal(engine_run(r->en)->traffic.unsure, 0);
	assert_int_equal(rig_open_process(r, &e), 0); /* the first is gone: this is another holder */
	sim_hold_tickers(r->sim, true);
	assert_int_equal(engine_claim(r->en, &e), 0);
	sim_hold_tickers(r->sim, false);
	assert_true(engine_run(r->en)->traffic.unsure > 0);
	assert_false(proof_nothing_is_late(r->en));
	life_over(r);
}

static void a_write_whose_end_was_not_read_before_the_order_may_still_arrive(void **state)
{
	struct rig *r = claimed();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(engine_append(r->en, EVENT_WRITE, "", json_pack("{s:i, s:i}", "blue", 750, "green", 250), &e), 0);
	assert_int_equal(engine_append(r->en, EVENT_BACK, "", json_pack("{s:s}", "why", "ordered"), &e), 0);
	assert_false(proof_nothing_is_late(r->en));
	life_over(r);
}

/* An order that came just then made a claim give up with "another controller holds the run". */
static void a_claim_follows_a_mere_order(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(rig_open_process(r, &e), 0);
	assert_int_equal(rig_order(r, "pause", NULL, false), 0); /* not folded by the engine yet */
	assert_int_equal(engine_claim(r->en, &e), 0);
	assert_true(engine_holds(r->en));
	life_over(r);
}

/* --- clocks --------------------------------------------------------------------------- */

static int64_t looked; /* mono ms of the newest look at CloudWatch while green has weight */

static void watched(struct rig *r, const struct http_req *q)
{
	int64_t mono = clock_mono(sim_clock(r->sim));

	if (truth(r).weight_green <= 0)
		return;
	if (!is_call(q, "GetMetricData"))
		return;
	forbid(looked && mono - looked > 2 * MINUTE, "the watch slept while green had weight");
	looked = mono;
}

/* The machine's clock was set back by almost five minutes, and the watch slept as long. */
static void set_back_between_two_looks(struct rig *r)
{
	if (first_time(looked > 0))
		clock_correct(sim_clock(r->sim), -280000);
}

static void a_clock_that_is_set_back_does_not_make_the_watch_sleep(void **state)
{
	struct rig *r = life_new(LOOK SHIFT PROMOTE);

	(void)state;
	looked = 0;
	r->ask = watched;
	r->see = set_back_between_two_looks;
	life_to(r, RUN_PROMOTED);
	assert_true(my.once);
	assert_int_equal(lines(r, "clock"), 2); /* back, and right again by AWS's Date; and what was timed before is as long ago as it was */
	life_over(r);
}

/* --- two clocks ----------------------------------------------------------------------- */

struct off_clock { /* of a machine whose clock is wrong */
	struct clock clock;
	struct sim *sim;
	int64_t off;
};

static struct clock *right(struct clock *c) { return sim_clock(((struct off_clock *)c)->sim); }
static int64_t off_wall(struct clock *c) { return clock_wall(right(c)) + ((struct off_clock *)c)->off; }
static int64_t off_mono(struct clock *c) { return clock_mono(right(c)); }
static void off_sleep(struct clock *c, int64_t ms) { clock_sleep(right(c), ms); }

static struct ticker *off_every(struct clock *c, int64_t ms, int fd, void (*fn)(void *), void *ctx)
{
	return clock_every(right(c), ms, fd, fn, ctx);
}

static void off_stop(struct clock *c, struct ticker *t) { clock_stop(right(c), t); }

/* Two drivers, one after the other, both on a machine whose clock is wrong: each
 * learns the time from AWS. The second one's correction moved what the first had
 * timed right, and deadlines passed that had not. */
static void clocks_that_are_off_are_put_right_once_each(int64_t off)
{
	struct rig *r = life_new(LOOK ",{\"id\":\"ask\",\"do\":\"approve\",\"ask\":\"on?\",\"deadline\":\"PT1H\"}");
	struct err e = { 0 };
	int64_t since = 0;

	for (int n = 0; n < 3; n++) {
		struct off_clock c = { { .wall = off_wall, .mono = off_mono, .sleep = off_sleep, .wake_fd = -1, .every = off_every,
					 .stop = off_stop }, r->sim, off };
		char holder[24];
		int64_t wake_at;

		snprintf(holder, sizeof holder, "driver-%d", n);
		assert_int_equal(rig_open_process(r, &e), 0);
		engine_close(r->en);
		assert_int_equal(engine_open(&(struct engine_opts){ .store = r->store, .kinds = r->kinds, .clock = &c.clock,
								    .http = &r->http, .creds = r->creds, .run = r->id, .actor = "t",
								    .holder = holder, .simulated = true, .seed = 3 }, &r->en, &e), 0);
		assert_int_equal(engine_claim(r->en, &e), 0);
		for (int tick = 0; tick < 6; tick++) {
			if (engine_tick(r->en, &wake_at, &e))
				fail_msg("%s", e.msg);
			clock_sleep(sim_clock(r->sim), 10000);
		}
		assert_int_equal(engine_run(r->en)->state, RUN_FORWARD); /* nobody's hour is over */
		assert_true(at_step(r, "ask"));
		if (n)
			assert_in_range(engine_run(r->en)->step[1].since - since + 5000, 0, 10000);
		since = engine_run(r->en)->step[1].since;
		assert_in_range(clock_wall(sim_clock(r->sim)) - since, 0, 15 * MINUTE); /* it is AWS's time */
		engine_close(r->en);
		r->en = NULL;
	}
	life_over(r);
}

static void a_clock_that_is_ahead_is_put_right_once(void **state)
{
	(void)state;
	clocks_that_are_off_are_put_right_once_each(3 * 60 * MINUTE);
}

static void a_clock_that_is_behind_is_put_right_once(void **state)
{
	(void)state;
	clocks_that_are_off_are_put_right_once_each(-3 * 60 * MINUTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_lives_is_not_dead),
		cmocka_unit_test(who_ended_is_dead_whether_or_not_somebody_asked),
		cmocka_unit_test(a_pid_that_was_given_again_is_another_process),
		cmocka_unit_test(a_pid_of_another_namespace_is_not_visible_and_not_dead),
		cmocka_unit_test(another_boot_may_be_another_machine),
		cmocka_unit_test(a_claim_that_names_no_namespace_is_waited_out),
		cmocka_unit_test(who_slept_for_less_than_his_lease_may_write),
		cmocka_unit_test(who_overslept_reads_again_and_claims_anew),
		cmocka_unit_test(signs_of_life_go_on_while_aws_is_slow),
		cmocka_unit_test(a_worker_that_gets_nowhere_gives_no_sign_of_life),
		cmocka_unit_test(a_write_that_a_dead_holder_announced_may_still_arrive),
		cmocka_unit_test(a_write_whose_end_was_not_read_before_the_order_may_still_arrive),
		cmocka_unit_test(a_claim_follows_a_mere_order),
		cmocka_unit_test(a_clock_that_is_set_back_does_not_make_the_watch_sleep),
		cmocka_unit_test(a_clock_that_is_ahead_is_put_right_once),
		cmocka_unit_test(a_clock_that_is_behind_is_put_right_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

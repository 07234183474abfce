/* Whole upgrades whose tables differ: what users can do meanwhile, until when
 * the way back is free, and what happens behind the door. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/window.h"
#include "life.h"

#include <stdlib.h>
#include <string.h>

#define DEADMAN "\"deadman\":{\"role\":\"arn:aws:iam::123456789012:role/deadman\",\"after\":\"PT5M\"},"
#define TABLES "\"blue\":\"tests/unit/schema-blue.json\",\"green\":\"tests/unit/schema-green.json\",\"name\":\"wiki\""
#define LOCK "\"cluster\":\"wiki\",\"task_definition\":\"wiki\",\"container\":\"mediawiki\",\"file\":\"/lock\",\"url\":\"https://wiki.example.org\",\"answers\":1"
#define UPGRADE LOOK ",{\"id\":\"gate\",\"do\":\"schema\",\"kind\":\"freeze\"," TABLES ",\"host\":\"wiki.internal\"}" \
	",{\"id\":\"copy\",\"do\":\"database\",\"how\":\"blue-green\",\"source\":\"wiki\"}" \
	",{\"id\":\"freeze\",\"do\":\"freeze\"," LOCK "}" \
	",{\"id\":\"cut\",\"do\":\"database\",\"how\":\"detach\",\"host\":\"${copy.Endpoint}\",\"source_host\":\"wiki.internal\"}" \
	",{\"id\":\"update\",\"do\":\"task\",\"cluster\":\"wiki\",\"task_definition\":\"wiki\",\"container\":\"mediawiki\"," \
	"\"command\":[\"php\",\"maintenance/run.php\",\"update\"],\"judge\":\"updated\"}" \
	",{\"id\":\"updated\",\"do\":\"schema\",\"kind\":\"freeze\",\"fits\":\"green\"," TABLES ",\"host\":\"${copy.Endpoint}\"}" \
	",{\"id\":\"all\",\"do\":\"shift\",\"weight\":\"100%\",\"bake\":\"PT1M\"}" \
	",{\"id\":\"thaw\",\"do\":\"thaw\"," LOCK "}" \
	",{\"id\":\"promote\",\"do\":\"promote\",\"bake\":\"PT3M\"}"

static struct rig *upgrade(const char *fault)
{
	const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .fault = fault, .upgrade = true };

	return life_with(DEADMAN, NULL, UPGRADE, &world);
}

static void assert_nothing_lost(struct rig *r)
{
	struct sim_truth t = truth(r);

	assert_true(t.edits > 0 && t.edits_in_copy >= t.edits && t.edits_in_copy <= t.edits);
	assert_true(t.lost <= 0);
}

static void order(struct rig *r, const char *name)
{
	rig_order(r, name, NULL, false);
}

/* --- from end to end ------------------------------------------------------------------------ */

static void see_edits(struct rig *r)
{
	struct sim_truth t = truth(r);

	forbid(t.edits_of_green > 0 && t.weight_blue > 0, "green took an edit while blue had weight");
	if (t.read_only)
		my.on = true;
}

static void upgrade_keeps_every_edit(void **state)
{
	struct rig *r = upgrade(NULL);
	autojson json_t *windows = NULL;
	struct err e = { 0 };

	(void)state;
	r->see = see_edits;
	life_to(r, RUN_PROMOTED);
	assert_nothing_lost(r);
	assert_true(my.on);
	assert_true(truth(r).refused > 0 && truth(r).edits_of_green > 0);
	assert_int_equal(window_of_run(r->store, r->id, &windows, &e), 0);
	assert_int_equal(json_array_size(windows), 1);
	/* The program's own measure is within two seconds of the world's. */
	assert_true(llabs(json_num(json_array_get(windows, 0), "ms", 0) - (long long)truth(r).read_only_ms) <= 2000);
	life_over(r);
}

/* --- until the door the way back is free ------------------------------------------------------- */

static void see_window(struct rig *r)
{
	if (first_time(at_step(r, "all") && truth(r).weight_green > 0))
		order(r, "rollback");
	forbid(!truth(r).read_only && truth(r).live_green > 0 && my.once, "blue took edits while green still served");
}

static void before_the_door_everything_goes_back(void **state)
{
	struct rig *r = upgrade(NULL);

	(void)state;
	r->see = see_window;
	life_to(r, RUN_ROLLED_BACK);
	assert_on_blue(r);
	assert_false(truth(r).read_only);
	assert_true(truth(r).edits_of_green <= 0 && truth(r).lost <= 0);
	life_over(r);
}

/* --- what is written to blue meanwhile --------------------------------------------------------- */

/* Blue's database was looked at once, right after the copy was cut off: three edits by
 * a cron container that did not see the lock file were lost, and the run was promoted. */
static const struct gate { const char *step, *state; } gates[] = {
	{ "update", "begins" }, { "update", "goes on" }, { "updated", "begins" }, { "half", "before its raise" }, { "half", "bakes" },
	{ "all", "before its raise" }, { "all", "bakes" }, { "go", "asks" }, { "thaw", "begins" }, { "thaw", "looks whether blue is quiet" },
};
static const struct gate *gate;


static bool is_request_at_gate(struct rig *r, const struct http_req *q)
{
	if (!at_step(r, gate->step))
		return false;
	if (!strcmp(gate->state, "begins"))
		return true;
	if (!strcmp(gate->state, "goes on"))
		return is_call(q, "DescribeTasks");
	if (!strcmp(gate->state, "before its raise"))
		return is_call(q, "DescribeTargetHealth");
	if (!strcmp(gate->state, "bakes"))
		return rig_run(r)->traffic.left_green == (strcmp(gate->step, "all") ? 500 : 999) && is_call(q, "DescribeRules");
	return is_call(q, "GetMetricData");
}

static void write_at_gate(struct rig *r, const struct http_req *q)
{
	if (!first_time(is_request_at_gate(r, q)))
		return;
	sim_write(r->sim, "wiki.page");
	my.at = run_current_index(rig_run(r));
	my.n = (uint64_t)truth(r).weight_green;
}

static void see_gate(struct rig *r)
{
	const struct step *s = rig_run(r) ? run_current(rig_run(r)) : NULL;

	if (at_step(r, "go") && s && my.once && !my.on) {
		my.on = true; /* the end of the question is a gate, too */
		order(r, "promote");
	}
	forbid(rig_run(r)->one_way, "the door was closed over a write that green lacks");
	forbid(my.once && truth(r).weight_green > (int)my.n, "green was given more over a write that it lacks");
	forbid(my.once && (int64_t)run_current_index(rig_run(r)) > my.at + 1, "a step was done over a write that green lacks");
}

#define HALF ",{\"id\":\"half\",\"do\":\"shift\",\"weight\":\"50%\",\"bake\":\"PT1M\"}"
#define GO ",{\"id\":\"go\",\"do\":\"approve\",\"ask\":\"open?\",\"deadline\":\"PT30M\",\"default\":\"promote\"}"

/* upgrade() with a stage and a question more. */
static struct rig *long_upgrade(void)
{
	static const char plan[] = UPGRADE;
	const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .upgrade = true };
	const char *all = strstr(plan, ",{\"id\":\"all\""), *thaw = strstr(plan, ",{\"id\":\"thaw\"");
	autobuf struct buf b = BUF_MAX(16384);

	buf_add(&b, plan, (size_t)(all - plan));
	buf_adds(&b, HALF);
	buf_add(&b, all, (size_t)(thaw - all));
	buf_adds(&b, GO);
	buf_adds(&b, thaw);
	return life_with(DEADMAN, NULL, b.p, &world);
}

static void a_write_to_blue_after_the_cut_is_found_at_every_gate(void **state)
{
	(void)state;
	for (gate = gates; gate < gates + COUNT(gates); gate++) {
		struct rig *r = long_upgrade();

		r->ask = write_at_gate;
		r->see = see_gate;
		life_to(r, RUN_ROLLED_BACK);
		if (!my.once || truth(r).lost > 0 || !strstr(rig_run(r)->why, "(wiki.page 1)"))
			fail_msg("%s %s: %s", gate->step, gate->state, rig_run(r)->why);
		assert_why(r, "step cut (database): what it did held at 2026-");
		assert_on_blue(r);
		assert_false(truth(r).read_only);
		life_over(r);
	}
}

/* Everything the server does by itself, and other wikis on it, is no reason to go back. */
static void see_others_write(struct rig *r)
{
	if (truth(r).read_only)
		sim_write(r->sim, "use `mysql`; INSERT INTO mysql.rds_heartbeat2(id, value) values (1,2) ON DUPLICATE KEY UPDATE value = 2");
}

static void what_the_server_writes_by_itself_holds_nobody_up(void **state)
{
	struct rig *r = long_upgrade();

	(void)state;
	r->see = see_others_write;
	life_to(r, RUN_PROMOTED);
	assert_nothing_lost(r);
	life_over(r);
}

static void see_purge(struct rig *r)
{
	if (first_time(at_step(r, "half")))
		sim_purge(r->sim);
	forbid(rig_run(r)->one_way, "the door was closed though nobody could know what blue has");
}

/* Nothing speaks of a write: that nothing was written is not known, and no proof. */
static void a_log_that_cannot_be_read_goes_back(void **state)
{
	struct rig *r = long_upgrade();

	(void)state;
	r->see = see_purge;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "cannot be known");
	assert_on_blue(r);
	assert_false(truth(r).read_only);
	life_over(r);
}

static void silence(struct rig *r, const struct http_req *q)
{
	if (at_step(r, "thaw") && !strncmp(q->url, "sim-database://wiki.internal", 28) && my.n++ < 40)
		mishap(r, SIM_REFUSED);
}

/* A blue database that does not answer is asked again; the door waits for it. */
static void a_database_that_is_silent_holds_the_door(void **state)
{
	struct rig *r = long_upgrade();

	(void)state;
	r->ask = silence;
	life_to(r, RUN_PROMOTED);
	assert_true(my.n > 40);
	assert_nothing_lost(r);
	life_over(r);
}

/* --- behind it ------------------------------------------------------------------------------------ */

static void behind_the_door_a_person_is_called(void **state)
{
	struct rig *r = upgrade("late");

	(void)state;
	life_to(r, RUN_FROZEN);
	assert_int_equal(run_exit_code(rig_run(r)), 4);
	assert_true(lines(r, "call") > 0);
	assert_int_equal(truth(r).weight_blue, 0); /* green has the edits: it goes on serving */
	assert_true(truth(r).edits_of_green > 0);
	assert_nothing_lost(r);
	life_over(r);
}

static void see_after(struct rig *r)
{
	if (first_time(at_step(r, "promote")))
		order(r, "rollback");
}

static void behind_the_door_no_order_goes_back(void **state)
{
	struct rig *r = upgrade(NULL);

	(void)state;
	r->see = see_after;
	life_to(r, RUN_FROZEN);
	assert_why(r, "the way back is closed");
	assert_int_equal(truth(r).weight_blue, 0);
	life_over(r);
}

/* The switch would put users on a database that lacks their edits. */
static void see_switch(struct rig *r)
{
	const struct run *run = rig_run(r);

	if (run->traffic.armed)
		my.on = true;
	forbid(run->one_way && truth(r).schedules > 0, "the dead-man's switch is armed behind the door");
}

static void deadman_is_removed_before_the_door(void **state)
{
	struct rig *r = upgrade(NULL);

	(void)state;
	r->see = see_switch;
	life_to(r, RUN_PROMOTED);
	assert_true(my.on);
	assert_int_equal(truth(r).schedules, 0);
	assert_int_equal(truth(r).fired, 0);
	life_over(r);
}

static void ask_of_door(struct rig *r, const struct http_req *q)
{
	(void)r;
	if (q->body && strstr(q->body, "thaw") && strstr(q->body, "clientToken"))
		my.at = 1;
	if (my.at && !strcmp(q->method, "DELETE") && strstr(q->url, "/schedules/"))
		forbid(true, "the task that opens the door was started before the switch was removed");
}

static void deadman_goes_before_the_task_that_opens_the_door(void **state)
{
	struct rig *r = upgrade(NULL);

	(void)state;
	r->ask = ask_of_door;
	life_to(r, RUN_PROMOTED);
	assert_int_equal(my.at, 1);
	life_over(r);
}

/* --- before anything is touched ---------------------------------------------------------------------- */

static void a_plan_that_claims_too_much_is_refused(void **state)
{
	const struct sim_opts world = { .seed = 11, .upgrade = true };
	struct rig *r = life_with(NULL, NULL, LOOK ",{\"id\":\"gate\",\"do\":\"schema\",\"kind\":\"shared\"," TABLES
				  ",\"host\":\"wiki.internal\"}" SHIFT PROMOTE, &world);

	(void)state;
	life_to(r, RUN_REFUSED);
	assert_int_equal(run_exit_code(rig_run(r)), 5);
	assert_why(r, "it is \"freeze\"");
	assert_int_equal((int)truth(r).modify_rules, 0);
	life_over(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(upgrade_keeps_every_edit),
		cmocka_unit_test(before_the_door_everything_goes_back),
		cmocka_unit_test(a_write_to_blue_after_the_cut_is_found_at_every_gate),
		cmocka_unit_test(what_the_server_writes_by_itself_holds_nobody_up),
		cmocka_unit_test(a_log_that_cannot_be_read_goes_back),
		cmocka_unit_test(a_database_that_is_silent_holds_the_door),
		cmocka_unit_test(behind_the_door_a_person_is_called),
		cmocka_unit_test(behind_the_door_no_order_goes_back),
		cmocka_unit_test(deadman_is_removed_before_the_door),
		cmocka_unit_test(deadman_goes_before_the_task_that_opens_the_door),
		cmocka_unit_test(a_plan_that_claims_too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

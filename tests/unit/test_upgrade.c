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
		cmocka_unit_test(behind_the_door_a_person_is_called),
		cmocka_unit_test(behind_the_door_no_order_goes_back),
		cmocka_unit_test(deadman_is_removed_before_the_door),
		cmocka_unit_test(deadman_goes_before_the_task_that_opens_the_door),
		cmocka_unit_test(a_plan_that_claims_too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every step kind, killed at every request and every journal transaction, before
 * and after it takes effect, on the way forward and on the way back. The next
 * process must end where an undisturbed one would have, and the world with it.
 *
 * The last test breaks a step on purpose (it changes first and journals after)
 * and demands that this file notices: a test of the test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/ecs.h"
#include "base/buf.h"
#include "base/err.h"
#include "rig.h"
#include "steps/registry.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 2

/* What an AWS that is slow does to a run that dies: every eighth death is in one of these worlds. */
static const struct sim_slow slow_worlds[] = {
	{ .after_ms = 0 }, /* every other try hangs */
	{ .after_ms = 3000 },
	{ .after_ms = 9000 },
	{ .after_ms = 15000, .only = SIM_WRITES },
	{ .after_ms = 29000, .only = SIM_WRITES },
	{ .after_ms = 60000, .only = SIM_WRITES },
};

static const struct sim_slow *slow_world(uint64_t die_at)
{
	return die_at % 8 == 5 ? &slow_worlds[die_at / 8 % COUNT(slow_worlds)] : NULL;
}

/* What two runs are compared by: the run's end, and the world's. */
struct end {
	enum run_state state;
	int blue, green, stacks, blue_tasks, copies;
	bool read_only, updated, ok;
	double lost;
	char why[400];
};

struct walk {
	const char *name, *steps, *fault;
	const char *order;       /* given at `at`; NULL: none */
	uint64_t at;
	enum run_state want;
};

static int blue_tasks(struct rig *r)
{
	struct ecs_service s;
	struct err e = { 0 };

	if (!r->en || ecs_service_get(engine_aws(r->en), "wiki", "blue", &s, &e))
		return -1;
	return s.desired;
}

static void note_end(struct rig *r, struct end *x)
{
	const struct run *run = rig_run(r);
	struct sim_truth t;

	sim_truth(r->sim, &t);
	*x = (struct end){ .state = run ? run->state : RUN_STATES, .blue = t.weight_blue, .green = t.weight_green,
			   .stacks = t.stacks, .blue_tasks = blue_tasks(r), .copies = t.copies, .read_only = t.read_only,
			   .updated = t.updated, .lost = t.lost, .ok = run && !r->broken[0] && !t.errands_alive };
	snprintf(x->why, sizeof x->why, "%.150s%.200s%s", r->broken, run ? run->why : "", run ? "" : " no run");
}

static bool same_end(const struct end *a, const struct end *b)
{
	return a->ok && b->ok && a->state == b->state && a->blue == b->blue && a->green == b->green &&
	       a->stacks == b->stacks && a->blue_tasks == b->blue_tasks && a->copies == b->copies &&
	       a->read_only == b->read_only && a->updated == b->updated && a->lost <= 0 && b->lost <= 0;
}

/* Lives through at most one death; gives the number of moments. */
static uint64_t walk_once(const struct walk *w, const struct step_kind *const *kinds, uint64_t die_at,
			  enum rig_death how, struct end *x)
{
	struct sim_opts world = { .seed = 11, .fault = w->fault, .requests_per_s = 100, .upgrade = strstr(w->steps, "maintenance/run.php"),
				  .blue_stack = strstr(w->steps, "delete-stack") ? "wiki-blue" : NULL };
	autofree char *plan = rig_plan(w->steps);
	struct rig *r = rig_new(plan, &world, kinds);
	uint64_t moments;

	assert_non_null(r);
	r->die_at = die_at;
	r->how = how;
	r->order[0].at = w->order ? w->at : 0;
	r->order[0].order = w->order;
	sim_slow(r->sim, slow_world(die_at));
	if (rig_process(r) == 1) {
		r->dead = 0;
		r->how = RIG_LIVE;
		rig_process(r);
	}
	moments = r->moments;
	sim_slow(r->sim, NULL);
	rig_settle(r);
	note_end(r, x);
	rig_free(r);
	return moments;
}

static void say_difference(const struct walk *w, enum rig_death how, uint64_t at, uint64_t n, const struct end *x,
			   const struct end *calm)
{
	print_error("%s: killed %s moment %llu of %llu: %s, weights %d/%d, %d stacks, %d tasks, %d copies, %s, %.0f lost; "
		    "undisturbed: %s, %d/%d, %d, %d, %d, %s, %.0f (%s)\n",
		    w->name, how == RIG_BEFORE ? "before" : "after", (unsigned long long)at, (unsigned long long)n,
		    run_state_name(x->state), x->blue, x->green, x->stacks, x->blue_tasks, x->copies,
		    x->read_only ? "read-only" : "writable", x->lost, run_state_name(calm->state), calm->blue, calm->green,
		    calm->stacks, calm->blue_tasks, calm->copies, calm->read_only ? "read-only" : "writable", calm->lost, x->why);
}

/* Death before moment k+1 leaves the same journal and the same world as death
 * after moment k: what differs is memory, which dies too. So every moment is
 * died after, and every eighth is died before as well, to see that this is so;
 * CUTOVER_CRASH_ALL=1 (make soak) dies before all of them. */
static bool is_died_at(uint64_t at, enum rig_death how)
{
	return how == RIG_AFTER || at % 8 == 1 || getenv("CUTOVER_CRASH_ALL");
}

/* Every WORKERS-th death, from `me` on. */
static int differing_share(const struct walk *w, const struct step_kind *const *kinds, const struct end *calm,
			   uint64_t n, uint64_t me, bool say)
{
	struct end x;
	int differ = 0;

	for (uint64_t at = 1 + me; at <= n; at += WORKERS)
		for (enum rig_death how = RIG_BEFORE; how <= RIG_AFTER; how++) {
			if (!is_died_at(at, how))
				continue;
			walk_once(w, kinds, at, how, &x);
			if (!same_end(calm, &x) && !differ++ && say)
				say_difference(w, how, at, n, &x, calm);
		}
	return differ;
}

/* The number of deaths whose end differs from the undisturbed one's; tells the first. */
static int differing_ends(const struct walk *w, const struct step_kind *const *kinds, bool say)
{
	struct end calm;
	uint64_t n = walk_once(w, kinds, 0, RIG_LIVE, &calm);
	int differ = 0;

	if (calm.state != w->want || !calm.ok) {
		print_error("%s: undisturbed, the run ends %s: %s\n", w->name, run_state_name(calm.state), calm.why);
		return -1;
	}
	for (uint64_t me = 0; me < WORKERS; me++)
		if (!fork()) {
			differ = differing_share(w, kinds, &calm, n, me, say);
			_exit(differ > 99 ? 99 : differ);
		}
	for (uint64_t me = 0; me < WORKERS; me++) {
		int status = 0;

		wait(&status);
		differ += WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	if (say)
		print_message("  %-20s killed at each of %llu moments\n", w->name, (unsigned long long)n);
	return differ;
}

#define LOOK "{\"id\":\"look\",\"do\":\"preflight\"}"
#define SHIFT ",{\"id\":\"to-25\",\"do\":\"shift\",\"weight\":\"25%\",\"bake\":\"PT1M\"}"
#define PROMOTE ",{\"id\":\"promote\",\"do\":\"promote\",\"bake\":\"PT1M\"}"
#define PROBE ",{\"id\":\"probe\",\"do\":\"probe\",\"url\":\"https://wiki.example.org\",\"through\":\"test.example.org:8443\",\"version\":\"1.43.11\"}"
#define WARM ",{\"id\":\"warm\",\"do\":\"warm\",\"url\":\"https://wiki.example.org\",\"through\":\"test.example.org:8443\",\"paths\":[\"/index.php/Main_Page\"],\"rounds\":3}"
#define HOOK ",{\"id\":\"hook\",\"do\":\"hook\",\"program\":[\"/bin/true\"]}"
#define APPROVE ",{\"id\":\"ask\",\"do\":\"approve\",\"ask\":\"go on?\",\"deadline\":\"PT5M\",\"default\":\"promote\"}"
#define NOBODY ",{\"id\":\"ask\",\"do\":\"approve\",\"ask\":\"go on?\",\"deadline\":\"PT5M\",\"default\":\"rollback\"}"
#define DELETE ",{\"id\":\"retire\",\"do\":\"retire\",\"soak\":\"PT1M\",\"quiet_periods\":2,\"how\":\"delete-stack\"}"
#define RETIRE ",{\"id\":\"retire\",\"do\":\"retire\",\"soak\":\"PT1M\",\"quiet_periods\":2,\"how\":\"scale-down\"}"
#define BLUE_JSON "\"blue\":\"tests/unit/schema-blue.json\",\"green\":\"tests/unit/schema-green.json\""
#define GATE ",{\"id\":\"gate\",\"do\":\"schema\",\"kind\":\"freeze\"," BLUE_JSON ",\"host\":\"wiki.internal\",\"name\":\"wiki\"}"
#define COPY ",{\"id\":\"copy\",\"do\":\"database\",\"how\":\"blue-green\",\"source\":\"wiki\"}"
#define LOCK "\"cluster\":\"wiki\",\"task_definition\":\"wiki\",\"container\":\"mediawiki\",\"file\":\"/lock\",\"url\":\"https://wiki.example.org\",\"answers\":1"
#define FREEZE ",{\"id\":\"freeze\",\"do\":\"freeze\"," LOCK "}"
#define CLONE ",{\"id\":\"copy\",\"do\":\"database\",\"how\":\"clone\",\"source\":\"wiki\",\"instance_class\":\"db.r6g.large\",\"source_host\":\"wiki.internal\"}"
#define CUT ",{\"id\":\"cut\",\"do\":\"database\",\"how\":\"detach\",\"host\":\"${copy.Endpoint}\",\"source_host\":\"wiki.internal\"}"
#define UPDATE ",{\"id\":\"update\",\"do\":\"task\",\"cluster\":\"wiki\",\"task_definition\":\"wiki\",\"container\":\"mediawiki\",\"command\":[\"php\",\"maintenance/run.php\",\"update\"],\"judge\":\"updated\"}"
#define UPDATED ",{\"id\":\"updated\",\"do\":\"schema\",\"kind\":\"freeze\",\"fits\":\"green\"," BLUE_JSON ",\"host\":\"${copy.Endpoint}\",\"name\":\"wiki\"}"
#define SAME ",{\"id\":\"updated\",\"do\":\"schema\",\"kind\":\"freeze\",\"fits\":\"green\"," BLUE_JSON ",\"host\":\"wiki.internal\",\"name\":\"wiki\"}"
#define ALL ",{\"id\":\"all\",\"do\":\"shift\",\"weight\":\"100%\",\"bake\":\"PT1M\"}"
#define THAW ",{\"id\":\"thaw\",\"do\":\"thaw\"," LOCK "}"
#define REST ALL THAW PROMOTE
#define NO ",{\"id\":\"no\",\"do\":\"approve\",\"ask\":\"go on?\",\"deadline\":\"PT10S\",\"default\":\"rollback\"}"
#define TASK ",{\"id\":\"task\",\"do\":\"task\",\"cluster\":\"wiki\",\"task_definition\":\"wiki\",\"container\":\"mediawiki\",\"command\":[\"php\",\"maintenance/runJobs.php\"]}"
#define STACK ",{\"id\":\"green\",\"do\":\"stack\",\"stack\":\"wiki-green\",\"template\":\"tests/unit/green.json\"}"

static const struct walk walks[] = {
	{ "preflight", LOOK, NULL, NULL, 0, RUN_PROMOTED },
	{ "probe", LOOK PROBE, NULL, NULL, 0, RUN_PROMOTED },
	{ "warm", LOOK WARM, NULL, NULL, 0, RUN_PROMOTED },
	{ "hook", LOOK HOOK, NULL, NULL, 0, RUN_PROMOTED },
	{ "approve", LOOK APPROVE, NULL, NULL, 0, RUN_PROMOTED },
	{ "back", LOOK ",{\"id\":\"back\",\"do\":\"back\"}", NULL, NULL, 0, RUN_PROMOTED },
	{ "stack", LOOK STACK, NULL, NULL, 0, RUN_PROMOTED },
	{ "stack, back", LOOK STACK APPROVE, NULL, "rollback", 75, RUN_ROLLED_BACK },
	{ "stack that fails", LOOK STACK, "stack", NULL, 0, RUN_ROLLED_BACK },
	{ "shift, back", LOOK SHIFT PROMOTE, "errors", NULL, 0, RUN_ROLLED_BACK },
	{ "shift and promote", LOOK SHIFT PROMOTE, NULL, NULL, 0, RUN_PROMOTED },
	{ "promote, back", LOOK PROMOTE, NULL, "rollback", 60, RUN_ROLLED_BACK },
	{ "delete", LOOK PROMOTE DELETE, NULL, NULL, 0, RUN_PROMOTED },
	{ "retire", LOOK PROMOTE RETIRE, NULL, NULL, 0, RUN_PROMOTED },
	{ "schema", LOOK GATE, NULL, NULL, 0, RUN_PROMOTED },
	{ "copy", LOOK COPY, NULL, NULL, 0, RUN_PROMOTED },
	{ "task", LOOK TASK, NULL, NULL, 0, RUN_PROMOTED },
	{ "freeze, back", LOOK FREEZE NO REST, NULL, NULL, 0, RUN_ROLLED_BACK },
	{ "thaw", LOOK FREEZE PROMOTE THAW, NULL, NULL, 0, RUN_PROMOTED },
	{ "clone, back", LOOK FREEZE CLONE NO REST, NULL, NULL, 0, RUN_ROLLED_BACK },
	{ "cut, back", LOOK COPY FREEZE CUT NO REST, NULL, NULL, 0, RUN_ROLLED_BACK },
	{ "update killed, back", LOOK FREEZE UPDATE SAME NO REST, "update", NULL, 0, RUN_ROLLED_BACK },
};

/* Whole upgrades take long: make soak, CUTOVER_CRASH_ALL=1. */
static const struct walk long_walks[] = {
	{ "upgrade", LOOK GATE COPY FREEZE CUT UPDATE UPDATED REST, NULL, NULL, 0, RUN_PROMOTED },
	{ "upgrade by a clone", LOOK FREEZE CLONE UPDATE UPDATED REST, NULL, NULL, 0, RUN_PROMOTED },
	{ "update killed", LOOK COPY FREEZE CUT UPDATE UPDATED REST, "update", NULL, 0, RUN_PROMOTED },
	{ "update broken, back", LOOK COPY FREEZE CUT UPDATE UPDATED REST, "schema", NULL, 0, RUN_ROLLED_BACK },
	{ "upgrade, back", LOOK FREEZE CLONE UPDATE UPDATED SHIFT REST, "errors", NULL, 0, RUN_ROLLED_BACK },
	{ "copy lags, back", LOOK COPY FREEZE CUT UPDATE UPDATED REST, "lag", NULL, 0, RUN_ROLLED_BACK },
	{ "bad after the door", LOOK COPY FREEZE CUT UPDATE UPDATED REST, "late", NULL, 0, RUN_FROZEN },
};

static void killed_anywhere_the_end_is_the_same(void **state)
{
	const struct walk *w = *state;

	assert_int_equal(differing_ends(w, step_kinds, true), 0);
}

/* --- the mutant ------------------------------------------------------------------------ */

/* Scales blue to 9 tasks and only then journals what there was before: killed
 * between the two, its undo does not know what to put back. */
static enum step_verdict mutant_advance(struct step_run *r, struct err *e)
{
	struct ecs_service s;

	if (ecs_service_get(r->aws, "wiki", "blue", &s, e))
		return STEP_FAIL;
	if (s.desired == 9)
		return STEP_DONE;
	if (ecs_service_scale(r->aws, "wiki", "blue", 9, e))
		return STEP_FAIL;
	return step_intend(r, json_pack("{s:i}", "old", s.desired), e) ? STEP_FAIL : STEP_DONE;
}

static enum step_verdict mutant_undo(struct step_run *r, struct err *e)
{
	struct ecs_service s;
	int old = (int)json_num(r->memo, "old", -1);

	if (old < 0)
		return STEP_DONE;
	if (ecs_service_get(r->aws, "wiki", "blue", &s, e))
		return STEP_FAIL;
	if (s.desired == old)
		return STEP_DONE;
	return ecs_service_scale(r->aws, "wiki", "blue", old, e) ? STEP_FAIL : STEP_WAIT;
}

/* The same step done right. */
static enum step_verdict sound_advance(struct step_run *r, struct err *e)
{
	struct ecs_service s;

	if (ecs_service_get(r->aws, "wiki", "blue", &s, e))
		return STEP_FAIL;
	if (s.desired == 9)
		return STEP_DONE;
	if (step_intend(r, json_pack("{s:i}", "old", r->memo ? (int)json_num(r->memo, "old", 0) : s.desired), e) ||
	    ecs_service_scale(r->aws, "wiki", "blue", 9, e))
		return STEP_FAIL;
	return STEP_WAIT;
}

static const struct param none[] = { { 0 } };

static int differing_with(enum step_verdict (*advance)(struct step_run *, struct err *))
{
	const struct step_kind mutant = { .name = "scale", .about = "scales blue", .params = none, .flags = STEP_TOUCHES,
					  .timeout_ms = 600000, .advance = advance, .undo = mutant_undo };
	const struct step_kind *kinds[32];
	const struct walk w = { "scale", LOOK ",{\"id\":\"scale\",\"do\":\"scale\"}" NOBODY, NULL, NULL, 0,
				RUN_ROLLED_BACK };
	size_t n = 0;

	while (step_kinds[n])
		kinds[n] = step_kinds[n], n++;
	kinds[n++] = &mutant;
	kinds[n] = NULL;
	return differing_ends(&w, kinds, false);
}

static void a_step_that_journals_after_its_change_is_caught(void **state)
{
	(void)state;
	assert_true(differing_with(mutant_advance) > 0);
	assert_int_equal(differing_with(sound_advance), 0);
}

static struct CMUnitTest walk_test(const struct walk *w)
{
	return (struct CMUnitTest){ w->name, killed_anywhere_the_end_is_the_same, NULL, NULL, (void *)w };
}

int main(void)
{
	struct CMUnitTest tests[COUNT(walks) + COUNT(long_walks) + 1] = {
		cmocka_unit_test(a_step_that_journals_after_its_change_is_caught),
	};
	size_t n = 1;

	if (getenv("CUTOVER_WALK"))
		cmocka_set_test_filter(getenv("CUTOVER_WALK"));
	for (size_t i = 0; i < COUNT(walks); i++)
		tests[n++] = walk_test(&walks[i]);
	for (size_t i = 0; i < COUNT(long_walks) && getenv("CUTOVER_CRASH_ALL"); i++)
		tests[n++] = walk_test(&long_walks[i]);
	return _cmocka_run_group_tests("tests", tests, n, NULL, NULL);
}

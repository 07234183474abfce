/* Random plans, worlds, faults, orders and deaths, by seed. After each the truth
 * is asked: is traffic where the run says it is?
 *
 * CUTOVER_SEEDS=n, CUTOVER_FIRST_SEED=n; CUTOVER_SEED=n runs one and tells it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/core.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/say.h"
#include "rig.h"
#include "steps/registry.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 2
#define MAX_PROCESSES 12
#define SLOW_LOOK 10 /* requests of a look and of the step before it */

static uint64_t state;

static uint64_t dice(uint64_t n)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % n;
}

/* --- a random plan -------------------------------------------------------------------- */

static void add_shifts(struct buf *b)
{
	static const int weights[] = { 1, 5, 10, 25, 50, 75 };

	for (size_t i = 0; i < COUNT(weights); i++)
		if (dice(3) == 0)
			buf_addf(b, ",{\"id\":\"to-%d\",\"do\":\"shift\",\"weight\":\"%d%%\",\"bake\":\"PT%dM\"}", weights[i],
				 weights[i], (int)dice(6) + 1);
}

#define LOCK "\"cluster\":\"wiki\",\"task_definition\":\"wiki\",\"container\":\"mediawiki\",\"file\":\"/lock\",\"url\":\"https://wiki.example.org\",\"answers\":1"
#define GATE "\"do\":\"schema\",\"kind\":\"freeze\",\"blue\":\"tests/unit/schema-blue.json\",\"green\":\"tests/unit/schema-green.json\",\"name\":\"wiki\""

/* The schema changes: a copy, a freeze, the update, and the door behind it. */
static void add_upgrade(struct buf *b, bool clone)
{
	buf_adds(b, ",{\"id\":\"gate\"," GATE ",\"host\":\"wiki.internal\"}");
	if (!clone)
		buf_adds(b, ",{\"id\":\"copy\",\"do\":\"database\",\"how\":\"blue-green\",\"source\":\"wiki\"}");
	buf_adds(b, ",{\"id\":\"freeze\",\"do\":\"freeze\"," LOCK "}");
	if (clone)
		buf_adds(b, ",{\"id\":\"copy\",\"do\":\"database\",\"how\":\"clone\",\"source\":\"wiki\",\"instance_class\":\"db.r6g.large\",\"source_host\":\"wiki.internal\"}");
	else
		buf_adds(b, ",{\"id\":\"cut\",\"do\":\"database\",\"how\":\"detach\",\"host\":\"${copy.Endpoint}\",\"source_host\":\"wiki.internal\"}");
	buf_adds(b, ",{\"id\":\"update\",\"do\":\"task\",\"cluster\":\"wiki\",\"task_definition\":\"wiki\",\"container\":\"mediawiki\",\"command\":[\"php\",\"maintenance/run.php\",\"update\"],\"judge\":\"updated\"}"
		 ",{\"id\":\"updated\"," GATE ",\"fits\":\"green\",\"host\":\"${copy.Endpoint}\"}");
}

#define PROBES ",\"probes\":{\"url\":\"https://wiki.example.org\",\"paths\":[\"/wiki/Main_Page\"],\"sandbox\":\"Sandbox\"," \
	"\"blue\":{\"headers\":{\"X-MW-Color\":\"blue\"}},\"green\":{\"headers\":{\"X-MW-Color\":\"green\"}}}"

static char *random_upgrade(void)
{
	autobuf struct buf b = BUF_MAX(8192);

	buf_adds(&b, "{\"id\":\"look\",\"do\":\"preflight\"}");
	add_upgrade(&b, dice(2));
	add_shifts(&b);
	buf_adds(&b, ",{\"id\":\"all\",\"do\":\"shift\",\"weight\":\"100%\",\"bake\":\"PT1M\"},{\"id\":\"thaw\",\"do\":\"thaw\"," LOCK "}");
	buf_addf(&b, ",{\"id\":\"promote\",\"do\":\"promote\",\"bake\":\"PT%dM\"}", (int)dice(5) + 1);
	return rig_plan(b.p);
}

static char *random_plan(void)
{
	autobuf struct buf b = BUF_MAX(8192);

	buf_adds(&b, "{\"id\":\"look\",\"do\":\"preflight\"}");
	if (dice(2))
		buf_adds(&b, ",{\"id\":\"probe\",\"do\":\"probe\",\"url\":\"https://wiki.example.org\",\"through\":\"test.example.org:8443\",\"version\":\"1.43.11\"}");
	add_shifts(&b);
	if (dice(3) == 0)
		buf_addf(&b, ",{\"id\":\"ask\",\"do\":\"approve\",\"ask\":\"go on?\",\"deadline\":\"PT%dM\",\"default\":\"%s\"}", (int)dice(20) + 1,
			 dice(2) ? "promote" : "rollback");
	buf_addf(&b, ",{\"id\":\"promote\",\"do\":\"promote\",\"bake\":\"PT%dM\"}", (int)dice(5) + 1);
	if (dice(4) == 0)
		buf_addf(&b, ",{\"id\":\"retire\",\"do\":\"retire\",\"soak\":\"PT5M\",\"how\":\"%s\"}", dice(2) ? "scale-down" : "delete-stack");
	return rig_plan_with("", dice(3) ? "" : PROBES, b.p);
}

/* --- a random life --------------------------------------------------------------------- */

static void random_orders(struct rig *r)
{
	static const char *const names[] = { "rollback", "promote", "pause", "resume", "skip-bake" };

	for (size_t i = 0; i < COUNT(r->order); i++) {
		if (dice(3))
			continue;
		r->order[i].at = 1 + dice(600);
		r->order[i].order = names[dice(5)];
		r->order[i].full = !dice(4);
	}
	/* A pause that nobody ends is a run that never ends: somebody comes back. */
	r->order[3].at = 700 + dice(100);
	r->order[3].order = "resume";
}

/* One world in four: AWS is slow for a while, all of it, or a service, or one operation. */
static const struct sim_slow *random_slowness(struct rig *r)
{
	static const int64_t after[] = { 0, 0, 3000, 9000, 15000, 29000, 60000 };
	static const char *const services[] = { "elasticloadbalancing", "monitoring", "ecs", "scheduler", "wiki" };
	static const char *const ops[] = { "DescribeRules", "ModifyRule", "DescribeTargetHealth", "GetMetricData", "DescribeAlarms" };
	static struct sim_slow how;

	if (dice(4))
		return NULL;
	how = (struct sim_slow){ .after_ms = after[dice(COUNT(after))], .only = dice(3), .share = (double)dice(4) / 4,
				 .from_ms = (int64_t)dice(40) * 60000, .for_ms = (int64_t)(5 + dice(60)) * 60000 };
	if (dice(3) == 0)
		how.service = services[dice(COUNT(services))];
	else if (dice(2))
		how.op = ops[dice(COUNT(ops))];
	sim_slow(r->sim, &how);
	return &how;
}

static void say_slowness(const struct sim_slow *how)
{
	static const char *const what[] = { "reads and writes", "reads", "writes" };

	if (how)
		printf("    slow: %s of %s %s, %s%lld s, %.0f %% of them, from minute %lld on for %lld\n", what[how->only],
		       how->service ? how->service : "AWS", how->op ? how->op : "", how->after_ms ? "after " : "every other try hangs, ",
		       (long long)how->after_ms / 1000, how->share > 0 ? 100 * how->share : 100, (long long)how->from_ms / 60000,
		       (long long)how->for_ms / 60000);
}

static void random_death(struct rig *r)
{
	r->dead = 0;
	r->how = r->processes < 4 && dice(2) ? 1 + (enum rig_death)dice(2) : RIG_LIVE;
	r->die_at = r->moments + 1 + dice(400);
}

static int live(struct rig *r)
{
	int rc;

	do {
		random_death(r);
		rc = rig_process(r);
	} while (rc == 1 && r->processes < MAX_PROCESSES);
	return rc;
}

/* --- the truth ------------------------------------------------------------------------------ */

static bool broken(struct rig *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool broken(struct rig *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!r->broken[0])
		vsnprintf(r->broken, sizeof r->broken, fmt, ap);
	va_end(ap);
	return false;
}

static bool check_weights(struct rig *r, const struct run *run, const struct sim_truth *t)
{
	bool on_blue = t->weight_green <= 0 && t->weight_blue > 0 && t->live_green <= 0;

	switch (run->state) {
	case RUN_PROMOTED:
		return (t->weight_green > 0 && t->weight_blue <= 0) || broken(r, "promoted, but weights are %d/%d", t->weight_blue, t->weight_green);
	case RUN_ROLLED_BACK:
		if (!on_blue)
			return broken(r, "rolled back, but weights are %d/%d, live %d/%d", t->weight_blue, t->weight_green,
				      t->live_blue, t->live_green);
		return t->blue_healthy > 0 || broken(r, "rolled back to a blue without healthy targets");
	case RUN_REFUSED:
		return (on_blue && !t->modify_rules) || broken(r, "refused, but the rule was written");
	case RUN_FROZEN:
		return true;
	default:
		return broken(r, "the run ended while %s", run_state_name(run->state));
	}
}

/* Writes accepted before the freeze are all where users are now, and none twice. */
static bool check_edits(struct rig *r, const struct run *run, const struct sim_truth *t)
{
	bool back = run->state == RUN_ROLLED_BACK || run->state == RUN_REFUSED;

	if (t->edits_in_copy > t->edits)
		return broken(r, "the copy has %.0f edits, and only %.0f were made", t->edits_in_copy, t->edits);
	if (run->state != RUN_FROZEN && t->lost > 0)
		return broken(r, "%.0f edits are lost", t->lost);
	if (run->state != RUN_FROZEN && t->read_only)
		return broken(r, "%s, and the wiki is read-only still", run_state_name(run->state));
	/* What was clear before the door must be closed: green took no edit. */
	return !back || t->edits_of_green <= 0 || broken(r, "went back over %.0f edits made on green", t->edits_of_green);
}

static bool check_journal(struct rig *r, const struct run *run)
{
	autorun struct run *again = NULL;
	struct err e = { 0 };
	int64_t lines;

	if (store_verify(r->store, r->id, &lines, &e) || run_load(r->store, r->id, r->kinds, &again, &e))
		return broken(r, "the journal: %.300s", e.msg);
	if (again->state != run->state || again->traffic.left_green != run->traffic.left_green)
		return broken(r, "the journal, read again, tells another state");
	return true;
}

static bool check(struct rig *r, bool slow)
{
	const struct run *run = rig_run(r);
	struct sim_truth t;

	if (r->broken[0] || !run)
		return broken(r, "no run");
	rig_settle(r); /* what the run says must hold when the last write has landed */
	sim_truth(r->sim, &t);
	/* poll 30 s; a look may be slowed by retries of several calls, and by each of them in a slow world */
	if (r->longest_gap > 240000 + (slow ? SLOW_LOOK * RETRY_TOTAL_MS : 0))
		broken(r, "nobody looked at green for %lld s", (long long)(r->longest_gap / 1000));
	return check_weights(r, run, &t) && check_edits(r, run, &t) && check_journal(r, run) && !r->broken[0];
}

/* --- one seed ----------------------------------------------------------------------------------- */

static int tell(void *ctx, const struct event *ev)
{
	autobuf struct buf line = BUF_MAX(16384);

	(void)ctx;
	if (say_event(NULL, ev, &line))
		printf("    %s\n", line.p);
	return 0;
}

static bool one_seed(uint64_t seed, bool verbose, int *outcome)
{
	const struct sim_slow *slow;
	size_t nfaults;
	const struct sim_fault_info *faults = sim_faults(&nfaults);
	struct sim_opts world = { .seed = seed };
	autofree char *plan = NULL;
	struct err e = { 0 };
	struct rig *r;
	bool ok;

	state = seed * 7919;
	world.upgrade = dice(10) == 0;
	plan = world.upgrade ? random_upgrade() : random_plan();
	world.fault = dice(2) ? faults[dice(nfaults)].name : NULL;
	world.requests_per_s = 5.0 * (double)(1 + dice(100));
	world.blue_stack = strstr(plan, "delete-stack") ? "wiki-blue" : NULL;
	r = rig_new(plan, &world, step_kinds);
	if (!r)
		return false;
	if (dice(2))
		sim_mishap_rate(r->sim, (double)dice(60) / 1000);
	random_orders(r);
	slow = random_slowness(r);
	ok = live(r) == 0;
	ok = check(r, slow) && ok;
	*outcome = rig_run(r) ? (int)rig_run(r)->state : -1;
	if (verbose)
		store_read(r->store, r->id, 0, tell, NULL, &e);
	if (verbose || !ok)
		say_slowness(slow);
	if (!ok)
		printf("seed %llu (fault %s): %s\n    again: CUTOVER_SEED=%llu build/asan/tests/test_seeds\n", (unsigned long long)seed,
		       world.fault ? world.fault : "none", r->broken, (unsigned long long)seed);
	fflush(stdout);
	rig_free(r);
	return ok;
}

/* --- many ------------------------------------------------------------------------------------------ */

static uint64_t from_env(const char *name, uint64_t or)
{
	const char *v = getenv(name);

	return v ? strtoull(v, NULL, 10) : or;
}

struct tally {
	uint64_t bad, outcome[RUN_STATES + 1];
};

static struct tally worker(uint64_t first, uint64_t n, int me)
{
	struct tally t = { 0 };

	for (uint64_t s = first + (uint64_t)me; s < first + n; s += WORKERS) {
		int outcome = -1;

		t.bad += !one_seed(s, false, &outcome);
		t.outcome[outcome < 0 ? RUN_STATES : outcome]++;
	}
	return t;
}

static int start_worker(uint64_t first, uint64_t n, int me)
{
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	if (!fork()) {
		struct tally t = worker(first, n, me);

		_exit(write(fd[1], &t, sizeof t) != sizeof t);
	}
	close(fd[1]);
	return fd[0];
}

static void traffic_is_where_the_run_says(void **unused)
{
	uint64_t n = from_env("CUTOVER_SEEDS", 2000), first = from_env("CUTOVER_FIRST_SEED", 1);
	struct tally sum = { 0 };
	int fd[WORKERS];

	(void)unused;
	for (int i = 0; i < WORKERS; i++)
		fd[i] = start_worker(first, n, i);
	for (int i = 0; i < WORKERS; i++) {
		struct tally t;
		ssize_t got = read(fd[i], &t, sizeof t);

		close(fd[i]);
		wait(NULL);
		if (got != sizeof t)
			fail_msg("worker %d died", i);
		sum.bad += t.bad;
		for (int k = 0; k <= RUN_STATES; k++)
			sum.outcome[k] += t.outcome[k];
	}
	for (int k = 0; k < RUN_STATES; k++)
		printf("  %-14s %llu\n", run_state_name((enum run_state)k), (unsigned long long)sum.outcome[k]);
	assert_int_equal(sum.bad, 0);
	/* A test in which every run ended the same way would prove little. */
	assert_true(n < 1000 || (sum.outcome[RUN_PROMOTED] > n / 20 && sum.outcome[RUN_ROLLED_BACK] > n / 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(traffic_is_where_the_run_says) };
	uint64_t one = from_env("CUTOVER_SEED", 0);
	int outcome;

	if (one)
		return !one_seed(one, true, &outcome);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

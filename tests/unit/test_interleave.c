/* Several controllers and an operator on one run, interleaved by seed at every
 * request and every sleep; some are stopped for longer than the lease and wake
 * again. Each is a thread, and one at a time has the baton: what happens is the
 * seed's alone. CUTOVER_SEEDS=n, CUTOVER_FIRST_SEED=n.
 *
 * Left out: a process that is stopped between the gate and the sending of a
 * write (README, "Who drives"), and one that dies (test_crash, test_seeds). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/cred.h"
#include "base/buf.h"
#include "base/err.h"
#include "rig.h"
#include "steps/registry.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACTORS 4
#define LONGEST_MS (8 * 3600000LL) /* of a run; one that takes longer does not end */

struct world;

struct actor {
	struct clock clock; /* first: the clock's functions get this address */
	struct world *w;
	void (*life)(struct actor *a);
	pthread_t thread;
	struct store *store;
	struct http http;
	char name[24];
	int64_t wake;       /* mono ms */
	bool over;
	bool stopped;       /* it does not run, nor does its ticker */
};

struct world {
	struct sim *sim;
	char path[96], id[96];
	pthread_mutex_t lock;
	pthread_cond_t passed;
	struct actor actor[ACTORS];
	int n, turn;
	uint64_t rng;
	char wrote[24];     /* who sent the newest write */
	int writes, stops, claims;
	volatile int late;  /* the run does not end: everybody goes home */
	char broken[400];
};

static uint64_t roll(struct world *w, uint64_t n)
{
	uint64_t z = (w->rng += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % n;
}

static int64_t mono(struct world *w) { return clock_mono(sim_clock(w->sim)); }

/* --- one at a time --------------------------------------------------------------- */

static int pick(struct world *w)
{
	int ready[ACTORS], n = 0;

	for (int i = 0; i < w->n; i++)
		if (!w->actor[i].over && w->actor[i].wake <= mono(w))
			ready[n++] = i;
	return n ? ready[roll(w, (uint64_t)n)] : -1;
}

/* Time passes until somebody has something to do. -1: all are over. */
static int next_actor(struct world *w)
{
	int64_t first = INT64_MAX;
	int i = pick(w);

	if (i >= 0)
		return i;
	for (int k = 0; k < w->n; k++)
		if (!w->actor[k].over && w->actor[k].wake < first)
			first = w->actor[k].wake;
	if (first == INT64_MAX)
		return -1;
	clock_sleep(sim_clock(w->sim), first - mono(w));
	return pick(w);
}

static void hand_on(struct world *w)
{
	w->turn = next_actor(w);
	pthread_cond_broadcast(&w->passed);
}

static void wait_for_turn(struct actor *a)
{
	while (a->w->turn != (int)(a - a->w->actor))
		pthread_cond_wait(&a->w->passed, &a->w->lock);
	a->stopped = false;
}

/* Lets others go on for at least ms; now and then for longer than any lease. */
static void pass(struct actor *a, int64_t ms)
{
	struct world *w = a->w;

	if (roll(w, 200) == 0) {
		w->stops++;
		a->stopped = true;
		ms += 5000 + (int64_t)roll(w, 115000);
	}
	if (mono(w) > LONGEST_MS)
		w->late = 1;
	a->wake = mono(w) + ms;
	hand_on(w);
	wait_for_turn(a);
}

/* --- the two seams ------------------------------------------------------------------ */

static struct sim *sim_of(struct clock *c) { return ((struct actor *)c)->w->sim; }

/* The time of day is asked for between any two things that matter, the gate and
 * what it guards among them: there, too, others run, and a process may be stopped. */
static int64_t actor_wall(struct clock *c)
{
	struct actor *a = (struct actor *)c;

	if (roll(a->w, 8) == 0)
		pass(a, 0);
	return clock_wall(sim_clock(a->w->sim));
}

static int64_t actor_mono(struct clock *c) { return clock_mono(sim_clock(sim_of(c))); }
static void actor_sleep(struct clock *c, int64_t ms) { pass((struct actor *)c, ms); }

struct shim {
	struct actor *a;
	struct ticker *t;
	void (*fn)(void *ctx);
	void *ctx;
};

static void tick_if_it_runs(void *shim)
{
	struct shim *s = shim;

	if (!s->a->stopped)
		s->fn(s->ctx);
}

static struct ticker *actor_every(struct clock *c, int64_t ms, int wake_fd, void (*fn)(void *), void *ctx)
{
	struct shim *s = xcalloc(1, sizeof *s);

	*s = (struct shim){ .a = (struct actor *)c, .fn = fn, .ctx = ctx };
	s->t = clock_every(sim_clock(sim_of(c)), ms, wake_fd, tick_if_it_runs, s);
	return (struct ticker *)s;
}

static void actor_stop(struct clock *c, struct ticker *t)
{
	struct shim *s = (struct shim *)t;

	if (!s)
		return;
	clock_stop(sim_clock(sim_of(c)), s->t);
	free(s);
}

static int see_holder(void *holder, const struct event *ev)
{
	autojson json_t *b = strcmp(ev->kind, "claim") ? NULL : json_loads(ev->body, 0, NULL);

	if (b)
		snprintf(holder, 24, "%s", json_str(b, "holder", ""));
	return 0;
}

/* A write is of who holds the run, and none of another's is on its way. */
static void check_write(struct actor *a)
{
	struct world *w = a->w;
	struct err e = { 0 };
	char holder[24] = "";

	w->writes++;
	if (store_read(a->store, w->id, 0, see_holder, holder, &e))
		snprintf(w->broken, sizeof w->broken, "%.300s", e.msg);
	if (strcmp(holder, a->name))
		snprintf(w->broken, sizeof w->broken, "%s wrote to AWS while %s held the run", a->name, holder);
	if (sim_under_way(w->sim) > 0 && strcmp(w->wrote, a->name))
		snprintf(w->broken, sizeof w->broken, "%s wrote to AWS while a write of %s was on its way", a->name, w->wrote);
	snprintf(w->wrote, sizeof w->wrote, "%s", a->name);
}

static int actor_send(void *actor, const struct http_req *q, struct http_res *res, struct err *e)
{
	struct actor *a = actor;
	bool writes = q->body && strstr(q->body, "Action=ModifyRule");
	int rc;

	if (writes) /* straight from the gate: see above */
		check_write(a);
	else
		pass(a, 0);
	rc = sim_send(a->w->sim, q, res, e);
	pass(a, 0);
	return rc;
}

/* --- lives ---------------------------------------------------------------------------- */

static void complain(struct actor *a, const struct err *e)
{
	if (!a->w->broken[0])
		snprintf(a->w->broken, sizeof a->w->broken, "%s: %.300s", a->name, e->msg);
}

/* Drives when nobody does, until the run is over. */
static void controller(struct actor *a)
{
	struct cred_chain *creds = cred_chain_new(&a->http, &a->clock);
	struct engine *en = NULL;
	struct err e = { 0 };
	int rc;

	if (engine_open(&(struct engine_opts){ .store = a->store, .kinds = step_kinds, .clock = &a->clock, .http = &a->http,
					       .creds = creds, .run = a->w->id, .actor = a->name, .holder = a->name,
					       .simulated = true, .seed = a->w->rng | 1 }, &en, &e))
		complain(a, &e);
	while (en && !run_is_over(engine_run(en)) && !a->w->late) {
		e = (struct err){ 0 };
		rc = engine_claim(en, &e);
		if (!rc) {
			a->w->claims++;
			rc = engine_drive(en, NULL, NULL, &a->w->late, &e);
		}
		if (rc < 0 && e.kind != ERR_LOST) {
			complain(a, &e);
			break;
		}
		if (!run_is_over(engine_run(en)))
			pass(a, 1000 + (int64_t)roll(a->w, 60000));
	}
	engine_close(en);
	cred_chain_free(creds);
}

static void operate(struct actor *a)
{
	static const enum order_kind orders[] = { ORDER_ROLLBACK, ORDER_PAUSE, ORDER_RESUME, ORDER_PAUSE, ORDER_RESUME };
	struct err e = { 0 };

	for (uint64_t n = roll(a->w, 4); n-- && !a->w->late;) {
		pass(a, (int64_t)roll(a->w, 400000));
		if (engine_order(a->store, a->w->id, &a->clock, &(struct engine_order){
				.kind = orders[roll(a->w, COUNT(orders))], .reason = "", .actor = "operator" }, NULL, &e))
			complain(a, &e);
	}
	/* Who pauses comes back. */
	pass(a, (int64_t)roll(a->w, 400000));
	if (engine_order(a->store, a->w->id, &a->clock, &(struct engine_order){ .kind = ORDER_RESUME, .reason = "",
										.actor = "operator" }, NULL, &e))
		complain(a, &e);
}

static void *live(void *actor)
{
	struct actor *a = actor;
	struct world *w = a->w;

	pthread_mutex_lock(&w->lock);
	wait_for_turn(a);
	a->life(a);
	OPENSSL_thread_stop();
	a->over = true;
	hand_on(w);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* --- a world --------------------------------------------------------------------------- */

static void begin_run(struct world *w)
{
	autofree char *text = rig_plan("{\"id\":\"look\",\"do\":\"preflight\"},"
				       "{\"id\":\"to-25\",\"do\":\"shift\",\"weight\":\"25%\",\"bake\":\"PT2M\"},"
				       "{\"id\":\"promote\",\"do\":\"promote\",\"bake\":\"PT2M\"}");
	struct plan_errors errs = { 0 };
	struct store *s = NULL;
	struct plan *p = NULL;
	struct err e = { 0 };

	snprintf(w->id, sizeof w->id, "run");
	unlink(w->path);
	assert_int_equal(plan_parse(text, strlen(text), "plan.json", step_kinds, NULL, &p, &errs), 0);
	assert_int_equal(store_open(w->path, &s, &e), 0);
	assert_int_equal(engine_start(s, p, sim_clock(w->sim), "tester", w->id, &e), 0);
	store_close(s);
	plan_free(p);
}

static void add(struct world *w, const char *name, void (*life)(struct actor *))
{
	struct actor *a = &w->actor[w->n++];
	struct err e = { 0 };

	*a = (struct actor){ .clock = { .wall = actor_wall, .mono = actor_mono, .sleep = actor_sleep, .wake_fd = -1,
					.every = actor_every, .stop = actor_stop }, .w = w, .life = life };
	a->http = (struct http){ actor_send, a };
	snprintf(a->name, sizeof a->name, "%s", name);
	assert_int_equal(store_open(w->path, &a->store, &e), 0);
}

static void everybody_lives(struct world *w)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->passed, NULL);
	w->turn = -1;
	for (int i = 0; i < w->n; i++)
		assert_int_equal(pthread_create(&w->actor[i].thread, NULL, live, &w->actor[i]), 0);
	pthread_mutex_lock(&w->lock);
	hand_on(w);
	pthread_mutex_unlock(&w->lock);
	for (int i = 0; i < w->n; i++)
		pthread_join(w->actor[i].thread, NULL);
	pthread_cond_destroy(&w->passed);
	pthread_mutex_destroy(&w->lock);
}

static void doubt(struct world *w, const char *what)
{
	if (!w->broken[0])
		snprintf(w->broken, sizeof w->broken, "%s", what);
}

/* What the journal says is so, also when all that was on its way has landed; and
 * each order was obeyed, or told why not. */
static void check_end(struct world *w)
{
	struct run *r = NULL;
	struct sim_truth t;
	struct err e = { 0 };

	if (w->late)
		doubt(w, "the run does not end");
	clock_sleep(sim_clock(w->sim), 120000);
	sim_truth(w->sim, &t);
	if (run_load(w->actor[0].store, w->id, step_kinds, &r, &e)) {
		doubt(w, e.msg);
		return;
	}
	if (r->state == RUN_ROLLED_BACK && t.weight_green > 0)
		doubt(w, "\"rolled back\", and green has weight");
	if (r->state == RUN_PROMOTED && t.weight_blue > 0)
		doubt(w, "\"promoted\", and blue has weight");
	if (r->state == RUN_FROZEN)
		doubt(w, r->why);
	for (size_t i = 0; i < r->norders; i++)
		if (r->order[i].effect == ORDER_PENDING)
			doubt(w, "an order was neither obeyed nor told why not");
	run_free(r);
}

static int totals[3]; /* writes, stops, claims of all worlds */

static void one_world(uint64_t seed)
{
	static const char *const alarms[] = { "wiki-5xx" };
	static const char *const faults[] = { NULL, NULL, "errors", "slow" };
	struct world *w = xcalloc(1, sizeof *w);

	setenv("AWS_ACCESS_KEY_ID", "simulated", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "simulated", 1);
	w->rng = seed * 7919;
	snprintf(w->path, sizeof w->path, "%s/cutover-interleave-%d.db", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm",
		 (int)getpid());
	w->sim = sim_new(&(struct sim_opts){ .seed = seed, .region = RIG_REGION, .account = RIG_ACCOUNT, .rule = RIG_RULE,
					     .blue = RIG_BLUE, .green = RIG_GREEN, .alarms = 1, .alarm_names = alarms,
					     .requests_per_s = 50, .fault = faults[roll(w, COUNT(faults))] });
	if (roll(w, 3) == 0) /* writes that arrive when nobody waits for them any more */
		sim_slow(w->sim, &(struct sim_slow){ .after_ms = 25000, .only = SIM_WRITES, .service = "elasticloadbalancing",
						     .share = .5 });
	begin_run(w);
	add(w, "first", controller);
	add(w, "second", controller);
	if (roll(w, 2))
		add(w, "third", controller);
	add(w, "operator", operate);
	everybody_lives(w);
	check_end(w);
	totals[0] += w->writes, totals[1] += w->stops, totals[2] += w->claims;
	for (int i = 0; i < w->n; i++)
		store_close(w->actor[i].store);
	sim_free(w->sim);
	if (w->broken[0])
		fail_msg("seed %llu (journal %s): %s", (unsigned long long)seed, w->path, w->broken);
	unlink(w->path);
	free(w);
}

static void whoever_stops_and_wakes_one_writes_at_a_time(void **state)
{
	const char *n = getenv("CUTOVER_SEEDS"), *first = getenv("CUTOVER_FIRST_SEED");
	uint64_t from = first ? strtoull(first, NULL, 10) : 1, count = n ? strtoull(n, NULL, 10) : 60;

	(void)state;
	for (uint64_t i = 0; i < count; i++)
		one_world(from + i);
	printf("%d writes, %d stops, %d claims in %llu worlds\n", totals[0], totals[1], totals[2], (unsigned long long)count);
	assert_true(totals[2] > (int)count); /* runs did change hands, or nothing was tested */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(whoever_stops_and_wakes_one_writes_at_a_time) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

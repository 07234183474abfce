#include "engine/engine.h"

#include "aws/cred.h"
#include "base/proc.h"
#include "engine/internal.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define FAR ((int64_t)1 << 62)
#define IDLE_MS 30000

int64_t engine_now(struct engine *en) { return clock_wall(en->clock); }
const struct run *engine_run(const struct engine *en) { return en->run; }
struct aws *engine_aws(struct engine *en) { return en->aws; }
const char *engine_saying(const struct engine *en) { return en->saying; }

/* --- writing lines ------------------------------------------------------------- */

static int append_line(struct store *s, struct clock *clock, const char *run, int64_t seq, const char *actor,
		       const char *kind, const char *step, const json_t *body, struct err *e)
{
	autofree char *text = json_flat(body);
	struct event ev = { .seq = seq, .at = clock_wall(clock), .run = (char *)run, .actor = (char *)actor,
			    .kind = (char *)kind, .step = (char *)step, .body = text };

	return store_append(s, &ev, e);
}

/* On the way back an order changes nothing: one that came first is folded, and
 * the line follows it, or who orders it again and again would hold it up. */
static bool may_follow(struct engine *en, struct err *e)
{
	return e->kind == ERR_LOST && en->run->state == RUN_BACK && !run_catch_up(en->run, en->store, e) &&
	       en->run->state == RUN_BACK && engine_holds(en);
}

int engine_append(struct engine *en, const char *kind, const char *step, json_t *body, struct err *e)
{
	autojson json_t *mine = body ? body : json_object();
	struct err before = *e;

	while (append_line(en->store, en->clock, en->run->id, en->run->seq + 1, en->actor, kind, step, mine, e)) {
		if (!may_follow(en, e))
			return -1;
		*e = before;
	}
	return run_catch_up(en->run, en->store, e);
}

static void new_id(const char *prefix, int64_t at, char out[96])
{
	unsigned char r[3];
	char iso[21];

	if (RAND_bytes(r, sizeof r) != 1)
		abort();
	clock_iso(at, iso);
	snprintf(out, 96, "%.40s-%.4s%.2s%.2s-%.2s%.2s%.2s-%02x%02x%02x", prefix, iso, iso + 5, iso + 8, iso + 11,
		 iso + 14, iso + 17, r[0], r[1], r[2]);
}

int engine_start(struct store *s, const struct plan *p, struct clock *clock, const char *actor, char *id,
		 struct err *e)
{
	autojson json_t *body = json_pack("{s:o, s:s, s:s, s:s, s:s, s:s*, s:O*}", "plan",
					  json_stringn(p->text, p->ntext), "file", p->file, "sha256", p->sha256, "name",
					  p->name, "rule", p->rule, "program", CUTOVER_VERSION, "env", p->env);

	if (!body)
		return err_set(e, ERR_INPUT, "the plan is not valid UTF-8");
	if (!id[0])
		new_id(p->name, clock_wall(clock), id);
	return append_line(s, clock, id, 1, actor, "start", "", body, e);
}

int engine_order(struct store *s, const char *run, struct clock *clock, const struct engine_order *o,
		 struct err *e)
{
	autojson json_t *body = NULL;
	char fresh[96];
	int64_t last;
	int rc;

	new_id(o->order, clock_wall(clock), fresh);
	body = json_pack("{s:s, s:s, s:o, s:b}", "order", o->order, "id", o->id ? o->id : fresh, "reason",
			 json_text(o->reason), "full", o->full);
	if (!body)
		return err_set(e, ERR_INPUT, "the order is not valid UTF-8");
	/* Everybody may write; who loses the race for a line takes the next one. */
	do {
		if (store_last(s, run, &last, e))
			return -1;
		rc = append_line(s, clock, run, last + 1, o->actor, "order", "", body, e);
	} while (rc && e->kind == ERR_LOST);
	return rc;
}

/* --- opening ---------------------------------------------------------------------- */

static struct aws *make_aws(struct engine *en, const struct engine_opts *o)
{
	return aws_new(&(struct aws_opts){ .http = &en->http, .clock = en->clock, .creds = o->creds,
					   .region = en->run->plan->region, .gate = engine_gate, .gate_ctx = en,
					   .seed = o->seed });
}

static int see_urgent(void *urgent, const struct event *ev)
{
	autojson json_t *body = json_loads(ev->body, 0, NULL);

	if (!strcmp(ev->kind, "claim") || (!strcmp(ev->kind, "order") && !strcmp(json_str(body, "order", ""), "rollback")))
		*(bool *)urgent = true;
	return 0;
}

/* Has a signal come, has somebody ordered the way back, or does another process
 * drive the run? Other orders can wait. On the way back all can: who orders it
 * again and again must not hold it up. */
bool engine_is_urged(void *engine)
{
	struct engine *en = engine;
	struct err ignored = { 0 };
	bool urgent = false;
	int64_t last;

	if (en->stop && *en->stop)
		return true;
	if (en->run->state == RUN_BACK || store_last(en->store, en->run->id, &last, &ignored) || last == en->run->seq)
		return false;
	return !store_read(en->store, en->run->id, en->run->seq, see_urgent, &urgent, &ignored) && urgent;
}

/* An order to go back must not wait until CloudWatch, or whoever else hangs just
 * now, has used up its time: a read is given up, and the next tick sees why. */
static int send_until_urged(void *engine, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct engine *en = engine;
	struct http_req mine = *q;

	mine.leave = q->once ? NULL : engine_is_urged;
	mine.leave_ctx = en;
	return http_send(&en->door, &mine, a, e);
}

int engine_open(const struct engine_opts *o, struct engine **out, struct err *e)
{
	struct engine *en = xcalloc(1, sizeof *en);

	en->store = o->store;
	en->clock = o->clock;
	en->door = *o->http;
	en->http = (struct http){ send_until_urged, en };
	en->nap_ms = ENGINE_BEAT_MS;
	en->simulated = o->simulated;
	snprintf(en->actor, sizeof en->actor, "%s", o->actor);
	if (o->holder)
		snprintf(en->holder, sizeof en->holder, "%s", o->holder);
	else
		engine_own_holder(en->holder, sizeof en->holder);
	if (run_load(o->store, o->run, o->kinds, &en->run, e)) {
		engine_close(en);
		return -1;
	}
	en->aws = make_aws(en, o);
	*out = en;
	return 0;
}

void engine_close(struct engine *en)
{
	if (!en)
		return;
	aws_free(en->aws);
	mind_free(en->watch.mind);
	run_free(en->run);
	free(en->blue);
	free(en->green);
	free(en);
}

int engine_resolve(struct engine *en, struct err *e)
{
	free(en->blue);
	free(en->green);
	en->blue = en->green = NULL;
	return run_groups(en->run, &en->blue, &en->green, e);
}

/* --- calling a person ---------------------------------------------------------------- */

static void run_call(const struct run *r, const char *why)
{
	size_t n = json_array_size(r->plan->call);
	autofree const char **argv = xcalloc(n + 2, sizeof *argv);
	autofree char *run = xasprintf("CUTOVER_RUN=%s", r->id), *what = xasprintf("CUTOVER_WHY=%s", why);
	const char *env[] = { "PATH=/usr/local/bin:/usr/bin:/bin", run, what, NULL };
	struct proc_result res = { 0 };
	struct err e = { 0 };

	for (size_t i = 0; i < n; i++)
		argv[i] = json_string_value(json_array_get(r->plan->call, i));
	argv[n] = why;
	if (!proc_run(argv, env, NULL, 10000, 4096, &res, &e))
		free(res.out);
}

int engine_call(struct engine *en, const char *why, struct err *e)
{
	en->called = true;
	if (engine_append(en, "call", "", json_pack("{s:o}", "why", json_text(why)), e))
		return -1;
	if (json_array_size(en->run->plan->call) && !en->simulated)
		run_call(en->run, why);
	return 0;
}

/* --- ticking ------------------------------------------------------------------------ */

static int answer_wish(struct engine *en, struct err *e)
{
	const struct run *r = en->run;
	bool retry = !strcmp(r->wish, "retry");
	json_t *body;

	if (!r->wish[0])
		return 0;
	if (!retry && r->one_way)
		return engine_append(en, r->state == RUN_FORWARD ? "frozen" : "trouble", "",
				     json_pack("{s:s, s:s}", "why", "rollback was ordered, but a one-way step has begun: the way back is closed",
					       "by", r->wish_by), e);
	en->called = false;
	body = json_pack("{s:o, s:s}", "why", json_text(r->wish_why[0] ? r->wish_why : "ordered"), "by", r->wish_by);
	return engine_append(en, retry ? "attempt" : "back", "", body, e);
}

static int beat_if_due(struct engine *en, struct err *e)
{
	if (clock_mono(en->clock) - en->beat < ENGINE_BEAT_MS)
		return 0;
	return engine_beat(en, e);
}

static int tick_by_state(struct engine *en, int64_t *wake_at, struct err *e)
{
	enum run_state was = en->run->state;

	if (was == RUN_FORWARD && forward_tick(en, wake_at, e))
		return -1;
	if (en->run->state == RUN_BACK && back_tick(en, wake_at, e))
		return -1;
	return 0;
}

/* A look that could not be finished is not a reason to stop the run: the
 * evidence says it is blind, and the judge counts that. */
static int watch_or_go_on(struct engine *en, int64_t *wake_at, struct err *e)
{
	struct err trouble = { 0 };

	if (!watch_tick(en, wake_at, &trouble))
		return 0;
	if (!err_retryable(&trouble) && trouble.kind != ERR_DENIED && trouble.kind != ERR_GONE) {
		*e = trouble;
		return -1;
	}
	return 0;
}

int engine_tick(struct engine *en, int64_t *wake_at, struct err *e)
{
	*wake_at = FAR;
	if (run_catch_up(en->run, en->store, e))
		return -1;
	if (engine_still_ours(en, e))
		return -1;
	if (beat_if_due(en, e) || engine_resolve(en, e) || answer_wish(en, e))
		return -1;
	if (en->run->state == RUN_FORWARD && watch_or_go_on(en, wake_at, e))
		return -1;
	if (tick_by_state(en, wake_at, e))
		return -1;
	/* A step may have moved traffic: let the watch name its next look. */
	if (en->run->state == RUN_FORWARD && watch_or_go_on(en, wake_at, e))
		return -1;
	if (run_is_over(en->run))
		return 0;
	if (en->run->state == RUN_BACK && *wake_at == FAR)
		*wake_at = engine_now(en);
	if (*wake_at > engine_now(en) + IDLE_MS)
		*wake_at = engine_now(en) + IDLE_MS;
	return 0;
}

/* Waits until wake_at, or until somebody else has written a line; gives signs
 * of life and lets the screen live meanwhile. */
static int nap(struct engine *en, int64_t until, engine_see_fn *see, void *ctx, const volatile int *stop,
	       struct err *e)
{
	int64_t left, last = en->run->seq;

	while ((left = until - engine_now(en)) > 0 && last == en->run->seq && !(stop && *stop)) {
		clock_sleep(en->clock, left < en->nap_ms ? left : en->nap_ms);
		store_watch_clear(en->store);
		if (beat_if_due(en, e) || store_last(en->store, en->run->id, &last, e))
			return -1;
		if (see)
			see(ctx, en);
	}
	return 0;
}

/* What a driver cannot wait out: it lost the run, or the program is wrong. */
static bool ends_driving(const struct err *e)
{
	return e->kind == ERR_LOST || e->kind == ERR_BUG || e->kind == ERR_INPUT;
}

/* The journal moved on while we were about to write: by an order, and we look
 * again, or because another process drives the run now, which e says. */
static bool order_came_first(struct engine *en, struct err *e)
{
	return e->kind == ERR_LOST && !run_catch_up(en->run, en->store, e) && !engine_still_ours(en, e);
}

static int tick_and_nap(struct engine *en, engine_see_fn *see, void *ctx, const volatile int *stop, struct err *e)
{
	int64_t wake_at;
	int rc = engine_tick(en, &wake_at, e);

	if (rc && order_came_first(en, e))
		return 0;
	if (rc && ends_driving(e))
		return -1;
	if (rc) { /* a journal that cannot be written, mostly: nothing is sent until it can */
		snprintf(en->saying, sizeof en->saying, "%s", e->msg);
		wake_at = engine_now(en) + 1000;
	}
	if (see)
		see(ctx, en);
	if (run_is_over(en->run) || !nap(en, wake_at, see, ctx, stop, e))
		return 0;
	return ends_driving(e) ? -1 : 0;
}

int engine_drive(struct engine *en, engine_see_fn *see, void *ctx, const volatile int *stop, struct err *e)
{
	int rc = 0;

	en->stop = stop;
	while (!rc && !run_is_over(en->run))
		rc = tick_and_nap(en, see, ctx, stop, e) ? -1 : stop && *stop;
	en->stop = NULL;
	return rc;
}

void engine_set_nap(struct engine *en, int64_t ms)
{
	en->nap_ms = ms;
}

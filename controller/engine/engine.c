#include "engine/engine.h"

#include "aws/cred.h"
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

#define FAR ((int64_t)1 << 62)
#define IDLE_MS 30000

const struct run *engine_run(const struct engine *en) { return en->run; }
struct aws *engine_aws(struct engine *en) { return en->aws; }
const char *engine_saying(const struct engine *en) { return en->saying; }

/* --- opening ---------------------------------------------------------------------- */

static struct aws *make_aws(struct engine *en, const struct engine_opts *o)
{
	return aws_new(&(struct aws_opts){ .http = &en->http, .clock = en->clock, .creds = o->creds,
					   .region = en->run->plan->region, .gate = engine_gate, .gate_ctx = en,
					   .seed = o->seed });
}

/* An order to go back must not wait until CloudWatch, or whoever else hangs just
 * now, has used up its time: a read is given up, and the next tick sees why. */
static int engine_send(void *engine, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct engine *en = engine;
	struct http_req mine = *q;
	int rc;

	mine.cancel = q->once ? NULL : &en->lease.cancel;
	lease_progress(&en->lease);
	rc = http_send(&en->door, &mine, a, e);
	lease_progress(&en->lease);
	return rc;
}

int engine_open(const struct engine_opts *o, struct engine **out, struct err *e)
{
	struct engine *en = xcalloc(1, sizeof *en);

	en->store = o->store;
	en->clock = o->clock;
	en->skew = atomic_load(&o->clock->skew);
	en->door = *o->http;
	en->http = (struct http){ engine_send, en };
	en->nap_ms = ENGINE_BEAT_MS;
	en->simulated = o->simulated;
	snprintf(en->actor, sizeof en->actor, "%s", o->actor);
	if (o->holder)
		snprintf(en->holder, sizeof en->holder, "%s", o->holder);
	else
		engine_own_holder(en->holder, sizeof en->holder);
	if (run_load_copied(o->store, o->run, o->kinds, &en->run, e)) {
		engine_close(en);
		return -1;
	}
	en->aws = make_aws(en, o);
	lease_open(&en->lease, o->store, o->clock, en->run->id, en->holder);
	*out = en;
	return 0;
}

void engine_close(struct engine *en)
{
	if (!en)
		return;
	lease_close(&en->lease);
	aws_free(en->aws);
	mind_free(en->watch.mind);
	run_free(en->run);
	free(en->blue);
	free(en->green);
	free(en);
}

/* --- ticking ------------------------------------------------------------------------ */

static int answer_wish(struct engine *en, struct err *e)
{
	const struct run *r = en->run;
	bool retry = r->wish == ORDER_RETRY;
	json_t *body;

	if (!r->wish)
		return 0;
	if (!retry && r->one_way && r->state != RUN_FORWARD)
		return engine_append(en, "trouble", "", json_pack("{s:s, s:s}", "why", "rollback was ordered, but a one-way step has begun: the way back is closed",
								  "by", r->wish_by), e);
	en->called = false;
	if (r->state == RUN_FORWARD)
		return forward_ordered_back(en, e);
	body = json_pack("{s:o, s:s}", "why", json_text(r->wish_why[0] ? r->wish_why : "ordered"), "by", r->wish_by);
	return engine_append(en, retry ? "attempt" : "back", "", body, e);
}

static int tick_by_state(struct engine *en, int64_t *wake_at, struct err *e)
{
	enum run_state was = en->run->state;

	if (was == RUN_FORWARD && forward_tick(en, wake_at, e))
		return -1;
	if (en->run->state != RUN_BACK)
		return 0;
	/* Who orders the way back again and again must not hold it up. */
	lease_listen(&en->lease, en->run->seq, false);
	return back_tick(en, wake_at, e);
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

/* AWS's answers have put the clock right: what the journal timed before is on
 * the old one, so the fold has to know by how much. */
static int note_skew(struct engine *en, struct err *e)
{
	int64_t skew = atomic_load(&en->clock->skew), by = skew - en->skew;

	if (!by)
		return 0;
	en->skew = skew;
	watch_shift(&en->watch, by);
	return engine_append(en, "clock", "", json_pack("{s:I}", "by_ms", (json_int_t)by), e);
}

int engine_tick(struct engine *en, int64_t *wake_at, struct err *e)
{
	*wake_at = FAR;
	if (store_has_moved(en->store))
		return err_set(e, ERR_DAMAGED, "the journal %s is not in its place: the file was moved or removed: nothing is sent to AWS until it is back",
			       store_path(en->store));
	if (run_catch_up(en->run, en->store, e))
		return -1;
	if (engine_still_ours(en, e))
		return -1;
	lease_listen(&en->lease, en->run->seq, en->run->state != RUN_BACK);
	if (en->stop && *en->stop)
		cancel_raise(&en->lease.cancel, CANCEL_STOP);
	if (engine_renew(en, e) || note_skew(en, e) || engine_resolve(en, e) || answer_wish(en, e))
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

/* Waits until wake_at, or until somebody else has written a line; lets the
 * screen live meanwhile. By the clock that never jumps: one set back by an hour
 * must not stop the watch for an hour. */
static int nap(struct engine *en, int64_t until, engine_see_fn *see, void *ctx, const volatile int *stop,
	       struct err *e)
{
	int64_t end = clock_mono(en->clock) + until - engine_now(en), left, last = en->run->seq;

	while ((left = end - clock_mono(en->clock)) > 0 && last == en->run->seq && !(stop && *stop)) {
		clock_sleep(en->clock, left < en->nap_ms ? left : en->nap_ms);
		store_watch_clear(en->store);
		lease_progress(&en->lease);
		if (store_last(en->store, en->run->id, &last, e))
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
	return (e->kind == ERR_MOVED || e->kind == ERR_CANCELLED) && !run_catch_up(en->run, en->store, e) && !engine_still_ours(en, e);
}

#define OUTCRY_MS 120000 /* as long as back.c waits with a call that stands in the journal */

/* No line can be written, so nothing can be sent: not even the way back. A
 * person hears of it all the same, once, while green may have users. */
static void cry_out(struct engine *en, const struct err *why)
{
	int64_t now = clock_mono(en->clock);

	if (!en->mute_since)
		en->mute_since = now;
	if (now - en->mute_since < OUTCRY_MS || en->cried || !run_may_carry_green(en->run))
		return;
	en->cried = true;
	engine_call_program(en, why->msg);
}

/* Followers see what the step waits for, too. Not in the journal: it changes all the time. */
static void tell_followers(struct engine *en, int64_t wake_at)
{
	const struct step *cur = run_current(en->run);
	struct store_said now = { .next = wake_at, .at = engine_now(en) };
	struct err ignored = { 0 }; /* it is told again */
	bool moved;

	snprintf(now.holder, sizeof now.holder, "%s", en->holder);
	snprintf(now.step, sizeof now.step, "%s", en->run->state == RUN_FORWARD && cur ? cur->id : "");
	snprintf(now.text, sizeof now.text, "%s", en->saying);
	moved = !en->told_at || strcmp(now.step, en->told.step);
	if (en->simulated || (!moved && (!strcmp(now.text, en->told.text) || clock_mono(en->clock) - en->told_at < ENGINE_BEAT_MS)))
		return;
	store_say(en->store, en->run->id, &now, &ignored);
	en->told = now;
	en->told_at = clock_mono(en->clock);
}

static int tick_and_nap(struct engine *en, engine_see_fn *see, void *ctx, const volatile int *stop, struct err *e)
{
	int64_t wake_at;
	int rc = engine_tick(en, &wake_at, e);

	if (rc && order_came_first(en, e))
		return 0;
	if (rescue_takes(en, rc, e))
		return 0;
	if (rc && ends_driving(e))
		return -1;
	if (rc) { /* a journal that cannot be written, mostly: nothing is sent until it can */
		snprintf(en->saying, sizeof en->saying, "%s", e->msg);
		wake_at = engine_now(en) + 1000;
		cry_out(en, e);
	} else {
		en->mute_since = 0;
		en->cried = false;
		tell_followers(en, wake_at);
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

void engine_cancel(struct engine *en)
{
	cancel_raise(&en->lease.cancel, CANCEL_STOP);
}

void engine_set_nap(struct engine *en, int64_t ms)
{
	en->nap_ms = ms;
}

#include "engine/engine.h"

#include "aws/cred.h"
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

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

/* --- driving ------------------------------------------------------------------------- */

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

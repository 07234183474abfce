/* engine/tick.c - what can be done now, without sleeping: look at the journal, at
 * the world, then one tick forward or back. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

#define FAR ((int64_t)1 << 62)
#define IDLE_MS 30000

static int answer_wish(struct engine *en, struct err *e)
{
	const struct run *r = en->run;
	bool retry = r->wish == ORDER_RETRY;
	json_t *body;

	if (!r->wish)
		return 0;
	if (!retry && r->one_way && r->state != RUN_FORWARD)
		return engine_append(en, EVENT_TROUBLE, "", json_pack("{s:s, s:s}", "why", "rollback was ordered, but a one-way step has begun: the way back is closed",
								  "by", r->wish_by), e);
	en->called = false;
	if (r->state == RUN_FORWARD)
		return forward_ordered_back(en, e);
	body = json_pack("{s:o, s:s}", "why", json_text(r->wish_why[0] ? r->wish_why : "ordered"), "by", r->wish_by);
	return engine_append(en, retry ? EVENT_ATTEMPT : EVENT_BACK, "", body, e);
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

#define CLOCK_APART_MS 60000 /* the claim and the line before it: more may be a clock that is wrong */

/* Who takes a run over compares its own clock with times of another's before it
 * has heard anything of AWS: when they are far apart, one read puts it right, or
 * deadlines would pass that have not. Not knowing is no reason to wait. */
static void ask_the_time(struct engine *en)
{
	int64_t apart = en->run->clock_apart;
	autorule struct elb_rule rule = { 0 };
	struct err ignored = { 0 };

	if (en->timed)
		return;
	en->timed = true;
	if (apart > CLOCK_APART_MS || apart < -CLOCK_APART_MS)
		elb_rule_get(en->aws, en->run->plan->rule, &rule, &ignored);
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
	return engine_append(en, EVENT_CLOCK, "", json_pack("{s:I}", "by_ms", (json_int_t)by), e);
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
	ask_the_time(en);
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

/* engine/back.c - one tick back: traffic, proof, everything else, in that order.
 *
 * Nothing is destroyed before green is proved free of requests. What cannot be
 * cleaned up is said and left; that does not make "rolled back" untrue, which
 * speaks of traffic only. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

#define RETRY_MS 2000
#define CALL_AFTER_MS (2 * 60000LL)      /* a person hears of traffic that does not come back */
#define PROOF_CALL_MS (10 * 60000LL)     /* proof takes minutes by itself: CloudWatch is late */
#define FREEZE_AFTER_MS (15 * 60000LL)   /* and it is left to that person after this */
#define OUTAGE_MS (6 * 3600000LL)        /* but an AWS that does not answer is asked for this long */

static void sooner(int64_t *wake_at, int64_t at)
{
	if (at < *wake_at)
		*wake_at = at;
}

/* Retried until the deadline whatever the error: on the way back even a refusal
 * may be a credential that is renewed in a minute. */
static int held_up(struct engine *en, const char *why, int64_t since, int64_t call, int64_t limit, int64_t *wake_at,
		   struct err *e)
{
	int64_t age = engine_now(en) - since;

	if (age < 0) /* of another clock than ours: what this process has waited itself counts */
		age = clock_mono(en->clock) - en->back_from;
	snprintf(en->saying, sizeof en->saying, "%s", why);
	if (age >= limit) {
		if (engine_call(en, why, e))
			return -1;
		return engine_append(en, EVENT_FROZEN, "", json_pack("{s:o}", "why", json_text(why)), e);
	}
	if (age >= call && !en->called && engine_call(en, why, e))
		return -1;
	sooner(wake_at, engine_now(en) + RETRY_MS);
	return 0;
}

/* Not ours any more, or no line can be written. A gate that says "read again"
 * is not among them: it holds the way back up like anything else. */
static bool must_stop(const struct err *e)
{
	return e->kind == ERR_LOST || e->kind == ERR_STORE;
}

/* Somebody fights us: stop at once, say who has the wheel. */
static int fought(struct engine *en, const struct err *why, struct err *e)
{
	if (engine_call(en, why->msg, e))
		return -1;
	return engine_append(en, EVENT_FROZEN, "", json_pack("{s:o}", "why", json_text(why->msg)), e);
}

/* 1: traffic is on blue as far as AWS says; 0: not yet; -1: error. */
static int bring_traffic_back(struct engine *en, int64_t *wake_at, struct err *e)
{
	struct err trouble = { 0 };
	enum step_verdict v;

	if (!en->green[0] && !en->run->traffic.known && !en->run->traffic.writing)
		return 1;
	aws_set_lane(en->aws, AWS_LANE_ROLLBACK);
	v = traffic_back(en, &trouble);
	aws_set_lane(en->aws, AWS_LANE_NORMAL);
	if (v == STEP_DONE)
		return 1;
	if (v == STEP_FAIL && must_stop(&trouble)) {
		*e = trouble;
		return -1;
	}
	if (v == STEP_FAIL && trouble.kind == ERR_GATE && en->run->traffic.foreign)
		return fought(en, &trouble, e);
	if (v == STEP_FAIL && err_ends_tick(&trouble)) /* the next tick may write at once */
		sooner(wake_at, engine_now(en));
	return held_up(en, v == STEP_FAIL ? trouble.msg : "looking again at the weights", en->run->state_since,
		       CALL_AFTER_MS, v == STEP_FAIL && err_retryable(&trouble) ? OUTAGE_MS : FREEZE_AFTER_MS, wake_at, e);
}

/* The time for proof begins when the rule is on blue: what held that up before
 * is told apart. Time to put the rule back begins with the proof. */
static int64_t taken_since(const struct engine *en)
{
	const struct run *r = en->run;
	int64_t since = r->state_since > r->traffic.since ? r->state_since : r->traffic.since;

	return r->proved > since ? r->proved : since;
}

static int prove(struct engine *en, int64_t *wake_at, struct err *e)
{
	char saying[240] = "";
	struct err trouble = { 0 };
	enum step_verdict v = proof_of_blue(en, en->settled, saying, sizeof saying, &trouble);

	if (v == STEP_DONE)
		return 1;
	if (v == STEP_FAIL && must_stop(&trouble)) {
		*e = trouble;
		return -1;
	}
	if (v == STEP_FAIL)
		snprintf(saying, sizeof saying, "cannot prove that green is free of requests: %.180s", trouble.msg);
	return held_up(en, saying, taken_since(en), PROOF_CALL_MS, FREEZE_AFTER_MS, wake_at, e);
}

static int restore(struct engine *en, int64_t *wake_at, struct err *e)
{
	struct err trouble = { 0 };
	enum step_verdict v = traffic_restore(en, &trouble);

	if (v == STEP_DONE)
		return 1;
	if (v == STEP_FAIL && must_stop(&trouble)) {
		*e = trouble;
		return -1;
	}
	return held_up(en, v == STEP_FAIL ? trouble.msg : "putting the rule back as it was", taken_since(en),
		       PROOF_CALL_MS, FREEZE_AFTER_MS, wake_at, e);
}

/* --- everything else ---------------------------------------------------------------- */

static int undone(struct engine *en, const struct step *s, const char *left, struct err *e)
{
	json_t *body = left ? json_pack("{s:o}", "left", json_text(left)) : NULL;

	return engine_append(en, EVENT_UNDONE, s->id, body, e) ? -1 : 1;
}

static bool is_late(struct engine *en, const struct step *s)
{
	return engine_now(en) - en->run->state_since > s->timeout_ms + FREEZE_AFTER_MS;
}

static int undo_verdict(struct engine *en, struct step_run *r, enum step_verdict v, const struct err *trouble,
			int64_t *wake_at, struct err *e)
{
	bool waits = v == STEP_WAIT || (v == STEP_FAIL && err_retryable(trouble));

	if (v == STEP_DONE)
		return undone(en, r->step, NULL, e);
	if (v == STEP_FAIL && must_stop(trouble)) {
		*e = *trouble;
		return -1;
	}
	if (!waits || is_late(en, r->step))
		return undone(en, r->step, v == STEP_FAIL ? trouble->msg : r->saying, e);
	snprintf(en->saying, sizeof en->saying, "%s", v == STEP_FAIL ? trouble->msg : r->saying);
	sooner(wake_at, r->wake_at ? r->wake_at : r->now + RETRY_MS);
	return 0;
}

static int undo_step(struct engine *en, size_t i, int64_t *wake_at, struct err *e)
{
	const struct step *s = &en->run->plan->steps[i];
	autojson json_t *params = NULL;
	struct err trouble = { 0 };
	struct step_run r;
	enum step_verdict v;
	int rc;

	if (!s->kind->undo)
		return undone(en, s, s->kind->flags & STEP_ONE_WAY ? "cannot be undone" : NULL, e);
	if (service_open(en, i, &r, &params, &trouble))
		return undone(en, s, trouble.msg, e);
	v = s->kind->undo(&r, &trouble);
	rc = undo_verdict(en, &r, v, &trouble, wake_at, e);
	service_close(&r);
	return rc;
}

static int undo_rest(struct engine *en, int64_t *wake_at, struct err *e)
{
	int rc = 1;

	for (size_t i = en->run->plan->nsteps; rc == 1 && i-- > 0;) {
		enum step_state st = en->run->step[i].state;

		if (st == STEP_IS_DOING || st == STEP_IS_DONE)
			rc = undo_step(en, i, wake_at, e);
	}
	return rc;
}

int back_tick(struct engine *en, int64_t *wake_at, struct err *e)
{
	static int (*const phases[])(struct engine *, int64_t *, struct err *) = {
		bring_traffic_back, prove, restore, undo_rest,
	};
	struct err trouble = { 0 };
	char traffic[240];

	if (engine_resolve(en, e))
		return -1;
	if (en->back_of != en->run->state_seq) {
		en->back_of = en->run->state_seq;
		en->back_from = clock_mono(en->clock);
	}
	/* Before the rule is read: what lands between a read and the end of the wait
	 * would be seen by nobody. */
	en->settled = proof_nothing_is_late(en);
	for (size_t i = 0; i < COUNT(phases); i++) {
		int rc = phases[i](en, wake_at, e);

		if (rc != 1)
			return rc;
	}
	if (deadman_disarm(en, &trouble)) { /* harmless: it carries the weights that are set now */
		if (must_stop(&trouble)) {
			*e = trouble;
			return -1;
		}
		if (engine_append(en, EVENT_TROUBLE, "", json_pack("{s:o}", "what", json_text(trouble.msg)), e))
			return -1;
	}
	run_say_back(en->run, traffic);
	return engine_append(en, EVENT_ROLLED_BACK, "", json_pack("{s:s, s:s, s:s}", "why", en->run->why, "by", en->run->by,
							      "traffic", traffic), e);
}

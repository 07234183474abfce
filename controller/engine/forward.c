/* engine/forward.c - one tick towards promotion. There is no recovery code:
 * starting at the first step that is not done *is* recovery. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

#define RETRY_MS 5000

/* Green may have weight that this run did not give it: an earlier one's, or somebody else's. */
static bool forward_finds_green(const struct run *r)
{
	return run_may_carry_green(r) || (r->traffic.seen && r->traffic.seen_green > 0);
}

/* What the end of an attempt is called. Where nothing was touched there is
 * nothing to take back, and nothing that could be proved; but who orders the way
 * back means the traffic, whoever gave it to green. Behind a one-way door only a
 * person can decide. */
static enum event_kind forward_end(const struct run *r, bool ordered)
{
	if (r->one_way)
		return EVENT_FROZEN;
	if (r->touched || (ordered ? forward_finds_green(r) : run_may_carry_green(r)))
		return EVENT_BACK;
	return ordered ? EVENT_STOPPED : EVENT_REFUSED;
}

/* by NULL: nobody ordered it. */
static int forward_over(struct engine *en, enum event_kind kind, const char *why, const char *by, struct err *e)
{
	json_t *body = json_pack("{s:o}", "why", json_text(why));

	if (by)
		json_object_set_new(body, "by", json_text(by));
	if (kind == EVENT_FROZEN && engine_call(en, why, e)) {
		json_decref(body);
		return -1;
	}
	return engine_append(en, kind, "", body, e);
}

int forward_give_up(struct engine *en, const char *why, struct err *e)
{
	return forward_over(en, forward_end(en->run, false), why, NULL, e);
}

int forward_ordered_back(struct engine *en, struct err *e)
{
	const struct run *r = en->run;
	enum event_kind kind = forward_end(r, true);
	const char *reason = r->wish_why[0] ? r->wish_why : "ordered";
	char seen[120], why[480], by[96];

	run_say_seen(r, seen);
	snprintf(by, sizeof by, "%s", r->wish_by);
	snprintf(why, sizeof why, "%s", reason);
	if (kind == EVENT_STOPPED)
		snprintf(why, sizeof why, "stopped before anything was changed; %s: %s", seen, reason);
	if (kind == EVENT_FROZEN)
		snprintf(why, sizeof why, "rollback was ordered, but a one-way step has begun: the way back is closed");
	return forward_over(en, kind, why, by, e);
}

static int step_failed(struct engine *en, const struct step *s, const struct err *why, struct err *e)
{
	char text[sizeof why->msg + 128];
	json_t *body = json_pack("{s:s, s:o}", "kind", err_kind_name(why->kind), "error", json_text(why->msg));

	if (engine_append(en, EVENT_FAILED, s->id, body, e))
		return -1;
	snprintf(text, sizeof text, "step %s (%s): %s", s->id, s->kind->name, why->msg);
	return forward_give_up(en, text, e);
}

static bool is_late(struct engine *en, size_t i)
{
	const struct step *s = &en->run->plan->steps[i];

	return !en->run->paused && engine_now(en) - en->run->step[i].since > s->timeout_ms;
}

/* WAIT, and what may be asked again, until the step's own time is up. */
static int still_waiting(struct engine *en, size_t i, const struct step_run *r, const struct err *trouble,
			 int64_t *wake_at, struct err *e)
{
	const struct step *s = &en->run->plan->steps[i];
	int64_t wake = r->wake_at ? r->wake_at : r->now + (trouble ? RETRY_MS : en->run->plan->watch.poll_ms);
	int64_t limit = en->run->step[i].since + s->timeout_ms + 1;
	struct err late;

	snprintf(en->saying, sizeof en->saying, "%s", trouble ? trouble->msg : r->saying);
	if (is_late(en, i)) {
		err_set(&late, ERR_GATE, "took longer than its timeout of %lld s; the last thing it waited for: %.300s",
			(long long)(s->timeout_ms / 1000), en->saying);
		return step_failed(en, s, &late, e);
	}
	wake = wake < limit ? wake : limit;
	*wake_at = wake < *wake_at ? wake : *wake_at;
	return 0;
}

static int step_done(struct engine *en, const struct step_run *r, struct err *e)
{
	return engine_append(en, EVENT_DONE, r->step->id, json_pack("{s:O}", "outputs", r->out), e);
}

/* Nothing of a step is done while what it rests on is in doubt. */
static enum step_verdict advance_if_it_holds(struct step_run *r, struct err *e)
{
	enum step_verdict v = holds_lately(r, e);

	return v == STEP_DONE ? r->step->kind->advance(r, e) : v;
}

/* 1: done, go on with the next; 0: come back later or the attempt ended; -1: error. */
static int advance_step(struct engine *en, size_t i, int64_t *wake_at, struct err *e)
{
	autojson json_t *params = NULL;
	struct err trouble = { 0 };
	struct step_run r;
	enum step_verdict v;
	int rc;

	if (service_open(en, i, &r, &params, &trouble))
		return step_failed(en, &en->run->plan->steps[i], &trouble, e);
	v = advance_if_it_holds(&r, &trouble);
	if (v == STEP_DONE)
		rc = step_done(en, &r, e) ? -1 : 1;
	else if (v == STEP_WAIT)
		rc = still_waiting(en, i, &r, NULL, wake_at, e);
	else if (err_ends_tick(&trouble))
		*e = trouble, rc = -1;
	else if (err_retryable(&trouble))
		rc = still_waiting(en, i, &r, &trouble, wake_at, e);
	else
		rc = step_failed(en, en->broken ? en->broken : r.step, &trouble, e);
	service_close(&r);
	return rc;
}

static int begin_step(struct engine *en, size_t i, struct err *e)
{
	if (en->run->step[i].state != STEP_IS_TODO)
		return 0;
	en->held = HOLDS_UNKNOWN;
	return engine_append(en, EVENT_BEGIN, en->run->plan->steps[i].id,
			     json_pack("{s:i}", "attempt", en->run->attempt), e);
}

static bool over_deadline(struct engine *en)
{
	const struct plan *p = en->run->plan;

	return p->deadline_ms && engine_now(en) - en->run->state_since > p->deadline_ms;
}

/* A pause holds everything that has not begun; what has begun is looked after. */
static bool holds_here(struct engine *en, size_t i)
{
	if (!en->run->paused || en->run->step[i].state != STEP_IS_TODO)
		return false;
	snprintf(en->saying, sizeof en->saying, "paused before step %s: `cutover resume` goes on",
		 en->run->plan->steps[i].id);
	return true;
}

int forward_tick(struct engine *en, int64_t *wake_at, struct err *e)
{
	int rc = 1;

	if (over_deadline(en))
		return forward_give_up(en, "the plan's deadline has passed", e);
	while (rc == 1 && en->run->state == RUN_FORWARD) {
		size_t i = run_current_index(en->run);

		if (i == en->run->plan->nsteps)
			return deadman_disarm(en, e) ? -1 : engine_append(en, EVENT_PROMOTED, "", NULL, e);
		if (holds_here(en, i))
			return 0;
		rc = begin_step(en, i, e) ? -1 : advance_step(en, i, wake_at, e);
		if (rc == 1)
			en->saying[0] = '\0';
	}
	return rc < 0 ? -1 : 0;
}

/* engine/watch.c - never sleeps while green has weight.
 *
 * Each look gathers evidence (evidence.c): the rule's real weights, closed
 * CloudWatch periods of both colours, target health, alarms by name. The guarded
 * rules and the sequential judge (mind.c) turn it into one verdict, and that
 * into what is done. */
#include "engine/internal.h"

#include "judge/opinion.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int read_weights(struct engine *en, struct err *e)
{
	autorule struct elb_rule rule = { 0 };
	struct err trouble = { 0 };
	struct weights w;
	enum traffic_owner whose;

	if (!traffic_read(en, &rule, &w, &trouble))
		return traffic_check(en, &w, &whose, e);
	evidence_missing(&en->watch, SOURCE_WEIGHTS, &trouble);
	return 0;
}

/* --- the verdict ------------------------------------------------------------------------ */

/* First index of the window that begins at `at` or later. */
static size_t index_at(const struct evidence *ev, int64_t at)
{
	size_t i = at <= ev->start ? 0 : (size_t)((at - ev->start) / ev->period_ms);

	return i < ev->n ? i : ev->n;
}

static void frame_raises(const struct run_traffic *t, struct evidence *ev)
{
	ev->raises = 0;
	for (size_t i = 0; i < t->raises; i++)
		if (t->raise[i] >= ev->start)
			ev->raise_at[ev->raises++] = index_at(ev, t->raise[i]);
}

static void frame(struct engine *en)
{
	struct run_traffic *t = &en->run->traffic;
	struct evidence *ev = &en->watch.ev;
	struct weights left = { t->left_blue, t->left_green };
	int64_t settled = t->since + ev->period_ms, behind;

	settled = evidence_align(settled + ev->period_ms - 1, ev->period_ms);
	ev->green_permille = traffic_permille(&left);
	ev->green_from = 0;
	ev->stage_from = index_at(ev, settled);
	behind = (ev->start + (int64_t)ev->n * ev->period_ms - en->watch.read_until) / ev->period_ms;
	ev->behind = behind > 0 ? (size_t)behind : 0;
	frame_raises(t, ev);
	mind_past(en, ev);
}

static json_t *rate_json(const struct verdict *v, int colour)
{
	return json_pack("[f,f,f]", v->error_rate[colour].rate, v->error_rate[colour].low, v->error_rate[colour].high);
}

/* JSON has no infinity. */
static double finite_of(double v) { return v >= -1e15 ? fmin(v, 1e15) : -1e15; }

/* Evidence so far, the limit, and [rate, low, high] of both colours' errors. */
static json_t *evidence_json(const struct verdict *v)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:o, s:o}", "log_e", finite_of(v->log_e), "limit", v->log_limit, "excess",
			 v->excess, "need", v->need, "blue", rate_json(v, JUDGE_BLUE), "green", rate_json(v, JUDGE_GREEN));
}

/* {"metrics": "reading metrics: ..."}; NULL: all was read. */
static json_t *missing_json(const struct evidence *ev)
{
	json_t *o = NULL;

	for (enum judge_source s = 0; s < JUDGE_SOURCES; s++) {
		if (!ev->missing[s][0])
			continue;
		o = o ? o : json_object();
		json_object_set_new(o, judge_source_name(s), json_line(ev->missing[s]));
	}
	return o;
}

static json_t *verdict_json(struct engine *en, const struct verdict *v, const json_t *asked)
{
	const struct evidence *ev = &en->watch.ev;
	json_t *missing = missing_json(ev);
	json_t *b = json_pack("{s:s, s:s, s:o, s:i, s:I, s:{s:f, s:f, s:f, s:i, s:i}, s:{s:f, s:f, s:f, s:i, s:i}}",
			      "verdict", verdict_name(v->kind), "rule", v->rule, "why", json_text(v->why),
			      "permille", ev->green_permille, "periods", (json_int_t)ev->n,
			      "green", "requests", v->green_requests, "errors", v->green_errors,
			      "latency_ms", v->green_latency_ms, "healthy", ev->green_healthy, "targets", ev->green_total,
			      "blue", "requests", v->blue_requests, "errors", v->blue_errors,
			      "latency_ms", v->blue_latency_ms, "healthy", ev->blue_healthy, "targets", ev->blue_total);

	if (!b)
		abort();
	if (v->judged)
		json_object_set_new(b, "evidence", evidence_json(v));
	if (asked)
		json_object_set(b, "look", (json_t *)asked);
	if (missing)
		json_object_set_new(b, "missing", missing);
	return b;
}

/* A line for each question the judge was asked; without a judge, for each
 * period; and when what could not be read, or why, is another. */
static bool is_news(const struct watch *w, const struct verdict *v, const json_t *asked)
{
	int64_t end = w->ev.start + (int64_t)w->ev.n * w->ev.period_ms;

	return !w->have || asked || v->kind != w->verdict.kind || strcmp(v->rule, w->verdict.rule) ||
	       memcmp(w->missing, w->told, sizeof w->told) ||
	       (!v->judged && end != w->recorded);
}

static int record(struct engine *en, const struct verdict *v, const json_t *asked, struct err *e)
{
	struct watch *w = &en->watch;
	bool news = is_news(w, v, asked);

	if (news && engine_append(en, EVENT_VERDICT, "", verdict_json(en, v, asked), e)) {
		mind_written(en, false);
		return -1;
	}
	if (news)
		mind_written(en, true);
	memcpy(w->told, w->missing, sizeof w->told);
	w->recorded = w->ev.start + (int64_t)w->ev.n * w->ev.period_ms;
	w->verdict = *v;
	w->have = true;
	w->looked = engine_now(en);
	return 0;
}

/* What goes on without green's being at fault, or without our doing, is told a
 * person once while it lasts. */
static int call_if_needed(struct engine *en, struct err *e)
{
	const struct verdict *v = &en->watch.verdict;
	const struct run_traffic *t = &en->run->traffic;
	const char *rule = strncmp(v->rule, "both-", 5) ? "" : v->rule;
	bool news = strcmp(rule, en->called_for) != 0;
	char why[160];

	snprintf(en->called_for, sizeof en->called_for, "%s", rule);
	if (news && *rule && engine_call(en, v->why, e))
		return -1;
	if (!t->foreign || t->foreign == en->called_foreign)
		return 0;
	en->called_foreign = t->foreign;
	snprintf(why, sizeof why, "somebody else set the weights to blue %d, green %d: `cutover resume` sets ours again, "
		 "`cutover rollback` goes back", t->foreign_blue, t->foreign_green);
	return engine_call(en, why, e);
}

static int act(struct engine *en, struct err *e)
{
	const struct plan_watch *pw = &en->run->plan->watch;
	const struct run_traffic *t = &en->run->traffic;
	int64_t now = engine_now(en);
	char why[400];

	if (en->watch.verdict.kind == VERDICT_BAD) {
		snprintf(why, sizeof why, "%s: %.300s", en->watch.verdict.rule, en->watch.verdict.why);
		return forward_give_up(en, why, e);
	}
	if (en->run->blind_since && now - en->run->blind_since >= pw->blind_after_ms) {
		snprintf(why, sizeof why, "blind for too long: %.300s", en->watch.verdict.why);
		return forward_give_up(en, why, e);
	}
	if (t->foreign && t->foreign_green <= 0)
		return forward_give_up(en, "somebody else took all traffic off green", e);
	if (t->foreign && now - t->foreign >= pw->foreign_grace_ms) {
		snprintf(why, sizeof why, "somebody else set the weights to blue %d, green %d (this run had left %d and %d), "
			 "and nobody said resume", t->foreign_blue, t->foreign_green, t->left_blue, t->left_green);
		return forward_give_up(en, why, e);
	}
	return 0;
}

static void gather(struct engine *en)
{
	struct evidence *ev = &en->watch.ev;
	struct err trouble = { 0 };

	if (evidence_read(en, &trouble)) /* is evidence too: `behind` grows, and the verdict says why */
		evidence_missing(&en->watch, SOURCE_METRICS, &trouble);
	evidence_health(en, SOURCE_GREEN_HEALTH, en->green, &ev->green_healthy, &ev->green_total);
	evidence_health(en, SOURCE_BLUE_HEALTH, en->blue, &ev->blue_healthy, &ev->blue_total);
	evidence_alarms(en);
	frame(en);
}

/* From here on nothing may fail before the line is written: the judge is asked. */
static int form(struct engine *en, struct err *e)
{
	const struct plan_watch *pw = &en->run->plan->watch;
	autojson json_t *asked = mind_ask(en);
	struct opinion o;
	struct verdict v;

	mind_opinion(en, &o);
	opinion_form(&en->watch.ev, &pw->limits, pw->sequential ? &o : NULL, &v);
	return record(en, &v, asked, e);
}

static int look(struct engine *en, struct err *e)
{
	const struct plan_watch *pw = &en->run->plan->watch;
	struct watch *w = &en->watch;
	int64_t closed = evidence_align(engine_now(en) - plan_watch_lag_ms(pw), pw->period_ms);
	int64_t raised = en->run->traffic.raised;

	evidence_window(w, raised ? raised : engine_now(en), pw->period_ms, closed);
	memset(w->ev.missing, 0, sizeof w->ev.missing);
	memset(w->missing, 0, sizeof w->missing);
	if (read_weights(en, e) || mind_prepare(en, e))
		return -1;
	gather(en);
	if (engine_is_urged(en)) /* what was given up for that is not blindness; the next tick sees what it is */
		return err_set(e, ERR_CANCELLED, "something urgent came before this look was over");
	return form(en, e) || call_if_needed(en, e) ? -1 : act(en, e);
}

void watch_shift(struct watch *w, int64_t by)
{
	int64_t *const times[] = { &w->next, &w->looked, &w->probe_at };

	for (size_t i = 0; i < COUNT(times); i++)
		if (*times[i])
			*times[i] += by;
}

int watch_tick(struct engine *en, int64_t *wake_at, struct err *e)
{
	struct watch *w = &en->watch;
	int64_t now = engine_now(en);

	if (!run_may_carry_green(en->run) || !en->green[0]) {
		w->have = false;
		w->next = 0;
		return 0;
	}
	if (now >= w->next) {
		w->next = now + en->run->plan->watch.poll_ms;
		if (look(en, e) || deadman_rearm_if_due(en, e))
			return -1;
	}
	if (w->next < *wake_at)
		*wake_at = w->next;
	probes_tick(en, wake_at);
	return 0;
}

/* engine/watch.c - never sleeps while green has weight.
 *
 * Each look gathers evidence: the rule's real weights, closed CloudWatch
 * periods of both colours (the last few are read again, since late points are
 * revised), target health, alarms by name. The judge turns it into a verdict;
 * a look that fails is evidence too: of not knowing. */
#include "engine/internal.h"

#include "aws/cloudwatch.h"

#include <stdio.h>
#include <string.h>

#define REREAD 5 /* closed periods read again at each look: CloudWatch revises late points */
enum { REQUESTS, ERRORS, CONNECTION_ERRORS, LATENCY, METRICS, SERIES = 2 * METRICS };

int64_t watch_lag_ms(const struct plan_watch *w)
{
	return w->lag_ms > 0 ? w->lag_ms : 2 * w->period_ms;
}

static int64_t align(int64_t t, int64_t step) { return t / step * step; }

/* --- the window of closed periods -------------------------------------------------- */

static void window_move(struct evidence *ev, int64_t start)
{
	size_t gone = start > ev->start ? (size_t)((start - ev->start) / ev->period_ms) : 0;

	if (!gone)
		return;
	gone = gone < ev->n ? gone : ev->n;
	memmove(ev->blue, ev->blue + gone, (ev->n - gone) * sizeof *ev->blue);
	memmove(ev->green, ev->green + gone, (ev->n - gone) * sizeof *ev->green);
	ev->n -= gone;
	ev->start = start;
}

/* Makes the window reach from the first green weight (at most JUDGE_PERIODS back) to `end`. */
static void window_set(struct watch *w, int64_t raised, int64_t period, int64_t end)
{
	struct evidence *ev = &w->ev;
	int64_t start = align(raised, period), oldest = end - JUDGE_PERIODS * period;

	start = start > oldest ? start : oldest;
	if (ev->period_ms != period || start < ev->start || !ev->start) {
		memset(ev, 0, sizeof *ev);
		ev->period_ms = period;
		ev->start = start;
		w->read_until = start;
	}
	window_move(ev, start);
	while (ev->start + (int64_t)ev->n * period < end) {
		ev->blue[ev->n] = ev->green[ev->n] = (struct sample){ .latency_ms = -1 };
		ev->n++;
	}
}

static double value_at(const struct cw_series *s, int64_t at, bool *there)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->points[i].at == at) {
			*there = true;
			return s->points[i].value;
		}
	*there = false;
	return 0;
}

static void take_sample(struct sample *out, const struct cw_series *s, int64_t at)
{
	bool there;

	out->requests = value_at(&s[REQUESTS], at, &out->seen);
	out->errors = value_at(&s[ERRORS], at, &there) + value_at(&s[CONNECTION_ERRORS], at, &there);
	if (out->errors > out->requests)
		out->errors = out->requests;
	out->latency_ms = 1000 * value_at(&s[LATENCY], at, &there);
	if (!there)
		out->latency_ms = -1;
}

static void take_series(struct evidence *ev, const struct cw_series *s, int64_t from, int64_t to)
{
	for (int64_t t = from; t < to; t += ev->period_ms) {
		size_t i = (size_t)((t - ev->start) / ev->period_ms);

		take_sample(&ev->blue[i], s, t);
		take_sample(&ev->green[i], s + METRICS, t);
	}
}

static int queries(struct engine *en, struct cw_query q[SERIES], char dim[3][128], struct err *e)
{
	const char *stat = en->run->plan->watch.latency_stat;
	const char *metric[METRICS] = { "RequestCount", "HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount",
					"TargetResponseTime" };

	if (elb_group_dimension(en->blue, dim[0], 128, e) || elb_group_dimension(en->green, dim[1], 128, e) ||
	    elb_balancer_dimension(en->run->plan->rule, dim[2], 128, e))
		return -1;
	for (int i = 0; i < SERIES; i++)
		q[i] = (struct cw_query){ "AWS/ApplicationELB", metric[i % METRICS],
					  i % METRICS == LATENCY ? stat : "Sum", dim[i / METRICS], dim[2] };
	return 0;
}

static bool all_complete(const struct cw_series *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!s[i].complete)
			return false;
	return true;
}

/* Reads the closed periods not read yet, and the last few again. Partial
 * answers leave read_until where it is: those periods stay unknown. */
static int read_metrics(struct engine *en, struct err *e)
{
	struct watch *w = &en->watch;
	int64_t period = w->ev.period_ms, end = w->ev.start + (int64_t)w->ev.n * period;
	int64_t from = w->read_until - REREAD * period;
	struct cw_series s[SERIES];
	struct cw_query q[SERIES];
	char dim[3][128];

	from = from > w->ev.start ? from : w->ev.start;
	if (from >= end)
		return 0;
	if (queries(en, q, dim, e) || cw_get(en->aws, q, SERIES, from, end, (int)(period / 1000), s, e))
		return -1;
	if (all_complete(s, SERIES)) {
		take_series(&w->ev, s, from, end);
		w->read_until = end;
	}
	cw_series_free(s, SERIES);
	return 0;
}

/* --- the other eyes ------------------------------------------------------------------- */

static void cannot_see(struct evidence *ev, const char *what, const struct err *e)
{
	ev->unknown = true;
	snprintf(ev->unknown_why, sizeof ev->unknown_why, "%.40s could not be read: %.90s", what, e->msg);
}

static void read_health(struct engine *en, const char *group, int *healthy, int *total)
{
	struct elb_health h;
	struct err e = { 0 };

	*healthy = *total = -1;
	if (elb_health(en->aws, group, &h, &e))
		return;
	*healthy = h.healthy;
	*total = h.total - h.draining;
}

static void judge_alarm(struct evidence *ev, const struct cw_alarm *a)
{
	struct err e = { 0 };

	if (a->state == CW_ALARM && !ev->alarm) {
		ev->alarm = true;
		snprintf(ev->alarm_why, sizeof ev->alarm_why, "alarm %.80s fires: %.150s", a->name, a->reason);
	}
	if (a->evaluation_troubled) {
		err_set(&e, ERR_BUSY, "CloudWatch says its evaluation is in trouble");
		cannot_see(ev, a->name, &e);
	}
}

static bool is_waived(const struct plan_watch *w, const char *name)
{
	size_t i;
	json_t *v;

	json_array_foreach(w->waived, i, v)
		if (!strcmp(json_string_value(v), name))
			return true;
	return false;
}

static void read_alarms(struct engine *en)
{
	const struct plan_watch *w = &en->run->plan->watch;
	struct evidence *ev = &en->watch.ev;
	size_t n = json_array_size(w->alarms);
	autofree const char **names = xcalloc(n, sizeof *names);
	autofree struct cw_alarm *found = xcalloc(n, sizeof *found);
	struct err e = { 0 };

	for (size_t i = 0; i < n; i++)
		names[i] = json_string_value(json_array_get(w->alarms, i));
	ev->alarm = false;
	if (n && cw_alarms(en->aws, names, n, found, &e)) {
		cannot_see(ev, "the alarms", &e);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (!is_waived(w, names[i]))
			judge_alarm(ev, &found[i]);
}

static int read_weights(struct engine *en, struct err *e)
{
	autorule struct elb_rule rule = { 0 };
	struct err trouble = { 0 };
	struct weights w;
	enum traffic_owner whose;

	if (!traffic_read(en, &rule, &w, &trouble))
		return traffic_check(en, &w, &whose, e);
	cannot_see(&en->watch.ev, "the weights", &trouble);
	return 0;
}

/* --- the verdict ------------------------------------------------------------------------ */

static void frame(struct engine *en)
{
	struct run_traffic *t = &en->run->traffic;
	struct evidence *ev = &en->watch.ev;
	struct weights left = { t->left_blue, t->left_green };
	int64_t settled = t->since + ev->period_ms, behind;

	settled = align(settled + ev->period_ms - 1, ev->period_ms);
	ev->green_permille = traffic_permille(&left);
	ev->green_from = 0;
	ev->stage_from = settled <= ev->start ? 0 : (size_t)((settled - ev->start) / ev->period_ms);
	if (ev->stage_from > ev->n)
		ev->stage_from = ev->n;
	behind = (ev->start + (int64_t)ev->n * ev->period_ms - en->watch.read_until) / ev->period_ms;
	ev->behind = behind > 0 ? (size_t)behind : 0;
}

static json_t *verdict_json(struct engine *en, const struct verdict *v)
{
	const struct evidence *ev = &en->watch.ev;
	json_t *b = json_pack("{s:s, s:s, s:o, s:i, s:I, s:{s:f, s:f, s:f, s:i, s:i}, s:{s:f, s:f, s:f, s:i, s:i}}",
			      "verdict", verdict_name(v->kind), "rule", v->rule, "why", json_text(v->why),
			      "permille", ev->green_permille, "periods", (json_int_t)ev->n,
			      "green", "requests", v->green_requests, "errors", v->green_errors,
			      "latency_ms", v->green_latency_ms, "healthy", ev->green_healthy, "targets", ev->green_total,
			      "blue", "requests", v->blue_requests, "errors", v->blue_errors,
			      "latency_ms", v->blue_latency_ms, "healthy", ev->blue_healthy, "targets", ev->blue_total);

	if (!b)
		abort();
	return b;
}

static bool is_news(const struct watch *w, const struct verdict *v)
{
	int64_t end = w->ev.start + (int64_t)w->ev.n * w->ev.period_ms;

	return !w->have || v->kind != w->verdict.kind || strcmp(v->rule, w->verdict.rule) || end != w->recorded;
}

static int record(struct engine *en, const struct verdict *v, struct err *e)
{
	struct watch *w = &en->watch;

	if (is_news(w, v) && engine_append(en, "verdict", "", verdict_json(en, v), e))
		return -1;
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

static int look(struct engine *en, struct err *e)
{
	const struct plan_watch *pw = &en->run->plan->watch;
	struct watch *w = &en->watch;
	int64_t closed = align(engine_now(en) - watch_lag_ms(pw), pw->period_ms);
	int64_t raised = en->run->traffic.raised;
	struct verdict v;
	struct err ignored = { 0 };

	window_set(w, raised ? raised : engine_now(en), pw->period_ms, closed);
	w->ev.unknown = false;
	if (read_weights(en, e))
		return -1;
	(void)read_metrics(en, &ignored); /* a failed read is evidence too: `behind` grows */
	read_health(en, en->green, &w->ev.green_healthy, &w->ev.green_total);
	read_health(en, en->blue, &w->ev.blue_healthy, &w->ev.blue_total);
	read_alarms(en);
	frame(en);
	judge_guard(&w->ev, &pw->limits, &v);
	return record(en, &v, e) || call_if_needed(en, e) ? -1 : act(en, e);
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
	return 0;
}

/* engine/evidence.c - what can be seen of both colours.
 *
 * Closed CloudWatch periods, the last few again and again, since late points
 * are revised; target health; alarms by name. A look that fails is evidence
 * too: of not knowing. Blue's past: past.c. */
#include "engine/internal.h"

#include "aws/cloudwatch.h"
#include "base/text.h"
#include "engine/period.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REREAD 5       /* closed periods read again at each look: CloudWatch revises late points */
#define RECENT 3       /* closed periods in which a contradiction still counts */

/* Per colour: those of enum period_metric, then the plan's own. */
#define METRICS_MOST (PERIOD_METRICS + JUDGE_METRICS - 2)

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
void evidence_window(struct watch *w, int64_t raised, int64_t period, int64_t end)
{
	struct evidence *ev = &w->ev;
	int64_t start = evidence_align(raised, period), oldest = end - JUDGE_PERIODS * period;

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

/* --- asking ----------------------------------------------------------------------------- */

struct reading {
	struct cw_query q[2 * METRICS_MOST];
	struct cw_series s[2 * METRICS_MOST];
	size_t per_colour;       /* series of one colour */
	size_t own_from;         /* the plan's own begin there: slow answers are not counted everywhere */
	char dim[3][128], slow[32], slower[32];
	json_t *own;             /* the plan's metrics, with outputs filled in */
};

static void reading_close(struct reading *r)
{
	cw_series_free(r->s, 2 * r->per_colour);
	json_decref(r->own);
}
#define autoreading __attribute__((cleanup(reading_close)))

static const char *stat_of(const struct plan_watch *w, const struct reading *r, int i)
{
	return i == PERIOD_LATENCY ? w->latency_stat : i == PERIOD_SLOW ? r->slow : i == PERIOD_SLOWER ? r->slower : "Sum";
}

static int queries(struct engine *en, struct reading *r, struct err *e)
{
	const struct plan_watch *w = &en->run->plan->watch;
	size_t n = 0, i;
	json_t *m;

	if (period_dimensions((const char *const[]){ en->blue, en->green }, en->run->plan->rule, r->dim, e))
		return -1;
	r->own = plan_resolve(w->metrics, en->run->outputs, e);
	if (!r->own)
		return -1;
	period_slow_stat(w->slow_ms, r->slow);
	period_slow_stat(2.0 * w->slow_ms, r->slower);
	r->own_from = mind_counts_slow(en) ? PERIOD_METRICS : PERIOD_SLOW;
	for (int c = 0; c < 2; c++) {
		for (int k = 0; k < (int)r->own_from; k++)
			r->q[n++] = (struct cw_query){ .namespace = PERIOD_NAMESPACE, .metric = period_metric_name((enum period_metric)k), .group = r->dim[c],
						       .balancer = r->dim[2], .stat = stat_of(w, r, k) };
		json_array_foreach(r->own, i, m)
			r->q[n++] = (struct cw_query){ .namespace = json_str(m, "namespace", ""), .metric = json_str(m, "metric", ""),
						       .stat = "Sum", .dimensions = json_object_get(m, c ? "green" : "blue") };
		r->per_colour = r->per_colour ? r->per_colour : n;
	}
	return 0;
}

/* --- one period ---------------------------------------------------------------------------- */

static void read_period(const struct reading *r, enum judge_colour c, int64_t at, int own, struct period_counts *out)
{
	const struct cw_series *series[PERIOD_METRICS] = { NULL };

	for (size_t m = 0; m < PERIOD_METRICS && m < r->own_from; m++)
		series[m] = r->s + c * r->per_colour + m;
	period_read(series, at, own, out);
}

static void take_sample(struct sample *out, const struct period_counts *c)
{
	out->seen = c->asked && !c->absurd;
	out->requests = c->requests;
	out->errors = fmin(period_failed(c), out->requests);
	out->latency_ms = c->latency_ms;
}

static void take_point(const struct reading *r, enum judge_colour c, const struct period_counts *k, int64_t at,
		       struct judge_point *p)
{
	const struct cw_series *s = r->s + c * r->per_colour;

	p->requests = k->requests;
	for (int m = 0; m < JUDGE_METRICS; m++)
		p->count[m] = -1;
	p->count[JUDGE_ERRORS] = k->errors < 0 && k->refused < 0 ? -1 : period_failed(k);
	p->count[JUDGE_SLOW] = k->slow;
	p->slower = fmax(k->slower, 0);
	for (size_t m = r->own_from; m < r->per_colour; m++)
		p->count[JUDGE_SLOW + 1 + m - r->own_from] = period_count(&s[m], at);
	p->latency = round(10 * fmax(k->latency_ms, 0)) / 10; /* what is judged is what the journal says */
}

/* --- what cannot be true ----------------------------------------------------------------------- */

static void contradict(struct evidence *ev, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void contradict(struct evidence *ev, const char *fmt, ...)
{
	va_list ap;

	ev->contradicts = true;
	va_start(ap, fmt);
	vsnprintf(ev->contradicts_why, sizeof ev->contradicts_why, fmt, ap);
	va_end(ap);
}

static void check_period(struct evidence *ev, const struct reading *r, enum judge_colour c, int64_t at)
{
	const struct cw_series *s = r->s + c * r->per_colour;
	const char *colour = c == JUDGE_GREEN ? "green" : "blue";
	struct period_counts k;

	read_period(r, c, at, 0, &k);
	if (k.absurd)
		contradict(ev, "CloudWatch shows %.0f errors of %s in a period with %.0f requests: one of the two is wrong",
			   k.errors, colour, k.requests);
	for (size_t m = r->own_from; k.asked && m < r->per_colour; m++) {
		const json_t *own = json_array_get(r->own, m - r->own_from);

		if (period_count(&s[m], at) < 0 && json_yes(own, "always"))
			contradict(ev, "metric \"%.40s\" has no datapoint for %s in a period with %.0f requests: nobody counts",
				   json_str(own, "name", ""), colour, k.requests);
	}
}

static void check_recent(struct evidence *ev, const struct reading *r)
{
	int64_t end = ev->start + (int64_t)ev->n * ev->period_ms;

	ev->contradicts = false;
	for (size_t i = 1; i <= RECENT && i <= ev->n; i++)
		for (int c = 0; c < 2; c++)
			check_period(ev, r, (enum judge_colour)c, end - (int64_t)i * ev->period_ms);
}

/* --- both colours, up to now ---------------------------------------------------------------------- */

static void take_closed(struct watch *w, const struct reading *r, int64_t from, int64_t to)
{
	struct evidence *ev = &w->ev;
	struct period_counts k;

	for (int64_t t = from; t < to; t += ev->period_ms) {
		size_t i = (size_t)((t - ev->start) / ev->period_ms);

		for (int c = 0; c < 2; c++) {
			read_period(r, (enum judge_colour)c, t, probes_sent(w, (enum judge_colour)c, t), &k);
			take_sample(c == JUDGE_GREEN ? &ev->green[i] : &ev->blue[i], &k);
		}
	}
	check_recent(ev, r);
}

static void tell_judge(struct engine *en, const struct reading *r, int64_t from, int64_t to)
{
	int64_t period = en->watch.ev.period_ms;
	struct period_counts k;

	for (int64_t t = from; t < to; t += period)
		for (int c = 0; c < 2; c++) {
			struct judge_point p = { .period = mind_period(en, t) };

			read_period(r, (enum judge_colour)c, t, probes_sent(&en->watch, (enum judge_colour)c, t), &k);
			if (!k.asked || k.absurd)
				continue;
			take_point(r, (enum judge_colour)c, &k, t, &p);
			mind_tell(en, (enum judge_colour)c, &p);
		}
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* Reads the closed periods not read yet, and the last few again. Partial
 * answers leave read_until where it is: those periods stay unknown. */
int evidence_read(struct engine *en, struct err *e)
{
	struct watch *w = &en->watch;
	int64_t period = w->ev.period_ms, closed = w->ev.start + (int64_t)w->ev.n * period;
	int64_t until = later(closed, mind_sees_until(en));
	int64_t from = later(earlier(w->read_until - REREAD * period, mind_sees_from(en)), w->ev.start);
	autoreading struct reading r = { 0 };

	if (from >= until)
		return 0;
	if (queries(en, &r, e) || cw_get(en->aws, r.q, 2 * r.per_colour, from, until, (int)(period / 1000), r.s, e))
		return -1;
	if (period_is_complete(r.q, r.s, 2 * r.per_colour, e))
		return -1;
	take_closed(w, &r, from, closed);
	tell_judge(en, &r, from, mind_sees_until(en));
	w->read_until = closed;
	return 0;
}

/* --- the other eyes ------------------------------------------------------------------- */

void evidence_missing(struct watch *w, enum judge_source s, const struct err *e)
{
	text_line(w->ev.missing[s], sizeof w->ev.missing[s], e->msg);
	w->missing[s] = e->kind;
}

void evidence_health(struct engine *en, enum judge_source s, const char *group, int *healthy, int *total)
{
	struct elb_health h;
	struct err e = { 0 };

	*healthy = *total = -1;
	if (elb_health(en->aws, group, &h, &e)) {
		evidence_missing(&en->watch, s, &e);
		return;
	}
	*healthy = h.healthy;
	*total = h.total - h.draining;
}

static void judge_alarm(struct watch *w, const struct cw_alarm *a)
{
	struct evidence *ev = &w->ev;
	struct err e = { 0 };

	if (a->state == CW_ALARM && !ev->alarm) {
		ev->alarm = true;
		snprintf(ev->alarm_why, sizeof ev->alarm_why, "alarm %.80s fires: %.150s", a->name, a->reason);
	}
	if (a->evaluation_troubled) {
		err_set(&e, ERR_BUSY, "CloudWatch says the evaluation of alarm %.100s is in trouble", a->name);
		evidence_missing(w, SOURCE_ALARMS, &e);
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

void evidence_alarms(struct engine *en)
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
		evidence_missing(&en->watch, SOURCE_ALARMS, &e);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (!is_waived(w, names[i]))
			judge_alarm(&en->watch, &found[i]);
}

/* engine/evidence.c - what can be seen of both colours.
 *
 * Closed CloudWatch periods, the last few again and again, since late points
 * are revised; blue's past, once for a run; target health; alarms by name. A
 * look that fails is evidence too: of not knowing. */
#include "engine/internal.h"

#include "aws/cloudwatch.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REREAD 5       /* closed periods read again at each look: CloudWatch revises late points */
#define NAMESPACE "AWS/ApplicationELB"
#define ZONES 6        /* a zone is its region and a letter: eu-central-1a (AWS, Regions and zones) */
#define PAST_NEWEST 30 /* periods the judge takes the present traffic from */
#define PAST_OLDER 5   /* what is before them counts for so many at least */
#define RECENT 3       /* closed periods in which a contradiction still counts */
#define MAY_EXCEED 1.2 /* errors a requests: an answer is counted when it is sent, a request when it comes */
#define MAY_EXCEED_BY 10

/* Per colour, in this order; then the plan's own metrics. */
enum { REQUESTS, ERRORS, CONNECTION_ERRORS, LATENCY, SLOW, SLOWER, METRICS };
#define METRICS_MOST (METRICS + JUDGE_METRICS - 2)

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

static const char *metric_of(int i)
{
	static const char *const names[METRICS] = { "RequestCount", "HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount",
						    "TargetResponseTime", "TargetResponseTime", "TargetResponseTime" };

	return names[i];
}

/* How many answers were quick enough, of 100 (CloudWatch statistics definitions:
 * percentile rank). The complement is a share, so zero is told from nothing. */
static void slow_stat(double limit_ms, char out[32])
{
	snprintf(out, 32, "PR(:%g)", limit_ms / 1000);
}

static int dimensions(struct engine *en, char dim[3][128], struct err *e)
{
	return elb_group_dimension(en->blue, dim[0], 128, e) || elb_group_dimension(en->green, dim[1], 128, e) ||
	       elb_balancer_dimension(en->run->plan->rule, dim[2], 128, e) ? -1 : 0;
}

static const char *stat_of(const struct plan_watch *w, const struct reading *r, int i)
{
	return i == LATENCY ? w->latency_stat : i == SLOW ? r->slow : i == SLOWER ? r->slower : "Sum";
}

static int queries(struct engine *en, struct reading *r, struct err *e)
{
	const struct plan_watch *w = &en->run->plan->watch;
	size_t n = 0, i;
	json_t *m;

	if (dimensions(en, r->dim, e))
		return -1;
	r->own = plan_resolve(w->metrics, en->run->outputs, e);
	if (!r->own)
		return -1;
	slow_stat(w->slow_ms, r->slow);
	slow_stat(2.0 * w->slow_ms, r->slower);
	r->own_from = mind_counts_slow(en) ? METRICS : SLOW;
	for (int c = 0; c < 2; c++) {
		for (int k = 0; k < (int)r->own_from; k++)
			r->q[n++] = (struct cw_query){ .namespace = NAMESPACE, .metric = metric_of(k), .group = r->dim[c],
						       .balancer = r->dim[2], .stat = stat_of(w, r, k) };
		json_array_foreach(r->own, i, m)
			r->q[n++] = (struct cw_query){ .namespace = json_str(m, "namespace", ""), .metric = json_str(m, "metric", ""),
						       .stat = "Sum", .dimensions = json_object_get(m, c ? "green" : "blue") };
		r->per_colour = r->per_colour ? r->per_colour : n;
	}
	return 0;
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

/* 0 when each was answered in full, else ERR_BUSY with the first that was not. */
static int all_complete(const struct cw_query *q, const struct cw_series *s, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!s[i].complete)
			return err_set(e, ERR_BUSY, "CloudWatch answered in part only: %.60s of %.60s: %.100s", q[i].metric,
				       q[i].group ? q[i].group : q[i].namespace, s[i].why);
	return 0;
}

/* --- one period ---------------------------------------------------------------------------- */

/* More errors than requests: one of the two is wrong, so neither counts. */
static bool is_absurd(double requests, double errors)
{
	return errors > MAY_EXCEED * requests + MAY_EXCEED_BY;
}

/* own: how many of the requests were probes. Their failures stay in: they are few, and errors. */
static void take_sample(struct sample *out, const struct cw_series *s, int64_t at, int own)
{
	bool there;
	double errors = value_at(&s[ERRORS], at, &there), refused = value_at(&s[CONNECTION_ERRORS], at, &there);

	out->requests = value_at(&s[REQUESTS], at, &out->seen);
	out->seen = out->seen && !is_absurd(out->requests, errors);
	out->requests = fmax(out->requests - own, 0);
	out->errors = errors + refused;
	if (out->errors > out->requests)
		out->errors = out->requests;
	out->latency_ms = 1000 * value_at(&s[LATENCY], at, &there);
	if (!there)
		out->latency_ms = -1;
}

static double count_at(const struct cw_series *s, int64_t at)
{
	bool there;
	double v = value_at(s, at, &there);

	return there ? round(v) : -1;
}

static double slow_at(const struct cw_series *s, int64_t at, double requests)
{
	bool there;
	double quick = value_at(s, at, &there);

	return there && quick >= 0 && quick <= 100 ? round(requests * (1 - quick / 100)) : -1;
}

/* Rounded: what is judged is what the journal says. */
static bool take_point(const struct reading *r, enum judge_colour c, int64_t at, int own, struct judge_point *p)
{
	const struct cw_series *s = r->s + c * r->per_colour;
	double refused = count_at(&s[CONNECTION_ERRORS], at);
	bool there;

	p->requests = round(value_at(&s[REQUESTS], at, &there));
	if (!there || is_absurd(p->requests, count_at(&s[ERRORS], at)))
		return false;
	p->requests = fmax(p->requests - own, 0);
	for (int m = 0; m < JUDGE_METRICS; m++)
		p->count[m] = -1;
	p->count[JUDGE_ERRORS] = count_at(&s[ERRORS], at);
	if (refused >= 0)
		p->count[JUDGE_ERRORS] = fmax(p->count[JUDGE_ERRORS], 0) + refused;
	if (r->own_from > SLOW) {
		p->count[JUDGE_SLOW] = slow_at(&s[SLOW], at, p->requests);
		p->slower = fmax(slow_at(&s[SLOWER], at, p->requests), 0);
	}
	for (size_t m = r->own_from; m < r->per_colour; m++)
		p->count[JUDGE_SLOW + 1 + m - r->own_from] = count_at(&s[m], at);
	p->latency = round(1e4 * value_at(&s[LATENCY], at, &there)) / 10;
	return true;
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
	bool asked, there;
	double n = value_at(&s[REQUESTS], at, &asked), errors = value_at(&s[ERRORS], at, &there);

	if (is_absurd(n, errors))
		contradict(ev, "CloudWatch shows %.0f errors of %s in a period with %.0f requests: one of the two is wrong",
			   errors, colour, n);
	for (size_t m = r->own_from; asked && m < r->per_colour; m++) {
		const json_t *own = json_array_get(r->own, m - r->own_from);

		value_at(&s[m], at, &there);
		if (!there && json_yes(own, "always"))
			contradict(ev, "metric \"%.40s\" has no datapoint for %s in a period with %.0f requests: nobody counts",
				   json_str(own, "name", ""), colour, n);
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

	for (int64_t t = from; t < to; t += ev->period_ms) {
		size_t i = (size_t)((t - ev->start) / ev->period_ms);

		take_sample(&ev->blue[i], r->s, t, probes_sent(w, JUDGE_BLUE, t));
		take_sample(&ev->green[i], r->s + r->per_colour, t, probes_sent(w, JUDGE_GREEN, t));
	}
	check_recent(ev, r);
}

static void tell_judge(struct engine *en, const struct reading *r, int64_t from, int64_t to)
{
	int64_t period = en->watch.ev.period_ms;

	for (int64_t t = from; t < to; t += period)
		for (int c = 0; c < 2; c++) {
			struct judge_point p = { .period = mind_period(en, t) };

			if (take_point(r, (enum judge_colour)c, t, probes_sent(&en->watch, (enum judge_colour)c, t), &p))
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
	if (all_complete(r.q, r.s, 2 * r.per_colour, e))
		return -1;
	take_closed(w, &r, from, closed);
	tell_judge(en, &r, from, mind_sees_until(en));
	w->read_until = closed;
	return 0;
}

/* --- blue's past -------------------------------------------------------------------------------------- */

enum { P_REQUESTS, P_ERRORS, P_CONNECTION_ERRORS, P_SLOW, PAST_METRICS };

struct past_reading {
	struct cw_query q[(1 + ZONES) * PAST_METRICS];
	struct cw_series s[(1 + ZONES) * PAST_METRICS];
	char dim[3][128], zone[ZONES][40], slow[32];
	size_t each; /* series of the whole, or of a zone: PAST_METRICS, or one less */
};

static int past_queries(struct engine *en, struct past_reading *r, bool slow, struct err *e)
{
	static const int metric[PAST_METRICS] = { REQUESTS, ERRORS, CONNECTION_ERRORS, SLOW };

	if (dimensions(en, r->dim, e))
		return -1;
	slow_stat(en->run->plan->watch.slow_ms, r->slow);
	r->each = slow ? PAST_METRICS : P_SLOW;
	for (size_t z = 0; z <= ZONES; z++)
		for (size_t m = 0; m < r->each; m++)
			r->q[z * r->each + m] = (struct cw_query){ .namespace = NAMESPACE, .metric = metric_of(metric[m]),
				.stat = m == P_SLOW ? r->slow : "Sum", .group = r->dim[0], .balancer = r->dim[2],
				.zone = z ? r->zone[z - 1] : NULL };
	for (size_t z = 0; z < ZONES; z++)
		snprintf(r->zone[z], sizeof r->zone[z], "%.32s%c", en->run->plan->region, (char)('a' + z));
	return 0;
}

static void take_past(const struct past_reading *r, size_t at_series, int64_t from, int64_t period, double *requests,
		      double *errors, double *slow)
{
	const struct cw_series *s = r->s + at_series;

	for (int i = 0; i < JUDGE_HISTORY; i++) {
		int64_t at = from + i * period;

		requests[i] = fmax(count_at(&s[P_REQUESTS], at), 0);
		errors[i] = fmin(fmax(count_at(&s[P_ERRORS], at), 0) + fmax(count_at(&s[P_CONNECTION_ERRORS], at), 0), requests[i]);
		slow[i] = r->each > P_SLOW ? fmax(slow_at(&s[P_SLOW], at, requests[i]), 0) : 0;
	}
}

static double requests_of(const struct cw_series *s)
{
	double sum = 0;

	for (size_t i = 0; i < s->n; i++)
		sum += s->points[i].value;
	return sum;
}

/* The zone that has the most of what is not in it: the more even the halves,
 * the more their difference says. 0: no zone has some of the requests, but not all. */
static size_t find_zone(const struct past_reading *r)
{
	double all = requests_of(&r->s[P_REQUESTS]), most = 0;
	size_t best = 0;

	for (size_t z = 1; z <= ZONES; z++) {
		double here = requests_of(&r->s[z * r->each + P_REQUESTS]), even = fmin(here, all - here);

		if (even > most) {
			most = even;
			best = z;
		}
	}
	return best;
}

static int read_past(struct engine *en, int64_t until, bool slow, struct past *out, struct err *e)
{
	autofree struct past_reading *r = xcalloc(1, sizeof *r);
	int64_t period = en->run->plan->watch.period_ms, from = until - JUDGE_HISTORY * period;
	struct judge_history *h = &out->h;
	size_t z;
	int rc;

	memset(out, 0, sizeof *out);
	if (past_queries(en, r, slow, e) ||
	    cw_get(en->aws, r->q, (1 + ZONES) * r->each, from, until, (int)(period / 1000), r->s, e))
		return -1;
	z = find_zone(r);
	take_past(r, 0, from, period, h->requests, h->count[0], h->count[1]);
	if (z) {
		snprintf(out->zone, sizeof out->zone, "%s", r->zone[z - 1]);
		take_past(r, z * r->each, from, period, h->half_requests, h->half_count[0], h->half_count[1]);
	}
	out->slow = slow && r->s[P_SLOW].n > 0;
	rc = all_complete(r->q, r->s, (1 + ZONES) * r->each, e);
	cw_series_free(r->s, (1 + ZONES) * r->each);
	return rc;
}

static size_t periods_of(const struct judge_history *h)
{
	size_t empty = 0;

	while (empty < JUDGE_HISTORY && h->requests[empty] <= 0)
		empty++;
	return JUDGE_HISTORY - empty;
}

static double worst_of(const struct judge_history *h)
{
	double worst = 0;

	for (int i = 0; i + JUDGE_SICK_SPAN <= JUDGE_HISTORY; i++) {
		double n = 0, x = 0;

		for (int k = i; k < i + JUDGE_SICK_SPAN; k++) {
			n += h->requests[k];
			x += h->count[JUDGE_ERRORS][k];
		}
		worst = n > 0 ? fmax(worst, x / n) : worst;
	}
	return worst;
}

/* A past that is shorter than what the judge learns from is repeated: what it
 * does not say must not count as "no requests". The older part is thinned, so
 * that all together weighs about what was really seen. */
static void repeat(double *v, size_t n)
{
	double thin = (double)(n > PAST_NEWEST + PAST_OLDER ? n - PAST_NEWEST : PAST_OLDER) / (JUDGE_HISTORY - PAST_NEWEST);

	for (size_t i = JUDGE_HISTORY - n; i-- > 0;)
		v[i] = v[i + n];
	for (size_t i = 0; i < JUDGE_HISTORY - PAST_NEWEST; i++)
		v[i] *= thin;
}

static void repeat_all(struct judge_history *h, size_t n)
{
	double *const all[] = { h->requests, h->half_requests, h->count[0], h->count[1], h->half_count[0], h->half_count[1] };

	for (size_t i = 0; n && n < JUDGE_HISTORY && i < COUNT(all); i++)
		repeat(all[i], n);
}

/* Where the count of slow answers cannot be had, the percentile is judged. */
int evidence_past(struct engine *en, int64_t until, struct past *out, struct err *e)
{
	bool slow = en->run->plan->watch.slow_ms > 0;

	if (read_past(en, until, slow, out, e) && (!slow || err_retryable(e) || read_past(en, until, false, out, e)))
		return -1;
	out->periods = periods_of(&out->h);
	out->worst = worst_of(&out->h);
	repeat_all(&out->h, out->periods);
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

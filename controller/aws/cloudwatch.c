#include "aws/cloudwatch.h"

#include "aws/answer.h"
#include "aws/core.h"
#include "aws/elb.h"
#include "base/clock.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define QUERIES_MAX 100
#define PERIODS_MAX 20160 /* two weeks of minutes */
#define PAGES_MAX   50
#define A_SECOND    1e8   /* more requests than any load balancer answers */
#define LONGEST_S   1e5   /* a load balancer waits for 4000 s at most (idle_timeout.timeout_seconds) */

/* One series while its pages come in: a slot per period, so that a point read
 * twice is the newer one and order does not matter. */
struct gather {
	double *slot;        /* NAN: no point */
	bool named, troubled; /* some page named it; some page had a message about it */
	char status[24];     /* of the last page that named it */
	char message[72];    /* the first one about it */
};

struct window {
	int64_t from, to, period; /* wall ms, aligned */
	size_t periods;
};

static json_t *dimension(const char *name, const char *value)
{
	return json_pack("{s:s,s:s}", "Name", name, "Value", value);
}

static json_t *dimensions_json(const struct cw_query *q)
{
	const char *const own[][2] = { { "AvailabilityZone", q->zone }, { "TargetGroup", q->group }, { "LoadBalancer", q->balancer } };
	json_t *dims = json_array(), *v;
	const char *name;

	for (size_t i = 0; !q->dimensions && i < COUNT(own); i++)
		if (own[i][1])
			json_array_append_new(dims, dimension(own[i][0], own[i][1]));
	json_object_foreach((json_t *)q->dimensions, name, v)
		json_array_append_new(dims, dimension(name, json_string_value(v)));
	return dims;
}

static json_t *query_json(const struct cw_query *q, size_t i, int period_s)
{
	char id[24];

	snprintf(id, sizeof id, "q%zu", i);
	return json_pack("{s:s,s:{s:{s:s,s:s,s:o},s:i,s:s},s:b}", "Id", id, "MetricStat", "Metric",
			 "Namespace", q->namespace, "MetricName", q->metric, "Dimensions", dimensions_json(q), "Period",
			 period_s, "Stat", q->stat, "ReturnData", 1);
}

static json_t *request(const struct cw_query *q, size_t n, const struct window *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, query_json(&q[i], i, (int)(w->period / 1000)))) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:o,s:I,s:I,s:s}", "MetricDataQueries", list, "StartTime",
			 (json_int_t)(w->from / 1000), "EndTime", (json_int_t)(w->to / 1000), "ScanBy",
			 "TimestampAscending");
}

static int make_window(int64_t from, int64_t to, int period_s, size_t n, struct window *w,
		       struct err *e)
{
	int64_t p = (int64_t)period_s * 1000;

	if (period_s < 1 || from < 0 || to < from || !n || n > QUERIES_MAX)
		return err_set(e, ERR_BUG, "cannot ask CloudWatch for %zu series of period %d s", n, period_s);
	*w = (struct window){ from / p * p, to / p * p, p, (size_t)(to / p - from / p) };
	if (w->periods > PERIODS_MAX)
		return err_set(e, ERR_BUG, "%zu periods are more than the %d asked of CloudWatch at once",
			       w->periods, PERIODS_MAX);
	return 0;
}

/* Whatever lies outside what was asked, or between two periods, is not ours. */
static void put_point(struct gather *g, const struct window *w, double at_s, double value)
{
	int64_t at;

	if (!(at_s > 0 && at_s < 1e11))
		return;
	at = llround(at_s * 1000);
	if (at >= w->from && at < w->to && !((at - w->from) % w->period))
		g->slot[(at - w->from) / w->period] = value;
}

static int read_points(const json_t *r, const struct window *w, struct gather *g, struct err *e)
{
	const json_t *times = json_object_get(r, "Timestamps"), *values = json_object_get(r, "Values");
	size_t n = json_array_size(times);

	if (!json_is_array(times) || !json_is_array(values) || n != json_array_size(values))
		return err_set(e, ERR_UNSURE, "CloudWatch answered with times and values that do not pair");
	for (size_t i = 0; i < n; i++) {
		const json_t *t = json_array_get(times, i), *v = json_array_get(values, i);

		if (!json_is_number(t) || !json_is_number(v))
			return err_set(e, ERR_UNSURE, "CloudWatch answered with a point that is no number");
		put_point(g, w, json_number_value(t), json_number_value(v));
	}
	return 0;
}

/* "q12" -> 12; -1 when it is none we asked for. */
static long index_of(const char *id, size_t n)
{
	char *end;
	long i;

	if (id[0] != 'q' || id[1] < '0' || id[1] > '9')
		return -1;
	i = strtol(id + 1, &end, 10);
	return *end || i < 0 || (size_t)i >= n ? -1 : i;
}

/* CloudWatch's first word on what it could not do, "MaxMetricsExceeded: ..."; "" none. */
static void take_message(const json_t *of, char out[72])
{
	const json_t *m = json_array_get(json_object_get(of, "Messages"), 0);
	autofree char *text = xasprintf("%s: %s", json_str(m, "Code", "?"), json_str(m, "Value", ""));

	if (m && !*out)
		text_line(out, 72, text);
}

static int refused_result(const char *status, enum err_kind kind, const json_t *r, struct err *e)
{
	char said[72] = "";

	take_message(r, said);
	return err_set(e, kind, "CloudWatch says %s of a series%s%s", status, *said ? ", " : "", said);
}

static int read_result(const json_t *r, size_t n, const struct window *w, struct gather *all,
		       struct err *e)
{
	long i = index_of(json_str(r, "Id", ""), n);
	const char *status = json_str(r, "StatusCode", "");
	struct gather *g;

	if (i < 0)
		return err_set(e, ERR_UNSURE, "CloudWatch answered with a series we did not ask for");
	if (!strcmp(status, "Forbidden"))
		return refused_result(status, ERR_DENIED, r, e);
	if (!strcmp(status, "InternalError"))
		return refused_result(status, ERR_BUSY, r, e);
	g = &all[i];
	g->named = true;
	g->troubled |= json_array_size(json_object_get(r, "Messages")) > 0;
	take_message(r, g->message);
	snprintf(g->status, sizeof g->status, "%.20s", status);
	return read_points(r, w, g, e);
}

static int read_page(const json_t *answer, size_t n, const struct window *w, struct gather *all,
		     struct err *e)
{
	const json_t *results = json_object_get(answer, "MetricDataResults"), *r;
	size_t k;

	if (!json_is_array(results))
		return err_set(e, ERR_UNSURE, "CloudWatch answered without MetricDataResults");
	json_array_foreach(results, k, r)
		if (read_result(r, n, w, all, e))
			return -1;
	if (json_array_size(json_object_get(answer, "Messages")))
		for (size_t i = 0; i < n; i++) {
			all[i].troubled = true;
			take_message(answer, all[i].message);
		}
	return 0;
}

/* Sets the token of the next page in `in`; false when there is none. */
static bool turn_page(json_t *in, const json_t *answer)
{
	const char *next = json_str(answer, "NextToken", "");

	if (*next)
		json_object_set_new(in, "NextToken", json_string(next));
	return *next;
}

static int fetch(struct aws *a, json_t *in, size_t n, const struct window *w, struct gather *all,
		 struct err *e)
{
	for (int page = 0; page < PAGES_MAX; page++) {
		autojson json_t *answer = NULL;

		if (aws_json(a, CW_GET_METRIC_DATA, in, &answer, e) || read_page(answer, n, w, all, e))
			return err_wrap(e, "reading metrics");
		if (!turn_page(in, answer))
			return 0;
	}
	return err_set(e, ERR_UNSURE, "CloudWatch's answer has more than %d pages", PAGES_MAX);
}

static void make_series(const struct gather *g, const struct window *w, struct cw_series *out)
{
	out->complete = !strcmp(g->status, "Complete") && !g->troubled;
	if (!out->complete)
		snprintf(out->why, sizeof out->why, "%s%s%s", *g->status ? g->status : "no status", *g->message ? ", " : "", g->message);
	out->points = xcalloc(w->periods, sizeof *out->points);
	for (size_t k = 0; k < w->periods; k++)
		if (!isnan(g->slot[k]))
			out->points[out->n++] =
				(struct cw_point){ w->from + (int64_t)k * w->period, g->slot[k] };
}

static bool begins(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

/* The most that a load balancer's metric can be, and whether it counts whole
 * things; 0: not known. A plan's own metrics may be anything. */
static double most_of(const struct cw_query *q, int64_t period_ms, bool *whole)
{
	bool requests = !strcmp(q->metric, "RequestCount") || begins(q->metric, "HTTPCode_");
	bool times = !strcmp(q->metric, "TargetResponseTime");

	*whole = requests && !strcmp(q->stat, "Sum");
	if (strcmp(q->namespace, "AWS/ApplicationELB"))
		return 0;
	if (*whole || begins(q->stat, "TC(")) /* how many of them lay between two limits */
		return A_SECOND * (double)period_ms / 1000;
	return times && strcmp(q->stat, "Sum") ? LONGEST_S : 0;
}

/* What cannot be is no evidence, neither for green nor against it: somebody else
 * than CloudWatch answers, or it answers wrongly. */
static int is_possible(const struct cw_query *q, const struct window *w, const struct cw_series *s, struct err *e)
{
	bool whole;
	double most = most_of(q, w->period, &whole);

	for (size_t k = 0; most > 0 && k < s->n; k++) {
		double v = s->points[k].value;
		char at[21];

		if (v >= 0 && v <= most && (!whole || fabs(v - nearbyint(v)) <= 1e-6 * (v + 1)))
			continue;
		clock_iso(s->points[k].at, at);
		return err_set(e, ERR_UNSURE, "CloudWatch says %s of %.80s was %.6g in the %lld s from %s, which cannot be",
			       q->metric, q->group ? q->group : "the load balancer", v, (long long)(w->period / 1000), at);
	}
	return 0;
}

static int make_all(const struct cw_query *q, size_t n, const struct gather *all,
		    const struct window *w, struct cw_series *out, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!all[i].named)
			return err_set(e, ERR_UNSURE, "CloudWatch said nothing about %.60s of %.120s",
				       q[i].metric, q[i].group ? q[i].group : "the load balancer");
	for (size_t i = 0; i < n; i++)
		make_series(&all[i], w, &out[i]);
	for (size_t i = 0; i < n; i++)
		if (is_possible(&q[i], w, &out[i], e)) {
			cw_series_free(out, n);
			return -1;
		}
	return 0;
}

int cw_get(struct aws *a, const struct cw_query *q, size_t n, int64_t from, int64_t to,
	   int period_s, struct cw_series *out, struct err *e)
{
	autojson json_t *in = NULL;
	autofree struct gather *all = NULL;
	autofree double *slots = NULL;
	struct window w = { 0 };

	memset(out, 0, n * sizeof *out);
	if (make_window(from, to, period_s, n, &w, e))
		return -1;
	in = request(q, n, &w);
	if (!in)
		return err_set(e, ERR_INPUT, "a metric's name or dimension is not UTF-8");
	all = xcalloc(n, sizeof *all);
	slots = xcalloc(n * w.periods, sizeof *slots);
	for (size_t i = 0; i < n * w.periods; i++)
		slots[i] = NAN;
	for (size_t i = 0; i < n; i++)
		all[i].slot = slots + i * w.periods;
	if (fetch(a, in, n, &w, all, e))
		return -1;
	return make_all(q, n, all, &w, out, e);
}

int cw_requests(struct aws *a, const char *listener, const char *const group[2], int64_t from, int64_t to, int period_s,
		struct cw_series out[2], struct err *e)
{
	char dim[2][128], balancer[128];
	struct cw_query q[2];

	memset(out, 0, 2 * sizeof *out);
	if (elb_balancer_dimension(listener, balancer, sizeof balancer, e))
		return -1;
	for (int i = 0; i < 2; i++) {
		if (elb_group_dimension(group[i], dim[i], sizeof dim[i], e))
			return -1;
		q[i] = (struct cw_query){ .namespace = "AWS/ApplicationELB", .metric = "RequestCount", .stat = "Sum",
					  .group = dim[i], .balancer = balancer };
	}
	return cw_get(a, q, 2, from, to, period_s, out, e);
}

void cw_series_free(struct cw_series *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(s[i].points);
		s[i] = (struct cw_series){ 0 };
	}
}

static const char *const state_names[] = { "OK", "ALARM", "INSUFFICIENT_DATA" };

const char *cw_state_name(enum cw_state s)
{
	return (size_t)s < COUNT(state_names) ? state_names[s] : "?";
}

static int read_state(const char *name, enum cw_state *out, struct err *e)
{
	for (size_t i = 0; i < COUNT(state_names); i++)
		if (!strcmp(state_names[i], name)) {
			*out = (enum cw_state)i;
			return 0;
		}
	err_set(e, ERR_UNSURE, "CloudWatch answered with an alarm state we do not know: \"%.40s\"", name);
	return -1;
}

static int read_alarm(const json_t *j, const char *const *names, size_t n, struct cw_alarm *out,
		      struct err *e)
{
	const char *name = json_str(j, "AlarmName", "");

	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], name))
			continue;
		if (answer_json_text(j, "AlarmName", out[i].name, sizeof out[i].name, e) ||
		    read_state(json_str(j, "StateValue", ""), &out[i].state, e))
			return -1;
		answer_copy(out[i].reason, sizeof out[i].reason, json_str(j, "StateReason", ""));
		out[i].missing_is_breaching = !strcmp(json_str(j, "TreatMissingData", ""), "breaching");
		out[i].evaluation_troubled = *json_str(j, "EvaluationState", "");
	}
	return 0;
}

static int read_alarms(const json_t *answer, const char *const *names, size_t n,
		       struct cw_alarm *out, struct err *e)
{
	static const char *const lists[] = { "MetricAlarms", "CompositeAlarms" };
	bool any = false;

	for (size_t l = 0; l < COUNT(lists); l++) {
		const json_t *list = json_object_get(answer, lists[l]), *j;
		size_t k;

		any |= json_is_array(list);
		json_array_foreach(list, k, j)
			if (read_alarm(j, names, n, out, e))
				return -1;
	}
	return any ? 0 : err_set(e, ERR_UNSURE, "CloudWatch answered DescribeAlarms without a list of alarms");
}

static int name_missing(const char *const *names, size_t n, const struct cw_alarm *out, struct err *e)
{
	autobuf struct buf b = BUF_MAX(400);

	for (size_t i = 0; i < n; i++)
		if (!*out[i].name)
			buf_addf(&b, "%s\"%.120s\"", b.len ? ", " : "", names[i]);
	return b.p ? err_set(e, ERR_GONE, "no such CloudWatch alarm: %s", b.p) : 0;
}

int cw_alarms(struct aws *a, const char *const *names, size_t n, struct cw_alarm *out, struct err *e)
{
	autojson json_t *list = json_array(), *in = NULL;

	memset(out, 0, n * sizeof *out);
	if (!n)
		return 0;
	if (n > QUERIES_MAX)
		return err_set(e, ERR_INPUT, "%zu alarms are more than the %d that are watched at once", n,
			       QUERIES_MAX);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_text(names[i]));
	in = json_pack("{s:O,s:[s,s],s:i}", "AlarmNames", list, "AlarmTypes", "MetricAlarm",
		       "CompositeAlarm", "MaxRecords", QUERIES_MAX);
	for (int page = 0; page < PAGES_MAX; page++) {
		autojson json_t *answer = NULL;

		if (aws_json(a, CW_DESCRIBE_ALARMS, in, &answer, e) || read_alarms(answer, names, n, out, e))
			return err_wrap(e, "reading alarms");
		if (!turn_page(in, answer))
			return name_missing(names, n, out, e);
	}
	return err_set(e, ERR_UNSURE, "CloudWatch's list of %zu alarms has more than %d pages", n, PAGES_MAX);
}

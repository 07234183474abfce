/* CloudWatch: late, partial while young, and silent where nothing happened. */
#include "sim/world.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PAGE_POINTS 120 /* more than that come in two pages */
#define QUERIES_MAX 500

enum family { REQUESTS, ERRORS_5XX, FINE_2XX, REFUSED, UNSERVED, API_ERRORS, LATENCY, HEALTHY_HOSTS, UNHEALTHY_HOSTS };
struct metric {
	const char *name;
	enum family family;
	bool of_group, of_balancer;
};
static const struct metric metrics[] = {
	{ "RequestCount", REQUESTS, true, true },
	{ "HTTPCode_Target_5XX_Count", ERRORS_5XX, true, true },
	{ "HTTPCode_Target_2XX_Count", FINE_2XX, true, true },
	{ "TargetConnectionErrorCount", REFUSED, true, true },
	{ "TargetResponseTime", LATENCY, true, true },
	{ "HealthyHostCount", HEALTHY_HOSTS, true, false },
	{ "UnHealthyHostCount", UNHEALTHY_HOSTS, true, false },
	{ "HTTPCode_ELB_5XX_Count", UNSERVED, false, true },
	{ "HTTPCode_ELB_503_Count", UNSERVED, false, true },
};

/* What a metric filter on the application's log publishes, by colour. */
#define APP_NAMESPACE "Wiki"
static const struct metric app_metric = { "ApiErrors", API_ERRORS, true, false };

struct series {
	struct sim *sim;
	const struct metric *metric;
	const struct side *side; /* NULL: the whole balancer */
	const char *stat;
	int zone;                /* of ZONES; -1: all together */
	int64_t period;          /* ms; a multiple of the world's */
};

#define ZONES 2 /* the region's a and b, half of the targets each */

/* --- when a period can be seen, and how much of it ----------------------------- */

/* First seen around its end, with part of its counts; whole within 1.7 periods more. */
static double visible(const struct series *q, int64_t period)
{
	struct sim *s = q->sim;
	uint64_t who = s->seed ^ (q->side ? (uint64_t)(q->side - s->side) + 1 : 0);
	double len = (double)s->period_ms, end = (double)(period + 1) * len, now = (double)s->now;

	if (now < end + len * (-0.2 + 0.8 * dice_fixed(who, (uint64_t)period, 1)))
		return 0;
	if (now < end + len * (0.8 + 0.9 * dice_fixed(who, (uint64_t)period, 2)))
		return 0.4 + 0.55 * dice_fixed(who, (uint64_t)period, 3);
	return 1;
}

static struct tally whole_balancer(const struct sim *s, int64_t period)
{
	struct tally sum = s->balancer_tally[period % PERIODS];

	for (int i = 0; i < COLOURS; i++) {
		const struct tally *t = &s->side[i].tally[period % PERIODS];

		if (t->period != period)
			continue;
		sum.errors += t->errors;
		sum.refused += t->refused;
		sum.slowness += t->slowness;
	}
	return sum;
}

/* Before the world began, blue served as it does now. */
static void tally_past(const struct series *q, int64_t period, struct tally *out)
{
	const struct sim *s = q->sim;
	struct dice d;

	dice_seed(&d, s->seed, (uint64_t)period);
	*out = (struct tally){ .period = period, .healthy = s->side[BLUE].ntargets };
	out->requests = dice_count(&d, s->base_rate * (double)s->period_ms / 1000);
	out->errors = dice_share(&d, out->requests, SIM_BASE_ERRORS);
	out->slowness = out->requests;
}

/* false: nothing is published for that period. */
static bool tally_of(const struct series *q, int64_t period, struct tally *out)
{
	const struct sim *s = q->sim;

	if (period < 0)
		return false;
	if (period < s->start / s->period_ms && (!q->side || q->side == &s->side[BLUE])) {
		tally_past(q, period, out);
		return true;
	}
	*out = q->side ? q->side->tally[period % PERIODS] : whole_balancer(s, period);
	if (out->period != period || (q->side && q->side->blind))
		return false;
	return true;
}

/* --- what one period says -------------------------------------------------------- */

/* Quantile of the standard normal for "p90"; the mean has none. */
static double quantile(const char *stat)
{
	static const double table[][2] = { { 50, 0 }, { 75, 0.674 }, { 90, 1.282 }, { 95, 1.645 },
					   { 99, 2.326 }, { 99.9, 3.090 } };
	double p = stat[0] == 'p' ? strtod(stat + 1, NULL) : 50;

	for (size_t i = 1; i < COUNT(table); i++)
		if (p <= table[i][0])
			return table[i - 1][1] + (table[i][1] - table[i - 1][1]) *
			       (p - table[i - 1][0]) / (table[i][0] - table[i - 1][0]);
	return 3.09;
}

#define MEDIAN_S 0.080
#define SPREAD   0.6

/* "PR(:1.5)": how many of 100 took at most that many seconds. */
static double percentile_rank(const char *stat, double median)
{
	double limit = strtod(stat + 4, NULL);

	return limit > 0 ? 50 * erfc(-log(limit / median) / (SPREAD * M_SQRT2)) : 0;
}

static bool latency(const struct series *q, int64_t period, const struct tally *t, double *v)
{
	double served = t->requests - t->refused;
	double noise = dice_fixed(q->sim->seed, (uint64_t)period, 7 + !!q->side) - 0.5;

	if (served <= 0)
		return false;
	double median = MEDIAN_S * t->slowness / t->requests * (1 + 0.06 * noise);

	*v = strncmp(q->stat, "PR(:", 4) ? median * exp(SPREAD * quantile(q->stat)) : percentile_rank(q->stat, median);
	return true;
}

/* A count of zero is not published: that is how AWS/ApplicationELB is. */
static bool count(double n, double share, double *v)
{
	*v = round(n * share);
	return *v > 0;
}

static bool hosts(const struct series *q, int n, double *v)
{
	*v = n;
	return q->side && q->side->on_rule;
}

/* A zone's part of a count: each request fell on either half. */
static double zone_part(const struct series *q, int64_t period, double n)
{
	struct dice d;
	double first;

	dice_seed(&d, q->sim->seed + (uint64_t)period * 8 + q->metric->family, 77);
	first = dice_share(&d, n, 0.5);
	return q->zone ? n - first : first;
}

static void only_zone(const struct series *q, int64_t period, struct tally *t)
{
	double *const parts[] = { &t->requests, &t->errors, &t->refused, &t->unserved, &t->api };
	double whole = t->requests > 0 ? t->slowness / t->requests : 1;

	for (size_t i = 0; i < COUNT(parts); i++)
		*parts[i] = zone_part(q, period, *parts[i]);
	t->slowness = whole * t->requests;
}

static bool value_at(const struct series *q, int64_t period, double *v)
{
	double share = visible(q, period);
	struct tally t;

	if (share <= 0 || !tally_of(q, period, &t))
		return false;
	if (q->zone >= 0)
		only_zone(q, period, &t);
	switch (q->metric->family) {
	case REQUESTS: return count(t.requests, share, v);
	case ERRORS_5XX: return count(t.errors, share, v);
	case FINE_2XX: return count(t.requests - t.errors - t.refused, share, v);
	case REFUSED: return count(t.refused, share, v);
	case UNSERVED: return count(t.unserved, share, v);
	case API_ERRORS: return count(t.api, share, v);
	case LATENCY: return latency(q, period, &t, v);
	case HEALTHY_HOSTS: return hosts(q, t.healthy, v);
	case UNHEALTHY_HOSTS: return hosts(q, t.unhealthy, v);
	}
	return false;
}

/* Several of the world's periods in one asked for: sums add, the rest is the last. */
static bool value_over(const struct series *q, int64_t from, double *v)
{
	bool sums = q->metric->family <= API_ERRORS, any = false;
	double one;

	for (int64_t t = from; t < from + q->period; t += q->sim->period_ms)
		if (value_at(q, t / q->sim->period_ms, &one)) {
			*v = any && sums ? *v + one : one;
			any = true;
		}
	return any;
}

/* --- one query of a request -------------------------------------------------------- */

static const struct metric *find_metric(const char *namespace, const char *name)
{
	if (!strcmp(namespace, APP_NAMESPACE) && !strcmp(name, app_metric.name))
		return &app_metric;
	for (size_t i = 0; i < COUNT(metrics); i++)
		if (!strcmp(namespace, "AWS/ApplicationELB") && !strcmp(metrics[i].name, name))
			return &metrics[i];
	return NULL;
}

static const struct side *find_side(const struct sim *s, const char *dimension)
{
	for (int i = 0; i < COLOURS; i++)
		if (s->side[i].exists && !strcmp(s->side[i].dimension, dimension))
			return &s->side[i];
	return NULL;
}

/* Dimensions nobody publishes give nothing, silently: as AWS does. */
static int find_zone(const struct sim *s, const char *name)
{
	size_t n = strlen(s->region);

	return !strncmp(name, s->region, n) && name[n] >= 'a' && name[n] < 'a' + ZONES && !name[n + 1] ? name[n] - 'a' : ZONES;
}

static bool find_dimensions(struct series *q, const json_t *dims)
{
	const char *group = NULL, *balancer = "";
	const json_t *d;
	size_t i;

	json_array_foreach(dims, i, d) {
		if (!strcmp(json_str(d, "Name", ""), "TargetGroup"))
			group = json_str(d, "Value", "");
		if (!strcmp(json_str(d, "Name", ""), "LoadBalancer"))
			balancer = json_str(d, "Value", "");
		if (!strcmp(json_str(d, "Name", ""), "AvailabilityZone"))
			q->zone = find_zone(q->sim, json_str(d, "Value", ""));
	}
	if (q->zone >= ZONES || strcmp(balancer, q->sim->balancer))
		return false;
	q->side = group ? find_side(q->sim, group) : NULL;
	return group ? q->side && q->metric->of_group : q->metric->of_balancer;
}

/* {"Colour": "blue" or "green"} */
static bool find_colour(struct series *q, const json_t *dims)
{
	const char *colour = json_str(json_array_get(dims, 0), "Value", "");

	if (json_array_size(dims) != 1 || strcmp(json_str(json_array_get(dims, 0), "Name", ""), "Colour"))
		return false;
	q->side = &q->sim->side[strcmp(colour, "green") ? BLUE : GREEN];
	return !strcmp(colour, "green") || !strcmp(colour, "blue");
}

static bool stat_fits(const struct series *q)
{
	bool sums = q->metric->family <= API_ERRORS;

	return sums ? !strcmp(q->stat, "Sum") : strcmp(q->stat, "Sum") != 0;
}

static bool find_series(struct sim *s, const json_t *stat, struct series *q)
{
	const json_t *m = json_object_get(stat, "Metric");

	*q = (struct series){ .sim = s, .zone = -1, .stat = json_str(stat, "Stat", ""),
			      .metric = find_metric(json_str(m, "Namespace", ""), json_str(m, "MetricName", "")),
			      .period = json_num(stat, "Period", 0) * 1000 };
	if (!q->metric || q->period < s->period_ms || q->period % s->period_ms)
		return false;
	return (q->metric == &app_metric ? find_colour : find_dimensions)(q, json_object_get(m, "Dimensions")) && stat_fits(q);
}

struct span { int64_t from, to; size_t points; };

/* Whole numbers are written as such: it is shorter, and a good client reads both. */
static json_t *number(double v)
{
	return v == floor(v) ? json_integer((json_int_t)v) : json_real(v);
}

static void add_points(struct series *q, struct span *span, json_t *times, json_t *values)
{
	double v = 0;

	for (int64_t t = span->from / q->period * q->period; t < span->to; t += q->period) {
		if (t < span->from || !value_over(q, t, &v))
			continue;
		json_array_append_new(times, json_integer(t / 1000));
		json_array_append_new(values, number(v));
		span->points++;
	}
}

static json_t *answer_query(struct sim *s, const json_t *query, struct span *span)
{
	json_t *times = json_array(), *values = json_array();
	struct series q;

	if (find_series(s, json_object_get(query, "MetricStat"), &q))
		add_points(&q, span, times, values);
	return json_pack("{s:s,s:s,s:o,s:o,s:s,s:[]}", "Id", json_str(query, "Id", ""), "Label", "metric",
			 "Timestamps", times, "Values", values, "StatusCode", "Complete", "Messages");
}

/* Cuts the last series of a page in two: its rest comes with the next one. */
static json_t *cut(json_t *results, size_t at, size_t page)
{
	json_t *out = json_array(), *r;
	size_t i;

	json_array_foreach(results, i, r) {
		json_t *times = json_object_get(r, "Timestamps"), *values = json_object_get(r, "Values");
		size_t half = json_array_size(times) / 2, n = json_array_size(times);

		if (i == at)
			for (size_t p = 0, gone = page ? half : n - half; p < gone; p++) {
				json_array_remove(times, page ? 0 : json_array_size(times) - 1);
				json_array_remove(values, page ? 0 : json_array_size(values) - 1);
			}
		if (i == at && !page)
			json_object_set_new(r, "StatusCode", json_string("PartialData"));
		if (page ? i >= at : i <= at)
			json_array_append(out, r);
	}
	json_decref(results);
	return out;
}

static bool check_queries(const json_t *queries, struct say *a)
{
	const json_t *q;
	size_t i;

	if (!json_array_size(queries) || json_array_size(queries) > QUERIES_MAX) {
		say_error(a, 400, "ValidationError", "MetricDataQueries must have 1 to %d members", QUERIES_MAX);
		return false;
	}
	json_array_foreach(queries, i, q)
		if (*json_str(q, "Id", "") < 'a' || *json_str(q, "Id", "") > 'z') {
			say_error(a, 400, "ValidationError", "The value '%.40s' is not a valid Id", json_str(q, "Id", ""));
			return false;
		}
	return true;
}

static void get_metric_data(struct sim *s, const struct ask *k, struct say *a)
{
	const json_t *queries = json_object_get(k->json, "MetricDataQueries"), *q;
	struct span span = { (int64_t)(1000 * json_dbl(k->json, "StartTime", -1)),
			     (int64_t)(1000 * json_dbl(k->json, "EndTime", -1)), 0 };
	size_t i, page = !!*json_str(k->json, "NextToken", "");
	json_t *results, *out;

	if (!check_queries(queries, a))
		return;
	if (span.from < 0 || span.to <= span.from) {
		say_error(a, 400, "ValidationError", "The parameter StartTime must be less than the parameter EndTime");
		return;
	}
	results = json_array();
	json_array_foreach(queries, i, q)
		json_array_append_new(results, answer_query(s, q, &span));
	if (span.points > PAGE_POINTS)
		results = cut(results, json_array_size(queries) / 2, page);
	out = json_pack("{s:o,s:[]}", "MetricDataResults", results, "Messages");
	if (span.points > PAGE_POINTS && !page)
		json_object_set_new(out, "NextToken", json_string("second-page"));
	say_json(a, out);
}

/* --- alarms ------------------------------------------------------------------------- */

static json_t *alarm_json(const struct sim *s, int i)
{
	bool fires = i == s->firing;

	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "AlarmName", s->alarm[i], "AlarmArn",
			 "arn:aws:cloudwatch:::alarm", "StateValue", fires ? "ALARM" : "OK", "StateReason",
			 fires ? "Threshold Crossed: 3 datapoints were greater than the threshold (5.0)." :
				 "Threshold not crossed.", "TreatMissingData", "missing", "ActionsEnabled", 1);
}

static void describe_alarms(struct sim *s, const struct ask *k, struct say *a)
{
	const json_t *names = json_object_get(k->json, "AlarmNames"), *name;
	json_t *out = json_array();
	size_t n;

	json_array_foreach(names, n, name)
		for (int i = 0; i < s->nalarms; i++)
			if (json_is_string(name) && !strcmp(s->alarm[i], json_string_value(name)))
				json_array_append_new(out, alarm_json(s, i));
	say_json(a, json_pack("{s:o,s:[]}", "MetricAlarms", out, "CompositeAlarms"));
}

const struct answer metrics_answers[] = {
	{ "GetMetricData", get_metric_data },
	{ "DescribeAlarms", describe_alarms },
	{ NULL, NULL },
};

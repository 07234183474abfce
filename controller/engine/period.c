#include "engine/period.h"

#include "aws/cloudwatch.h"
#include "aws/elb.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>

/* An answer is counted when it is sent, a request when it comes: some more errors than requests can be. */
#define MAY_EXCEED 1.2
#define MAY_EXCEED_BY 10

const char *period_metric_name(enum period_metric m)
{
	static const char *const names[PERIOD_METRICS] = {
		[PERIOD_REQUESTS] = "RequestCount", [PERIOD_ERRORS] = "HTTPCode_Target_5XX_Count",
		[PERIOD_CONNECTION_ERRORS] = "TargetConnectionErrorCount", [PERIOD_LATENCY] = "TargetResponseTime",
		[PERIOD_SLOW] = "TargetResponseTime", [PERIOD_SLOWER] = "TargetResponseTime",
	};

	return names[m];
}

void period_slow_stat(double limit_ms, char out[32])
{
	snprintf(out, 32, "PR(:%g)", limit_ms / 1000);
}

double period_value(const struct cw_series *s, int64_t at, bool *there)
{
	*there = false;
	for (size_t i = 0; s && i < s->n && !*there; i++)
		if (s->points[i].at == at) {
			*there = true;
			return s->points[i].value;
		}
	return 0;
}

double period_count(const struct cw_series *s, int64_t at)
{
	bool there;
	double v = period_value(s, at, &there);

	return there ? round(v) : -1;
}

static double period_slow(const struct cw_series *s, int64_t at, double requests)
{
	bool there;
	double quick = period_value(s, at, &there);

	return there && quick >= 0 && quick <= 100 ? round(requests * (1 - quick / 100)) : -1;
}

void period_read(const struct cw_series *const series[PERIOD_METRICS], int64_t at, int own, struct period_counts *out)
{
	double requests = period_count(series[PERIOD_REQUESTS], at);
	bool there;

	*out = (struct period_counts){ .asked = requests >= 0, .requests = fmax(requests - own, 0) };
	out->errors = period_count(series[PERIOD_ERRORS], at);
	out->refused = period_count(series[PERIOD_CONNECTION_ERRORS], at);
	out->absurd = out->errors > MAY_EXCEED * fmax(requests, 0) + MAY_EXCEED_BY;
	out->slow = period_slow(series[PERIOD_SLOW], at, out->requests);
	out->slower = period_slow(series[PERIOD_SLOWER], at, out->requests);
	out->latency_ms = 1000 * period_value(series[PERIOD_LATENCY], at, &there);
	if (!there)
		out->latency_ms = -1;
}

double period_failed(const struct period_counts *c)
{
	return fmax(c->errors, 0) + fmax(c->refused, 0);
}

int period_dimensions(const char *const group[2], const char *rule, char dim[3][128], struct err *e)
{
	return elb_group_dimension(group[0], dim[0], 128, e) || elb_group_dimension(group[1], dim[1], 128, e) ||
	       elb_balancer_dimension(rule, dim[2], 128, e) ? -1 : 0;
}

int period_is_complete(const struct cw_query *q, const struct cw_series *s, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!s[i].complete)
			return err_set(e, ERR_BUSY, "CloudWatch answered in part only: %.60s of %.60s: %.100s", q[i].metric,
				       q[i].group ? q[i].group : q[i].namespace, s[i].why);
	return 0;
}

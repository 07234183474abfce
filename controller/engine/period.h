/* engine/period.h - one closed period of one target group, as CloudWatch has it.
 *
 * The one reading of it, for the guarded rules, the sequential judge, blue's
 * past and `backtest`: what is missing, what is rounded, what cannot be true
 * (AWS, CloudWatch metrics for your Application Load Balancer: a metric is
 * reported only where it is not zero). */
#ifndef CUTOVER_ENGINE_PERIOD_H
#define CUTOVER_ENGINE_PERIOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cw_query;
struct cw_series;
struct err;

enum period_metric {
	PERIOD_REQUESTS, PERIOD_ERRORS, PERIOD_CONNECTION_ERRORS, PERIOD_LATENCY, PERIOD_SLOW, PERIOD_SLOWER, PERIOD_METRICS,
};
#define PERIOD_NAMESPACE "AWS/ApplicationELB"
const char *period_metric_name(enum period_metric m); /* "RequestCount" */

/* The statistic that says how many answers were quick enough, of 100 (CloudWatch
 * statistics definitions: percentile rank). The complement is a share, so zero
 * is told from nothing. */
void period_slow_stat(double limit_ms, char out[32]);

struct period_counts {
	bool asked;        /* RequestCount has a point: what else is missing is zero */
	bool absurd;       /* far more errors than requests: one of the two is wrong, and neither counts */
	double requests;   /* users' */
	double errors;     /* of targets, HTTP 5xx; -1: no point */
	double refused;    /* connections that targets refused or broke; -1: no point */
	double latency_ms; /* the plan's percentile; -1: no point */
	double slow, slower; /* requests that took longer than the limit, than twice the limit; -1: not known */
};

/* series: by enum period_metric; NULL where it was not asked. own: how many of the
 * requests were our probes. Their failures stay in: they are few, and errors. */
void period_read(const struct cw_series *const series[PERIOD_METRICS], int64_t at, int own, struct period_counts *out);
/* Users' failed requests: errors and refused, which may be more than the requests. */
double period_failed(const struct period_counts *c);

double period_value(const struct cw_series *s, int64_t at, bool *there);
/* A count of any metric: rounded, since what is judged is what the journal says; -1: no point. */
double period_count(const struct cw_series *s, int64_t at);

/* Dimensions of both target groups and of the load balancer that the rule is of. */
int period_dimensions(const char *const group[2], const char *rule, char dim[3][128], struct err *e);
/* 0 when each was answered in full, else ERR_BUSY with the first that was not. */
int period_is_complete(const struct cw_query *q, const struct cw_series *s, size_t n, struct err *e);
#endif

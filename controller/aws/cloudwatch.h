/* aws/cloudwatch.h - metrics and alarms (JSON 1.0, GraniteServiceVersion20100801). */
#ifndef CUTOVER_AWS_CLOUDWATCH_H
#define CUTOVER_AWS_CLOUDWATCH_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aws;
struct err;

struct cw_query {
	const char *namespace, *metric, *stat;       /* "AWS/ApplicationELB", "RequestCount", "Sum" | "p90" */
	const char *group, *balancer;                /* dimension values; NULL: without that dimension */
	const char *zone;                            /* availability zone; NULL: all */
	const json_t *dimensions;                    /* {name: value}: instead of all of these; NULL: these */
};

struct cw_point {
	int64_t at; /* wall ms, start of the period */
	double value;
};

struct cw_series {
	bool complete;         /* StatusCode Complete and no messages: else what is missing is unknown */
	char why[100];         /* when it is not: "PartialData", and what CloudWatch says of it */
	struct cw_point *points; /* oldest first */
	size_t n;
};

/* One GetMetricData (all pages) over [from, to) for at most 100 queries; out[i]
 * belongs to q[i]. from and to are wall ms and are aligned down to the period.
 * cw_series_free each. A result that is Forbidden or InternalError fails the
 * call (DENIED, BUSY): unknown is never an empty series. So does a value that a
 * load balancer's metric cannot have (UNSURE): counts that are negative, not
 * whole or beyond 10^8 requests a second, times beyond a day. */
int cw_get(struct aws *a, const struct cw_query *q, size_t n, int64_t from, int64_t to,
	   int period_s, struct cw_series *out, struct err *e);
/* The same for what two target groups of one load balancer were asked
 * (AWS/ApplicationELB, RequestCount). listener: ARN of it or of a rule of its. */
int cw_requests(struct aws *a, const char *listener, const char *const group[2], int64_t from, int64_t to, int period_s,
		struct cw_series out[2], struct err *e);
void cw_series_free(struct cw_series *s, size_t n);

enum cw_state { CW_OK, CW_ALARM, CW_INSUFFICIENT };
struct cw_alarm {
	char name[256], reason[256];
	enum cw_state state;
	bool missing_is_breaching;  /* TreatMissingData */
	bool evaluation_troubled;   /* EvaluationState set: its state cannot be trusted */
};
/* Metric and composite alarms by name, out[i] for names[i]; n <= 100. A name
 * that does not exist is ERR_GONE and is said. */
int cw_alarms(struct aws *a, const char *const *names, size_t n, struct cw_alarm *out,
	      struct err *e);
const char *cw_state_name(enum cw_state s);
#endif

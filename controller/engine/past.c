/* engine/past.c - blue's past, once for a run, before any attempt: what the
 * judge learns its level, its clumps and the difference of two healthy groups from. */
#include "engine/internal.h"

#include "aws/cloudwatch.h"
#include "engine/period.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ZONES 6        /* a zone is its region and a letter: eu-central-1a (AWS, Regions and zones) */
#define PAST_NEWEST 30 /* periods the judge takes the present traffic from */
#define PAST_OLDER 5   /* what is before them counts for so many at least */

enum { P_REQUESTS, P_ERRORS, P_CONNECTION_ERRORS, P_SLOW, PAST_METRICS };

struct past_reading {
	struct cw_query q[(1 + ZONES) * PAST_METRICS];
	struct cw_series s[(1 + ZONES) * PAST_METRICS];
	char dim[3][128], zone[ZONES][40], slow[32];
	size_t each; /* series of the whole, or of a zone: PAST_METRICS, or one less */
};

static int past_queries(struct engine *en, struct past_reading *r, bool slow, struct err *e)
{
	static const enum period_metric metric[PAST_METRICS] = {
		PERIOD_REQUESTS, PERIOD_ERRORS, PERIOD_CONNECTION_ERRORS, PERIOD_SLOW,
	};

	if (period_dimensions((const char *const[]){ en->blue, en->green }, en->run->plan->rule, r->dim, e))
		return -1;
	period_slow_stat(en->run->plan->watch.slow_ms, r->slow);
	r->each = slow ? PAST_METRICS : P_SLOW;
	for (size_t z = 0; z <= ZONES; z++)
		for (size_t m = 0; m < r->each; m++)
			r->q[z * r->each + m] = (struct cw_query){ .namespace = PERIOD_NAMESPACE, .metric = period_metric_name(metric[m]),
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
	const struct cw_series *series[PERIOD_METRICS] = {
		[PERIOD_REQUESTS] = &s[P_REQUESTS], [PERIOD_ERRORS] = &s[P_ERRORS],
		[PERIOD_CONNECTION_ERRORS] = &s[P_CONNECTION_ERRORS], [PERIOD_SLOW] = r->each > P_SLOW ? &s[P_SLOW] : NULL,
	};
	struct period_counts k;

	for (int i = 0; i < JUDGE_HISTORY; i++) {
		period_read(series, from + i * period, 0, &k);
		requests[i] = k.requests;
		errors[i] = fmin(period_failed(&k), k.requests);
		slow[i] = fmax(k.slow, 0);
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
	rc = period_is_complete(r->q, r->s, (1 + ZONES) * r->each, e);
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

#include "cli/past.h"

#include "aws/aws.h"
#include "aws/cloudwatch.h"
#include "aws/cred.h"
#include "aws/elb.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "engine/period.h"
#include "net/http.h"
#include "plan/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONES 6      /* a zone is its region and a letter: eu-central-1a (AWS, Regions and zones) */
#define CHUNK 1440   /* periods a call: well below the 100,800 points a GetMetricData gives at most */
#define ADDS_UP 1.05 /* zones together, as a multiple of the whole: more means that they are not parts of it */

enum { REQUESTS, ERRORS, CONNECTION_ERRORS, LATENCY, METRICS, GROUPS = 1 + ZONES };

/* --- a client ----------------------------------------------------------------------- */

struct client {
	struct http_curl *curl;
	struct http http;
	struct cred_chain *creds;
	struct aws *aws;
};

int client_open(const char *region, struct client **out, struct err *e)
{
	struct client *c = xcalloc(1, sizeof *c);
	const struct cred *cred;

	c->curl = http_curl_new(getenv("AWS_CA_BUNDLE"));
	c->http = (struct http){ http_curl_send, c->curl };
	c->creds = cred_chain_new(&c->http, &clock_real);
	c->aws = aws_new(&(struct aws_opts){ .http = &c->http, .clock = &clock_real, .creds = c->creds, .region = region });
	*out = c;
	return cred_get(c->creds, &cred, e);
}

struct aws *client_aws(struct client *c) { return c->aws; }

void client_close(struct client *c)
{
	if (!c)
		return;
	aws_free(c->aws);
	cred_chain_free(c->creds);
	http_curl_free(c->curl);
	free(c);
}

/* --- questions ------------------------------------------------------------------------- */

struct asked {
	struct cw_query q[GROUPS * METRICS];
	struct cw_series s[GROUPS * METRICS];
	char group[128], balancer[128], zone[ZONES][40], stat[32]; /* stat: of the response time */
	bool counts_slow; /* ... which is how many of 100 were quick enough */
};

static int prepare(struct asked *k, const struct plan *p, struct err *e)
{
	static const enum period_metric metric[METRICS] = {
		PERIOD_REQUESTS, PERIOD_ERRORS, PERIOD_CONNECTION_ERRORS, PERIOD_LATENCY,
	};

	memset(k, 0, sizeof *k);
	if (elb_group_dimension(p->blue.target_group, k->group, sizeof k->group, e) ||
	    elb_balancer_dimension(p->rule, k->balancer, sizeof k->balancer, e))
		return -1;
	k->counts_slow = p->watch.slow_ms > 0;
	snprintf(k->stat, sizeof k->stat, "%s", p->watch.latency_stat);
	if (k->counts_slow)
		period_slow_stat(p->watch.slow_ms, k->stat);
	for (int z = 0; z < ZONES; z++)
		snprintf(k->zone[z], sizeof k->zone[z], "%.32s%c", p->region, (char)('a' + z));
	for (int g = 0; g < GROUPS; g++)
		for (int m = 0; m < METRICS; m++)
			k->q[g * METRICS + m] = (struct cw_query){ .namespace = PERIOD_NAMESPACE, .metric = period_metric_name(metric[m]), .group = k->group,
				.balancer = k->balancer, .stat = m == LATENCY ? k->stat : "Sum",
				.zone = g ? k->zone[g - 1] : NULL };
	return 0;
}

static int ask(struct aws *a, struct asked *k, int groups, int64_t from, int64_t to, int64_t period, struct err *e)
{
	size_t n = (size_t)groups * METRICS;

	if (cw_get(a, k->q, n, from, to, (int)(period / 1000), k->s, e))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (!k->s[i].complete) {
			cw_series_free(k->s, n);
			return err_set(e, ERR_BUSY, "CloudWatch did not answer in full: ask again later, or for less time");
		}
	return 0;
}

/* --- periods ----------------------------------------------------------------------------- */

static void put(const struct asked *k, int group, int64_t time, struct aa_period *at)
{
	const struct cw_series *s = &k->s[(size_t)group * METRICS];
	const struct cw_series *series[PERIOD_METRICS] = {
		[PERIOD_REQUESTS] = &s[REQUESTS], [PERIOD_ERRORS] = &s[ERRORS], [PERIOD_CONNECTION_ERRORS] = &s[CONNECTION_ERRORS],
	};
	struct period_counts c;

	series[k->counts_slow ? PERIOD_SLOW : PERIOD_LATENCY] = &s[LATENCY];
	period_read(series, time, 0, &c);
	if (c.asked)
		at->requests = c.requests;
	at->errors = fmin(period_failed(&c), c.requests);
	at->latency = fmax(c.latency_ms, 0);
	at->slow = fmax(c.slow, 0);
}

/* A call for each day; all groups of it in place. */
static int read_all(struct aws *a, struct asked *k, int64_t from, int n, int64_t period, int groups, struct aa_period *out,
		    struct err *e)
{
	for (int at = 0; at < n; at += CHUNK) {
		int size = n - at < CHUNK ? n - at : CHUNK;
		int64_t start = from + at * period;

		if (ask(a, k, groups, start, start + size * period, period, e))
			return -1;
		for (int g = 0; g < groups; g++)
			for (int i = 0; i < size; i++)
				put(k, g, start + i * period, &out[(size_t)g * (size_t)n + (size_t)(at + i)]);
		cw_series_free(k->s, (size_t)groups * METRICS);
	}
	return 0;
}

static double requests_of(const struct aa_period *at, int n)
{
	double t = 0;

	for (int i = 0; i < n; i++)
		t += fmax(at[i].requests, 0);
	return t;
}

/* The two busiest zones; false: there are no two, or they are no parts of the whole. */
static bool pick_zones(const struct aa_period *all, int n, int best[2])
{
	double size[ZONES], sum = 0;

	best[0] = best[1] = -1;
	for (int z = 0; z < ZONES; z++) {
		sum += size[z] = requests_of(all + (size_t)(z + 1) * (size_t)n, n);
		if (size[z] > 0 && (best[0] < 0 || size[z] > size[best[0]])) {
			best[1] = best[0];
			best[0] = z;
		} else if (size[z] > 0 && (best[1] < 0 || size[z] > size[best[1]])) {
			best[1] = z;
		}
	}
	if (best[1] >= 0 && best[0] > best[1]) {
		int z = best[0];

		best[0] = best[1];
		best[1] = z;
	}
	return best[1] >= 0 && sum <= ADDS_UP * requests_of(all, n);
}

static struct aa_period *copy_of(const struct aa_period *all, int group, int n)
{
	struct aa_period *c = xcalloc((size_t)n, sizeof *c);

	memcpy(c, all + (size_t)group * (size_t)n, (size_t)n * sizeof *c);
	return c;
}

int past_read(struct aws *a, const struct plan *p, int64_t from, int64_t to, struct past *out, struct err *e)
{
	int64_t period = p->watch.period_ms, n = to / period - from / period;
	autofree struct aa_period *all = NULL;
	autofree struct asked *k = xcalloc(1, sizeof *k);
	int best[2];

	*out = (struct past){ .from = from / period * period, .period_ms = period, .n = (int)n };
	if (n < 1 || n > PAST_PERIODS)
		return err_set(e, ERR_INPUT, "%lld periods of %lld s; 1 to %d can be read", (long long)n, (long long)(period / 1000),
			       PAST_PERIODS);
	all = xcalloc((size_t)n * GROUPS, sizeof *all);
	for (int64_t i = 0; i < n * GROUPS; i++)
		all[i].requests = -1;
	if (prepare(k, p, e) || read_all(a, k, out->from, out->n, period, GROUPS, all, e))
		return -1;
	if (requests_of(all, out->n) <= 0)
		return err_set(e, ERR_GONE, "CloudWatch shows no request of blue (%s) in that time", k->group);
	out->whole = copy_of(all, 0, out->n);
	for (int i = 0; i < out->n; i++)
		out->seen += all[i].requests > 0 ? 1.0 / out->n : 0;
	if (!pick_zones(all, out->n, best))
		return 0;
	for (int i = 0; i < 2; i++) {
		out->half[i] = copy_of(all, 1 + best[i], out->n);
		snprintf(out->zone[i], sizeof out->zone[i], "%s", k->zone[best[i]]);
	}
	return 0;
}

void past_free(struct past *p)
{
	free(p->whole);
	free(p->half[0]);
	free(p->half[1]);
	*p = (struct past){ 0 };
}

/* --- rates ----------------------------------------------------------------------------------- */

#define HOUR_MS 3600000

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int past_rates(struct aws *a, const struct plan *p, int64_t from, int64_t to, struct past_rates *out, struct err *e)
{
	int n = (int)((to - from) / HOUR_MS), hours = 0;
	autofree struct asked *k = xcalloc(1, sizeof *k);
	autofree struct aa_period *all = xcalloc((size_t)(n > 0 ? n : 1), sizeof *all);
	autofree double *size = xcalloc((size_t)(n > 0 ? n : 1), sizeof *size);
	double requests = 0, errors = 0;

	*out = (struct past_rates){ 0 };
	if (n < 1 || n > PAST_PERIODS)
		return err_set(e, ERR_INPUT, "%d hours; 1 to %d can be read", n, PAST_PERIODS);
	from = from / HOUR_MS * HOUR_MS;
	if (prepare(k, p, e) || read_all(a, k, from, n, HOUR_MS, 1, all, e))
		return -1;
	for (int i = 0; i < n; i++) {
		if (all[i].requests <= 0)
			continue;
		size[hours++] = all[i].requests / 60;
		requests += all[i].requests;
		errors += all[i].errors;
	}
	if (!hours)
		return err_set(e, ERR_GONE, "CloudWatch shows no request of blue (%s) in that time", k->group);
	qsort(size, (size_t)hours, sizeof *size, ascending);
	*out = (struct past_rates){ size[hours / 2], size[0], size[hours - 1], errors / requests, hours };
	return 0;
}

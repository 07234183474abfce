/* Any answer of any AWS service: read, or refused with a sentence; never believed by halves. */
#include "aws/cloudformation.h"
#include "aws/cloudwatch.h"
#include "aws/cred.h"
#include "aws/aws.h"
#include "aws/ecs.h"
#include "aws/elb.h"
#include "aws/scheduler.h"
#include "aws/sts.h"
#include "base/buf.h"
#include "base/err.h"
#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct canned { const uint8_t *p; size_t n; };

static int send_canned(void *ctx, const struct http_req *q, struct http_res *a, struct err *e)
{
	const struct canned *c = ctx;

	(void)q, (void)e;
	*a = (struct http_res){ .status = 200, .head = xstrdup(""), .body = xstrndup((const char *)c->p, c->n) };
	a->nbody = strlen(a->body);
	return 0;
}

/* Waiting between tries costs nothing. */
static int64_t ms = 1767232800000;
static int64_t now(struct clock *c) { (void)c; return ms; }
static void skip(struct clock *c, int64_t left) { (void)c; ms += left; }
static struct clock timeless = { now, now, skip, -1 };

static void try_rule(struct aws *a, struct err *e)
{
	autorule struct elb_rule r = { 0 };
	struct elb_weight g[2] = { { SIM_BLUE, 999 }, { SIM_GREEN, 0 } };

	if (elb_rule_get(a, SIM_RULE, &r, e))
		return;
	for (size_t i = 0; i < r.ngroups; i++)
		if (r.group[i].weight < 0 || r.group[i].weight > ELB_WEIGHT_MAX || !*r.group[i].arn)
			abort();
	if (!r.ngroups)
		abort();
	(void)elb_rule_set(a, &r, g, 2, e);
}

static void try_elb(struct aws *a, struct err *e)
{
	autojson json_t *tags = NULL;
	struct elb_health h;
	struct elb_group g;

	(void)elb_tags(a, SIM_RULE, &tags, e);
	(void)elb_group_get(a, SIM_BLUE, &g, e);
	if (!elb_health(a, SIM_BLUE, &h, e) && h.healthy > h.total)
		abort();
}

static void try_metrics(struct aws *a, struct err *e)
{
	const struct cw_query q[2] = { { "AWS/ApplicationELB", "RequestCount", "Sum", "targetgroup/g/1", "app/a/1", NULL, NULL },
				       { "AWS/ApplicationELB", "TargetResponseTime", "p90", NULL, "app/a/1", NULL, NULL } };
	struct cw_series s[2];

	if (cw_get(a, q, 2, 1767232800000, 1767233400000, 60, s, e))
		return;
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < s[i].n; k++)
			if (s[i].points[k].at < 1767232800000 || s[i].points[k].at >= 1767233400000 ||
			    s[i].points[k].at % 60000 || (k && s[i].points[k].at <= s[i].points[k - 1].at))
				abort();
	cw_series_free(s, 2);
}

static void try_alarms(struct aws *a, struct err *e)
{
	static const char *const names[] = { "a", "b" };
	struct cw_alarm found[2];

	if (!cw_alarms(a, names, 2, found, e) && (strcmp(found[0].name, "a") || strcmp(found[1].name, "b")))
		abort();
}

static void try_stacks(struct aws *a, struct err *e)
{
	autochange struct cfn_change change = { 0 };
	autostack struct cfn_stack stack = { 0 };
	char why[64];

	if (!cfn_stack_get(a, "s", &stack, e) && (!*stack.id || !*stack.status))
		abort();
	if (!cfn_change_get(a, "s", "c", &change, e))
		(void)cfn_change_is_empty(&change);
	(void)cfn_why_failed(a, "s", NULL, why, sizeof why, e);
}

static void try_rest(struct aws *a, struct err *e)
{
	struct ecs_service s;
	struct sts_who who;
	bool exists;
	int64_t at;

	if (!ecs_service_get(a, "c", "s", &s, e) && (s.desired < 0 || s.running < 0))
		abort();
	(void)sts_who(a, &who, e);
	(void)schedule_get(a, NULL, "n", &exists, &at, e);
}

/* The first byte says who reads the rest. Errors must be sentences. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const tries[])(struct aws *, struct err *) = { try_rule, try_elb, try_metrics,
								     try_alarms, try_stacks, try_rest };
	static bool ready;
	struct canned c = { data + 1, size - 1 };
	struct http http = { send_canned, &c };
	struct cred_chain *creds;
	struct err e = { 0 };
	struct aws *a;

	if (!size)
		return 0;
	if (!ready) {
		setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
		setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 1);
		ready = true;
	}
	creds = cred_chain_new(&http, &timeless);
	a = aws_new(&(struct aws_opts){ .http = &http, .clock = &timeless, .creds = creds, .region = SIM_REGION,
					.seed = 1 });
	tries[data[0] % COUNT(tries)](a, &e);
	if (e.kind && !*e.msg)
		abort();
	aws_free(a);
	cred_chain_free(creds);
	return 0;
}

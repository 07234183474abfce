#include "steps/needs.h"

#include "aws/cloudwatch.h"
#include "aws/elb.h"
#include "aws/scheduler.h"
#include "aws/secrets.h"
#include "base/buf.h"
#include "base/err.h"
#include "engine/step.h"
#include "judge/judge.h"
#include "plan/plan.h"

#include <string.h>

#define NEEDS_PERIODS 3 /* of metrics, to see whether they can be read */
#define NEEDS_QUERIES 32

/* --- what the watch reads ------------------------------------------------------------ */

static bool needs_watch(const struct plan *p)
{
	for (size_t i = 0; i < p->nsteps; i++)
		if (p->steps[i].kind->flags & STEP_TRAFFIC)
			return true;
	return false;
}

/* What a step will put out is not known yet. */
static bool needs_is_known(const json_t *v)
{
	autofree char *text = v ? json_flat(v) : NULL;

	return text && !strstr(text, "${");
}

struct needs_asked {
	struct cw_query q[NEEDS_QUERIES];
	size_t n;
	char dim[2][128], balancer[128];
};

static int needs_dimensions(struct step_run *r, struct needs_asked *a, struct err *e)
{
	return elb_balancer_dimension(r->plan->rule, a->balancer, sizeof a->balancer, e) ||
	       elb_group_dimension(r->blue, a->dim[0], sizeof a->dim[0], e) ||
	       (r->green[0] && elb_group_dimension(r->green, a->dim[1], sizeof a->dim[1], e)) ? -1 : 0;
}

static void needs_ask(struct step_run *r, struct needs_asked *a, int colour)
{
	const char *stat = r->plan->watch.latency_stat;
	const struct { const char *metric, *stat; } of[] = {
		{ "RequestCount", "Sum" }, { "HTTPCode_Target_5XX_Count", "Sum" }, { "TargetConnectionErrorCount", "Sum" },
		{ "TargetResponseTime", *stat ? stat : "p90" },
	};
	size_t i;
	json_t *m;

	for (i = 0; i < COUNT(of); i++)
		a->q[a->n++] = (struct cw_query){ .namespace = "AWS/ApplicationELB", .metric = of[i].metric, .stat = of[i].stat,
						  .group = a->dim[colour], .balancer = a->balancer };
	json_array_foreach(r->plan->watch.metrics, i, m)
		if (a->n < NEEDS_QUERIES && needs_is_known(json_object_get(m, colour ? "green" : "blue")))
			a->q[a->n++] = (struct cw_query){ .namespace = json_str(m, "namespace", ""), .metric = json_str(m, "metric", ""),
							  .stat = "Sum", .dimensions = json_object_get(m, colour ? "green" : "blue") };
}

static int needs_get(struct step_run *r, const struct needs_asked *a, int periods, struct cw_series *s, struct err *e)
{
	int64_t period = r->plan->watch.period_ms, to = (r->now - plan_watch_lag_ms(&r->plan->watch)) / period * period;

	return cw_get(r->aws, a->q, a->n, to - periods * period, to, (int)(period / 1000), s, e);
}

static int needs_metrics(struct step_run *r, struct err *e)
{
	struct cw_series s[NEEDS_QUERIES];
	struct needs_asked a = { .n = 0 };

	if (!needs_watch(r->plan))
		return 0;
	if (needs_dimensions(r, &a, e))
		return -1;
	needs_ask(r, &a, 0);
	if (r->green[0])
		needs_ask(r, &a, 1);
	if (needs_get(r, &a, NEEDS_PERIODS, s, e))
		return -1;
	cw_series_free(s, a.n);
	return 0;
}

/* --- what the judge compares green with ------------------------------------------------- */

/* Closed periods since the first with requests; it needs so many. */
static size_t needs_periods_of(const struct cw_series *s, int64_t end, int64_t period)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->points[i].value > 0)
			return (size_t)((end - s->points[i].at) / period);
	return 0;
}

/* Where a person decides what the judge cannot, it may know nothing. */
static int needs_past(struct step_run *r, struct err *e)
{
	const struct plan_watch *w = &r->plan->watch;
	int64_t period = w->period_ms, end = (r->now - plan_watch_lag_ms(w)) / period * period;
	struct needs_asked a = { .n = 1 };
	struct cw_series s;
	size_t periods;

	if (!needs_watch(r->plan) || !w->sequential || w->on_hold == PLAN_HOLD_CALL)
		return 0;
	if (needs_dimensions(r, &a, e))
		return -1;
	a.q[0] = (struct cw_query){ .namespace = "AWS/ApplicationELB", .metric = "RequestCount", .stat = "Sum", .group = a.dim[0],
				    .balancer = a.balancer };
	if (needs_get(r, &a, JUDGE_HISTORY, &s, e))
		return -1;
	periods = needs_periods_of(&s, end, period);
	cw_series_free(&s, 1);
	if (periods >= JUDGE_PAST_LEAST)
		return 0;
	return err_set(e, ERR_BUSY, "CloudWatch shows %zu periods of blue with requests, %d are needed to compare green with: "
		       "without them the run would hold and go back", periods, JUDGE_PAST_LEAST);
}

/* --- the rest ---------------------------------------------------------------------------- */

static int needs_green_health(struct step_run *r, struct err *e)
{
	struct elb_health h;

	return r->green[0] && needs_watch(r->plan) ? elb_health(r->aws, r->green, &h, e) : 0;
}

/* One that nobody made is looked for: AWS says that there is none, or that we may not ask. */
static int needs_schedule(struct step_run *r, struct err *e)
{
	bool exists;
	int64_t at;

	return r->plan->deadman.on ? schedule_get(r->aws, r->plan->deadman.group, "cutover-preflight", &exists, &at, e) : 0;
}

static bool needs_secret(const struct step *s)
{
	for (size_t i = 0; i < s->kind->nops; i++)
		if (s->kind->ops[i] == SECRETS_GET_SECRET_VALUE)
			return true;
	return false;
}

static int needs_read_secret(struct step_run *r, const struct step *s, struct err *e)
{
	autosecret char *text = NULL;
	const json_t *id = json_object_get(s->params, "secret");

	if (!needs_secret(s) || !json_is_string(id) || !needs_is_known(id))
		return 0;
	return secret_get(r->aws, json_string_value(id), &text, e) ? err_wrap(e, "step %s", s->id) : 0;
}

/* The simulated world has no secrets. */
static int needs_secrets(struct step_run *r, struct err *e)
{
	for (size_t i = 0; !r->simulated && i < r->plan->nsteps; i++)
		if (needs_read_secret(r, &r->plan->steps[i], e))
			return -1;
	return 0;
}

int needs_read(struct step_run *r, size_t n, struct err *e)
{
	static const struct {
		int (*read)(struct step_run *, struct err *);
		enum aws_op op;
	} needs[] = {
		{ needs_metrics, CW_GET_METRIC_DATA },
		{ needs_past, CW_GET_METRIC_DATA },
		{ needs_green_health, ELB_DESCRIBE_TARGET_HEALTH },
		{ needs_schedule, SCHEDULER_GET_SCHEDULE },
		{ needs_secrets, SECRETS_GET_SECRET_VALUE },
	};

	if (n >= COUNT(needs))
		return 1;
	if (!needs[n].read(r, e))
		return 0;
	if (e->kind == ERR_DENIED)
		err_wrap(e, "the run will need %s, which is refused", aws_op_info(needs[n].op)->iam);
	return -1;
}

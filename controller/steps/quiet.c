#include "steps/quiet.h"

#include "aws/cloudwatch.h"
#include "aws/elb.h"
#include "base/err.h"
#include "plan/plan.h"

static double value_at(const struct cw_series *s, int64_t at)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->points[i].at == at)
			return s->points[i].value;
	return 0;
}

static void tally(const struct cw_series *quiet, const struct cw_series *busy, int64_t from, int64_t to,
		  int64_t period, struct quiet *out)
{
	for (int64_t t = from; t < to; t += period) {
		double q = value_at(quiet, t), b = value_at(busy, t);

		out->closed++;
		out->requests += q;
		out->loud += q > 0;
		out->busy += b > 0;
		out->silent += !(b > 0);
		if (q > 0) /* only what came after the last request proves anything */
			out->busy = out->silent = 0;
	}
}

static int read_series(struct step_run *r, const char *quiet, const char *busy, int64_t from, int64_t to,
		       struct cw_series s[2], struct err *e)
{
	char q[128], b[128], lb[128];

	if (elb_group_dimension(quiet, q, sizeof q, e) || elb_group_dimension(busy, b, sizeof b, e) ||
	    elb_balancer_dimension(r->plan->rule, lb, sizeof lb, e))
		return -1;
	struct cw_query queries[2] = {
		{ "AWS/ApplicationELB", "RequestCount", "Sum", q, lb, NULL, NULL },
		{ "AWS/ApplicationELB", "RequestCount", "Sum", b, lb, NULL, NULL },
	};
	return cw_get(r->aws, queries, 2, from, to, (int)(r->plan->watch.period_ms / 1000), s, e);
}

int quiet_look(struct step_run *r, const char *quiet, const char *busy, int n, struct quiet *out, struct err *e)
{
	const struct plan_watch *w = &r->plan->watch;
	int64_t period = w->period_ms, lag = w->lag_ms > 0 ? w->lag_ms : 2 * period;
	int64_t to = (r->now - lag) / period * period, from = to - n * period;
	int64_t settled = (step_weight_since(r) + period - 1) / period * period;
	struct cw_series s[2];

	*out = (struct quiet){ .complete = true };
	from = from > settled ? from : settled;
	if (from >= to)
		return 0;
	if (read_series(r, quiet, busy, from, to, s, e))
		return -1;
	out->complete = s[0].complete && s[1].complete;
	tally(&s[0], &s[1], from, to, period, out);
	cw_series_free(s, 2);
	return 0;
}

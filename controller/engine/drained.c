/* engine/drained.c - does nobody ask this colour any more?
 *
 * DescribeRules tells what the control plane was told, not where requests go:
 * 503s on the old group were seen after ModifyRule had answered
 * (argo-rollouts#4595). CloudWatch tells, but publishes nothing for a group
 * without requests, and also nothing when it cannot see. So silence of one
 * colour proves something only in periods in which the other one was asked; or
 * when nobody was asked for so long that nobody is there to be misled. */
#include "engine/drained.h"

#include "aws/cloudwatch.h"
#include "aws/elb.h"
#include "base/err.h"
#include "plan/plan.h"

/* The load balancer's nodes learn of a change within some seconds. */
static int64_t drained_propagation_ms(int64_t period_ms)
{
	return period_ms < 30000 ? period_ms : 30000;
}

static double drained_value(const struct cw_series *s, int64_t at)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->points[i].at == at)
			return s->points[i].value;
	return 0;
}

static void drained_tally(const struct cw_series *quiet, const struct cw_series *busy, int64_t from, int64_t to,
			  int64_t period, struct drained *out)
{
	for (int64_t t = from; t < to; t += period) {
		double q = drained_value(quiet, t), b = drained_value(busy, t);

		out->closed++;
		out->requests += q;
		out->loud += q > 0;
		out->busy += b > 0;
		out->silent += !(b > 0);
		if (q > 0) /* only what came after the last request proves anything */
			out->busy = out->silent = 0;
	}
}

static int64_t drained_align(int64_t t, int64_t step) { return t / step * step; }

int drained_look(struct aws *a, const struct plan *p, const struct drained_of *of, struct drained *out, struct err *e)
{
	int64_t period = p->watch.period_ms, to = drained_align(of->now - plan_watch_lag_ms(&p->watch), period);
	int64_t from = drained_align(of->since + drained_propagation_ms(period) + period - 1, period);
	struct cw_series s[2];

	*out = (struct drained){ .complete = true };
	if (of->newest && from < to - of->newest * period)
		from = to - of->newest * period;
	if (from >= to)
		return 0;
	if (cw_requests(a, p->rule, (const char *const[]){ of->quiet, of->busy }, from, to, (int)(period / 1000), s, e))
		return -1;
	out->complete = s[0].complete && s[1].complete;
	drained_tally(&s[0], &s[1], from, to, period, out);
	cw_series_free(s, 2);
	return 0;
}

bool drained_is_proved(const struct drained *d, int n)
{
	return d->complete && (d->busy >= n || d->silent >= DRAINED_SILENT);
}

bool drained_blue_can_serve(struct aws *a, const char *blue, const char *green)
{
	struct elb_health b, g;
	struct err ignored = { 0 };

	if (elb_health(a, blue, &b, &ignored) || b.healthy > 0)
		return true;
	if (elb_health(a, green, &g, &ignored))
		return true;
	return g.healthy == 0;
}

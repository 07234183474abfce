#include "steps/quiet.h"

#include "aws/cloudwatch.h"
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

int quiet_look(struct step_run *r, const char *quiet, const char *busy, int n, struct quiet *out, struct err *e)
{
	const struct plan_watch *w = &r->plan->watch;
	int64_t period = w->period_ms, lag = plan_watch_lag_ms(w);
	int64_t to = (r->now - lag) / period * period, from = to - n * period;
	int64_t settled = (step_weight_since(r) + period - 1) / period * period;
	struct cw_series s[2];

	*out = (struct quiet){ .complete = true };
	from = from > settled ? from : settled;
	if (from >= to)
		return 0;
	if (cw_requests(r->aws, r->plan->rule, (const char *const[]){ quiet, busy }, from, to, (int)(period / 1000), s, e))
		return -1;
	out->complete = s[0].complete && s[1].complete;
	tally(&s[0], &s[1], from, to, period, out);
	cw_series_free(s, 2);
	return 0;
}

/* engine/proof.c - is green really free of requests?
 *
 * DescribeRules tells what the control plane was told, not where requests go:
 * 503s on the old group were seen after ModifyRule had answered
 * (argo-rollouts#4595). So "rolled back" is said only after CloudWatch shows a
 * closed period in which blue was asked and green was not. */
#include "engine/internal.h"

#include "aws/cloudwatch.h"
#include "aws/elb.h"

#include <stdio.h>

/* Longest that a write may take effect after its sender gave it up, or died: a
 * request waits HTTP_TIMEOUT_MS for its answer, and what stands between (proxies,
 * AWS's own queues) is given a minute. AWS itself only bounds it by the age of
 * the signature, five minutes. */
#define LATE_WRITE_MS 60000
/* Periods without any request at all after which nobody is there to be misled. */
#define SILENT_PERIODS 5

struct counts {
	int blue_only, green, silent; /* closed periods of each kind since the write */
};

static int64_t propagation_ms(int64_t period_ms)
{
	return period_ms < 30000 ? period_ms : 30000;
}

static int64_t align_up(int64_t t, int64_t step)
{
	return (t + step - 1) / step * step;
}

static bool has_point(const struct cw_series *s, int64_t at)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->points[i].at == at && s->points[i].value > 0)
			return true;
	return false;
}

static void tally(const struct cw_series s[2], int64_t from, int64_t to, int64_t period, struct counts *c)
{
	for (int64_t t = from; t < to; t += period) {
		bool blue = has_point(&s[0], t), green = has_point(&s[1], t);

		c->green += green;
		c->blue_only += blue && !green;
		c->silent += !blue && !green;
		if (green) /* only what came after the last green request proves anything */
			c->blue_only = c->silent = 0;
	}
}

static int count_periods(struct engine *en, struct counts *c, struct err *e)
{
	const struct plan_watch *w = &en->run->plan->watch;
	int64_t from = align_up(en->run->traffic.since + propagation_ms(w->period_ms), w->period_ms);
	int64_t to = (engine_now(en) - plan_watch_lag_ms(w)) / w->period_ms * w->period_ms;
	const char *const group[2] = { en->blue, en->green };
	struct cw_series s[2];

	if (to <= from)
		return 0;
	if (cw_requests(en->aws, en->run->plan->rule, group, from, to, (int)(w->period_ms / 1000), s, e))
		return -1;
	if (s[0].complete && s[1].complete)
		tally(s, from, to, w->period_ms, c);
	cw_series_free(s, 2);
	return 0;
}

static enum step_verdict proved(struct engine *en, const struct counts *c, int healthy, struct err *e)
{
	json_t *body = json_pack("{s:i, s:i, s:s}", "blue_only_periods", c->blue_only, "blue_healthy", healthy, "by",
				 c->blue_only ? "CloudWatch: blue was asked and green was not" :
				 "CloudWatch: nobody asked either colour");

	return engine_append(en, "proved", "", body, e) ? STEP_FAIL : STEP_DONE;
}

int64_t proof_late_until(const struct run *r)
{
	return r->traffic.unsure ? r->traffic.unsure + LATE_WRITE_MS : 0;
}

enum step_verdict proof_of_blue(struct engine *en, char *saying, size_t size, struct err *e)
{
	const struct run_traffic *t = &en->run->traffic;
	struct counts c = { 0 };
	struct elb_health h;

	if (en->run->proved)
		return STEP_DONE;
	if (engine_now(en) < proof_late_until(en->run)) {
		snprintf(saying, size, "waiting until a write that was never answered can no longer take effect");
		return STEP_WAIT;
	}
	if (!t->raised) /* green never had weight in this attempt: the rule alone is proof */
		return STEP_DONE;
	if (elb_health(en->aws, en->blue, &h, e) || count_periods(en, &c, e))
		return STEP_FAIL;
	if (h.healthy > 0 && (c.blue_only > 0 || c.silent >= SILENT_PERIODS))
		return proved(en, &c, h.healthy, e);
	snprintf(saying, size, c.green ? "the rule gives green no weight, but green still answers requests"
			       : h.healthy ? "the rule is on blue; waiting for CloudWatch to show green without requests"
					   : "blue has no healthy target");
	return STEP_WAIT;
}

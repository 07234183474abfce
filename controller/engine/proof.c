/* engine/proof.c - is green really free of requests? "Rolled back" is said only
 * after CloudWatch has shown a closed period in which blue was asked and green
 * was not (drained.c), and no write of anybody is on its way any more. */
#include "engine/internal.h"

#include "aws/elb.h"

#include <stdio.h>

/* Longest that a write may take effect after its sender gave it up, or died: a
 * request waits HTTP_TIMEOUT_MS for its answer, and what stands between (proxies,
 * AWS's own queues) is given a minute. AWS itself only bounds it by the age of
 * the signature, five minutes. */
#define LATE_WRITE_MS 60000

static enum step_verdict proved(struct engine *en, const struct drained *d, int healthy, struct err *e)
{
	json_t *body = json_pack("{s:i, s:i, s:s}", "blue_only_periods", d->busy, "blue_healthy", healthy, "by",
				 d->busy ? "CloudWatch: blue was asked and green was not" :
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
	const struct drained_of of = { en->green, en->blue, t->since, engine_now(en), 0 };
	struct drained d = { 0 };
	struct elb_health h;

	if (en->run->proved)
		return STEP_DONE;
	if (engine_now(en) < proof_late_until(en->run)) {
		snprintf(saying, size, "waiting until a write that was never answered can no longer take effect");
		return STEP_WAIT;
	}
	if (!t->raised) /* green never had weight in this attempt: the rule alone is proof */
		return STEP_DONE;
	if (elb_health(en->aws, en->blue, &h, e) || drained_look(en->aws, en->run->plan, &of, &d, e))
		return STEP_FAIL;
	if (h.healthy > 0 && drained_is_proved(&d, 1))
		return proved(en, &d, h.healthy, e);
	snprintf(saying, size, d.loud ? "the rule gives green no weight, but green still answers requests"
			       : h.healthy ? "the rule is on blue; waiting for CloudWatch to show green without requests"
					   : "blue has no healthy target");
	return STEP_WAIT;
}

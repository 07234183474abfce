/* engine/proof.c - is green really free of requests? "Rolled back" is said only
 * after CloudWatch has shown a closed period in which blue was asked and green
 * was not (drained.c), and no write of anybody is on its way any more. */
#include "engine/internal.h"

#include "aws/elb.h"

#include <stdio.h>

static enum step_verdict proved(struct engine *en, const struct drained *d, int healthy, struct err *e)
{
	json_t *body = json_pack("{s:i, s:i, s:s}", "blue_only_periods", d->busy, "blue_healthy", healthy, "by",
				 d->busy ? "CloudWatch: blue was asked and green was not" :
				 "CloudWatch: nobody asked either colour");

	return engine_append(en, EVENT_PROVED, "", body, e) ? STEP_FAIL : STEP_DONE;
}

/* By our own monotonic clock, from when this process first knew of the doubt:
 * the line may be of another host, whose clock is another. */
bool proof_nothing_is_late(struct engine *en)
{
	const struct run_traffic *t = &en->run->traffic;
	int64_t now = clock_mono(en->clock);

	if (!t->unsure_seq)
		return true;
	if (en->late_seq != t->unsure_seq) {
		en->late_seq = t->unsure_seq;
		en->late_from = now;
	}
	return now - en->late_from >= PROOF_LATE_WRITE_MS;
}

enum step_verdict proof_of_blue(struct engine *en, bool settled, char *saying, size_t size, struct err *e)
{
	const struct run_traffic *t = &en->run->traffic;
	const struct drained_of of = { en->green, en->blue, t->since, engine_now(en), 0 };
	struct drained d = { 0 };
	struct elb_health h;

	if (en->run->proved)
		return STEP_DONE;
	if (!settled) {
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

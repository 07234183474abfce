/* judge/auto.c - weights of its own: "stages": "auto".
 *
 * The weight is what a harm budget allows: with excess rates up to d not yet
 * excluded, harm / (traffic x d x time to react) of the traffic may be green.
 * It grows with the evidence, by a factor at most, and stops at a weight that
 * keeps some blue for comparison until green has baked. */
#include "judge/parts.h"

#include <math.h>
#include <stdio.h>

#define NEARLY_HALF .35 /* a step that would end here goes to half at once */
#define WORTH 1.2       /* smaller raises are not worth a write */
#define SURE_80 1.6094379124341003 /* ln 5: an excess excluded at 80 % */

static double affordable_weight(const struct judge *j, double harm, double excess)
{
	return harm / (j->traffic * j->tune.react * excess);
}

static bool may_promote(struct judge *j)
{
	double last = judge_asks(j), sure = log(1 / j->tune.beta_last);

	return j->self.baked >= j->tune.bake && gate_excluded(&j->tune, j->gate.run, sure) <= last &&
	       gate_excluded(&j->tune, j->gate.stage, sure) <= fmax(j->tune.lax * last, gate_smallest());
}

/* Evidence of this weight was seen, and the budget allows more: the next weight, else 0. */
static double next_weight(const struct judge *j, int now)
{
	const struct judge_tuning *t = &j->tune;
	double excess = gate_excluded(&j->tune, j->gate.run, log(1 / t->beta_auto));
	double w = fmin(fmin(clamp(affordable_weight(j, t->harm_auto, excess), t->weight_min, 1), j->self.weight * t->growth), JUDGE_HALF);

	if (j->self.since < t->dwell || j->last < now - j->self.since)
		return 0;
	if (j->self.weight >= JUDGE_HALF)
		return excess <= fmax(t->half * judge_affordable(j, 1), gate_smallest()) ? t->hold_back : 0;
	w = w > NEARLY_HALF ? JUDGE_HALF : w;
	return w > j->self.weight * WORTH ? w : 0;
}

/* Harm until a decision does not depend on the speed: a stuck run goes on slowly. */
static bool slow_step(struct judge *j)
{
	double excess = gate_excluded(&j->tune, j->gate.run, SURE_80);
	double w = fmin(fmin(j->self.weight * 1.5, affordable_weight(j, 2 * j->tune.harm_auto, excess)), JUDGE_HALF);

	if (j->self.stuck < j->tune.stuck || w <= j->self.weight * 1.05)
		return false;
	j->self.weight = w;
	j->self.stuck = (int)(j->tune.stuck / 2);
	return true;
}

/* Nearly sure, and much exposed: step back. */
static bool step_back(struct judge *j)
{
	double safe = fmax(affordable_weight(j, j->tune.harm_first, gate_excluded(&j->tune, j->gate.run, SURE_80)), j->tune.weight_min);

	if (j->log_e <= log(j->tune.retreat) || j->self.since < 2 || j->self.weight <= 2 * safe)
		return false;
	j->self.weight = safe;
	j->self.since = j->self.baked = 0;
	j->asked = 0;
	return true;
}

void auto_poll(struct judge *j, int now, struct judge_answer *a)
{
	struct judge_auto *s = &j->self;
	bool fine = !a->stale && !a->suspicious, top = s->weight >= j->tune.hold_back, slow;
	double next;

	s->since++;
	s->baked += top && fine;
	s->promote = top && fine && may_promote(j);
	next = fine && !top ? next_weight(j, now) : 0;
	if (next > 0)
		s->weight = next;
	s->stuck = next > 0 || s->weight >= JUDGE_HALF || a->stale ? 0 : s->stuck + 1;
	slow = slow_step(j);
	if (slow)
		snprintf(a->reason, sizeof a->reason, "slow step up");
	if (step_back(j))
		snprintf(a->reason, sizeof a->reason, "step back");
	if (next > 0 || slow)
		s->since = 0;
	if (next > JUDGE_HALF)
		gate_stage(&j->gate, now);
	a->kind = next > 0 || s->promote ? VERDICT_GOOD : VERDICT_HOLD;
	a->weight = s->weight;
	a->promote = s->promote;
}

/* judge/sequential.c - takes the datapoints as they come, hands each period to
 * the parts once it is final, and says what follows.
 *
 * Final: the request counts of both colours are there, and each count is there
 * or was missing at one more poll (CloudWatch publishes no zero, and publishes
 * late). The newest period never counts as it is. */
#include "judge/parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BLUE_SILENT 5      /* periods after which blue's silence is taken for no traffic */
#define STALE_AFTER 6      /* periods without a judged one */
#define STALE_REQUESTS 20  /* ... in which this many green requests were sent */
#define UNSEEABLE .4       /* an excess that large is the catastrophic rule's */
#define STILL_COLD .8      /* prior mass of "slow from the first warm period on" when green was slow before */
#define COLD_LOOKS 3       /* periods that show whether a slow green got warm */
#define USUAL_LEAST 1e-4   /* of blue's usual level, when it is asked what a fault costs anyhow: three hours show no less */
#define HALVINGS 50        /* of seven decades of excess rates: as near as a double comes */
#define LOOK_PATIENT 3.0   /* times `suspect` at most before the last request of blue is given away */
#define SLOW_PATIENT 3.0   /* so much longer does a suspicion of slowness keep a stage */

static void start_parts(struct judge *j, const struct judge_history *h)
{
	struct judge_dispersion d = dispersion_of(h, &j->tune, JUDGE_ERRORS);

	split_start(&j->split[JUDGE_ERRORS], &d, SPLIT_ANY, j->tune.slight);
	gate_start(&j->gate, &j->tune, h, j->traffic, d.sure);
	level_start(&j->level, h->requests, h->count[JUDGE_ERRORS], JUDGE_HISTORY, &d, j->tune.early > 0);
	d = dispersion_of(h, &j->tune, JUDGE_SLOW);
	for (int m = JUDGE_SLOW; m < JUDGE_METRICS; m++)
		split_start(&j->split[m], &d, m == JUDGE_SLOW && j->tune.speed > 0 ? SPLIT_SPEED : SPLIT_ANY, j->tune.slight);
	j->cold = j->hot = split_begun(&j->split[JUDGE_SLOW]);
	bet_start(&j->bet);
	split_start(&j->split_probes, &(struct judge_dispersion){ .clump = 1, .unknown = { .both = 1 } }, SPLIT_ANY, 0);
}

static void start_weight(struct judge *j)
{
	const struct judge_tuning *t = &j->tune;

	j->self.weight = clamp(t->harm_first / (j->traffic * t->react), t->weight_min, JUDGE_HALF);
}

void judge_start(struct judge *j, const struct judge_tuning *t, const struct judge_stages *s,
		 const struct judge_history *h, unsigned metrics)
{
	memset(j, 0, sizeof *j);
	j->tune = *t;
	j->stages = *s;
	j->metrics = metrics | 1U << JUDGE_ERRORS;
	j->polled = j->last = j->first = -1;
	for (int i = 0; i < JUDGE_RING; i++)
		j->point[0][i].period = j->point[1][i].period = -1;
	j->hazard = (struct judge_hazard){ .left = 1, .first = t->hazard_first, .slow = t->hazard_slow,
					   .raise = s->automatic ? t->hazard_auto : t->hazard_stage };
	j->hazard_early = j->hazard_speed = j->hazard_probes = j->hazard;
	for (int i = JUDGE_HISTORY - 30; i < JUDGE_HISTORY; i++)
		j->traffic += h->requests[i] / 30;
	j->traffic += .5;
	start_parts(j, h);
	start_weight(j);
}

/* --- what was seen ----------------------------------------------------------- */

static double bounded(double v, double most)
{
	return v >= 0 ? fmin(v, most) : 0; /* also NaN */
}

static bool watched(const struct judge *j, int metric)
{
	return j->metrics >> metric & 1;
}

void judge_see(struct judge *j, enum judge_colour c, int now, const struct judge_point *in)
{
	struct judge_point *p;

	if (in->period < 0 || in->period >= now || in->period < now - JUDGE_RING)
		return;
	p = &j->point[c][in->period % JUDGE_RING];
	if (p->period != in->period) {
		*p = (struct judge_point){ .period = in->period, .seen = now };
		for (int m = 0; m < JUDGE_METRICS; m++)
			p->count[m] = -1;
	}
	p->requests = bounded(in->requests, 1e12);
	p->latency = bounded(in->latency, 1e12);
	if (in->slower > 0)
		p->slower = bounded(in->slower, p->requests);
	for (int m = 0; m < JUDGE_METRICS; m++)
		if (watched(j, m) && in->count[m] >= 0)
			p->count[m] = bounded(in->count[m], p->requests);
}

void judge_probed(struct judge *j, const struct judge_probes *p)
{
	struct judge_pair pair = { .requests = { 0 } };
	double onset = hazard_spend(&j->hazard_probes, j->polled > 0 ? j->weight[(j->polled - 1) % JUDGE_RING] : 0);

	for (int c = 0; c < 2; c++) {
		j->probes_new.sent[c] = pair.requests[c] = bounded(p->sent[c], 1e6);
		j->probes_new.failed[c] = pair.count[c] = bounded(p->failed[c], pair.requests[c]);
		j->probes.sent[c] += pair.requests[c];
		j->probes.failed[c] += pair.count[c];
	}
	split_update(&j->split_probes, &pair, onset, j->hazard_probes.left);
}

static const struct judge_point *point_of(const struct judge *j, enum judge_colour c, int period)
{
	const struct judge_point *p = &j->point[c][period % JUDGE_RING];

	return p->period == period ? p : NULL;
}

/* Its errors are there, or were missing at one more poll. */
static bool confirmed(const struct judge_point *p, int now)
{
	return p->count[JUDGE_ERRORS] >= 0 || p->seen <= now - 1;
}

static bool blue_final(const struct judge *j, const struct judge_point *blue, int period, int now)
{
	if (blue)
		return confirmed(blue, now);
	return j->weight[period % JUDGE_RING] >= 1 || now - period >= BLUE_SILENT;
}

static struct judge_pair pair_of(const struct judge_point *blue, const struct judge_point *green, int metric)
{
	struct judge_pair p = { .requests = { blue ? blue->requests : 0, green->requests } };

	p.count[JUDGE_BLUE] = blue ? fmax(blue->count[metric], 0) : 0;
	p.count[JUDGE_GREEN] = fmax(green->count[metric], 0);
	return p;
}

/* --- a final period -------------------------------------------------------------- */

/* Caches of a new colour are cold: slow at first is not slow. */
static bool is_warming(struct judge *j, int period, const struct judge_point *green)
{
	if (green->requests > 0 && (j->first < 0 || period < j->first))
		j->first = period;
	return j->first < 0 || period < j->first + j->tune.warm;
}

static double suspect_from(const struct judge *j)
{
	return j->stages.automatic ? j->tune.suspect_auto : j->tune.suspect;
}

/* Slow while its caches were cold, and not seen warm yet: no reason to go on. */
static bool is_cold(const struct judge *j)
{
	return j->cold.log_e > log(suspect_from(j)) && j->last < j->first + j->tune.warm + COLD_LOOKS;
}

static void judge_count(struct judge *j, int metric, const struct judge_point *blue, const struct judge_point *green,
			double onset, double left)
{
	struct judge_pair p = pair_of(blue, green, metric);

	if (watched(j, metric))
		split_update(&j->split[metric], &p, onset, left);
}

static void judge_speed(struct judge *j, int period, const struct judge_point *blue, const struct judge_point *green)
{
	bool begins = !j->hazard_speed.n && j->tune.warm > 0;
	double onset;

	if (begins && j->cold.log_e > log(suspect_from(j)))
		j->hazard_speed.first = fmax(j->hazard_speed.first, STILL_COLD);
	onset = hazard_spend(&j->hazard_speed, j->weight[period % JUDGE_RING]);
	if (begins)
		split_expect(&j->split[JUDGE_SLOW], &j->cold);
	judge_count(j, JUDGE_SLOW, blue, green, onset, j->hazard_speed.left);
	bet_update(&j->bet, blue, green, j->tune.quantile, onset, j->hazard_speed.left);
}

/* Cold caches make answers slow, but hardly more than twice as slow. Were none of
 * green's slower than that, those above twice the limit would be some of what is
 * above the limit with blue: so the two are compared. */
static void judge_cold(struct judge *j, const struct judge_point *blue, const struct judge_point *green)
{
	struct judge_pair p = pair_of(blue, green, JUDGE_SLOW);

	if (!watched(j, JUDGE_SLOW))
		return;
	split_update(&j->cold, &p, 0, 0);
	p.count[JUDGE_GREEN] = green->slower;
	if (blue)
		split_update(&j->hot, &p, 0, 0);
}

/* What needs no second look: slow requests and what a plan names come with the requests. */
static void judge_others(struct judge *j, int period, const struct judge_point *blue, const struct judge_point *green)
{
	double onset = hazard_spend(&j->hazard_early, j->weight[period % JUDGE_RING]);

	j->early[period % JUDGE_RING] = true;
	for (int m = JUDGE_SLOW + 1; m < JUDGE_METRICS; m++)
		judge_count(j, m, blue, green, onset, j->hazard_early.left);
	if (is_warming(j, period, green))
		judge_cold(j, blue, green);
	else
		judge_speed(j, period, blue, green);
}

static void judge_period(struct judge *j, int period, const struct judge_point *blue, const struct judge_point *green)
{
	struct judge_pair errors = pair_of(blue, green, JUDGE_ERRORS);
	double onset = hazard_spend(&j->hazard, j->weight[period % JUDGE_RING]);

	if (!j->early[period % JUDGE_RING])
		judge_others(j, period, blue, green);
	split_update(&j->split[JUDGE_ERRORS], &errors, onset, j->hazard.left);
	level_update(&j->level, &errors, onset, j->hazard.left);
	for (int c = 0; c < 2; c++) {
		j->seen[c][0] += errors.requests[c];
		j->seen[c][1] += errors.count[c];
	}
	gate_update(&j->gate, &j->tune, &errors, j->traffic, period);
	j->traffic += .05 * (errors.requests[0] + errors.requests[1] - j->traffic);
	j->last = period > j->last ? period : j->last;
	j->unseen = 0;
	j->done[period % JUDGE_RING] = true;
}

static int oldest(const struct judge *j, int now)
{
	return now > j->tune.window ? now - (int)j->tune.window : 0;
}

static void judge_final(struct judge *j, int now)
{
	for (int k = oldest(j, now); k < now; k++) {
		const struct judge_point *green = point_of(j, JUDGE_GREEN, k), *blue = point_of(j, JUDGE_BLUE, k);

		if (j->done[k % JUDGE_RING] || !green)
			continue;
		if (confirmed(green, now) && blue_final(j, blue, k, now))
			judge_period(j, k, blue, green);
		else if (j->tune.early > 0 && blue && !j->early[k % JUDGE_RING])
			judge_others(j, k, blue, green);
	}
}

/* --- looking ahead ------------------------------------------------------------------ */

static void known_half(struct judge_pair *p, enum judge_colour c, const struct judge_point *point)
{
	p->known[c] = PAIR_UNSEEN;
	if (!point)
		return;
	p->known[c] = point->count[JUDGE_ERRORS] < 0 ? PAIR_MISSING : PAIR_KNOWN;
	p->requests[c] = point->requests;
	p->count[c] = fmax(point->count[JUDGE_ERRORS], 0);
}

/* What periods that are not final show already, by the level alone: green
 * before blue, blue before green, requests before errors. The likelihood ratio
 * of all that is known is the same martingale on a finer time scale. */
static double look_ahead(const struct judge *j, int now)
{
	struct judge_level level = j->level;
	struct judge_hazard hazard = j->hazard;

	for (int k = oldest(j, now); k < now; k++) {
		const struct judge_point *green = point_of(j, JUDGE_GREEN, k), *blue = point_of(j, JUDGE_BLUE, k);
		struct judge_pair p = { 0 };
		double onset;

		if (j->done[k % JUDGE_RING] || (!green && !blue))
			continue;
		known_half(&p, JUDGE_BLUE, blue);
		known_half(&p, JUDGE_GREEN, green);
		onset = hazard_spend(&hazard, j->weight[k % JUDGE_RING]);
		level_update(&level, &p, onset, hazard.left);
	}
	return level.log_e;
}

/* Slow requests since caches are warm, and those that no cold cache explains. */
static double slow_evidence(const struct judge *j)
{
	return log_sum(j->split[JUDGE_SLOW].log_e + log(1 - j->tune.hot), j->hot.log_e + log(j->tune.hot));
}

/* The published candidate compares by level only groups that are much alike. */
static bool compares_levels(const struct judge *j)
{
	return j->tune.noisy <= 0 || j->split[JUDGE_ERRORS].ratio_min <= j->tune.noisy;
}

/* Errors have their share; what else is watched divides the rest. */
static void combine(struct judge *j, double level)
{
	double split = j->split[JUDGE_ERRORS].log_e;
	double others = __builtin_popcount(j->metrics) - 1, rest = log((1 - j->tune.error_share) / fmax(others, 1));

	j->log_errors = !compares_levels(j) ? split : log_sum(split + log(1 - j->tune.level_share), level + log(j->tune.level_share));
	j->log_e = j->log_errors + (others > 0 ? log(j->tune.error_share) : 0);
	for (int m = JUDGE_SLOW; m < JUDGE_METRICS; m++)
		if (watched(j, m))
			j->log_e = log_sum(j->log_e, (m == JUDGE_SLOW ? slow_evidence(j) : j->split[m].log_e) + rest);
	if (watched(j, JUDGE_LATENCY))
		j->log_e = log_sum(j->log_e, j->bet.log_e + rest);
	if (watched(j, JUDGE_PROBES))
		j->log_e = log_sum(j->log_e, j->split_probes.log_e + rest);
}

/* Who has waited long in a stage wants to go on: how much more the next may cost,
 * and how much stronger a suspicion must be to keep it there. */
static double hurry(const struct judge *j)
{
	double waited = j->tune.hurry > 0 && !j->stages.automatic ? (j->polled - j->gate.stage_from) / j->tune.hurry : 0;

	return waited > 1 ? waited * waited : 1;
}

static bool is_last_look(const struct judge *j)
{
	return j->stage + 1 < j->stages.n && j->stages.weight[j->stage + 1] >= 1;
}

/* Evidence from which on a stage is not left: a suspicion that a small weight
 * cannot clear up costs there as much as at a larger one. */
static double suspect_now(const struct judge *j)
{
	double from = suspect_from(j);

	return fmin(from * fmin(hurry(j), is_last_look(j) ? LOOK_PATIENT : INFINITY), fmax(from, j->tune.suspect_last));
}

static double suspect_slow_now(const struct judge *j)
{
	double more = fmin(hurry(j), is_last_look(j) ? LOOK_PATIENT : INFINITY) / SLOW_PATIENT;

	return fmin(j->tune.suspect_slow * fmax(more, 1), fmax(j->tune.suspect_slow, j->tune.suspect_last));
}

/* --- the answer ------------------------------------------------------------------------ */

static void say(struct judge_answer *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct judge_answer *a, const char *fmt, ...)
{
	size_t n = strlen(a->reason);
	va_list ap;

	if (n && n + 2 < sizeof a->reason)
		n += (size_t)snprintf(a->reason + n, sizeof a->reason - n, "; ");
	va_start(ap, fmt);
	vsnprintf(a->reason + n, sizeof a->reason - n, fmt, ap);
	va_end(ap);
}

/* What must be excluded before a stage is left, and how surely. */
struct need {
	double excess, sure;
};

/* Failed requests that an excess rate costs for each unit of log evidence that
 * they bring against it, at any weight: (r - 1) / (r ln r - r + 1) where green
 * fails r times as often as usual (for rare failures; the expected number of
 * requests of Wald, Sequential analysis, 1947, times the excess). */
static double costs_anyhow(const struct judge *j, double excess)
{
	double r = 1 + excess / clamp(j->gate.usual, USUAL_LEAST, .5);

	return (r - 1) / (r * log(r) - r + 1);
}

/* Excess rate that the next stage could not afford until it is seen there: it costs
 * more than `harm` and some times what it costs anyhow. The first grows with the
 * rate, the second falls, so there is one such rate. */
static double unaffordable(const struct judge *j, double next)
{
	const struct judge_tuning *t = &j->tune;
	double low = 1e-7, high = 1;

	if (t->intrinsic <= 0)
		return t->harm / (j->traffic * next * t->react);
	for (int i = 0; i < HALVINGS; i++) {
		double excess = sqrt(low * high);

		if (j->traffic * next * t->react * excess > t->harm + t->intrinsic * costs_anyhow(j, excess))
			high = excess;
		else
			low = excess;
	}
	return high;
}

/* What the next stage could not afford; and, before the last request of blue is
 * given away, most of what the last stage could not see without it. */
static struct need stage_need(struct judge *j)
{
	const struct judge_tuning *t = &j->tune;
	double next, excess, last;

	if (j->stage >= j->stages.n - 1)
		return (struct need){ judge_asks(j), log(1 / t->beta_last) };
	next = j->stages.weight[j->stage + 1];
	excess = fmax(unaffordable(j, next), gate_smallest());
	last = fmax(t->last_look * judge_affordable(j, j->stages.weight[j->stage]), gate_smallest());
	if (next < 1 || t->last_look <= 0)
		return (struct need){ excess * hurry(j), log(1 / t->beta) };
	return (struct need){ last, log(1 / t->beta_look) };
}

/* The gate as it will be, by the periods that show green and are not final, but
 * for the newest: an error count of blue's that may still come is left out with
 * its requests. */
static struct judge_gate gate_ahead(const struct judge *j)
{
	struct judge_gate gate = j->gate;

	for (int k = oldest(j, j->polled); k < j->polled - 1 && j->tune.ahead > 0; k++) {
		const struct judge_point *green = point_of(j, JUDGE_GREEN, k), *blue = point_of(j, JUDGE_BLUE, k);
		struct judge_pair p = { 0 };

		if (j->done[k % JUDGE_RING] || !green)
			continue;
		known_half(&p, JUDGE_GREEN, green);
		if (blue || j->weight[k % JUDGE_RING] < 1)
			known_half(&p, JUDGE_BLUE, blue && blue->count[JUDGE_ERRORS] >= 0 ? blue : NULL);
		gate_update(&gate, &j->tune, &p, j->traffic, k);
	}
	return gate;
}

/* A stage of the plan: is it left? */
static void stage_poll(struct judge *j, struct judge_answer *a)
{
	struct need n = stage_need(j);
	struct judge_gate gate = gate_ahead(j);
	double here = gate_excluded(&j->tune, gate.stage, n.sure);

	a->need = n.excess < UNSEEABLE ? n.excess : 0;
	a->excess = gate_excluded(&j->tune, gate.run, n.sure);
	if (a->need > 0 && a->excess > a->need)
		say(a, "excess error rate up to %.2g not excluded, need %.2g", a->excess, a->need);
	else if (a->need > 0 && j->stage >= j->stages.n - 1 && here > j->tune.lax * n.excess)
		say(a, "excess error rate up to %.2g not excluded at this weight, need %.2g", here, j->tune.lax * n.excess);
	a->kind = a->reason[0] ? VERDICT_HOLD : VERDICT_GOOD;
}

/* Only green's errors can raise the evidence. */
static bool worth_looking(const struct judge *j, int now)
{
	for (int k = oldest(j, now); k < now; k++) {
		const struct judge_point *green = point_of(j, JUDGE_GREEN, k);

		if (!j->done[k % JUDGE_RING] && green && green->count[JUDGE_ERRORS] > 0)
			return j->tune.early > 0;
	}
	return false;
}

static void evidence_of(struct judge *j, int now, struct judge_answer *a)
{
	bool alone = now > 0 && j->weight[(now - 1) % JUDGE_RING] >= 1;
	double suspect = alone ? j->tune.suspect_last : suspect_now(j);

	combine(j, worth_looking(j, now) ? fmax(look_ahead(j, now), j->level.log_e) : j->level.log_e);
	a->log_e = j->log_e;
	a->log_split = j->split[JUDGE_ERRORS].log_e;
	a->log_level = j->level.log_e;
	a->log_slow = j->split[JUDGE_SLOW].log_e;
	a->log_latency = j->bet.log_e;
	a->excess = gate_excluded(&j->tune, j->gate.run, log(1 / j->tune.beta));
	a->stale = now - j->last > STALE_AFTER && j->unseen > STALE_REQUESTS;
	a->cold = j->log_e <= log(suspect) && is_cold(j);
	a->slow = j->log_e <= log(suspect) && !a->cold && !alone && j->split[JUDGE_SLOW].log_e > log(suspect_slow_now(j));
	a->suspicious = j->log_e > log(suspect) || a->cold || a->slow;
}

static void take_weight(struct judge *j, int now, double weight)
{
	for (int k = j->polled < 0 ? now - 1 : j->polled; k < now; k++) {
		if (k < 0)
			continue;
		j->weight[k % JUDGE_RING] = clamp(weight, 0, 1);
		j->done[k % JUDGE_RING] = j->early[k % JUDGE_RING] = false;
	}
	j->polled = now;
}

void judge_poll(struct judge *j, int now, int stage, double weight, struct judge_answer *a)
{
	*a = (struct judge_answer){ .excess = 1 };
	take_weight(j, now, weight);
	if (!j->stages.automatic && stage != j->stage) {
		j->stage = stage;
		j->asked = 0;
		gate_stage(&j->gate, now);
	}
	judge_final(j, now);
	if (now > 0)
		j->unseen += j->traffic * j->weight[(now - 1) % JUDGE_RING];
	evidence_of(j, now, a);
	if (a->stale)
		say(a, "no datapoints of green");
	if (a->cold)
		say(a, "slow while its caches were cold, and not seen warm yet");
	else if (a->slow)
		say(a, "slow requests, by themselves E=%.3g", exp(fmin(a->log_slow, 300)));
	else if (a->suspicious)
		say(a, "suspicion E=%.3g", exp(fmin(a->log_e, 300)));
	if (j->stages.automatic)
		auto_poll(j, now, a);
	else
		stage_poll(j, a);
	if (a->log_e >= log(1 / j->tune.alpha)) {
		a->kind = VERDICT_BAD;
		a->reason[0] = 0;
		say(a, "green is worse than blue: E=%.3g >= %g", exp(fmin(a->log_e, 300)), 1 / j->tune.alpha);
	}
}

/* judge/opinion.c - the guarded rules and the sequential judge, one verdict;
 * and what neither sees: two colours that are sick together.
 *
 * A green that makes blue sick (a cache emptied, a database loaded) cannot show
 * in a comparison of the two. It is told from a shared incident by when it
 * comes: blue was well for all of its past, and twice it got clearly worse in
 * the three periods after a raise of green's weight. An incident that knows
 * nothing of the raises begins in a given period with probability at most 3/n
 * when n periods of the past had none (the rule of three: Hanley &
 * Lippman-Hand, If nothing goes wrong, is everything all right?, 1983), so twice
 * right after a raise with at most (9/n)^2: 0.25 % for three hours of minutes. */
#include "judge/opinion.h"

#include "judge/rate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SICK_TIMES 5      /* of blue's usual error rate */
#define SICK_RATE .02     /* and at least this */
#define SICK_ERRORS 10    /* and this many failed requests of each colour */
#define STEP_UP 2         /* blue's rate after a raise, as a multiple of before */
#define STEP_ERRORS 20
#define PAST_ENOUGH 120   /* periods of blue's past without such a rate */
#define SHARE_TIMES 2     /* green's requests, as a multiple of what its weight gives */
#define SHARE_SLACK 50    /* and this many more */
#define SURE .05          /* of the intervals that people read */

struct count { double requests, errors; };

static struct count count_of(const struct sample *s, size_t from, size_t to)
{
	struct count t = { 0 };

	for (size_t i = from; i < to; i++)
		if (s[i].seen) {
			t.requests += s[i].requests;
			t.errors += s[i].errors;
		}
	return t;
}

static double rate(struct count c) { return c.requests > 0 ? c.errors / c.requests : 0; }

/* --- two sick colours --------------------------------------------------------------- */

static size_t span_before(size_t at) { return at > JUDGE_SICK_SPAN ? at - JUDGE_SICK_SPAN : 0; }

/* Blue got clearly worse in the periods after that raise, and worse than it ever was. */
static bool steps_up(const struct evidence *ev, size_t at)
{
	struct count before = count_of(ev->blue, span_before(at), at);
	struct count after = count_of(ev->blue, at, at + JUDGE_SICK_SPAN);

	return at + JUDGE_SICK_SPAN <= ev->n && after.errors >= STEP_ERRORS && rate(after) >= STEP_UP * rate(before) &&
	       rate(after) >= STEP_UP * ev->past_worst;
}

static bool poisons_blue(const struct evidence *ev, struct verdict *v)
{
	struct count now = count_of(ev->blue, span_before(ev->n), ev->n);
	size_t steps = 0;

	for (size_t i = 0; i < ev->raises; i++)
		steps += steps_up(ev, ev->raise_at[i]);
	if (ev->past_periods < PAST_ENOUGH || steps < 2 || rate(now) < STEP_UP * ev->past_worst)
		return false;
	return verdict_say(v, VERDICT_BAD, "blue-by-green", "green makes blue sick: blue fails %.1f %% of its "
			   "requests, never more than %.1f %% in %zu periods before, and got worse right after %zu raises of green's share", 100 * rate(now),
			   100 * ev->past_worst, ev->past_periods, steps);
}

static bool begins_with_a_raise(const struct evidence *ev)
{
	for (size_t i = 0; i < ev->raises; i++)
		if (ev->past_periods && steps_up(ev, ev->raise_at[i]))
			return true;
	return false;
}

/* The guarded rules know a catastrophe of both; this knows what is usual. */
static bool both_sick(const struct evidence *ev, const struct opinion *o, struct verdict *v)
{
	size_t from = span_before(ev->n);
	struct count g = count_of(ev->green, from, ev->n), b = count_of(ev->blue, from, ev->n);
	double sick = fmax(SICK_TIMES * o->judge->gate.usual, SICK_RATE);

	if (g.errors < SICK_ERRORS || b.errors < SICK_ERRORS || rate(g) < sick || rate(b) < sick)
		return false;
	return verdict_say(v, VERDICT_HOLD, "both-sick", "both colours fail: green %.1f %% of its requests, blue "
			   "%.1f %%, usual are %.2g %%; going back would not help", 100 * rate(g), 100 * rate(b), 100 * o->judge->gate.usual);
}

/* A shared incident, or green's doing? Only one raise after it began, nobody can tell. */
static void suspect_green(const struct evidence *ev, struct verdict *v)
{
	size_t n = strlen(v->why);

	if (begins_with_a_raise(ev))
		snprintf(v->why + n, sizeof v->why - n, "; it began right after green's share was raised: green may be the cause");
}

/* --- what is seen cannot be -------------------------------------------------------------- */

/* For as many closed periods as make it blind, green has answered far more than its weight gives. */
static bool too_many(const struct evidence *ev, size_t i)
{
	double share = ev->green_permille / 1000.0, all = ev->green[i].requests + ev->blue[i].requests;
	double due = all * share;

	return ev->green[i].seen && ev->green[i].requests > SHARE_TIMES * due + 5 * sqrt(due) + SHARE_SLACK;
}

static bool contradiction(const struct evidence *ev, const struct judge_limits *lim, struct verdict *v)
{
	size_t n = 0;

	if (ev->contradicts)
		return verdict_say(v, VERDICT_BLIND, "contradiction", "%.150s", ev->contradicts_why);
	for (size_t i = ev->n; i > ev->stage_from && too_many(ev, i - 1); i--)
		n++;
	if (!n || n < (size_t)lim->blind_periods)
		return false;
	return verdict_say(v, VERDICT_BLIND, "contradiction", "green has %.1f %% of the weight, but for %zu periods "
			   "it answered far more (%.0f of %.0f requests in the last): it is reached another way too", ev->green_permille / 10.0, n,
			   ev->green[ev->n - 1].requests, ev->green[ev->n - 1].requests + ev->blue[ev->n - 1].requests);
}

/* --- what the sequential judge says, in words ------------------------------------------------- */

static void say_rates(const struct verdict *v, char *out, size_t size)
{
	const char *const colour[] = { "blue", "green fails" };
	size_t n = 0;

	for (int c = JUDGE_GREEN; c >= JUDGE_BLUE && n < size; c--)
		n += (size_t)snprintf(out + n, size - n, "%s %.2g %%%s (%.2g to %.2g)%s", colour[c], 100 * v->error_rate[c].rate,
				      c ? " of its requests" : "", 100 * v->error_rate[c].low, 100 * v->error_rate[c].high,
				      c ? ", " : "");
}

static double evidence_said(double log_e) { return exp(fmin(log_e, 300)); }

static double log_of(const struct judge *j, int metric)
{
	return metric == JUDGE_PROBES ? j->split_probes.log_e : metric == JUDGE_LATENCY ? j->bet.log_e : j->split[metric].log_e;
}

/* What speaks loudest against green: a count, JUDGE_LATENCY or JUDGE_PROBES. */
static int loudest(const struct judge *j)
{
	double most = j->log_errors + log(j->tune.error_share), rest = log(1 - j->tune.error_share);
	int found = JUDGE_ERRORS;

	for (int m = JUDGE_SLOW; m <= JUDGE_PROBES; m++) {
		double log_e = log_of(j, m) + rest;

		if (j->metrics >> m & 1 && log_e > most) {
			most = log_e;
			found = m;
		}
	}
	return found;
}

/* Of the periods that the judge still remembers. */
static void say_counts(const struct judge *j, int metric, char *out, size_t size)
{
	double n[2] = { 0 }, x[2] = { 0 };

	for (int c = 0; c < 2; c++)
		for (int i = 0; i < JUDGE_RING; i++) {
			const struct judge_point *p = &j->point[c][i];

			n[c] += p->period >= 0 ? p->requests : 0;
			x[c] += p->period >= 0 ? fmax(p->count[metric], 0) : 0;
		}
	snprintf(out, size, "green %.0f in %.0f requests, blue %.0f in %.0f", x[JUDGE_GREEN], n[JUDGE_GREEN], x[JUDGE_BLUE],
		 n[JUDGE_BLUE]);
}

static void say_probes(const struct opinion *o, char *out, size_t size)
{
	const struct judge_probes *p = &o->judge->probes;

	snprintf(out, size, "green failed %.0f of %.0f, blue %.0f of %.0f; green's last: %.70s", p->failed[JUDGE_GREEN],
		 p->sent[JUDGE_GREEN], p->failed[JUDGE_BLUE], p->sent[JUDGE_BLUE], o->ill ? o->ill : "");
}

static const char *name_of(const struct opinion *o, int metric)
{
	if (metric >= JUDGE_METRICS)
		return metric == JUDGE_LATENCY ? "response times" : "probes";
	return o->name[metric] ? o->name[metric] : "?";
}

/* "its errors (green fails ..., blue ...)" */
static void say_loudest(const struct opinion *o, const struct verdict *v, char *out, size_t size)
{
	int m = loudest(o->judge);
	char numbers[160];

	if (m == JUDGE_ERRORS)
		say_rates(v, numbers, sizeof numbers);
	else if (m == JUDGE_PROBES)
		say_probes(o, numbers, sizeof numbers);
	else if (m == JUDGE_LATENCY)
		snprintf(numbers, sizeof numbers, "green %.0f ms, blue %.0f ms", v->green_latency_ms, v->blue_latency_ms);
	else
		say_counts(o->judge, m, numbers, sizeof numbers);
	snprintf(out, size, "its %.60s (%s)", name_of(o, m), numbers);
}

static bool worse(const struct opinion *o, struct verdict *v)
{
	char what[260];

	if (o->answer->kind != VERDICT_BAD)
		return false;
	say_loudest(o, v, what, sizeof what);
	return verdict_say(v, VERDICT_BAD, "worse", "green is worse than blue, by %s: evidence %.3g, the limit is %.3g", what,
			   evidence_said(v->log_e), exp(v->log_limit));
}

static bool stale(const struct opinion *o, struct verdict *v)
{
	return o->answer->stale && verdict_say(v, VERDICT_BLIND, "stale", "green must have answered requests for several periods, "
					       "but none can be compared with blue's: its datapoints, or blue's, do not come");
}

static void hold_cold(const struct opinion *o, struct verdict *v)
{
	char numbers[160];

	say_counts(o->judge, JUDGE_SLOW, numbers, sizeof numbers);
	verdict_say(v, VERDICT_HOLD, "cold", "green's first answers were slower than blue's (%s), as those of cold caches are: "
		    "it keeps its share until it is seen warm", numbers);
}

static void hold_slow(const struct opinion *o, struct verdict *v)
{
	char numbers[160];

	say_counts(o->judge, JUDGE_SLOW, numbers, sizeof numbers);
	verdict_say(v, VERDICT_HOLD, "slow", "green's slow answers (%s) are, by themselves, evidence of %.3g against it: it "
		    "keeps its share until that is clear", numbers, evidence_said(o->answer->log_slow));
}

static void hold(const struct opinion *o, struct verdict *v)
{
	const struct judge_answer *a = o->answer;
	char rates[160], what[260];

	say_rates(v, rates, sizeof rates);
	say_loudest(o, v, what, sizeof what);
	if (a->cold)
		hold_cold(o, v);
	else if (a->slow)
		hold_slow(o, v);
	else if (a->suspicious)
		verdict_say(v, VERDICT_HOLD, "suspicion", "evidence %.3g against green (the limit is %.3g), most of all %s: "
			    "it keeps its share until that is clear", evidence_said(v->log_e), exp(v->log_limit), what);
	else if (a->need > 0 && a->excess >= 1)
		verdict_say(v, VERDICT_HOLD, "evidence", "too little has been seen to say how much worse green might be; %s", rates);
	else if (a->need > 0)
		verdict_say(v, VERDICT_HOLD, "evidence", "that green fails up to %.2g %% more of its requests than blue is "
			    "not excluded yet, and what comes next can afford %.2g %%; %s", 100 * a->excess, 100 * a->need, rates);
	else
		verdict_say(v, VERDICT_HOLD, "evidence", "nothing speaks against green, and it keeps its share until more is seen; %s", rates);
}

static void praise(struct verdict *v)
{
	char rates[160];

	say_rates(v, rates, sizeof rates);
	verdict_say(v, VERDICT_GOOD, "evidence", "nothing speaks against green (evidence %.2g, the limit is %.3g) "
		    "and this stage has shown enough; %s", evidence_said(v->log_e), exp(v->log_limit), rates);
}

/* What is final, and what is seen already and is not: both were looked at. */
static struct count all_of(const struct judge *j, int colour)
{
	struct count t = { j->seen[colour][0], j->seen[colour][1] };

	for (int i = 0; i < JUDGE_RING; i++) {
		const struct judge_point *p = &j->point[colour][i];

		if (p->period < 0 || p->period <= j->polled - 1 - (int)j->tune.window || j->done[i])
			continue;
		t.requests += p->requests;
		t.errors += fmax(p->count[JUDGE_ERRORS], 0);
	}
	return t;
}

static void numbers(const struct opinion *o, struct verdict *v)
{
	const struct judge *j = o->judge;

	v->judged = true;
	v->log_e = o->answer->log_e;
	v->log_limit = log(1 / j->tune.alpha);
	v->excess = o->answer->excess;
	v->need = o->answer->need;
	for (int c = 0; c < 2; c++) {
		struct count all = all_of(j, c);
		struct rate_interval r = rate_interval(all.errors, all.requests, SURE);

		v->error_rate[c].rate = r.rate;
		v->error_rate[c].low = r.low;
		v->error_rate[c].high = r.high;
	}
}

/* --- one verdict ------------------------------------------------------------------------------------ */

static bool is_shared(const struct verdict *v) { return v->kind == VERDICT_HOLD && !strncmp(v->rule, "both-", 5); }

/* What answers nobody is the wiki's trouble, or the probes' own. */
static bool both_probes(const struct evidence *ev, const struct opinion *o, struct verdict *v)
{
	const struct judge_probes *p = &o->judge->probes_new;

	if (ev->green_permille >= 1000) /* none are sent any more: these are old */
		return false;
	for (int c = 0; c < 2; c++)
		if (p->failed[c] * 2 <= p->sent[c])
			return false;
	return verdict_say(v, VERDICT_HOLD, "both-probes", "most probes of both colours fail (green %.0f of %.0f, blue %.0f of %.0f; "
			   "green's last: %.120s): either the wiki is ill, or they ask for the wrong thing", p->failed[JUDGE_GREEN],
			   p->sent[JUDGE_GREEN], p->failed[JUDGE_BLUE], p->sent[JUDGE_BLUE], o->ill ? o->ill : "");
}

/* What the guarded rules left open. A suspicion is told also where they want to see more. */
static void judge_stage(const struct evidence *ev, const struct opinion *o, struct verdict *v)
{
	bool more = v->kind == VERDICT_HOLD && !strcmp(v->rule, "evidence");

	if (!o->judge && v->kind == VERDICT_GOOD)
		verdict_say(v, VERDICT_HOLD, "no-judge", "%.200s", o->why_none);
	if (!o->judge || (v->kind != VERDICT_GOOD && !more))
		return;
	if (both_probes(ev, o, v))
		return;
	if (o->answer->suspicious || (!more && o->answer->kind != VERDICT_GOOD))
		hold(o, v);
	else if (!more)
		praise(v);
}

void opinion_form(const struct evidence *ev, const struct judge_limits *lim, const struct opinion *o, struct verdict *out)
{
	struct verdict v;

	judge_guard(ev, lim, &v);
	if (o && o->judge)
		numbers(o, &v);
	if (v.kind != VERDICT_BAD && !(o && o->judge && worse(o, &v)) && !poisons_blue(ev, &v)) {
		if (is_shared(&v) || (o && o->judge && both_sick(ev, o, &v)))
			suspect_green(ev, &v);
		else if (!contradiction(ev, lim, &v) && v.kind != VERDICT_BLIND && !(o && o->judge && stale(o, &v)) && o)
			judge_stage(ev, o, &v);
	}
	*out = v;
}

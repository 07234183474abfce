/* What each stage can and cannot see, by the judge itself on simulated minutes. */
#include "cli/explain.h"

#include "base/buf.h"
#include "cli/facts.h"
#include "engine/step.h"
#include "judge/power.h"
#include "plan/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WORTH_SAYING .1 /* of the worlds; fewer finds are luck */
#define AUTO_MS 14400000 /* of "stages": "auto" without a deadline (steps/stage.c) */
#define LONGEST 360     /* periods of a bake that are simulated */
#define TOTAL (POWER_FAULTS - 1) /* the fault that the catastrophic rule sees anyway */

struct exposure {
	struct power_plan plan;
	const struct stage *from[JUDGE_STAGES]; /* where plan.stage[i] is from */
	double minutes;                         /* of a period */
	struct power_sight sight[JUDGE_STAGES][POWER_FAULTS];
	struct power_run run[POWER_FAULTS];
};

/* --- the question ----------------------------------------------------------------------- */

static int periods(int64_t ms, const struct plan *p)
{
	int64_t n = ms / p->watch.period_ms;

	return n < LONGEST ? (int)n : LONGEST;
}

void explain_stages(const struct plan *p, struct power_plan *out, struct stage *g, const struct stage *from[JUDGE_STAGES])
{
	int64_t lag = plan_watch_lag_ms(&p->watch);
	size_t n = facts_stages(p, g);

	memset(out, 0, sizeof *out);
	out->tune = p->watch.tuning;
	out->metrics = 1U << JUDGE_ERRORS | 1U << (p->watch.slow_ms > 0 ? JUDGE_SLOW : JUDGE_LATENCY);
	out->lag = periods(lag + p->watch.period_ms - 1, p);
	out->hold = periods(p->watch.hold_limit_ms, p);
	for (size_t i = 0; i < n && !out->automatic && out->stages < JUDGE_STAGES; i++) {
		out->automatic = *json_str(g[i].step->params, "stages", "") != '\0';
		if (g[i].permille <= 0 && !out->automatic)
			continue;
		from[out->stages] = &g[i];
		out->longest = periods(json_num(g[i].step->params, "deadline", AUTO_MS), p);
		out->stage[out->stages++] = (struct power_stage){ g[i].permille / 1000.0, periods(g[i].least_ms, p) };
	}
	if (out->automatic)
		from[0] = from[out->stages - 1];
	if (out->automatic)
		out->stages = 1;
}

/* False: the plan gives green no weight. */
static bool ask(struct exposure *x, const struct plan *p, const struct traffic *t, struct stage *g)
{
	explain_stages(p, &x->plan, g, x->from);
	x->minutes = (double)p->watch.period_ms / 60000;
	x->plan.requests = t->per_minute * x->minutes;
	x->plan.errors = t->errors;
	if (!x->plan.stages)
		return false;
	if (!x->plan.automatic)
		power_look(&x->plan, x->sight);
	for (int f = 0; f < POWER_FAULTS; f++)
		power_try(&x->plan, &power_faults[f], &x->run[f]);
	return true;
}

/* A fault that is none: nothing fails twice as often as never. */
static bool is_fault(const struct exposure *x, int f)
{
	return f && power_rate(&x->plan, &power_faults[f]) > x->plan.errors;
}

/* Sees nothing of what it is for: whoever fails every request is found without it. */
static bool is_folklore(const struct exposure *x, int s)
{
	for (int f = 1; f < TOTAL; f++)
		if (is_fault(x, f) && x->sight[s][f].found >= POWER_SURE)
			return false;
	return true;
}

/* The first stage that sees the fault within its bake; -1: none. */
static int first_sight(const struct exposure *x, int f)
{
	for (int s = 0; s < x->plan.stages && !x->plan.automatic; s++)
		if (x->sight[s][f].found >= POWER_SURE)
			return s;
	return -1;
}

static void time_said(const struct exposure *x, double n, char out[32])
{
	facts_time((int64_t)(n * x->minutes * 60000), out);
}

/* --- for people ---------------------------------------------------------------------------- */

static void print_cell(const struct exposure *x, const struct power_sight *s)
{
	char text[32] = "-";

	if (s->after >= 0)
		time_said(x, s->after, text);
	else if (s->found >= WORTH_SAYING)
		snprintf(text, sizeof text, "%.0f%%", 100 * s->found);
	printf(" %9s", text);
}

static void print_sights(const struct exposure *x)
{
	printf("  %-24s %6s %10s", "step", "green", "bake");
	for (int f = 1; f < POWER_FAULTS; f++)
		if (is_fault(x, f))
			printf(" %9s", power_faults[f].name);
	putchar('\n');
	for (int s = 0; s < x->plan.stages; s++) {
		char bake[32];

		facts_time(x->from[s]->least_ms, bake);
		printf("  %-24s %5g%% %10s", x->from[s]->step->id, 100 * x->plan.stage[s].weight, bake);
		for (int f = 1; f < POWER_FAULTS; f++)
			if (is_fault(x, f))
				print_cell(x, &x->sight[s][f]);
		putchar('\n');
	}
	puts("  A time: 80 % of such faults are found by then. A share: so many are found before the bake ends.");
}

static void print_harm(const struct exposure *x)
{
	printf("\n  a fault from green's first request on%s\n  %-8s %12s %10s %10s %10s %12s %14s\n",
	       x->plan.automatic ? "" : ", stages lengthened as the judge says", "fault", "green fails", "taken back", "held", "promoted",
	       "failed (mean)", "9 of 10 below");
	for (int f = 1; f < POWER_FAULTS; f++)
		if (is_fault(x, f))
			printf("  %-8s %11.3g%% %9.0f%% %9.0f%% %9.0f%% %13.0f %14.0f\n", power_faults[f].name,
			       100 * power_rate(&x->plan, &power_faults[f]), 100 * x->run[f].found, 100 * x->run[f].held,
			       100 * x->run[f].promoted, x->run[f].harm, x->run[f].harm_worst);
	puts("  failed: requests of users, because of green, until it is taken back, held for too long, or promoted for good.");
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
	autobuf struct buf b = BUF_MAX(2048);
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	fputs("  - ", stdout);
	explain_wrap(b.p, 4);
}

static void say_fault(const struct exposure *x, int f)
{
	const struct power_run *r = &x->run[f];
	int s = first_sight(x, f);
	char after[32], name[64];

	snprintf(name, sizeof name, power_faults[f].ratio > 0 ? "%s of %.3g%%" : "%s", power_faults[f].name, 100 * x->plan.errors);
	time_said(x, r->after, after);
	if (r->after >= 0 && x->plan.automatic)
		say("%s, with 80 %% power: after %s", name, after);
	else if (r->after >= 0)
		say("%s, with 80 %% power: after %s, in %s (%g%%)%s", name, after, x->from[r->stage]->step->id,
		    100 * x->plan.stage[r->stage].weight, s < 0 ? "; no bake is long enough for it, what is held is" : "");
	else if (s >= 0)
		say("%s, with 80 %% power: not before %s (%g%%)", name, x->from[s]->step->id, 100 * x->plan.stage[s].weight);
	else if (r->promoted > WORTH_SAYING)
		say("%s CANNOT BE SEEN with this traffic: %.0f %% of such greens are promoted", name, 100 * r->promoted);
	else
		say("%s is not found with 80 %% power; %.0f %% are taken back, %.0f %% held until the limit", name,
		    100 * r->found, 100 * r->held);
}

static void say_healthy(const struct exposure *x)
{
	const struct power_run *r = &x->run[0];
	double least = 0, more = fmin(r->excess[x->plan.automatic ? 0 : x->plan.stages - 1], 1);
	char took[32], bakes[32];

	more = fmax(more, x->plan.errors); /* less than twice as often is never asked for: gate.c */

	for (int s = 0; s < x->plan.stages; s++)
		least += x->plan.stage[s].bake;
	time_said(x, r->took, took);
	time_said(x, least, bakes);
	if (r->took < 0)
		say("a healthy green does not get through: it cannot show enough before the hold limit; give it more time or traffic");
	else if (x->plan.automatic)
		say("a healthy green gets through in %s in %.0f %% of the worlds, and has then shown that it does not fail %.2g%% more of "
		    "its requests than blue", took, 100 * r->promoted, 100 * more);
	else
		say("a healthy green gets through in %s (the bakes alone take %s) in %.0f %% of the worlds, and has then shown that it "
		    "does not fail %.2g%% more of its requests than blue", took, bakes, 100 * r->promoted, 100 * more);
}

static void say_folklore(const struct exposure *x, int s)
{
	char bake[32];

	facts_time(x->from[s]->least_ms, bake);
	if (is_folklore(x, s))
		say("warning: %s is folklore: in %s about %.0f requests of green are seen, and less than a total failure is not found "
		    "in them", x->from[s]->step->id, bake, x->plan.requests * x->plan.stage[s].weight *
		    fmax(x->plan.stage[s].bake - x->plan.lag, 0));
}

void explain_judge(const struct plan *p, const struct traffic *t)
{
	autofree struct stage *g = xcalloc(p->nsteps, sizeof *g);
	autofree struct exposure *x = xcalloc(1, sizeof *x);

	if (!ask(x, p, t, g))
		return;
	printf("\njudge: what it can see at %.*f requests a minute of which %.3g%% fail (%s)\n", t->per_minute < 10 ? 2 : 0,
	       t->per_minute, 100 * t->errors, t->source);
	puts(x->plan.automatic ? "  the judge itself, in simulated worlds, with the weights that it gives itself" :
				 "  the judge itself, in simulated worlds; the fault begins with the stage");
	if (!x->plan.automatic)
		print_sights(x);
	print_harm(x);
	putchar('\n');
	for (int f = 1; f < POWER_FAULTS; f++)
		if (is_fault(x, f))
			say_fault(x, f);
	say_healthy(x);
	for (int s = 0; s < x->plan.stages && !x->plan.automatic; s++)
		say_folklore(x, s);
}

/* --- for programs ------------------------------------------------------------------------------ */

static json_t *after_json(const struct exposure *x, double after)
{
	return after < 0 ? json_null() : json_real(after * x->minutes);
}

static json_t *sights_json(const struct exposure *x)
{
	json_t *list = json_array();

	for (int s = 0; s < x->plan.stages && !x->plan.automatic; s++) {
		json_t *faults = json_object();

		for (int f = 1; f < POWER_FAULTS; f++)
			json_object_set_new(faults, power_faults[f].name, json_pack("{s:f, s:o}", "found_in_bake", x->sight[s][f].found,
				"minutes_to_80_percent", after_json(x, x->sight[s][f].after)));
		json_array_append_new(list, json_pack("{s:s, s:f, s:b, s:o}", "step", x->from[s]->step->id, "green",
						      x->plan.stage[s].weight, "folklore", is_folklore(x, s), "faults", faults));
	}
	return list;
}

static json_t *runs_json(const struct exposure *x)
{
	json_t *o = json_object();

	for (int f = 0; f < POWER_FAULTS; f++) {
		const struct power_run *r = &x->run[f];

		json_object_set_new(o, power_faults[f].name, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o}", "green_fails",
			power_rate(&x->plan, &power_faults[f]), "taken_back", r->found, "held", r->held, "promoted", r->promoted,
			"failed_mean", r->harm, "failed_9_of_10", r->harm_worst, "minutes_to_80_percent", after_json(x, r->after),
			"minutes_to_promote", after_json(x, r->took)));
	}
	return o;
}

json_t *explain_judge_json(const struct plan *p, const struct traffic *t)
{
	autofree struct stage *g = xcalloc(p->nsteps, sizeof *g);
	autofree struct exposure *x = xcalloc(1, sizeof *x);

	if (t->per_minute <= 0 || !ask(x, p, t, g))
		return json_null();
	return json_pack("{s:f, s:f, s:s, s:o, s:o}", "requests_per_minute", t->per_minute, "error_rate", t->errors, "source",
			 t->source, "stages", sights_json(x), "faults", runs_json(x));
}

/* cutover backtest - would this plan's judge have taken back a service that did
 * not change at all? On blue's own past, from many start times. */
#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "cli/explain.h"
#include "cli/facts.h"
#include "cli/load.h"
#include "cli/past.h"
#include "cli/settings.h"
#include "engine/step.h"
#include "judge/rate.h"
#include "plan/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define STARTS 20000   /* more are not asked for */
#define TOLD 10        /* false rollbacks that are told one by one */
#define SURE .05
#define LATE_MS 300000 /* what is younger may still change */

struct told {
	int64_t at;
	struct aa_outcome o;
};

struct backtest {
	struct power_plan plan;
	const char *step[JUDGE_STAGES]; /* the plan's names of the stages */
	struct past past;
	struct aa_past aa;
	int every, splits;
	long count[AA_ENDS + 1];
	double took;             /* of those that got through: minutes, all together */
	double most;             /* largest evidence that was not enough */
	struct told told[TOLD];
	int ntold;
};

/* --- all starts -------------------------------------------------------------------------- */

static void note(struct backtest *b, int start, const struct aa_outcome *o)
{
	b->count[o->end]++;
	if (o->end == AA_THROUGH)
		b->took += (double)o->took * (double)b->past.period_ms / 60000;
	if (o->end == AA_BACK && b->ntold < TOLD)
		b->told[b->ntold++] = (struct told){ b->past.from + (start + o->took) * b->past.period_ms, *o };
	if (o->end != AA_BACK)
		b->most = fmax(b->most, o->log_e);
}

static void try_all(struct backtest *b)
{
	for (int start = JUDGE_HISTORY; start < b->past.n; start += b->every)
		for (int i = 0; i < b->splits; i++) {
			struct aa_outcome o;

			aa_try(&b->plan, &b->aa, start, (uint64_t)start * 1000 + (uint64_t)i, &o);
			note(b, start, &o);
		}
}

static long tried(const struct backtest *b)
{
	return b->count[AA_BACK] + b->count[AA_HELD] + b->count[AA_THROUGH];
}

/* --- printing -------------------------------------------------------------------------------- */

static const char *groups_said(const struct backtest *b, char out[160])
{
	if (b->aa.group[1])
		snprintf(out, 160, "zones %s and %s of blue play blue and green", b->past.zone[0], b->past.zone[1]);
	else
		snprintf(out, 160, "blue has no two zones to compare: its requests are split by chance, %d times", b->splits);
	return out;
}

static void print_text(const struct backtest *b)
{
	long n = tried(b);
	struct rate_interval r = rate_interval((double)b->count[AA_BACK], (double)n, SURE);
	char from[21], to[21], groups[160];

	clock_iso(b->past.from + JUDGE_HISTORY * b->past.period_ms, from);
	clock_iso(b->past.from + b->past.n * b->past.period_ms, to);
	printf("%ld cutovers that changed nothing, started from %s to %s; %s\n", n, from, to, groups_said(b, groups));
	printf("  taken back falsely: %ld (%.2f %%; %.2f to %.2f %%), the plan's budget is %.2g %%\n", b->count[AA_BACK],
	       100 * r.rate, 100 * r.low, 100 * r.high, 100 * b->plan.tune.alpha);
	printf("  through: %ld, in %.0f minutes on average; held until the limit: %ld\n", b->count[AA_THROUGH],
	       b->count[AA_THROUGH] ? b->took / (double)b->count[AA_THROUGH] : 0, b->count[AA_HELD]);
	printf("  not counted, too little past after their start: %ld; blue had requests in %.0f %% of all periods\n", b->count[AA_ENDS],
	       100 * b->past.seen);
	printf("  the largest evidence that was not enough: %.3g, the limit is %.3g\n", exp(b->most), 1 / b->plan.tune.alpha);
	for (int i = 0; i < b->ntold; i++) {
		clock_iso(b->told[i].at, from);
		printf("  false: %s in %s, %s\n", from, b->step[b->told[i].o.stage], b->told[i].o.reason);
	}
	if (n && r.low > b->plan.tune.alpha)
		puts("  That is more than the budget: the groups differ more than the judge takes for healthy. Do not trust this plan's judge yet.");
	puts("  Starts overlap, so that the interval is narrower than it should be; a week and more says most.");
}

static void print_json(const struct backtest *b)
{
	struct rate_interval r = rate_interval((double)b->count[AA_BACK], (double)tried(b), SURE);
	json_t *told = json_array();
	char at[21];

	for (int i = 0; i < b->ntold; i++) {
		clock_iso(b->told[i].at, at);
		json_array_append_new(told, json_pack("{s:s, s:s, s:o}", "at", at, "step", b->step[b->told[i].o.stage], "reason",
						      json_text(b->told[i].o.reason)));
	}
	cli_print_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:o}",
		"cutovers", (json_int_t)tried(b), "taken_back", (json_int_t)b->count[AA_BACK], "through",
		(json_int_t)b->count[AA_THROUGH], "held", (json_int_t)b->count[AA_HELD], "too_short", (json_int_t)b->count[AA_ENDS],
		"rate", r.rate, "low", r.low, "high", r.high, "budget", b->plan.tune.alpha, "seen", b->past.seen, "most_log_e",
		b->most, "zones", b->aa.group[1] != NULL, "false", told));
}

/* --- the command ------------------------------------------------------------------------------ */

/* "2026-11-01T00:00:00Z", or a duration before now: "P7D". -1: neither. */
static int64_t time_of(const char *s, int64_t now)
{
	struct err e = { 0 };
	int64_t at = clock_parse_iso(s), ago;

	if (at >= 0)
		return at;
	return duration_parse(s + (*s == '-'), &ago, &e) || ago > now ? -1 : now - ago;
}

static int number(const struct cli *c, const char *name, int or, int most)
{
	const char *s = cli_opt(c, name);
	char *end;
	long v = s ? strtol(s, &end, 10) : or;

	return s && (end == s || *end || v < 1 || v > most) ? -1 : (int)v;
}

static int take_times(const struct cli *c, int64_t period, int64_t *from, int64_t *to)
{
	int64_t now = clock_wall(&clock_real);

	*to = cli_opt(c, "to") ? time_of(cli_opt(c, "to"), now) : now - LATE_MS;
	*from = cli_opt(c, "from") ? time_of(cli_opt(c, "from"), now) : *to - 7 * 86400000LL;
	if (*from < 0 || *to < 0)
		return cli_usage(c, "--from and --to take a time, 2026-11-01T00:00:00Z, or how long ago, P7D");
	*to = *to < now ? *to : now;
	if (*to - *from < period)
		return cli_usage(c, "--from must lie before --to");
	return 0;
}

static int take_options(const struct cli *c, const struct plan *p, struct backtest *b)
{
	b->every = number(c, "every", 10, 10000);
	b->splits = number(c, "splits", 1, 1000);
	if (b->every < 0 || b->splits < 0)
		return cli_usage(c, "--every takes periods from 1, --splits how often from 1");
	if (PAST_PERIODS / b->every * b->splits > STARTS)
		return cli_usage(c, "--every %d --splits %d would be more than %d cutovers", b->every, b->splits, STARTS);
	b->plan.tune = p->watch.tuning;
	return settings_take(c, &b->plan.tune);
}

static int prepare(const struct cli *c, const struct plan *p, struct backtest *b)
{
	autofree struct stage *g = xcalloc(p->nsteps, sizeof *g);
	const struct stage *from[JUDGE_STAGES];

	explain_stages(p, &b->plan, g, from);
	for (int i = 0; i < b->plan.stages; i++)
		b->step[i] = from[i]->step->id;
	if (!b->plan.stages)
		return cli_usage(c, "this plan gives green no weight: there is nothing to judge");
	return take_options(c, p, b);
}

static int read_past(const struct plan *p, int64_t from, int64_t to, struct backtest *b, struct err *e)
{
	autoclient struct client *client = NULL;

	if (client_open(p->region, &client, e) ||
	    past_read(client_aws(client), p, from - JUDGE_HISTORY * p->watch.period_ms, to, &b->past, e))
		return err_wrap(e, "reading blue's past");
	b->aa = (struct aa_past){ { b->past.half[0] ? b->past.half[0] : b->past.whole, b->past.half[1] }, b->past.n };
	return 0;
}

static int run(struct cli *c)
{
	autoplan struct plan *p = NULL;
	autofree struct backtest *b = xcalloc(1, sizeof *b);
	int64_t from = 0, to = 0;
	struct err e = { 0 };
	int rc = load_plan(c, &p);

	if (!rc)
		rc = take_times(c, p->watch.period_ms, &from, &to);
	if (!rc)
		rc = prepare(c, p, b);
	if (rc)
		return rc;
	if (read_past(p, from, to, b, &e)) {
		past_free(&b->past);
		return cli_fail(&e);
	}
	try_all(b);
	(c->json ? print_json : print_text)(b);
	past_free(&b->past);
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_backtest = {
	.name = "backtest", .args = "PLAN", .about = "would the judge have taken back what did not change? on blue's own past",
	.run = run, .min_args = 1, .max_args = 1,
	.options = (const struct cli_option[]){
		{ "from", "TIME", "first start: 2026-11-01T00:00:00Z, or how long ago: P7D, which is usual" },
		{ "to", "TIME", "end of what is read; now when not given" },
		{ "every", "N", "a start every N periods; 10" },
		{ "splits", "N", "as often for each start, each time split by other dice; 1" },
		SETTINGS_OPTION, { 0 } },
	.detail = "Reads CloudWatch only. Two availability zones of blue play blue and green; where there are none, blue's\n"
		  "requests are split by chance, which shows less: chance makes no two groups that differ.",
};

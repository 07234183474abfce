#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/explain.h"
#include "cli/facts.h"
#include "cli/load.h"
#include "cli/window.h"
#include "cli/past.h"
#include "engine/step.h"
#include "plan/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/* --- pieces --------------------------------------------------------------------------- */

static void sentences(const char *title, json_t *list)
{
	size_t i;
	json_t *v;

	if (json_array_size(list))
		printf("\n%s\n", title);
	json_array_foreach(list, i, v) {
		fputs("  - ", stdout);
		explain_wrap(json_string_value(v), 4);
	}
	json_decref(list);
}

static const char *said(int64_t ms, char out[32])
{
	facts_time(ms, out);
	return out;
}

/* --- what is done ------------------------------------------------------------------------ */

static void print_side(const char *name, const struct plan_side *s)
{
	printf("  %-8s %s", name, s->target_group);
	if (s->service)
		printf(" (ECS %s%s%s)", s->cluster ? s->cluster : "", s->cluster ? "/" : "", s->service);
	if (s->stack)
		printf(" (stack %s)", s->stack);
	putchar('\n');
}

static void print_head(const struct plan *p)
{
	printf("%s: account %s, region %s\n", p->name, p->account, p->region);
	printf("  %-8s %s\n", "rule", p->rule);
	print_side("blue", &p->blue);
	print_side("green", &p->green);
}

static void print_step(const struct step *s, size_t i, int64_t until)
{
	autofree char *params = facts_params(s), *about = xasprintf("%s (%s): %s", s->id, s->kind->name, s->kind->about);
	char longest[32], sum[32], limit[32];

	printf("%3zu. ", i + 1);
	explain_wrap(about, 5);
	if (*params) {
		fputs("     ", stdout);
		explain_wrap(params, 5);
	}
	printf("     up to %s, together up to %s; given up after %s%s\n", said(facts_undisturbed_ms(s), longest),
	       said(until, sum), said(s->timeout_ms, limit), s->kind->flags & STEP_ONE_WAY ? "; CANNOT BE UNDONE" : "");
}

static void print_steps(const struct plan *p)
{
	int64_t until = 0;
	char all[32];

	puts("\nsteps");
	for (size_t i = 0; i < p->nsteps; i++) {
		until += facts_undisturbed_ms(&p->steps[i]);
		print_step(&p->steps[i], i, until);
	}
	printf("     When nothing goes wrong the run takes up to %s", said(until, all));
	if (p->deadline_ms)
		printf("; the way forward is given up after %s", said(p->deadline_ms, all));
	puts(".");
}

/* --- who sees green ------------------------------------------------------------------------- */

static void print_share(const struct stage *g, double rate)
{
	char least[32], most[32];

	printf("  %-24s %5g%% %14s %14s", g->step->id, g->permille / 10.0, said(g->least_ms, least), said(g->most_ms, most));
	if (rate > 0)
		printf(" %16.0f", rate * g->permille / 1000 * (double)g->least_ms / 1000);
	putchar('\n');
}

static void print_exposure(const struct stage *g, size_t n, double rate)
{
	double weighted = 0, time = 0;

	printf("\nexposure: who is served by green, and for how long\n  %-24s %6s %14s %14s%s\n", "step", "green", "at least",
	       "at most", rate > 0 ? "   green requests" : "");
	for (size_t i = 0; i < n; i++) {
		print_share(&g[i], rate);
		if (g[i].permille < 1000) {
			weighted += g[i].permille / 1000.0 * (double)g[i].least_ms;
			time += (double)g[i].least_ms;
		}
	}
	if (time > 0)
		printf("  In the bakes before promotion green serves %.1f%% of the requests.\n", 100 * weighted / time);
}

/* A rate with a mark when the given one is below it. */
static void print_need(double need, double rate)
{
	if (need < 0)
		printf(" %13s ", "never");
	else
		printf(" %13.4g%s", need, rate > 0 && need > rate ? "!" : " ");
}

static bool is_short(const struct stage *g, double rate)
{
	const double needs[] = { g->need_good, g->need_catastrophic, g->need_errors, g->need_latency };

	for (size_t i = 0; i < COUNT(needs); i++)
		if (needs[i] > rate)
			return true;
	return g->need_good < 0;
}

static void print_sight(const struct stage *g, size_t n, double rate)
{
	bool low = false;

	printf("\nsight: requests a second, of both colours together, from which each rule can speak\n  %-24s %14s %14s %14s %14s\n",
	       "step", "GOOD in time", "catastrophic", "error-rate", "latency");
	for (size_t i = 0; i < n; i++) {
		printf("  %-24s", g[i].step->id);
		print_need(g[i].need_good, rate);
		print_need(g[i].need_catastrophic, rate);
		print_need(g[i].need_errors, rate);
		print_need(g[i].need_latency, rate);
		putchar('\n');
		low |= is_short(&g[i], rate);
	}
	if (rate > 0)
		printf(low ? "  With %g a second, what is marked ! or never is not reached: such a stage is lengthened (GOOD) or watched without that rule.\n"
			   : "  With %g a second every rule can speak in every stage.\n", rate);
	else
		puts("  `--rpm N --error-rate P` (or `--traffic live`) says what that means for your wiki, and which faults each stage can see.");
}

static void print_stages(const struct plan *p, double rate)
{
	autofree struct stage *g = xcalloc(p->nsteps, sizeof *g);
	size_t n = facts_stages(p, g);

	if (n && g[0].permille) {
		print_exposure(g, n, rate);
		print_sight(g, n, rate);
	}
}

static void print_doors(const struct plan *p)
{
	puts("\none-way doors");
	for (size_t i = 0, n = 0; i <= p->nsteps; i++) {
		if (i == p->nsteps && !n)
			puts("  none: until the end of the run everything can be taken back");
		if (i < p->nsteps && (p->steps[i].kind->flags & STEP_ONE_WAY) && ++n)
			printf("  step %s (%s): %s\n", p->steps[i].id, p->steps[i].kind->name, p->steps[i].kind->about);
	}
}

static void print_iam(const struct plan *p)
{
	autojson json_t *list = facts_iam(p);
	size_t i;
	json_t *v;

	puts("\nIAM actions the controller needs");
	json_array_foreach(list, i, v)
		printf("  %s\n", json_string_value(v));
}

static int print_json(const struct plan *p, const struct traffic *t)
{
	autojson json_t *doc = facts_json(p, t->per_second);
	autofree char *text = NULL;

	if (t->per_minute > 0)
		json_object_set_new(doc, "judge", explain_judge_json(p, t));
	text = json_dumps(doc, JSON_INDENT(2));
	if (!text)
		return CUTOVER_EXIT_INTERNAL;
	puts(text);
	return CUTOVER_EXIT_OK;
}

static int print_text(const struct plan *p, const struct traffic *t)
{
	print_head(p);
	print_steps(p);
	print_stages(p, t->per_second);
	if (t->per_minute > 0)
		explain_judge(p, t);
	sentences("read-only", window_sentences(p));
	print_doors(p);
	sentences("when things go wrong", facts_failure(p));
	print_iam(p);
	sentences("notes", facts_notes(p));
	return CUTOVER_EXIT_OK;
}

/* A number above 0 and up to `most`, of an option; -1: it is none. */
static double number_of(const struct cli *c, const char *name, double most)
{
	const char *s = cli_opt(c, name);
	char *end;
	double v = s ? strtod(s, &end) : 0;

	return s && (end == s || *end || !isfinite(v) || v <= 0 || v > most) ? -1 : v;
}

/* "0.1%" or 0.001; -1: neither. */
static double share_of(const char *s)
{
	char *end;
	double v = strtod(s, &end);

	if (end != s && !strcmp(end, "%"))
		v /= 100;
	else if (end == s || *end)
		return -1;
	return v >= 0 && v < 1 ? v : -1;
}

#define SUPPOSED_ERRORS .001
#define LIVE_DAYS 14

/* Exit code; what is not known stays 0. */
static int take_traffic(const struct cli *c, struct traffic *t)
{
	const char *errors = cli_opt(c, "error-rate");
	double per_second = number_of(c, "requests-per-second", 1e7);

	if (per_second < 0)
		return cli_usage(c, "--requests-per-second takes a number above 0");
	t->per_minute = number_of(c, "rpm", 6e8);
	if (t->per_minute < 0)
		return cli_usage(c, "--rpm takes a number above 0");
	if (cli_opt(c, "traffic") && (strcmp(cli_opt(c, "traffic"), "live") != 0 || per_second > 0 || t->per_minute > 0))
		return cli_usage(c, "--traffic takes \"live\", and no other number of requests beside it");
	if (per_second > 0 && t->per_minute > 0)
		return cli_usage(c, "--rpm and --requests-per-second say the same thing: give one of them");
	t->per_second = per_second > 0 ? per_second : t->per_minute / 60;
	t->errors = errors ? share_of(errors) : SUPPOSED_ERRORS;
	if (t->errors < 0)
		return cli_usage(c, "--error-rate takes a share of the requests, 0.1%% or 0.001");
	snprintf(t->source, sizeof t->source, "as given%s", errors ? "" : "; how many fail is supposed, --error-rate P says it");
	return CUTOVER_EXIT_OK;
}

/* What CloudWatch says of blue, where nothing was given. */
static int read_traffic(const struct cli *c, const struct plan *p, struct traffic *t)
{
	int64_t now = clock_wall(&clock_real);
	autoclient struct client *client = NULL;
	struct past_rates r;
	struct err e = { 0 };

	if (client_open(p->region, &client, &e) ||
	    past_rates(client_aws(client), p, now - LIVE_DAYS * 86400000LL, now - 3600000, &r, &e)) {
		err_wrap(&e, "reading blue's traffic");
		return cli_fail(&e);
	}
	t->per_minute = r.per_minute;
	t->per_second = r.per_minute / 60;
	if (!cli_opt(c, "error-rate"))
		t->errors = r.errors;
	snprintf(t->source, sizeof t->source, "blue's median hour of %.0f; the quietest had %.0f a minute, the busiest %.0f", r.hours,
		 r.quiet, r.busy);
	return CUTOVER_EXIT_OK;
}

static int run(struct cli *c)
{
	autoplan struct plan *p = NULL;
	struct traffic t = { 0 };
	int rc = take_traffic(c, &t);

	if (!rc)
		rc = load_plan(c, &p);
	if (!rc && cli_opt(c, "traffic"))
		rc = read_traffic(c, p, &t);
	if (rc)
		return rc;
	return c->json ? print_json(p, &t) : print_text(p, &t);
}

const struct cli_command cli_explain = {
	.name = "explain", .args = "PLAN", .about = "say what a plan does, for how long, and what can go wrong", .run = run,
	.min_args = 1, .max_args = 1,
	.options = (const struct cli_option[]){
		{ "rpm", "N", "requests a minute the wiki gets: says what each stage can show in time, and see" },
		{ "requests-per-second", "N", "the same by the second, without what the judge can see" },
		{ "traffic", "live", "read both from CloudWatch: blue's last two weeks" },
		{ "error-rate", "P", "share of them that fails today, 0.1% or 0.001; 0.1% when not given" }, { 0 } },
	.detail = "Reads the file only: no network, no journal; with --traffic live CloudWatch, too.",
};

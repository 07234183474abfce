#include "base/buf.h"
#include "cli/cli.h"
#include "cli/facts.h"
#include "cli/load.h"
#include "engine/step.h"
#include "plan/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 98

/* --- pieces --------------------------------------------------------------------------- */

/* Long text in lines of WIDTH; `indent` columns before each but the first. */
static void wrap(const char *s, int indent)
{
	int col = indent;

	while (*s) {
		int word = (int)strcspn(s, " ");

		if (col > indent && col + 1 + word > WIDTH) {
			printf("\n%*s", indent, "");
			col = indent;
		} else if (col > indent) {
			putchar(' ');
			col++;
		}
		printf("%.*s", word, s);
		col += word;
		s += word + strspn(s + word, " ");
	}
	putchar('\n');
}

static void sentences(const char *title, json_t *list)
{
	size_t i;
	json_t *v;

	if (json_array_size(list))
		printf("\n%s\n", title);
	json_array_foreach(list, i, v) {
		fputs("  - ", stdout);
		wrap(json_string_value(v), 4);
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
	wrap(about, 5);
	if (*params) {
		fputs("     ", stdout);
		wrap(params, 5);
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
		puts("  `--requests-per-second N` says what that means for your wiki.");
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

static int print_json(const struct plan *p, double rate)
{
	autojson json_t *doc = facts_json(p, rate);
	autofree char *text = json_dumps(doc, JSON_INDENT(2));

	if (!text)
		return CUTOVER_EXIT_INTERNAL;
	puts(text);
	return CUTOVER_EXIT_OK;
}

static int print_text(const struct plan *p, double rate)
{
	print_head(p);
	print_steps(p);
	print_stages(p, rate);
	print_doors(p);
	sentences("when things go wrong", facts_failure(p));
	print_iam(p);
	sentences("notes", facts_notes(p));
	return CUTOVER_EXIT_OK;
}

static double rate_of(const struct cli *c)
{
	const char *s = cli_opt(c, "requests-per-second");
	char *end;
	double v = s ? strtod(s, &end) : 0;

	return s && (end == s || *end || !isfinite(v) || v <= 0 || v > 1e7) ? -1 : v;
}

static int run(struct cli *c)
{
	autoplan struct plan *p = NULL;
	double rate = rate_of(c);
	int rc;

	if (rate < 0)
		return cli_usage(c, "--requests-per-second takes a number above 0");
	rc = load_plan(c, &p);
	if (rc)
		return rc;
	return c->json ? print_json(p, rate) : print_text(p, rate);
}

const struct cli_command cli_explain = {
	.name = "explain", .args = "PLAN", .about = "say what a plan does, for how long, and what can go wrong", .run = run,
	.min_args = 1, .max_args = 1,
	.options = (const struct cli_option[]){
		{ "requests-per-second", "N", "what the wiki gets: says what each stage can show in time" }, { 0 } },
	.detail = "Reads the file only: no network, no journal.",
};

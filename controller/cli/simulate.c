/* cli/simulate.c - the plan against the simulated world: no network, no files,
 * a virtual clock. The engine, the steps and the signing are the real ones. */
#include "aws/cred.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/load.h"
#include "cli/say.h"
#include "engine/engine.h"
#include "plan/plan.h"
#include "sim/sim.h"
#include "steps/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct outcome {
	enum run_state state;
	int code;
	int64_t took;
	struct sim_truth truth;
	char why[200];
};

/* --- the world a plan asks for ----------------------------------------------------------- */

static bool green_is_made(const struct plan *p)
{
	return strncmp(p->green.target_group, "arn:", 4) != 0;
}

static char *green_arn(const struct plan *p)
{
	if (!green_is_made(p))
		return xstrdup(p->green.target_group);
	return xasprintf("arn:aws:elasticloadbalancing:%s:%s:targetgroup/green/0123456789abcdef", p->region, p->account);
}

/* Green needs other tables than blue where the plan makes the wiki read-only. */
static bool is_upgrade(const struct plan *p)
{
	for (size_t i = 0; i < p->nsteps; i++)
		if (!strcmp(p->steps[i].kind->name, "freeze"))
			return true;
	return false;
}

static struct sim *make_world(const struct plan *p, const char *fault, uint64_t seed)
{
	size_t n = json_array_size(p->watch.alarms);
	autofree const char **alarms = xcalloc(n, sizeof *alarms);
	autofree char *green = green_arn(p);

	for (size_t i = 0; i < n; i++)
		alarms[i] = json_string_value(json_array_get(p->watch.alarms, i));
	return sim_new(&(struct sim_opts){ .seed = seed, .region = p->region, .account = p->account, .rule = p->rule,
					   .blue = p->blue.target_group, .green = green, .fault = fault,
					   .green_by_stack = green_is_made(p), .blue_stack = p->blue.stack,
					   .blue_service = p->blue.service, .green_service = p->green.service,
					   .upgrade = is_upgrade(p),
					   .period_s = (int)(p->watch.period_ms / 1000), .alarms = (int)n,
					   .alarm_names = alarms });
}

/* --- the timeline ---------------------------------------------------------------------------- */

struct timeline {
	struct store *store;
	struct clock *clock;
	int64_t shown;
	bool verbose, yes;
	int64_t answered; /* line of the newest answer */
	const struct run *run;
};

static int print_event(void *ctx, const struct event *ev)
{
	struct timeline *t = ctx;
	autobuf struct buf line = BUF_MAX(16384);

	if (ev->seq > t->run->seq)
		return 1;
	t->shown = ev->seq;
	if (say_event(t->run, ev, &line))
		puts(line.p);
	return 0;
}

/* A person who says yes to every question, for --yes. */
static void say_yes(struct timeline *t, const struct run *r)
{
	size_t step;
	const struct run_question *q = run_question(r, &step);
	struct err e = { 0 };

	if (q && t->answered < q->seq)
		engine_order(t->store, r->id, t->clock, &(struct engine_order){ .kind = ORDER_PROMOTE, .reason = "--yes",
			     .actor = "somebody", .step = r->plan->steps[step].id, .about = q->seq }, &t->answered, &e);
}

static void see(void *ctx, struct engine *en)
{
	struct timeline *t = ctx;
	struct err e = { 0 };

	t->run = engine_run(en);
	if (t->yes)
		say_yes(t, engine_run(en));
	if (t->verbose)
		store_read(t->store, engine_run(en)->id, t->shown, print_event, t, &e);
}

/* --- one run ------------------------------------------------------------------------------------ */

static void note_outcome(const struct run *r, struct sim *sim, struct outcome *o)
{
	o->state = r->state;
	o->code = run_exit_code(r);
	o->took = r->changed - r->started;
	snprintf(o->why, sizeof o->why, "%.199s", r->why);
	sim_truth(sim, &o->truth);
}

static int drive(struct store *s, struct sim *sim, const char *id, uint64_t seed, const struct timeline *how,
		 struct outcome *o, struct err *e)
{
	struct http http = { sim_send, sim };
	struct cred_chain *creds = cred_chain_new(&http, sim_clock(sim));
	struct timeline t = { .store = s, .clock = sim_clock(sim), .verbose = how->verbose, .yes = how->yes };
	struct engine *en = NULL;
	int rc = engine_open(&(struct engine_opts){ .store = s, .kinds = step_kinds, .clock = sim_clock(sim),
						    .http = &http, .creds = creds, .run = id, .actor = "simulation",
						    .holder = "simulation", .simulated = true, .seed = seed }, &en, e);

	if (!rc)
		rc = engine_claim(en, e) || engine_drive(en, see, &t, NULL, e) ? -1 : 0;
	if (!rc)
		see(&t, en);
	if (!rc)
		note_outcome(engine_run(en), sim, o);
	engine_close(en);
	cred_chain_free(creds);
	return rc;
}

static int simulate(const struct plan *p, const char *fault, uint64_t seed, const struct timeline *how, struct outcome *o,
		    struct err *e)
{
	autostore struct store *s = NULL;
	struct sim *sim = make_world(p, fault, seed);
	char id[96];
	int rc;

	snprintf(id, sizeof id, "simulated-%llu", (unsigned long long)seed);
	rc = store_open(":memory:", &s, e) || engine_start(s, p, sim_clock(sim), "simulation", id, e) ||
		 drive(s, sim, id, seed, how, o, e);

	sim_free(sim);
	return rc ? -1 : 0;
}

/* --- printing ---------------------------------------------------------------------------------- */

/* -1: the rule does not name it. */
static void print_weight(const char *colour, int weight)
{
	if (weight < 0)
		printf("%s is not on the rule", colour);
	else
		printf("%s %d", colour, weight);
}

static void print_outcome(const struct outcome *o)
{
	char took[32];

	duration_say(o->took, took);
	printf("\n%s after %s of simulated time%s%s\n", run_state_name(o->state), took, o->why[0] ? ": " : "", o->why);
	printf("users made %.0f requests, %.0f failed (%.3f %%), %.0f of them because of green\n", o->truth.users,
	       o->truth.failed, o->truth.users > 0 ? 100 * o->truth.failed / o->truth.users : 0, o->truth.failed_by_green);
	if (o->truth.read_only_ms > 0) {
		duration_say((int64_t)o->truth.read_only_ms, took);
		printf("nobody could edit for %s: %.0f edits were refused, %.0f were lost\n", took, o->truth.refused, o->truth.lost);
	}
	printf("weights at the end: ");
	print_weight("blue", o->truth.live_blue);
	printf(", ");
	print_weight("green", o->truth.live_green);
	puts("");
}

static int one_run(const struct cli *c, const struct plan *p, uint64_t seed)
{
	struct outcome o = { 0 };
	struct err e = { 0 };

	if (simulate(p, cli_opt(c, "fault"), seed, &(struct timeline){ .verbose = !c->json, .yes = cli_opt(c, "yes") }, &o, &e))
		return cli_fail(&e);
	if (c->json)
		printf("{\"state\":\"%s\",\"exit_code\":%d,\"seconds\":%lld,\"users\":%.0f,\"failed\":%.0f,\"failed_by_green\":%.0f,"
		       "\"read_only_seconds\":%.0f,\"edits_refused\":%.0f,\"edits_lost\":%.0f}\n",
		       run_state_name(o.state), o.code, (long long)(o.took / 1000), o.truth.users, o.truth.failed,
		       o.truth.failed_by_green, o.truth.read_only_ms / 1000, o.truth.refused, o.truth.lost);
	else
		print_outcome(&o);
	return o.code;
}

struct sums {
	long n;
	double took, harm, worst; /* minutes; percent of all requests */
};

static void print_table(const struct sums sum[RUN_STATES], long runs)
{
	printf("%-16s %6s %8s %14s %26s %10s\n", "outcome", "runs", "share", "minutes (mean)", "users hurt by green (mean)", "worst");
	for (int k = 0; k < RUN_STATES; k++)
		if (sum[k].n)
			printf("%-16s %6ld %7.1f%% %14.1f %25.4f%% %9.4f%%\n", run_state_name((enum run_state)k), sum[k].n,
			       100.0 * (double)sum[k].n / (double)runs, sum[k].took / (double)sum[k].n,
			       sum[k].harm / (double)sum[k].n, sum[k].worst);
}

static void print_table_json(const struct sums sum[RUN_STATES])
{
	json_t *list = json_array();

	for (int k = 0; k < RUN_STATES; k++)
		if (sum[k].n)
			json_array_append_new(list, json_pack("{s:s, s:I, s:f, s:f, s:f}", "state",
				run_state_name((enum run_state)k), "runs", (json_int_t)sum[k].n, "minutes_mean",
				sum[k].took / (double)sum[k].n, "hurt_percent_mean", sum[k].harm / (double)sum[k].n,
				"hurt_percent_worst", sum[k].worst));
	cli_print_json(list);
}

static int many_runs(const struct cli *c, const struct plan *p, uint64_t seed, long runs)
{
	struct sums sum[RUN_STATES] = { { 0 } };

	for (long i = 0; i < runs; i++) {
		struct outcome o = { 0 };
		struct err e = { 0 };
		double harm;

		if (simulate(p, cli_opt(c, "fault"), seed + (uint64_t)i, &(struct timeline){ .yes = cli_opt(c, "yes") }, &o, &e))
			return cli_fail(&e);
		harm = o.truth.users > 0 ? 100 * o.truth.failed_by_green / o.truth.users : 0;
		sum[o.state].n++;
		sum[o.state].took += (double)o.took / 60000;
		sum[o.state].harm += harm;
		sum[o.state].worst = harm > sum[o.state].worst ? harm : sum[o.state].worst;
	}
	if (c->json)
		print_table_json(sum);
	else
		print_table(sum, runs);
	return CUTOVER_EXIT_OK;
}

/* --- the command --------------------------------------------------------------------------------- */

static bool is_fault(const char *name)
{
	size_t n;
	const struct sim_fault_info *f = sim_faults(&n);

	for (size_t i = 0; name && i < n; i++)
		if (!strcmp(f[i].name, name))
			return true;
	return !name;
}

static int list_faults(const struct cli *c)
{
	size_t n;
	const struct sim_fault_info *f = sim_faults(&n);

	fprintf(stderr, "cutover simulate: there is no fault \"%s\"; there are:\n", cli_opt(c, "fault"));
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "  %-13s %s\n", f[i].name, f[i].about);
	return CUTOVER_EXIT_USAGE;
}

/* The simulated world has keys of its own: the user's are not for it. */
static void use_simulated_keys(void)
{
	setenv("AWS_ACCESS_KEY_ID", "simulated", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "simulated", 1);
	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_ENDPOINT_URL");
}

static long number(const struct cli *c, const char *name, long or)
{
	const char *v = cli_opt(c, name);
	char *end;
	long n;

	errno = 0;
	n = v ? strtol(v, &end, 10) : or;
	return v && (errno || *end || n < 1 || end == v) ? -1 : n;
}

static int run(struct cli *c)
{
	autoplan struct plan *p = NULL;
	long seed = number(c, "seed", 1), runs = number(c, "runs", 0);

	if (seed < 0 || runs < 0)
		return cli_usage(c, "--seed and --runs take a number from 1");
	if (!is_fault(cli_opt(c, "fault")))
		return list_faults(c);
	if (load_plan(c, &p))
		return CUTOVER_EXIT_USAGE;
	use_simulated_keys();
	return runs ? many_runs(c, p, (uint64_t)seed, runs) : one_run(c, p, (uint64_t)seed);
}

const struct cli_command cli_simulate = {
	.name = "simulate", .args = "PLAN", .about = "carry out a plan in a simulated world", .run = run,
	.min_args = 1, .max_args = 1,
	.options = (const struct cli_option[]){
		{ "fault", "NAME", "what goes wrong; a wrong name lists them" },
		{ "seed", "N", "of the world; the same seed gives the same run" },
		{ "runs", "N", "that many seeds; prints a table of outcomes" },
		{ "yes", NULL, "somebody says yes at every approve step" }, { 0 } },
	.detail = "No network, a virtual clock, and the real engine, steps and signing. Exit codes as of a real run;\nwith --runs: 0.",
};

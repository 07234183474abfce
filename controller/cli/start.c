#include "base/clock.h"
#include "base/err.h"
#include "cli/detach.h"
#include "cli/drive.h"
#include "cli/load.h"
#include "cli/out.h"
#include "engine/engine.h"
#include "plan/plan.h"
#include "steps/registry.h"

#include <stdio.h>

static int begin(const struct cli *c, const struct plan *plan, char id[96], struct err *e)
{
	autostore struct store *s = NULL;
	char actor[96];

	cli_actor(actor, sizeof actor);
	return cli_store_made(c, &s, e) || engine_start(s, plan, &clock_real, actor, id, e) ? -1 : 0;
}

/* SQLite must not cross a fork: the journal is opened by the process that drives. */
static int go_on(struct cli *c, const char *id)
{
	autostore struct store *s = NULL;
	struct err e = { 0 };

	return cli_store(c, &s, &e) ? cli_fail(&e) : drive_run(c, s, id, false);
}

/* Returns when somebody drives it: what comes next may ask for that. */
static int go_on_detached(struct cli *c, const char *id)
{
	struct err e = { 0 };
	pid_t pid;

	puts(id);
	pid = detach_driver(c, id);
	if (pid < 0) {
		out_error("cutover: no process can be started for run %s: `cutover resume %s` drives it\n", id, id);
		return CUTOVER_EXIT_INTERNAL;
	}
	return detach_await(c, id, pid, false, &e) ? cli_fail(&e) : CUTOVER_EXIT_OK;
}

static int run(struct cli *c)
{
	autoplan struct plan *plan = NULL;
	struct err e = { 0 };
	char id[96] = "";

	if (load_plan(c, &plan))
		return CUTOVER_EXIT_USAGE;
	if (begin(c, plan, id, &e))
		return cli_fail(&e);
	return cli_opt(c, "detach") ? go_on_detached(c, id) : go_on(c, id);
}

const struct cli_command cli_start = {
	.name = "start", .args = "PLAN", .about = "carry out a plan", .run = run, .acts = true, .min_args = 1, .max_args = 1,
	.options = (const struct cli_option[]){ { "detach", NULL, "go on in the background; print the run's name" }, { 0 } },
	.detail = "Ctrl-C orders a rollback; a second Ctrl-C leaves the run to the next `cutover resume`.",
};

#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "cli/cli.h"
#include "engine/run.h"
#include "steps/registry.h"

#include <string.h>

/* What --for may name, and when it holds. */
static bool is_over(const struct run *r) { return run_is_over(r); }
static bool is_promoted(const struct run *r) { return r->state == RUN_PROMOTED; }
static bool is_rolled_back(const struct run *r) { return r->state == RUN_ROLLED_BACK; }
static bool is_asking(const struct run *r)
{
	const struct step *s = r->state == RUN_FORWARD ? run_current(r) : NULL;

	return s && !strcmp(s->kind->name, "approve") && r->step[s - r->plan->steps].state == STEP_IS_DOING;
}

static const struct {
	const char *name;
	bool (*holds)(const struct run *r);
} states[] = {
	{ "over", is_over }, { "promoted", is_promoted }, { "rolled-back", is_rolled_back }, { "approval", is_asking },
};

static int wait_for(struct store *s, struct run *r, bool (*holds)(const struct run *), int64_t until, struct err *e)
{
	clock_real.wake_fd = store_watch_fd(s);
	while (!holds(r) && !run_is_over(r) && (!until || clock_mono(&clock_real) < until)) {
		int64_t left = until ? until - clock_mono(&clock_real) : 1000;

		clock_sleep(&clock_real, left < 1000 ? left : 1000);
		store_watch_clear(s);
		if (run_catch_up(r, s, e))
			return -1;
	}
	return 0;
}

/* ms 0: as long as it takes. */
static int wait_and_tell(const struct cli *c, bool (*holds)(const struct run *r), int64_t ms)
{
	autostore struct store *s = NULL;
	autorun struct run *r = NULL;
	autofree char *id = NULL;
	struct err e = { 0 };

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e) || run_load(s, id, step_kinds, &r, &e) ||
	    wait_for(s, r, holds, ms ? clock_mono(&clock_real) + ms : 0, &e))
		return cli_fail(&e);
	return holds(r) && !run_is_over(r) ? CUTOVER_EXIT_OK : run_exit_code(r);
}

static int run(struct cli *c)
{
	const char *what = cli_opt(c, "for") ? cli_opt(c, "for") : "over", *limit = cli_opt(c, "timeout");
	struct err e = { 0 };
	int64_t ms = 0;
	size_t k = 0;

	while (k < COUNT(states) && strcmp(states[k].name, what))
		k++;
	if (k == COUNT(states))
		return cli_usage(c, "--for takes over, promoted, rolled-back or approval, not \"%s\"", what);
	if (limit && duration_parse(limit, &ms, &e))
		return cli_usage(c, "--timeout: %s", e.msg);
	return wait_and_tell(c, states[k].holds, ms);
}

const struct cli_command cli_wait = {
	.name = "wait", .args = "[RUN]", .about = "wait until a run is over, promoted, rolled back, or asks for approval",
	.run = run, .acts = true, .max_args = 1,
	.options = (const struct cli_option[]){
		{ "for", "STATE", "over (default), promoted, rolled-back, approval" },
		{ "timeout", "DURATION", "PT30M; exit code 7 when it ends first" }, { 0 } },
	.detail = "Exit code: of the run when it is over (0 promoted, 3 rolled back, 4 frozen, 5 refused); 0 when it asks\nfor the approval waited for; 7 when the time is up.",
};

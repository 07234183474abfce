#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/say.h"
#include "engine/run.h"
#include "steps/registry.h"

#include <stdio.h>
#include <string.h>

static int print_event(void *ctx, const struct event *ev)
{
	autobuf struct buf line = BUF_MAX(16384);

	(void)ctx;
	if (strcmp(ev->kind, "verdict") && strcmp(ev->kind, "intend") && say_event(ev, &line))
		printf("    %s\n", line.p);
	return 0;
}

static void print_steps(const struct run *r)
{
	char took[32];

	for (size_t i = 0; i < r->plan->nsteps; i++) {
		const struct run_step *s = &r->step[i];

		duration_say(s->ended > s->since ? s->ended - s->since : 0, took);
		printf("    %-20s %-10s %s\n", r->plan->steps[i].id, r->plan->steps[i].kind->name,
		       s->state == STEP_IS_DONE ? took : s->state == STEP_IS_UNDONE ? "taken back" :
		       s->state == STEP_IS_DOING ? "not finished" : "not begun");
	}
}

static int run(struct cli *c)
{
	autostore struct store *s = NULL;
	autobuf struct buf end = BUF_MAX(8192);
	autorun struct run *r = NULL;
	autofree char *id = NULL;
	struct err e = { 0 };
	char when[21];

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e) || run_load(s, id, step_kinds, &r, &e))
		return cli_fail(&e);
	clock_iso(r->started, when);
	say_outcome(r, &end);
	printf("%s\nstarted %s, attempt %d\n%s\nsteps\n", r->plan->name, when, r->attempt, end.p);
	print_steps(r);
	puts("\nwhat happened");
	if (store_read(s, id, 0, print_event, NULL, &e))
		return cli_fail(&e);
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_report = {
	.name = "report", .args = "[RUN]", .about = "what a run did and why, for those who were asleep", .run = run,
	.max_args = 1,
};

#include "base/err.h"
#include "cli/cli.h"
#include "cli/say.h"
#include "engine/run.h"
#include "steps/registry.h"

#include <stdio.h>

static int print_json(void *run, const struct event *ev)
{
	autofree char *text = say_event_json(run, ev);

	puts(text);
	return 0;
}

static int print_line(void *run, const struct event *ev)
{
	autobuf struct buf line = BUF_MAX(16384);

	if (say_event(run, ev, &line))
		puts(line.p);
	return 0;
}

/* A journal that cannot be folded is printed all the same: without what its orders did. */
static int run(struct cli *c)
{
	autostore struct store *s = NULL;
	autorun struct run *r = NULL;
	autofree char *id = NULL;
	struct err e = { 0 }, ignored = { 0 };

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e))
		return cli_fail(&e);
	if (run_load(s, id, step_kinds, &r, &ignored))
		r = NULL;
	if (store_read(s, id, 0, c->json ? print_json : print_line, r, &e))
		return cli_fail(&e);
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_events = {
	.name = "events", .args = "[RUN]", .about = "the journal of a run, line by line", .run = run, .max_args = 1,
};

#include "base/err.h"
#include "cli/cli.h"
#include "cli/say.h"
#include "store/store.h"

#include <stdio.h>

static int print_json(void *ctx, const struct event *ev)
{
	autofree char *text = say_event_json(ev);

	(void)ctx;
	puts(text);
	return 0;
}

static int print_line(void *ctx, const struct event *ev)
{
	autobuf struct buf line = BUF_MAX(16384);

	(void)ctx;
	if (say_event(ev, &line))
		puts(line.p);
	return 0;
}

static int run(struct cli *c)
{
	autostore struct store *s = NULL;
	autofree char *id = NULL;
	struct err e = { 0 };

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e) ||
	    store_read(s, id, 0, c->json ? print_json : print_line, NULL, &e))
		return cli_fail(&e);
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_events = {
	.name = "events", .args = "[RUN]", .about = "the journal of a run, line by line", .run = run, .max_args = 1,
};

#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "engine/run.h"
#include "steps/registry.h"

#include <stdio.h>

struct listing {
	const struct cli *cli;
	struct store *store;
	json_t *rows;
};

static int add_run(void *ctx, const struct event *ev)
{
	struct listing *l = ctx;
	autorun struct run *r = NULL;
	struct err e = { 0 };
	char when[21];

	clock_iso(ev->at, when);
	if (run_load(l->store, ev->run, step_kinds, &r, &e))
		json_array_append_new(l->rows, json_pack("{s:s, s:s, s:o, s:s}", "run", ev->run, "started", when, "state",
							 json_text(e.msg), "why", ""));
	else
		json_array_append_new(l->rows, json_pack("{s:s, s:s, s:s, s:o}", "run", ev->run, "started", when, "state",
							 run_state_name(r->state), "why", json_text(r->why)));
	return 0;
}

static void print_rows(const json_t *rows)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
		printf("%-48s %s  %-14s %s\n", json_str(row, "run", ""), json_str(row, "started", ""),
		       json_str(row, "state", ""), json_str(row, "why", ""));
}

static int run(struct cli *c)
{
	autostore struct store *s = NULL;
	autojson json_t *rows = json_array();
	struct listing l = { .cli = c, .rows = rows };
	struct err e = { 0 };

	if (cli_store(c, &s, &e) && e.kind != ERR_GONE)
		return cli_fail(&e);
	l.store = s;
	if (s && store_runs(s, add_run, &l, &e))
		return cli_fail(&e);
	if (c->json) {
		autofree char *text = json_flat(rows);

		puts(text);
	} else if (!s) {
		puts(e.msg);
	} else {
		print_rows(rows);
	}
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_list = {
	.name = "list", .args = "", .about = "all runs of this journal, newest first", .run = run,
};

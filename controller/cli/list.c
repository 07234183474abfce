#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/driven.h"
#include "cli/say_order.h"
#include "engine/run.h"
#include "steps/registry.h"

#include <stdio.h>
#include <string.h>

struct listing {
	const struct cli *cli;
	struct store *store;
	json_t *rows;
};

static json_t *list_row(const struct listing *l, const struct event *ev, const char *when)
{
	autorun struct run *r = NULL;
	struct err e = { 0 };
	json_t *row;

	if (run_load(l->store, ev->run, step_kinds, &r, &e))
		return json_pack("{s:s, s:s, s:o, s:s}", "run", ev->run, "started", when, "state", json_text(e.msg), "why", "");
	row = json_pack("{s:s, s:s, s:s, s:o, s:b, s:o*}", "run", ev->run, "started", when, "state", run_state_name(r->state), "why",
			json_text(r->why), "over", run_is_over(r), "asks", say_question_json(r));
	json_object_update_new(row, driven_json(r, driven_look(r)));
	return row;
}

static int add_run(void *ctx, const struct event *ev)
{
	struct listing *l = ctx;
	char when[21];

	clock_iso(ev->at, when);
	json_array_append_new(l->rows, list_row(l, ev, when));
	return 0;
}

static bool list_is_left(const json_t *row)
{
	return json_object_get(row, "over") && !json_yes(row, "over") && !strcmp(json_str(row, "driven", ""), "no");
}

static void print_row(const json_t *row)
{
	const json_t *asks = json_object_get(row, "asks");

	printf("%-48s %s  %-14s %s%s", json_str(row, "run", ""), json_str(row, "started", ""), json_str(row, "state", ""),
	       list_is_left(row) ? "NOBODY DRIVES IT " : "", json_str(row, "why", ""));
	if (asks)
		printf("ASKS until %s: %s", json_str(asks, "until", ""), json_str(asks, "question", ""));
	puts("");
}

static void print_rows(const json_t *rows)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
		print_row(row);
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

#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/driven.h"
#include "cli/say.h"
#include "engine/engine.h"
#include "steps/registry.h"

#include <stdio.h>

static json_t *steps_json(const struct run *r)
{
	static const char *const names[] = { "todo", "doing", "done", "undone" };
	json_t *steps = json_array();

	for (size_t i = 0; i < r->plan->nsteps; i++)
		json_array_append_new(steps, json_pack("{s:s, s:s, s:s}", "id", r->plan->steps[i].id, "do",
						       r->plan->steps[i].kind->name, "state", names[r->step[i].state]));
	return steps;
}

static json_t *said_json(struct store *s, const struct run *r)
{
	struct store_said said;
	char at[21], next[21];

	if (!driven_said(s, r, &said))
		return NULL;
	clock_iso(said.at, at);
	clock_iso(said.next, next);
	return json_pack("{s:o, s:s, s:s}", "text", json_text(said.text), "at", at, "looks_again", next);
}

static json_t *status_json(struct store *s, const struct run *r)
{
	json_t *j = driven_json(r, driven_look(r));

	json_object_update_new(j, json_pack("{s:o*, s:o*}", "now", say_now_json(r), "says", said_json(s, r)));
	json_object_update_new(j, json_pack("{s:s, s:s, s:o, s:b, s:i, s:i, s:s, s:o, s:o, s:O*}", "run", r->id, "state",
					    run_state_name(r->state), "why", json_text(r->why), "paused", r->paused, "attempt",
					    r->attempt, "exit_code", run_exit_code(r), "holder", r->holder, "traffic",
					    run_traffic_json(r), "steps", steps_json(r), "verdict", r->verdict));
	return j;
}

static void print_text(const struct cli *c, struct store *s, const struct run *r)
{
	struct store_said said;
	autobuf struct buf text = BUF_MAX(32768);

	say_screen(r, driven_said(s, r, &said) ? said.text : "", clock_wall(&clock_real), c->color, &text);
	fputs(text.p, stdout);
	if (!run_is_over(r) && driven_look(r) == DRIVEN_NO)
		printf("NOBODY DRIVES THIS RUN: `cutover resume %s` goes on, `cutover rollback %s` takes it back\n", r->id,
		       r->id);
	if (run_is_over(r) && r->why[0])
		printf("because  %s\n", r->why);
}

static int run(struct cli *c)
{
	autostore struct store *s = NULL;
	autorun struct run *r = NULL;
	autofree char *id = NULL;
	struct err e = { 0 };

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e) || run_load(s, id, step_kinds, &r, &e))
		return cli_fail(&e);
	if (c->json) {
		autojson json_t *j = status_json(s, r);
		autofree char *text = json_flat(j);

		puts(text);
	} else {
		print_text(c, s, r);
	}
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_status = {
	.name = "status", .args = "[RUN]", .about = "where a run stands", .run = run, .max_args = 1,
};

#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/driven.h"
#include "cli/say.h"
#include "cli/say_order.h"
#include "engine/engine.h"
#include "steps/registry.h"

#include <stdio.h>

#define STATUS_ORDERS 20

static json_t *steps_json(const struct run *r)
{
	static const char *const names[] = { "todo", "doing", "done", "undone" };
	json_t *steps = json_array();

	for (size_t i = 0; i < r->plan->nsteps; i++)
		json_array_append_new(steps, json_pack("{s:s, s:s, s:s}", "id", r->plan->steps[i].id, "do",
						       r->plan->steps[i].kind->name, "state", names[r->step[i].state]));
	return steps;
}

/* The newest ones: all of them stand in the journal. */
static json_t *orders_json(const struct run *r)
{
	size_t from = r->norders > STATUS_ORDERS ? r->norders - STATUS_ORDERS : 0;
	json_t *list = json_array();

	for (size_t i = from; i < r->norders; i++) {
		json_t *o = say_effect_json(r, &r->order[i]);

		json_object_update_new(o, json_pack("{s:s, s:I, s:I, s:s}", "order", order_name(r->order[i].kind), "seq",
						    (json_int_t)r->order[i].seq, "at", (json_int_t)r->order[i].at, "by",
						    r->order[i].by));
		json_array_append_new(list, o);
	}
	return list;
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
	json_object_update_new(j, json_pack("{s:s, s:s, s:o, s:b, s:i, s:i, s:s, s:o, s:o, s:O*, s:o*, s:o}", "run", r->id, "state",
					    run_state_name(r->state), "why", json_text(r->why), "paused", r->paused, "attempt",
					    r->attempt, "exit_code", run_exit_code(r), "holder", r->holder, "traffic",
					    run_traffic_json(r), "steps", steps_json(r), "verdict", r->verdict, "asks",
					    say_question_json(r), "orders", orders_json(r)));
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

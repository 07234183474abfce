#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/say.h"
#include "cli/say_order.h"
#include "cli/window.h"
#include "engine/run.h"
#include "steps/registry.h"

#include <stdio.h>
#include <string.h>

static int print_event(void *run, const struct event *ev)
{
	autobuf struct buf line = BUF_MAX(16384);

	if (event_kind_of(ev) != EVENT_VERDICT && event_kind_of(ev) != EVENT_INTEND && say_event(run, ev, &line))
		printf("    %s\n", line.p);
	return 0;
}

static int64_t took(const struct run_step *s)
{
	return s->ended > s->since ? s->ended - s->since : 0;
}

static const char *word_of(const struct run_step *s)
{
	static const char *const words[] = {
		[STEP_IS_TODO] = "not begun", [STEP_IS_DOING] = "not finished", [STEP_IS_DONE] = "done",
		[STEP_IS_UNDONE] = "taken back",
	};

	return words[s->state];
}

static void print_steps(const struct run *r)
{
	char time[32];

	for (size_t i = 0; i < r->plan->nsteps; i++) {
		const struct run_step *s = &r->step[i];

		duration_say(took(s), time);
		printf("    %-20s %-10s %s\n", r->plan->steps[i].id, r->plan->steps[i].kind->name,
		       s->state == STEP_IS_DONE ? time : word_of(s));
	}
}

static void print_windows(const json_t *windows)
{
	size_t i;
	json_t *w;
	char took[32];

	json_array_foreach(windows, i, w) {
		duration_say(json_num(w, "ms", 0), took);
		printf("%sread-only from %s to %s%s%s\n", i ? "" : "\n", json_str(w, "from", "?"), json_str(w, "to", "now"),
		       json_object_get(w, "to") && !json_is_null(json_object_get(w, "to")) ? ": no edits for " : "",
		       json_is_integer(json_object_get(w, "ms")) ? took : "");
	}
}

static int print_text(struct store *s, const struct run *r, struct err *e)
{
	autobuf struct buf end = BUF_MAX(8192);
	autojson json_t *windows = NULL;
	char when[21];

	if (window_of_run(s, r->id, &windows, e))
		return -1;

	clock_iso(r->started, when);
	say_question(r, clock_wall(&clock_real), &end);
	say_outcome(r, &end);
	printf("%s\nstarted %s, attempt %d\n%s\nsteps\n", r->plan->name, when, r->attempt, end.p);
	print_steps(r);
	print_windows(windows);
	puts("\nwhat happened");
	return store_read(s, r->id, 0, print_event, (void *)r, e);
}

/* --- for programs ----------------------------------------------------------------------- */

struct events {
	const struct run *run;
	json_t *list;
};

static int add_event(void *events, const struct event *ev)
{
	struct events *x = events;
	autofree char *line = say_event_json(x->run, ev);

	json_array_append_new(x->list, json_loads(line, 0, NULL));
	return 0;
}

static json_t *steps_json(const struct run *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->plan->nsteps; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I}", "id", r->plan->steps[i].id, "do",
						      r->plan->steps[i].kind->name, "state", word_of(&r->step[i]),
						      "took_ms", (json_int_t)took(&r->step[i])));
	return list;
}

static int print_json(struct store *s, const struct run *r, struct err *e)
{
	autojson json_t *events = json_array(), *windows = NULL;
	struct events x = { r, events };
	char when[21];

	if (store_read(s, r->id, 0, add_event, &x, e) || window_of_run(s, r->id, &windows, e))
		return -1;
	clock_iso(r->started, when);
	cli_print_json(json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:o, s:o, s:o, s:O, s:O, s:o*}", "run", r->id, "plan", r->plan->name,
				 "started", when, "attempt", r->attempt, "state", run_state_name(r->state), "exit_code",
				 run_exit_code(r), "why", json_text(r->why), "traffic",
				 run_traffic_json(r), "steps", steps_json(r), "read_only", windows, "events", events,
				 "asks", say_question_json(r)));
	return 0;
}

static int run(struct cli *c)
{
	autostore struct store *s = NULL;
	autorun struct run *r = NULL;
	autofree char *id = NULL;
	struct err e = { 0 };

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e) || run_load(s, id, step_kinds, &r, &e) ||
	    (c->json ? print_json : print_text)(s, r, &e))
		return cli_fail(&e);
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_report = {
	.name = "report", .args = "[RUN]", .about = "what a run did and why, for those who were asleep", .run = run,
	.max_args = 1,
};

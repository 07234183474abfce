#include "cli/cli.h"
#include "engine/run.h"

#include <stdio.h>

static void print_text(const struct run_transition *t)
{
	printf("%-14s --%-12s--> %-14s %s\n", run_state_name(t->from), event_name(t->event), run_state_name(t->to), t->about);
}

static void print_dot(const struct run_transition *t)
{
	printf("  \"%s\" -> \"%s\" [label=\"%s\"];\n", run_state_name(t->from), run_state_name(t->to), event_name(t->event));
}

static int print_json(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < run_ntransitions; i++) {
		const struct run_transition *t = &run_transitions[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "from", run_state_name(t->from), "event",
						      event_name(t->event), "to", run_state_name(t->to), "about", t->about));
	}
	cli_print_json(list);
	return CUTOVER_EXIT_OK;
}

static int run(struct cli *c)
{
	bool dot = cli_opt(c, "dot") != NULL;

	if (c->json)
		return print_json();
	if (dot)
		puts("digraph cutover {");
	for (size_t i = 0; i < run_ntransitions; i++)
		(dot ? print_dot : print_text)(&run_transitions[i]);
	if (dot)
		puts("}");
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_states = {
	.name = "states", .args = "", .about = "the state machine of a run, as a table or a graph", .run = run,
	.options = (const struct cli_option[]){ { "dot", NULL, "for graphviz" }, { 0 } },
};

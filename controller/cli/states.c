#include "cli/cli.h"
#include "engine/run.h"

#include <stdio.h>

static int run(struct cli *c)
{
	if (c->json || cli_opt(c, "dot"))
		puts("digraph cutover {");
	for (size_t i = 0; i < run_ntransitions; i++) {
		const struct run_transition *t = &run_transitions[i];

		if (c->json || cli_opt(c, "dot"))
			printf("  \"%s\" -> \"%s\" [label=\"%s\"];\n", run_state_name(t->from), run_state_name(t->to), t->event);
		else
			printf("%-14s --%-12s--> %-14s %s\n", run_state_name(t->from), t->event, run_state_name(t->to), t->about);
	}
	if (c->json || cli_opt(c, "dot"))
		puts("}");
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_states = {
	.name = "states", .args = "", .about = "the state machine of a run, as a table or a graph", .run = run,
	.options = (const struct cli_option[]){ { "dot", NULL, "for graphviz" }, { 0 } },
};

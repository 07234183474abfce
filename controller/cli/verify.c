#include "base/err.h"
#include "cli/cli.h"
#include "engine/run.h"
#include "steps/registry.h"

#include <stdio.h>

static int run(struct cli *c)
{
	autostore struct store *s = NULL;
	autorun struct run *r = NULL;
	autofree char *id = NULL;
	struct err e = { 0 };
	int64_t lines;

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e) || store_verify(s, id, &lines, &e) ||
	    run_load(s, id, step_kinds, &r, &e))
		return cli_fail(&e);
	if (c->json)
		printf("{\"run\":\"%s\",\"lines\":%lld,\"state\":\"%s\"}\n", id, (long long)lines,
		       run_state_name(r->state));
	else
		printf("%s: %lld lines, each follows from the one before; the run is %s\n", id, (long long)lines,
		       run_state_name(r->state));
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_verify = {
	.name = "verify", .args = "[RUN]", .about = "check the journal's hash chain and fold it again", .run = run,
	.max_args = 1,
};

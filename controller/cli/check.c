#include "base/text.h"
#include "cli/cli.h"
#include "cli/load.h"
#include "engine/step.h"
#include "plan/plan.h"

#include <stdio.h>

static void print_json(const struct plan *p)
{
	autojson json_t *doc = json_pack("{s:b, s:s, s:I, s:s}", "ok", 1, "name", p->name, "steps",
					 (json_int_t)p->nsteps, "sha256", p->sha256);
	autofree char *text = json_dumps(doc, JSON_INDENT(2));

	puts(text ? text : "{}");
}

static int run(struct cli *c)
{
	autoplan struct plan *p = NULL;
	int rc = load_plan(c, &p);
	char file[256];

	if (rc)
		return rc;
	text_line(file, sizeof file, p->file);
	if (c->json)
		print_json(p);
	else
		printf("%s: %s is sound, %zu step%s\n", file, p->name, p->nsteps, p->nsteps == 1 ? "" : "s");
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_check = {
	.name = "check", .args = "PLAN", .about = "say everything that is wrong with a plan", .run = run,
	.min_args = 1, .max_args = 1,
	.detail = "Reads the file only: no network, no journal. Each error comes as file:line: path and what is allowed.",
};

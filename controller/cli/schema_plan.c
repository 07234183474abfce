#include "base/buf.h"
#include "cli/cli.h"
#include "plan/plan.h"
#include "steps/registry.h"

#include <stdio.h>

static int run(struct cli *c)
{
	autojson json_t *schema = plan_schema(step_kinds);
	autofree char *text = json_dumps(schema, JSON_INDENT(2));

	(void)c;
	if (!text)
		return CUTOVER_EXIT_INTERNAL;
	puts(text);
	return CUTOVER_EXIT_OK;
}

const struct cli_command cli_plan_schema = {
	.name = "plan-schema", .args = "", .about = "print the JSON Schema of plan files", .run = run,
	.detail = "plans/plan.schema.json is this text. Editors use it when a plan has \"$schema\": \"plan.schema.json\".",
};

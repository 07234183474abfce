#include "cli/load.h"

#include "cli/cli.h"
#include "plan/plan.h"
#include "steps/registry.h"

#include <stdio.h>

static void print_json(const struct plan_errors *errs)
{
	autojson json_t *list = json_array(), *doc = NULL;
	autofree char *text = NULL;

	for (size_t i = 0; i < errs->n; i++)
		json_array_append_new(list, json_pack("{s:i, s:s, s:s}", "line", errs->at[i].line, "path",
						      errs->at[i].path, "error", errs->at[i].text));
	doc = json_pack("{s:b, s:O}", "ok", 0, "errors", list);
	text = json_dumps(doc, JSON_INDENT(2));
	puts(text ? text : "{}");
}

static void print_text(const char *file, const struct plan_errors *errs)
{
	autobuf struct buf text = BUF_MAX(1 << 20);

	plan_errors_print(errs, file, &text);
	fprintf(stderr, "%s%zu error%s; nothing was touched\n", text.p ? text.p : "", errs->n, errs->n == 1 ? "" : "s");
}

int load_plan(const struct cli *c, struct plan **out)
{
	struct plan_errors errs = { 0 };
	int rc = plan_load(cli_arg(c, 0), step_kinds, out, &errs);

	if (rc && c->json)
		print_json(&errs);
	else if (rc)
		print_text(cli_arg(c, 0), &errs);
	plan_errors_free(&errs);
	return rc ? CUTOVER_EXIT_USAGE : CUTOVER_EXIT_OK;
}

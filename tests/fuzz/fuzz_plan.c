/* Any bytes as a plan file: a plan or errors, never both, never harm; and what
 * is accepted can be explained and filled in. */
#include "cli/facts.h"
#include "engine/step.h"
#include "plan/plan.h"
#include "steps/registry.h"
#include "base/err.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct plan *p)
{
	autojson json_t *facts = facts_json(p, 100), *outputs = json_pack("{s:{s:s}}", "green", "TargetGroupArn", "x");

	if (!facts)
		abort();
	for (size_t i = 0; i < p->nsteps; i++) {
		struct err e = { 0 };
		autojson json_t *params = plan_resolve(p->steps[i].params, outputs, &e);

		if (!params && e.kind == ERR_NONE)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autobuf struct buf out = BUF_MAX(1 << 20);
	autojson json_t *env = json_pack("{s:s}", "A", "PT5M");
	autoplan struct plan *p = NULL;
	struct plan_errors errs = { 0 };
	int rc = plan_parse((const char *)data, size, "fuzz", step_kinds, env, &p, &errs);

	if ((rc == 0) != (p != NULL) || (rc == 0) != (errs.n == 0))
		abort();
	plan_errors_print(&errs, "fuzz", &out);
	if (p)
		use(p);
	plan_errors_free(&errs);
	return 0;
}

#include "steps/registry.h"

#include "steps/kinds.h"

#include <string.h>

const struct step_kind *const step_kinds[] = {
	&step_preflight, &step_schema, &step_stack, &step_database, &step_freeze, &step_task, &step_probe,
	&step_warm, &step_shift, &step_approve, &step_hook,
	&step_promote, &step_thaw, &step_retire, &step_back, NULL,
};

const struct step_kind *step_kind_find(const char *name)
{
	for (const struct step_kind *const *k = step_kinds; *k; k++)
		if (!strcmp((*k)->name, name))
			return *k;
	return NULL;
}

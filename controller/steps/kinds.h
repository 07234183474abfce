/* steps/kinds.h - the kinds by name, for registry.c and for the files that
 * define them; nobody else needs more than the registry. */
#ifndef CUTOVER_STEPS_KINDS_H
#define CUTOVER_STEPS_KINDS_H

#include "engine/step.h"

extern const struct step_kind step_preflight, step_stack, step_probe, step_warm, step_shift, step_approve,
	step_hook, step_promote, step_retire, step_back, step_task, step_freeze, step_thaw, step_database,
	step_schema;

#define SECONDS(n) ((int64_t)(n) * 1000)
#define MINUTES(n) SECONDS((n) * 60)
#define HOURS(n)   MINUTES((n) * 60)
#define DAYS(n)    HOURS((n) * 24)
#endif

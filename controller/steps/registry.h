/* steps/registry.h - every step kind this program knows. */
#ifndef CUTOVER_STEPS_REGISTRY_H
#define CUTOVER_STEPS_REGISTRY_H

#include "engine/step.h"

/* NULL-terminated, in the order people meet them in a plan. */
extern const struct step_kind *const step_kinds[];
const struct step_kind *step_kind_find(const char *name); /* NULL: there is none */
#endif

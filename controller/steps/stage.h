/* steps/stage.h - what shift and promote have in common: a share for green that
 * is given only when green can carry it, and kept until there is evidence. */
#ifndef CUTOVER_STEPS_STAGE_H
#define CUTOVER_STEPS_STAGE_H

#include "engine/step.h"

/* Parameters of both kinds; PT10M is the default of bake. */
#define STAGE_PARAMS \
	{ .name = "bake", .type = PARAM_DURATION, .def = "\"PT10M\"", .max = 7 * 86400000L, \
	  .about = "how long green keeps this share before the next step; lengthened while there is too little evidence" }, \
	{ .name = "ready", .type = PARAM_DURATION, .def = "\"PT15M\"", .max = 86400000L, \
	  .about = "how long green may take to have as many healthy targets as blue" }

/* DONE when green has permille/1000 of the traffic, read back. A raise waits
 * until green has at least as many healthy targets as blue. */
enum step_verdict stage_reach(struct step_run *r, int permille, struct err *e);
/* DONE when the share was kept for `bake` and the verdict is GOOD, or somebody
 * ordered to go on. */
enum step_verdict stage_bake(struct step_run *r, struct err *e);
/* The share that the judge gives, raised and lowered as evidence comes, until
 * it says that green has shown enough; for `deadline` at most. */
enum step_verdict stage_follow(struct step_run *r, struct err *e);
bool stage_is_automatic(const struct step *s);
/* Traffic is the engine's to take back; this only asserts that it did. */
enum step_verdict stage_undo(struct step_run *r, struct err *e);

void stage_validate(const struct step *s, const struct plan *p, struct plan_errors *errs);
int64_t stage_worst_ms(const struct step *s);
#endif

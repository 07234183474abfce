/* cli/window.h - how long a wiki takes no edits: as a plan has it in mind, and
 * as a run's journal has measured it. */
#ifndef CUTOVER_CLI_WINDOW_H
#define CUTOVER_CLI_WINDOW_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct plan;
struct store;

/* [first, last) of the steps between which nobody can edit; false: there is no freeze. */
struct window_plan {
	size_t first, last;
	int64_t least_ms, most_ms; /* bakes alone; every step as long as it takes undisturbed */
};
bool window_of_plan(const struct plan *p, struct window_plan *out);
json_t *window_sentences(const struct plan *p); /* for `explain`; json_decref */
json_t *window_plan_json(const struct plan *p); /* null without a freeze */

/* From the first answer of the wiki that it is read-only to the proof that every
 * address takes edits again. [{"from", "to" or null, "ms"}]; json_decref. */
int window_of_run(struct store *s, const char *run, json_t **out, struct err *e);
#endif

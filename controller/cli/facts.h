/* cli/facts.h - what a plan means, worked out from the plan alone. */
#ifndef CUTOVER_CLI_FACTS_H
#define CUTOVER_CLI_FACTS_H

#include "base/json.h"

#include <stddef.h>
#include <stdint.h>

struct plan;
struct step;

/* A stretch of the run with one share of green: from a step that moves weights
 * to the next one. */
struct stage {
	const struct step *step;
	int permille;
	int64_t least_ms;   /* bake and soak */
	int64_t most_ms;    /* as long as its steps may take and the watch may hold it; pauses not counted */
	int periods;        /* closed periods seen for sure when the bake ends */
	/* requests a second, both colours together, from which each can speak; negative: never within the bake */
	double need_good, need_catastrophic, need_errors, need_latency;
};
/* out has room for p->nsteps; the number of stages. */
size_t facts_stages(const struct plan *p, struct stage *out);

void facts_time(int64_t ms, char out[32]);           /* as duration_say, but "1.2 s" */
int64_t facts_undisturbed_ms(const struct step *s);  /* longest time when nothing goes wrong */
char *facts_params(const struct step *s);            /* "weight 5%, bake 10 min"; caller frees */
json_t *facts_iam(const struct plan *p);             /* sorted names of actions; json_decref */
json_t *facts_failure(const struct plan *p);         /* sentences: what happens when things go wrong */
json_t *facts_notes(const struct plan *p);           /* sentences: what the plan's author may not have thought of */
/* All of the above as one document. rate: requests a second of both colours; 0: not known. */
json_t *facts_json(const struct plan *p, double rate);

#endif

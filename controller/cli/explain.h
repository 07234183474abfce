/* cli/explain.h - parts of `cutover explain`. */
#ifndef CUTOVER_CLI_EXPLAIN_H
#define CUTOVER_CLI_EXPLAIN_H

#include "base/json.h"
#include "judge/power.h"

struct plan;
struct stage;

/* What the wiki gets, both colours together. */
struct traffic {
	double per_second;  /* requests; 0: not known */
	double per_minute;  /* the same, where the judge is asked what it can see; else 0 */
	double errors;      /* share of them that fail today */
	char source[160];   /* where that is from, for people: "as given" */
};

/* What the judge can see of a fault in each stage, and what it costs until then.
 * Nothing when the plan has no stage with weight. */
void explain_judge(const struct plan *p, const struct traffic *t);
json_t *explain_judge_json(const struct plan *p, const struct traffic *t); /* null: nothing */
/* What the judge would be asked of this plan; requests and errors stay 0. g has
 * room for p->nsteps; from[i]: what out->stage[i] is made of. */
void explain_stages(const struct plan *p, struct power_plan *out, struct stage *g, const struct stage *from[JUDGE_STAGES]);
/* Long text in lines of the terminal's width; `indent` columns before each but the first. */
void explain_wrap(const char *s, int indent);
#endif

/* judge/opinion.h - the guarded rules and the sequential judge, one verdict.
 *
 * Harm speaks before doubt, and doubt before praise:
 *   BAD    a guarded rule; the sequential judge; a green that makes blue sick
 *   HOLD   both colours are sick: going back would not help
 *   BLIND  no datapoints of green, or datapoints that contradict each other
 *   HOLD   what a stage must show is not shown yet, by either
 *   GOOD   both say so */
#ifndef CUTOVER_JUDGE_OPINION_H
#define CUTOVER_JUDGE_OPINION_H

#include "judge/sequential.h"

struct opinion {
	const struct judge *judge;          /* NULL: there is none yet */
	const struct judge_answer *answer;  /* its newest */
	const char *why_none;               /* a sentence; "" with a judge */
	const char *name[JUDGE_METRICS];    /* of what is counted per request, for people; NULL: not watched */
	const char *ill;                    /* what green's last failed probe was told; "" none */
};

/* o NULL: the plan has no sequential judge, the guarded rules decide alone. */
void opinion_form(const struct evidence *ev, const struct judge_limits *lim, const struct opinion *o, struct verdict *out);
#endif

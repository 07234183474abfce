/* judge/aa.h - a service's own past, judged as if it had been a cutover.
 *
 * Two groups that are the same program (two availability zones; or one group
 * split by chance) play blue and green. Whoever is taken back was taken back
 * falsely. Green's share of each period is thinned to what the stage would give
 * it; what differs between the groups stays. Pure arithmetic. */
#ifndef CUTOVER_JUDGE_AA_H
#define CUTOVER_JUDGE_AA_H

#include "judge/power.h"

struct aa_period {
	double requests, errors; /* requests negative: no datapoint */
	double latency;          /* the percentile; not above 0: none */
	double slow;             /* requests that took too long, where those are counted; else 0 */
};

struct aa_past {
	const struct aa_period *group[2]; /* blue, green; green NULL: blue is split by chance */
	int n;                            /* periods, oldest first */
};

enum aa_end { AA_BACK, AA_HELD, AA_THROUGH, AA_ENDS }; /* AA_ENDS: the past was too short */
struct aa_outcome {
	enum aa_end end;
	int stage, took;      /* where it ended, after how many periods */
	double log_e;         /* the largest evidence on the way */
	char reason[240];     /* of the last answer */
};

/* Periods before `start` are blue's history (JUDGE_HISTORY are used); p's
 * requests and errors are not used. */
void aa_try(const struct power_plan *p, const struct aa_past *past, int start, uint64_t seed, struct aa_outcome *out);
#endif

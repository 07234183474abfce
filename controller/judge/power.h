/* judge/power.h - what can be seen, before anything is started.
 *
 * No formula: the judge itself is shown simulated minutes, many times, with the
 * stages, the delay and the settings of a run. Traffic is even, errors come
 * singly, CloudWatch is on time; bursts, clumps and late points make a fault
 * harder to see, never easier. The same question has the same answer (fixed
 * seeds). Pure arithmetic; a few thousand verdicts a question. */
#ifndef CUTOVER_JUDGE_POWER_H
#define CUTOVER_JUDGE_POWER_H

#include "judge/sequential.h"

#define POWER_WORLDS 100
#define POWER_SURE .8      /* "found" without more words: in this share of the worlds */

struct power_stage {
	double weight;     /* of green, 0 to 1 */
	int bake;          /* periods */
};

struct power_plan {
	struct judge_tuning tune;
	struct power_stage stage[JUDGE_STAGES];
	int stages;
	double requests;   /* of both colours in a period */
	double errors;     /* share of blue's that fail */
	int lag;           /* periods from the end of one until it is read */
	int hold;          /* periods a stage may be lengthened */
	bool automatic;    /* the judge names the weights; then only `longest` counts of the stages */
	int longest;       /* periods it may take until it promotes */
	unsigned metrics;  /* as of judge_start */
};

/* Green fails max(ratio x blue's rate, rate) of its requests; both 0: as blue. */
struct power_fault {
	const char *name;
	double ratio, rate;
};
extern const struct power_fault power_faults[]; /* the first: none */
#define POWER_FAULTS 7

double power_rate(const struct power_plan *p, const struct power_fault *f); /* of green with it */

/* A fault that begins with the stage: is it found before its bake is over? */
struct power_sight {
	double found;      /* share of worlds */
	double after;      /* periods until POWER_SURE of them had found it; negative: not within the bake */
};
/* out[stage][fault]; rows for p->stages. Not for weights of its own: there are no stages. */
void power_look(const struct power_plan *p, struct power_sight out[][POWER_FAULTS]);

/* A whole run, fault from green's first request on; stages are lengthened as
 * the judge says. */
struct power_run {
	double found, held, promoted; /* shares of worlds: taken back, stopped at the limit of a hold, through */
	double harm, harm_worst;      /* requests that failed because of green until then: mean, of nine in ten worlds at most */
	double after;                 /* periods until POWER_SURE had found it; negative: they had not */
	int stage;                    /* where that was */
	double took;                  /* median, of those that got through: periods; negative: none did */
	double excess[JUDGE_STAGES];  /* median smallest excess rate excluded when the stage was left; 1: none */
};
void power_try(const struct power_plan *p, const struct power_fault *f, struct power_run *out);
#endif

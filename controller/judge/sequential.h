/* judge/sequential.h - evidence that may be looked at every period.
 *
 * One struct judge follows one cutover. It is told what CloudWatch shows of
 * both colours, period by period, late, revised or never, and answers each poll
 * with a verdict. Pure arithmetic: no I/O, no clock, no allocation.
 *
 * The verdict BAD is a level-alpha test however often it is asked: it falls
 * when an e-process reaches 1/alpha, and a non-negative supermartingale that
 * starts at 1 does so with probability at most alpha (Ville, Etude critique de
 * la notion de collectif, 1939). Several tests share one budget by averaging
 * their e-values (Vovk & Wang, E-values: calibration, combination and
 * applications, 2021): the mean of e-values is an e-value, so the budget is
 * that of the whole run and of all metrics together.
 *
 * Time is counted in periods (of CloudWatch: a minute). Period k covers
 * [k, k+1); the poll at t sees periods below t. */
#ifndef CUTOVER_JUDGE_SEQUENTIAL_H
#define CUTOVER_JUDGE_SEQUENTIAL_H

#include "judge/judge.h"

#include <stdbool.h>
#include <stddef.h>

enum judge_colour { JUDGE_BLUE, JUDGE_GREEN };

#define JUDGE_STAGES 64
#define JUDGE_RING 48     /* periods remembered until they are final */
#define JUDGE_METRICS 8   /* what is counted per request: 0 errors, 1 slow ones, then what a plan names */
#define JUDGE_ERRORS 0
#define JUDGE_SLOW 1
#define JUDGE_LATENCY JUDGE_METRICS /* bit of the percentile */
#define JUDGE_PROBES (JUDGE_METRICS + 1) /* bit of our own probes */
#define JUDGE_STAKES 4
#define JUDGE_RATIOS 10
#define JUDGE_LEVELS 44
#define JUDGE_EXCESSES 12
#define JUDGE_GATES 25
#define JUDGE_NEAR 19    /* levels near the usual one */

/* What may be changed: all of it numbers, so that a table (tuning.c) names,
 * bounds and explains each. Counts and times are in requests and periods. */
struct judge_tuning {
	double alpha, beta, beta_auto, beta_look, beta_last, harm, intrinsic, hurry, harm_auto, harm_first, react, observe;
	double error_share, level_share, suspect, suspect_auto, suspect_last, suspect_slow;
	double hazard_first, hazard_stage, hazard_auto, hazard_slow;
	double gate_floor, gate_cap, cap_alone, burst, excess_ratio, level_low, level_high, level_prior, fine, joint;
	double lax, last_look, visible, visible_auto, gross, patience, firm, warm;
	double posterior, clump_prior, clump_slack, clump_more, clump_sure, clump_unknown, clump_alone, clump_known;
	double wander_prior, wander_more, noisy, slight, speed, hot;
	double early, ahead, window;
	double growth, weight_min, hold_back, half, dwell, bake, stuck, retreat;
	double quantile;
};
struct judge_tunable {
	const char *name;
	size_t at;                           /* in struct judge_tuning */
	double usual, reference, min, max;
	const char *about;
};
const struct judge_tunable *judge_tunable(size_t i); /* NULL: past the last */
void judge_tuning_usual(struct judge_tuning *t);
void judge_tuning_reference(struct judge_tuning *t); /* the published candidate, for comparison */
/* false: no such name, or out of its bounds. */
bool judge_tune(struct judge_tuning *t, const char *name, double value);

/* Blue before the cutover, oldest first; a period without requests is all zero.
 * `half` is one of its availability zones: two healthy groups behind one load
 * balancer, whose difference says how noisy healthy is. */
#define JUDGE_HISTORY 180
struct judge_history {
	double requests[JUDGE_HISTORY], half_requests[JUDGE_HISTORY];
	double count[2][JUDGE_HISTORY], half_count[2][JUDGE_HISTORY]; /* errors, slow */
};

struct judge_stages {
	double weight[JUDGE_STAGES];
	int n;
	bool automatic; /* the judge names the weight itself */
};

/* Prior mass of the onset of a fault, spent as time goes by. */
struct judge_hazard {
	double left, last_weight, first, raise, slow;
	unsigned n;
};

/* Clumping of errors that blue's history does not rule out. Where both colours
 * fail, `both` divides what a period says; 1: nothing is feared. Where green
 * alone fails, all its errors may be one event: chance[i] is that of the i-th of
 * a grid of sizes, each `times` as large. See clump.c. */
#define JUDGE_CLUMPS 9
struct judge_clump {
	bool large;           /* some may be so large that one period must not say much */
	double both, largest; /* largest: errors of one event that are feared where both fail */
	double times;         /* 0: one event is not feared where green alone fails */
	double chance[JUDGE_CLUMPS];
};

/* E-process of the split of a count between the colours, given its total.
 * See split.c. */
struct judge_split {
	double clump, wander; /* dispersion of healthy groups: factor, variance of the log ratio */
	struct judge_clump unknown;
	double ratio_min;     /* ratios below are what healthy groups show */
	double prior[JUDGE_RATIOS], log_ratio[JUDGE_RATIOS];
	double log_e;
};

/* E-process of a percentile. See bet.c. */
struct judge_bet {
	double log_wealth[JUDGE_STAKES];
	double log_e;
};

/* E-process that knows blue's level. See level.c. */
struct judge_level {
	double usual[JUDGE_LEVELS];  /* long-run law of the level, from history */
	double leaves, drift[JUDGE_LEVELS]; /* in a period, other than a step: with what probability, and where it goes to */
	bool begun;                  /* green's errors were seen */
	bool apart;                  /* a colour's many errors say less only of that colour */
	double same[JUDGE_LEVELS];   /* posterior of the level while green is as blue */
	double worse[JUDGE_EXCESSES][JUDGE_LEVELS]; /* joint with "green is worse since some onset", relative to `same` */
	int excesses;                /* how many of the excess rates are in use */
	double power;                /* of the likelihood, for clumped errors */
	double rate, wander;         /* blue's usual error rate; variance of the log ratio of healthy groups */
	struct judge_clump unknown;
	double log_e;
};

/* What a period says against an excess rate. See exclude.c. */
struct judge_odds { /* of one request, logarithms */
	double fails, serves;
};
struct judge_exclude {
	int levels;                            /* how many of the grid are in use */
	struct judge_odds as_blue[JUDGE_NEAR], as_worse[JUDGE_GATES][JUDGE_NEAR];
	double drift[JUDGE_NEAR];              /* where the level goes to in a period, other than a step */
	double same[JUDGE_NEAR], worse[JUDGE_GATES][JUDGE_NEAR]; /* posteriors of the level; each sums to 1 */
};

/* What excess rates are excluded. See gate.c. */
struct judge_gate {
	double run[JUDGE_GATES], stage[JUDGE_GATES];
	double clump;            /* divides what a period says */
	double usual;            /* blue's usual error rate */
	double errors, requests; /* decaying sums of blue */
	int stage_from;          /* first period of the present stage */
	struct judge_exclude exclude;
};

struct judge_point { /* one period of one colour */
	int period, seen;               /* seen: poll at which it was first visible; period -1: empty */
	double requests;
	double count[JUDGE_METRICS];    /* negative: no datapoint */
	double slower;                  /* of the slow ones, slower than twice the limit; not above 0: none, or not known */
	double latency;                 /* the percentile, any unit; not above 0: none */
};

struct judge_probes { /* our own requests, as many of either colour */
	double sent[2], failed[2];
};

struct judge_auto { /* weights of its own */
	double weight;
	int since, baked, stuck;
	bool promote;
};

struct judge {
	struct judge_tuning tune;
	struct judge_stages stages;
	struct judge_point point[2][JUDGE_RING];
	double weight[JUDGE_RING];      /* in force during period k, at k % JUDGE_RING */
	bool done[JUDGE_RING], early[JUDGE_RING]; /* judged; its other counts than errors were */
	int polled;                     /* the last poll; -1: none */
	unsigned metrics;               /* bit m: count m is judged; bits JUDGE_LATENCY, JUDGE_PROBES: these are */
	struct judge_hazard hazard, hazard_early, hazard_speed, hazard_probes; /* of errors; of a plan's metrics; of slowness, which
										  begins warm; of our own probes */
	struct judge_split split[JUDGE_METRICS];
	struct judge_bet bet;
	struct judge_split split_probes;
	struct judge_probes probes, probes_new; /* all; those of the last call */
	struct judge_split cold;        /* slow requests of the periods that are forgiven: reason to wait, none to go back */
	struct judge_split hot;         /* ... of green's only those that took twice as long: no cold cache is that slow */
	struct judge_level level;
	struct judge_gate gate;
	struct judge_auto self;
	double traffic;                 /* requests of both colours a period */
	double unseen;                  /* green requests sent since green was last seen */
	int last;                       /* newest period that was judged; -1: none */
	int first;                      /* oldest period with green requests; -1: none yet */
	int stage;
	double asked;                   /* what the last stage asks for: the most it did */
	double log_e, log_errors;       /* all together; errors alone */
	double seen[2][2];              /* colour: requests, errors of judged periods */
};

struct judge_answer {
	enum verdict_kind kind;
	double weight;      /* automatic: of green from now on */
	bool promote;       /* automatic: green has shown enough */
	double log_e, log_split, log_level, log_slow, log_latency;
	double excess;      /* smallest excess rate excluded so far; 1: none */
	double need;        /* what this stage must exclude before it is left; 0: nothing */
	bool suspicious, stale;
	bool cold;          /* suspicious for nothing but slowness while its caches were cold */
	bool slow;          /* ... but slowness, by itself, while blue has traffic */
	char reason[240];
};

void judge_start(struct judge *j, const struct judge_tuning *t, const struct judge_stages *s,
		 const struct judge_history *h, unsigned metrics);
/* A datapoint of a period (p->seen is filled in here); given again, it replaces
 * what was there, until the period was judged. A count that is there stays when
 * it is missing later. Nonsense (negative, not finite, more counted than
 * requested) is bounded here. */
void judge_see(struct judge *j, enum judge_colour c, int now, const struct judge_point *p);
/* Probes whose answers came since the last call: each counts once. */
void judge_probed(struct judge *j, const struct judge_probes *p);
/* `weight`: green's during period now-1; `stage`: index into stages. */
void judge_poll(struct judge *j, int now, int stage, double weight, struct judge_answer *a);
#endif

/* judge/parts.h - the parts of the sequential judge; one file each. */
#ifndef CUTOVER_JUDGE_PARTS_H
#define CUTOVER_JUDGE_PARTS_H

#include "judge/sequential.h"

/* log(exp(a) + exp(b)), also for -infinity. */
double log_sum(double a, double b);
double clamp(double v, double low, double high);

#define PAIR_LATE .1 /* share of error counts that CloudWatch shows after the requests they belong to */
/* One period as both colours show it, of one metric. */
struct judge_pair {
	double requests[2], count[2]; /* by colour */
	enum judge_known { PAIR_KNOWN, PAIR_MISSING, PAIR_UNSEEN } known[2]; /* MISSING: requests without a count, at first sight */
};

/* How two healthy groups differ: clump >= 1, wander >= 0; `sure` is the clump as
 * far as it is sure, 1 to clump; `unknown` what is feared beyond it. */
struct judge_dispersion {
	double clump, wander, sure;
	struct judge_clump unknown;
};
extern const double clump_size[JUDGE_CLUMPS]; /* errors of one event, on average */
#define CLUMP_SINGLES 3.0 /* so many errors of one period are taken for as many events */
#define CLUMP_MOST 2.0    /* log evidence that one period may add when errors come in large clumps */
/* Clumps may be what a period with so many errors of either colour shows. */
bool clump_feared(const struct judge_clump *k, double blue, double green);
/* What is then believed of `l`, log evidence of the period. */
double clump_believed(const struct judge_clump *k, double blue, double green, double l);
/* Green fails alone, or all but alone, and its errors may be one event. */
bool clump_alone(const struct judge_clump *k, double blue, double green);
/* -log of the chance that an event brings at least so many errors. */
double clump_surprise(const struct judge_clump *k, double errors);
/* Such an event was seen, or may have been: the next is the less a surprise. */
void clump_seen(struct judge_clump *k, double errors);

/* The mass that falls on "the fault began in this period". */
double hazard_spend(struct judge_hazard *h, double weight);

enum split_prior { SPLIT_ANY, SPLIT_SPEED, SPLIT_PRIORS }; /* what ratios are expected: of slow requests smaller ones */
void split_start(struct judge_split *s, const struct judge_dispersion *d, enum split_prior kind, double slight);
/* The same for a fault that is there from the first period on, or not at all: no onset follows. */
struct judge_split split_begun(const struct judge_split *s);
/* Before the first period: half of the prior mass goes where an earlier time, `seen`, has put it. */
void split_expect(struct judge_split *s, const struct judge_split *seen);
void split_update(struct judge_split *s, const struct judge_pair *p, double onset, double left);

void bet_start(struct judge_bet *b);
void bet_update(struct judge_bet *b, const struct judge_point *blue, const struct judge_point *green, double quantile,
		double onset, double left);

void level_start(struct judge_level *l, const double *requests, const double *errors, int n, const struct judge_dispersion *d, bool all);
void level_update(struct judge_level *l, const struct judge_pair *p, double onset, double left);

struct judge_dispersion dispersion_of(const struct judge_history *h, const struct judge_tuning *t, int metric);

/* How a block of history's errors split between two zones: how many; the variance
 * of one zone's part if both are alike; its square deviation, in units of that. */
struct judge_uneven {
	double count, information, square;
};
/* false: too few to show anything. */
bool history_split(const struct judge_history *h, int metric, int block, int size, struct judge_uneven *u);
double history_usual(const double *requests, const double *errors, int n);

void exclude_start(struct judge_exclude *x, double usual, double ratio, const double *excess, const struct judge_history *h);
/* against[d], for every step-th of the excess rates: what the period says against it, a log likelihood ratio. */
void exclude_update(struct judge_exclude *x, const struct judge_pair *p, int step, double *against);

void gate_start(struct judge_gate *g, const struct judge_tuning *t, const struct judge_history *h, double traffic, double clump);
void gate_update(struct judge_gate *g, const struct judge_tuning *t, const struct judge_pair *p, double traffic, int period);
void gate_stage(struct judge_gate *g, int now);
/* The smallest excess rate whose log evidence is at least `need`; 1: none. */
double gate_excluded(const struct judge_tuning *t, const double *evidence, double need);
double gate_smallest(void);
/* The smallest excess rate that this many green requests give `evidence` against, when it is not there. */
double gate_visible(const struct judge_gate *g, const struct judge_tuning *t, double requests, double evidence);
/* The excess rate of a green that fails `gross` times as often as usual, if so many requests show it; 1: they do not. */
double gate_gross(const struct judge_gate *g, const struct judge_tuning *t, double requests, double evidence);

#define JUDGE_HALF .5 /* the weight at which a comparison sees most */
void auto_poll(struct judge *j, int now, struct judge_answer *a);
/* The excess rate that is affordable for ever, or the smallest that this share of
 * the traffic can show in time, or a gross one that it can show with patience. */
double judge_affordable(const struct judge *j, double share);
/* What the last stage asks for: it does not grow while it lasts. */
double judge_asks(struct judge *j);
#endif

/* judge/judge.h - evidence in, verdict out. Pure arithmetic: no I/O, no clock.
 *
 * Four verdicts. BAD: green harms users, take it back. HOLD: not enough seen to
 * go on (also: both colours sick, where going back would not help). BLIND: what
 * should be visible is not; short fuse. GOOD: enough was seen, and it is fine. */
#ifndef CUTOVER_JUDGE_JUDGE_H
#define CUTOVER_JUDGE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict_kind { VERDICT_GOOD, VERDICT_HOLD, VERDICT_BLIND, VERDICT_BAD };

/* One closed period of one colour. Errors = Target 5xx + connection errors;
 * they count as zero only where `seen`: a missing 5xx series means nothing
 * unless RequestCount of the same group and period is there. */
struct sample {
	bool seen;        /* RequestCount has a point for it */
	double requests, errors;
	double latency_ms; /* of the plan's statistic; negative: none */
};

/* What a look reads, each by itself. */
enum judge_source { SOURCE_METRICS, SOURCE_WEIGHTS, SOURCE_ALARMS, SOURCE_GREEN_HEALTH, SOURCE_BLUE_HEALTH, JUDGE_SOURCES };
const char *judge_source_name(enum judge_source s);

#define JUDGE_PERIODS 240
#define JUDGE_PAST_LEAST 5 /* periods of blue's past without which nothing is compared */
#define JUDGE_RAISES 8
#define JUDGE_SICK_SPAN 3 /* periods that are looked at together when a colour is called sick */
struct evidence {
	int64_t period_ms;
	int64_t start;               /* wall ms of sample 0 */
	size_t n;                    /* closed periods, oldest first */
	struct sample blue[JUDGE_PERIODS], green[JUDGE_PERIODS];
	size_t stage_from;           /* first index that lies wholly in the present stage */
	size_t green_from;           /* first index with green weight in this attempt */
	size_t behind;               /* closed periods that should have been read and were not answered */
	int green_permille;          /* weight of green in this stage */
	int green_healthy, green_total, blue_healthy, blue_total; /* -1: unknown */
	char missing[JUDGE_SOURCES][200]; /* why it could not be read at this look; "": it was */
	bool alarm;                  /* a named alarm fires */
	char alarm_why[256];
	bool contradicts;            /* two metrics of one recent period cannot both be right */
	char contradicts_why[160];
	size_t raises;               /* of green's weight in this attempt, the last JUDGE_RAISES of them */
	size_t raise_at[JUDGE_RAISES]; /* first index with it */
	double past_worst;           /* blue before green: highest error rate of any JUDGE_SICK_SPAN periods */
	size_t past_periods;         /* with requests, that it was found in */
};

struct judge_limits {
	int catastrophic_permille;   /* 200 */
	int catastrophic_requests;   /* 50 */
	int error_permille;          /* threshold rule: rate above which a period is bad; 0: off */
	int error_periods;           /* N consecutive closed periods */
	int error_requests;          /* minimum green requests in them together */
	int latency_ms;              /* threshold on the statistic; 0: off */
	int latency_periods;
	int latency_requests;
	int good_requests;           /* green requests this stage must have shown to be GOOD */
	int blind_periods;           /* closed periods without sight before BLIND */
};

struct verdict {
	enum verdict_kind kind;
	char rule[32];               /* "catastrophic", "error-rate", "latency", "target-health", "alarm", ... */
	char why[320];               /* a sentence a manager understands */
	double green_requests, green_errors, blue_requests, blue_errors; /* since stage_from */
	double green_latency_ms, blue_latency_ms;                        /* newest; negative: none */
	bool judged;                 /* the sequential judge had a say: what follows is its */
	double log_e, log_limit;     /* evidence that green is worse; BAD at the limit */
	double excess, need;         /* of failed requests: smallest excluded so far (1: none); what this stage must exclude (0: nothing) */
	struct { double rate, low, high; } error_rate[2]; /* blue, green: of all judged periods, judge/rate.h */
};

void judge_guard(const struct evidence *ev, const struct judge_limits *lim, struct verdict *out);
const char *verdict_name(enum verdict_kind k);
/* Fills in kind, rule and why; true, so that a rule that speaks can end with it. */
bool verdict_say(struct verdict *v, enum verdict_kind kind, const char *rule, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#endif

/* engine/internal.h - what the engine's files share with each other only. */
#ifndef CUTOVER_ENGINE_INTERNAL_H
#define CUTOVER_ENGINE_INTERNAL_H

#include "aws/elb.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/err.h"
#include "engine/engine.h"
#include "engine/event.h"
#include "judge/sequential.h"

#include <stdatomic.h>

struct mind;
struct opinion;

#define OWN_PERIODS 64
struct own_requests { /* of our probes, by colour, that the load balancer counted in the period from `at` on */
	int64_t at;
	int sent[2];
};

/* The start of the period that t is in. */
static inline int64_t evidence_align(int64_t t, int64_t step) { return t / step * step; }

struct watch {
	int64_t next;          /* wall ms of the next look; 0: now */
	struct evidence ev;
	int64_t read_until;    /* wall ms: end of the last closed period that was answered */
	enum err_kind missing[JUDGE_SOURCES], told[JUDGE_SOURCES]; /* why what could not be read, now and in the last line */
	int64_t recorded;      /* end of the last closed period a verdict line was written for */
	bool have;             /* there is a verdict */
	int64_t looked;        /* wall ms it was made: one older than the weights is of another stage */
	struct verdict verdict;
	struct mind *mind;     /* the sequential judge; NULL: none yet */
	int64_t probe_at;      /* wall ms of the next round of probes; 0: now */
	size_t probe;          /* which one of the round is next */
	struct own_requests own[OWN_PERIODS];
};

/* lease.c. Written by the worker and read by the ticker, or the other way round. */
struct lease {
	struct store *store;
	struct clock *clock;
	struct ticker *ticker;
	const char *run, *holder; /* lent */
	int watch;                /* the ticker's own: readable when somebody wrote; -1: none */
	struct cancel cancel;     /* of all reads of the worker */
	_Atomic bool ours;        /* beats are given */
	_Atomic bool listens;     /* an order may end what the worker waits for */
	_Atomic int64_t beat;     /* mono ms of the newest sign of life that is in the journal */
	_Atomic int64_t progress; /* mono ms the worker last got on */
	_Atomic int64_t folded;   /* the worker knows the journal up to this line */
	_Atomic int64_t news;     /* newest line that cannot wait */
	int64_t looked;           /* the ticker's: the journal's end when it last looked */
};
void lease_open(struct lease *l, struct store *s, struct clock *clock, const char *run, const char *holder);
void lease_close(struct lease *l);
int lease_beat(struct lease *l, struct err *e); /* a sign of life, now; from here on the ticker gives more */
void lease_lost(struct lease *l);               /* and none any more */
int64_t lease_age(const struct lease *l);       /* ms since the newest sign of life */
void lease_progress(struct lease *l);
/* The worker has folded up to this line. listens: an order that comes from now on raises the cancel. */
void lease_listen(struct lease *l, int64_t folded, bool listens);

struct engine {
	struct store *store;
	struct clock *clock;
	struct http http;      /* what everything here goes through: `door`, and reads are left for an order to go back */
	struct http door;
	struct aws *aws;
	struct run *run;
	char holder[160], actor[96];
	struct lease lease;
	char *blue, *green;    /* resolved target groups */
	struct watch watch;
	char saying[640];
	int64_t stale_since;   /* mono ms weights of our own past were first read; 0: not now */
	int64_t nap_ms;
	const volatile int *stop; /* of engine_drive(); may be NULL */
	struct store_said told; /* what followers were told of the run last */
	int64_t told_at;        /* mono ms; 0: nothing yet */
	bool simulated;
	char called_for[32];   /* the rule a person was called for while it lasts */
	int64_t called_foreign; /* and the foreign change */
	bool timed;            /* AWS was asked for the time, if there was reason to */
	int64_t skew;          /* of the clock, as the journal has it */
	int64_t back_of, back_from; /* the line this way back began with; mono ms this process first went it */
	bool settled;          /* of this tick of the way back: nothing was late when it began */
	int64_t late_seq, late_from; /* the doubt about a write that is waited out; mono ms since when */
	int64_t mute_since;    /* mono ms no line could be written first; 0: they can */
	bool cried;            /* and the person was called for that, without a line */
	int64_t damaged_since; /* mono ms the journal was first not the one we know; 0: it is */
	int64_t patrol_at;     /* mono ms older lines are read again */
	int64_t patrolled;     /* up to this one they are as they were */
	bool called;           /* the person was called in this state by this process */
	int64_t held, held_wall;     /* mono (HOLDS_UNKNOWN: ask) and wall ms of the last yes of holds_now() */
	const struct step *broken;   /* what its last answer was no to; NULL: none */
};

/* journal.c: one line, of whoever writes it. ERR_MOVED when seq is not the next. */
int journal_append(struct store *s, int64_t at, const char *run, int64_t seq, const char *actor,
		   enum event_kind kind, const char *step, const json_t *body, struct err *e);
/* Appends one line and folds it; takes body (NULL: {}). ERR_MOVED: somebody
 * else wrote first; the tick ends and the next one sees what. On the way back,
 * where orders change nothing, the line follows them. */
int engine_append(struct engine *en, enum event_kind kind, const char *step, json_t *body, struct err *e);
int64_t engine_now(struct engine *en);
int engine_resolve(struct engine *en, struct err *e);
/* A person is needed: a line in the journal, and the plan's `call` program. */
int engine_call(struct engine *en, const char *why, struct err *e);
void engine_call_program(struct engine *en, const char *why); /* the program alone */
int engine_call_for(struct engine *en, const char *why, int64_t asks, struct err *e); /* asks: the question's line; 0: none */
/* Has something come that a read must not hold up? Reads are given up then. */
static inline bool engine_is_urged(struct engine *en) { return cancel_is_raised(&en->lease.cancel); }
/* The write gate of aws_opts: does this process still hold the run? */
int engine_gate(void *engine, struct err *e);
/* 0 when this process holds the run, else ERR_LOST with who does. */
int engine_still_ours(struct engine *en, struct err *e);
/* 0 when the newest sign of life is younger than the lease; an older one is
 * made good by a new `claim` line, which fails when another holder came first. */
int engine_renew(struct engine *en, struct err *e);
void engine_own_holder(char *out, size_t size);

/* traffic.c */
struct weights { int blue, green; }; /* -1: not on the rule */
int traffic_read(struct engine *en, struct elb_rule *rule, struct weights *w, struct err *e);
enum step_verdict traffic_reach(struct engine *en, int green_permille, struct err *e);
enum step_verdict traffic_green_alone(struct engine *en, struct err *e); /* blue is not on the rule any more */
/* Takes traffic off green, whatever the state; and, after proof, the baseline exactly. */
enum step_verdict traffic_back(struct engine *en, struct err *e);
enum step_verdict traffic_restore(struct engine *en, struct err *e);
/* Compares what AWS says with what we last left; writes the `foreign` line.
 * Weights of our own past may be a stale answer: TRAFFIC_STALE until they have
 * been there for half a minute. */
enum traffic_owner { TRAFFIC_OURS, TRAFFIC_STALE, TRAFFIC_FOREIGN };
int traffic_check(struct engine *en, const struct weights *w, enum traffic_owner *whose, struct err *e);
int traffic_permille(const struct weights *w);

/* proof.c: is green really free of requests? */
/* Longest that a write may take effect after its sender gave it up, or died: a
 * request waits HTTP_TIMEOUT_MS for its answer, and what stands between (proxies,
 * AWS's own queues) is given a minute. AWS itself only bounds it by the age of
 * the signature, five minutes. */
#define PROOF_LATE_WRITE_MS 60000
bool proof_nothing_is_late(struct engine *en); /* no write of anybody that was never answered can still arrive */
/* settled: nothing was late before the rule was read in this tick. */
enum step_verdict proof_of_blue(struct engine *en, bool settled, char *saying, size_t size, struct err *e);

/* deadman.c */
int deadman_arm(struct engine *en, struct err *e);
int deadman_rearm_if_due(struct engine *en, struct err *e);
int deadman_disarm(struct engine *en, struct err *e);

/* watch.c: one look, if it is time; may append `verdict`, `foreign` and `back`. */
void watch_shift(struct watch *w, int64_t by); /* the clock was put right by that much */
int watch_tick(struct engine *en, int64_t *wake_at, struct err *e);

/* probes.c: asks one of watch.probes, if it is time. */
void probes_tick(struct engine *en, int64_t *wake_at);
/* How many of a colour's requests in that period were these, as far as this process sent them. */
int probes_sent(const struct watch *w, enum judge_colour c, int64_t at);

/* evidence.c: what one look sees. evidence_window before, evidence_read into it. */
void evidence_window(struct watch *w, int64_t raised, int64_t period, int64_t end);
int evidence_read(struct engine *en, struct err *e);
void evidence_health(struct engine *en, enum judge_source s, const char *group, int *healthy, int *total); /* -1: unknown */
void evidence_alarms(struct engine *en);
void evidence_missing(struct watch *w, enum judge_source s, const struct err *e); /* of this look */
struct past { /* of blue, before any attempt */
	struct judge_history h;
	size_t periods;      /* that are in it; the rest repeats them */
	double worst;        /* error rate of any JUDGE_SICK_SPAN periods together */
	bool slow;           /* slow answers can be counted */
	char zone[40];       /* that `half` is; "": there is none to compare */
};
/* past.c */
int evidence_past(struct engine *en, int64_t until, struct past *out, struct err *e);

/* mind.c: at a look first mind_prepare, then mind_tell what was seen, mind_ask,
 * and mind_written when its answer is in the journal, or could not be written. */
int mind_prepare(struct engine *en, struct err *e);
bool mind_counts_slow(const struct engine *en);
int mind_period(const struct engine *en, int64_t at);     /* its number; negative: none of the judge's */
int64_t mind_sees_from(const struct engine *en);          /* wall ms: what it wants to be told at this look */
int64_t mind_sees_until(const struct engine *en);
void mind_tell(struct engine *en, enum judge_colour c, const struct judge_point *p);
bool mind_wants_probes(const struct engine *en);
void mind_probed(struct engine *en, enum judge_colour c, const char *ill); /* ill: with that fact; NULL: well */
json_t *mind_ask(struct engine *en);                      /* what was asked, for the journal; NULL: it was not time */
void mind_written(struct engine *en, bool ok);
void mind_opinion(const struct engine *en, struct opinion *o);
struct step_advice mind_advice(const struct engine *en);
void mind_past(const struct engine *en, struct evidence *ev);
void mind_free(struct mind *m);

/* holds.c: does what done steps stand for still hold? It may be a while until that
 * is known (WAIT: asker says what for, and when to come again). now: the answer is
 * of now, and waited for up to two seconds; lately: it may be some seconds old,
 * within one step. */
#define HOLDS_UNKNOWN 0
enum step_verdict holds_now(struct step_run *asker, struct err *e);
enum step_verdict holds_lately(struct step_run *asker, struct err *e);

/* rescue.c: after each tick, with how it ended. True: its journal was not the
 * one this driver knows, and is again, or the run goes on in another file: tick again. */
bool rescue_takes(struct engine *en, int rc, struct err *e);

/* forward.c, back.c */
int forward_tick(struct engine *en, int64_t *wake_at, struct err *e);
int forward_give_up(struct engine *en, const char *why, struct err *e);
int forward_ordered_back(struct engine *en, struct err *e); /* the order that waits in run->wish */
int back_tick(struct engine *en, int64_t *wake_at, struct err *e);
/* step_open.c: fills a step_run for step i; step_run_done frees what it holds. */
int service_open(struct engine *en, size_t i, struct step_run *r, json_t **params, struct err *e);
/* The same while another step's is open: the groups stay resolved. */
int service_open_beside(struct engine *en, size_t i, struct step_run *r, json_t **params, struct err *e);
void service_close(struct step_run *r);
#endif

/* engine/run.h - a run as its journal tells it. Folding the events is the only
 * way a run gets state: nothing else is remembered between two ticks. */
#ifndef CUTOVER_ENGINE_RUN_H
#define CUTOVER_ENGINE_RUN_H

#include "engine/event.h"
#include "engine/orders.h"
#include "engine/step.h"
#include "plan/plan.h"
#include "store/store.h"

enum run_state { RUN_FORWARD, RUN_BACK, RUN_PROMOTED, RUN_ROLLED_BACK, RUN_FROZEN, RUN_REFUSED, RUN_STATES };
enum step_state { STEP_IS_TODO, STEP_IS_DOING, STEP_IS_DONE, STEP_IS_UNDONE };

struct run_step {
	enum step_state state;
	int64_t since;       /* wall ms of `begin` in this attempt */
	int64_t began;       /* its line */
	int64_t ended;
	json_t *memo;        /* of the last intend; NULL before the first */
	struct run_question ask;
	char yes[96];        /* who answered it; "" nobody */
	int64_t skip;        /* line of the order to end its bake; 0: none */
};

struct run_traffic {
	json_t *baseline;    /* [{"arn","weight"}] before any attempt; NULL until first looked at */
	bool known;          /* left_* are what we last read back */
	bool taken;          /* on this way back green was read back without weight */
	int left_blue, left_green;   /* -1: the rule does not name the group */
	bool writing;        /* intended, not yet read back */
	int to_blue, to_green;
	int echo[8][2];      /* blue, green of writes whose end we never read: they may still arrive */
	size_t echoes;
	int past[16][2];     /* blue, green of earlier read-backs: a stale answer shows one of them */
	size_t pasts;
	int64_t since;       /* wall ms the present weight was read back */
	int64_t raised;      /* wall ms of the first green weight in this attempt; 0: none yet */
	int64_t raise[JUDGE_RAISES]; /* wall ms of read-backs with more for green than before in this attempt */
	size_t raises;
	double share;        /* most that green had in this attempt */
	int64_t unsure_seq;  /* its line */
	int64_t unsure;      /* wall ms of the newest write that was not answered; 0: none */
	int64_t armed;       /* wall ms the dead-man's switch fires; 0: not armed */
	int64_t foreign;     /* wall ms somebody else's weights were seen and not yet dealt with; 0: none */
	int foreign_blue, foreign_green;
	int64_t seen;        /* wall ms of the newest line that tells what AWS said of the rule; 0: nobody asked */
	int seen_blue, seen_green;   /* and that; -1: the rule does not name the group */
};

struct copy;

struct run {
	char id[96];
	int64_t seq;                        /* newest line that is folded */
	char hash[65];                      /* and its hash: the journal must still have it */
	int64_t started, changed;           /* wall ms: first event, newest event */
	struct plan *plan;
	enum run_state state;
	bool paused;
	bool touched;                       /* something outside was changed (an intend of a step that touches) */
	bool stopped;                       /* refused since somebody ordered it back before that */
	bool one_way;                       /* a one-way step has begun: the way back is closed */
	int attempt;                        /* 1.. */
	char holder[160];                   /* who drives it; "" nobody yet */
	int64_t claim_seq;
	int64_t clock_from;                 /* wall ms: what was timed since then is of the present holder's clock */
	int64_t clock_apart;                /* ms between its claim and the line before, by two clocks */
	int64_t driver_seq;                 /* newest line that only who drives can have written */
	struct run_step *step;              /* plan->nsteps */
	json_t *outputs;                    /* {step: {name: value}} */
	struct run_traffic traffic;
	char why[400], by[96];              /* of the present state */
	int64_t state_since, state_seq;     /* wall ms, line */
	enum order_kind wish;               /* pending: ORDER_ROLLBACK, ORDER_RETRY; ORDER_NONE */
	int64_t wish_line;
	char wish_by[96], wish_why[320];
	char full_by[96];                   /* promote --full: who answers all questions of this attempt; "" nobody */
	int64_t blind_since;                /* wall ms; 0: not blind */
	json_t *verdict;                    /* newest verdict event's body; NULL */
	int64_t proved;                     /* wall ms green was proved free of traffic on the way back */
	struct copy *copy;                  /* of all its lines, for its driver; NULL: none is kept */
	struct run_order *order;            /* all, by line */
	size_t norders;
	json_t *order_ids;                  /* {id: line}: an order is taken once */
	bool names;                         /* a program that names what it answers has written here */
};

/* Reads the whole journal. kinds: steps/registry.c. run_free when done. */
int run_load(struct store *s, const char *id, const struct step_kind *const *kinds, struct run **out,
	     struct err *e);
/* The same for its driver, which keeps a copy of the lines. */
int run_load_copied(struct store *s, const char *id, const struct step_kind *const *kinds, struct run **out, struct err *e);
/* Folds what was appended since. ERR_DAMAGED: what was folded last is not in the journal any more. */
int run_catch_up(struct run *r, struct store *s, struct err *e);
void run_free(struct run *r);
static inline void run_freep(struct run **r) { run_free(*r); }
#define autorun __attribute__((cleanup(run_freep)))

bool run_is_over(const struct run *r);                  /* nothing is left to drive */
const struct step *run_current(const struct run *r);    /* first step not done; NULL when all are */
size_t run_current_index(const struct run *r);
bool run_may_carry_green(const struct run *r);          /* green has, or may have, weight */
const char *run_state_name(enum run_state s);
/* What may be said of where traffic is (known.c): proved by CloudWatch; only
 * what the rule said, of a run that gave green nothing; or nothing. */
enum run_knowledge { KNOWN_NOTHING, KNOWN_RULE, KNOWN_PROVED };
enum run_knowledge run_knows_back(const struct run *r);
double run_green_share(const struct run *r);            /* as AWS last said; negative: nobody asked */
/* {"known", "blue", "green", "at", "foreign", "free_of_green"}: null what nobody asked for;
 * free_of_green: "proved", "the rule" or "nothing" tells that green has no traffic. */
json_t *run_traffic_json(const struct run *r);
void run_say_seen(const struct run *r, char out[120]);   /* "AWS has not answered", "AWS said blue 75, green 25 at ..." */
void run_say_back(const struct run *r, char out[240]);  /* what "rolled back" means for this run */
/* A write whose end we never read may still arrive. */
void run_expect_echo(struct run_traffic *t, int blue, int green);
int run_exit_code(const struct run *r);                 /* design: 0, 3, 4, 5, 7 */

/* The state machine as data: which event may lead from where to where. */
struct run_transition { enum run_state from; enum event_kind event; enum run_state to; const char *about; };
extern const struct run_transition run_transitions[];
extern const size_t run_ntransitions;
enum run_state run_state_after(enum run_state s, enum event_kind k); /* the same where no row leads on */

/* Where the run's group weights are resolved; "" while green is made by a step not done. */
int run_groups(const struct run *r, char **blue, char **green, struct err *e);
#endif

/* engine/orders.h - questions to people, their orders, and what became of each.
 *
 * An order is a line of the journal that anybody may write at any time. What it
 * does is decided by folding it, not by whoever drives: so its author knows at
 * once, and everybody who reads the journal sees the same. An answer names the
 * question it answers, and the end of a bake names that bake, each by its line:
 * it can never meet the next one. */
#ifndef CUTOVER_ENGINE_ORDERS_H
#define CUTOVER_ENGINE_ORDERS_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct run;

enum order_kind {
	ORDER_NONE, ORDER_PROMOTE, ORDER_SKIP_BAKE, ORDER_ROLLBACK, ORDER_PAUSE, ORDER_RESUME, ORDER_RETRY, ORDER_KINDS
};
const char *order_name(enum order_kind k);       /* as in the journal: "promote"; "?" for none */
enum order_kind order_by_name(const char *name); /* ORDER_NONE: there is no such order */

enum order_effect {
	ORDER_PENDING,  /* whoever drives the run will obey it */
	ORDER_OBEYED,
	ORDER_NEEDLESS, /* what it wants was so already */
	ORDER_REPEATED, /* the same id again: what line `other` did counts */
	ORDER_VOID,     /* it had no effect, and `why` says why */
	ORDER_EFFECTS
};
const char *order_effect_name(enum order_effect x);

enum order_why {
	ORDER_WHY_NONE,
	ORDER_ID_OLD,        /* the same order of an earlier attempt had it, in line `other` */
	ORDER_ID_TAKEN,      /* by the other kind of order in line `other` */
	ORDER_ANSWERED,      /* the question was answered before, by line `other` */
	ORDER_QUESTION_GONE, /* the question it names is not asked any more */
	ORDER_NOT_ASKED,     /* nothing was asked */
	ORDER_BAKE_OVER,     /* the bake it names had ended */
	ORDER_NOT_BAKING,    /* its step had not reached its weights yet */
	ORDER_STATE,         /* the run's state does not allow it */
	ORDER_DOOR,          /* the way back was closed */
	ORDER_WITHDRAWN,     /* by the rollback in line `other` */
	ORDER_UNKNOWN,       /* a newer program's */
	ORDER_WHYS
};

struct run_order {
	int64_t seq, at;         /* its line; wall ms */
	enum order_kind kind;
	enum order_effect effect;
	enum order_why why;
	int64_t other;           /* the line that effect or why speak of; 0: none */
	int state;               /* enum run_state when it came */
	int attempt;             /* in which it came */
	int step;                /* of the plan, that it answered or ended; -1: none */
	bool full;               /* promote --full */
	char by[96], verdict[8]; /* verdict: when the bake was ended; "" unknown */
};

/* What a step asks a person; at most once in an attempt. */
struct run_question {
	int64_t seq, at, until; /* line and wall ms of `asks`; seq 0: it has not asked */
	char text[400];
	char otherwise[16];     /* what silence means: "rollback", "promote" */
	int64_t call;           /* line of the `call` for it; 0: none yet */
	int64_t answer;         /* line of the order that answered it; 0: nobody has */
};

/* For run.c, while it folds. */
void orders_fold(struct run *r, const struct event *ev, const json_t *body);
void orders_asked(struct run *r, size_t step, const struct event *ev, const json_t *body);
void orders_called(struct run *r, const struct event *ev, const json_t *body);
void orders_noted(struct run *r, const json_t *body); /* a step says that it obeyed */
void orders_step_done(struct run *r, size_t step);
void orders_settle(struct run *r, const struct event *ev); /* the run's state changed, or `trouble` */

/* For everybody. */
const struct run_order *run_order(const struct run *r, int64_t line); /* NULL: that line is no order, or not folded yet */
/* The order that counts: of a repeated id the first one. */
const struct run_order *run_order_counts(const struct run *r, const struct run_order *o);
/* The order that has taken this id already, for an order of this kind; NULL: it is free. */
/* Why an order of that kind has no effect though its id is known; ORDER_WHY_NONE:
 * it repeats the first, and what that did counts. */
enum order_why run_order_clash(const struct run *r, const struct run_order *first, enum order_kind kind);
const struct run_order *run_order_by_id(const struct run *r, const char *id, enum order_kind kind);
/* What is asked now, and by which step (may be NULL); NULL: nothing. */
const struct run_question *run_question(const struct run *r, size_t *step);
/* The current step has reached its weights and is looked at: it could be ended early. */
bool run_bakes(const struct run *r);
#endif

/* engine/event.h - the kinds of lines a journal has. Their names stand in the
 * file; code decides by these. What a kind means to a run: the table in run.c. */
#ifndef CUTOVER_ENGINE_EVENT_H
#define CUTOVER_ENGINE_EVENT_H

#include "store/store.h"

enum event_kind {
	EVENT_UNKNOWN, /* of a newer program */
	EVENT_START, /* the first line: the plan */
	EVENT_CLAIM, /* who drives from here on */
	EVENT_ORDER, /* of a person, a job or an alarm */
	EVENT_ASKS, /* a question to a person */
	EVENT_BEGIN, /* a step begins */
	EVENT_INTEND, /* a step is about to change something */
	EVENT_DONE, /* a step is done */
	EVENT_FAILED, /* a step has failed */
	EVENT_UNDONE, /* a step was taken back, or what is left of it */
	EVENT_NOTE, /* a fact, for people and for proof */
	EVENT_BASELINE, /* the weights before any attempt */
	EVENT_WRITE, /* weights are about to be set */
	EVENT_UNSURE, /* ... and nobody knows whether they were */
	EVENT_WEIGHTS, /* weights that AWS confirms */
	EVENT_FOREIGN, /* weights of somebody else's */
	EVENT_VERDICT, /* of the watch */
	EVENT_HISTORY, /* blue's past, as the judge learns it */
	EVENT_ARMED, /* the dead-man's switch fires at; 0: it is removed */
	EVENT_PROVED, /* green is free of requests */
	EVENT_CALL, /* a person was called */
	EVENT_BACK, /* traffic goes back */
	EVENT_PROMOTED, /* the ends of a run */
	EVENT_REFUSED,
	EVENT_STOPPED,
	EVENT_FROZEN,
	EVENT_ROLLED_BACK,
	EVENT_ATTEMPT, /* another try */
	EVENT_TROUBLE, /* what could not be done, and does not end the run */
	EVENT_CLOCK, /* the driver's clock was put right */
	EVENT_KINDS
};

const char *event_name(enum event_kind k);        /* as in the journal: "rolled-back" */
enum event_kind event_by_name(const char *name);  /* EVENT_UNKNOWN: there is no such kind */
static inline enum event_kind event_kind_of(const struct event *ev) { return event_by_name(ev->kind); }
#endif

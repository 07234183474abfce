/* steps/beside.h - a step's questions to databases, asked beside the engine.
 *
 * A look-up of a name, a handshake, a login, an answer: each takes as long as
 * somebody else likes, and the engine has traffic to watch. So a step makes its
 * question, and waits for the answer as it waits for anything: it comes again. A
 * connection cannot be handed over: whoever takes the run over finds nothing
 * here and asks again. In a simulated run the question is asked where it stands. */
#ifndef CUTOVER_STEPS_BESIDE_H
#define CUTOVER_STEPS_BESIDE_H

#include "steps/sql.h"

struct beside {
	const char *name;  /* of one of a step's questions: "copy and source" */
	/* What is to be filled; *answer may be there even when it fails. In the engine's thread. */
	int (*make)(struct step_run *r, void **answer, struct err *e);
	/* Fills it; in another thread, so it knows nothing but its arguments. All
	 * that is decided by one answer is asked by one question: in its order. */
	int (*ask)(const struct sql_from *from, void *answer, struct err *e);
	void (*discard)(void *answer);
	bool standing;     /* of a step that is done: asked while a later one asks, and neither leaves the other's */
};
/* 1: it is being asked, and r says so and when to come again; 0 and -1: what
 * make() or ask() returned, and *answer is the caller's (NULL: there is none).
 * An answer that nobody fetched for a while is asked for again. */
int beside_ask(struct step_run *r, const struct beside *q, void **answer, struct err *e);
bool beside_is_asked(const struct step_run *r, const struct beside *q);
#endif

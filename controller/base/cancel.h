/* cancel.h - "give it up: something more urgent has come", as a value.
 *
 * One struct is shared by a tick and all that the tick waits for: requests,
 * queries, programs. Whoever waits looks at `why` before and after each wait,
 * and wakes when `fd` becomes readable; what was given up fails with
 * ERR_CANCELLED. Raising is allowed in a signal handler and in any thread. */
#ifndef CUTOVER_BASE_CANCEL_H
#define CUTOVER_BASE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>

enum cancel_why {
	CANCEL_NOT,
	CANCEL_ORDER,  /* the way back was ordered, or somebody else drives now */
	CANCEL_STOP,   /* this process shall end, or ask its user */
};

struct cancel {
	_Atomic int why; /* enum cancel_why */
	int fd;          /* eventfd; -1: none could be had, `why` alone must do */
};

void cancel_open(struct cancel *c);
void cancel_close(struct cancel *c);
void cancel_raise(struct cancel *c, enum cancel_why why);
void cancel_clear(struct cancel *c);

/* c may be NULL: nobody can cancel. */
static inline bool cancel_is_raised(struct cancel *c)
{
	return c && atomic_load(&c->why) != CANCEL_NOT;
}
#endif

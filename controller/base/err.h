/* err.h - what went wrong, said once, carried by value.
 *
 * A function that can fail returns 0 or -1 and takes `struct err *e` last. On
 * success it leaves *e alone; on failure it fills it. The engine decides by
 * kind, people read msg: a sentence that ends with the fact and, where there
 * is something to do, says what. */
#ifndef CUTOVER_BASE_ERR_H
#define CUTOVER_BASE_ERR_H

#include <stdbool.h>

enum err_kind {
	ERR_NONE,
	ERR_INPUT,  /* the plan, the command line or a request of ours is wrong */
	ERR_DENIED, /* credentials or policy refused us */
	ERR_GONE,   /* the thing named does not exist */
	ERR_BUSY,   /* throttled or locked, surely not executed: try again later */
	ERR_NET,    /* request surely not executed: it never reached the other side */
	ERR_UNSURE, /* request may have been executed: look before acting */
	ERR_LOST,   /* another controller holds the run: this process must not act any more */
	ERR_MOVED,  /* the journal has moved on, or our claim has to be renewed: read again, then act */
	ERR_CANCELLED, /* given up by us, since something more urgent has come: it says nothing of the other side */
	ERR_GATE,   /* a safety check said no */
	ERR_DAMAGED, /* the journal is not the one we know: damaged, cut off, or another file in its place */
	ERR_STORE,  /* the journal cannot be written: nothing more may be changed */
	ERR_BUG,
};

struct err {
	enum err_kind kind;
	char code[64]; /* the other side's own code ("Throttling"), "" when there is none */
	char msg[640];
};

/* Both return -1, so that `return err_set(...)` is the failing line.
 * err_set clears code; err_wrap puts "doing this: " before the message. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));
const char *err_kind_name(enum err_kind kind);

static inline bool err_retryable(const struct err *e)
{
	return e->kind == ERR_BUSY || e->kind == ERR_NET || e->kind == ERR_UNSURE;
}

/* Of the journal, the lease or an order, not of the world: the tick ends, and nothing has failed. */
static inline bool err_ends_tick(const struct err *e)
{
	return e->kind == ERR_LOST || e->kind == ERR_MOVED || e->kind == ERR_CANCELLED || e->kind == ERR_STORE ||
	       e->kind == ERR_DAMAGED;
}
#endif

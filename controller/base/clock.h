/* clock.h - one of the two seams: who tells the time and who waits.
 *
 * All times are milliseconds (int64_t). `wall` is for people, signatures and
 * the journal; `mono` never jumps and is what leases, waits and timeouts count
 * with. Wall clocks of two machines are never compared, except with AWS's own,
 * which decides when a signature is good: clock_correct(). */
#ifndef CUTOVER_BASE_CLOCK_H
#define CUTOVER_BASE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct ticker;

struct clock {
	int64_t (*wall)(struct clock *c); /* ms since 1970-01-01 UTC */
	int64_t (*mono)(struct clock *c); /* ms since some fixed moment */
	/* Waits, but returns early when wake_fd becomes readable. */
	void (*sleep)(struct clock *c, int64_t ms);
	int wake_fd;                      /* -1: none; only the real clock looks at it */
	/* Calls fn(ctx) every ms, also while sleep() or a request waits, until the
	 * returned ticker is stopped: a thread with the real clock, as time passes
	 * with a simulated one. wake_fd: called too when it becomes readable; -1: none. */
	struct ticker *(*every)(struct clock *c, int64_t ms, int wake_fd, void (*fn)(void *ctx), void *ctx);
	void (*stop)(struct clock *c, struct ticker *t); /* fn is not running any more when it returns */
	_Atomic int64_t skew;             /* ms that wall() is behind AWS's clock, as far as that was learnt */
};

extern struct clock clock_real;

static inline int64_t clock_wall(struct clock *c) { return c->wall(c) + atomic_load(&c->skew); }
static inline void clock_correct(struct clock *c, int64_t by) { atomic_fetch_add(&c->skew, by); }
static inline int64_t clock_mono(struct clock *c) { return c->mono(c); }
static inline struct ticker *clock_every(struct clock *c, int64_t ms, int wake_fd, void (*fn)(void *), void *ctx)
{
	return c->every(c, ms, wake_fd, fn, ctx);
}
static inline void clock_stop(struct clock *c, struct ticker *t) { c->stop(c, t); }
static inline void clock_sleep(struct clock *c, int64_t ms) { c->sleep(c, ms); }

/* "2026-11-22T02:00:00Z"; both want char[21] or more. */
void clock_iso(int64_t wall_ms, char out[21]);
void clock_hms(int64_t wall_ms, char out[9]);  /* "02:00:00" UTC */
int64_t clock_parse_iso(const char *s);        /* -1 when it is not a time; Z only, fraction allowed */
#endif

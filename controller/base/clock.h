/* clock.h - one of the two seams: who tells the time and who waits.
 *
 * All times are milliseconds (int64_t). `wall` is for people, signatures and
 * the journal; `mono` never jumps and is what leases and timeouts count with.
 * Wall clocks of two machines are never compared. */
#ifndef CUTOVER_BASE_CLOCK_H
#define CUTOVER_BASE_CLOCK_H

#include <stdint.h>

struct clock {
	int64_t (*wall)(struct clock *c); /* ms since 1970-01-01 UTC */
	int64_t (*mono)(struct clock *c); /* ms since some fixed moment */
	/* Waits, but returns early when wake_fd becomes readable. */
	void (*sleep)(struct clock *c, int64_t ms);
	int wake_fd;                      /* -1: none; only the real clock looks at it */
};

extern struct clock clock_real;

static inline int64_t clock_wall(struct clock *c) { return c->wall(c); }
static inline int64_t clock_mono(struct clock *c) { return c->mono(c); }
static inline void clock_sleep(struct clock *c, int64_t ms) { c->sleep(c, ms); }

/* "2026-11-22T02:00:00Z"; both want char[21] or more. */
void clock_iso(int64_t wall_ms, char out[21]);
void clock_hms(int64_t wall_ms, char out[9]);  /* "02:00:00" UTC */
int64_t clock_parse_iso(const char *s);        /* -1 when it is not a time; Z only, fraction allowed */
#endif

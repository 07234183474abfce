/* Virtual time: it passes while somebody sleeps or waits for an answer, and
 * what is due then happens: the world's seconds, and everybody's tickers. */
#include "sim/world.h"

#include <stdlib.h>

#define SECOND_MS 1000

struct ticker {
	int64_t ms, due;
	void (*fn)(void *ctx); /* NULL: stopped while tickers were being called */
	void *ctx;
	struct ticker *next;
};

static void time_second(struct sim *s)
{
	flights_tick(s);
	balancer_tick(s);
	stacks_tick(s);
	schedules_tick(s);
	errands_tick(s);
	databases_tick(s);
	fault_tick(s);
	users_tick(s);
}

static bool time_rings(const struct sim *s) { return !s->tickers_held && !s->ticking; }

/* The next moment at which anything happens. */
static int64_t time_next(const struct sim *s)
{
	int64_t at = s->next_second;

	for (const struct ticker *t = s->tickers; t && time_rings(s); t = t->next)
		at = t->due < at ? t->due : at;
	return at > s->now ? at : s->now;
}

static void time_sweep(struct sim *s)
{
	for (struct ticker **p = &s->tickers, *t; (t = *p);)
		if (t->fn) {
			p = &t->next;
		} else {
			*p = t->next;
			free(t);
		}
}

/* One that waits in its own call does not call the others: a thread that waits
 * holds up nobody, but this world has one thread only. */
static void time_call_tickers(struct sim *s)
{
	if (!time_rings(s))
		return;
	s->ticking = true;
	for (struct ticker *t = s->tickers; t; t = t->next)
		if (t->fn && t->due <= s->now) {
			t->due = s->now + t->ms;
			t->fn(t->ctx);
		}
	s->ticking = false;
	time_sweep(s);
}

void sim_advance(struct sim *s, int64_t ms)
{
	int64_t until = s->now + (ms > 0 ? ms : 0), at;

	while ((at = time_next(s)) <= until) {
		s->now = at;
		if (at == s->next_second) {
			s->next_second += SECOND_MS;
			time_second(s);
		}
		time_call_tickers(s);
	}
	if (s->now < until) /* a ticker that waited may have come further */
		s->now = until;
}

static int64_t time_wall(struct clock *c) { return ((struct sim *)c)->now; }
static int64_t time_mono(struct clock *c) { return ((struct sim *)c)->now - ((struct sim *)c)->start + SECOND_MS; }
static void time_sleep(struct clock *c, int64_t ms) { sim_advance((struct sim *)c, ms); }

static struct ticker *time_every(struct clock *c, int64_t ms, int wake_fd, void (*fn)(void *), void *ctx)
{
	struct sim *s = (struct sim *)c;
	struct ticker *t = xcalloc(1, sizeof *t);

	(void)wake_fd; /* who writes here does so in no time: the next call sees it */
	*t = (struct ticker){ .ms = ms > 0 ? ms : 1, .due = s->now + ms, .fn = fn, .ctx = ctx, .next = s->tickers };
	s->tickers = t;
	return t;
}

static void time_stop(struct clock *c, struct ticker *t)
{
	struct sim *s = (struct sim *)c;

	if (!t)
		return;
	t->fn = NULL;
	if (!s->ticking)
		time_sweep(s);
}

void sim_hold_tickers(struct sim *s, bool held) { s->tickers_held = held; }

struct clock *sim_clock(struct sim *s) { return &s->clock; }

void time_open(struct sim *s, int64_t start)
{
	s->clock = (struct clock){ .wall = time_wall, .mono = time_mono, .sleep = time_sleep, .wake_fd = -1,
				   .every = time_every, .stop = time_stop };
	s->start = s->now = start;
	s->next_second = start / SECOND_MS * SECOND_MS + SECOND_MS;
}

void time_close(struct sim *s)
{
	for (struct ticker *t = s->tickers; t; t = t->next)
		t->fn = NULL;
	time_sweep(s);
}

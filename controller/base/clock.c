#include "base/clock.h"

#include "base/buf.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static int64_t ms_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* BOOTTIME counts while the machine is suspended: a lease must expire then. */
static int64_t real_mono(struct clock *c) { (void)c; return ms_of(CLOCK_BOOTTIME); }

/* The time of day as it was when this process first asked, and on from there by
 * the clock that never jumps: somebody who sets the machine's clock does not
 * move what the run has waited for. What was wrong at the start, AWS's own time
 * makes good (clock_correct). */
static int64_t real_wall(struct clock *c)
{
	static _Atomic int64_t began;
	int64_t none = 0;

	if (!atomic_load(&began))
		atomic_compare_exchange_strong(&began, &none, ms_of(CLOCK_REALTIME) - ms_of(CLOCK_BOOTTIME));
	return atomic_load(&began) + real_mono(c);
}

static void real_sleep(struct clock *c, int64_t ms)
{
	struct pollfd p = { .fd = c->wake_fd, .events = POLLIN };

	if (ms > 0)
		poll(&p, c->wake_fd >= 0, ms > 3600000 ? 3600000 : (int)ms);
}

/* --- tickers ---------------------------------------------------------------- */

struct ticker {
	pthread_t thread;
	int64_t ms;
	int wake_fd, end_fd; /* end_fd becomes readable when the thread shall end */
	void (*fn)(void *ctx);
	void *ctx;
};

static void *ticker_run(void *arg)
{
	struct ticker *t = arg;
	struct pollfd p[] = { { .fd = t->end_fd, .events = POLLIN }, { .fd = t->wake_fd, .events = POLLIN } };

	while (!(p[0].revents & POLLIN)) {
		t->fn(t->ctx);
		p[0].revents = 0;
		poll(p, COUNT(p), (int)t->ms);
	}
	return NULL;
}

/* Signals stay with the thread that waits for them. */
static void ticker_start(struct ticker *t)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&t->thread, NULL, ticker_run, t))
		abort();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static struct ticker *real_every(struct clock *c, int64_t ms, int wake_fd, void (*fn)(void *), void *ctx)
{
	struct ticker *t = xcalloc(1, sizeof *t);

	(void)c;
	*t = (struct ticker){ .ms = ms, .wake_fd = wake_fd, .end_fd = eventfd(0, EFD_CLOEXEC), .fn = fn, .ctx = ctx };
	if (t->end_fd < 0)
		abort();
	ticker_start(t);
	return t;
}

static void real_stop(struct clock *c, struct ticker *t)
{
	const uint64_t one = 1;

	(void)c;
	if (!t)
		return;
	if (write(t->end_fd, &one, sizeof one) != sizeof one)
		abort();
	pthread_join(t->thread, NULL);
	close(t->end_fd);
	free(t);
}

struct clock clock_real = {
	.wall = real_wall, .mono = real_mono, .sleep = real_sleep, .wake_fd = -1, .every = real_every, .stop = real_stop,
};

void clock_iso(int64_t wall_ms, char out[21])
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 21, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void clock_hms(int64_t wall_ms, char out[9])
{
	char iso[21];

	clock_iso(wall_ms, iso);
	memcpy(out, iso + 11, 8);
	out[8] = '\0';
}

int64_t clock_parse_iso(const char *s)
{
	struct tm tm = { 0 };
	const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ms = 0;

	if (!rest)
		return -1;
	if (*rest == '.') {
		char *end;
		double frac = strtod(rest, &end);

		ms = (int64_t)(frac * 1000);
		rest = end;
	}
	if (strcmp(rest, "Z") && strcmp(rest, "+00:00"))
		return -1;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

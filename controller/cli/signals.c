#include "cli/signals.h"

#include "engine/engine.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

/* A wrapper (npm, timeout, a container's init) hands on the signal that the
 * terminal has sent to the whole group already. */
#define SIGNALS_ONCE_MS 500

static volatile sig_atomic_t interrupts, terminated, hung_up;
static _Atomic int64_t interrupted_at; /* mono ms */
static struct engine *_Atomic waiting; /* what it waits for is given up */
volatile int signals_came;

static int64_t signals_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void signals_count_interrupt(void)
{
	int64_t now = signals_now();

	if (!interrupts || now - atomic_load(&interrupted_at) >= SIGNALS_ONCE_MS)
		interrupts = interrupts + 1;
	atomic_store(&interrupted_at, now);
}

static void signals_on(int sig)
{
	struct engine *en = atomic_load(&waiting);

	if (sig == SIGHUP) {
		hung_up = 1;
		return;
	}
	if (sig == SIGINT)
		signals_count_interrupt();
	else
		terminated = 1;
	signals_came = 1;
	if (en)
		engine_cancel(en);
}

static void signals_begin(struct engine *en)
{
	struct sigaction sa = { .sa_handler = signals_on };

	interrupts = terminated = hung_up = 0;
	signals_came = 0;
	atomic_store(&waiting, en);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void signals_follow(struct engine *en)
{
	struct sigaction sa = { .sa_handler = signals_on }, was;

	signals_begin(en);
	if (sigaction(SIGHUP, NULL, &was) || was.sa_handler != SIG_IGN) /* else: nohup */
		sigaction(SIGHUP, &sa, NULL);
}

void signals_drive(struct engine *en)
{
	signals_begin(en);
	signal(SIGHUP, SIG_IGN); /* a lost terminal is no reason to leave green alone */
}

void signals_release(void)
{
	atomic_store(&waiting, NULL);
}

bool signals_leave(void)
{
	return interrupts || terminated || hung_up;
}

int signals_interrupts(void)
{
	return interrupts;
}

bool signals_terminated(void)
{
	return terminated;
}

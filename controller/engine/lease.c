/* engine/lease.c - signs of life, and news, while the worker is busy.
 *
 * A tick may wait long for AWS; whether this process lives must not depend on
 * that. So a ticker of the clock's (a thread, in the real world) beats as long
 * as the worker makes progress, and sees orders that cannot wait: it raises the
 * worker's cancel, and what the worker waits for is given up at once.
 *
 * A process that overslept its lease does not beat: another one may be taking
 * the run over just now. It claims anew first, and the journal, whose lines are
 * compare-and-swap, says who came first (claim.c). */
#include "engine/internal.h"

#include <string.h>
#include <unistd.h>

#define LEASE_TICK_MS 1000
/* Longer than the worker may wait for any one thing: a request takes ten seconds,
 * a `call` program ten, a credential_process sixty. One that shows nothing for
 * longer hangs, and somebody else shall drive. */
#define LEASE_STALL_MS 90000

static int64_t lease_now(const struct lease *l) { return clock_mono(l->clock); }

int64_t lease_age(const struct lease *l)
{
	return lease_now(l) - atomic_load(&l->beat);
}

void lease_progress(struct lease *l)
{
	atomic_store(&l->progress, lease_now(l));
}

/* Stamped with a time read before: others see it later than that, and a process
 * stopped in between does not revive a lease that is over. */
static int lease_beat_at(struct lease *l, int64_t now, struct err *e)
{
	if (store_beat(l->store, l->run, l->holder, e))
		return -1;
	atomic_store(&l->beat, now);
	atomic_store(&l->ours, true);
	return 0;
}

int lease_beat(struct lease *l, struct err *e)
{
	return lease_beat_at(l, lease_now(l), e);
}

static bool lease_is_due(const struct lease *l, int64_t now)
{
	int64_t age = now - atomic_load(&l->beat), still = now - atomic_load(&l->progress);

	return atomic_load(&l->ours) && age >= ENGINE_BEAT_MS && age < ENGINE_LEASE_MS && still < LEASE_STALL_MS;
}

struct news {
	const char *holder; /* ours: our own claims are none */
	int64_t urgent;     /* its line; 0: none */
};

static int lease_see_urgent(void *ctx, const struct event *ev)
{
	autojson json_t *body = json_loads(ev->body, 0, NULL);
	struct news *n = ctx;
	bool claim = event_kind_of(ev) == EVENT_CLAIM && strcmp(json_str(body, "holder", ""), n->holder);

	if (claim || (event_kind_of(ev) == EVENT_ORDER && order_by_name(json_str(body, "order", "")) == ORDER_ROLLBACK))
		n->urgent = ev->seq;
	return 0;
}

/* Has somebody ordered the way back, or does another process drive the run?
 * Other orders can wait. */
static void lease_look_for_news(struct lease *l)
{
	int64_t last, from = atomic_load(&l->folded);
	struct news n = { .holder = l->holder };
	struct err ignored = { 0 };

	if (!atomic_load(&l->listens) || store_last(l->store, l->run, &last, &ignored) || last <= from ||
	    last == l->looked || store_read(l->store, l->run, from, lease_see_urgent, &n, &ignored))
		return;
	l->looked = last;
	if (!n.urgent)
		return;
	atomic_store(&l->news, n.urgent);
	cancel_raise(&l->cancel, CANCEL_ORDER);
}

static void lease_tick(void *lease)
{
	struct lease *l = lease;
	struct err ignored = { 0 }; /* the gate finds an old sign of life */
	int64_t now = lease_now(l);

	store_watch_drain(l->watch);
	if (lease_is_due(l, now))
		lease_beat_at(l, now, &ignored);
	lease_look_for_news(l);
}

void lease_open(struct lease *l, struct store *s, struct clock *clock, const char *run, const char *holder)
{
	l->store = s;
	l->clock = clock;
	l->run = run;
	l->holder = holder;
	cancel_open(&l->cancel);
	atomic_store(&l->beat, lease_now(l));
	lease_progress(l);
	l->watch = store_watch_open(s);
	l->ticker = clock_every(clock, LEASE_TICK_MS, l->watch, lease_tick, l);
}

void lease_close(struct lease *l)
{
	if (!l->clock)
		return;
	clock_stop(l->clock, l->ticker);
	cancel_close(&l->cancel);
	if (l->watch >= 0)
		close(l->watch);
}

void lease_lost(struct lease *l)
{
	atomic_store(&l->ours, false);
}

/* What was raised for lines that are folded now has done its work. Cleared before
 * the news are looked at: what the ticker sees just now is raised again. */
void lease_listen(struct lease *l, int64_t folded, bool listens)
{
	atomic_store(&l->folded, folded);
	atomic_store(&l->listens, listens);
	cancel_clear(&l->cancel);
	if (listens && atomic_load(&l->news) > folded)
		cancel_raise(&l->cancel, CANCEL_ORDER);
	lease_progress(l);
}

#include "cli/follow.h"

#include "base/clock.h"
#include "base/err.h"
#include "cli/out.h"
#include "cli/screen.h"
#include "cli/signals.h"
#include "engine/engine.h"
#include "steps/registry.h"

/* A holder is alive while its process exists and, by our own clock, its signs
 * of life go on. */
struct pulse {
	int64_t beats, since;
};

static bool follow_is_driven(struct pulse *p, const struct run *r, struct store *s)
{
	struct err ignored = { 0 };
	int64_t now = clock_mono(&clock_real), beats = 0;

	if (!r->holder[0] || engine_holder_is_dead(r))
		return false;
	if (store_beats(s, r->id, &beats, &ignored) || beats != p->beats || !p->since)
		*p = (struct pulse){ beats, now };
	return now - p->since < ENGINE_LEASE_MS;
}

static int follow_step(struct run *r, struct screen *sc, int64_t until, struct err *e)
{
	int64_t left = until ? until - clock_mono(&clock_real) : 1000;

	screen_show(sc, r, "");
	clock_sleep(&clock_real, left < 1000 ? left : 1000);
	store_watch_clear(sc->store);
	return run_catch_up(r, sc->store, e);
}

enum follow_end follow(struct run *r, struct screen *sc, int64_t until, struct err *e)
{
	struct pulse p = { 0 };

	sc->keys = FOLLOW_KEYS;
	while (!run_is_over(r)) {
		if (until && clock_mono(&clock_real) >= until)
			return FOLLOW_TIME;
		if (!follow_is_driven(&p, r, sc->store))
			return FOLLOW_NOBODY;
		if (signals_leave() || (sc->for_show && out_is_unread()))
			return FOLLOW_LEFT;
		if (follow_step(r, sc, until, e))
			return FOLLOW_ERROR;
	}
	return FOLLOW_OVER;
}

int follow_said(struct screen *sc, const struct run *r, enum follow_end end, const struct err *e)
{
	switch (end) {
	case FOLLOW_ERROR:
		return cli_fail(e);
	case FOLLOW_NOBODY:
		return screen_nobody(r);
	case FOLLOW_LEFT:
		return screen_left(r);
	default:
		return screen_end(sc, r);
	}
}

int follow_run(const struct cli *c, struct store *s, const char *run)
{
	autorun struct run *r = NULL;
	struct screen sc;
	struct err e = { 0 };

	screen_open(&sc, c, s);
	sc.for_show = true;
	if (run_load(s, run, step_kinds, &r, &e))
		return cli_fail(&e);
	clock_real.wake_fd = store_watch_fd(s);
	signals_follow(NULL);
	return follow_said(&sc, r, follow(r, &sc, 0, &e), &e);
}

#include "cli/follow.h"

#include "base/clock.h"
#include "base/err.h"
#include "cli/screen.h"
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

int follow(struct run *r, struct screen *sc, int64_t until, struct err *e)
{
	struct pulse p = { 0 };

	while (!run_is_over(r) && (!until || clock_mono(&clock_real) < until)) {
		if (!follow_is_driven(&p, r, sc->store))
			return 1;
		if (follow_step(r, sc, until, e))
			return -1;
	}
	return 0;
}

int follow_run(const struct cli *c, struct store *s, const char *run, long long timeout_ms)
{
	struct screen sc = { .cli = c, .store = s, .clock = &clock_real };
	autorun struct run *r = NULL;
	struct err e = { 0 };
	int rc;

	if (run_load(s, run, step_kinds, &r, &e))
		return cli_fail(&e);
	clock_real.wake_fd = store_watch_fd(s);
	rc = follow(r, &sc, timeout_ms ? clock_mono(&clock_real) + timeout_ms : 0, &e);
	if (rc < 0)
		return cli_fail(&e);
	return rc ? screen_nobody(r) : screen_end(&sc, r);
}

#include "cli/follow.h"

#include "base/clock.h"
#include "base/err.h"
#include "cli/driven.h"
#include "cli/out.h"
#include "cli/screen.h"
#include "cli/signals.h"
#include "engine/engine.h"
#include "steps/registry.h"

#define FOLLOW_LOOK_MS 1000

static int64_t follow_left(const struct follow *f)
{
	int64_t left = f->until ? f->until - clock_mono(&clock_real) : FOLLOW_LOOK_MS;

	return left < FOLLOW_LOOK_MS ? left : FOLLOW_LOOK_MS;
}

static int follow_step(struct follow *f, struct err *e)
{
	f->show(f);
	clock_sleep(&clock_real, follow_left(f));
	store_watch_clear(f->screen->store);
	return run_catch_up(f->run, f->screen->store, e);
}

void follow_show(struct follow *f)
{
	struct store_said said;

	screen_show(f->screen, f->run, driven_said(f->screen->store, f->run, &said) ? said.text : "");
}

enum follow_end follow(struct follow *f, struct err *e)
{
	struct pulse p = { 0 };

	f->screen->keys = FOLLOW_KEYS;
	while (!f->holds(f->run)) {
		if (run_is_over(f->run))
			return FOLLOW_OVER;
		if (f->until && clock_mono(&clock_real) >= f->until)
			return FOLLOW_TIME;
		if (!driven_feel(&p, f->run, f->screen->store))
			return FOLLOW_NOBODY;
		if (signals_leave() || (f->screen->for_show && out_is_unread()))
			return FOLLOW_LEFT;
		if (follow_step(f, e))
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
	return follow_said(&sc, r, follow(&(struct follow){ .run = r, .screen = &sc, .show = follow_show, .holds = run_is_over }, &e), &e);
}

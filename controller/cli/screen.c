#include "cli/screen.h"

#include "base/clock.h"
#include "base/err.h"
#include "cli/columns.h"
#include "cli/out.h"
#include "cli/say.h"
#include "engine/run.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SCREEN_SAY_EVERY_MS 10000
#define SCREEN_PATIENCE_MS 5000 /* at the end, for somebody to take a line */

void screen_open(struct screen *sc, const struct cli *c, struct store *s)
{
	*sc = (struct screen){ .cli = c, .store = s, .clock = &clock_real, .keys = "" };
	out_open();
}

/* --- without a screen ---------------------------------------------------------------------- */

/* Stops where nobody takes a line: it is read again. */
static int screen_print_event(void *ctx, const struct event *ev)
{
	struct screen *sc = ctx;
	autobuf struct buf line = BUF_MAX(16384);
	autofree char *json = sc->cli->json ? say_event_json(sc->run, ev) : NULL;

	if (ev->seq > sc->run->seq) /* what an order does is known when it is folded */
		return 1;
	if ((json || say_event(sc->run, ev, &line)) && !out_line(json ? json : line.p))
		return 1;
	sc->shown = ev->seq;
	return 0;
}

static void screen_print_new(struct screen *sc, const struct run *r)
{
	struct err e = { 0 };

	sc->run = r;
	store_read(sc->store, r->id, sc->shown, screen_print_event, sc, &e);
}

/* A log without a screen must not be silent while a step waits or asks again. */
static void screen_print_waiting(struct screen *sc, const char *saying)
{
	int64_t now = clock_mono(sc->clock);
	autofree char *line = NULL;
	char hms[9];

	if (sc->cli->json || !*saying || !strncmp(saying, sc->said, sizeof sc->said - 1) ||
	    now - sc->said_at < SCREEN_SAY_EVERY_MS)
		return;
	clock_hms(clock_wall(sc->clock), hms);
	line = xasprintf("%s waiting     %s", hms, saying);
	if (!out_line(line))
		return;
	snprintf(sc->said, sizeof sc->said, "%.190s", saying);
	sc->said_at = now;
}

/* The run is over: what is left is printed as somebody takes it. */
static void screen_print_rest(struct screen *sc, const struct run *r)
{
	screen_print_new(sc, r);
	while (sc->shown < r->seq && out_settle(SCREEN_PATIENCE_MS))
		screen_print_new(sc, r);
	if (sc->shown < r->seq)
		out_error("cutover: nobody took the last %lld lines: `cutover events %s` has them\n",
			  (long long)(r->seq - sc->shown), r->id);
}

/* --- the living screen ---------------------------------------------------------------------- */

static struct winsize screen_size(void)
{
	struct winsize w = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || w.ws_col <= 20)
		w.ws_col = 100;
	if (w.ws_row <= 5)
		w.ws_row = 24;
	return w;
}

static void screen_redraw(struct screen *sc, const struct run *r, const char *saying)
{
	autobuf struct buf text = BUF_MAX(32768), folded = BUF_MAX(65536);
	struct winsize w = screen_size();
	size_t lines;

	say_screen(r, saying, clock_wall(sc->clock), sc->cli->color, &text);
	if (sc->notice[0])
		buf_addf(&text, "NOTICE   %s\n", sc->notice);
	if (*sc->keys && !run_is_over(r))
		buf_addf(&text, "%s\n", sc->keys);
	lines = columns_fold(text.p, w.ws_col - 1, w.ws_row - 1, &folded);
	out_picture(folded.p, lines);
}

bool screen_is_living(const struct cli *c)
{
	return c->tty && !c->json;
}

/* --- both ------------------------------------------------------------------------------------ */

void screen_show(struct screen *sc, const struct run *r, const char *saying)
{
	if (screen_is_living(sc->cli)) {
		screen_redraw(sc, r, saying);
	} else {
		screen_print_new(sc, r);
		screen_print_waiting(sc, saying);
	}
}

int screen_end(struct screen *sc, const struct run *r)
{
	autobuf struct buf text = BUF_MAX(8192);

	screen_show(sc, r, "");
	if (!screen_is_living(sc->cli))
		screen_print_rest(sc, r);
	if (!sc->cli->json) {
		autofree char *path = cli_state_path(sc->cli);
		const char *now = store_path(sc->store); /* another one, after a rescue */

		say_outcome(r, &text);
		if (strcmp(path, now))
			buf_addf(&text, "journal %s: `cutover --state %s report %s` tells it", now, now, r->id);
		else
			buf_addf(&text, "journal %s: `cutover report %s` tells it", path, r->id);
		out_line(text.p);
	}
	return run_exit_code(r);
}

int screen_nobody(const struct run *r)
{
	out_error("cutover: run %s is %s and nobody drives it now: `cutover resume %s` goes on, `cutover rollback %s` takes it back\n",
		  r->id, run_state_name(r->state), r->id, r->id);
	return CUTOVER_EXIT_RUNNING;
}

int screen_left(const struct run *r)
{
	autobuf struct buf who = BUF_MAX(256);

	say_holder(r, &who);
	out_error("cutover: run %s goes on, driven by %s: `cutover watch %s` shows it\n", r->id, who.p, r->id);
	return CUTOVER_EXIT_RUNNING;
}

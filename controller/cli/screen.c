#include "cli/screen.h"

#include "base/clock.h"
#include "base/err.h"
#include "cli/say.h"
#include "engine/run.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int screen_print_event(void *ctx, const struct event *ev)
{
	struct screen *sc = ctx;
	autobuf struct buf line = BUF_MAX(16384);

	sc->shown = ev->seq;
	if (sc->cli->json) {
		autofree char *text = say_event_json(ev);

		puts(text);
		return 0;
	}
	if (say_event(ev, &line))
		puts(line.p);
	return 0;
}

static void screen_print_new(struct screen *sc, const char *run)
{
	struct err e = { 0 };

	store_read(sc->store, run, sc->shown, screen_print_event, sc, &e);
	fflush(stdout);
}

static int screen_columns(void)
{
	struct winsize w = { 0 };

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 100;
}

/* Bytes of the next `room` columns: escape sequences take none, and neither do
 * UTF-8 continuation bytes. */
static size_t screen_fit(const char *p, size_t n, int room)
{
	size_t i = 0;

	while (i < n) {
		unsigned char ch = (unsigned char)p[i];

		if (ch == 033) {
			while (i < n && p[i] != 'm')
				i++;
		} else if ((ch & 0xc0) != 0x80 && room-- == 0) {
			break;
		}
		i++;
	}
	return i < n ? i : n;
}

static void screen_redraw(struct screen *sc, const struct run *r, const char *saying)
{
	autobuf struct buf text = BUF_MAX(32768);
	int width = screen_columns();

	say_screen(r, saying, clock_wall(sc->clock), sc->cli->color, &text);
	if (sc->lines)
		printf("\033[%dA", sc->lines);
	sc->lines = 0;
	for (char *p = text.p; p && *p; sc->lines++) {
		size_t n = strcspn(p, "\n");

		printf("\033[2K%.*s%s\n", (int)screen_fit(p, n, width - 1), p, sc->cli->color ? "\033[0m" : "");
		p += n + (p[n] == '\n');
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

bool screen_is_living(const struct cli *c)
{
	return c->tty && !c->json;
}

#define SAY_EVERY_MS 10000

/* A log without a screen must not be silent while a step waits or asks again. */
static void screen_print_waiting(struct screen *sc, const char *saying)
{
	int64_t now = clock_mono(sc->clock);
	char hms[9];

	if (sc->cli->json || !*saying || !strncmp(saying, sc->said, sizeof sc->said - 1) ||
	    now - sc->said_at < SAY_EVERY_MS)
		return;
	clock_hms(clock_wall(sc->clock), hms);
	printf("%s waiting     %s\n", hms, saying);
	fflush(stdout);
	snprintf(sc->said, sizeof sc->said, "%.190s", saying);
	sc->said_at = now;
}

void screen_show(struct screen *sc, const struct run *r, const char *saying)
{
	if (screen_is_living(sc->cli)) {
		screen_redraw(sc, r, saying);
	} else {
		screen_print_new(sc, r->id);
		screen_print_waiting(sc, saying);
	}
}

int screen_end(struct screen *sc, const struct run *r)
{
	autobuf struct buf text = BUF_MAX(8192);

	screen_show(sc, r, "");
	if (!sc->cli->json) {
		autofree char *path = cli_state_path(sc->cli);

		say_outcome(r, &text);
		printf("%sjournal %s: `cutover report %s` tells it\n", text.p, path, r->id);
	}
	fflush(stdout);
	return run_exit_code(r);
}

int screen_nobody(const struct run *r)
{
	fprintf(stderr, "cutover: run %s is %s and nobody drives it now: `cutover resume %s` goes on, `cutover rollback %s` takes it back\n",
		r->id, run_state_name(r->state), r->id, r->id);
	return CUTOVER_EXIT_RUNNING;
}

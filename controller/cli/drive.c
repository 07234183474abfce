#include "cli/drive.h"

#include "aws/aws.h"
#include "aws/cred.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/say.h"
#include "engine/engine.h"
#include "net/http.h"
#include "steps/registry.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* --- showing ---------------------------------------------------------------------------- */

struct show {
	const struct cli *cli;
	struct store *store;
	struct clock *clock;
	int64_t shown;    /* newest event printed */
	int lines;        /* of the living screen, to go up again */
	char said[200];   /* without a screen: what was last said to be waited for */
	int64_t said_at;
};

static int print_event(void *ctx, const struct event *ev)
{
	struct show *sh = ctx;
	autobuf struct buf line = BUF_MAX(16384);

	sh->shown = ev->seq;
	if (sh->cli->json) {
		autofree char *text = say_event_json(ev);

		puts(text);
		return 0;
	}
	if (say_event(ev, &line))
		puts(line.p);
	return 0;
}

static void print_new_events(struct show *sh, const char *run)
{
	struct err e = { 0 };

	store_read(sh->store, run, sh->shown, print_event, sh, &e);
	fflush(stdout);
}

static int columns(void)
{
	struct winsize w = { 0 };

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 100;
}

/* Bytes of the next `room` columns: escape sequences take none, and neither do
 * UTF-8 continuation bytes. */
static size_t fit(const char *p, size_t n, int room)
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

static void redraw(struct show *sh, const struct run *r, const char *saying)
{
	autobuf struct buf text = BUF_MAX(32768);
	int width = columns();

	say_screen(r, saying, clock_wall(sh->clock), sh->cli->color, &text);
	if (sh->lines)
		printf("\033[%dA", sh->lines);
	sh->lines = 0;
	for (char *p = text.p; p && *p; sh->lines++) {
		size_t n = strcspn(p, "\n");

		printf("\033[2K%.*s%s\n", (int)fit(p, n, width - 1), p, sh->cli->color ? "\033[0m" : "");
		p += n + (p[n] == '\n');
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

static bool is_living(const struct cli *c)
{
	return c->tty && !c->json;
}

#define SAY_EVERY_MS 10000

/* A log without a screen must not be silent while a step waits or asks again. */
static void print_waiting(struct show *sh, const char *saying)
{
	int64_t now = clock_mono(sh->clock);
	char hms[9];

	if (sh->cli->json || !*saying || !strncmp(saying, sh->said, sizeof sh->said - 1) ||
	    now - sh->said_at < SAY_EVERY_MS)
		return;
	clock_hms(clock_wall(sh->clock), hms);
	printf("%s waiting     %s\n", hms, saying);
	fflush(stdout);
	snprintf(sh->said, sizeof sh->said, "%.190s", saying);
	sh->said_at = now;
}

static void show_run(struct show *sh, const struct run *r, const char *saying)
{
	if (is_living(sh->cli)) {
		redraw(sh, r, saying);
	} else {
		print_new_events(sh, r->id);
		print_waiting(sh, saying);
	}
}

static void see(void *ctx, struct engine *en)
{
	show_run(ctx, engine_run(en), engine_saying(en));
}

static int show_end(struct show *sh, const struct run *r)
{
	autobuf struct buf text = BUF_MAX(8192);

	show_run(sh, r, "");
	if (!sh->cli->json) {
		autofree char *path = cli_state_path(sh->cli);

		say_outcome(r, &text);
		printf("%sjournal %s: `cutover report %s` tells it\n", text.p, path, r->id);
	}
	fflush(stdout);
	return run_exit_code(r);
}

/* --- signals ------------------------------------------------------------------------------ */

static volatile int interrupted, terminated, stop_now;

static void on_signal(int sig)
{
	if (sig == SIGINT)
		interrupted++;
	else
		terminated = 1;
	stop_now = 1;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* a lost terminal is no reason to leave green alone */
}

/* --- driving ------------------------------------------------------------------------------ */

struct driver {
	struct http http;
	struct http_curl *curl;
	struct cred_chain *creds;
	struct engine *engine;
	char actor[96];
};

static void driver_close(struct driver *d)
{
	engine_close(d->engine);
	if (d->creds)
		cred_chain_free(d->creds);
	if (d->curl)
		http_curl_free(d->curl);
}
#define autodriver __attribute__((cleanup(driver_close)))

static int driver_open(struct driver *d, struct store *s, const char *run, struct err *e)
{
	d->curl = http_curl_new(getenv("AWS_CA_BUNDLE"));
	d->http = (struct http){ http_curl_send, d->curl };
	d->creds = cred_chain_new(&d->http, &clock_real);
	cli_actor(d->actor, sizeof d->actor);
	return engine_open(&(struct engine_opts){ .store = s, .kinds = step_kinds, .clock = &clock_real,
						  .http = &d->http, .creds = d->creds, .run = run, .actor = d->actor },
			   &d->engine, e);
}

/* Ctrl-C: abort is rollback. The second one leaves; the journal stays, and the
 * next `cutover resume` goes on. */
static int order_on_interrupt(struct driver *d, struct store *s, struct err *e)
{
	const struct run *r = engine_run(d->engine);

	if (!interrupted || interrupted > 1 || r->state != RUN_FORWARD)
		return 0;
	return engine_order(s, r->id, &clock_real, &(struct engine_order){
		.order = "rollback", .reason = "interrupted at the terminal", .actor = d->actor }, e);
}

static int drive_until_end(struct driver *d, struct show *sh, struct store *s, struct err *e)
{
	int rc;

	while ((rc = engine_drive(d->engine, see, sh, &stop_now, e)) == 1) {
		stop_now = 0;
		if (terminated || interrupted > 1)
			return 1;
		if (order_on_interrupt(d, s, e))
			return -1;
	}
	return rc;
}

static int report_left(const struct run *r)
{
	fprintf(stderr, "cutover: run %s is %s and nobody drives it now: `cutover resume %s` goes on, `cutover rollback %s` takes it back\n",
		r->id, run_state_name(r->state), r->id, r->id);
	return CUTOVER_EXIT_RUNNING;
}

static int driven(struct driver *d, struct show *sh, struct store *s)
{
	struct err e = { 0 };
	int rc = drive_until_end(d, sh, s, &e);

	if (rc > 0)
		return report_left(engine_run(d->engine));
	if (rc < 0)
		return cli_fail(&e);
	return show_end(sh, engine_run(d->engine));
}

/* --- following ------------------------------------------------------------------------------ */

/* A holder is alive while its process exists and, by our own clock, its signs
 * of life go on. */
struct pulse {
	int64_t beats, since;
};

static bool is_driven(struct pulse *p, const struct run *r, struct store *s)
{
	struct err ignored = { 0 };
	int64_t now = clock_mono(&clock_real), beats = 0;

	if (!r->holder[0] || engine_holder_is_dead(r))
		return false;
	if (store_beats(s, r->id, &beats, &ignored) || beats != p->beats || !p->since)
		*p = (struct pulse){ beats, now };
	return now - p->since < ENGINE_LEASE_MS;
}

static int follow_step(struct run *r, struct show *sh, int64_t until, struct err *e)
{
	int64_t left = until ? until - clock_mono(&clock_real) : 1000;

	show_run(sh, r, "");
	clock_sleep(&clock_real, left < 1000 ? left : 1000);
	store_watch_clear(sh->store);
	return run_catch_up(r, sh->store, e);
}

/* Shows the run while somebody drives it. 1: nobody does any more; 0: over, or the time is up. */
static int follow(struct run *r, struct show *sh, int64_t until, struct err *e)
{
	struct pulse p = { 0 };

	while (!run_is_over(r) && (!until || clock_mono(&clock_real) < until)) {
		if (!is_driven(&p, r, sh->store))
			return 1;
		if (follow_step(r, sh, until, e))
			return -1;
	}
	return 0;
}

int follow_run(const struct cli *c, struct store *s, const char *run, long long timeout_ms)
{
	struct show sh = { .cli = c, .store = s, .clock = &clock_real };
	autorun struct run *r = NULL;
	struct err e = { 0 };
	int rc;

	if (run_load(s, run, step_kinds, &r, &e))
		return cli_fail(&e);
	clock_real.wake_fd = store_watch_fd(s);
	rc = follow(r, &sh, timeout_ms ? clock_mono(&clock_real) + timeout_ms : 0, &e);
	if (rc < 0)
		return cli_fail(&e);
	return rc ? report_left(r) : show_end(&sh, r);
}

/* --- the whole -------------------------------------------------------------------------------- */

int drive_run(const struct cli *c, struct store *s, const char *run, bool if_free)
{
	struct show sh = { .cli = c, .store = s, .clock = &clock_real };
	autodriver struct driver d = { .http = { 0 } };
	struct err e = { 0 };
	int rc = 1;

	if (driver_open(&d, s, run, &e))
		return cli_fail(&e);
	catch_signals();
	clock_real.wake_fd = store_watch_fd(s);
	if (if_free)
		rc = follow((struct run *)engine_run(d.engine), &sh, 0, &e);
	if (rc < 0)
		return cli_fail(&e);
	if (!rc || run_is_over(engine_run(d.engine)))
		return show_end(&sh, engine_run(d.engine));
	engine_set_nap(d.engine, is_living(c) ? 1000 : ENGINE_BEAT_MS);
	if (engine_claim(d.engine, &e))
		return cli_fail(&e);
	return driven(&d, &sh, s);
}

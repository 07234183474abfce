#include "cli/drive.h"

#include "aws/aws.h"
#include "aws/cred.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/follow.h"
#include "cli/screen.h"
#include "engine/engine.h"
#include "net/http.h"
#include "steps/registry.h"

#include <signal.h>

/* --- signals ------------------------------------------------------------------------------ */

static volatile int drive_interrupted, drive_terminated, drive_stop;

static void drive_on_signal(int sig)
{
	if (sig == SIGINT)
		drive_interrupted++;
	else
		drive_terminated = 1;
	drive_stop = 1;
}

static void drive_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = drive_on_signal };

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
static int drive_order_interrupt(struct driver *d, struct store *s, struct err *e)
{
	const struct run *r = engine_run(d->engine);

	if (!drive_interrupted || drive_interrupted > 1 || r->state != RUN_FORWARD)
		return 0;
	return engine_order(s, r->id, &clock_real, &(struct engine_order){
		.order = "rollback", .reason = "interrupted at the terminal", .actor = d->actor }, e);
}

static void drive_see(void *ctx, struct engine *en)
{
	screen_show(ctx, engine_run(en), engine_saying(en));
}

static int drive_until_end(struct driver *d, struct screen *sc, struct store *s, struct err *e)
{
	int rc;

	while ((rc = engine_drive(d->engine, drive_see, sc, &drive_stop, e)) == 1) {
		drive_stop = 0;
		if (drive_terminated || drive_interrupted > 1)
			return 1;
		if (drive_order_interrupt(d, s, e))
			return -1;
	}
	return rc;
}

static int drive_on(struct driver *d, struct screen *sc, struct store *s)
{
	struct err e = { 0 };
	int rc = drive_until_end(d, sc, s, &e);

	if (rc > 0)
		return screen_nobody(engine_run(d->engine));
	if (rc < 0)
		return cli_fail(&e);
	return screen_end(sc, engine_run(d->engine));
}

/* --- the whole -------------------------------------------------------------------------------- */

int drive_run(const struct cli *c, struct store *s, const char *run, bool if_free)
{
	struct screen sc = { .cli = c, .store = s, .clock = &clock_real };
	autodriver struct driver d = { .http = { 0 } };
	struct err e = { 0 };
	int rc = 1;

	if (driver_open(&d, s, run, &e))
		return cli_fail(&e);
	drive_catch_signals();
	clock_real.wake_fd = store_watch_fd(s);
	if (if_free)
		rc = follow((struct run *)engine_run(d.engine), &sc, 0, &e);
	if (rc < 0)
		return cli_fail(&e);
	if (!rc || run_is_over(engine_run(d.engine)))
		return screen_end(&sc, engine_run(d.engine));
	engine_set_nap(d.engine, screen_is_living(c) ? 1000 : ENGINE_BEAT_MS);
	if (engine_claim(d.engine, &e))
		return cli_fail(&e);
	return drive_on(&d, &sc, s);
}

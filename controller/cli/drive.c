#include "cli/drive.h"

#include "aws/aws.h"
#include "aws/cred.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/follow.h"
#include "cli/out.h"
#include "cli/screen.h"
#include "cli/signals.h"
#include "engine/engine.h"
#include "net/http.h"
#include "steps/registry.h"

#include <stdio.h>

/* --- driving ------------------------------------------------------------------------------ */

struct driver {
	struct http http;
	struct http_curl *curl;
	struct cred_chain *creds;
	struct engine *engine;
	struct store *store;
	struct screen screen;
	char actor[96];
	bool wants_back;  /* Ctrl-C was pressed, and its order does not stand in the journal yet */
	int64_t again;    /* mono ms it is tried again */
};

static void driver_close(struct driver *d)
{
	signals_release();
	engine_close(d->engine);
	if (d->creds)
		cred_chain_free(d->creds);
	if (d->curl)
		http_curl_free(d->curl);
}
#define autodriver __attribute__((cleanup(driver_close)))

static int driver_open(struct driver *d, struct store *s, const char *run, struct err *e)
{
	d->store = s;
	d->curl = http_curl_new(getenv("AWS_CA_BUNDLE"));
	d->http = (struct http){ http_curl_send, d->curl };
	d->creds = cred_chain_new(&d->http, &clock_real);
	cli_actor(d->actor, sizeof d->actor);
	return engine_open(&(struct engine_opts){ .store = s, .kinds = step_kinds, .clock = &clock_real,
						  .http = &d->http, .creds = d->creds, .run = run, .actor = d->actor },
			   &d->engine, e);
}

/* --- Ctrl-C ------------------------------------------------------------------------------------ */

#define DRIVE_AGAIN_MS 1000

/* What a person pressed is kept until it can be written: a full disk does not
 * turn "go back" into "leave green alone". */
static void drive_keep_order(struct driver *d, const struct err *why)
{
	bool first = !d->screen.notice[0];

	d->again = clock_mono(&clock_real) + DRIVE_AGAIN_MS;
	snprintf(d->screen.notice, sizeof d->screen.notice, "your Ctrl-C is kept: %.250s. The rollback is ordered as soon as that line can be written",
		 why->msg);
	if (first && !screen_is_living(d->screen.cli))
		out_error("cutover: %s\n", d->screen.notice);
}

static void drive_order_back(struct driver *d)
{
	const struct run *r = engine_run(d->engine);
	struct err e = { 0 };

	if (r->state != RUN_FORWARD)
		d->wants_back = false;
	if (!d->wants_back || clock_mono(&clock_real) < d->again)
		return;
	if (engine_order(d->store, r->id, &clock_real, &(struct engine_order){
		.kind = ORDER_ROLLBACK, .reason = "interrupted at the terminal", .actor = d->actor }, NULL, &e)) {
		drive_keep_order(d, &e);
		return;
	}
	d->wants_back = false;
	d->screen.notice[0] = '\0';
}

static const char *drive_keys(const struct run *r)
{
	if (signals_interrupts())
		return "Ctrl-C: leaves, and nobody drives the run then";
	if (r->state != RUN_FORWARD)
		return "Ctrl-C twice: leaves, and nobody drives the run then";
	return r->one_way ? "Ctrl-C: stops the run (the way back is closed); twice: leaves" : "Ctrl-C: rolls back; twice: leaves";
}

/* --- to the end --------------------------------------------------------------------------------- */

static void drive_see(void *driver, struct engine *en)
{
	struct driver *d = driver;
	const struct run *r = engine_run(en);

	drive_order_back(d);
	d->screen.keys = drive_keys(r);
	screen_show(&d->screen, r, engine_saying(en));
}

/* Ctrl-C: abort is rollback. The second one leaves; the journal stays, and the
 * next `cutover resume` goes on. */
static int drive_until_end(struct driver *d, struct err *e)
{
	int rc;

	while ((rc = engine_drive(d->engine, drive_see, d, &signals_came, e)) == 1) {
		signals_came = 0;
		if (signals_terminated() || signals_interrupts() > 1)
			return 1;
		d->wants_back = true;
		drive_order_back(d);
	}
	return rc;
}

static int drive_left(struct driver *d)
{
	const struct run *r = engine_run(d->engine);

	if (d->wants_back)
		out_error("cutover: the rollback that you wanted was NOT ordered, since its line could not be written\n");
	return screen_nobody(r);
}

static int drive_on(struct driver *d)
{
	struct err e = { 0 };
	int rc = drive_until_end(d, &e);

	if (rc > 0)
		return drive_left(d);
	if (rc < 0)
		return cli_fail(&e);
	return screen_end(&d->screen, engine_run(d->engine));
}

/* --- the whole -------------------------------------------------------------------------------- */

/* Follows who drives; FOLLOW_NOBODY: this process holds the run now. Of two that
 * claim it at once, one follows the other. */
static enum follow_end drive_when_free(struct driver *d, struct err *e)
{
	struct run *r = (struct run *)engine_run(d->engine);
	struct follow f = { .run = r, .screen = &d->screen, .show = follow_show, .holds = run_is_over };
	enum follow_end end;

	signals_follow(d->engine);
	while ((end = follow(&f, e)) == FOLLOW_NOBODY && !signals_leave()) {
		if (!engine_claim(d->engine, e))
			return end;
		if (e->kind != ERR_LOST && e->kind != ERR_MOVED && e->kind != ERR_CANCELLED)
			return FOLLOW_ERROR;
		if (run_catch_up(r, d->store, e))
			return FOLLOW_ERROR;
	}
	return end;
}

static int drive_or_follow(struct driver *d)
{
	struct err e = { 0 };
	enum follow_end end = drive_when_free(d, &e);

	if (end != FOLLOW_NOBODY || signals_leave())
		return follow_said(&d->screen, engine_run(d->engine), end, &e);
	signals_drive(d->engine);
	return drive_on(d);
}

static int drive_at_once(struct driver *d)
{
	struct err e = { 0 };

	signals_drive(d->engine);
	return engine_claim(d->engine, &e) ? cli_fail(&e) : drive_on(d);
}

int drive_run(const struct cli *c, struct store *s, const char *run, bool if_free)
{
	autodriver struct driver d = { .http = { 0 } };
	struct err e = { 0 };

	screen_open(&d.screen, c, s);
	if (driver_open(&d, s, run, &e))
		return cli_fail(&e);
	clock_real.wake_fd = store_watch_fd(s);
	engine_set_nap(d.engine, screen_is_living(c) ? 1000 : ENGINE_BEAT_MS);
	return if_free ? drive_or_follow(&d) : drive_at_once(&d);
}

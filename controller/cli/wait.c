/* cli/wait.c - waits for a run, and says what the run waits for and until when:
 * at the start, on each change, and once a minute. */
#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "cli/driven.h"
#include "cli/follow.h"
#include "cli/out.h"
#include "cli/say.h"
#include "cli/screen.h"
#include "cli/signals.h"
#include "engine/run.h"
#include "steps/registry.h"

#include <stdio.h>
#include <string.h>

#define WAIT_SAY_EVERY_MS 60000

/* What --for may name, and when it holds. */
static bool wait_is_over(const struct run *r) { return run_is_over(r); }
static bool wait_is_promoted(const struct run *r) { return run_is_over(r) && r->state == RUN_PROMOTED; }
static bool wait_is_rolled_back(const struct run *r) { return run_is_over(r) && r->state == RUN_ROLLED_BACK; }
static bool wait_is_asking(const struct run *r) { return run_question(r, NULL); }

static const struct goal {
	const char *name, *said;
	bool (*holds)(const struct run *r);
} goals[] = {
	{ "over", "the end", wait_is_over },
	{ "promoted", "promotion", wait_is_promoted },
	{ "rolled-back", "the way back to end", wait_is_rolled_back },
	{ "approval", "an approval to be asked for", wait_is_asking },
};

struct waiting {
	const struct goal *goal;
	bool named;       /* by --for: 0 when it came true, whatever it is */
	int64_t until;    /* wall ms; 0: no limit */
	char key[256];    /* of what was said last: it changes when that does */
	int64_t said_at;  /* mono ms */
};

/* --- saying ------------------------------------------------------------------------------- */

static json_t *wait_json(const struct waiting *w, const struct run *r, const char *says)
{
	json_t *j = driven_json(r, driven_look(r));
	char now[21], until[21];

	clock_iso(clock_wall(&clock_real), now);
	clock_iso(w->until, until);
	json_object_update_new(j, json_pack("{s:s, s:s, s:s, s:s*, s:s, s:b, s:o*}", "at", now, "run", r->id, "waits_for", w->goal->name,
					    "until", w->until ? until : NULL, "state", run_state_name(r->state), "paused",
					    r->paused, "now", say_now_json(r)));
	if (*says)
		json_object_set_new(j, "says", json_text(says));
	return j;
}

static void wait_print_json(json_t *doc)
{
	autojson json_t *mine = doc;
	autofree char *text = json_flat(mine);

	out_line(text);
}

static void wait_print_text(const struct waiting *w, const struct run *r, const char *says)
{
	autobuf struct buf line = BUF_MAX(2048);
	char hms[9];

	clock_hms(clock_wall(&clock_real), hms);
	buf_addf(&line, "%s waiting     for %s of run %s", hms, w->goal->said, r->id);
	if (w->until) {
		clock_hms(w->until, hms);
		buf_addf(&line, ", until %s UTC", hms);
	}
	buf_adds(&line, ". It is ");
	say_now(r, &line);
	if (*says)
		buf_addf(&line, ": %s", says);
	buf_adds(&line, "; driven by ");
	say_holder(r, &line);
	out_line(line.p);
}

static void wait_say(struct follow *f)
{
	struct waiting *w = f->ctx;
	const struct run *r = f->run;
	int64_t now = clock_mono(&clock_real);
	struct store_said said;
	char key[sizeof w->key];
	const char *says = driven_said(f->screen->store, r, &said) ? said.text : "";

	snprintf(key, sizeof key, "%d %d %d %zu %d %.200s", r->state, r->paused, r->attempt, run_current_index(r), *says != 0,
		 r->holder);
	if (!strcmp(key, w->key) && now - w->said_at < WAIT_SAY_EVERY_MS)
		return;
	memcpy(w->key, key, sizeof key);
	w->said_at = now;
	if (f->screen->cli->json)
		wait_print_json(wait_json(w, r, says));
	else
		wait_print_text(w, r, says);
}

/* --- the end --------------------------------------------------------------------------------- */

/* 0 is never said of a run that ended otherwise. */
static int wait_code(const struct waiting *w, const struct run *r)
{
	int code = run_exit_code(r);

	if (w->goal->holds(r) && w->named)
		return CUTOVER_EXIT_OK;
	if (code == CUTOVER_EXIT_OK && !w->goal->holds(r))
		return CUTOVER_EXIT_INTERNAL;
	return code;
}

static int wait_ended(const struct waiting *w, const struct follow *f, enum follow_end end)
{
	const struct run *r = f->run;
	int code = wait_code(w, r);

	if (f->screen->cli->json)
		wait_print_json(json_pack("{s:s, s:s, s:b, s:s, s:o, s:i}", "run", r->id, "waits_for", w->goal->name, "came_true",
					  w->goal->holds(r), "state", run_state_name(r->state), "why", json_text(r->why), "exit_code",
					  code));
	else if (!w->goal->holds(r))
		out_error("cutover: run %s is %s: %s\n", r->id, run_state_name(r->state),
			  end == FOLLOW_TIME ? "the time is up" : "what was waited for will not come");
	return code;
}

static int wait_follow(const struct cli *c, struct store *s, struct run *r, struct waiting *w, int64_t ms)
{
	struct screen sc;
	struct follow f = { .run = r, .screen = &sc, .until = ms >= 0 ? clock_mono(&clock_real) + ms : 0, .holds = w->goal->holds,
			    .show = wait_say, .ctx = w };
	struct err e = { 0 };
	enum follow_end end;

	screen_open(&sc, c, s);
	clock_real.wake_fd = store_watch_fd(s);
	signals_follow(NULL);
	w->until = ms >= 0 ? clock_wall(&clock_real) + ms : 0;
	end = follow(&f, &e);
	return end == FOLLOW_OVER || end == FOLLOW_TIME ? wait_ended(w, &f, end) : follow_said(&sc, r, end, &e);
}

/* ms negative: as long as it takes; 0: one look. */
static int wait_for(const struct cli *c, struct waiting *w, int64_t ms)
{
	autostore struct store *s = NULL;
	autorun struct run *r = NULL;
	autofree char *id = NULL;
	struct err e = { 0 };

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e) || run_load(s, id, step_kinds, &r, &e))
		return cli_fail(&e);
	return wait_follow(c, s, r, w, ms);
}

static int wait_run(struct cli *c)
{
	const char *what = cli_opt(c, "for"), *limit = cli_opt(c, "timeout");
	struct waiting w = { .goal = goals, .named = what };
	struct err e = { 0 };
	int64_t ms = -1;

	while (what && w.goal < goals + COUNT(goals) && strcmp(w.goal->name, what))
		w.goal++;
	if (w.goal == goals + COUNT(goals))
		return cli_usage(c, "--for takes over, promoted, rolled-back or approval, not \"%s\"", what);
	if (limit && duration_parse(limit, &ms, &e))
		return cli_usage(c, "--timeout: %s", e.msg);
	return wait_for(c, &w, ms);
}

const struct cli_command cli_wait = {
	.name = "wait", .args = "[RUN]", .about = "wait until a run is over, promoted, rolled back, or asks for approval",
	.run = wait_run, .acts = true, .max_args = 1,
	.options = (const struct cli_option[]){
		{ "for", "STATE", "over, promoted, rolled-back, approval" },
		{ "timeout", "DURATION", "PT30M; exit code 7 when it ends first" }, { 0 } },
	.detail = "With --for: 0 when what was waited for came true, whatever it is. When the run ends otherwise: its own code (3\n"
		  "rolled back, 4 frozen, 5 refused), and 1 where that would be 0. Without --for: until the run is over, and its own\n"
		  "code (0 promoted). 7: the time is up, nobody drives the run, or a signal came.\n"
		  "It prints what the run waits for at the start, on each change, and once a minute.",
};

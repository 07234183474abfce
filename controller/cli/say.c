#include "cli/say.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/text.h"
#include "cli/say_order.h"
#include "engine/engine.h"
#include "engine/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- one event, one line ------------------------------------------------------------ */

typedef void say_fn(const struct event *ev, const json_t *b, struct buf *out);

static double percent(const json_t *b)
{
	return (double)json_num(b, "permille", 0) / 10;
}

static void say_start(const struct event *ev, const json_t *b, struct buf *out)
{
	buf_addf(out, "run %s of plan %s, started by %s", ev->run, json_str(b, "file", "?"), ev->actor);
}

static void say_claim(const struct event *ev, const json_t *b, struct buf *out)
{
	(void)ev;
	buf_addf(out, "driven by %s%s%s", json_str(b, "holder", "?"), json_object_get(b, "from") ? ", taken over from " : "",
		 json_str(b, "from", ""));
}

static void say_order(const struct event *ev, const json_t *b, struct buf *out)
{
	buf_addf(out, "%s ordered by %s%s%s", json_str(b, "order", "?"), ev->actor,
		 *json_str(b, "reason", "") ? ": " : "", json_str(b, "reason", ""));
}

static void say_asks(const struct event *ev, const json_t *b, struct buf *out)
{
	char until[21];

	clock_iso(json_num(b, "until", 0), until);
	buf_addf(out, "%s: %s (until %s, then %s: `cutover promote %s --answer %s@%lld`)", ev->step, json_str(b, "question", "?"),
		 until, json_str(b, "default", "?"), ev->run, ev->step, (long long)ev->seq);
}

static void say_begin(const struct event *ev, const json_t *b, struct buf *out)
{
	(void)b;
	buf_addf(out, "step %s begins", ev->step);
}

static void say_done(const struct event *ev, const json_t *b, struct buf *out)
{
	(void)b;
	buf_addf(out, "step %s is done", ev->step);
}

static void say_failed(const struct event *ev, const json_t *b, struct buf *out)
{
	buf_addf(out, "step %s failed: %s", ev->step, json_str(b, "error", "?"));
}

static void say_undone(const struct event *ev, const json_t *b, struct buf *out)
{
	const char *left = json_str(b, "left", NULL);

	if (left)
		buf_addf(out, "step %s is left as it is: %s", ev->step, left);
	else
		buf_addf(out, "step %s is taken back", ev->step);
}

/* A change set is shown before it is executed: each change on the same line. */
static void add_changes(const json_t *changes, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(changes, i, v)
		buf_addf(out, "%s %s %s (%s)%s", i ? "," : ":", json_str(v, "action", "?"), json_str(v, "logical", "?"),
			 json_str(v, "type", "?"), strcmp(json_str(v, "replacement", ""), "True") ? "" : " by REPLACEMENT");
}

static void say_clock(const struct event *ev, const json_t *b, struct buf *out)
{
	int64_t by = json_num(b, "by_ms", 0);
	char off[32];

	(void)ev;
	duration_say(by < 0 ? -by : by, off);
	buf_addf(out, "this machine's clock is %s %s AWS's: AWS's time is used from here on; set the clock right (NTP)", off,
		 by < 0 ? "ahead of" : "behind");
}

static void say_note(const struct event *ev, const json_t *b, struct buf *out)
{
	const char *text = json_str(b, "text", NULL);

	buf_addf(out, "%s: %s%s%s", ev->step, json_str(b, "what", ""), text ? ": " : "", text ? text : "");
	add_changes(json_object_get(b, "changes"), out);
}

/* A weight of -1 is none: its colour is not named. */
static const char *weight_said(const json_t *b, const char *key, char out[24])
{
	json_int_t w = json_num(b, key, 0);

	snprintf(out, 24, "%lld", (long long)w);
	return w < 0 ? "off the rule" : out;
}

static void say_write(const struct event *ev, const json_t *b, struct buf *out)
{
	(void)ev;
	if (json_num(b, "green", 0) < 0)
		buf_adds(out, "taking green off the rule");
	else if (json_num(b, "blue", 0) < 0)
		buf_adds(out, "taking blue off the rule");
	else
		buf_addf(out, "setting the weights to %.1f %% green", percent(b));
}

static void say_weights(const struct event *ev, const json_t *b, struct buf *out)
{
	char blue[24], green[24];

	(void)ev;
	buf_addf(out, "AWS confirms %.1f %% green (blue %s, green %s)", percent(b), weight_said(b, "blue", blue),
		 weight_said(b, "green", green));
}

static void say_unsure(const struct event *ev, const json_t *b, struct buf *out)
{
	(void)ev, (void)b;
	buf_adds(out, "AWS did not say whether that was done: looking");
}

static void say_foreign(const struct event *ev, const json_t *b, struct buf *out)
{
	char blue[24], green[24], was_blue[24], was_green[24];

	(void)ev;
	buf_addf(out, "SOMEBODY ELSE set the weights to blue %s, green %s; this run had left %s and %s", weight_said(b, "blue", blue),
		 weight_said(b, "green", green), weight_said(b, "left_blue", was_blue), weight_said(b, "left_green", was_green));
}

static void say_history(const struct event *ev, const json_t *b, struct buf *out)
{
	const json_t *n = json_object_get(b, "requests"), *x = json_object_get(b, "errors");
	const char *zone = json_str(b, "zone", NULL);
	double requests = 0, errors = 0;

	(void)ev;
	for (size_t i = 0; i < json_array_size(n); i++) {
		requests += json_number_value(json_array_get(n, i));
		errors += json_number_value(json_array_get(x, i));
	}
	buf_addf(out, "blue's last %lld periods are what green is compared with: %.2g %% failed", (long long)json_num(b, "periods", 0),
		 requests > 0 ? 100 * errors / requests : 0);
	if (zone)
		buf_addf(out, "; how much healthy groups differ is learnt from %s and the rest", zone);
	else
		buf_adds(out, "; there are no availability zones to learn from how much healthy groups differ: chance alone is supposed");
}

static void say_verdict(const struct event *ev, const json_t *b, struct buf *out)
{
	(void)ev;
	buf_addf(out, "%s (%s): %s", json_str(b, "verdict", "?"), json_str(b, "rule", ""), json_str(b, "why", ""));
}

static void say_proved(const struct event *ev, const json_t *b, struct buf *out)
{
	(void)ev;
	buf_addf(out, "proved that green is free of requests (%s)", json_str(b, "by", "?"));
}

static void say_why(const struct event *ev, const json_t *b, struct buf *out)
{
	static const char *const texts[EVENT_KINDS] = {
		[EVENT_BACK] = "ROLLING BACK",
		[EVENT_PROMOTED] = "PROMOTED",
		[EVENT_REFUSED] = "REFUSED, nothing was touched",
		[EVENT_STOPPED] = "STOPPED, nothing was touched",
		[EVENT_FROZEN] = "FROZEN, a person is needed",
		[EVENT_CALL] = "calling a person",
		[EVENT_ATTEMPT] = "another attempt",
		[EVENT_TROUBLE] = "trouble",
	};
	const char *text = texts[event_kind_of(ev)], *why = json_str(b, "why", json_str(b, "what", ""));

	text = text ? text : ev->kind;
	buf_addf(out, "%s%s%s", text, *why ? ": " : "", why);
}

/* What that rests on stands in the line; one of an older program does not say. */
static void say_rolled_back(const struct event *ev, const json_t *b, struct buf *out)
{
	const char *traffic = json_str(b, "traffic", ""), *why = json_str(b, "why", "");

	(void)ev;
	buf_addf(out, "ROLLED BACK%s%s%s%s", *traffic ? ", " : "", traffic, *why ? ": " : "", why);
}

static say_fn *const sayings[EVENT_KINDS] = {
	[EVENT_START] = say_start, [EVENT_CLAIM] = say_claim, [EVENT_ORDER] = say_order, [EVENT_ASKS] = say_asks, [EVENT_BEGIN] = say_begin,
	[EVENT_DONE] = say_done, [EVENT_FAILED] = say_failed, [EVENT_UNDONE] = say_undone, [EVENT_NOTE] = say_note,
	[EVENT_WRITE] = say_write, [EVENT_WEIGHTS] = say_weights, [EVENT_UNSURE] = say_unsure, [EVENT_FOREIGN] = say_foreign,
	[EVENT_VERDICT] = say_verdict, [EVENT_HISTORY] = say_history, [EVENT_PROVED] = say_proved, [EVENT_BACK] = say_why, [EVENT_ROLLED_BACK] = say_rolled_back,
	[EVENT_PROMOTED] = say_why, [EVENT_REFUSED] = say_why, [EVENT_STOPPED] = say_why, [EVENT_FROZEN] = say_why, [EVENT_CALL] = say_why,
	[EVENT_ATTEMPT] = say_why, [EVENT_TROUBLE] = say_why, [EVENT_CLOCK] = say_clock,
};

static void say_what_became(const struct run *r, const struct event *ev, struct buf *out)
{
	const struct run_order *o = r ? run_order(r, ev->seq) : NULL;

	if (!o)
		return;
	buf_adds(out, " - ");
	say_effect(r, o, out);
}

bool say_event(const struct run *r, const struct event *ev, struct buf *out)
{
	autojson json_t *body = json_loads(ev->body, 0, NULL);
	autobuf struct buf line = BUF_MAX(16384);
	say_fn *fn = sayings[event_kind_of(ev)];
	char hms[9];

	if (!fn)
		return false;
	clock_hms(ev->at, hms);
	buf_addf(&line, "%s %-11s ", hms, ev->kind);
	fn(ev, body, &line);
	say_what_became(r, ev, &line);
	text_add_line(out, line.p, line.len);
	return true;
}

char *say_event_json(const struct run *r, const struct event *ev)
{
	const struct run_order *o = r ? run_order(r, ev->seq) : NULL;
	autojson json_t *body = json_loads(ev->body, 0, NULL);
	autojson json_t *line = json_pack("{s:s, s:I, s:I, s:o, s:s, s:s, s:O*, s:s, s:s, s:o*}", "run", ev->run, "seq",
					  (json_int_t)ev->seq, "at", (json_int_t)ev->at, "actor", json_line(ev->actor), "kind",
					  ev->kind, "step", ev->step, "body", body, "prev", ev->prev, "hash", ev->hash,
					  "effect", o ? say_effect_json(r, o) : NULL);

	return json_flat(line ? line : json_null());
}

/* --- the living screen ----------------------------------------------------------------- */

struct ink {
	const char *bold, *dim, *blue, *green, *red, *off;
};

static const struct ink *ink(bool color)
{
	static const struct ink on = { "\033[1m", "\033[2m", "\033[34m", "\033[32m", "\033[31m", "\033[0m" };
	static const struct ink none = { "", "", "", "", "", "" };

	return color ? &on : &none;
}

static void head_line(const struct run *r, long long now, const struct ink *k, struct buf *out)
{
	bool bad = r->state == RUN_BACK || r->state == RUN_FROZEN || r->state == RUN_ROLLED_BACK;
	char age[32];

	duration_say(now - r->started, age);
	buf_addf(out, "%s%s%s  %s%s%s%s  %s", k->bold, r->id, k->off, bad ? k->red : k->green, run_state_name(r->state),
		 k->off, r->paused ? " (paused)" : "", age);
	if (r->attempt > 1)
		buf_addf(out, "  attempt %d", r->attempt);
	buf_adds(out, "\n");
}

static void steps_line(const struct run *r, const struct ink *k, struct buf *out)
{
	static const char *const marks[] = {
		[STEP_IS_TODO] = "·", [STEP_IS_DOING] = "▶", [STEP_IS_DONE] = "✓", [STEP_IS_UNDONE] = "↩",
	};

	buf_adds(out, "steps   ");
	for (size_t i = 0; i < r->plan->nsteps; i++) {
		bool now = r->step[i].state == STEP_IS_DOING;

		buf_addf(out, " %s%s %s%s", now ? k->bold : k->dim, marks[r->step[i].state], r->plan->steps[i].id, k->off);
	}
	buf_adds(out, "\n");
}

static void bar(struct buf *out, double share, const char *color, const char *off)
{
	buf_adds(out, color);
	for (int i = 0; i < 20; i++)
		buf_adds(out, i < share * 20 - 0.25 ? "█" : "░");
	buf_adds(out, off);
}

static void traffic_line(const struct run *r, const struct ink *k, struct buf *out)
{
	double green = run_green_share(r);

	if (green < 0) {
		buf_adds(out, "traffic  unknown: AWS has not answered\n");
		return;
	}
	buf_adds(out, "traffic  blue ");
	bar(out, 1 - green, k->blue, k->off);
	buf_addf(out, " %5.1f %%   green ", 100 * (1 - green));
	bar(out, green, k->green, k->off);
	buf_addf(out, " %5.1f %%%s\n", 100 * green,
		 r->traffic.writing ? "  (writing)" : r->traffic.foreign ? "  (somebody else's)" : "");
}

static void colour_line(const char *name, const json_t *c, const char *color, const struct ink *k, struct buf *out)
{
	double n = json_dbl(c, "requests", 0), bad = json_dbl(c, "errors", 0), ms = json_dbl(c, "latency_ms", -1);

	if (!c)
		return;
	buf_addf(out, "%s%-8s%s %.0f requests in this stage, %.0f failed (%.2f %%)", color, name, k->off, n, bad,
		 n > 0 ? 100 * bad / n : 0);
	if (ms >= 0)
		buf_addf(out, ", %.0f ms", ms);
	if (json_num(c, "healthy", -1) >= 0)
		buf_addf(out, ", %lld of %lld targets healthy", (long long)json_num(c, "healthy", 0),
			 (long long)json_num(c, "targets", 0));
	buf_adds(out, "\n");
}

static void rate_said(const char *name, const json_t *r, struct buf *out)
{
	buf_addf(out, "%s %.2g %% (%.2g to %.2g)", name, 100 * json_number_value(json_array_get(r, 0)),
		 100 * json_number_value(json_array_get(r, 1)), 100 * json_number_value(json_array_get(r, 2)));
}

static void evidence_line(const json_t *e, struct buf *out)
{
	double log_e = json_dbl(e, "log_e", 0), limit = json_dbl(e, "limit", 0);

	if (!e)
		return;
	buf_addf(out, "evidence %.3g against green, BAD at %.3g; failed since the start: ", exp(log_e < 300 ? log_e : 300), exp(limit));
	rate_said("green", json_object_get(e, "green"), out);
	rate_said(", blue", json_object_get(e, "blue"), out);
	buf_adds(out, "\n");
}

/* Of a line that may be older than the program that cleans what it writes. */
static void add_line(struct buf *out, const char *text)
{
	text_add_line(out, text, strlen(text));
	buf_adds(out, "\n");
}

static void missing_lines(const json_t *missing, struct buf *out)
{
	const char *what;
	json_t *why;

	json_object_foreach((json_t *)missing, what, why) {
		buf_addf(out, "unread   %s: ", what);
		add_line(out, json_string_value(why) ? json_string_value(why) : "?");
	}
}

static void verdict_lines(const struct run *r, const struct ink *k, struct buf *out)
{
	const char *v = json_str(r->verdict, "verdict", "");

	if (!r->verdict || r->state != RUN_FORWARD)
		return;
	colour_line("green", json_object_get(r->verdict, "green"), k->green, k, out);
	colour_line("blue", json_object_get(r->verdict, "blue"), k->blue, k, out);
	buf_addf(out, "verdict  %s%s%s  ", !strcmp(v, "BAD") || !strcmp(v, "BLIND") ? k->red : k->bold, v, k->off);
	add_line(out, json_str(r->verdict, "why", ""));
	missing_lines(json_object_get(r->verdict, "missing"), out);
	evidence_line(json_object_get(r->verdict, "evidence"), out);
}

/* Which step it is, what comes after it, and who does it. */
static void driver_line(const struct run *r, struct buf *out)
{
	size_t i = run_current_index(r), n = r->plan->nsteps;

	if (r->state != RUN_FORWARD && r->state != RUN_BACK)
		return;
	buf_adds(out, "driver   ");
	say_holder(r, out);
	if (r->state == RUN_FORWARD && i < n)
		buf_addf(out, "; step %zu of %zu: %s (%s)", i + 1, n, r->plan->steps[i].id, r->plan->steps[i].kind->name);
	if (r->state == RUN_FORWARD && i + 1 < n)
		buf_addf(out, ", then %s (%s)", r->plan->steps[i + 1].id, r->plan->steps[i + 1].kind->name);
	buf_adds(out, "\n");
}

void say_screen(const struct run *r, const char *saying, long long now, bool color, struct buf *out)
{
	const struct ink *k = ink(color);
	const struct step *cur = run_current(r);

	head_line(r, now, k, out);
	say_question(r, now, out);
	steps_line(r, k, out);
	driver_line(r, out);
	traffic_line(r, k, out);
	verdict_lines(r, k, out);
	if (r->state == RUN_BACK)
		buf_addf(out, "because  %s\n", r->why);
	if (cur && *saying) {
		buf_addf(out, "now      %s: ", r->state == RUN_FORWARD ? cur->id : "rollback");
		add_line(out, saying);
	}
}

/* --- where it stands, and who drives ------------------------------------------------------ */

void say_now(const struct run *r, struct buf *out)
{
	size_t i = run_current_index(r), n = r->plan->nsteps;

	buf_addf(out, "%s%s", run_state_name(r->state), r->paused ? " (paused)" : "");
	if (r->state == RUN_FORWARD && i < n)
		buf_addf(out, ", step %zu of %zu: %s (%s)", i + 1, n, r->plan->steps[i].id, r->plan->steps[i].kind->name);
}

json_t *say_now_json(const struct run *r)
{
	size_t i = run_current_index(r), n = r->plan->nsteps;

	if (r->state != RUN_FORWARD || i >= n)
		return NULL;
	return json_pack("{s:s, s:s, s:i, s:i}", "step", r->plan->steps[i].id, "do", r->plan->steps[i].kind->name, "place",
			 (int)i + 1, "of", (int)n);
}

void say_holder(const struct run *r, struct buf *out)
{
	char host[64];
	long pid;

	if (engine_holder_place(r, host, &pid))
		buf_addf(out, "%s, pid %ld", host, pid);
	else
		buf_adds(out, r->holder[0] ? r->holder : "nobody");
}

/* --- the end ------------------------------------------------------------------------------ */

static void outcome_word(const struct run *r, struct buf *out)
{
	static const char *const ends[RUN_STATES] = {
		[RUN_FORWARD] = "still going forward", [RUN_BACK] = "still rolling back",
		[RUN_PROMOTED] = "PROMOTED: all steps are done", [RUN_ROLLED_BACK] = "ROLLED BACK: ",
		[RUN_FROZEN] = "FROZEN: a person is needed", [RUN_REFUSED] = "REFUSED: nothing was touched",
	};
	char back[240] = "";

	if (r->state == RUN_ROLLED_BACK)
		run_say_back(r, back);
	buf_addf(out, "%s%s", r->stopped ? "STOPPED: nothing was touched" : ends[r->state], back);
}

static void outcome_traffic(const struct run *r, struct buf *out)
{
	double green = run_green_share(r);

	if (green < 0)
		buf_adds(out, "how much of the weight green has is unknown: AWS has not answered\n");
	else
		buf_addf(out, "green had %.1f %% of the weight when AWS was last read\n", 100 * green);
}

void say_outcome(const struct run *r, struct buf *out)
{
	char age[32];

	duration_say(r->changed - r->started, age);
	outcome_word(r, out);
	buf_addf(out, "  (run %s, %s)\n", r->id, age);
	if (r->why[0])
		buf_addf(out, "because %s\n", r->why);
	outcome_traffic(r, out);
}

/* engine/run.c - folds events into a run. One small function per event kind,
 * found in a table; an event that the table does not know is refused, since a
 * newer program may have meant something we must not ignore. */
#include "engine/run.h"

#include "base/err.h"
#include "engine/copy.h"
#include "engine/format.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

const struct run_transition run_transitions[] = {
	{ RUN_FORWARD, EVENT_BACK, RUN_BACK, "green is worse, a step failed, or somebody ordered it" },
	{ RUN_FORWARD, EVENT_PROMOTED, RUN_PROMOTED, "all steps are done" },
	{ RUN_FORWARD, EVENT_REFUSED, RUN_REFUSED, "a safety check said no before anything was touched" },
	{ RUN_FORWARD, EVENT_STOPPED, RUN_REFUSED, "somebody ordered it back before anything was touched" },
	{ RUN_FORWARD, EVENT_FROZEN, RUN_FROZEN, "the way back is closed: a person is needed" },
	{ RUN_BACK, EVENT_ROLLED_BACK, RUN_ROLLED_BACK, "traffic is proved on blue, or green never had any" },
	{ RUN_BACK, EVENT_FROZEN, RUN_FROZEN, "traffic cannot be put or proved on blue: a person is needed" },
	{ RUN_PROMOTED, EVENT_BACK, RUN_BACK, "somebody ordered it while blue is still there" },
	{ RUN_FROZEN, EVENT_BACK, RUN_BACK, "a person ordered it" },
	{ RUN_ROLLED_BACK, EVENT_ATTEMPT, RUN_FORWARD, "a person ordered another try" },
	{ RUN_REFUSED, EVENT_ATTEMPT, RUN_FORWARD, "a person ordered another try" },
};
const size_t run_ntransitions = COUNT(run_transitions);

static const char *const state_names[RUN_STATES] = {
	"going forward", "rolling back", "promoted", "rolled back", "frozen", "refused",
};

const char *run_state_name(enum run_state s)
{
	return (unsigned)s < RUN_STATES ? state_names[s] : "?";
}

static void copy(char *out, size_t size, const char *s)
{
	text_line(out, size, s);
}

/* Of an event whose row below says `of_step`: that the plan has it was looked at before. */
static struct run_step *step_of(struct run *r, const struct event *ev)
{
	const struct step *s = plan_step(r->plan, ev->step);

	if (!s)
		abort();
	return &r->step[s - r->plan->steps];
}

static unsigned flags_of(const struct run *r, const struct run_step *s)
{
	return r->plan->steps[s - r->step].kind->flags;
}

/* --- one function per event kind -------------------------------------------- */

typedef int fold_fn(struct run *r, const struct event *ev, const json_t *body, struct err *e);

static const struct run_transition *transition_of(enum run_state s, enum event_kind k)
{
	for (size_t i = 0; i < run_ntransitions; i++)
		if (run_transitions[i].from == s && run_transitions[i].event == k)
			return &run_transitions[i];
	return NULL;
}

enum run_state run_state_after(enum run_state s, enum event_kind k)
{
	const struct run_transition *t = transition_of(s, k);

	return t ? t->to : s;
}

static int transit(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	const struct run_transition *t = transition_of(r->state, event_kind_of(ev));

	if (!t)
		return err_set(e, ERR_BUG, "line %lld of the journal says \"%s\" while the run is %s",
			       (long long)ev->seq, ev->kind, run_state_name(r->state));
	r->state = t->to;
	r->state_since = ev->at;
	r->state_seq = ev->seq;
	copy(r->why, sizeof r->why, json_str(body, "why", ""));
	copy(r->by, sizeof r->by, json_str(body, "by", ev->actor));
	orders_settle(r, ev);
	return 0;
}

static int fold_nothing(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	(void)r, (void)ev, (void)body, (void)e;
	return 0;
}

/* Of a line that may carry one. */
static int fold_check_format(const struct event *ev, const json_t *body, struct err *e)
{
	int64_t format = json_num(body, "format", 1);

	if (format <= RUN_FORMAT)
		return 0;
	return err_set(e, ERR_GATE,
		       "run %s has been driven by a newer cutover%s%s, whose journal has format %lld; this one (" CUTOVER_VERSION ") knows formats up to %d and would misread it: use that program; `cutover events %s` shows the lines",
		       ev->run, *json_str(body, "program", "") ? " " : "", json_str(body, "program", ""), (long long)format, RUN_FORMAT,
		       ev->run);
}

/* A write was announced whose end nobody read, or will read: it may still arrive. */
static void doubt(struct run *r, const struct event *ev)
{
	r->traffic.unsure = ev->at;
	r->traffic.unsure_seq = ev->seq;
}

static int fold_claim(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	if (fold_check_format(ev, body, e))
		return -1;
	if (strcmp(r->holder, json_str(body, "holder", ""))) {
		r->clock_from = r->holder[0] ? ev->at : r->started;
		r->clock_apart = ev->at - r->changed;
	}
	copy(r->holder, sizeof r->holder, json_str(body, "holder", ""));
	r->claim_seq = ev->seq;
	if (r->traffic.writing) /* of a holder whose answer nobody reads any more: it may be on its way */
		doubt(r, ev);
	return 0;
}

struct shift {
	int64_t from, to, by; /* wall ms, of the clock that was wrong */
};

static bool shift_time(const struct shift *s, int64_t *at)
{
	bool meant = *at && *at >= s->from && *at <= s->to;

	if (meant)
		*at += s->by;
	return meant;
}

/* The driver's clock was put right by AWS's: what it has timed since it took the
 * run is as long ago as it was. What another driver has timed is on another clock. */
static int fold_clock(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	struct run_traffic *t = &r->traffic;
	int64_t by = json_num(body, "by_ms", 0);
	const struct shift s = { r->clock_from, ev->at - by, by };
	int64_t *const times[] = { &r->started, &r->state_since, &r->blind_since, &r->proved, &t->since, &t->raised,
				   &t->unsure, &t->foreign };

	(void)e;
	for (size_t i = 0; i < COUNT(times); i++)
		shift_time(&s, times[i]);
	for (size_t i = 0; i < t->raises; i++)
		shift_time(&s, &t->raise[i]);
	for (size_t i = 0; i < r->plan->nsteps; i++) {
		shift_time(&s, &r->step[i].since);
		shift_time(&s, &r->step[i].ended);
		if (shift_time(&s, &r->step[i].ask.at))
			r->step[i].ask.until += by;
	}
	r->clock_from += by;
	return 0;
}

static int fold_begin(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	struct run_step *s = step_of(r, ev);

	(void)body, (void)e;
	s->state = STEP_IS_DOING;
	s->since = ev->at;
	s->began = ev->seq;
	return 0;
}

static int fold_intend(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	struct run_step *s = step_of(r, ev);

	(void)e;
	json_decref(s->memo);
	s->memo = json_incref(json_object_get(body, "memo"));
	if (flags_of(r, s) & STEP_TOUCHES)
		r->touched = true;
	/* Not at `begin`: while a retire step soaks, the way back is open. */
	if (flags_of(r, s) & STEP_ONE_WAY)
		r->one_way = true;
	return 0;
}

static int fold_done(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	struct run_step *s = step_of(r, ev);
	json_t *out = json_object_get(body, "outputs");

	(void)e;
	s->state = STEP_IS_DONE;
	s->ended = ev->at;
	orders_step_done(r, (size_t)(s - r->step));
	if (out)
		json_object_set(r->outputs, ev->step, out);
	return 0;
}

static int fold_undone(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	(void)body, (void)e;
	step_of(r, ev)->state = STEP_IS_UNDONE;
	return 0;
}

static int fold_baseline(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	(void)ev, (void)e;
	if (!r->traffic.baseline)
		r->traffic.baseline = json_incref(json_object_get(body, "groups"));
	return 0;
}

static void fold_seen(struct run_traffic *t, const struct event *ev, const json_t *weights)
{
	t->seen = ev->at;
	t->seen_blue = (int)json_num(weights, "blue", -1);
	t->seen_green = (int)json_num(weights, "green", -1);
}

/* A look before the first write tells what it saw; a step, which order it obeyed. */
static int fold_note(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	const json_t *weights = json_object_get(body, "weights");

	(void)e;
	if (json_is_object(weights))
		fold_seen(&r->traffic, ev, weights);
	orders_noted(r, body);
	return 0;
}

static int fold_write(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	struct run_traffic *t = &r->traffic;

	(void)e;
	if (t->writing) { /* the one before was never answered, and its `unsure` line may have lost to an order */
		run_expect_echo(t, t->to_blue, t->to_green);
		doubt(r, ev);
	}
	t->writing = true;
	t->to_blue = (int)json_num(body, "blue", 0);
	t->to_green = (int)json_num(body, "green", 0);
	t->foreign = 0;
	if (t->to_green > 0 && !t->raised)
		t->raised = ev->at;
	r->touched = true;
	return 0;
}

static int fold_unsure(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	(void)body, (void)e;
	doubt(r, ev);
	return 0;
}

static void add_past(struct run_traffic *t)
{
	if (t->pasts == COUNT(t->past))
		memmove(t->past, t->past + 1, --t->pasts * sizeof *t->past);
	t->past[t->pasts][0] = t->left_blue;
	t->past[t->pasts++][1] = t->left_green;
}

static void add_raise(struct run_traffic *t, int64_t at)
{
	int blue = t->left_blue > 0 ? t->left_blue : 0, green = t->left_green > 0 ? t->left_green : 0;
	double share = blue + green ? (double)green / (blue + green) : 0;

	if (share <= t->share)
		return;
	t->share = share;
	if (t->raises == COUNT(t->raise))
		memmove(t->raise, t->raise + 1, --t->raises * sizeof *t->raise);
	t->raise[t->raises++] = at;
}

static int fold_weights(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	struct run_traffic *t = &r->traffic;

	(void)e;
	if (t->known)
		add_past(t);
	t->known = true;
	t->left_blue = (int)json_num(body, "blue", 0);
	t->left_green = (int)json_num(body, "green", 0);
	if (t->writing && (t->to_blue != t->left_blue || t->to_green != t->left_green)) /* it may still arrive */
		run_expect_echo(t, t->to_blue, t->to_green);
	t->writing = false;
	t->taken = r->state == RUN_BACK && t->left_green <= 0;
	t->since = ev->at;
	fold_seen(t, ev, body);
	add_raise(t, ev->at);
	return 0;
}

static int fold_armed(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	(void)ev, (void)e;
	r->traffic.armed = json_num(body, "at", 0);
	r->touched = r->touched || r->traffic.armed;
	return 0;
}

static int fold_foreign(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	struct run_traffic *t = &r->traffic;

	(void)e;
	t->foreign = ev->at;
	t->foreign_blue = (int)json_num(body, "blue", 0);
	t->foreign_green = (int)json_num(body, "green", 0);
	fold_seen(t, ev, body);
	return 0;
}

static int fold_verdict(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	bool blind = !strcmp(json_str(body, "verdict", ""), "BLIND");

	(void)e;
	json_decref(r->verdict);
	r->verdict = json_incref((json_t *)body);
	r->blind_since = !blind ? 0 : r->blind_since ? r->blind_since : ev->at;
	return 0;
}

static int fold_proved(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	(void)body, (void)e;
	r->proved = ev->at;
	return 0;
}

static int fold_order(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	(void)e;
	orders_fold(r, ev, body);
	return 0;
}

static int fold_asks(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	(void)e;
	orders_asked(r, (size_t)(step_of(r, ev) - r->step), ev, body);
	return 0;
}

static int fold_call(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	(void)e;
	orders_called(r, ev, body);
	return 0;
}

/* An order that cannot be obeyed is answered by this, once. */
static int fold_trouble(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	(void)body, (void)e;
	orders_settle(r, ev);
	return 0;
}

/* Evidence of a failed attempt is never the new normal: the baseline stays,
 * everything else about traffic and steps begins anew. */
static int fold_attempt(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	if (transit(r, ev, body, e))
		return -1;
	r->attempt++;
	for (size_t i = 0; i < r->plan->nsteps; i++) {
		json_decref(r->step[i].memo);
		r->step[i] = (struct run_step){ .state = STEP_IS_TODO };
	}
	json_object_clear(r->outputs);
	r->traffic.raised = r->traffic.since = r->proved = r->blind_since = 0;
	r->traffic.share = 0;
	r->traffic.raises = 0;
	r->touched = r->stopped = r->one_way = r->paused = false;
	r->full_by[0] = '\0';
	json_decref(r->verdict);
	r->verdict = NULL;
	return 0;
}

static int fold_back(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	r->proved = 0;
	r->traffic.taken = false;
	if (r->traffic.writing) /* the order came before its end was read: it may still be on its way */
		doubt(r, ev);
	return transit(r, ev, body, e);
}

static int fold_stopped(struct run *r, const struct event *ev, const json_t *body, struct err *e)
{
	r->stopped = true;
	return transit(r, ev, body, e);
}

static const struct fold {
	bool of_step;
	fold_fn *fn;
} folds[EVENT_KINDS] = {
	[EVENT_CLAIM] = { false, fold_claim },
	[EVENT_ORDER] = { false, fold_order },
	[EVENT_BEGIN] = { true, fold_begin },
	[EVENT_INTEND] = { true, fold_intend },
	[EVENT_DONE] = { true, fold_done },
	[EVENT_FAILED] = { true, fold_nothing },
	[EVENT_UNDONE] = { true, fold_undone },
	[EVENT_NOTE] = { false, fold_note },
	[EVENT_BASELINE] = { false, fold_baseline },
	[EVENT_WRITE] = { false, fold_write },
	[EVENT_UNSURE] = { false, fold_unsure },
	[EVENT_WEIGHTS] = { false, fold_weights },
	[EVENT_FOREIGN] = { false, fold_foreign },
	[EVENT_VERDICT] = { false, fold_verdict },
	[EVENT_ARMED] = { false, fold_armed },
	[EVENT_HISTORY] = { false, fold_nothing },
	[EVENT_PROVED] = { false, fold_proved },
	[EVENT_CALL] = { false, fold_call },
	[EVENT_BACK] = { false, fold_back },
	[EVENT_PROMOTED] = { false, transit },
	[EVENT_REFUSED] = { false, transit },
	[EVENT_STOPPED] = { false, fold_stopped },
	[EVENT_FROZEN] = { false, transit },
	[EVENT_ROLLED_BACK] = { false, transit },
	[EVENT_ATTEMPT] = { false, fold_attempt },
	[EVENT_TROUBLE] = { false, fold_trouble },
	[EVENT_CLOCK] = { false, fold_clock },
	[EVENT_ASKS] = { true, fold_asks },
};

/* --- loading ------------------------------------------------------------------ */

struct loading {
	struct run *run;
	const struct step_kind *const *kinds;
	struct err *e;
	int rc;
};

static int fold_start(struct loading *l, const struct event *ev, const json_t *body)
{
	struct plan_errors errs = { 0 };
	struct run *r = l->run;
	const char *text = json_str(body, "plan", "");

	if (fold_check_format(ev, body, l->e))
		return -1;
	if (plan_parse(text, strlen(text), json_str(body, "file", "plan"), l->kinds,
		       json_object_get(body, "env"), &r->plan, &errs)) {
		err_set(l->e, ERR_INPUT, "the plan in the journal of run %s does not load: %s", ev->run,
			errs.n ? errs.at[0].text : "unknown error");
		plan_errors_free(&errs);
		return -1;
	}
	plan_errors_free(&errs);
	r->step = xcalloc(r->plan->nsteps, sizeof *r->step);
	r->started = r->state_since = ev->at;
	return 0;
}

static int fold_body(struct loading *l, const struct event *ev, const json_t *body)
{
	const struct fold *f = &folds[event_kind_of(ev)];

	if (ev->seq == 1 && event_kind_of(ev) == EVENT_START)
		return fold_start(l, ev, body);
	if (!f->fn || !l->run->plan)
		return err_set(l->e, ERR_BUG, "line %lld of the journal is a \"%s\", which this program does not know",
			       (long long)ev->seq, ev->kind);
	if (f->of_step && !plan_step(l->run->plan, ev->step))
		return err_set(l->e, ERR_BUG, "line %lld of the journal names step \"%s\", which the plan does not have",
			       (long long)ev->seq, ev->step);
	return f->fn(l->run, ev, body, l->e);
}

static int fold_event(void *ctx, const struct event *ev)
{
	struct loading *l = ctx;
	autojson json_t *body = json_loads(ev->body, 0, NULL);

	if (!body)
		l->rc = err_set(l->e, ERR_BUG, "line %lld of the journal is not JSON", (long long)ev->seq);
	else
		l->rc = fold_body(l, ev, body);
	if (l->rc)
		return 1;
	if (l->run->copy)
		copy_keep(l->run->copy, ev);
	l->run->seq = ev->seq;
	if (event_kind_of(ev) != EVENT_ORDER)
		l->run->driver_seq = ev->seq;
	copy(l->run->hash, sizeof l->run->hash, ev->hash);
	l->run->changed = ev->at;
	return 0;
}

static int read_on(struct loading *l, struct store *s)
{
	if (store_follow(s, l->run->id, l->run->seq, l->run->hash, fold_event, l, l->e))
		return -1;
	return l->rc;
}

static int run_read(struct store *s, const char *id, const struct step_kind *const *kinds, struct copy *kept, struct run **out,
		    struct err *e)
{
	autorun struct run *r = xcalloc(1, sizeof *r);
	struct loading l = { .run = r, .kinds = kinds, .e = e };

	r->copy = kept;
	copy(r->id, sizeof r->id, id);
	r->attempt = 1;
	r->outputs = json_object();
	r->order_ids = json_object();
	if (read_on(&l, s))
		return -1;
	if (!r->plan)
		return err_set(e, ERR_INPUT, "there is no run \"%s\" in this journal", id);
	*out = steal(&r);
	return 0;
}

int run_load(struct store *s, const char *id, const struct step_kind *const *kinds, struct run **out, struct err *e)
{
	return run_read(s, id, kinds, NULL, out, e);
}

int run_load_copied(struct store *s, const char *id, const struct step_kind *const *kinds, struct run **out, struct err *e)
{
	return run_read(s, id, kinds, copy_new(), out, e);
}

int run_catch_up(struct run *r, struct store *s, struct err *e)
{
	struct loading l = { .run = r, .e = e };

	return read_on(&l, s);
}

void run_free(struct run *r)
{
	if (!r)
		return;
	for (size_t i = 0; r->step && i < r->plan->nsteps; i++)
		json_decref(r->step[i].memo);
	free(r->step);
	copy_free(r->copy);
	json_decref(r->outputs);
	json_decref(r->order_ids);
	free(r->order);
	json_decref(r->verdict);
	json_decref(r->traffic.baseline);
	plan_free(r->plan);
	free(r);
}

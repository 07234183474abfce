/* engine/mind.c - the sequential judge of a run: told, asked, journalled.
 *
 * Its state is a function of the journal. The line `history` has blue's past,
 * read once, before any attempt counts; each line `verdict` has the points the
 * judge was told since the last one, and when and how it was asked. Whoever
 * takes over tells and asks the same again, and thinks the same. */
#include "engine/internal.h"

#include "base/buf.h"
#include "engine/looks.h"
#include "judge/opinion.h"

#include <math.h>
#include <stdio.h>
#include <string.h>


struct mind {
	struct judge judge;
	struct judge_answer answer;
	struct past past;
	bool has_past, begun, due;
	int64_t origin;  /* wall ms of period 0 */
	int64_t read;    /* line of the journal up to which this is so */
	int now, stage;  /* of the look that is under way */
	struct judge_point told[2][JUDGE_RING];
	json_t *news;    /* what was told since the last line */
	struct judge_probes probes; /* the same of our own probes */
	char ill[200];   /* what green's last failed probe was told */
	char why_none[200];
};

/* --- the judge -------------------------------------------------------------------------- */

static void begin(struct mind *m, const struct plan *p, int64_t origin)
{
	struct judge_stages stages;

	plan_stages(p, &stages);
	judge_start(&m->judge, &p->watch.tuning, &stages, &m->past.h, looks_metrics(&p->watch, m->past.slow));
	m->answer = (struct judge_answer){ .kind = VERDICT_HOLD, .excess = 1 };
	m->origin = origin;
	m->begun = true;
	for (int i = 0; i < JUDGE_RING; i++)
		m->told[0][i].period = m->told[1][i].period = -1;
}

static void tell(struct mind *m, enum judge_colour c, int now, const struct judge_point *p)
{
	if (p->period < 0)
		return;
	m->told[c][p->period % JUDGE_RING] = *p;
	judge_see(&m->judge, c, now, p);
}

/* --- what the journal says ------------------------------------------------------------------ */

struct recall {
	struct mind *mind;
	const struct plan *plan;
};

static void recall_history(struct mind *m, const json_t *b)
{
	if (m->has_past)
		return;
	looks_history(b, &m->past.h);
	m->past.periods = (size_t)json_num(b, "periods", 0);
	m->past.worst = json_dbl(b, "worst", 0);
	m->past.slow = json_yes(b, "counts_slow");
	snprintf(m->past.zone, sizeof m->past.zone, "%s", json_str(b, "zone", ""));
	m->has_past = true;
}

static void recall_look(struct mind *m, const struct plan *p, const json_t *look)
{
	int64_t origin = json_num(look, "origin", 0);
	json_int_t now = json_num(look, "now", -1), stage = json_num(look, "stage", -1);
	struct judge_probes probes;
	struct judge_point point;
	size_t i;
	json_t *v;

	if (!m->has_past || now < 0 || now > LOOKS_PERIODS || stage < 0 || stage >= JUDGE_STAGES)
		return;
	if (!m->begun || m->origin != origin)
		begin(m, p, origin);
	json_array_foreach(json_object_get(look, "seen"), i, v) {
		enum judge_colour c = looks_point(v, &point);

		tell(m, c, (int)now, &point);
	}
	if (looks_probes(look, &probes))
		judge_probed(&m->judge, &probes);
	judge_poll(&m->judge, (int)now, (int)stage, json_dbl(look, "weight", 0), &m->answer);
}

static int recall_line(void *ctx, const struct event *ev)
{
	struct recall *r = ctx;
	bool history = event_kind_of(ev) == EVENT_HISTORY;
	autojson json_t *b = history || event_kind_of(ev) == EVENT_VERDICT ? json_loads(ev->body, 0, NULL) : NULL;

	r->mind->read = ev->seq;
	if (history)
		recall_history(r->mind, b);
	else if (b)
		recall_look(r->mind, r->plan, json_object_get(b, "look"));
	return 0;
}

static void forget(struct mind *m)
{
	json_decref(m->news);
	memset(m, 0, sizeof *m);
	m->news = json_array();
}

static int recall(struct engine *en, struct err *e)
{
	struct recall r = { en->watch.mind, en->run->plan };

	return store_read(en->store, en->run->id, r.mind->read, recall_line, &r, e);
}

/* --- blue's past -------------------------------------------------------------------------------- */

static json_t *history_json(struct past *p, int64_t until, int64_t period)
{
	json_t *b = json_pack("{s:I, s:I, s:I, s:f, s:b, s:s*}", "until", (json_int_t)until, "period_ms", (json_int_t)period,
			      "periods", (json_int_t)p->periods, "worst", p->worst, "counts_slow", p->slow, "zone",
			      p->zone[0] ? p->zone : NULL);
	autojson json_t *arrays = looks_history_json(&p->h);

	json_object_update(b, arrays);
	return b;
}

/* Only what was over when green got its first weight, and long enough to be whole. */
static int read_past(struct engine *en, struct mind *m, int64_t origin, struct err *e)
{
	const struct plan_watch *w = &en->run->plan->watch;
	int64_t until = evidence_align(origin - plan_watch_lag_ms(w), w->period_ms);
	struct err trouble = { 0 };

	if (evidence_past(en, until, &m->past, &trouble)) {
		snprintf(m->why_none, sizeof m->why_none, "blue's past could not be read: %.140s", trouble.msg);
		return 0;
	}
	if (m->past.periods < JUDGE_PAST_LEAST) {
		snprintf(m->why_none, sizeof m->why_none, "CloudWatch shows %zu periods of blue before green, %d are needed to compare",
			 m->past.periods, JUDGE_PAST_LEAST);
		return 0;
	}
	m->has_past = true;
	return engine_append(en, EVENT_HISTORY, "", history_json(&m->past, until, w->period_ms), e);
}

/* --- at a look --------------------------------------------------------------------------------------- */

static struct mind *mind_of(struct engine *en)
{
	if (!en->watch.mind) {
		en->watch.mind = xcalloc(1, sizeof *en->watch.mind);
		forget(en->watch.mind);
	}
	return en->watch.mind;
}

int mind_prepare(struct engine *en, struct err *e)
{
	const struct plan_watch *w = &en->run->plan->watch;
	int64_t origin = evidence_align(en->run->traffic.raised, w->period_ms);
	struct mind *m;

	if (!w->sequential || !en->run->traffic.raised)
		return 0;
	m = mind_of(en);
	if (recall(en, e) || (!m->has_past && read_past(en, m, origin, e)))
		return -1;
	if (!m->has_past)
		return 0;
	if (!m->begun || m->origin != origin)
		begin(m, en->run->plan, origin);
	m->now = (int)((evidence_align(engine_now(en), w->period_ms) - origin) / w->period_ms);
	m->stage = plan_stage_at(en->run->plan, run_current_index(en->run));
	m->due = m->now > m->judge.polled || (m->stage != m->judge.stage && !m->judge.stages.automatic);
	return 0;
}

static struct mind *thinking(const struct engine *en)
{
	struct mind *m = en->watch.mind;

	return m && m->begun ? m : NULL;
}

bool mind_counts_slow(const struct engine *en)
{
	return thinking(en) && thinking(en)->past.slow;
}

int mind_period(const struct engine *en, int64_t at)
{
	const struct mind *m = thinking(en);

	return m && at >= m->origin ? (int)((at - m->origin) / en->run->plan->watch.period_ms) : -1;
}

/* The newest period never counts: it is still being written. */
int64_t mind_sees_until(const struct engine *en)
{
	const struct mind *m = thinking(en);

	return m && m->due ? m->origin + (m->now - 1) * en->run->plan->watch.period_ms : 0;
}

int64_t mind_sees_from(const struct engine *en)
{
	const struct mind *m = thinking(en);

	return m && m->due ? mind_sees_until(en) - (int64_t)m->judge.tune.window * en->run->plan->watch.period_ms : INT64_MAX;
}

static bool same_point(const struct judge_point *a, const struct judge_point *b)
{
	if (a->period != b->period || a->requests != b->requests || a->latency != b->latency || a->slower != b->slower)
		return false;
	for (int m = 0; m < JUDGE_METRICS; m++)
		if (a->count[m] != b->count[m])
			return false;
	return true;
}

void mind_tell(struct engine *en, enum judge_colour c, const struct judge_point *p)
{
	struct mind *m = thinking(en);

	if (!m || !m->due || p->period < 0 || p->period <= m->now - JUDGE_RING ||
	    same_point(&m->told[c][p->period % JUDGE_RING], p))
		return;
	tell(m, c, m->now, p);
	json_array_append_new(m->news, looks_point_json(c, p));
}

bool mind_wants_probes(const struct engine *en)
{
	return thinking(en) && en->run->plan->watch.probes;
}

void mind_probed(struct engine *en, enum judge_colour c, const char *ill)
{
	struct mind *m = thinking(en);

	if (!m)
		return;
	m->probes.sent[c]++;
	m->probes.failed[c] += ill != NULL;
	if (ill && c == JUDGE_GREEN)
		snprintf(m->ill, sizeof m->ill, "%s", ill);
}

static double weight_now(const struct run_traffic *t)
{
	int blue = t->foreign ? t->foreign_blue : t->left_blue, green = t->foreign ? t->foreign_green : t->left_green;

	blue = blue > 0 ? blue : 0;
	green = green > 0 ? green : 0;
	return blue + green ? (double)green / (blue + green) : 0;
}

json_t *mind_ask(struct engine *en)
{
	struct mind *m = thinking(en);
	double weight = weight_now(&en->run->traffic);
	json_t *probes;

	if (!m || !m->due)
		return NULL;
	probes = looks_probes_json(&m->probes);
	if (probes)
		judge_probed(&m->judge, &m->probes);
	m->probes = (struct judge_probes){ 0 };
	judge_poll(&m->judge, m->now, m->stage, weight, &m->answer);
	return json_pack("{s:I, s:i, s:i, s:f, s:O, s:o*}", "origin", (json_int_t)m->origin, "now", m->now, "stage", m->stage,
			 "weight", weight, "seen", m->news, "probes", probes);
}

/* Before the line is written the judge knows more than the journal; when it
 * cannot be written, this process knows nothing and reads again. */
void mind_written(struct engine *en, bool ok)
{
	struct mind *m = en->watch.mind;

	if (!m)
		return;
	if (!ok) {
		forget(m);
		return;
	}
	m->read = en->run->seq;
	json_array_clear(m->news);
}

void mind_opinion(const struct engine *en, struct opinion *o)
{
	const struct plan_watch *w = &en->run->plan->watch;
	struct mind *m = en->watch.mind;
	size_t i;
	json_t *v;

	*o = (struct opinion){ .why_none = m && m->why_none[0] ? m->why_none : "blue's past has not been read yet" };
	if (!thinking(en))
		return;
	o->judge = &m->judge;
	o->answer = &m->answer;
	o->ill = m->ill;
	o->name[JUDGE_ERRORS] = "errors";
	o->name[JUDGE_SLOW] = m->past.slow ? "slow answers" : NULL;
	json_array_foreach(w->metrics, i, v)
		if (JUDGE_SLOW + 1 + i < JUDGE_METRICS)
			o->name[JUDGE_SLOW + 1 + i] = json_str(v, "name", "");
}

/* Weights are whole thousandths, and green's never none: without requests there is no evidence. */
struct step_advice mind_advice(const struct engine *en)
{
	const struct mind *m = thinking(en);
	struct step_advice a = { 0 };

	if (!m || !m->judge.stages.automatic || m->judge.polled < 0)
		return a;
	a.known = true;
	a.promote = m->answer.promote;
	a.permille = (int)(m->answer.weight * 1000);
	a.permille = a.permille < 1 ? 1 : a.permille;
	return a;
}

void mind_past(const struct engine *en, struct evidence *ev)
{
	const struct mind *m = en->watch.mind;

	ev->past_worst = m && m->has_past ? m->past.worst : 0;
	ev->past_periods = m && m->has_past ? m->past.periods : 0;
}

void mind_free(struct mind *m)
{
	if (m)
		json_decref(m->news);
	free(m);
}

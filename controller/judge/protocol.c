#include "judge/protocol.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "judge/rate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST 1e12     /* requests of one period */
#define LAST_TICK 1e7 /* periods; nineteen years of minutes */
#define SURE .05      /* of the intervals that people read */

/* --- reading ------------------------------------------------------------------- */

/* A number in [low, high]; *out stays when it is absent or null. */
static int take(const json_t *o, const char *key, double low, double high, double *out, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	double d = json_number_value(v);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_number(v))
		return err_set(e, ERR_INPUT, "\"%s\" is not a number", key);
	if (!(d >= low && d <= high))
		return err_set(e, ERR_INPUT, "\"%s\" is %g; it may be %g to %g", key, d, low, high);
	*out = d;
	return 0;
}

static int need(const json_t *o, const char *key, double low, double high, double *out, struct err *e)
{
	if (!json_object_get(o, key))
		return err_set(e, ERR_INPUT, "\"%s\" is missing", key);
	return take(o, key, low, high, out, e);
}

static int take_colour(const json_t *o, enum judge_colour *out, struct err *e)
{
	const char *s = json_str(o, "colour", "");

	*out = strcmp(s, "green") ? JUDGE_BLUE : JUDGE_GREEN;
	if (*out == JUDGE_BLUE && strcmp(s, "blue"))
		return err_set(e, ERR_INPUT, "\"colour\" is neither \"blue\" nor \"green\"");
	return 0;
}

/* --- start ---------------------------------------------------------------------- */

static int take_stages(struct judge_stages *s, const json_t *list, struct err *e)
{
	size_t i;
	json_t *v;

	if (json_array_size(list) > JUDGE_STAGES)
		return err_set(e, ERR_INPUT, "%zu stages; at most %d are judged", json_array_size(list), JUDGE_STAGES);
	json_array_foreach(list, i, v)
		if (need(v, "weight", 1e-6, 1, &s->weight[i], e))
			return err_wrap(e, "stages[%zu]", i);
	s->n = (int)json_array_size(list);
	if (!s->n && !s->automatic)
		return err_set(e, ERR_INPUT, "\"stages\" is missing: a judge without weights of its own is told those of the plan");
	return 0;
}

static int on_start(struct protocol *p, const json_t *o, struct buf *out, struct err *e)
{
	double slow = 0;

	(void)out;
	if (p->started)
		return err_set(e, ERR_INPUT, "a second start; one process judges one cutover");
	p->stages.automatic |= json_yes(o, "adaptive");
	if (take_stages(&p->stages, json_object_get(o, "stages"), e) || take(o, "slow_threshold_ms", 0, MOST, &slow, e))
		return -1;
	p->counts |= slow > 0;
	p->started = true;
	return 0;
}

/* --- history ----------------------------------------------------------------------- */

/* One zone's [requests, errors, slow]. */
static int take_half(struct judge_history *h, int i, const json_t *zone, struct err *e)
{
	double *const to[] = { &h->half_requests[i], &h->half_count[0][i], &h->half_count[1][i] };
	const double most[] = { h->requests[i], h->count[0][i], h->count[1][i] };

	for (size_t k = 0; k < COUNT(to) && k < json_array_size(zone); k++) {
		const json_t *v = json_array_get(zone, k);

		if (!json_is_number(v) || json_number_value(v) < 0)
			return err_set(e, ERR_INPUT, "\"az\" holds something that is no count");
		*to[k] = fmin(json_number_value(v), most[k]);
	}
	return 0;
}

static int on_history(struct protocol *p, const json_t *o, struct buf *out, struct err *e)
{
	struct judge_history *h = &p->history;
	double period = 0, n = 0, x = 0, s = 0;
	enum judge_colour c;
	int i;

	(void)out;
	if (take_colour(o, &c, e) || need(o, "period", -LAST_TICK, -1, &period, e) ||
	    need(o, "requests", 0, MOST, &n, e) || take(o, "errors", 0, MOST, &x, e) || take(o, "slow", 0, MOST, &s, e))
		return -1;
	i = JUDGE_HISTORY + (int)period;
	if (c != JUDGE_BLUE || i < 0 || p->running)
		return 0;
	h->requests[i] = n;
	h->count[JUDGE_ERRORS][i] = fmin(x, n);
	h->count[JUDGE_SLOW][i] = fmin(s, n);
	p->counts |= json_object_get(o, "slow") != NULL;
	return take_half(h, i, json_array_get(json_object_get(o, "az"), 0), e);
}

/* --- observations ---------------------------------------------------------------------- */

static const char *percentile_of(const struct judge_tuning *t)
{
	return t->quantile < .7 ? "p50" : t->quantile < .95 ? "p90" : "p99";
}

static struct judge_point empty_point(int period)
{
	struct judge_point p = { .period = period };

	for (int m = 0; m < JUDGE_METRICS; m++)
		p.count[m] = -1;
	return p;
}

/* Until the tick says what time it is, the newest of each place in the ring waits. */
static int on_obs(struct protocol *p, const json_t *o, struct buf *out, struct err *e)
{
	struct judge_point in = empty_point(0), *at;
	double period = 0;
	enum judge_colour c;

	(void)out;
	if (take_colour(o, &c, e) || need(o, "period", 0, LAST_TICK, &period, e) || need(o, "requests", 0, MOST, &in.requests, e) ||
	    take(o, "errors", 0, MOST, &in.count[JUDGE_ERRORS], e) || take(o, "slow", 0, MOST, &in.count[JUDGE_SLOW], e) ||
	    take(o, percentile_of(&p->tune), 0, MOST, &in.latency, e))
		return -1;
	if (take(o, "slower", 0, MOST, &in.slower, e))
		return -1;
	in.period = (int)period;
	at = &p->pending[c][in.period % JUDGE_RING];
	if (at->period > in.period)
		return 0;
	for (int m = 0; m < JUDGE_METRICS && at->period == in.period; m++)
		if (in.count[m] < 0)
			in.count[m] = at->count[m];
	*at = in;
	return 0;
}

static void forget(struct protocol *p)
{
	for (int i = 0; i < JUDGE_RING; i++)
		p->pending[0][i] = p->pending[1][i] = empty_point(-1);
}

/* --- the answer ---------------------------------------------------------------------------- */

/* JSON has no infinity. */
static double finite_of(double v)
{
	return v >= -1e15 ? fmin(v, 1e15) : -1e15;
}

static json_t *rate_json(const double seen[2])
{
	struct rate_interval r = rate_interval(seen[1], seen[0], SURE);

	return json_pack("{s:f, s:f, s:f, s:f, s:f}", "requests", seen[0], "errors", seen[1], "rate", r.rate, "low", r.low,
			 "high", r.high);
}

static const char *word_of(enum verdict_kind k)
{
	return k == VERDICT_BAD ? "rollback" : k == VERDICT_GOOD ? "continue" : "hold";
}

/* Silence is a reason too. */
static json_t *reason_of(const struct judge_answer *a)
{
	char text[160];

	if (a->reason[0])
		return json_text(a->reason);
	if (a->need > 0)
		snprintf(text, sizeof text, "nothing speaks against green; an excess error rate of %.2g is excluded, this stage needs %.2g",
			 a->excess, a->need);
	else
		snprintf(text, sizeof text, "nothing speaks against green%s",
			 a->promote ? ", and it has shown enough" : a->kind == VERDICT_GOOD ? "" : " yet");
	return json_text(text);
}

static void answer(struct protocol *p, const struct judge_answer *a, struct buf *out)
{
	autojson json_t *o = json_pack("{s:s, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:b, s:o, s:o}",
		"verdict", word_of(a->kind), "reason", reason_of(a), "log_e", finite_of(a->log_e),
		"limit", log(1 / p->tune.alpha), "log_e_split", finite_of(a->log_split), "log_e_level", finite_of(a->log_level),
		p->counts ? "log_e_slow" : "log_e_latency", finite_of(p->counts ? a->log_slow : a->log_latency),
		"excess", a->excess, "need", a->need, "suspicious", a->suspicious, "stale", a->stale,
		"blue", rate_json(p->judge.seen[JUDGE_BLUE]), "green", rate_json(p->judge.seen[JUDGE_GREEN]));
	autofree char *text = NULL;

	if (o && p->stages.automatic)
		json_object_set_new(o, "weight", json_real(a->weight));
	if (o && a->promote)
		json_object_set_new(o, "promote", json_true());
	text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
	if (!text)
		abort();
	buf_adds(out, text);
	buf_adds(out, "\n");
}

static void begin(struct protocol *p)
{
	unsigned latency = p->counts ? 1U << JUDGE_SLOW : 1U << JUDGE_LATENCY;

	judge_start(&p->judge, &p->tune, &p->stages, &p->history, 1U << JUDGE_ERRORS | latency);
	p->running = true;
}

static int on_tick(struct protocol *p, const json_t *o, struct buf *out, struct err *e)
{
	double now = 0, stage = 0, weight = 0;
	struct judge_answer a;

	if (!p->started)
		return err_set(e, ERR_INPUT, "a tick before the start");
	if (need(o, "now", p->now, LAST_TICK, &now, e) || need(o, "weight", 0, 1, &weight, e) ||
	    take(o, "stage", 0, p->stages.n > 0 ? p->stages.n - 1 : LAST_TICK, &stage, e))
		return -1;
	if (!p->running)
		begin(p);
	p->now = (int)now;
	for (int c = 0; c < 2; c++)
		for (int i = 0; i < JUDGE_RING; i++)
			if (p->pending[c][i].period >= 0)
				judge_see(&p->judge, (enum judge_colour)c, p->now, &p->pending[c][i]);
	forget(p);
	judge_poll(&p->judge, p->now, (int)stage, weight, &a);
	answer(p, &a, out);
	return 1;
}

/* --- lines ------------------------------------------------------------------------------------ */

static const struct {
	const char *type;
	int (*take)(struct protocol *p, const json_t *o, struct buf *out, struct err *e);
} kinds[] = { { "obs", on_obs }, { "tick", on_tick }, { "history", on_history }, { "start", on_start } };

void protocol_init(struct protocol *p, const struct judge_tuning *t, bool automatic)
{
	memset(p, 0, sizeof *p);
	p->tune = *t;
	p->stages.automatic = automatic;
	forget(p);
}

int protocol_line(struct protocol *p, const char *line, size_t n, struct buf *out, struct err *e)
{
	json_error_t je;
	autojson json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, &je);
	const char *type = json_str(o, "type", NULL);

	if (!o)
		return err_set(e, ERR_INPUT, "not JSON: %s", je.text);
	if (!json_is_object(o) || !type)
		return err_set(e, ERR_INPUT, "not an object with a \"type\"");
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (!strcmp(type, kinds[i].type))
			return kinds[i].take(p, o, out, e);
	return 0;
}

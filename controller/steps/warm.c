/* steps/warm.c - repeats a list of requests until it stops getting faster: as
 * Wikimedia's switchover does, caches are warm when a round gains nothing. */
#include "base/buf.h"
#include "base/err.h"
#include "plan/plan.h"
#include "steps/fetch.h"
#include "steps/kinds.h"

#include <string.h>

/* memo: where the list is, and what the round so far took. */
struct state {
	json_int_t round, next, last; /* last: median ms of the round before; -1: none */
	json_int_t odd;               /* answers of 400 to 499 in this round */
	json_t *took;                 /* ms of this round's requests; owned */
};

static void load(const struct step_run *r, struct state *s)
{
	json_t *took = json_object_get(r->memo, "took");

	*s = (struct state){ json_num(r->memo, "round", 1), json_num(r->memo, "next", 0), json_num(r->memo, "last", -1),
			     json_num(r->memo, "odd", 0), took ? json_deep_copy(took) : json_array() };
}

static int save(struct step_run *r, const struct state *s, struct err *e)
{
	return step_intend(r, json_pack("{s:I, s:I, s:I, s:I, s:O}", "round", s->round, "next", s->next, "last", s->last,
					"odd", s->odd, "took", s->took), e);
}

static int by_value(const void *a, const void *b)
{
	json_int_t x = *(const json_int_t *)a, y = *(const json_int_t *)b;

	return (x > y) - (x < y);
}

static json_int_t median(const json_t *took)
{
	size_t n = json_array_size(took);
	autofree json_int_t *v = xcalloc(n ? n : 1, sizeof *v);

	for (size_t i = 0; i < n; i++)
		v[i] = json_integer_value(json_array_get(took, i));
	qsort(v, n, sizeof *v, by_value);
	return n ? v[n / 2] : 0;
}

static int ask(struct step_run *r, struct state *s, const char *path, int64_t *spent, struct err *e)
{
	autores struct http_res a = { 0 };

	if (fetch_get(r, path, &a, e))
		return -1;
	if (a.status >= 500)
		return err_set(e, ERR_GATE, "%.150s answered %d while green was warmed up", path, a.status);
	s->odd += a.status >= 400;
	*spent += a.took_ms;
	json_array_append_new(s->took, json_integer(a.took_ms));
	return 0;
}

static enum step_verdict finish(struct step_run *r, const struct state *s, json_int_t now, bool settled, struct err *e)
{
	json_t *facts = json_pack("{s:I, s:I, s:b, s:I}", "rounds", s->round, "median_ms", now, "settled", settled,
				  "answers_4xx", s->odd);

	return step_note(r, settled ? "warm" : "still getting faster when the rounds were over", facts, e) ? STEP_FAIL
													   : STEP_DONE;
}

static enum step_verdict next_round(struct step_run *r, struct state *s, json_int_t now, struct err *e)
{
	s->round++;
	s->next = s->odd = 0;
	s->last = now;
	json_array_clear(s->took);
	if (save(r, s, e))
		return STEP_FAIL;
	step_say(r, "round %lld; the last one's median was %lld ms", (long long)s->round, (long long)now);
	r->wake_at = r->now;
	return STEP_WAIT;
}

static enum step_verdict round_over(struct step_run *r, struct state *s, struct err *e)
{
	json_int_t now = median(s->took), settle = json_num(r->params, "settle", 0);
	bool settled = s->last >= 0 && now * 1000 >= s->last * (1000 - settle);

	if (settled || s->round >= json_num(r->params, "rounds", 1))
		return finish(r, s, now, settled, e);
	return next_round(r, s, now, e);
}

static enum step_verdict slice_over(struct step_run *r, const struct state *s, size_t all, struct err *e)
{
	if (save(r, s, e))
		return STEP_FAIL;
	step_say(r, "round %lld: %lld of %zu requests", (long long)s->round, (long long)s->next, all);
	r->wake_at = r->now;
	return STEP_WAIT;
}

static enum step_verdict go(struct step_run *r, struct state *s, struct err *e)
{
	const json_t *paths = json_object_get(r->params, "paths");
	size_t all = json_array_size(paths);
	int64_t spent = 0;

	for (; s->next < (json_int_t)all; s->next++) {
		if (spent >= FETCH_SLICE_MS)
			return slice_over(r, s, all, e);
		if (ask(r, s, json_string_value(json_array_get(paths, (size_t)s->next)), &spent, e))
			return STEP_FAIL;
	}
	return round_over(r, s, e);
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	enum step_verdict v;
	struct state s;

	load(r, &s);
	v = go(r, &s, e);
	json_decref(s.took);
	return v;
}

static const struct param params[] = {
	FETCH_PARAMS,
	{ .name = "paths", .type = PARAM_STRINGS, .required = true, .min = 1, .max = 200, .about = "what to ask for, in this order" },
	{ .name = "rounds", .type = PARAM_INT, .def = "10", .min = 1, .max = 100, .about = "at most this often" },
	{ .name = "settle", .type = PARAM_PERCENT, .def = "\"10%\"", .min = 1, .max = 500,
	  .about = "warm when a round's median is not faster than the one before by more than this" },
	{ 0 },
};

const struct step_kind step_warm = {
	.name = "warm", .about = "repeat a list of requests to green until it stops getting faster",
	.params = params, .flags = STEP_READONLY_HTTP, .timeout_ms = MINUTES(15), .validate = fetch_validate,
	.advance = advance,
};

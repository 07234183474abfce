#include "engine/looks.h"

#include "plan/plan.h"

#include <math.h>
#include <string.h>

static const char *const keys[] = { "requests", "errors", "slow", "half_requests", "half_errors", "half_slow" };
#define KEYS (sizeof keys / sizeof *keys)

static double (*array_of(struct judge_history *h, size_t key))[JUDGE_HISTORY]
{
	double (*const all[KEYS])[JUDGE_HISTORY] = { &h->requests, &h->count[JUDGE_ERRORS], &h->count[JUDGE_SLOW],
						     &h->half_requests, &h->half_count[JUDGE_ERRORS], &h->half_count[JUDGE_SLOW] };

	return all[key];
}

static json_t *number(double v)
{
	if (v < 0)
		return json_null();
	return v == floor(v) && v < 1e15 ? json_integer((json_int_t)v) : json_real(v);
}

static double element(const json_t *a, size_t i)
{
	const json_t *v = json_array_get(a, i);

	return json_is_number(v) ? json_number_value(v) : -1;
}

json_t *looks_history_json(const struct judge_history *h)
{
	struct judge_history copy = *h;
	json_t *o = json_object();

	for (size_t k = 0; k < KEYS; k++) {
		json_t *a = json_array();

		for (int i = 0; i < JUDGE_HISTORY; i++)
			json_array_append_new(a, number((*array_of(&copy, k))[i]));
		json_object_set_new(o, keys[k], a);
	}
	return o;
}

void looks_history(const json_t *line, struct judge_history *h)
{
	for (size_t k = 0; k < KEYS; k++)
		for (size_t i = 0; i < JUDGE_HISTORY; i++)
			(*array_of(h, k))[i] = fmax(element(json_object_get(line, keys[k]), i), 0);
}

json_t *looks_point_json(enum judge_colour c, const struct judge_point *p)
{
	json_t *a = json_pack("[i,i,o,o]", (int)c, p->period, number(p->requests), number(p->latency));
	int last = JUDGE_METRICS;

	while (last > 1 && p->count[last - 1] < 0 && p->slower <= 0)
		last--;
	for (int m = 0; a && m < last; m++)
		json_array_append_new(a, number(p->count[m]));
	if (a && p->slower > 0)
		json_array_append_new(a, number(p->slower));
	return a;
}

enum judge_colour looks_point(const json_t *a, struct judge_point *p)
{
	*p = (struct judge_point){ .period = (int)fmin(fmax(element(a, 1), -1), LOOKS_PERIODS), .requests = element(a, 2),
				   .latency = element(a, 3) };
	for (int m = 0; m < JUDGE_METRICS; m++)
		p->count[m] = element(a, 4 + (size_t)m);
	p->slower = element(a, 4 + JUDGE_METRICS);
	return element(a, 0) > 0 ? JUDGE_GREEN : JUDGE_BLUE;
}

json_t *looks_probes_json(const struct judge_probes *p)
{
	if (p->sent[JUDGE_GREEN] <= 0 && p->sent[JUDGE_BLUE] <= 0)
		return NULL;
	return json_pack("[o,o,o,o]", number(p->sent[JUDGE_GREEN]), number(p->failed[JUDGE_GREEN]), number(p->sent[JUDGE_BLUE]),
			 number(p->failed[JUDGE_BLUE]));
}

bool looks_probes(const json_t *look, struct judge_probes *p)
{
	const json_t *a = json_object_get(look, "probes");

	p->sent[JUDGE_GREEN] = element(a, 0);
	p->failed[JUDGE_GREEN] = element(a, 1);
	p->sent[JUDGE_BLUE] = element(a, 2);
	p->failed[JUDGE_BLUE] = element(a, 3);
	return json_is_array(a);
}

unsigned looks_metrics(const struct plan_watch *w, bool counts_slow)
{
	unsigned m = 1U << JUDGE_ERRORS | 1U << (counts_slow ? JUDGE_SLOW : JUDGE_LATENCY);

	for (size_t i = 0; i < json_array_size(w->metrics) && JUDGE_SLOW + 1 + i < JUDGE_METRICS; i++)
		m |= 1U << (JUDGE_SLOW + 1 + i);
	return w->probes ? m | 1U << JUDGE_PROBES : m;
}

/* tests/judge/batch.c - many cutovers at once for the evaluation: the judge's own
 * sources behind three calls that numpy can make. What `cutover judge` answers
 * to the same worlds over its pipe is compared with it (tests/judge/cells.py). */
#include "judge/sequential.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct batch {
	int n, horizon;
	struct judge judge[];
};

/* Arrays are C-contiguous doubles: history [n][180], views [n][horizon], NaN: no datapoint. */
struct batch *batch_new(int n, int horizon, unsigned metrics, const double *weights, int stages, int automatic,
			const struct judge_tuning *tune, const double *const history[6]);
void batch_poll(struct batch *b, int now, const unsigned char *active, const long *stage, const double *weight,
		const double *const view[8], double *verdict, double *next, double *log_e);
void batch_free(struct batch *b);
void batch_tuning(struct judge_tuning *t, int reference);
int batch_tune(struct judge_tuning *t, const char *name, double value);
size_t batch_tuning_size(void);
size_t batch_judge_size(void);

static void history_of(struct judge_history *h, const double *const from[6], int i)
{
	double *const to[6] = { h->requests, h->count[0], h->count[1], h->half_requests, h->half_count[0], h->half_count[1] };

	for (int f = 0; f < 6; f++)
		memcpy(to[f], from[f] + (size_t)i * JUDGE_HISTORY, sizeof h->requests);
}

struct batch *batch_new(int n, int horizon, unsigned metrics, const double *weights, int stages, int automatic,
			const struct judge_tuning *tune, const double *const history[6])
{
	struct batch *b = calloc(1, sizeof *b + (size_t)n * sizeof *b->judge);
	struct judge_stages s = { .n = stages, .automatic = automatic };
	static struct judge_history h;

	if (!b)
		abort();
	b->n = n;
	b->horizon = horizon;
	memcpy(s.weight, weights, (size_t)stages * sizeof *weights);
	for (int i = 0; i < n; i++) {
		history_of(&h, history, i);
		judge_start(&b->judge[i], tune, &s, &h, metrics);
	}
	return b;
}

static void see(struct judge *j, int now, int horizon, int i, const double *const view[8])
{
	for (int k = now > JUDGE_RING - 1 ? now - JUDGE_RING + 1 : 0; k < now; k++)
		for (int c = 0; c < 2; c++) {
			size_t at = (size_t)i * (size_t)horizon + (size_t)k;
			struct judge_point p = { .period = k, .requests = view[c][at] };

			if (isnan(view[c][at]))
				continue;
			p.count[JUDGE_ERRORS] = isnan(view[2 + c][at]) ? -1 : view[2 + c][at];
			p.count[JUDGE_SLOW] = isnan(view[4 + c][at]) ? -1 : view[4 + c][at];
			p.slower = view[6 + c][at]; /* nonsense is none */
			judge_see(j, (enum judge_colour)c, now, &p);
		}
}

void batch_poll(struct batch *b, int now, const unsigned char *active, const long *stage, const double *weight,
		const double *const view[8], double *verdict, double *next, double *log_e)
{
	struct judge_answer a;

	for (int i = 0; i < b->n; i++) {
		if (!active[i])
			continue;
		see(&b->judge[i], now, b->horizon, i, view);
		judge_poll(&b->judge[i], now, (int)stage[i], weight[i], &a);
		verdict[i] = a.kind == VERDICT_BAD ? 2 : a.kind == VERDICT_GOOD ? 0 : 1;
		next[i] = a.promote ? 2 : a.weight;
		log_e[i] = a.log_e;
	}
}

void batch_free(struct batch *b) { free(b); }
size_t batch_tuning_size(void) { return sizeof(struct judge_tuning); }
size_t batch_judge_size(void) { return sizeof(struct judge); }

void batch_tuning(struct judge_tuning *t, int reference)
{
	(reference ? judge_tuning_reference : judge_tuning_usual)(t);
}

int batch_tune(struct judge_tuning *t, const char *name, double value) { return judge_tune(t, name, value); }

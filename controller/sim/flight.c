/* Changes under way that nobody waits for any more: they arrive in their time. */
#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

struct flight {
	int64_t at;
	struct http_req q;    /* all of it is our own */
	struct kv *head;
	struct flight *next;
};

static void flight_free(struct flight *f)
{
	for (size_t i = 0; i < f->q.nhead; i++) {
		free((char *)f->head[i].k);
		free((char *)f->head[i].v);
	}
	free(f->head);
	free((char *)f->q.method);
	free((char *)f->q.url);
	free((char *)f->q.body);
	free(f);
}

void flight_begin(struct sim *s, const struct http_req *q, int64_t at)
{
	struct flight *f = xcalloc(1, sizeof *f), **p = &s->flights;

	f->at = at;
	f->head = xcalloc(q->nhead, sizeof *f->head);
	for (size_t i = 0; i < q->nhead; i++)
		f->head[i] = (struct kv){ xstrdup(q->head[i].k), xstrdup(q->head[i].v) };
	f->q = (struct http_req){ .method = xstrdup(q->method), .url = xstrdup(q->url), .head = f->head, .nhead = q->nhead,
				  .body = q->body ? xstrndup(q->body, q->nbody) : NULL, .nbody = q->nbody, .once = q->once };
	while (*p && (*p)->at <= at)
		p = &(*p)->next;
	f->next = *p;
	*p = f;
}

void flights_tick(struct sim *s)
{
	struct flight *f;

	while ((f = s->flights) && f->at <= s->now) {
		struct http_res unseen = { 0 };

		s->flights = f->next;
		front_answer(s, &f->q, &unseen, SIM_FINE);
		http_res_free(&unseen);
		flight_free(f);
	}
}

int64_t sim_under_way(const struct sim *s)
{
	int64_t last = 0;

	for (const struct flight *f = s->flights; f; f = f->next)
		last = f->at - s->now;
	return last > 0 ? last : 0;
}

void flights_close(struct sim *s)
{
	struct flight *f;

	while ((f = s->flights)) {
		s->flights = f->next;
		flight_free(f);
	}
}

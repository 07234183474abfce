/* engine/probes.c - requests of our own to both colours, while green has weight.
 *
 * The load balancer's counters see neither an API failure behind HTTP 200 nor
 * what few users do. So each thing of watch.probes is asked of blue and then of
 * green, one request at a time and none for long: a tick must be short while
 * traffic may have to go back. The judge compares the failures (mind.c). */
#include "engine/internal.h"

#include "base/buf.h"
#include "mediawiki/ask.h"

#include <stdio.h>

#define PROBE_TIMEOUT_MS 3000

/* What was sent counts in CloudWatch, as users' requests do: it is told from them. */
struct counted {
	const struct http *http;
	int n;
};

static int counted_send(void *ctx, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct counted *c = ctx;
	int rc = http_send(c->http, q, a, e);

	c->n += !rc || e->kind == ERR_UNSURE || e->kind == ERR_CANCELLED;
	return rc;
}

static struct own_requests *own_at(struct watch *w, int64_t at)
{
	return &w->own[at / w->ev.period_ms % OWN_PERIODS];
}

static void remember(struct engine *en, enum judge_colour c, int n)
{
	int64_t at = evidence_align(engine_now(en), en->watch.ev.period_ms);
	struct own_requests *own = own_at(&en->watch, at);

	if (own->at != at)
		*own = (struct own_requests){ .at = at };
	own->sent[c] += n;
}

int probes_sent(const struct watch *w, enum judge_colour c, int64_t at)
{
	const struct own_requests *own = own_at((struct watch *)w, at);

	return own->at == at ? own->sent[c] : 0;
}

struct thing {
	enum { READ, SEARCH, EDIT } kind;
	const char *of; /* path, words or title */
};

struct round {
	json_t *probes; /* with outputs filled in */
	struct thing thing[16];
	size_t n;
};

static void round_close(struct round *r) { json_decref(r->probes); }
#define autoround __attribute__((cleanup(round_close)))

static void add(struct round *r, int kind, const char *of)
{
	if (of && r->n < COUNT(r->thing))
		r->thing[r->n++] = (struct thing){ kind, of };
}

static int round_open(struct engine *en, struct round *r, struct err *e)
{
	size_t i;
	json_t *v;

	r->probes = plan_resolve(en->run->plan->watch.probes, en->run->outputs, e);
	if (!r->probes)
		return -1;
	json_array_foreach(json_object_get(r->probes, "paths"), i, v)
		add(r, READ, json_string_value(v));
	add(r, SEARCH, json_str(r->probes, "search", NULL));
	add(r, EDIT, json_str(r->probes, "sandbox", NULL));
	return 0;
}

static struct wiki_door door_of(const struct http *http, const struct round *r, enum judge_colour c)
{
	const json_t *door = json_object_get(r->probes, c == JUDGE_GREEN ? "green" : "blue");

	return (struct wiki_door){ .http = http, .url = json_str(r->probes, "url", ""), .through = json_str(door, "through", NULL),
				   .headers = json_object_get(door, "headers"), .scripts = json_str(r->probes, "scripts", ""),
				   .timeout_ms = PROBE_TIMEOUT_MS };
}

/* Each edit differs from the one before: MediaWiki saves nothing for the same text. */
static enum wiki_answer edit(struct engine *en, const struct wiki_door *d, const char *title, struct err *e)
{
	autofree char *text = xasprintf("Written by cutover to see whether this wiki can be edited: run %s, %lld.", en->run->id,
					(long long)engine_now(en));

	return wiki_edit(d, title, text, e);
}

static enum wiki_answer ask(struct engine *en, const struct round *r, const struct thing *t, enum judge_colour c, struct err *e)
{
	struct counted counted = { .http = &en->door }; /* what is given up for an order would count as a failure */
	struct wiki_door d = door_of(&(struct http){ counted_send, &counted }, r, c);
	enum wiki_answer is = WIKI_CLOSED;

	switch (t->kind) {
	case READ: is = wiki_read(&d, t->of, e); break;
	case SEARCH: is = wiki_search(&d, t->of, e); break;
	case EDIT: is = edit(en, &d, t->of, e); break;
	}
	remember(en, c, counted.n);
	return is;
}

static void ask_next(struct engine *en, const struct round *r)
{
	static const char *const doing[] = { [READ] = "reading", [SEARCH] = "searching for", [EDIT] = "editing" };
	const struct thing *t = &r->thing[en->watch.probe / 2];
	enum judge_colour c = en->watch.probe % 2 ? JUDGE_GREEN : JUDGE_BLUE;
	struct err e = { 0 };
	enum wiki_answer is = ask(en, r, t, c, &e);

	if (is == WIKI_ILL)
		err_wrap(&e, "%s %.60s", doing[t->kind], t->of);
	if (is != WIKI_CLOSED)
		mind_probed(en, c, is == WIKI_ILL ? e.msg : NULL);
}

/* What cannot be asked of either says nothing against green; a person is called (judge/opinion.c). */
static void ask_nobody(struct engine *en, const struct err *e)
{
	mind_probed(en, JUDGE_BLUE, e->msg);
	mind_probed(en, JUDGE_GREEN, e->msg);
}

static void one_probe(struct engine *en)
{
	struct watch *w = &en->watch;
	autoround struct round r = { 0 };
	struct err e = { 0 };

	if (round_open(en, &r, &e))
		ask_nobody(en, &e);
	else if (w->probe < 2 * r.n)
		ask_next(en, &r);
	if (++w->probe < 2 * r.n)
		return;
	w->probe = 0;
	w->probe_at = engine_now(en) + json_num(en->run->plan->watch.probes, "every", 0);
}

void probes_tick(struct engine *en, int64_t *wake_at)
{
	const struct run_traffic *t = &en->run->traffic;

	/* Where one has all traffic there is nothing to compare, and the other must be seen to be quiet. */
	if (!mind_wants_probes(en) || t->left_blue <= 0 || t->left_green <= 0)
		return;
	if (engine_now(en) >= en->watch.probe_at)
		one_probe(en);
	if (en->watch.probe_at < *wake_at)
		*wake_at = en->watch.probe_at;
}

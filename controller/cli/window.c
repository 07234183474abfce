#include "cli/window.h"

#include "base/buf.h"
#include "base/clock.h"
#include "cli/facts.h"
#include "engine/event.h"
#include "engine/step.h"
#include "plan/plan.h"
#include "store/store.h"

#include <string.h>

/* --- as the plan has it in mind ----------------------------------------------------------- */

static size_t first_of(const struct plan *p, const char *kind, size_t from)
{
	size_t i = from;

	while (i < p->nsteps && strcmp(p->steps[i].kind->name, kind))
		i++;
	return i;
}

bool window_of_plan(const struct plan *p, struct window_plan *out)
{
	*out = (struct window_plan){ .first = first_of(p, "freeze", 0) };
	out->last = first_of(p, "thaw", out->first);
	for (size_t i = out->first; i < p->nsteps && i <= out->last; i++) {
		const struct step *s = &p->steps[i];

		out->least_ms += json_num(s->params, "bake", 0) + json_num(s->params, "quiet", 0);
		out->most_ms += facts_undisturbed_ms(s);
	}
	return out->first < p->nsteps;
}

json_t *window_sentences(const struct plan *p)
{
	json_t *list = json_array();
	struct window_plan w;
	char least[32], most[32];

	if (!window_of_plan(p, &w))
		return list;
	facts_time(w.least_ms, least);
	facts_time(w.most_ms, most);
	autofree char *when = xasprintf("from step %s to step %s the wiki is read-only: page views go on, edits are refused with a reason; "
					"its bakes and waits alone take %s, all its steps up to %s", p->steps[w.first].id,
					w.last < p->nsteps ? p->steps[w.last].id : "the end", least, most);

	json_array_append_new(list, json_text(when));
	json_array_append_new(list, json_text("when the run goes back in this time, traffic goes to blue and that is proved before blue takes "
					      "edits again: with CloudWatch's delay that is some minutes more once green has served users"));
	return list;
}

json_t *window_plan_json(const struct plan *p)
{
	struct window_plan w;

	if (!window_of_plan(p, &w))
		return json_null();
	return json_pack("{s:s, s:s*, s:I, s:I}", "from", p->steps[w.first].id, "to",
			 w.last < p->nsteps ? p->steps[w.last].id : NULL, "least_ms", (json_int_t)w.least_ms, "most_ms",
			 (json_int_t)w.most_ms);
}

/* --- as it was ------------------------------------------------------------------------------- */

struct measuring {
	json_t *windows;
	int64_t from; /* 0: none is open */
};

static json_t *iso(int64_t ms)
{
	char text[21];

	clock_iso(ms, text);
	return json_string(text);
}

static void add(struct measuring *m, int64_t to)
{
	json_array_append_new(m->windows, json_pack("{s:o, s:o, s:I}", "from", iso(m->from), "to", iso(to), "ms",
						    (json_int_t)(to - m->from)));
	m->from = 0;
}

/* The notes of freeze and thaw (steps/freeze.c). */
static int see(void *ctx, const struct event *ev)
{
	struct measuring *m = ctx;
	autojson json_t *b = event_kind_of(ev) != EVENT_NOTE ? NULL : json_loads(ev->body, 0, NULL);
	const char *what = json_str(b, "what", "");

	if (!strcmp(what, "the wiki is read-only") && !m->from)
		m->from = json_num(b, "first", ev->at);
	else if (!strcmp(what, "the wiki takes edits") && m->from)
		add(m, json_num(b, "all", ev->at));
	return 0;
}

int window_of_run(struct store *s, const char *run, json_t **out, struct err *e)
{
	struct measuring m = { .windows = json_array() };

	if (store_read(s, run, 0, see, &m, e)) {
		json_decref(m.windows);
		return -1;
	}
	if (m.from)
		json_array_append_new(m.windows, json_pack("{s:o, s:n, s:n}", "from", iso(m.from), "to", "ms"));
	*out = m.windows;
	return 0;
}

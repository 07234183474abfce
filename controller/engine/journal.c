/* engine/journal.c - the ground floor: a line is written and folded, and what
 * every file here asks of the run's own past. Knows nothing of ticks, AWS or
 * steps. */
#include "base/proc.h"
#include "base/text.h"
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

/* A correction of the clock is taken over between two ticks only (engine.c), so
 * that all that one tick times is of one clock. */
int64_t engine_now(struct engine *en) { return en->clock->wall(en->clock) + en->skew; }

bool engine_holds(const struct engine *en)
{
	return !strcmp(en->run->holder, en->holder);
}

int engine_still_ours(struct engine *en, struct err *e)
{
	if (engine_holds(en))
		return 0;
	lease_lost(&en->lease);
	return err_set(e, ERR_LOST, "run %s is driven by %s now", en->run->id, en->run->holder);
}

int journal_append(struct store *s, int64_t at, const char *run, int64_t seq, const char *actor,
		   enum event_kind kind, const char *step, const json_t *body, struct err *e)
{
	autofree char *text = json_flat(body);
	char who[96];
	struct event ev = { .seq = seq, .at = at, .run = (char *)run, .actor = who,
			    .kind = (char *)event_name(kind), .step = (char *)step, .body = text };

	text_line(who, sizeof who, actor);
	return store_append(s, &ev, e);
}

/* On the way back an order changes nothing: one that came first is folded, and
 * the line follows it, or who orders it again and again would hold it up. */
static bool journal_may_follow(struct engine *en, struct err *e)
{
	return e->kind == ERR_MOVED && en->run->state == RUN_BACK && !run_catch_up(en->run, en->store, e) &&
	       en->run->state == RUN_BACK && engine_holds(en);
}

int engine_append(struct engine *en, enum event_kind kind, const char *step, json_t *body, struct err *e)
{
	autojson json_t *mine = body ? body : json_object();
	struct err before = *e;

	while (journal_append(en->store, engine_now(en), en->run->id, en->run->seq + 1, en->actor, kind, step, mine, e)) {
		if (!journal_may_follow(en, e))
			return -1;
		*e = before;
	}
	return run_catch_up(en->run, en->store, e);
}

int engine_resolve(struct engine *en, struct err *e)
{
	free(en->blue);
	free(en->green);
	en->blue = en->green = NULL;
	return run_groups(en->run, &en->blue, &en->green, e);
}

/* --- calling a person ---------------------------------------------------------------- */

static void journal_run_call(const struct run *r, const char *why)
{
	size_t n = json_array_size(r->plan->call);
	autofree const char **argv = xcalloc(n + 2, sizeof *argv);
	autofree char *run = xasprintf("CUTOVER_RUN=%s", r->id), *what = xasprintf("CUTOVER_WHY=%s", why);
	const char *env[] = { "PATH=/usr/local/bin:/usr/bin:/bin", run, what, NULL };
	autoproc struct proc_result res = { 0 };
	struct err e = { 0 };

	for (size_t i = 0; i < n; i++)
		argv[i] = json_string_value(json_array_get(r->plan->call, i));
	argv[n] = why;
	proc_run(argv, env, NULL, 10000, 4096, &res, &e);
}

void engine_call_program(struct engine *en, const char *why)
{
	if (json_array_size(en->run->plan->call) && !en->simulated)
		journal_run_call(en->run, why);
}

int engine_call(struct engine *en, const char *why, struct err *e)
{
	return engine_call_for(en, why, 0, e);
}

int engine_call_for(struct engine *en, const char *why, int64_t asks, struct err *e)
{
	json_t *body = json_pack("{s:o}", "why", json_text(why));

	en->called = true;
	if (asks)
		json_object_set_new(body, "asks", json_integer(asks));
	if (engine_append(en, EVENT_CALL, "", body, e))
		return -1;
	engine_call_program(en, why);
	return 0;
}

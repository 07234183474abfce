#include "cli/driven.h"

#include "base/clock.h"
#include "base/err.h"
#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#define DRIVEN_FIRST_MS 3000 /* from a run's first line to its first claim */

enum driven driven_look(const struct run *r)
{
	if (run_is_over(r) || !r->holder[0])
		return DRIVEN_NO;
	switch (engine_holder_life(r)) {
	case ENGINE_DEAD:
		return DRIVEN_NO;
	case ENGINE_ALIVE:
		return DRIVEN_YES;
	default:
		return DRIVEN_UNKNOWN;
	}
}

json_t *driven_json(const struct run *r, enum driven d)
{
	static const char *const names[] = { [DRIVEN_NO] = "no", [DRIVEN_YES] = "yes", [DRIVEN_UNKNOWN] = "unknown" };
	json_t *j = json_pack("{s:s}", "driven", names[d]);
	char host[64];
	long pid;

	if (engine_holder_place(r, host, &pid))
		json_object_set_new(j, "driver", json_pack("{s:o, s:I}", "host", json_text(host), "pid", (json_int_t)pid));
	return j;
}

bool driven_said(struct store *s, const struct run *r, struct store_said *out)
{
	const struct step *cur = run_current(r);

	return !run_is_over(r) && driven_look(r) != DRIVEN_NO && store_said(s, r->id, out) && out->text[0] &&
	       !strcmp(out->holder, r->holder) && !strcmp(out->step, r->state == RUN_FORWARD && cur ? cur->id : "");
}

static void driven_look_again(struct pulse *p, const struct run *r, struct store *s)
{
	struct err unread = { 0 };
	int64_t now = clock_mono(&clock_real), beats;

	if (store_beats(s, r->id, &beats, &unread)) {
		p->since += p->looked ? now - p->looked : 0;
	} else if (beats != p->beats || !p->looked) {
		p->seen = p->looked != 0;
		p->beats = beats;
		p->since = now;
	}
	p->looked = now;
}

bool driven_feel(struct pulse *p, const struct run *r, struct store *s)
{
	if (!p->since)
		p->since = clock_mono(&clock_real);
	if (!r->holder[0])
		return clock_mono(&clock_real) - p->since < DRIVEN_FIRST_MS;
	if (engine_holder_is_dead(r))
		return false;
	driven_look_again(p, r, s);
	return clock_mono(&clock_real) - p->since < ENGINE_LEASE_MS;
}

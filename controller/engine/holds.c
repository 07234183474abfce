/* engine/holds.c - what steps that are done stand for, asked again before anything
 * rests on it. Behind a one-way door there is nothing left to go back to, and
 * nothing is asked any more. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

#define LATELY_MS 10000 /* a yes is believed for so long while one step goes on */
#define STAY_MS 2000    /* most that is waited for an answer which must be of now */
#define AGAIN_MS 20

static int holds_broken(struct engine *en, const struct step *s, struct err *e)
{
	char iso[21];

	en->broken = s;
	if (!en->held_wall)
		return err_wrap(e, "what it did does not hold");
	clock_iso(en->held_wall, iso);
	return err_wrap(e, "what it did held at %s and does not any more", iso);
}

static enum step_verdict holds_ask_step(struct engine *en, size_t i, struct step_run *asker, struct err *e)
{
	const struct step *s = &en->run->plan->steps[i];
	autojson json_t *params = NULL;
	enum step_verdict v;
	struct step_run r;

	if (service_open_beside(en, i, &r, &params, e))
		return STEP_FAIL;
	v = s->kind->holds(&r, e);
	if (v == STEP_WAIT) {
		step_say(asker, "does what step %s (%s) did still hold? %.160s", s->id, s->kind->name, r.saying);
		asker->wake_at = r.wake_at;
	}
	service_close(&r);
	return v == STEP_FAIL && !err_retryable(e) ? holds_broken(en, s, e) : v;
}

static enum step_verdict holds_ask(struct engine *en, struct step_run *asker, struct err *e)
{
	const struct run *run = en->run;
	enum step_verdict v = STEP_DONE;

	en->broken = NULL;
	for (size_t i = 0; v == STEP_DONE && !run->one_way && i < run->plan->nsteps; i++)
		if (run->step[i].state == STEP_IS_DONE && run->plan->steps[i].kind->holds)
			v = holds_ask_step(en, i, asker, e);
	en->held = v == STEP_DONE ? clock_mono(en->clock) : HOLDS_UNKNOWN;
	if (v == STEP_DONE)
		en->held_wall = engine_now(en);
	return v;
}

enum step_verdict holds_now(struct step_run *asker, struct err *e)
{
	struct engine *en = asker->engine;
	int64_t until = clock_mono(en->clock) + STAY_MS;
	enum step_verdict v = holds_ask(en, asker, e);

	while (v == STEP_WAIT && clock_mono(en->clock) < until && !engine_is_urged(en)) {
		clock_sleep(en->clock, AGAIN_MS);
		v = holds_ask(en, asker, e);
	}
	return v;
}

enum step_verdict holds_lately(struct step_run *asker, struct err *e)
{
	struct engine *en = asker->engine;
	bool lately = en->held != HOLDS_UNKNOWN && clock_mono(en->clock) - en->held < LATELY_MS;

	return lately ? STEP_DONE : holds_ask(en, asker, e);
}

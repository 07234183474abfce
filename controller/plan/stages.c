/* plan/stages.c - the stages of a plan, as the judge wants to know them. */
#include "plan/internal.h"

#include <string.h>

/* Does it give green a share that is then looked at? */
static bool is_stage(const struct step *s)
{
	return !strcmp(s->kind->name, "shift") || !strcmp(s->kind->name, "promote");
}

static double weight_of(const struct step *s)
{
	return strcmp(s->kind->name, "promote") ? (double)json_num(s->params, "weight", 0) / 1000 : 1;
}

int plan_stage_permille(const struct step *s)
{
	return is_stage(s) ? (int)(weight_of(s) * 1000 + 0.5) : -1;
}

void plan_stages(const struct plan *p, struct judge_stages *out)
{
	*out = (struct judge_stages){ 0 };
	for (size_t i = 0; i < p->nsteps && out->n < JUDGE_STAGES; i++) {
		if (!is_stage(&p->steps[i]))
			continue;
		out->weight[out->n++] = weight_of(&p->steps[i]);
		out->automatic |= *json_str(p->steps[i].params, "stages", "") != '\0';
	}
}

int plan_stage_at(const struct plan *p, size_t step)
{
	int n = -1;

	for (size_t i = 0; i <= step && i < p->nsteps && n < JUDGE_STAGES - 1; i++)
		n += is_stage(&p->steps[i]);
	return n < 0 ? 0 : n;
}

void tune_harm(struct judge_tuning *t, double failed)
{
	judge_tune(t, "harm", failed);
	judge_tune(t, "harm_auto", failed);
}

void stages_tune(struct plan *p)
{
	for (size_t i = 0; i < p->nsteps; i++)
		if (is_stage(&p->steps[i]) && json_object_get(p->steps[i].params, "harm"))
			tune_harm(&p->watch.tuning, (double)json_num(p->steps[i].params, "harm", 0));
}

/* engine/step_open.c - a step_run filled for one step, and freed. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

static void step_make_token(const struct run *run, const struct step *s, char *out, size_t size)
{
	snprintf(out, size, "%.60s-%.24s-%d", run->id, s->id, run->attempt);
	for (char *p = out; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", *p))
			*p = '-';
}

int service_open_beside(struct engine *en, size_t i, struct step_run *r, json_t **params, struct err *e)
{
	const struct step *s = &en->run->plan->steps[i];

	*params = plan_resolve(s->params, en->run->outputs, e);
	if (!*params)
		return -1;
	*r = (struct step_run){
		.step = s, .params = *params, .memo = en->run->step[i].memo, .out = json_object(),
		.attempt = en->run->attempt, .now = engine_now(en), .since = en->run->step[i].since,
		.plan = en->run->plan, .blue = en->blue, .green = en->green, .aws = en->aws, .http = &en->http,
		.engine = en, .run = en->run->id, .simulated = en->simulated,
	};
	if (!r->memo || json_is_null(r->memo))
		r->memo = NULL;
	step_make_token(en->run, s, r->token, sizeof r->token);
	return 0;
}

int service_open(struct engine *en, size_t i, struct step_run *r, json_t **params, struct err *e)
{
	return engine_resolve(en, e) ? -1 : service_open_beside(en, i, r, params, e);
}

void service_close(struct step_run *r)
{
	json_decref(r->out);
	r->out = NULL;
}

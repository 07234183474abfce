/* cli/facts_json.c - all that can be said of a plan before it runs, as one document. */
#include "cli/facts.h"

#include "aws/aws.h"
#include "base/buf.h"
#include "base/duration.h"
#include "cli/window.h"
#include "engine/step.h"
#include "plan/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static json_t *steps_json(const struct plan *p)
{
	json_t *list = json_array();
	int64_t until = 0;

	for (size_t i = 0; i < p->nsteps; i++) {
		const struct step *s = &p->steps[i];
		autofree char *params = facts_params(s);

		until += facts_undisturbed_ms(s);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:O, s:I, s:I, s:I, s:b, s:b}", "id", s->id, "do",
						      s->kind->name, "about", s->kind->about, "says", params, "params", s->params,
						      "undisturbed_ms", (json_int_t)facts_undisturbed_ms(s), "until_ms",
						      (json_int_t)until, "timeout_ms", (json_int_t)s->timeout_ms, "one_way",
						      (s->kind->flags & STEP_ONE_WAY) != 0, "undone", s->kind->undo != NULL));
	}
	return list;
}

static json_t *number_or_null(double x)
{
	return x < 0 ? json_null() : json_real(ceil(x * 1000) / 1000);
}

static json_t *stages_json(const struct plan *p, double rate)
{
	autofree struct stage *g = xcalloc(p->nsteps, sizeof *g);
	json_t *list = json_array();
	size_t n = facts_stages(p, g);

	for (size_t i = 0; i < n; i++) {
		json_t *o = json_pack("{s:s, s:i, s:I, s:I, s:i, s:{s:o, s:o, s:o, s:o}}", "step", g[i].step->id,
				      "green_permille", g[i].permille, "least_ms", (json_int_t)g[i].least_ms, "most_ms",
				      (json_int_t)g[i].most_ms, "periods_seen", g[i].periods, "needs_requests_per_second",
				      "good", number_or_null(g[i].need_good), "catastrophic",
				      number_or_null(g[i].need_catastrophic), "error-rate", number_or_null(g[i].need_errors),
				      "latency", number_or_null(g[i].need_latency));

		if (rate > 0)
			json_object_set_new(o, "green_requests", json_real(floor(rate * g[i].permille / 1000.0 *
										(double)g[i].least_ms / 1000)));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *doors_json(const struct plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->nsteps; i++)
		if (p->steps[i].kind->flags & STEP_ONE_WAY)
			json_array_append_new(list, json_string(p->steps[i].id));
	return list;
}

json_t *facts_json(const struct plan *p, double rate)
{
	const struct plan_watch *w = &p->watch;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "name", p->name, "sha256", p->sha256,
			      "region", p->region, "account", p->account, "rule", p->rule, "blue", p->blue.target_group,
			      "green", p->green.target_group, "steps", steps_json(p), "exposure", stages_json(p, rate),
			      "one_way_doors", doors_json(p));

	json_object_set_new(o, "watch", json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "period_ms", (json_int_t)w->period_ms,
						  "lag_ms", (json_int_t)w->lag_ms, "poll_ms", (json_int_t)w->poll_ms,
						  "blind_after_ms", (json_int_t)w->blind_after_ms, "hold_limit_ms",
						  (json_int_t)w->hold_limit_ms, "foreign_grace_ms",
						  (json_int_t)w->foreign_grace_ms));
	json_object_set_new(o, "deadline_ms", p->deadline_ms ? json_integer(p->deadline_ms) : json_null());
	json_object_set_new(o, "read_only", window_plan_json(p));
	json_object_set_new(o, "failure", facts_failure(p));
	json_object_set_new(o, "iam_actions", facts_iam(p));
	json_object_set_new(o, "notes", facts_notes(p));
	return o;
}

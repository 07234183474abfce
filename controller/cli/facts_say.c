/* cli/facts_say.c - the sentences of `explain`: what happens when things go
 * wrong, and what the author of a plan may not have thought of. */
#include "base/buf.h"
#include "cli/facts.h"
#include "engine/step.h"
#include "plan/plan.h"

#include <stdarg.h>
#include <string.h>

static void say(json_t *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(json_t *list, const char *fmt, ...)
{
	autobuf struct buf text = BUF_MAX(8192);
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&text, fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_text(text.p));
}

/* Several in one sentence. */
struct said { char text[32]; };
static struct said said(int64_t ms)
{
	struct said s;

	facts_time(ms, s.text);
	return s;
}

/* --- the plan as a whole ------------------------------------------------------------------------- */

static size_t first_with(const struct plan *p, unsigned flag)
{
	size_t i = 0;

	while (i < p->nsteps && !(p->steps[i].kind->flags & flag))
		i++;
	return i;
}

static bool has_kind(const struct plan *p, const char *kind)
{
	for (size_t i = 0; i < p->nsteps; i++)
		if (!strcmp(p->steps[i].kind->name, kind))
			return true;
	return false;
}

static bool raises_green(const struct plan *p)
{
	return has_kind(p, "shift") || has_kind(p, "promote");
}

/* "green, schema": what is undone besides traffic, last first. */
static void list_undone(const struct plan *p, struct buf *out)
{
	for (size_t i = p->nsteps; i-- > 0;)
		if (p->steps[i].kind->undo && !(p->steps[i].kind->flags & STEP_TRAFFIC))
			buf_addf(out, "%s%s", out->len ? ", then " : "", p->steps[i].id);
}

/* --- when things go wrong --------------------------------------------------------------------------- */

static void say_judge(const struct plan_watch *w, json_t *list)
{
	autobuf struct buf what = BUF_MAX(1024);
	size_t i;
	json_t *m;

	if (!w->sequential)
		return;
	buf_addf(&what, w->slow_ms ? "answers slower than %s" : "response times (%s)", w->slow_ms ? said(w->slow_ms).text :
		 w->latency_stat);
	json_array_foreach(w->metrics, i, m)
		buf_addf(&what, ", %s", json_str(m, "name", "?"));
	if (w->probes)
		buf_addf(&what, ", our own probes (every %s)", said(json_num(w->probes, "every", 0)).text);
	say(list, "green is BAD when it is worse than blue: errors, %s are compared at every look; a green as good as blue is taken "
	    "back in %g%% of runs", what.p, 100 * w->tuning.alpha);
	if (json_str(w->probes, "sandbox", NULL))
		say(list, "while both colours have weight, page %s is overwritten every %s through either colour, to see whether it can be edited",
		    json_str(w->probes, "sandbox", ""), said(json_num(w->probes, "every", 0)).text);
	say(list, "green is BAD when it makes blue sick: blue never was in its past, and gets worse right after two raises");
	say(list, "a stage is left only when the fault is excluded that would cost more than %g failed requests in the next one, beside "
	    "what it costs at any weight until it is seen (after %g periods in a stage that grows), and green has answered at least %d "
	    "requests in it",
	    w->tuning.harm, w->tuning.hurry, w->limits.good_requests);
}

static void say_rules(const struct plan *p, json_t *list)
{
	const struct plan_watch *w = &p->watch;
	const struct judge_limits *l = &w->limits;

	say(list, "green is BAD, and traffic goes back, when in one closed period of %s it fails %g%% or more of at least %d "
	    "requests; noticed within %s of its beginning", said(w->period_ms).text, l->catastrophic_permille / 10.0,
	    l->catastrophic_requests, said(2 * w->period_ms + w->lag_ms + w->poll_ms).text);
	say_judge(w, list);
	if (l->error_permille)
		say(list, "green is BAD when it fails more than %g%% of at least %d requests in %d closed period%s; noticed within %s",
		    l->error_permille / 10.0, l->error_requests, l->error_periods, l->error_periods == 1 ? "" : "s",
		    said((l->error_periods + 1) * w->period_ms + w->lag_ms + w->poll_ms).text);
	if (l->latency_ms)
		say(list, "green is BAD when %s of its response time is above %s in %d closed period%s with at least %d requests",
		    w->latency_stat, said(l->latency_ms).text, l->latency_periods, l->latency_periods == 1 ? "" : "s",
		    l->latency_requests);
	if (json_array_size(w->alarms))
		say(list, "green is BAD when an alarm of the plan fires (%zu named, %zu waived)", json_array_size(w->alarms),
		    json_array_size(w->waived));
	say(list, "green is BAD when none of its targets is healthy. When blue is as sick, going back would not help: then the "
	    "stage is held instead");
}

static void say_watch(const struct plan *p, json_t *list)
{
	const struct plan_watch *w = &p->watch;

	say_rules(p, list);
	say(list, "when too little can be seen for a verdict, a stage is lengthened by up to %s; then %s",
	    said(w->hold_limit_ms).text, w->on_hold == PLAN_HOLD_CALL ? "a person is called and the run waits" :
	    "traffic goes back");
	say(list, "when nothing can be seen for %s, traffic goes back", said(w->blind_after_ms).text);
	say(list, "when somebody else changes the weights, nothing is raised any more; without `cutover resume` within %s "
	    "traffic goes back", said(w->foreign_grace_ms).text);
}

static void say_way_back(const struct plan *p, json_t *list)
{
	autobuf struct buf undone = BUF_MAX(4096);
	size_t touch = first_with(p, STEP_TOUCHES), door = first_with(p, STEP_ONE_WAY);

	list_undone(p, &undone);
	if (touch > 0 && touch < p->nsteps)
		say(list, "a failure before step %s changes nothing: the run is refused (exit 5)", p->steps[touch].id);
	if (raises_green(p))
		say(list, "a failure later, a step that takes longer than its timeout, or `cutover rollback` at any moment: "
		    "traffic goes to blue and that is proved (exit 3)%s%s", undone.len ? "; then is undone: " : "",
		    undone.len ? undone.p : "");
	if (has_kind(p, "back"))
		say(list, "while blue cannot be given all traffic, that is tried again and again; a person is called, and in the end "
		    "the run freezes (exit 4)");
	if (door < p->nsteps)
		say(list, "from step %s on there is no way back: a failure freezes the run and a person is called (exit 4)",
		    p->steps[door].id);
}

static void say_end_of_controller(const struct plan *p, json_t *list)
{
	if (p->deadman.on)
		say(list, "when no controller is heard of for %s, AWS itself puts the weights back on blue",
		    said(p->deadman.after_ms).text);
	say(list, "when the controller dies, `cutover resume` goes on where it was, from any machine with the journal");
}

json_t *facts_failure(const struct plan *p)
{
	json_t *list = json_array();

	if (raises_green(p))
		say_watch(p, list);
	say_way_back(p, list);
	if (p->deadline_ms)
		say(list, "when the way forward takes longer than %s, it is given up", said(p->deadline_ms).text);
	say_end_of_controller(p, list);
	return list;
}

/* --- notes --------------------------------------------------------------------------------------------- */

static bool is_cloudwatch_period(int64_t ms)
{
	static const int seconds[] = { 1, 5, 10, 20, 30, 60 };

	for (size_t i = 0; i < COUNT(seconds); i++)
		if (ms == seconds[i] * INT64_C(1000))
			return true;
	return false;
}

static void note_periods(const struct plan *p, json_t *list)
{
	if (p->watch.period_ms >= 60000)
		return;
	say(list, "AWS publishes the load balancer's metrics once a minute: periods of %s need metrics that are published "
	    "that often%s", said(p->watch.period_ms).text, is_cloudwatch_period(p->watch.period_ms) ? "" :
	    ", and CloudWatch itself knows periods of 1, 5, 10, 20, 30 and 60 s only");
}

static void note_stages(const struct plan *p, json_t *list)
{
	autofree struct stage *g = xcalloc(p->nsteps, sizeof *g);
	size_t n = facts_stages(p, g);

	for (size_t i = 0; i < n; i++)
		if (g[i].permille && !g[i].periods)
			say(list, "step %s: no period closes within its bake, so it is always lengthened; %s or more would do",
			    g[i].step->id, said(p->watch.lag_ms + 3 * p->watch.period_ms).text);
}

/* Invariant 7: a one-way door has an approval of its own. */
static void note_doors(const struct plan *p, json_t *list)
{
	for (size_t i = 0; i < p->nsteps; i++)
		if ((p->steps[i].kind->flags & STEP_ONE_WAY) && (!i || strcmp(p->steps[i - 1].kind->name, "approve")))
			say(list, "step %s cannot be undone and no approve step stands right before it: nobody is asked",
			    p->steps[i].id);
}

static void note_people(const struct plan *p, json_t *list)
{
	if (raises_green(p) && !json_array_size(p->call))
		say(list, "the plan has no `call`: when a person is needed, only the screen and the journal say so");
	if (raises_green(p) && !p->deadman.on)
		say(list, "the plan has no `deadman`: while no controller runs at all, nothing takes traffic back");
	if (raises_green(p) && !json_array_size(p->watch.alarms))
		say(list, "the plan names no alarms: what users meet before a target (load balancer 5xx, rejected connections) "
		    "is not seen");
}

static void note_stacks(const struct plan *p, json_t *list)
{
	for (size_t i = 0; i < p->nsteps; i++)
		if (!strcmp(p->steps[i].kind->name, "stack") && !json_object_get(p->steps[i].params, "role"))
			say(list, "step %s has no `role`: CloudFormation makes the stack with the caller's rights, which then need "
			    "every action of the template too", p->steps[i].id);
}

json_t *facts_notes(const struct plan *p)
{
	json_t *list = json_array();

	note_periods(p, list);
	note_stages(p, list);
	note_doors(p, list);
	note_people(p, list);
	note_stacks(p, list);
	return list;
}

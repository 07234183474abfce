/* cli/stacks_status.c - what each stack is for, and whether it still is what its
 * template says. CloudFormation's drift detection looks at every resource: it is
 * begun for all stacks first, then waited for. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/stacks.h"

#include <string.h>

#define NAP_MS 1000
#define DRIFT_MAX_MS INT64_C(900000)

struct row {
	const struct environment_stack *st;
	json_t *event;
	char detection[64]; /* "": none was begun */
	bool bad;
};

static void say_drift(struct row *r, const char *drift, const char *why)
{
	json_object_set_new(r->event, "drift", json_string(drift));
	if (*why)
		json_object_set_new(r->event, "why", json_text(why));
	r->bad |= strcmp(drift, "IN_SYNC") != 0;
}

static int begin_drift(struct stacks *s, struct row *r, struct err *e)
{
	struct err why = { 0 };

	if (!cfn_drift_start(stacks_aws(s, r->st->region), r->st->name, r->detection, &why))
		return 0;
	if (why.kind == ERR_DENIED) {
		*e = why;
		return -1;
	}
	say_drift(r, "UNKNOWN", why.msg); /* a stack that is being changed has no drift to speak of */
	r->detection[0] = '\0';
	return 0;
}

static void keep(struct row *r, const struct cfn_stack *k)
{
	json_object_set_new(r->event, "status", json_string(k->status));
	json_object_set_new(r->event, "protected", json_boolean(k->is_protected));
	json_object_set(r->event, "outputs", k->outputs);
	r->bad = cfn_phase(k->status) != CFN_READY || (r->st->protect && !k->is_protected);
	if (cfn_phase(k->status) != CFN_READY && k->reason[0])
		json_object_set_new(r->event, "why", json_text(k->reason));
}

static int look(struct stacks *s, struct row *r, bool drift, struct err *e)
{
	autostack struct cfn_stack k = { 0 };
	struct err why = { 0 };

	r->event = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "what", "status", "stack", r->st->name, "region", r->st->region,
			     "about", r->st->about, "stateful", r->st->stateful, "once", r->st->once);
	if (!cfn_stack_get(stacks_aws(s, r->st->region), r->st->name, &k, &why)) {
		keep(r, &k);
		stacks_keep_outputs(s, r->st->name, k.outputs);
		return drift ? begin_drift(s, r, e) : 0;
	}
	if (why.kind != ERR_GONE) {
		*e = why;
		return -1;
	}
	json_object_set_new(r->event, "status", json_string("not there"));
	r->bad = !r->st->once; /* plans may have replaced a colour */
	return 0;
}

static int tell_drift(struct stacks *s, struct row *r, const struct cfn_drift *d, struct err *e)
{
	json_t *rows = NULL;

	say_drift(r, d->status[0] ? d->status : "UNKNOWN", d->reason);
	if (strcmp(d->status, "DRIFTED") != 0)
		return 0;
	if (cfn_drift_rows(stacks_aws(s, r->st->region), r->st->name, &rows, e))
		return -1;
	json_object_set_new(r->event, "resources", rows);
	return 0;
}

static int wait_for_drift(struct stacks *s, struct row *r, struct err *e)
{
	int64_t until = clock_mono(s->clock) + DRIFT_MAX_MS;
	struct cfn_drift d;

	while (r->detection[0] && !*s->stop) {
		if (cfn_drift_get(stacks_aws(s, r->st->region), r->detection, &d, e))
			return -1;
		if (d.over)
			return tell_drift(s, r, &d, e);
		if (clock_mono(s->clock) > until) {
			say_drift(r, "UNKNOWN", "the detection takes longer than 15 minutes");
			return 0;
		}
		clock_sleep(s->clock, NAP_MS);
	}
	return 0;
}

static int tell_rule(struct stacks *s, struct err *e)
{
	char arn[256] = "";

	if (!s->env->rule.on || stacks_rule_find(s, arn, e))
		return s->env->rule.on ? -1 : 0;
	s->tell(s, json_pack("{s:s, s:s, s:b}", "what", "rule", "rule", arn, "made", 0));
	return 0;
}

static int look_at_all(struct stacks *s, struct row *rows, bool drift, struct err *e)
{
	for (size_t i = 0; i < s->env->nstacks; i++) {
		rows[i].st = &s->env->stacks[i];
		if (look(s, &rows[i], drift, e))
			return -1;
	}
	for (size_t i = 0; i < s->env->nstacks; i++) {
		if (wait_for_drift(s, &rows[i], e))
			return -1;
		s->tell(s, json_incref(rows[i].event));
	}
	return tell_rule(s, e);
}

int stacks_status(struct stacks *s, bool drift, struct err *e)
{
	struct row *rows = xcalloc(s->env->nstacks, sizeof *rows);
	int rc = look_at_all(s, rows, drift, e), bad = 0;

	for (size_t i = 0; i < s->env->nstacks; i++) {
		json_decref(rows[i].event);
		bad += rows[i].bad;
	}
	free(rows);
	if (rc)
		return -1;
	return *s->stop ? CUTOVER_EXIT_RUNNING : bad ? CUTOVER_EXIT_FROZEN : CUTOVER_EXIT_OK;
}

#include "cli/facts.h"

#include "aws/aws.h"
#include "base/buf.h"
#include "base/duration.h"
#include "engine/step.h"
#include "plan/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- time and share ----------------------------------------------------------------------- */

void facts_time(int64_t ms, char out[32])
{
	if (ms >= 1000 && ms < 60000 && ms % 1000)
		snprintf(out, 32, "%g s", (double)ms / 1000);
	else
		duration_say(ms, out);
}

int64_t facts_undisturbed_ms(const struct step *s)
{
	return s->kind->worst_ms ? s->kind->worst_ms(s) : s->timeout_ms;
}

static bool moves_traffic(const struct step *s)
{
	return s->kind->flags & STEP_TRAFFIC;
}

static int share_after(const struct step *s)
{
	if (!strcmp(s->kind->name, "promote"))
		return 1000;
	if (json_object_get(s->params, "stages"))
		return 900; /* the most that the judge gives by itself */
	return (int)json_num(s->params, "weight", 0); /* back has none: 0 */
}

/* The watch counts a period only when it lies wholly in the stage, begins a
 * period after the change, and has been over for `lag` (engine/watch.c). */
static int periods_seen(const struct plan_watch *w, int64_t bake)
{
	int64_t n = (bake - w->lag_ms) / w->period_ms - 2;

	return n > 0 ? (int)n : 0;
}

static double need(double requests, int permille, int64_t ms)
{
	return permille > 0 && ms > 0 ? requests / (permille / 1000.0) / ((double)ms / 1000) : -1;
}

static void judge_stage(const struct plan_watch *w, struct stage *g)
{
	const struct judge_limits *l = &w->limits;

	g->periods = periods_seen(w, json_num(g->step->params, "bake", 0));
	g->need_good = need(l->good_requests, g->permille, g->periods * w->period_ms);
	g->need_catastrophic = need(l->catastrophic_requests, g->permille, w->period_ms);
	/* A rule that the plan does not have never speaks. */
	g->need_errors = l->error_permille ? need(l->error_requests, g->permille, l->error_periods * w->period_ms) : -1;
	g->need_latency = l->latency_ms ? need(l->latency_requests, g->permille, l->latency_periods * w->period_ms) : -1;
}

/* A stage may be held, and then for ever when a person is called instead. */
static int64_t longest_ms(const struct plan *p, const struct step *s)
{
	int64_t held = facts_undisturbed_ms(s) + (moves_traffic(s) ? p->watch.hold_limit_ms : 0);

	if (moves_traffic(s) && p->watch.on_hold == PLAN_HOLD_CALL)
		return s->timeout_ms;
	return held < s->timeout_ms ? held : s->timeout_ms;
}

size_t facts_stages(const struct plan *p, struct stage *out)
{
	size_t n = 0;

	for (size_t i = 0; i < p->nsteps; i++) {
		const struct step *s = &p->steps[i];

		if (moves_traffic(s)) {
			out[n] = (struct stage){ .step = s, .permille = share_after(s) };
			judge_stage(&p->watch, &out[n++]);
		}
		if (!n)
			continue;
		out[n - 1].least_ms += json_num(s->params, "bake", 0) + json_num(s->params, "soak", 0);
		out[n - 1].most_ms += longest_ms(p, s);
	}
	return n;
}

/* --- parameters as people read them ----------------------------------------------------------- */

static void value_said(const struct param *p, const json_t *v, struct buf *out)
{
	json_int_t n = json_integer_value(v);
	char text[32];

	if (p->type == PARAM_DURATION) {
		facts_time(n, text);
		buf_adds(out, text);
	} else if (p->type == PARAM_PERCENT) {
		buf_addf(out, "%g%%", (double)n / 10);
	} else if (p->type == PARAM_INT) {
		buf_addf(out, "%lld", (long long)n);
	} else if (p->type == PARAM_BOOL) {
		buf_adds(out, json_is_true(v) ? "yes" : "no");
	} else if (json_is_string(v)) {
		buf_addf(out, "\"%s\"", json_string_value(v));
	} else {
		autofree char *flat = json_flat(v);

		buf_addf(out, strlen(flat) > 100 ? "%.100s..." : "%s", flat);
	}
}

char *facts_params(const struct step *s)
{
	autobuf struct buf out = BUF_MAX(16384);

	for (const struct param *p = s->kind->params; p->name; p++) {
		const json_t *v = json_object_get(s->params, p->name);

		if (!v || json_is_false(v) || (json_is_string(v) && !*json_string_value(v)))
			continue;
		buf_addf(&out, "%s%s ", out.len ? ", " : "", p->name);
		value_said(p, v, &out);
	}
	return buf_take(&out);
}

/* --- permissions -------------------------------------------------------------------------------- */

static void allow(bool wanted[AWS_OPS], const enum aws_op *ops, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ops[i] < AWS_OPS)
			wanted[ops[i]] = true;
}

/* The watch and the way back, which no step has in its list. */
static void allow_engine(const struct plan *p, bool wanted[AWS_OPS])
{
	static const enum aws_op watch[] = {
		ELB_DESCRIBE_RULES, ELB_DESCRIBE_TARGET_HEALTH, ELB_MODIFY_RULE, CW_GET_METRIC_DATA, CW_DESCRIBE_ALARMS,
	};
	static const enum aws_op deadman[] = {
		SCHEDULER_GET_SCHEDULE, SCHEDULER_CREATE_SCHEDULE, SCHEDULER_UPDATE_SCHEDULE, SCHEDULER_DELETE_SCHEDULE,
	};

	wanted[STS_GET_CALLER_IDENTITY] = true;
	for (size_t i = 0; i < p->nsteps; i++)
		if (moves_traffic(&p->steps[i]))
			allow(wanted, watch, COUNT(watch));
	if (p->deadman.on)
		allow(wanted, deadman, COUNT(deadman));
}

/* A one-off task runs as the roles of its task definition. */
static bool passes_role(const struct plan *p, const bool wanted[AWS_OPS])
{
	for (size_t i = 0; i < p->nsteps; i++)
		if (json_object_get(p->steps[i].params, "role"))
			return true;
	return p->deadman.on || wanted[ECS_RUN_TASK];
}

static bool logs_in_by_token(const struct plan *p)
{
	for (size_t i = 0; i < p->nsteps; i++)
		if (json_yes(p->steps[i].params, "iam"))
			return true;
	return false;
}

/* CloudFormation reads a template on S3 with the rights of whoever names it. */
static bool reads_template(const struct plan *p)
{
	for (size_t i = 0; i < p->nsteps; i++)
		if (json_object_get(p->steps[i].params, "template_url"))
			return true;
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Actions that no request of ours names, and AWS asks for (AuroraUserGuide/
 * blue-green-deployments-authorizing-access.html). */
static const struct { enum aws_op op; const char *action; } besides[] = {
	{ CFN_CREATE_CHANGE_SET, "cloudformation:TagResource" }, /* the stack carries the run's token */
	{ RDS_RESTORE_DB_CLUSTER_TO_POINT_IN_TIME, "rds:AddTagsToResource" },
	{ RDS_CREATE_BLUE_GREEN_DEPLOYMENT, "rds:CreateDBCluster" },
	{ RDS_CREATE_BLUE_GREEN_DEPLOYMENT, "rds:CreateDBClusterEndpoint" },
	{ RDS_CREATE_BLUE_GREEN_DEPLOYMENT, "rds:CreateDBInstanceReadReplica" },
};

json_t *facts_iam(const struct plan *p)
{
	bool wanted[AWS_OPS] = { false };
	const char *names[AWS_OPS + COUNT(besides) + 3];
	json_t *list = json_array();
	size_t n = 0;

	allow_engine(p, wanted);
	for (size_t i = 0; i < p->nsteps; i++)
		allow(wanted, p->steps[i].kind->ops, p->steps[i].kind->nops);
	for (int op = 0; op < AWS_OPS; op++)
		if (wanted[op])
			names[n++] = aws_op_info((enum aws_op)op)->iam;
	for (size_t i = 0; i < COUNT(besides); i++)
		if (wanted[besides[i].op])
			names[n++] = besides[i].action;
	if (logs_in_by_token(p))
		names[n++] = "rds-db:connect";
	if (reads_template(p))
		names[n++] = "s3:GetObject";
	if (passes_role(p, wanted))
		names[n++] = "iam:PassRole";
	qsort(names, n, sizeof *names, by_name);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

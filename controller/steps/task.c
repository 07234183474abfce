/* steps/task.c - runs one command in a task of its own, mostly update.php in
 * green's task definition.
 *
 * update.php may be killed anywhere and run again until the tables are right,
 * and it has exited with 1 when they were: so its exit code is noted, and a
 * schema step after it decides (measured: MediaWiki 1.35 to 1.43). */
#include "base/buf.h"
#include "base/duration.h"
#include "base/err.h"
#include "plan/plan.h"
#include "steps/kinds.h"
#include "steps/oneoff.h"

#include <stdio.h>
#include <string.h>

#define QUICK_MS 200

struct job {
	struct step_run *r;
	long nth;           /* memo: which run of the command, 1.. ; 0: none yet */
	char arn[256];      /* memo: "" while not known */
	int64_t since;      /* memo: when that run was asked for */
	char which[24];
};

static void load(struct job *j, struct step_run *r)
{
	*j = (struct job){ .r = r, .nth = (long)json_num(r->memo, "nth", 0), .since = json_num(r->memo, "since", 0) };
	snprintf(j->arn, sizeof j->arn, "%s", json_str(r->memo, "task", ""));
	snprintf(j->which, sizeof j->which, "%ld", j->nth);
}

static int save(struct job *j, struct err *e)
{
	return step_intend(j->r, json_pack("{s:I, s:s, s:I}", "nth", (json_int_t)j->nth, "task", j->arn, "since",
					   (json_int_t)j->since), e);
}

static bool is_judged_by_schema(const struct step_run *r)
{
	return strcmp(json_str(r->params, "judge", "exit"), "exit") != 0;
}

static enum step_verdict look_soon(struct job *j, int64_t ms)
{
	j->r->wake_at = j->r->now + ms;
	return STEP_WAIT;
}

/* Often at first, since users may be waiting for its end; never more than a
 * twentieth of what it took, else. */
static int64_t poll_ms(const struct job *j)
{
	int64_t part = (j->r->now - j->since) / 20;

	return part < QUICK_MS ? QUICK_MS : part > ONEOFF_POLL_MS ? ONEOFF_POLL_MS : part;
}

/* --- starting -------------------------------------------------------------------------- */

static enum step_verdict begin(struct job *j, struct err *e)
{
	j->nth++;
	j->arn[0] = '\0';
	j->since = j->r->now;
	return save(j, e) ? STEP_FAIL : look_soon(j, 0);
}

static enum step_verdict start(struct job *j, struct err *e)
{
	const json_t *p = j->r->params;
	struct ecs_task t;

	if (oneoff_start(j->r, j->which, json_object_get(p, "command"), json_object_get(p, "environment"), &t, e))
		return STEP_FAIL;
	snprintf(j->arn, sizeof j->arn, "%s", t.arn);
	if (save(j, e))
		return STEP_FAIL;
	step_say(j->r, "the task was started (%s)", t.status);
	return look_soon(j, poll_ms(j));
}

/* --- while it runs --------------------------------------------------------------------- */

static enum step_verdict running(struct job *j, const struct ecs_task *t, struct err *e)
{
	int64_t limit = json_num(j->r->params, "limit", 0);
	char took[32];

	duration_say((j->r->now - j->since) / 1000 * 1000, took);
	step_say(j->r, "the task is %s, %s after it was asked for (%s)", t->status, took, j->which);
	if (j->r->now - j->since >= limit && oneoff_stop(j->r, t, "cutover: it took longer than its limit", e))
		return STEP_FAIL;
	return look_soon(j, poll_ms(j));
}

/* --- when it has ended ------------------------------------------------------------------- */

static int note_end(struct job *j, enum oneoff_state state, const struct ecs_task *t, const char *end, struct err *e)
{
	json_t *facts = json_pack("{s:s, s:o, s:I, s:s, s:I, s:I}", "task", j->arn, "end", json_text(end), "run",
				  (json_int_t)j->nth, "judge", json_str(j->r->params, "judge", "exit"), "started_at",
				  (json_int_t)t->started_at, "stopped_at", (json_int_t)t->stopped_at);

	if (facts && t->exited)
		json_object_set_new(facts, "exit_code", json_integer(t->exit_code));
	return step_note(j->r, oneoff_went_well(state, t) ? "the task is done" : "the task did not end well", facts, e);
}

static enum step_verdict finish(struct job *j, const struct ecs_task *t)
{
	char code[16];

	snprintf(code, sizeof code, "%d", t->exit_code);
	step_output(j->r, "Task", j->arn);
	step_output(j->r, "ExitCode", t->exited ? code : "");
	return STEP_DONE;
}

static enum step_verdict ended(struct job *j, enum oneoff_state state, const struct ecs_task *t, struct err *e)
{
	char end[260];

	oneoff_say_end(state, t, end, sizeof end);
	if (!j->arn[0])
		snprintf(j->arn, sizeof j->arn, "%s", t->arn);
	if (note_end(j, state, t, end, e))
		return STEP_FAIL;
	if (oneoff_went_well(state, t))
		return finish(j, t);
	if (j->nth < json_num(j->r->params, "runs", 1))
		return begin(j, e);
	if (is_judged_by_schema(j->r))
		return finish(j, t);
	return err_set(e, ERR_GATE, "the task %s, after %ld of %lld runs", end, j->nth,
		       (long long)json_num(j->r->params, "runs", 1));
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	enum oneoff_state state;
	struct ecs_task t;
	struct job j;

	load(&j, r);
	if (!j.nth)
		return begin(&j, e);
	if (oneoff_look(r, j.which, j.arn, &state, &t, e))
		return STEP_FAIL;
	if (state == ONEOFF_NONE)
		return start(&j, e);
	return state == ONEOFF_ALIVE ? running(&j, &t, e) : ended(&j, state, &t, e);
}

/* What the command has done stays: it worked on green's copy, which nobody uses
 * any more. But nothing of ours goes on working. */
static enum step_verdict undo(struct step_run *r, struct err *e)
{
	enum oneoff_state state;
	struct ecs_task t;
	struct job j;

	load(&j, r);
	if (!j.nth)
		return STEP_DONE;
	if (oneoff_look(r, j.which, j.arn, &state, &t, e))
		return STEP_FAIL;
	if (state == ONEOFF_NONE && r->now - j.since >= ONEOFF_SETTLE_MS)
		return STEP_DONE;
	if (state == ONEOFF_STOPPED || state == ONEOFF_FORGOTTEN)
		return STEP_DONE;
	step_say(r, "waiting until the task has stopped (%s)", state == ONEOFF_NONE ? "it may still appear" : t.status);
	if (state == ONEOFF_ALIVE && oneoff_stop(r, &t, "cutover: the run goes back", e))
		return STEP_FAIL;
	return look_soon(&j, ONEOFF_POLL_MS);
}

/* --- in the plan --------------------------------------------------------------------------- */

static bool is_a_later_schema(const struct step *s, const struct plan *p, const char *id)
{
	const struct step *judge = plan_step(p, id);

	return judge && judge > s && !strcmp(judge->kind->name, "schema");
}

static void validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	const char *judge = json_str(s->params, "judge", "exit");
	int64_t need = json_num(s->params, "runs", 1) * json_num(s->params, "limit", 0);

	oneoff_validate(s, p, errs);
	if (strcmp(judge, "exit") && !is_a_later_schema(s, p, judge))
		plan_bad(errs, p, s, "judge", "must be \"exit\" or the id of a schema step after this one, not \"%.40s\"", judge);
	if (s->timeout_ms <= need)
		plan_bad(errs, p, s, "timeout", "must be longer than all runs together, each with its limit");
}

static int64_t worst_ms(const struct step *s)
{
	return json_num(s->params, "limit", 0);
}

static const struct param params[] = {
	ONEOFF_PARAMS,
	{ .name = "command", .type = PARAM_STRINGS, .required = true, .min = 1, .max = 64,
	  .about = "what the container runs instead of its own command: [\"php\", \"maintenance/run.php\", \"update\", \"--quick\"]" },
	{ .name = "environment", .type = PARAM_MAP, .about = "variables for that command; never secrets, they stand in ECS's records" },
	{ .name = "limit", .type = PARAM_DURATION, .def = "\"PT30M\"", .min = 1000, .max = 86400000L,
	  .about = "longest one run may take before it is stopped" },
	{ .name = "runs", .type = PARAM_INT, .def = "3", .min = 1, .max = 10,
	  .about = "how often it may be run until it ends with 0; only for commands that bear it, as update.php does" },
	{ .name = "judge", .type = PARAM_STRING, .def = "\"exit\"",
	  .about = "what decides: \"exit\" (the last exit code must be 0), or the id of a later schema step" },
	{ 0 },
};

static const enum aws_op ops[] = { ONEOFF_OPS };

const struct step_kind step_task = {
	.name = "task", .about = "run a command in a one-off ECS task, again if it is killed; a schema step may judge it",
	.params = params, .flags = STEP_TOUCHES, .timeout_ms = HOURS(4), .ops = ops, .nops = COUNT(ops),
	.validate = validate, .worst_ms = worst_ms, .advance = advance, .undo = undo,
};

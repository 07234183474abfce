/* steps/freeze.c - makes the wiki refuse edits, and lets it take them again.
 *
 * MediaWiki is read-only while the file that $wgReadOnlyFile names is there: at
 * once, without a restart, page views go on, edits get a clean error with the
 * reason. A one-off task writes or removes that file on the storage that all of
 * a colour's tasks share. What counts is what the wiki itself says (siteinfo's
 * `readonly`), asked of every address again and again, not the task's word.
 *
 * freeze is undone by removing the file. thaw is a one-way door: from the first
 * edit on green, blue's database is not what users have written any more. */
#include "aws/elb.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "judge/judge.h"
#include "plan/plan.h"
#include "steps/fetch.h"
#include "steps/kinds.h"
#include "steps/oneoff.h"

#include <stdio.h>
#include <string.h>

#define POLL_MS 500 /* users wait for each of them */

/* What the wiki shall be, and what it is called in memo and in the task's name. */
struct goal {
	const char *name, *which;
	bool readonly;
};
static const struct goal to_freeze = { "freeze", "", true }, to_thaw = { "thaw", "", false },
			 to_unfreeze = { "undo", "undo-", false };

struct job {
	struct step_run *r;
	const struct goal *goal;
	long nth;            /* memo: which run of the command, 1.. ; 0: none yet */
	char arn[256];       /* memo */
	int64_t since;       /* memo: when that run was asked for */
	int64_t first;       /* memo: when the first answer was as wished; 0: none yet */
	size_t good;         /* memo: answers of a round that takes long, all as wished so far */
	char which[24], mark[128];
};

static void load(struct job *j, struct step_run *r, const struct goal *goal)
{
	*j = (struct job){ .r = r, .goal = goal };
	if (!strcmp(json_str(r->memo, "goal", ""), goal->name)) {
		j->nth = (long)json_num(r->memo, "nth", 0);
		j->since = json_num(r->memo, "since", 0);
		j->first = json_num(r->memo, "first", 0);
		j->good = (size_t)json_num(r->memo, "good", 0);
		snprintf(j->arn, sizeof j->arn, "%s", json_str(r->memo, "task", ""));
	}
	snprintf(j->which, sizeof j->which, "%s%ld", goal->which, j->nth);
	snprintf(j->mark, sizeof j->mark, "(cutover %s)", r->run);
}

static int save(struct job *j, struct err *e)
{
	return step_intend(j->r, json_pack("{s:s, s:I, s:s, s:I, s:I, s:I}", "goal", j->goal->name, "nth", (json_int_t)j->nth,
					   "task", j->arn, "since", (json_int_t)j->since, "first", (json_int_t)j->first, "good",
					   (json_int_t)j->good), e);
}

static enum step_verdict look_soon(struct job *j, int64_t ms)
{
	j->r->wake_at = j->r->now + ms;
	return STEP_WAIT;
}

/* --- what the wiki says ---------------------------------------------------------------- */

struct said {
	size_t asked, readonly, of; /* answers so far, and of the whole round */
	int64_t took;             /* ms, in this tick */
	bool foreign;             /* read-only, and not by this run */
	char reason[200], odd[200]; /* of a foreign lock; the first address that is not as wished */
};

static int read_answer(const struct http_res *a, bool *readonly, char *reason, size_t size,
		       struct err *e)
{
	autojson json_t *doc = json_loadb(a->body, a->nbody, 0, NULL);
	const json_t *general = json_object_get(json_object_get(doc, "query"), "general");
	const json_t *ro = json_object_get(general, "readonly");

	if (a->status >= 500)
		return err_set(e, ERR_BUSY, "it answered %d", a->status);
	if (a->status != 200 || !json_is_object(general))
		return err_set(e, ERR_GATE, "it answered %d, and no siteinfo", a->status);
	if (!json_is_boolean(ro))
		return err_set(e, ERR_GATE, "its siteinfo does not say whether it is read-only");
	*readonly = json_is_true(ro);
	snprintf(reason, size, "%s", json_str(general, "readonlyreason", ""));
	return 0;
}

static int ask(struct job *j, const char *through, struct said *s, struct err *e)
{
	autofree char *path = xasprintf("%s/api.php?action=query&meta=siteinfo&format=json&formatversion=2",
					json_str(j->r->params, "scripts", ""));
	autores struct http_res a = { 0 };
	char reason[400];
	bool readonly = false;

	if (fetch_through(j->r, path, through, &a, e) || read_answer(&a, &readonly, reason, sizeof reason, e))
		return err_wrap(e, "asking %.100s whether it is read-only", through ? through : json_str(j->r->params, "url", ""));
	s->took += a.took_ms;
	s->asked++;
	s->readonly += readonly;
	if (readonly && !strstr(reason, j->mark)) {
		s->foreign = true;
		snprintf(s->reason, sizeof s->reason, "%.190s", reason);
	}
	if (readonly != j->goal->readonly && !s->odd[0])
		snprintf(s->odd, sizeof s->odd, "%.190s", through ? through : json_str(j->r->params, "url", ""));
	return 0;
}

/* Behind a load balancer one answer is one of many: each address is asked
 * several times. A round that takes longer than a tick may take goes on in the
 * next one. */
static int ask_all(struct job *j, struct said *s, struct err *e)
{
	const json_t *through = json_object_get(j->r->params, "through");
	size_t n = json_array_size(through);

	*s = (struct said){ .asked = j->good, .readonly = j->goal->readonly ? j->good : 0,
			    .of = (n ? n : 1) * (size_t)json_num(j->r->params, "answers", 1) };
	while (s->asked < s->of && s->took < FETCH_SLICE_MS)
		if (ask(j, n ? json_string_value(json_array_get(through, s->asked % n)) : NULL, s, e))
			return -1;
	return 0;
}

static bool is_reached(const struct job *j, const struct said *s)
{
	return j->goal->readonly ? s->readonly == s->asked && !s->foreign : !s->readonly;
}

/* --- the task ---------------------------------------------------------------------------- */

/* The file is never half there, and somebody else's is neither overwritten nor removed. */
static const char freeze_command[] =
	"set -eu; if [ -s \"$CUTOVER_FILE\" ] && ! grep -qF \"$CUTOVER_MARK\" \"$CUTOVER_FILE\"; then exit 10; fi; "
	"printf '%s\\n' \"$CUTOVER_REASON $CUTOVER_MARK\" > \"$CUTOVER_FILE.cutover\"; "
	"mv -f \"$CUTOVER_FILE.cutover\" \"$CUTOVER_FILE\"";
static const char thaw_command[] =
	"set -eu; if [ ! -e \"$CUTOVER_FILE\" ]; then exit 0; fi; "
	"if ! grep -qF \"$CUTOVER_MARK\" \"$CUTOVER_FILE\"; then exit 10; fi; rm -f \"$CUTOVER_FILE\"";

static enum step_verdict begin(struct job *j, struct err *e)
{
	j->nth++;
	j->arn[0] = '\0';
	j->since = j->r->now;
	return save(j, e) ? STEP_FAIL : look_soon(j, 0);
}

static enum step_verdict start(struct job *j, struct err *e)
{
	autojson json_t *command = json_pack("[s, s, s]", "/bin/sh", "-c", j->goal->readonly ? freeze_command : thaw_command);
	autojson json_t *env = json_pack("{s:s, s:s, s:s, s:s}", "CUTOVER_FILE", json_str(j->r->params, "file", ""),
					 "CUTOVER_MARK", j->mark, "CUTOVER_REASON", json_str(j->r->params, "reason", ""),
					 "CUTOVER_DO", j->goal->readonly ? "freeze" : "thaw");
	struct ecs_task t;

	if (oneoff_start(j->r, j->which, command, env, &t, e))
		return STEP_FAIL;
	snprintf(j->arn, sizeof j->arn, "%s", t.arn);
	if (save(j, e))
		return STEP_FAIL;
	step_say(j->r, "the task that %s the lock file was started (%s)", j->goal->readonly ? "writes" : "removes", t.status);
	return look_soon(j, POLL_MS);
}

static enum step_verdict went_wrong(struct job *j, const char *end, const struct ecs_task *t, struct err *e)
{
	json_t *facts = json_pack("{s:s, s:o, s:I}", "task", t->arn, "end", json_text(end), "run", (json_int_t)j->nth);

	if (step_note(j->r, "the task did not end well", facts, e))
		return STEP_FAIL;
	if (t->exited && t->exit_code == 10)
		return err_set(e, ERR_GATE, "the lock file %.150s is not this run's: somebody else made the wiki read-only",
			       json_str(j->r->params, "file", ""));
	if (j->nth < json_num(j->r->params, "runs", 1))
		return begin(j, e);
	return err_set(e, ERR_GATE, "the task that should %s the lock file %s", j->goal->readonly ? "write" : "remove", end);
}

/* The wiki is not as wished yet: is somebody working on it? */
static enum step_verdict drive_task(struct job *j, const struct said *s, struct err *e)
{
	int64_t limit = json_num(j->r->params, "limit", 0);
	enum oneoff_state state;
	struct ecs_task t;
	char end[260], text[32];

	if (oneoff_look(j->r, j->which, j->arn, &state, &t, e))
		return STEP_FAIL;
	if (state == ONEOFF_NONE)
		return start(j, e);
	if (state != ONEOFF_ALIVE && !oneoff_went_well(state, &t)) {
		oneoff_say_end(state, &t, end, sizeof end);
		return went_wrong(j, end, &t, e);
	}
	if (j->r->now - j->since >= limit) {
		duration_say(limit, text);
		return err_set(e, ERR_GATE, "%s after the task was started %.150s is still %s: is $wgReadOnlyFile %.150s there?", text,
			       s->odd, j->goal->readonly ? "taking edits" : "read-only", json_str(j->r->params, "file", ""));
	}
	step_say(j->r, "the task is %s; %.120s is %s", t.status, s->odd, j->goal->readonly ? "still taking edits" : "still read-only");
	return look_soon(j, POLL_MS);
}

/* --- reaching a goal ------------------------------------------------------------------------- */

/* `report` and the bench measure the window by these two. */
static enum step_verdict finish(struct job *j, const struct said *s, struct err *e)
{
	json_t *facts = json_pack("{s:I, s:I, s:I}", "first", (json_int_t)(j->first ? j->first : j->r->now), "all",
				  (json_int_t)j->r->now, "answers", (json_int_t)s->asked);
	char iso[21];

	clock_iso(j->r->now, iso);
	step_output(j->r, "Since", iso);
	return step_note(j->r, j->goal->readonly ? "the wiki is read-only" : "the wiki takes edits", facts, e) ? STEP_FAIL : STEP_DONE;
}

static bool is_any_as_wished(const struct job *j, const struct said *s)
{
	return j->goal->readonly ? s->readonly > 0 : s->readonly < s->asked;
}

/* What is to be remembered of a round: that it began well and goes on, and when
 * the first answer was as wished. */
static int remember(struct job *j, const struct said *s, struct err *e)
{
	size_t good = is_reached(j, s) && s->asked < s->of ? s->asked : 0;
	int64_t first = j->nth && !j->first && is_any_as_wished(j, s) ? j->r->now : j->first;

	if (good == j->good && first == j->first)
		return 0;
	j->good = good;
	j->first = first;
	return save(j, e);
}

static enum step_verdict reach(struct job *j, struct err *e)
{
	struct said s;

	if (ask_all(j, &s, e))
		return STEP_FAIL;
	if (j->goal->readonly && s.foreign)
		return err_set(e, ERR_GATE, "the wiki is read-only already, and not by this run: %s", s.reason);
	if (remember(j, &s, e))
		return STEP_FAIL;
	if (j->good) {
		step_say(j->r, "%zu of %zu answers are as wished so far", s.asked, s.of);
		return look_soon(j, 0);
	}
	if (is_reached(j, &s))
		return finish(j, &s, e);
	return j->nth ? drive_task(j, &s, e) : begin(j, e);
}

static enum step_verdict freeze(struct step_run *r, struct err *e)
{
	struct job j;

	load(&j, r, &to_freeze);
	return reach(&j, e);
}

/* --- the way back -------------------------------------------------------------------------------- */

/* A task that is still to write the file would write it after it was removed. */
static enum step_verdict end_freezing(struct step_run *r, struct err *e)
{
	enum oneoff_state state;
	struct ecs_task t;
	struct job j;

	load(&j, r, &to_freeze);
	if (!j.nth)
		return STEP_DONE;
	if (oneoff_look(r, j.which, j.arn, &state, &t, e))
		return STEP_FAIL;
	if (state == ONEOFF_STOPPED || state == ONEOFF_FORGOTTEN ||
	    (state == ONEOFF_NONE && r->now - j.since >= ONEOFF_SETTLE_MS))
		return STEP_DONE;
	step_say(r, "waiting until the task that makes the wiki read-only has stopped");
	if (state == ONEOFF_ALIVE && oneoff_stop(r, &t, "cutover: the run goes back", e))
		return STEP_FAIL;
	return look_soon(&j, POLL_MS);
}

static enum step_verdict unfreeze(struct step_run *r, struct err *e)
{
	enum step_verdict v;
	struct job j;

	if (!r->memo)
		return STEP_DONE;
	v = end_freezing(r, e);
	load(&j, r, &to_unfreeze);
	return v == STEP_DONE ? reach(&j, e) : v;
}

/* --- the door ------------------------------------------------------------------------------------- */

/* Edits on green while blue still serves would be two truths. */
static enum step_verdict all_on_green(struct step_run *r, struct err *e)
{
	struct elb_split is;

	if (elb_split_get(r->aws, r->plan->rule, r->blue, r->green, &is, e))
		return STEP_FAIL;
	if (is.blue > 0 || is.green <= 0)
		return err_set(e, ERR_GATE, "the rule gives blue %d and green %d: edits are taken again only when green has everything",
			       is.blue, is.green);
	return STEP_DONE;
}

/* The rule says what the control plane was told: for some seconds more the load
 * balancer sends requests to blue, and where both colours read one lock file,
 * blue would take edits that green never sees. */
static enum step_verdict nobody_asks_blue(struct step_run *r, struct err *e)
{
	int n = (int)json_num(r->params, "quiet_periods", 0);
	struct drained q = { 0 };

	if (n && step_drained(r, r->blue, r->green, n > DRAINED_SILENT ? n : DRAINED_SILENT, &q, e))
		return STEP_FAIL;
	if (!n || drained_is_proved(&q, n))
		return STEP_DONE;
	step_say(r, "waiting for proof that nobody asks blue any more: green alone was seen in %d of %d closed periods", q.busy, n);
	r->wake_at = r->now + r->plan->watch.poll_ms;
	return STEP_WAIT;
}

static enum step_verdict may_open(struct step_run *r, struct err *e)
{
	enum step_verdict v = all_on_green(r, e);

	return v == STEP_DONE ? nobody_asks_blue(r, e) : v;
}

static enum step_verdict thaw(struct step_run *r, struct err *e)
{
	const struct verdict *v = step_verdict_now(r);
	enum step_verdict may;
	struct job j;

	load(&j, r, &to_thaw);
	if (j.nth)
		return reach(&j, e);
	may = may_open(r, e);
	if (may != STEP_DONE)
		return may;
	if (v->kind == VERDICT_BAD || v->kind == VERDICT_BLIND) { /* the engine's to act on */
		step_say(r, "not while the verdict is %s: %.180s", verdict_name(v->kind), v->why);
		return STEP_WAIT;
	}
	return begin(&j, e); /* the door closes here, also when somebody else has removed the file */
}

/* --- in the plan ------------------------------------------------------------------------------------ */

static bool is_kind(const struct step *s, const struct step_kind *k) { return s->kind == k; }

static bool gives_all(const struct step *s)
{
	return is_kind(s, &step_promote) || (is_kind(s, &step_shift) && json_num(s->params, "weight", 0) == 1000);
}

static void check_common(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	const char *file = json_str(s->params, "file", "");
	json_t *v;
	size_t i;

	oneoff_validate(s, p, errs);
	fetch_validate(s, p, errs);
	if (*file && *file != '/' && strncmp(file, "${", 2))
		plan_bad(errs, p, s, "file", "must be the absolute path of $wgReadOnlyFile in the container");
	json_array_foreach(json_object_get(s->params, "through"), i, v)
		if (!strchr(json_string_value(v), ':') && !strstr(json_string_value(v), "${"))
			plan_bad(errs, p, s, "through", "\"%.60s\" must be \"host:port\"", json_string_value(v));
	if (s->timeout_ms <= json_num(s->params, "limit", 0) * json_num(s->params, "runs", 1))
		plan_bad(errs, p, s, "timeout", "must be longer than all runs together, each with its limit");
}

static void freeze_validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	bool thawed = false;

	check_common(s, p, errs);
	for (const struct step *t = s + 1; t < p->steps + p->nsteps; t++)
		thawed |= is_kind(t, &step_thaw);
	if (!thawed)
		plan_bad(errs, p, s, NULL, "makes the wiki read-only, and no thaw step follows: it would stay so");
}

static void thaw_validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	bool frozen = false, all = false;

	check_common(s, p, errs);
	for (const struct step *t = p->steps; t < s; t++) {
		frozen |= is_kind(t, &step_freeze);
		all |= gives_all(t);
	}
	if (!frozen)
		plan_bad(errs, p, s, NULL, "must come after a freeze step");
	if (!all)
		plan_bad(errs, p, s, NULL, "must come after the step that gives green all traffic: edits on green while blue serves too would be lost to one of them");
}

static int64_t worst_ms(const struct step *s)
{
	return json_num(s->params, "limit", 0);
}

#define LOCK_PARAMS \
	ONEOFF_PARAMS, \
	{ .name = "file", .type = PARAM_STRING, .required = true, \
	  .about = "$wgReadOnlyFile as the container sees it, on storage that all tasks of the colour share" }, \
	{ .name = "url", .type = PARAM_STRING, .required = true, \
	  .about = "the wiki as its users name it: \"https://wiki.example.org\", no path" }, \
	{ .name = "through", .type = PARAM_STRINGS, .min = 1, .max = 16, \
	  .about = "\"host:port\" of each target or listener to ask; without it, the URL's own host" }, \
	{ .name = "scripts", .type = PARAM_STRING, .def = "\"\"", .about = "where api.php is: \"/w\" ($wgScriptPath)" }, \
	{ .name = "answers", .type = PARAM_INT, .def = "3", .min = 1, .max = 20, \
	  .about = "answers in a row, from each address, that must say so" }, \
	{ .name = "limit", .type = PARAM_DURATION, .def = "\"PT5M\"", .min = 1000, .max = 3600000L, \
	  .about = "longest time from asking for the task to the proof" }, \
	{ .name = "runs", .type = PARAM_INT, .def = "3", .min = 1, .max = 10, .about = "how often the task is tried" }

static const struct param freeze_params[] = {
	LOCK_PARAMS,
	{ .name = "reason", .type = PARAM_STRING, .def = "\"The wiki is being upgraded. Editing will be possible again in some minutes.\"",
	  .about = "what editors read; this run's name is put behind it" },
	{ 0 },
};

static const struct param thaw_params[] = {
	LOCK_PARAMS,
	{ .name = "quiet_periods", .type = PARAM_INT, .def = "1", .max = 60,
	  .about = "closed CloudWatch periods in which green was asked and blue was not; 0: the rule alone is proof, which is wrong for some seconds" },
	{ 0 },
};

static const enum aws_op freeze_ops[] = { ONEOFF_OPS };
static const enum aws_op thaw_ops[] = { ONEOFF_OPS, ELB_DESCRIBE_RULES, CW_GET_METRIC_DATA };

const struct step_kind step_freeze = {
	.name = "freeze", .about = "make the wiki read-only by its lock file, and prove it on every address",
	.params = freeze_params, .flags = STEP_TOUCHES, .timeout_ms = HOURS(1), .ops = freeze_ops, .nops = COUNT(freeze_ops),
	.validate = freeze_validate, .worst_ms = worst_ms, .advance = freeze, .undo = unfreeze,
};

const struct step_kind step_thaw = {
	.name = "thaw",
	.about = "let the wiki take edits again, on green, and prove it; from then on blue lacks what users write: cannot be undone",
	.params = thaw_params, .flags = STEP_TOUCHES | STEP_ONE_WAY, .timeout_ms = HOURS(1), .ops = thaw_ops,
	.nops = COUNT(thaw_ops), .validate = thaw_validate, .worst_ms = worst_ms, .advance = thaw,
};

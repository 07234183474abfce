/* cutover replay - what would the judge have said of the same evidence with other
 * settings? The journal has it all: blue's past in the line `history`, and in
 * each line `verdict` under `look` the points that were new and how the judge
 * was asked (engine/mind.c). The guarded rules, health and alarms are not asked
 * again: where they decided, they still do. */
#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "engine/run.h"
#include "engine/looks.h"
#include "judge/sequential.h"
#include "steps/registry.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Rules of the sequential judge (judge/opinion.c); what has another one was decided without it. */
static const char *const rules[] = { "worse", "suspicion", "cold", "slow", "evidence", "stale" };

struct mind {
	struct judge judge;
	struct judge_tuning tune;
	struct judge_answer answer;
};

struct replay {
	const struct cli *cli;
	const struct run *run;
	struct judge_history history;
	bool has_history, counts_slow;
	struct mind was, would;  /* with the plan's settings, and with the others */
	int64_t origin;          /* wall ms of period 0; another attempt has another */
	long looks, differ, unlike;
	int64_t first;           /* seq of the first difference; 0: none */
	char first_said[600];
	json_t *list;            /* for programs; NULL: for people */
};

/* --- the journal's evidence -------------------------------------------------------- */

static void take_history(struct replay *r, const json_t *b)
{
	if (r->has_history)
		return;
	looks_history(b, &r->history);
	r->counts_slow = json_yes(b, "counts_slow");
	r->has_history = true;
}

static void tell(struct replay *r, const json_t *v, int now)
{
	struct judge_point p;
	enum judge_colour c = looks_point(v, &p);

	judge_see(&r->was.judge, c, now, &p);
	judge_see(&r->would.judge, c, now, &p);
}

static void begin(struct replay *r, int64_t origin)
{
	unsigned metrics = looks_metrics(&r->run->plan->watch, r->counts_slow);
	struct judge_stages stages;

	plan_stages(r->run->plan, &stages);
	judge_start(&r->was.judge, &r->was.tune, &stages, &r->history, metrics);
	judge_start(&r->would.judge, &r->would.tune, &stages, &r->history, metrics);
	r->origin = origin;
}

static int bounded(const json_t *o, const char *key, int most)
{
	json_int_t n = json_num(o, key, 0);

	return n < 0 ? 0 : n > most ? most : (int)n;
}

static bool ask(struct replay *r, const json_t *look)
{
	int64_t origin = json_num(look, "origin", 0);
	int now = bounded(look, "now", LOOKS_PERIODS), stage = bounded(look, "stage", JUDGE_STAGES - 1);
	double weight = json_dbl(look, "weight", 0);
	struct judge_probes probes;
	size_t i;
	json_t *v;

	if (!look || !r->has_history)
		return false;
	if (!r->looks || origin != r->origin)
		begin(r, origin);
	json_array_foreach(json_object_get(look, "seen"), i, v)
		tell(r, v, now);
	if (looks_probes(look, &probes)) {
		judge_probed(&r->was.judge, &probes);
		judge_probed(&r->would.judge, &probes);
	}
	judge_poll(&r->was.judge, now, stage, weight, &r->was.answer);
	judge_poll(&r->would.judge, now, stage, weight, &r->would.answer);
	r->looks++;
	return true;
}

/* --- one look ------------------------------------------------------------------------- */

static enum verdict_kind kind_of(const struct judge_answer *a)
{
	if (a->kind == VERDICT_BAD)
		return VERDICT_BAD;
	if (a->stale)
		return VERDICT_BLIND;
	return a->suspicious ? VERDICT_HOLD : a->kind;
}

/* Did the sequential judge decide this look? Others have rules of their own, or say what it did not. */
static bool is_judges(const struct judge_answer *was, const char *rule, const char *decided)
{
	for (size_t i = 0; i < COUNT(rules); i++)
		if (!strcmp(rules[i], rule))
			return !strcmp(verdict_name(kind_of(was)), decided);
	return false;
}

/* The line has the evidence as it was computed then. */
static bool is_unlike(const struct judge_answer *was, const json_t *b)
{
	const json_t *then = json_object_get(json_object_get(b, "evidence"), "log_e");

	return json_is_number(then) && fabs(json_number_value(then) - was->log_e) > 1e-6 * (1 + fabs(was->log_e));
}

static double evidence(const struct judge_answer *a) { return exp(fmin(a->log_e, 300)); }

static void say_look(struct replay *r, const struct event *ev, const json_t *b, const char *would, bool other)
{
	bool first = other && r->first == ev->seq, color = r->cli->color;
	char when[21], line[600];

	clock_iso(ev->at, when);
	snprintf(line, sizeof line, "%s %5.1f%% green  decided %-5s (%s, evidence %.3g)  would be %-5s (evidence %.3g of %.3g)%s%.250s", when,
		 (double)json_num(b, "permille", 0) / 10, json_str(b, "verdict", "?"), json_str(b, "rule", "?"), evidence(&r->was.answer),
		 would, evidence(&r->would.answer), 1 / r->would.tune.alpha, other && r->would.answer.reason[0] ? ": " : "",
		 other ? r->would.answer.reason : "");
	if (first)
		snprintf(r->first_said, sizeof r->first_said, "%s", line);
	printf("%s%s %s%s\n", first && color ? "\033[1;33m" : "", first ? ">>" : other ? " >" : "  ", line,
	       first && color ? "\033[0m" : "");
}

static void add_look(struct replay *r, const struct event *ev, const json_t *b, const char *would, bool other)
{
	json_array_append_new(r->list, json_pack("{s:I, s:I, s:s, s:s, s:s, s:f, s:f, s:b, s:o}", "seq", (json_int_t)ev->seq, "at",
		(json_int_t)ev->at, "decided", json_str(b, "verdict", "?"), "rule", json_str(b, "rule", "?"), "would", would,
		"log_e", fmin(r->was.answer.log_e, 1e15), "log_e_would", fmin(r->would.answer.log_e, 1e15), "differs", other, "reason",
		json_text(r->would.answer.reason)));
}

static void compare(struct replay *r, const struct event *ev, const json_t *b)
{
	const char *decided = json_str(b, "verdict", "?"), *would = decided;
	bool other;

	if (is_judges(&r->was.answer, json_str(b, "rule", ""), decided) || r->would.answer.kind == VERDICT_BAD)
		would = verdict_name(kind_of(&r->would.answer));
	r->unlike += is_unlike(&r->was.answer, b);
	other = strcmp(would, decided) != 0;
	r->differ += other;
	if (other && !r->first)
		r->first = ev->seq;
	(r->list ? add_look : say_look)(r, ev, b, would, other);
}

static int take_line(void *ctx, const struct event *ev)
{
	struct replay *r = ctx;
	bool history = event_kind_of(ev) == EVENT_HISTORY;
	autojson json_t *b = history || event_kind_of(ev) == EVENT_VERDICT ? json_loads(ev->body, 0, NULL) : NULL;

	if (history)
		take_history(r, b);
	else if (b && ask(r, json_object_get(b, "look")))
		compare(r, ev, b);
	return 0;
}

/* --- the whole ---------------------------------------------------------------------------- */

static void conclude(const struct replay *r)
{
	printf("\n%ld looks, %ld decided otherwise\n", r->looks, r->differ);
	if (r->first)
		printf("first: %s\nFrom there on the run would have gone another way: later looks show what it did see, not what it would have seen.\n",
		       r->first_said);
	if (r->unlike)
		printf("At %ld looks this program's judge finds other evidence than the run's did, with the plan's own settings: that was another version.\n",
		       r->unlike);
}

static void print_json(struct replay *r)
{
	cli_print_json(json_pack("{s:s, s:I, s:I, s:I, s:o, s:O}", "run", r->run->id, "looks", (json_int_t)r->looks, "differ",
				 (json_int_t)r->differ, "unlike", (json_int_t)r->unlike, "first",
				 r->first ? json_integer(r->first) : json_null(), "list", r->list));
}

static int replay(struct replay *r, struct store *s, struct err *e)
{
	if (store_read(s, r->run->id, 0, take_line, r, e))
		return -1;
	if (!r->looks)
		return err_set(e, ERR_GONE, "the journal of run %.90s has no evidence for the sequential judge: %s", r->run->id,
			       r->run->plan->watch.sequential ? "green never had weight, or blue's past could not be read" :
			       "the plan's watch.judge is off");
	if (r->list)
		print_json(r);
	else
		conclude(r);
	return 0;
}

static int run(struct cli *c)
{
	autostore struct store *s = NULL;
	autorun struct run *run = NULL;
	autofree char *id = NULL;
	autofree struct replay *r = xcalloc(1, sizeof *r);
	autojson json_t *list = c->json ? json_array() : NULL;
	struct err e = { 0 };
	int rc;

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e) || run_load(s, id, step_kinds, &run, &e))
		return cli_fail(&e);
	r->cli = c;
	r->run = run;
	r->list = list;
	r->was.tune = r->would.tune = run->plan->watch.tuning;
	rc = settings_take(c, &r->would.tune);
	if (rc)
		return rc;
	return replay(r, s, &e) ? cli_fail(&e) : CUTOVER_EXIT_OK;
}

const struct cli_command cli_replay = {
	.name = "replay", .args = "[RUN]", .about = "what the judge would have said with other settings", .run = run, .max_args = 1,
	.options = (const struct cli_option[]){ SETTINGS_OPTION, { 0 } },
	.detail = "Feeds the evidence in a run's journal to the judge again. Without --set it must decide as it did.",
};

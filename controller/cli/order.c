#include "cli/order.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/detach.h"
#include "cli/drive.h"
#include "cli/out.h"
#include "cli/say_order.h"
#include "engine/engine.h"
#include "steps/registry.h"

#include <stdio.h>
#include <string.h>

static bool order_is_driven(enum order_kind k) /* when nobody does */
{
	return k != ORDER_PAUSE;
}

struct giving {
	const struct cli *cli;
	struct store *store;
	char *run;
	char actor[96];
	struct engine_order order;
	struct buf last;  /* what is printed when somebody drives: nobody may read it */
};

static void order_free(struct giving *g)
{
	free(g->run);
	store_close(g->store);
	buf_free(&g->last);
}
#define autogiving __attribute__((cleanup(order_free)))

/* --- what it is about ----------------------------------------------------------------------- */

/* "ask", "ask@41". */
static int order_parse_answer(const char *text, const struct run *r, const struct step **step, int64_t *line, struct err *e)
{
	size_t n = strcspn(text, "@");
	autofree char *id = xasprintf("%.*s", (int)n, text);
	char *end = "";

	*step = plan_step(r->plan, id);
	*line = text[n] ? strtoll(text + n + 1, &end, 10) : 0;
	if (!*step)
		return err_set(e, ERR_INPUT, "--answer: run %s has no step \"%.100s\"", r->id, id);
	if (*end || (text[n] && *line <= 0))
		return err_set(e, ERR_INPUT, "--answer takes STEP or STEP@LINE, not \"%.100s\"", text);
	return 0;
}

static int order_name_answer(const char *text, const struct run *r, struct engine_order *o, struct err *e)
{
	const struct step *s;
	const struct run_question *q;

	if (order_parse_answer(text, r, &s, &o->about, e))
		return -1;
	q = &r->step[s - r->plan->steps].ask;
	if (!q->seq)
		return err_set(e, ERR_GATE, "run %s: `%s` has asked nothing", r->id, s->id);
	o->step = s->id;
	if (!o->about)
		o->about = q->seq;
	return 0;
}

static const char *order_last_answer(const struct run *r, struct buf *out)
{
	for (size_t i = r->norders; i-- > 0;)
		if (r->order[i].kind == ORDER_PROMOTE && r->order[i].effect == ORDER_OBEYED && r->order[i].step >= 0) {
			char hms[9];

			clock_hms(r->order[i].at, hms);
			buf_addf(out, "; the last question, of `%s`, was answered by %s at %s UTC", r->plan->steps[r->order[i].step].id,
				 r->order[i].by, hms);
			return out->p;
		}
	return "";
}

static int order_nothing_asked(const struct run *r, struct err *e)
{
	const struct step *cur = run_current(r);
	autobuf struct buf last = BUF_MAX(512);

	if (r->state != RUN_FORWARD || !cur)
		return err_set(e, ERR_GATE, "run %s is %s: there is nothing to promote", r->id, run_state_name(r->state));
	return err_set(e, ERR_GATE, "run %s asks nothing now: it is at step %s (%s)%s%s", r->id, cur->id, cur->kind->name,
		       run_bakes(r) ? ", which bakes" : "", order_last_answer(r, &last));
}

/* The question that was open when this process read the journal, and no later one. */
static int order_name_promote(const struct cli *c, const struct run *r, struct engine_order *o, struct err *e)
{
	size_t step;
	const struct run_question *q = run_question(r, &step);

	o->full = cli_opt(c, "full");
	if (cli_opt(c, "answer"))
		return order_name_answer(cli_opt(c, "answer"), r, o, e);
	if (!q)
		return o->full && r->state == RUN_FORWARD ? 0 : order_nothing_asked(r, e);
	o->step = r->plan->steps[step].id;
	o->about = q->seq;
	return 0;
}

static int order_name_bake(const struct cli *c, const struct run *r, struct engine_order *o, struct err *e)
{
	const struct step *s = plan_step(r->plan, cli_opt(c, "skip-bake"));

	if (!s)
		return err_set(e, ERR_INPUT, "--skip-bake: run %s has no step \"%.100s\"", r->id, cli_opt(c, "skip-bake"));
	o->step = s->id;
	o->about = r->step[s - r->plan->steps].began;
	return 0;
}

static int order_check_rollback(const struct cli *c, const struct run *r, struct engine_order *o, struct err *e)
{
	(void)c, (void)o;
	if (r->one_way)
		return err_set(e, ERR_GATE, "run %s has begun its one-way step: the way back is closed", r->id);
	return 0; /* in every state; where there is nothing to do, the end is shown */
}

static int order_check_retry(const struct cli *c, const struct run *r, struct engine_order *o, struct err *e)
{
	(void)c, (void)o;
	if (r->state != RUN_ROLLED_BACK && r->state != RUN_REFUSED)
		return err_set(e, ERR_GATE, "run %s is %s: only a run that was rolled back or refused can be tried again",
			       r->id, run_state_name(r->state));
	return 0;
}

static int order_check_on(const struct cli *c, const struct run *r, struct engine_order *o, struct err *e)
{
	(void)c, (void)o;
	if (run_is_over(r))
		return err_set(e, ERR_GATE, "run %s is %s", r->id, run_state_name(r->state));
	return 0;
}

/* Names what the order is about; refuses what the run's state does not allow. */
static int order_prepare(const struct giving *g, const struct run *r, struct engine_order *o, struct err *e)
{
	static int (*const prepare[ORDER_KINDS])(const struct cli *, const struct run *, struct engine_order *, struct err *) = {
		[ORDER_PROMOTE] = order_name_promote, [ORDER_SKIP_BAKE] = order_name_bake, [ORDER_ROLLBACK] = order_check_rollback,
		[ORDER_PAUSE] = order_check_on, [ORDER_RESUME] = order_check_on, [ORDER_RETRY] = order_check_retry,
	};

	return prepare[o->kind](g->cli, r, o, e);
}

/* --- what became of it -------------------------------------------------------------------------- */

static int order_had_no_effect(const struct run *r, const struct run_order *o, struct err *e)
{
	autobuf struct buf why = BUF_MAX(600);

	say_void(r, o, &why);
	return err_set(e, ERR_GATE, "this %s has no effect on run %s: %.400s", order_name(o->kind), r->id, why.p);
}

/* Does it do anything? By the same fold that decides it for everybody. */
static int order_try(const struct giving *g, struct err *e)
{
	autorun struct run *r = NULL;
	const struct run_order *o;

	if (run_load(g->store, g->run, step_kinds, &r, e) || engine_order_try(r, &g->order, e))
		return -1;
	o = run_order(r, r->seq + 1);
	return o->effect == ORDER_VOID ? order_had_no_effect(r, o, e) : 0;
}

static void order_json(const struct run *r, const struct run_order *o, struct buf *out)
{
	autojson json_t *j = say_effect_json(r, o);
	autofree char *text = NULL;

	json_object_update_new(j, json_pack("{s:s, s:s, s:I}", "run", r->id, "order", order_name(o->kind), "seq",
					    (json_int_t)o->seq));
	text = json_flat(j);
	buf_adds(out, text);
}

static void order_text(const struct run *r, const struct run_order *o, struct buf *out)
{
	const struct run_order *counts = run_order_counts(r, o);

	buf_addf(out, "%s ordered for run %s: ", order_name(o->kind), r->id);
	say_effect(r, o, out);
	if (!counts || counts == o)
		return;
	buf_adds(out, ": ");
	say_effect(r, counts, out);
}

/* Whoever takes none of it must not keep this process from driving, or from
 * starting a driver: who leaves prints last. */
static void order_print(struct giving *g, const struct run *r, const struct run_order *o)
{
	autobuf struct buf text = BUF_MAX(8192);

	if (cli_opt(g->cli, "no-wait")) {
		(g->cli->json ? order_json : order_text)(r, o, &g->last);
		return;
	}
	if (g->cli->json)
		return;
	order_text(r, o, &text);
	out_open();
	out_line(text.p);
}

static int order_tell(struct giving *g, const struct run *r, int64_t line, struct err *e)
{
	const struct run_order *o = run_order(r, line), *counts = o ? run_order_counts(r, o) : NULL;

	if (!counts)
		return err_set(e, ERR_BUG, "line %lld of run %s is not the order that was written there", (long long)line, r->id);
	if (counts->effect == ORDER_VOID)
		return order_had_no_effect(r, counts, e);
	order_print(g, r, o);
	return 0;
}

/* --- giving it -------------------------------------------------------------------------------------- */

/* Taken once per id: its repetition is told what the first did, and writes nothing. */
static int order_repeat(struct giving *g, const struct run *r, const struct run_order *first, struct err *e)
{
	struct run_order again = { .kind = g->order.kind, .other = first->seq, .step = -1 };

	again.why = run_order_clash(r, first, again.kind);
	again.effect = again.why ? ORDER_VOID : ORDER_REPEATED;
	if (again.effect == ORDER_VOID)
		return order_had_no_effect(r, &again, e);
	if (first->effect == ORDER_VOID)
		return order_had_no_effect(r, first, e);
	order_print(g, r, &again);
	return 0;
}

static int order_give(struct giving *g, struct err *e)
{
	autorun struct run *r = NULL;
	const struct run_order *first;
	int64_t line;

	if (run_load(g->store, g->run, step_kinds, &r, e))
		return -1;
	first = g->order.id ? run_order_by_id(r, g->order.id, g->order.kind) : NULL;
	if (first)
		return order_repeat(g, r, first, e);
	if (order_prepare(g, r, &g->order, e))
		return -1;
	/* Nothing but a closed door, which is asked above, keeps a rollback from being written. */
	if (g->order.kind != ORDER_ROLLBACK && order_try(g, e))
		return -1;
	if (engine_order(g->store, g->run, &clock_real, &g->order, &line, e) || run_catch_up(r, g->store, e))
		return -1;
	return order_tell(g, r, line, e);
}

int order_run(struct cli *c, enum order_kind kind)
{
	const char *reason = cli_opt(c, "reason"), *id = cli_opt(c, "id");
	autogiving struct giving g = { .cli = c, .order = { .kind = kind, .id = id, .reason = reason ? reason : "" }, .last = BUF_MAX(8192) };
	struct err e = { 0 };
	int rc;

	if (id && !*id)
		return cli_usage(c, "--id is empty: is a variable not set?");
	cli_actor(g.actor, sizeof g.actor);
	g.order.actor = g.actor;
	if (cli_store(c, &g.store, &e) || cli_run_to_order(c, g.store, &g.run, &e) || order_give(&g, &e))
		return cli_fail(&e);
	if (order_is_driven(kind) && !cli_opt(c, "no-wait"))
		return drive_run(c, g.store, g.run, true);
	store_close(steal(&g.store)); /* it must not cross a fork */
	rc = detach_hand_over(c, g.run, order_is_driven(kind));
	if (g.last.len)
		puts(g.last.p);
	return rc;
}

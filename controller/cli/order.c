#include "cli/order.h"

#include "base/clock.h"
#include "base/err.h"
#include "cli/detach.h"
#include "cli/drive.h"
#include "engine/engine.h"
#include "steps/registry.h"

#include <stdio.h>
#include <string.h>

/* --- may this run take this order? ------------------------------------------------------- */

static bool is_answerable(const struct step *s)
{
	static const char *const kinds[] = { "approve", "shift", "promote" };

	for (size_t i = 0; s && i < COUNT(kinds); i++)
		if (!strcmp(s->kind->name, kinds[i]))
			return true;
	return false;
}

static int may_promote(const struct cli *c, const struct run *r, struct err *e)
{
	const struct step *cur = run_current(r);

	if (r->state != RUN_FORWARD)
		return err_set(e, ERR_GATE, "run %s is %s: there is nothing to promote", r->id, run_state_name(r->state));
	if (!cli_opt(c, "full") && !is_answerable(cur))
		return err_set(e, ERR_GATE, "run %s is at step %s (%s), which waits for nobody: --full answers all later steps",
			       r->id, cur ? cur->id : "-", cur ? cur->kind->name : "-");
	return 0;
}

static int may_rollback(const struct cli *c, const struct run *r, struct err *e)
{
	(void)c;
	if (r->one_way)
		return err_set(e, ERR_GATE, "run %s has begun its one-way step: the way back is closed", r->id);
	return 0; /* in every state; where there is nothing to do, the end is shown */
}

static int may_pause(const struct cli *c, const struct run *r, struct err *e)
{
	(void)c;
	if (run_is_over(r))
		return err_set(e, ERR_GATE, "run %s is %s", r->id, run_state_name(r->state));
	return 0;
}

static int may_retry(const struct cli *c, const struct run *r, struct err *e)
{
	(void)c;
	if (r->state != RUN_ROLLED_BACK && r->state != RUN_REFUSED)
		return err_set(e, ERR_GATE, "run %s is %s: only a run that was rolled back or refused can be tried again",
			       r->id, run_state_name(r->state));
	return 0;
}

static const struct {
	const char *order;
	int (*may)(const struct cli *c, const struct run *r, struct err *e);
	bool drive; /* when nobody does */
} orders[] = {
	{ "promote", may_promote, true }, { "rollback", may_rollback, true }, { "pause", may_pause, false },
	{ "resume", may_pause, true },    { "retry", may_retry, true },
};

/* --- giving it ------------------------------------------------------------------------------ */

static int give(const struct cli *c, struct store *s, const char *run, const char *order, struct err *e)
{
	const char *reason = cli_opt(c, "reason");
	char actor[96];

	cli_actor(actor, sizeof actor);
	return engine_order(s, run, &clock_real, &(struct engine_order){
		.order = order, .reason = reason ? reason : "", .id = cli_opt(c, "id"), .actor = actor,
		.full = !strcmp(order, "promote") && cli_opt(c, "full") }, e);
}

static size_t place_of(const char *order)
{
	size_t i = 0;

	while (i < COUNT(orders) - 1 && strcmp(orders[i].order, order))
		i++;
	return i;
}

static int check_and_give(const struct cli *c, struct store *s, const char *id, size_t k, struct err *e)
{
	autorun struct run *r = NULL;

	if (run_load(s, id, step_kinds, &r, e) || orders[k].may(c, r, e))
		return -1;
	return give(c, s, id, orders[k].order, e);
}

int order_run(struct cli *c, const char *order)
{
	autostore struct store *s = NULL;
	autofree char *id = NULL;
	struct err e = { 0 };
	size_t k = place_of(order);

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e) || check_and_give(c, s, id, k, &e))
		return cli_fail(&e);
	if (orders[k].drive && !cli_opt(c, "no-wait"))
		return drive_run(c, s, id, true);
	if (c->json)
		cli_print_json(json_pack("{s:s, s:s}", "run", id, "order", order));
	else
		printf("%s ordered for run %s\n", order, id);
	store_close(steal(&s)); /* it must not cross a fork */
	return detach_hand_over(c, id, orders[k].drive);
}

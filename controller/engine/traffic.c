/* engine/traffic.c - look, write, look again.
 *
 * ModifyRule has no compare-and-swap (AWS API reference, ModifyRule). So every
 * write is preceded by a read that must equal what we last left, announced in
 * the journal, and followed by a read-back. What does not equal is somebody
 * else's: it is named, never silently overwritten. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

#define STALE_MS 30000 /* longest a read may show what was before a write */

static struct run_traffic *state(struct engine *en) { return &en->run->traffic; }

int traffic_permille(const struct weights *w)
{
	int blue = w->blue > 0 ? w->blue : 0, green = w->green > 0 ? w->green : 0;

	return blue + green ? (green * 1000 + (blue + green) / 2) / (blue + green) : 0;
}

static bool same(const struct weights *a, int blue, int green)
{
	return a->blue == blue && a->green == green;
}

/* A rule that names a third group is not ours to divide. */
static int only_ours(struct engine *en, const struct elb_rule *rule, struct err *e)
{
	for (size_t i = 0; i < rule->ngroups; i++)
		if (strcmp(rule->group[i].arn, en->blue) && strcmp(rule->group[i].arn, en->green))
			return err_set(e, ERR_GATE, "the rule also forwards to %s, which is neither blue nor green of this plan",
				       rule->group[i].arn);
	return 0;
}

/* This run took blue off the rule, or is about to. */
static bool blue_may_be_gone(const struct run_traffic *t)
{
	return t->writing ? t->to_blue < 0 || (t->known && t->left_blue < 0) : t->known && t->left_blue < 0;
}

int traffic_read(struct engine *en, struct elb_rule *rule, struct weights *w, struct err *e)
{
	if (elb_rule_get(en->aws, en->run->plan->rule, rule, e))
		return err_wrap(e, "reading the production rule");
	w->blue = elb_rule_weight(rule, en->blue);
	w->green = en->green[0] ? elb_rule_weight(rule, en->green) : -1;
	if (w->blue < 0 && !blue_may_be_gone(state(en)))
		return err_set(e, ERR_GATE, "the rule does not forward to blue (%s)", en->blue);
	return only_ours(en, rule, e);
}

/* Remembers, once for all attempts, what the rule was before we touched it. */
static int keep_baseline(struct engine *en, const struct elb_rule *rule, struct err *e)
{
	json_t *groups;

	if (state(en)->baseline)
		return 0;
	groups = json_array();
	for (size_t i = 0; i < rule->ngroups; i++)
		json_array_append_new(groups, json_pack("{s:s, s:i}", "arn", rule->group[i].arn,
							"weight", rule->group[i].weight));
	return engine_append(en, EVENT_BASELINE, "", json_pack("{s:o}", "groups", groups), e);
}

static bool is_echo(const struct run_traffic *t, const struct weights *w)
{
	for (size_t i = 0; i < t->echoes; i++)
		if (same(w, t->echo[i][0], t->echo[i][1]))
			return true;
	return false;
}

/* Ours: what we last read back; while a write is out, also what it sets; and
 * late effects of writes whose answer never came. Before our first write:
 * whatever gives green nothing. */
static bool is_ours(const struct run_traffic *t, const struct weights *w)
{
	if (t->writing && same(w, t->to_blue, t->to_green))
		return true;
	if (is_echo(t, w))
		return true;
	if (!t->known)
		return w->green <= 0 && w->blue > 0;
	return same(w, t->left_blue, t->left_green);
}

static json_t *weights_json(const struct weights *w)
{
	return json_pack("{s:i, s:i, s:i}", "blue", w->blue, "green", w->green, "permille", traffic_permille(w));
}

static int baseline_weight(struct engine *en, const char *arn)
{
	size_t i;
	json_t *g;

	json_array_foreach(state(en)->baseline, i, g)
		if (!strcmp(json_str(g, "arn", ""), arn))
			return (int)json_num(g, "weight", -1);
	return -1;
}

static bool is_past(struct engine *en, const struct weights *w)
{
	const struct run_traffic *t = state(en);

	for (size_t i = 0; i < t->pasts; i++)
		if (same(w, t->past[i][0], t->past[i][1]))
			return true;
	return t->baseline && same(w, baseline_weight(en, en->blue), baseline_weight(en, en->green));
}

/* DescribeRules is eventually consistent: an answer may be older than our write. */
static bool may_be_stale(struct engine *en, const struct weights *w)
{
	int64_t now = clock_mono(en->clock);

	if (!is_past(en, w))
		return false;
	if (!en->stale_since)
		en->stale_since = now;
	return now - en->stale_since < STALE_MS;
}

int traffic_check(struct engine *en, const struct weights *w, enum traffic_owner *whose, struct err *e)
{
	struct run_traffic *t = state(en);
	json_t *body;

	*whose = TRAFFIC_OURS;
	if (is_ours(t, w)) {
		en->stale_since = 0;
		return 0;
	}
	*whose = may_be_stale(en, w) ? TRAFFIC_STALE : TRAFFIC_FOREIGN;
	if (*whose == TRAFFIC_STALE || (t->foreign && same(w, t->foreign_blue, t->foreign_green)))
		return 0;
	body = weights_json(w);
	json_object_set_new(body, "left_blue", json_integer(t->left_blue));
	json_object_set_new(body, "left_green", json_integer(t->left_green));
	return engine_append(en, EVENT_FOREIGN, "", body, e);
}

static int write_rule(struct engine *en, const struct elb_rule *rule, const struct elb_weight *g, size_t n,
		      const struct weights *to, struct err *e)
{
	struct err lost = { 0 };

	if (keep_baseline(en, rule, e) || engine_append(en, EVENT_WRITE, "", weights_json(to), e))
		return -1;
	if (!elb_rule_set(en->aws, rule, g, n, e))
		return 0;
	if (e->kind == ERR_UNSURE && engine_append(en, EVENT_UNSURE, "", NULL, &lost)) {
		*e = lost;
		return -1;
	}
	return err_wrap(e, "setting the weights to blue %d, green %d", to->blue, to->green);
}

static int set_weights(struct engine *en, const struct elb_rule *rule, const struct weights *to, struct err *e)
{
	const struct { const char *arn; int weight; } side[] = { { en->blue, to->blue }, { en->green, to->green } };
	struct elb_weight g[COUNT(side)];
	size_t n = 0;

	for (size_t i = 0; i < COUNT(side); i++)
		if (side[i].weight >= 0) {
			g[n] = (struct elb_weight){ .weight = side[i].weight };
			snprintf(g[n].arn, sizeof g[n].arn, "%s", side[i].arn);
			n++;
		}
	return write_rule(en, rule, g, n, to, e);
}

static enum step_verdict settle(struct engine *en, const struct weights *w, struct err *e)
{
	const struct run_traffic *t = state(en);

	if (t->known && !t->writing && same(w, t->left_blue, t->left_green))
		return STEP_DONE;
	return engine_append(en, EVENT_WEIGHTS, "", weights_json(w), e) ? STEP_FAIL : STEP_DONE;
}

/* As blue's weight in a goal: whatever it has, as long as it has any. */
#define KEEP (-2)

/* One look, and at most one write; after a write a second look. */
static enum step_verdict reach(struct engine *en, struct weights to, bool must_be_ours, struct err *e)
{
	autorule struct elb_rule rule = { 0 }, again = { 0 };
	struct weights now, then;
	enum traffic_owner whose;

	if (traffic_read(en, &rule, &now, e) || traffic_check(en, &now, &whose, e))
		return STEP_FAIL;
	if (whose != TRAFFIC_OURS && must_be_ours)
		return STEP_WAIT;
	if (to.blue == KEEP)
		to.blue = now.blue > 0 ? now.blue : ELB_WEIGHT_MAX;
	if (whose != TRAFFIC_STALE && same(&now, to.blue, to.green))
		return settle(en, &now, e);
	if (set_weights(en, &rule, &to, e) || traffic_read(en, &again, &then, e))
		return STEP_FAIL;
	return same(&then, to.blue, to.green) ? settle(en, &then, e) : STEP_WAIT;
}

static struct weights wanted(int permille)
{
	if (permille <= 0)
		return (struct weights){ KEEP, 0 };
	if (permille >= 1000)
		return (struct weights){ 0, ELB_WEIGHT_MAX };
	return (struct weights){ 1000 - permille, permille };
}

/* What the weights are by our own reckoning. */
static struct weights present(struct engine *en)
{
	const struct run_traffic *t = state(en);

	if (t->writing)
		return (struct weights){ t->to_blue, t->to_green };
	return t->known ? (struct weights){ t->left_blue, t->left_green } : (struct weights){ 0, -1 };
}

static bool is_raise(struct engine *en, int permille)
{
	struct weights now = present(en);

	return permille > traffic_permille(&now);
}

enum step_verdict traffic_reach(struct engine *en, int permille, struct err *e)
{
	if (en->run->paused && is_raise(en, permille))
		return STEP_WAIT;
	if (!en->green[0])
		return err_set(e, ERR_INPUT, "green's target group is not known yet: the step that makes it is not done"), STEP_FAIL;
	if (permille > 0 && is_raise(en, permille) && deadman_arm(en, e))
		return STEP_FAIL;
	/* A plan that only goes back finds green's weight where an earlier run left it. */
	return reach(en, wanted(permille), permille > 0 || state(en)->known, e);
}

/* Behind the one-way door: AWS deletes no target group that a rule names, not
 * even at weight 0 (AWS API reference, DeleteTargetGroup: ResourceInUse). */
enum step_verdict traffic_green_alone(struct engine *en, struct err *e)
{
	if (!en->run->one_way || traffic_permille(&(struct weights){ state(en)->left_blue, state(en)->left_green }) < 1000)
		return err_set(e, ERR_BUG, "blue was to be taken off the rule while it was still needed"), STEP_FAIL;
	return reach(en, (struct weights){ -1, ELB_WEIGHT_MAX }, true, e);
}

/* --- the way back --------------------------------------------------------------- */

enum step_verdict traffic_back(struct engine *en, struct err *e)
{
	struct run_traffic *t = state(en);
	autorule struct elb_rule rule = { 0 };
	struct weights now;
	enum traffic_owner whose;

	if (traffic_read(en, &rule, &now, e) || traffic_check(en, &now, &whose, e))
		return STEP_FAIL;
	if (whose == TRAFFIC_STALE && t->left_green <= 0)
		return STEP_WAIT;
	if (whose != TRAFFIC_STALE && now.green <= 0 && now.blue > 0)
		return settle(en, &now, e);
	/* Weights somebody set after our own write back: fighting helps nobody. */
	if (whose == TRAFFIC_FOREIGN && t->taken)
		return err_set(e, ERR_GATE, "somebody else set the weights to blue %d, green %d after this run took traffic back",
			       now.blue, now.green), STEP_FAIL;
	if (!drained_blue_can_serve(en->aws, en->blue, en->green))
		return err_set(e, ERR_BUSY, "blue has no healthy target and green has: traffic stays on green until blue is healthy"),
		       STEP_FAIL;
	return reach(en, (struct weights){ ELB_WEIGHT_MAX, 0 }, false, e);
}

enum step_verdict traffic_restore(struct engine *en, struct err *e)
{
	struct weights to;

	if (!state(en)->baseline || !en->green[0])
		return STEP_DONE;
	to = (struct weights){ baseline_weight(en, en->blue), baseline_weight(en, en->green) };
	/* A baseline that gave green traffic is from a run before this one: blue keeps all. */
	if (to.blue <= 0 || to.green > 0)
		return STEP_DONE;
	return reach(en, to, true, e);
}

/* steps/preflight.c - is this the right place, and is it safe to begin? Changes
 * nothing, and reports everything it has against beginning at once. */
#include "aws/cloudwatch.h"
#include "aws/cred.h"
#include "aws/elb.h"
#include "aws/sts.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "plan/plan.h"
#include "steps/kinds.h"
#include "steps/needs.h"

#include <stdio.h>
#include <string.h>

#define ALARMS_AT_ONCE 100 /* AWS: names per DescribeAlarms */

struct look {
	struct step_run *r;
	json_t *against; /* sentences */
	json_t *facts;
	char balancer[128]; /* the rule's */
};

static void against(struct look *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void against(struct look *l, const char *fmt, ...)
{
	char text[640];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_array_append_new(l->against, json_text(text));
}

static void fact(struct look *l, const char *name, json_t *v)
{
	json_object_set_new(l->facts, name, v);
}

/* Field n of "arn:partition:service:region:account:...", "" when there is none. */
static void arn_field(const char *arn, int n, char *out, size_t size)
{
	while (n-- > 0 && *arn) {
		arn += strcspn(arn, ":");
		arn += *arn == ':';
	}
	snprintf(out, size, "%.*s", (int)strcspn(arn, ":"), arn);
}

/* --- who and where --------------------------------------------------------------------- */

static int check_account(struct look *l, struct err *e)
{
	const struct plan *p = l->r->plan;
	struct sts_who who;

	if (sts_who(l->r->aws, &who, e))
		return -1;
	fact(l, "account", json_text(who.account));
	fact(l, "as", json_text(who.arn));
	if (strcmp(who.account, p->account))
		against(l, "the credentials are of account %s, the plan is for %s", who.account, p->account);
	if (strcmp(aws_region(l->r->aws), p->region))
		against(l, "this program asks region %s, the plan is for %s", aws_region(l->r->aws), p->region);
	return 0;
}

static void check_arn(struct look *l, const char *what, const char *arn)
{
	const struct plan *p = l->r->plan;
	char region[32], account[32];

	arn_field(arn, 3, region, sizeof region);
	arn_field(arn, 4, account, sizeof account);
	if (strcmp(region, p->region) || strcmp(account, p->account))
		against(l, "%s is in account %s, region %s, the plan is for %s, %s", what, account, region, p->account,
			p->region);
}

static int64_t plan_worst_ms(const struct plan *p)
{
	int64_t sum = 0;

	for (size_t i = 0; i < p->nsteps; i++) {
		const struct step *s = &p->steps[i];

		sum += s->kind->worst_ms ? s->kind->worst_ms(s) : s->timeout_ms;
	}
	return p->deadline_ms && p->deadline_ms < sum ? p->deadline_ms : sum;
}

/* A token that nobody can renew must live longer than the run, or the way back
 * would be closed by an ExpiredToken. */
static int check_credentials(struct look *l, struct err *e)
{
	int64_t need = l->r->now + plan_worst_ms(l->r->plan);
	struct cred_chain *chain = aws_creds(l->r->aws);
	const struct cred *c;
	char is[21], wants[21];

	if (cred_get(chain, &c, e))
		return -1;
	fact(l, "credentials", json_text(c->source));
	if (cred_renewable(chain) || !c->token || (c->expires && c->expires >= need))
		return 0;
	clock_iso(c->expires, is);
	clock_iso(need, wants);
	if (c->expires)
		against(l, "the credentials (%s) end at %s and cannot be renewed, the plan may take until %s", c->source, is,
			wants);
	else if (!json_yes(l->r->params, "accept_unknown_expiry"))
		against(l, "the session token (%s) cannot be renewed and does not say when it ends: use a profile or a role, or set accept_unknown_expiry",
			c->source);
	return 0;
}

/* --- the rule and the groups --------------------------------------------------------------- */

static void check_weights(struct look *l, const struct elb_rule *rule)
{
	int blue = elb_rule_weight(rule, l->r->blue), green = l->r->green[0] ? elb_rule_weight(rule, l->r->green) : -1;

	fact(l, "weights", json_pack("{s:i, s:i}", "blue", blue, "green", green));
	for (size_t i = 0; i < rule->ngroups; i++)
		if (strcmp(rule->group[i].arn, l->r->blue) && strcmp(rule->group[i].arn, l->r->green))
			against(l, "the rule also forwards to %s, which is neither blue nor green of this plan%s",
				rule->group[i].arn, rule->group[i].weight ? "" : ": it has no weight. If an earlier release left "
				"it there, take it off the rule and delete its stack (retire with \"delete-stack\" does that)");
	if (blue < 0)
		against(l, "the rule does not forward to blue (%s)", l->r->blue);
	else if (blue == 0)
		against(l, "the rule gives blue no weight (blue 0, green %d)", green > 0 ? green : 0);
	if (green > 0)
		against(l, "the rule gives green weight %d already, expected 0 or that it is absent", green);
}

static int check_tags(struct look *l, struct err *e)
{
	autojson json_t *tags = NULL;

	if (elb_tags(l->r->aws, l->r->plan->rule, &tags, e))
		return -1;
	if (strcmp(json_str(tags, "cutover:managed", ""), "true"))
		against(l, "the rule is not marked as ours: add the tag cutover:managed=true to %s if it is", l->r->plan->rule);
	return 0;
}

static int check_rule(struct look *l, struct err *e)
{
	const char *arn = l->r->plan->rule;
	autorule struct elb_rule rule = { 0 };

	check_arn(l, "the rule", arn);
	if (elb_balancer_dimension(arn, l->balancer, sizeof l->balancer, e) || elb_rule_get(l->r->aws, arn, &rule, e))
		return -1;
	if (rule.is_default)
		against(l, "%s is the listener's default rule: cutover moves the weights of a rule of its own", arn);
	if (rule.sticky_s)
		against(l, "the rule has group stickiness (%d s): users would stay where they are whatever the weights say; turn it off",
			rule.sticky_s);
	check_weights(l, &rule);
	return check_tags(l, e);
}

static int check_balancer(struct look *l, const char *what, const struct elb_group *g, struct err *e)
{
	char balancer[128];

	if (!g->load_balancer[0] || !l->balancer[0])
		return 0;
	if (elb_balancer_dimension(g->load_balancer, balancer, sizeof balancer, e))
		return -1;
	if (strcmp(balancer, l->balancer))
		against(l, "%s is on load balancer %s, the rule on %s", what, balancer, l->balancer);
	return 0;
}

static int check_blue(struct look *l, struct err *e)
{
	struct elb_group g;
	struct elb_health h;
	int sick;

	check_arn(l, "blue", l->r->blue);
	if (elb_group_get(l->r->aws, l->r->blue, &g, e) || check_balancer(l, "blue", &g, e) ||
	    elb_health(l->r->aws, l->r->blue, &h, e))
		return -1;
	sick = h.unhealthy + h.unavailable + h.unused;
	fact(l, "blue_healthy", json_integer(h.healthy));
	if (!h.healthy)
		against(l, "blue has no healthy target%s%s", h.reason[0] ? ": " : "", h.reason);
	else if (sick)
		against(l, "%d of blue's %d targets are not healthy: %s", sick, h.total, h.reason);
	return 0;
}

static int check_green(struct look *l, struct err *e)
{
	struct elb_group g;

	if (!l->r->green[0])
		return 0;
	if (!strcmp(l->r->green, l->r->blue))
		against(l, "blue and green are the same target group");
	check_arn(l, "green", l->r->green);
	if (elb_group_get(l->r->aws, l->r->green, &g, e))
		return -1;
	return check_balancer(l, "green", &g, e);
}

/* --- alarms and rivals ----------------------------------------------------------------------- */

static bool is_waived(const struct look *l, const char *name)
{
	size_t i;
	json_t *v;

	json_array_foreach(l->r->plan->watch.waived, i, v)
		if (!strcmp(json_string_value(v), name))
			return true;
	return false;
}

static void judge_alarm(struct look *l, const struct cw_alarm *a)
{
	if (is_waived(l, a->name))
		return;
	if (a->evaluation_troubled)
		against(l, "CloudWatch cannot evaluate alarm %s just now, so its state cannot be trusted", a->name);
	else if (a->state == CW_ALARM)
		against(l, "alarm %s fires: %.200s", a->name, a->reason);
	else if (a->state == CW_INSUFFICIENT && a->missing_is_breaching)
		against(l, "alarm %s has no data and treats that as breaching", a->name);
}

static int check_some_alarms(struct look *l, size_t from, size_t n, struct err *e)
{
	autofree const char **names = xcalloc(n, sizeof *names);
	autofree struct cw_alarm *found = xcalloc(n, sizeof *found);

	for (size_t i = 0; i < n; i++)
		names[i] = json_string_value(json_array_get(l->r->plan->watch.alarms, from + i));
	if (cw_alarms(l->r->aws, names, n, found, e))
		return -1;
	for (size_t i = 0; i < n; i++)
		judge_alarm(l, &found[i]);
	return 0;
}

static int check_alarms(struct look *l, struct err *e)
{
	size_t all = json_array_size(l->r->plan->watch.alarms);

	fact(l, "alarms", json_integer((json_int_t)all));
	for (size_t from = 0; from < all; from += ALARMS_AT_ONCE) {
		size_t n = all - from < ALARMS_AT_ONCE ? all - from : ALARMS_AT_ONCE;

		if (check_some_alarms(l, from, n, e))
			return -1;
	}
	return 0;
}

static int check_rivals(struct look *l, struct err *e)
{
	char other[96];

	if (step_rivals(l->r, other, sizeof other, e))
		return -1;
	if (other[0])
		against(l, "run %s is under way on the same rule: wait for it, or roll it back", other);
	return 0;
}

/* --- all together ------------------------------------------------------------------------------ */

/* A look that may succeed later fails the call; one that will not is against us. */
static int run_check(struct look *l, int (*check)(struct look *, struct err *), struct err *e)
{
	struct err why = { 0 };

	if (!check(l, &why))
		return 0;
	if (err_retryable(&why) || err_ends_tick(&why) || why.kind == ERR_BUG) {
		*e = why;
		return -1;
	}
	against(l, "%s", why.msg);
	return 0;
}

/* What the run will read when green has users is read now, each by itself. */
static int check_needs(struct look *l, struct err *e)
{
	for (size_t n = 0;; n++) {
		struct err why = { 0 };
		int rc = needs_read(l->r, n, &why);

		if (rc > 0)
			return 0;
		if (rc && (err_retryable(&why) || err_ends_tick(&why) || why.kind == ERR_BUG)) {
			*e = why;
			return -1;
		}
		if (rc)
			against(l, "%s", why.msg);
	}
}

static int run_checks(struct look *l, struct err *e)
{
	static int (*const rest[])(struct look *, struct err *) = {
		check_credentials, check_rule, check_blue, check_green, check_alarms, check_rivals, check_needs,
	};
	bool wrong;

	if (run_check(l, check_account, e))
		return -1;
	wrong = json_array_size(l->against);
	/* Who is nobody, or somebody else, would be refused by everything that follows. */
	for (size_t i = 0; !wrong && i < COUNT(rest); i++)
		if (run_check(l, rest[i], e))
			return -1;
	return 0;
}

static void join(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
		buf_addf(out, "%s%s", i ? "; " : "", json_string_value(v));
}

static enum step_verdict conclude(struct look *l, struct err *e)
{
	size_t n = json_array_size(l->against);
	autobuf struct buf all = BUF_MAX(16384);

	if (!n)
		return step_note(l->r, "safe to begin", json_incref(l->facts), e) ? STEP_FAIL : STEP_DONE;
	/* The weights that were read are known from here on, also of a run that is refused. */
	if (step_note(l->r, "not safe to begin", json_pack("{s:O, s:O*}", "because", l->against, "weights",
							   json_object_get(l->facts, "weights")), e))
		return STEP_FAIL;
	join(l->against, &all);
	if (n == 1)
		return err_set(e, ERR_GATE, "%s", all.p);
	return err_set(e, ERR_GATE, "%zu things are against it: %s", n, all.p);
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	struct look l = { .r = r, .against = json_array(), .facts = json_object() };
	enum step_verdict v = run_checks(&l, e) ? STEP_FAIL : conclude(&l, e);

	json_decref(l.against);
	json_decref(l.facts);
	return v;
}

static int64_t worst_ms(const struct step *s)
{
	(void)s;
	return MINUTES(1);
}

static const struct param params[] = {
	{ .name = "accept_unknown_expiry", .type = PARAM_BOOL, .def = "false",
	  .about = "go on with a session token that does not say when it ends and cannot be renewed" },
	{ 0 },
};

static const enum aws_op ops[] = {
	STS_GET_CALLER_IDENTITY, ELB_DESCRIBE_RULES, ELB_DESCRIBE_TAGS, ELB_DESCRIBE_TARGET_GROUPS,
	ELB_DESCRIBE_TARGET_HEALTH, CW_DESCRIBE_ALARMS,
};

const struct step_kind step_preflight = {
	.name = "preflight", .about = "check account, rule, blue, alarms, credentials and every read the run will make; change nothing",
	.params = params, .timeout_ms = MINUTES(5), .ops = ops, .nops = COUNT(ops), .worst_ms = worst_ms,
	.advance = advance,
};

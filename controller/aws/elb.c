#include "aws/elb.h"

#include "aws/answer.h"
#include "aws/core.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define PRIORITY_MAX 50000  /* AWS: 1-50000 */
#define STICKY_MAX   604800 /* AWS: seven days */

static bool is_text(struct xml *x, const char *path, const char *want)
{
	return !strcmp(xml_text(x, path), want);
}

static struct xml *forward_of(struct xml *actions, struct err *e)
{
	struct xml *found = NULL;

	for (struct xml *m = xml_at(actions, "member"); m; m = xml_next(m)) {
		if (!is_text(m, "Type", "forward"))
			continue;
		if (found) {
			err_set(e, ERR_UNSURE, "the rule has more than one forward action");
			return NULL;
		}
		found = m;
	}
	if (!found)
		err_set(e, ERR_INPUT, "the rule has no forward action: there are no weights to move");
	return found;
}

/* A weight that is not in the answer is unknown, not 0. */
static int read_groups(struct xml *list, struct elb_rule *out, struct err *e)
{
	for (struct xml *m = xml_at(list, "member"); m; m = xml_next(m)) {
		struct elb_weight *w = &out->group[out->ngroups];

		if (out->ngroups == ELB_GROUPS_MAX)
			return err_set(e, ERR_UNSURE, "the rule names more than %d target groups",
				       ELB_GROUPS_MAX);
		if (answer_text(m, "TargetGroupArn", w->arn, sizeof w->arn, e) ||
		    answer_int(m, "Weight", 0, ELB_WEIGHT_MAX, &w->weight, e))
			return -1;
		if (elb_rule_weight(out, w->arn) >= 0)
			return err_set(e, ERR_UNSURE, "the rule names target group %s twice", w->arn);
		out->ngroups++;
	}
	return out->ngroups ? 0 : err_set(e, ERR_UNSURE, "the rule's forward action names no target group");
}

static int read_sticky(struct xml *config, int *seconds, struct err *e)
{
	struct xml *s = xml_at(config, "TargetGroupStickinessConfig");

	*seconds = 0;
	if (!s || !is_text(s, "Enabled", "true"))
		return 0;
	return answer_int(s, "DurationSeconds", 1, STICKY_MAX, seconds, e);
}

static int read_forward(struct elb_rule *out, struct err *e)
{
	struct xml *f = forward_of(out->actions, e), *config = xml_at(f, "ForwardConfig");

	if (!f)
		return -1;
	if (!xml_at(config, "TargetGroups/member")) { /* the simple form: one group has everything */
		out->ngroups = 1;
		out->group[0].weight = 1;
		return answer_text(f, "TargetGroupArn", out->group[0].arn, sizeof out->group[0].arn, e);
	}
	return read_groups(xml_at(config, "TargetGroups"), out, e) ||
	       read_sticky(config, &out->sticky_s, e) ? -1 : 0;
}

static int read_head(struct xml *rule, const char *arn, struct elb_rule *out, struct err *e)
{
	if (answer_text(rule, "RuleArn", out->arn, sizeof out->arn, e))
		return -1;
	if (strcmp(out->arn, arn))
		return err_set(e, ERR_UNSURE, "AWS answered with another rule, %s", out->arn);
	out->is_default = is_text(rule, "IsDefault", "true");
	if (out->is_default || is_text(rule, "Priority", "default"))
		return 0;
	return answer_int(rule, "Priority", 1, PRIORITY_MAX, &out->priority, e);
}

/* Takes x out of its tree: it outlives the answer it came in. */
static struct xml *cut_out(struct xml *x)
{
	struct xml **at = &x->up->kid;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	x->up = x->next = NULL;
	return x;
}

static int read_rule(struct xml *rule, const char *arn, struct elb_rule *out, struct err *e)
{
	struct xml *actions;

	if (read_head(rule, arn, out, e))
		return -1;
	actions = answer_at(rule, "Actions", e);
	if (!actions)
		return -1;
	out->actions = cut_out(actions);
	return read_forward(out, e);
}

int elb_rule_get(struct aws *a, const char *rule_arn, struct elb_rule *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *rule;

	*out = (struct elb_rule){ 0 };
	aws_arg(args, rule_arn, "RuleArns.member.1");
	if (aws_query(a, ELB_DESCRIBE_RULES, args, &x, e))
		return err_wrap(e, "reading rule %.150s", rule_arn);
	rule = answer_at(x, "DescribeRulesResult/Rules/member", e);
	if (!rule || read_rule(rule, rule_arn, out, e)) {
		elb_rule_free(out);
		return err_wrap(e, "reading rule %.150s", rule_arn);
	}
	return 0;
}

void elb_rule_free(struct elb_rule *r)
{
	xml_free(r->actions);
	*r = (struct elb_rule){ 0 };
}

int elb_rule_weight(const struct elb_rule *r, const char *group_arn)
{
	for (size_t i = 0; i < r->ngroups; i++)
		if (!strcmp(r->group[i].arn, group_arn))
			return r->group[i].weight;
	return -1;
}

int elb_split_get(struct aws *a, const char *rule_arn, const char *blue, const char *green, struct elb_split *out, struct err *e)
{
	autorule struct elb_rule rule = { 0 };

	if (elb_rule_get(a, rule_arn, &rule, e))
		return -1;
	*out = (struct elb_split){ elb_rule_weight(&rule, blue), elb_rule_weight(&rule, green) };
	return 0;
}

/* TargetGroupArn is left out: beside several groups AWS refuses it. */
static void add_forward(struct aws_args *args, size_t n, struct xml *was,
			const struct elb_weight *groups, size_t ngroups)
{
	struct xml *sticky = xml_at(was, "ForwardConfig/TargetGroupStickinessConfig");
	autofree char *prefix = xasprintf("Actions.member.%zu", n);
	autofree char *config = xasprintf("%s.ForwardConfig.TargetGroupStickinessConfig", prefix);
	char weight[16];

	aws_arg(args, "forward", "%s.Type", prefix);
	if (*xml_text(was, "Order"))
		aws_arg(args, xml_text(was, "Order"), "%s.Order", prefix);
	for (size_t i = 0; i < ngroups; i++) {
		snprintf(weight, sizeof weight, "%d", groups[i].weight);
		aws_arg(args, groups[i].arn, "%s.ForwardConfig.TargetGroups.member.%zu.TargetGroupArn", prefix,
			i + 1);
		aws_arg(args, weight, "%s.ForwardConfig.TargetGroups.member.%zu.Weight", prefix, i + 1);
	}
	if (sticky && sticky->kid)
		aws_arg_tree(args, sticky, config);
}

/* The secret of an OIDC action is never read back; this tells AWS to keep it. */
static void add_other(struct aws_args *args, size_t n, struct xml *action)
{
	autofree char *prefix = xasprintf("Actions.member.%zu", n);

	aws_arg_tree(args, action, prefix);
	if (is_text(action, "Type", "authenticate-oidc") &&
	    !*xml_text(action, "AuthenticateOidcConfig/UseExistingClientSecret"))
		aws_arg(args, "true", "%s.AuthenticateOidcConfig.UseExistingClientSecret", prefix);
}

static int check_set(const struct elb_rule *r, const struct elb_weight *groups, size_t n,
		     struct err *e)
{
	if (r->is_default)
		return err_set(e, ERR_INPUT, "%s is a default rule, which ModifyRule cannot change", r->arn);
	if (!r->actions || !n || n > ELB_GROUPS_MAX)
		return err_set(e, ERR_BUG, "a rule takes 1 to %d target groups, not %zu", ELB_GROUPS_MAX, n);
	for (size_t i = 0; i < n; i++)
		if (groups[i].weight < 0 || groups[i].weight > ELB_WEIGHT_MAX || !*groups[i].arn)
			return err_set(e, ERR_BUG, "weight %d of target group %s is not within 0 to %d",
				       groups[i].weight, groups[i].arn, ELB_WEIGHT_MAX);
	return 0;
}

int elb_rule_set(struct aws *a, const struct elb_rule *r, const struct elb_weight *groups,
		 size_t n, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *answer = NULL;
	size_t i = 0;

	if (check_set(r, groups, n, e))
		return -1;
	aws_arg(args, r->arn, "RuleArn");
	for (struct xml *m = xml_at(r->actions, "member"); m; m = xml_next(m)) {
		if (is_text(m, "Type", "forward"))
			add_forward(args, ++i, m, groups, n);
		else
			add_other(args, ++i, m);
	}
	if (aws_query(a, ELB_MODIFY_RULE, args, &answer, e))
		return err_wrap(e, "setting the weights of rule %.150s", r->arn);
	return 0;
}

int elb_tags(struct aws *a, const char *arn, json_t **out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *d;

	*out = NULL;
	aws_arg(args, arn, "ResourceArns.member.1");
	if (aws_query(a, ELB_DESCRIBE_TAGS, args, &x, e))
		return err_wrap(e, "reading the tags of %.150s", arn);
	d = answer_at(x, "DescribeTagsResult/TagDescriptions/member", e);
	if (!d)
		return err_wrap(e, "reading the tags of %.150s", arn);
	if (!is_text(d, "ResourceArn", arn))
		return err_set(e, ERR_UNSURE, "AWS answered with the tags of another resource than %.150s", arn);
	*out = answer_pairs(xml_at(d, "Tags"), "Key", "Value");
	return 0;
}

static int read_group(struct xml *g, const char *arn, struct elb_group *out, struct err *e)
{
	if (answer_text(g, "TargetGroupArn", out->arn, sizeof out->arn, e) ||
	    answer_text(g, "TargetGroupName", out->name, sizeof out->name, e) ||
	    answer_text(g, "Protocol", out->protocol, sizeof out->protocol, e) ||
	    answer_int(g, "Port", 1, 65535, &out->port, e))
		return -1;
	if (strcmp(out->arn, arn))
		return err_set(e, ERR_UNSURE, "AWS answered with another target group, %s", out->arn);
	if (!xml_at(g, "LoadBalancerArns/member"))
		return 0;
	return answer_text(g, "LoadBalancerArns/member", out->load_balancer, sizeof out->load_balancer, e);
}

int elb_group_get(struct aws *a, const char *arn, struct elb_group *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *g;

	*out = (struct elb_group){ 0 };
	aws_arg(args, arn, "TargetGroupArns.member.1");
	if (aws_query(a, ELB_DESCRIBE_TARGET_GROUPS, args, &x, e))
		return err_wrap(e, "reading target group %.150s", arn);
	g = answer_at(x, "DescribeTargetGroupsResult/TargetGroups/member", e);
	if (!g || read_group(g, arn, out, e))
		return err_wrap(e, "reading target group %.150s", arn);
	return 0;
}

/* A state AWS invents tomorrow counts in `total` only: never as healthy. */
static void count_state(struct elb_health *h, const char *state)
{
	const struct { const char *name; int *count; } states[] = {
		{ "healthy", &h->healthy },     { "unhealthy", &h->unhealthy },
		{ "initial", &h->initial },     { "draining", &h->draining },
		{ "unused", &h->unused },       { "unavailable", &h->unavailable },
		{ "unhealthy.draining", &h->draining },
	};

	h->total++;
	for (size_t i = 0; i < COUNT(states); i++)
		if (!strcmp(states[i].name, state))
			++*states[i].count;
}

static void say_reason(struct elb_health *h, struct xml *m, const char *state)
{
	const char *reason = xml_text(m, "TargetHealth/Reason");
	const char *about = xml_text(m, "TargetHealth/Description");

	snprintf(h->reason, sizeof h->reason, "%.40s:%.5s %.20s%s%.30s%s%s%.50s", xml_text(m, "Target/Id"),
		 xml_text(m, "Target/Port"), state, *reason ? " (" : "", reason, *reason ? ")" : "",
		 *about ? ": " : "", about);
	text_clean(h->reason);
}

int elb_health(struct aws *a, const char *group_arn, struct elb_health *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *list;
	char state[32];

	*out = (struct elb_health){ 0 };
	aws_arg(args, group_arn, "TargetGroupArn");
	if (aws_query(a, ELB_DESCRIBE_TARGET_HEALTH, args, &x, e))
		return err_wrap(e, "reading the target health of %.150s", group_arn);
	list = answer_at(x, "DescribeTargetHealthResult/TargetHealthDescriptions", e);
	if (!list)
		return err_wrap(e, "reading the target health of %.150s", group_arn);
	for (struct xml *m = xml_at(list, "member"); m; m = xml_next(m)) {
		if (answer_text(m, "TargetHealth/State", state, sizeof state, e))
			return err_wrap(e, "reading the target health of %.150s", group_arn);
		count_state(out, state);
		if (strcmp(state, "healthy") && !*out->reason)
			say_reason(out, m, state);
	}
	return 0;
}

/* The resource part of an ARN: what follows the fifth colon. */
static const char *resource_of(const char *arn)
{
	for (int i = 0; arn && i < 5; i++) {
		arn = strchr(arn, ':');
		arn += !!arn;
	}
	return arn ? arn : "";
}

/* Copies s up to its n-th slash; false when it has fewer parts or an empty one. */
static bool copy_parts(const char *s, int n, char *out, size_t size)
{
	size_t len = 0;

	for (int i = 0; i < n; i++) {
		size_t part;

		if (i && s[len++] != '/')
			return false;
		part = strcspn(s + len, "/");
		if (!part)
			return false;
		len += part;
	}
	if (len >= size)
		return false;
	memcpy(out, s, len);
	out[len] = '\0';
	return true;
}

int elb_group_dimension(const char *group_arn, char *out, size_t size, struct err *e)
{
	const char *r = resource_of(group_arn);

	if (strncmp(r, "targetgroup/", 12) || !copy_parts(r, 3, out, size))
		return err_set(e, ERR_INPUT, "not the ARN of a target group: %.200s", group_arn);
	return 0;
}

int elb_balancer_dimension(const char *any_arn, char *out, size_t size, struct err *e)
{
	static const char *const kinds[] = { "loadbalancer/", "listener/", "listener-rule/" };
	const char *r = resource_of(any_arn);

	for (size_t i = 0; i < COUNT(kinds); i++) {
		size_t n = strlen(kinds[i]);

		if (!strncmp(r, kinds[i], n) && !strncmp(r + n, "app/", 4) &&
		    copy_parts(r + n, 3, out, size))
			return 0;
	}
	return err_set(e, ERR_INPUT, "not the ARN of an application load balancer, its listener or rule: %.200s",
		       any_arn);
}

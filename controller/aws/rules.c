#include "aws/answer.h"
#include "aws/core.h"
#include "aws/elb.h"

#include <stdio.h>
#include <string.h>

#define PAGES_MAX 20
#define RULES_MAX 200 /* AWS: 100 a balancer, unless it was raised */
#define TAGGED_MAX 20 /* AWS: ARNs per DescribeTags */

/* --- finding it ------------------------------------------------------------------------ */

static int read_arns(struct xml *list, json_t *out, struct err *e)
{
	char arn[256];

	for (struct xml *m = xml_at(list, "member"); m; m = xml_next(m)) {
		if (answer_text(m, "RuleArn", arn, sizeof arn, e))
			return -1;
		if (json_array_size(out) >= RULES_MAX)
			return err_set(e, ERR_UNSURE, "the listener has more than %d rules", RULES_MAX);
		if (strcmp(xml_text(m, "IsDefault"), "true") != 0)
			json_array_append_new(out, json_string(arn));
	}
	return 0;
}

static int rule_page(struct aws *a, const char *listener, char **next, json_t *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *r;

	aws_arg(args, listener, "ListenerArn");
	aws_arg(args, *next, "Marker");
	free(steal(next));
	if (aws_query(a, ELB_DESCRIBE_RULES, args, &x, e))
		return -1;
	r = answer_at(x, "DescribeRulesResult", e);
	if (!r || read_arns(xml_at(r, "Rules"), out, e))
		return -1;
	if (*xml_text(r, "NextMarker"))
		*next = xstrdup(xml_text(r, "NextMarker"));
	return 0;
}

static int read_rules(struct aws *a, const char *listener, json_t *out, struct err *e)
{
	autofree char *next = NULL;

	for (int page = 0; page < PAGES_MAX; page++) {
		if (rule_page(a, listener, &next, out, e))
			return -1;
		if (!next)
			return 0;
	}
	return err_set(e, ERR_UNSURE, "the listener's rules have more than %d pages", PAGES_MAX);
}

struct wanted {
	const char *tag, *value;
	char *arn;
};

static int take_tagged(const struct wanted *w, struct xml *description, struct err *e)
{
	autojson json_t *tags = answer_pairs(xml_at(description, "Tags"), "Key", "Value");
	char arn[256];

	if (strcmp(json_str(tags, w->tag, ""), w->value) != 0)
		return 0;
	if (answer_text(description, "ResourceArn", arn, sizeof arn, e))
		return -1;
	if (*w->arn)
		return err_set(e, ERR_GATE, "two rules carry the tag %s=%s, %.150s and %.150s: take it from one of them", w->tag,
			       w->value, w->arn, arn);
	memcpy(w->arn, arn, sizeof arn);
	return 0;
}

/* Tags of at most 20 rules from `from` on. */
static int look_at_tags(struct aws *a, const json_t *arns, size_t from, const struct wanted *w, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *list;

	for (size_t i = from; i < json_array_size(arns) && i < from + TAGGED_MAX; i++)
		aws_arg(args, json_string_value(json_array_get(arns, i)), "ResourceArns.member.%zu", i - from + 1);
	if (aws_query(a, ELB_DESCRIBE_TAGS, args, &x, e))
		return -1;
	list = answer_at(x, "DescribeTagsResult/TagDescriptions", e);
	if (!list)
		return -1;
	for (struct xml *m = xml_at(list, "member"); m; m = xml_next(m))
		if (take_tagged(w, m, e))
			return -1;
	return 0;
}

int elb_rule_find(struct aws *a, const char *listener, const char *tag, const char *value, char arn[256],
		  struct err *e)
{
	autojson json_t *arns = json_array();
	struct wanted w = { tag, value, arn };

	*arn = '\0';
	if (read_rules(a, listener, arns, e))
		return err_wrap(e, "reading the rules of %.150s", listener);
	for (size_t i = 0; i < json_array_size(arns); i += TAGGED_MAX)
		if (look_at_tags(a, arns, i, &w, e))
			return err_wrap(e, "reading the tags of the rules of %.150s", listener);
	return 0;
}

/* --- making and deleting it -------------------------------------------------------------- */

static void add_rule(struct aws_args *args, const struct elb_new_rule *q)
{
	char number[16];

	snprintf(number, sizeof number, "%d", q->priority);
	aws_arg(args, q->listener, "ListenerArn");
	aws_arg(args, number, "Priority");
	aws_arg(args, "path-pattern", "Conditions.member.1.Field");
	aws_arg(args, "/*", "Conditions.member.1.PathPatternConfig.Values.member.1");
	aws_arg(args, "forward", "Actions.member.1.Type");
	snprintf(number, sizeof number, "%d", ELB_WEIGHT_MAX);
	aws_arg(args, q->group, "Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn");
	aws_arg(args, number, "Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight");
	aws_arg(args, "false", "Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled");
}

static void add_tags(struct aws_args *args, const json_t *tags)
{
	const char *key;
	json_t *v;
	int n = 0;

	json_object_foreach((json_t *)tags, key, v) {
		n++;
		aws_arg(args, key, "Tags.member.%d.Key", n);
		aws_arg(args, json_string_value(v), "Tags.member.%d.Value", n);
	}
}

int elb_rule_create(struct aws *a, const struct elb_new_rule *q, char arn[256], struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *rule;

	add_rule(args, q);
	add_tags(args, q->tags);
	if (aws_query(a, ELB_CREATE_RULE, args, &x, e)) {
		if (!strcmp(e->code, "PriorityInUse"))
			e->kind = ERR_GATE;
		return err_wrap(e, "making the production rule on %.150s", q->listener);
	}
	rule = answer_at(x, "CreateRuleResult/Rules/member", e);
	if (!rule || answer_text(rule, "RuleArn", arn, 256, e))
		return err_wrap(e, "making the production rule on %.150s", q->listener);
	return 0;
}

int elb_rule_delete(struct aws *a, const char *arn, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;

	aws_arg(args, arn, "RuleArn");
	if (!aws_query(a, ELB_DELETE_RULE, args, &x, e) || !strcmp(e->code, "RuleNotFound"))
		return 0;
	return err_wrap(e, "deleting rule %.150s", arn);
}

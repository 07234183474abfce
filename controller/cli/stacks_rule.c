/* cli/stacks_rule.c - the production rule: the one thing no template holds, since
 * an update of its stack would put the template's weights back. Made once, with
 * the first release's target group; from then on only runs change its weights. */
#include "aws/elb.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/stacks.h"
#include "plan/plan.h"

#include <string.h>

static json_t *tags(const struct environment *env)
{
	json_t *all = json_copy((json_t *)env->rule.tags);

	json_object_set_new(all, STACKS_RULE_TAG, json_string("true"));
	json_object_set_new(all, STACKS_OWNER_TAG, json_string(env->name));
	return all;
}

static int create(struct stacks *s, struct aws *aws, const char *listener, char arn[256], struct err *e)
{
	autofree char *group = plan_resolve_text(s->env->rule.target_group, s->outputs, e);
	autojson json_t *all = tags(s->env);
	struct err why = { 0 };

	if (!group)
		return err_wrap(e, "the production rule's target_group");
	s->touched = true;
	if (!elb_rule_create(aws, &(struct elb_new_rule){ listener, group, s->env->rule.priority, all }, arn, &why))
		return 0;
	/* Its answer may be lost, and another apply may have been first: what is there decides. */
	if (elb_rule_find(aws, listener, STACKS_RULE_TAG, "true", arn, e))
		return -1;
	if (*arn)
		return 0;
	*e = why;
	return -1;
}

int stacks_rule(struct stacks *s, char arn[256], bool *made, struct err *e)
{
	struct aws *aws = stacks_aws(s, s->env->region);
	autofree char *listener = NULL;

	*arn = '\0';
	*made = false;
	if (!s->env->rule.on)
		return 0;
	listener = plan_resolve_text(s->env->rule.listener, s->outputs, e);
	if (!listener)
		return err_wrap(e, "the production rule's listener");
	if (elb_rule_find(aws, listener, STACKS_RULE_TAG, "true", arn, e))
		return -1;
	if (*arn)
		return 0;
	*made = true;
	return create(s, aws, listener, arn, e);
}

int stacks_rule_find(struct stacks *s, char arn[256], struct err *e)
{
	struct err why = { 0 };
	autofree char *listener = plan_resolve_text(s->env->rule.listener, s->outputs, &why);

	*arn = '\0';
	return listener ? elb_rule_find(stacks_aws(s, s->env->region), listener, STACKS_RULE_TAG, "true", arn, e) : 0;
}

static bool is_output(const struct stacks *s, const char *value)
{
	const char *stack, *name;
	json_t *outputs, *v;

	json_object_foreach(s->outputs, stack, outputs)
		json_object_foreach(outputs, name, v)
			if (json_is_string(v) && !strcmp(json_string_value(v), value))
				return true;
	return false;
}

int stacks_rule_is_ours(struct stacks *s, struct err *e)
{
	autorule struct elb_rule rule = { 0 };
	char arn[256];

	if (!s->env->rule.on)
		return 0;
	if (stacks_rule_find(s, arn, e) || (*arn && elb_rule_get(stacks_aws(s, s->env->region), arn, &rule, e)))
		return -1;
	for (size_t i = 0; i < rule.ngroups; i++)
		if (!is_output(s, rule.group[i].arn))
			return err_set(e, ERR_GATE, "the production rule names %s, which is of none of this environment's stacks: a plan has "
				       "made that colour. First delete rule %s, then that colour's stack; nothing was deleted", rule.group[i].arn, arn);
	return 0;
}

int stacks_rule_remove(struct stacks *s, struct err *e)
{
	char arn[256];

	if (!s->env->rule.on)
		return 0;
	if (stacks_rule_find(s, arn, e))
		return -1;
	if (!*arn)
		return 0;
	s->touched = true;
	s->tell(s, json_pack("{s:s, s:s}", "what", "rule removed", "rule", arn));
	return elb_rule_delete(stacks_aws(s, s->env->region), arn, e);
}

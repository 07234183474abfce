#include "aws/changeset.h"

#include "aws/aws.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

#define POLL_MS 3000
#define SETTLE_MS 15000 /* DescribeStacks may show the state before for so long after an execution */

static int intend(struct changeset *c, const char *phase, struct err *e)
{
	snprintf(c->phase, sizeof c->phase, "%s", phase);
	c->since = c->now;
	return c->calls->intend(c, e);
}

bool changeset_is_phase(const struct changeset *c, const char *phase)
{
	return !strcmp(c->phase, phase);
}

bool changeset_has_tag(const struct changeset *c, const struct cfn_stack *s)
{
	return c->tag && !strcmp(json_str(s->tags, c->tag, ""), c->token);
}

void changeset_wait(struct changeset *c, const char *what, const char *status)
{
	snprintf(c->saying, sizeof c->saying, "stack %.100s: %s (%s)", c->stack, what, status);
	c->wake_at = c->now + (c->poll_ms ? c->poll_ms : POLL_MS);
}

static enum changeset_verdict wait_saying(struct changeset *c, const char *what, const char *status)
{
	changeset_wait(c, what, status);
	return CHANGESET_WAIT;
}

static enum changeset_verdict look_again(struct changeset *c)
{
	c->wake_at = c->now;
	return CHANGESET_WAIT;
}

static enum changeset_verdict finish(struct cfn_stack *s, struct cfn_stack *out)
{
	*out = *s;
	*s = (struct cfn_stack){ 0 };
	return CHANGESET_DONE;
}

/* --- from nothing to a change set ---------------------------------------------------------- */

static bool can_be_updated(const char *status)
{
	return cfn_phase(status) == CFN_READY || !strcmp(status, "UPDATE_ROLLBACK_COMPLETE") ||
	       !strcmp(status, "IMPORT_ROLLBACK_COMPLETE");
}

static enum changeset_verdict begin_making(struct changeset *c, bool creates, const char *was, struct err *e)
{
	c->creates = creates;
	snprintf(c->was, sizeof c->was, "%s", was);
	return intend(c, "making", e) ? CHANGESET_FAIL : look_again(c);
}

/* A stack in review was never created: a change set of somebody who made one and
 * left, or ours. Only a caller without a tag knows that it may be taken over. */
static bool is_to_create(const struct changeset *c, const char *status)
{
	return cfn_phase(status) == CFN_DELETED || (!c->tag && cfn_phase(status) == CFN_REVIEW);
}

static enum changeset_verdict begin(struct changeset *c, struct cfn_stack *out, struct err *e)
{
	autostack struct cfn_stack s = { 0 };
	struct err why = { 0 };

	if (cfn_stack_get(c->aws, c->stack, &s, &why)) {
		if (why.kind == ERR_GONE)
			return begin_making(c, true, "", e);
		*e = why;
		return CHANGESET_FAIL;
	}
	if (changeset_has_tag(c, &s) && cfn_phase(s.status) == CFN_READY)
		return finish(&s, out);
	if (can_be_updated(s.status))
		return begin_making(c, false, s.status, e);
	if (cfn_phase(s.status) == CFN_BUSY)
		return wait_saying(c, "somebody else is changing it", s.status);
	if (is_to_create(c, s.status))
		return begin_making(c, true, s.status, e);
	return err_set(e, ERR_GATE, "stack %s is in %s and was not left so by this run: delete it or choose another name",
		       c->stack, s.status);
}

/* --- the change set ---------------------------------------------------------------------------- */

static enum changeset_verdict make(struct changeset *c, struct err *e)
{
	struct err why = { 0 };

	if (!c->calls->make(c, &why))
		return wait_saying(c, "waiting for the change set", "CREATE_PENDING");
	if (!strcmp(why.code, "AlreadyExistsException"))
		return look_again(c);
	*e = why;
	return CHANGESET_FAIL;
}

static int execute(struct changeset *c, struct err *e)
{
	return cfn_change_execute(c->aws, c->stack, c->name, c->token, e);
}

static enum changeset_verdict show_and_execute(struct changeset *c, const struct cfn_change *change, struct err *e)
{
	int rc = c->calls->show(c, change, e);

	if (rc)
		return rc < 0 ? CHANGESET_FAIL : CHANGESET_LEFT;
	if (intend(c, "executing", e) || execute(c, e))
		return CHANGESET_FAIL;
	return wait_saying(c, "executing the change set", "EXECUTE_IN_PROGRESS");
}

static enum changeset_verdict nothing_to_change(struct changeset *c, struct cfn_stack *out, struct err *e)
{
	autostack struct cfn_stack s = { 0 };

	if (cfn_stack_get(c->aws, c->stack, &s, e) || c->calls->unchanged(c, e))
		return CHANGESET_FAIL;
	return finish(&s, out);
}

static bool has_begun(const struct cfn_change *change)
{
	return !strncmp(change->execution, "EXECUTE_", 8);
}

static enum changeset_verdict made(struct changeset *c, const struct cfn_change *change, struct cfn_stack *out,
				   struct err *e)
{
	if (cfn_change_is_empty(change))
		return nothing_to_change(c, out, e);
	if (!strcmp(change->status, "FAILED"))
		return err_set(e, ERR_GATE, "the change set of stack %s failed: %s", c->stack, change->reason);
	if (has_begun(change)) /* by a person in the console */
		return intend(c, "executing", e) ? CHANGESET_FAIL : look_again(c);
	if (!strcmp(change->status, "CREATE_COMPLETE") && !strcmp(change->execution, "AVAILABLE"))
		return show_and_execute(c, change, e);
	if (!strcmp(change->execution, "OBSOLETE"))
		return err_set(e, ERR_GATE, "the change set of stack %s is obsolete: somebody else changed the stack; a new attempt makes a new one",
			       c->stack);
	return wait_saying(c, "waiting for the change set", change->status);
}

static enum changeset_verdict making(struct changeset *c, struct cfn_stack *out, struct err *e)
{
	autochange struct cfn_change change = { 0 };
	struct err why = { 0 };

	if (!cfn_change_get(c->aws, c->stack, c->name, &change, &why))
		return made(c, &change, out, e);
	if (why.kind == ERR_GONE)
		return make(c, e);
	*e = why;
	return CHANGESET_FAIL;
}

/* --- the stack ------------------------------------------------------------------------------------ */

static enum changeset_verdict failed(struct changeset *c, const struct cfn_stack *s, struct err *e)
{
	char why[400] = "";
	struct err ignored = { 0 };

	if (cfn_why_failed(c->aws, s->id, c->token, why, sizeof why, &ignored) && err_retryable(&ignored)) {
		*e = ignored;
		return CHANGESET_FAIL;
	}
	return err_set(e, ERR_GATE, "stack %s is in %s: %s", c->stack, s->status, why[0] ? why : s->reason);
}

/* READY and FAILED may still be how the stack was before: only the change set,
 * or our token on the stack, says that it is our doing, and an unchanged status
 * means nothing for a while. change NULL: the change set is gone, as AWS deletes
 * it some time after it was executed. */
static bool is_our_doing(const struct changeset *c, const struct cfn_stack *s, const struct cfn_change *change)
{
	bool ended = change && (!strcmp(change->execution, "EXECUTE_COMPLETE") || !strcmp(change->execution, "EXECUTE_FAILED"));

	return (ended || changeset_has_tag(c, s)) && (strcmp(s->status, c->was) || c->now - c->since >= SETTLE_MS);
}

static enum changeset_verdict executed(struct changeset *c, struct cfn_stack *s, const struct cfn_change *change,
				       struct cfn_stack *out, struct err *e)
{
	enum cfn_phase phase = cfn_phase(s->status);

	if (phase == CFN_DELETED)
		return err_set(e, ERR_GATE, "stack %s was deleted by somebody else", c->stack);
	if (phase == CFN_READY && is_our_doing(c, s, change))
		return finish(s, out);
	if (phase == CFN_FAILED && (is_our_doing(c, s, change) || strcmp(s->status, c->was)))
		return failed(c, s, e);
	if (!change && phase != CFN_BUSY && c->now - c->since >= SETTLE_MS)
		return err_set(e, ERR_GATE, "the change set of stack %s is gone and the stack is not changed (%s): somebody else deleted it",
			       c->stack, s->status);
	return wait_saying(c, "waiting until it is complete", s->status);
}

/* Without a tag, and with the change set gone, the stack's events tell: each
 * carries the token of the operation it belongs to. */
static enum changeset_verdict by_events(struct changeset *c, struct cfn_stack *s, struct cfn_stack *out, struct err *e)
{
	char status[48];

	if (cfn_operation_status(c->aws, s->id, c->token, status, sizeof status, e))
		return CHANGESET_FAIL;
	if (cfn_phase(s->status) == CFN_READY && !strcmp(status, s->status))
		return finish(s, out);
	return executed(c, s, NULL, out, e);
}

static enum changeset_verdict look_at_both(struct changeset *c, const struct cfn_change *change, struct cfn_stack *out,
					   struct err *e)
{
	autostack struct cfn_stack s = { 0 };

	if (cfn_stack_get(c->aws, c->stack, &s, e)) {
		if (e->kind == ERR_GONE)
			e->kind = ERR_GATE;
		return CHANGESET_FAIL;
	}
	return change || c->tag ? executed(c, &s, change, out, e) : by_events(c, &s, out, e);
}

static enum changeset_verdict executing(struct changeset *c, struct cfn_stack *out, struct err *e)
{
	autochange struct cfn_change change = { 0 };
	struct err why = { 0 };

	if (cfn_change_get(c->aws, c->stack, c->name, &change, &why)) {
		if (why.kind == ERR_GONE)
			return look_at_both(c, NULL, out, e);
		*e = why;
		return CHANGESET_FAIL;
	}
	if (has_begun(&change) || strcmp(change.execution, "AVAILABLE"))
		return look_at_both(c, &change, out, e);
	/* The request to execute never arrived. */
	return intend(c, "executing", e) || execute(c, e) ? CHANGESET_FAIL : look_again(c);
}

enum changeset_verdict changeset_advance(struct changeset *c, struct cfn_stack *out, struct err *e)
{
	*out = (struct cfn_stack){ 0 };
	if (changeset_is_phase(c, "making"))
		return making(c, out, e);
	return changeset_is_phase(c, "executing") ? executing(c, out, e) : begin(c, out, e);
}

int changeset_drop(struct changeset *c, struct err *e)
{
	struct err why = { 0 };

	if (!cfn_change_delete(c->aws, c->stack, c->name, &why) || why.kind == ERR_GONE || !strcmp(why.code, "ChangeSetNotFound"))
		return 0;
	*e = why;
	return -1;
}

/* --- harm -------------------------------------------------------------------------------------------- */

static bool is_text(const json_t *change, const char *key, const char *want)
{
	return !strcmp(json_str(change, key, ""), want);
}

const char *change_harm(const json_t *change)
{
	if (is_text(change, "action", "Remove"))
		return "remove";
	if (is_text(change, "replacement", "True"))
		return "replace";
	return is_text(change, "replacement", "Conditional") ? "perhaps replace" : NULL;
}

/* Prefixes of types that hold something which a new one would not have: data, a
 * name that stands in DNS, images, keys. */
static const char *const stateful[] = {
	"AWS::RDS::", "AWS::EFS::FileSystem", "AWS::EFS::AccessPoint", "AWS::S3::Bucket", "AWS::KMS::Key",
	"AWS::SecretsManager::Secret", "AWS::ECR::Repository", "AWS::DynamoDB::", "AWS::Logs::LogGroup",
	"AWS::ElastiCache::", "AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::EIP", "AWS::ECS::Cluster",
	"AWS::CloudFront::Distribution", "AWS::Backup::BackupVault", "AWS::CloudFormation::Stack",
};

const char *change_state_harm(const json_t *change)
{
	const char *type = json_str(change, "type", "");

	for (size_t i = 0; i < COUNT(stateful); i++)
		if (!strncmp(type, stateful[i], strlen(stateful[i])))
			return change_harm(change);
	return NULL;
}

/* What readers come through, and the property that says where they go; a change
 * set that does not name the properties might mean that one. */
static const struct { const char *type, *property; } traffic[] = {
	{ "AWS::ElasticLoadBalancingV2::LoadBalancer", NULL },
	{ "AWS::ElasticLoadBalancingV2::Listener", "DefaultActions" },
	{ "AWS::ElasticLoadBalancingV2::ListenerRule", "Actions" },
	{ "AWS::ElasticLoadBalancingV2::TargetGroup", NULL },
};

static bool has_text(const json_t *list, const char *want)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
		if (json_is_string(v) && !strcmp(json_string_value(v), want))
			return true;
	return false;
}

static const char *action_harm(const json_t *change, const char *property)
{
	const json_t *names = json_object_get(change, "properties");

	if (!property || !is_text(change, "action", "Modify"))
		return NULL;
	if (!json_array_size(names))
		return "perhaps change the weights of";
	return has_text(names, property) ? "change the weights of" : NULL;
}

const char *change_traffic_harm(const json_t *change, bool creates)
{
	for (size_t i = 0; i < COUNT(traffic); i++) {
		if (!is_text(change, "type", traffic[i].type))
			continue;
		/* A rule that is new on a listener of old may come before the production rule. */
		if (!creates && is_text(change, "action", "Add") && traffic[i].property && !strcmp(traffic[i].property, "Actions"))
			return "add, perhaps before the production rule,";
		return change_harm(change) ? change_harm(change) : action_harm(change, traffic[i].property);
	}
	return NULL;
}

/* cli/stacks_bring.c - plan and apply: each stack through a change set.
 *
 * First everything that can be known is shown: each stack whose earlier ones are
 * there gets a change set. What is refused is refused then, before anything is
 * touched. Then apply executes stack by stack what was shown; where the outputs
 * of an earlier stack came out otherwise, it makes, shows and judges anew. */
#include "aws/aws.h"
#include "aws/changeset.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/stacks.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define RETRY_FOR_MS INT64_C(300000)      /* errors that may pass, in a row */
#define STACK_MAX_MS INT64_C(3 * 3600000) /* Aurora and CloudFront take their time */
#define NAP_MS 3000
#define POLICY_MAX 16384 /* AWS: StackPolicyBody, bytes */

/* While a change that was named is executed: a change set cannot bring a policy of
 * its own. Whatever becomes of it, the next apply sets the right one again. */
#define OPEN_POLICY "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"Update:*\",\"Principal\":\"*\",\"Resource\":\"*\"}]}"

enum state { UNKNOWN, AS_IT_IS, UNCHANGED, CHANGES, DONE };

struct job {
	struct stacks *s;
	const struct environment_stack *st;
	struct changeset c;
	char wanted[24], name[48]; /* digest of what is wanted; of the change set: that and the time */
	json_t *parameters, *tags;
	struct cfn_template t;
	char *body;
	enum state state;
	bool judged;               /* what c shows was told and found harmless */
	bool refused, named;       /* harm that was not allowed; that was */
	bool go;                   /* show() may let it be executed */
};

static void job_free(struct job *j)
{
	json_decref(j->parameters);
	json_decref(j->tags);
	cfn_template_free(&j->t);
	free(j->body);
}

static void tell(struct job *j, const char *what, json_t *more)
{
	autojson json_t *mine = more;
	json_t *ev = json_pack("{s:s, s:s}", "what", what, "stack", j->st->name);

	json_object_update(ev, mine);
	j->s->tell(j->s, ev);
}

/* --- what the change set's way asks -------------------------------------------------------- */

static int intend(struct changeset *c, struct err *e)
{
	struct job *j = c->ctx;

	/* Nothing to keep: killed, it begins again and finds what is there. */
	if (!changeset_is_phase(c, "executing"))
		return 0;
	j->s->touched = true;
	tell(j, "executing", json_pack("{s:b}", "creates", c->creates));
	return j->named && j->st->policy && !c->creates ? cfn_stack_policy(c->aws, c->stack, OPEN_POLICY, e) : 0;
}

static int make(struct changeset *c, struct err *e)
{
	struct job *j = c->ctx;

	return cfn_change_create(c->aws, &(struct cfn_change_request){
		.stack = c->stack, .name = c->name, .type = c->creates ? "CREATE" : "UPDATE",
		.template_body = j->body, .template_url = j->st->template_url, .parameters = j->parameters,
		.tags = j->tags, .capabilities = j->t.capabilities, .token = c->token }, e);
}

static const char *harm(const struct job *j, const json_t *change)
{
	const char *why = j->st->stateful ? change_harm(change) : change_state_harm(change);

	return why ? why : change_traffic_harm(change, j->c.creates);
}

/* A copy of the rows, the harmful ones with "harm", and "allowed" when they were named. */
static json_t *judge(struct job *j, const json_t *changes)
{
	json_t *rows = json_deep_copy(changes), *v;
	size_t i;

	j->refused = j->named = false;
	json_array_foreach(rows, i, v) {
		const char *why = harm(j, v);
		bool allowed = stacks_named(j->s->may_replace, j->st->name, json_str(v, "logical", ""));

		if (!why)
			continue;
		json_object_set_new(v, "harm", json_string(why));
		json_object_set_new(v, "allowed", json_boolean(allowed));
		j->refused |= !allowed;
		j->named |= allowed;
	}
	return rows;
}

static json_t *plan_event(struct job *j, const char *action)
{
	return json_pack("{s:s, s:s, s:b}", "action", action, "about", j->st->about, "stateful", j->st->stateful);
}

static int show(struct changeset *c, const struct cfn_change *change, struct err *e)
{
	struct job *j = c->ctx;
	json_t *ev;

	if (!j->judged) {
		ev = plan_event(j, c->creates ? "create" : "update");
		json_object_set_new(ev, "changes", judge(j, change->changes));
		tell(j, "plan", ev);
		j->judged = true;
	}
	j->state = CHANGES;
	if (j->refused && j->go)
		return err_set(e, ERR_GATE, "the update of stack %s would do harm, see above: name what is meant with --may-replace",
			       c->stack);
	return !j->go;
}

static int unchanged(struct changeset *c, struct err *e)
{
	struct job *j = c->ctx;

	(void)e;
	if (!j->judged)
		tell(j, "plan", plan_event(j, "unchanged"));
	j->judged = true;
	j->state = UNCHANGED;
	return 0;
}

static const struct changeset_calls calls = { intend, make, show, unchanged };

/* --- what is wanted --------------------------------------------------------------------------- */

static int digest(struct job *j, struct err *e)
{
	autojson json_t *all = json_pack("{s:s, s:s, s:s, s:O, s:O}", "stack", j->st->name, "region", j->st->region,
					 "template", j->body ? j->body : j->st->template_url, "parameters", j->parameters,
					 "tags", j->tags);
	autofree char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
	unsigned char h[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!text)
		return err_set(e, ERR_INPUT, "the template of stack %s is not UTF-8", j->st->name);
	if (!EVP_Digest(text, strlen(text), h, &n, EVP_sha256(), NULL))
		return err_set(e, ERR_BUG, "no digest");
	for (size_t i = 0; i < 10; i++)
		snprintf(j->wanted + 2 * i, 3, "%02x", h[i]);
	return 0;
}

static json_t *tags(const struct job *j)
{
	json_t *all = json_copy((json_t *)j->st->tags);

	json_object_set_new(all, STACKS_OWNER_TAG, json_string(j->s->env->name));
	return all;
}

static int read_template(struct job *j, struct aws *aws, struct err *e)
{
	size_t n;

	if (j->t.parameters)
		return 0;
	if (j->st->template && file_read(j->st->template, CFN_BODY_MAX, &j->body, &n, e))
		return err_wrap(e, "the template of stack %s must be a file of at most %d bytes; put a larger one on S3 and say template_url",
				j->st->name, CFN_BODY_MAX);
	if (cfn_template_get(aws, j->body, j->st->template_url, &j->t, e))
		return err_wrap(e, "stack %s", j->st->name);
	return 0;
}

/* A name of its own: what a killed run left may be old, and is never executed. */
static void begin_afresh(struct job *j)
{
	j->judged = false;
	snprintf(j->name, sizeof j->name, "cutover-%s-%llx", j->wanted, (unsigned long long)clock_wall(j->s->clock));
	j->c = (struct changeset){
		.aws = stacks_aws(j->s, j->st->region), .stack = j->st->name, .name = j->name, .token = j->name,
		.calls = &calls, .ctx = j, .poll_ms = j->s->poll_ms,
	};
}

/* Everything it takes to ask for a change set; *same: nothing is other than it was. */
static int prepare(struct job *j, bool *same, struct err *e)
{
	struct aws *aws = stacks_aws(j->s, j->st->region);
	char was[sizeof j->wanted];

	memcpy(was, j->wanted, sizeof was);
	if (read_template(j, aws, e))
		return -1;
	json_decref(steal(&j->parameters));
	if (!j->tags)
		j->tags = tags(j);
	if (stacks_parameters(j->s, j->st, &j->t, &j->parameters, e) || digest(j, e))
		return -1;
	*same = !strcmp(was, j->wanted);
	return 0;
}

/* --- walking ---------------------------------------------------------------------------------- */

/* 1: told to stop. */
static int nap(struct job *j, int64_t until)
{
	int64_t now = clock_wall(j->s->clock), ms = until > now ? until - now : 0;

	if (*j->s->stop)
		return 1;
	clock_sleep(j->s->clock, ms < NAP_MS ? ms : NAP_MS);
	return *j->s->stop ? 1 : 0;
}

static void say_waiting(struct job *j, char said[240])
{
	if (!j->c.saying[0] || changeset_is_phase(&j->c, "making") || !strcmp(said, j->c.saying))
		return;
	memcpy(said, j->c.saying, sizeof j->c.saying);
	tell(j, "wait", json_pack("{s:o}", "saying", json_text(said)));
}

static enum changeset_verdict advance(struct job *j, struct cfn_stack *out, struct err *e)
{
	j->c.now = clock_wall(j->s->clock);
	j->c.wake_at = j->c.now;
	return changeset_advance(&j->c, out, e);
}

/* An error that a later look may not meet any more: asked again for a while. */
static bool may_pass(struct job *j, const struct err *why, int64_t fine, struct err *e)
{
	j->c.wake_at = j->c.now + NAP_MS;
	*e = *why;
	return err_retryable(why) && clock_mono(j->s->clock) - fine < RETRY_FOR_MS;
}

/* Until it is DONE or LEFT (0), told to stop (1), or failed. */
static int drive(struct job *j, struct cfn_stack *out, struct err *e)
{
	int64_t began = clock_mono(j->s->clock), fine = began;
	char said[240] = "";

	while (clock_mono(j->s->clock) - began < STACK_MAX_MS) {
		struct err why = { 0 };
		enum changeset_verdict v = advance(j, out, &why);

		if (v == CHANGESET_DONE || v == CHANGESET_LEFT)
			return 0;
		if (v == CHANGESET_WAIT)
			fine = clock_mono(j->s->clock);
		else if (!may_pass(j, &why, fine, e))
			return -1;
		say_waiting(j, said);
		if (nap(j, j->c.wake_at))
			return 1;
	}
	return err_set(e, ERR_GATE, "stack %s is not done after 3 hours: look at it in the console, then apply again", j->st->name);
}

/* --- one stack -------------------------------------------------------------------------------- */

static int check_owner(const struct job *j, const struct cfn_stack *s, struct err *e)
{
	const char *owner = json_str(s->tags, STACKS_OWNER_TAG, "");

	if (j->st->once || cfn_phase(s->status) == CFN_REVIEW || !strcmp(owner, j->s->env->name))
		return 0;
	return err_set(e, ERR_GATE, "stack %s is there and is not this environment's (its tag " STACKS_OWNER_TAG " is \"%.60s\", not \"%s\"): choose another name",
		       j->st->name, owner, j->s->env->name);
}

/* *there: it serves; its outputs are kept. */
static int look_at(struct job *j, bool *there, struct err *e)
{
	autostack struct cfn_stack s = { 0 };
	struct err why = { 0 };

	*there = false;
	if (cfn_stack_get(stacks_aws(j->s, j->st->region), j->st->name, &s, &why)) {
		if (why.kind == ERR_GONE)
			return 0;
		*e = why;
		return -1;
	}
	if (check_owner(j, &s, e))
		return -1;
	*there = cfn_phase(s.status) == CFN_READY || !strncmp(s.status, "UPDATE_", 7);
	if (*there)
		stacks_keep_outputs(j->s, j->st->name, s.outputs);
	return 0;
}

/* What was made only to be looked at goes, the empty stack in review with it. */
static int drop(struct job *j, struct err *e)
{
	autostack struct cfn_stack s = { 0 };
	struct err why = { 0 };

	if (!changeset_is_phase(&j->c, "making") || changeset_drop(&j->c, e))
		return changeset_is_phase(&j->c, "making") ? -1 : 0;
	j->c.phase[0] = '\0';
	if (!j->c.creates || cfn_stack_get(j->c.aws, j->c.stack, &s, &why) || cfn_phase(s.status) != CFN_REVIEW)
		return 0;
	return cfn_stack_delete(j->c.aws, s.id, NULL, e);
}

static void tell_unknown(struct job *j, json_t *missing)
{
	json_t *ev = plan_event(j, "later");

	json_object_set_new(ev, "waits_for", missing);
	tell(j, "plan", ev);
}

/* Does the production rule take its first target group from this stack? */
static bool is_first_release(const struct job *j)
{
	autofree char *reference = xasprintf("${%s.", j->st->name);

	return j->s->env->rule.on && strstr(j->s->env->rule.target_group, reference);
}

/* A colour belongs to plans as soon as it or the rule is there: the first release
 * that a plan has retired since is not made again. */
static int look_for_plans(struct job *j, bool there, bool *theirs, struct err *e)
{
	char rule[256] = "";

	if (j->st->once && !there && is_first_release(j) && stacks_rule_find(j->s, rule, e))
		return -1;
	*theirs = j->st->once && (there || *rule);
	return 0;
}

static int plan_one(struct job *j, struct err *e)
{
	autostack struct cfn_stack out = { 0 };
	autojson json_t *missing = stacks_missing(j->s, j->st);
	bool there, theirs, same;
	int rc;

	if (look_at(j, &there, e) || look_for_plans(j, there, &theirs, e))
		return -1;
	if (theirs) {
		j->state = AS_IT_IS;
		tell(j, "plan", plan_event(j, "left"));
		return 0;
	}
	if (json_array_size(missing)) {
		tell_unknown(j, steal(&missing));
		return 0;
	}
	if (prepare(j, &same, e))
		return -1;
	begin_afresh(j);
	rc = drive(j, &out, e);
	if (rc || j->state != UNCHANGED)
		return rc;
	stacks_keep_outputs(j->s, j->st->name, out.outputs);
	return drop(j, e);
}

/* --- after it is there ---------------------------------------------------------------------------- */

static int set_policy(struct job *j, struct aws *aws, struct err *e)
{
	autofree char *policy = NULL;
	size_t n;

	if (!j->st->policy)
		return 0;
	if (file_read(j->st->policy, POLICY_MAX, &policy, &n, e))
		return err_wrap(e, "the policy of stack %s", j->st->name);
	return cfn_stack_policy(aws, j->st->name, policy, e);
}

static int set_guards(struct job *j, const struct cfn_stack *s, struct err *e)
{
	struct aws *aws = stacks_aws(j->s, j->st->region);

	if (set_policy(j, aws, e))
		return -1;
	return j->st->protect && !s->is_protected ? cfn_stack_protect(aws, j->st->name, true, e) : 0;
}

/* The policy is set again each time: a run that was killed before it did so is
 * followed by one that finds the stack unchanged. */
static int finish(struct job *j, const struct cfn_stack *s, struct err *e)
{
	bool changed = j->state == CHANGES;

	stacks_keep_outputs(j->s, j->st->name, s->outputs);
	if (set_guards(j, s, e))
		return -1;
	j->state = DONE;
	tell(j, "done", json_pack("{s:b, s:s, s:O}", "changed", changed, "status", s->status, "outputs", s->outputs));
	return 0;
}

/* It was seen to be as it should a moment ago, and nothing was changed before it. */
static int leave_unchanged(struct job *j, struct err *e)
{
	autostack struct cfn_stack s = { 0 };

	return cfn_stack_get(stacks_aws(j->s, j->st->region), j->st->name, &s, e) || finish(j, &s, e) ? -1 : 0;
}

static int bring(struct job *j, struct err *e)
{
	autostack struct cfn_stack out = { 0 };
	int rc = drive(j, &out, e);

	if (rc)
		return rc;
	if (j->state == UNCHANGED && drop(j, e))
		return -1;
	return finish(j, &out, e);
}

static int apply_one(struct job *j, struct err *e)
{
	bool same;

	if (j->state == AS_IT_IS)
		return 0;
	j->go = true;
	if (prepare(j, &same, e))
		return -1;
	if (same && j->state == UNCHANGED)
		return leave_unchanged(j, e);
	if (!same || j->state != CHANGES) { /* what was shown was made with other parameters, or nothing was */
		if (drop(j, e))
			return -1;
		begin_afresh(j);
	}
	return bring(j, e);
}

/* --- all of them ------------------------------------------------------------------------------------ */

struct jobs {
	struct job *at;
	size_t n;
};

static void jobs_free(struct jobs *all)
{
	for (size_t i = 0; i < all->n; i++)
		job_free(&all->at[i]);
	free(all->at);
}
#define autojobs __attribute__((cleanup(jobs_free)))

static void jobs_open(struct jobs *all, struct stacks *s)
{
	all->n = s->env->nstacks;
	all->at = xcalloc(all->n, sizeof *all->at);
	for (size_t i = 0; i < all->n; i++)
		all->at[i] = (struct job){ .s = s, .st = &s->env->stacks[i] };
}

/* Each of these may be done twice: it looks first, or sets what is set. */
static int patiently(struct job *j, int (*fn)(struct job *, struct err *), struct err *e)
{
	int64_t until = clock_mono(j->s->clock) + RETRY_FOR_MS;
	int rc;

	while ((rc = fn(j, e)) < 0 && err_retryable(e) && clock_mono(j->s->clock) < until)
		if (nap(j, clock_wall(j->s->clock) + NAP_MS))
			return 1;
	return rc;
}

static int each(struct jobs *all, int (*fn)(struct job *, struct err *), struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < all->n && !rc; i++)
		rc = patiently(&all->at[i], fn, e);
	return rc;
}

/* Goes through all of them, whatever fails. */
static void drop_all(struct jobs *all)
{
	struct err ignored = { 0 };

	for (size_t i = 0; i < all->n; i++)
		if (patiently(&all->at[i], drop, &ignored) < 0)
			tell(&all->at[i], "left over", json_pack("{s:o}", "why", json_text(ignored.msg)));
}

static size_t refused(const struct jobs *all)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++)
		n += all->at[i].refused;
	return n;
}

static int exit_of(const struct stacks *s, const struct jobs *all, int rc)
{
	if (rc > 0)
		return CUTOVER_EXIT_RUNNING;
	if (rc < 0)
		return -1;
	return refused(all) ? s->touched ? CUTOVER_EXIT_FROZEN : CUTOVER_EXIT_REFUSED : CUTOVER_EXIT_OK;
}

int stacks_plan(struct stacks *s, struct err *e)
{
	autojobs struct jobs all = { 0 };
	int rc;

	jobs_open(&all, s);
	rc = each(&all, plan_one, e);
	drop_all(&all);
	return exit_of(s, &all, rc);
}

static int tell_rule(struct stacks *s, struct err *e)
{
	char arn[256];
	bool made;

	if (stacks_rule(s, arn, &made, e))
		return -1;
	if (*arn)
		s->tell(s, json_pack("{s:s, s:s, s:b}", "what", "rule", "rule", arn, "made", made));
	return 0;
}

int stacks_apply(struct stacks *s, struct err *e)
{
	autojobs struct jobs all = { 0 };
	int rc;

	jobs_open(&all, s);
	rc = each(&all, plan_one, e);
	if (!rc && !refused(&all))
		rc = each(&all, apply_one, e);
	if (!rc && !refused(&all))
		rc = tell_rule(s, e);
	drop_all(&all);
	return exit_of(s, &all, rc);
}

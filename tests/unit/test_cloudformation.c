/* Stacks: a whole life in the simulated world, and hostile answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/cloudformation.h"
#include "aws/elb.h"
#include "base/buf.h"
#include "simworld.h"

#include <stdio.h>
#include <string.h>

#define OK(call) do { if (call) fail_msg("%s: %s", #call, w.e.msg); } while (0)
#define STACK "wiki-green-7"

static struct simworld w;
static struct canned c;

static void open_world(const char *fault)
{
	simworld_open(&w, &(struct sim_opts){ .seed = 9, .fault = fault, .green_by_stack = true });
}

static int create_change(const char *type, const char *name, const char *token)
{
	autojson json_t *params = json_pack("{s:s}", "Version", "1.43.11"), *tags = json_pack("{s:s}", "run", "r-1");
	autojson json_t *caps = json_pack("[s]", "CAPABILITY_NAMED_IAM");

	return cfn_change_create(w.aws, &(struct cfn_change_request){
		.stack = STACK, .name = name, .type = type, .template_body = "Resources: {}", .parameters = params,
		.tags = tags, .capabilities = caps, .token = token }, &w.e);
}

static void wait_for_change(const char *name, struct cfn_change *out)
{
	for (int i = 0; i < 30; i++) {
		OK(cfn_change_get(w.aws, STACK, name, out, &w.e));
		if (!strcmp(out->status, "CREATE_COMPLETE") || !strcmp(out->status, "FAILED"))
			return;
		assert_string_equal(out->execution, "UNAVAILABLE");
		cfn_change_free(out);
		simworld_wait(&w, 2);
	}
	fail_msg("the change set is never ready");
}

/* Seconds until the stack is no longer busy. */
static int wait_for_stack(struct cfn_stack *out)
{
	for (int t = 0; t < 600; t += 5) {
		OK(cfn_stack_get(w.aws, STACK, out, &w.e));
		if (cfn_phase(out->status) != CFN_BUSY)
			return t;
		cfn_stack_free(out);
		simworld_wait(&w, 5);
	}
	fail_msg("the stack is never ready");
	return 0;
}

static void make_stack(void)
{
	autochange struct cfn_change change = { 0 };

	OK(create_change("CREATE", "cs-1", "tok-1"));
	wait_for_change("cs-1", &change);
	OK(cfn_change_execute(w.aws, STACK, "cs-1", "tok-1", &w.e));
	simworld_wait(&w, 2);
}

static void a_stack_is_made(void **state)
{
	autochange struct cfn_change change = { 0 };
	autostack struct cfn_stack s = { 0 };
	struct elb_health h;

	(void)state;
	open_world(NULL);
	assert_int_equal(cfn_stack_get(w.aws, STACK, &s, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_GONE);
	assert_int_equal(elb_health(w.aws, SIM_GREEN, &h, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_GONE);
	OK(create_change("CREATE", "cs-1", "tok-1"));
	OK(create_change("CREATE", "cs-1", "tok-1")); /* the same token: the same change set */
	assert_int_equal(create_change("CREATE", "cs-1", "tok-2"), -1);
	OK(cfn_stack_get(w.aws, STACK, &s, &w.e));
	assert_int_equal(cfn_phase(s.status), CFN_REVIEW);
	cfn_stack_free(&s);
	assert_int_equal(cfn_change_execute(w.aws, STACK, "cs-1", "tok-1", &w.e), -1); /* not ready yet */
	assert_string_equal(w.e.code, "InvalidChangeSetStatus");
	wait_for_change("cs-1", &change);
	assert_string_equal(change.execution, "AVAILABLE");
	assert_int_equal(json_array_size(change.changes), 4); /* over two pages */
	assert_string_equal(json_str(json_array_get(change.changes, 0), "action", ""), "Add");
	assert_false(cfn_change_is_empty(&change));
	OK(cfn_change_execute(w.aws, STACK, "cs-1", "tok-1", &w.e));
	assert_int_equal(cfn_change_execute(w.aws, STACK, "cs-1", "tok-1", &w.e), -1);
	assert_string_equal(w.e.code, "InvalidChangeSetStatus");
	simworld_wait(&w, 2);
	assert_in_range(wait_for_stack(&s), 50, 320);
	assert_string_equal(s.status, "CREATE_COMPLETE");
	assert_string_equal(json_str(s.outputs, "TargetGroupArn", ""), SIM_GREEN);
	assert_string_equal(json_str(s.outputs, "ServiceName", ""), STACK);
	assert_string_equal(json_str(s.tags, "run", ""), "r-1");
	OK(elb_health(w.aws, SIM_GREEN, &h, &w.e));
	assert_int_equal(h.unused, 4);
	simworld_close(&w);
}

static void a_stack_fails_with_its_own_reason(void **state)
{
	autostack struct cfn_stack s = { 0 };
	struct elb_health h;
	char why[400];

	(void)state;
	open_world("stack");
	make_stack();
	(void)wait_for_stack(&s);
	assert_string_equal(s.status, "ROLLBACK_COMPLETE");
	OK(cfn_why_failed(w.aws, STACK, "tok-1", why, sizeof why, &w.e));
	assert_non_null(strstr(why, "Service (AWS::ECS::Service): "));
	assert_non_null(strstr(why, "Circuit Breaker"));
	OK(cfn_why_failed(w.aws, STACK, NULL, why, sizeof why, &w.e));
	assert_non_null(strstr(why, "Circuit Breaker"));
	OK(cfn_why_failed(w.aws, STACK, "another", why, sizeof why, &w.e));
	assert_string_equal(why, "");
	assert_int_equal(elb_health(w.aws, SIM_GREEN, &h, &w.e), -1);
	simworld_close(&w);
}

static void nothing_to_change_is_said(void **state)
{
	autochange struct cfn_change change = { 0 };
	autostack struct cfn_stack s = { 0 };

	(void)state;
	open_world(NULL);
	make_stack();
	(void)wait_for_stack(&s);
	OK(create_change("UPDATE", "cs-2", "tok-2"));
	wait_for_change("cs-2", &change);
	assert_true(cfn_change_is_empty(&change));
	OK(cfn_change_delete(w.aws, STACK, "cs-2", &w.e));
	cfn_change_free(&change);
	assert_int_equal(cfn_change_get(w.aws, STACK, "cs-2", &change, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_GONE);
	assert_int_equal(create_change("CREATE", "cs-3", "tok-3"), -1); /* it is there already */
	simworld_close(&w);
}

static void put_green_on_the_rule(bool on)
{
	autorule struct elb_rule r = { 0 };
	struct elb_weight g[2] = { { SIM_BLUE, 999 }, { SIM_GREEN, 0 } };

	OK(elb_rule_get(w.aws, SIM_RULE, &r, &w.e));
	OK(elb_rule_set(w.aws, &r, g, on ? 2 : 1, &w.e));
}

static void a_stack_in_use_is_not_deleted(void **state)
{
	autostack struct cfn_stack s = { 0 };
	char id[256], why[400];
	struct sim_truth t;

	(void)state;
	open_world(NULL);
	make_stack();
	(void)wait_for_stack(&s);
	snprintf(id, sizeof id, "%s", s.id);
	cfn_stack_free(&s);
	put_green_on_the_rule(true);
	OK(cfn_stack_delete(w.aws, id, "del-1", &w.e));
	(void)wait_for_stack(&s);
	assert_string_equal(s.status, "DELETE_FAILED");
	cfn_stack_free(&s);
	OK(cfn_why_failed(w.aws, STACK, "del-1", why, sizeof why, &w.e));
	assert_non_null(strstr(why, "currently in use"));
	put_green_on_the_rule(false);
	OK(cfn_stack_delete(w.aws, id, "del-2", &w.e));
	OK(cfn_stack_delete(w.aws, id, "del-2", &w.e)); /* twice is once */
	simworld_wait(&w, 120);
	assert_int_equal(cfn_stack_get(w.aws, STACK, &s, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_GONE);
	OK(cfn_stack_get(w.aws, id, &s, &w.e)); /* by id it still can be seen */
	assert_int_equal(cfn_phase(s.status), CFN_DELETED);
	sim_truth(w.sim, &t);
	assert_int_equal(t.stacks, 0);
	simworld_close(&w);
}

static void statuses_mean_something(void **state)
{
	static const struct { const char *status; enum cfn_phase phase; } rows[] = {
		{ "CREATE_IN_PROGRESS", CFN_BUSY },  { "CREATE_COMPLETE", CFN_READY },
		{ "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", CFN_BUSY }, { "UPDATE_ROLLBACK_COMPLETE", CFN_FAILED },
		{ "ROLLBACK_COMPLETE", CFN_FAILED }, { "DELETE_FAILED", CFN_FAILED },
		{ "DELETE_COMPLETE", CFN_DELETED },  { "REVIEW_IN_PROGRESS", CFN_REVIEW },
		{ "SOMETHING_NEW", CFN_BUSY },       { "", CFN_BUSY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(cfn_phase(rows[i].status), rows[i].phase);
}

#define STACKS(inside) "<DescribeStacksResponse><DescribeStacksResult><Stacks>" inside \
		       "</Stacks></DescribeStacksResult></DescribeStacksResponse>"

static void hostile_answers_are_not_stacks(void **state)
{
	static const char *const rows[] = {
		STACKS(""), "<DescribeStacksResponse/>", "<DescribeStackResponse/>", "", "<a>",
		STACKS("<member><StackStatus>CREATE_COMPLETE</StackStatus></member>"),
		STACKS("<member><StackId>x</StackId></member>"),
		STACKS("<member><StackId>x</StackId><StackStatus>012345678901234567890123456789012345678901234567890</StackStatus></member>"),
	};
	struct cfn_stack s;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		c = (struct canned){ .bodies = (const char *const[]){ rows[i], NULL } };
		simworld_open_canned(&w, &c);
		assert_int_equal(cfn_stack_get(w.aws, "x", &s, &w.e), -1);
		assert_int_equal(w.e.kind, ERR_UNSURE);
		cfn_stack_free(&s);
		simworld_close(&w);
	}
}

static void pages_without_end_are_left(void **state)
{
	struct cfn_change change;

	(void)state;
	c = (struct canned){ .bodies = (const char *const[]){
		"<DescribeChangeSetResponse><DescribeChangeSetResult><ChangeSetId>i</ChangeSetId><Status>CREATE_COMPLETE</Status>"
		"<ExecutionStatus>AVAILABLE</ExecutionStatus><NextToken>1</NextToken></DescribeChangeSetResult>"
		"</DescribeChangeSetResponse>", NULL } };
	simworld_open_canned(&w, &c);
	assert_int_equal(cfn_change_get(w.aws, "x", "y", &change, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_UNSURE);
	assert_non_null(strstr(c.last, "NextToken=1"));
	simworld_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stack_is_made),
		cmocka_unit_test(a_stack_fails_with_its_own_reason),
		cmocka_unit_test(nothing_to_change_is_said),
		cmocka_unit_test(a_stack_in_use_is_not_deleted),
		cmocka_unit_test(statuses_mean_something),
		cmocka_unit_test(hostile_answers_are_not_stacks),
		cmocka_unit_test(pages_without_end_are_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

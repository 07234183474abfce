/* RDS and ECS's one-off tasks: what is sent, and what hostile answers come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/ecs.h"
#include "aws/rds.h"
#include "base/buf.h"
#include "simworld.h"

#include <string.h>

#define OK(call) do { if (call) fail_msg("%s: %s", #call, w.e.msg); } while (0)
#define SENT(part) do { if (!strstr(c.last, part)) fail_msg("not sent: %s in %s", part, c.last); } while (0)

static struct simworld w;
static struct canned c;

static void answer(const char *body, int status)
{
	static const char *bodies[2];

	bodies[0] = body;
	c = (struct canned){ .status = status, .bodies = bodies };
	simworld_open_canned(&w, &c);
}

struct row { const char *body; int status; enum err_kind kind; };

/* --- RDS -------------------------------------------------------------------------------- */

#define CLUSTERS(x) "<DescribeDBClustersResponse><DescribeDBClustersResult><DBClusters>" x \
		    "</DBClusters></DescribeDBClustersResult></DescribeDBClustersResponse>"
#define NAMED "<DBClusterIdentifier>wiki</DBClusterIdentifier><DBClusterArn>arn:aws:rds:eu-central-1:1:cluster:wiki</DBClusterArn>"
#define ERROR(code) "<ErrorResponse><Error><Code>" code "</Code><Message>m</Message></Error></ErrorResponse>"

static void a_cluster_is_read_whole(void **state)
{
	struct rds_database d;

	(void)state;
	answer(CLUSTERS("<DBCluster>" NAMED "<Status>available</Status><Engine>aurora-mysql</Engine><Port>3306</Port>"
			"<Endpoint>e</Endpoint><TagList><Tag><Key>k</Key><Value>v</Value></Tag></TagList>"
			"<VpcSecurityGroups><VpcSecurityGroupMembership><VpcSecurityGroupId>sg-1</VpcSecurityGroupId>"
			"</VpcSecurityGroupMembership></VpcSecurityGroups><DBClusterMembers><DBClusterMember>"
			"<DBInstanceIdentifier>wiki-1</DBInstanceIdentifier><IsClusterWriter>true</IsClusterWriter></DBClusterMember>"
			"</DBClusterMembers></DBCluster>"), 200);
	OK(rds_cluster_get(w.aws, "wiki", &d, &w.e));
	SENT("DBClusterIdentifier=wiki");
	assert_int_equal(d.port, 3306);
	assert_string_equal(json_str(d.tags, "k", ""), "v");
	assert_string_equal(json_string_value(json_array_get(d.groups, 0)), "sg-1");
	assert_true(d.members == 1 && d.member[0].writer);
	rds_database_free(&d);
	simworld_close(&w);
}

static void a_cluster_that_is_not_whole_is_unknown(void **state)
{
	static const struct row rows[] = {
		{ CLUSTERS(""), 200, ERR_UNSURE },
		{ CLUSTERS("<DBCluster/>"), 200, ERR_UNSURE },
		{ CLUSTERS("<DBCluster>" NAMED "<Engine>aurora-mysql</Engine></DBCluster>"), 200, ERR_UNSURE },
		{ CLUSTERS("<DBCluster>" NAMED "<Status>available</Status><Engine>x</Engine><Port>99999</Port></DBCluster>"), 200, ERR_UNSURE },
		{ CLUSTERS("<DBCluster>" NAMED "<Status>available</Status><Engine>x</Engine><Port>a</Port></DBCluster>"), 200, ERR_UNSURE },
		{ "<html>", 200, ERR_UNSURE },
		{ ERROR("DBClusterNotFoundFault"), 404, ERR_GONE },
		{ ERROR("AccessDenied"), 403, ERR_DENIED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rds_database d;

		answer(rows[i].body, rows[i].status);
		if (!rds_cluster_get(w.aws, "wiki", &d, &w.e) || w.e.kind != rows[i].kind)
			fail_msg("row %zu: %s", i, w.e.msg);
		rds_database_free(&d);
		simworld_close(&w);
	}
}

static void more_members_than_there_is_room_for(void **state)
{
	autobuf struct buf b = BUF_MAX(65536);
	struct rds_database d;

	(void)state;
	buf_adds(&b, "<DescribeDBClustersResponse><DescribeDBClustersResult><DBClusters><DBCluster>" NAMED
		 "<Status>available</Status><Engine>x</Engine><DBClusterMembers>");
	for (int i = 0; i < 100; i++)
		buf_addf(&b, "<DBClusterMember><DBInstanceIdentifier>wiki-%d</DBInstanceIdentifier></DBClusterMember>", i);
	buf_adds(&b, "</DBClusterMembers></DBCluster></DBClusters></DescribeDBClustersResult></DescribeDBClustersResponse>");
	answer(b.p, 200);
	OK(rds_cluster_get(w.aws, "wiki", &d, &w.e));
	assert_int_equal((int)d.members, RDS_MEMBERS);
	rds_database_free(&d);
	simworld_close(&w);
}

static void an_arn_says_which_sort_it_is(void **state)
{
	struct rds_database d;

	(void)state;
	answer("<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances><DBInstance>"
	       "<DBInstanceIdentifier>one</DBInstanceIdentifier><DBInstanceArn>arn</DBInstanceArn>"
	       "<DBInstanceStatus>creating</DBInstanceStatus><Engine>mysql</Engine></DBInstance></DBInstances>"
	       "</DescribeDBInstancesResult></DescribeDBInstancesResponse>", 200);
	OK(rds_database_get(w.aws, "arn:aws:rds:eu-central-1:1:db:one", &d, &w.e));
	SENT("Action=DescribeDBInstances");
	assert_string_equal(d.endpoint, ""); /* it has none yet, and that is no mistake */
	rds_database_free(&d);
	simworld_close(&w);
}

static void a_clone_is_asked_for_copy_on_write(void **state)
{
	autojson json_t *tags = json_pack("{s:s}", "cutover:token", "t"), *groups = json_pack("[s, s]", "sg-1", "sg-2");
	const struct rds_clone_request q = { .source = "wiki", .id = "wiki-copy", .subnet_group = "net", .groups = groups,
					     .tags = tags, .iam = true, .acu_min = "2", .acu_max = "16" };

	(void)state;
	answer("<RestoreDBClusterToPointInTimeResponse/>", 200);
	OK(rds_clone(w.aws, &q, &w.e));
	SENT("RestoreType=copy-on-write");
	SENT("UseLatestRestorableTime=true");
	SENT("SourceDBClusterIdentifier=wiki");
	SENT("DBClusterIdentifier=wiki-copy");
	SENT("VpcSecurityGroupIds.VpcSecurityGroupId.2=sg-2");
	SENT("Tags.Tag.1.Key=cutover%3Atoken");
	SENT("ServerlessV2ScalingConfiguration.MaxCapacity=16");
	SENT("EnableIAMDatabaseAuthentication=true");
	assert_null(strstr(c.last, "DBClusterParameterGroupName"));
	simworld_close(&w);
}

#define DEPLOYMENTS(x) "<DescribeBlueGreenDeploymentsResponse><DescribeBlueGreenDeploymentsResult><BlueGreenDeployments>" x \
		       "</BlueGreenDeployments></DescribeBlueGreenDeploymentsResult></DescribeBlueGreenDeploymentsResponse>"

static void a_deployment_is_found_by_its_name(void **state)
{
	struct rds_deployment d;

	(void)state;
	answer(DEPLOYMENTS("<member><BlueGreenDeploymentIdentifier>bgd-1</BlueGreenDeploymentIdentifier><Status>PROVISIONING</Status>"
			   "<Source>arn</Source></member>"), 200);
	OK(rds_deployment_find(w.aws, "wiki-copy", &d, &w.e));
	SENT("Filters.Filter.1.Name=blue-green-deployment-name");
	SENT("Filters.Filter.1.Values.Value.1=wiki-copy");
	assert_string_equal(d.target, "");
	simworld_close(&w);
}

static void no_deployment_and_no_answer_are_two_things(void **state)
{
	static const struct row rows[] = {
		{ DEPLOYMENTS(""), 200, ERR_GONE },
		{ "<DescribeBlueGreenDeploymentsResponse/>", 200, ERR_UNSURE },
		{ DEPLOYMENTS("<member/>"), 200, ERR_UNSURE },
		{ DEPLOYMENTS("<member><BlueGreenDeploymentIdentifier>x</BlueGreenDeploymentIdentifier></member>"), 200, ERR_UNSURE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rds_deployment d;

		answer(rows[i].body, rows[i].status);
		if (!rds_deployment_find(w.aws, "x", &d, &w.e) || w.e.kind != rows[i].kind)
			fail_msg("row %zu: %s", i, w.e.msg);
		simworld_close(&w);
	}
}

/* --- one-off tasks ---------------------------------------------------------------------- */

#define TASK(more) "{\"tasks\":[{\"taskArn\":\"arn:1\",\"lastStatus\":\"STOPPED\"" more "}],\"failures\":[]}"

static void a_task_is_asked_for_with_its_names(void **state)
{
	autojson json_t *command = json_pack("[s, s]", "php", "update"), *env = json_pack("{s:s}", "A", "b");
	autojson json_t *subnets = json_pack("[s]", "subnet-1");
	const struct ecs_task_request q = { .cluster = "wiki", .definition = "green:7", .container = "mediawiki", .launch = "FARGATE",
					    .command = command, .env = env, .subnets = subnets, .token = "tok", .started_by = "cutover/x" };
	struct ecs_task t;

	(void)state;
	answer("{\"tasks\":[{\"taskArn\":\"arn:1\",\"lastStatus\":\"PROVISIONING\"}],\"failures\":[]}", 200);
	OK(ecs_task_run(w.aws, &q, &t, &w.e));
	SENT("\"clientToken\":\"tok\"");
	SENT("\"startedBy\":\"cutover/x\"");
	SENT("\"command\":[\"php\",\"update\"]");
	SENT("{\"name\":\"A\",\"value\":\"b\"}");
	SENT("\"launchType\":\"FARGATE\"");
	SENT("\"subnets\":[\"subnet-1\"]");
	SENT("\"assignPublicIp\":\"DISABLED\"");
	SENT("\"count\":1");
	assert_false(t.stopped);
	simworld_close(&w);
}

static void a_task_that_was_not_started_says_why(void **state)
{
	static const struct row rows[] = {
		{ "{\"tasks\":[],\"failures\":[{\"reason\":\"RESOURCE:MEMORY\"}]}", 200, ERR_BUSY },
		{ "{\"tasks\":[],\"failures\":[{\"reason\":\"Capacity is unavailable at this time\"}]}", 200, ERR_BUSY },
		{ "{\"tasks\":[],\"failures\":[{\"reason\":\"MISSING\"}]}", 200, ERR_GONE },
		{ "{\"tasks\":[],\"failures\":[]}", 200, ERR_UNSURE },
		{ "{\"tasks\":[{}]}", 200, ERR_UNSURE },
		{ "{\"tasks\":[7]}", 200, ERR_UNSURE },
		{ "{\"__type\":\"ConflictException\",\"message\":\"m\"}", 400, ERR_INPUT },
		{ "{\"__type\":\"BlockedException\",\"message\":\"m\"}", 400, ERR_DENIED },
	};
	const struct ecs_task_request q = { .cluster = "wiki", .definition = "green:7", .container = "mediawiki", .token = "t",
					    .started_by = "b" };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ecs_task t;

		answer(rows[i].body, rows[i].status);
		if (!ecs_task_run(w.aws, &q, &t, &w.e) || w.e.kind != rows[i].kind)
			fail_msg("row %zu: %s (%s)", i, w.e.msg, err_kind_name(w.e.kind));
		simworld_close(&w);
	}
}

static void an_exit_code_is_there_or_it_is_not(void **state)
{
	static const struct { const char *body; bool exited; int code; const char *reason; } rows[] = {
		{ TASK(",\"containers\":[{\"name\":\"mediawiki\",\"exitCode\":0}]"), true, 0, "" },
		{ TASK(",\"containers\":[{\"name\":\"mediawiki\",\"exitCode\":137,\"reason\":\"OutOfMemoryError\"}]"), true, 137, "OutOfMemoryError" },
		{ TASK(",\"containers\":[{\"name\":\"sidecar\",\"exitCode\":0},{\"name\":\"mediawiki\"}]"), false, -1, "" },
		{ TASK(",\"containers\":[{\"name\":\"mediawiki\",\"exitCode\":\"0\"}]"), false, -1, "" },
		{ TASK(",\"containers\":[{\"name\":\"mediawiki\",\"exitCode\":null}],\"stoppedReason\":\"CannotPullContainerError\""), false, -1,
		  "CannotPullContainerError" },
		{ TASK(",\"containers\":7"), false, -1, "" },
		{ TASK(""), false, -1, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ecs_task t;

		answer(rows[i].body, 200);
		OK(ecs_task_get(w.aws, "wiki", "arn:1", "mediawiki", &t, &w.e));
		if (!t.stopped || t.exited != rows[i].exited || t.exit_code != rows[i].code || strcmp(t.reason, rows[i].reason))
			fail_msg("row %zu: exited %d, %d, %s", i, t.exited, t.exit_code, t.reason);
		simworld_close(&w);
	}
}

static void a_task_that_ecs_does_not_tell_of(void **state)
{
	static const struct row rows[] = {
		{ "{\"tasks\":[],\"failures\":[{\"reason\":\"MISSING\"}]}", 200, ERR_GONE },
		{ "{\"tasks\":[],\"failures\":[{\"reason\":\"NEW\"}]}", 200, ERR_UNSURE },
		{ "{}", 200, ERR_UNSURE },
	};
	char arn[256];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ecs_task t;

		answer(rows[i].body, rows[i].status);
		if (!ecs_task_get(w.aws, "wiki", "arn:1", "mediawiki", &t, &w.e) || w.e.kind != rows[i].kind)
			fail_msg("row %zu: %s", i, w.e.msg);
		simworld_close(&w);
	}
	for (int i = 0; i < 2; i++) { /* no list is not an empty list */
		answer(i ? "{\"taskArns\":[7]}" : "{}", 200);
		assert_int_equal(ecs_task_find(w.aws, "wiki", "x", arn, &w.e), -1);
		assert_int_equal(w.e.kind, ERR_UNSURE);
		simworld_close(&w);
	}
	answer("{\"taskArns\":[]}", 200);
	OK(ecs_task_find(w.aws, "wiki", "x", arn, &w.e));
	assert_string_equal(arn, "");
	simworld_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cluster_is_read_whole),
		cmocka_unit_test(a_cluster_that_is_not_whole_is_unknown),
		cmocka_unit_test(more_members_than_there_is_room_for),
		cmocka_unit_test(an_arn_says_which_sort_it_is),
		cmocka_unit_test(a_clone_is_asked_for_copy_on_write),
		cmocka_unit_test(a_deployment_is_found_by_its_name),
		cmocka_unit_test(no_deployment_and_no_answer_are_two_things),
		cmocka_unit_test(a_task_is_asked_for_with_its_names),
		cmocka_unit_test(a_task_that_was_not_started_says_why),
		cmocka_unit_test(an_exit_code_is_there_or_it_is_not),
		cmocka_unit_test(a_task_that_ecs_does_not_tell_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

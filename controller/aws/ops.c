/* What this program may ask of AWS: one row an operation, one row a service. */
#include "aws/core.h"

#include <string.h>

#define ELB(op)  op, "elasticloadbalancing", "2015-12-01", "elasticloadbalancing:" op
#define CFN(op)  op, "cloudformation", "2010-05-15", "cloudformation:" op
#define STS(op)  op, "sts", "2011-06-15", "sts:" op
#define CW(op)   op, "monitoring", "GraniteServiceVersion20100801", "cloudwatch:" op
#define ECS(op)  op, "ecs", "AmazonEC2ContainerServiceV20141113", "ecs:" op
#define SECRETS(op) op, "secretsmanager", "secretsmanager", "secretsmanager:" op
#define RDS(op)  op, "rds", "2014-10-31", "rds:" op
#define PLAN(op) op, "scheduler", "", "scheduler:" op

static const struct aws_op_info ops[AWS_OPS] = {
	[STS_GET_CALLER_IDENTITY]    = { STS("GetCallerIdentity"), false },
	[ELB_DESCRIBE_RULES]         = { ELB("DescribeRules"), false },
	[ELB_DESCRIBE_TAGS]          = { ELB("DescribeTags"), false },
	[ELB_DESCRIBE_TARGET_GROUPS] = { ELB("DescribeTargetGroups"), false },
	[ELB_DESCRIBE_TARGET_HEALTH] = { ELB("DescribeTargetHealth"), false },
	[ELB_MODIFY_RULE]            = { ELB("ModifyRule"), true },
	[ELB_CREATE_RULE]            = { ELB("CreateRule"), true },
	[ELB_DELETE_RULE]            = { ELB("DeleteRule"), true },
	[CFN_CREATE_CHANGE_SET]      = { CFN("CreateChangeSet"), true },
	[CFN_DESCRIBE_CHANGE_SET]    = { CFN("DescribeChangeSet"), false },
	[CFN_EXECUTE_CHANGE_SET]     = { CFN("ExecuteChangeSet"), true },
	[CFN_DELETE_CHANGE_SET]      = { CFN("DeleteChangeSet"), true },
	[CFN_DESCRIBE_STACKS]        = { CFN("DescribeStacks"), false },
	[CFN_DESCRIBE_STACK_EVENTS]  = { CFN("DescribeStackEvents"), false },
	[CFN_DELETE_STACK]           = { CFN("DeleteStack"), true },
	[CFN_GET_TEMPLATE_SUMMARY]   = { CFN("GetTemplateSummary"), false },
	[CFN_SET_STACK_POLICY]       = { CFN("SetStackPolicy"), true },
	[CFN_UPDATE_TERMINATION_PROTECTION] = { CFN("UpdateTerminationProtection"), true },
	/* Looks at everything and changes nothing: asked again it looks again. */
	[CFN_DETECT_STACK_DRIFT]     = { CFN("DetectStackDrift"), false },
	[CFN_DESCRIBE_STACK_DRIFT_DETECTION_STATUS] = { CFN("DescribeStackDriftDetectionStatus"), false },
	[CFN_DESCRIBE_STACK_RESOURCE_DRIFTS] = { CFN("DescribeStackResourceDrifts"), false },
	[CW_GET_METRIC_DATA]         = { CW("GetMetricData"), false },
	[CW_DESCRIBE_ALARMS]         = { CW("DescribeAlarms"), false },
	[ECS_DESCRIBE_SERVICES]      = { ECS("DescribeServices"), false },
	[ECS_UPDATE_SERVICE]         = { ECS("UpdateService"), true },
	/* With a client token, a RunTask that is sent again gives the same task; but
	 * whether to send it again is the step's to decide, after a look. */
	[ECS_RUN_TASK]               = { ECS("RunTask"), true },
	[ECS_DESCRIBE_TASKS]         = { ECS("DescribeTasks"), false },
	[ECS_LIST_TASKS]             = { ECS("ListTasks"), false },
	[ECS_STOP_TASK]              = { ECS("StopTask"), true },
	[SCHEDULER_GET_SCHEDULE]     = { PLAN("GetSchedule"), false },
	[SCHEDULER_CREATE_SCHEDULE]  = { PLAN("CreateSchedule"), true },
	[SCHEDULER_UPDATE_SCHEDULE]  = { PLAN("UpdateSchedule"), true },
	[SCHEDULER_DELETE_SCHEDULE]  = { PLAN("DeleteSchedule"), true },
	[SECRETS_GET_SECRET_VALUE]   = { SECRETS("GetSecretValue"), false },
	[RDS_DESCRIBE_DB_CLUSTERS]   = { RDS("DescribeDBClusters"), false },
	[RDS_DESCRIBE_DB_INSTANCES]  = { RDS("DescribeDBInstances"), false },
	[RDS_RESTORE_DB_CLUSTER_TO_POINT_IN_TIME] = { RDS("RestoreDBClusterToPointInTime"), true },
	[RDS_CREATE_DB_INSTANCE]     = { RDS("CreateDBInstance"), true },
	[RDS_CREATE_BLUE_GREEN_DEPLOYMENT] = { RDS("CreateBlueGreenDeployment"), true },
	[RDS_DESCRIBE_BLUE_GREEN_DEPLOYMENTS] = { RDS("DescribeBlueGreenDeployments"), false },
};

const struct aws_op_info *aws_op_info(enum aws_op op)
{
	return op < AWS_OPS ? &ops[op] : NULL;
}

/* Limits stay below what AWS publishes, since the account's other tools draw
 * from the same buckets: ELB reads 40 + 10/s (elb-api-throttling.html), alarms
 * 9/s (cloudwatch_limits.html). The rest has no public number and is careful. */
static const struct aws_service services[] = {
	{ "elasticloadbalancing", "ELASTIC_LOAD_BALANCING_V2", NULL, { { 30, 8 }, { 15, 3 } } },
	{ "cloudformation", "CLOUDFORMATION", NULL, { { 15, 3 }, { 6, 1 } } },
	{ "monitoring", "CLOUDWATCH", "1.0", { { 12, 8 }, { 6, 1 } } },
	{ "ecs", "ECS", "1.1", { { 20, 8 }, { 10, 2 } } },
	{ "scheduler", "SCHEDULER", NULL, { { 20, 8 }, { 20, 5 } } },
	{ "sts", "STS", NULL, { { 15, 5 }, { 6, 1 } } },
	{ "secretsmanager", "SECRETS_MANAGER", "1.1", { { 20, 8 }, { 6, 1 } } },
	{ "rds", "RDS", NULL, { { 20, 5 }, { 6, 1 } } },
};
_Static_assert(COUNT(services) == AWS_SERVICES, "struct aws keeps buckets for each");

size_t aws_service_index(const char *name)
{
	for (size_t i = 0; i < COUNT(services); i++)
		if (!strcmp(services[i].name, name))
			return i;
	return AWS_SERVICES;
}

const struct aws_service *aws_service(const char *name)
{
	size_t i = aws_service_index(name);

	return i < AWS_SERVICES ? &services[i] : NULL;
}

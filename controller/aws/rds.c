#include "aws/rds.h"

#include "aws/answer.h"
#include "aws/aws.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

#define PORT_MAX 65535

void rds_database_free(struct rds_database *d)
{
	json_decref(d->tags);
	json_decref(d->groups);
	d->tags = d->groups = NULL;
}

/* --- reading ------------------------------------------------------------------------- */

static void say(struct xml *x, const char *path, char *out, size_t size)
{
	answer_copy(out, size, xml_text(x, path));
}

/* {Key: Value} of <TagList><Tag>; RDS names its lists' elements, unlike ELB. */
static json_t *read_tags(struct xml *x)
{
	json_t *tags = json_object();

	for (struct xml *t = xml_at(x, "TagList/Tag"); t; t = xml_next(t))
		json_object_set_new(tags, xml_text(t, "Key"), json_text(xml_text(t, "Value")));
	return tags;
}

static json_t *read_groups(struct xml *x)
{
	json_t *groups = json_array();

	for (struct xml *g = xml_at(x, "VpcSecurityGroups/VpcSecurityGroupMembership"); g; g = xml_next(g))
		json_array_append_new(groups, json_text(xml_text(g, "VpcSecurityGroupId")));
	return groups;
}

static void read_members(struct xml *x, struct rds_database *out)
{
	for (struct xml *m = xml_at(x, "DBClusterMembers/DBClusterMember"); m && out->members < RDS_MEMBERS;
	     m = xml_next(m)) {
		say(m, "DBInstanceIdentifier", out->member[out->members].id, sizeof out->member->id);
		out->member[out->members++].writer = !strcmp(xml_text(m, "IsClusterWriter"), "true");
	}
}

static int read_cluster(struct xml *x, struct rds_database *out, struct err *e)
{
	if (answer_text(x, "DBClusterIdentifier", out->id, sizeof out->id, e) ||
	    answer_text(x, "DBClusterArn", out->arn, sizeof out->arn, e) ||
	    answer_text(x, "Status", out->status, sizeof out->status, e) ||
	    answer_text(x, "Engine", out->engine, sizeof out->engine, e))
		return -1;
	if (xml_at(x, "Port") && answer_int(x, "Port", 0, PORT_MAX, &out->port, e))
		return -1;
	say(x, "EngineVersion", out->version, sizeof out->version);
	say(x, "Endpoint", out->endpoint, sizeof out->endpoint);
	say(x, "ReaderEndpoint", out->reader, sizeof out->reader);
	say(x, "DBSubnetGroup", out->subnet_group, sizeof out->subnet_group);
	say(x, "DBClusterParameterGroup", out->parameter_group, sizeof out->parameter_group);
	say(x, "ReplicationSourceIdentifier", out->follows, sizeof out->follows);
	out->iam = !strcmp(xml_text(x, "IAMDatabaseAuthenticationEnabled"), "true");
	out->tags = read_tags(x);
	out->groups = read_groups(x);
	read_members(x, out);
	return 0;
}

/* An instance has no endpoint while it is made: that is no mistake of the answer. */
static int read_instance(struct xml *x, struct rds_database *out, struct err *e)
{
	if (answer_text(x, "DBInstanceIdentifier", out->id, sizeof out->id, e) ||
	    answer_text(x, "DBInstanceArn", out->arn, sizeof out->arn, e) ||
	    answer_text(x, "DBInstanceStatus", out->status, sizeof out->status, e) ||
	    answer_text(x, "Engine", out->engine, sizeof out->engine, e))
		return -1;
	if (xml_at(x, "Endpoint/Port") && answer_int(x, "Endpoint/Port", 0, PORT_MAX, &out->port, e))
		return -1;
	say(x, "EngineVersion", out->version, sizeof out->version);
	say(x, "Endpoint/Address", out->endpoint, sizeof out->endpoint);
	say(x, "DBInstanceClass", out->instance_class, sizeof out->instance_class);
	say(x, "DBSubnetGroup/DBSubnetGroupName", out->subnet_group, sizeof out->subnet_group);
	say(x, "ReadReplicaSourceDBInstanceIdentifier", out->follows, sizeof out->follows);
	out->iam = !strcmp(xml_text(x, "IAMDatabaseAuthenticationEnabled"), "true");
	out->tags = read_tags(x);
	out->groups = read_groups(x);
	return 0;
}

static int describe(struct aws *a, enum aws_op op, const char *key, const char *id, struct xml **doc, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();

	aws_arg(args, id, "%s", key);
	return aws_query(a, op, args, doc, e) ? err_wrap(e, "looking at database %.150s", id) : 0;
}

int rds_cluster_get(struct aws *a, const char *id, struct rds_database *out, struct err *e)
{
	autoxml struct xml *doc = NULL;
	struct xml *x;

	*out = (struct rds_database){ 0 };
	if (describe(a, RDS_DESCRIBE_DB_CLUSTERS, "DBClusterIdentifier", id, &doc, e))
		return -1;
	x = answer_at(doc, "DescribeDBClustersResult/DBClusters/DBCluster", e);
	return x && !read_cluster(x, out, e) ? 0 : err_wrap(e, "looking at database cluster %.150s", id);
}

int rds_instance_get(struct aws *a, const char *id, struct rds_database *out, struct err *e)
{
	autoxml struct xml *doc = NULL;
	struct xml *x;

	*out = (struct rds_database){ 0 };
	if (describe(a, RDS_DESCRIBE_DB_INSTANCES, "DBInstanceIdentifier", id, &doc, e))
		return -1;
	x = answer_at(doc, "DescribeDBInstancesResult/DBInstances/DBInstance", e);
	return x && !read_instance(x, out, e) ? 0 : err_wrap(e, "looking at database instance %.150s", id);
}

int rds_database_get(struct aws *a, const char *id, struct rds_database *out, struct err *e)
{
	return (!strncmp(id, "arn:", 4) && strstr(id, ":db:") ? rds_instance_get : rds_cluster_get)(a, id, out, e);
}

/* --- making a clone ---------------------------------------------------------------------- */

static void add_tags(struct aws_args *args, const json_t *tags)
{
	const char *key;
	int n = 0;
	json_t *v;

	json_object_foreach((json_t *)tags, key, v) {
		aws_arg(args, key, "Tags.Tag.%d.Key", ++n);
		aws_arg(args, json_string_value(v), "Tags.Tag.%d.Value", n);
	}
}

int rds_clone(struct aws *a, const struct rds_clone_request *q, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *doc = NULL;
	size_t i;
	json_t *v;

	aws_arg(args, q->source, "SourceDBClusterIdentifier");
	aws_arg(args, q->id, "DBClusterIdentifier");
	aws_arg(args, "copy-on-write", "RestoreType");
	aws_arg(args, "true", "UseLatestRestorableTime");
	aws_arg(args, q->subnet_group, "DBSubnetGroupName");
	aws_arg(args, q->parameter_group, "DBClusterParameterGroupName");
	aws_arg(args, q->iam ? "true" : NULL, "EnableIAMDatabaseAuthentication");
	aws_arg(args, q->acu_min, "ServerlessV2ScalingConfiguration.MinCapacity");
	aws_arg(args, q->acu_max, "ServerlessV2ScalingConfiguration.MaxCapacity");
	json_array_foreach(q->groups, i, v)
		aws_arg(args, json_string_value(v), "VpcSecurityGroupIds.VpcSecurityGroupId.%zu", i + 1);
	add_tags(args, q->tags);
	return aws_query(a, RDS_RESTORE_DB_CLUSTER_TO_POINT_IN_TIME, args, &doc, e) ?
		       err_wrap(e, "cloning database %.100s", q->source) : 0;
}

int rds_instance_create(struct aws *a, const char *cluster, const char *id, const char *engine,
			const char *instance_class, const json_t *tags, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *doc = NULL;

	aws_arg(args, id, "DBInstanceIdentifier");
	aws_arg(args, cluster, "DBClusterIdentifier");
	aws_arg(args, engine, "Engine");
	aws_arg(args, instance_class, "DBInstanceClass");
	add_tags(args, tags);
	return aws_query(a, RDS_CREATE_DB_INSTANCE, args, &doc, e) ?
		       err_wrap(e, "making an instance of database %.100s", cluster) : 0;
}

/* --- blue/green deployments ----------------------------------------------------------------- */

static int read_deployment(struct xml *x, struct rds_deployment *out, struct err *e)
{
	if (answer_text(x, "BlueGreenDeploymentIdentifier", out->id, sizeof out->id, e) ||
	    answer_text(x, "Status", out->status, sizeof out->status, e) ||
	    answer_text(x, "Source", out->source, sizeof out->source, e))
		return -1;
	say(x, "BlueGreenDeploymentName", out->name, sizeof out->name);
	say(x, "Target", out->target, sizeof out->target);
	say(x, "StatusDetails", out->details, sizeof out->details);
	return 0;
}

int rds_deployment_create(struct aws *a, const struct rds_deployment_request *q, char id[256], struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *doc = NULL;

	aws_arg(args, q->name, "BlueGreenDeploymentName");
	aws_arg(args, q->source, "Source");
	aws_arg(args, q->version, "TargetEngineVersion");
	aws_arg(args, q->cluster_group, "TargetDBClusterParameterGroupName");
	aws_arg(args, q->instance_group, "TargetDBParameterGroupName");
	add_tags(args, q->tags);
	if (aws_query(a, RDS_CREATE_BLUE_GREEN_DEPLOYMENT, args, &doc, e) ||
	    answer_text(doc, "CreateBlueGreenDeploymentResult/BlueGreenDeployment/BlueGreenDeploymentIdentifier", id,
			256, e))
		return err_wrap(e, "making a blue/green deployment of %.150s", q->source);
	return 0;
}

static int ask_deployment(struct aws *a, const struct aws_args *args, const char *what, struct rds_deployment *out,
			  struct err *e)
{
	autoxml struct xml *doc = NULL;
	struct xml *list, *x;

	*out = (struct rds_deployment){ 0 };
	if (aws_query(a, RDS_DESCRIBE_BLUE_GREEN_DEPLOYMENTS, args, &doc, e))
		return err_wrap(e, "looking at blue/green deployment %.100s", what);
	list = answer_at(doc, "DescribeBlueGreenDeploymentsResult/BlueGreenDeployments", e);
	if (!list)
		return err_wrap(e, "looking at blue/green deployment %.100s", what);
	x = list->kid;
	if (!x)
		return err_set(e, ERR_GONE, "there is no blue/green deployment %.100s", what);
	return read_deployment(x, out, e) ? err_wrap(e, "looking at blue/green deployment %.100s", what) : 0;
}

int rds_deployment_find(struct aws *a, const char *name, struct rds_deployment *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();

	aws_arg(args, "blue-green-deployment-name", "Filters.Filter.1.Name");
	aws_arg(args, name, "Filters.Filter.1.Values.Value.1");
	return ask_deployment(a, args, name, out, e);
}

int rds_deployment_get(struct aws *a, const char *id, struct rds_deployment *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();

	aws_arg(args, id, "BlueGreenDeploymentIdentifier");
	return ask_deployment(a, args, id, out, e);
}

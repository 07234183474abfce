/* RDS: one cluster that is the wiki's, and the copies that are made of it. */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#define CLONE_MS      120000, 300000
#define INSTANCE_MS   120000, 240000
#define DEPLOYMENT_MS 180000, 360000

static const char source_id[] = "wiki";

/* --- finding ---------------------------------------------------------------------------- */

/* By identifier or ARN. */
static const char *bare(const char *id)
{
	const char *colon = strrchr(id, ':');

	return colon ? colon + 1 : id;
}

static struct copy *find(struct sim *s, const char *id)
{
	for (size_t i = 0; i < s->db.ncopies; i++)
		if (s->db.copy[i].used && !strcmp(s->db.copy[i].id, bare(id)))
			return &s->db.copy[i];
	return NULL;
}

static struct copy *find_deployment(struct sim *s, const char *name)
{
	for (size_t i = 0; i < s->db.ncopies; i++)
		if (!strcmp(s->db.copy[i].name, name) || !strcmp(s->db.copy[i].deployment, name))
			return *name ? &s->db.copy[i] : NULL;
	return NULL;
}

/* Names as a run makes them end with twelve digits of a hash; such a one that is
 * no copy is nobody. Any other name is the wiki's own database: plans differ in
 * what they call it. */
static bool is_source(const char *id)
{
	size_t n = strlen(bare(id));
	const char *end = bare(id) + (n > 13 ? n - 13 : 0);

	return !(n > 13 && end[0] == '-' && strspn(end + 1, "0123456789abcdef") == 12);
}

static const char *tag(const struct ask *k, const char *key)
{
	for (int i = 1; i < 10; i++)
		if (!strcmp(ask_field(k, "Tags.Tag.%d.Key", i), key))
			return ask_field(k, "Tags.Tag.%d.Value", i);
	return "";
}

/* --- what RDS says of one ----------------------------------------------------------------- */

static void say_tag_list(struct say *a, const struct copy *c)
{
	buf_adds(&a->body, "<TagList><Tag>");
	say_tag(a, "Key", "cutover:token");
	say_tag(a, "Value", "%s", c->token);
	buf_adds(&a->body, "</Tag></TagList>");
}

static void say_cluster(struct sim *s, struct say *a, const char *id, const struct copy *c)
{
	const char *status = !c || s->now >= c->ready ? "available" : "creating";

	buf_adds(&a->body, "<DBCluster>");
	say_tag(a, "DBClusterIdentifier", "%s", id);
	say_tag(a, "DBClusterArn", "arn:aws:rds:%s:%s:cluster:%s", s->region, s->account, id);
	say_tag(a, "Status", "%s", status);
	say_tag(a, "Engine", "aurora-mysql");
	say_tag(a, "EngineVersion", "8.0.mysql_aurora.3.08.2");
	say_tag(a, "Endpoint", "%s", c ? c->endpoint : "wiki.cluster-sim.rds.internal");
	say_tag(a, "ReaderEndpoint", "%s", c ? c->endpoint : "wiki.cluster-ro-sim.rds.internal");
	say_tag(a, "Port", "3306");
	say_tag(a, "DBSubnetGroup", "wiki");
	say_tag(a, "DBClusterParameterGroup", "wiki");
	buf_adds(&a->body, "<VpcSecurityGroups><VpcSecurityGroupMembership><VpcSecurityGroupId>sg-0123456789abcdef0</VpcSecurityGroupId>"
		 "<Status>active</Status></VpcSecurityGroupMembership></VpcSecurityGroups>");
	if (c)
		say_tag_list(a, c);
	buf_adds(&a->body, "</DBCluster>");
}

static void not_found(struct say *a, const char *code, const char *id)
{
	say_error(a, 404, code, "%s not found.", id);
}

static void describe_clusters(struct sim *s, const struct ask *k, struct say *a)
{
	const char *id = say_missing(a, "DBClusterIdentifier");
	struct copy *c = id ? find(s, id) : NULL;

	(void)k;
	if (!id)
		return;
	if (!c && !is_source(id))
		return not_found(a, "DBClusterNotFoundFault", id);
	say_begin(a);
	buf_adds(&a->body, "<DBClusters>");
	say_cluster(s, a, c ? c->id : bare(id), c);
	buf_adds(&a->body, "</DBClusters>");
	say_end(a);
}

/* The clone's one instance is called after it, with "-1" behind. */
static struct copy *owner_of(struct sim *s, const char *instance)
{
	char id[68];

	snprintf(id, sizeof id, "%.*s", (int)(strlen(instance) > 2 ? strlen(instance) - 2 : 0), instance);
	return find(s, id);
}

static void say_instance(struct sim *s, struct say *a, const struct copy *c)
{
	buf_adds(&a->body, "<DBInstance>");
	say_tag(a, "DBInstanceIdentifier", "%s-1", c->id);
	say_tag(a, "DBInstanceArn", "arn:aws:rds:%s:%s:db:%s-1", s->region, s->account, c->id);
	say_tag(a, "DBInstanceStatus", "%s", s->now >= c->instance_ready ? "available" : "creating");
	say_tag(a, "Engine", "aurora-mysql");
	say_tag(a, "DBInstanceClass", "db.r6g.large");
	buf_adds(&a->body, "</DBInstance>");
}

static void describe_instances(struct sim *s, const struct ask *k, struct say *a)
{
	const char *id = say_missing(a, "DBInstanceIdentifier");
	struct copy *c = id ? owner_of(s, bare(id)) : NULL;

	(void)k;
	if (!id)
		return;
	if (!c || !c->has_instance)
		return not_found(a, "DBInstanceNotFound", id);
	say_begin(a);
	buf_adds(&a->body, "<DBInstances>");
	say_instance(s, a, c);
	buf_adds(&a->body, "</DBInstances>");
	say_end(a);
}

/* --- copying ------------------------------------------------------------------------------------ */

static struct copy *make(struct sim *s, const struct ask *k, const char *id)
{
	struct copy *c;

	if (s->db.ncopies == COPIES)
		return NULL;
	c = &s->db.copy[s->db.ncopies++];
	*c = (struct copy){ .used = true, .asked = s->now, .tables = s->db.tables, .has = s->db.edits };
	snprintf(c->id, sizeof c->id, "%.63s", id);
	snprintf(c->token, sizeof c->token, "%.130s", tag(k, "cutover:token"));
	snprintf(c->run, sizeof c->run, "%.130s", tag(k, "cutover:run"));
	snprintf(c->endpoint, sizeof c->endpoint, "%.63s.cluster-sim.rds.internal", id);
	return c;
}

static void restore(struct sim *s, const struct ask *k, struct say *a)
{
	const char *id = say_missing(a, "DBClusterIdentifier"), *source = id ? say_missing(a, "SourceDBClusterIdentifier") : NULL;
	struct copy *c;

	if (!source)
		return;
	if (strcmp(ask_field(k, "RestoreType"), "copy-on-write"))
		return say_error(a, 400, "InvalidParameterCombination", "Only clones are known here.");
	if (find(s, id))
		return say_error(a, 400, "DBClusterAlreadyExistsFault", "DB Cluster already exists");
	c = make(s, k, id);
	if (!c)
		return say_error(a, 403, "DBClusterQuotaExceededFault", "You have reached the maximum number of clusters");
	c->clone = true;
	c->ready = s->now + dice_between(&s->world_dice, CLONE_MS);
	say_begin(a);
	say_cluster(s, a, c->id, c);
	say_end(a);
}

static void create_instance(struct sim *s, const struct ask *k, struct say *a)
{
	struct copy *c = find(s, ask_field(k, "DBClusterIdentifier"));

	if (!c)
		return not_found(a, "DBClusterNotFoundFault", ask_field(k, "DBClusterIdentifier"));
	if (c->has_instance)
		return say_error(a, 400, "DBInstanceAlreadyExists", "DB instance already exists");
	c->has_instance = true;
	c->instance_ready = s->now + dice_between(&s->world_dice, INSTANCE_MS);
	say_begin(a);
	say_instance(s, a, c);
	say_end(a);
}

/* --- blue/green deployments ------------------------------------------------------------------------ */

static void say_deployment(struct sim *s, struct say *a, const char *element, const struct copy *c)
{
	buf_addf(&a->body, "<%s>", element);
	say_tag(a, "BlueGreenDeploymentIdentifier", "%s", c->deployment);
	say_tag(a, "BlueGreenDeploymentName", "%s", c->name);
	say_tag(a, "Source", "arn:aws:rds:%s:%s:cluster:%s", s->region, s->account, source_id);
	if (s->now >= c->ready)
		say_tag(a, "Target", "arn:aws:rds:%s:%s:cluster:%s", s->region, s->account, c->id);
	say_tag(a, "Status", s->now >= c->ready ? "AVAILABLE" : "PROVISIONING");
	buf_addf(&a->body, "</%s>", element);
}

static void create_deployment(struct sim *s, const struct ask *k, struct say *a)
{
	const char *name = say_missing(a, "BlueGreenDeploymentName"), *source = name ? say_missing(a, "Source") : NULL;
	struct copy *c;
	char id[64];

	if (!source)
		return;
	if (find_deployment(s, name))
		return say_error(a, 400, "BlueGreenDeploymentAlreadyExistsFault", "A blue/green deployment with the specified name already exists");
	snprintf(id, sizeof id, "%.30s-green-%06llx", source_id, (unsigned long long)(s->seed * 2654435761u + s->db.ncopies) & 0xffffff);
	c = make(s, k, id);
	if (!c)
		return say_error(a, 403, "DBClusterQuotaExceededFault", "You have reached the maximum number of clusters");
	snprintf(c->name, sizeof c->name, "%.60s", name);
	snprintf(c->deployment, sizeof c->deployment, "bgd-%012llx", (unsigned long long)++s->ids);
	c->follows = true;
	c->ready = s->now + dice_between(&s->world_dice, DEPLOYMENT_MS);
	say_begin(a);
	say_deployment(s, a, "BlueGreenDeployment", c);
	say_end(a);
}

static void describe_deployments(struct sim *s, const struct ask *k, struct say *a)
{
	const char *name = *ask_field(k, "BlueGreenDeploymentIdentifier") ? ask_field(k, "BlueGreenDeploymentIdentifier") :
			   ask_field(k, "Filters.Filter.1.Values.Value.1");
	struct copy *c = find_deployment(s, name);

	if (!c && *ask_field(k, "BlueGreenDeploymentIdentifier"))
		return not_found(a, "BlueGreenDeploymentNotFoundFault", name);
	say_begin(a);
	buf_adds(&a->body, "<BlueGreenDeployments>");
	if (c)
		say_deployment(s, a, "member", c);
	buf_adds(&a->body, "</BlueGreenDeployments>");
	say_end(a);
}

const struct answer copies_answers[] = {
	{ "DescribeDBClusters", describe_clusters },
	{ "DescribeDBInstances", describe_instances },
	{ "RestoreDBClusterToPointInTime", restore },
	{ "CreateDBInstance", create_instance },
	{ "CreateBlueGreenDeployment", create_deployment },
	{ "DescribeBlueGreenDeployments", describe_deployments },
	{ NULL, NULL },
};

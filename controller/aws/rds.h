/* aws/rds.h - copies of databases: Aurora clones and RDS blue/green deployments
 * (Query protocol, 2014-10-31).
 *
 * Nothing here deletes or switches over: a copy is made and looked at. Names are
 * the caller's, so that what was made before a lost answer is found again. */
#ifndef CUTOVER_AWS_RDS_H
#define CUTOVER_AWS_RDS_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

struct aws;
struct err;

#define RDS_ID_MAX 63 /* of clusters and instances: letters, digits, hyphens, begins with a letter */
#define RDS_MEMBERS 16

/* A cluster, or an instance that stands alone; for it `members` is empty. */
struct rds_database {
	char id[64], arn[256], status[48]; /* "available", "creating", ... */
	char engine[32], version[48], endpoint[256], reader[256]; /* endpoint "" until it has one */
	char instance_class[48], subnet_group[256], parameter_group[256];
	int port;
	bool iam;
	char follows[256];     /* ReplicationSourceIdentifier; "" none */
	struct {
		char id[64];
		bool writer;
	} member[RDS_MEMBERS];
	size_t members;
	json_t *tags;          /* {key: value}; owned */
	json_t *groups;        /* security groups, a list of strings; owned */
};
void rds_database_free(struct rds_database *d);
#define autords __attribute__((cleanup(rds_database_free)))
/* By identifier or ARN. ERR_GONE when there is none. */
int rds_cluster_get(struct aws *a, const char *id, struct rds_database *out, struct err *e);
int rds_instance_get(struct aws *a, const char *id, struct rds_database *out, struct err *e);
/* An ARN says which it is ("...:cluster:wiki", "...:db:wiki"); a bare name is a cluster's. */
int rds_database_get(struct aws *a, const char *id, struct rds_database *out, struct err *e);

/* A copy-on-write clone of the cluster as it is now (RestoreType copy-on-write,
 * AuroraUserGuide/Aurora.Managing.Clone.html): a cluster without instances. */
struct rds_clone_request {
	const char *source, *id;                /* id of the new cluster */
	const char *subnet_group, *parameter_group; /* NULL: as RDS chooses */
	const json_t *groups;                   /* security groups; NULL: as RDS chooses */
	const json_t *tags;
	bool iam;
	const char *acu_min, *acu_max;          /* Serverless v2; both NULL: none */
};
int rds_clone(struct aws *a, const struct rds_clone_request *q, struct err *e);
/* The instance that makes it answer: engine is the cluster's. */
int rds_instance_create(struct aws *a, const char *cluster, const char *id, const char *engine,
			const char *instance_class, const json_t *tags, struct err *e);

/* --- blue/green deployments --- */
struct rds_deployment {
	char id[256], name[64], source[256], target[256]; /* target "" while it is not made */
	char status[48], details[300];
	/* "PROVISIONING", "AVAILABLE", "SWITCHOVER_...", "INVALID_CONFIGURATION", "PROVISIONING_FAILED", "DELETING" */
};
struct rds_deployment_request {
	const char *name, *source;                       /* ARN of the cluster or instance */
	const char *version, *cluster_group, *instance_group; /* NULL: as the source */
	const json_t *tags;
};
int rds_deployment_create(struct aws *a, const struct rds_deployment_request *q, char id[256], struct err *e);
/* By name; ERR_GONE when there is none. */
int rds_deployment_find(struct aws *a, const char *name, struct rds_deployment *out, struct err *e);
int rds_deployment_get(struct aws *a, const char *id, struct rds_deployment *out, struct err *e);
#endif

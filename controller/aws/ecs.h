/* aws/ecs.h - services: how many tasks run, and scaling down; one-off tasks
 * (JSON 1.1). */
#ifndef CUTOVER_AWS_ECS_H
#define CUTOVER_AWS_ECS_H

#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct aws;
struct err;

struct ecs_service {
	char arn[256], status[32], task_definition[256];
	int desired, running, pending;
};
/* ERR_GONE when the cluster has no such service (its `failures` say MISSING). */
int ecs_service_get(struct aws *a, const char *cluster, const char *service,
		    struct ecs_service *out, struct err *e);
int ecs_service_scale(struct aws *a, const char *cluster, const char *service, int desired,
		      struct err *e);

/* --- one-off tasks -------------------------------------------------------------
 * A task is found again by `started_by`, and a RunTask that is sent again with
 * the same client token gives the task that the first one made, for 24 hours
 * (AmazonECS/latest/APIReference/ECS_Idempotency.html). ECS forgets a stopped
 * task after an hour or so. */
#define ECS_TOKEN_MAX 64       /* clientToken: printable ASCII */
#define ECS_STARTED_BY_MAX 128 /* startedBy: letters, digits, -_/ */

struct ecs_task_request {
	const char *cluster, *definition, *container; /* whose command is overridden */
	const char *launch;              /* "FARGATE", "EC2"; NULL: the cluster's own capacity providers */
	const json_t *command;           /* list of strings; NULL: the definition's own */
	const json_t *env;               /* object of strings; may be NULL */
	const json_t *subnets, *groups;  /* lists of strings; NULL: the definition is not awsvpc */
	bool public_ip;
	const char *token, *started_by;
};

struct ecs_task {
	char arn[256], status[32];       /* lastStatus: "PROVISIONING" ... "RUNNING" ... "STOPPED" */
	char code[64], reason[300];      /* stopCode, stoppedReason (or the container's own); "" while it runs */
	bool stopped, exited;            /* exited: the container left an exit code */
	int exit_code;
	int64_t started_at, stopped_at;  /* wall ms; 0: not said */
};
/* ERR_BUSY when ECS has no room for it (its `failures`): surely not started. */
int ecs_task_run(struct aws *a, const struct ecs_task_request *q, struct ecs_task *out, struct err *e);
/* container: whose exit code. ERR_GONE when ECS does not know the task (any more). */
int ecs_task_get(struct aws *a, const char *cluster, const char *arn, const char *container,
		 struct ecs_task *out, struct err *e);
/* arn "" when no task of that name runs or has stopped lately. */
int ecs_task_find(struct aws *a, const char *cluster, const char *started_by, char arn[256], struct err *e);
int ecs_task_stop(struct aws *a, const char *cluster, const char *arn, const char *reason, struct err *e);
#endif

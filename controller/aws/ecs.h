/* aws/ecs.h - services: how many tasks run, and scaling down (JSON 1.1). */
#ifndef CUTOVER_AWS_ECS_H
#define CUTOVER_AWS_ECS_H

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
#endif

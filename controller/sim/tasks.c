/* ECS: two services, one for each colour; one-off tasks are in errands.c. */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

static bool is_stack_of(const struct sim *s, const char *name, int colour)
{
	for (int i = 0; i < STACKS; i++)
		if (s->stack[i].used && !s->stack[i].deleted && s->stack[i].colour == colour &&
		    !strcmp(s->stack[i].name, name))
			return true;
	return false;
}

/* By name or ARN, which ends with the name. */
static struct side *find_service(struct sim *s, const char *name)
{
	static const char *const colours[] = { "blue", "green" };
	const char *slash = strrchr(name, '/');

	name = slash ? slash + 1 : name;
	for (int i = 0; i < COLOURS; i++) {
		struct side *c = &s->side[i];
		bool fits = *c->service ? !strcmp(c->service, name) :
					  strstr(name, colours[i]) || is_stack_of(s, name, i);

		if (fits && c->service_exists)
			return c;
	}
	return NULL;
}

static json_t *service_json(const struct sim *s, const struct side *c, const char *name)
{
	char arn[320], task[320];
	int draining = 0;

	for (int i = 0; i < c->ntargets; i++)
		draining += c->target[i].state == DRAINING;
	snprintf(arn, sizeof arn, "arn:aws:ecs:%s:%s:service/wiki/%.200s", s->region, s->account, name);
	snprintf(task, sizeof task, "arn:aws:ecs:%s:%s:task-definition/%.100s:7", s->region, s->account, c->name);
	return json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:s}", "serviceArn", arn, "serviceName", name, "status", "ACTIVE",
			 "desiredCount", c->desired, "runningCount", c->ntargets, "pendingCount",
			 c->desired > c->ntargets - draining ? c->desired - c->ntargets + draining : 0,
			 "taskDefinition", task);
}

static void describe_services(struct sim *s, const struct ask *k, struct say *a)
{
	const json_t *names = json_object_get(k->json, "services"), *n;
	json_t *found = json_array(), *failures = json_array();
	size_t i;

	json_array_foreach(names, i, n) {
		const char *name = json_is_string(n) ? json_string_value(n) : "";
		struct side *c = find_service(s, name);

		if (c)
			json_array_append_new(found, service_json(s, c, name));
		else
			json_array_append_new(failures, json_pack("{s:s,s:s}", "arn", name, "reason", "MISSING"));
	}
	say_json(a, json_pack("{s:o,s:o}", "services", found, "failures", failures));
}

static void update_service(struct sim *s, const struct ask *k, struct say *a)
{
	const char *name = json_str(k->json, "service", "");
	json_int_t desired = json_num(k->json, "desiredCount", -1);
	struct side *c = find_service(s, name);

	if (!c)
		return say_error(a, 400, "ServiceNotFoundException", "Service not found.");
	if (desired < 0 || desired > 5000)
		return say_error(a, 400, "InvalidParameterException", "desiredCount must be between 0 and 5000");
	c->desired = (int)desired;
	balancer_run(s, (int)(c - s->side), c->desired < TARGETS_MAX ? c->desired : TARGETS_MAX);
	say_json(a, json_pack("{s:o}", "service", service_json(s, c, name)));
}

const struct answer tasks_answers[] = {
	{ "DescribeServices", describe_services },
	{ "UpdateService", update_service },
	{ "RunTask", errands_run },
	{ "DescribeTasks", errands_describe },
	{ "ListTasks", errands_list },
	{ "StopTask", errands_stop },
	{ NULL, NULL },
};

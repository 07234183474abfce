#include "aws/ecs.h"

#include "aws/answer.h"
#include "aws/aws.h"
#include "base/err.h"

#include <string.h>

#define COUNT_MAX 100000 /* far above the quota of tasks in a service */

static int read_service(const json_t *s, struct ecs_service *out, struct err *e)
{
	if (answer_json_text(s, "serviceArn", out->arn, sizeof out->arn, e) ||
	    answer_json_text(s, "status", out->status, sizeof out->status, e) ||
	    answer_json_text(s, "taskDefinition", out->task_definition, sizeof out->task_definition, e) ||
	    answer_json_int(s, "desiredCount", 0, COUNT_MAX, &out->desired, e) ||
	    answer_json_int(s, "runningCount", 0, COUNT_MAX, &out->running, e) ||
	    answer_json_int(s, "pendingCount", 0, COUNT_MAX, &out->pending, e))
		return -1;
	return 0;
}

/* `failures` is how ECS says that one of the named things is not there. */
static int why_none(const json_t *answer, const char *cluster, const char *service, struct err *e)
{
	const json_t *f = json_array_get(json_object_get(answer, "failures"), 0);
	char reason[120];

	answer_copy(reason, sizeof reason, json_str(f, "reason", ""));
	if (!strcmp(reason, "MISSING"))
		return err_set(e, ERR_GONE, "cluster %s has no ECS service %s", cluster, service);
	if (*reason)
		return err_set(e, ERR_UNSURE, "ECS did not describe service %s in cluster %s: %s", service,
			       cluster, reason);
	return err_set(e, ERR_UNSURE, "ECS answered neither with service %s of cluster %s nor with a reason",
		       service, cluster);
}

int ecs_service_get(struct aws *a, const char *cluster, const char *service,
		    struct ecs_service *out, struct err *e)
{
	autojson json_t *in = json_pack("{s:s,s:[s]}", "cluster", cluster, "services", service);
	autojson json_t *answer = NULL;
	const json_t *s;

	*out = (struct ecs_service){ 0 };
	if (!in)
		return err_set(e, ERR_INPUT, "the name of the ECS service or cluster is not UTF-8");
	if (aws_json(a, ECS_DESCRIBE_SERVICES, in, &answer, e))
		return err_wrap(e, "looking at ECS service %.100s", service);
	s = json_array_get(json_object_get(answer, "services"), 0);
	if (!s)
		return why_none(answer, cluster, service, e);
	if (read_service(s, out, e))
		return err_wrap(e, "looking at ECS service %.100s", service);
	return 0;
}

int ecs_service_scale(struct aws *a, const char *cluster, const char *service, int desired,
		      struct err *e)
{
	autojson json_t *in = json_pack("{s:s,s:s,s:i}", "cluster", cluster, "service", service,
					"desiredCount", desired);
	autojson json_t *answer = NULL;

	if (!in)
		return err_set(e, ERR_INPUT, "the name of the ECS service or cluster is not UTF-8");
	if (aws_json(a, ECS_UPDATE_SERVICE, in, &answer, e))
		return err_wrap(e, "setting ECS service %.100s to %d tasks", service, desired);
	return 0;
}

/* --- one-off tasks ------------------------------------------------------------------- */

static json_t *environment(const json_t *env)
{
	json_t *list = json_array(), *v;
	const char *key;

	json_object_foreach((json_t *)env, key, v)
		json_array_append_new(list, json_pack("{s:s,s:O}", "name", key, "value", v));
	return list;
}

static json_t *network(const struct ecs_task_request *q)
{
	json_t *vpc = json_pack("{s:O,s:s}", "subnets", q->subnets, "assignPublicIp",
				q->public_ip ? "ENABLED" : "DISABLED");

	if (q->groups)
		json_object_set(vpc, "securityGroups", (json_t *)q->groups);
	return json_pack("{s:o}", "awsvpcConfiguration", vpc);
}

static json_t *run_request(const struct ecs_task_request *q)
{
	json_t *in = json_pack("{s:s,s:s,s:i,s:s,s:s,s:{s:[{s:s,s:o,s:O*}]}}", "cluster", q->cluster,
			       "taskDefinition", q->definition, "count", 1, "clientToken", q->token,
			       "startedBy", q->started_by, "overrides", "containerOverrides", "name", q->container,
			       "environment", environment(q->env), "command", q->command);

	if (in && q->launch)
		json_object_set_new(in, "launchType", json_string(q->launch));
	if (in && q->subnets)
		json_object_set_new(in, "networkConfiguration", network(q));
	return in;
}

static int64_t read_time(const json_t *t, const char *key)
{
	double s = json_dbl(t, key, 0);

	return s > 0 && s < 1e11 ? (int64_t)(s * 1000) : 0;
}

/* A container that never started has no exit code, and its reason says why. */
static void read_container(const json_t *t, const char *name, struct ecs_task *out)
{
	const json_t *code = NULL;
	size_t i;
	json_t *c;

	json_array_foreach(json_object_get(t, "containers"), i, c)
		if (!strcmp(json_str(c, "name", ""), name)) {
			code = json_object_get(c, "exitCode");
			if (*json_str(c, "reason", ""))
				answer_copy(out->reason, sizeof out->reason, json_str(c, "reason", ""));
		}
	out->exited = json_is_integer(code);
	out->exit_code = out->exited ? (int)json_integer_value(code) : -1;
}

static int read_task(const json_t *t, const char *container, struct ecs_task *out, struct err *e)
{
	*out = (struct ecs_task){ .exit_code = -1 };
	if (answer_json_text(t, "taskArn", out->arn, sizeof out->arn, e) ||
	    answer_json_text(t, "lastStatus", out->status, sizeof out->status, e))
		return -1;
	out->stopped = !strcmp(out->status, "STOPPED");
	answer_copy(out->code, sizeof out->code, json_str(t, "stopCode", ""));
	answer_copy(out->reason, sizeof out->reason, json_str(t, "stoppedReason", ""));
	out->started_at = read_time(t, "startedAt");
	out->stopped_at = read_time(t, "stoppedAt");
	read_container(t, container, out);
	return 0;
}

static int why_not_run(const json_t *answer, const struct ecs_task_request *q, struct err *e)
{
	const json_t *f = json_array_get(json_object_get(answer, "failures"), 0);
	char reason[200];

	answer_copy(reason, sizeof reason, json_str(f, "reason", ""));
	if (!*reason)
		return err_set(e, ERR_UNSURE, "ECS answered neither with a task nor with a reason");
	return err_set(e, !strcmp(reason, "MISSING") ? ERR_GONE : ERR_BUSY, "ECS did not start a task of %.120s: %s",
		       q->definition, reason);
}

int ecs_task_run(struct aws *a, const struct ecs_task_request *q, struct ecs_task *out, struct err *e)
{
	autojson json_t *in = run_request(q), *answer = NULL;
	const json_t *t;

	*out = (struct ecs_task){ 0 };
	if (!in)
		return err_set(e, ERR_INPUT, "what the task should be asked to do is not UTF-8");
	if (aws_json(a, ECS_RUN_TASK, in, &answer, e))
		return err_wrap(e, "starting a task of %.120s", q->definition);
	t = json_array_get(json_object_get(answer, "tasks"), 0);
	return t ? read_task(t, q->container, out, e) : why_not_run(answer, q, e);
}

int ecs_task_get(struct aws *a, const char *cluster, const char *arn, const char *container,
		 struct ecs_task *out, struct err *e)
{
	autojson json_t *in = json_pack("{s:s,s:[s]}", "cluster", cluster, "tasks", arn), *answer = NULL;
	const json_t *t, *f;

	*out = (struct ecs_task){ 0 };
	if (!in)
		return err_set(e, ERR_INPUT, "the name of the task or cluster is not UTF-8");
	if (aws_json(a, ECS_DESCRIBE_TASKS, in, &answer, e))
		return err_wrap(e, "looking at task %.150s", arn);
	t = json_array_get(json_object_get(answer, "tasks"), 0);
	if (t)
		return read_task(t, container, out, e);
	f = json_array_get(json_object_get(answer, "failures"), 0);
	return err_set(e, !strcmp(json_str(f, "reason", ""), "MISSING") ? ERR_GONE : ERR_UNSURE,
		       "ECS does not know task %.150s", arn);
}

/* The first of its pages is enough: there is one task of that name, or none. */
static int find_with(struct aws *a, const char *cluster, const char *started_by, const char *desired,
		     char arn[256], struct err *e)
{
	autojson json_t *in = json_pack("{s:s,s:s,s:s}", "cluster", cluster, "startedBy", started_by,
					"desiredStatus", desired);
	autojson json_t *answer = NULL;
	const json_t *arns, *first;

	if (!in)
		return err_set(e, ERR_INPUT, "the name of the cluster is not UTF-8");
	if (aws_json(a, ECS_LIST_TASKS, in, &answer, e))
		return err_wrap(e, "looking for the task started by %s", started_by);
	arns = json_object_get(answer, "taskArns");
	first = json_array_get(arns, 0);
	if (!json_is_array(arns) || (first && !json_is_string(first)))
		return err_set(e, ERR_UNSURE, "ECS answered without taskArns: which tasks there are is unknown");
	answer_copy(arn, 256, first ? json_string_value(first) : "");
	return 0;
}

int ecs_task_find(struct aws *a, const char *cluster, const char *started_by, char arn[256], struct err *e)
{
	arn[0] = '\0';
	if (find_with(a, cluster, started_by, "RUNNING", arn, e))
		return -1;
	return arn[0] ? 0 : find_with(a, cluster, started_by, "STOPPED", arn, e);
}

int ecs_task_stop(struct aws *a, const char *cluster, const char *arn, const char *reason, struct err *e)
{
	autojson json_t *in = json_pack("{s:s,s:s,s:s}", "cluster", cluster, "task", arn, "reason", reason);
	autojson json_t *answer = NULL;

	if (!in)
		return err_set(e, ERR_INPUT, "the name of the task or cluster is not UTF-8");
	return aws_json(a, ECS_STOP_TASK, in, &answer, e) ? err_wrap(e, "stopping task %.150s", arn) : 0;
}

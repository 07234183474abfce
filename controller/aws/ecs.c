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

/* aws/scheduler.h - one-time EventBridge schedules: the dead-man's switch.
 *
 * A schedule's target is an AWS API call ("universal target"), so AWS itself
 * puts the weights back when nobody comes to move the deadline.
 * docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html */
#ifndef CUTOVER_AWS_SCHEDULER_H
#define CUTOVER_AWS_SCHEDULER_H

#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct aws;
struct err;

struct schedule {
	const char *group, *name;     /* group NULL: "default" */
	int64_t at;                   /* wall ms; rounded up to the minute by us */
	const char *target, *role;    /* "arn:aws:scheduler:::aws-sdk:elasticloadbalancingv2:modifyRule" */
	const json_t *input;          /* the call's own parameters, PascalCase */
	const char *token;            /* ClientToken, <= 64 */
};
/* Create, or update when it exists: the schedule is as given afterwards.
 * Sets ActionAfterCompletion DELETE and a RetryPolicy of minutes, never AWS's
 * default of 24 h: a stale rollback must not hit the next release. */
int schedule_put(struct aws *a, const struct schedule *s, struct err *e);
int schedule_get(struct aws *a, const char *group, const char *name, bool *exists, int64_t *at,
		 struct err *e);
int schedule_delete(struct aws *a, const char *group, const char *name, struct err *e);
#endif

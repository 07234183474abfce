/* aws/elb.h - listener rules, weights and target health (ELBv2, 2015-12-01).
 *
 * ModifyRule has no compare-and-swap and replaces whole properties: we always
 * send all actions as they were read, with only the weights changed. */
#ifndef CUTOVER_AWS_ELB_H
#define CUTOVER_AWS_ELB_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

struct aws;
struct err;
struct xml;

#define ELB_GROUPS_MAX 5     /* AWS: target groups per forward action */
#define ELB_WEIGHT_MAX 999   /* AWS: 0-999, relative */

struct elb_weight {
	char arn[256];
	int weight;
};

struct elb_rule {
	char arn[256];
	bool is_default;
	int priority;                 /* 0 for the default rule */
	struct elb_weight group[ELB_GROUPS_MAX];
	size_t ngroups;
	int sticky_s;                 /* group stickiness in seconds; 0: off */
	struct xml *actions;          /* all of them, as read; owned */
};

int elb_rule_get(struct aws *a, const char *rule_arn, struct elb_rule *out, struct err *e);
void elb_rule_free(struct elb_rule *r);
#define autorule __attribute__((cleanup(elb_rule_free)))
/* Weight of that group; -1 when the rule does not name it. */
int elb_rule_weight(const struct elb_rule *r, const char *group_arn);
/* Both colours' weights as AWS has them now. */
struct elb_split { int blue, green; };
int elb_split_get(struct aws *a, const char *rule_arn, const char *blue, const char *green, struct elb_split *out, struct err *e);
/* One ModifyRule with r's actions and these groups in the forward action. */
int elb_rule_set(struct aws *a, const struct elb_rule *r, const struct elb_weight *groups,
		 size_t n, struct err *e);
/* --- rules.c: the production rule's beginning and end --- */

/* The listener's rule that has this tag; arn "" when none has. ERR_GATE: several have. */
int elb_rule_find(struct aws *a, const char *listener, const char *tag, const char *value, char arn[256],
		  struct err *e);
/* For all paths, without stickiness, everything to one group. ERR_GATE when
 * another rule has that priority. */
struct elb_new_rule {
	const char *listener, *group;
	int priority;
	const json_t *tags; /* {key: value}, at creation */
};
int elb_rule_create(struct aws *a, const struct elb_new_rule *q, char arn[256], struct err *e);
int elb_rule_delete(struct aws *a, const char *arn, struct err *e); /* one that is gone is fine */

/* {key: value} of one resource; json_decref. */
int elb_tags(struct aws *a, const char *arn, json_t **out, struct err *e);

struct elb_group {
	char arn[256], name[64], protocol[16], load_balancer[256]; /* "" when on none */
	int port;
};
int elb_group_get(struct aws *a, const char *arn, struct elb_group *out, struct err *e);

struct elb_health { /* counts of targets by state */
	int healthy, unhealthy, initial, draining, unused, unavailable, total;
	char reason[160]; /* of the first target that is not healthy: "i-1:80 unhealthy (Target.Timeout): ..." */
};
int elb_health(struct aws *a, const char *group_arn, struct elb_health *out, struct err *e);

/* CloudWatch dimension values out of ARNs: "targetgroup/name/id" and
 * "app/name/id" (of a load balancer, listener or rule ARN). */
int elb_group_dimension(const char *group_arn, char *out, size_t size, struct err *e);
int elb_balancer_dimension(const char *any_arn, char *out, size_t size, struct err *e);
#endif

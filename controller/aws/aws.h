/* aws/aws.h - one signed call to AWS, and what its failure means.
 *
 * aws_query speaks the Query/XML protocol (ELBv2, CloudFormation, STS, RDS), aws_json
 * the JSON ones (CloudWatch 1.0, ECS 1.1), aws_rest REST-JSON (Scheduler). All three sign, take
 * a token from the service's bucket, send, map every error code to an error
 * kind, and retry with full jitter what may be retried: reads on BUSY, NET and
 * UNSURE; writes on BUSY and NET only, since a write that may have been
 * executed is answered by looking, not by sending it again. */
#ifndef CUTOVER_AWS_AWS_H
#define CUTOVER_AWS_AWS_H

#include "aws/sigv4.h"
#include "base/err.h"
#include "base/json.h"
#include "net/xml.h"

struct aws;
struct clock;
struct cred_chain;

/* Every operation this program may call: one row of the table in aws/ops.c.
 * `explain` prints the IAM actions from it, the retry rules read `write`. */
enum aws_op {
	STS_GET_CALLER_IDENTITY,
	ELB_DESCRIBE_RULES, ELB_DESCRIBE_TAGS, ELB_DESCRIBE_TARGET_GROUPS,
	ELB_DESCRIBE_TARGET_HEALTH, ELB_MODIFY_RULE, ELB_CREATE_RULE, ELB_DELETE_RULE,
	CFN_CREATE_CHANGE_SET, CFN_DESCRIBE_CHANGE_SET, CFN_EXECUTE_CHANGE_SET,
	CFN_DELETE_CHANGE_SET, CFN_DESCRIBE_STACKS, CFN_DESCRIBE_STACK_EVENTS, CFN_DELETE_STACK,
	CFN_GET_TEMPLATE_SUMMARY, CFN_SET_STACK_POLICY, CFN_UPDATE_TERMINATION_PROTECTION,
	CFN_DETECT_STACK_DRIFT, CFN_DESCRIBE_STACK_DRIFT_DETECTION_STATUS, CFN_DESCRIBE_STACK_RESOURCE_DRIFTS,
	CW_GET_METRIC_DATA, CW_DESCRIBE_ALARMS,
	ECS_DESCRIBE_SERVICES, ECS_UPDATE_SERVICE,
	ECS_RUN_TASK, ECS_DESCRIBE_TASKS, ECS_LIST_TASKS, ECS_STOP_TASK,
	SCHEDULER_GET_SCHEDULE, SCHEDULER_CREATE_SCHEDULE, SCHEDULER_UPDATE_SCHEDULE,
	SCHEDULER_DELETE_SCHEDULE,
	SECRETS_GET_SECRET_VALUE,
	RDS_DESCRIBE_DB_CLUSTERS, RDS_DESCRIBE_DB_INSTANCES, RDS_RESTORE_DB_CLUSTER_TO_POINT_IN_TIME,
	RDS_CREATE_DB_INSTANCE, RDS_CREATE_BLUE_GREEN_DEPLOYMENT, RDS_DESCRIBE_BLUE_GREEN_DEPLOYMENTS,
	AWS_OPS
};

struct aws_op_info {
	const char *name;       /* "ModifyRule" */
	const char *service;    /* endpoint prefix and signing name: "elasticloadbalancing" */
	const char *version;    /* Query: "2015-12-01"; JSON: the X-Amz-Target prefix; REST: "" */
	const char *iam;        /* "elasticloadbalancing:ModifyRule" */
	bool write;
};
const struct aws_op_info *aws_op_info(enum aws_op op);

/* A write is sent only if this says 0 right before it leaves: the engine
 * answers whether this process still holds the run. */
typedef int aws_gate_fn(void *ctx, struct err *e);

struct aws_opts {
	const struct http *http;
	struct clock *clock;
	struct cred_chain *creds;
	const char *region;
	aws_gate_fn *gate;
	void *gate_ctx;
	uint64_t seed; /* of the jitter; 0: from the system */
};

/* Endpoints: AWS_ENDPOINT_URL_<SERVICE> (STS, ELASTIC_LOAD_BALANCING_V2,
 * CLOUDFORMATION, CLOUDWATCH, ECS, SCHEDULER, SECRETS_MANAGER, RDS), AWS_ENDPOINT_URL, else AWS's own by region
 * (sdkref/latest/guide/feature-ss-endpoints.html). Plain http is accepted only for
 * loopback endpoints. */
struct aws *aws_new(const struct aws_opts *o);
void aws_free(struct aws *a);
const char *aws_region(const struct aws *a);
struct clock *aws_clock(const struct aws *a);
struct cred_chain *aws_creds(const struct aws *a); /* lent; never NULL */

/* Rollback may use the whole of every token bucket; all other work leaves a
 * third of it alone. */
enum aws_lane { AWS_LANE_NORMAL, AWS_LANE_ROLLBACK };
void aws_set_lane(struct aws *a, enum aws_lane lane);

/* Arguments are built up as sticky pairs: "Actions.member.1.Type" = "forward". */
struct aws_args;
struct aws_args *aws_args_new(void);
void aws_args_free(struct aws_args **args);
#define autoargs __attribute__((cleanup(aws_args_free)))
/* value NULL: the argument is left out. */
void aws_arg(struct aws_args *args, const char *value, const char *key_fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "<prefix>.<Tag>" and "<prefix>.member.N" for everything below x: how a part
 * of an answer is sent back unchanged (all actions of a rule). Empty elements
 * are left out: whether they are lists or texts cannot be seen. */
void aws_arg_tree(struct aws_args *args, const struct xml *x, const char *prefix);

/* A call tries up to four times and takes no longer than about 12 s, waiting
 * for its token included. e->code has AWS's code where there is one. */

/* 0 and *out = the answer's document, <ModifyRuleResponse> (xml_free), or -1.
 * args may be NULL. */
int aws_query(struct aws *a, enum aws_op op, const struct aws_args *args, struct xml **out,
	      struct err *e);
/* 0 and *out = the answer (json_decref), or -1. `in` is lent. */
int aws_json(struct aws *a, enum aws_op op, const json_t *in, json_t **out, struct err *e);
/* REST-JSON: path already encoded, "?key=value" included; body may be NULL. */
int aws_rest(struct aws *a, enum aws_op op, const char *method, const char *path,
	     const json_t *body, json_t **out, struct err *e);

/* What an AWS error code means; the table is in aws/codes.c. */
enum aws_code_flags { AWS_CODE_EXPIRED = 1, AWS_CODE_SKEW = 2 };
struct aws_code {
	const char *code;
	enum err_kind kind;
	int flags;
};
const struct aws_code *aws_code_find(const char *code); /* NULL: not in the table */
const struct aws_code *aws_codes(size_t *n);

/* A URL that signs itself, for at most expires_s seconds: "https://...?X-Amz-...".
 * url has no query; args are its query and may be NULL. Caller frees; NULL and
 * *e when there are no credentials. */
char *aws_presign(struct aws *a, const char *service, const char *method, const char *url,
		  const struct aws_args *args, int expires_s, struct err *e);
#endif

/* aws/cloudformation.h - stacks through change sets (Query, 2010-05-15). */
#ifndef CUTOVER_AWS_CLOUDFORMATION_H
#define CUTOVER_AWS_CLOUDFORMATION_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

struct aws;
struct err;

struct cfn_stack {
	char id[256], status[48], reason[320];
	bool is_protected; /* against deletion (EnableTerminationProtection) */
	json_t *outputs; /* {key: value}; owned */
	json_t *tags;    /* {key: value}; owned */
	json_t *parameters; /* {key: value}, "****" for one with NoEcho; owned */
};
/* ERR_GONE when there is none of that name (or id). */
int cfn_stack_get(struct aws *a, const char *name, struct cfn_stack *out, struct err *e);
void cfn_stack_free(struct cfn_stack *s);
#define autostack __attribute__((cleanup(cfn_stack_free)))

/* What a stack's status means to somebody who waits. An unknown status is
 * CFN_BUSY: AWS adds statuses. */
enum cfn_phase { CFN_BUSY, CFN_READY, CFN_FAILED, CFN_REVIEW, CFN_DELETED };
enum cfn_phase cfn_phase(const char *status);

struct cfn_change_request {
	const char *stack, *name, *type;   /* type "CREATE" | "UPDATE" */
	const char *template_body, *template_url; /* one of them */
	const json_t *parameters;          /* {key: value} strings; may be NULL */
	const json_t *tags;                /* {key: value}; may be NULL */
	const json_t *capabilities;        /* ["CAPABILITY_NAMED_IAM"]; may be NULL */
	const char *role_arn;              /* service role; may be NULL */
	const char *token;                 /* ClientToken, <= 128 */
};
int cfn_change_create(struct aws *a, const struct cfn_change_request *q, struct err *e);

struct cfn_change {
	char id[320], status[48], execution[32], reason[320];
	/* [{"action","logical","type","replacement","policy","properties":["Actions"]}]; owned;
	 * all pages. policy: what becomes of what it takes away ("Delete", "ReplaceAndRetain"; "": not said). */
	json_t *changes;
};
int cfn_change_get(struct aws *a, const char *stack, const char *name, struct cfn_change *out,
		   struct err *e);
void cfn_change_free(struct cfn_change *c);
#define autochange __attribute__((cleanup(cfn_change_free)))
bool cfn_change_is_empty(const struct cfn_change *c); /* FAILED because there is nothing to change */
int cfn_change_execute(struct aws *a, const char *stack, const char *name, const char *token,
		       struct err *e);
int cfn_change_delete(struct aws *a, const char *stack, const char *name, struct err *e);
int cfn_stack_delete(struct aws *a, const char *id, const char *token, struct err *e);

/* The first *_FAILED event of the operation with this ClientRequestToken (NULL:
 * the newest operation): its resource and its own reason, not the cascade's
 * "Resource creation cancelled". out "" when there is none. */
int cfn_why_failed(struct aws *a, const char *stack, const char *token, char *out, size_t size,
		   struct err *e);
/* The newest status of the stack itself in the operation with this token; out ""
 * when that operation never began. */
int cfn_operation_status(struct aws *a, const char *stack, const char *token, char *out, size_t size,
			 struct err *e);

/* --- templates (template.c) --- */
struct cfn_template {
	json_t *parameters;   /* {name: {"type", "default" (absent: none)}}; owned */
	json_t *capabilities; /* ["CAPABILITY_IAM"] that it needs; owned */
	json_t *types;        /* ["AWS::EC2::VPC"] of its resources; owned */
};
#define CFN_BODY_MAX 51200 /* AWS: TemplateBody, bytes */
/* What AWS reads in a template (GetTemplateSummary); one of body and url. */
int cfn_template_get(struct aws *a, const char *body, const char *url, struct cfn_template *out,
		     struct err *e);
void cfn_template_free(struct cfn_template *t);
#define autotemplate __attribute__((cleanup(cfn_template_free)))
/* NULL when value may stand for a parameter of this type, else what it should
 * look like ("vpc-..."): the types CloudFormation checks itself, which it does
 * only after the stack has begun (aws-specific-parameter-types). */
const char *cfn_type_wants(const char *type, const char *value);

int cfn_stack_policy(struct aws *a, const char *stack, const char *policy, struct err *e);
int cfn_stack_protect(struct aws *a, const char *stack, bool on, struct err *e);

/* --- drift (drift.c): is everything as the template says? --- */
struct cfn_drift {
	bool over;                   /* the detection is */
	char status[32], reason[320]; /* "IN_SYNC", "DRIFTED", "UNKNOWN"; "" when the detection failed */
};
int cfn_drift_start(struct aws *a, const char *stack, char id[64], struct err *e);
int cfn_drift_get(struct aws *a, const char *id, struct cfn_drift *out, struct err *e);
/* *out = [{"logical","type","status","differences":["/Path: expected a, is b"]}] of
 * what was MODIFIED or DELETED; json_decref. */
int cfn_drift_rows(struct aws *a, const char *stack, json_t **out, struct err *e);
#endif

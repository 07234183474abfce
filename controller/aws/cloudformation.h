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
	json_t *outputs; /* {key: value}; owned */
	json_t *tags;    /* {key: value}; owned */
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
	json_t *changes; /* [{"action","logical","type","replacement"}]; owned; all pages */
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
#endif

/* aws/changeset.h - one stack, brought to what is wanted through one change set.
 *
 * The `stack` step and `cutover stacks` walk this same way: look at the stack,
 * make a change set, show it, execute it, wait. A change set is CloudFormation's
 * own compare-and-swap: it can be executed once, and becomes OBSOLETE when
 * somebody else changes the stack after it was made.
 *
 * changeset_advance() obeys the rules of engine/step.h: it looks first, never
 * sleeps, and keeps nothing but what intend() made durable, so it may be called
 * again by another process. */
#ifndef CUTOVER_AWS_CHANGESET_H
#define CUTOVER_AWS_CHANGESET_H

#include "aws/cloudformation.h"

#include <stdbool.h>
#include <stdint.h>

struct aws;
struct err;
struct changeset;

struct changeset_calls {
	/* Makes phase, was, creates and since durable before the one change. */
	int (*intend)(struct changeset *c, struct err *e);
	/* Sends CreateChangeSet: type by c->creates, names and token by c. */
	int (*make)(struct changeset *c, struct err *e);
	/* The changes, before anything is executed. 0: go on; 1: leave it at that; -1: refused. */
	int (*show)(struct changeset *c, const struct cfn_change *change, struct err *e);
	/* There is nothing to change. */
	int (*unchanged)(struct changeset *c, struct err *e);
};

struct changeset {
	struct aws *aws;
	const char *stack;        /* its name */
	const char *name, *token; /* of the change set; client token of all requests */
	const char *tag;          /* key of the stack's tag that holds the token, made by make(); NULL: none */
	const struct changeset_calls *calls;
	void *ctx;                /* the caller's */
	int64_t now;              /* wall ms */
	int64_t poll_ms;          /* between two looks; 0: 3 s */
	/* What intend() keeps: */
	char phase[16];           /* "", "making", "executing" */
	char was[48];             /* status before */
	bool creates;             /* the stack was not there before */
	int64_t since;            /* wall ms of the phase */
	/* What it waits for: */
	char saying[240];
	int64_t wake_at;          /* wall ms */
};

enum changeset_verdict { CHANGESET_FAIL = -1, CHANGESET_DONE, CHANGESET_WAIT, CHANGESET_LEFT };

/* DONE: *out is the stack (cfn_stack_free). WAIT: not before c->wake_at. LEFT:
 * show() said so; the change set is there. FAIL: ERR_GATE when the stack failed
 * or is not in a state to be changed, and whatever AWS's refusals mean. */
enum changeset_verdict changeset_advance(struct changeset *c, struct cfn_stack *out, struct err *e);
void changeset_wait(struct changeset *c, const char *what, const char *status);
bool changeset_is_phase(const struct changeset *c, const char *phase);
/* The change set is deleted; one that is not there is fine. */
int changeset_drop(struct changeset *c, struct err *e);
bool changeset_has_tag(const struct changeset *c, const struct cfn_stack *s); /* the tag with our token */

/* --- what may not happen unless it is named --- */

/* Why this row of cfn_change.changes hurts, NULL when it does not: it removes or
 * replaces something. */
const char *change_harm(const json_t *change);
/* Of these, what would lose data or an address that others use; and what would
 * move traffic: rules, listeners and balancers. NULL when neither. */
const char *change_state_harm(const json_t *change);
const char *change_traffic_harm(const json_t *change, bool creates);
#endif

/* cli/stacks.h - what the files of `cutover stacks` share.
 *
 * There is no journal here: the way is level-triggered. A stack is as it should
 * be when a change set of what is wanted is empty, so a run that was killed is
 * simply started again, and two at once cannot both win: a change set is
 * executed once and obsolete after any other change. */
#ifndef CUTOVER_CLI_STACKS_H
#define CUTOVER_CLI_STACKS_H

#include "aws/changeset.h"
#include "plan/environment.h"

#include <stdbool.h>

struct aws;
struct clock;
struct err;

#define STACKS_OWNER_TAG "cutover:environment"
#define STACKS_RULE_TAG  "cutover:managed"
#define STACKS_REGIONS   41 /* one a stack of the longest list, and the environment's */

struct stacks {
	const struct environment *env;
	struct clock *clock;
	/* A client for a region; opened once each by stacks_aws. */
	struct aws *(*open)(void *ctx, const char *region);
	void *ctx;
	struct { const char *region; struct aws *aws; } at[STACKS_REGIONS];
	const char *may_replace, *may_delete; /* names between commas; NULL: none */
	json_t *outputs;       /* {stack: {output: value}} of those that are there */
	/* One event {"what", "stack", ...}: taken. */
	void (*tell)(struct stacks *s, json_t *event);
	const volatile int *stop; /* leave at the next wait */
	int64_t poll_ms;       /* between two looks; 0: 3 s */
	bool touched;          /* something was changed */
};
struct aws *stacks_aws(struct stacks *s, const char *region);
void stacks_end(struct stacks *s, void (*free_aws)(struct aws *)); /* free_aws NULL: they are lent */
bool stacks_named(const char *list, const char *stack, const char *logical); /* "Alb" or "mw-edge.Alb" in it */
void stacks_keep_outputs(struct stacks *s, const char *stack, const json_t *outputs);

/* stacks_wire.c: the parameters of a stack. 0 and *out {key: text}, or -1. */
int stacks_parameters(struct stacks *s, const struct environment_stack *st, const struct cfn_template *t, json_t **out,
		      struct err *e);
/* Earlier stacks that are not there yet: ["mw-network"]. */
json_t *stacks_missing(const struct stacks *s, const struct environment_stack *st);

/* stacks_bring.c: exit codes of the command. */
int stacks_plan(struct stacks *s, struct err *e);
int stacks_apply(struct stacks *s, struct err *e);
/* stacks_status.c */
int stacks_status(struct stacks *s, bool drift, struct err *e);
/* stacks_delete.c */
int stacks_delete(struct stacks *s, struct err *e);
/* stacks_rule.c: makes the production rule when it is not there. arn "": none is wanted. */
int stacks_rule(struct stacks *s, char arn[256], bool *made, struct err *e);
int stacks_rule_find(struct stacks *s, char arn[256], struct err *e); /* arn "": it is not there, or its listener is not */
/* ERR_GATE when it names a group that no stack of the file has; outputs are known. */
int stacks_rule_is_ours(struct stacks *s, struct err *e);
int stacks_rule_remove(struct stacks *s, struct err *e);
/* stacks_say.c: one event as lines for people. */
void stacks_say(const json_t *event);
#endif

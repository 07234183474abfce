/* plan/environment.h - an environment file: the stacks that live for years, in the
 * order they are made. Read by the same tables, with the same errors, as a plan.
 *
 * A parameter that is not written gets the output of the same name of an earlier
 * stack; `${stack.Output}` in one names an output outright. `${env:NAME}` is
 * replaced when the file is loaded. */
#ifndef CUTOVER_PLAN_ENVIRONMENT_H
#define CUTOVER_PLAN_ENVIRONMENT_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

struct environment_stack {
	const char *name;         /* as AWS knows it */
	const char *about, *region;
	const char *template_url; /* NULL: the file `template` */
	char *template, *policy;  /* paths; policy NULL: none */
	const json_t *parameters, *tags; /* {key: text}; never NULL */
	bool stateful;            /* nothing in it is replaced or removed unless it is named */
	bool protect;             /* termination protection */
	bool once;                /* made when it is not there, never updated: plans own it */
};

/* The production rule, the only thing with weights, which no template holds: made
 * once, with the target group given here, and left alone from then on. */
struct environment_rule {
	bool on;
	const char *listener, *target_group; /* with ${stack.Output} */
	int priority;
	const json_t *tags;
};

struct environment {
	char *file;
	const char *name, *region, *account;
	struct environment_stack *stacks;
	size_t nstacks;
	struct environment_rule rule;
	json_t *doc; /* what the texts belong to */
};

struct plan_errors;
/* 0 and *out (environment_free), or -1 with at least one error. */
int environment_load(const char *path, struct environment **out, struct plan_errors *errs);
void environment_free(struct environment *env);
static inline void environment_freep(struct environment **env) { environment_free(*env); }
#define autoenvironment __attribute__((cleanup(environment_freep)))
const struct environment_stack *environment_stack(const struct environment *env, const char *name); /* NULL: none */
#endif

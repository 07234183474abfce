/* sim/stacks.h - what the files about CloudFormation share with each other only. */
#ifndef CUTOVER_SIM_STACKS_H
#define CUTOVER_SIM_STACKS_H

#include "sim/world.h"

/* What a simulated stack consists of, in the order it is made. */
struct part { const char *logical, *type; int made, gone; };
#define PARTS 4
extern const struct part stack_parts[PARTS];

/* stacklife.c: writes down what will happen to a stack from now on. */
void life_event(struct sim *s, struct stack *k, const char *token, const char *status); /* at once */
void life_create(struct sim *s, struct stack *k, const char *token);
void life_update(struct sim *s, struct stack *k, const char *token);
void life_delete(struct sim *s, struct stack *k, const char *token);

/* For a stack with a template of its own: an event for each row of the change. */
void life_rows(struct sim *s, struct stack *k, const char *token, const json_t *rows, bool create);
void life_remove(struct sim *s, struct stack *k, const char *token);

/* templates.c: JSON templates with Parameters, Resources and Outputs. */
json_t *template_read(const struct ask *k);  /* NULL: not one of those */
bool template_check(json_t *template, const json_t *params, struct say *a); /* false: an error is said */
/* What changes between two: [{"action","logical","type","replacement","property"}]; json_decref. */
json_t *template_rows(const struct stack *k, json_t *wanted, json_t *params);
json_t *template_outputs(const struct stack *k); /* {key: text}; json_decref */
answer_fn template_summary;

/* stacks.c */
struct stack *stack_new(struct sim *s, const char *name, int colour); /* NULL: too many */
struct stack *stack_find(struct sim *s, const char *name);            /* by name or id */
struct stack *stack_asked(struct sim *s, struct say *a);              /* NULL: an error is said */

void change_close(struct change *c);                                 /* what it holds; it is unused then */

/* changesets.c */
answer_fn changes_create, changes_describe, changes_execute, changes_delete;
#endif

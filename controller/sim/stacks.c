/* CloudFormation: which stacks there are. */
#include "sim/stacks.h"

#include <stdio.h>
#include <string.h>

void change_close(struct change *c)
{
	json_decref(c->template);
	json_decref(c->params);
	json_decref(c->tags);
	json_decref(c->rows);
	*c = (struct change){ 0 };
}

static void changes_close(struct stack *k)
{
	for (int i = 0; i < CHANGES; i++)
		change_close(&k->change[i]);
}

static void forget(struct stack *k)
{
	free(k->event);
	json_decref(k->params);
	json_decref(k->tags);
	json_decref(k->wanted_params);
	json_decref(k->wanted_tags);
	json_decref(k->template);
	free(k->policy);
	changes_close(k);
	*k = (struct stack){ 0 };
}

struct stack *stack_new(struct sim *s, const char *name, int colour)
{
	struct stack *k = NULL;

	for (int i = 0; i < STACKS && !k; i++)
		if (!s->stack[i].used)
			k = &s->stack[i];
	for (int i = 0; i < STACKS && !k; i++)
		if (s->stack[i].deleted)
			k = &s->stack[i];
	if (!k)
		return NULL;
	forget(k);
	k->used = true;
	k->colour = colour;
	snprintf(k->name, sizeof k->name, "%.128s", name);
	snprintf(k->id, sizeof k->id, "arn:aws:cloudformation:%s:%s:stack/%.128s/%08llx-0000-11f0-8000-0a58a9feac02",
		 s->region, s->account, name, (unsigned long long)++s->ids);
	return k;
}

struct stack *stack_find(struct sim *s, const char *name)
{
	for (int i = 0; i < STACKS; i++) {
		struct stack *k = &s->stack[i];

		if (k->used && (!strcmp(k->id, name) || (!k->deleted && !strcmp(k->name, name))))
			return k;
	}
	return NULL;
}

void stacks_open(struct sim *s, const char *blue_stack)
{
	struct stack *k = blue_stack ? stack_new(s, blue_stack, BLUE) : NULL;

	if (!k)
		return;
	k->params = json_pack("{s:s, s:s}", "Color", "blue", "Release", "1.43.9");
	k->tags = json_object();
	life_event(s, k, "", "CREATE_COMPLETE");
}

void stacks_close(struct sim *s)
{
	for (int i = 0; i < STACKS; i++)
		forget(&s->stack[i]);
}

int stacks_count(const struct sim *s)
{
	int n = 0;

	for (int i = 0; i < STACKS; i++)
		n += s->stack[i].used && !s->stack[i].deleted;
	return n;
}

struct stack *stack_asked(struct sim *s, struct say *a)
{
	const char *name = say_missing(a, "StackName");
	struct stack *k = name ? stack_find(s, name) : NULL;

	if (name && !k)
		say_error(a, 400, "ValidationError", "Stack with id %.200s does not exist", name);
	return k;
}

/* cli/stacks_share.c - what the verbs of `cutover stacks` share. */
#include "cli/stacks.h"

#include "base/buf.h"

#include <string.h>

struct aws *stacks_aws(struct stacks *s, const char *region)
{
	size_t i = 0;

	while (i < STACKS_REGIONS - 1 && s->at[i].region && strcmp(s->at[i].region, region) != 0)
		i++;
	if (!s->at[i].region) {
		s->at[i].region = region;
		s->at[i].aws = s->open(s->ctx, region);
	}
	return s->at[i].aws;
}

void stacks_end(struct stacks *s, void (*free_aws)(struct aws *))
{
	for (size_t i = 0; i < STACKS_REGIONS && s->at[i].region && free_aws; i++)
		free_aws(s->at[i].aws);
	json_decref(s->outputs);
	s->outputs = NULL;
}

/* One of the names between commas: "Alb", or "mw-edge.Alb". */
bool stacks_named(const char *list, const char *stack, const char *logical)
{
	autofree char *copy = xstrdup(list), *full = xasprintf("%s.%s", stack, logical);
	char *rest = copy, *name;

	while (rest && (name = strsep(&rest, ",")))
		if (*name && (!strcmp(name, logical) || !strcmp(name, full)))
			return true;
	return false;
}

void stacks_keep_outputs(struct stacks *s, const char *stack, const json_t *outputs)
{
	json_object_set_new(s->outputs, stack, json_deep_copy(outputs));
}

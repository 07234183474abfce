/* engine/run_query.c - what may be asked of a run that is folded, and what more
 * than one file of the folding does. */
#include "engine/run.h"

#include "base/err.h"

#include <string.h>

bool run_is_over(const struct run *r)
{
	return r->state != RUN_FORWARD && r->state != RUN_BACK && !r->wish;
}

size_t run_current_index(const struct run *r)
{
	size_t i = 0;

	while (i < r->plan->nsteps && r->step[i].state == STEP_IS_DONE)
		i++;
	return i;
}

const struct step *run_current(const struct run *r)
{
	size_t i = run_current_index(r);

	return i < r->plan->nsteps ? &r->plan->steps[i] : NULL;
}

bool run_may_carry_green(const struct run *r)
{
	const struct run_traffic *t = &r->traffic;

	return (t->known && t->left_green > 0) || (t->writing && t->to_green > 0) || t->foreign;
}

int run_exit_code(const struct run *r)
{
	static const int codes[RUN_STATES] = {
		[RUN_FORWARD] = 7, [RUN_BACK] = 7, [RUN_PROMOTED] = 0, [RUN_ROLLED_BACK] = 3,
		[RUN_FROZEN] = 4, [RUN_REFUSED] = 5,
	};

	return codes[r->state];
}

int run_groups(const struct run *r, char **blue, char **green, struct err *e)
{
	struct err missing = { 0 };

	*green = NULL;
	*blue = plan_resolve_text(r->plan->blue.target_group, r->outputs, e);
	if (!*blue)
		return -1;
	*green = plan_resolve_text(r->plan->green.target_group, r->outputs, &missing);
	if (!*green)
		*green = xstrdup("");
	return 0;
}

void run_expect_echo(struct run_traffic *t, int blue, int green)
{
	if (t->echoes == COUNT(t->echo))
		memmove(t->echo, t->echo + 1, --t->echoes * sizeof *t->echo);
	t->echo[t->echoes][0] = blue;
	t->echo[t->echoes++][1] = green;
}

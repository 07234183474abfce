/* Who is slow: which requests get a right answer too late, and how late. */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

void sim_slow(struct sim *s, const struct sim_slow *how)
{
	s->slow = how ? *how : (struct sim_slow){ 0 };
	s->slow_on = how;
	s->nhung = 0;
}

static bool slow_is_meant(const struct sim_slow *how, const char *service, const char *op, bool write)
{
	if (how->service ? strcmp(how->service, service) != 0 : !strcmp(service, SIM_WIKI))
		return false;
	return (!how->op || !strcmp(how->op, op)) && how->only != (write ? SIM_READS : SIM_WRITES);
}

static bool slow_is_now(const struct sim *s)
{
	int64_t age = s->now - s->start;

	return s->slow_on && age >= s->slow.from_ms && (!s->slow.for_ms || age < s->slow.from_ms + s->slow.for_ms);
}

/* Every try that follows one that hung is answered, whoever makes it. */
static bool slow_hung_before(struct sim *s, const char *op)
{
	for (size_t i = 0; i < s->nhung; i++)
		if (!strcmp(s->hung[i], op)) {
			memmove(s->hung[i], s->hung[--s->nhung], sizeof s->hung[i]);
			return true;
		}
	return false;
}

static bool slow_hangs(struct sim *s, const char *op)
{
	if (slow_hung_before(s, op) || s->nhung == COUNT(s->hung))
		return false;
	snprintf(s->hung[s->nhung++], sizeof s->hung[0], "%s", op);
	return true;
}

int64_t slow_ms(struct sim *s, const char *service, const char *op, bool write)
{
	const struct sim_slow *how = &s->slow;

	if (!slow_is_now(s) || !slow_is_meant(how, service, op, write))
		return 0;
	if (how->share > 0 && dice_real(&s->slow_dice) >= how->share)
		return 0;
	if (how->after_ms)
		return how->after_ms;
	return slow_hangs(s, op) ? SLOW_NEVER : 0;
}

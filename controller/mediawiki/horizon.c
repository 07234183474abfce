/* horizon.c - until which step a plan may be taken back without losing anything. */
#include "mediawiki/verdict.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

struct state {
	bool frozen, shifted, updated;
};

static bool end_here(struct horizon *out, size_t last, bool sound, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static bool end_here(struct horizon *out, size_t last, bool sound, const char *fmt, ...)
{
	va_list ap;

	out->last = last;
	out->sound = sound;
	va_start(ap, fmt);
	vsnprintf(out->why, sizeof out->why, fmt, ap);
	va_end(ap);
	return true;
}

/* Two copies that both take writes lose one's. */
static bool on_shift(bool one, struct state *s, const struct horizon_step *st, size_t i, struct horizon *out)
{
	s->shifted = true;
	if (one || s->frozen)
		return false;
	return end_here(out, i, false, "step %s sends users to green while writes are accepted: blue and green have a "
			"database each, and what is written to one is not in the other; freeze before it", st->name);
}

static bool on_update(bool one, struct state *s, const struct horizon_step *st, size_t i, struct horizon *out)
{
	s->updated = true;
	if (one)
		return end_here(out, i, false, "step %s changes the tables that blue is using", st->name);
	if (!s->frozen)
		return end_here(out, i, false, "step %s updates the copy while blue accepts writes: replication breaks at "
				"the first of them; freeze before it", st->name);
	return false;
}

static bool without_update(struct horizon *out, size_t i)
{
	return end_here(out, i, false, "no step updates green's copy of the database, and green needs other tables");
}

static bool on_unfreeze(bool one, struct state *s, const struct horizon_step *st, size_t i, struct horizon *out)
{
	s->frozen = false;
	if (one || !s->shifted)
		return false;
	if (!s->updated)
		return without_update(out, i);
	return end_here(out, i, true, "after step %s, edits are in green's database only: going back would lose them", st->name);
}

/* True: the horizon is here. */
static bool meets_end(bool one, struct state *s, const struct horizon_step *st, size_t i, struct horizon *out)
{
	switch (st->act) {
	case HORIZON_FREEZE:
		s->frozen = true;
		return false;
	case HORIZON_SHIFT:
		return on_shift(one, s, st, i, out);
	case HORIZON_UPDATE:
		return on_update(one, s, st, i, out);
	case HORIZON_IN_PLACE:
		return end_here(out, i, false, "step %s changes the tables that blue is using: blue does not work on them "
				"afterwards", st->name);
	case HORIZON_UNFREEZE:
		return on_unfreeze(one, s, st, i, out);
	case HORIZON_RETIRE:
		return end_here(out, i, true, "after step %s there is no blue to go back to", st->name);
	default:
		return false;
	}
}

void schema_horizon(enum schema_sharing kind, const struct horizon_step *step, size_t n, struct horizon *out)
{
	struct state s = { 0 };
	bool one = kind == SHARING_SHARED;

	*out = (struct horizon){ .sound = true };
	if (kind == SHARING_IMPOSSIBLE) {
		end_here(out, 0, false, "these versions cannot follow each other on this database");
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (meets_end(one, &s, &step[i], i, out))
			return;
	if (!one && !s.updated && s.shifted)
		without_update(out, n);
	else
		end_here(out, n, true, "the way back is free until the end");
}

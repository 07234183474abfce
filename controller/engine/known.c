/* engine/known.c - what may be said of where traffic is.
 *
 * Each claim rests on a line of the journal: "proved" on a `proved` line, the
 * rule's weights on the newest line that tells what AWS said. What nobody asked
 * is not known, and never 0 or 100 %. */
#include "engine/run.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>

double run_green_share(const struct run *r)
{
	const struct run_traffic *t = &r->traffic;
	int blue = t->seen_blue > 0 ? t->seen_blue : 0, green = t->seen_green > 0 ? t->seen_green : 0;

	if (!t->seen)
		return -1;
	return blue + green ? (double)green / (blue + green) : 0;
}

/* -1 in the fold: the rule does not name that group. */
static void known_weight(int weight, char out[24])
{
	snprintf(out, 24, "%d", weight);
	if (weight < 0)
		snprintf(out, 24, "not named");
}

void run_say_seen(const struct run *r, char out[120])
{
	const struct run_traffic *t = &r->traffic;
	char when[21], blue[24], green[24];

	if (!t->seen) {
		snprintf(out, 120, "AWS has not answered");
		return;
	}
	clock_iso(t->seen, when);
	known_weight(t->seen_blue, blue);
	known_weight(t->seen_green, green);
	snprintf(out, 120, "AWS last said: blue %s, green %s (%s)", blue, green, when);
}

enum run_knowledge run_knows_back(const struct run *r)
{
	if (r->proved)
		return KNOWN_PROVED;
	return !r->traffic.raised && r->traffic.seen && r->traffic.seen_green <= 0 ? KNOWN_RULE : KNOWN_NOTHING;
}

void run_say_back(const struct run *r, char out[240])
{
	char when[21], seen[120];

	switch (run_knows_back(r)) {
	case KNOWN_PROVED:
		snprintf(out, 240, "traffic is proved on blue");
		return;
	case KNOWN_RULE:
		clock_iso(r->traffic.seen, when);
		snprintf(out, 240, "green never had weight in this attempt; the rule gave it none at %s", when);
		return;
	case KNOWN_NOTHING:
		run_say_seen(r, seen);
		snprintf(out, 240, "%s; where traffic is was not proved: %s", r->traffic.raised ? "green had weight" :
			 "this attempt gave green no weight", seen);
		return;
	}
}

json_t *run_traffic_json(const struct run *r)
{
	static const char *const knows[] = { [KNOWN_NOTHING] = "nothing", [KNOWN_RULE] = "the rule", [KNOWN_PROVED] = "proved" };
	const struct run_traffic *t = &r->traffic;
	json_t *o = json_pack("{s:b, s:b, s:s, s:i, s:i, s:I}", "known", t->seen != 0, "foreign", t->foreign != 0, "free_of_green",
			      knows[run_knows_back(r)], "blue", t->seen_blue, "green", t->seen_green, "at", (json_int_t)t->seen);
	static const char *const unread[] = { "blue", "green", "at" };

	for (size_t i = 0; !t->seen && i < COUNT(unread); i++)
		json_object_set_new(o, unread[i], json_null());
	return o;
}

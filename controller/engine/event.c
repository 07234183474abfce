#include "engine/event.h"

#include "base/buf.h"

#include <string.h>

static const char *const names[EVENT_KINDS] = {
	[EVENT_UNKNOWN] = "?",
	[EVENT_START] = "start",
	[EVENT_CLAIM] = "claim",
	[EVENT_ORDER] = "order",
	[EVENT_ASKS] = "asks",
	[EVENT_BEGIN] = "begin",
	[EVENT_INTEND] = "intend",
	[EVENT_DONE] = "done",
	[EVENT_FAILED] = "failed",
	[EVENT_UNDONE] = "undone",
	[EVENT_NOTE] = "note",
	[EVENT_BASELINE] = "baseline",
	[EVENT_WRITE] = "write",
	[EVENT_UNSURE] = "unsure",
	[EVENT_WEIGHTS] = "weights",
	[EVENT_FOREIGN] = "foreign",
	[EVENT_VERDICT] = "verdict",
	[EVENT_HISTORY] = "history",
	[EVENT_ARMED] = "armed",
	[EVENT_PROVED] = "proved",
	[EVENT_CALL] = "call",
	[EVENT_BACK] = "back",
	[EVENT_PROMOTED] = "promoted",
	[EVENT_REFUSED] = "refused",
	[EVENT_STOPPED] = "stopped",
	[EVENT_FROZEN] = "frozen",
	[EVENT_ROLLED_BACK] = "rolled-back",
	[EVENT_ATTEMPT] = "attempt",
	[EVENT_TROUBLE] = "trouble",
	[EVENT_CLOCK] = "clock",
};

const char *event_name(enum event_kind k)
{
	return names[(unsigned)k < EVENT_KINDS ? k : EVENT_UNKNOWN];
}

enum event_kind event_by_name(const char *name)
{
	for (int k = EVENT_UNKNOWN + 1; k < EVENT_KINDS; k++)
		if (!strcmp(names[k], name))
			return (enum event_kind)k;
	return EVENT_UNKNOWN;
}

/* cli/stacks_say.c - the events of `cutover stacks` as lines for people. */
#include "base/buf.h"
#include "cli/stacks.h"

#include <stdio.h>
#include <string.h>

static const char *text(const json_t *o, const char *key) { return json_str(o, key, ""); }

/* Names between commas of a list of texts; caller frees. */
static char *listed(const json_t *list)
{
	autobuf struct buf out = BUF_MAX(4096);
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
		buf_addf(&out, "%s%s", i ? ", " : "", json_string_value(v) ? json_string_value(v) : "?");
	return buf_take(&out);
}

/* --- plan --------------------------------------------------------------------------------- */

static const struct { const char *action, *replacement, *sign; } signs[] = {
	{ "Add", NULL, "+" }, { "Remove", NULL, "-" }, { "Modify", "True", "!" }, { "Modify", "Conditional", "?" },
	{ "Modify", NULL, "~" },
};

static const char *sign_of(const json_t *change)
{
	for (size_t i = 0; i < COUNT(signs); i++)
		if (!strcmp(signs[i].action, text(change, "action")) &&
		    (!signs[i].replacement || !strcmp(signs[i].replacement, text(change, "replacement"))))
			return signs[i].sign;
	return "*";
}

static void say_change(const json_t *change)
{
	autofree char *names = listed(json_object_get(change, "properties"));
	const char *harm = json_str(change, "harm", NULL);

	printf("    %s %-28s %s%s%s%s\n", sign_of(change), text(change, "logical"), text(change, "type"), *names ? " (" : "", names,
	       *names ? ")" : "");
	if (harm)
		printf("      %s: this would %s it%s\n", json_yes(change, "allowed") ? "allowed" : "REFUSED", harm,
		       json_yes(change, "allowed") ? "" : "; name it with --may-replace if that is meant");
}

static void say_plan(const json_t *ev)
{
	const json_t *waits = json_object_get(ev, "waits_for");
	size_t more = json_array_size(waits), i;
	json_t *v;

	printf("%-9s  %-24s %s\n", text(ev, "action"), text(ev, "stack"), text(ev, "about"));
	if (more == 1)
		printf("    its changes can be shown when %s is there\n", json_string_value(json_array_get(waits, 0)));
	if (more > 1)
		printf("    its changes can be shown when %s and %zu more are there\n", json_string_value(json_array_get(waits, 0)), more - 1);
	json_array_foreach(json_object_get(ev, "changes"), i, v)
		say_change(v);
}

/* --- the rest ------------------------------------------------------------------------------- */

static void say_done(const json_t *ev)
{
	printf("done       %-24s %s\n", text(ev, "stack"), json_yes(ev, "changed") ? text(ev, "status") : "nothing to change");
}

static void say_executing(const json_t *ev)
{
	printf("executing  %-24s %s\n", text(ev, "stack"), json_yes(ev, "creates") ? "it is made" : "it is updated");
}

static void say_rule(const json_t *ev)
{
	printf("rule       %s%s\n", *text(ev, "rule") ? text(ev, "rule") : "the production rule is not there",
	       json_yes(ev, "made") ? " (made; from now on only runs change its weights)" : "");
}

static void say_saying(const json_t *ev)
{
	printf("%-9s  %-24s %s%s\n", text(ev, "what"), text(ev, "stack"), text(ev, "saying"), text(ev, "why"));
}

static void say_removed(const json_t *ev)
{
	printf("deleting   %-24s %s\n", "the production rule", text(ev, "rule"));
}

static void say_resource(const json_t *row)
{
	size_t i;
	json_t *v;

	printf("    %-28s %s %s\n", text(row, "logical"), text(row, "type"), text(row, "status"));
	json_array_foreach(json_object_get(row, "differences"), i, v)
		printf("      %s\n", json_string_value(v));
}

static void say_status(const json_t *ev)
{
	size_t i;
	json_t *v;

	printf("%-24s %-18s %-9s %s\n", text(ev, "stack"), text(ev, "status"), text(ev, "drift"), text(ev, "about"));
	if (*text(ev, "why"))
		printf("    %s\n", text(ev, "why"));
	json_array_foreach(json_object_get(ev, "resources"), i, v)
		say_resource(v);
}

static const struct { const char *what; void (*say)(const json_t *ev); } words[] = {
	{ "plan", say_plan }, { "executing", say_executing }, { "done", say_done }, { "rule", say_rule },
	{ "rule removed", say_removed }, { "status", say_status },
};

void stacks_say(const json_t *event)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (!strcmp(words[i].what, text(event, "what"))) {
			words[i].say(event);
			return;
		}
	say_saying(event);
}

/* cli/say.h - events and runs as text for people. */
#ifndef CUTOVER_CLI_SAY_H
#define CUTOVER_CLI_SAY_H

#include "base/buf.h"
#include "base/json.h"

#include <stdbool.h>

struct engine;
struct event;
struct run;

/* One line without newline, "02:14:07 weights   blue 75 %, green 25 % (AWS confirms)";
 * of an order also what became of it, when r, which may be NULL, has that line.
 * False, and nothing added, for lines only machines read. */
bool say_event(const struct run *r, const struct event *ev, struct buf *out);
char *say_event_json(const struct run *r, const struct event *ev); /* one line; caller frees */
/* The living screen's lines; saying: what the current step waits for. */
void say_screen(const struct run *r, const char *saying, long long now, bool color, struct buf *out);
/* Where it stands, for one line: "going forward, step 3 of 7: to-25 (shift)". */
void say_now(const struct run *r, struct buf *out);
json_t *say_now_json(const struct run *r); /* {"step", "do", "place", "of"}; NULL: it is at no step */
/* Who drives it, "HOST, pid 5156"; or "nobody". */
void say_holder(const struct run *r, struct buf *out);
/* What became of it: two or three lines. */
void say_outcome(const struct run *r, struct buf *out);
#endif

/* cli/follow.h - shows a run that another process drives. Ctrl-C, SIGTERM and a
 * lost terminal leave it, and nothing of them is remembered: the run goes on. */
#ifndef CUTOVER_CLI_FOLLOW_H
#define CUTOVER_CLI_FOLLOW_H

#include "cli/cli.h"

#include <stdint.h>

struct run;
struct screen;

enum follow_end {
	FOLLOW_ERROR = -1,
	FOLLOW_OVER,   /* what was waited for holds, or never will: the run is over */
	FOLLOW_TIME,   /* is up */
	FOLLOW_NOBODY, /* drives it any more */
	FOLLOW_LEFT,   /* it is driven, and whoever looked on wants to leave */
};
#define FOLLOW_KEYS "Ctrl-C: leaves, the run goes on"

struct follow {
	struct run *run;
	struct screen *screen;
	int64_t until; /* mono ms; 0: no limit */
	bool (*holds)(const struct run *r); /* what is waited for; run_is_over: to the end */
	void (*show)(struct follow *f);
	void *ctx;     /* show's own */
};
void follow_show(struct follow *f); /* as `watch` does */
/* After signals_follow(). */
enum follow_end follow(struct follow *f, struct err *e);
/* Says how it ended; gives the exit code. */
int follow_said(struct screen *sc, const struct run *r, enum follow_end end, const struct err *e);
/* Shows a run somebody else drives until it is over. */
int follow_run(const struct cli *c, struct store *s, const char *run);
#endif

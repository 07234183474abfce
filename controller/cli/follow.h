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
	FOLLOW_OVER,   /* the run is */
	FOLLOW_TIME,   /* is up */
	FOLLOW_NOBODY, /* drives it any more */
	FOLLOW_LEFT,   /* it is driven, and whoever looked on wants to leave */
};
#define FOLLOW_KEYS "Ctrl-C: leaves, the run goes on"

/* until: mono ms, 0: no limit. After signals_follow(). */
enum follow_end follow(struct run *r, struct screen *sc, int64_t until, struct err *e);
/* Says how it ended; gives the exit code. */
int follow_said(struct screen *sc, const struct run *r, enum follow_end end, const struct err *e);
/* Shows a run somebody else drives until it is over. */
int follow_run(const struct cli *c, struct store *s, const char *run);
#endif

/* cli/follow.h - shows a run that another process drives. */
#ifndef CUTOVER_CLI_FOLLOW_H
#define CUTOVER_CLI_FOLLOW_H

#include "cli/cli.h"

#include <stdint.h>

struct run;
struct screen;

/* Shows the run while somebody drives it. until: mono ms, 0: no limit. 1: nobody
 * does any more; 0: over, or the time is up. */
int follow(struct run *r, struct screen *sc, int64_t until, struct err *e);
/* Shows a run somebody else drives until it is over. timeout_ms 0: no limit. */
int follow_run(const struct cli *c, struct store *s, const char *run, long long timeout_ms);
#endif

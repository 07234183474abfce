/* cli/signals.h - Ctrl-C, SIGTERM and SIGHUP: counted here, obeyed by who shows
 * or drives a run. What they mean depends on that, so a mode begins without any. */
#ifndef CUTOVER_CLI_SIGNALS_H
#define CUTOVER_CLI_SIGNALS_H

#include <stdbool.h>

struct engine;

/* From here on this process only looks on: any of them means "leave". What `en`
 * waits for is given up at once then (NULL: there is no engine). */
void signals_follow(struct engine *en);
/* From here on it drives; a lost terminal is no signal any more. */
void signals_drive(struct engine *en);
void signals_release(void); /* the engine is going away */

bool signals_leave(void);     /* following: somebody wants to leave */
int signals_interrupts(void); /* driving: how often Ctrl-C was pressed; two within half a second are one */
bool signals_terminated(void);
extern volatile int signals_came; /* nonzero when there is something to look at; the reader clears it */
#endif

/* cli/screen.h - what is shown of a run: a living screen on a terminal, else
 * one line an event, or a JSON object a line. */
#ifndef CUTOVER_CLI_SCREEN_H
#define CUTOVER_CLI_SCREEN_H

#include "cli/cli.h"

#include <stdint.h>

struct run;

struct screen {
	const struct cli *cli;
	struct store *store;
	struct clock *clock;
	int64_t shown;    /* newest event printed */
	int lines;        /* of the living screen, to go up again */
	char said[200];   /* without a screen: what was last said to be waited for */
	int64_t said_at;
};


bool screen_is_living(const struct cli *c); /* redrawn, not written on */
/* saying: what the current step waits for; "" when nobody here knows. */
void screen_show(struct screen *sc, const struct run *r, const char *saying);
/* The last picture and what became of the run; gives its exit code. */
int screen_end(struct screen *sc, const struct run *r);
/* That nobody drives it, and what to do about it; gives the exit code. */
int screen_nobody(const struct run *r);
#endif

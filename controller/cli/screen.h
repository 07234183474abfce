/* cli/screen.h - what is shown of a run: a living screen on a terminal, else
 * one line an event, or a JSON object a line. Showing never waits (cli/out.h):
 * lines that nobody takes are given again later, from the journal. */
#ifndef CUTOVER_CLI_SCREEN_H
#define CUTOVER_CLI_SCREEN_H

#include "cli/cli.h"

#include <stdint.h>

struct run;

struct screen {
	const struct cli *cli;
	struct store *store;
	struct clock *clock;
	const char *keys; /* what Ctrl-C does here; a string that stays */
	char notice[400]; /* what is wrong here, beside the run; "" */
	bool for_show;    /* this process has no other use: it may end when nobody reads */
	const struct run *run; /* while its events are printed */
	int64_t shown;    /* newest event printed */
	char said[200];   /* without a screen: what was last said to be waited for */
	int64_t said_at;
};

/* Printing is a matter of other threads from here on. */
void screen_open(struct screen *sc, const struct cli *c, struct store *s);
bool screen_is_living(const struct cli *c); /* redrawn, not written on */
/* saying: what the current step waits for; "" when nobody here knows. */
void screen_show(struct screen *sc, const struct run *r, const char *saying);
/* The last picture and what became of the run; gives its exit code. */
int screen_end(struct screen *sc, const struct run *r);
/* That nobody drives it, and what to do about it; gives the exit code. */
int screen_nobody(const struct run *r);
/* That this process leaves, and who drives on; gives the exit code. */
int screen_left(const struct run *r);
#endif

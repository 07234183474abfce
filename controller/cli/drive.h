/* cli/drive.h - drives a run from this process and shows it. */
#ifndef CUTOVER_CLI_DRIVE_H
#define CUTOVER_CLI_DRIVE_H

#include "cli/cli.h"

struct cli;
struct store;

/* Claims the run and drives it to its end; gives the exit code. With
 * `if_free`, a run that a living process drives is followed instead. */
int drive_run(const struct cli *c, struct store *s, const char *run, bool if_free);
#endif

/* cli/settings.h - `--set NAME=VALUE`: other settings of the judge. */
#ifndef CUTOVER_CLI_SETTINGS_H
#define CUTOVER_CLI_SETTINGS_H

#include "cli/cli.h"
#include "judge/sequential.h"

/* The option's row, for the tables of commands. */
#define SETTINGS_OPTION { "set", "NAME=VALUE", "another value for a setting of the judge; may be given several times" }

/* Takes all --set into *t: names of the judge (judge/tuning.c), also with
 * "watch.judge." or "watch.judge.settings." before them, and the plan's own
 * false_rollback, missed and harm. 0, or the exit code, the reason said. */
int settings_take(const struct cli *c, struct judge_tuning *t);
void settings_print(const struct judge_tuning *t);
#endif

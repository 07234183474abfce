/* cli/load.h - a plan named on the command line. */
#ifndef CUTOVER_CLI_LOAD_H
#define CUTOVER_CLI_LOAD_H

struct cli;
struct plan;

/* 0 and *out (plan_free); else every error is on stderr, as JSON on stdout when
 * that was asked for, and the exit code is returned. */
int load_plan(const struct cli *c, struct plan **out);
#endif

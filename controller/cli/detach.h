/* cli/detach.h - a driver in the background. SQLite must not cross a fork: no
 * journal may be open where one is made. */
#ifndef CUTOVER_CLI_DETACH_H
#define CUTOVER_CLI_DETACH_H

#include <stdbool.h>
#include <sys/types.h>

struct cli;
struct err;

/* Starts a process of its own session that drives the run; it leaves without a
 * word when somebody else turns out to. Gives its pid; -1: there is none. */
pid_t detach_driver(struct cli *c, const char *run);

/* Waits until it holds the run, or need not: 0. -1: it has ended, or could not
 * claim the run in time, and nobody drives; e says which. */
int detach_await(const struct cli *c, const char *run, pid_t pid, bool tells, struct err *e); /* tells: who drives, on stderr */

/* For an order that nobody waits for: somebody has to carry it out. needs: by
 * itself it does not happen. Gives the exit code, and says on standard error
 * what is not as expected. */
int detach_hand_over(struct cli *c, const char *run, bool needs);
#endif

/* cli/out.h - printing that is never waited for.
 *
 * A terminal stopped with Ctrl-S, an ssh whose peer is gone and a pipe that
 * nobody reads take nothing, and who writes there waits, perhaps for ever. What
 * drives a run must not: from out_open() on, threads of their own write, from
 * queues with a limit. Signals stay with the caller's thread. */
#ifndef CUTOVER_CLI_OUT_H
#define CUTOVER_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once a process, before anything that may not wait. */
void out_open(void);

/* One line, without its newline, to standard output; lines keep their order.
 * False: there is no room until somebody reads, and the line was not taken. */
bool out_line(const char *text);
/* The living screen: `lines` lines that replace the picture before. One that
 * nobody has begun to write is given up for this one. */
void out_picture(const char *text, size_t lines);
/* To standard error, and after what standard output was given before (unless
 * that is stuck); also without out_open(). */
void out_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Waits until all that was printed has been taken. False: nothing at all was
 * taken for `ms`. Nobody may be driving now. */
bool out_settle(int64_t ms);
/* Nobody reads standard output any more (EPIPE). */
bool out_is_unread(void);

/* At the end of the process: waits a little for what is still to be printed.
 * 0, or the errno for which something could not be written. */
int out_close(void);
#endif

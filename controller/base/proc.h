/* proc.h - runs another program: no shell, a clean environment, a time limit.
 *
 * The child leads its own process group, and the whole group is killed when
 * the time is over, when the leader has ended, and when this process has ended,
 * however that came: nothing it started outlives it. What remains is only what
 * went and made a process group or a session of its own (setsid, a daemon).
 * stdout and stderr come together. It gets no file of ours but those three.
 * Time here is real time, also under a simulated clock: the program is real. */
#ifndef CUTOVER_BASE_PROC_H
#define CUTOVER_BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct proc_result {
	int status;     /* exit code; 128 + signal when a signal ended it */
	bool timed_out; /* we killed it */
	char *out;      /* NUL-terminated, never NULL after success; may hold any bytes */
	size_t nout;
	bool capped;    /* it wrote more than the cap: out is the beginning */
	char *errs;     /* its stderr when that was asked for apart, else "" */
};
void proc_result_free(struct proc_result *r);
#define autoproc __attribute__((cleanup(proc_result_free)))

/* argv and envp end with NULL; argv[0] without '/' is looked for in our PATH.
 * in: text for its stdin; NULL: /dev/null. 0 when it could be started, whatever
 * became of it (see *r); -1 when it could not: ERR_GONE (no such program),
 * ERR_DENIED (not executable), ERR_INPUT. */
int proc_run(const char *const *argv, const char *const *envp, const char *in, int64_t timeout_ms,
	     size_t cap, struct proc_result *r, struct err *e);

/* stderr goes to r->errs (the same cap), so that out is only what it answers. */
int proc_run_apart(const char *const *argv, const char *const *envp, const char *in,
		   int64_t timeout_ms, size_t cap, struct proc_result *r, struct err *e);

/* The same in pieces, for callers that must not block: start it, look at it
 * from time to time, end it. */
struct proc;
int proc_start(const char *const *argv, const char *const *envp, const char *in, size_t cap,
	       struct proc **out, struct err *e);
/* Collects output for up to wait_ms; true when the program has ended. */
bool proc_poll(struct proc *p, int64_t wait_ms);
/* Kills what still lives (then r->timed_out), fills *r, frees p. r may be NULL. */
void proc_end(struct proc *p, struct proc_result *r);
#endif

#include "cli/detach.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/drive.h"
#include "cli/driven.h"
#include "cli/out.h"
#include "cli/say.h"
#include "engine/engine.h"
#include "steps/registry.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DETACH_LOOK_MS 100
#define DETACH_CLAIM_MS 15000                    /* on a busy machine, with a journal that others write, too */
#define DETACH_LIFE_MS (ENGINE_BEAT_MS + 2500)   /* a living driver gives a sign in it */

/* --- starting ----------------------------------------------------------------------------- */

/* The child leads its own session: a closed terminal does not reach it. Nothing
 * that whoever started us reads from may stay open because of it. */
static void detach_leave(void)
{
	int null;

	setsid();
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	close_range(3, ~0U, 0);
}

static int detach_drive(struct cli *c, const char *run)
{
	autostore struct store *s = NULL;
	struct err e = { 0 };

	detach_leave();
	c->tty = c->color = false;
	return cli_store(c, &s, &e) ? CUTOVER_EXIT_INTERNAL : drive_run(c, s, run, false);
}

pid_t detach_driver(struct cli *c, const char *run)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(detach_drive(c, run));
	return pid;
}

/* --- does it drive? ------------------------------------------------------------------------ */

struct standing {
	struct store *store;
	struct run *run;
};

static void detach_close(struct standing *at)
{
	run_free(at->run);
	store_close(at->store);
}
#define autostanding __attribute__((cleanup(detach_close)))

static int detach_open(const struct cli *c, const char *run, struct standing *at, struct err *e)
{
	if (cli_store(c, &at->store, e) || run_load(at->store, run, step_kinds, &at->run, e))
		return -1;
	clock_real.wake_fd = store_watch_fd(at->store);
	return 0;
}

static int detach_nap(struct standing *at, struct err *e)
{
	clock_sleep(&clock_real, DETACH_LOOK_MS);
	store_watch_clear(at->store);
	return run_catch_up(at->run, at->store, e);
}

static int detach_ended(const struct run *r, int status, struct err *e)
{
	if (run_is_over(r) || driven_look(r) != DRIVEN_NO)
		return 0;
	return err_set(e, ERR_STORE, "the driver that was started for run %s ended at once, with exit code %d", r->id,
		       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Of several that were started at once, one drives. */
static void detach_tell_whose(const struct run *r, pid_t pid)
{
	autobuf struct buf who = BUF_MAX(256);
	char host[64];
	long holder;

	if (run_is_over(r) || !engine_holder_place(r, host, &holder))
		return;
	if (holder == pid) {
		out_error("cutover: nobody drove run %s: a driver was started for it, pid %ld\n", r->id, holder);
		return;
	}
	say_holder(r, &who);
	out_error("cutover: nobody drove run %s: it is driven by %s now\n", r->id, who.p);
}

int detach_await(const struct cli *c, const char *run, pid_t pid, bool tells, struct err *e)
{
	autostanding struct standing at = { 0 };
	int64_t until = clock_mono(&clock_real) + DETACH_CLAIM_MS;
	int status;

	if (detach_open(c, run, &at, e))
		return -1;
	while (clock_mono(&clock_real) < until) {
		if (run_is_over(at.run) || driven_look(at.run) != DRIVEN_NO) {
			if (tells)
				detach_tell_whose(at.run, pid);
			return 0;
		}
		if (waitpid(pid, &status, WNOHANG) == pid)
			return run_catch_up(at.run, at.store, e) ? -1 : detach_ended(at.run, status, e);
		if (detach_nap(&at, e))
			return -1;
	}
	return err_set(e, ERR_STORE, "the driver that was started for run %s (pid %ld) could not claim it within %d s", run, (long)pid,
		       DETACH_CLAIM_MS / 1000);
}

/* --- handing over ---------------------------------------------------------------------------- */

enum detach_life { DETACH_ALIVE, DETACH_SILENT, DETACH_NOBODY };

/* What only a driver writes, after the newest order: it has been seen. */
static int detach_see_line(void *answered, const struct event *ev)
{
	*(bool *)answered = event_kind_of(ev) != EVENT_ORDER;
	return 0;
}

static int detach_look(struct standing *at, enum detach_life *life, struct err *e)
{
	int64_t until = clock_mono(&clock_real) + DETACH_LIFE_MS;
	struct pulse p = { 0 };
	bool answered = false;

	while (clock_mono(&clock_real) < until) {
		*life = DETACH_NOBODY;
		if (!run_is_over(at->run) && !driven_feel(&p, at->run, at->store))
			return 0;
		*life = DETACH_ALIVE;
		if (store_read(at->store, at->run->id, at->run->claim_seq, detach_see_line, &answered, e))
			return -1;
		if (answered || p.seen || run_is_over(at->run))
			return 0;
		if (detach_nap(at, e))
			return -1;
	}
	*life = DETACH_SILENT;
	return 0;
}

static int detach_nobody(const char *run)
{
	out_error("cutover: nobody drives run %s: nothing happens until `cutover resume %s` or `cutover rollback %s` runs without --no-wait\n",
		  run, run, run);
	return CUTOVER_EXIT_RUNNING;
}

static int detach_start(struct cli *c, const char *run, enum detach_life life)
{
	pid_t pid = detach_driver(c, run);
	struct err e = { 0 };

	if (pid < 0 || (life == DETACH_NOBODY && detach_await(c, run, pid, true, &e))) {
		out_error("cutover: %s\n", pid < 0 ? "no process could be started" : e.msg);
		return detach_nobody(run);
	}
	if (life != DETACH_NOBODY)
		out_error("cutover: the driver of run %s gives no sign of life: another was started, pid %ld, and drives when its lease is over\n",
			  run, (long)pid);
	return CUTOVER_EXIT_OK;
}

static int detach_find(const struct cli *c, const char *run, bool wait, enum detach_life *life, struct err *e)
{
	autostanding struct standing at = { 0 };

	if (detach_open(c, run, &at, e))
		return -1;
	if (wait)
		return detach_look(&at, life, e);
	*life = run_is_over(at.run) || driven_look(at.run) != DRIVEN_NO ? DETACH_ALIVE : DETACH_NOBODY;
	return 0;
}

int detach_hand_over(struct cli *c, const char *run, bool needs)
{
	enum detach_life life;
	struct err e = { 0 };

	if (detach_find(c, run, needs, &life, &e))
		return cli_fail(&e);
	if (life == DETACH_ALIVE)
		return CUTOVER_EXIT_OK;
	return needs ? detach_start(c, run, life) : detach_nobody(run);
}

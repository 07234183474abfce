#include "base/proc.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 20 /* how often to look where the kernel has no pidfd */

struct proc {
	pid_t pid;
	int out, pidfd; /* -1: closed, or none */
	bool capped;
	struct buf text;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
#define autofd __attribute__((cleanup(close_fd)))

static enum err_kind kind_of(int err)
{
	return err == ENOENT ? ERR_GONE : err == EACCES || err == EPERM ? ERR_DENIED : ERR_INPUT;
}

static int handed_over(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

/* A file in memory: unlike a pipe it cannot block us or raise SIGPIPE. */
static int stdin_of(const char *in, struct err *e)
{
	autofd int fd = in ? memfd_create("stdin", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	size_t left = in ? strlen(in) : 0;

	while (fd >= 0 && left) {
		ssize_t put = write(fd, in, left);

		if (put < 0)
			break;
		in += put;
		left -= (size_t)put;
	}
	if (fd < 0 || left || (in && lseek(fd, 0, SEEK_SET) < 0))
		return err_set(e, ERR_INPUT, "cannot prepare the program's input: %s", strerror(errno));
	return handed_over(&fd);
}

/* posix_spawn tells us when exec fails, which fork would have to send through a pipe. */
static int spawn(pid_t *pid, int in, int out, const char *const *argv, const char *const *envp)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, out, 2);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawnp(pid, argv[0], &files, &attr, (char *const *)argv, (char *const *)envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

int proc_start(const char *const *argv, const char *const *envp, const char *in, size_t cap,
	       struct proc **out, struct err *e)
{
	autofd int from = stdin_of(in, e), rd = -1, wr = -1;
	int ends[2], rc;
	struct proc *p;
	pid_t pid;

	if (from < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC))
		return err_set(e, ERR_INPUT, "cannot run %s: %s", argv[0], strerror(errno));
	rd = ends[0];
	wr = ends[1];
	fcntl(rd, F_SETFL, O_NONBLOCK);
	rc = spawn(&pid, from, wr, argv, envp);
	if (rc)
		return err_set(e, kind_of(rc), "cannot run %s: %s", argv[0], strerror(rc));
	p = xmalloc(sizeof *p);
	*p = (struct proc){ .pid = pid, .out = handed_over(&rd), .pidfd = pidfd_open(pid, 0),
			    .text = BUF_MAX(cap) };
	*out = p;
	return 0;
}

/* Takes what fits and throws the rest away: a program must not hang because it talks much. */
static void keep(struct proc *p, const char *s, size_t n)
{
	size_t room = p->text.max - p->text.len;

	if (n > room)
		p->capped = true;
	buf_add(&p->text, s, n > room ? room : n);
}

static void collect(struct proc *p)
{
	char piece[8192];

	/* bounded, so that an endless talker does not keep us from its time limit */
	for (int i = 0; p->out >= 0 && i < 64; i++) {
		ssize_t got = read(p->out, piece, sizeof piece);

		if (got > 0)
			keep(p, piece, (size_t)got);
		else if (got == 0)
			close_fd(&p->out);
		else if (errno != EINTR)
			return;
	}
}

/* Looks without reaping: until it is reaped its process group id stays ours to kill. */
static bool has_ended(const struct proc *p)
{
	siginfo_t i = { .si_pid = 0 };

	return waitid(P_PID, (id_t)p->pid, &i, WEXITED | WNOHANG | WNOWAIT) || i.si_pid == p->pid;
}

bool proc_poll(struct proc *p, int64_t wait_ms)
{
	int64_t until = clock_mono(&clock_real) + wait_ms;

	for (;;) {
		bool ended = has_ended(p);
		int64_t left = until - clock_mono(&clock_real);
		struct pollfd f[2] = { { .fd = p->out, .events = POLLIN },
				       { .fd = p->pidfd, .events = POLLIN } };

		collect(p);
		if (ended || left <= 0)
			return ended;
		if (p->pidfd < 0 && left > LOOK_MS)
			left = LOOK_MS;
		poll(f, 2, left > 60000 ? 60000 : (int)left);
	}
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void proc_end(struct proc *p, struct proc_result *r)
{
	bool ended = has_ended(p);
	int status;

	kill(-p->pid, SIGKILL);
	status = reap(p->pid);
	collect(p);
	if (r) {
		*r = (struct proc_result){ .status = status, .timed_out = !ended,
					   .capped = p->capped, .nout = p->text.len };
		r->out = buf_take(&p->text);
	}
	close_fd(&p->out);
	close_fd(&p->pidfd);
	buf_free(&p->text);
	free(p);
}

int proc_run(const char *const *argv, const char *const *envp, const char *in, int64_t timeout_ms,
	     size_t cap, struct proc_result *r, struct err *e)
{
	struct proc *p;

	if (proc_start(argv, envp, in, cap, &p, e))
		return -1;
	proc_poll(p, timeout_ms);
	proc_end(p, r);
	return 0;
}

void proc_result_free(struct proc_result *r)
{
	free(r->out);
	r->out = NULL;
	r->nout = 0;
}

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

struct stream {
	int fd; /* -1: closed, or none */
	bool capped;
	struct buf text;
};

struct proc {
	pid_t pid;
	int pidfd; /* -1: the kernel has none */
	struct stream out, errs;
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
static int spawn(pid_t *pid, const int fd[3], const char *const *argv, const char *const *envp)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&files, fd[i], i);
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

/* The reading end goes to s, the other is returned; -1 when there is no pipe. */
static int pipe_into(struct stream *s, size_t cap)
{
	int ends[2];

	*s = (struct stream){ .fd = -1, .text = BUF_MAX(cap) };
	if (pipe2(ends, O_CLOEXEC))
		return -1;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	s->fd = ends[0];
	return ends[1];
}

static void proc_free(struct proc *p)
{
	close_fd(&p->out.fd);
	close_fd(&p->errs.fd);
	close_fd(&p->pidfd);
	buf_free(&p->out.text);
	buf_free(&p->errs.text);
	free(p);
}

static int start(const char *const *argv, const char *const *envp, const char *in, size_t cap,
		 bool apart, struct proc **out, struct err *e)
{
	struct proc *p = xmalloc(sizeof *p);
	autofd int from = stdin_of(in, e), to = -1, errs = -1;
	int rc;

	*p = (struct proc){ .pidfd = -1, .out.fd = -1, .errs.fd = -1 };
	if (from < 0)
		return proc_free(p), -1;
	to = pipe_into(&p->out, cap);
	errs = apart ? pipe_into(&p->errs, cap) : -1;
	rc = to < 0 || (apart && errs < 0) ? errno :
	     spawn(&p->pid, (int[]){ from, to, apart ? errs : to }, argv, envp);
	if (rc) {
		proc_free(p);
		err_set(e, kind_of(rc), "cannot run %s: %s", argv[0], strerror(rc));
		return -1;
	}
	p->pidfd = pidfd_open(p->pid, 0);
	*out = p;
	return 0;
}

int proc_start(const char *const *argv, const char *const *envp, const char *in, size_t cap,
	       struct proc **out, struct err *e)
{
	return start(argv, envp, in, cap, false, out, e);
}

/* Takes what fits and throws the rest away: a program must not hang because it talks much. */
static void keep(struct stream *s, const char *p, size_t n)
{
	size_t room = s->text.max - s->text.len;

	if (n > room)
		s->capped = true;
	buf_add(&s->text, p, n > room ? room : n);
}

static void collect(struct stream *s)
{
	char piece[8192];

	/* bounded, so that an endless talker does not keep us from its time limit */
	for (int i = 0; s->fd >= 0 && i < 64; i++) {
		ssize_t got = read(s->fd, piece, sizeof piece);

		if (got > 0)
			keep(s, piece, (size_t)got);
		else if (got == 0)
			close_fd(&s->fd);
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
		struct pollfd f[3];

		collect(&p->out);
		collect(&p->errs);
		f[0] = (struct pollfd){ .fd = p->out.fd, .events = POLLIN };
		f[1] = (struct pollfd){ .fd = p->errs.fd, .events = POLLIN };
		f[2] = (struct pollfd){ .fd = p->pidfd, .events = POLLIN };
		if (ended || left <= 0)
			return ended;
		if (p->pidfd < 0 && left > LOOK_MS)
			left = LOOK_MS;
		poll(f, 3, left > 60000 ? 60000 : (int)left);
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
	collect(&p->out);
	collect(&p->errs);
	if (r) {
		*r = (struct proc_result){ .status = status, .timed_out = !ended,
					   .capped = p->out.capped, .nout = p->out.text.len };
		r->out = buf_take(&p->out.text);
		r->errs = buf_take(&p->errs.text);
	}
	proc_free(p);
}

static int run(const char *const *argv, const char *const *envp, const char *in, int64_t timeout_ms,
	       size_t cap, bool apart, struct proc_result *r, struct err *e)
{
	struct proc *p;

	if (start(argv, envp, in, cap, apart, &p, e))
		return -1;
	proc_poll(p, timeout_ms);
	proc_end(p, r);
	return 0;
}

int proc_run(const char *const *argv, const char *const *envp, const char *in, int64_t timeout_ms,
	     size_t cap, struct proc_result *r, struct err *e)
{
	return run(argv, envp, in, timeout_ms, cap, false, r, e);
}

int proc_run_apart(const char *const *argv, const char *const *envp, const char *in,
		   int64_t timeout_ms, size_t cap, struct proc_result *r, struct err *e)
{
	return run(argv, envp, in, timeout_ms, cap, true, r, e);
}

void proc_result_free(struct proc_result *r)
{
	free(r->out);
	free(r->errs);
	r->out = r->errs = NULL;
	r->nout = 0;
}

#include "base/proc.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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
	pid_t pid; /* of the guard */
	int pidfd; /* -1: the kernel has none */
	int life;  /* the guard sees it closed, by us or with us */
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

/* --- the guard: a process between us and the program ------------------------------------
 * We may be killed, and then nobody would end the program, nor what it has
 * started: PR_SET_PDEATHSIG reaches one process, and not a group. So somebody
 * lives as long as the program, in a group of his own, and ends its group when
 * it has ended or when we have. Between fork and exec only what is safe in a
 * signal's handler is called: other threads may hold any lock. */

struct birth {
	const char *const *argv, *const *envp;
	int fd[3];  /* the program's */
	int life;   /* end of file: we have ended, or want it ended */
	int failed; /* an errno goes there; closed when the program runs */
};

/* Where a program's files go, whatever numbers they have with us; the end for its
 * errno stays, above them. */
static int hand_over(const struct birth *b)
{
	int failed = fcntl(b->failed, F_DUPFD_CLOEXEC, 3), fd[3];

	for (int i = 0; i < 3; i++)
		fd[i] = fcntl(b->fd[i], F_DUPFD, 3);
	for (int i = 0; i < 3; i++)
		dup2(fd[i], i);
	close_range(3, (unsigned)failed - 1, 0);
	close_range((unsigned)failed + 1, ~0U, 0);
	return failed;
}

static void become_program(const struct birth *b, pid_t guard)
{
	int failed = hand_over(b);
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* should somebody kill the guard */
	if (getppid() != guard)
		_exit(127);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvpe(b->argv[0], (char *const *)b->argv, (char *const *)b->envp);
	(void)!write(failed, &errno, sizeof errno);
	_exit(127);
}

/* Looks without reaping: until it is reaped its process group id stays ours to kill. */
static bool has_ended(pid_t pid)
{
	siginfo_t i = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &i, WEXITED | WNOHANG | WNOWAIT) || i.si_pid == pid;
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* All signals are blocked: only SIGKILL ends it, and then PDEATHSIG the program. */
static void stand_guard(pid_t program)
{
	struct pollfd f[2] = { { .fd = 0, .events = POLLIN }, { .fd = pidfd_open(program, 0), .events = POLLIN } };

	while (!has_ended(program) && !f[0].revents)
		poll(f, 2, f[1].fd < 0 ? LOOK_MS : -1);
	kill(-program, SIGKILL);
	_exit(reap(program));
}

static void become_guard(const struct birth *b)
{
	pid_t guard = getpid(), program;

	setpgid(0, 0);
	signal(SIGCHLD, SIG_DFL);
	program = _Fork();
	if (!program)
		become_program(b, guard);
	if (program < 0) {
		(void)!write(b->failed, &errno, sizeof errno);
		_exit(127);
	}
	setpgid(program, program);
	dup2(b->life, 0);
	close_range(1, ~0U, 0); /* none of the program's ends, none of ours */
	stand_guard(program);
}

/* 0, or why it could not be started. */
static int spawn(pid_t *pid, struct birth *b)
{
	autofd int told = -1, failed = -1;
	sigset_t all, before;
	int ends[2], why = 0;

	if (pipe2(ends, O_CLOEXEC))
		return errno;
	told = ends[0];
	b->failed = failed = ends[1];
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	*pid = _Fork();
	if (!*pid)
		become_guard(b);
	why = *pid < 0 ? errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close_fd(&failed);
	if (why)
		return why;
	while (read(told, &why, sizeof why) < 0 && errno == EINTR)
		;
	if (why)
		reap(*pid);
	return why;
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
	close_fd(&p->life);
	buf_free(&p->out.text);
	buf_free(&p->errs.text);
	free(p);
}

static int life_line(struct proc *p)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	p->life = ends[1];
	return ends[0];
}

static int start(const char *const *argv, const char *const *envp, const char *in, size_t cap,
		 bool apart, struct proc **out, struct err *e)
{
	struct proc *p = xmalloc(sizeof *p);
	autofd int from = stdin_of(in, e), to = -1, errs = -1, life = -1;
	int rc;

	*p = (struct proc){ .pidfd = -1, .life = -1, .out.fd = -1, .errs.fd = -1 };
	if (from < 0)
		return proc_free(p), -1;
	to = pipe_into(&p->out, cap);
	errs = apart ? pipe_into(&p->errs, cap) : -1;
	life = life_line(p);
	rc = to < 0 || life < 0 || (apart && errs < 0) ? errno :
	     spawn(&p->pid, &(struct birth){ argv, envp, { from, to, apart ? errs : to }, life, -1 });
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

bool proc_poll(struct proc *p, int64_t wait_ms)
{
	int64_t until = clock_mono(&clock_real) + wait_ms;

	for (;;) {
		bool ended = has_ended(p->pid);
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

void proc_end(struct proc *p, struct proc_result *r)
{
	bool ended = has_ended(p->pid);
	int status;

	close_fd(&p->life);
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

#include "cli/out.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OUT_BYTES ((size_t)256 << 10) /* that may wait in one queue */
#define OUT_PATIENCE_MS 5000          /* at the end: for somebody to take anything */
#define OUT_AFTER_MS 1000             /* standard error waits so long for standard output */

struct out_item {
	struct out_item *next;
	char *text;
	size_t n;
	size_t lines; /* of a picture; 0: it is none */
};

struct out_queue {
	int fd;
	struct out_item *first, *last;
	size_t bytes;
	bool busy;      /* the first item is being written */
	size_t drawn;   /* lines of the picture that stands on the terminal */
	int failed;     /* errno of the newest write that failed; 0: none */
	int64_t taken;  /* mono ms somebody last took something */
	pthread_t thread;
};

static struct {
	bool open;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct out_queue out, err;
} out = { .lock = PTHREAD_MUTEX_INITIALIZER, .out.fd = STDOUT_FILENO, .err.fd = STDERR_FILENO };

static int64_t out_now(void) { return clock_mono(&clock_real); }

static void out_unlock(pthread_mutex_t **lock) { pthread_mutex_unlock(*lock); }
/* Held until the function ends. */
#define OUT_LOCKED \
	__attribute__((cleanup(out_unlock))) pthread_mutex_t *locked = &out.lock; \
	pthread_mutex_lock(locked)

/* Wakes when anything changes, at the latest after ms. With the lock held. */
static void out_await(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&out.changed, &out.lock, &t);
}

/* --- the threads that may wait ---------------------------------------------------------- */

static void out_took(struct out_queue *q, int failed)
{
	OUT_LOCKED;

	q->taken = out_now();
	if (failed)
		q->failed = failed;
	pthread_cond_broadcast(&out.changed);
}

static void out_write(struct out_queue *q, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(q->fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		out_took(q, k < 0 ? errno : 0);
		if (k < 0)
			return;
		p += k;
		n -= (size_t)k;
	}
}

/* A picture is drawn over the one before it. */
static void out_draw(struct out_queue *q, const struct out_item *i)
{
	autobuf struct buf text = BUF_MAX(OUT_BYTES);

	if (q->drawn)
		buf_addf(&text, "\033[%zuA", q->drawn);
	buf_add(&text, i->text, i->n);
	buf_adds(&text, "\033[J");
	out_write(q, text.p, text.len);
}

static struct out_item *out_next(struct out_queue *q)
{
	OUT_LOCKED;
	int64_t until = out_now() + OUT_AFTER_MS;

	while (!q->first)
		pthread_cond_wait(&out.changed, &out.lock);
	while (q == &out.err && out.out.first && out_now() < until)
		out_await(until - out_now());
	q->busy = true;
	return q->first;
}

static void out_written(struct out_queue *q)
{
	OUT_LOCKED;
	struct out_item *i = q->first;

	q->first = i->next;
	if (!q->first)
		q->last = NULL;
	q->bytes -= i->n;
	q->busy = false;
	q->drawn = i->lines;
	free(i->text);
	free(i);
	pthread_cond_broadcast(&out.changed);
}

static void *out_run(void *queue)
{
	struct out_queue *q = queue;

	while (true) {
		struct out_item *i = out_next(q);

		if (i->lines)
			out_draw(q, i);
		else
			out_write(q, i->text, i->n);
		out_written(q);
	}
	return NULL;
}

static void out_start(struct out_queue *q)
{
	sigset_t all, old;

	q->taken = out_now();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&q->thread, NULL, out_run, q))
		abort();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_detach(q->thread);
}

void out_open(void)
{
	pthread_condattr_t monotonic;

	if (out.open)
		return;
	fflush(stdout);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&out.changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	out.open = true;
	out_start(&out.out);
	out_start(&out.err);
}

/* --- what is given to them ----------------------------------------------------------------- */

/* A picture at the end that nobody has begun to write. */
static void out_forget_picture(struct out_queue *q)
{
	struct out_item *last = q->last, *i;

	if (!last || !last->lines || (last == q->first && q->busy))
		return;
	q->bytes -= last->n;
	for (i = q->first; i != last && i->next != last; i = i->next)
		;
	q->last = i == last ? NULL : i;
	*(i == last ? &q->first : &i->next) = NULL;
	free(last->text);
	free(last);
}

/* Takes text. False: there is no room, and it was freed. */
static bool out_give(struct out_queue *q, char *text, size_t lines)
{
	OUT_LOCKED;
	struct out_item *i;

	if (lines)
		out_forget_picture(q);
	if (q->first && q->bytes + strlen(text) > OUT_BYTES) {
		free(text);
		return false;
	}
	i = xcalloc(1, sizeof *i);
	*i = (struct out_item){ .text = text, .n = strlen(text), .lines = lines };
	*(q->last ? &q->last->next : &q->first) = i;
	q->last = i;
	q->bytes += i->n;
	pthread_cond_broadcast(&out.changed);
	return true;
}

bool out_line(const char *text)
{
	return out_give(&out.out, xasprintf("%s\n", text), 0);
}

void out_picture(const char *text, size_t lines)
{
	out_give(&out.out, xstrdup(text), lines);
}

void out_error(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	if (out.open) {
		out_give(&out.err, text, 0);
		return;
	}
	fputs(text, stderr);
	free(text);
}

/* --- the end ---------------------------------------------------------------------------------- */

bool out_settle(int64_t ms)
{
	OUT_LOCKED;
	int64_t from = out_now();

	while (out.out.first || out.err.first) {
		int64_t taken = out.out.taken > out.err.taken ? out.out.taken : out.err.taken;
		int64_t left = (taken > from ? taken : from) + ms - out_now();

		if (left <= 0)
			return false;
		out_await(left);
	}
	return true;
}

bool out_is_unread(void)
{
	OUT_LOCKED;

	return out.out.failed == EPIPE;
}

int out_close(void)
{
	if (!out.open)
		return 0;
	return out_settle(OUT_PATIENCE_MS) ? out.out.failed : out.out.failed ? out.out.failed : EAGAIN;
}

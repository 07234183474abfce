/* Many jobs over a few connections, a thread each. */
#include "db/internal.h"

#define WIDTH_MAX 16
#define PROGRESS_MS 200
#define STACK ((size_t)512 << 10)

struct fan {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* a worker has */
	db_job_fn *job;
	void *ctx;
	size_t next, n, done, workers;
	struct err err; /* of the first that failed */
};

struct worker {
	struct fan *fan;
	struct db *d;
	pthread_t thread;
};

/* The next job; false when there is none, or one has failed. */
static bool take(struct fan *f, size_t *job)
{
	bool more;

	pthread_mutex_lock(&f->lock);
	more = f->next < f->n && !f->err.kind;
	if (more)
		*job = f->next++;
	pthread_mutex_unlock(&f->lock);
	return more;
}

static void report(struct fan *f, int rc, const struct err *e)
{
	pthread_mutex_lock(&f->lock);
	f->done += !rc;
	if (rc && !f->err.kind)
		f->err = *e;
	pthread_mutex_unlock(&f->lock);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	size_t job;

	mysql_thread_init();
	while (take(w->fan, &job)) {
		struct err e = { 0 };

		report(w->fan, w->fan->job(w->fan->ctx, w->d, job, &e), &e);
	}
	mysql_thread_end();
	pthread_mutex_lock(&w->fan->lock);
	w->fan->workers--;
	pthread_cond_signal(&w->fan->ended);
	pthread_mutex_unlock(&w->fan->lock);
	return NULL;
}

static int start(struct worker *w, struct fan *f, struct err *e)
{
	pthread_attr_t attr;
	int rc;

	w->fan = f;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_mutex_lock(&f->lock);
	rc = pthread_create(&w->thread, &attr, work, w);
	f->workers += !rc;
	pthread_mutex_unlock(&f->lock);
	pthread_attr_destroy(&attr);
	return rc ? err_set(e, ERR_BUSY, "no thread can be made") : 0;
}

/* Opens and starts up to width; fewer when the server has no more connections
 * to give. -1 when there is not one. */
static int start_all(const struct db_login *l, struct worker *w, size_t width, struct fan *f, size_t *started,
		     struct err *e)
{
	struct err why = { 0 };

	for (*started = 0; *started < width; ++*started)
		if (db_open(l, &w[*started].d, &why) || start(&w[*started], f, &why))
			break;
	if (*started == width || (*started && why.kind == ERR_BUSY))
		return 0;
	*e = why;
	return -1;
}

struct timespec cond_until(int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ms % 1000 * 1000000L;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

void cond_open(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

static void watch(struct fan *f, db_done_fn *done)
{
	pthread_mutex_lock(&f->lock);
	while (f->workers) {
		struct timespec until = cond_until(PROGRESS_MS);
		size_t n = f->done;

		if (done) {
			pthread_mutex_unlock(&f->lock);
			done(f->ctx, n, f->n);
			pthread_mutex_lock(&f->lock);
		}
		if (f->workers)
			pthread_cond_timedwait(&f->ended, &f->lock, &until);
	}
	pthread_mutex_unlock(&f->lock);
}

/* Ends the threads that there are; also those of a start that failed. */
static void join_all(struct worker *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
	for (size_t i = 0; i < WIDTH_MAX; i++)
		db_close(&w[i].d);
}

int db_fan(const struct db_login *l, size_t width, size_t n, db_job_fn *job, db_done_fn *done,
	   void *ctx, struct err *e)
{
	struct fan f = { .job = job, .ctx = ctx, .n = n };
	struct worker w[WIDTH_MAX] = { 0 };
	size_t started = 0;

	width = width < 1 ? 1 : width > WIDTH_MAX ? WIDTH_MAX : width;
	pthread_mutex_init(&f.lock, NULL);
	cond_open(&f.ended);
	if (n && start_all(l, w, width < n ? width : n, &f, &started, e)) {
		pthread_mutex_lock(&f.lock);
		f.err = *e; /* no further job */
		pthread_mutex_unlock(&f.lock);
	}
	watch(&f, done);
	join_all(w, started);
	if (done)
		done(ctx, f.done, n);
	pthread_cond_destroy(&f.ended);
	pthread_mutex_destroy(&f.lock);
	if (f.err.kind)
		*e = f.err;
	return f.err.kind ? -1 : 0;
}

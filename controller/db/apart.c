#include "db/apart.h"

#include "db/internal.h"

#include <signal.h>

struct db_apart {
	struct db *d;
	db_apart_fn *job;
	void *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool over;
	_Atomic bool stop;
	int rc;
	struct err err;
};

static void *work(void *arg)
{
	struct db_apart *a = arg;

	mysql_thread_init();
	deadline_stop_when(&a->stop);
	a->rc = a->job(a->ctx, a->d, &a->err);
	mysql_thread_end();
	pthread_mutex_lock(&a->lock);
	a->over = true;
	pthread_cond_signal(&a->ended);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static void release(struct db_apart **ap)
{
	struct db_apart *a = steal(ap);

	db_close(&a->d);
	pthread_cond_destroy(&a->ended);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* Signals are for the thread that waits for them. */
static int start_thread(struct db_apart *a)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&a->thread, NULL, work, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int db_apart_start(struct db **d, db_apart_fn *job, void *ctx, struct db_apart **out, struct err *e)
{
	struct db_apart *a = xcalloc(1, sizeof *a);

	*a = (struct db_apart){ .d = steal(d), .job = job, .ctx = ctx };
	pthread_mutex_init(&a->lock, NULL);
	cond_open(&a->ended);
	if (start_thread(a)) {
		release(&a);
		return err_set(e, ERR_BUSY, "no thread can be made");
	}
	*out = a;
	return 0;
}

bool db_apart_over(struct db_apart *a, int wait_ms)
{
	struct timespec until = cond_until(wait_ms);
	bool over;
	int rc = 0;

	pthread_mutex_lock(&a->lock);
	while (!a->over && !rc)
		rc = pthread_cond_timedwait(&a->ended, &a->lock, &until);
	over = a->over;
	pthread_mutex_unlock(&a->lock);
	return over;
}

int db_apart_end(struct db_apart **ap, struct err *e)
{
	struct db_apart *a = *ap;
	int rc;

	a->stop = true;
	pthread_join(a->thread, NULL);
	rc = a->rc;
	if (rc)
		*e = a->err;
	release(ap);
	return rc;
}

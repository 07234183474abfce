#include "db/apart.h"

#include "db/internal.h"

#include <signal.h>

#define LEAVE_MS 500

struct db_apart {
	struct db_job job;
	void *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool over, left; /* left: the thread has nobody but itself */
	_Atomic bool stop;
	int rc;
	struct err err;
};

static void apart_free(struct db_apart *a)
{
	if (a->ctx)
		a->job.discard(a->ctx);
	pthread_cond_destroy(&a->ended);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static void *apart_work(void *arg)
{
	struct db_apart *a = arg;
	bool left;

	mysql_thread_init();
	deadline_stop_when(&a->stop);
	a->rc = a->job.ask(a->ctx, &a->err);
	mysql_thread_end();
	pthread_mutex_lock(&a->lock);
	a->over = true;
	left = a->left;
	pthread_cond_signal(&a->ended);
	pthread_mutex_unlock(&a->lock);
	if (left)
		apart_free(a);
	return NULL;
}

/* Signals are for the thread that waits for them. */
static int apart_start_thread(struct db_apart *a)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&a->thread, NULL, apart_work, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int db_apart_start(const struct db_job *job, void *ctx, struct db_apart **out, struct err *e)
{
	struct db_apart *a = xcalloc(1, sizeof *a);

	db_init();
	*a = (struct db_apart){ .job = *job, .ctx = ctx };
	pthread_mutex_init(&a->lock, NULL);
	cond_open(&a->ended);
	if (apart_start_thread(a)) {
		apart_free(a);
		return err_set(e, ERR_BUSY, "no thread can be made");
	}
	*out = a;
	return 0;
}

static bool apart_wait(struct db_apart *a, int wait_ms)
{
	struct timespec until = cond_until(wait_ms);
	int rc = 0;

	while (!a->over && !rc)
		rc = pthread_cond_timedwait(&a->ended, &a->lock, &until);
	return a->over;
}

bool db_apart_over(struct db_apart *a, int wait_ms)
{
	bool over;

	pthread_mutex_lock(&a->lock);
	over = apart_wait(a, wait_ms);
	pthread_mutex_unlock(&a->lock);
	return over;
}

int db_apart_end(struct db_apart **ap, void **ctx, struct err *e)
{
	struct db_apart *a = steal(ap);
	int rc;

	pthread_join(a->thread, NULL);
	rc = a->rc;
	if (rc)
		*e = a->err;
	*ctx = steal(&a->ctx);
	apart_free(a);
	return rc;
}

void db_apart_leave(struct db_apart **ap)
{
	struct db_apart *a = steal(ap);
	bool over;

	a->stop = true;
	pthread_mutex_lock(&a->lock);
	over = apart_wait(a, LEAVE_MS);
	a->left = !over;
	if (!over)
		pthread_detach(a->thread);
	pthread_mutex_unlock(&a->lock); /* and a is no longer ours, unless it is over */
	if (!over)
		return;
	pthread_join(a->thread, NULL);
	apart_free(a);
}

#include "steps/beside.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "db/apart.h"

#include <stdio.h>
#include <string.h>

#define STAY_MS 100   /* most that the engine waits at each look: a usual answer is there then */
#define POLL_MS 100   /* between two looks */
#define OLD_MS 10000  /* an answer that was not fetched for so long is of another time */

struct asked {
	const struct beside *q;
	struct sql_from *from;
	void *answer;
};

static struct asking {
	char key[160]; /* the step's token and the question; "" free */
	char token[96], run[96];
	struct db_apart *apart;
	bool standing;
	int64_t looked; /* mono ms of the real clock: the other side is real */
} table[8];

static void asked_free(void *p)
{
	struct asked *a = p;

	sql_from_free(&a->from);
	if (a->answer)
		a->q->discard(a->answer);
	free(a);
}

static int asked_ask(void *p, struct err *e)
{
	struct asked *a = p;

	return a->q->ask(a->from, a->answer, e);
}

static const struct db_job job = { .ask = asked_ask, .discard = asked_free };

static void asking_leave(struct asking *s)
{
	if (s->apart)
		db_apart_leave(&s->apart);
	s->key[0] = '\0';
}

/* Before anything of OpenSSL's is taken down, at the end of the program. */
static void asking_leave_all(void)
{
	for (size_t i = 0; i < COUNT(table); i++)
		asking_leave(&table[i]);
}

static void asking_leave_at_exit(void)
{
	static bool once;

	if (!once)
		once = !atexit(asking_leave_all);
}

static void asking_key(const struct step_run *r, const struct beside *q, char out[160])
{
	snprintf(out, 160, "%s/%s", r->token, q->name);
}

static struct asking *asking_find(const char *key)
{
	for (size_t i = 0; i < COUNT(table); i++)
		if (!strcmp(table[i].key, key))
			return &table[i];
	return NULL;
}

/* A step that went back while it asked never comes for its answer: a run asks for
 * one step at a time, but for what stands. */
static bool is_forgotten(const struct asking *s, const struct step_run *r, const struct beside *q, int64_t now)
{
	bool other = !strcmp(s->run, r->run) && strcmp(s->token, r->token) && !s->standing && !q->standing;

	return s->apart && (now - s->looked > OLD_MS || other);
}

static void asking_sweep(const struct step_run *r, const struct beside *q, int64_t now)
{
	for (size_t i = 0; i < COUNT(table); i++)
		if (is_forgotten(&table[i], r, q, now))
			asking_leave(&table[i]);
}

bool beside_is_asked(const struct step_run *r, const struct beside *q)
{
	char key[160];

	asking_key(r, q, key);
	return asking_find(key);
}

static int asking_start(struct asking *s, struct step_run *r, const struct beside *q, void **answer, struct err *e)
{
	struct asked *a = xcalloc(1, sizeof *a);

	a->q = q;
	if (sql_from_new(r, &a->from, e)) {
		asked_free(a);
		return -1;
	}
	a->answer = steal(answer);
	asking_leave_at_exit();
	if (db_apart_start(&job, a, &s->apart, e))
		return -1;
	asking_key(r, q, s->key);
	s->standing = q->standing;
	snprintf(s->token, sizeof s->token, "%s", r->token);
	snprintf(s->run, sizeof s->run, "%s", r->run);
	return 0;
}

static int asking_fetch(struct asking *s, void **answer, struct err *e)
{
	void *p = NULL;
	int rc = db_apart_end(&s->apart, &p, e);
	struct asked *a = p;

	s->key[0] = '\0';
	*answer = steal(&a->answer);
	asked_free(a);
	return rc;
}

static int ask_here(struct step_run *r, const struct beside *q, void *answer, struct err *e)
{
	autofrom struct sql_from *from = NULL;

	return sql_from_new(r, &from, e) || q->ask(from, answer, e) ? -1 : 0;
}

static int still_asking(struct step_run *r, struct asking *s, int64_t now)
{
	s->looked = now;
	step_say(r, "waiting for the database's answer");
	r->wake_at = r->now + POLL_MS;
	return 1;
}

int beside_ask(struct step_run *r, const struct beside *q, void **answer, struct err *e)
{
	int64_t now = clock_mono(&clock_real);
	struct asking *s;
	char key[160];

	*answer = NULL;
	asking_sweep(r, q, now);
	asking_key(r, q, key);
	s = asking_find(key);
	if (!s && q->make(r, answer, e))
		return -1;
	if (!s && r->simulated)
		return ask_here(r, q, *answer, e);
	if (!s && !(s = asking_find("")))
		return err_set(e, ERR_BUSY, "too many questions to databases at once");
	if (!s->apart && asking_start(s, r, q, answer, e))
		return -1;
	return db_apart_over(s->apart, STAY_MS) ? asking_fetch(s, answer, e) : still_asking(r, s, now);
}

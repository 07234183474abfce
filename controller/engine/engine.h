/* engine/engine.h - walks a plan, one tick at a time, forward or back.
 *
 * A cutover is a journal; the engine folds it, looks at the world, and appends
 * the next line. It never sleeps inside a tick: engine_drive does, between
 * ticks, and wakes early when somebody writes an order into the journal. */
#ifndef CUTOVER_ENGINE_ENGINE_H
#define CUTOVER_ENGINE_ENGINE_H

#include "engine/run.h"

struct clock;
struct engine;
struct http;

struct engine_opts {
	struct store *store;
	const struct step_kind *const *kinds;
	struct clock *clock;
	const struct http *http;
	struct cred_chain *creds;
	const char *run;     /* id */
	const char *actor;   /* who: goes into every line this process writes */
	const char *holder;  /* NULL: this process (host, boot, pid, start time) */
	bool simulated;      /* hooks and `call` start no program */
	uint64_t seed;       /* of the retry jitter; 0: from the system */
};

int engine_open(const struct engine_opts *o, struct engine **out, struct err *e);
void engine_close(struct engine *en);
const struct run *engine_run(const struct engine *en);
struct aws *engine_aws(struct engine *en);
const char *engine_saying(const struct engine *en); /* what the current step waits for */

/* Makes this process the driver. A holder that is surely dead (same boot, same
 * PID namespace, and the kernel knows no such process) is followed at once; one that is silent for ENGINE_LEASE_MS by our own clock after that
 * time; a living one gives ERR_LOST. */
#define ENGINE_BEAT_MS 5000
#define ENGINE_LEASE_MS 30000
int engine_claim(struct engine *en, struct err *e);
/* Of the process that a run's holder names; UNSEEN: on another machine, in
 * another PID namespace, hidden. One that is alive may hang all the same. */
enum engine_life { ENGINE_UNSEEN, ENGINE_ALIVE, ENGINE_DEAD };
enum engine_life engine_holder_life(const struct run *r);
bool engine_holder_place(const struct run *r, char host[64], long *pid); /* where it runs; false: its claim does not say */
bool engine_holder_is_dead(const struct run *r); /* surely; what cannot be seen is not */

/* Does what can be done now, without sleeping. wake_at (wall ms): when to call
 * again. ERR_LOST: another controller drives the run. ERR_MOVED, ERR_CANCELLED:
 * something was written or ordered meanwhile; call again. ERR_STORE: the journal cannot be written; nothing was sent. */
int engine_tick(struct engine *en, int64_t *wake_at, struct err *e);
bool engine_holds(const struct engine *en);

/* Ticks until the run is over, or *stop becomes true (may be NULL). Calls see
 * after every tick (may be NULL). 0 when over; -1 with ERR_LOST when another
 * controller drives it now; 1 when stopped. */
typedef void engine_see_fn(void *ctx, struct engine *en);
int engine_drive(struct engine *en, engine_see_fn *see, void *ctx, const volatile int *stop,
		 struct err *e);

/* What it waits for just now, a read of AWS or another driver's silence, is given
 * up at once. Allowed in a signal handler, and in any thread. */
void engine_cancel(struct engine *en);

void engine_set_nap(struct engine *en, int64_t ms); /* longest time between two calls of see */

/* Appends the first line of a new run. id: char[96]; in: its name, or "" for a
 * fresh one; out: its name. */
int engine_start(struct store *s, const struct plan *p, struct clock *clock, const char *actor,
		 char *id, struct err *e);
/* Appends an order; taken once per id (NULL: a new one). Anyone may, at any time.
 * line (may be NULL): where it stands; when that is folded, run_order() tells
 * what it did. */
struct engine_order {
	enum order_kind kind;
	const char *reason, *id, *actor;
	const char *step;  /* ORDER_PROMOTE: whose question it answers, NULL: no one's; ORDER_SKIP_BAKE: whose bake ends */
	int64_t about;     /* line of that question, or of the step's `begin` */
	bool full;
};
int engine_order(struct store *s, const char *run, struct clock *clock, const struct engine_order *o,
		 int64_t *line, struct err *e);
/* Folds it into a run of the caller's own as if it stood in the journal's next
 * line: run_order(r, r->seq + 1) tells what it would do. r is of no other use then. */
int engine_order_try(struct run *r, const struct engine_order *o, struct err *e);
#endif

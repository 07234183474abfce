/* store/store.h - where journals lie. Append-only; appending is the compare-and-swap.
 *
 * store_append succeeds only if seq is exactly last + 1, so two controllers can
 * never both act on the same state: the one that loses gets ERR_MOVED, reads
 * again and sees what the other did. Each line carries the SHA-256 of the line
 * before, so a changed or missing line is found (store_verify). */
#ifndef CUTOVER_STORE_STORE_H
#define CUTOVER_STORE_STORE_H

#include "base/json.h"

#include <stdbool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct store; /* may be used by several threads */

struct event {
	int64_t seq;      /* 1.. */
	int64_t at;       /* wall ms of the writer, for people */
	char *run, *actor, *kind, *step; /* step "" when none */
	char *body;       /* compact JSON object */
	char prev[65], hash[65];
};

/* path: the database file, made when absent; ":memory:" for simulations. It is
 * its owner's alone (0600): whoever may read it can hold SQLite's shared lock,
 * and while that is held nobody can write a line. */
int store_open(const char *path, struct store **out, struct err *e);
/* Makes nothing: ERR_GONE when there is no such file, or no journal in it yet. */
int store_open_existing(const char *path, struct store **out, struct err *e);
void store_close(struct store *s);
static inline void store_closep(struct store **s) { store_close(*s); }
#define autostore __attribute__((cleanup(store_closep)))

const char *store_path(const struct store *s); /* "" in memory */
/* Opens its file anew: what lies at the path now, whatever lay there before. ERR_GONE: nothing does. */
int store_reopen(struct store *s, struct err *e);
/* s is other's file from here on, for all who have s; other is closed. */
void store_become(struct store *s, struct store *other);
bool store_has_moved(struct store *s); /* its file is not at its path any more */

/* ERR_DAMAGED, of all that read and write: the file is no sound database any more, or another one.
 * In: run, at, actor, kind, step, body, seq. ERR_MOVED when seq is not last + 1,
 * ERR_STORE when it cannot be made durable (disk full, I/O error). */
int store_append(struct store *s, const struct event *ev, struct err *e);
/* Appends lines, each the next of its run, until next() gives false: all of them, or none. */
typedef bool store_next_fn(void *ctx, struct event *ev);
int store_append_all(struct store *s, store_next_fn *next, void *ctx, struct err *e);

/* Calls each for every event of the run with seq > after, in order; stops when it returns nonzero.
 * Lines are read in batches, and no lock is held while each is called: it may
 * print, wait, and write to the store. */
typedef int store_each_fn(void *ctx, const struct event *ev);
int store_read(struct store *s, const char *run, int64_t after, store_each_fn *each, void *ctx,
	       struct err *e);
/* The same for one who knows line `after` by its hash: ERR_DAMAGED when it is gone, or another. */
int store_follow(struct store *s, const char *run, int64_t after, const char *hash, store_each_fn *each, void *ctx,
		 struct err *e);
int store_last(struct store *s, const char *run, int64_t *seq, struct err *e); /* 0: no such run */
/* Runs, newest first: each(ctx, first event of the run). No lock is held meanwhile. */
int store_runs(struct store *s, store_each_fn *each, void *ctx, struct err *e);

/* Signs of life of the driver, outside the chain: a counter per run. */
int store_beat(struct store *s, const char *run, const char *holder, struct err *e);
int store_beats(struct store *s, const char *run, int64_t *count, struct err *e);

/* What the driver last said of its run, outside the chain too, and never sure to be there. */
struct store_said {
	char holder[160];
	char step[64];    /* "": it is on its way back */
	char text[640];   /* what is waited for, and until when */
	int64_t next;     /* wall ms of the driver: when it looks again */
	int64_t at;       /* and when it said so */
};
int store_say(struct store *s, const char *run, const struct store_said *said, struct err *e);
bool store_said(struct store *s, const char *run, struct store_said *out); /* false: nothing was said */

/* 0 when every line's hash and prev are right; else -1 with the first broken seq. */
int store_verify(struct store *s, const char *run, int64_t *lines, struct err *e);
/* The same for at most `most` lines behind *after, which goes on to the last of them, or to 0 at the
 * end; as the disk has them, not as this process remembers them. ERR_DAMAGED: one is not as it was. */
int store_recheck(struct store *s, const char *run, int64_t *after, int most, struct err *e);

/* Readable when somebody wrote to the store (inotify); -1 when not available.
 * store_watch_clear empties it. */
int store_watch_fd(struct store *s);
/* The same, for another thread, which closes it. store_watch_drain empties it. */
int store_watch_open(struct store *s);
void store_watch_drain(int fd);
void store_watch_clear(struct store *s);
#endif

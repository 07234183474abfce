/* engine/rescue.c - a driver whose journal is not the one it knows any more:
 * cut off, overwritten by noise or an older copy, or another file in its place.
 *
 * Orders that are written there do not reach it, and no line of its own can be
 * chained to what is there. But green may have users, and no write leaves
 * unannounced. So it goes on in a file beside, into which it writes its own
 * copy of the run (copy.c), the same chain line by line: everything that reads
 * or drives a run works with that file as with any other. What happened is
 * reason enough to take traffic back, and a person is called.
 *
 * A journal that was moved away may come back, and one that looks damaged by the
 * connection we have may be sound: it is opened anew at each look, and only what
 * stays wrong is given up. */
#include "engine/copy.h"
#include "engine/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SURE_MS 2000  /* it is damaged at two looks at least */
#define AWAY_MS 30000 /* a file that is moved away may come back */
#define PATROL_MS 30000 /* older lines are looked at again, so many at a time */
#define PATROL_LINES 50
#define PLACES  9

/* What lies at the path now may be the journal we know. */
static bool rescue_is_sound(struct engine *en, struct err *e)
{
	int64_t lines;

	return !store_reopen(en->store, e) && !run_catch_up(en->run, en->store, e) &&
	       !store_verify(en->store, en->run->id, &lines, e);
}

/* Noise, or a hole, in pages that are read no more: this process goes on from its
 * cache, but nobody else can read the run, and so nobody can order it back. */
static int rescue_patrol(struct engine *en, struct err *e)
{
	int64_t now = clock_mono(en->clock);

	if (now < en->patrol_at || !*store_path(en->store))
		return 0;
	en->patrol_at = now + PATROL_MS;
	return store_recheck(en->store, en->run->id, &en->patrolled, PATROL_LINES, e);
}

/* Where it goes on: beside the journal, else where everybody may write. */
static char *rescue_place(const struct engine *en, const char *journal, int nth)
{
	const char *tmp = getenv("TMPDIR");

	if (nth <= PLACES)
		return nth < 2 ? xasprintf("%s.rescue-%s", journal, en->run->id) : xasprintf("%s.rescue-%s-%d", journal, en->run->id, nth);
	return xasprintf("%s/cutover-rescue-%s-%d.db", tmp && *tmp ? tmp : "/tmp", en->run->id, nth - PLACES);
}

static struct store *rescue_write(struct engine *en, const char *path, struct err *e)
{
	struct store *s = NULL;

	if (store_open(path, &s, e))
		return NULL;
	if (!copy_write(en->run->copy, en->run->id, s, e) && !store_beat(s, en->run->id, en->holder, e))
		return s;
	store_close(s);
	unlink(path);
	return NULL;
}

/* NULL: nowhere; e says why not in the last place. */
static struct store *rescue_open(struct engine *en, const char *journal, struct err *e)
{
	struct store *s = NULL;

	for (int i = 1; i <= 2 * PLACES && !s; i++) {
		autofree char *path = rescue_place(en, journal, i);

		if (access(path, F_OK) && errno == ENOENT)
			s = rescue_write(en, path, e);
	}
	return s;
}

/* An older copy takes lines: whoever reads it shall know. Nothing depends on it. */
static void rescue_leave_word(struct engine *en, const char *why)
{
	autojson json_t *body = json_pack("{s:o}", "why", json_text(why));
	struct err ignored = { 0 };
	int64_t last;

	if (!store_last(en->store, en->run->id, &last, &ignored) && last)
		journal_append(en->store, engine_now(en), en->run->id, last + 1, en->actor, EVENT_CALL, "", body, &ignored);
}

/* Traffic first: a `call` program may take its time. */
static int rescue_go_back(struct engine *en, const char *why, struct err *e)
{
	struct err later = { 0 };
	int64_t wake;

	if (en->run->state == RUN_FORWARD && forward_give_up(en, why, e))
		return -1;
	engine_tick(en, &wake, &later); /* what fails here, the next tick does again */
	return engine_call(en, why, e);
}

static int rescue_go(struct engine *en, const struct err *damage, struct err *e)
{
	autofree char *journal = xstrdup(store_path(en->store)), *why = NULL;
	struct store *s = rescue_open(en, journal, e);

	if (!s)
		return err_wrap(e, "%.300s; and no copy can be written beside it or in /tmp, in which traffic could be taken back", damage->msg);
	why = xasprintf("the journal %.120s cannot be relied on any more: this run goes on in %.200s, as its driver knows it (%.200s)", journal,
			store_path(s), damage->msg);
	rescue_leave_word(en, why);
	store_become(en->store, s);
	return rescue_go_back(en, why, e);
}

bool rescue_takes(struct engine *en, int rc, struct err *e)
{
	int64_t now = clock_mono(en->clock);
	struct err damage, again = { 0 };
	bool away;

	if (!rc && !run_is_over(en->run))
		rc = rescue_patrol(en, e);
	damage = *e;
	if (!rc || e->kind != ERR_DAMAGED) {
		en->damaged_since = rc ? en->damaged_since : 0;
		return false;
	}
	if (rescue_is_sound(en, &again))
		return true;
	away = again.kind == ERR_GONE && access(store_path(en->store), F_OK);
	if (!en->damaged_since)
		en->damaged_since = now;
	if (again.kind == ERR_BUSY || now - en->damaged_since < (away ? AWAY_MS : SURE_MS))
		return false;
	en->damaged_since = 0;
	return !rescue_go(en, &damage, e);
}

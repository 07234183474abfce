/* The journal: appending is the compare-and-swap, and the chain tells what was changed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64];

static int fresh(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/cutover-store-%d.db", (int)getpid());
	unlink(path);
	return 0;
}

static int gone(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static struct store *opened(void)
{
	struct store *s = NULL;
	struct err e = { 0 };

	if (store_open(path, &s, &e))
		fail_msg("%s", e.msg);
	return s;
}

static int append(struct store *s, const char *run, int64_t seq, const char *body, struct err *e)
{
	return store_append(s, &(struct event){ .run = (char *)run, .seq = seq, .at = 1000 + seq, .actor = "a", .kind = "note",
						.step = "", .body = (char *)body }, e);
}

static void append_takes_only_the_next_line(void **state)
{
	autostore struct store *s = opened();
	struct err e = { 0 };
	int64_t last;

	(void)state;
	assert_int_equal(append(s, "r", 1, "{}", &e), 0);
	assert_int_equal(append(s, "r", 1, "{}", &e), -1);
	assert_int_equal(e.kind, ERR_MOVED);
	assert_int_equal(append(s, "r", 3, "{}", &e), -1);
	assert_int_equal(e.kind, ERR_MOVED);
	assert_int_equal(append(s, "r", 2, "{}", &e), 0);
	assert_int_equal(store_last(s, "r", &last, &e), 0);
	assert_int_equal(last, 2);
}

static int count(void *ctx, const struct event *ev)
{
	(void)ev;
	++*(int *)ctx;
	return 0;
}

/* argo-rollouts#2117: two leaders at once. Eight processes race for the same
 * lines: every line is written once, by exactly one. */
static void two_drivers_can_never_write_the_same_line(void **state)
{
	enum { RACERS = 8, LINES = 40 };
	int won = 0, lines = 0;
	struct err e = { 0 };

	(void)state;
	store_close(opened());
	for (int i = 0; i < RACERS; i++) {
		if (fork())
			continue;
		struct store *mine = opened();
		int wins = 0;

		for (int64_t seq = 1; seq <= LINES;) {
			if (!append(mine, "r", seq, "{}", &e))
				wins++, seq++;
			else if (e.kind == ERR_MOVED)
				seq++;
		}
		_exit(wins);
	}
	for (int i = 0; i < RACERS; i++) {
		int status;

		wait(&status);
		won += WEXITSTATUS(status);
	}
	autostore struct store *s = opened();
	assert_int_equal(won, LINES);
	assert_int_equal(store_read(s, "r", 0, count, &lines, &e), 0);
	assert_int_equal(lines, LINES);
}

static void sql(const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), 0);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), 0);
	sqlite3_close(db);
}

static void verify_says(const char *change, const char *want)
{
	struct err e = { 0 };
	struct store *s = opened();
	int64_t lines;

	for (int64_t i = 1; i <= 5; i++)
		assert_int_equal(append(s, "r", i, "{\"n\":1}", &e), 0);
	assert_int_equal(store_verify(s, "r", &lines, &e), 0);
	assert_int_equal(lines, 5);
	store_close(s);
	sql(change);
	s = opened();
	assert_int_equal(store_verify(s, "r", &lines, &e), -1);
	if (!strstr(e.msg, want))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, want);
	store_close(s);
}

static void verify_names_a_changed_line(void **state)
{
	(void)state;
	verify_says("UPDATE event SET body='{\"n\":2}' WHERE seq=3", "line 3 was changed");
}

static void verify_names_a_missing_line(void **state)
{
	(void)state;
	verify_says("DELETE FROM event WHERE seq=2", "line 2 is missing");
}

static void verify_names_a_line_put_in_anothers_place(void **state)
{
	(void)state;
	verify_says("UPDATE event SET prev='00', hash='00' WHERE seq=4", "line 4");
}

static void another_programs_database_is_refused(void **state)
{
	struct store *s = NULL;
	struct err e = { 0 };

	(void)state;
	sql("PRAGMA application_id=42; CREATE TABLE t(x)");
	assert_int_equal(store_open(path, &s, &e), -1);
	assert_non_null(strstr(e.msg, "another program"));
}

static void a_file_that_is_no_database_is_refused(void **state)
{
	FILE *f = fopen(path, "w");
	struct store *s = NULL;
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 200; i++)
		fputs("this is not a journal ", f);
	fclose(f);
	assert_int_equal(store_open(path, &s, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
}

static void an_order_wakes_the_driver(void **state)
{
	autostore struct store *driver = opened(), *other = opened();
	struct pollfd p = { .fd = store_watch_fd(driver), .events = POLLIN };
	struct err e = { 0 };

	(void)state;
	assert_true(p.fd >= 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	append(other, "r", 1, "{}", &e);
	assert_int_equal(poll(&p, 1, 1000), 1);
	store_watch_clear(driver);
	assert_int_equal(poll(&p, 1, 0), 0);
}

/* A pager that does not read, a screen that stands still: whoever is told a line
 * may take as long as it likes, and write himself. */
static int write_elsewhere(void *other, const struct event *ev)
{
	struct err e = { 0 };

	if (append(other, "other", ev->seq, "{}", &e))
		fail_msg("%s", e.msg);
	return ev->seq == 3;
}

static void nobody_is_held_up_while_a_reader_is_told(void **state)
{
	autostore struct store *reader = opened(), *writer = opened();
	struct err e = { 0 };
	int64_t last;

	(void)state;
	for (int64_t i = 1; i <= 5; i++)
		append(writer, "r", i, "{}", &e);
	assert_int_equal(store_read(reader, "r", 0, write_elsewhere, writer, &e), 0);
	assert_int_equal(store_last(reader, "other", &last, &e), 0);
	assert_int_equal(last, 3);
}

struct in_order {
	int64_t last;
	size_t bytes;
};

static int in_order(void *ctx, const struct event *ev)
{
	struct in_order *o = ctx;

	assert_int_equal(ev->seq, o->last + 1);
	o->last = ev->seq;
	o->bytes += strlen(ev->body);
	return 0;
}

static void batches_join_without_a_gap(void **state)
{
	enum { LINES = 600, LONG = 300000 };
	autostore struct store *s = opened();
	autofree char *big = xmalloc(LONG + 1);
	struct in_order o = { 0 };
	struct err e = { 0 };

	(void)state;
	memset(big, 'x', LONG);
	big[LONG] = '\0';
	for (int64_t i = 1; i <= LINES; i++)
		assert_int_equal(append(s, "r", i, i % 50 ? "{}" : big, &e), 0);
	assert_int_equal(store_read(s, "r", 0, in_order, &o, &e), 0);
	assert_int_equal(o.last, LINES);
	assert_int_equal(o.bytes, LINES / 50 * LONG + (LINES - LINES / 50) * 2);
	o = (struct in_order){ .last = 256 };
	assert_int_equal(store_read(s, "r", 256, in_order, &o, &e), 0);
	assert_int_equal(o.last, LINES);
}

static int names(void *out, const struct event *ev)
{
	buf_addf(out, "%s%lld ", ev->run, (long long)ev->seq);
	return 0;
}

static void runs_come_newest_first(void **state)
{
	autostore struct store *s = opened();
	autobuf struct buf b = BUF_MAX(200);
	struct err e = { 0 };

	(void)state;
	for (const char *run = "bdac"; *run; run++)
		store_append(s, &(struct event){ .run = (char[]){ *run, 0 }, .seq = 1, .at = *run % 3, .actor = "a", .kind = "start",
						 .step = "", .body = "{}" }, &e);
	append(s, "a", 2, "{}", &e);
	assert_int_equal(store_runs(s, names, &b, &e), 0);
	assert_string_equal(b.p, "b1 d1 a1 c1 ");
}

/* --- another file, or what is left of it --------------------------------------- */

static int follow(struct store *s, const char *hash, int64_t after)
{
	struct in_order o = { .last = after };
	struct err e = { 0 };
	int rc = store_follow(s, "r", after, hash, in_order, &o, &e);

	return rc ? -(int)e.kind : (int)(o.last - after);
}

static int keep_hash(void *hash, const struct event *ev)
{
	memcpy(hash, ev->hash, sizeof ev->hash);
	return 0;
}

static void who_is_ahead_of_the_journal_is_told(void **state)
{
	autostore struct store *s = opened();
	struct err e = { 0 };
	char third[65] = "", fourth[65] = "";

	(void)state;
	for (int64_t i = 1; i <= 3; i++)
		append(s, "r", i, "{}", &e);
	store_read(s, "r", 2, keep_hash, third, &e);
	assert_int_equal(follow(s, third, 3), 0);
	append(s, "r", 4, "{}", &e);
	assert_int_equal(follow(s, third, 3), 1);
	store_read(s, "r", 3, keep_hash, fourth, &e);
	sql("DELETE FROM event WHERE seq=4"); /* an older copy */
	assert_int_equal(follow(s, fourth, 4), -ERR_DAMAGED);
	append(s, "r", 4, "{\"other\":1}", &e); /* which went on */
	assert_int_equal(follow(s, fourth, 4), -ERR_DAMAGED);
	assert_int_equal(follow(s, third, 3), 1);
}

static void damage_is_no_usage_error(void **state)
{
	autostore struct store *s = opened();
	struct err e = { 0 };
	int64_t n;

	(void)state;
	append(s, "r", 1, "{}", &e);
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(store_last(s, "r", &n, &e), -1);
	assert_int_equal(e.kind, ERR_DAMAGED);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(store_last(s, "r", &n, &e), -1);
	assert_int_equal(e.kind, ERR_DAMAGED);
}

static void noise_under_the_cache_is_seen(void **state)
{
	autostore struct store *s = opened();
	struct err e = { 0 };
	int64_t at = 0;
	char noise[4096];
	int fd;

	(void)state;
	for (int64_t i = 1; i <= 8; i++)
		append(s, "r", i, "{\"n\":1}", &e);
	assert_int_equal(store_recheck(s, "r", &at, 5, &e), 0);
	assert_int_equal(at, 5);
	assert_int_equal(store_recheck(s, "r", &at, 5, &e), 0);
	assert_int_equal(at, 0);
	memset(noise, 'n', sizeof noise);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, noise, sizeof noise, 4096), sizeof noise);
	close(fd);
	assert_int_equal(store_recheck(s, "r", &at, 5, &e), -1);
	assert_int_equal(e.kind, ERR_DAMAGED);
}

static void a_read_error_is_no_sign_of_life(void **state)
{
	autostore struct store *s = opened();
	struct err e = { 0 };
	int64_t n;

	(void)state;
	store_beat(s, "r", "me", &e);
	sql("PRAGMA writable_schema=1; DROP TABLE beat");
	assert_int_equal(store_beats(s, "r", &n, &e), -1);
	assert_int_equal(e.kind, ERR_DAMAGED);
}

static void a_file_put_in_its_place_is_opened_anew(void **state)
{
	autostore struct store *s = opened();
	autofree char *away = xasprintf("%s.away", path);
	struct err e = { 0 };
	int64_t last;

	(void)state;
	append(s, "r", 1, "{}", &e);
	assert_false(store_has_moved(s));
	rename(path, away);
	assert_true(store_has_moved(s));
	assert_int_equal(store_reopen(s, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
	store_close(opened());
	assert_int_equal(store_reopen(s, &e), 0);
	assert_int_equal(store_last(s, "r", &last, &e), 0);
	assert_int_equal(last, 0);
	unlink(away);
}

static void who_only_looks_makes_no_file(void **state)
{
	struct store *s = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_open_existing(path, &s, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
	assert_int_equal(access(path, F_OK), -1);
	close(open(path, O_CREAT | O_WRONLY, 0644)); /* cut off to nothing */
	assert_int_equal(store_open_existing(path, &s, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
}

static void a_newer_programs_file_is_refused(void **state)
{
	struct store *s = NULL;
	struct err e = { 0 };

	(void)state;
	store_close(opened());
	sql("PRAGMA user_version=2");
	assert_int_equal(store_open(path, &s, &e), -1);
	assert_int_equal(e.kind, ERR_GATE);
	assert_non_null(strstr(e.msg, "newer cutover (file format 2; this one knows 1)"));
}

static void beats_count_up(void **state)
{
	autostore struct store *s = opened();
	struct err e = { 0 };
	int64_t n;

	(void)state;
	store_beats(s, "r", &n, &e);
	assert_int_equal(n, 0);
	store_beat(s, "r", "me", &e);
	store_beat(s, "r", "me", &e);
	store_beats(s, "r", &n, &e);
	assert_int_equal(n, 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
/* A driver that was stopped in the middle of a commit: "database is locked", for ever, and by whom nobody said. */
static void who_holds_the_lock_is_named_and_that_it_is_stopped(void **state)
{
	autostore struct store *s = opened();
	autofree char *want = NULL;
	struct err e = { 0 };
	int ready[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(append(s, "r", 1, "{}", &e), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		sqlite3 *db;

		if (sqlite3_open(store_path(s), &db) || sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL) || write(ready[1], "x", 1) != 1)
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &(char){ 0 }, 1), 1);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(append(s, "r", 2, "{}", &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	want = xasprintf("process %d holds its lock and is stopped: `kill -CONT %d`", (int)pid, (int)pid);
	if (!strstr(e.msg, want))
		fail_msg("%s", e.msg);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_equal(append(s, "r", 2, "{}", &e), 0); /* its lock is gone with it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_holds_the_lock_is_named_and_that_it_is_stopped),
		T(append_takes_only_the_next_line), T(two_drivers_can_never_write_the_same_line),
		T(verify_names_a_changed_line), T(verify_names_a_missing_line),
		T(verify_names_a_line_put_in_anothers_place),
		T(another_programs_database_is_refused), T(a_file_that_is_no_database_is_refused),
		T(an_order_wakes_the_driver), T(beats_count_up),
		T(nobody_is_held_up_while_a_reader_is_told), T(batches_join_without_a_gap), T(runs_come_newest_first),
		T(who_is_ahead_of_the_journal_is_told), T(damage_is_no_usage_error), T(noise_under_the_cache_is_seen), T(a_read_error_is_no_sign_of_life),
		T(a_file_put_in_its_place_is_opened_anew), T(who_only_looks_makes_no_file),
		T(a_newer_programs_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

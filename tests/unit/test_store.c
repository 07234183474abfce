/* The journal: appending is the compare-and-swap, and the chain tells what was changed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

#include <poll.h>
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

static void a_prefix_names_a_run_unless_two_share_it(void **state)
{
	autostore struct store *s = opened();
	struct err e = { 0 };
	char *id = NULL;

	(void)state;
	append(s, "wiki-aa", 1, "{}", &e);
	append(s, "wiki-ab", 1, "{}", &e);
	append(s, "wiki", 1, "{}", &e);
	assert_int_equal(store_find(s, "wiki-aa", &id, &e), 0);
	assert_string_equal(id, "wiki-aa");
	free(id);
	assert_int_equal(store_find(s, "wiki", &id, &e), 0); /* exact wins */
	assert_string_equal(id, "wiki");
	free(id);
	assert_int_equal(store_find(s, "wiki-a", &id, &e), -1);
	assert_non_null(strstr(e.msg, "2 runs begin with"));
	assert_int_equal(store_find(s, "x", &id, &e), -1);
	assert_non_null(strstr(e.msg, "there is no run \"x\""));
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
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(append_takes_only_the_next_line), T(two_drivers_can_never_write_the_same_line),
		T(verify_names_a_changed_line), T(verify_names_a_missing_line),
		T(verify_names_a_line_put_in_anothers_place), T(a_prefix_names_a_run_unless_two_share_it),
		T(another_programs_database_is_refused), T(a_file_that_is_no_database_is_refused),
		T(an_order_wakes_the_driver), T(beats_count_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

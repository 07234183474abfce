/* Programs: what they say, how they end, and that nothing of theirs outlives them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const clean[] = { "PATH=/usr/bin:/bin", "GREETING=hello", NULL };

static void sh(const char *script, const char *in, int64_t timeout_ms, size_t cap, struct proc_result *r)
{
	struct err e = { 0 };

	if (proc_run((const char *const[]){ "/bin/sh", "-c", script, NULL }, clean, in, timeout_ms, cap, r, &e))
		fail_msg("%s", e.msg);
}

static void output_and_status_come_back(void **state)
{
	autoproc struct proc_result r = { 0 };

	(void)state;
	sh("echo out; echo err >&2; exit 7", NULL, 10000, 1000, &r);
	assert_int_equal(r.status, 7);
	assert_false(r.timed_out);
	assert_false(r.capped);
	assert_string_equal(r.out, "out\nerr\n");
	assert_int_equal(r.nout, 8);
	assert_string_equal(r.errs, "");
}

static void stderr_can_be_kept_apart(void **state)
{
	autoproc struct proc_result r = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(proc_run_apart((const char *const[]){ "sh", "-c", "echo out; echo err >&2", NULL },
					clean, NULL, 10000, 1000, &r, &e), 0);
	assert_string_equal(r.out, "out\n");
	assert_string_equal(r.errs, "err\n");
}

static void the_environment_is_only_what_was_given(void **state)
{
	autoproc struct proc_result r = { 0 };
	struct err e = { 0 };

	(void)state;
	setenv("AWS_SECRET_ACCESS_KEY", "must-not-leak", 1);
	assert_int_equal(proc_run((const char *const[]){ "/usr/bin/env", NULL }, clean, NULL, 10000, 1000, &r, &e), 0);
	unsetenv("AWS_SECRET_ACCESS_KEY");
	assert_string_equal(r.out, "PATH=/usr/bin:/bin\nGREETING=hello\n");
}

static void arguments_pass_without_a_shell(void **state)
{
	autoproc struct proc_result r = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(proc_run((const char *const[]){ "printf", "%s|", "$(id)", "a b", "*", NULL }, clean,
				  NULL, 10000, 1000, &r, &e), 0);
	assert_string_equal(r.out, "$(id)|a b|*|");
}

static void input_of_any_size_arrives(void **state)
{
	autoproc struct proc_result r = { 0 }, none = { 0 };
	autofree char *big = xmalloc(300001);

	(void)state;
	memset(big, 'x', 300000);
	big[300000] = '\0';
	sh("wc -c", big, 10000, 1000, &r);
	assert_int_equal(atoi(r.out), 300000);
	sh("wc -c", NULL, 10000, 1000, &none);
	assert_int_equal(atoi(none.out), 0);
}

static void much_output_is_cut_and_does_not_block(void **state)
{
	autoproc struct proc_result r = { 0 };

	(void)state;
	sh("yes | head -c 3000000; echo end", NULL, 20000, 100, &r);
	assert_true(r.capped);
	assert_int_equal(r.nout, 100);
	assert_int_equal(strlen(r.out), 100);
	assert_int_equal(r.status, 0);
}

static void exactly_the_cap_is_not_cut(void **state)
{
	autoproc struct proc_result r = { 0 };

	(void)state;
	sh("printf 12345", NULL, 10000, 5, &r);
	assert_false(r.capped);
	assert_string_equal(r.out, "12345");
}

static void a_signal_is_told_from_an_exit(void **state)
{
	autoproc struct proc_result r = { 0 };

	(void)state;
	sh("kill -SEGV $$", NULL, 10000, 100, &r);
	assert_int_equal(r.status, 128 + SIGSEGV);
	assert_false(r.timed_out);
}

/* No process of the group is left; waits for init to reap what we cannot. */
static bool is_gone(pid_t pid)
{
	for (int i = 0; i < 500; i++) {
		autofree char *path = xasprintf("/proc/%d/stat", pid);
		char line[256] = "";
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return true;
		if (read(fd, line, sizeof line - 1) <= 0 || strstr(line, ") Z")) {
			close(fd);
			return true;
		}
		close(fd);
		usleep(10000);
	}
	return false;
}

static void the_whole_group_dies_at_the_time_limit(void **state)
{
	autoproc struct proc_result r = { 0 };
	int64_t began = clock_mono(&clock_real);

	(void)state;
	sh("sleep 1000 & echo $!; trap '' TERM; sleep 1000", NULL, 300, 1000, &r);
	assert_true(r.timed_out);
	assert_int_equal(r.status, 128 + SIGKILL);
	assert_true(clock_mono(&clock_real) - began >= 300);
	assert_true(clock_mono(&clock_real) - began < 20000);
	assert_true(atoi(r.out) > 1);
	assert_true(is_gone(atoi(r.out)));
}

static void what_it_left_behind_dies_with_it(void **state)
{
	autoproc struct proc_result r = { 0 };
	int64_t began = clock_mono(&clock_real);

	(void)state;
	sh("sleep 1000 & echo $!", NULL, 60000, 1000, &r);
	assert_false(r.timed_out);
	assert_int_equal(r.status, 0);
	assert_true(clock_mono(&clock_real) - began < 30000); /* its sleep holds our pipe open */
	assert_true(is_gone(atoi(r.out)));
}

static void what_cannot_start_is_said(void **state)
{
	struct proc_result r = { 0 };
	struct err e = { 0 };
	char plain[] = "/tmp/test_proc.XXXXXX";
	int fd = mkstemp(plain);

	(void)state;
	close(fd);
	assert_int_equal(proc_run((const char *const[]){ "/no/such/program", NULL }, clean, NULL, 1000, 10, &r, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
	assert_non_null(strstr(e.msg, "/no/such/program"));
	assert_int_equal(proc_run((const char *const[]){ plain, NULL }, clean, NULL, 1000, 10, &r, &e), -1);
	assert_int_equal(e.kind, ERR_DENIED);
	unlink(plain);
}

static void our_files_stay_ours(void **state)
{
	autoproc struct proc_result r = { 0 };
	int fd = open("/dev/null", O_RDONLY); /* deliberately without O_CLOEXEC */
	autofree char *script = xasprintf("[ -e /proc/self/fd/%d ] && echo leaked || echo closed", fd);

	(void)state;
	sh(script, NULL, 10000, 100, &r);
	close(fd);
	assert_string_equal(r.out, "closed\n");
}

static void ignored_signals_work_again_in_the_program(void **state)
{
	autoproc struct proc_result r = { 0 };

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	sh("kill -PIPE $$; echo alive", NULL, 10000, 100, &r);
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(r.status, 128 + SIGPIPE);
}

static void wait_for_line(const char *path, char line[64])
{
	for (int i = 0; i < 1000 && !strchr(line, '\n'); i++) {
		FILE *file = fopen(path, "r");

		if (file && !fgets(line, 64, file))
			line[0] = '\0';
		if (file)
			fclose(file);
		usleep(10000);
	}
	assert_non_null(strchr(line, '\n'));
}

static void it_can_be_watched_in_pieces(void **state)
{
	char path[] = "/tmp/test_proc.XXXXXX", line[64] = "";
	int fd = mkstemp(path);
	autofree char *script = xasprintf("head -c 100 /dev/zero; echo >%s; sleep 1000", path);
	struct proc_result r = { 0 };
	struct err e = { 0 };
	struct proc *p = NULL;

	(void)state;
	close(fd);
	assert_int_equal(proc_start((const char *const[]){ "/bin/sh", "-c", script, NULL }, clean, NULL, 64, &p, &e), 0);
	assert_false(proc_poll(p, 0));
	wait_for_line(path, line);
	assert_false(proc_poll(p, 10));
	proc_end(p, &r);
	unlink(path);
	assert_true(r.timed_out);
	assert_true(r.capped);
	proc_result_free(&r);
	assert_int_equal(proc_start((const char *const[]){ "/bin/true", NULL }, clean, NULL, 64, &p, &e), 0);
	assert_true(proc_poll(p, 20000));
	assert_true(proc_poll(p, 0));
	proc_end(p, &r);
	assert_false(r.timed_out);
	assert_int_equal(r.status, 0);
	proc_result_free(&r);
}

/* A controller that was killed left its hook alone, and the next one began another beside it. */
static void what_runs_ends_with_us_however_we_end(void **state)
{
	static const int how[] = { SIGKILL, SIGTERM, 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(how); i++) {
		char path[] = "/tmp/test_proc.XXXXXX", line[64] = "";
		int fd = mkstemp(path), leader = 0, child = 0;
		autofree char *script = xasprintf("trap '' TERM HUP; sleep 1000 & echo $$ $! >%s; wait", path);
		pid_t us;

		close(fd);
		us = fork();
		if (!us) {
			struct err e = { 0 };
			struct proc *p;

			if (proc_start((const char *const[]){ "/bin/sh", "-c", script, NULL }, clean, NULL, 64, &p, &e))
				_exit(1);
			wait_for_line(path, line);
			if (!how[i])
				_exit(0);
			pause();
		}
		wait_for_line(path, line);
		assert_int_equal(sscanf(line, "%d %d", &leader, &child), 2);
		if (how[i])
			kill(us, how[i]);
		waitpid(us, NULL, 0);
		assert_true(is_gone(leader));
		assert_true(is_gone(child));
		unlink(path);
	}
}

static void *start_in_a_thread(void *p)
{
	struct err e = { 0 };

	assert_int_equal(proc_start((const char *const[]){ "/bin/sh", "-c", "sleep 0.3; echo lives", NULL }, clean, NULL, 64, p, &e), 0);
	return NULL;
}

/* The kernel's own signal for a parent's death is for the thread that was the parent. */
static void what_a_thread_starts_outlives_the_thread(void **state)
{
	autoproc struct proc_result r = { 0 };
	struct proc *p = NULL;
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, start_in_a_thread, &p), 0);
	pthread_join(t, NULL);
	assert_true(proc_poll(p, 20000));
	proc_end(p, &r);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.out, "lives\n");
}

/* Nobody is left who would keep a terminal, a lock or a port. */
static void the_guard_ends_with_the_program(void **state)
{
	autofree char *path = xasprintf("/proc/self/task/%d/children", getpid());
	autoproc struct proc_result r = { 0 };
	char text[64] = "";
	FILE *f;

	(void)state;
	sh("true", NULL, 10000, 100, &r);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_null(fgets(text, sizeof text, f));
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_status_come_back),
		cmocka_unit_test(stderr_can_be_kept_apart),
		cmocka_unit_test(the_environment_is_only_what_was_given),
		cmocka_unit_test(arguments_pass_without_a_shell),
		cmocka_unit_test(input_of_any_size_arrives),
		cmocka_unit_test(much_output_is_cut_and_does_not_block),
		cmocka_unit_test(exactly_the_cap_is_not_cut),
		cmocka_unit_test(a_signal_is_told_from_an_exit),
		cmocka_unit_test(the_whole_group_dies_at_the_time_limit),
		cmocka_unit_test(what_it_left_behind_dies_with_it),
		cmocka_unit_test(what_cannot_start_is_said),
		cmocka_unit_test(our_files_stay_ours),
		cmocka_unit_test(ignored_signals_work_again_in_the_program),
		cmocka_unit_test(it_can_be_watched_in_pieces),
		cmocka_unit_test(what_runs_ends_with_us_however_we_end),
		cmocka_unit_test(what_a_thread_starts_outlives_the_thread),
		cmocka_unit_test(the_guard_ends_with_the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

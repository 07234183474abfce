/* Whole files out: what may be replaced, and what is only written to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static struct err e;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_file.XXXXXX");
	e = (struct err){ 0 };
	return mkdtemp(dir) && !chdir(dir) ? 0 : -1;
}

static size_t names(void)
{
	DIR *d = opendir(".");
	size_t n = 0;

	for (struct dirent *f; (f = readdir(d));)
		n += f->d_name[0] != '.';
	closedir(d);
	return n;
}

static int teardown(void **state)
{
	static const char *const made[] = { "file", "link", "pipe", "null", "far/file" };

	(void)state;
	for (size_t i = 0; i < COUNT(made); i++)
		unlink(made[i]);
	rmdir("far");
	return chdir("/") || rmdir(dir); /* nothing is left beside */
}

static void put(const char *path, const char *text)
{
	if (file_write(path, text, strlen(text), &e))
		fail_msg("%s", e.msg);
}

static void holds(const char *path, const char *text, mode_t mode)
{
	autofree char *got = NULL;
	struct stat s;
	size_t n;

	assert_int_equal(file_read(path, 1000, &got, &n, &e), 0);
	assert_string_equal(got, text);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, mode);
}

static void a_file_is_replaced_and_keeps_its_mode(void **state)
{
	struct stat before, after;

	(void)state;
	umask(022);
	put("file", "one");
	holds("file", "one", 0644);
	chmod("file", 0640);
	stat("file", &before);
	put("file", "two");
	stat("file", &after);
	holds("file", "two", 0640);
	assert_int_not_equal(before.st_ino, after.st_ino); /* who has it open goes on reading the old one */
	umask(077);
	put("far", "x");
	holds("far", "x", 0600);
	unlink("far");
	umask(022);
	assert_int_equal(names(), 1);
}

/* Asked for by root, `--out /dev/null` left machines without /dev/null. */
static void what_is_no_file_is_written_to(void **state)
{
	char text[8] = "";
	struct stat s;
	int fd;

	(void)state;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	fd = open("pipe", O_RDWR | O_NONBLOCK);
	put("pipe", "hello");
	assert_int_equal(read(fd, text, sizeof text), 5);
	close(fd);
	assert_int_equal(lstat("pipe", &s), 0);
	assert_true(S_ISFIFO(s.st_mode));
	assert_int_equal(symlink("/dev/null", "null"), 0);
	put("null", "gone");
	assert_int_equal(stat("/dev/null", &s), 0);
	assert_true(S_ISCHR(s.st_mode));
	assert_int_equal(lstat("null", &s), 0);
	assert_true(S_ISLNK(s.st_mode));
	assert_int_equal(file_write(".", "x", 1, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(names(), 2);
}

static void a_link_stays_and_its_file_is_replaced(void **state)
{
	struct stat s;

	(void)state;
	assert_int_equal(mkdir("far", 0700), 0);
	assert_int_equal(symlink("far/file", "link"), 0);
	put("link", "one"); /* a link to nowhere yet */
	holds("far/file", "one", 0644);
	put("link", "two");
	holds("far/file", "two", 0644);
	assert_int_equal(lstat("link", &s), 0);
	assert_true(S_ISLNK(s.st_mode));
}

static void what_cannot_be_written_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(file_write("nowhere/file", "x", 1, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
	assert_int_equal(names(), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_file_is_replaced_and_keeps_its_mode), T(what_is_no_file_is_written_to), T(a_link_stays_and_its_file_is_replaced),
		T(what_cannot_be_written_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

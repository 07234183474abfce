#include "base/file.h"

#include "base/buf.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define autofd __attribute__((cleanup(close_fd)))

static int io_err(struct err *e, const char *doing, const char *path)
{
	return err_set(e, errno == ENOENT ? ERR_GONE : errno == EACCES ? ERR_DENIED : ERR_INPUT,
		       "cannot %s %s: %s", doing, path, strerror(errno));
}

int file_read(const char *path, size_t max, char **text, size_t *n, struct err *e)
{
	autobuf struct buf b = BUF_MAX(max);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char piece[8192];
	ssize_t got;

	if (fd < 0)
		return io_err(e, "open", path);
	while ((got = read(fd, piece, sizeof piece)) > 0 && !b.full)
		buf_add(&b, piece, (size_t)got);
	if (got < 0)
		return io_err(e, "read", path);
	if (b.full)
		return err_set(e, ERR_INPUT, "%s is larger than %zu bytes", path, max);
	*n = b.len;
	*text = buf_take(&b);
	return 0;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		p += put;
		n -= (size_t)put;
	}
	return fsync(fd);
}

int file_write(const char *path, const char *text, size_t n, struct err *e)
{
	autofree char *beside = xasprintf("%s.new", path);
	autofd int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return io_err(e, "create", beside);
	if (write_all(fd, text, n) || rename(beside, path)) {
		io_err(e, "write", path);
		unlink(beside);
		return -1;
	}
	return 0;
}

/* 0700 whatever the umask; one that is there stays as it is. */
static int file_mkdir(const char *p, struct err *e)
{
	if (!mkdir(p, 0700))
		return chmod(p, 0700) ? io_err(e, "make folder", p) : 0;
	return errno == EEXIST ? 0 : io_err(e, "make folder", p);
}

int file_mkdirs(const char *path, struct err *e)
{
	autofree char *p = xstrdup(path);

	for (char *q = p + 1; *q; q++) {
		if (*q != '/')
			continue;
		*q = '\0';
		if (file_mkdir(p, e))
			return -1;
		*q = '/';
	}
	return file_mkdir(p, e);
}

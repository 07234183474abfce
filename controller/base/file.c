#include "base/file.h"

#include "base/buf.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
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
	return 0;
}

/* A device, a pipe, a link to nowhere yet: what stands there stays what it is. */
static int write_in_place(const char *path, const char *text, size_t n, struct err *e)
{
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0644);

	if (fd < 0)
		return io_err(e, "open", path);
	return write_all(fd, text, n) ? io_err(e, "write", path) : 0;
}

/* Beside the file, under a name that nobody can have prepared. */
static int create_beside(const char *path, char **name)
{
	int fd = -1;

	for (int i = 0; i < 3 && fd < 0; i++) {
		uint64_t r = 0;

		(void)!getrandom(&r, sizeof r, 0);
		free(*name);
		*name = xasprintf("%s.%08llx.new", path, (unsigned long long)(r & 0xffffffff));
		fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	return fd;
}

/* Nobody reads it before it is whole; then it is as the old one was, or as a new
 * one of ours would be. */
static int fill(int fd, const struct stat *old, const char *text, size_t n)
{
	struct stat new;

	if (fstat(fd, &new) || fchmod(fd, 0600) || write_all(fd, text, n))
		return -1;
	if (old && (old->st_uid != new.st_uid || old->st_gid != new.st_gid))
		(void)!fchown(fd, old->st_uid, old->st_gid); /* who may not, leaves it his own */
	return fchmod(fd, (old ? old : &new)->st_mode & 0777) || fsync(fd) ? -1 : 0;
}

static int replace(const char *path, const struct stat *old, const char *text, size_t n, struct err *e)
{
	autofree char *beside = NULL;
	autofd int fd = create_beside(path, &beside);

	if (fd < 0)
		return io_err(e, "create", beside);
	if (fill(fd, old, text, n) || rename(beside, path)) {
		io_err(e, "write", path);
		unlink(beside);
		return -1;
	}
	return 0;
}

int file_write(const char *path, const char *text, size_t n, struct err *e)
{
	autofree char *target = realpath(path, NULL); /* a link stays a link */
	struct stat old, link;

	if (target && !stat(target, &old))
		return S_ISREG(old.st_mode) ? replace(target, &old, text, n, e) : write_in_place(target, text, n, e);
	if (!lstat(path, &link))
		return write_in_place(path, text, n, e);
	return replace(path, NULL, text, n, e);
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

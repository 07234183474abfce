/* store/locked.c - who holds the journal's lock, from /proc/locks. The file itself
 * is not opened: a process that closes any descriptor of a file loses all its own
 * POSIX locks on it (fcntl(2)), and SQLite's among them. */
#include "store/sqlite.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* sqlite.org/fileformat2.html, "lock-byte page": 512 bytes from 1 GiB on. */
#define LOCK_FROM (1LL << 30)
#define LOCK_TO (LOCK_FROM + 511)

/* "1: POSIX  ADVISORY  WRITE 1234 fe:01:5678 1073741825 1073741825"; 0: another line. */
static long locked_by(const char *line, const struct stat *st)
{
	char place[64], want[64], to[24], *end;
	long long from;
	long pid;
	const char *p = strstr(line, "WRITE ");

	if (!p || !strstr(line, "POSIX"))
		return 0;
	pid = strtol(p + strlen("WRITE "), &end, 10);
	if (sscanf(end, " %63s", place) != 1)
		return 0;
	snprintf(want, sizeof want, "%02x:%02x:%llu", major(st->st_dev), minor(st->st_dev), (unsigned long long)st->st_ino);
	end = strstr(end, place) + strlen(place);
	from = strtoll(end, &end, 10);
	if (strcmp(place, want) || from < LOCK_FROM || from > LOCK_TO || sscanf(end, " %23s", to) != 1)
		return 0;
	return pid;
}

static bool locked_is_stopped(long pid)
{
	char path[64], line[512] = "", *p;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof line, f))
		line[0] = '\0';
	fclose(f);
	p = strrchr(line, ')');
	return p && p[1] && strchr("Tt", p[2]);
}

bool store_locked_by(const char *path, long *pid, bool *stopped)
{
	FILE *f = fopen("/proc/locks", "re");
	char line[256];
	struct stat st;

	*pid = 0;
	while (f && !stat(path, &st) && !*pid && fgets(line, sizeof line, f))
		*pid = locked_by(line, &st);
	if (f)
		fclose(f);
	*stopped = *pid > 0 && locked_is_stopped(*pid);
	return *pid > 0;
}

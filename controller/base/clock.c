#include "base/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t ms_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t real_wall(struct clock *c) { (void)c; return ms_of(CLOCK_REALTIME); }
/* BOOTTIME counts while the machine is suspended: a lease must expire then. */
static int64_t real_mono(struct clock *c) { (void)c; return ms_of(CLOCK_BOOTTIME); }

static void real_sleep(struct clock *c, int64_t ms)
{
	struct pollfd p = { .fd = c->wake_fd, .events = POLLIN };

	if (ms > 0)
		poll(&p, c->wake_fd >= 0, ms > 3600000 ? 3600000 : (int)ms);
}

struct clock clock_real = { real_wall, real_mono, real_sleep, -1 };

void clock_iso(int64_t wall_ms, char out[21])
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 21, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void clock_hms(int64_t wall_ms, char out[9])
{
	char iso[21];

	clock_iso(wall_ms, iso);
	memcpy(out, iso + 11, 8);
	out[8] = '\0';
}

int64_t clock_parse_iso(const char *s)
{
	struct tm tm = { 0 };
	const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ms = 0;

	if (!rest)
		return -1;
	if (*rest == '.') {
		char *end;
		double frac = strtod(rest, &end);

		ms = (int64_t)(frac * 1000);
		rest = end;
	}
	if (strcmp(rest, "Z") && strcmp(rest, "+00:00"))
		return -1;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

#include "base/duration.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MS ((double)366 * 86400 * 1000)

static double unit_ms(char c, int in_time)
{
	if (!in_time)
		return c == 'W' ? 604800e3 : c == 'D' ? 86400e3 : 0;
	return c == 'H' ? 3600e3 : c == 'M' ? 60e3 : c == 'S' ? 1e3 : 0;
}

static int bad(const char *s, struct err *e)
{
	return err_set(e, ERR_INPUT, "\"%s\" is not a duration: write it like PT30S, PT5M, PT1H30M or P1D", s);
}

int duration_parse(const char *s, int64_t *ms, struct err *e)
{
	double sum = 0, last = 1e18;
	int in_time = 0, parts = 0;
	const char *p = s;

	if (*p++ != 'P')
		return bad(s, e);
	while (*p) {
		size_t digits = strspn(p, "0123456789.");
		double u, v;
		char *end;

		if (*p == 'T' && !in_time) {
			in_time = 1;
			p++;
			if (!*p)
				return bad(s, e);
			continue;
		}
		v = strtod(p, &end);
		u = unit_ms(p[digits], in_time);
		/* units go down: PT5M1H is a typing mistake, not six minutes */
		if (!digits || digits > 12 || end != p + digits || u <= 0 || u >= last)
			return bad(s, e);
		sum += v * u;
		last = u;
		p += digits + 1;
		parts++;
	}
	if (!parts)
		return bad(s, e);
	if (sum > MAX_MS)
		return err_set(e, ERR_INPUT, "\"%s\" is longer than a year", s);
	*ms = (int64_t)(sum + 0.5);
	return 0;
}

void duration_say(int64_t ms, char out[32])
{
	long long s = ms / 1000;

	if (ms < 1000)
		snprintf(out, 32, "%lld ms", (long long)ms);
	else if (s < 120)
		snprintf(out, 32, "%lld s", s);
	else if (s < 3600)
		snprintf(out, 32, s % 60 ? "%lld min %lld s" : "%lld min", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, 32, s % 3600 / 60 ? "%lld h %lld min" : "%lld h", s / 3600, s % 3600 / 60);
	else
		snprintf(out, 32, s % 86400 / 3600 ? "%lld d %lld h" : "%lld d", s / 86400, s % 86400 / 3600);
}

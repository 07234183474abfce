/* judge/guard.c - the two guarded rules, target health and alarms.
 *
 * catastrophic: a hard limit in one closed period with enough requests.
 * error-rate, latency: a configured limit over N closed periods together.
 * Both look at blue first: when blue is as sick as green, going back does not
 * help, so the verdict is HOLD and a person is called. */
#include "judge/judge.h"

#include <stdio.h>
#include <stdarg.h>
#include <string.h>

/* Green requests a period must have by blue's measure before their absence is blindness. */
#define EXPECT_REQUESTS 20
/* How many closed periods back a trouble of both colours counts as still going on. */
#define RECENT 2

struct sum {
	double requests, errors, latency_ms;
	size_t seen;
};

static struct sum sum_of(const struct sample *s, size_t from, size_t to)
{
	struct sum t = { .latency_ms = -1 };

	for (size_t i = from; i < to; i++) {
		if (!s[i].seen)
			continue;
		t.seen++;
		t.requests += s[i].requests;
		t.errors += s[i].errors;
		if (s[i].latency_ms >= 0)
			t.latency_ms = s[i].latency_ms;
	}
	return t;
}

static double rate(const struct sum *t)
{
	return t->requests > 0 ? t->errors / t->requests : 0;
}

/* BAD, unless blue fails at half of green's rate or more: then it is not green's
 * doing. A shared incident holds the run while it lasts, not for ever after. */
static bool bad_unless_shared(struct verdict *v, const char *rule, const struct sum *g, const struct sum *b,
			      bool recent)
{
	bool shared = b->requests > 0 && rate(b) * 2 >= rate(g);

	if (shared && !recent)
		return false;
	if (shared)
		return verdict_say(v, VERDICT_HOLD, "both-sick",
				   "both colours fail: green %.1f %% of %.0f requests, blue %.1f %% of %.0f; going back would not help",
				   100 * rate(g), g->requests, 100 * rate(b), b->requests);
	return verdict_say(v, VERDICT_BAD, rule, "green failed %.0f of %.0f requests (%.1f %%), blue %.0f of %.0f (%.1f %%)",
			   g->errors, g->requests, 100 * rate(g), b->errors, b->requests, 100 * rate(b));
}

static bool catastrophic(const struct evidence *ev, const struct judge_limits *lim, struct verdict *v)
{
	for (size_t i = ev->n; i-- > ev->green_from;) {
		struct sum g = sum_of(ev->green, i, i + 1), b = sum_of(ev->blue, i, i + 1);

		if (g.requests >= lim->catastrophic_requests &&
		    g.errors * 1000 >= lim->catastrophic_permille * g.requests &&
		    bad_unless_shared(v, "catastrophic", &g, &b, i + RECENT >= ev->n))
			return true;
	}
	return false;
}

static bool error_rate(const struct evidence *ev, const struct judge_limits *lim, struct verdict *v)
{
	size_t span = (size_t)lim->error_periods;

	for (size_t end = ev->n; lim->error_permille > 0 && end >= ev->green_from + span; end--) {
		struct sum g = sum_of(ev->green, end - span, end), b = sum_of(ev->blue, end - span, end);

		if (g.requests >= lim->error_requests && g.errors * 1000 > lim->error_permille * g.requests &&
		    bad_unless_shared(v, "error-rate", &g, &b, end + RECENT > ev->n))
			return true;
	}
	return false;
}

static bool all_slow(const struct sample *s, size_t from, size_t to, int limit_ms)
{
	for (size_t i = from; i < to; i++)
		if (!s[i].seen || s[i].latency_ms <= limit_ms)
			return false;
	return true;
}

static bool latency(const struct evidence *ev, const struct judge_limits *lim, struct verdict *v)
{
	size_t span = (size_t)lim->latency_periods;

	for (size_t end = ev->n; lim->latency_ms > 0 && end >= ev->green_from + span; end--) {
		struct sum g = sum_of(ev->green, end - span, end), b = sum_of(ev->blue, end - span, end);

		if (g.requests < lim->latency_requests || !all_slow(ev->green, end - span, end, lim->latency_ms))
			continue;
		if (b.latency_ms > lim->latency_ms && end + RECENT <= ev->n)
			continue;
		if (b.latency_ms > lim->latency_ms)
			return verdict_say(v, VERDICT_HOLD, "both-slow",
					   "both colours are slow: green %.0f ms, blue %.0f ms; going back would not help",
					   g.latency_ms, b.latency_ms);
		return verdict_say(v, VERDICT_BAD, "latency", "green answered in %.0f ms for %zu periods, the limit is %d ms",
				   g.latency_ms, span, lim->latency_ms);
	}
	return false;
}

static bool health(const struct evidence *ev, struct verdict *v)
{
	if (ev->green_healthy != 0)
		return false;
	if (ev->blue_healthy == 0)
		return verdict_say(v, VERDICT_HOLD, "both-sick", "neither colour has a healthy target; going back would not help");
	return verdict_say(v, VERDICT_BAD, "target-health", "none of green's %d targets is healthy", ev->green_total);
}

static bool alarm(const struct evidence *ev, struct verdict *v)
{
	return ev->alarm && verdict_say(v, VERDICT_BAD, "alarm", "%.250s", ev->alarm_why);
}

/* A closed period in which green must have been asked, and shows nothing. */
static bool is_dark(const struct evidence *ev, size_t i)
{
	double share = ev->green_permille / 1000.0;

	if (ev->green[i].seen)
		return false;
	if (ev->green_permille >= 1000)
		return true;
	return ev->blue[i].seen && ev->blue[i].requests * share / (1 - share) >= EXPECT_REQUESTS;
}

static const char *why_missing(const struct evidence *ev, enum judge_source s)
{
	return ev->missing[s][0] ? ev->missing[s] : "nobody has asked yet";
}

static bool blind(const struct evidence *ev, const struct judge_limits *lim, struct verdict *v)
{
	size_t dark = 0;

	if (ev->behind >= (size_t)lim->blind_periods)
		return verdict_say(v, VERDICT_BLIND, "no-answer", "the last %zu closed periods could not be read: %.200s", ev->behind,
				   why_missing(ev, SOURCE_METRICS));
	for (size_t i = ev->n; i > ev->stage_from && is_dark(ev, i - 1); i--)
		dark++;
	if (ev->green_permille > 0 && dark >= (size_t)lim->blind_periods)
		return verdict_say(v, VERDICT_BLIND, "no-green", "green has weight but no request was counted for %zu closed periods",
				   dark);
	return false;
}

static bool enough(const struct evidence *ev, const struct judge_limits *lim, struct verdict *v)
{
	struct sum g = sum_of(ev->green, ev->stage_from, ev->n);

	for (enum judge_source s = SOURCE_WEIGHTS; s <= SOURCE_ALARMS; s++)
		if (ev->missing[s][0])
			return verdict_say(v, VERDICT_HOLD, "unknown", "the %s could not be read: %.200s", judge_source_name(s), ev->missing[s]);
	if (ev->green_healthy < 0)
		return verdict_say(v, VERDICT_HOLD, "health-unknown", "the health of green's targets is not known: %.200s",
				   why_missing(ev, SOURCE_GREEN_HEALTH));
	if (ev->green_healthy < ev->green_total)
		return verdict_say(v, VERDICT_HOLD, "target-health", "%d of green's %d targets are healthy",
				   ev->green_healthy, ev->green_total);
	if (ev->behind)
		return verdict_say(v, VERDICT_HOLD, "late", "%zu closed periods have not been read yet: %.200s", ev->behind,
				   why_missing(ev, SOURCE_METRICS));
	if (g.requests < lim->good_requests)
		return verdict_say(v, VERDICT_HOLD, "evidence", "green has answered %.0f requests in this stage, %d are needed",
				   g.requests, lim->good_requests);
	return verdict_say(v, VERDICT_GOOD, "evidence", "green failed %.0f of %.0f requests in this stage (%.2f %%)",
			   g.errors, g.requests, 100 * rate(&g));
}

static void numbers(const struct evidence *ev, struct verdict *v)
{
	struct sum g = sum_of(ev->green, ev->stage_from, ev->n), b = sum_of(ev->blue, ev->stage_from, ev->n);

	v->green_requests = g.requests;
	v->green_errors = g.errors;
	v->green_latency_ms = g.latency_ms;
	v->blue_requests = b.requests;
	v->blue_errors = b.errors;
	v->blue_latency_ms = b.latency_ms;
}

/* The first rule that speaks decides; harm speaks before doubt. */
void judge_guard(const struct evidence *ev, const struct judge_limits *lim, struct verdict *out)
{
	memset(out, 0, sizeof *out);
	numbers(ev, out);
	(void)(health(ev, out) || catastrophic(ev, lim, out) || error_rate(ev, lim, out) ||
	       latency(ev, lim, out) || alarm(ev, out) || blind(ev, lim, out) || enough(ev, lim, out));
}

bool verdict_say(struct verdict *v, enum verdict_kind kind, const char *rule, const char *fmt, ...)
{
	va_list ap;

	v->kind = kind;
	snprintf(v->rule, sizeof v->rule, "%s", rule);
	va_start(ap, fmt);
	vsnprintf(v->why, sizeof v->why, fmt, ap);
	va_end(ap);
	return true;
}

const char *judge_source_name(enum judge_source s)
{
	static const char *const names[JUDGE_SOURCES] = { "metrics", "weights", "alarms", "health of green", "health of blue" };

	return (size_t)s < JUDGE_SOURCES ? names[s] : "?";
}

const char *verdict_name(enum verdict_kind k)
{
	static const char *const names[] = { "GOOD", "HOLD", "BLIND", "BAD" };

	return (size_t)k < sizeof names / sizeof *names ? names[k] : "?";
}

/* engine/claim.c - who drives. A claim is a line in the journal; signs of life
 * are a counter beside it. Nobody's wall clock is compared with another's: a
 * holder is silent when *our* clock has seen its counter stand still. */
#include "engine/format.h"
#include "engine/internal.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_TIME 20 /* words after the name's ")": field 22 of /proc/PID/stat */

/* Who drives, as the claim names it: "HOST BOOT PID START NAMESPACE". */
struct holder {
	char host[64], boot[40];
	long pid;
	long long start;  /* clock ticks after boot; HOLDER_UNSEEN, HOLDER_ENDED */
	long long pidns;  /* inode of the PID namespace: a pid means something only there */
};
#define HOLDER_UNSEEN (-1) /* /proc does not show it: hidepid, another namespace, or no such process */
#define HOLDER_ENDED (-2)  /* it is dead, and nobody has asked for its exit code yet */

/* The start time tells a reused pid from the old process. */
static long long holder_start_time(long pid)
{
	autofree char *path = xasprintf("/proc/%ld/stat", pid);
	char line[1024] = "", *p;
	FILE *f = fopen(path, "re");

	if (!f)
		return HOLDER_UNSEEN;
	if (!fgets(line, sizeof line, f))
		line[0] = '\0';
	fclose(f);
	p = strrchr(line, ')');
	if (p && p[1] && p[2] && strchr("ZX", p[2]))
		return HOLDER_ENDED;
	for (int i = 0; p && i < START_TIME; i++)
		p = strchr(p + 1, ' ');
	return p ? strtoll(p, NULL, 10) : HOLDER_UNSEEN;
}

static void holder_boot_id(char out[40])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	snprintf(out, 40, "unknown");
	if (!f)
		return;
	if (fscanf(f, "%36s", out) != 1)
		snprintf(out, 40, "unknown");
	fclose(f);
}

static long long holder_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : (long long)st.st_ino;
}

static struct holder holder_self(void)
{
	struct holder h = { .host = "localhost", .pid = getpid(), .start = holder_start_time(getpid()),
			    .pidns = holder_pid_namespace() };

	gethostname(h.host, sizeof h.host - 1);
	holder_boot_id(h.boot);
	return h;
}

void engine_own_holder(char *out, size_t size)
{
	struct holder h = holder_self();

	snprintf(out, size, "%s %s %ld %lld %lld", h.host, h.boot, h.pid, h.start, h.pidns);
}

/* Takes the next word off *rest; false when there is none, or it is too long. */
static bool holder_word(const char **rest, char *out, size_t size)
{
	size_t n;

	*rest += strspn(*rest, " ");
	n = strcspn(*rest, " ");
	if (!n || n >= size)
		return false;
	memcpy(out, *rest, n);
	out[n] = '\0';
	*rest += n;
	return true;
}

static bool holder_number(const char **rest, long long *out)
{
	char word[24], *end;

	if (!holder_word(rest, word, sizeof word))
		return false;
	errno = 0;
	*out = strtoll(word, &end, 10);
	return !errno && !*end;
}

static bool holder_place(const char **rest, struct holder *h)
{
	long long pid;

	*h = (struct holder){ .start = HOLDER_UNSEEN };
	if (!holder_word(rest, h->host, sizeof h->host) || !holder_word(rest, h->boot, sizeof h->boot) ||
	    !holder_number(rest, &pid) || pid < 1 || pid > INT_MAX)
		return false;
	h->pid = (long)pid;
	return true;
}

bool engine_holder_place(const struct run *r, char host[64], long *pid)
{
	const char *rest = r->holder;
	struct holder h;

	if (!holder_place(&rest, &h))
		return false;
	snprintf(host, 64, "%s", h.host);
	*pid = h.pid;
	return true;
}

/* One that names no namespace (claims of version 0.0) can be nobody's neighbour. */
static bool holder_parse(const char *text, struct holder *h)
{
	return holder_place(&text, h) && holder_number(&text, &h->start) && holder_number(&text, &h->pidns) && !*text;
}

/* Does its pid mean the same process here as there? Two machines may have one
 * name, and a container shows its own processes under the pids of others. */
static bool holder_is_near(const struct holder *h, const struct holder *me)
{
	return !strcmp(h->host, me->host) && !strcmp(h->boot, me->boot) && strcmp(h->boot, "unknown") &&
	       h->pidns && h->pidns == me->pidns;
}

/* What cannot be seen may live: only the kernel's "no such process", or another
 * process under the same pid, is proof. */
enum engine_life engine_holder_life(const struct run *r)
{
	struct holder h, me = holder_self();
	long long start;

	if (!holder_parse(r->holder, &h) || !holder_is_near(&h, &me))
		return ENGINE_UNSEEN;
	if (kill((pid_t)h.pid, 0) && errno == ESRCH)
		return ENGINE_DEAD;
	start = holder_start_time(h.pid);
	if (start == HOLDER_ENDED)
		return ENGINE_DEAD;
	if (start == HOLDER_UNSEEN || h.start == HOLDER_UNSEEN)
		return ENGINE_UNSEEN;
	return start == h.start ? ENGINE_ALIVE : ENGINE_DEAD;
}

bool engine_holder_is_dead(const struct run *r)
{
	return engine_holder_life(r) == ENGINE_DEAD;
}

static int claim_append(struct engine *en, struct err *e)
{
	json_t *body = json_pack("{s:s, s:s, s:i}", "holder", en->holder, "program", CUTOVER_VERSION, "format", RUN_FORMAT);

	if (en->run->holder[0])
		json_object_set_new(body, "from", json_text(en->run->holder));
	return engine_append(en, EVENT_CLAIM, "", body, e);
}

/* A line that came first may be a mere order, and then ours follows it; another
 * one's claim, or a line of the holder's that we thought silent, is the end of ours. */
static int claim_take(struct engine *en, struct err *e)
{
	int64_t had = en->run->driver_seq;

	while (claim_append(en, e)) {
		if (e->kind != ERR_MOVED || run_catch_up(en->run, en->store, e))
			return -1;
		if (en->run->driver_seq != had)
			return err_set(e, ERR_LOST, "run %s is driven by %s, which is alive", en->run->id, en->run->holder);
	}
	return lease_beat(&en->lease, e);
}

#define CLAIM_BLIND_MS 300000 /* longest that a locked journal is looked at for signs of life */

/* 0 when the holder stayed silent for the lease, and what it may have sent last
 * has come to an end; else ERR_LOST. */
static int claim_outwait(struct engine *en, struct err *e)
{
	int64_t began = clock_mono(en->clock), from = began, had = en->run->claim_seq, first, now;
	struct err before = *e;

	if (store_beats(en->store, en->run->id, &first, e))
		return -1;
	while (clock_mono(en->clock) - from < ENGINE_LEASE_MS + HTTP_TIMEOUT_MS) {
		clock_sleep(en->clock, 1000);
		if (atomic_load(&en->lease.cancel.why) == CANCEL_STOP) /* an order is no reason to leave the run to nobody */
			return err_set(e, ERR_CANCELLED, "left while %s was waited for", en->run->holder);
		if (store_beats(en->store, en->run->id, &now, e) || run_catch_up(en->run, en->store, e)) {
			if (!err_retryable(e) || clock_mono(en->clock) - began > CLAIM_BLIND_MS)
				return -1;
			from = clock_mono(en->clock); /* silence that was not seen is none */
			*e = before;
			continue;
		}
		if (now != first || en->run->claim_seq != had)
			return err_set(e, ERR_LOST, "run %s is driven by %s, which is alive", en->run->id, en->run->holder);
	}
	return 0;
}

int engine_claim(struct engine *en, struct err *e)
{
	if (run_catch_up(en->run, en->store, e))
		return -1;
	if (engine_holds(en))
		return lease_beat(&en->lease, e);
	if (en->run->holder[0] && !engine_holder_is_dead(en->run) && claim_outwait(en, e))
		return -1;
	return claim_take(en, e);
}

int engine_renew(struct engine *en, struct err *e)
{
	return lease_age(&en->lease) < ENGINE_LEASE_MS ? 0 : claim_take(en, e);
}

/* Asked right before a write leaves. A process that slept longer than its lease
 * must not send what it was about to send: it claims the run anew, and the next
 * tick looks again. */
int engine_gate(void *engine, struct err *e)
{
	struct engine *en = engine;
	int64_t age;

	if (run_catch_up(en->run, en->store, e) || engine_still_ours(en, e))
		return -1;
	age = lease_age(&en->lease); /* after the journal, which may have been locked for long */
	if (age >= ENGINE_LEASE_MS)
		return err_set(e, ERR_MOVED, "this process gave no sign of life for %lld s: it claims the run anew before it writes",
			       (long long)(age / 1000));
	return 0;
}

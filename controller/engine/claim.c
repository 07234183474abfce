/* engine/claim.c - who drives. A claim is a line in the journal; signs of life
 * are a counter beside it. Nobody's wall clock is compared with another's: a
 * holder is silent when *our* clock has seen its counter stand still. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define START_TIME 20 /* words after the name's ")": field 22 of /proc/PID/stat */

/* The start time tells a reused pid from the old process. */
static long long start_time(long pid)
{
	autofree char *path = xasprintf("/proc/%ld/stat", pid);
	char line[1024] = "", *p;
	FILE *f = fopen(path, "re");

	if (!f)
		return -1;
	if (!fgets(line, sizeof line, f))
		line[0] = '\0';
	fclose(f);
	p = strrchr(line, ')');
	if (p && p[1] && strchr("ZX", p[2]))
		return -1; /* dead, and nobody has asked for its exit code yet */
	for (int i = 0; p && i < START_TIME; i++)
		p = strchr(p + 1, ' ');
	return p ? strtoll(p, NULL, 10) : -1;
}

static void boot_id(char out[40])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	snprintf(out, 40, "unknown");
	if (!f)
		return;
	if (fscanf(f, "%36s", out) != 1)
		snprintf(out, 40, "unknown");
	fclose(f);
}

void engine_own_holder(char *out, size_t size)
{
	char host[64] = "localhost", boot[40];

	gethostname(host, sizeof host - 1);
	boot_id(boot);
	snprintf(out, size, "%s %s %ld %lld", host, boot, (long)getpid(), start_time(getpid()));
}

bool engine_holder_is_dead(const struct run *r)
{
	char host[64], boot[40], mine[40], here[64] = "", *end;
	int numbers = 0;
	long long start;
	long pid;

	if (sscanf(r->holder, "%63s %39s %n", host, boot, &numbers) != 2)
		return false;
	pid = strtol(r->holder + numbers, &end, 10);
	start = strtoll(end, &end, 10);
	if (pid <= 0 || *end)
		return false;
	gethostname(here, sizeof here - 1);
	boot_id(mine);
	if (strcmp(host, here))
		return false;
	/* This machine, another boot: whatever ran then does not run now. */
	return strcmp(boot, mine) || start_time(pid) != start;
}

static int claim_take(struct engine *en, struct err *e)
{
	json_t *body = json_pack("{s:s}", "holder", en->holder);

	if (en->run->holder[0])
		json_object_set_new(body, "from", json_text(en->run->holder));
	if (engine_append(en, "claim", "", body, e))
		return -1;
	return lease_beat(&en->lease, e);
}

/* 0 when the holder stayed silent for the lease, else ERR_LOST. */
static int outwait(struct engine *en, struct err *e)
{
	int64_t from = clock_mono(en->clock), first, now;

	if (store_beats(en->store, en->run->id, &first, e))
		return -1;
	while (clock_mono(en->clock) - from < ENGINE_LEASE_MS + HTTP_TIMEOUT_MS) {
		clock_sleep(en->clock, 1000);
		if (store_beats(en->store, en->run->id, &now, e) || run_catch_up(en->run, en->store, e))
			return -1;
		if (now != first)
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
	if (en->run->holder[0] && !engine_holder_is_dead(en->run) && outwait(en, e))
		return -1;
	return claim_take(en, e);
}

bool engine_holds(const struct engine *en)
{
	return !strcmp(en->run->holder, en->holder);
}

int engine_still_ours(struct engine *en, struct err *e)
{
	if (engine_holds(en))
		return 0;
	lease_lost(&en->lease);
	return err_set(e, ERR_LOST, "run %s is driven by %s now", en->run->id, en->run->holder);
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
	int64_t age = lease_age(&en->lease);

	if (run_catch_up(en->run, en->store, e) || engine_still_ours(en, e))
		return -1;
	if (age >= ENGINE_LEASE_MS)
		return err_set(e, ERR_MOVED, "this process gave no sign of life for %lld s: it claims the run anew before it writes",
			       (long long)(age / 1000));
	return 0;
}

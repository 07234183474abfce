#include "rig.h"

#include "aws/cred.h"
#include "base/buf.h"
#include "base/err.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct rig *current; /* the VFS has no other way to find it */

/* --- moments ------------------------------------------------------------------------- */

/* RIG_BEFORE: the moment must not happen; RIG_AFTER: it happens, then all is dark. */
static enum rig_death moment(struct rig *r)
{
	if (r->dead)
		return RIG_BEFORE;
	r->moments++;
	if (r->how == RIG_LIVE || r->moments != r->die_at)
		return RIG_LIVE;
	r->dead = 1;
	return r->how;
}

/* --- the disk ---------------------------------------------------------------------------- */

static sqlite3_vfs disk, *real;

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	(void)vfs;
	if (current && (flags & SQLITE_OPEN_MAIN_JOURNAL)) {
		f->pMethods = NULL;
		if (current->disk_full)
			return SQLITE_FULL;
		if (!current->outside && moment(current) == RIG_BEFORE)
			return SQLITE_CANTOPEN;
	}
	return real->xOpen(real, name, f, flags, out);
}

static void use_disk(void)
{
	if (real)
		return;
	real = sqlite3_vfs_find(NULL);
	disk = *real;
	disk.zName = "rig";
	disk.xOpen = disk_open;
	sqlite3_vfs_register(&disk, 1);
}

/* --- the network --------------------------------------------------------------------------- */

static bool is_write(const struct http_req *q)
{
	return q->body && strstr(q->body, "Action=ModifyRule");
}

struct last {
	char kind[16];
};

static int see_last(void *ctx, const struct event *ev)
{
	snprintf(((struct last *)ctx)->kind, sizeof ((struct last *)ctx)->kind, "%s", ev->kind);
	return 0;
}

/* Invariant: announced before it is done. */
static void check_announced(struct rig *r)
{
	struct last l = { "" };
	struct err e = { 0 };

	r->modify_rules++;
	if (store_read(r->store, r->id, 0, see_last, &l, &e) || (strcmp(l.kind, "write") && strcmp(l.kind, "order")))
		snprintf(r->broken, sizeof r->broken, "ModifyRule was sent after a \"%s\" line, not after \"write\"", l.kind);
}

int rig_order(struct rig *r, const char *order, const char *id, bool full)
{
	const struct engine_order o = { .order = order, .reason = "test", .id = id, .actor = "somebody", .full = full };
	struct err e = { 0 };
	int rc;

	r->outside = true; /* somebody else's process writes this: its moments are not ours */
	rc = engine_order(r->store, r->id, sim_clock(r->sim), &o, &e);
	r->outside = false;
	if (rc)
		snprintf(r->broken, sizeof r->broken, "an order was not taken: %.300s", e.msg);
	return rc;
}

static void give_orders(struct rig *r)
{
	for (size_t i = 0; i < COUNT(r->order); i++) {
		if (!r->order[i].at || r->order[i].given || r->moments < r->order[i].at)
			continue;
		r->order[i].given = true;
		rig_order(r, r->order[i].order, NULL, r->order[i].full);
	}
}

/* Invariant: the watch never sleeps while green has weight. */
static void check_watched(struct rig *r, const struct http_req *q)
{
	int64_t now = clock_wall(sim_clock(r->sim));
	struct sim_truth t;

	sim_truth(r->sim, &t);
	if (t.weight_green <= 0) {
		r->green_seen = 0;
		return;
	}
	if (r->green_seen && now - r->green_seen > r->longest_gap)
		r->longest_gap = now - r->green_seen;
	if (!r->green_seen || strstr(q->url, "monitoring"))
		r->green_seen = now;
}

static int send_or_die(void *ctx, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct rig *r = ctx;
	enum rig_death d;
	int rc;

	if (!r->dead)
		give_orders(r);
	d = moment(r);
	if (d == RIG_BEFORE)
		return err_set(e, ERR_NET, "this process is dead");
	if (is_write(q))
		check_announced(r);
	check_watched(r, q);
	if (r->ask)
		r->ask(r, q);
	rc = sim_send(r->sim, q, a, e);
	if (!rc && r->heard)
		r->heard(r, q, a);
	if (d != RIG_AFTER)
		return rc;
	if (!rc)
		http_res_free(a);
	return err_set(e, ERR_UNSURE, "this process died before it read the answer");
}

/* --- processes ------------------------------------------------------------------------------ */

char *rig_plan(const char *steps)
{
	return rig_plan_with("", "", steps);
}

char *rig_plan_with(const char *top, const char *watch, const char *steps)
{
	const char *poll = strstr(watch, "\"poll\"") ? "" : ",\"poll\":\"PT1M\"";
	/* Stages of minutes: what these runs are about is not how much a judge wants to see. */
	const char *judge = strstr(watch, "\"judge\"") ? "" : ",\"judge\":{\"harm\":20000}";

	return xasprintf("{%s\"name\":\"rig\",\"region\":\"" RIG_REGION "\",\"account\":\"" RIG_ACCOUNT "\",\"rule\":\"" RIG_RULE "\","
			 "\"blue\":{\"target_group\":\"" RIG_BLUE "\",\"cluster\":\"wiki\",\"service\":\"blue\",\"stack\":\"wiki-blue\"},"
			 "\"green\":{\"target_group\":\"" RIG_GREEN "\",\"cluster\":\"wiki\",\"service\":\"green\"},"
			 "\"watch\":{\"period\":\"PT1M\",\"alarms\":[\"wiki-5xx\"]%s%s%s},\"steps\":[%s]}", top, poll,
			 judge, watch, steps);
}

static int begin(struct rig *r, const char *text)
{
	struct plan_errors errs = { 0 };
	autoplan struct plan *p = NULL;
	struct err e = { 0 };
	int rc = plan_parse(text, strlen(text), "rig.json", r->kinds, NULL, &p, &errs);

	if (rc)
		fprintf(stderr, "rig plan: line %d %s: %s\n", errs.at[0].line, errs.at[0].path, errs.at[0].text);
	plan_errors_free(&errs);
	if (rc || store_open(r->path, &r->store, &e) ||
	    engine_start(r->store, p, sim_clock(r->sim), "tester", r->id, &e)) {
		fprintf(stderr, "rig: %s\n", e.msg);
		return -1;
	}
	return 0;
}

struct rig *rig_new(const char *plan, const struct sim_opts *world, const struct step_kind *const *kinds)
{
	static const char *const alarms[] = { "wiki-5xx" };
	static int serial;
	struct sim_opts o = *world;
	struct rig *r = xcalloc(1, sizeof *r);

	use_disk();
	setenv("AWS_ACCESS_KEY_ID", "simulated", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "simulated", 1);
	o.region = RIG_REGION, o.account = RIG_ACCOUNT, o.rule = RIG_RULE, o.blue = RIG_BLUE, o.green = RIG_GREEN;
	o.alarms = 1, o.alarm_names = alarms;
	r->sim = sim_new(&o);
	r->kinds = kinds;
	r->http = (struct http){ send_or_die, r };
	snprintf(r->id, sizeof r->id, "rig");
	snprintf(r->path, sizeof r->path, "%s/cutover-rig-%d-%d.db", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm",
		 (int)getpid(), serial++);
	unlink(r->path);
	if (begin(r, plan)) {
		rig_free(r);
		return NULL;
	}
	current = r;
	return r;
}

void rig_close_process(struct rig *r)
{
	engine_close(r->en);
	r->en = NULL;
	if (r->creds)
		cred_chain_free(r->creds);
	r->creds = NULL;
	store_close(r->store);
	r->store = NULL;
}

int rig_open_process(struct rig *r, struct err *e)
{
	char holder[32];

	rig_close_process(r);
	r->green_seen = 0; /* nobody watches between two processes: the lease says how long */
	snprintf(holder, sizeof holder, "process-%d", ++r->processes);
	if (store_open(r->path, &r->store, e))
		return -1;
	r->creds = cred_chain_new(&r->http, sim_clock(r->sim));
	return engine_open(&(struct engine_opts){ .store = r->store, .kinds = r->kinds, .clock = sim_clock(r->sim),
						  .http = &r->http, .creds = r->creds, .run = r->id, .actor = "tester",
						  .holder = holder, .simulated = !r->programs, .seed = (uint64_t)r->processes },
			   &r->en, e);
}

static void saw(void *ctx, struct engine *en)
{
	struct rig *r = ctx;

	(void)en;
	if (r->dead)
		return;
	give_orders(r); /* a paused run may ask AWS nothing any more, and its resume must come all the same */
	if (r->see)
		r->see(r);
}

static int drive(struct rig *r, struct err *e)
{
	int rc;

	if (engine_claim(r->en, e))
		return -1;
	/* A journal that loses its disk is retried for ever: the test says how long. */
	rc = engine_drive(r->en, saw, r, &r->dead, e);
	return rc;
}

int rig_process(struct rig *r)
{
	struct err e = { 0 };
	int rc;

	current = r;
	rc = rig_open_process(r, &e);
	if (!rc)
		rc = drive(r, &e);
	if (r->dead)
		return 1;
	if (rc < 0 && !r->broken[0])
		snprintf(r->broken, sizeof r->broken, "process %d stopped: %.350s", r->processes, e.msg);
	return rc;
}

const struct run *rig_run(struct rig *r)
{
	return r->en ? engine_run(r->en) : NULL;
}

void rig_free(struct rig *r)
{
	autofree char *journal = NULL;

	if (!r)
		return;
	rig_close_process(r);
	sim_free(r->sim);
	journal = xasprintf("%s-journal", r->path);
	unlink(journal);
	unlink(r->path);
	if (current == r)
		current = NULL;
	free(r);
}

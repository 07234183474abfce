#include "rig.h"

#include "aws/core.h"
#include "base/json.h"
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

/* As a person names it who looks at the run now. */
static void name_order(const struct run *run, struct engine_order *o)
{
	size_t step = run ? run_current_index(run) : 0;
	const struct run_question *q = run ? run_question(run, &step) : NULL;

	if (!run || step == run->plan->nsteps || (o->kind == ORDER_PROMOTE && !q))
		return;
	o->step = run->plan->steps[step].id;
	o->about = o->kind == ORDER_PROMOTE ? q->seq : run->step[step].began;
}

int rig_order(struct rig *r, const char *order, const char *id, bool full)
{
	struct engine_order o = { .kind = order_by_name(order), .reason = "test", .id = id, .actor = "somebody", .full = full };
	struct err e = { 0 };
	int rc;

	name_order(rig_run(r), &o);
	r->outside = true; /* somebody else's process writes this: its moments are not ours */
	rc = engine_order(r->store, r->id, sim_clock(r->sim), &o, NULL, &e);
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

/* Invariant: the watch never sleeps while green has weight. Once traffic goes back
 * that comes first, and check_way_back looks. */
static void check_watched(struct rig *r, const struct http_req *q)
{
	int64_t now = clock_wall(sim_clock(r->sim));
	struct sim_truth t;

	sim_truth(r->sim, &t);
	if (t.weight_green <= 0 || (rig_run(r) && rig_run(r)->state == RUN_BACK)) {
		r->green_seen = 0;
		return;
	}
	if (r->green_seen && now - r->green_seen > r->longest_gap)
		r->longest_gap = now - r->green_seen;
	if (!r->green_seen || strstr(q->url, "monitoring"))
		r->green_seen = now;
}

/* --- the way back ------------------------------------------------------------------------ */

/* Invariant, looked at every minute: after BAD or an order green's weight is gone
 * within this time, or a person was called, and the call says what holds it up.
 * The time: the request that was under way, and then two rounds, since a write
 * without an answer is made again only when the rule has been read again. A round
 * is the rule, blue's health, green's health, the rule, the write; each may take
 * all the time that a request may with its retries. And a minute for the rest. */
#define WAY_BACK_ROUNDS 2
#define WAY_BACK_ROUND 5
#define WAY_BACK_REQUESTS (1 + WAY_BACK_ROUNDS * WAY_BACK_ROUND)
#define WAY_BACK_MS (WAY_BACK_REQUESTS * (int64_t)RETRY_TOTAL_MS + 60000)
#define MINUTE_MS 60000

static bool says_back(const struct event *ev, const json_t *body)
{
	return !strcmp(ev->kind, "back") || (!strcmp(ev->kind, "verdict") && !strcmp(json_str(body, "verdict", ""), "BAD")) ||
	       (!strcmp(ev->kind, "order") && !strcmp(json_str(body, "order", ""), "rollback"));
}

static bool ends_way_back(const char *kind)
{
	static const char *const kinds[] = { "frozen", "rolled-back", "refused", "stopped", "promoted", "attempt" };

	for (size_t i = 0; i < COUNT(kinds); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

static int see_way_back(void *rig, const struct event *ev)
{
	struct rig *r = rig;
	autojson json_t *body = json_loads(ev->body, 0, NULL);

	r->back.seq = ev->seq;
	if (!r->back.said && says_back(ev, body)) {
		r->back.said = true;
		r->back.called = false;
		snprintf(r->back.by, sizeof r->back.by, "%s", ev->kind);
		clock_hms(ev->at, r->back.at);
	}
	if (r->back.said && !strcmp(ev->kind, "call") && *json_str(body, "why", ""))
		r->back.called = true;
	if (ends_way_back(ev->kind))
		r->back.said = false;
	return 0;
}

/* Is there somebody who can be expected to send anything? */
static bool is_driven(struct rig *r, int64_t now)
{
	return r->en && !r->dead && !r->disk_full && engine_holds(r->en) && now - r->back.looked < 2 * MINUTE_MS;
}

static void say_not_back(struct rig *r, int64_t now, const struct sim_truth *t)
{
	snprintf(r->broken, sizeof r->broken,
		 "at %s \"%s\" said that traffic goes back; the weights are blue %d, green %d, and nobody was called for %lld s "
		 "(allowed: %d requests of %d s and a minute, %lld s); it says \"%.200s\"", r->back.at, r->back.by,
		 t->weight_blue, t->weight_green, (long long)(now - r->back.from) / 1000, WAY_BACK_REQUESTS,
		 RETRY_TOTAL_MS / 1000, (long long)WAY_BACK_MS / 1000, engine_saying(r->en));
}

static void check_way_back(void *rig)
{
	struct rig *r = rig;
	const struct run *run = rig_run(r);
	int64_t now = clock_mono(sim_clock(r->sim));
	bool was_said = r->back.said;
	struct err e = { 0 };
	struct sim_truth t;

	if (r->store && store_read(r->store, r->id, r->back.seq, see_way_back, r, &e))
		return; /* no disk, no journal: what is not driven is not asked for */
	if (!run || run_is_over(run) || run->one_way) /* behind a one-way door a person decides */
		r->back.said = false;
	sim_truth(r->sim, &t);
	/* What was said since the last look is taken as said now: a minute is within what is allowed. */
	if (!was_said || !r->back.said || t.weight_green <= 0 || !is_driven(r, now))
		r->back.from = now;
	r->back.looked = now;
	if (!r->back.called && now - r->back.from > WAY_BACK_MS - MINUTE_MS && !r->broken[0])
		say_not_back(r, now, &t);
}

void rig_settle(struct rig *r)
{
	clock_sleep(sim_clock(r->sim), sim_under_way(r->sim));
}

static int send_or_die(void *ctx, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct rig *r = ctx;
	struct http_req mine = *q;
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
	if (d == RIG_AFTER) /* the dead do not wait: what they sent arrives when it arrives */
		mine.timeout_ms = 1;
	rc = sim_send(r->sim, &mine, a, e);
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
	r->minutes = clock_every(sim_clock(r->sim), MINUTE_MS, -1, check_way_back, r);
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
	clock_stop(sim_clock(r->sim), r->minutes);
	sim_free(r->sim);
	journal = xasprintf("%s-journal", r->path);
	unlink(journal);
	unlink(r->path);
	if (current == r)
		current = NULL;
	free(r);
}

/* rig.h - a run in the simulated world that can be killed at any moment.
 *
 * Every request and every journal transaction is a moment. Death before a
 * moment: it does not happen, and nothing after it does. Death after: it takes
 * effect, and nobody ever learns. Dead means dead: whatever the unwinding code
 * still tries to send or write goes nowhere. Journals are real files; their
 * disk fails through a SQLite VFS, so the store under test is the real one. */
#ifndef RIG_H
#define RIG_H

#include "engine/engine.h"
#include "net/http.h"
#include "sim/sim.h"

#define RIG_REGION "eu-central-1"
#define RIG_ACCOUNT "123456789012"
#define RIG_LB "arn:aws:elasticloadbalancing:eu-central-1:123456789012:"
#define RIG_RULE RIG_LB "listener-rule/app/wiki/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee"
#define RIG_BLUE RIG_LB "targetgroup/blue/73e2d6bc24d8a067"
#define RIG_GREEN RIG_LB "targetgroup/green/0123456789abcdef"

enum rig_death { RIG_LIVE, RIG_BEFORE, RIG_AFTER };

struct rig {
	struct sim *sim;
	struct store *store;
	struct http http;
	struct cred_chain *creds;
	struct engine *en;
	const struct step_kind *const *kinds;
	char path[128], id[96];
	int processes;            /* engines opened so far: each is another "process" */
	uint64_t moments;         /* requests and journal transactions so far */
	uint64_t die_at;
	enum rig_death how;
	volatile int dead;
	bool disk_full, outside;
	struct {
		uint64_t at;      /* moment; 0: none */
		const char *order;
		bool full, given;
	} order[4];               /* orders that somebody else gives meanwhile */
	int64_t green_seen;       /* when the watch last looked while green had weight; 0: not now */
	int64_t longest_gap;      /* between two looks, ms, while the process lived */
	uint64_t modify_rules;    /* that were sent */
	char broken[600];         /* the first invariant that was seen broken; "" none */
	struct ticker *minutes;
	struct {
		int64_t seq;      /* the journal, as far as it was read */
		bool said;        /* BAD or an order said that traffic goes back */
		char by[16], at[9];
		int64_t from;     /* mono ms; since then somebody drove who could write, and green had weight */
		int64_t looked;   /* mono ms */
		bool called;      /* a person was, with what holds it up */
	} back;
	/* What a test does meanwhile; each may be NULL. */
	void (*see)(struct rig *r);                           /* after every tick, and while it waits */
	void (*ask)(struct rig *r, const struct http_req *q); /* before a request leaves */
	void (*heard)(struct rig *r, const struct http_req *q, struct http_res *a); /* before its answer is read */
	bool programs;            /* hooks start real programs */
};

struct rig *rig_new(const char *plan, const struct sim_opts *world, const struct step_kind *const *kinds);
void rig_free(struct rig *r);
/* Opens the next process on the same journal, claims, and drives to the end or
 * to death. 0 over, 1 dead, -1 error (msg in r->broken). */
int rig_process(struct rig *r);
const struct run *rig_run(struct rig *r); /* of the last process; NULL when it could not open */
void rig_close_process(struct rig *r);
/* Opens the next process and does nothing with it: engine_claim is the test's. */
int rig_open_process(struct rig *r, struct err *e);
/* Until nothing is on its way to AWS any more that somebody had stopped to wait for. */
void rig_settle(struct rig *r);
/* Somebody else's process gives an order; promote answers what is asked now,
 * skip-bake ends the bake of the present step. id NULL: a fresh one. */
int rig_order(struct rig *r, const char *order, const char *id, bool full);
/* Steps of a plan around them: preamble with watch and ARNs, then `steps`. Caller frees. */
char *rig_plan(const char *steps);
/* The same with more keys: of the plan ("\"call\":[...],") and of its watch (",\"on_hold\":..."). */
char *rig_plan_with(const char *top, const char *watch, const char *steps);
#endif

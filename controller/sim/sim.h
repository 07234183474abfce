/* sim/sim.h - the simulated world: an AWS in this process, behind http_send.
 *
 * Knows ELBv2 rules, weights (with propagation delay) and target health,
 * CloudFormation stacks that take time, CloudWatch with publication delay and
 * missing-when-zero series, alarms, ECS, STS, schedules; makes traffic; injects
 * faults; runs one-off tasks, copies databases and makes the wiki read-only.
 * Everything follows from the seed; time is virtual. It also answers
 * the probes' requests as MediaWiki would. */
#ifndef CUTOVER_SIM_SIM_H
#define CUTOVER_SIM_SIM_H

#include "base/clock.h"
#include "net/http.h"

#include <stdbool.h>

struct sim;

/* All strings are copied. The rule, blue and green may be NULL: then they are
 * SIM_RULE, SIM_BLUE and SIM_GREEN. A request whose URL is not AWS's is the
 * wiki's: green answers on port 8443, on connect_to ":8443" and on hosts with
 * "test" in their name, else whoever the live weights choose. */
#define SIM_REGION  "eu-central-1"
#define SIM_ACCOUNT "111122223333"
#define SIM_ELB     "arn:aws:elasticloadbalancing:" SIM_REGION ":" SIM_ACCOUNT ":"
#define SIM_RULE    SIM_ELB "listener-rule/app/wiki/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee"
#define SIM_BLUE    SIM_ELB "targetgroup/wiki-blue/73e2d6bc24d8a067"
#define SIM_GREEN   SIM_ELB "targetgroup/wiki-green/2453ed029918f21f"

struct sim_opts {
	uint64_t seed;
	int64_t start;              /* wall ms; 0: 2026-01-01T02:00:00Z */
	const char *region, *account, *rule, *blue, *green; /* ARNs the world has; green may be made by a stack */
	const char *fault;          /* by name, see sim_faults(); NULL: none */
	double requests_per_s;      /* 0: 200 */
	int period_s;               /* CloudWatch period it publishes at; 0: 60 */
	int alarms; const char *const *alarm_names;
	bool green_by_stack;        /* green's group and service exist only after a stack made them */
	const char *blue_stack;     /* blue's stack, there from the start; NULL: none */
	const char *blue_service, *green_service; /* ECS; NULL: any name with "blue" or "green" in it */
	const char *blue_version, *green_version; /* MediaWiki's; NULL: 1.43.9, 1.43.11 */
	bool upgrade;               /* green's version needs other tables than blue's */
	int blue_weight;            /* at the start, green not on the rule; 0: 999 */
};
/* NULL when there is no fault of that name. */
struct sim *sim_new(const struct sim_opts *o);
void sim_free(struct sim *s);

/* A process that is stopped (SIGSTOP, a suspended machine): time passes, its tickers are not called. */
void sim_hold_tickers(struct sim *s, bool held);
struct clock *sim_clock(struct sim *s);     /* virtual; sleeping advances the world */
int sim_send(void *sim, const struct http_req *q, struct http_res *a, struct err *e); /* an http_send_fn */

/* Faults at one call: the n-th request from now (0: the next) meets this. */
enum sim_mishap {
	SIM_FINE, SIM_REFUSED, SIM_TIMEOUT_BEFORE, SIM_REPLY_LOST, SIM_THROTTLED, SIM_500,
	SIM_TRUNCATED, SIM_MALFORMED, SIM_SLOW, SIM_STALE, SIM_MISHAPS
};
void sim_mishap_at(struct sim *s, uint64_t n, enum sim_mishap what);
void sim_mishap_rate(struct sim *s, double share); /* random mishaps at this share of calls to AWS */

/* AWS is slow: its answers are right, and late. A change whose sender has
 * stopped to wait (UNSURE, after its timeout) is carried out all the same, in
 * its time. The fields select which requests are meant. */
#define SIM_WIKI "wiki"   /* what is none of AWS's services */
struct sim_slow {
	int64_t after_ms;     /* so late; 0: the first try of each operation hangs, and the next one is answered at once */
	const char *service;  /* as in its host: "elasticloadbalancing"; SIM_WIKI; NULL: all of AWS */
	const char *op;       /* "DescribeRules"; NULL: all */
	enum { SIM_READS_AND_WRITES, SIM_READS, SIM_WRITES } only;
	double share;         /* of these requests; 0: each */
	int64_t from_ms, for_ms; /* since the world's start; for_ms 0: to its end */
};
void sim_slow(struct sim *s, const struct sim_slow *how); /* strings are lent; NULL: not any more */
int64_t sim_under_way(const struct sim *s); /* ms until the last change that nobody waits for has arrived; 0: none is */

/* The process under test dies: from the n-th request on nothing leaves any
 * more. before: the request is not executed; else it is, and its reply is lost. */
void sim_die_at(struct sim *s, uint64_t n, bool before);
bool sim_is_dead(const struct sim *s);
void sim_revive(struct sim *s);
uint64_t sim_requests(const struct sim *s);

/* The truth, for oracles. */
struct sim_truth {
	int weight_blue, weight_green;       /* control plane */
	int live_blue, live_green;           /* data plane, after propagation */
	double users, failed;                /* requests of users so far, and those that failed */
	double failed_by_green;
	int blue_healthy, green_healthy, blue_total, green_total;
	int stacks;                          /* that exist */
	uint64_t modify_rules;               /* that took effect */
	int schedules, fired;                /* that wait; that have been */
	int blue_tasks, green_tasks;         /* running */
	double edits, edits_in_copy, edits_of_green; /* made on blue's database; of these, in the copy that green
					      * uses; made on that copy */
	double refused;                      /* edits that the lock refused */
	double lost;                         /* edits that users made and the serving side does not have */
	bool read_only;
	double read_only_ms;                 /* all windows together */
	int copies, errands, errands_alive;  /* databases made; one-off tasks started, not stopped yet */
	bool updated;                        /* green's tables are green's version's */
};
void sim_truth(struct sim *s, struct sim_truth *out);
void sim_set_weights(struct sim *s, int blue, int green);  /* somebody else does */
void sim_set_tasks(struct sim *s, int blue);              /* the same of blue's service, as an autoscaler */
void sim_green_errors(struct sim *s, double rate);
void sim_drift(struct sim *s, const char *stack); /* somebody changes its VPC by hand */
const char *sim_stack_policy(struct sim *s, const char *stack); /* lent; NULL: none was set */
void sim_kill_targets(struct sim *s, bool green);
void sim_lock(struct sim *s, const char *reason);          /* somebody else does; NULL: the lock goes */
/* Somebody writes to blue's database whatever the lock says: "database.table", or a whole statement. */
void sim_write(struct sim *s, const char *table);
void sim_purge(struct sim *s);                             /* its log begins anew; the older files are gone */

struct sim_fault_info { const char *name, *about; int exit_code; };
const struct sim_fault_info *sim_faults(size_t *n);
#endif

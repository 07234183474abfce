/* sim/world.h - what the simulated world consists of; for the files of sim/ only. */
#ifndef CUTOVER_SIM_WORLD_H
#define CUTOVER_SIM_WORLD_H

#include "base/buf.h"
#include "base/json.h"
#include "sim/dice.h"
#include "sim/sim.h"

enum { BLUE, GREEN, COLOURS };

#define SIM_BASE_ERRORS 0.0005 /* of a healthy colour's requests */
#define TARGETS      4   /* that each colour has at the start */
#define TARGETS_MAX  8
#define PERIODS      400 /* that metrics are kept for */
#define WAITING      16  /* weight changes on their way to the data plane */
#define PAST         64  /* weight changes remembered for stale reads */
#define STACKS       12
#define CHANGES      4
#define SCHEDULES    8
#define MISHAPS      64
#define ERRANDS      24
#define COPIES       4
#define HUNG         24

enum health { UNUSED, INITIAL, HEALTHY, UNHEALTHY, DRAINING };
struct target {
	enum health state;
	int64_t due;       /* when it becomes healthy, unhealthy or is gone; 0: stays */
	bool dead;         /* nothing answers there */
};

/* What users did in one period of one group, or of the whole balancer. */
struct tally {
	int64_t period;    /* its number: start / length */
	double requests, errors, refused, unserved; /* unserved: the balancer's own 503 */
	double api;        /* answers of HTTP 200 with a MediaWiki-API-Error header */
	double slowness;   /* sum over requests of the latency factor */
	int healthy, unhealthy; /* fewest and most seen */
};

struct side {
	char arn[256], dimension[160], name[64], version[48]; /* "MediaWiki 1.43.11" */
	bool exists;              /* the target group does */
	bool on_rule, cold, blind; /* cold: never healthy; blind: publishes no metrics */
	struct target target[TARGETS_MAX];
	int ntargets;
	double errors, slowness;  /* share of requests; factor on latency */
	double api;               /* share of requests with an API error, which is HTTP 200 */
	bool edits_fail;          /* the same for every edit */
	int64_t since;            /* when the data plane first gave it weight; 0: not yet */
	uint64_t answered;        /* of the wiki's requests: its caches warm up */
	char service[128];        /* ECS; "": any with the colour's name in it */
	bool service_exists;
	int desired;
	struct tally tally[PERIODS];
};

struct split { int of[COLOURS]; }; /* -1: not on the rule */
struct moved { int64_t at; struct split w; };

struct event {
	int64_t at;
	char logical[64], type[64], status[40], reason[240], token[132];
	bool is_stack;
	int effect;               /* of stacklife.c, when it is due */
};

struct change {
	bool used, empty;
	char name[132], id[300], token[132], type[8], execution[32];
	int64_t ready;
	uint64_t digest;          /* of template and parameters */
	json_t *template, *params, *tags, *rows; /* of a stack with a template of its own: what is wanted, what that changes */
};

struct stack {
	bool used, deleted;
	char name[132], id[256], status[40], reason[240];
	int colour;
	uint64_t digest;
	json_t *params, *tags, *wanted_params, *wanted_tags;
	json_t *template;         /* a JSON template that was sent: its own resources, not a colour's */
	char *policy;
	bool is_protected;
	int drifted;              /* 1: somebody changed a resource by hand */
	struct change change[CHANGES];
	struct event *event;      /* by time; those from `done` on are still to come */
	size_t nevents, done;
};

struct sched {
	bool used, erase;
	char group[68], name[68], token[68];
	int64_t at, fire;         /* as said; when the service gets round to it */
	json_t *body;
};

/* A one-off ECS task: what its command does to the world takes effect while it runs. */
struct errand {
	bool used, stopped, killed;
	char arn[160], started_by[132], token[68], definition[256], container[64], reason[160];
	uint64_t digest;          /* of the request, but for its token */
	int64_t asked, starts, ends;
	int exit_code;
	enum { DOES_NOTHING, DOES_FREEZE, DOES_THAW, DOES_UPDATE } does;
	bool begun;               /* its command does */
	char mark[132];           /* of the lock file */
};

/* The wiki's databases, as far as anybody can see them: which tables, how many
 * edits, who follows whom (databases.c). Blue uses the first one; green uses the
 * newest copy, or the first when there is none. */
enum tables { TABLES_OLD, TABLES_HALF, TABLES_NEW };
struct copy {
	bool used, clone, has_instance, deployed, follows, stuck;
	char id[68], name[68], token[132], run[132], endpoint[128], deployment[68];
	int64_t asked, ready, instance_ready;
	enum tables tables;
	double has, own;          /* edits of the source that are in it; edits made on it */
};
struct logged { int64_t begin, end; double edits; bool statement; char info[160]; }; /* edits: all until then */
struct wiki_log { /* of the source; offsets run through all of its files */
	struct logged *event;
	int64_t *file;            /* where each begins */
	size_t events, files, purged;
	int64_t end, next_beat;
};
struct databases {
	double edits;             /* on the source */
	struct wiki_log log;
	double refused;           /* edits that met the lock: refused cleanly */
	enum tables tables;
	struct copy copy[COPIES];
	size_t ncopies;
	bool locked;
	char lock[240];           /* the lock file's text */
	int64_t locked_at;        /* 0: not now */
	double locked_ms;         /* all windows together */
	bool stuck;               /* fault: copies stop to apply */
	int update_dies;          /* fault: that many updates are killed half-way */
	bool update_breaks;       /* fault: a column is dropped after the update */
};

struct mishap { uint64_t at; enum sim_mishap what; };
struct fault;
struct flight;

struct sim {
	struct clock clock;       /* first: the clock's functions get this address */
	struct ticker *tickers;
	bool tickers_held, ticking; /* ticking: they are being called just now */
	int64_t start, now, next_second;
	uint64_t seed;
	struct dice users_dice, world_dice, net_dice, mishap_dice, edits_dice, slow_dice;
	bool upgrade;

	char region[32], account[16], rule[256], default_rule[256], balancer[160];
	struct side side[COLOURS];
	struct split control, live;
	struct moved waiting[WAITING], past[PAST];
	size_t nwaiting, npast;
	bool sticky;
	int sticky_s;
	uint64_t modify_rules;

	double base_rate, rate, drift;
	int64_t period_ms, next_rate;
	double users, failed, failed_by[COLOURS];
	struct tally balancer_tally[PERIODS];

	char (*alarm)[256];
	int nalarms, firing;      /* index of the one that fires; -1: none */

	struct stack stack[STACKS];
	struct sched sched[SCHEDULES];
	int fired;
	struct errand errand[ERRANDS];
	struct databases db;
	uint64_t ids;             /* of requests, events, stacks */

	const struct fault *fault;
	int64_t fault_at;         /* when the fault struck; 0: not yet */
	bool stacks_fail;

	uint64_t requests, die_at;
	bool will_die, die_before, dead, stale;
	double mishap_rate;
	struct mishap mishap[MISHAPS];
	size_t nmishaps;
	bool slow_on;
	struct sim_slow slow;
	char hung[HUNG][64];      /* operations whose last try got no answer */
	size_t nhung;
	struct flight *flights;   /* by time */
};

static inline double green_share(const struct split *w)
{
	int b = w->of[BLUE] > 0 ? w->of[BLUE] : 0, g = w->of[GREEN] > 0 ? w->of[GREEN] : 0;

	return b + g ? (double)g / (b + g) : 0;
}

/* time.c */
void time_open(struct sim *s, int64_t start);
void time_close(struct sim *s);
void sim_advance(struct sim *s, int64_t ms);

/* slow.c: after how many ms this request is answered beyond its usual time. */
#define SLOW_NEVER ((int64_t)1 << 40)
int64_t slow_ms(struct sim *s, const char *service, const char *op, bool write);

/* front.c: who answers what. */
int front_answer(struct sim *s, const struct http_req *q, struct http_res *out, enum sim_mishap what);
bool front_is_aws(const struct http_req *q);
/* service: lent; op: "" when it has no name. */
void front_name(const struct http_req *q, const char **service, char op[64]);

/* flight.c: a change that arrives then, whoever still waits for its answer. q is copied. */
void flight_begin(struct sim *s, const struct http_req *q, int64_t at);
void flights_tick(struct sim *s);
void flights_close(struct sim *s);

/* ask.c: a request, taken apart, and the answer being written. */
#define FIELDS 400
enum protocol { QUERY, JSON, REST, PLAIN };
struct ask {
	const struct http_req *http;
	enum protocol protocol;
	char host[200], path[512], query[512], action[64];
	char *text;                       /* the decoded form; fields point into it */
	struct { const char *k, *v; } field[FIELDS];
	size_t nfields;
	json_t *json;
};
struct say {
	struct sim *sim;
	const struct ask *ask;
	int status;
	struct buf body;
	const char *type, *ns, *error;    /* error: its code, for the header of JSON answers */
	const char *failed;               /* MediaWiki's API did: what it names in its header */
	int64_t took_ms;                  /* beyond the network's own */
};
int ask_open(const struct http_req *q, struct ask *k);
void ask_close(struct ask *k);
const char *ask_head(const struct http_req *q, const char *name); /* NULL when absent */
/* "" when the request has no such field. */
const char *ask_field(const struct ask *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_begin(struct say *a);            /* <XResponse xmlns=...><XResult> */
void say_end(struct say *a);
void say_tag(struct say *a, const char *tag, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void say_time(struct say *a, const char *tag, int64_t at);
void say_json(struct say *a, json_t *j);  /* takes j */
void say_error(struct say *a, int status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
const char *say_missing(struct say *a, const char *field); /* the field's text, or NULL and an error said */

/* One service a file. Each answers one request; each tick is one second. */
typedef void answer_fn(struct sim *s, const struct ask *k, struct say *a);
struct answer { const char *action; answer_fn *fn; };
extern const struct answer balancer_answers[], metrics_answers[], stacks_answers[], tasks_answers[],
	account_answers[], copies_answers[];
answer_fn schedules_answer, wiki_answer, databases_answer;
answer_fn errands_run, errands_describe, errands_list, errands_stop;

/* balancer.c (and rules.c, which answers) */
void balancer_open(struct sim *s, int blue_weight);
void balancer_tick(struct sim *s);
void balancer_set(struct sim *s, struct split w);
void balancer_run(struct sim *s, int colour, int targets); /* registers and deregisters */
int balancer_healthy(const struct side *c);
int balancer_colour(const struct sim *s, const char *arn); /* of a group that exists; -1: none */
/* A ModifyRule, whoever sends it. NULL, or the error's code and sentence. */
struct modify {
	const char *rule;
	size_t n;
	struct { const char *arn; long weight; } group[8];
	bool sticky_given, sticky;
	long sticky_s;
};
const char *balancer_modify(struct sim *s, const struct modify *m, char *why, size_t size);

/* users.c */
void users_tick(struct sim *s);
struct tally *users_tally(struct sim *s, struct tally *ring, int64_t period);

/* errands.c, databases.c, copies.c */
void errands_tick(struct sim *s);
void databases_tick(struct sim *s);
/* Of these requests of a colour's users, some are edits. */
void databases_edit(struct sim *s, int colour, double requests);
struct copy *databases_newest(struct sim *s); /* NULL: green uses the source */
void databases_lock(struct sim *s, const char *text);
void databases_unlock(struct sim *s);
enum tables *databases_tables(struct sim *s, int colour);
/* Is this colour's code able to work on its tables? */
bool databases_fit(struct sim *s, int colour);

/* log.c: edits are made on the source by it. */
extern const struct answer log_answers[];
void log_open(struct sim *s);
void log_close(struct sim *s);
void log_tick(struct sim *s);
void log_edits(struct sim *s, double n);
json_t *log_position(const struct sim *s, double edits); /* behind the last of so many */

/* stacks.c (with changesets.c and stacklife.c), schedules.c, faults.c */
void stacks_open(struct sim *s, const char *blue_stack);
void stacks_close(struct sim *s);
void stacks_tick(struct sim *s);
int stacks_count(const struct sim *s);
void schedules_tick(struct sim *s);
void schedules_close(struct sim *s);
const struct fault *fault_find(const char *name);
void fault_start(struct sim *s);
void fault_tick(struct sim *s);
#endif

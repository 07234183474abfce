/* engine/step.h - the contract every step kind signs. One kind, one file in steps/.
 *
 * A step moves one thing in the world from where it is to where the plan wants
 * it. The engine calls advance() again and again until it says DONE; between
 * two calls the process may die, another controller may take over, and hours
 * may pass. So advance():
 *   1. looks at the world first, and is DONE if the goal holds already;
 *   2. never sleeps: to wait it sets wake_at and says WAIT;
 *   3. calls step_intend() before its one change, so that undo() knows the old
 *      state even when the answer to that change is never read;
 *   4. keeps nothing but memo between calls;
 *   5. sets, never adds: the change names the wanted state, and what it creates
 *      has a name or client token made of run + step + attempt.
 * undo() obeys the same five rules, with the old state in memo as its goal. */
#ifndef CUTOVER_ENGINE_STEP_H
#define CUTOVER_ENGINE_STEP_H

#include "aws/aws.h"
#include "base/json.h"
#include "engine/drained.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct http;
struct plan;
struct plan_errors;
struct engine;
struct step;
struct step_run;

/* STEP_FAIL fills *e. Its kind decides: BUSY, NET and UNSURE are asked again
 * until the step's timeout; LOST, MOVED, CANCELLED and STORE end this tick, not the attempt;
 * everything else ends the attempt: the run rolls back. */
enum step_verdict { STEP_FAIL = -1, STEP_DONE, STEP_WAIT };

enum param_type {
	PARAM_STRING, PARAM_INT, PARAM_BOOL,
	PARAM_DURATION,  /* "PT5M" in the file, integer ms in params */
	PARAM_PERCENT,   /* "5%", "0.1%" or 5 in the file, integer per mille in params */
	PARAM_CHOICE,    /* one of `choices` */
	PARAM_STRINGS,   /* list of strings */
	PARAM_MAP,       /* object of strings */
	PARAM_OBJECTS,   /* list of objects, each checked with `fields` */
};

struct param {
	const char *name;
	enum param_type type;
	bool required;
	const char *def;         /* as it would stand in the file, JSON text ("\"PT5M\"", "3"); NULL: none */
	long min, max;           /* of the normalised number (ms, per mille, int) or list length; both 0: no limit */
	const char *const *choices;    /* NULL-terminated */
	const struct param *fields;    /* PARAM_OBJECTS: name NULL ends */
	const char *about;       /* one line for --help, docs and the schema */
};

enum step_flags {
	STEP_TRAFFIC = 1,   /* moves weights: the engine takes this back before all else */
	STEP_ONE_WAY = 2,   /* cannot be undone; `explain` announces it */
	STEP_TOUCHES = 4,   /* changes something outside (not: preflight, probe, warm) */
	STEP_READONLY_HTTP = 8,
};

struct step_kind {
	const char *name, *about;
	const struct param *params;       /* own parameters; name NULL ends. Every step also has id, do, timeout, "//" */
	unsigned flags;
	int64_t timeout_ms;               /* default of `timeout`: longest a step may take without ending the attempt */
	const enum aws_op *ops;
	size_t nops; /* what it calls: `explain` prints the IAM actions */
	/* Beyond what params says; reports through plan_bad(). May be NULL. */
	void (*validate)(const struct step *s, const struct plan *p, struct plan_errors *errs);
	/* Longest time an undisturbed advance takes, for `explain`; NULL: timeout. */
	int64_t (*worst_ms)(const struct step *s);
	enum step_verdict (*advance)(struct step_run *r, struct err *e);
	/* Does what a step of this kind stands for, when it is done, still hold? Until
	 * a one-way door closes the engine asks it before each later step begins and
	 * while that goes on, before each raise, and as the door closes: no other step
	 * needs to know of it. DONE: yes; WAIT: not to be told yet; FAIL: the attempt
	 * ends, as by a step's own failure. May save its memo. NULL: nothing can change. */
	enum step_verdict (*holds)(struct step_run *r, struct err *e);
	enum step_verdict (*undo)(struct step_run *r, struct err *e); /* NULL: nothing to undo */
};

struct step { /* what the plan says; read-only at run time */
	char *id;
	const struct step_kind *kind;
	json_t *params;       /* complete: defaults filled in, numbers normalised */
	int64_t timeout_ms;
	int line;             /* in the plan file */
};

struct step_run {
	const struct step *step;
	const json_t *params;   /* as step->params with ${step.output} resolved; lent */
	json_t *memo;           /* lent: what the last step_intend() saved; NULL before the first */
	json_t *out;            /* outputs: set with step_output(), journalled with DONE */
	int attempt;            /* 1.. ; `retry` makes a new one */
	int64_t now, wake_at;   /* wall ms; wake_at 0: the engine's poll interval */
	int64_t since;          /* wall ms when this step began in this attempt */
	const char *run;        /* the run's id */
	char token[96];         /* run + step + attempt: client tokens and names ([A-Za-z0-9-]) */
	char saying[240];       /* what it waits for, for the screen: step_say() */
	const struct plan *plan;
	const char *blue, *green; /* resolved target group ARNs; green "" while not known */
	struct aws *aws;
	bool simulated;           /* the world is a simulation: start no program */
	const struct http *http;  /* probes and hooks by URL */
	struct engine *engine;    /* steps use the calls below */
};

/* Writes memo to the journal, durably and only while this process holds the
 * run; takes memo, also when it fails. ERR_LOST: another controller took over;
 * ERR_MOVED: an order came first, the next tick sees it. */
int step_intend(struct step_run *r, json_t *memo, struct err *e);
/* A line for people and for proof: kind "note", body {"what": what, ...detail}; takes detail (may be NULL). */
int step_note(struct step_run *r, const char *what, json_t *detail, struct err *e);
/* A person is needed: a line in the journal, and the plan's `call` program. */
int step_call(struct step_run *r, const char *why, struct err *e);
void step_say(struct step_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void step_output(struct step_run *r, const char *name, const char *value);

/* Traffic belongs to the run, not to a step: one place reads, compares,
 * intends, writes and reads back (engine/traffic.c). DONE when green has
 * permille/1000 of the rule's weight, read back from AWS. */
enum step_verdict step_traffic(struct step_run *r, int green_permille, struct err *e);
/* Takes blue, which has no weight any more, off the rule; only behind a one-way
 * door. DONE when AWS says so. */
enum step_verdict step_green_alone(struct step_run *r, struct err *e);
/* Blue has a healthy target, or green has none either; what cannot be read counts for blue. */
bool step_blue_can_serve(struct step_run *r);
/* Does nobody ask a colour any more? engine/drained.h */
int step_drained(struct step_run *r, const char *quiet, const char *busy, int n, struct drained *out, struct err *e);
/* The watch's opinion of the present stage. */
struct verdict;
const struct verdict *step_verdict_now(const struct step_run *r);
int64_t step_weight_since(const struct step_run *r); /* wall ms the present weight was read back; 0: not by this run */
int step_green_permille(const struct step_run *r);
/* The same, or what a write sets whose end was not read yet. */
int step_green_intended(const struct step_run *r);
/* "stages": "auto": the share of green that the judge would give now, and
 * whether green has shown enough to be promoted. Not known before its first
 * look: then as it is. */
struct step_advice {
	bool known, promote;
	int permille;
};
struct step_advice step_judge_says(const struct step_run *r);
/* Asks a person, once in an attempt: a line in the journal that every screen
 * shows, and the plan's `call` program. until: wall ms; otherwise: what silence
 * means then, "rollback" or "promote". */
struct step_question {
	const char *text, *otherwise;
	int64_t until;
};
int step_ask(struct step_run *r, const struct step_question *q, struct err *e);
/* Has somebody answered it, or said beforehand yes to whatever will be asked? Who. */
bool step_answered(const struct step_run *r, char *who, size_t size);
/* The line of an order to end the bake of this step; 0: there is none. Whoever
 * obeys notes it as `order`. */
int64_t step_bake_skipped(const struct step_run *r, char *who, size_t size);
/* Other runs in this store that are not over and use the same rule; "" when none. */
int step_rivals(struct step_run *r, char *out, size_t size, struct err *e);
#endif

/* plan/internal.h - what the files of this room share.
 *
 * A plan is read by tables: a `shape` says which keys an object may have. The
 * same shapes are printed as JSON Schema, so the two cannot disagree. */
#ifndef CUTOVER_PLAN_INTERNAL_H
#define CUTOVER_PLAN_INTERNAL_H

#include "engine/step.h"
#include "plan/plan.h"

#include <stdarg.h>
#include <string.h>

/* Where in the file: a path kept on the stack of the functions that walk it. */
struct at {
	const struct at *up;
	const char *key;     /* NULL: element i of a list */
	size_t i;
};

/* Keys that begin with "//" are for people. */
static inline bool key_is_comment(const char *key) { return !strncmp(key, "//", 2); }

struct reader {
	struct plan *plan;
	struct plan_errors *errs;
	const struct step_kind *const *kinds;
	const json_t *env;   /* values of ${env:NAME}; NULL: the process's own */
};

struct section;
struct shape {
	const struct param *fields;
	const struct param *more;         /* a second table; may be NULL */
	const struct section *sections;   /* objects inside; name NULL ends; may be NULL */
	const char *const *also;          /* keys somebody else reads; NULL ends; may be NULL */
};
struct section {
	const char *name, *about;
	struct shape shape;
	bool required;
	bool always;                      /* read as {} when absent: all defaults */
};

extern const struct shape plan_shape;         /* the file itself, without the steps */
extern const struct param plan_step_common[]; /* id, do, timeout */

/* --- lines.c: where each value stands. Text that is not JSON gives what was read
 * up to there; duplicate keys are reported. A leaf is its line, a container
 * [line, {..} or [..]]. NULL, and reported: so much or so deep that it is not
 * worth a closer look. */
#define PLAN_MAX_VALUES 20000
#define PLAN_MAX_DEPTH 24
#define PLAN_MAX_STEPS 100
json_t *lines_scan(const char *text, size_t n, struct plan_errors *errs);
int lines_find(const json_t *lines, const struct at *at); /* of the nearest that is there; 0: none */

/* --- errors.c: the list */
void errs_addv(struct plan_errors *errs, int line, const struct at *at, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));
void errs_add(struct plan_errors *errs, int line, const struct at *at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void errs_sort(struct plan_errors *errs);
/* "; did you mean "x"?" or "; allowed: a, b" for a name that is none of names[n]; caller frees. */
char *name_hint(const char *name, const char *const *names, size_t n);

/* --- place.c: the same, with the line that what is wrong stands in */
void bad(struct reader *r, const struct at *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --- text.c: substitutions */
/* A copy with ${env:NAME} and ${env:NAME:-default} replaced; NULL after reporting. */
char *text_env(struct reader *r, const struct at *at, const char *s);
/* Calls see for each ${step.output} in s; false when a "${" is not well formed. */
typedef void text_ref_fn(void *ctx, const char *step, const char *output);
bool text_refs(const char *s, text_ref_fn *see, void *ctx);

/* --- secrets.c */
/* What it looks like ("an access key id"), NULL when it looks harmless. */
const char *secret_seen(const char *s);
void secrets_check(struct reader *r, const json_t *doc);

/* --- params.c */
/* The object with defaults filled in and numbers normalised; never NULL. */
json_t *shape_read(struct reader *r, const struct shape *shape, const json_t *in, const struct at *at);
const char *type_said(const json_t *v);

/* --- plan.c: r->plan's text as JSON, with its lines; NULL after reporting, not
 * an object when that is reported too. what: "a plan". */
json_t *plan_document(struct reader *r, const char *what);

/* --- stages.c */
void tune_harm(struct judge_tuning *t, double failed); /* of fixed stages and of "auto" */
void stages_tune(struct plan *p); /* a step's own harm budget is the judge's */

/* --- doors.c */
void probes_check(struct reader *r);

/* --- check.c: what no table can say */
void plan_check(struct reader *r, const json_t *watch); /* watch: as its tables read it */
void plan_check_names(struct reader *r); /* name, region and account of r->plan */
#endif

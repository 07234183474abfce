/* plan/plan.h - a plan file, checked and ready to run.
 *
 * JSON; "//" keys are comments. All errors of a file are reported at once, each
 * with line and path. `${env:NAME}` is replaced when the plan is loaded,
 * `${step.output}` when the step that uses it runs. */
#ifndef CUTOVER_PLAN_PLAN_H
#define CUTOVER_PLAN_PLAN_H

#include "base/buf.h"
#include "base/json.h"
#include "judge/sequential.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct plan;
struct plan_errors;
struct step;
struct step_run;

struct plan_side {
	char *target_group;           /* ARN, or "${step.Output}" for green */
	char *cluster, *service;      /* ECS; NULL when not given */
	char *stack;                  /* CloudFormation; NULL when not given */
};

enum plan_hold { PLAN_HOLD_ROLLBACK, PLAN_HOLD_CALL };

struct plan_watch {
	int64_t period_ms;            /* 1-60 s; CloudWatch period */
	int64_t lag_ms;               /* a period counts as closed this long after its end; default 2 periods, at least... */
	int64_t poll_ms;              /* how often to look; default period/2, at least 1 s */
	int64_t blind_after_ms;       /* BLIND this long: roll back */
	int64_t hold_limit_ms;        /* a stage may be lengthened by HOLD this long */
	enum plan_hold on_hold;
	int64_t foreign_grace_ms;     /* someone else changed the weights: time for a person to speak first */
	char latency_stat[8];         /* "p90" */
	struct judge_limits limits;
	json_t *alarms;               /* ["name", ...] */
	json_t *waived;               /* alarm names that may fire at preflight */
	bool sequential;              /* green is compared with blue at every look (judge/sequential.h) */
	struct judge_tuning tuning;
	int slow_ms;                  /* slower answers are counted; 0: latency_stat is judged instead */
	json_t *probes;               /* {"url","every","blue","green",...}: our own requests to both colours; NULL: none */
	json_t *metrics;              /* [{"name","namespace","metric","blue":{dimension: value},"green","always"}] */
};
/* How long after its end a period counts as closed: CloudWatch's points come late. */
static inline int64_t plan_watch_lag_ms(const struct plan_watch *w)
{
	return w->lag_ms > 0 ? w->lag_ms : 2 * w->period_ms;
}

struct plan_deadman {             /* optional: AWS itself puts the weights back */
	bool on;
	char *role, *group;
	int64_t after_ms;
};

struct plan {
	char *file, *text;            /* exact bytes of the file */
	size_t ntext;
	char sha256[65];
	char *name, *region, *account, *rule;
	struct plan_side blue, green;
	struct plan_watch watch;
	struct plan_deadman deadman;
	int64_t deadline_ms;          /* whole run; 0: none */
	json_t *call;                 /* ["/path/program", ...] told when a person is needed; may be NULL */
	struct step *steps;
	size_t nsteps;
	json_t *env;                  /* {NAME: value} that ${env:NAME} gave: journalled so that a resume sees the same */
	json_t *lines;                /* where each value stands, while the plan is checked; NULL afterwards */
};

struct plan_error { int line; char *path, *text; };
struct plan_errors {
	struct plan_error *at;
	size_t n;
};

struct step_kind;
#define PLAN_MAX_BYTES ((size_t)1 << 20)

/* kinds: NULL-terminated (steps/registry.c). env: values for ${env:NAME}; NULL: the
 * process's own. 0 and *out (plan_free), or -1 with at least one error. */
int plan_load(const char *path, const struct step_kind *const *kinds, struct plan **out,
	      struct plan_errors *errs);
int plan_parse(const char *text, size_t n, const char *file, const struct step_kind *const *kinds,
	       const json_t *env, struct plan **out, struct plan_errors *errs);
void plan_free(struct plan *p);
static inline void plan_freep(struct plan **p) { plan_free(*p); }
#define autoplan __attribute__((cleanup(plan_freep)))
void plan_errors_free(struct plan_errors *errs);
void plan_errors_print(const struct plan_errors *errs, const char *file, struct buf *out);

/* For validate(): key is a parameter of s, or NULL for the step itself. */
void plan_bad(struct plan_errors *errs, const struct plan *p, const struct step *s, const char *key,
	      const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* "https://host" without a path, or something that a step's output will make one. */
bool plan_is_base_url(const char *url);
/* A header that a plan may add to a request: not Host, which the URL says. */
bool plan_is_header(const char *name);

const struct step *plan_step(const struct plan *p, const char *id); /* NULL: none */
/* A copy of params with every ${step.output} replaced from outputs
 * {step: {output: value}}; ERR_INPUT names what is missing. */
json_t *plan_resolve(const json_t *params, const json_t *outputs, struct err *e);
char *plan_resolve_text(const char *s, const json_t *outputs, struct err *e); /* caller frees */

/* What the judge must know of the stages: the weights of shift and promote in
 * their order. At most JUDGE_STAGES. */
void plan_stages(const struct plan *p, struct judge_stages *out);
/* The share it gives green; 0: the judge chooses; -1: the step is no stage. */
int plan_stage_permille(const struct step *s);
/* The stage that a run is in whose current step is `step`: that of the last
 * weight given. */
int plan_stage_at(const struct plan *p, size_t step);

/* JSON Schema (draft 2020-12) of plan files, from the same tables; json_decref. */
json_t *plan_schema(const struct step_kind *const *kinds);
#endif

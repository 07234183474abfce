/* steps/hook.c - asks a program, or an HTTPS URL, of the user's own.
 *
 * It passes (exit 0, 2xx), vetoes (exit 10, 409), or fails (anything else). A
 * veto always ends the attempt; what a failure means the plan says. A program
 * runs beside the engine, which goes on watching; it is told by run, step,
 * attempt and phase what this is about, and must bear being run again: a
 * controller that dies in the middle leaves the next one no answer. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "base/proc.h"
#include "net/http.h"
#include "plan/plan.h"
#include "steps/kinds.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)16 << 10)
#define VETO_EXIT 10
#define VETO_STATUS 409
#define POLL_MS 200      /* between two looks at a running program */
#define POLL_WAIT_MS 20  /* real time given to it at each look */
#define URL_MS 10000     /* a request holds the engine, so it may not take long */
#define AGAIN_MS 3000
#define ENV_MAX 40
#define DATA_MAX 32

/* --- programs that run just now ----------------------------------------------------------
 * The only state of this process that a step has: a program cannot be handed
 * over to another one. Whoever takes over finds no entry and starts it again. */

static struct running {
	char key[112]; /* token and phase; "" free */
	struct proc *proc;
	int64_t since; /* mono ms of the real clock: the program is real */
} running[8];

static struct running *slot(const char *key)
{
	for (size_t i = 0; i < COUNT(running); i++)
		if (!strcmp(running[i].key, key))
			return &running[i];
	return NULL;
}

static void end(struct running *p, struct proc_result *r)
{
	proc_end(p->proc, r);
	*p = (struct running){ 0 };
}

/* --- what it is told --------------------------------------------------------------------------- */

static char *body_of(struct step_run *r, const char *phase)
{
	const char *run = r->run;
	const json_t *data = json_object_get(r->params, "data");
	autojson json_t *j = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:i, s:O?}", "run", run, "step", r->step->id,
				       "attempt", r->attempt, "phase", phase, "plan", r->plan->name, "blue", r->blue,
				       "green", r->green, "green_permille", step_green_permille(r), "data", data);

	return json_flat(j);
}

struct env {
	char *at[ENV_MAX];
	size_t n;
};

static void env_free(struct env *env)
{
	for (size_t i = 0; i < env->n; i++)
		free(env->at[i]);
}
#define autoenv __attribute__((cleanup(env_free)))

static void env_add(struct env *env, const char *name, const char *value)
{
	if (env->n + 1 < ENV_MAX)
		env->at[env->n++] = xasprintf("%s=%s", name, value);
}

static void env_add_data(struct env *env, const char *key, const char *value)
{
	autofree char *name = xasprintf("CUTOVER_DATA_%s", key);

	for (char *p = name; *p; p++)
		*p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
	env_add(env, name, value);
}

/* Nothing of ours: an environment holds credentials. */
static void make_env(struct step_run *r, const char *phase, struct env *env)
{
	autofree char *attempt = xasprintf("%d", r->attempt);
	const char *run = r->run;
	const char *key;
	json_t *v;

	env_add(env, "PATH", "/usr/local/bin:/usr/bin:/bin");
	env_add(env, "CUTOVER_RUN", run);
	env_add(env, "CUTOVER_STEP", r->step->id);
	env_add(env, "CUTOVER_ATTEMPT", attempt);
	env_add(env, "CUTOVER_PHASE", phase);
	json_object_foreach(json_object_get(r->params, "data"), key, v)
		env_add_data(env, key, json_string_value(v));
}

/* --- what it answered ---------------------------------------------------------------------------- */

struct answer {
	char what[120]; /* "ended with 3", "answered 500", "was not done within 30 s" */
	bool pass, veto, capped;
	const char *out;
	size_t nout;
};

static enum step_verdict judge(struct step_run *r, const char *phase, const struct answer *a, struct err *e)
{
	size_t n = a->nout < OUTPUT_MAX ? a->nout : OUTPUT_MAX;
	json_t *facts = json_pack("{s:s, s:o, s:b, s:o}", "phase", phase, "answer", json_text(a->what), "capped",
				  a->capped || a->nout > n, "output", json_text_n(a->out, n));
	autofree char *said = xstrndup(a->out, strcspn(a->out, "\n"));

	if (step_note(r, a->pass ? "hook passed" : a->veto ? "hook vetoed" : "hook failed", facts, e))
		return STEP_FAIL;
	if (a->pass)
		return STEP_DONE;
	if (!a->veto && !strcmp(json_str(r->params, "on_fail", ""), "continue"))
		return STEP_DONE;
	return err_set(e, ERR_GATE, "the hook %s%s%s%.300s", a->veto ? "vetoed: it " : "", a->what,
		       *said ? ": " : "", said);
}

static enum step_verdict could_not(struct step_run *r, const char *phase, const struct err *why, struct err *e)
{
	struct answer a = { .out = why->msg, .nout = strlen(why->msg) };

	snprintf(a.what, sizeof a.what, "could not be asked");
	return judge(r, phase, &a, e);
}

/* --- a program ---------------------------------------------------------------------------------------- */

static int start(struct step_run *r, const char *phase, struct running *p, struct err *e)
{
	const json_t *argv = json_object_get(r->params, "program");
	size_t n = json_array_size(argv);
	autofree const char **args = xcalloc(n + 1, sizeof *args);
	autofree char *body = body_of(r, phase);
	autoenv struct env env = { 0 };

	for (size_t i = 0; i < n; i++)
		args[i] = json_string_value(json_array_get(argv, i));
	make_env(r, phase, &env);
	if (proc_start(args, (const char *const *)env.at, body, OUTPUT_MAX, &p->proc, e))
		return -1;
	p->since = clock_mono(&clock_real);
	return 0;
}

static enum step_verdict ended(struct step_run *r, const char *phase, struct running *p, struct err *e)
{
	autoproc struct proc_result res = { 0 };
	struct answer a = { 0 };
	char limit[32];

	end(p, &res);
	duration_say(json_num(r->params, "limit", 0), limit);
	a = (struct answer){ .pass = !res.timed_out && res.status == 0, .veto = !res.timed_out && res.status == VETO_EXIT,
			     .capped = res.capped, .out = res.out, .nout = res.nout };
	if (res.timed_out)
		snprintf(a.what, sizeof a.what, "was not done within %s and was ended", limit);
	else
		snprintf(a.what, sizeof a.what, "ended with %d", res.status);
	return judge(r, phase, &a, e);
}

static enum step_verdict run_program(struct step_run *r, const char *phase, struct err *e)
{
	autofree char *key = xasprintf("%s/%s", r->token, phase);
	struct running *p = slot(key);
	struct err why = { 0 };

	if (!p && !(p = slot("")))
		return err_set(e, ERR_BUSY, "too many hooks run at once");
	if (!p->proc && start(r, phase, p, &why))
		return could_not(r, phase, &why, e);
	snprintf(p->key, sizeof p->key, "%s", key);
	if (proc_poll(p->proc, POLL_WAIT_MS) || clock_mono(&clock_real) - p->since >= json_num(r->params, "limit", 0))
		return ended(r, phase, p, e);
	step_say(r, "the hook is running");
	r->wake_at = r->now + POLL_MS;
	return STEP_WAIT;
}

/* --- a URL ------------------------------------------------------------------------------------------------ */

static int post(struct step_run *r, const char *phase, struct http_res *a, struct err *e)
{
	autofree char *body = body_of(r, phase), *key = xasprintf("%s-%s", r->token, phase);
	const struct kv head[] = { { "Content-Type", "application/json" }, { "Idempotency-Key", key },
				   { "User-Agent", "cutover" } };
	int64_t limit = json_num(r->params, "limit", 0);
	struct http_req q = {
		.method = "POST", .url = json_str(r->params, "url", ""), .head = head, .nhead = COUNT(head), .body = body,
		.nbody = strlen(body), .timeout_ms = limit < URL_MS ? limit : URL_MS, .max_answer = (size_t)1 << 20, .once = true,
	};

	return http_send(r->http, &q, a, e);
}

static enum step_verdict ask_url(struct step_run *r, const char *phase, struct err *e)
{
	autores struct http_res res = { 0 };
	struct err why = { 0 };
	struct answer a;

	if (post(r, phase, &res, &why)) {
		bool again = err_retryable(&why) && r->now < json_num(r->memo, "since", 0) + json_num(r->params, "limit", 0);

		if (!again)
			return could_not(r, phase, &why, e);
		step_say(r, "asking the hook again: %.200s", why.msg);
		r->wake_at = r->now + AGAIN_MS;
		return STEP_WAIT;
	}
	a = (struct answer){ .pass = res.status >= 200 && res.status < 300, .veto = res.status == VETO_STATUS,
			     .out = res.body, .nout = res.nbody };
	snprintf(a.what, sizeof a.what, "answered %d", res.status);
	return judge(r, phase, &a, e);
}

/* --- the step ------------------------------------------------------------------------------------------------- */

static int begin(struct step_run *r, const char *phase, struct err *e)
{
	if (!strcmp(json_str(r->memo, "phase", ""), phase))
		return 0;
	return step_intend(r, json_pack("{s:s, s:I}", "phase", phase, "since", (json_int_t)r->now), e);
}

static enum step_verdict rehearse(struct step_run *r, const char *phase, struct err *e)
{
	return step_note(r, "rehearsal: the program was not run", json_pack("{s:s}", "phase", phase), e) ? STEP_FAIL : STEP_DONE;
}

static enum step_verdict ask(struct step_run *r, const char *phase, struct err *e)
{
	if (begin(r, phase, e))
		return STEP_FAIL;
	if (json_object_get(r->params, "url"))
		return ask_url(r, phase, e);
	return r->simulated ? rehearse(r, phase, e) : run_program(r, phase, e);
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	return ask(r, "advance", e);
}

static enum step_verdict undo(struct step_run *r, struct err *e)
{
	autofree char *key = xasprintf("%s/advance", r->token);
	struct running *p = slot(key);

	if (p)
		end(p, NULL);
	return r->memo && json_yes(r->params, "undo") ? ask(r, "undo", e) : STEP_DONE;
}

/* --- in the plan ------------------------------------------------------------------------------------------------ */

static bool is_loopback(const char *host)
{
	size_t n = strcspn(host, ":/?#");

	return !strncmp(host, "[::1]", 5) || (n == 9 && !strncmp(host, "localhost", n)) ||
	       (n >= 7 && !strncmp(host, "127.", 4) && strspn(host, "0123456789.") == n);
}

static void check_url(const struct step *s, const struct plan *p, const char *url, struct plan_errors *errs)
{
	if (!strncmp(url, "https://", 8) || (!strncmp(url, "http://", 7) && is_loopback(url + 7)))
		return;
	plan_bad(errs, p, s, "url", "must be https (http only for this machine itself)");
}

static void validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	const json_t *program = json_object_get(s->params, "program");
	const char *url = json_str(s->params, "url", NULL);
	const char *path = json_string_value(json_array_get(program, 0));

	if (!program == !url)
		plan_bad(errs, p, s, NULL, "needs program or url, one of them");
	if (path && path[0] != '/' && strncmp(path, "${", 2))
		plan_bad(errs, p, s, "program", "\"%.100s\" must be an absolute path: there is no shell that would look for it", path);
	if (url)
		check_url(s, p, url, errs);
	if (json_object_size(json_object_get(s->params, "data")) > DATA_MAX)
		plan_bad(errs, p, s, "data", "may have %d entries", DATA_MAX);
}

static int64_t worst_ms(const struct step *s)
{
	return json_num(s->params, "limit", 0);
}

static const char *const on_fails[] = { "rollback", "continue", NULL };

static const struct param params[] = {
	{ .name = "program", .type = PARAM_STRINGS, .min = 1, .max = 32, .about = "[\"/path/program\", \"argument\"], run without a shell" },
	{ .name = "url", .type = PARAM_STRING, .about = "HTTPS URL that gets a POST with the same JSON as a program's stdin" },
	{ .name = "data", .type = PARAM_MAP, .about = "further facts: in the JSON, and as CUTOVER_DATA_<KEY>" },
	{ .name = "limit", .type = PARAM_DURATION, .def = "\"PT30S\"", .min = 1000, .max = 300000,
	  .about = "time a program may take; a URL is asked for 10 s at most, and again within this time" },
	{ .name = "on_fail", .type = PARAM_CHOICE, .def = "\"rollback\"", .choices = on_fails,
	  .about = "what a failure means; a veto (exit 10, status 409) always ends the attempt" },
	{ .name = "undo", .type = PARAM_BOOL, .def = "false", .about = "ask it again on the way back, with CUTOVER_PHASE=undo" },
	{ 0 },
};

const struct step_kind step_hook = {
	.name = "hook", .about = "ask a program or a URL of your own; it may pass, veto or fail",
	.params = params, .flags = STEP_TOUCHES, .timeout_ms = MINUTES(15), .validate = validate,
	.worst_ms = worst_ms, .advance = advance, .undo = undo,
};

/* cli/stacks.c - `cutover stacks`: what lives for years, made, changed and looked at. */
#include "cli/stacks.h"

#include "aws/aws.h"
#include "aws/cred.h"
#include "aws/sts.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "net/http.h"
#include "plan/plan.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* --- the command ------------------------------------------------------------------------------ */

static volatile int stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

struct session {
	struct stacks s;
	struct http http;
	struct http_curl *curl;
	struct cred_chain *creds;
};

static struct aws *open_aws(void *ctx, const char *region)
{
	struct session *x = ctx;

	return aws_new(&(struct aws_opts){ .http = &x->http, .clock = &clock_real, .creds = x->creds, .region = region });
}

static void session_close(struct session *x)
{
	stacks_end(&x->s, aws_free);
	cred_chain_free(x->creds);
	http_curl_free(x->curl);
}
#define autosession __attribute__((cleanup(session_close)))

static void tell_json(struct stacks *s, json_t *event)
{
	(void)s;
	cli_print_json(event);
	fflush(stdout);
}

static void tell_people(struct stacks *s, json_t *event)
{
	autojson json_t *mine = event;

	(void)s;
	stacks_say(mine);
	fflush(stdout);
}

static void session_open(struct session *x, const struct cli *c, const struct environment *env)
{
	x->curl = http_curl_new(getenv("AWS_CA_BUNDLE"));
	x->http = (struct http){ http_curl_send, x->curl };
	x->creds = cred_chain_new(&x->http, &clock_real);
	x->s = (struct stacks){
		.env = env, .clock = &clock_real, .open = open_aws, .ctx = x, .may_replace = cli_opt(c, "may-replace"),
		.may_delete = cli_opt(c, "may-delete"), .outputs = json_object(), .tell = c->json ? tell_json : tell_people,
		.stop = &stopped, .poll_ms = 1000, /* somebody sits and waits */
	};
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
}

/* Another account's credentials are the likeliest way to harm the wrong wiki. */
static int check_account(struct stacks *s, struct err *e)
{
	struct sts_who who;

	if (sts_who(stacks_aws(s, s->env->region), &who, e))
		return -1;
	if (!strcmp(who.account, s->env->account))
		return 0;
	return err_set(e, ERR_GATE, "the credentials are of account %s, environment %s is of account %s: nothing was touched", who.account,
		       s->env->name, s->env->account);
}

static int run_plan(const struct cli *c, struct stacks *s, struct err *e)
{
	(void)c;
	return stacks_plan(s, e);
}

static int run_apply(const struct cli *c, struct stacks *s, struct err *e)
{
	(void)c;
	return stacks_apply(s, e);
}

static int run_status(const struct cli *c, struct stacks *s, struct err *e)
{
	return stacks_status(s, !cli_opt(c, "no-drift"), e);
}

static int run_delete(const struct cli *c, struct stacks *s, struct err *e)
{
	const char *confirmed = cli_opt(c, "confirm");

	if (!confirmed || strcmp(confirmed, s->env->name) != 0)
		return err_set(e, ERR_GATE, "this deletes every stack of environment %s: say --confirm %s if that is meant", s->env->name,
			       s->env->name);
	return stacks_delete(s, e);
}

static const struct verb {
	const char *name;
	int (*run)(const struct cli *c, struct stacks *s, struct err *e);
} verbs[] = { { "plan", run_plan }, { "apply", run_apply }, { "status", run_status }, { "delete", run_delete } };

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int load(const struct cli *c, struct environment **env)
{
	autobuf struct buf text = BUF_MAX(1 << 20);
	struct plan_errors errs = { 0 };
	int rc = environment_load(cli_arg(c, 1), env, &errs);

	if (rc) {
		plan_errors_print(&errs, cli_arg(c, 1), &text);
		fprintf(stderr, "%s%zu error%s; nothing was touched\n", text.p ? text.p : "", errs.n, errs.n == 1 ? "" : "s");
	}
	plan_errors_free(&errs);
	return rc ? CUTOVER_EXIT_USAGE : 0;
}

static int fail(const struct stacks *s, const struct err *e)
{
	int code = cli_fail(e);

	if (!s->touched)
		return code;
	fputs("cutover: what was done before stays; the same command again goes on from there\n", stderr);
	return CUTOVER_EXIT_FROZEN;
}

static int left(void)
{
	fputs("cutover: what CloudFormation is doing goes on; the same command again waits for it and goes on from there\n", stderr);
	return CUTOVER_EXIT_RUNNING;
}

static int run(struct cli *c)
{
	const struct verb *v = find_verb(cli_arg(c, 0));
	autoenvironment struct environment *env = NULL;
	autosession struct session x = { 0 };
	struct err e = { 0 };
	int rc;

	if (!v)
		return cli_usage(c, "\"%.40s\" is none of plan, apply, status and delete", cli_arg(c, 0));
	rc = load(c, &env);
	if (rc)
		return rc;
	session_open(&x, c, env);
	rc = check_account(&x.s, &e) ? -1 : v->run(c, &x.s, &e);
	if (rc < 0)
		return fail(&x.s, &e);
	return rc == CUTOVER_EXIT_RUNNING ? left() : rc;
}

const struct cli_command cli_stacks = {
	.name = "stacks", .args = "plan|apply|status|delete ENV", .about = "make, change and look at the stacks of an environment",
	.run = run, .acts = true, .min_args = 2, .max_args = 2,
	.options = (const struct cli_option[]){
		{ "may-replace", "ID,...", "logical ids (or STACK.ID) that may be replaced, removed, or moved traffic with" },
		{ "may-delete", "STACK,...", "delete: stateful stacks that may be deleted" },
		{ "confirm", "NAME", "delete: the environment's name once more" },
		{ "no-drift", NULL, "status: do not compare each resource with its template" },
		{ 0 } },
	.detail = "ENV is an environment file (plans/environments/*.json): stacks in the order they are made.\n"
		  "plan shows the change set of each and deletes it again; apply shows, then executes, in order, and may\n"
		  "be killed and started again; delete goes in reverse order. Refused, unless named: what would replace\n"
		  "or remove anything of a stateful stack or type, and what would move traffic or weights.",
};

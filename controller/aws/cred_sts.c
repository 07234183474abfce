/* Roles. These two calls make credentials, so they cannot go through aws.c,
 * which needs them. */
#include "aws/core.h"
#include "aws/cred_sources.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_MAX ((size_t)64 << 10)
#define TRY_MS    4000
#define TRIES     2
#define PAUSE_MS  300

struct sts_call {
	struct aws_op_info op;
	const char *region;
	const struct cred *with; /* NULL: unsigned */
	const char *form;
};

static int send_once(struct cred_chain *c, const struct sts_call *q, struct reply *out, struct err *e)
{
	autosigned struct signed_head h = { .n = 0 };
	autores struct http_res res = { 0 };
	autofree char *url = NULL, *path = NULL;
	struct endpoint at;
	int flags;

	if (endpoint_find("sts", q->region, &at, e))
		return -1;
	path = xasprintf("%s/", at.path);
	url = xasprintf("%s%s", at.base, path);
	h.at[h.n++] = (struct kv){ "host", at.host };
	h.at[h.n++] = (struct kv){ "content-type", "application/x-www-form-urlencoded; charset=utf-8" };
	if (q->with)
		request_sign(&h, q->with, q->region, "sts", clock_wall(c->clock), "POST", path, NULL,
			     q->form, strlen(q->form));
	if (http_send(c->http, &(struct http_req){
			.method = "POST", .url = url, .head = h.at, .nhead = h.n, .body = q->form,
			.nbody = strlen(q->form), .timeout_ms = TRY_MS, .no_proxy = at.loopback,
		}, &res, e))
		return err_wrap(e, "%s", q->op.name);
	return reply_read(&q->op, PROTOCOL_QUERY, &res, clock_wall(c->clock), out, &flags, e);
}

static int ask(struct cred_chain *c, const struct sts_call *q, struct reply *out, struct err *e)
{
	for (int i = 0; i < TRIES; i++) {
		if (i)
			retry_sleep(c->clock, PAUSE_MS);
		if (!send_once(c, q, out, e))
			return 0;
		if (!err_retryable(e))
			break;
	}
	return -1;
}

/* .../Credentials of either answer. */
static int read_cred(const char *action, struct xml *x, const char *source, struct cred *out,
		     struct err *e)
{
	char path[80];
	const char *id, *secret, *ends;
	struct xml *at;

	snprintf(path, sizeof path, "%sResult/Credentials", action);
	at = xml_at(x, path);
	id = xml_text(at, "AccessKeyId");
	secret = xml_text(at, "SecretAccessKey");
	ends = xml_text(at, "Expiration");
	if (!*id || !*secret || clock_parse_iso(ends) < 0)
		return err_set(e, ERR_UNSURE, "%s: the answer has no complete credentials in it", action);
	cred_set(out, id, secret, xml_text(at, "SessionToken"), clock_parse_iso(ends), source);
	return 0;
}

static void add_role(struct aws_args *args, const struct cred_chain *c, const struct cred_role *role)
{
	const char *session = env_get("AWS_ROLE_SESSION_NAME");
	char own[48];

	snprintf(own, sizeof own, "cutover-%lld", (long long)(clock_wall(c->clock) / 1000));
	aws_arg(args, role->arn, "RoleArn");
	aws_arg(args, role->session ? role->session : session ? session : own, "RoleSessionName");
	aws_arg(args, role->duration_s, "DurationSeconds");
}

static int assume(struct cred_chain *c, const char *action, const struct cred_role *role,
		  const struct aws_args *args, const struct cred *with, const char *source,
		  struct cred *out, struct err *e)
{
	autobuf struct buf form = BUF_MAX((size_t)1 << 20);
	autoxml struct xml *x = NULL;
	const char *region = role->region ? role->region : cred_region(c);
	struct reply got = { NULL, NULL };
	struct sts_call q = { .op = { .name = action, .service = "sts" }, .with = with };

	buf_addf(&form, "Action=%s&Version=2011-06-15", action);
	args_form(args, &form);
	q.form = form.p;
	q.region = region ? region : "us-east-1"; /* STS gives the same credentials everywhere */
	if (ask(c, &q, &got, e))
		return err_wrap(e, "%s: role %s", source, role->arn);
	x = got.xml;
	return read_cred(action, x, source, out, e) ? err_wrap(e, "%s: role %s", source, role->arn) : 0;
}

int cred_assume(struct cred_chain *c, const struct cred_role *role, const struct cred *with,
		const char *source, struct cred *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();

	add_role(args, c, role);
	aws_arg(args, role->external_id, "ExternalId");
	return assume(c, "AssumeRole", role, args, with, source, out, e);
}

int cred_assume_web(struct cred_chain *c, const struct cred_role *role, const char *source,
		    struct cred *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autofree char *token = NULL;
	size_t n;

	if (file_read(role->token_file, TOKEN_MAX, &token, &n, e))
		return err_wrap(e, "%s: web identity token", source);
	token[strcspn(token, "\r\n")] = '\0';
	if (!*token)
		return err_set(e, ERR_DENIED, "%s: the web identity token file %s is empty", source,
			       role->token_file);
	add_role(args, c, role);
	aws_arg(args, token, "WebIdentityToken");
	return assume(c, "AssumeRoleWithWebIdentity", role, args, NULL, source, out, e);
}

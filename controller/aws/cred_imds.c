/* The role of an EC2 instance, by IMDSv2 only: version 1 can be asked by
 * whoever makes a server fetch a URL.
 * docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html */
#include "aws/core.h"
#include "aws/cred_sources.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WAIT_MS    1000
#define ANSWER_MAX ((size_t)64 << 10)
#define ROLES      "/latest/meta-data/iam/security-credentials/"

static bool is_disabled(void)
{
	const char *v = env_get("AWS_EC2_METADATA_DISABLED");

	return v && !strcasecmp(v, "true");
}

static const char *base_of(void)
{
	const char *own = env_get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = env_get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");

	if (own)
		return own;
	return mode && !strcasecmp(mode, "ipv6") ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
}

static int ask(struct cred_chain *c, const char *method, const char *path, const struct kv *head,
	       struct http_res *res, struct err *e)
{
	const char *base = base_of();
	size_t n = strlen(base);
	autofree char *url = NULL;

	while (n && base[n - 1] == '/')
		n--;
	url = xasprintf("%.*s%s", (int)n, base, path);
	return http_send(c->http, &(struct http_req){
		.method = method, .url = url, .head = head, .nhead = 1, .timeout_ms = WAIT_MS,
		.max_answer = ANSWER_MAX, .no_proxy = true,
	}, res, e);
}

static int failed(const char *what, const struct http_res *res, struct err *e)
{
	return err_set(e, res->status == 429 || res->status >= 500 ? ERR_BUSY : ERR_DENIED,
		       "the instance metadata service answers HTTP %d for %s", res->status, what);
}

/* Nobody there, or told not to answer (403): this is no source of ours. */
static enum found get_token(struct cred_chain *c, char **out, struct err *e)
{
	static const struct kv ttl = { "x-aws-ec2-metadata-token-ttl-seconds", "21600" };
	autores struct http_res res = { 0 };

	if (ask(c, "PUT", "/latest/api/token", &ttl, &res, e)) {
		if (e->kind != ERR_UNSURE)
			return FOUND_NOT_HERE;
		/* it took the question and kept the answer: the hop limit eats it */
		err_wrap(e, "the instance metadata service does not answer; in a container its hop "
			 "limit must be 2");
		return FOUND_ERROR;
	}
	if (res.status == 403 || res.status == 404 || res.status == 405)
		return FOUND_NOT_HERE;
	if (res.status != 200 || !res.nbody || strpbrk(res.body, "\r\n"))
		return failed("the session token", &res, e);
	*out = steal(&res.body);
	return FOUND;
}

static bool is_role_name(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-");

	return n && n <= 128 && !s[n];
}

static enum found get_role(struct cred_chain *c, const struct kv *token, char out[129], struct err *e)
{
	autores struct http_res res = { 0 };

	if (ask(c, "GET", ROLES, token, &res, e))
		return FOUND_ERROR;
	if (res.status == 404)
		return FOUND_NOT_HERE; /* an instance without a role */
	if (res.status != 200)
		return failed("the role's name", &res, e);
	res.body[strcspn(res.body, "\r\n")] = '\0';
	if (!is_role_name(res.body))
		return err_set(e, ERR_DENIED, "the instance metadata service answers with something that "
			       "is no role name");
	snprintf(out, 129, "%s", res.body);
	return FOUND;
}

enum found cred_from_imds(struct cred_chain *c, struct cred *out, struct err *e)
{
	autofree char *value = NULL, *path = NULL;
	autores struct http_res res = { 0 };
	char role[129] = "", source[96];
	struct kv token = { "x-aws-ec2-metadata-token", NULL };
	enum found f;

	if (is_disabled())
		return FOUND_NOT_HERE;
	f = get_token(c, &value, e);
	if (f != FOUND)
		return f;
	token.v = value;
	f = get_role(c, &token, role, e);
	if (f != FOUND)
		return f;
	path = xasprintf(ROLES "%s", role);
	if (ask(c, "GET", path, &token, &res, e))
		return FOUND_ERROR;
	if (res.status != 200)
		return failed(role, &res, e);
	snprintf(source, sizeof source, "instance metadata role %.60s", role);
	return cred_read_json(res.body, res.nbody, "Token", source, out, e) ? FOUND_ERROR : FOUND;
}

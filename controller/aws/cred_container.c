/* The endpoint that ECS and EKS give a container.
 * docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
#include "aws/core.h"
#include "aws/cred_sources.h"
#include "base/buf.h"
#include "base/file.h"
#include "net/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ECS_HOST   "169.254.170.2"
#define WAIT_MS    2000
#define TOKEN_MAX  ((size_t)64 << 10)
#define ANSWER_MAX ((size_t)64 << 10)

/* Without TLS only addresses that cannot leave this machine or its agent. */
static const char *const agents[] = { ECS_HOST, "169.254.170.23", "fd00:ec2::23" };

static bool is_agent(const char *host)
{
	for (size_t i = 0; i < COUNT(agents); i++)
		if (!strcasecmp(agents[i], host))
			return true;
	return endpoint_is_loopback(host);
}

static int check_full(const char *url, struct err *e)
{
	bool plain = !strncasecmp(url, "http://", 7), six;
	char host[256];
	const char *p = url + 7;
	autofree char *shown = url_hide_logins(url);

	if (!strncasecmp(url, "https://", 8))
		return 0;
	six = plain && *p == '[';
	p += six;
	snprintf(host, sizeof host, "%.*s", plain ? (int)strcspn(p, six ? "]" : ":/?#") : 0, p);
	if (plain && !strpbrk(url, "@ \\\r\n\t") && is_agent(host))
		return 0;
	return err_set(e, ERR_DENIED, "AWS_CONTAINER_CREDENTIALS_FULL_URI \"%.120s\" is neither https nor "
		       "an address of this machine or of the ECS or EKS agent", shown);
}

static int url_of(const char *relative, const char *full, char **out, struct err *e)
{
	if (relative && (*relative != '/' || strpbrk(relative, " \\\r\n\t")))
		return err_set(e, ERR_DENIED, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI \"%.120s\" does not "
			       "begin with /, or has blanks", relative);
	if (!relative && check_full(full, e))
		return -1;
	*out = relative ? xasprintf("http://" ECS_HOST "%s", relative) : xstrdup(full);
	return 0;
}

/* The file is read anew each time: the agent replaces it. */
static int token_of(char **out, struct err *e)
{
	const char *file = env_get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = env_get("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	size_t n;

	if (file && file_read(file, TOKEN_MAX, out, &n, e))
		return err_wrap(e, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	if (!file)
		*out = xstrdup(token);
	if (file)
		(*out)[strcspn(*out, "\r\n")] = '\0';
	if (*out && strpbrk(*out, "\r\n"))
		return err_set(e, ERR_DENIED, "AWS_CONTAINER_AUTHORIZATION_TOKEN has a line break in it");
	return 0;
}

static int fetch(struct cred_chain *c, const char *url, const char *token, struct cred *out,
		 struct err *e)
{
	autores struct http_res res = { 0 };
	struct kv head = { "authorization", token };

	if (http_send(c->http, &(struct http_req){
			.method = "GET", .url = url, .head = &head, .nhead = token && *token,
			.timeout_ms = WAIT_MS, .max_answer = ANSWER_MAX, .no_proxy = true,
		}, &res, e))
		return -1;
	if (res.status != 200) {
		autofree char *shown = url_hide_logins(url);
		enum err_kind kind = res.status == 429 || res.status >= 500 ? ERR_BUSY : ERR_DENIED;

		err_set(e, kind, "%s answers HTTP %d: %.200s", shown, res.status, res.body);
		return -1;
	}
	return cred_read_json(res.body, res.nbody, "Token", "container endpoint", out, e);
}

enum found cred_from_container(struct cred_chain *c, struct cred *out, struct err *e)
{
	const char *relative = env_get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = env_get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	autofree char *url = NULL, *token = NULL;

	if (!relative && !full)
		return FOUND_NOT_HERE;
	if (url_of(relative, full, &url, e) || token_of(&token, e))
		return FOUND_ERROR;
	return fetch(c, url, token, out, e) ? FOUND_ERROR : FOUND;
}

/* Who answers what: services by host or signature, signatures, actions. */
#include "base/err.h"
#include "sim/world.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SKEW_MS    300000 /* AWS: a signature is good for five minutes */

static const struct service {
	const char *host, *scope;  /* the host's first label; the name in the signature */
	enum protocol protocol;
	const char *ns;            /* of its XML; or the prefix of its X-Amz-Target */
	const struct answer *answers;
	answer_fn *all;            /* REST: one function for everything */
} services[] = {
	{ "elasticloadbalancing", "elasticloadbalancing", QUERY,
	  "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", balancer_answers, NULL },
	{ "cloudformation", "cloudformation", QUERY, "http://cloudformation.amazonaws.com/doc/2010-05-15/",
	  stacks_answers, NULL },
	{ "sts", "sts", QUERY, "https://sts.amazonaws.com/doc/2011-06-15/", account_answers, NULL },
	{ "monitoring", "monitoring", JSON, "GraniteServiceVersion20100801", metrics_answers, NULL },
	{ "ecs", "ecs", JSON, "AmazonEC2ContainerServiceV20141113", tasks_answers, NULL },
	{ "scheduler", "scheduler", REST, "", NULL, schedules_answer },
	{ "rds", "rds", QUERY, "http://rds.amazonaws.com/doc/2014-10-31/", copies_answers, NULL },
};

/* --- whose request is it? ---------------------------------------------------------- */

static const struct service *service_named(const char *name, size_t n)
{
	for (size_t i = 0; i < COUNT(services); i++)
		if (strlen(services[i].host) == n && !memcmp(services[i].host, name, n))
			return &services[i];
	return NULL;
}

/* By host; with an endpoint of one's own, by what was signed. NULL: the wiki's. */
static const struct service *find_service(const struct http_req *q)
{
	const char *host = strstr(q->url, "://"), *auth = ask_head(q, "authorization"), *p;
	size_t n;

	host = host ? host + 3 : "";
	n = strcspn(host, "/?");
	if (memmem(host, n, ".amazonaws.com", 14))
		return service_named(host, strcspn(host, "."));
	p = auth ? strstr(auth, "/aws4_request") : NULL;
	for (n = 0; p && p > auth && p[-1] != '/'; p--)
		n++;
	return p ? service_named(p, n) : NULL;
}

/* --- signatures ----------------------------------------------------------------------- */

/* "20260101T020000Z" */
static int64_t amz_time(const char *s)
{
	char iso[24];

	if (!s || strlen(s) != 16)
		return -1;
	snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s, s + 4, s + 6, s + 9, s + 11, s + 13);
	return clock_parse_iso(iso);
}

static bool scope_fits(const struct sim *s, const struct service *v, const char *auth, const char *date)
{
	char scope[128];

	snprintf(scope, sizeof scope, "/%.8s/%s/%s/aws4_request", date, s->region, v->scope);
	return strstr(auth, scope) && strstr(auth, "SignedHeaders=") && strstr(auth, "host") &&
	       strstr(auth, "x-amz-date") && strstr(auth, "Signature=") &&
	       strlen(strstr(auth, "Signature=")) >= strlen("Signature=") + 64;
}

static bool check_signature(struct sim *s, const struct service *v, const struct ask *k, struct say *a)
{
	const char *auth = ask_head(k->http, "authorization"), *date = ask_head(k->http, "x-amz-date");
	int64_t at = amz_time(date);
	const char *code = NULL;

	if (!auth || strncmp(auth, "AWS4-HMAC-SHA256 Credential=", 28))
		code = "MissingAuthenticationToken";
	else if (at < 0 || !scope_fits(s, v, auth, date))
		code = "SignatureDoesNotMatch";
	else if (at < s->now - SKEW_MS || at > s->now + SKEW_MS)
		code = "RequestExpired";
	if (code)
		say_error(a, 403, code, "The request is not signed as it should be: %.20s now, %.20s signed",
			  v->scope, date ? date : "nothing");
	return !code;
}

/* --- one answer ------------------------------------------------------------------------- */

static void answer_action(struct sim *s, const struct service *v, const struct ask *k, struct say *a)
{
	const struct answer *r = v->answers;

	if (v->all)
		return v->all(s, k, a);
	while (r->action && strcmp(r->action, k->action))
		r++;
	if (r->action)
		r->fn(s, k, a);
	else
		say_error(a, 400, v->protocol == JSON ? "UnknownOperationException" : "InvalidAction",
			  "Could not find operation %.60s", k->action);
}

static bool is_for_database(const struct http_req *q)
{
	return !strncmp(q->url, "sim-database://", 15);
}

static void answer(struct sim *s, const struct service *v, const struct ask *k, struct say *a)
{
	static const char *const types[] = { "text/xml", "application/x-amz-json-1.1", "application/json", "text/html" };

	a->type = types[k->protocol];
	a->ns = v ? v->ns : "";
	if (!v)
		(is_for_database(k->http) ? databases_answer : wiki_answer)(s, k, a);
	else if (check_signature(s, v, k, a))
		answer_action(s, v, k, a);
}

static int refuse_text(struct http_res *out)
{
	*out = (struct http_res){ .status = 400, .head = xstrdup(""), .body = xstrdup("bad request"), .nbody = 11 };
	return 0;
}

static void fill(struct say *a, struct http_res *out)
{
	time_t now = (time_t)(a->sim->now / 1000);
	char date[64];
	struct tm tm;

	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	out->status = a->status;
	out->head = xasprintf("Date: %s\r\nContent-Type: %s\r\n%s%s%s", date, a->type,
			      a->failed ? "MediaWiki-API-Error: " : a->error ? "x-amzn-ErrorType: " : "",
			      a->failed ? a->failed : a->error ? a->error : "", a->failed || a->error ? "\r\n" : "");
	out->nbody = a->body.len;
	out->body = buf_take(&a->body);
}

int front_answer(struct sim *s, const struct http_req *q, struct http_res *out, enum sim_mishap what)
{
	const struct service *v = find_service(q);
	struct ask k = { .protocol = v ? v->protocol : PLAIN };
	struct say a = { .sim = s, .ask = &k, .status = 200 };

	s->stale = what == SIM_STALE;
	if (ask_open(q, &k)) {
		ask_close(&k);
		return refuse_text(out);
	}
	if (what == SIM_THROTTLED) {
		a.ns = v ? v->ns : "";
		a.type = "text/plain";
		say_error(&a, v ? 400 : 429, v && v->protocol == QUERY ? "Throttling" : "ThrottlingException", "Rate exceeded");
	} else {
		answer(s, v, &k, &a);
	}
	fill(&a, out);
	out->took_ms = a.took_ms;
	ask_close(&k);
	return 0;
}

bool front_is_aws(const struct http_req *q) { return find_service(q); }

/* REST has no names: the method says what is done, the path to what. */
static const char *name_rest(const struct http_req *q)
{
	static const char *const names[][2] = { { "GET", "GetSchedule" }, { "POST", "CreateSchedule" },
						{ "PUT", "UpdateSchedule" }, { "DELETE", "DeleteSchedule" } };

	for (size_t i = 0; i < COUNT(names); i++)
		if (!strcmp(q->method, names[i][0]))
			return names[i][1];
	return q->method;
}

void front_name(const struct http_req *q, const char **service, char op[64])
{
	const struct service *v = find_service(q);
	struct ask k = { .protocol = v ? v->protocol : PLAIN };

	*service = v ? v->host : SIM_WIKI;
	op[0] = '\0';
	if (v && v->protocol == REST)
		snprintf(op, 64, "%s", name_rest(q));
	else if (!ask_open(q, &k))
		snprintf(op, 64, "%s", k.action);
	ask_close(&k);
}

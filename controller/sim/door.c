/* sim_send: what stands between the program and the world - the network with
 * its mishaps, the death of the sender, signatures, and who answers what. */
#include "base/cancel.h"
#include "base/err.h"
#include "sim/world.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SKEW_MS    300000 /* AWS: a signature is good for five minutes */
#define LEAVE_MS   1000   /* how often a request is asked whether it may be given up */
#define TIMEOUT_MS 10000  /* HTTP_TIMEOUT_MS, for requests that name none */
#define SLOW_MS    9000

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

static int execute(struct sim *s, const struct http_req *q, struct http_res *out, enum sim_mishap what)
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

/* --- the network --------------------------------------------------------------------------- */

static void replace_body(struct http_res *a, int status, const char *text)
{
	free(a->body);
	a->status = status;
	a->body = xstrdup(text);
	a->nbody = strlen(text);
}

static int64_t patience(const struct http_req *q) { return q->timeout_ms ? q->timeout_ms : TIMEOUT_MS; }

static int lost(struct http_res *a, struct err *e)
{
	http_res_free(a);
	*a = (struct http_res){ 0 };
	return err_set(e, ERR_UNSURE, "the connection was reset before the answer came");
}

/* Executes and then spoils the answer, as `what` says. */
static int spoil(struct sim *s, const struct http_req *q, struct http_res *a, enum sim_mishap what, struct err *e)
{
	if (what == SIM_500 && dice_real(&s->mishap_dice) < 0.5) { /* it may have been done, or not */
		*a = (struct http_res){ .head = xstrdup("") };
		replace_body(a, 500, "");
	} else {
		execute(s, q, a, what);
	}
	if (what == SIM_REPLY_LOST)
		return lost(a, e);
	if (what == SIM_500)
		replace_body(a, 500, "<html><body>Internal Server Error</body></html>");
	if (what == SIM_MALFORMED)
		replace_body(a, 200, "<html><body>It works!<br></body>");
	if (what == SIM_TRUNCATED)
		a->body[a->nbody /= 2] = '\0';
	return 0;
}

static int wait_in_vain(struct sim *s, const struct http_req *q, struct err *e)
{
	for (int64_t left = patience(q), slice; left > 0; left -= slice) {
		slice = left < LEAVE_MS ? left : LEAVE_MS;
		sim_advance(s, slice);
		if (cancel_is_raised(q->cancel))
			return http_cancelled(q, e);
	}
	return err_set(e, ERR_UNSURE, "no answer within %lld ms", (long long)patience(q));
}

static int meet(struct sim *s, const struct http_req *q, struct http_res *a, enum sim_mishap what, struct err *e)
{
	int64_t asked = s->now;

	if (cancel_is_raised(q->cancel))
		return http_cancelled(q, e);
	if (what == SIM_REFUSED)
		return err_set(e, ERR_NET, "connection refused");
	if (what == SIM_TIMEOUT_BEFORE)
		return wait_in_vain(s, q, e);
	sim_advance(s, dice_between(&s->net_dice, 10, 60));
	if (spoil(s, q, a, what, e))
		return -1;
	sim_advance(s, a->took_ms + dice_between(&s->net_dice, 10, 60) + (what == SIM_SLOW ? SLOW_MS : 0));
	a->took_ms = s->now - asked;
	if (a->took_ms > patience(q))
		return lost(a, e);
	if (a->nbody > (q->max_answer ? q->max_answer : HTTP_ANSWER_MAX)) {
		lost(a, e);
		return err_set(e, ERR_UNSURE, "the answer is longer than %zu bytes", q->max_answer);
	}
	return 0;
}

/* Random ones meet only requests to AWS; one that was asked for meets any. */
static enum sim_mishap next_mishap(struct sim *s, const struct http_req *q)
{
	for (size_t i = 0; i < s->nmishaps; i++)
		if (s->mishap[i].at == s->requests) {
			enum sim_mishap what = s->mishap[i].what;

			s->mishap[i] = s->mishap[--s->nmishaps];
			return what;
		}
	if (s->mishap_rate > 0 && find_service(q) && dice_real(&s->mishap_dice) < s->mishap_rate)
		return (enum sim_mishap)dice_between(&s->mishap_dice, SIM_FINE + 1, SIM_MISHAPS - 1);
	return SIM_FINE;
}

/* The dying request: sent or not, its answer is never seen. */
static int die(struct sim *s, const struct http_req *q, struct err *e)
{
	struct http_res unseen = { 0 };

	s->dead = true;
	s->will_die = false;
	if (s->die_before)
		return err_set(e, ERR_NET, "dead: the process was killed before it sent this");
	execute(s, q, &unseen, SIM_FINE);
	http_res_free(&unseen);
	return err_set(e, ERR_UNSURE, "dead: the process was killed while it waited for the answer");
}

int sim_send(void *sim, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct sim *s = sim;
	enum sim_mishap what;

	*a = (struct http_res){ 0 };
	if (s->dead)
		return err_set(e, ERR_NET, "dead");
	if (s->will_die && s->requests++ >= s->die_at)
		return die(s, q, e);
	if (!s->will_die)
		s->requests++;
	what = next_mishap(s, q);
	return meet(s, q, a, what, e);
}

/* One call: token, credentials, signature, gate, send, meaning; and again
 * where again is right. */
#include "aws/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BODY_MAX ((size_t)4 << 20)

struct aws {
	struct aws_opts o;
	char *region;
	enum aws_lane lane;
	uint64_t rng;
	int64_t trying; /* ms our clock may be behind AWS's, as a refusal said: not believed before AWS takes it */
	int64_t heard;  /* the same, as the answer before said that took our signature; 0: nothing */
	struct bucket bucket[AWS_SERVICES][2];
};

/* What one call says, the same for each try. */
struct message {
	const struct aws_op_info *op;
	enum protocol protocol;
	const char *method, *path, *body; /* path with its query; body may be NULL */
};

/* How a try ended. */
enum end { END_OK, END_FAILED, END_EXPIRED, END_SKEWED, END_REFUSED_BY_US };

struct aws *aws_new(const struct aws_opts *o)
{
	struct aws *a = xcalloc(1, sizeof *a);
	int64_t now = clock_mono(o->clock);

	a->o = *o;
	a->region = xstrdup(o->region);
	a->rng = o->seed;
	while (!a->rng && getrandom(&a->rng, sizeof a->rng, 0) < 0)
		;
	for (enum aws_op op = 0; op < AWS_OPS; op++) {
		const char *service = aws_op_info(op)->service;

		for (int w = 0; w < 2; w++)
			bucket_init(&a->bucket[aws_service_index(service)][w],
				    &aws_service(service)->limit[w], now);
	}
	return a;
}

void aws_free(struct aws *a)
{
	if (!a)
		return;
	free(a->region);
	free(a);
}

const char *aws_region(const struct aws *a) { return a->region; }
struct clock *aws_clock(const struct aws *a) { return a->o.clock; }
struct cred_chain *aws_creds(const struct aws *a) { return a->o.creds; }
void aws_set_lane(struct aws *a, enum aws_lane lane) { a->lane = lane; }

static int take_token(struct aws *a, const struct aws_op_info *op, const struct retry *r, struct err *e)
{
	struct bucket *b = &a->bucket[aws_service_index(op->service)][op->write];
	int64_t wait;

	while ((wait = bucket_take(b, clock_mono(a->o.clock), a->lane == AWS_LANE_ROLLBACK))) {
		if (wait + RETRY_LEAST_MS > retry_left(r))
			return err_set(e, ERR_BUSY, "%s: held back by our own limit for %s: "
				       "the next request may go in %lld ms", op->name, op->service,
				       (long long)wait);
		retry_sleep(a->o.clock, wait);
	}
	return 0;
}

static char *content_type(const struct message *m)
{
	const char *json = aws_service(m->op->service)->json;

	if (m->protocol == PROTOCOL_QUERY)
		return xstrdup("application/x-www-form-urlencoded; charset=utf-8");
	if (m->protocol == PROTOCOL_REST)
		return xstrdup("application/json");
	return xasprintf("application/x-amz-json-%s", json ? json : "1.0");
}

/* Signs and sends. The gate is asked last: whatever took long lies behind us. */
static enum end send_signed(struct aws *a, const struct message *m, const struct endpoint *at,
			    const struct cred *c, int64_t timeout_ms, struct http_res *res,
			    struct err *e)
{
	autofree char *type = content_type(m), *target = NULL, *path = NULL, *url = NULL;
	autosigned struct signed_head h = { .n = 0 };
	const char *query = strchr(m->path, '?');

	path = xasprintf("%s%.*s", at->path, (int)strcspn(m->path, "?"), m->path);
	url = xasprintf("%s%s%s", at->base, path, query ? query : "");
	h.at[h.n++] = (struct kv){ "host", at->host };
	if (m->body)
		h.at[h.n++] = (struct kv){ "content-type", type };
	if (m->protocol == PROTOCOL_JSON) {
		target = xasprintf("%s.%s", m->op->version, m->op->name);
		h.at[h.n++] = (struct kv){ "x-amz-target", target };
	}
	request_sign(&h, c, a->region, m->op->service, clock_wall(a->o.clock) + a->trying, m->method, path,
		     query ? query + 1 : NULL, m->body, m->body ? strlen(m->body) : 0);
	if (m->op->write && a->o.gate && a->o.gate(a->o.gate_ctx, e))
		return END_REFUSED_BY_US;
	if (http_send(a->o.http, &(struct http_req){
			.method = m->method, .url = url, .head = h.at, .nhead = h.n,
			.body = m->body, .nbody = m->body ? strlen(m->body) : 0,
			.timeout_ms = timeout_ms, .no_proxy = at->loopback, .once = m->op->write,
		}, res, e))
		return err_wrap(e, "%s", m->op->name), END_FAILED;
	return END_OK;
}

static void say_whose(const struct cred *c, struct err *e)
{
	size_t n = strlen(e->msg), id = strlen(c->id);

	snprintf(e->msg + n, sizeof e->msg - n, " [credentials: %s, key ...%s]", c->source,
		 c->id + (id > 4 ? id - 4 : 0));
}

/* --- what time it is ------------------------------------------------------------------ */

#define SKEW_LEAST_MS 30000  /* less is left alone */
#define SKEW_MOST_MS 300000  /* a signature that is further off is refused */
#define SKEW_AGREE_MS 10000

static int64_t skew_of(const struct aws *a, const struct http_res *res)
{
	int64_t theirs = reply_date(res), off = theirs - clock_wall(a->o.clock);

	return theirs < 0 || llabs(off) < SKEW_LEAST_MS ? 0 : off;
}

/* A refusal for its time says what time it is, as newer SDKs take it. But a Date
 * may be of a proxy, or of whoever likes: it is tried once, and believed when
 * AWS takes a signature that was made with it. */
static bool skew_try(struct aws *a, const struct http_res *res)
{
	a->trying = a->trying ? 0 : skew_of(a, res);
	return a->trying != 0;
}

/* AWS took our signature, so our clock is right within minutes, and a Date that
 * says otherwise is not AWS's. Within them, two answers in a row have to agree:
 * CloudWatch's minutes are AWS's. */
static void skew_hear(struct aws *a, const struct http_res *res)
{
	int64_t off = skew_of(a, res);
	bool again = a->heard && llabs(off - a->heard) < SKEW_AGREE_MS;

	if (a->trying) {
		clock_correct(a->o.clock, a->trying);
		a->trying = a->heard = 0;
		return;
	}
	a->heard = llabs(off) <= SKEW_MOST_MS ? off : 0;
	if (!a->heard || !again)
		return;
	clock_correct(a->o.clock, off);
	a->heard = 0;
}

static enum end attempt(struct aws *a, const struct message *m, const struct endpoint *at,
			const struct retry *r, struct reply *out, struct err *e)
{
	autores struct http_res res = { 0 };
	const struct cred *c = NULL;
	int64_t left;
	enum end end;
	int flags = 0, rc;

	if (take_token(a, m->op, r, e))
		return END_REFUSED_BY_US;
	if (cred_get(a->o.creds, &c, e))
		return err_wrap(e, "%s", m->op->name), END_FAILED;
	left = retry_left(r);
	if (left < RETRY_LEAST_MS)
		return err_set(e, ERR_NET, "%s: not sent: getting credentials (%s) took all the time "
			       "there was", m->op->name, c->source), END_FAILED;
	end = send_signed(a, m, at, c, left < HTTP_TIMEOUT_MS ? left : HTTP_TIMEOUT_MS, &res, e);
	if (end)
		return end;
	rc = reply_read(m->op, m->protocol, &res, clock_wall(a->o.clock), out, &flags, e);
	if (rc && flags & AWS_CODE_SKEW && skew_try(a, &res))
		return END_SKEWED;
	if (!rc) {
		skew_hear(a, &res);
		return END_OK;
	}
	if (e->kind == ERR_DENIED)
		say_whose(c, e);
	return flags & AWS_CODE_EXPIRED ? END_EXPIRED : END_FAILED;
}

static bool may_retry(const struct message *m, const struct err *e)
{
	return err_retryable(e) && !(m->op->write && e->kind == ERR_UNSURE);
}

/* An expired token means that AWS did nothing, so this is right for writes too. */
static enum end renewed(struct aws *a, const struct message *m, const struct endpoint *at,
			const struct retry *r, struct reply *out, struct err *e)
{
	if (!cred_renewable(a->o.creds)) {
		err_wrap(e, "the credentials have expired and cannot be renewed by this program: log in again");
		return END_REFUSED_BY_US;
	}
	cred_forget(a->o.creds);
	return attempt(a, m, at, r, out, e);
}

static int call(struct aws *a, const struct message *m, struct reply *out, struct err *e)
{
	struct endpoint at;
	struct retry r;
	struct err before = *e; /* a failure that a retry made good leaves no trace */
	bool renewed_once = false, corrected_once = false;

	if (endpoint_find(m->op->service, a->region, &at, e))
		return err_wrap(e, "%s", m->op->name);
	retry_init(&r, a->o.clock, &a->rng);
	for (;;) {
		enum end end = attempt(a, m, &at, &r, out, e);

		if (end == END_EXPIRED && !renewed_once) {
			renewed_once = true;
			end = renewed(a, m, &at, &r, out, e);
		}
		if (end == END_SKEWED && !corrected_once) { /* AWS did nothing: right for writes too */
			corrected_once = true;
			end = attempt(a, m, &at, &r, out, e);
			a->trying = 0;
		}
		if (end == END_OK) {
			*e = before;
			return 0;
		}
		if (end != END_FAILED || !may_retry(m, e) || !retry_again(&r))
			return -1;
	}
}

int aws_query(struct aws *a, enum aws_op op, const struct aws_args *args, struct xml **out,
	      struct err *e)
{
	const struct aws_op_info *i = aws_op_info(op);
	autobuf struct buf form = BUF_MAX(BODY_MAX);
	struct reply got = { NULL, NULL };

	buf_addf(&form, "Action=%s&Version=%s", i->name, i->version);
	args_form(args, &form);
	if (form.full || args_too_long(args))
		return err_set(e, ERR_INPUT, "%s: the request is too long to send", i->name);
	if (call(a, &(struct message){ i, PROTOCOL_QUERY, "POST", "/", form.p }, &got, e))
		return -1;
	*out = got.xml;
	return 0;
}

static int body_of(const struct aws_op_info *i, const json_t *in, char **out, struct err *e)
{
	*out = in ? json_dumps(in, JSON_COMPACT) : NULL;
	if (in && !*out)
		return err_set(e, ERR_BUG, "%s: the request cannot be written as JSON", i->name);
	if (*out && strlen(*out) > BODY_MAX)
		return err_set(e, ERR_INPUT, "%s: the request is too long to send", i->name);
	return 0;
}

int aws_json(struct aws *a, enum aws_op op, const json_t *in, json_t **out, struct err *e)
{
	const struct aws_op_info *i = aws_op_info(op);
	autofree char *body = NULL;
	struct reply got = { NULL, NULL };

	if (body_of(i, in, &body, e) ||
	    call(a, &(struct message){ i, PROTOCOL_JSON, "POST", "/", body ? body : "{}" }, &got, e))
		return -1;
	*out = got.json;
	return 0;
}

int aws_rest(struct aws *a, enum aws_op op, const char *method, const char *path,
	     const json_t *body, json_t **out, struct err *e)
{
	const struct aws_op_info *i = aws_op_info(op);
	autofree char *text = NULL;
	struct reply got = { NULL, NULL };

	if (body_of(i, body, &text, e) ||
	    call(a, &(struct message){ i, PROTOCOL_REST, method, path, text }, &got, e))
		return -1;
	*out = got.json;
	return 0;
}

char *aws_presign(struct aws *a, const char *service, const char *method, const char *url,
		  const struct aws_args *args, int expires_s, struct err *e)
{
	autosig struct sigv4_out sig = { .canonical = NULL };
	const struct cred *c = NULL;
	const struct kv *q;
	struct endpoint at;
	const char *path;
	struct kv host;
	char when[17];
	size_t nq = args_pairs(args, &q);

	if (!a->region)
		return err_set(e, ERR_INPUT, "presigning needs an AWS region: set AWS_REGION"), NULL;
	if (endpoint_parse(url, "presigning", &at, e) || cred_get(a->o.creds, &c, e))
		return NULL;
	path = url[strlen(at.base)] ? url + strlen(at.base) : "/";
	host = (struct kv){ "host", at.host };
	time_amz(clock_wall(a->o.clock), when);
	sigv4_presign(&(struct sigv4_req){
		.method = method, .path = path, .query = q, .nquery = nq, .head = &host, .nhead = 1,
		.region = a->region, .service = service, .when = when, .expires = expires_s,
		.s3_path = !strcmp(service, "s3"),
	}, &(struct sigv4_cred){ c->id, c->secret, c->token }, &sig);
	return xasprintf("%s%s?%s", at.base, path, sig.auth);
}

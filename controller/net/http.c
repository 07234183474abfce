/* The real sender. Redirects are not followed and answers not decompressed:
 * neither belongs to what we speak, and both let a stranger steer us. */
#include "net/http.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "net/url.h"

#include <curl/curl.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX ((size_t)64 << 10)

struct http_curl {
	CURL *easy;
	CURLM *multi; /* one transfer at a time; a multi handle, so that it can be given up at once */
	char *ca_bundle;
};

struct answer {
	struct buf head, body;
	bool head_ended;     /* curl takes a connection that closes within the header for an answer */
	const char *refused; /* why we stopped the transfer */
};

static void answer_free(struct answer *a)
{
	buf_free(&a->head);
	buf_free(&a->body);
}
#define autoanswer __attribute__((cleanup(answer_free)))

static void slist_free(struct curl_slist **l) { curl_slist_free_all(*l); }
#define autoslist __attribute__((cleanup(slist_free)))

struct http_curl *http_curl_new(const char *ca_bundle)
{
	struct http_curl *c = xmalloc(sizeof *c);

	/* with NOSIGNAL curl leaves SIGPIPE to us, and OpenSSL writes with write(2) */
	signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(c->easy = curl_easy_init()) || !(c->multi = curl_multi_init()))
		abort();
	c->ca_bundle = xstrdup(ca_bundle && *ca_bundle ? ca_bundle : NULL);
	return c;
}

void http_curl_free(struct http_curl *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->easy);
	curl_multi_cleanup(c->multi);
	curl_global_cleanup();
	free(c->ca_bundle);
	free(c);
}

static size_t take_body(char *p, size_t size, size_t n, void *arg)
{
	struct answer *a = arg;

	buf_add(&a->body, p, size * n);
	if (a->body.full)
		a->refused = "the answer is longer than we read";
	return a->refused ? 0 : size * n; /* 0 makes curl stop */
}

static bool begins(const char *p, size_t n, const char *with)
{
	return n >= strlen(with) && !strncasecmp(p, with, strlen(with));
}

/* Called line by line; a status line after "100 Continue" starts anew. */
static size_t take_head(char *p, size_t size, size_t n, void *arg)
{
	struct answer *a = arg;

	if (begins(p, size * n, "HTTP/")) {
		buf_clear(&a->head);
		a->head_ended = false;
	} else if (size * n <= 2) {
		a->head_ended = true;
	} else {
		buf_add(&a->head, p, size * n);
	}
	if (a->head.full)
		a->refused = "the answer's header is longer than we read";
	return a->refused ? 0 : size * n;
}

static bool has_head(const struct http_req *q, const char *name)
{
	for (size_t i = 0; i < q->nhead; i++)
		if (!strcasecmp(q->head[i].k, name))
			return true;
	return false;
}

static void head_add(struct curl_slist **l, const char *line)
{
	struct curl_slist *more = curl_slist_append(*l, line);

	if (!more)
		abort();
	*l = more;
}

static int head_list(const struct http_req *q, struct curl_slist **l, struct err *e)
{
	for (size_t i = 0; i < q->nhead; i++) {
		const char *k = q->head[i].k, *v = q->head[i].v;
		autofree char *line = xasprintf(*v ? "%s: %s" : "%s;", k, v);

		if (!*k || strpbrk(k, ":; \t\r\n") || strpbrk(v, "\r\n"))
			return err_set(e, ERR_INPUT, "header \"%.60s\" of %s cannot be sent: it has "
				       "a line break or a separator in it", k, q->method);
		head_add(l, line);
	}
	head_add(l, "Expect:"); /* curl's wait for "100 Continue" costs a second where nobody answers it */
	if (!has_head(q, "content-type"))
		head_add(l, "Content-Type:");
	return 0;
}

/* PUT and POST always say how long their body is, also when it is empty. */
static void set_method(CURL *c, const struct http_req *q)
{
	bool has_body = q->body || !strcmp(q->method, "POST") || !strcmp(q->method, "PUT");

	if (has_body) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(q->body ? q->nbody : 0));
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body ? q->body : "");
	}
	if (!strcmp(q->method, "HEAD"))
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
}

static void set_limits(CURL *c, const struct http_req *q)
{
	long all = (long)(q->timeout_ms ? q->timeout_ms : HTTP_TIMEOUT_MS);

	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, all);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, all < HTTP_CONNECT_MS ? all : HTTP_CONNECT_MS);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L); /* what was signed is what is sent */
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "cutover/" CUTOVER_VERSION);
	if (q->once)
		curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
	if (q->no_proxy)
		curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
}

static void set_answer(CURL *c, struct answer *a)
{
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_head);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
}

/* Before the connection stood the request cannot have been executed; after, it may. */
static enum err_kind kind_of(CURL *c, CURLcode rc)
{
	curl_off_t began = 0;

	if (rc == CURLE_COULDNT_RESOLVE_HOST || rc == CURLE_COULDNT_CONNECT ||
	    rc == CURLE_SSL_CONNECT_ERROR || rc == CURLE_PEER_FAILED_VERIFICATION ||
	    rc == CURLE_SSL_CACERT_BADFILE)
		return ERR_NET;
	curl_easy_getinfo(c, CURLINFO_PRETRANSFER_TIME_T, &began);
	if (began)
		return ERR_UNSURE; /* "unsupported protocol" among them: an answer that is not HTTP */
	return rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL ? ERR_INPUT : ERR_NET;
}

/* Without its query, since presigned ones are secrets, and without a login. */
static char *shown(const char *url)
{
	autofree char *path = xstrndup(url, strcspn(url, "?"));

	return url_hide_logins(path);
}

int http_cancelled(const struct http_req *q, struct err *e)
{
	autofree char *url = shown(q->url);

	return err_set(e, ERR_CANCELLED, "%s %s: given up, since something more urgent has come", q->method, url);
}

static int failed(CURL *c, CURLcode rc, const struct http_req *q, const struct answer *a,
		  const char *detail, struct err *e)
{
	const char *why = a->refused ? a->refused : *detail ? detail : curl_easy_strerror(rc);
	const char *hint = rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE ?
		" (AWS_CA_BUNDLE names the certificates to trust)" : "";

	autofree char *url = shown(q->url), *said = url_hide_logins(why); /* curl quotes a proxy's URL */

	if (rc == CURLE_ABORTED_BY_CALLBACK)
		return http_cancelled(q, e);
	return err_set(e, kind_of(c, rc), "%s %s: %s%s", q->method, url, said, hint);
}

static void fill(CURL *c, struct answer *got, struct http_res *a)
{
	curl_off_t us = 0;
	long status = 0;

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c, CURLINFO_TOTAL_TIME_T, &us);
	*a = (struct http_res){ .status = (int)status, .nbody = got->body.len, .took_ms = us / 1000 };
	a->head = buf_take(&got->head);
	a->body = buf_take(&got->body);
}

static void set_request(struct http_curl *h, const struct http_req *q)
{
	curl_easy_reset(h->easy); /* keeps its connections */
	set_method(h->easy, q);
	set_limits(h->easy, q);
	curl_easy_setopt(h->easy, CURLOPT_URL, q->url);
	if (h->ca_bundle)
		curl_easy_setopt(h->easy, CURLOPT_CAINFO, h->ca_bundle);
}

/* The answer to the one transfer there is; it was not over: not asked. */
static CURLcode outcome(struct http_curl *h)
{
	int left;
	CURLMsg *m = curl_multi_info_read(h->multi, &left);

	return m && m->msg == CURLMSG_DONE ? m->data.result : CURLE_ABORTED_BY_CALLBACK;
}

/* As curl_easy_perform(), but ends at once when q->cancel is raised: its
 * progress callback would look only about once a second. */
static CURLcode perform(struct http_curl *h, const struct http_req *q)
{
	struct curl_waitfd wake = { .fd = q->cancel ? q->cancel->fd : -1, .events = CURL_WAIT_POLLIN };
	int running = 1;
	CURLcode rc;

	if (curl_multi_add_handle(h->multi, h->easy))
		return CURLE_FAILED_INIT;
	while (running && !cancel_is_raised(q->cancel) && !curl_multi_perform(h->multi, &running) && running &&
	       !curl_multi_poll(h->multi, &wake, wake.fd >= 0, 1000, NULL))
		;
	rc = outcome(h);
	curl_multi_remove_handle(h->multi, h->easy);
	return rc;
}

int http_curl_send(void *ctx, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct http_curl *h = ctx;
	CURL *c = h->easy;
	autoanswer struct answer got = {
		.head = BUF_MAX(HEAD_MAX),
		.body = BUF_MAX(q->max_answer ? q->max_answer : HTTP_ANSWER_MAX),
	};
	autofree char *to = q->connect_to ? xasprintf("::%s", q->connect_to) : NULL;
	autoslist struct curl_slist *head = NULL, *route = NULL;
	char detail[CURL_ERROR_SIZE] = "";
	CURLcode rc;

	memset(a, 0, sizeof *a);
	if (head_list(q, &head, e))
		return -1;
	set_request(h, q);
	set_answer(c, &got);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, head);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
	if (to) {
		head_add(&route, to);
		curl_easy_setopt(c, CURLOPT_CONNECT_TO, route);
	}
	rc = perform(h, q);
	if (!rc && !got.head_ended) {
		got.refused = "the answer ends within its header";
		rc = CURLE_PARTIAL_FILE;
	}
	if (rc)
		failed(c, rc, q, &got, detail, e);
	else
		fill(c, &got, a);
	curl_easy_reset(c); /* it must not keep pointers to what ends with this call */
	return rc ? -1 : 0;
}

void http_res_free(struct http_res *a)
{
	free(a->head);
	free(a->body);
	a->head = a->body = NULL;
	a->nbody = 0;
}

/* The value's length without blanks around it; *v is moved to its start. */
static size_t trimmed(const char **v)
{
	size_t n;

	*v += strspn(*v, " \t");
	n = strcspn(*v, "\r\n");
	while (n && strchr(" \t", (*v)[n - 1]))
		n--;
	return n;
}

bool http_header(const struct http_res *a, const char *name, char *out, size_t size)
{
	size_t want = strlen(name);

	for (const char *p = a->head; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		const char *v = p + want + 1;
		size_t n;

		if (strncasecmp(p, name, want) || p[want] != ':')
			continue;
		n = trimmed(&v);
		if (n >= size)
			n = size - 1;
		memcpy(out, v, n);
		out[n] = '\0';
		return true;
	}
	return false;
}

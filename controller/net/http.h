/* net/http.h - the one door to the outside, and one of the two seams.
 *
 * Everything that leaves this process as HTTP goes through an http_send_fn:
 * http_curl_send in production, the simulated world in tests and `simulate`. */
#ifndef CUTOVER_NET_HTTP_H
#define CUTOVER_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cancel;
struct clock;
struct err;

struct kv {
	const char *k, *v;
};

struct http_req {
	const char *method, *url;
	const struct kv *head;
	size_t nhead;
	const char *body; /* NULL: none */
	size_t nbody;
	int64_t timeout_ms;     /* 0: HTTP_TIMEOUT_MS */
	size_t max_answer;      /* bytes; 0: HTTP_ANSWER_MAX. A longer answer is an error */
	const char *connect_to; /* "host:port" to connect to instead of the URL's; TLS name and Host stay */
	bool no_proxy;          /* metadata endpoints must not go through a proxy */
	bool once;              /* a write: not even the HTTP library may send it again, as it
				 * does when a kept connection turns out to be dead */
	struct cancel *cancel;  /* gives it up at once with CANCELLED. For reads; NULL: never */
};
#define HTTP_TIMEOUT_MS 10000
#define HTTP_CONNECT_MS 3000
#define HTTP_ANSWER_MAX ((size_t)8 << 20)

struct http_res {
	int status;
	char *head;      /* header lines "Name: value\r\n" of the last answer; never NULL after success */
	char *body;      /* NUL-terminated, never NULL after success */
	size_t nbody;
	int64_t took_ms; /* request to last byte */
};

/* 0 with a filled answer of any status, or -1 with kind NET (surely not
 * executed), UNSURE (may have been), INPUT (not a request one can send) or
 * CANCELLED (given up; a read, so nothing hangs on it).
 * The caller frees with http_res_free. */
typedef int http_send_fn(void *ctx, const struct http_req *q, struct http_res *a, struct err *e);

struct http {
	http_send_fn *send;
	void *ctx;
};

/* What a request that was given up says. */
int http_cancelled(const struct http_req *q, struct err *e);

static inline int http_send(const struct http *h, const struct http_req *q, struct http_res *a,
			    struct err *e)
{
	return h->send(h->ctx, q, a, e);
}

void http_res_free(struct http_res *a);
#define autores __attribute__((cleanup(http_res_free)))
/* Copies the value of the first header of that name (any case) into out; false when absent. */
bool http_header(const struct http_res *a, const char *name, char *out, size_t size);

/* The real thing (net/http.c). One handle, kept so that connections are. */
struct http_curl;
struct http_curl *http_curl_new(const char *ca_bundle); /* NULL: the system's */
void http_curl_free(struct http_curl *c);
int http_curl_send(void *ctx, const struct http_req *q, struct http_res *a, struct err *e);
#endif

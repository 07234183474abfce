/* From a request of ours to its signed headers, and presigned URLs. */
#include "aws/core.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define QUERY_MAX 64

void time_amz(int64_t wall_ms, char out[17])
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	if (!strftime(out, 17, "%Y%m%dT%H%M%SZ", &tm))
		out[0] = '\0';
}

void signed_head_free(struct signed_head *h)
{
	sigv4_out_free(&h->sig);
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* Of two hexadecimal digits; -1 when they are none. */
static int hex_value(const char *s)
{
	int high = hex_digit(s[0]), low = high < 0 ? -1 : hex_digit(s[1]);

	return low < 0 ? -1 : high * 16 + low;
}

static char *decoded(const char *s, size_t n)
{
	char *o = xmalloc(n + 1), *q = o;

	for (size_t i = 0; i < n; i++) {
		int v = s[i] == '%' && i + 2 < n ? hex_value(s + i + 1) : -1;

		*q++ = v < 0 ? s[i] : (char)v;
		i += v < 0 ? 0 : 2;
	}
	*q = '\0';
	return o;
}

/* "a=b&c" as decoded pairs, the caller's to free. */
static size_t query_pairs(const char *query, struct kv out[QUERY_MAX])
{
	size_t n = 0;

	for (const char *p = query; p && *p && n < QUERY_MAX; p += strspn(p, "&")) {
		size_t all = strcspn(p, "&"), key = strcspn(p, "=&");
		bool has = key < all;

		out[n].k = decoded(p, key);
		out[n++].v = decoded(p + key + has, all - key - has);
		p += all;
	}
	return n;
}

void request_sign(struct signed_head *h, const struct cred *c, const char *region,
		  const char *service, int64_t now, const char *method, const char *path,
		  const char *query, const char *body, size_t nbody)
{
	struct kv q[QUERY_MAX];
	size_t nq = query_pairs(query, q);
	struct sigv4_cred keys = { c->id, c->secret, c->token };

	time_amz(now, h->when);
	sigv4_sign(&(struct sigv4_req){
		.method = method, .path = path, .query = q, .nquery = nq,
		.head = h->at, .nhead = h->n, .body = body, .nbody = nbody,
		.region = region, .service = service, .when = h->when,
	}, &keys, &h->sig);
	h->at[h->n++] = (struct kv){ "x-amz-date", h->when };
	if (c->token)
		h->at[h->n++] = (struct kv){ "x-amz-security-token", c->token };
	h->at[h->n++] = (struct kv){ "authorization", h->sig.auth };
	while (nq--) {
		free((char *)q[nq].k);
		free((char *)q[nq].v);
	}
}

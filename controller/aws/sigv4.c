#include "aws/sigv4.h"

#include "base/buf.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define TEXT_MAX  ((size_t)4 << 20)

struct pair {
	char *k, *v;
	size_t n; /* keeps repeated headers in order */
};

struct pairs {
	struct pair *at;
	size_t n, cap;
};

/* Takes both strings. */
static void pairs_add(struct pairs *ps, char *k, char *v)
{
	if (ps->n == ps->cap) {
		ps->cap = ps->cap ? 2 * ps->cap : 16;
		ps->at = xrealloc(ps->at, ps->cap * sizeof *ps->at);
	}
	ps->at[ps->n] = (struct pair){ k, v, ps->n };
	ps->n++;
}

static void pairs_free(struct pairs *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		free(ps->at[i].k);
		free(ps->at[i].v);
	}
	free(ps->at);
}
#define autopairs __attribute__((cleanup(pairs_free)))

static int by_name_then_value(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int d = strcmp(x->k, y->k);

	return d ? d : strcmp(x->v, y->v);
}

static int by_name_then_order(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int d = strcmp(x->k, y->k);

	return d ? d : (x->n > y->n) - (x->n < y->n);
}

static void pairs_sort(struct pairs *ps, int (*order)(const void *, const void *))
{
	if (ps->n)
		qsort(ps->at, ps->n, sizeof *ps->at, order);
}

static void hex(const unsigned char *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static void sha256_hex(const void *p, size_t n, char out[65])
{
	unsigned char md[32];

	if (!EVP_Digest(p ? p : "", n, md, NULL, EVP_sha256(), NULL))
		abort();
	hex(md, sizeof md, out);
}

static pthread_key_t hmac_key;

static void hmac_end(void *ctx) { EVP_MAC_CTX_free(ctx); }

static void hmac_begin(void)
{
	if (pthread_key_create(&hmac_key, hmac_end))
		abort();
}

static EVP_MAC_CTX *hmac_new(void)
{
	OSSL_PARAM digest[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
				OSSL_PARAM_construct_end() };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac);
	if (!ctx || !EVP_MAC_CTX_set_params(ctx, digest))
		abort();
	return ctx;
}

/* Looking an algorithm up in OpenSSL 3 costs more than the hash of a short text,
 * and every signature takes five: the context is made once for a thread, and
 * goes with it. */
static EVP_MAC_CTX *hmac_context(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	EVP_MAC_CTX *ctx;

	pthread_once(&once, hmac_begin);
	ctx = pthread_getspecific(hmac_key);
	if (ctx)
		return ctx;
	ctx = hmac_new();
	if (pthread_setspecific(hmac_key, ctx))
		abort();
	return ctx;
}

static void hmac(const void *key, size_t nkey, const char *text, unsigned char out[32])
{
	EVP_MAC_CTX *ctx = hmac_context();
	size_t n;

	if (!EVP_MAC_init(ctx, key, nkey, NULL) ||
	    !EVP_MAC_update(ctx, (const unsigned char *)text, strlen(text)) || !EVP_MAC_final(ctx, out, &n, 32))
		abort();
}

/* The unreserved set of RFC 3986; '/' passes only in paths. */
static void encode(struct buf *b, const char *s, bool slash_ok)
{
	for (const unsigned char *p = (const void *)s; *p; p++) {
		if (isalnum(*p) || strchr("-_.~", *p) || (slash_ok && *p == '/'))
			buf_add(b, p, 1);
		else
			buf_addf(b, "%%%02X", *p);
	}
}

static char *encoded(const char *s)
{
	autobuf struct buf b = BUF_MAX(TEXT_MAX);

	encode(&b, s ? s : "", false);
	return buf_take(&b);
}

/* Header values lose outer blanks and keep one of each inner run. */
static char *squeezed(const char *s)
{
	autobuf struct buf b = BUF_MAX(TEXT_MAX);

	for (; *s; s++) {
		if (!isspace((unsigned char)*s))
			buf_add(&b, s, 1);
		else if (b.len && b.p[b.len - 1] != ' ')
			buf_adds(&b, " ");
	}
	if (b.len && b.p[b.len - 1] == ' ')
		b.p[--b.len] = '\0';
	return buf_take(&b);
}

static char *lowered(const char *s)
{
	char *p = xstrdup(s);

	for (char *q = p; *q; q++)
		*q = (char)tolower((unsigned char)*q);
	return p;
}

static void drop_last_part(struct buf *b)
{
	while (b->len && b->p[b->len - 1] != '/')
		b->len--;
	b->len -= b->len > 0; /* and the slash */
	if (b->p)
		b->p[b->len] = '\0';
}

/* RFC 3986 5.2.4, and empty parts go too: every service but S3 sees paths so. */
static char *normal_path(const char *p)
{
	autobuf struct buf b = BUF_MAX(TEXT_MAX);
	bool tail = false; /* the path ends with a slash */

	while (*p) {
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		tail = n == 0 || p[n] == '/' || (n == 1 && *p == '.') || (n == 2 && !strncmp(p, "..", 2));
		if (n == 2 && !strncmp(p, "..", 2))
			drop_last_part(&b);
		else if (n && !(n == 1 && *p == '.'))
			buf_addf(&b, "/%.*s", (int)n, p);
		p += n;
	}
	if (!b.len || tail)
		buf_adds(&b, "/");
	return buf_take(&b);
}

static void canonical_path(const struct sigv4_req *r, struct buf *b)
{
	autofree char *normal = NULL;

	if (r->s3_path) {
		buf_adds(b, r->path);
	} else if (r->keep_path) {
		encode(b, r->path, true);
	} else {
		normal = normal_path(r->path);
		encode(b, normal, true);
	}
}

static void canonical_headers(struct pairs *hs, struct buf *lines, struct buf *names)
{
	pairs_sort(hs, by_name_then_order);
	for (size_t i = 0; i < hs->n; i++) {
		if (i && !strcmp(hs->at[i].k, hs->at[i - 1].k)) {
			buf_addf(lines, ",%s", hs->at[i].v);
			continue;
		}
		buf_addf(lines, "%s%s:%s", i ? "\n" : "", hs->at[i].k, hs->at[i].v);
		buf_addf(names, "%s%s", i ? ";" : "", hs->at[i].k);
	}
	buf_adds(lines, "\n");
}

/* Sorted after encoding: '%' and digits sort before letters, decoded bytes may not. */
static void query_text(struct pairs *qs, struct buf *b)
{
	pairs_sort(qs, by_name_then_value);
	for (size_t i = 0; i < qs->n; i++)
		buf_addf(b, "%s%s=%s", i ? "&" : "", qs->at[i].k, qs->at[i].v);
}

static void signature_of(const struct sigv4_req *r, const struct sigv4_cred *c, const char *todo,
			 char out[65])
{
	autofree char *key = xasprintf("AWS4%s", c->secret);
	unsigned char k[32];
	char date[9];

	snprintf(date, sizeof date, "%.8s", r->when);
	hmac(key, strlen(key), date, k);
	hmac(k, sizeof k, r->region, k);
	hmac(k, sizeof k, r->service, k);
	hmac(k, sizeof k, "aws4_request", k);
	hmac(k, sizeof k, todo, k);
	hex(k, sizeof k, out);
	OPENSSL_cleanse(k, sizeof k);
	OPENSSL_cleanse(key, strlen(key));
}

static void finish(const struct sigv4_req *r, const struct sigv4_cred *c, const char *scope,
		   struct pairs *qs, const struct buf *lines, const struct buf *names,
		   struct sigv4_out *o)
{
	autobuf struct buf canon = BUF_MAX(TEXT_MAX);
	autofree char *todo = NULL;
	char digest[65];

	buf_addf(&canon, "%s\n", r->method);
	canonical_path(r, &canon);
	buf_adds(&canon, "\n");
	query_text(qs, &canon);
	buf_addf(&canon, "\n%s\n%s\n%s", lines->p, names->p ? names->p : "", o->payload);
	sha256_hex(canon.p, canon.len, digest);
	todo = xasprintf(ALGORITHM "\n%s\n%s\n%s", r->when, scope, digest);
	signature_of(r, c, todo, o->signature);
	o->canonical = buf_take(&canon);
}

static void prepare(const struct sigv4_req *r, char scope[256], struct pairs *hs, struct pairs *qs,
		    struct sigv4_out *o)
{
	memset(o, 0, sizeof *o);
	snprintf(scope, 256, "%.8s/%s/%s/aws4_request", r->when, r->region, r->service);
	sha256_hex(r->body, r->nbody, o->payload);
	for (size_t i = 0; i < r->nhead; i++)
		pairs_add(hs, lowered(r->head[i].k), squeezed(r->head[i].v));
	for (size_t i = 0; i < r->nquery; i++)
		pairs_add(qs, encoded(r->query[i].k), encoded(r->query[i].v));
}

void sigv4_sign(const struct sigv4_req *r, const struct sigv4_cred *c, struct sigv4_out *o)
{
	autopairs struct pairs hs = { .n = 0 }, qs = { .n = 0 };
	autobuf struct buf lines = BUF_MAX(TEXT_MAX), names = BUF_MAX(TEXT_MAX);
	char scope[256];

	prepare(r, scope, &hs, &qs, o);
	pairs_add(&hs, xstrdup("x-amz-date"), squeezed(r->when));
	if (c->token && !r->token_unsigned)
		pairs_add(&hs, xstrdup("x-amz-security-token"), squeezed(c->token));
	if (r->hash_header)
		pairs_add(&hs, xstrdup("x-amz-content-sha256"), xstrdup(o->payload));
	canonical_headers(&hs, &lines, &names);
	finish(r, c, scope, &qs, &lines, &names, o);
	o->auth = xasprintf(ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s", c->id,
			    scope, names.p, o->signature);
}

static void add_query(struct pairs *qs, const char *k, const char *v)
{
	pairs_add(qs, xstrdup(k), encoded(v));
}

void sigv4_presign(const struct sigv4_req *r, const struct sigv4_cred *c, struct sigv4_out *o)
{
	autopairs struct pairs hs = { .n = 0 }, qs = { .n = 0 };
	autobuf struct buf lines = BUF_MAX(TEXT_MAX), names = BUF_MAX(TEXT_MAX);
	autobuf struct buf text = BUF_MAX(TEXT_MAX);
	autofree char *cred = NULL, *late = NULL;
	char scope[256], expires[16];

	prepare(r, scope, &hs, &qs, o);
	if (r->s3_path) /* nobody knows yet what will be sent with the URL */
		snprintf(o->payload, sizeof o->payload, "UNSIGNED-PAYLOAD");
	cred = xasprintf("%s/%s", c->id, scope);
	snprintf(expires, sizeof expires, "%d", r->expires);
	canonical_headers(&hs, &lines, &names);
	add_query(&qs, "X-Amz-Algorithm", ALGORITHM);
	add_query(&qs, "X-Amz-Credential", cred);
	add_query(&qs, "X-Amz-Date", r->when);
	add_query(&qs, "X-Amz-Expires", expires);
	add_query(&qs, "X-Amz-SignedHeaders", names.p);
	if (c->token && !r->token_unsigned)
		add_query(&qs, "X-Amz-Security-Token", c->token);
	finish(r, c, scope, &qs, &lines, &names, o);
	query_text(&qs, &text);
	if (c->token && r->token_unsigned) {
		late = encoded(c->token);
		buf_addf(&text, "&X-Amz-Security-Token=%s", late);
	}
	buf_addf(&text, "&X-Amz-Signature=%s", o->signature);
	o->auth = buf_take(&text);
}

void sigv4_out_free(struct sigv4_out *o)
{
	free(o->canonical);
	free(o->auth);
	o->canonical = o->auth = NULL;
}

/* Signatures: AWS's own vectors where they are ($SIGV4_VECTORS, or ../shared/sigv4
 * beside the checkout), and a dozen of ours that always travel along, made by
 * another signer. tests/sigv4_botocore.py compares random requests. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/sigv4.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define FORM   "application/x-www-form-urlencoded; charset=utf-8"

struct own_case {
	const char *name;
	struct sigv4_req r;
	const char *token;
	bool presign;
	const char *want;
};
#define KV(...)  .query = (const struct kv[]){ __VA_ARGS__ }, \
		 .nquery = sizeof((const struct kv[]){ __VA_ARGS__ }) / sizeof(struct kv)
#define HEAD(...) .head = (const struct kv[]){ __VA_ARGS__ }, \
		  .nhead = sizeof((const struct kv[]){ __VA_ARGS__ }) / sizeof(struct kv)
#define BODY(s)  .body = s, .nbody = sizeof s - 1
#define PLAIN    .method = "GET", .path = "/", .region = "us-east-1", .service = "service", \
		 .when = "20150830T123600Z"
#define ELB      .method = "POST", .path = "/", .region = "eu-central-1", \
		 .service = "elasticloadbalancing", .when = "20261122T020000Z", \
		 HEAD({ "host", "elasticloadbalancing.eu-central-1.amazonaws.com" }, \
		      { "content-type", FORM }), BODY("Action=DescribeRules&Version=2015-12-01")
#define RDS      .method = "GET", .path = "/", .region = "eu-central-1", .service = "rds-db", \
		 .when = "20261122T020000Z", .expires = 900, \
		 KV({ "Action", "connect" }, { "DBUser", "wiki" }), \
		 HEAD({ "host", "db.cluster-abc.eu-central-1.rds.amazonaws.com:3306" })
#define HOST     HEAD({ "host", "example.amazonaws.com" })

static const struct own_case own[] = {
	{ "plain", { PLAIN, HOST }, NULL, false,
	  "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
	{ "query protocol", { ELB }, NULL, false,
	  "2ffffc4a76d2135fe99f1ce57f305d5ad6e1a7b7c39ff9bd0f4c35b59bc1b1c8" },
	{ "session token", { ELB },
	  "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW", false,
	  "2d281b21d8a48ee6df39eddb059d112b03672cc9aa03a739cfd4fff48cefbe44" },
	{ "json protocol",
	  { .method = "POST", .path = "/", .region = "us-east-1", .service = "monitoring",
	    .when = "20150830T123600Z", BODY("{}"),
	    HEAD({ "host", "monitoring.us-east-1.amazonaws.com" },
		 { "content-type", "application/x-amz-json-1.0" },
		 { "x-amz-target", "GraniteServiceVersion20100801.GetMetricData" }) }, NULL, false,
	  "4725320f1d3a6c20b2fb6de6e5daa63a33aed37ec25e045d3e68c33cf1f4cc02" },
	{ "encoded path",
	  { .method = "DELETE", .path = "/schedules/my%20name", .region = "us-east-1",
	    .service = "scheduler", .when = "20150830T123600Z",
	    KV({ "groupName", "a b" }, { "clientToken", "x" }),
	    HEAD({ "host", "scheduler.us-east-1.amazonaws.com" }) }, NULL, false,
	  "119dbb1cf518b5e72234fd8541e8bd8cad2670c812c58b310cce75d2fb330977" },
	{ "sorted query",
	  { PLAIN, HOST, KV({ "b", "2" }, { "a", "1" }, { "A", "0" }, { "a-", "3" }, { "a%", "4" }) },
	  NULL, false, "bff6d3120073c7846d1f4c11fcc2be73ce111fdda4613f093fe40539b57788c4" },
	{ "blanks in a header",
	  { PLAIN, HEAD({ "host", "example.amazonaws.com" }, { "x-amz-meta", "  a   b  " }) }, NULL,
	  false, "7c0fd6f59be51c31efb3658cb54d63f59a978b467236091a8656c5c580e7d4f6" },
	{ "port", { PLAIN, HEAD({ "host", "127.0.0.1:5000" }) }, NULL, false,
	  "386a0f0db97b3e579bff836c61c3a29f74c55b51677884ada6f9af0d46d09f6e" },
	{ "utf-8 path",
	  { .method = "GET", .path = "/%E1%88%B4", .region = "us-east-1", .service = "service",
	    .when = "20150830T123600Z", HOST }, NULL, false,
	  "697b34846207a3f72246f99d74ae1ee4fe54f44bb06730c58a0d339eb079596d" },
	{ "database token", { RDS }, NULL, true,
	  "543ea12ce8a8547af7bb68cfc7b572b6cb073bfd12a0a0fab1ae227feaa4062f" },
	{ "database token with session", { RDS }, "IQoJb3JpZ2luX2VjEXAMPLE+/=", true,
	  "5c3d2c62135992028626da20a92524dd51d85c6148e92283cbcada3bbbf8f8ef" },
	{ "S3 put",
	  { .method = "PUT", .path = "/runs/a%20b/000001.json", .region = "us-east-1",
	    .service = "s3", .when = "20150830T123600Z", .s3_path = true, .hash_header = true,
	    BODY("{\"seq\":1}"),
	    HEAD({ "host", "bucket.s3.amazonaws.com" }, { "x-amz-meta-run", "r1" }) }, NULL, false,
	  "dbdf8fbabe65b372a3fe7d69af6b5df3abade9628014edf106365bdb5af78035" },
	{ "S3 presigned",
	  { .method = "GET", .path = "/runs/a%20b.json", .region = "us-east-1", .service = "s3",
	    .when = "20150830T123600Z", .s3_path = true, .expires = 3600,
	    HEAD({ "host", "bucket.s3.amazonaws.com" }) }, NULL, true,
	  "bd6bed67de41165356383a8f7acce3c2c28987efcbd67b4d7cb356d3d3bb0b18" },
};

static void our_own_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(own); i++) {
		struct sigv4_cred c = { "AKIDEXAMPLE", SECRET, own[i].token };
		autosig struct sigv4_out o = { .canonical = NULL };

		(own[i].presign ? sigv4_presign : sigv4_sign)(&own[i].r, &c, &o);
		if (strcmp(o.signature, own[i].want))
			print_error("%s:\n%s\n", own[i].name, o.canonical);
		assert_string_equal(o.signature, own[i].want);
	}
}

static void one_changed_byte_changes_the_signature(void **state)
{
	struct sigv4_cred c = { "AKIDEXAMPLE", SECRET, NULL };
	autosig struct sigv4_out a = { .canonical = NULL }, b = { .canonical = NULL };
	struct sigv4_req r = own[1].r;

	(void)state;
	sigv4_sign(&r, &c, &a);
	r.body = "Action=DescribeRules&Version=2015-12-02";
	sigv4_sign(&r, &c, &b);
	assert_string_not_equal(a.signature, b.signature);
	assert_non_null(strstr(a.auth, "Credential=AKIDEXAMPLE/20261122/eu-central-1/"));
	assert_non_null(strstr(a.auth, "SignedHeaders=content-type;host;x-amz-date, "));
}

/* --- AWS's vectors --- */

struct vector {
	char *req, *ctx, *target, *body;
	const char *method;
	json_t *j;
	char when[32];
	struct kv head[32], query[32];
	size_t nhead, nquery;
};

static char *slurp(const char *dir, const char *name)
{
	autofree char *path = xasprintf("%s/%s", dir, name);
	struct err e = { 0 };
	char *text;
	size_t n;

	if (file_read(path, 1 << 20, &text, &n, &e))
		fail_msg("%s", e.msg);
	return text;
}

static char *decode(const char *s, size_t n)
{
	char *o = xmalloc(n + 1), *q = o;

	for (size_t i = 0; i < n; i++) {
		char two[3] = { 0 };

		if (s[i] == '%' && i + 2 < n) {
			memcpy(two, s + i + 1, 2);
			*q++ = (char)strtol(two, NULL, 16);
			i += 2;
		} else {
			*q++ = s[i];
		}
	}
	*q = '\0';
	return o;
}

static void read_query(struct vector *v, const char *p)
{
	while (p && *p) {
		size_t all = strcspn(p, "&"), key = strcspn(p, "=&");
		const char *value = key < all ? p + key + 1 : p + key;

		v->query[v->nquery].k = decode(p, key);
		v->query[v->nquery++].v = decode(value, (size_t)(p + all - value));
		p += all + (p[all] == '&');
	}
}

/* A header goes on where the next line begins with a blank. */
static void read_headers(struct vector *v, char *next)
{
	while (next && *next) {
		char *h = next, *colon;

		for (next = strchr(h, '\n'); next && (next[1] == ' ' || next[1] == '\t');)
			next = strchr(next + 1, '\n');
		if (next)
			*next++ = '\0';
		colon = strchr(h, ':');
		if (!colon)
			continue;
		*colon = '\0';
		v->head[v->nhead++] = (struct kv){ h, colon + 1 };
	}
}

static void vector_read(struct vector *v, const char *dir)
{
	char *head, *query;

	memset(v, 0, sizeof *v);
	v->req = slurp(dir, "request.txt");
	v->ctx = slurp(dir, "context.json");
	v->j = json_loads(v->ctx, 0, NULL);
	assert_non_null(v->j);
	for (const char *p = json_str(v->j, "timestamp", ""); *p; p++)
		if (*p != '-' && *p != ':')
			strncat(v->when, p, 1);
	v->body = strstr(v->req, "\n\n");
	if (v->body) {
		*v->body = '\0';
		v->body += 2;
	}
	head = strchr(v->req, '\n');
	*head++ = '\0';
	v->method = v->req;
	v->target = strchr(v->req, ' ');
	*v->target++ = '\0';
	*strstr(v->target, " HTTP/1.1") = '\0';
	query = strchr(v->target, '?');
	if (query)
		*query++ = '\0';
	read_query(v, query);
	read_headers(v, head);
}

static void vector_free(struct vector *v)
{
	for (size_t i = 0; i < v->nquery; i++) {
		free((char *)v->query[i].k);
		free((char *)v->query[i].v);
	}
	json_decref(v->j);
	free(v->req);
	free(v->ctx);
}

static bool vector_holds(const char *dir, bool presign)
{
	struct vector v;
	autofree char *want = slurp(dir, presign ? "query-signature.txt" : "header-signature.txt");
	autosig struct sigv4_out o = { .canonical = NULL };
	bool body, same;

	vector_read(&v, dir);
	body = json_yes(v.j, "sign_body");
	const json_t *cr = json_object_get(v.j, "credentials");
	struct sigv4_cred c = { json_str(cr, "access_key_id", ""), json_str(cr, "secret_access_key", ""),
				json_str(cr, "token", NULL) };
	struct sigv4_req r = {
		.method = v.method, .path = v.target, .query = v.query, .nquery = v.nquery,
		.head = v.head, .nhead = v.nhead, .body = body ? v.body : NULL,
		.nbody = body && v.body ? strlen(v.body) : 0,
		.region = json_str(v.j, "region", ""), .service = json_str(v.j, "service", ""),
		.when = v.when, .hash_header = body && !presign,
		.keep_path = json_is_false(json_object_get(v.j, "normalize")),
		.token_unsigned = json_yes(v.j, "omit_session_token"),
		.expires = (int)json_num(v.j, "expiration_in_seconds", 0),
	};
	(presign ? sigv4_presign : sigv4_sign)(&r, &c, &o);
	same = !strncmp(o.signature, want, 64);
	if (!same)
		print_error("%s %s:\n%s\n", dir, presign ? "presigned" : "headers", o.canonical);
	vector_free(&v);
	return same;
}

static const char *vectors_dir(char *out, size_t size)
{
	const char *set = getenv("SIGV4_VECTORS");
	struct stat st;

	snprintf(out, size, "%s/v4", set && *set ? set : "../shared/sigv4");
	if (!stat(out, &st))
		return out;
	snprintf(out, size, "%s", set && *set ? set : "");
	return *out && !stat(out, &st) ? out : NULL;
}

static void aws_vectors(void **state)
{
	char dir[512];
	const struct dirent *d;
	int good = 0, bad = 0;
	DIR *all;

	(void)state;
	if (!vectors_dir(dir, sizeof dir)) {
		print_message("AWS's vectors are not here (SIGV4_VECTORS, ../shared/sigv4)\n");
		skip();
		return;
	}
	all = opendir(dir);
	assert_non_null(all);
	while ((d = readdir(all))) {
		autofree char *one = xasprintf("%s/%s", dir, d->d_name);

		for (int presign = 0; *d->d_name != '.' && presign < 2; presign++)
			*(vector_holds(one, presign) ? &good : &bad) += 1;
	}
	closedir(all);
	print_message("AWS's vectors: %d hold, %d do not\n", good, bad);
	assert_int_equal(bad, 0);
	assert_true(good >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_vectors),
		cmocka_unit_test(one_changed_byte_changes_the_signature),
		cmocka_unit_test(aws_vectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* aws/core.h - what aws.c is made of; for this room's own files. */
#ifndef CUTOVER_AWS_CORE_H
#define CUTOVER_AWS_CORE_H

#include "aws/aws.h"
#include "aws/cred.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#define AWS_SERVICES 8

/* Tokens: `burst` at once, `rate` a second. */
struct limit {
	double burst, rate;
};

struct aws_service {
	const char *name; /* as aws_op_info.service */
	const char *env;  /* AWS_ENDPOINT_URL_<env> */
	const char *json; /* version of the JSON protocol; NULL: it speaks another */
	struct limit limit[2]; /* reads, writes: AWS counts them apart */
};
const struct aws_service *aws_service(const char *name); /* NULL: none of ours */
size_t aws_service_index(const char *name);

/* --- endpoint.c: where a service is --- */
struct endpoint {
	char base[320]; /* "https://host:port", no slash at the end */
	char host[256]; /* "host:port" as the Host header has it */
	char path[1024]; /* "" or "/prefix" */
	bool loopback;
};
int endpoint_parse(const char *url, const char *from, struct endpoint *out, struct err *e);
/* service may be one that has no row in ops.c. */
int endpoint_find(const char *service, const char *region, struct endpoint *out, struct err *e);
bool endpoint_is_loopback(const char *host); /* without port and brackets */

/* --- bucket.c: how fast we may ask --- */
struct bucket {
	struct limit limit;
	double tokens;
	int64_t at; /* mono ms of `tokens` */
};
void bucket_init(struct bucket *b, const struct limit *limit, int64_t now);
/* 0: a token was taken; else ms until there may be one. */
int64_t bucket_take(struct bucket *b, int64_t now, bool whole);

/* --- retry.c: how often and how long --- */
#define RETRY_TRIES 4
#define RETRY_TOTAL_MS 12000
#define RETRY_BASE_MS 200
#define RETRY_CAP_MS 5000
#define RETRY_LEAST_MS 250 /* a try with less time than this is none */
struct retry {
	struct clock *clock;
	uint64_t *rng;
	int64_t until; /* mono ms */
	int tries;     /* made */
};
void retry_init(struct retry *r, struct clock *clock, uint64_t *rng);
int64_t retry_left(const struct retry *r);
/* Waits before the next try; false when there is none. */
bool retry_again(struct retry *r);
/* Sleeps through the clock, not woken by its fd: a wake is no reason to hurry AWS. */
void retry_sleep(struct clock *clock, int64_t ms);
uint64_t rng_next(uint64_t *state);

/* --- reply.c: what came back --- */
enum protocol { PROTOCOL_QUERY, PROTOCOL_JSON, PROTOCOL_REST };
struct reply {
	struct xml *xml;
	json_t *json;
};
/* Fills *out or fails; *flags has enum aws_code_flags. */
int reply_read(const struct aws_op_info *op, enum protocol protocol, const struct http_res *res,
		int64_t now, struct reply *out, int *flags, struct err *e);
/* The error in an answer that is not 2xx. */
int reply_refusal(const char *what, const struct http_res *res, int64_t now, int *flags,
		   struct err *e);
int64_t reply_date(const struct http_res *res); /* wall ms of its Date; -1: none */

/* --- sign.c --- */
struct signed_head {
	struct kv at[8];
	size_t n;
	char when[17];
	struct sigv4_out sig;
};
#define autosigned __attribute__((cleanup(signed_head_free)))
void signed_head_free(struct signed_head *h);
/* Adds x-amz-date, the token and the signature to the headers in h. Lends
 * from its arguments. path and query as on the wire; query NULL: none. */
void request_sign(struct signed_head *h, const struct cred *c, const char *region,
		  const char *service, int64_t now, const char *method, const char *path,
		  const char *query, const char *body, size_t nbody);
void time_amz(int64_t wall_ms, char out[17]); /* 20150830T123600Z */

/* --- args.c --- */
/* "k=v&k=v", encoded; "" when NULL. */
void args_form(const struct aws_args *args, struct buf *out);
bool args_too_long(const struct aws_args *args);
size_t args_pairs(const struct aws_args *args, const struct kv **out); /* lent */
#endif

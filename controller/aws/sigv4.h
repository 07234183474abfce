/* aws/sigv4.h - AWS Signature Version 4: headers and presigned URLs.
 * docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
#ifndef CUTOVER_AWS_SIGV4_H
#define CUTOVER_AWS_SIGV4_H

#include "net/http.h"

struct sigv4_cred {
	const char *id, *secret, *token; /* token may be NULL */
};

struct sigv4_req {
	const char *method, *path;      /* path as it goes on the wire, encoded once */
	const struct kv *query;         /* decoded pairs */
	size_t nquery;
	const struct kv *head;          /* "host" among them; only what we set ourselves */
	size_t nhead;
	const void *body;
	size_t nbody;
	const char *region, *service;   /* of the credential scope */
	const char *when;               /* "20150830T123600Z" */
	bool s3_path;                   /* S3: the path is not encoded twice nor normalised, and a
					 * presigned URL says nothing about its body */
	bool keep_path;                 /* do not remove "." and ".." and double slashes */
	bool hash_header;               /* sign x-amz-content-sha256 too */
	bool token_unsigned;            /* add the token after signing */
	int expires;                    /* presign: seconds */
};

struct sigv4_out {
	char *canonical;   /* the canonical request, for tests and for naming a mismatch */
	char *auth;        /* the Authorization value, or the presigned query */
	char payload[65];  /* x-amz-content-sha256 */
	char signature[65];
};

void sigv4_sign(const struct sigv4_req *r, const struct sigv4_cred *c, struct sigv4_out *o);
void sigv4_presign(const struct sigv4_req *r, const struct sigv4_cred *c, struct sigv4_out *o);
void sigv4_out_free(struct sigv4_out *o);
#define autosig __attribute__((cleanup(sigv4_out_free)))
#endif

/* aws/cred.h - where AWS credentials come from.
 *
 * The order of the SDKs: environment, profile (static, role_arn +
 * source_profile, credential_process, web identity), web identity from the
 * environment, container endpoint, instance metadata (IMDSv2). A source that
 * applies and fails stops the search: a broken profile must not silently
 * become the role of the machine.
 * docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html */
#ifndef CUTOVER_AWS_CRED_H
#define CUTOVER_AWS_CRED_H

#include "net/http.h"

struct clock;
struct cred_chain;

struct cred { /* owned strings, wiped by cred_free */
	char *id, *secret, *token; /* token may be NULL */
	int64_t expires;           /* wall ms; 0: never */
	bool own;                  /* of the role of this machine: AWS says when they are over, not our clock */
	char source[96];           /* "environment", "profile prod", "instance metadata role x" */
};

/* Reads AWS_* variables and the shared files at first use. Neither argument is owned. */
struct cred_chain *cred_chain_new(const struct http *h, struct clock *clock);
void cred_chain_free(struct cred_chain *c);
/* Lends the current credentials: fetched at first use, refreshed five minutes
 * before they expire; when the refresh fails the old ones serve until they
 * really expire, and the failure is an error only then. Those of the machine's
 * own role (container, instance) are used beyond that, also when they come
 * expired, and asked for again now and then: the service behind them, or our
 * clock, may be ill, and AWS may take them (as botocore's
 * InstanceMetadataFetcher._evaluate_expiration does). */
int cred_get(struct cred_chain *c, const struct cred **out, struct err *e);
/* Forgets what is cached: AWS said it expired earlier than we thought. */
void cred_forget(struct cred_chain *c);
/* Can these be renewed without a person? Static and environment keys with a token cannot. */
bool cred_renewable(const struct cred_chain *c);
/* AWS_REGION, AWS_DEFAULT_REGION, or the profile's region; NULL when none. Lent. */
const char *cred_region(struct cred_chain *c);
void cred_free(struct cred *c);
#endif

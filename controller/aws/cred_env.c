#include "aws/cred_sources.h"

#include "base/clock.h"

enum found cred_from_env(struct cred_chain *c, struct cred *out, struct err *e)
{
	const char *id = env_get("AWS_ACCESS_KEY_ID"), *secret = env_get("AWS_SECRET_ACCESS_KEY");
	const char *token = env_get("AWS_SESSION_TOKEN"), *ends = env_get("AWS_CREDENTIAL_EXPIRATION");
	int64_t expires = ends ? clock_parse_iso(ends) : 0;

	if (!id && !secret)
		return FOUND_NOT_HERE;
	if (!id || !secret)
		return err_set(e, ERR_DENIED, "%s is set but %s is not: set both, or neither",
			       id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
			       id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
	if (expires < 0)
		return err_set(e, ERR_DENIED, "AWS_CREDENTIAL_EXPIRATION \"%.40s\" is not a time like "
			       "2026-11-22T02:00:00Z", ends);
	cred_set(out, id, secret, token, expires, "environment");
	if (token)
		c->renewable = false;
	return FOUND;
}

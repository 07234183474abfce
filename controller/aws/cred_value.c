/* aws/cred_value.c - credentials as a value, wiped when they go; and how the
 * environment is asked for what they are made of. */
#include "aws/cred_sources.h"

#include "base/buf.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *env_get(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static void wipe(char **p)
{
	if (*p)
		OPENSSL_clear_free(*p, strlen(*p));
	*p = NULL;
}

void cred_free(struct cred *c)
{
	wipe(&c->id);
	wipe(&c->secret);
	wipe(&c->token);
}

/* OPENSSL_clear_free wants its own allocator's memory. */
static char *kept(const char *s)
{
	char *p = s && *s ? OPENSSL_strdup(s) : NULL;

	if (s && *s && !p)
		abort();
	return p;
}

void cred_set(struct cred *out, const char *id, const char *secret, const char *token,
	      int64_t expires, const char *source)
{
	*out = (struct cred){ .id = kept(id), .secret = kept(secret), .token = kept(token),
			      .expires = expires };
	snprintf(out->source, sizeof out->source, "%s", source);
}

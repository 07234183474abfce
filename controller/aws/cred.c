/* The chain: which source, and when again. */
#include "aws/cred_sources.h"

#include "aws/ini.h"
#include "base/buf.h"
#include "base/clock.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define AHEAD_MS 300000 /* refresh this long before the end */
#define PAUSE_MS 30000  /* between refreshes that do not help */

static const struct {
	const char *name;
	cred_source_fn *get;
	bool own; /* the machine's own role */
} sources[] = {
	{ "the environment", cred_from_env, false },
	{ "the profile", cred_from_profile, false },
	{ "web identity", cred_from_web_identity, false },
	{ "the container endpoint", cred_from_container, true },
	{ "instance metadata", cred_from_imds, true },
};

struct cred_chain *cred_chain_new(const struct http *h, struct clock *clock)
{
	struct cred_chain *c = xcalloc(1, sizeof *c);

	c->http = h;
	c->clock = clock;
	return c;
}

void cred_chain_free(struct cred_chain *c)
{
	if (!c)
		return;
	cred_free(&c->now);
	ini_free(c->config);
	ini_free(c->shared);
	free(c->region);
	free(c);
}

static int none_found(const struct cred_chain *c, struct err *e)
{
	if (c->won)
		return err_set(e, ERR_NET, "%s gave credentials before and does not any more", c->won);
	return err_set(e, ERR_DENIED, "no AWS credentials: nothing in the environment, profile, web "
		       "identity, container endpoint or instance metadata; set AWS_PROFILE or "
		       "AWS_ACCESS_KEY_ID, or run where a role is attached");
}

/* A request for credentials that may have been executed changed nothing: for
 * the call that needed them, it was not sent. */
static int not_sent(const char *name, struct err *e)
{
	if (e->kind == ERR_UNSURE)
		e->kind = ERR_NET;
	return err_wrap(e, "credentials from %s", name);
}

static int find(struct cred_chain *c, struct cred *out, struct err *e)
{
	c->renewable = true;
	for (size_t i = 0; i < COUNT(sources); i++) {
		enum found f = sources[i].get(c, out, e);

		if (f == FOUND_ERROR)
			return not_sent(sources[i].name, e);
		if (f == FOUND) {
			c->won = sources[i].name;
			out->own = sources[i].own;
			return 0;
		}
	}
	return none_found(c, e);
}

static int expired(const struct cred *c, int64_t now, struct err *e)
{
	char end[21], here[21];

	clock_iso(c->expires, end);
	clock_iso(now, here);
	return err_set(e, ERR_DENIED, "the credentials from %s expired at %s (this machine's clock says "
		       "%s): log in again, or set the clock right", c->source, end, here);
}

/* By our clock, which does not say so of the machine's own role. */
static bool is_over(const struct cred *c, int64_t now)
{
	return c->expires && now >= c->expires && !c->own;
}

static int refresh(struct cred_chain *c, int64_t now, struct err *e)
{
	struct cred fresh = { .id = NULL };

	c->again_at = clock_mono(c->clock) + PAUSE_MS;
	if (find(c, &fresh, e))
		return -1;
	if (is_over(&fresh, now)) {
		expired(&fresh, now, e);
		cred_free(&fresh);
		return -1;
	}
	cred_free(&c->now);
	c->now = fresh;
	return 0;
}

/* Ahead of the end a refresh may fail or bring the same again; then there is
 * no hurry. At the end there is nothing left to lend. */
static bool is_due(const struct cred_chain *c, int64_t now)
{
	if (!c->now.id)
		return true;
	if (!c->now.expires || now < c->now.expires - AHEAD_MS)
		return false;
	return is_over(&c->now, now) || clock_mono(c->clock) >= c->again_at;
}

int cred_get(struct cred_chain *c, const struct cred **out, struct err *e)
{
	int64_t now = clock_wall(c->clock);
	struct err why;

	if (is_due(c, now) && refresh(c, now, &why)) {
		if (!c->now.id || is_over(&c->now, now)) {
			*e = why;
			return -1;
		}
	}
	*out = &c->now;
	return 0;
}

void cred_forget(struct cred_chain *c)
{
	cred_free(&c->now);
}

bool cred_renewable(const struct cred_chain *c)
{
	return c->renewable;
}


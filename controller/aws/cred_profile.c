/* A profile may lead to another: role_arn with source_profile, any number deep. */
#include "aws/cred_sources.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 8

/* The way we came, on the stack. */
struct visit {
	const char *profile;
	const struct visit *from;
	int depth;
};

static int resolve(struct cred_chain *c, const struct visit *at, struct cred *out, struct err *e);

static bool has(const struct cred_chain *c, const char *profile, const char *key)
{
	return files_get(c, profile, key) != NULL;
}

static bool has_static(const struct cred_chain *c, const char *profile)
{
	return has(c, profile, "aws_access_key_id") || has(c, profile, "aws_secret_access_key");
}

static int from_static(struct cred_chain *c, const char *profile, const char *source,
		       struct cred *out, struct err *e)
{
	const char *id = files_get(c, profile, "aws_access_key_id");
	const char *secret = files_get(c, profile, "aws_secret_access_key");
	const char *token = files_get(c, profile, "aws_session_token");

	if (!id || !secret)
		return err_set(e, ERR_DENIED, "profile %s has no %s", profile,
			       id ? "aws_secret_access_key" : "aws_access_key_id");
	if (token)
		c->renewable = false;
	cred_set(out, id, secret, token, 0, source);
	return 0;
}

static int explain_sso(const char *profile, struct err *e)
{
	return err_set(e, ERR_DENIED, "profile %s signs in with SSO, which this program leaves to the AWS "
		       "command line: run `aws sso login --profile %s`, and add to the profile: "
		       "credential_process = aws configure export-credentials --format process --profile %s",
		       profile, profile, profile);
}

static bool was_here(const struct visit *at)
{
	for (const struct visit *v = at->from; v; v = v->from)
		if (!strcmp(v->profile, at->profile))
			return true;
	return false;
}

static int loop(const struct visit *at, struct err *e)
{
	autobuf struct buf way = BUF_MAX(400);

	for (const struct visit *v = at; v; v = v->from)
		buf_addf(&way, "%s%s", way.len ? " <- " : "", v->profile);
	return err_set(e, ERR_DENIED, "the profiles' source_profile go in a circle or too far: %s", way.p);
}

/* A role may name its own profile as source when that has keys. */
static int from_source_profile(struct cred_chain *c, const struct visit *at, const char *source,
			       struct cred *out, struct err *e)
{
	struct visit next = { source, at, at->depth + 1 };

	if (!files_has_profile(c, source))
		return err_set(e, ERR_DENIED, "profile %s names source_profile %s, which is in neither file",
			       at->profile, source);
	if (has_static(c, source))
		return from_static(c, source, source, out, e);
	return resolve(c, &next, out, e);
}

static int from_credential_source(struct cred_chain *c, const char *profile, const char *which,
				  struct cred *out, struct err *e)
{
	static const struct {
		const char *name;
		cred_source_fn *get;
	} known[] = {
		{ "Environment", cred_from_env },
		{ "Ec2InstanceMetadata", cred_from_imds },
		{ "EcsContainer", cred_from_container },
	};

	for (size_t i = 0; i < COUNT(known); i++) {
		enum found f;

		if (strcmp(known[i].name, which))
			continue;
		f = known[i].get(c, out, e);
		if (f == FOUND_NOT_HERE)
			return err_set(e, ERR_DENIED, "profile %s: there are no credentials in its "
				       "credential_source %s", profile, which);
		return f == FOUND ? 0 : -1;
	}
	return err_set(e, ERR_DENIED, "profile %s: credential_source \"%.40s\" is none of Environment, "
		       "Ec2InstanceMetadata, EcsContainer", profile, which);
}

static int role_base(struct cred_chain *c, const struct visit *at, struct cred *base, struct err *e)
{
	const char *p = at->profile, *other = files_get(c, p, "source_profile");
	const char *which = files_get(c, p, "credential_source");

	if (!other == !which)
		return err_set(e, ERR_DENIED, "profile %s has role_arn, which needs %s", p,
			       other ? "only one of source_profile and credential_source" :
				       "source_profile or credential_source");
	return other ? from_source_profile(c, at, other, base, e) :
		       from_credential_source(c, p, which, base, e);
}

static int from_role(struct cred_chain *c, const struct visit *at, const char *source,
		     struct cred *out, struct err *e)
{
	const char *p = at->profile;
	autocred struct cred base = { .id = NULL };
	struct cred_role role = {
		.arn = files_get(c, p, "role_arn"),
		.session = files_get(c, p, "role_session_name"),
		.external_id = files_get(c, p, "external_id"),
		.duration_s = files_get(c, p, "duration_seconds"),
		.region = files_get(c, p, "region"),
		.token_file = files_get(c, p, "web_identity_token_file"),
	};

	if (has(c, p, "mfa_serial"))
		return err_set(e, ERR_DENIED, "profile %s wants an MFA code, and nobody may be there to "
			       "type one: use credential_process = aws configure export-credentials "
			       "--format process --profile %s in a profile of its own", p, p);
	if (role.token_file)
		return cred_assume_web(c, &role, source, out, e);
	if (role_base(c, at, &base, e))
		return -1;
	return cred_assume(c, &role, &base, source, out, e);
}

static int resolve(struct cred_chain *c, const struct visit *at, struct cred *out, struct err *e)
{
	const char *p = at->profile, *command = files_get(c, p, "credential_process");
	char source[96];

	snprintf(source, sizeof source, "profile %s", p);
	if (was_here(at) || at->depth > DEPTH_MAX)
		return loop(at, e);
	if (has(c, p, "role_arn"))
		return from_role(c, at, source, out, e);
	if (has_static(c, p))
		return from_static(c, p, source, out, e);
	/* before SSO, so that our advice about SSO can be followed in the same profile */
	if (command)
		return cred_run_process(command, source, out, e);
	if (files_has_prefix(c, p, "sso_"))
		return explain_sso(p, e);
	if (has(c, p, "web_identity_token_file"))
		return err_set(e, ERR_DENIED, "profile %s has web_identity_token_file but no role_arn", p);
	return err_set(e, ERR_DENIED, "profile %s says nothing about credentials: it needs role_arn, "
		       "aws_access_key_id or credential_process", p);
}

/* Does the default profile speak of credentials at all? It may only have a region. */
static bool has_any(const struct cred_chain *c, const char *p)
{
	return has_static(c, p) || has(c, p, "role_arn") || has(c, p, "credential_process") ||
	       has(c, p, "web_identity_token_file") || files_has_prefix(c, p, "sso_");
}

enum found cred_from_profile(struct cred_chain *c, struct cred *out, struct err *e)
{
	bool named;
	const char *profile = files_profile(&named);

	if (files_load(c, e))
		return FOUND_ERROR;
	if (!named && !has_any(c, profile))
		return FOUND_NOT_HERE;
	if (!files_has_profile(c, profile))
		return err_set(e, ERR_DENIED, "AWS_PROFILE names %s, which is neither in the config file nor "
			       "in the credentials file (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, ~/.aws)",
			       profile);
	return resolve(c, &(struct visit){ profile, NULL, 0 }, out, e) ? FOUND_ERROR : FOUND;
}

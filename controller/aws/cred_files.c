/* ~/.aws/config and ~/.aws/credentials. A file that is not there is empty. */
#include "aws/cred_sources.h"

#include "aws/ini.h"
#include "base/buf.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20)

/* NULL when there is no home to look in. */
static char *path_of(const char *env, const char *below_home)
{
	const char *set = env_get(env), *home = env_get("HOME");

	if (set && strncmp(set, "~/", 2))
		return xstrdup(set);
	if (!home)
		return NULL;
	return xasprintf("%s/%s", home, set ? set + 2 : below_home);
}

static int load_path(const char *path, struct ini **out, struct err *e)
{
	autofree char *text = NULL;
	size_t n = 0;

	if (file_read(path, FILE_MAX, &text, &n, e))
		return e->kind == ERR_GONE ? 0 : -1;
	*out = ini_parse(text, n, path, e);
	explicit_bzero(text, n);
	return *out ? 0 : -1;
}

static int load(const char *env, const char *below_home, struct ini **out, struct err *e)
{
	autofree char *path = path_of(env, below_home);

	ini_free(*out);
	*out = NULL;
	return path ? load_path(path, out, e) : 0;
}

int files_load(struct cred_chain *c, struct err *e)
{
	c->loaded = true;
	if (load("AWS_CONFIG_FILE", ".aws/config", &c->config, e))
		return -1;
	return load("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", &c->shared, e);
}

const char *files_profile(bool *named)
{
	const char *p = env_get("AWS_PROFILE");

	if (!p)
		p = env_get("AWS_DEFAULT_PROFILE");
	*named = p != NULL;
	return p ? p : "default";
}

/* In the config file sections are called "profile x", but [default] too is allowed. */
static bool config_section(const struct cred_chain *c, const char *profile, char *out, size_t size)
{
	snprintf(out, size, "profile %s", profile);
	if (ini_has(c->config, out))
		return true;
	snprintf(out, size, "%s", profile);
	return !strcmp(profile, "default") && ini_has(c->config, out);
}

bool files_has_profile(const struct cred_chain *c, const char *profile)
{
	char section[256];

	return ini_has(c->shared, profile) || config_section(c, profile, section, sizeof section);
}

const char *files_get(const struct cred_chain *c, const char *profile, const char *key)
{
	const char *v = ini_get(c->shared, profile, key);
	char section[256];

	if (!v && config_section(c, profile, section, sizeof section))
		v = ini_get(c->config, section, key);
	return v && *v ? v : NULL;
}

bool files_has_prefix(const struct cred_chain *c, const char *profile, const char *prefix)
{
	char section[256];

	return ini_has_prefix(c->shared, profile, prefix) ||
	       (config_section(c, profile, section, sizeof section) &&
		ini_has_prefix(c->config, section, prefix));
}

const char *cred_region(struct cred_chain *c)
{
	const char *r = env_get("AWS_REGION");
	bool named;
	struct err ignored;

	if (!r)
		r = env_get("AWS_DEFAULT_REGION");
	/* once: while a role is assumed, its profile's texts are lent out */
	if (!r && (c->loaded || !files_load(c, &ignored)))
		r = files_get(c, files_profile(&named), "region");
	free(c->region);
	c->region = xstrdup(r && *r ? r : NULL);
	return c->region;
}

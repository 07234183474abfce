#include "cli/dbopen.h"

#include "aws/aws.h"
#include "aws/cred.h"
#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "mediawiki/reality.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_MS 10000
#define TIMEOUT_MAX_S 86400

/* "USER@HOST:PORT", "HOST", "USER@/run/mysqld.sock", "[::1]:3306" */
static int read_server(struct dbopen *x, const char *server, int *port, struct err *e)
{
	const char *at = strrchr(server, '@'), *host = at ? at + 1 : server, *colon = strrchr(host, ':');
	bool bracket = *host == '[' && strchr(host, ']');
	char *end;

	if (at)
		x->user = xstrndup(server, (size_t)(at - server));
	if (*host == '/' || !colon || (!bracket && strchr(host, ':') != colon) || (bracket && colon[-1] != ']')) {
		x->host = bracket ? xstrndup(host + 1, strcspn(host, "]") - 1) : xstrdup(host);
		return 0;
	}
	*port = (int)strtol(colon + 1, &end, 10);
	if (*end || *port < 1 || *port > 65535)
		return err_set(e, ERR_INPUT, "--server: \"%.20s\" is no port", colon + 1);
	x->host = bracket ? xstrndup(host + 1, (size_t)(colon - host) - 2) : xstrndup(host, (size_t)(colon - host));
	return 0;
}

static int need_setting(const struct settings *s, enum settings_name name, const char *option, struct err *e)
{
	if (s->value[name])
		return 0;
	return err_set(e, ERR_INPUT, "LocalSettings.php %s: say it with %s", s->computed[name] ?
		       "computes what is needed here" : "does not say all that is needed here", option);
}

static int read_settings(const struct cli *c, struct dbopen *x, struct db_source *s, struct err *e)
{
	const char *path = cli_opt(c, "settings");

	if (!path)
		return 0;
	if (settings_read(path, &x->settings, e))
		return -1;
	if (!x->host && need_setting(&x->settings, SETTING_SERVER, "--server USER@HOST:PORT", e))
		return -1;
	if (!x->host && x->settings.host) {
		x->host = xstrdup(x->settings.host);
		s->port = x->settings.port;
	}
	if (!x->user)
		x->user = xstrdup(x->settings.value[SETTING_USER]);
	if (!s->secret && !s->iam && !s->password_file && !s->password_env) {
		if (need_setting(&x->settings, SETTING_PASSWORD, "--password-file, --password-env or --secret", e))
			return -1;
		s->password = *x->settings.value[SETTING_PASSWORD] ? x->settings.value[SETTING_PASSWORD] : NULL;
	}
	return 0;
}

/* The database's own: of the secret's ARN (fourth part) or of the endpoint's
 * name (NAME.ID.REGION.rds.amazonaws.com); NULL: what AWS_REGION says. */
static char *find_region(const char *secret, const char *host)
{
	const char *rds = strstr(host, ".rds.amazonaws.com"), *dot = rds;
	const char *p = secret && !strncmp(secret, "arn:", 4) ? secret : NULL;

	for (int i = 0; p && i < 3; i++)
		p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL;
	if (p && strchr(p, ':'))
		return xstrndup(p, strcspn(p, ":"));
	while (dot && dot > host && dot[-1] != '.')
		dot--;
	return dot && dot > host ? xstrndup(dot, (size_t)(rds - dot)) : NULL;
}

static int open_aws(struct dbopen *x, const struct db_source *s, struct err *e)
{
	const char *region;

	if (!s->secret && !s->iam)
		return 0;
	x->curl = http_curl_new(getenv("AWS_CA_BUNDLE"));
	x->http = (struct http){ http_curl_send, x->curl };
	x->creds = cred_chain_new(&x->http, &clock_real);
	x->region = find_region(s->secret, s->host);
	region = x->region ? x->region : cred_region(x->creds);
	if (!region)
		return err_set(e, ERR_INPUT, "no AWS region: set AWS_REGION or `region` in the profile");
	x->aws = aws_new(&(struct aws_opts){ .http = &x->http, .clock = &clock_real, .creds = x->creds, .region = region });
	return 0;
}

int dbopen_number(const struct cli *c, const char *name, int64_t most, int64_t *out, struct err *e)
{
	const char *v = cli_opt(c, name);
	char *end;
	long long n;

	if (!v)
		return 0;
	n = strtoll(v, &end, 10);
	if (end == v || *end || n < 0 || n > most)
		return err_set(e, ERR_INPUT, "--%s cannot be \"%.40s\": a number up to %lld", name, v, (long long)most);
	*out = n;
	return 0;
}

static int read_options(const struct cli *c, struct dbopen *x, struct db_source *s, struct err *e)
{
	const char *server = cli_opt(c, "server"), *prefix = cli_opt(c, "prefix");
	int64_t timeout = 0;

	if (!server && !cli_opt(c, "settings"))
		return err_set(e, ERR_INPUT, "which database? Say --server USER@HOST:PORT, or --settings LocalSettings.php");
	s->secret = cli_opt(c, "secret");
	s->iam = cli_opt(c, "iam") != NULL;
	s->password_file = cli_opt(c, "password-file");
	s->password_env = cli_opt(c, "password-env");
	s->ca = cli_opt(c, "ca");
	if (dbopen_number(c, "timeout", TIMEOUT_MAX_S, &timeout, e))
		return -1;
	s->statement_ms = (int)timeout * 1000;
	if ((server && read_server(x, server, &s->port, e)) || read_settings(c, x, s, e))
		return -1;
	s->host = x->host;
	s->user = x->user;
	if (!prefix)
		prefix = x->settings.value[SETTING_PREFIX];
	x->prefix = prefix ? prefix : "";
	return 0;
}

static int find_names(const struct cli *c, struct dbopen *x, struct err *e)
{
	const char *own = x->settings.value[SETTING_NAME];

	if (!c->argc && cli_opt(c, "all-databases"))
		return reality_wikis(x->db, x->prefix, &x->names, &x->n, e);
	if (!c->argc && !own)
		return err_set(e, ERR_INPUT, "which database? Name one or more, or say --all-databases");
	x->names = xcalloc((size_t)c->argc + 1, sizeof *x->names);
	for (int i = 0; i < c->argc; i++)
		x->names[x->n++] = xstrdup(c->argv[i]);
	if (!x->n)
		x->names[x->n++] = xstrdup(own);
	return 0;
}

int dbopen(const struct cli *c, struct dbopen *x, struct err *e)
{
	struct db_source s = { 0 };

	*x = (struct dbopen){ 0 };
	if (read_options(c, x, &s, e) || open_aws(x, &s, e))
		return -1;
	if (db_login_new(&s, x->aws, &x->login, e) || db_open(x->login, &x->db, e) || find_names(c, x, e))
		return -1;
	if (!x->n)
		return err_set(e, ERR_GONE, "%s has no database with a table %spage that this user may see", db_name(x->db),
			       x->prefix);
	return 0;
}

void dbopen_close(struct dbopen *x)
{
	db_close(&x->db);
	db_login_free(&x->login);
	reality_names_free(x->names, x->n);
	settings_free(&x->settings);
	free(x->user);
	free(x->host);
	free(x->region);
	aws_free(x->aws);
	if (x->creds)
		cred_chain_free(x->creds);
	if (x->curl)
		http_curl_free(x->curl);
}

/* A terminal sees one living line, a log one line every ten seconds. */
static void tell_progress(void *ctx, size_t done, size_t of)
{
	static int64_t last;
	int64_t now = clock_mono(&clock_real);
	bool tty = isatty(STDERR_FILENO);

	(void)ctx;
	if (tty)
		fprintf(stderr, "\r%zu of %zu databases%s", done, of, done == of ? "\n" : "");
	else if (!last || now - last >= PROGRESS_MS || done == of)
		fprintf(stderr, "%zu of %zu databases\n", done, of);
	if (!last || now - last >= PROGRESS_MS)
		last = now;
	fflush(stderr);
}

db_done_fn *dbopen_progress(void)
{
	return tell_progress;
}

int dbopen_fail(struct err *e)
{
	if (err_retryable(e))
		e->kind = ERR_GATE;
	return cli_fail(e);
}

/* Who we are at a database: checked once, used for each connection. */
#include "db/internal.h"

#include "aws/secrets.h"
#include "base/file.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PORT 3306
#define CONNECT_MS 3000
#define STATEMENT_MS 10000
#define CA_MAX ((size_t)4 << 20)
#define PASSWORD_MAX 4096
#define HOST_LONGEST 255
#define USER_LONGEST 128

bool host_is_local(const char *host)
{
	struct in_addr four;
	struct in6_addr six;

	if (*host == '/' || !strcasecmp(host, "localhost"))
		return true;
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* Text of others for our sentences: cut, and without what a terminal would obey. */
void name_copy(char *out, size_t size, const char *s)
{
	size_t i;

	for (i = 0; s[i] && i + 1 < size; i++)
		out[i] = iscntrl((unsigned char)s[i]) ? '?' : s[i];
	out[i] = '\0';
}

static bool is_plain(const char *s, size_t longest)
{
	for (const char *p = s; *p; p++)
		if (iscntrl((unsigned char)*p) || *p == ' ')
			return false;
	return *s && strlen(s) <= longest;
}

static int check_ways(const struct db_source *s, struct err *e)
{
	int ways = !!s->secret + s->iam + !!s->password_file + !!s->password_env + !!s->password;

	if (ways > 1)
		return err_set(e, ERR_INPUT, "the database's password is said in %d ways: leave one of secret, iam, "
			       "password file and password variable", ways);
	if (!ways && !host_is_local(s->host))
		return err_set(e, ERR_INPUT, "nothing says where the password of the database at %s is: a secret, iam, "
			       "a password file or variable", s->host);
	if (s->iam && *s->host == '/')
		return err_set(e, ERR_INPUT, "an IAM token is sent over verified TLS only, and %s is a Unix socket", s->host);
	return 0;
}

static int check_source(const struct db_source *s, struct err *e)
{
	if (!s->host || !is_plain(s->host, HOST_LONGEST))
		return err_set(e, ERR_INPUT, "the database's host is missing or is no host name");
	if (s->port < 0 || s->port > 65535)
		return err_set(e, ERR_INPUT, "%d is no port", s->port);
	if (s->user && !is_plain(s->user, USER_LONGEST))
		return err_set(e, ERR_INPUT, "the database's user is empty or has spaces or control characters");
	if (!s->user && !s->secret)
		return err_set(e, ERR_INPUT, "nothing says as which user to go to the database at %s", s->host);
	return check_ways(s, e);
}

/* Connector/C's own words for a bad bundle do not name the file. */
static int check_ca(const char *path, struct err *e)
{
	autofree char *text = NULL;
	size_t n;

	if (!path)
		return 0;
	if (file_read(path, CA_MAX, &text, &n, e))
		return err_wrap(e, "reading the database's CA bundle");
	if (!strstr(text, "-----BEGIN CERTIFICATE-----"))
		return err_set(e, ERR_INPUT, "the CA bundle %s has no certificate in PEM form; RDS's is "
			       "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem", path);
	return 0;
}

static int read_password_file(const char *path, char **password, struct err *e)
{
	autosecret char *text = NULL;
	size_t n;

	if (file_read(path, PASSWORD_MAX, &text, &n, e))
		return err_wrap(e, "reading the database's password");
	text[strcspn(text, "\r\n")] = '\0';
	if (!*text)
		return err_set(e, ERR_INPUT, "the first line of the password file %s is empty", path);
	*password = xstrdup(text);
	return 0;
}

static int read_password_env(const char *name, char **password, struct err *e)
{
	const char *v = getenv(name);

	if (!v || !*v)
		return err_set(e, ERR_INPUT, "the environment variable %s, which should hold the database's password, is %s",
			       name, v ? "empty" : "not set");
	*password = xstrdup(v);
	return 0;
}

static int read_secret(struct db_login *l, const char *id, struct err *e)
{
	autofree char *user = NULL;

	if (!l->aws)
		return err_set(e, ERR_INPUT, "reading a secret needs AWS credentials and a region");
	if (secret_login(l->aws, id, &user, &l->password, e))
		return -1;
	if (!l->user)
		l->user = steal(&user);
	if (!l->user)
		return err_set(e, ERR_INPUT, "neither the plan nor secret %.200s says as which user to go to the database", id);
	return 0;
}

static int read_password(struct db_login *l, const struct db_source *s, struct err *e)
{
	if (s->secret)
		return read_secret(l, s->secret, e);
	if (s->password_file)
		return read_password_file(s->password_file, &l->password, e);
	if (s->password_env)
		return read_password_env(s->password_env, &l->password, e);
	l->password = xstrdup(s->password);
	if (s->iam && !l->aws)
		return err_set(e, ERR_INPUT, "an IAM token needs AWS credentials and a region");
	return 0;
}

static struct db_login *copy_of(const struct db_source *s, struct aws *a)
{
	struct db_login *l = xcalloc(1, sizeof *l);

	l->aws = a;
	l->host = xstrdup(s->host);
	l->user = xstrdup(s->user);
	l->ca = xstrdup(s->ca);
	l->database = xstrdup(s->database);
	l->port = s->port ? s->port : PORT;
	l->connect_ms = s->connect_ms > 0 ? s->connect_ms : CONNECT_MS;
	l->statement_ms = s->statement_ms > 0 ? s->statement_ms : STATEMENT_MS;
	l->iam = s->iam;
	l->local = host_is_local(s->host);
	l->tls = *s->host != '/' && (s->iam || s->ca || !l->local);
	return l;
}

int db_login_new(const struct db_source *s, struct aws *a, struct db_login **out, struct err *e)
{
	autologin struct db_login *l = NULL;

	if (check_source(s, e) || check_ca(s->ca, e))
		return -1;
	l = copy_of(s, a);
	if (read_password(l, s, e))
		return -1;
	if (*l->host == '/')
		snprintf(l->name, sizeof l->name, "%.128s@%.160s", l->user, l->host);
	else
		snprintf(l->name, sizeof l->name, "%.64s@%.240s:%d", l->user, l->host, l->port);
	*out = steal(&l);
	return 0;
}

void db_login_free(struct db_login **lp)
{
	struct db_login *l = *lp;

	if (!l)
		return;
	secret_free(&l->password);
	secret_free(&l->token);
	free(l->host);
	free(l->user);
	free(l->ca);
	free(l->database);
	free(l);
	*lp = NULL;
}

const char *db_login_name(const struct db_login *l)
{
	return l->name;
}

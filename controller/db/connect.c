/* Opening a connection: nothing secret leaves before the other side is known. */
#include "db/internal.h"

#include "aws/rds_token.h"
#include "aws/secrets.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define PACKET_MAX ((unsigned long)64 << 20) /* one row; the library's own limit is 1 GiB */
#define OPEN_MS 5000 /* for greeting, login and settings: not as long as a statement may take */
#define OLDEST_MARIADB 100100 /* max_statement_time */
#define OLDEST_MYSQL 50708    /* max_execution_time */

static void library_init(void)
{
	mysql_library_init(0, NULL, NULL);
	deadline_init();
}

/* Which answers to "who are you" we give. IAM's is the token in clear text, so
 * it is the only one then, and never there otherwise: a server that asks for it
 * would get the password. The first is also what we offer: else the server's
 * first offer is looked at, and it is not in the list (5010). */
static const char *plugins(const struct db_login *l)
{
	if (l->iam)
		return "mysql_clear_password";
	return "mysql_native_password,caching_sha2_password,client_ed25519,sha256_password";
}

static unsigned seconds(int ms)
{
	return (unsigned)(ms + 999) / 1000;
}

static void set_limits(MYSQL *my, const struct db_login *l)
{
	unsigned connect = seconds(l->connect_ms), io = seconds(l->statement_ms) + 2;
	unsigned long packet = PACKET_MAX;

	mysql_options(my, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
	mysql_options(my, MYSQL_OPT_READ_TIMEOUT, &io); /* later than the server's own limit */
	mysql_options(my, MYSQL_OPT_WRITE_TIMEOUT, &io);
	mysql_options(my, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
}

/* MYSQL_OPT_SSL_ENFORCE alone lets a server without TLS through (MDEV-28634);
 * with VERIFY_SERVER_CERT it does not. A local server is asked for TLS only
 * when the login names a CA. */
static void set_trust(MYSQL *my, const struct db_login *l)
{
	my_bool yes = 1, no = 0;
	unsigned none = 0;

	mysql_options(my, MARIADB_OPT_RESTRICTED_AUTH, plugins(l));
	if (l->iam)
		mysql_options(my, MYSQL_DEFAULT_AUTH, "mysql_clear_password");
	mysql_options(my, MYSQL_OPT_LOCAL_INFILE, &none); /* a server may ask for any file of ours */
	mysql_options(my, MYSQL_OPT_RECONNECT, &no);
	mysql_options(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, l->tls ? &yes : &no);
	if (!l->tls)
		return;
	mysql_options(my, MYSQL_OPT_SSL_ENFORCE, &yes);
	mysql_options(my, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
	if (l->ca)
		mysql_options(my, MYSQL_OPT_SSL_CA, l->ca);
}

static MYSQL *dial(const struct db_login *l, MYSQL *my, const char *password)
{
	bool socket = *l->host == '/';
	unsigned protocol = socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP; /* "localhost" is TCP as well */

	mysql_options(my, MYSQL_OPT_PROTOCOL, &protocol);
	mysql_options(my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_optionsv(my, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "cutover");
	return mysql_real_connect(my, socket ? NULL : l->host, l->user, password ? password : "", l->database,
				  socket ? 0 : (unsigned)l->port, socket ? l->host : NULL, 0);
}

/* The library has said yes; does what it has agree with what was wanted? */
static int check_tls(const struct db_login *l, struct db *d, struct err *e)
{
	const char *cipher = mysql_get_ssl_cipher(d->my);

	name_copy(d->server.tls, sizeof d->server.tls, cipher ? cipher : "");
	if (l->tls && !*d->server.tls)
		return err_set(e, ERR_DENIED, "the connection to %s is not encrypted although TLS was asked for", l->name);
	return 0;
}

/* "10.11.19-MariaDB" is 101119, 0 is no version. The library's own reading goes
 * past the end of a text without point. */
static int version_of(const char *text)
{
	int n[3] = { 0 };
	size_t parts = 0;

	while (parts < COUNT(n) && isdigit((unsigned char)*text)) {
		for (; isdigit((unsigned char)*text); text++)
			n[parts] = n[parts] * 10 + (*text - '0') > 99 ? 100 : n[parts] * 10 + (*text - '0');
		if (n[parts++] > 99)
			return 0;
		text += *text == '.';
	}
	return parts >= 2 ? n[0] * 10000 + n[1] * 100 + n[2] : 0;
}

static int check_version(struct db *d, struct err *e)
{
	const char *text = mysql_get_server_info(d->my);

	name_copy(d->server.text, sizeof d->server.text, text ? text : "");
	d->server.flavour = strcasestr(d->server.text, "mariadb") ? DB_MARIADB : DB_MYSQL;
	d->server.version = version_of(d->server.text);
	if (!d->server.version)
		return err_set(e, ERR_INPUT, "%s calls its version \"%s\", which is no version number", d->name, d->server.text);
	if (d->server.version < (d->server.flavour == DB_MARIADB ? OLDEST_MARIADB : OLDEST_MYSQL))
		return err_set(e, ERR_INPUT, "%s is version \"%s\": too old to limit the time of a statement "
			       "(MariaDB 10.1 and MySQL 5.7.8 can)", d->name, d->server.text);
	return 0;
}

/* No backslashes in quotes, so that db_quote() is right on any server; NOW() in the
 * zone in which innodb_trx tells its times. What a parameter group or init_connect
 * may say otherwise: without autocommit a table's metadata stays locked between
 * statements, and a select limit cuts answers off without a word. */
#define MODE "sql_mode='NO_BACKSLASH_ESCAPES,ONLY_FULL_GROUP_BY', time_zone='SYSTEM', lock_wait_timeout=1, " \
	     "innodb_lock_wait_timeout=1, group_concat_max_len=1048576, autocommit=1, " \
	     "sql_select_limit=18446744073709551615, sql_big_selects=1, "

static int set_session(struct db *d, struct err *e)
{
	autofree char *mode = d->server.flavour == DB_MARIADB ?
		xasprintf("SET SESSION " MODE "max_statement_time=%d.%03d", d->statement_ms / 1000, d->statement_ms % 1000) :
		xasprintf("SET SESSION " MODE "max_execution_time=%d%s", d->statement_ms,
			  d->server.version >= 80000 ? ", information_schema_stats_expiry=0" : "");

	/* A statement sees what is committed: an edit that is half there is not a broken
	 * row. Old row versions are kept no longer than it runs. */
	if (mysql_query(d->my, "SET NAMES utf8mb4") || mysql_query(d->my, mode) ||
	    mysql_query(d->my, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY"))
		return refusal_query(d, e);
	return 0;
}

static int see_row(void *ctx, const struct db_row *row, struct err *e)
{
	(void)row;
	(void)e;
	*(bool *)ctx = true;
	return 0;
}

static int see_aurora(struct db *d, struct err *e)
{
	if (d->server.flavour == DB_MARIADB)
		return 0;
	return db_query(d, "SHOW VARIABLES LIKE 'aurora_version'", NULL, see_row, &d->server.aurora, e);
}

int db_login_token(struct db_login *l, struct err *e)
{
	secret_free(&l->token);
	return l->iam && !(l->token = rds_token(l->aws, l->host, l->port, l->user, e)) ? -1 : 0;
}

static int open_session(const struct db_login *l, const char *password, struct db *d, struct err *e)
{
	if (!dial(l, d->my, password))
		return refusal_connect(l, d->my, e);
	if (check_tls(l, d, e) || check_version(d, e) || set_session(d, e) || see_aurora(d, e))
		return -1;
	return 0;
}

static int login_ms(const struct db_login *l)
{
	return l->connect_ms + (l->statement_ms < OPEN_MS ? l->statement_ms : OPEN_MS);
}

/* However the library calls it. */
static int too_slow(const struct db_login *l, struct err *e)
{
	err_set(e, ERR_NET, "database %s: not logged in within %d ms, and the connection was closed: it answers, and too slowly",
		l->name, login_ms(l));
	return -1;
}

static int open_in_time(const struct db_login *l, const char *password, struct db *d, struct err *e)
{
	bool late;
	int rc;

	deadline_set(now_ms() + login_ms(l));
	rc = open_session(l, password, d, e);
	late = deadline_is_over() && deadline_has_greeted();
	deadline_set(0);
	return rc && late ? too_slow(l, e) : rc;
}

void db_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, library_init);
}

int db_open(const struct db_login *l, struct db **out, struct err *e)
{
	autosecret char *token = NULL;
	autodb struct db *d = xcalloc(1, sizeof *d);
	int rc;

	if (l->iam && !l->token && !(token = rds_token(l->aws, l->host, l->port, l->user, e)))
		return -1;
	db_init();
	d->my = mysql_init(NULL);
	if (!d->my)
		abort(); /* out of memory, as everywhere */
	d->statement_ms = l->statement_ms;
	memcpy(d->name, l->name, sizeof d->name);
	set_limits(d->my, l);
	set_trust(d->my, l);
	deadline_watch(d->my);
	rc = open_in_time(l, !l->iam ? l->password : token ? token : l->token, d, e);
	if (!rc)
		*out = steal(&d);
	return rc;
}

void db_close(struct db **dp)
{
	struct db *d = *dp;

	if (!d)
		return;
	mysql_close(d->my);
	free(d);
	*dp = NULL;
}

const struct db_server *db_server(const struct db *d) { return &d->server; }
const char *db_name(const struct db *d) { return d->name; }

int db_use(struct db *d, const char *database, struct err *e)
{
	int rc;

	if (d->closed)
		return err_set(e, ERR_NET, "the connection to %s was closed after an answer past its limit", d->name);
	deadline_set(now_ms() + d->statement_ms);
	rc = mysql_select_db(d->my, database) ? refusal_query(d, e) : 0;
	deadline_set(0);
	return rc;
}

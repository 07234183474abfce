/* What servers and the library say in numbers, said in sentences. */
#include "db/internal.h"

#include <errmsg.h>
#include <stdio.h>
#include <string.h>

#define ANY NULL

/* The first row that fits: the number (0: any), and a part of the text. The
 * sentence goes on after "user@host:port: ". */
struct meaning {
	unsigned number;
	const char *text;
	enum err_kind kind;
	const char *sentence; /* NULL: the server's own */
};

#define TLS_ADVICE "; nothing secret was sent"

static const struct meaning meanings[] = {
	/* nobody there, or gone */
	{ CR_CONNECTION_ERROR, "(111)", ERR_NET, "the connection was refused: nothing listens there, or a firewall says no" },
	{ CR_CONNECTION_ERROR, "(115)", ERR_NET, "the connection was refused: nothing listens there, or a firewall says no" },
	{ CR_CONNECTION_ERROR, "(110)", ERR_NET, "nobody answers: is the address right, and does its security group let this machine in?" },
	{ CR_CONNECTION_ERROR, "(113)", ERR_NET, "there is no way to that host" },
	{ CR_CONNECTION_ERROR, "(2)", ERR_NET, "there is no such socket: the server does not run, or has its socket elsewhere" },
	{ CR_CONNECTION_ERROR, ANY, ERR_NET, NULL },
	{ CR_CONN_HOST_ERROR, ANY, ERR_NET, NULL },
	{ CR_IPSOCK_ERROR, ANY, ERR_NET, NULL },
	{ CR_UNKNOWN_HOST, ANY, ERR_NET, "its name cannot be resolved: is it right, and does this machine's DNS know it?" },
	{ CR_SERVER_GONE_ERROR, ANY, ERR_NET, "the connection was lost" },
	{ CR_SERVER_LOST, ANY, ERR_NET, "the connection was lost" },
	{ CR_SERVER_HANDSHAKE_ERR, ANY, ERR_NET, "its greeting is broken off: the connection was lost" },
	{ CR_ERR_NET_READ, ANY, ERR_NET, "the connection was lost" },
	{ CR_ERR_NET_WRITE, ANY, ERR_NET, "the connection was lost" },
	{ CR_VERSION_ERROR, ANY, ERR_INPUT, "it does not speak MySQL's protocol" },
	{ CR_MALFORMED_PACKET, ANY, ERR_INPUT, "it does not speak MySQL's protocol as it should" },
	{ CR_NET_PACKET_TOO_LARGE, ANY, ERR_INPUT, "it sent a packet larger than anything we ask for" },
	/* TLS; the library tells time-outs over TLS with the same number */
	{ CR_SSL_CONNECTION_ERROR, "timed out", ERR_NET, "the connection was lost (time-out)" },
	{ CR_SSL_CONNECTION_ERROR, "temporarily unavailable", ERR_NET, "the connection was lost (time-out)" },
	{ CR_SSL_CONNECTION_ERROR, "reset by peer", ERR_NET, "the connection was lost" },
	{ CR_SSL_CONNECTION_ERROR, "unexpected eof", ERR_NET, "the connection was lost" },
	{ CR_SSL_CONNECTION_ERROR, "required, but the server", ERR_DENIED,
	  "the server has no TLS, and without it only a server on this machine is spoken to" TLS_ADVICE },
	{ CR_SSL_CONNECTION_ERROR, "does not support it", ERR_DENIED,
	  "the server has no TLS, and without it only a server on this machine is spoken to" TLS_ADVICE },
	{ CR_SSL_CONNECTION_ERROR, "Validation of SSL server certificate", ERR_DENIED,
	  "its certificate is for another host name: use the endpoint's own name" TLS_ADVICE },
	{ CR_SSL_CONNECTION_ERROR, "mismatch", ERR_DENIED,
	  "its certificate is for another host name: use the endpoint's own name" TLS_ADVICE },
	{ CR_SSL_CONNECTION_ERROR, "has expired", ERR_DENIED, "its certificate has expired" TLS_ADVICE },
	{ CR_SSL_CONNECTION_ERROR, "verify failed", ERR_DENIED,
	  "its certificate is signed by none of the CAs we were given: is the CA bundle that of this server?" TLS_ADVICE },
	{ CR_SSL_CONNECTION_ERROR, "self", ERR_DENIED,
	  "its certificate is signed by itself, not by a CA we were given" TLS_ADVICE },
	{ CR_SSL_CONNECTION_ERROR, "unable to get local issuer", ERR_DENIED,
	  "its certificate is signed by none of the CAs we were given: is the CA bundle that of this server?" TLS_ADVICE },
	{ CR_SSL_CONNECTION_ERROR, ANY, ERR_DENIED, NULL },
	/* plugins */
	{ CR_PLUGIN_NOT_ALLOWED, ANY, ERR_DENIED, /* the library names another plugin than the server did */
	  "the server asks for the password in another way than as a hash, perhaps in clear text, and gets nothing; for an "
	  "IAM user say `iam`" },
	{ CR_AUTH_PLUGIN_CANNOT_LOAD, ANY, ERR_DENIED, NULL },
	{ CR_ERR_LOAD_PLUGIN, ANY, ERR_DENIED, NULL },
	/* the server's own */
	{ 1040, ANY, ERR_BUSY, "all its connections are taken" },
	{ 1203, ANY, ERR_BUSY, "this user has all the connections it may have" },
	{ 1226, ANY, ERR_BUSY, NULL },
	{ 1129, ANY, ERR_DENIED, "the server has blocked this host after failed attempts: FLUSH HOSTS there" },
	{ 1130, ANY, ERR_DENIED, "the server lets nobody in from this host" },
	{ 1862, ANY, ERR_DENIED, "the password has expired" },
	{ 1820, ANY, ERR_DENIED, "the password has expired" },
	{ 3118, ANY, ERR_DENIED, "the account is locked" },
	{ 4151, ANY, ERR_DENIED, "the account is locked" },
	{ 1045, ANY, ERR_DENIED, NULL },
	{ 1698, ANY, ERR_DENIED, NULL },
	{ 1044, ANY, ERR_DENIED, NULL },
	{ 1142, ANY, ERR_DENIED, NULL },
	{ 1143, ANY, ERR_DENIED, NULL },
	{ 1227, ANY, ERR_DENIED, NULL },
	{ 3159, ANY, ERR_DENIED, "the server lets this user in over TLS only: name a CA bundle" },
	{ 1049, ANY, ERR_GONE, NULL },
	{ 1146, ANY, ERR_GONE, NULL },
	{ 1054, ANY, ERR_GONE, NULL },
	{ 1176, ANY, ERR_GONE, NULL },
	{ 1193, ANY, ERR_GONE, NULL },
	{ 1205, ANY, ERR_BUSY, "it waited for a lock of somebody else for a second, and gave up" },
	{ 1213, ANY, ERR_BUSY, NULL },
	{ 1317, ANY, ERR_BUSY, "the statement was interrupted" },
	{ 1969, ANY, ERR_BUSY, "the statement took longer than it may" },
	{ 3024, ANY, ERR_BUSY, "the statement took longer than it may" },
	{ 1053, ANY, ERR_NET, "the server is shutting down" },
	{ 1927, ANY, ERR_NET, "the connection was killed" },
	{ 1792, ANY, ERR_BUG, NULL },
	{ 1064, ANY, ERR_BUG, NULL },
	{ 1046, ANY, ERR_BUG, NULL },
	{ 0, ANY, ERR_INPUT, NULL },
};

static const struct meaning *meaning_of(unsigned number, const char *text)
{
	const struct meaning *m = meanings;

	while (m->number && (m->number != number || (m->text && !strcasestr(text, m->text))))
		m++;
	return m;
}

void refusal_code(unsigned number, struct err *e)
{
	snprintf(e->code, sizeof e->code, "%u", number);
}

static int refuse(const char *who, MYSQL *my, struct err *e)
{
	unsigned number = mysql_errno(my);
	const struct meaning *m = meaning_of(number, mysql_error(my));
	char text[300];

	name_copy(text, sizeof text, mysql_error(my));
	if (m->sentence)
		err_set(e, m->kind, "database %s: %s (error %u)", who, m->sentence, number);
	else
		err_set(e, m->kind, "database %s: %s (error %u)", who, *text ? text : "no reason given", number);
	refusal_code(number, e);
	return -1;
}

/* Who was verified once is not found to be another later: over TLS a lost
 * connection has the same number, and any text. */
int refusal_query(struct db *d, struct err *e)
{
	unsigned number = mysql_errno(d->my);

	if (number == CR_SSL_CONNECTION_ERROR) {
		err_set(e, ERR_NET, "database %s: the connection was lost (error %u)", d->name, number);
		refusal_code(number, e);
		return -1;
	}
	return refuse(d->name, d->my, e);
}

/* The server says the same of a wrong password, a wrong user and a token it does not take. */
static int refuse_login(const struct db_login *l, struct err *e)
{
	if (l->iam)
		err_set(e, ERR_DENIED, "database %s: the IAM token was refused (error 1045): the user needs AWS's authentication "
			"plugin, this role rds-db:connect for it, AWS_REGION must be the database's, and this machine's "
			"clock right; a token also dies with the credentials that signed it", l->name);
	else
		err_set(e, ERR_DENIED, "database %s: %s was refused (error 1045)%s", l->name,
			l->password ? "the password" : "a login without password",
			l->password ? ": it is wrong, or this user may not come from this host" :
			": say where its password is");
	refusal_code(1045, e);
	return -1;
}

static int refuse_plugin(const struct db_login *l, struct err *e)
{
	err_set(e, ERR_DENIED, "database %s: the server wants a password of this user, and no IAM token (error %d): was the "
		"user made with AWS's authentication plugin?", l->name, CR_PLUGIN_NOT_ALLOWED);
	refusal_code(CR_PLUGIN_NOT_ALLOWED, e);
	return -1;
}

static bool is_silent(unsigned number)
{
	return number == CR_SERVER_LOST || number == CR_MALFORMED_PACKET || number == CR_VERSION_ERROR ||
	       number == CR_SERVER_HANDSHAKE_ERR;
}

/* A server that accepts and says nothing, or says what no MySQL says. */
static int refuse_stranger(const struct db_login *l, unsigned number, struct err *e)
{
	const char *what = greeting_of(l);

	if (*what)
		err_set(e, ERR_INPUT, "database %s: this is %s, and cutover knows MariaDB and MySQL only", l->name, what);
	else
		err_set(e, number == CR_SERVER_LOST ? ERR_NET : ERR_INPUT, "database %s: something accepts connections there "
			"and did not greet as MariaDB and MySQL do within %d ms: is the port right?", l->name, l->connect_ms);
	refusal_code(number, e);
	return -1;
}

int refusal_connect(const struct db_login *l, MYSQL *my, struct err *e)
{
	unsigned number = mysql_errno(my);

	if (number == 1045 || number == 1698)
		return refuse_login(l, e);
	if (number == CR_PLUGIN_NOT_ALLOWED && l->iam)
		return refuse_plugin(l, e);
	if (is_silent(number) && !deadline_has_greeted())
		return refuse_stranger(l, number, e);
	return refuse(l->name, my, e);
}

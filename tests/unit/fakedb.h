/* fakedb.h - the other end of Connector/C: a server of MySQL's protocol in
 * threads of this process, with TLS of its own making, that says what a test
 * wants and remembers what it was told. */
#ifndef TEST_FAKEDB_H
#define TEST_FAKEDB_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum fakedb_tls { FAKEDB_PLAIN, FAKEDB_TLS, FAKEDB_TLS_OTHER_NAME, FAKEDB_TLS_STRANGER };
enum fakedb_trick {
	FAKEDB_HONEST,
	FAKEDB_SILENT,      /* accepts, and says nothing */
	FAKEDB_POSTGRES,    /* waits; answers N to an SSLRequest */
	FAKEDB_SSH,
	FAKEDB_ENDLESS,     /* rows without end */
	FAKEDB_HUGE,        /* a row that says it has 1 GiB */
	FAKEDB_CUT,         /* goes away in the middle of the rows */
	FAKEDB_WANTS_FILE,  /* LOCAL INFILE: asks for /etc/passwd */
	FAKEDB_HANGS,       /* no answer to a SELECT */
	FAKEDB_WIDE,        /* 60,000 columns */
	FAKEDB_DRIPS,       /* one row of 250 letters, a letter every 200 ms */
	FAKEDB_DRIPS_HELLO, /* TLS: a ServerHello that does not end, the same way */
	FAKEDB_DRIPS_LOGIN, /* the answer to the login, the same way */
	FAKEDB_WARNS,       /* SHOW WARNINGS without end */
};

/* What meets a statement that contains `when`: "a,b\n1,NULL\n" (names, then
 * rows), or "!1227 text" (an error). The first that fits; none: one column, no row. */
struct fakedb_answer {
	const char *when, *says;
};

struct fakedb {
	enum fakedb_tls tls;
	enum fakedb_trick trick;
	const char *version;                /* NULL: "5.5.5-10.11.19-MariaDB-log" */
	const char *plugin;                 /* asks for this one; NULL: mysql_native_password */
	const struct fakedb_answer *answers;/* when NULL ends; may be NULL */
	int warnings;                       /* after each SELECT */
	int refuse;                         /* error number for each login; 0: none */
	int most;                           /* connections, then 1040; 0: no limit */
	/* since fakedb_start() */
	int port;
	char ca[64];                        /* PEM file to trust it with */
	_Atomic int logins, statements, open, ended;
	char user[128], password[4096];     /* of the last login; what the plugin got */
	bool password_seen, password_in_clear;
	char said[65536];                   /* all statements, a line each */
	/* own */
	int fd;
	SSL_CTX *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
};
void fakedb_start(struct fakedb *f);
/* After all connections have ended. */
void fakedb_stop(struct fakedb *f);
#endif

/* db/internal.h - what this room's files share. */
#ifndef CUTOVER_DB_INTERNAL_H
#define CUTOVER_DB_INTERNAL_H

#include "base/buf.h"
#include "db/db.h"

#include <mysql.h>
#include <pthread.h>
#include <time.h>

struct db_login {
	struct aws *aws; /* lent */
	char *host, *user, *password, *ca, *database;
	int port, connect_ms, statement_ms;
	bool iam, tls, local; /* local: on this machine, where plain text may go */
	char *token;          /* made beforehand, for the next connection; NULL: none */
	char name[320];
};

struct db {
	MYSQL *my;
	struct db_server server;
	int statement_ms;
	bool closed; /* by us, past a limit */
	char name[320];
};

void db_init(void); /* the library, before any thread uses it */

/* --- refusal.c: numbers of the server and the library in words --- */
/* Why connecting failed; my holds the number and the text. */
int refusal_connect(const struct db_login *l, MYSQL *my, struct err *e);
/* Why a statement failed. */
int refusal_query(struct db *d, struct err *e);
void refusal_code(unsigned number, struct err *e);

/* --- greeting.c --- */
/* Something accepts connections at l and does not speak our protocol: what is
 * it? "" when that cannot be told. */
const char *greeting_of(const struct db_login *l);

/* --- deadline.c: a time limit over all of an exchange --- */
/* Until then (mono ms) this thread waits for the other side, all waits together;
 * 0: a minute for each wait. */
void deadline_set(int64_t until);
void deadline_stop_when(const _Atomic bool *is_over); /* this thread's waits end when it is true; NULL: never */
bool deadline_is_over(void);
void deadline_init(void);       /* once, before any connection */
void deadline_watch(MYSQL *my); /* before connecting */
bool deadline_has_greeted(void); /* has the one that was watched last? */

/* --- fan.c: for who waits for a thread --- */
void cond_open(pthread_cond_t *c);           /* that waits by the monotonic clock */
struct timespec cond_until(int ms);          /* so many ms from now, by it */

/* Plain loopback: an address that no other machine can have. */
bool host_is_local(const char *host);
void name_copy(char *out, size_t size, const char *s);
int64_t now_ms(void);
#endif

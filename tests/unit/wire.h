/* wire.h - the other end of http_send for tests of aws/: answers from a script,
 * remembers what was asked, and a clock that moves only when somebody sleeps. */
#ifndef TEST_WIRE_H
#define TEST_WIRE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/http.h"

#define WIRE_MAX 64

/* What meets the next request. status 0: http_send fails with `fail`. */
struct wire_reply {
	const char *when;  /* only for a request whose "METHOD url" contains this; NULL: any */
	int status;
	const char *body, *head;
	enum err_kind fail;
	int64_t takes_ms;
	bool stays;        /* answers any number of requests */
};

struct wire {
	struct clock clock;
	int64_t wall, mono, slept;
	int sleeps;
	struct wire_reply reply[WIRE_MAX];
	size_t nreply;
	char *asked[WIRE_MAX]; /* "METHOD url\nheader: value\n...\n\nbody" */
	size_t nasked;
	struct http http;
	int64_t last_timeout;
	bool last_once;
};

void wire_init(struct wire *w);   /* 2026-11-22T02:00:00Z */
void wire_free(struct wire *w);
void wire_add(struct wire *w, struct wire_reply r);
/* The n-th request (0: the first); fails the test when there was none. */
const char *wire_asked(const struct wire *w, size_t n);
/* Unsets every AWS_* variable and HOME. */
void wire_clean_env(void);
#endif

/* simworld.h - a simulated world with an AWS client in it, for tests. */
#ifndef TESTS_SIMWORLD_H
#define TESTS_SIMWORLD_H

#include "aws/aws.h"
#include "base/err.h"
#include "sim/sim.h"

struct simworld {
	struct sim *sim;
	struct http http;
	struct cred_chain *creds;
	struct aws *aws;
	struct err e;
};
/* Credentials come from the environment, which this sets. */
void simworld_open(struct simworld *w, const struct sim_opts *o);
void simworld_close(struct simworld *w);
void simworld_wait(struct simworld *w, int seconds);

/* An http_send that gives one canned answer after the other, the last one
 * again and again, and remembers the last request's body. */
struct canned {
	int status;
	const char *const *bodies; /* NULL-terminated */
	size_t next;
	char last[8192], url[512];
};
int canned_send(void *canned, const struct http_req *q, struct http_res *a, struct err *e);
/* A world whose AWS is canned; the clock still is the simulation's. */
void simworld_open_canned(struct simworld *w, struct canned *c);
#endif

/* cli/past.h - what blue was asked before there was a green, from CloudWatch. */
#ifndef CUTOVER_CLI_PAST_H
#define CUTOVER_CLI_PAST_H

#include "judge/aa.h"

#include <stdint.h>

struct aws;
struct err;
struct plan;

/* A client in the plan's region, with the user's credentials. */
struct client;
int client_open(const char *region, struct client **out, struct err *e);
struct aws *client_aws(struct client *c);
void client_close(struct client *c);
static inline void client_closep(struct client **c) { client_close(*c); }
#define autoclient __attribute__((cleanup(client_closep)))

/* One entry a period of the plan's. */
struct past {
	int64_t from, period_ms;
	int n;
	struct aa_period *whole;      /* blue */
	struct aa_period *half[2];    /* two of its availability zones; NULL: there are none to compare */
	char zone[2][40];
	double seen;                  /* share of the periods that have requests */
};
/* At most PAST_PERIODS, read a day at a time. ERR_GONE: no requests at all. An
 * answer that is not complete is an error: what is missing is unknown. */
#define PAST_PERIODS 21600 /* CloudWatch keeps minutes for 15 days */
int past_read(struct aws *a, const struct plan *p, int64_t from, int64_t to, struct past *out, struct err *e);
void past_free(struct past *p);
#define autopast __attribute__((cleanup(past_free)))

struct past_rates {
	double per_minute, quiet, busy; /* requests: median hour, quietest, busiest */
	double errors;                  /* share of all */
	double hours;                   /* with requests */
};
/* By the hour, for which CloudWatch has more than a year. */
int past_rates(struct aws *a, const struct plan *p, int64_t from, int64_t to, struct past_rates *out, struct err *e);
#endif

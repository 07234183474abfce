/* steps/fetch.h - requests to green as its users would send them, through the
 * test listener: what probe and warm have in common. */
#ifndef CUTOVER_STEPS_FETCH_H
#define CUTOVER_STEPS_FETCH_H

#include "engine/step.h"
#include "mediawiki/ask.h"

/* The engine's tick must not be held for long while green may have traffic:
 * after this much time in requests a step says WAIT and goes on in the next. */
#define FETCH_SLICE_MS   3000
#define FETCH_TIMEOUT_MS 5000
#define FETCH_HEADERS    WIKI_HEADERS

#define FETCH_PARAMS \
	{ .name = "url", .type = PARAM_STRING, .required = true, \
	  .about = "the wiki as its users name it: \"https://wiki.example.org\", no path" }, \
	{ .name = "through", .type = PARAM_STRING, \
	  .about = "\"host:port\" to connect to instead, mostly the load balancer's test listener; TLS name and Host stay" }, \
	{ .name = "headers", .type = PARAM_MAP, .max = FETCH_HEADERS, \
	  .about = "further request headers, such as the one the test listener tells colours by: {\"X-MW-Color\": \"green\"}" }

/* GETs url + path. */
int fetch_get(struct step_run *r, const char *path, struct http_res *a, struct err *e);
/* The same, through "host:port"; NULL: the URL's own host. */
int fetch_through(struct step_run *r, const char *path, const char *through, struct http_res *a, struct err *e);
void fetch_validate(const struct step *s, const struct plan *p, struct plan_errors *errs);
#endif

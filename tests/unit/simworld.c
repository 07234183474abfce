#include "simworld.h"

#include "aws/cred.h"
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_environment(void)
{
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 1);
	setenv("AWS_CONFIG_FILE", "/dev/null", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	unsetenv("AWS_ENDPOINT_URL");
	unsetenv("AWS_PROFILE");
	unsetenv("AWS_SESSION_TOKEN");
}

static void open_with(struct simworld *w, const struct sim_opts *o, http_send_fn *send, void *ctx)
{
	*w = (struct simworld){ .sim = sim_new(o) };
	if (!w->sim)
		abort();
	set_environment();
	w->http = (struct http){ send, ctx ? ctx : w->sim };
	w->creds = cred_chain_new(&w->http, sim_clock(w->sim));
	w->aws = aws_new(&(struct aws_opts){ .http = &w->http, .clock = sim_clock(w->sim), .creds = w->creds,
					     .region = SIM_REGION, .seed = o->seed + 1 });
}

void simworld_open(struct simworld *w, const struct sim_opts *o)
{
	open_with(w, o, sim_send, NULL);
}

void simworld_open_canned(struct simworld *w, struct canned *c)
{
	open_with(w, &(struct sim_opts){ .seed = 1 }, canned_send, c);
}

void simworld_close(struct simworld *w)
{
	aws_free(w->aws);
	cred_chain_free(w->creds);
	sim_free(w->sim);
}

void simworld_wait(struct simworld *w, int seconds)
{
	clock_sleep(sim_clock(w->sim), (int64_t)seconds * 1000);
}

int canned_send(void *canned, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct canned *c = canned;
	const char *body = c->bodies[c->next];

	(void)e;
	if (c->bodies[c->next + 1])
		c->next++;
	snprintf(c->last, sizeof c->last, "%.*s", (int)q->nbody, q->body ? q->body : "");
	snprintf(c->url, sizeof c->url, "%s %s", q->method, q->url);
	*a = (struct http_res){ .status = c->status ? c->status : 200, .head = xstrdup(""),
				.body = xstrdup(body), .nbody = strlen(body) };
	return 0;
}

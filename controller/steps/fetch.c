#include "steps/fetch.h"

#include "base/buf.h"
#include "base/err.h"
#include "plan/plan.h"

#include <string.h>

#define ANSWER_MAX ((size_t)4 << 20)

static size_t base_length(const char *url)
{
	size_t n = strlen(url);

	return n && url[n - 1] == '/' ? n - 1 : n;
}

int fetch_get(struct step_run *r, const char *path, struct http_res *a, struct err *e)
{
	return fetch_through(r, path, json_str(r->params, "through", NULL), a, e);
}

/* Those of the plan behind the n there are. */
static size_t add_headers(const struct step_run *r, struct kv *head, size_t n)
{
	const char *name;
	json_t *v;

	json_object_foreach(json_object_get(r->params, "headers"), name, v)
		if (n < 2 + FETCH_HEADERS)
			head[n++] = (struct kv){ name, json_string_value(v) };
	return n;
}

int fetch_through(struct step_run *r, const char *path, const char *through, struct http_res *a, struct err *e)
{
	const char *base = json_str(r->params, "url", "");
	autofree char *url = xasprintf("%.*s%s", (int)base_length(base), base, path);
	struct kv head[2 + FETCH_HEADERS] = { { "User-Agent", "cutover" }, { "Accept", "*/*" } };
	struct http_req q = {
		.method = "GET", .url = url, .head = head, .nhead = add_headers(r, head, 2), .timeout_ms = FETCH_TIMEOUT_MS,
		.max_answer = ANSWER_MAX, .connect_to = through,
	};

	return http_send(r->http, &q, a, e) ? err_wrap(e, "GET %.200s", url) : 0;
}

static void check_paths(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(s->params, "paths"), i, v)
		if (json_string_value(v)[0] != '/')
			plan_bad(errs, p, s, "paths", "\"%.60s\" must begin with a slash", json_string_value(v));
}

static void check_headers(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	const char *name;
	json_t *v;

	json_object_foreach(json_object_get(s->params, "headers"), name, v)
		if (!plan_is_header(name))
			plan_bad(errs, p, s, "headers", "\"%.60s\" is not a header that may be sent here", name);
}

void fetch_validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	const char *through = json_str(s->params, "through", NULL);

	if (!plan_is_base_url(json_str(s->params, "url", "")))
		plan_bad(errs, p, s, "url", "must be \"https://host\" or \"http://host\" without a path");
	if (through && !strchr(through, ':') && !strstr(through, "${"))
		plan_bad(errs, p, s, "through", "must be \"host:port\"");
	check_paths(s, p, errs);
	check_headers(s, p, errs);
}

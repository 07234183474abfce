#include "steps/fetch.h"

#include "base/err.h"
#include "plan/plan.h"

#include <string.h>

int fetch_get(struct step_run *r, const char *path, struct http_res *a, struct err *e)
{
	return fetch_through(r, path, json_str(r->params, "through", NULL), a, e);
}

int fetch_through(struct step_run *r, const char *path, const char *through, struct http_res *a, struct err *e)
{
	const struct wiki_door d = { .http = r->http, .url = json_str(r->params, "url", ""), .through = through,
				     .headers = json_object_get(r->params, "headers"), .timeout_ms = FETCH_TIMEOUT_MS };

	return wiki_get(&d, path, a, e);
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

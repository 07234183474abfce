/* plan/doors.c - how a wiki is reached past the weights: base URL, headers, and
 * watch.probes, which knock at both colours' doors. */
#include "plan/internal.h"

#include <string.h>
#include <strings.h>

bool plan_is_base_url(const char *url)
{
	const char *host = !strncmp(url, "https://", 8) ? url + 8 : !strncmp(url, "http://", 7) ? url + 7 : "";
	size_t n = strcspn(host, "/?#");

	return strstr(url, "${") || (n && (!host[n] || !strcmp(host + n, "/")));
}

/* RFC 9110: field names are tokens. */
bool plan_is_header(const char *name)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	return *name && !name[strspn(name, token)] && strcasecmp(name, "host");
}

static void check_door(struct reader *r, const char *colour, const struct at *probes)
{
	const json_t *door = json_object_get(r->plan->watch.probes, colour);
	const struct at at = { probes, colour, 0 };
	const char *through = json_str(door, "through", NULL), *name;
	json_t *v;

	if (through && !strchr(through, ':') && !strstr(through, "${"))
		bad(r, &(struct at){ &at, "through", 0 }, "must be \"host:port\"");
	json_object_foreach(json_object_get(door, "headers"), name, v)
		if (!plan_is_header(name))
			bad(r, &(struct at){ &(struct at){ &at, "headers", 0 }, name, 0 }, "is not a header that may be sent here");
}

/* An edit through a green that has a copy of the database would be one the copy does not get from blue. */
static void check_sandbox(struct reader *r, const struct at *probes)
{
	for (size_t i = 0; i < r->plan->nsteps; i++)
		if (!strcmp(r->plan->steps[i].kind->name, "database"))
			return bad(r, &(struct at){ probes, "sandbox", 0 }, "cannot be edited through both colours: step \"%.30s\" gives green "
				   "a database of its own", r->plan->steps[i].id);
}

void probes_check(struct reader *r)
{
	const json_t *p = r->plan->watch.probes;
	const struct at up = { NULL, "watch", 0 }, here = { &up, "probes", 0 }, *at = &here;
	const char *scripts = json_str(p, "scripts", "");
	size_t i;
	json_t *v;

	if (!p)
		return;
	if (!plan_is_base_url(json_str(p, "url", "")))
		bad(r, &(struct at){ at, "url", 0 }, "must be \"https://host\" or \"http://host\" without a path");
	if (*scripts && *scripts != '/')
		bad(r, &(struct at){ at, "scripts", 0 }, "\"%.60s\" must begin with a slash", scripts);
	json_array_foreach(json_object_get(p, "paths"), i, v)
		if (json_string_value(v)[0] != '/')
			bad(r, &(struct at){ &(struct at){ at, "paths", 0 }, NULL, i }, "\"%.60s\" must begin with a slash", json_string_value(v));
	if (!json_array_size(json_object_get(p, "paths")) && !json_str(p, "search", NULL) && !json_str(p, "sandbox", NULL))
		bad(r, at, "ask for nothing: name `paths`, `search` or `sandbox`");
	if (json_equal(json_object_get(p, "blue"), json_object_get(p, "green")))
		bad(r, &(struct at){ at, "green", 0 }, "is reached as blue is: the two colours could not be told apart");
	if (!r->plan->watch.sequential)
		bad(r, at, "are compared by the judge, which `watch.judge.on` switches off");
	if (json_str(p, "sandbox", NULL))
		check_sandbox(r, at);
	check_door(r, "blue", at);
	check_door(r, "green", at);
}

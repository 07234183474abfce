/* plan/text.c - the two substitutions of a plan.
 *
 * ${env:NAME} and ${env:NAME:-default} are replaced once, when the plan is
 * loaded, and kept for the journal. ${step.output} is replaced when the step
 * that uses it runs. A replaced text is never looked at again for more. */
#include "base/err.h"
#include "plan/internal.h"

#include <string.h>

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
#define STEP_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define MAX_TEXT 65536

/* --- ${env:NAME} ----------------------------------------------------------------------- */

/* These go into the journal, which is no place for secrets. */
static bool names_secret(const char *name)
{
	static const char *const words[] = { "SECRET", "PASSWORD", "PASSWD", "TOKEN", "PRIVATE_KEY", "ACCESS_KEY" };

	for (size_t i = 0; i < COUNT(words); i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

static const char *env_value(struct reader *r, const char *name)
{
	return r->env ? json_str(r->env, name, NULL) : getenv(name);
}

static bool env_is_sound(struct reader *r, const struct at *at, const char *name, const char *v)
{
	autojson json_t *utf8 = json_string(v);
	const char *what = secret_seen(v);

	if (!utf8)
		bad(r, at, "${env:%s}: the variable's value is not UTF-8", name);
	else if (strstr(v, "${"))
		bad(r, at, "${env:%s}: the variable's value has a \"${\" of its own, which a plan must say itself", name);
	else if (what)
		bad(r, at, "${env:%s}: the variable's value looks like %s; plans and journals hold ARNs, never secrets", name, what);
	else
		return true;
	return false;
}

/* What stands for NAME; or: the default, NULL for none. False after reporting. */
static bool env_put(struct reader *r, const struct at *at, const char *name, const char *or, struct buf *out)
{
	const char *v = env_value(r, name);

	if (names_secret(name)) {
		bad(r, at, "${env:%s} would write a secret into the journal; name an ARN instead", name);
		return false;
	}
	if (or && (!v || !*v)) {
		buf_adds(out, or);
		return true;
	}
	if (!v) {
		bad(r, at, "${env:%s}: the environment variable %s is not set; set it, or write ${env:%s:-default}", name,
		    name, name);
		return false;
	}
	if (!env_is_sound(r, at, name, v))
		return false;
	buf_adds(out, v);
	json_object_set_new(r->plan->env, name, json_string(v));
	return true;
}

/* s is behind "${env:". The text behind the closing brace, NULL after reporting. */
static const char *env_one(struct reader *r, const struct at *at, const char *s, struct buf *out)
{
	size_t n = strspn(s, NAME_CHARS);
	const char *rest = s + n, *end = strchr(rest, '}');
	autofree char *name = xstrndup(s, n), *or = NULL;

	if (!n || !end || (*rest != '}' && strncmp(rest, ":-", 2))) {
		bad(r, at, "\"${env:%.40s\": write ${env:NAME} or ${env:NAME:-default}", s);
		return NULL;
	}
	if (*rest == ':')
		or = xstrndup(rest + 2, (size_t)(end - rest - 2));
	return env_put(r, at, name, or, out) ? end + 1 : NULL;
}

char *text_env(struct reader *r, const struct at *at, const char *s)
{
	autobuf struct buf out = BUF_MAX(MAX_TEXT);
	const char *p;

	while ((p = strstr(s, "${env:"))) {
		buf_add(&out, s, (size_t)(p - s));
		s = env_one(r, at, p + 6, &out);
		if (!s)
			return NULL;
	}
	buf_adds(&out, s);
	if (out.full) {
		bad(r, at, "is longer than %d bytes", MAX_TEXT);
		return NULL;
	}
	return buf_take(&out);
}

/* --- ${step.output} --------------------------------------------------------------------- */

/* One reference at p ("${"): its names, and what is behind it; NULL: not well formed. */
static const char *ref_split(const char *p, char **step, char **output)
{
	size_t n = strspn(p + 2, STEP_CHARS), m;
	const char *dot = p + 2 + n;

	if (!n || *dot != '.')
		return NULL;
	m = strspn(dot + 1, NAME_CHARS);
	if (!m || dot[1 + m] != '}')
		return NULL;
	*step = xstrndup(p + 2, n);
	*output = xstrndup(dot + 1, m);
	return dot + m + 2;
}

bool text_refs(const char *s, text_ref_fn *see, void *ctx)
{
	while ((s = strstr(s, "${"))) {
		autofree char *step = NULL, *output = NULL;

		s = ref_split(s, &step, &output);
		if (!s)
			return false;
		if (see)
			see(ctx, step, output);
	}
	return true;
}

char *plan_resolve_text(const char *s, const json_t *outputs, struct err *e)
{
	autobuf struct buf out = BUF_MAX(MAX_TEXT);
	const char *p;

	while ((p = strstr(s, "${"))) {
		autofree char *step = NULL, *output = NULL;
		const char *behind = ref_split(p, &step, &output), *v;

		v = behind ? json_str(json_object_get(outputs, step), output, NULL) : NULL;
		if (!v) {
			err_set(e, ERR_INPUT, behind ? "step \"%.60s\" has given no output \"%.200s\"" :
				"\"%.60s\" is not ${step.output}%s", behind ? step : p, behind ? output : "");
			return NULL;
		}
		buf_add(&out, s, (size_t)(p - s));
		buf_adds(&out, v);
		s = behind;
	}
	buf_adds(&out, s);
	if (out.full) {
		err_set(e, ERR_INPUT, "a text of this step is longer than %d bytes once its outputs are filled in", MAX_TEXT);
		return NULL;
	}
	return buf_take(&out);
}

static json_t *resolve(const json_t *v, const json_t *outputs, struct err *e);

static json_t *resolve_object(const json_t *o, const json_t *outputs, struct err *e)
{
	autojson json_t *copy = json_object();
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v)
		if (json_object_set_new(copy, key, resolve(v, outputs, e)))
			return NULL;
	return steal(&copy);
}

static json_t *resolve_list(const json_t *list, const json_t *outputs, struct err *e)
{
	autojson json_t *copy = json_array();
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_array_append_new(copy, resolve(v, outputs, e)))
			return NULL;
	return steal(&copy);
}

static json_t *resolve(const json_t *v, const json_t *outputs, struct err *e)
{
	autofree char *s = NULL;

	if (json_is_object(v))
		return resolve_object(v, outputs, e);
	if (json_is_array(v))
		return resolve_list(v, outputs, e);
	if (!json_is_string(v))
		return json_deep_copy(v);
	s = plan_resolve_text(json_string_value(v), outputs, e);
	return s ? json_text(s) : NULL;
}

json_t *plan_resolve(const json_t *params, const json_t *outputs, struct err *e)
{
	return resolve(params, outputs, e);
}

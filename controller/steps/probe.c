/* steps/probe.c - proves that green is the wiki it should be, before users see it.
 *
 * Siteinfo alone answers 200 with a database of another version's schema, so a
 * page and the REST API are asked too; and MediaWiki answers 200 with a
 * MediaWiki-API-Error header where the API failed (includes/api/ApiMain.php).
 * What may pass by itself (no connection, 5xx) is asked again for `patience`;
 * a wrong version or a missing text is not going to get right. */
#include "base/buf.h"
#include "base/duration.h"
#include "base/err.h"
#include "plan/plan.h"
#include "steps/fetch.h"
#include "steps/kinds.h"

#include <stdio.h>
#include <string.h>

#define AGAIN_MS 5000

struct check {
	char *path;
	/* 0 when the answer is good; else -1 with the fact: GATE. */
	int (*good)(struct step_run *r, const struct http_res *a, struct err *e);
};

struct checks {
	struct check at[24];
	size_t n;
};

static void checks_free(struct checks *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->at[i].path);
}
#define autochecks __attribute__((cleanup(checks_free)))

/* --- what a good answer is ----------------------------------------------------------- */

static int good_generator(struct step_run *r, const struct http_res *a, struct err *e)
{
	autojson json_t *j = json_loadb(a->body, a->nbody, 0, NULL);
	const json_t *general = json_object_get(json_object_get(j, "query"), "general");
	const char *is = json_str(general, "generator", NULL), *version = json_str(r->params, "version", "");
	autofree char *want = xasprintf("MediaWiki %s", version);
	bool same = is && (*version ? !strcmp(is, want) : !strncmp(is, want, strlen(want)));

	if (!is)
		return err_set(e, ERR_GATE, "siteinfo names no generator: this is not MediaWiki's API");
	return same ? 0 : err_set(e, ERR_GATE, "siteinfo says \"%.80s\", expected \"%s\"", is, want);
}

static int good_page(struct step_run *r, const struct http_res *a, struct err *e)
{
	const char *match = json_str(r->params, "match", "");

	if (memmem(a->body, a->nbody, match, strlen(match)))
		return 0;
	return err_set(e, ERR_GATE, "the page does not contain \"%.120s\"", match);
}

static int good_json(struct step_run *r, const struct http_res *a, struct err *e)
{
	autojson json_t *j = json_loadb(a->body, a->nbody, 0, NULL);

	(void)r;
	return json_is_object(j) ? 0 : err_set(e, ERR_GATE, "the REST API did not answer with a JSON object");
}

static int good_anyway(struct step_run *r, const struct http_res *a, struct err *e)
{
	(void)r, (void)a, (void)e;
	return 0;
}

/* --- what is asked ------------------------------------------------------------------- */

static void add(struct checks *c, int (*good)(struct step_run *, const struct http_res *, struct err *), char *path)
{
	c->at[c->n++] = (struct check){ .path = path, .good = good };
}

static char *encoded(const char *title)
{
	autobuf struct buf b = BUF_MAX(4096);

	for (const char *p = title; *p; p++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:", *p))
			buf_add(&b, p, 1);
		else
			buf_addf(&b, "%%%02X", (unsigned char)*p);
	return buf_take(&b);
}

static void make_checks(struct step_run *r, struct checks *c)
{
	autofree char *page = encoded(json_str(r->params, "page", ""));
	const char *scripts = json_str(r->params, "scripts", "");
	json_t *v;
	size_t i;

	add(c, good_generator, xasprintf("%s/api.php?action=query&meta=siteinfo&format=json", scripts));
	add(c, good_page, xasprintf("%s%s", json_str(r->params, "article", ""), page));
	add(c, good_json, xasprintf("%s/rest.php/v1/page/%s", scripts, page));
	json_array_foreach(json_object_get(r->params, "paths"), i, v)
		if (c->n < COUNT(c->at))
			add(c, good_anyway, xstrdup(json_string_value(v)));
}

static int judge(struct step_run *r, const struct check *c, const struct http_res *a, struct err *e)
{
	char code[64];

	if (a->status >= 500)
		return err_set(e, ERR_BUSY, "it answered %d", a->status);
	if (a->status != 200)
		return err_set(e, ERR_GATE, "it answered %d, expected 200", a->status);
	if (http_header(a, "MediaWiki-API-Error", code, sizeof code))
		return err_set(e, ERR_GATE, "it answered 200 with MediaWiki-API-Error: %s", code);
	return c->good(r, a, e);
}

static int ask(struct step_run *r, const struct check *c, int64_t *took_ms, struct err *e)
{
	autores struct http_res a = { 0 };

	if (fetch_get(r, c->path, &a, e))
		return -1;
	*took_ms += a.took_ms;
	return judge(r, c, &a, e) ? err_wrap(e, "%.150s", c->path) : 0;
}

/* --- the step ------------------------------------------------------------------------- */

static int remember(struct step_run *r, size_t next, int64_t bad_since, struct err *e)
{
	return step_intend(r, json_pack("{s:I, s:I}", "next", (json_int_t)next, "bad_since", (json_int_t)bad_since), e);
}

/* All rounds begin anew after a failure: "good" means good in a row. */
static enum step_verdict bad(struct step_run *r, const struct err *why, struct err *e)
{
	int64_t since = json_num(r->memo, "bad_since", 0), patience = json_num(r->params, "patience", 0);
	char text[32];

	if (!err_retryable(why)) {
		*e = *why;
		return STEP_FAIL;
	}
	if (since && r->now - since >= patience) {
		duration_say(patience, text);
		return err_set(e, ERR_GATE, "not right within %s: %.500s", text, why->msg);
	}
	if ((!since || json_num(r->memo, "next", 0)) && remember(r, 0, since ? since : r->now, e))
		return STEP_FAIL;
	step_say(r, "asking again: %.200s", why->msg);
	r->wake_at = r->now + AGAIN_MS;
	return STEP_WAIT;
}

static enum step_verdict go_on(struct step_run *r, size_t next, size_t all, struct err *e)
{
	if (remember(r, next, json_num(r->memo, "bad_since", 0), e))
		return STEP_FAIL;
	step_say(r, "%zu of %zu requests answered well", next, all);
	r->wake_at = r->now;
	return STEP_WAIT;
}

static enum step_verdict proved(struct step_run *r, size_t all, struct err *e)
{
	json_t *facts = json_pack("{s:s, s:s, s:I, s:I}", "url", json_str(r->params, "url", ""), "version",
				  json_str(r->params, "version", "any"), "requests", (json_int_t)all, "rounds",
				  json_num(r->params, "times", 0));

	return step_note(r, "green answers as it should", facts, e) ? STEP_FAIL : STEP_DONE;
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	autochecks struct checks c = { 0 };
	size_t all, next = (size_t)json_num(r->memo, "next", 0);
	struct err why = { 0 };
	int64_t took = 0;

	make_checks(r, &c);
	all = c.n * (size_t)json_num(r->params, "times", 1);
	for (; next < all; next++) {
		if (took >= FETCH_SLICE_MS)
			return go_on(r, next, all, e);
		if (ask(r, &c.at[next % c.n], &took, &why))
			return bad(r, &why, e);
	}
	return proved(r, all, e);
}

static void must_be_path(const struct step *s, const struct plan *p, const char *key, struct plan_errors *errs)
{
	const char *v = json_str(s->params, key, "");

	if (*v && *v != '/')
		plan_bad(errs, p, s, key, "\"%.60s\" must begin with a slash", v);
}

static void validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	fetch_validate(s, p, errs);
	must_be_path(s, p, "scripts", errs);
	must_be_path(s, p, "article", errs);
	if (s->timeout_ms <= json_num(s->params, "patience", 0))
		plan_bad(errs, p, s, "timeout", "must be longer than patience");
}

static int64_t worst_ms(const struct step *s)
{
	return json_num(s->params, "patience", 0) + MINUTES(1);
}

static const struct param params[] = {
	FETCH_PARAMS,
	{ .name = "version", .type = PARAM_STRING, .about = "MediaWiki's version as siteinfo must name it: \"1.43.11\"" },
	{ .name = "page", .type = PARAM_STRING, .def = "\"Main_Page\"", .about = "a page that exists" },
	{ .name = "match", .type = PARAM_STRING, .def = "\"mw-\"", .about = "text that the page's HTML must contain" },
	{ .name = "scripts", .type = PARAM_STRING, .def = "\"\"", .about = "where api.php and rest.php are: \"/w\" ($wgScriptPath)" },
	{ .name = "article", .type = PARAM_STRING, .def = "\"/index.php/\"", .about = "what stands before a page's name: \"/wiki/\" ($wgArticlePath)" },
	{ .name = "paths", .type = PARAM_STRINGS, .max = 20, .about = "further paths that must answer 200" },
	{ .name = "times", .type = PARAM_INT, .def = "3", .min = 1, .max = 100, .about = "rounds that must be good in a row" },
	{ .name = "patience", .type = PARAM_DURATION, .def = "\"PT2M\"", .max = 3600000L,
	  .about = "how long connections that fail and answers of 500 and above are asked again" },
	{ 0 },
};

const struct step_kind step_probe = {
	.name = "probe", .about = "ask green, through the test listener, whether it is the wiki it should be",
	.params = params, .flags = STEP_READONLY_HTTP, .timeout_ms = MINUTES(15), .validate = validate,
	.worst_ms = worst_ms, .advance = advance,
};

#include "mediawiki/ask.h"

#include "base/buf.h"
#include "base/err.h"

#include <string.h>

#define ANSWER_MAX ((size_t)4 << 20)
#define BODY_MAX   ((size_t)64 << 10)
#define OWN        3 /* headers of ours, the last with a form only */

static size_t add_headers(const struct wiki_door *d, struct kv *head, size_t n)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)d->headers, name, v)
		if (n < OWN + WIKI_HEADERS)
			head[n++] = (struct kv){ name, json_string_value(v) };
	return n;
}

/* form NULL: GET. */
static int ask(const struct wiki_door *d, const char *path, const char *form, struct http_res *a, struct err *e)
{
	size_t n = strlen(d->url);
	autofree char *url = xasprintf("%.*s%s", (int)(n && d->url[n - 1] == '/' ? n - 1 : n), d->url, path);
	struct kv head[OWN + WIKI_HEADERS] = { { "User-Agent", "cutover" }, { "Accept", "*/*" },
					       { "Content-Type", "application/x-www-form-urlencoded" } };
	struct http_req q = {
		.method = form ? "POST" : "GET", .url = url, .head = head, .nhead = add_headers(d, head, form ? OWN : OWN - 1), .body = form,
		.nbody = form ? strlen(form) : 0, .timeout_ms = d->timeout_ms, .max_answer = ANSWER_MAX, .connect_to = d->through,
		.once = form != NULL,
	};

	return http_send(d->http, &q, a, e) ? err_wrap(e, "%s %.200s", q.method, url) : 0;
}

int wiki_get(const struct wiki_door *d, const char *path, struct http_res *a, struct err *e)
{
	return ask(d, path, NULL, a, e);
}

static enum wiki_answer ill(int said)
{
	(void)said; /* by err_set, in e */
	return WIKI_ILL;
}

static enum wiki_answer judge(const struct http_res *a, struct err *e)
{
	char code[64];

	if (a->status != 200)
		return ill(err_set(e, ERR_GATE, "it answered %d, expected 200", a->status));
	if (!http_header(a, "MediaWiki-API-Error", code, sizeof code))
		return WIKI_WELL;
	/* $wgReadOnly and its kin; $wgRateLimits, by default 8 edits a minute of an address without an account */
	if (!strcmp(code, "readonly") || !strcmp(code, "ratelimited"))
		return WIKI_CLOSED;
	return ill(err_set(e, ERR_GATE, "it answered 200 with MediaWiki-API-Error: %s", code));
}

static enum wiki_answer answer(const struct wiki_door *d, const char *path, const char *form, json_t **doc, struct err *e)
{
	autores struct http_res a = { 0 };
	enum wiki_answer is;

	if (ask(d, path, form, &a, e))
		return WIKI_ILL;
	is = judge(&a, e);
	if (is == WIKI_WELL && doc)
		*doc = json_loadb(a.body, a.nbody, 0, NULL);
	return is;
}

static void add_encoded(struct buf *b, const char *key, const char *value)
{
	buf_addf(b, "%s%s=", b->len ? "&" : "", key);
	for (const char *p = value; *p; p++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", *p))
			buf_add(b, p, 1);
		else
			buf_addf(b, "%%%02X", (unsigned char)*p);
}

static char *api(const struct wiki_door *d, const char *query)
{
	return xasprintf("%s/api.php?format=json&formatversion=2%s%s", d->scripts, *query ? "&" : "", query);
}

enum wiki_answer wiki_read(const struct wiki_door *d, const char *path, struct err *e)
{
	return answer(d, path, NULL, NULL, e);
}

enum wiki_answer wiki_search(const struct wiki_door *d, const char *words, struct err *e)
{
	autobuf struct buf query = BUF_MAX(BODY_MAX);
	autofree char *path = NULL;
	autojson json_t *doc = NULL;
	enum wiki_answer is;

	add_encoded(&query, "action", "query");
	add_encoded(&query, "list", "search");
	add_encoded(&query, "srsearch", words);
	path = api(d, query.p);
	is = answer(d, path, NULL, &doc, e);
	if (is == WIKI_WELL && !json_is_array(json_object_get(json_object_get(doc, "query"), "search")))
		return ill(err_set(e, ERR_GATE, "its answer has no list of hits"));
	return is;
}

/* Without an account the token is a constant, but only the wiki knows that it is. */
static enum wiki_answer token_of(const struct wiki_door *d, char **token, struct err *e)
{
	autofree char *path = api(d, "action=query&meta=tokens&type=csrf");
	autojson json_t *doc = NULL;
	enum wiki_answer is = answer(d, path, NULL, &doc, e);
	const char *t = json_str(json_object_get(json_object_get(doc, "query"), "tokens"), "csrftoken", NULL);

	if (is == WIKI_WELL && !t)
		return ill(err_set(e, ERR_GATE, "it gives no token to edit with"));
	*token = t ? xstrdup(t) : NULL;
	return is;
}

enum wiki_answer wiki_edit(const struct wiki_door *d, const char *title, const char *text, struct err *e)
{
	autobuf struct buf form = BUF_MAX(BODY_MAX);
	autofree char *path = api(d, ""), *token = NULL;
	autojson json_t *doc = NULL;
	enum wiki_answer is = token_of(d, &token, e);
	const char *result;

	if (is != WIKI_WELL)
		return is;
	add_encoded(&form, "action", "edit");
	add_encoded(&form, "title", title);
	add_encoded(&form, "text", text);
	add_encoded(&form, "summary", "cutover: can this colour still be edited?");
	add_encoded(&form, "token", token);
	is = answer(d, path, form.p, &doc, e);
	result = json_str(json_object_get(doc, "edit"), "result", "");
	if (is == WIKI_WELL && strcmp(result, "Success"))
		return ill(err_set(e, ERR_GATE, "the edit's result is \"%.60s\"", result));
	return is;
}

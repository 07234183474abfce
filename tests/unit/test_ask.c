/* A wiki that is asked as its readers and editors ask it: which answers are good. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "mediawiki/ask.h"

#include <string.h>

#define TOKEN "{\"query\":{\"tokens\":{\"csrftoken\":\"+\\\\\"}}}"

/* What the wiki answers to a GET and to a POST, and what it was asked last. */
static struct {
	int status;
	const char *head, *get, *post;
	char url[400], body[2000], color[40];
	bool once, gone;
} wiki;

static int answer(void *ctx, const struct http_req *q, struct http_res *a, struct err *e)
{
	const char *body = q->body ? wiki.post : wiki.get;

	(void)ctx;
	snprintf(wiki.url, sizeof wiki.url, "%s", q->url);
	snprintf(wiki.body, sizeof wiki.body, "%s", q->body ? q->body : "");
	for (size_t i = 0; i < q->nhead; i++)
		if (!strcmp(q->head[i].k, "X-MW-Color"))
			snprintf(wiki.color, sizeof wiki.color, "%s", q->head[i].v);
	wiki.once = q->once;
	if (wiki.gone)
		return err_set(e, ERR_NET, "connection refused");
	*a = (struct http_res){ .status = wiki.status, .head = xstrdup(wiki.head), .body = xstrdup(body), .nbody = strlen(body) };
	return 0;
}

static const struct http http = { answer, NULL };
static struct wiki_door door = { .http = &http, .url = "https://wiki.example.org/", .scripts = "/w", .timeout_ms = 1000 };

static void says(int status, const char *head, const char *get, const char *post)
{
	memset(&wiki, 0, sizeof wiki);
	wiki.status = status;
	wiki.head = head;
	wiki.get = get;
	wiki.post = post;
}

static void is_ill(enum wiki_answer is, const struct err *e, const char *why)
{
	assert_int_equal(is, WIKI_ILL);
	if (!strstr(e->msg, why))
		fail_msg("\"%s\" has no \"%s\"", e->msg, why);
}

static void a_page_is_read(void **state)
{
	autojson json_t *headers = json_pack("{s:s}", "X-MW-Color", "green");
	struct wiki_door green = door;
	struct err e = { 0 };

	(void)state;
	green.headers = headers;
	says(200, "", "<html>", "");
	assert_int_equal(wiki_read(&green, "/wiki/Main_Page", &e), WIKI_WELL);
	assert_string_equal(wiki.url, "https://wiki.example.org/wiki/Main_Page");
	assert_string_equal(wiki.color, "green");
	says(503, "", "", "");
	is_ill(wiki_read(&door, "/", &e), &e, "answered 503");
	says(301, "", "", "");
	is_ill(wiki_read(&door, "/", &e), &e, "answered 301, expected 200");
	says(200, "MediaWiki-API-Error: internal_api_error_DBQueryError\r\n", "{}", "");
	is_ill(wiki_read(&door, "/", &e), &e, "internal_api_error_DBQueryError");
	wiki.gone = true;
	is_ill(wiki_read(&door, "/", &e), &e, "connection refused");
}

static void a_search_needs_a_list_not_hits(void **state)
{
	struct err e = { 0 };

	(void)state;
	says(200, "", "{\"query\":{\"search\":[]}}", "");
	assert_int_equal(wiki_search(&door, "a b&c", &e), WIKI_WELL);
	assert_non_null(strstr(wiki.url, "/w/api.php?format=json&formatversion=2&action=query&list=search&srsearch=a%20b%26c"));
	says(200, "", "{\"query\":{}}", "");
	is_ill(wiki_search(&door, "a", &e), &e, "no list of hits");
	says(200, "", "<html>maintenance</html>", "");
	is_ill(wiki_search(&door, "a", &e), &e, "no list of hits");
}

static void an_edit_is_well_when_it_was_saved(void **state)
{
	struct err e = { 0 };

	(void)state;
	says(200, "", TOKEN, "{\"edit\":{\"result\":\"Success\"}}");
	assert_int_equal(wiki_edit(&door, "Project:Sandbox", "x=1&y", &e), WIKI_WELL);
	assert_non_null(strstr(wiki.body, "action=edit&title=Project%3ASandbox&text=x%3D1%26y&"));
	assert_non_null(strstr(wiki.body, "token=%2B%5C"));
	assert_true(wiki.once);
	says(200, "", TOKEN, "{\"edit\":{\"result\":\"Failure\",\"captcha\":{}}}");
	is_ill(wiki_edit(&door, "P", "x", &e), &e, "result is \"Failure\"");
	says(200, "", "{\"query\":{\"tokens\":{}}}", "");
	is_ill(wiki_edit(&door, "P", "x", &e), &e, "no token");
	says(200, "", TOKEN, "");
	is_ill(wiki_edit(&door, "P", "x", &e), &e, "result is \"\"");
}

static void a_wiki_that_is_closed_is_neither(void **state)
{
	struct err e = { 0 };

	(void)state;
	says(200, "MediaWiki-API-Error: readonly\r\n", TOKEN, "{}");
	assert_int_equal(wiki_edit(&door, "P", "x", &e), WIKI_CLOSED);
	says(200, "MediaWiki-API-Error: ratelimited\r\n", TOKEN, "{}");
	assert_int_equal(wiki_edit(&door, "P", "x", &e), WIKI_CLOSED);
	says(200, "MediaWiki-API-Error: readonlyish\r\n", TOKEN, "{}");
	is_ill(wiki_edit(&door, "P", "x", &e), &e, "readonlyish");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_read),
		cmocka_unit_test(a_search_needs_a_list_not_hits),
		cmocka_unit_test(an_edit_is_well_when_it_was_saved),
		cmocka_unit_test(a_wiki_that_is_closed_is_neither),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

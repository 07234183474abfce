/* mediawiki/ask.h - a wiki asked over HTTP as its readers and editors ask it.
 *
 * MediaWiki answers 200 with a MediaWiki-API-Error header where its API failed
 * (includes/api/ApiMain.php), so a status says little. */
#ifndef CUTOVER_MEDIAWIKI_ASK_H
#define CUTOVER_MEDIAWIKI_ASK_H

#include "base/json.h"
#include "net/http.h"

#include <stdint.h>

struct err;

struct wiki_door {
	const struct http *http;
	const char *url;       /* as its users name it, "https://wiki.example.org"; no path */
	const char *through;   /* "host:port" to connect to instead; NULL: the URL's own */
	const json_t *headers; /* {name: value} besides; NULL: none. At most WIKI_HEADERS count */
	const char *scripts;   /* where api.php is: "/w" ($wgScriptPath); wiki_search and wiki_edit need it */
	int64_t timeout_ms;    /* of one request */
};
#define WIKI_HEADERS 8

/* GET url + path; any status is an answer. */
int wiki_get(const struct wiki_door *d, const char *path, struct http_res *a, struct err *e);

enum wiki_answer {
	WIKI_WELL,
	WIKI_CLOSED, /* read-only, or asked too often, and says so: neither well nor ill */
	WIKI_ILL,    /* with the fact in e */
};
/* GET url + path: 200, without an API error. */
enum wiki_answer wiki_read(const struct wiki_door *d, const char *path, struct err *e);
/* Full-text search (API:Search); no hits are an answer too. */
enum wiki_answer wiki_search(const struct wiki_door *d, const char *words, struct err *e);
/* Replaces the text of a page, without an account (API:Edit, API:Tokens): two requests. */
enum wiki_answer wiki_edit(const struct wiki_door *d, const char *title, const char *text, struct err *e);
#endif

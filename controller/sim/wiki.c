/* MediaWiki, as the probes and the warm-up see it. */
#include "sim/world.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COLD_FACTOR 8.0  /* the first answer takes that much longer ... */
#define COLD_FADE   12.0 /* ... and this many answers take most of it away */

static bool ends_with_8443(const char *host)
{
	const char *colon = host ? strrchr(host, ':') : NULL;

	return colon && !strcmp(colon, ":8443");
}

/* The test listener tells colours by this header; without it, and by the names of labs, all there is green's. */
static int who_answers(struct sim *s, const struct ask *k)
{
	const char *color = ask_head(k->http, "X-MW-Color");

	if (color)
		return strcmp(color, "blue") ? GREEN : BLUE;
	if (ends_with_8443(k->host) || ends_with_8443(k->http->connect_to) || strstr(k->host, "test"))
		return GREEN;
	return dice_real(&s->net_dice) < green_share(&s->live) ? GREEN : BLUE;
}

static bool is_up(struct sim *s, const struct side *c)
{
	int alive = 0;

	for (int i = 0; i < c->ntargets; i++)
		alive += c->target[i].state != DRAINING && !c->target[i].dead;
	return c->exists && !c->cold && dice_real(&s->net_dice) * c->ntargets < alive;
}

static void say_plain(struct say *a, int status, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void say_plain(struct say *a, int status, const char *type, const char *fmt, ...)
{
	va_list ap;

	a->status = status;
	a->type = type;
	a->body.max = 1 << 16;
	va_start(ap, fmt);
	buf_addv(&a->body, fmt, ap);
	va_end(ap);
}

static void say_siteinfo(struct sim *s, struct say *a, const struct side *c)
{
	json_t *general = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:b}", "mainpage", "Main Page", "base",
				    "https://wiki.example.org/wiki/Main_Page", "sitename", "Wiki", "generator", c->version,
				    "dbtype", "mysql", "lang", "en", "readonly", s->db.locked);

	if (s->db.locked)
		json_object_set_new(general, "readonlyreason", json_string(s->db.lock));
	say_json(a, json_pack("{s:b,s:{s:o}}", "batchcomplete", 1, "query", "general", general));
}

static void say_source(struct say *a)
{
	say_json(a, json_pack("{s:i,s:s,s:s,s:{s:i},s:s,s:s}", "id", 1, "key", "Main_Page", "title", "Main Page",
			      "latest", "id", 42, "content_model", "wikitext", "source",
			      "'''MediaWiki has been installed.'''"));
}

static void say_html(struct say *a, const struct side *c)
{
	say_plain(a, 200, "text/html; charset=UTF-8",
		  "<!DOCTYPE html>\n<html class=\"client-nojs\" lang=\"en\"><head><title>Main Page - Wiki</title>"
		  "<meta name=\"generator\" content=\"%s\"></head><body class=\"mediawiki ltr\">"
		  "<h1 id=\"firstHeading\">Main Page</h1><div id=\"mw-content-text\">MediaWiki has been installed.</div>"
		  "<div id=\"footer\">Powered by MediaWiki</div></body></html>\n", c->version);
}

/* An API failure: HTTP 200, a header and a document that names it (ApiMain.php). */
static void say_failed(struct say *a, const char *code)
{
	a->failed = code;
	say_json(a, json_pack("{s:{s:s,s:s}}", "error", "code", code, "info", "simulated"));
}

static void say_edit(struct sim *s, const struct ask *k, struct say *a, const struct side *c)
{
	if (strcmp(ask_field(k, "token"), "+\\"))
		return say_failed(a, "badtoken");
	if (s->db.locked)
		return say_failed(a, "readonly");
	if (c->edits_fail)
		return say_failed(a, "internal_api_error_DBQueryError");
	say_json(a, json_pack("{s:{s:s,s:s,s:i}}", "edit", "result", "Success", "title", ask_field(k, "title"), "newrevid", 43));
}

static void say_api(struct sim *s, const struct ask *k, struct say *a, const struct side *c)
{
	if (strstr(k->query, "meta=tokens"))
		say_json(a, json_pack("{s:{s:{s:s}}}", "query", "tokens", "csrftoken", "+\\"));
	else if (strstr(k->query, "list=search"))
		say_json(a, json_pack("{s:{s:[{s:s}]}}", "query", "search", "title", "Main Page"));
	else if (!strcmp(ask_field(k, "action"), "edit"))
		say_edit(s, k, a, c);
	else
		say_siteinfo(s, a, c);
}

static void say_page(struct sim *s, const struct ask *k, struct say *a, const struct side *c)
{
	a->type = "application/json; charset=utf-8";
	if (!strcmp(k->http->method, "POST") && !strstr(k->path, "api.php"))
		say_plain(a, 200, "application/json", "{}"); /* somebody's hook */
	else if (strstr(k->path, "/api.php"))
		say_api(s, k, a, c);
	else if (strstr(k->path, "/rest.php/v1/page/"))
		say_source(a);
	else if (!*k->path || !strcmp(k->path, "/") || strstr(k->path, "/index.php") || strstr(k->path, "/wiki/") ||
		 strstr(k->path, "/load.php") || strstr(k->path, "/healthz"))
		say_html(a, c);
	else
		say_plain(a, 404, "text/html", "<h1>Not Found</h1>");
}

/* The load balancer counts whoever asks. */
static void count(struct sim *s, struct side *c, bool failed)
{
	int64_t period = s->now / s->period_ms;
	struct tally *t = users_tally(s, c->tally, period), *all = users_tally(s, s->balancer_tally, period);

	all->requests++;
	t->requests++;
	t->errors += failed;
	t->slowness += c->slowness;
}

static bool fails(struct sim *s, const struct ask *k, const struct side *c)
{
	return dice_real(&s->net_dice) < c->errors || (!strstr(k->path, "/api.php") && !databases_fit(s, (int)(c - s->side)));
}

void wiki_answer(struct sim *s, const struct ask *k, struct say *a)
{
	bool failed;
	struct side *c = &s->side[who_answers(s, k)];
	double cold = 1 + COLD_FACTOR * exp(-(double)c->answered / COLD_FADE);

	if (!c->exists || !c->ntargets)
		return say_plain(a, 503, "text/html", "<h1>503 Service Temporarily Unavailable</h1>");
	if (!is_up(s, c))
		return say_plain(a, 502, "text/html", "<h1>502 Bad Gateway</h1>");
	a->took_ms = (int64_t)(60 * cold * c->slowness * exp(0.15 * dice_normal(&s->net_dice)));
	c->answered++;
	failed = fails(s, k, c);
	count(s, c, failed);
	if (failed)
		return say_plain(a, 500, "text/html", "<h1>MediaWiki internal error.</h1>");
	say_page(s, k, a, c);
}

#include "base/err.h"
#include "sim/world.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ANSWER_MAX ((size_t)4 << 20)

const char *ask_head(const struct http_req *q, const char *name)
{
	for (size_t i = 0; i < q->nhead; i++)
		if (!strcasecmp(q->head[i].k, name))
			return q->head[i].v;
	return NULL;
}

/* "https://host:port/path?query" */
static int split_url(const char *url, struct ask *k)
{
	const char *p = strstr(url, "://"), *path, *query;

	if (!p)
		return -1;
	p += 3;
	path = p + strcspn(p, "/?");
	query = path + strcspn(path, "?");
	if (path == p || (size_t)(path - p) >= sizeof k->host || (size_t)(query - path) >= sizeof k->path)
		return -1;
	memcpy(k->host, p, (size_t)(path - p));
	memcpy(k->path, path, (size_t)(query - path));
	snprintf(k->query, sizeof k->query, "%s", *query ? query + 1 : "");
	return 0;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* In place; stops at the end of the text or at `stop`, which it replaces. */
static char *decode(char *p, char stop)
{
	char *w = p;

	for (; *p && *p != stop && *p != '&'; p++) {
		if (*p == '%' && hex(p[1]) >= 0 && hex(p[2]) >= 0) {
			*w++ = (char)(hex(p[1]) << 4 | hex(p[2]));
			p += 2;
		} else {
			*w++ = *p == '+' ? ' ' : *p;
		}
	}
	if (*p)
		p++;
	*w = '\0';
	return p;
}

static void split_form(struct ask *k)
{
	char *p = k->text;

	while (*p && k->nfields < FIELDS) {
		char *key = p, *value = decode(p, '=');

		p = decode(value, '&');
		k->field[k->nfields].k = key;
		k->field[k->nfields++].v = value;
	}
}

static int open_json(const struct http_req *q, struct ask *k)
{
	json_error_t je;

	k->json = q->nbody ? json_loadb(q->body, q->nbody, JSON_REJECT_DUPLICATES, &je) : json_object();
	return json_is_object(k->json) ? 0 : -1;
}

static void find_action(const struct http_req *q, struct ask *k)
{
	const char *target = ask_head(q, "x-amz-target");
	const char *dot = target ? strrchr(target, '.') : NULL;

	snprintf(k->action, sizeof k->action, "%s", dot ? dot + 1 : ask_field(k, "Action"));
}

static bool is_form(const struct http_req *q)
{
	const char *type = ask_head(q, "content-type");

	return q->body && type && !strncasecmp(type, "application/x-www-form-urlencoded", 33);
}

/* k->protocol is set before; -1: not readable. */
int ask_open(const struct http_req *q, struct ask *k)
{
	k->http = q;
	if (split_url(q->url, k))
		return -1;
	if (k->protocol == JSON || k->protocol == REST)
		if (open_json(q, k))
			return -1;
	k->text = k->protocol == QUERY || is_form(q) ? xstrndup(q->body ? q->body : "", q->nbody) : xstrdup(k->query);
	split_form(k);
	find_action(q, k);
	return 0;
}

void ask_close(struct ask *k)
{
	free(k->text);
	json_decref(k->json);
}

const char *ask_field(const struct ask *k, const char *fmt, ...)
{
	char name[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof name, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < k->nfields; i++)
		if (!strcmp(k->field[i].k, name))
			return k->field[i].v;
	return "";
}

/* --- the answer ------------------------------------------------------------ */

static void add_escaped(struct buf *b, const char *s)
{
	static const char *const names[] = { ['<'] = "&lt;", ['>'] = "&gt;", ['&'] = "&amp;", ['"'] = "&quot;" };

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < COUNT(names) && names[c])
			buf_adds(b, names[c]);
		else
			buf_add(b, s, 1);
	}
}

static void add_request_id(struct say *a)
{
	struct sim *s = a->sim;

	buf_addf(&a->body, "<RequestId>%08x-0000-4000-8000-%012llx</RequestId>", (unsigned)s->seed,
		 (unsigned long long)++s->ids);
}

void say_begin(struct say *a)
{
	a->type = "text/xml";
	a->body.max = ANSWER_MAX;
	buf_addf(&a->body, "<%sResponse xmlns=\"%s\"><%sResult>", a->ask->action, a->ns, a->ask->action);
}

void say_end(struct say *a)
{
	buf_addf(&a->body, "</%sResult><ResponseMetadata>", a->ask->action);
	add_request_id(a);
	buf_addf(&a->body, "</ResponseMetadata></%sResponse>", a->ask->action);
}

void say_tag(struct say *a, const char *tag, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_addf(&a->body, "<%s>", tag);
	add_escaped(&a->body, text);
	buf_addf(&a->body, "</%s>", tag);
}

void say_time(struct say *a, const char *tag, int64_t at)
{
	char iso[21];

	clock_iso(at, iso);
	say_tag(a, tag, "%.19s.%03dZ", iso, (int)(at % 1000));
}

void say_json(struct say *a, json_t *j)
{
	char *text = json_flat(j);

	a->body.max = ANSWER_MAX;
	buf_clear(&a->body);
	buf_adds(&a->body, text);
	free(text);
	json_decref(j);
}

static void say_xml_error(struct say *a, const char *code, const char *text)
{
	a->type = "text/xml";
	buf_addf(&a->body, "<ErrorResponse xmlns=\"%s\"><Error><Type>%s</Type>", a->ns,
		 a->status < 500 ? "Sender" : "Receiver");
	say_tag(a, "Code", "%s", code);
	say_tag(a, "Message", "%s", text);
	buf_adds(&a->body, "</Error>");
	add_request_id(a);
	buf_adds(&a->body, "</ErrorResponse>");
}

void say_error(struct say *a, int status, const char *code, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	a->status = status;
	a->body.max = ANSWER_MAX;
	buf_clear(&a->body);
	a->error = code;
	if (a->ask->protocol == QUERY)
		say_xml_error(a, code, text);
	else if (a->ask->protocol == JSON)
		say_json(a, json_pack("{s:s,s:s}", "__type", code, "message", text));
	else
		say_json(a, json_pack("{s:s}", "Message", text)); /* REST: the code is in a header */
}

const char *say_missing(struct say *a, const char *field)
{
	const char *v = ask_field(a->ask, "%s", field);

	if (*v)
		return v;
	say_error(a, 400, "ValidationError", "The request must contain the parameter %s", field);
	return NULL;
}

#include "net/xml.h"

#include "base/buf.h"
#include "base/err.h"

#include <expat.h>
#include <string.h>

#define DEPTH_MAX 64
#define NODES_MAX 200000
#define TEXT_MAX  ((size_t)1 << 20)
#define BYTES_MAX ((size_t)64 << 20)

struct build {
	XML_Parser parser;
	struct xml *root, *here;
	struct xml *last[DEPTH_MAX + 1]; /* youngest kid at each depth: appending is O(1) */
	struct buf text;
	int depth;
	size_t nodes;
	const char *refused; /* why we stopped it ourselves */
};

/* expat may still call handlers after this; they look at `refused`. */
static void refuse(struct build *b, const char *why)
{
	if (!b->refused)
		b->refused = why;
	XML_StopParser(b->parser, XML_FALSE);
}

static void hang_in(struct build *b, struct xml *x)
{
	struct xml *elder = b->last[b->depth];

	if (elder)
		elder->next = x;
	else if (b->here)
		b->here->kid = x;
	else
		b->root = x;
	b->last[b->depth] = x;
}

static void open_tag(void *arg, const char *name, const char **attr)
{
	struct build *b = arg;
	const char *colon = strrchr(name, ':');
	struct xml *x;

	(void)attr;
	if (b->refused)
		return;
	if (b->depth == DEPTH_MAX)
		return refuse(b, "it is nested too deeply");
	if (++b->nodes > NODES_MAX)
		return refuse(b, "it has too many elements");
	x = xmalloc(sizeof *x);
	*x = (struct xml){ .name = xstrdup(colon ? colon + 1 : name), .up = b->here };
	hang_in(b, x);
	b->here = x;
	b->last[++b->depth] = NULL;
	buf_clear(&b->text);
}

static void close_tag(void *arg, const char *name)
{
	struct build *b = arg;

	(void)name;
	if (b->refused)
		return;
	if (!b->here->kid)
		b->here->text = xstrndup(b->text.p ? b->text.p : "", b->text.len);
	buf_clear(&b->text);
	b->here = b->here->up;
	b->depth--;
}

static void some_text(void *arg, const char *p, int n)
{
	struct build *b = arg;

	if (b->refused)
		return;
	buf_add(&b->text, p, (size_t)n);
	if (b->text.full)
		refuse(b, "one text in it is too long");
}

/* AWS sends none, and without one there are no entities to expand. */
static void refuse_doctype(void *arg, const char *name, const char *sys, const char *pub, int internal)
{
	(void)name, (void)sys, (void)pub, (void)internal;
	refuse(arg, "it has a document type");
}

static void watch(struct build *b)
{
	XML_SetUserData(b->parser, b);
	XML_SetElementHandler(b->parser, open_tag, close_tag);
	XML_SetCharacterDataHandler(b->parser, some_text);
	XML_SetStartDoctypeDeclHandler(b->parser, refuse_doctype);
}

static int not_xml(const struct build *b, struct err *e)
{
	if (b->refused)
		return err_set(e, ERR_UNSURE, "the answer is not XML we read: %s", b->refused);
	return err_set(e, ERR_UNSURE, "the answer is not XML: line %lu: %s",
		       (unsigned long)XML_GetCurrentLineNumber(b->parser),
		       XML_ErrorString(XML_GetErrorCode(b->parser)));
}

struct xml *xml_parse(const char *p, size_t n, struct err *e)
{
	struct build b = { .text = BUF_MAX(TEXT_MAX) };

	if (n > BYTES_MAX) {
		err_set(e, ERR_UNSURE, "the answer is not XML we read: it has %zu bytes", n);
		return NULL;
	}
	b.parser = XML_ParserCreate("UTF-8");
	if (!b.parser)
		abort();
	watch(&b);
	if (XML_Parse(b.parser, p ? p : "", (int)n, 1) != XML_STATUS_OK || b.refused) {
		not_xml(&b, e);
		xml_free(b.root);
		b.root = NULL;
	}
	XML_ParserFree(b.parser);
	buf_free(&b.text);
	return b.root;
}

/* Recursion goes down, never along: DEPTH_MAX bounds it. */
void xml_free(struct xml *x)
{
	while (x) {
		struct xml *next = x->next;

		xml_free(x->kid);
		free(x->name);
		free(x->text);
		free(x);
		x = next;
	}
}

struct xml *xml_at(struct xml *x, const char *path)
{
	while (x && *path) {
		size_t n = strcspn(path, "/");

		for (x = x->kid; x; x = x->next)
			if (strlen(x->name) == n && !memcmp(x->name, path, n))
				break;
		path += n + (path[n] == '/');
	}
	return x;
}

const char *xml_text(struct xml *x, const char *path)
{
	x = xml_at(x, path);
	return x && x->text ? x->text : "";
}

struct xml *xml_next(struct xml *x)
{
	const char *name;

	if (!x)
		return NULL;
	name = x->name;
	while ((x = x->next) && strcmp(x->name, name))
		;
	return x;
}

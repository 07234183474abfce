#include "base/buf.h"

#include <stdio.h>
#include <string.h>

static void *or_abort(void *p)
{
	if (!p)
		abort();
	return p;
}

void *xmalloc(size_t n) { return or_abort(malloc(n ? n : 1)); }
void *xcalloc(size_t n, size_t size) { return or_abort(calloc(n ? n : 1, size ? size : 1)); }
void *xrealloc(void *p, size_t n) { return or_abort(realloc(p, n ? n : 1)); }
char *xstrdup(const char *s) { return s ? or_abort(strdup(s)) : NULL; }
char *xstrndup(const char *s, size_t n) { return or_abort(strndup(s, n)); }

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	va_end(ap);
	return s;
}

static bool has_room(struct buf *b, size_t n)
{
	size_t want = b->len + n + 1;

	if (b->full || n > b->max || b->len > b->max - n) {
		b->full = true;
		return false;
	}
	if (want > b->cap) {
		b->cap = want < 2 * b->cap ? 2 * b->cap : want < 64 ? 64 : want;
		b->p = xrealloc(b->p, b->cap);
	}
	return true;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (!has_room(b, n))
		return;
	if (n)
		memcpy(b->p + b->len, p, n);
	b->len += n;
	b->p[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addv(struct buf *b, const char *fmt, va_list ap)
{
	char *s;
	int n = vasprintf(&s, fmt, ap);

	if (n < 0)
		abort();
	buf_add(b, s, (size_t)n);
	free(s);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_addv(b, fmt, ap);
	va_end(ap);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->full = false;
	if (b->p)
		b->p[0] = '\0';
}

void buf_free(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->len = b->cap = 0;
}

char *buf_take(struct buf *b)
{
	char *p = b->p ? b->p : xstrdup("");

	b->p = NULL;
	b->len = b->cap = 0;
	return p;
}

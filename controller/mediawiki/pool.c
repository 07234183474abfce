#include "mediawiki/internal.h"

#include <string.h>

#define BLOCK 8192

struct pool_block {
	struct pool_block *next;
	size_t used, size;
	char text[];
};

static char *room(struct pool *p, size_t n)
{
	struct pool_block *b = p->first;

	if (!b || b->size - b->used < n) {
		size_t size = n > BLOCK ? n : BLOCK;

		b = xmalloc(sizeof *b + size);
		*b = (struct pool_block){ .next = p->first, .size = size };
		p->first = b;
		p->bytes += size;
	}
	b->used += n;
	return b->text + b->used - n;
}

const char *pool_copy(struct pool *p, const char *s)
{
	size_t n = s ? strlen(s) + 1 : 0;

	return s ? memcpy(room(p, n), s, n) : NULL;
}

const char *pool_take(struct pool *p, struct buf *b)
{
	const char *s = pool_copy(p, b->p ? b->p : "");

	buf_clear(b);
	return s;
}

const char *pool_printf(struct pool *p, const char *fmt, ...)
{
	autobuf struct buf b = BUF_MAX(65536);
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	return pool_take(p, &b);
}

void pool_free(struct pool *p)
{
	while (p->first) {
		struct pool_block *next = p->first->next;

		free(p->first);
		p->first = next;
	}
	p->bytes = 0;
}

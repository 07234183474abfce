#include "engine/copy.h"

#include "base/buf.h"
#include "store/store.h"

#include <stdint.h>
#include <string.h>

#define COPY_BYTES ((size_t)64 << 20)

struct copy_line {
	int64_t at;
	char *actor, *kind, *step, *body; /* one block that `actor` is the head of; NULL: left out */
	size_t size;
};

struct copy {
	struct copy_line *line;
	size_t n, room, bytes;
	size_t thinned; /* lines before this one have been looked at */
};

struct copy *copy_new(void)
{
	return xcalloc(1, sizeof(struct copy));
}

void copy_free(struct copy *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		free(c->line[i].actor);
	free(c->line);
	free(c);
}

static struct copy_line copy_of(const struct event *ev)
{
	const char *from[] = { ev->actor, ev->kind, ev->step, ev->body };
	struct copy_line l = { .at = ev->at };
	char **to[] = { &l.actor, &l.kind, &l.step, &l.body }, *block;
	size_t size[COUNT(from)];

	for (size_t i = 0; i < COUNT(from); i++)
		l.size += size[i] = strlen(from[i]) + 1;
	block = xmalloc(l.size);
	for (size_t i = 0; i < COUNT(from); block += size[i++])
		*to[i] = memcpy(block, from[i], size[i]);
	return l;
}

/* What the run's state does not depend on, or only on the newest. */
static bool copy_may_drop(const struct copy_line *l)
{
	static const char *const kinds[] = { "verdict", "history", "note" };

	for (size_t i = 0; i < COUNT(kinds); i++)
		if (!strcmp(l->kind, kinds[i]))
			return true;
	return false;
}

static void copy_thin(struct copy *c)
{
	for (; c->thinned + 1 < c->n && c->bytes > COPY_BYTES / 2; c->thinned++) {
		struct copy_line *l = &c->line[c->thinned];

		if (!copy_may_drop(l))
			continue;
		free(l->actor);
		c->bytes -= l->size;
		*l = (struct copy_line){ .at = l->at };
	}
}

void copy_keep(struct copy *c, const struct event *ev)
{
	if (c->n == c->room)
		c->line = xrealloc(c->line, (c->room = c->room ? 2 * c->room : 64) * sizeof *c->line);
	c->line[c->n] = copy_of(ev);
	c->bytes += c->line[c->n++].size;
	if (c->bytes > COPY_BYTES)
		copy_thin(c);
}

struct copying {
	const struct copy *c;
	const char *run;
	size_t next;
};

static bool copy_next(void *ctx, struct event *ev)
{
	static char nothing[] = "", note[] = "note", left_out[] = "{\"what\":\"a line that its driver did not keep\"}";
	struct copying *x = ctx;
	const struct copy_line *l;

	if (x->next == x->c->n)
		return false;
	l = &x->c->line[x->next++];
	*ev = (struct event){ .seq = (int64_t)x->next, .at = l->at, .run = (char *)x->run, .actor = l->actor, .kind = l->kind,
			      .step = l->step, .body = l->body };
	if (!l->actor) {
		ev->actor = ev->step = nothing;
		ev->kind = note;
		ev->body = left_out;
	}
	return true;
}

int copy_write(const struct copy *c, const char *run, struct store *s, struct err *e)
{
	return store_append_all(s, copy_next, &(struct copying){ c, run, 0 }, e);
}

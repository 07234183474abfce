#include "base/err.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	char raw[sizeof e->msg];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	e->kind = kind;
	e->code[0] = '\0';
	text_line(e->msg, sizeof e->msg, raw);
	return -1;
}

/* A message that grows too long loses its tail, never its newest context. */
int err_wrap(struct err *e, const char *fmt, ...)
{
	char head[sizeof e->msg / 2], whole[sizeof e->msg];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(head, sizeof head, fmt, ap);
	va_end(ap);
	n = (size_t)snprintf(whole, sizeof whole, "%s: ", head);
	snprintf(whole + n, sizeof whole - n, "%.*s", (int)(sizeof whole - n - 1), e->msg);
	text_line(e->msg, sizeof e->msg, whole);
	return -1;
}

const char *err_kind_name(enum err_kind kind)
{
	static const char *const names[] = {
		[ERR_NONE] = "none",   [ERR_INPUT] = "input",   [ERR_DENIED] = "denied",
		[ERR_GONE] = "gone",   [ERR_BUSY] = "busy",     [ERR_NET] = "net",
		[ERR_UNSURE] = "unsure", [ERR_LOST] = "lost",
		[ERR_MOVED] = "moved",   [ERR_CANCELLED] = "cancelled",   [ERR_GATE] = "gate",
		[ERR_DAMAGED] = "damaged", [ERR_STORE] = "store", [ERR_BUG] = "bug",
	};
	return kind < sizeof names / sizeof *names ? names[kind] : "?";
}

/* plan/place.c - errors of a plan that has been read, with the line they stand in. */
#include "plan/internal.h"

void bad(struct reader *r, const struct at *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	errs_addv(r->errs, lines_find(r->plan->lines, at), at, fmt, ap);
	va_end(ap);
}

void plan_bad(struct plan_errors *errs, const struct plan *p, const struct step *s, const char *key,
	      const char *fmt, ...)
{
	struct at steps = { NULL, "steps", 0 }, step = { &steps, NULL, (size_t)(s - p->steps) };
	struct at param = { &step, key, 0 }, *at = key ? &param : &step;
	va_list ap;

	va_start(ap, fmt);
	errs_addv(errs, p->lines ? lines_find(p->lines, at) : s->line, at, fmt, ap);
	va_end(ap);
}

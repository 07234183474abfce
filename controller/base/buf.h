/* buf.h - a growing byte string with a ceiling, and ownership by scope.
 *
 * Write freely, check once: a write past the ceiling is dropped and sets
 * `full`. Out of memory aborts; the journal makes that a pause, not a loss. */
#ifndef CUTOVER_BASE_BUF_H
#define CUTOVER_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct buf {
	char *p; /* NUL-terminated once written to; NULL before */
	size_t len, cap, max;
	bool full;
};
#define BUF_MAX(n) { .max = (n) }

void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_addv(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_clear(struct buf *b);              /* empties, keeps the memory */
void buf_free(struct buf *b);
char *buf_take(struct buf *b);              /* caller frees; never NULL; b is empty again */

void *xmalloc(size_t n);                    /* these four abort when there is no memory */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);               /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline void free_ptr(void *pp) { free(*(void **)pp); }
#define autofree __attribute__((cleanup(free_ptr)))
#define autobuf  __attribute__((cleanup(buf_free)))
#define steal(pp) ({ __auto_type pp_ = (pp); __auto_type v_ = *pp_; *pp_ = NULL; v_; })
#define COUNT(a) (sizeof(a) / sizeof *(a))
#endif

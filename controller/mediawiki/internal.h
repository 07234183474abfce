/* mediawiki/internal.h - what the files of this room share. */
#ifndef CUTOVER_MEDIAWIKI_INTERNAL_H
#define CUTOVER_MEDIAWIKI_INTERNAL_H

#include "base/buf.h"
#include "mediawiki/schema.h"

/* Strings that live and die together. */
struct pool {
	struct pool_block *first;
	size_t bytes;
};
const char *pool_copy(struct pool *p, const char *s); /* NULL gives NULL */
const char *pool_take(struct pool *p, struct buf *b); /* the buffer's text; the buffer is empty again */
const char *pool_printf(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pool_free(struct pool *p);

/* Adding what is canonical already. Names are copied. ERR_INPUT past a limit,
 * or for a name that no server would take. */
struct pool *schema_pool(struct schema *s);
int schema_put_table(struct schema *s, const char *name, struct schema_table **out, struct err *e);
int schema_put_column(struct schema *s, struct schema_table *t, const struct schema_column *c, struct err *e);
int schema_put_index(struct schema *s, struct schema_table *t, const struct schema_index *i, struct err *e);

/* --- canonical text (canon.c); buffers are added to --- */
void canon_type(const char *type, struct buf *out);
/* The value behind information_schema's COLUMN_DEFAULT. False: there is none.
 * `type` is canonical; `expression`: EXTRA said that it is one. */
bool canon_default(enum schema_server server, const char *type, const char *charset, const char *def,
		   bool expression, struct buf *out);
/* The same for a value that is known: padding of binary(n) goes, bytes become 0xHEX. */
void canon_value(const char *type, const char *v, size_t n, struct buf *out);
/* "utf8" and "utf8mb3_general_ci" are utf8mb3; NULL for binary and none. */
const char *canon_charset(struct pool *p, const char *charset_or_collation);

/* --- types taken apart (type.c) --- */
enum type_family { TYPE_INT, TYPE_FLOAT, TYPE_DECIMAL, TYPE_BYTES, TYPE_TEXT, TYPE_ENUM, TYPE_TIME, TYPE_OTHER };
struct type {
	enum type_family family;
	uint64_t size;      /* bits of an integer or float; most bytes or characters; digits */
	unsigned scale;
	bool is_unsigned, fixed;
	const char *values; /* of an enum: what is between the brackets; borrowed */
	const char *word;   /* "timestamp"; borrowed */
	size_t nword;
};
void type_parse(const char *canonical, struct type *out);

/* "1.43.11" as 1043011, "1.43" as 1043000; -1 when it is no version. */
long version_number(const char *s);
#endif

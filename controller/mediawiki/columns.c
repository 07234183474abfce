/* columns.c - rules for columns. Numbers in sentences are the server's error codes. */
#include "mediawiki/effects.h"

#include <string.h>

#define HARMLESS(why) (struct ruling){ EFFECT_HARMLESS, why }

/* --- there or not ---------------------------------------------------------------------- */

static bool needs_value(const struct schema_column *c)
{
	return !c->nullable && !c->def && !c->autoinc;
}

struct ruling effect_of_column(struct pool *p, const struct schema_column *want, const struct schema_column *have)
{
	if (!have)
		return (struct ruling){ EFFECT_READS, pool_printf(p, "it names this column, and the server answers 1054 "
								  "(unknown column)") };
	if (!want && needs_value(have))
		return (struct ruling){ EFFECT_WRITES, "it writes rows without this column, which has no default: 1364 in "
				       "strict mode, else 0 or '' is stored for the version that needs a value" };
	return HARMLESS(want ? "as wanted" : "it does not know this column, and a row without it is complete");
}

/* --- types ------------------------------------------------------------------------------- */

static struct ruling cuts(struct pool *p, const char *what, const struct schema_column *want,
			  const struct schema_column *have)
{
	return (struct ruling){ EFFECT_LOSS, pool_printf(p, "%s: what fits %s may not fit %s, and is cut or changed "
							 "without an error", what, want->type, have->type) };
}

static struct ruling rule_int(struct pool *p, const struct schema_column *want, const struct type *w,
			      const struct schema_column *have, const struct type *h)
{
	if (h->size < w->size)
		return cuts(p, "a narrower number", want, have);
	if (!w->is_unsigned && h->is_unsigned)
		return cuts(p, "no negative numbers", want, have);
	if (w->is_unsigned && !h->is_unsigned && h->size == w->size)
		return cuts(p, "signed, so half the range", want, have);
	return HARMLESS("it holds every number that was wanted");
}

static struct ruling rule_text(struct pool *p, const struct schema_column *want, const struct type *w,
			       const struct schema_column *have, const struct type *h)
{
	if (h->size < w->size)
		return cuts(p, "shorter", want, have);
	if (h->fixed && !w->fixed)
		return (struct ruling){ EFFECT_LOSS, pool_printf(p, "shorter values come back padded to %s", have->type) };
	if (h->fixed && w->fixed && h->size != w->size)
		return (struct ruling){ EFFECT_LOSS, pool_printf(p, "every value comes back padded to %s", have->type) };
	return HARMLESS("it holds every value that was wanted");
}

static struct ruling rule_decimal(struct pool *p, const struct schema_column *want, const struct type *w,
				  const struct schema_column *have, const struct type *h)
{
	bool fits = h->scale >= w->scale && h->size - h->scale >= w->size - w->scale;

	return fits ? HARMLESS("it holds every number that was wanted") : cuts(p, "fewer digits", want, have);
}

/* Is every value of the one list in the other? Both end with ")". */
static bool values_within(const char *some, const char *all)
{
	while (*some == '\'') {
		size_t n = strcspn(some + 1, "'") + 1;
		autofree char *one = xasprintf("%.*s'", (int)n, some);

		if (!strstr(all, one))
			return false;
		some += n;
		some += *some == '\''; /* it has none where the text was cut */
		some += *some == ',';
	}
	return true;
}

/* The longest value, in bytes. */
static size_t longest(const char *values)
{
	size_t most = 0;

	while (*values == '\'') {
		size_t n = strcspn(values + 1, "'");

		most = n > most ? n : most;
		values += values[n + 1] ? n + 2 : n + 1;
		values += *values == ',';
	}
	return most;
}

static struct ruling rule_enum(struct pool *p, const struct schema_column *want, const struct type *w,
			       const struct schema_column *have, const struct type *h)
{
	if (w->values && h->values && values_within(w->values, h->values))
		return HARMLESS("it has every value that was wanted");
	return cuts(p, "values are missing", want, have);
}

static struct ruling rule_time(struct pool *p, const struct schema_column *want, const struct type *w,
			       const struct schema_column *have, const struct type *h)
{
	return h->size < w->size ? cuts(p, "a shorter span of years", want, have) :
		HARMLESS("it holds every time that was wanted");
}

static struct ruling rule_same_word(struct pool *p, const struct schema_column *want, const struct type *w,
				    const struct schema_column *have, const struct type *h)
{
	(void)w, (void)h;
	return cuts(p, "another type", want, have);
}

static struct ruling (*const same_family[])(struct pool *, const struct schema_column *, const struct type *,
					    const struct schema_column *, const struct type *) = {
	[TYPE_INT] = rule_int, [TYPE_FLOAT] = rule_int, [TYPE_DECIMAL] = rule_decimal, [TYPE_BYTES] = rule_text,
	[TYPE_TEXT] = rule_text, [TYPE_ENUM] = rule_enum, [TYPE_TIME] = rule_time, [TYPE_OTHER] = rule_same_word,
};

static struct ruling rule_type(struct pool *p, const struct schema_column *want, const struct schema_column *have)
{
	struct type w, h;

	type_parse(want->type, &w);
	type_parse(have->type, &h);
	if (w.family == h.family)
		return same_family[w.family](p, want, &w, have, &h);
	if (w.family == TYPE_ENUM && w.values && h.family == TYPE_BYTES && !h.fixed && h.size >= longest(w.values))
		return HARMLESS("it holds every value of the enum");
	if (w.family == TYPE_BYTES && h.family == TYPE_TEXT)
		return cuts(p, "text instead of bytes, compared without regard to case", want, have);
	return cuts(p, "another kind of value", want, have);
}

/* --- the rest ------------------------------------------------------------------------------- */

static struct ruling rule_null(struct pool *p, const struct schema_column *want, const struct schema_column *have)
{
	(void)p;
	if (want->nullable && !have->nullable)
		return (struct ruling){ EFFECT_WRITES, "it writes NULL here, which is refused: 1048" };
	return HARMLESS("it never writes NULL here");
}

/* What a server stores by itself, outside strict mode. */
static bool is_implicit(const struct schema_column *c, const char *def)
{
	struct type t;

	type_parse(c->type, &t);
	if (t.family == TYPE_BYTES || t.family == TYPE_TEXT)
		return !*def;
	return (t.family == TYPE_INT || t.family == TYPE_FLOAT || t.family == TYPE_DECIMAL) && strspn(def, "0.") == strlen(def);
}

static struct ruling rule_default(struct pool *p, const struct schema_column *want, const struct schema_column *have)
{
	if (have->def && !want->def && !want->nullable)
		return HARMLESS("it writes a value into every row");
	if (want->def && !have->def && !have->nullable && is_implicit(have, want->def))
		return HARMLESS("the server stores the same without a default ($wgSQLMode is '')");
	if (want->def && !have->def && !have->nullable)
		return (struct ruling){ EFFECT_WRITES, pool_printf(p, "rows written without it were to get \"%s\": 1364 in strict "
								   "mode, else another value", want->def) };
	return (struct ruling){ EFFECT_LOSS, pool_printf(p, "rows written without it get %s%s%s instead of %s%s%s",
		have->def ? "\"" : "", have->def ? have->def : "NULL", have->def ? "\"" : "",
		want->def ? "\"" : "", want->def ? want->def : "NULL", want->def ? "\"" : "") };
}

static struct ruling rule_auto(struct pool *p, const struct schema_column *want, const struct schema_column *have)
{
	(void)p, (void)have;
	if (want->autoinc)
		return (struct ruling){ EFFECT_WRITES, "the server gives no numbers: the second row is a duplicate (1062)" };
	return HARMLESS("it writes a number of its own");
}

static struct ruling rule_charset(struct pool *p, const struct schema_column *want, const struct schema_column *have)
{
	if (want->charset && have->charset && !strcmp(have->charset, "utf8mb4") && !strncmp(want->charset, "utf8", 4))
		return HARMLESS("it holds every character that was wanted");
	return (struct ruling){ EFFECT_LOSS, pool_printf(p, "characters that %s has and %s has not become \"?\"",
		want->charset ? want->charset : "binary", have->charset ? have->charset : "binary") };
}

static bool type_differs(const struct schema_column *a, const struct schema_column *b) { return strcmp(a->type, b->type); }
static bool null_differs(const struct schema_column *a, const struct schema_column *b) { return a->nullable != b->nullable; }
static bool auto_differs(const struct schema_column *a, const struct schema_column *b) { return a->autoinc != b->autoinc; }

static bool text_differs(const char *a, const char *b)
{
	return !a != !b || (a && strcmp(a, b));
}

static bool def_differs(const struct schema_column *a, const struct schema_column *b)
{
	return text_differs(a->def, b->def);
}

/* Between bytes and text, the type says it already. */
static bool charset_differs(const struct schema_column *a, const struct schema_column *b)
{
	struct type ta, tb;

	type_parse(a->type, &ta);
	type_parse(b->type, &tb);
	return ta.family == tb.family && text_differs(a->charset, b->charset);
}

static const char *show_type(struct pool *p, const struct schema_column *c) { return pool_copy(p, c->type); }

static const char *show_null(struct pool *p, const struct schema_column *c)
{
	(void)p;
	return c->nullable ? "null" : "not null";
}

static const char *show_def(struct pool *p, const struct schema_column *c)
{
	if (!c->def)
		return c->nullable ? "null" : "none";
	return pool_printf(p, "'%s'", c->def);
}

static const char *show_auto(struct pool *p, const struct schema_column *c)
{
	(void)p;
	return c->autoinc ? "auto_increment" : "no auto_increment";
}

static const char *show_charset(struct pool *p, const struct schema_column *c)
{
	return c->charset ? pool_copy(p, c->charset) : "binary";
}

const struct facet facets[] = {
	{ "type", type_differs, show_type, rule_type },
	{ "null", null_differs, show_null, rule_null },
	{ "default", def_differs, show_def, rule_default },
	{ "auto", auto_differs, show_auto, rule_auto },
	{ "charset", charset_differs, show_charset, rule_charset },
	{ 0 },
};

/* diff.c - two schemas side by side. */
#include "mediawiki/effects.h"

#include <string.h>

struct schema_diff_private {
	struct pool pool;
};

const char *schema_effect_name(enum schema_effect f)
{
	static const char *const names[] = { "harmless", "slow", "breaks writes", "breaks reads", "silent data loss" };

	return (size_t)f < COUNT(names) ? names[f] : "unknown";
}

/* --- rows ---------------------------------------------------------------------------------- */

struct place {
	struct schema_diff *d;
	const char *table;
};

static void add_row(const struct place *at, const char *name, const char *what, const char *a, const char *b,
		    struct ruling ra, struct ruling rb)
{
	struct schema_diff *d = at->d;
	struct pool *p = &d->own->pool;

	effect_known(at->table, name, what, a, b, &ra);
	effect_known(at->table, name, what, b, a, &rb);
	if (!(d->n & (d->n - 1)))
		d->row = xrealloc(d->row, (d->n ? 2 * d->n : 1) * sizeof *d->row);
	d->row[d->n++] = (struct schema_row){
		.table = pool_copy(p, at->table), .name = pool_copy(p, name), .what = what, .a = a, .b = b,
		.effect = { ra.effect, rb.effect }, .why = { ra.why, rb.why },
	};
	for (int i = 0; i < 2; i++) {
		enum schema_effect f = i ? rb.effect : ra.effect;

		d->worst[i] = f > d->worst[i] ? f : d->worst[i];
		d->blocking[i] += schema_effect_blocks(f);
	}
}

/* --- columns -------------------------------------------------------------------------------- */

static const char *show_column(struct pool *p, const struct schema_column *c)
{
	return c ? pool_printf(p, "%s%s%s%s%s%s", c->type, c->nullable ? "" : " not null", c->def ? " default '" : "",
			       c->def ? c->def : "", c->def ? "'" : "", c->autoinc ? " auto_increment" : "") : NULL;
}

static void compare_facets(const struct place *at, const struct schema_column *a, const struct schema_column *b)
{
	struct pool *p = &at->d->own->pool;

	for (const struct facet *f = facets; f->what; f++)
		if (f->differs(a, b))
			add_row(at, a->name, f->what, f->show(p, a), f->show(p, b), f->rule(p, a, b), f->rule(p, b, a));
}

static void compare_column(const struct place *at, const struct schema_column *a, const struct schema_column *b)
{
	struct pool *p = &at->d->own->pool;
	const struct schema_column *one = a ? a : b;

	if (a && b)
		compare_facets(at, a, b);
	else if (one)
		add_row(at, one->name, "column", show_column(p, a), show_column(p, b), effect_of_column(p, a, b),
			effect_of_column(p, b, a));
}

static void compare_columns(const struct place *at, const struct schema_table *a, const struct schema_table *b)
{
	for (unsigned i = 0; i < a->ncolumns; i++)
		compare_column(at, &a->column[i], schema_column(b, a->column[i].name));
	for (unsigned i = 0; i < b->ncolumns; i++)
		if (!schema_column(a, b->column[i].name))
			compare_column(at, NULL, &b->column[i]);
}

/* --- indexes --------------------------------------------------------------------------------- */

static const char *show_index(struct pool *p, const struct schema_index *i)
{
	return i ? pool_printf(p, "%s(%s)", i->fulltext ? "fulltext " : i->unique ? "unique " : "", i->columns) : NULL;
}

static bool same_index(const struct schema_index *a, const struct schema_index *b)
{
	return a->unique == b->unique && a->fulltext == b->fulltext && !strcmp(a->columns, b->columns);
}

static void compare_index(const struct place *at, const struct schema_table *ta, const struct schema_index *a,
			  const struct schema_table *tb, const struct schema_index *b)
{
	struct pool *p = &at->d->own->pool;
	const struct schema_index *one = a ? a : b;

	if (one && (!a || !b || !same_index(a, b)))
		add_row(at, one->name, "index", show_index(p, a), show_index(p, b),
			effect_of_index(p, ta, a, tb, b), effect_of_index(p, tb, b, ta, a));
}

static void compare_indexes(const struct place *at, const struct schema_table *a, const struct schema_table *b)
{
	for (unsigned i = 0; i < a->nindexes; i++)
		compare_index(at, a, &a->index[i], b, schema_index(b, a->index[i].name));
	for (unsigned i = 0; i < b->nindexes; i++)
		if (!schema_index(a, b->index[i].name))
			compare_index(at, a, NULL, b, &b->index[i]);
}

/* --- tables ----------------------------------------------------------------------------------- */

static const char *engine(const struct schema_table *t)
{
	return t->view ? "view" : t->engine ? t->engine : "";
}

static void compare_tables(const struct place *at, const struct schema_table *a, const struct schema_table *b)
{
	struct pool *p = &at->d->own->pool;

	if (!a || !b) {
		add_row(at, "", "table", a ? "there" : NULL, b ? "there" : NULL, effect_of_table(p, a, b),
			effect_of_table(p, b, a));
		return;
	}
	if (strcasecmp(engine(a), engine(b)))
		add_row(at, "", "engine", pool_copy(p, engine(a)), pool_copy(p, engine(b)), effect_of_table(p, a, b),
			effect_of_table(p, b, a));
	compare_columns(at, a, b);
	if (!a->view && !b->view) /* a view has none, and the row above says so */
		compare_indexes(at, a, b);
}

struct schema_diff *schema_compare(const struct schema *a, const struct schema *b)
{
	struct schema_diff *d = xcalloc(1, sizeof *d);
	unsigned i = 0, j = 0;

	d->own = xcalloc(1, sizeof *d->own);
	while (i < a->ntables || j < b->ntables) { /* both are in order */
		const struct schema_table *ta = i < a->ntables ? &a->table[i] : NULL, *tb = j < b->ntables ? &b->table[j] : NULL;
		int order = !ta ? 1 : !tb ? -1 : strcmp(ta->name, tb->name);
		const struct schema_table *first = order <= 0 ? ta : tb;

		if (first)
			compare_tables(&(struct place){ d, first->name }, order <= 0 ? ta : NULL, order >= 0 ? tb : NULL);
		i += order <= 0;
		j += order >= 0;
	}
	return d;
}

void schema_diff_free(struct schema_diff **d)
{
	if (*d) {
		free((*d)->row);
		pool_free(&(*d)->own->pool);
		free((*d)->own);
		free(*d);
	}
	*d = NULL;
}

json_t *schema_diff_json(const struct schema_diff *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->n; i++) {
		const struct schema_row *r = &d->row[i];

		json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:o, s:o, s:s, s:o, s:s, s:o}", "table",
			json_text(r->table), "name", json_text(r->name), "what", r->what,
			"a", r->a ? json_text(r->a) : json_null(), "b", r->b ? json_text(r->b) : json_null(),
			"effect_a", schema_effect_name(r->effect[0]), "why_a", json_text(r->why[0]),
			"effect_b", schema_effect_name(r->effect[1]), "why_b", json_text(r->why[1])));
	}
	return list;
}

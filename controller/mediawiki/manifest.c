/* manifest.c - schemas as files: manifests of versions, snapshots of databases. */
#include "mediawiki/internal.h"

#include "base/file.h"

#include <string.h>

#define FORMAT 1

/* --- out ---------------------------------------------------------------------------------- */

static void put_text(json_t *o, const char *key, const char *v)
{
	if (v)
		json_object_set_new(o, key, json_text(v));
}

static void put_true(json_t *o, const char *key, bool v)
{
	if (v)
		json_object_set_new(o, key, json_true());
}

static json_t *column_json(const struct schema_column *c)
{
	json_t *o = json_object();

	put_text(o, "type", c->type);
	put_true(o, "null", c->nullable);
	put_true(o, "auto", c->autoinc);
	put_text(o, "default", c->def);
	put_text(o, "charset", c->charset);
	return o;
}

static json_t *index_json(const struct schema_index *i)
{
	json_t *o = json_object();

	put_text(o, "columns", i->columns);
	put_true(o, "unique", i->unique);
	put_true(o, "fulltext", i->fulltext);
	return o;
}

static json_t *table_json(const struct schema_table *t)
{
	json_t *o = json_object(), *columns = json_object(), *indexes = json_object();

	put_text(o, "engine", t->engine);
	put_text(o, "charset", t->charset);
	put_true(o, "view", t->view);
	for (unsigned i = 0; i < t->ncolumns; i++)
		json_object_set_new(columns, t->column[i].name, column_json(&t->column[i]));
	for (unsigned i = 0; i < t->nindexes; i++)
		json_object_set_new(indexes, t->index[i].name, index_json(&t->index[i]));
	json_object_set_new(o, "columns", columns);
	json_object_set_new(o, "indexes", indexes);
	return o;
}

json_t *schema_json(const struct schema *s)
{
	json_t *doc = json_object(), *tables = json_object();

	json_object_set_new(doc, "schema", json_integer(FORMAT));
	put_text(doc, "version", s->version);
	put_text(doc, "source", s->source);
	if (s->others)
		json_object_set_new(doc, "others", json_integer(s->others));
	for (unsigned i = 0; i < s->ntables; i++)
		json_object_set_new(tables, s->table[i].name, table_json(&s->table[i]));
	json_object_set_new(doc, "tables", tables);
	return doc;
}

static void add_key(struct buf *b, const char *indent, const char *key, bool first)
{
	autojson json_t *k = json_string(key);
	autofree char *text = k ? json_dumps(k, JSON_ENCODE_ANY) : NULL;

	buf_addf(b, "%s\n%s%s: ", first ? "" : ",", indent, text ? text : "\"?\"");
}

/* `depth` levels of objects have a line for each member, what is below them is on one. */
static void add_lines(struct buf *b, const json_t *v, int depth, const char *indent)
{
	autofree char *inner = xasprintf("%s ", indent);
	const char *key;
	json_t *member;
	bool first = true;

	if (depth == 0 || !json_object_size(v)) {
		autofree char *text = json_dumps(v, JSON_ENCODE_ANY);

		buf_adds(b, text ? text : "null");
		return;
	}
	buf_adds(b, "{");
	json_object_foreach((json_t *)v, key, member) {
		add_key(b, inner, key, first);
		add_lines(b, member, depth - 1, inner);
		first = false;
	}
	buf_addf(b, "\n%s}", indent);
}

char *schema_text(const struct schema *s)
{
	autobuf struct buf b = BUF_MAX(2 * (size_t)SCHEMA_FILE_MAX);
	autojson json_t *doc = schema_json(s);

	add_lines(&b, doc, 4, "");
	buf_adds(&b, "\n");
	return buf_take(&b);
}

/* --- in ----------------------------------------------------------------------------------- */

/* What an object may have, and of which type. */
struct key {
	const char *name;
	json_type type;
	bool must;
};
static const struct key doc_keys[] = { { "schema", JSON_INTEGER, true }, { "version", JSON_STRING, false },
	{ "source", JSON_STRING, false }, { "others", JSON_INTEGER, false }, { "tables", JSON_OBJECT, true }, { 0 } };
static const struct key table_keys[] = { { "engine", JSON_STRING, false }, { "charset", JSON_STRING, false },
	{ "view", JSON_TRUE, false }, { "columns", JSON_OBJECT, true }, { "indexes", JSON_OBJECT, true }, { 0 } };
static const struct key column_keys[] = { { "type", JSON_STRING, true }, { "null", JSON_TRUE, false },
	{ "auto", JSON_TRUE, false }, { "default", JSON_STRING, false }, { "charset", JSON_STRING, false }, { 0 } };
static const struct key index_keys[] = { { "columns", JSON_STRING, true }, { "unique", JSON_TRUE, false },
	{ "fulltext", JSON_TRUE, false }, { 0 } };

static const char *const type_names[] = { [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
	[JSON_STRING] = "text", [JSON_INTEGER] = "a whole number", [JSON_REAL] = "a number",
	[JSON_TRUE] = "true", [JSON_FALSE] = "false", [JSON_NULL] = "null" };

static const struct key *find_key(const struct key *k, const char *name)
{
	for (; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

static int check_keys(const json_t *o, const struct key *keys, struct err *e)
{
	const char *name;
	json_t *v;

	if (!json_is_object(o))
		return err_set(e, ERR_INPUT, "an object is wanted here");
	json_object_foreach((json_t *)o, name, v) {
		const struct key *k = find_key(keys, name);

		if (!k)
			return err_set(e, ERR_INPUT, "\"%.80s\" is no key of this format", name);
		if (json_typeof(v) != k->type)
			return err_set(e, ERR_INPUT, "\"%s\" is %s, and must be %s", name, type_names[json_typeof(v)],
				       type_names[k->type]);
	}
	for (; keys->name; keys++)
		if (keys->must && !json_object_get(o, keys->name))
			return err_set(e, ERR_INPUT, "\"%s\" is missing", keys->name);
	return 0;
}

static int read_column(struct schema *s, struct schema_table *t, const char *name, const json_t *v, struct err *e)
{
	autobuf struct buf type = BUF_MAX(65536);

	if (check_keys(v, column_keys, e))
		return err_wrap(e, "column %.80s", name);
	canon_type(json_str(v, "type", ""), &type);
	return schema_put_column(s, t, &(struct schema_column){
		.name = name, .type = type.p ? type.p : "", .def = json_str(v, "default", NULL),
		.charset = canon_charset(schema_pool(s), json_str(v, "charset", NULL)), .nullable = json_yes(v, "null"),
		.autoinc = json_yes(v, "auto"),
	}, e);
}

static int read_index(struct schema *s, struct schema_table *t, const char *name, const json_t *v, struct err *e)
{
	if (check_keys(v, index_keys, e))
		return err_wrap(e, "index %.80s", name);
	return schema_put_index(s, t, &(struct schema_index){
		.name = name, .columns = json_str(v, "columns", ""), .unique = json_yes(v, "unique"),
		.fulltext = json_yes(v, "fulltext"),
	}, e);
}

static int read_table(struct schema *s, const char *name, const json_t *v, struct err *e)
{
	struct schema_table *t;
	const char *key;
	json_t *member;

	if (check_keys(v, table_keys, e) || schema_put_table(s, name, &t, e))
		return -1;
	t->engine = pool_copy(schema_pool(s), json_str(v, "engine", NULL));
	t->charset = canon_charset(schema_pool(s), json_str(v, "charset", NULL));
	t->view = json_yes(v, "view");
	json_object_foreach(json_object_get(v, "columns"), key, member)
		if (read_column(s, t, key, member, e))
			return -1;
	json_object_foreach(json_object_get(v, "indexes"), key, member)
		if (read_index(s, t, key, member, e))
			return -1;
	return 0;
}

static int read_doc(struct schema *s, const json_t *doc, struct err *e)
{
	const char *key;
	json_t *v;

	if (check_keys(doc, doc_keys, e))
		return -1;
	if (json_num(doc, "schema", 0) != FORMAT)
		return err_set(e, ERR_INPUT, "format %lld is not known here, only %d; use the cutover that wrote it",
			       (long long)json_num(doc, "schema", 0), FORMAT);
	schema_set_version(s, json_str(doc, "version", NULL));
	s->others = (unsigned)json_num(doc, "others", 0);
	json_object_foreach(json_object_get(doc, "tables"), key, v)
		if (read_table(s, key, v, e))
			return err_wrap(e, "table %.80s", key);
	return schema_seal(s, e);
}

int schema_from_json(const json_t *doc, const char *source, struct schema **out, struct err *e)
{
	autoschema struct schema *s = schema_new(source ? source : json_str(doc, "source", "a schema"));

	if (read_doc(s, doc, e))
		return err_wrap(e, "%s", s->source);
	*out = steal(&s);
	return 0;
}

int schema_read(const char *path, struct schema **out, struct err *e)
{
	autofree char *text = NULL;
	autojson json_t *doc = NULL;
	json_error_t at;
	size_t n;

	if (file_read(path, SCHEMA_FILE_MAX, &text, &n, e))
		return -1;
	doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
	if (!doc)
		return err_set(e, ERR_INPUT, "%s line %d: %s", path, at.line, at.text);
	return schema_from_json(doc, path, out, e);
}

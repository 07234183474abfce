/* tree.c - from the abstract schema of MediaWiki to what a server shows of it.
 *
 * The grammar is docs/abstract-schema-table.json of MediaWiki; what becomes of
 * a type is includes/db/MWMySQLPlatform and Doctrine's MySQL platform, checked
 * against fresh installs of 1.39 and 1.43 with their extensions. */
#include "mediawiki/tree.h"

#include "base/file.h"
#include "mediawiki/internal.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#define TABLES_MAX (8u << 20)
#define DEFINES_MAX (1u << 20)
#define MAX_LENGTH 4294967295LL

/* --- types: tables ----------------------------------------------------------------------- */

enum shape { PLAIN, NUMBER, SIZED, BLOB, ENUM, DECIMAL };
static const struct mapping {
	const char *type;         /* in tables.json */
	enum shape shape;
	const char *sql, *fixed;  /* where the table's charset is binary: MediaWiki's way */
	const char *text, *text_fixed; /* where it has one of its own; NULL: the same */
} mappings[] = {
	{ "integer",     NUMBER,  "int",        NULL,     NULL,      NULL },
	{ "bigint",      NUMBER,  "bigint",     NULL,     NULL,      NULL },
	{ "smallint",    NUMBER,  "smallint",   NULL,     NULL,      NULL },
	{ "mwtinyint",   NUMBER,  "tinyint",    NULL,     NULL,      NULL },
	{ "boolean",     PLAIN,   "tinyint",    NULL,     NULL,      NULL },
	{ "float",       NUMBER,  "float",      NULL,     NULL,      NULL },
	{ "decimal",     DECIMAL, "decimal",    NULL,     NULL,      NULL },
	{ "binary",      SIZED,   "varbinary",  "binary", NULL,      NULL },
	{ "string",      SIZED,   "varbinary",  "binary", "varchar", "char" },
	{ "blob",        BLOB,    "blob",       NULL,     NULL,      NULL },
	{ "text",        BLOB,    "blob",       NULL,     "text",    NULL },
	{ "mwtimestamp", PLAIN,   "binary(14)", NULL,     NULL,      NULL },
	{ "datetimetz",  PLAIN,   "datetime",   NULL,     NULL,      NULL },
	{ "mwenum",      ENUM,    "enum",       NULL,     NULL,      NULL },
};
/* What an option turns a type into. */
static const struct { const char *type, *group, *option, *sql; } oddities[] = {
	{ "mwtimestamp", "CustomSchemaOptions", "allowInfinite", "varbinary(14)" }, /* 'infinity' */
	{ "float", "CustomSchemaOptions", "doublePrecision", "double" },
	{ "datetimetz", "PlatformOptions", "version", "timestamp" },
};
/* Doctrine's lengths for TINYBLOB and so on. */
static const struct { int64_t most; const char *size; } blobs[] = {
	{ 255, "tiny" }, { 65535, "" }, { 16777215, "medium" }, { MAX_LENGTH, "long" },
};
/* Where extensions keep their tables. */
static const char *const extension_places[] = { "sql", "db_patches", "schema" };
static const char *const core_places[] = { "sql/tables.json", "maintenance/tables.json" };

/* --- one file being read -------------------------------------------------------------------- */

struct reading {
	struct schema *schema;
	const char *file;
	const char *table, *column; /* for errors; may be NULL */
};

static int mistake(const struct reading *r, struct err *e, const char *what, const char *name)
{
	return err_set(e, ERR_INPUT, "%s: %s%s%s: %s%s%s", r->file, r->table ? r->table : "a table",
		       r->column ? "." : "", r->column ? r->column : "", what, name ? " " : "", name ? name : "");
}

/* Doctrine does not care for the case of an option's name ("notNull" in 1.35). Lent. */
static const json_t *option(const json_t *options, const char *name)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)options, key, v)
		if (!strcasecmp(key, name))
			return v;
	return NULL;
}

static bool is_set(const json_t *options, const char *name)
{
	return json_is_true(option(options, name));
}

static bool in_group(const json_t *options, const char *group, const char *name)
{
	const json_t *v = json_object_get(option(options, group), name);

	return v && !json_is_false(v) && !json_is_null(v);
}

static int whole(const json_t *options, const char *name, int or)
{
	const json_t *v = option(options, name);
	json_int_t n = json_is_integer(v) ? json_integer_value(v) : or;

	return n < 0 || n > 65 ? or : (int)n; /* 65 digits are the most there are */
}

static const char *plain_type(const char *type, const char *sql, const json_t *options)
{
	for (size_t i = 0; i < COUNT(oddities); i++)
		if (!strcmp(type, oddities[i].type) && in_group(options, oddities[i].group, oddities[i].option))
			return oddities[i].sql;
	return sql;
}

static int add_length(const struct reading *r, const json_t *options, json_int_t or, int64_t *out, struct err *e)
{
	const json_t *v = option(options, "length");
	json_int_t n = json_is_integer(v) ? json_integer_value(v) : or;

	if (v && !json_is_integer(v) && !json_is_null(v))
		return mistake(r, e, "its length is no whole number", NULL);
	if (n < 1 || n > MAX_LENGTH)
		return mistake(r, e, "its length cannot be", NULL);
	*out = n;
	return 0;
}

static int add_sized(const struct reading *r, const struct mapping *m, const json_t *options, bool text,
		     struct buf *out, struct err *e)
{
	bool fixed = is_set(options, "fixed");
	int64_t n;

	if (add_length(r, options, 255, &n, e))
		return -1;
	if (text && m->text)
		buf_adds(out, fixed ? m->text_fixed : m->text);
	else
		buf_adds(out, fixed ? m->fixed : m->sql);
	buf_addf(out, "(%lld)", (long long)n);
	return 0;
}

static int add_blob(const struct reading *r, const struct mapping *m, const json_t *options, bool text,
		    struct buf *out, struct err *e)
{
	int64_t n;
	size_t i = 0;

	if (add_length(r, options, MAX_LENGTH, &n, e))
		return -1;
	while (n > blobs[i].most)
		i++;
	buf_addf(out, "%s%s", blobs[i].size, text && m->text ? m->text : m->sql);
	return 0;
}

static int add_enum(const struct reading *r, const json_t *options, struct buf *out, struct err *e)
{
	json_t *values = json_object_get(option(options, "CustomSchemaOptions"), "enum_values"), *v;
	size_t i;

	if (!json_array_size(values))
		return mistake(r, e, "mwenum without CustomSchemaOptions.enum_values", NULL);
	json_array_foreach(values, i, v) {
		if (!json_is_string(v) || strchr(json_string_value(v), '\''))
			return mistake(r, e, "a value of its enum is no plain text", NULL);
		buf_addf(out, "%s'%s'", i ? "," : "enum(", json_string_value(v));
	}
	buf_adds(out, ")");
	return 0;
}

static int add_type(const struct reading *r, const char *type, const json_t *options, bool text, struct buf *out,
		    struct err *e)
{
	const struct mapping *m = NULL;

	for (size_t i = 0; i < COUNT(mappings) && !m; i++)
		if (!strcmp(type, mappings[i].type))
			m = &mappings[i];
	if (!m)
		return mistake(r, e, "no type that this cutover knows:", type);
	switch (m->shape) {
	case SIZED:
		return add_sized(r, m, options, text, out, e);
	case BLOB:
		return add_blob(r, m, options, text, out, e);
	case ENUM:
		return add_enum(r, options, out, e);
	case DECIMAL:
		buf_addf(out, "%s(%d,%d)", m->sql, whole(options, "precision", 10), whole(options, "scale", 0));
		return 0;
	default:
		buf_addf(out, "%s%s", plain_type(type, m->sql, options),
			 m->shape == NUMBER && is_set(options, "unsigned") ? " unsigned" : "");
		return 0;
	}
}

/* --- columns ---------------------------------------------------------------------------------- */

/* False: none. Numbers and booleans are written as the server shows them. */
static bool add_default(const char *type, const json_t *v, struct buf *out)
{
	autobuf struct buf raw = BUF_MAX(65536);

	if (!v || json_is_null(v))
		return false;
	if (json_is_boolean(v))
		buf_adds(&raw, json_is_true(v) ? "1" : "0");
	else if (json_is_integer(v))
		buf_addf(&raw, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		buf_addf(&raw, "%.15g", json_real_value(v));
	else
		buf_add(&raw, json_string_value(v), json_string_length(v));
	canon_value(type, raw.p ? raw.p : "", raw.len, out);
	return true;
}

static bool in_list(const json_t *list, const char *name)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)list, i, v)
		if (json_is_string(v) && !strcmp(json_string_value(v), name))
			return true;
	return false;
}

static bool has_charset(const char *type)
{
	return strstr(type, "char") || strstr(type, "text") || !strncmp(type, "enum", 4);
}

static int read_column(struct reading *r, struct schema_table *t, const json_t *v, const json_t *pk, struct err *e)
{
	const json_t *options = json_object_get(v, "options"), *def = option(options, "default");
	const json_t *notnull = option(options, "notnull");
	const char *type = json_str(v, "type", NULL);
	autobuf struct buf sql = BUF_MAX(65536), value = BUF_MAX(65536);
	struct schema_column c = { .name = json_str(v, "name", NULL) };

	r->column = c.name;
	if (!c.name || !type)
		return mistake(r, e, "a column needs a name and a type", NULL);
	if (json_is_object(def) || json_is_array(def))
		return mistake(r, e, "its default is no value", NULL);
	if (add_type(r, type, options, t->charset, &sql, e))
		return -1;
	c.type = sql.p;
	buf_adds(&value, "");
	if (add_default(c.type, def, &value))
		c.def = value.p;
	if (sql.full || value.full)
		return mistake(r, e, "its type or default is too long", NULL);
	c.nullable = json_is_false(notnull) && !in_list(pk, c.name); /* a primary key never is */
	c.autoinc = is_set(options, "autoincrement");
	c.charset = has_charset(c.type) ? t->charset : NULL;
	return schema_put_column(r->schema, t, &c, e);
}

/* --- indexes ------------------------------------------------------------------------------------ */

/* How many bytes or characters binary(n) and its like have; 0: another type. */
static uint64_t column_size(const struct schema_table *t, const char *name)
{
	const struct schema_column *c = schema_column(t, name);
	struct type type;

	if (!c || !strchr(c->type, '('))
		return 0;
	type_parse(c->type, &type);
	return type.size;
}

/* A prefix as long as its column is none: servers show the column alone. Of a
 * blob they always show it. */
static int add_parts(const struct reading *r, const struct schema_table *t, const json_t *columns, const json_t *lengths,
		     struct buf *out, struct err *e)
{
	size_t i;
	json_t *v;

	if (!json_array_size(columns))
		return mistake(r, e, "an index without columns", NULL);
	json_array_foreach((json_t *)columns, i, v) {
		json_int_t n = json_integer_value(json_array_get(lengths, i));
		const char *name = json_string_value(v);

		if (!name || !schema_column(t, name))
			return mistake(r, e, "an index over a column that is not there:", name ? name : "?");
		buf_addf(out, "%s%s", i ? "," : "", name);
		if (n > 0 && (uint64_t)n != column_size(t, name))
			buf_addf(out, "(%lld)", (long long)n);
	}
	return out->full ? mistake(r, e, "an index with too many columns", NULL) : 0;
}

static int read_index(const struct reading *r, struct schema_table *t, const json_t *v, struct err *e)
{
	autobuf struct buf parts = BUF_MAX(65536);

	if (add_parts(r, t, json_object_get(v, "columns"), json_object_get(json_object_get(v, "options"), "lengths"),
		      &parts, e))
		return -1;
	return schema_put_index(r->schema, t, &(struct schema_index){
		.name = json_str(v, "name", NULL), .columns = parts.p, .unique = json_yes(v, "unique"),
		.fulltext = in_list(json_object_get(v, "flags"), "fulltext"),
	}, e);
}

static int read_primary(const struct reading *r, struct schema_table *t, const json_t *pk, struct err *e)
{
	autobuf struct buf parts = BUF_MAX(65536);

	if (!json_array_size(pk))
		return 0;
	if (add_parts(r, t, pk, NULL, &parts, e))
		return -1;
	return schema_put_index(r->schema, t, &(struct schema_index){
		.name = "PRIMARY", .columns = parts.p, .unique = true }, e);
}

/* --- tables --------------------------------------------------------------------------------------- */

/* "DEFAULT CHARSET=utf8mb4" gives what is behind "CHARSET="; lent. */
static const char *table_option(const json_t *options, const char *name)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)options, i, v) {
		const char *at = json_is_string(v) ? strcasestr(json_string_value(v), name) : NULL;

		if (at && at[strlen(name)] == '=')
			return at + strlen(name) + 1;
	}
	return NULL;
}

static int read_table(struct reading *r, const json_t *v, struct err *e)
{
	const json_t *options = json_object_get(v, "table_options"), *pk = json_object_get(v, "pk");
	const char *engine = table_option(options, "ENGINE");
	struct schema_table *t;
	size_t i;
	json_t *item;

	r->table = json_str(v, "name", NULL);
	r->column = NULL;
	if (!json_object_get(v, "columns"))
		return r->table ? 0 : mistake(r, e, "no object with a name and columns", NULL); /* a table to come */
	if (schema_put_table(r->schema, r->table, &t, e))
		return err_wrap(e, "%s", r->file);
	t->engine = engine ? pool_copy(schema_pool(r->schema), engine) : "InnoDB";
	t->charset = canon_charset(schema_pool(r->schema), table_option(options, "CHARSET"));
	json_array_foreach(json_object_get(v, "columns"), i, item)
		if (read_column(r, t, item, pk, e))
			return -1;
	r->column = NULL;
	if (read_primary(r, t, pk, e))
		return -1;
	json_array_foreach(json_object_get(v, "indexes"), i, item)
		if (read_index(r, t, item, e))
			return err_wrap(e, "%s: %s", r->file, t->name);
	return 0;
}

/* What is no list of tables is a patch or another file of the extension. */
static int read_tables(struct schema *s, const char *path, bool must, struct err *e)
{
	struct reading r = { .schema = s, .file = path };
	autofree char *text = NULL;
	autojson json_t *doc = NULL;
	json_error_t at;
	size_t n, i;
	json_t *v;

	if (file_read(path, TABLES_MAX, &text, &n, e))
		return -1;
	doc = json_loadb(text, n, 0, &at);
	if (!doc)
		return err_set(e, ERR_INPUT, "%s line %d: %s", path, at.line, at.text);
	if (!json_is_array(doc))
		return must ? err_set(e, ERR_INPUT, "%s: this is no list of tables", path) : 0;
	json_array_foreach(doc, i, v)
		if (read_table(&r, v, e))
			return -1;
	return 0;
}

/* --- trees ------------------------------------------------------------------------------------------- */

static bool exists(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

static bool is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* define( 'MW_VERSION', '1.43.11' ); */
static void read_version(struct schema *s, const char *tree)
{
	autofree char *path = xasprintf("%s/includes/Defines.php", tree), *text = NULL, *version = NULL;
	struct err ignored;
	const char *at;
	size_t n;

	if (file_read(path, DEFINES_MAX, &text, &n, &ignored))
		return;
	at = strstr(text, "'MW_VERSION'");
	at = at ? strchr(at + 12, '\'') : NULL;
	version = at ? xstrndup(at + 1, strcspn(at + 1, "'\n")) : NULL;
	if (version_number(version) > 0)
		schema_set_version(s, version);
}

static int json_files(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && !strcmp(d->d_name + n - 5, ".json") && d->d_name[0] != '.';
}

static int read_folder(struct schema *s, const char *folder, struct err *e)
{
	struct dirent **list = NULL;
	int n = scandir(folder, &list, json_files, alphasort), rc = 0;

	for (int i = 0; i < n; i++) {
		autofree char *path = xasprintf("%s/%s", folder, list[i]->d_name);

		if (!rc)
			rc = read_tables(s, path, false, e);
		free(list[i]);
	}
	free(list);
	return rc;
}

/* Its tables; *sql: it has some folder for them. */
static int read_places(struct schema *s, const char *extension, bool *sql, struct err *e)
{
	for (size_t i = 0; i < COUNT(extension_places); i++) {
		autofree char *folder = xasprintf("%s/%s", extension, extension_places[i]);

		*sql |= is_folder(folder);
		if (read_folder(s, folder, e))
			return -1;
	}
	return 0;
}

/* Most extensions have no tables. */
static int read_extension(struct schema *s, const char *tree, const char *name, struct err *e)
{
	autofree char *folder = xasprintf("%s/extensions/%s", tree, name);
	unsigned before = s->ntables;
	bool sql = false;

	if (!is_folder(folder))
		return err_set(e, ERR_GONE, "%s: there is no such extension", folder);
	if (read_places(s, folder, &sql, e))
		return -1;
	if (before < s->ntables || !sql)
		return 0;
	return err_set(e, ERR_GONE, "%s describes its tables in SQL only; leave it out, or take a snapshot of a wiki that has it",
		       folder);
}

static int folders(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int read_all_extensions(struct schema *s, const char *tree, struct err *e)
{
	autofree char *folder = xasprintf("%s/extensions", tree);
	struct dirent **list = NULL;
	int n = scandir(folder, &list, folders, alphasort), rc = 0;

	for (int i = 0; i < n; i++) {
		struct err none = { 0 };

		if (!rc && read_extension(s, tree, list[i]->d_name, &none) && none.kind != ERR_GONE) {
			*e = none; /* "all" is all that can be read */
			rc = -1;
		}
		free(list[i]);
	}
	free(list);
	return rc;
}

/* Before 1.39, most tables were described in SQL for each kind of server. */
static int check_core(const struct schema *s, const char *path, struct err *e)
{
	for (unsigned i = 0; i < s->ntables; i++)
		if (!strcmp(s->table[i].name, "page"))
			return 0;
	return err_set(e, ERR_GONE, "%s describes no table \"page\": before 1.39 MediaWiki keeps most tables in SQL; "
		       "install that version into an empty database and use `cutover schema snapshot` of it", path);
}

static int read_core(struct schema *s, const char *tree, struct err *e)
{
	for (size_t i = 0; i < COUNT(core_places); i++) {
		autofree char *path = xasprintf("%s/%s", tree, core_places[i]);

		if (exists(path))
			return read_tables(s, path, true, e) ? -1 : check_core(s, path, e);
	}
	return err_set(e, ERR_GONE, "%s has neither sql/tables.json (1.44 and later) nor maintenance/tables.json: "
		       "name the folder of a MediaWiki, the one with includes/", tree);
}

static int read_tree(struct schema *s, const char *tree, char *const *extensions, size_t next, struct err *e)
{
	read_version(s, tree);
	if (read_core(s, tree, e))
		return -1;
	for (size_t i = 0; i < next; i++)
		if (!strcmp(extensions[i], "*") ? read_all_extensions(s, tree, e) : read_extension(s, tree, extensions[i], e))
			return -1;
	return 0;
}

/* An extension's own folder, given beside the tree. */
static bool is_extension(const char *path)
{
	autofree char *mark = xasprintf("%s/extension.json", path);

	return exists(mark);
}

static int read_path(struct schema *s, const char *path, char *const *extensions, size_t next, struct err *e)
{
	bool sql = false;

	if (!exists(path))
		return err_set(e, ERR_GONE, "%s: there is no such file or folder", path);
	if (!is_folder(path))
		return read_tables(s, path, true, e);
	return is_extension(path) ? read_places(s, path, &sql, e) : read_tree(s, path, extensions, next, e);
}

int schema_from_tree(char *const *paths, size_t n, char *const *extensions, size_t next, struct schema **out,
		     struct err *e)
{
	autoschema struct schema *s = schema_new(n ? paths[0] : "nothing");

	for (size_t i = 0; i < n; i++)
		if (read_path(s, paths[i], extensions, next, e))
			return -1;
	if (schema_seal(s, e))
		return -1;
	if (s->version) /* which folder it lay in tells nobody anything */
		s->source = pool_printf(schema_pool(s), "MediaWiki %s", s->version);
	*out = steal(&s);
	return 0;
}

/* mediawiki/schema.h - the tables of a wiki, as a version needs them or as a
 * database has them, in one form that is the same for every server.
 *
 * Values are canonical, so that an expectation, a MariaDB and a MySQL can be
 * compared by strcmp: types are lower case without integer widths ("int
 * unsigned", never "int(10) unsigned"), defaults are values and no SQL text,
 * index columns stand in one string. Where the rules come from:
 * docs/abstract-schema-table.json of MediaWiki, and information_schema.COLUMNS
 * and .STATISTICS of MariaDB 10.11 and MySQL 8/9, compared on fresh installs.
 *
 * Who fills one: schema_from_tree() (mediawiki/tree.h) for a version,
 * schema_read() below for a manifest or a snapshot, and the reader of a
 * database (one file of this room, with db_query()) by schema_add_*(). All strings belong to the schema. One wiki takes
 * about 50 KiB; nothing is kept when it is freed. */
#ifndef CUTOVER_MEDIAWIKI_SCHEMA_H
#define CUTOVER_MEDIAWIKI_SCHEMA_H

#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEMA_MAX_TABLES 8192
#define SCHEMA_MAX_COLUMNS 4096 /* of one table; InnoDB's limit is 1,017 */
#define SCHEMA_MAX_INDEXES 256  /* of one table; InnoDB's limit is 64 */
#define SCHEMA_MAX_BYTES (32u << 20)

enum schema_server { SCHEMA_MARIADB, SCHEMA_MYSQL };

struct schema_column {
	const char *name;
	const char *type;    /* "bigint unsigned", "varbinary(255)", "enum('a','b')" */
	const char *def;     /* default; NULL: none (or DEFAULT NULL, when nullable) */
	const char *charset; /* "utf8mb4"; NULL: binary, or the type has none */
	bool nullable, autoinc;
};
struct schema_index {
	const char *name;    /* "PRIMARY" for the primary key */
	const char *columns; /* "pl_from,pl_target_id", with a prefix length "si_title(20)" */
	bool unique, fulltext;
};
struct schema_table {
	const char *name;    /* without the wiki's prefix */
	const char *engine;  /* NULL: not said, or a view */
	const char *charset; /* NULL: binary or not said */
	struct schema_column *column;
	struct schema_index *index;
	unsigned ncolumns, nindexes;
	bool view;
};
struct schema {
	const char *version; /* of MediaWiki, "1.43.11"; NULL: unknown (a database holds none) */
	const char *source;  /* what it was read from, for people */
	struct schema_table *table; /* by name, once sealed */
	unsigned ntables;
	unsigned others;     /* tables that do not begin with the prefix: not ours to judge */
	struct schema_private *own;
};

/* `source` is copied. */
struct schema *schema_new(const char *source);
void schema_free(struct schema **s);
#define autoschema __attribute__((cleanup(schema_free)))
void schema_set_version(struct schema *s, const char *version);

/* --- from a database: the rows of information_schema, text as the server gives it ---
 *
 *   SELECT table_name, table_type, engine, table_collation FROM information_schema.tables
 *   SELECT table_name, column_name, column_type, is_nullable, column_default, extra,
 *          character_set_name FROM information_schema.columns ORDER BY table_name, ordinal_position
 *   SELECT table_name, index_name, non_unique, column_name, sub_part, index_type
 *          FROM information_schema.statistics ORDER BY table_name, index_name, seq_in_index
 *
 * Tables come first; rows of one table, and of one index, follow each other.
 * Any text may be NULL or hostile: ERR_INPUT says what is wrong with the row.
 * Rows of tables that do not begin with the prefix are passed over; so are rows
 * of a table that was not there when tables were read (it was made meanwhile). */
void schema_set_origin(struct schema *s, enum schema_server server, const char *prefix); /* before rows; prefix may be NULL */
struct schema_table_row { const char *name, *type, *engine, *collation; };
struct schema_column_row { const char *table, *name, *type, *nullable, *def, *extra, *charset; };
struct schema_index_row { const char *table, *name, *non_unique, *column, *sub_part, *type; };
int schema_add_table(struct schema *s, const struct schema_table_row *r, struct err *e);
int schema_add_column(struct schema *s, const struct schema_column_row *r, struct err *e);
int schema_add_index(struct schema *s, const struct schema_index_row *r, struct err *e);
/* After the last row, before anything is looked up: sorts, and refuses names that
 * stand there twice. ERR_GONE when there is no table at all: no wiki here. */
int schema_seal(struct schema *s, struct err *e);

/* --- looking, once sealed; NULL: there is none --- */
const struct schema_table *schema_table(const struct schema *s, const char *name);
const struct schema_column *schema_column(const struct schema_table *t, const char *name);
const struct schema_index *schema_index(const struct schema_table *t, const char *name);

/* --- manifests and snapshots: the same JSON ---
 * {"schema": 1, "version": "1.43.11", "source": "...", "tables": {"page": {
 *   "engine": "InnoDB", "columns": {"page_id": {"type": "int unsigned", "auto": true}, ...},
 *   "indexes": {"PRIMARY": {"columns": "page_id", "unique": true}, ...}}}}
 * Left out: what is false or NULL. Text has a line for each column and index. */
#define SCHEMA_FILE_MAX (16u << 20)
json_t *schema_json(const struct schema *s);
char *schema_text(const struct schema *s); /* the file; caller frees */
/* Sealed. ERR_INPUT with the place of the mistake. */
int schema_from_json(const json_t *doc, const char *source, struct schema **out, struct err *e);
/* A manifest or snapshot from a file. */
int schema_read(const char *path, struct schema **out, struct err *e);
#endif

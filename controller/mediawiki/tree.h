/* mediawiki/tree.h - what a MediaWiki needs of its database, read from its files.
 *
 * Core is maintenance/tables.json (1.39 to 1.43) or sql/tables.json (1.44 on);
 * an extension's tables are where its authors put them: extensions/NAME/sql/
 * *.json, extensions/NAME/db_patches/tables.json. What a column of those files
 * becomes on a server is a set of tables in tree.c, oddities included. */
#ifndef CUTOVER_MEDIAWIKI_TREE_H
#define CUTOVER_MEDIAWIKI_TREE_H

#include "mediawiki/schema.h"

/* `paths` are n trees or JSON files; the first may be the folder that holds
 * includes/ and maintenance/. `extensions` are names below extensions/ whose
 * tables are wanted too ("*": all that have any; NULL: none). Sealed.
 * ERR_GONE: no tables.json there (with what to do for 1.35 and older);
 * ERR_INPUT: a mistake in the file, with file, table and column. */
int schema_from_tree(char *const *paths, size_t n, char *const *extensions, size_t next,
		     struct schema **out, struct err *e);
#endif

/* cli/schema.h - `cutover schema VERB ...`: a verb is a row in schema.c, and a
 * file of its own, schema_VERB.c. Options are those of all verbs together. */
#ifndef CUTOVER_CLI_SCHEMA_H
#define CUTOVER_CLI_SCHEMA_H

#include "cli/cli.h"

struct err;
struct schema;

struct schema_verb {
	const char *name, *args, *about;
	int (*run)(struct cli *c); /* c's arguments are those behind the verb */
	int min_args, max_args;
};
extern const struct schema_verb schema_verb_expect, schema_verb_diff, schema_verb_snapshot, schema_verb_check;

/* A tree or a manifest, whichever the path is; of trees, with --extensions. */
int schema_load(const struct cli *c, const char *path, struct schema **out, struct err *e);
#endif

#include "base/buf.h"
#include "base/file.h"
#include "cli/schema.h"
#include "mediawiki/tree.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_EXTENSIONS 256

/* --extensions A,B as names; "all" is "*". */
static size_t split_names(char *text, char **names, size_t max)
{
	size_t n = 0;
	char *save = NULL;

	for (char *name = strtok_r(text, ",", &save); name && n < max; name = strtok_r(NULL, ",", &save))
		names[n++] = strcmp(name, "all") ? name : "*";
	return n;
}

static int from_trees(const struct cli *c, char *const *paths, size_t n, struct schema **out, struct err *e)
{
	const char *given = cli_opt(c, "extensions");
	autofree char *text = xstrdup(given ? given : "");
	char *names[MAX_EXTENSIONS];

	return schema_from_tree(paths, n, names, split_names(text, names, MAX_EXTENSIONS), out, e);
}

/* A manifest is an object, a tables.json is a list. */
static bool is_manifest(const char *path)
{
	FILE *f = fopen(path, "re");
	int ch = ' ';

	while (f && ch != EOF && strchr(" \t\r\n", ch))
		ch = fgetc(f);
	if (f)
		fclose(f);
	return ch == '{';
}

static bool is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

int schema_load(const struct cli *c, const char *path, struct schema **out, struct err *e)
{
	char *one = (char *)path;

	return !is_folder(path) && is_manifest(path) ? schema_read(path, out, e) : from_trees(c, &one, 1, out, e);
}

static void count(const struct schema *s, size_t *columns, size_t *indexes)
{
	*columns = *indexes = 0;
	for (unsigned i = 0; i < s->ntables; i++) {
		*columns += s->table[i].ncolumns;
		*indexes += s->table[i].nindexes;
	}
}

static int put(const struct cli *c, const struct schema *s, struct err *e)
{
	const char *file = cli_opt(c, "out");
	autofree char *text = schema_text(s);
	size_t columns, indexes;

	if (file && file_write(file, text, strlen(text), e))
		return -1;
	if (!file && c->json)
		fputs(text, stdout);
	if (file || c->json)
		return 0;
	count(s, &columns, &indexes);
	printf("%s needs %u tables, %zu columns, %zu indexes (-o json prints them)\n", s->version ? s->version : s->source,
	       s->ntables, columns, indexes);
	return 0;
}

static int run(struct cli *c)
{
	autoschema struct schema *s = NULL;
	struct err e = { 0 };

	if (from_trees(c, c->argv, (size_t)c->argc, &s, &e) || put(c, s, &e))
		return cli_fail(&e);
	return CUTOVER_EXIT_OK;
}

const struct schema_verb schema_verb_expect = {
	.name = "expect", .args = "TREE...", .about = "what a MediaWiki needs of its database", .run = run,
	.min_args = 1, .max_args = 63,
};

/* cli/schema_snapshot.c - what databases have, as manifests. */
#include "base/buf.h"
#include "base/file.h"
#include "cli/dbopen.h"
#include "cli/schema.h"
#include "mediawiki/reality.h"

#include <stdio.h>
#include <string.h>

#define CONNECTIONS 4

struct job {
	struct dbopen *x;
	const char *folder;
};

static int put(const char *path, const struct schema *s, struct err *e)
{
	autofree char *text = schema_text(s);

	if (path)
		return file_write(path, text, strlen(text), e);
	fputs(text, stdout);
	return 0;
}

static int snapshot_one(const struct cli *c, struct dbopen *x, struct err *e)
{
	autoschema struct schema *s = NULL;

	if (reality_read(x->db, x->names[0], x->prefix, &s, e))
		return -1;
	return put(cli_opt(c, "out"), s, e);
}

/* One file each: DIR/name.json. A database may have a name that leads elsewhere. */
static int snapshot_to_folder(void *ctx, struct db *d, size_t i, struct err *e)
{
	const struct job *j = ctx;
	const char *name = j->x->names[i];
	autofree char *path = xasprintf("%s/%s.json", j->folder, name);
	autoschema struct schema *s = NULL;

	if (strchr(name, '/') || *name == '.')
		return err_set(e, ERR_INPUT, "a file cannot have the name of database %s: read it alone, with --out FILE", name);
	return reality_read(d, name, j->x->prefix, &s, e) || put(path, s, e) ? -1 : 0;
}

static int snapshot_all(const struct cli *c, struct dbopen *x, struct err *e)
{
	struct job j = { x, cli_opt(c, "out") };

	if (!j.folder)
		return err_set(e, ERR_INPUT, "%zu databases make as many files: say --out FOLDER", x->n);
	if (file_mkdirs(j.folder, e))
		return -1;
	return db_fan(x->login, CONNECTIONS, x->n, snapshot_to_folder, dbopen_progress(), &j, e);
}

static int run(struct cli *c)
{
	autodbopen struct dbopen x = { 0 };
	struct err e = { 0 };

	if (dbopen(c, &x, &e) || (x.n == 1 ? snapshot_one(c, &x, &e) : snapshot_all(c, &x, &e)))
		return dbopen_fail(&e);
	return CUTOVER_EXIT_OK;
}

const struct schema_verb schema_verb_snapshot = {
	.name = "snapshot", .args = "[DATABASE...]", .about = "the tables a database has, as a manifest", .run = run, .max_args = 63,
};

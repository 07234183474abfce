#include "cli/schema.h"

#include <stdio.h>
#include <string.h>

static const struct schema_verb *const verbs[] = { &schema_verb_expect, &schema_verb_diff, &schema_verb_snapshot, &schema_verb_check, NULL };

static int usage(const struct cli *c)
{
	cli_usage(c, "what to do is missing, or not known");
	for (const struct schema_verb *const *v = verbs; *v; v++)
		fprintf(stderr, "  %-9s %-30s %s\n", (*v)->name, (*v)->args, (*v)->about);
	return CUTOVER_EXIT_USAGE;
}

static const struct schema_verb *find(const char *name)
{
	for (const struct schema_verb *const *v = verbs; *v && name; v++)
		if (!strcmp((*v)->name, name))
			return *v;
	return NULL;
}

static int run(struct cli *c)
{
	const struct schema_verb *v = find(cli_arg(c, 0));

	if (!v)
		return usage(c);
	c->argc--;
	c->argv++;
	if (c->argc < v->min_args)
		return cli_usage(c, "%s: %s is missing", v->name, v->args);
	if (c->argc > v->max_args)
		return cli_usage(c, "%s: \"%s\" is one argument too many", v->name, c->argv[v->max_args]);
	return v->run(c);
}

static const struct cli_option options[] = {
	{ "extensions", "A,B", "expect, diff: with the tables of these extensions of the tree; \"all\": of all it has" },
	{ "out", "FILE", "expect, snapshot: write there instead of to the screen" },
	{ "server", "USER@HOST:PORT", "snapshot, check: the database server; HOST may be \"/path\" of a socket" },
	{ "settings", "FILE", "snapshot, check: server, user, password, database and prefix as LocalSettings.php has them" },
	{ "secret", "ARN", "the password is in Secrets Manager: {\"username\", \"password\"}" },
	{ "iam", NULL, "the password is an RDS IAM token, made anew for each connection" },
	{ "password-file", "FILE", "the password is its first line" },
	{ "password-env", "NAME", "the password is in this environment variable" },
	{ "ca", "FILE", "CA bundle for TLS; without TLS only a server on this machine is spoken to" },
	{ "prefix", "TEXT", "prefix of the wiki's tables" },
	{ "all-databases", NULL, "snapshot, check: each database of the server that holds a wiki" },
	{ "blue", "PATH", "check: manifest or tree of the version that uses the database now" },
	{ "green", "PATH", "check: manifest or tree of the version that shall use it" },
	{ "want", "shared|freeze", "check: the kind of cutover that is planned (shared)" },
	{ "role", "writer|reader|any", "check: what the server must be (writer)" },
	{ "replica", NULL, "check: it must be a replica that runs" },
	{ "binlog", NULL, "check: it must write a binlog that a copy can follow" },
	{ "max-lag", "SECONDS", "check: of a replica (5)" },
	{ "max-transaction", "SECONDS", "check: age of the oldest open transaction (60)" },
	{ "min-connections", "N", "check: that are free (10)" },
	{ "timeout", "SECONDS", "snapshot, check: longest a statement may take; what takes longer is unknown (10)" },
	{ "connections", "N", "check: how many to use at once, for many databases (4, at most 16)" },
	{ "all", NULL, "diff, check: show what is harmless for both, too" },
	{ 0 },
};

const struct cli_command cli_schema = {
	.name = "schema", .args = "expect|diff|snapshot|check ...", .about = "what a wiki's database has, and what a version needs of it",
	.run = run, .options = options, .min_args = 0, .max_args = 64,
	.detail =
	"  schema expect TREE...   what a MediaWiki needs, as a manifest: trees, extension folders, tables.json files\n"
	"  schema diff A B         what differs, and what each difference does to A's code on B's tables and the other\n"
	"                          way round; A and B are trees, manifests or snapshots. Exit code 5 when they cannot\n"
	"                          share a database.\n"
	"  schema snapshot [DB...] the tables a database has, as a manifest; of several: a file each below --out\n"
	"  schema check [DB...]    may blue and green use it, by tables and rows, and is its server fit for a cutover?\n"
	"                          Exit code 5: no, or it cannot be known. -o json: a document for the server, one for\n"
	"                          each database, one for the total.",
};

#include "cli/schema.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

static const struct schema_verb *const verbs[] = { &schema_verb_expect, &schema_verb_diff };

static int usage(const struct cli *c)
{
	cli_usage(c, "what to do is missing, or not known");
	for (size_t i = 0; i < COUNT(verbs); i++)
		fprintf(stderr, "  %-9s %-30s %s\n", verbs[i]->name, verbs[i]->args, verbs[i]->about);
	return CUTOVER_EXIT_USAGE;
}

static int run(struct cli *c)
{
	const struct schema_verb *v = NULL;

	for (size_t i = 0; i < COUNT(verbs) && cli_arg(c, 0); i++)
		if (!strcmp(verbs[i]->name, cli_arg(c, 0)))
			v = verbs[i];
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
	{ "all", NULL, "diff, check: show what is harmless for both, too" },
	{ 0 },
};

const struct cli_command cli_schema = {
	.name = "schema", .args = "expect|diff ...", .about = "what a wiki's database has, and what a version needs of it",
	.run = run, .options = options, .min_args = 0, .max_args = 64,
	.detail =
	"  schema expect TREE...   what a MediaWiki needs, as a manifest: trees, extension folders, tables.json files\n"
	"  schema diff A B         what differs, and what each difference does to A's code on B's tables and the other\n"
	"                          way round; A and B are trees, manifests or snapshots. Exit code 5 when they cannot\n"
	"                          share a database.",
};

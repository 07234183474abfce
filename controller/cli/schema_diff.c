#include "base/buf.h"
#include "cli/schema.h"
#include "mediawiki/verdict.h"

#include <stdio.h>
#include <string.h>

static const char *title(const struct schema *s)
{
	return s->version ? s->version : s->source;
}

static bool is_shown(const struct cli *c, const struct schema_row *r)
{
	return cli_opt(c, "all") || r->effect[0] != EFFECT_HARMLESS || r->effect[1] != EFFECT_HARMLESS;
}

static void print_effect(const struct schema *s, enum schema_effect f, const char *why)
{
	printf("    %s: %s: %s\n", title(s), schema_effect_name(f), why);
}

static void print_row(const struct schema *a, const struct schema *b, const struct schema_row *r)
{
	printf("%s%s%s  %s: %s -> %s\n", r->table, *r->name ? "." : "", r->name, r->what, r->a ? r->a : "-", r->b ? r->b : "-");
	print_effect(a, r->effect[0], r->why[0]);
	print_effect(b, r->effect[1], r->why[1]);
}

static void print_text(const struct cli *c, const struct schema *a, const struct schema *b, const struct schema_diff *d)
{
	size_t hidden = 0;

	for (size_t i = 0; i < d->n; i++) {
		if (is_shown(c, &d->row[i]))
			print_row(a, b, &d->row[i]);
		else
			hidden++;
	}
	printf("%zu difference%s", d->n, d->n == 1 ? "" : "s");
	if (hidden)
		printf(", %zu of them harmless for both (--all shows them)", hidden);
	printf("\n%s on the tables of %s: %s, %zu blocking\n", title(a), title(b), schema_effect_name(d->worst[0]), d->blocking[0]);
	printf("%s on the tables of %s: %s, %zu blocking\n", title(b), title(a), schema_effect_name(d->worst[1]), d->blocking[1]);
}

static void print_json(const struct schema *a, const struct schema *b, const struct schema_diff *d,
		       const struct schema_verdict *v)
{
	cli_print_json(json_pack("{s:o, s:o, s:o, s:s, s:s, s:i, s:i, s:s, s:o}", "a", json_text(title(a)), "b",
				 json_text(title(b)), "rows", schema_diff_json(d), "worst_a", schema_effect_name(d->worst[0]),
				 "worst_b", schema_effect_name(d->worst[1]), "blocking_a", (int)d->blocking[0], "blocking_b",
				 (int)d->blocking[1], "verdict", schema_sharing_name(v->kind), "why", json_text(v->why)));
}

static int compare(const struct cli *c, const struct schema *a, const struct schema *b)
{
	autodiff struct schema_diff *d = schema_compare(a, b);
	struct schema_verdict v;
	bool shared = !d->blocking[0] && !d->blocking[1];

	schema_judge(a, b, NULL, &v);
	if (c->json)
		print_json(a, b, d, &v);
	else
		print_text(c, a, b, d);
	if (!c->json)
		printf("verdict: %s. %s\n", schema_sharing_name(v.kind), v.why);
	return shared ? CUTOVER_EXIT_OK : CUTOVER_EXIT_REFUSED;
}

static int run(struct cli *c)
{
	autoschema struct schema *a = NULL, *b = NULL;
	struct err e = { 0 };

	if (schema_load(c, cli_arg(c, 0), &a, &e) || schema_load(c, cli_arg(c, 1), &b, &e))
		return cli_fail(&e);
	return compare(c, a, b);
}

const struct schema_verb schema_verb_diff = {
	.name = "diff", .args = "A B", .about = "what two versions' databases differ in, and what it does to each", .run = run,
	.min_args = 2, .max_args = 2,
};

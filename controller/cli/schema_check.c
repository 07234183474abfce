/* cli/schema_check.c - may these versions use these databases, now? */
#include "base/buf.h"
#include "cli/dbopen.h"
#include "cli/schema.h"
#include "db/health.h"
#include "mediawiki/checks.h"
#include "mediawiki/reality.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS 4
#define CONNECTIONS_MAX 16
#define ROWS_SAID 30 /* to people, of one version */
#define FEW 5        /* tables that may be missing by themselves */

enum { BLUE, GREEN, SIDES };
static const char *const sides[SIDES] = { "blue", "green" };

struct check {
	const struct cli *c;
	struct dbopen *x;
	struct schema *code[SIDES];  /* what each version needs; NULL: not asked about */
	enum schema_sharing want;
	struct db_thresholds limits;
	bool farm;
	pthread_mutex_t out;         /* a database's lines stay together */
	size_t by_kind[SHARING_IMPOSSIBLE + 1], unknown, refused;
};

/* One database, while it is looked at. */
struct wiki {
	const char *name;
	struct schema *have;
	json_t *doc;                 /* what is printed of it */
	bool fits[SIDES], data[SIDES]; /* tables; rows */
	enum db_verdict health;
	bool ok;
};

/* --- looking -------------------------------------------------------------------------- */

static bool is_shown(const struct check *k, enum schema_effect f)
{
	return f != EFFECT_HARMLESS || cli_opt(k->c, "all");
}

static json_t *row_json(const struct schema_row *r)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:s, s:o}", "table", json_text(r->table), "name", json_text(r->name), "what",
			 r->what, "wanted", r->a ? json_text(r->a) : json_null(), "found", r->b ? json_text(r->b) : json_null(),
			 "effect", schema_effect_name(r->effect[0]), "why", json_text(r->why[0]));
}

static bool is_missing_table(const struct schema_row *r)
{
	return !strcmp(r->what, "table") && r->a && !r->b;
}

/* What the code of one side would feel on the tables that are there. */
static void compare(const struct check *k, struct wiki *w, int side)
{
	autodiff struct schema_diff *d = schema_compare(k->code[side], w->have);
	json_t *rows = json_array();
	size_t missing = 0;

	for (size_t i = 0; i < d->n; i++) {
		missing += is_missing_table(&d->row[i]);
		if (is_shown(k, d->row[i].effect[0]))
			json_array_append_new(rows, row_json(&d->row[i]));
	}
	w->fits[side] = !d->blocking[0];
	json_object_set_new(w->doc, sides[side], json_pack("{s:o, s:s, s:i, s:i, s:i, s:o}", "version",
		k->code[side]->version ? json_text(k->code[side]->version) : json_null(), "worst", schema_effect_name(d->worst[0]),
		"blocking", (int)d->blocking[0], "harmless", (int)(d->n - json_array_size(rows)), "missing_tables", (int)missing,
		"rows", rows));
}

static int ask_number(void *ctx, const char *sql, int64_t *n, bool *null, struct err *e)
{
	return db_number(ctx, sql, n, null, e);
}

static bool is_bad_count(const json_t *row)
{
	return !json_is_integer(json_object_get(row, "count")) || json_num(row, "count", 0);
}

/* Rows that a version cannot read. Without a version nothing is known of them. */
static int look_at_rows(const struct check *k, struct wiki *w, struct db *d, json_t *known, int side, struct err *e)
{
	json_t *into = json_object_get(w->doc, sides[side]), *shown = json_array(), *row;
	const char *version = k->code[side]->version;
	autojson json_t *rows = NULL;
	enum schema_effect worst = EFFECT_HARMLESS;
	size_t i;

	json_object_set_new(into, "data", shown);
	if (!version) {
		json_array_append_new(shown, json_pack("{s:s, s:n, s:s, s:o}", "check", "data", "count", "effect",
			schema_effect_name(EFFECT_READS), "why", json_sprintf("which rows it needs is not known, since what stands "
			"for %s names no version: use a manifest of `cutover schema expect`", sides[side])));
		return 0;
	}
	if (data_checks_run(version, w->have, k->x->prefix, ask_number, d, known, &rows, &worst, e))
		return -1;
	json_array_foreach(rows, i, row)
		if (is_bad_count(row) || cli_opt(k->c, "all"))
			json_array_append(shown, row);
	w->data[side] = !schema_effect_blocks(worst);
	return 0;
}

static const char *fit_word(const struct wiki *w, int side)
{
	return !w->fits[side] ? "does not fit its tables" : !w->data[side] ? "does not fit its rows" : "fits";
}

static void judge_one(const struct check *k, struct wiki *w, int side)
{
	w->ok = w->fits[side] && w->data[side];
	json_object_set_new(w->doc, "verdict", json_string(w->ok ? "fits" : "does not fit"));
	json_object_set_new(w->doc, "why", json_sprintf("%s %s", k->code[side]->version ? k->code[side]->version : sides[side],
							fit_word(w, side)));
}

/* Rows that only green cannot read are what update.php is for: no sharing, but a
 * freeze. Rows that blue cannot read mean that blue does not work here already. */
static void judge_both(struct check *k, struct wiki *w)
{
	struct schema_verdict v;

	schema_judge(k->code[BLUE], k->code[GREEN], w->have, &v);
	if (v.kind == SHARING_SHARED && !w->data[GREEN]) {
		v.kind = SHARING_FREEZE;
		snprintf(v.why, sizeof v.why, "the tables are the same, and green does not fit the rows in them: its update.php has to run");
	}
	if (v.kind != SHARING_IMPOSSIBLE && !w->data[BLUE]) {
		v.kind = SHARING_IMPOSSIBLE;
		snprintf(v.why, sizeof v.why, "blue does not fit the rows that are there, although it runs on them");
	}
	w->ok = v.kind <= k->want;
	k->by_kind[v.kind]++;
	json_object_set_new(w->doc, "verdict", json_string(schema_sharing_name(v.kind)));
	json_object_set_new(w->doc, "why", json_text(v.why));
}

static int look_at_health(const struct check *k, struct wiki *w, struct db *d, struct err *e)
{
	json_t *rows = json_array();

	json_object_set_new(w->doc, "health", rows);
	return db_health_tables(d, w->name, &k->limits, rows, &w->health, e);
}

static int look(struct check *k, struct wiki *w, struct db *d, struct err *e)
{
	autojson json_t *known = json_object();

	if (reality_read(d, w->name, k->x->prefix, &w->have, e))
		return -1;
	json_object_set_new(w->doc, "tables", json_integer(w->have->ntables));
	json_object_set_new(w->doc, "other_tables", json_integer(w->have->others));
	for (int side = 0; side < SIDES; side++)
		if (k->code[side]) {
			compare(k, w, side);
			if (look_at_rows(k, w, d, known, side, e))
				return -1;
		}
	return look_at_health(k, w, d, e);
}

static void judge(struct check *k, struct wiki *w)
{
	if (k->code[BLUE] && k->code[GREEN])
		judge_both(k, w);
	else
		judge_one(k, w, k->code[GREEN] ? GREEN : BLUE);
	w->ok = w->ok && w->health < DB_UNKNOWN;
}

/* --- saying ------------------------------------------------------------------------------ */

static void say_health(const json_t *rows, bool all)
{
	const json_t *r;
	size_t i;

	json_array_foreach(rows, i, r)
		if (all || strcmp(json_str(r, "verdict", ""), "good"))
			printf("  %-8s %-15s %s\n", json_str(r, "verdict", ""), json_str(r, "check", ""), json_str(r, "fact", ""));
}

static bool is_gone(const json_t *r)
{
	return !strcmp(json_str(r, "what", ""), "table") && json_is_null(json_object_get(r, "found"));
}

/* Of a database that is none of this version's, one line and not sixty. */
static void say_gone(const json_t *rows, size_t n)
{
	const char *comma = "";
	const json_t *r;
	size_t i;

	printf("    %-16s %zu tables are missing%s:", "breaks reads", n, n > FEW ? "; an installation or update that did not end?" : "");
	json_array_foreach(rows, i, r)
		if (is_gone(r)) {
			printf("%s %s", comma, json_str(r, "table", ""));
			comma = ",";
		}
	putchar('\n');
}

static void say_row(const json_t *r)
{
	const char *name = json_str(r, "name", "");

	printf("    %-16s %s%s%s  %s: %s\n", json_str(r, "effect", ""), json_str(r, "table", ""), *name ? "." : "", name,
	       json_str(r, "what", ""), json_str(r, "why", ""));
}

static void say_rows(const struct check *k, const json_t *rows, size_t gone)
{
	size_t i, said = 0, left = json_array_size(rows) - (gone > 1 ? gone : 0);
	const json_t *r;

	if (gone > 1)
		say_gone(rows, gone);
	json_array_foreach(rows, i, r) {
		if (gone > 1 && is_gone(r))
			continue;
		if (said++ == ROWS_SAID && !cli_opt(k->c, "all")) {
			printf("    and %zu more (--all, or -o json)\n", left - ROWS_SAID);
			return;
		}
		say_row(r);
	}
}

static void say_side(const struct check *k, const json_t *s, const char *side)
{
	const json_t *rows = json_object_get(s, "data"), *r;
	size_t i;

	printf("  %s %s: %lld differences block it, %lld are harmless\n", side, json_str(s, "version", "(no version)"),
	       (long long)json_num(s, "blocking", 0), (long long)json_num(s, "harmless", 0));
	say_rows(k, json_object_get(s, "rows"), (size_t)json_num(s, "missing_tables", 0));
	json_array_foreach(rows, i, r)
		printf("    %-16s %s  %s\n", json_str(r, "effect", ""), json_str(r, "check", ""), json_str(r, "why", ""));
}

static void say_wiki(const struct check *k, const struct wiki *w)
{
	if (k->c->json) {
		json_dumpf(w->doc, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	printf("%s: %s. %s\n", w->name, json_str(w->doc, "verdict", ""), json_str(w->doc, "why", ""));
	for (int side = 0; side < SIDES; side++)
		if (k->code[side] && json_object_get(w->doc, sides[side]))
			say_side(k, json_object_get(w->doc, sides[side]), sides[side]);
	say_health(json_object_get(w->doc, "health"), !k->farm || cli_opt(k->c, "all"));
}

/* Of a farm, people see those that are not as they should be. */
static void report(struct check *k, struct wiki *w)
{
	pthread_mutex_lock(&k->out);
	k->refused += !w->ok;
	json_object_set_new(w->doc, "ok", json_boolean(w->ok));
	if (!k->farm || !w->ok || k->c->json || cli_opt(k->c, "all"))
		say_wiki(k, w);
	pthread_mutex_unlock(&k->out);
}

/* --- each database ---------------------------------------------------------------------------- */

/* What cannot be seen is not good; that of one database does not hide the others. */
static int check_one(void *ctx, struct db *d, size_t i, struct err *e)
{
	struct check *k = ctx;
	autojson json_t *doc = json_pack("{s:o}", "database", json_text(k->x->names[i]));
	struct wiki w = { .name = k->x->names[i], .doc = doc };
	int rc = look(k, &w, d, e);

	if (!rc) {
		pthread_mutex_lock(&k->out);
		judge(k, &w);
		pthread_mutex_unlock(&k->out);
	} else {
		json_object_set_new(doc, "verdict", json_string("unknown"));
		json_object_set_new(doc, "why", json_text(e->msg));
	}
	if (!rc || (k->farm && e->kind != ERR_NET)) {
		pthread_mutex_lock(&k->out);
		k->unknown += rc != 0;
		pthread_mutex_unlock(&k->out);
		report(k, &w);
		rc = 0;
	}
	schema_free(&w.have);
	return rc;
}

static int check_server(struct check *k, bool *ok, struct err *e)
{
	const struct db_server *s = db_server(k->x->db);
	autojson json_t *rows = json_array();
	enum db_verdict worst = DB_GOOD;

	if (db_health(k->x->db, NULL, &k->limits, rows, &worst, e))
		return -1;
	*ok = worst < DB_UNKNOWN;
	if (k->c->json) {
		cli_print_json(json_pack("{s:o, s:o, s:o, s:b, s:O}", "server", json_text(db_name(k->x->db)), "version",
					 json_text(s->text), "tls", json_text(s->tls), "ok", *ok, "health", rows));
		return 0;
	}
	printf("%s: %s%s%s\n", db_name(k->x->db), s->flavour == DB_MARIADB ? "" : s->aurora ? "Aurora MySQL " : "MySQL ", s->text,
	       *s->tls ? ", TLS" : ", without TLS on this machine");
	say_health(rows, true);
	return 0;
}

static void say_total(const struct check *k, bool server_ok)
{
	bool ok = server_ok && !k->refused;

	if (k->c->json)
		cli_print_json(json_pack("{s:b, s:i, s:i, s:i, s:i, s:i, s:i}", "ok", ok, "databases", (int)k->x->n, "refused",
					 (int)k->refused, "shared", (int)k->by_kind[SHARING_SHARED], "freeze",
					 (int)k->by_kind[SHARING_FREEZE], "impossible", (int)k->by_kind[SHARING_IMPOSSIBLE],
					 "unknown", (int)k->unknown));
	else if (k->farm)
		printf("%zu databases: %zu as they should be, %zu not, of these %zu unknown\n", k->x->n, k->x->n - k->refused,
		       k->refused, k->unknown);
	if (!k->c->json && !server_ok)
		printf("the server itself is not fit for a cutover now\n");
}

/* --- options --------------------------------------------------------------------------------------- */

static int read_choice(const struct cli *c, const char *name, const char *const *words, int *out, struct err *e)
{
	const char *v = cli_opt(c, name);

	for (int i = 0; v && words[i]; i++)
		if (!strcmp(v, words[i])) {
			*out = i;
			return 0;
		}
	return v ? err_set(e, ERR_INPUT, "--%s cannot be \"%.40s\"", name, v) : 0;
}

static int read_limits(const struct cli *c, struct check *k, struct err *e)
{
	static const char *const roles[] = { "writer", "reader", "any", NULL };
	static const char *const kinds[] = { "shared", "freeze", NULL };
	int role = DB_WRITER, want = SHARING_SHARED;

	k->limits = (struct db_thresholds)DB_HEALTH_DEFAULTS;
	if (read_choice(c, "role", roles, &role, e) || read_choice(c, "want", kinds, &want, e) ||
	    dbopen_number(c, "max-lag", 86400, &k->limits.max_lag_s, e) ||
	    dbopen_number(c, "max-transaction", 86400, &k->limits.max_trx_s, e) ||
	    dbopen_number(c, "min-connections", 100000, &k->limits.min_free_conns, e))
		return -1;
	k->limits.role = (enum db_role)role;
	k->limits.replica = cli_opt(c, "replica") != NULL;
	k->limits.need_binlog = cli_opt(c, "binlog") != NULL;
	k->want = (enum schema_sharing)want;
	return 0;
}

static int read_versions(const struct cli *c, struct check *k, struct err *e)
{
	for (int side = 0; side < SIDES; side++)
		if (cli_opt(c, sides[side]) && schema_load(c, cli_opt(c, sides[side]), &k->code[side], e))
			return -1;
	if (!k->code[BLUE] && !k->code[GREEN])
		return err_set(e, ERR_INPUT, "for which version? Say --blue and --green (manifest or tree) to learn whether both may "
			       "use the database, or one of them to learn whether it fits");
	return 0;
}

static int check_all(struct check *k, struct err *e)
{
	int64_t width = CONNECTIONS;
	bool server_ok;

	k->farm = k->x->n > 1;
	if (dbopen_number(k->c, "connections", CONNECTIONS_MAX, &width, e) || check_server(k, &server_ok, e))
		return -1;
	if (!k->farm && check_one(k, k->x->db, 0, e))
		return -1;
	if (k->farm && db_fan(k->x->login, (size_t)width, k->x->n, check_one, dbopen_progress(), k, e))
		return -1;
	say_total(k, server_ok);
	return server_ok && !k->refused ? 0 : 1;
}

static int run(struct cli *c)
{
	autodbopen struct dbopen x = { 0 };
	struct check k = { .c = c, .x = &x, .out = PTHREAD_MUTEX_INITIALIZER };
	struct err e = { 0 };
	int rc = read_limits(c, &k, &e) || read_versions(c, &k, &e) || dbopen(c, &x, &e) ? -1 : check_all(&k, &e);

	schema_free(&k.code[BLUE]);
	schema_free(&k.code[GREEN]);
	return rc < 0 ? dbopen_fail(&e) : rc ? CUTOVER_EXIT_REFUSED : CUTOVER_EXIT_OK;
}

const struct schema_verb schema_verb_check = {
	.name = "check", .args = "[DATABASE...]", .about = "may these versions use this database, and is it fit for a cutover?",
	.run = run, .max_args = 63,
};

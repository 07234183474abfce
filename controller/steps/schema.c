/* steps/schema.c - the gate that reads what a MediaWiki needs of its database
 * and compares it with what the database has.
 *
 * It says which kind of cutover is possible, and refuses a plan that claims
 * another: before anything is touched, after the database work, before promote.
 * It writes nothing: connections are read-only, and wait for no lock. A large
 * wiki's rows take minutes to look through, so that is done in a thread beside
 * the engine, which goes on watching and obeying. */
#include "base/buf.h"
#include "base/duration.h"
#include "base/err.h"
#include "db/health.h"
#include "mediawiki/checks.h"
#include "mediawiki/reality.h"
#include "mediawiki/verdict.h"
#include "plan/plan.h"
#include "steps/beside.h"
#include "steps/kinds.h"

#include <stdio.h>
#include <string.h>

#define AGAIN_MS 1000
#define TELL_ROWS 20 /* differences that stand in the journal; the rest is counted */

struct gate { /* nothing of the step's or the engine's: it may be in another thread */
	json_t *params;             /* a copy */
	char server[320];
	struct db *db;              /* while it is asked; NULL in a simulated run */
	struct schema *blue, *green, *have;
	json_t *health, *data, *known; /* known: of data_checks_run() */
	struct schema_verdict verdict;
	struct schema_diff *diff;   /* of the version that shall work here, and what is here */
	const char *fits;           /* "blue", "green" */
};

static struct gate *gate_new(const struct step_run *r)
{
	struct gate *g = xcalloc(1, sizeof *g);

	g->params = json_deep_copy(r->params);
	g->health = json_array();
	g->data = json_array();
	g->known = json_object();
	g->fits = json_str(g->params, "fits", "blue");
	return g;
}

static void gate_free(struct gate **gp)
{
	struct gate *g = *gp;

	*gp = NULL;
	if (!g)
		return;
	schema_free(&g->blue);
	schema_free(&g->green);
	schema_free(&g->have);
	schema_diff_free(&g->diff);
	json_decref(g->health);
	json_decref(g->data);
	json_decref(g->known);
	json_decref(g->params);
	free(g);
}
#define autogate __attribute__((cleanup(gate_free)))

static bool is_shared(const struct gate *g) { return !strcmp(json_str(g->params, "kind", ""), "shared"); }

static const char *prefix_of(const struct gate *g) { return json_str(g->params, "prefix", ""); }

/* --- what is asked ---------------------------------------------------------------------- */

static int read_manifest(const struct step_run *r, const char *key, struct schema **out, struct err *e)
{
	autofree char *path = sql_path(r, json_str(r->params, key, ""));

	return schema_read(path, out, e) ? err_wrap(e, "%s's manifest", key) : 0;
}

static enum db_role role_of(const json_t *p)
{
	const char *role = json_str(p, "server", "writer");

	return !strcmp(role, "reader") ? DB_READER : !strcmp(role, "any") ? DB_ANY : DB_WRITER;
}

static struct db_thresholds thresholds(const json_t *p)
{
	struct db_thresholds t = DB_HEALTH_DEFAULTS;

	t.role = role_of(p);
	t.replica = json_yes(p, "replica");
	t.max_lag_s = json_num(p, "max_lag", 0) / 1000;
	t.max_trx_s = json_num(p, "max_transaction", 0) / 1000;
	t.max_ddl_waits = json_num(p, "max_ddl_waits", 0);
	t.min_headroom_pm = json_num(p, "min_headroom", 0);
	t.min_free_conns = json_num(p, "min_free_connections", 0);
	t.need_binlog = json_yes(p, "binlog");
	t.need_ddl_rights = json_yes(p, "ddl_rights");
	return t;
}

/* A simulated database has the tables of one of the two versions, or is half
 * way between: then green's, less one. */
static struct schema *simulated_tables(struct gate *g, const char *word)
{
	autojson json_t *doc = schema_json(!strcmp(word, "old") ? g->blue : g->green);
	json_t *tables = json_object_get(doc, "tables");
	struct schema *s = NULL;
	struct err ignored = { 0 };

	if (!strcmp(word, "half"))
		json_object_del(tables, json_object_iter_key(json_object_iter(tables)));
	return schema_from_json(doc, "simulated database", &s, &ignored) ? NULL : s;
}

static int look_simulated(struct gate *g, struct sql *sql, struct err *e)
{
	autojson json_t *j = NULL;

	if (sql_ask_simulated(sql, "schema", &j, e))
		return -1;
	g->have = simulated_tables(g, json_str(j, "schema", ""));
	return g->have ? 0 : err_set(e, ERR_GONE, "there is no wiki in %s", g->server);
}

static int look_real(struct gate *g, struct err *e)
{
	const char *name = json_str(g->params, "name", "");
	struct db_thresholds t = thresholds(g->params);
	enum db_verdict worst = DB_GOOD;

	if (db_health(g->db, name, &t, g->health, &worst, e))
		return -1;
	return reality_read(g->db, name, prefix_of(g), &g->have, e);
}

/* In a simulated run no row is broken: its tables are what it keeps. */
static int ask_number(void *ctx, const char *sql, int64_t *n, bool *null, struct err *e)
{
	struct gate *g = ctx;

	*n = 0;
	*null = false;
	return g->db ? db_number(g->db, sql, n, null, e) : 0;
}

/* --- what it means -------------------------------------------------------------------------- */

static bool is_waived(const struct gate *g, const char *check)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(g->params, "waived"), i, v)
		if (!strcmp(json_string_value(v), check))
			return true;
	return false;
}

static bool is_ill(const char *verdict)
{
	return !strcmp(verdict, db_verdict_name(DB_BAD)) || !strcmp(verdict, db_verdict_name(DB_UNKNOWN));
}

/* The first finding that is not good: unknown is not. */
static int judge_health(struct gate *g, struct err *e)
{
	size_t i;
	json_t *row;

	json_array_foreach(g->health, i, row)
		if (is_ill(json_str(row, "verdict", "")) && !is_waived(g, json_str(row, "check", "")))
			return err_set(e, ERR_BUSY, "database %s: %s (%s)", g->server, json_str(row, "fact", "?"),
				       json_str(row, "check", "?"));
	return 0;
}

static const struct schema_row *first_block(const struct schema_diff *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (schema_effect_blocks(d->row[i].effect[0]))
			return &d->row[i];
	return NULL;
}

/* Does this version work on what is here? */
static int judge_tables(struct gate *g, const struct schema *code, const char *colour, struct err *e)
{
	const struct schema_row *row;

	schema_diff_free(&g->diff);
	g->diff = schema_compare(code, g->have);
	row = first_block(g->diff);
	if (!row)
		return 0;
	return err_set(e, ERR_GATE, "%s%s%s does not work on database %s: %zu differences, the first is %s%s%s: %s (%s)", colour,
		       code->version ? " " : "", code->version ? code->version : "", g->server, g->diff->blocking[0],
		       row->table, *row->name ? "." : "", row->name, row->why[0], schema_effect_name(row->effect[0]));
}

static bool is_blocking(const char *effect)
{
	for (int f = EFFECT_HARMLESS; f <= EFFECT_LOSS; f++)
		if (!strcmp(effect, schema_effect_name(f)))
			return schema_effect_blocks(f);
	return true;
}

/* Rows that are there, or may be, and that this version would lose. */
static int judge_data(struct gate *g, const struct schema *code, const char *colour, struct err *e)
{
	autojson json_t *rows = NULL;
	enum schema_effect worst;
	size_t i;
	json_t *row;

	if (!code->version || !json_yes(g->params, "data"))
		return 0;
	if (data_checks_run(code->version, g->have, prefix_of(g), ask_number, g, g->known, &rows, &worst, e))
		return -1;
	json_array_extend(g->data, rows);
	json_array_foreach(rows, i, row)
		if (is_blocking(json_str(row, "effect", "")) && !is_waived(g, json_str(row, "check", "")))
			return err_set(e, ERR_GATE, "%s %s would not see or would refuse rows of database %s: %s: %s", colour, code->version,
				       g->server, json_str(row, "check", "?"), json_str(row, "why", "?"));
	return 0;
}

/* What the plan claims must be what the tables allow. Once the copy is updated,
 * they no longer tell what the kind was: then the two versions themselves do. */
static int judge_kind(struct gate *g, struct err *e)
{
	bool before = is_shared(g) || !strcmp(g->fits, "blue");
	const char *claim = json_str(g->params, "kind", "");

	schema_judge(g->blue, g->green, before ? g->have : NULL, &g->verdict);
	if (!strcmp(claim, schema_sharing_name(g->verdict.kind)))
		return 0;
	return err_set(e, ERR_GATE, "the plan says \"%s\", and it is \"%s\": %s", claim, schema_sharing_name(g->verdict.kind),
		       g->verdict.why);
}

static int judge_version(struct gate *g, const struct schema *code, const char *colour, struct err *e)
{
	return judge_tables(g, code, colour, e) || judge_data(g, code, colour, e) ? -1 : 0;
}

static int judge(struct gate *g, struct err *e)
{
	bool blue = is_shared(g) || !strcmp(g->fits, "blue"), green = is_shared(g) || !strcmp(g->fits, "green");

	if (judge_health(g, e) || judge_kind(g, e))
		return -1;
	if (blue && judge_version(g, g->blue, "blue", e))
		return -1;
	return green ? judge_version(g, g->green, "green", e) : 0;
}

/* --- how far back is free ---------------------------------------------------------------------- */

static enum horizon_act act_of(const struct step *s)
{
	static const struct { const struct step_kind *kind; enum horizon_act act; } acts[] = {
		{ &step_freeze, HORIZON_FREEZE }, { &step_shift, HORIZON_SHIFT }, { &step_promote, HORIZON_SHIFT },
		{ &step_thaw, HORIZON_UNFREEZE }, { &step_retire, HORIZON_RETIRE },
	};

	for (size_t i = 0; i < COUNT(acts); i++)
		if (acts[i].kind == s->kind)
			return acts[i].act;
	/* A task that a schema step judges is the update. */
	return s->kind == &step_task && strcmp(json_str(s->params, "judge", "exit"), "exit") ? HORIZON_UPDATE : HORIZON_NOTHING;
}

static void horizon_of(const struct step *s, const struct plan *p, struct horizon *out)
{
	bool shared = !strcmp(json_str(s->params, "kind", ""), "shared");
	autofree struct horizon_step *steps = xcalloc(p->nsteps, sizeof *steps);

	for (size_t i = 0; i < p->nsteps; i++)
		steps[i] = (struct horizon_step){ p->steps[i].id, act_of(&p->steps[i]) };
	schema_horizon(shared ? SHARING_SHARED : SHARING_FREEZE, steps, p->nsteps, out);
}

/* --- what is told --------------------------------------------------------------------------------- */

static json_t *first_rows(const struct schema_diff *d)
{
	autojson json_t *all = d ? schema_diff_json(d) : json_array();
	json_t *some = json_array();

	for (size_t i = 0; i < json_array_size(all) && i < TELL_ROWS; i++)
		json_array_append(some, json_array_get(all, i));
	return some;
}

static json_t *facts(const struct step_run *r, const struct gate *g)
{
	struct horizon h;

	horizon_of(r->step, r->plan, &h);
	return json_pack("{s:s, s:s, s:s, s:o, s:I, s:o, s:O, s:O, s:o}", "database", g->server, "fits", g->fits, "kind",
			 g->verdict.why[0] ? schema_sharing_name(g->verdict.kind) : "not judged", "why", json_text(g->verdict.why), "differences",
			 (json_int_t)(g->diff ? g->diff->n : 0), "rows", first_rows(g->diff), "health", g->health, "data", g->data,
			 "horizon", json_text(h.why));
}

/* What may pass by itself (a long transaction, a lag) is looked at again. */
static enum step_verdict refused(struct step_run *r, const struct gate *g, const struct err *why, struct err *e)
{
	int64_t patience = json_num(r->params, "patience", 0);
	json_t *told;

	if (why->kind == ERR_BUSY && r->now - r->since < patience) {
		step_say(r, "looking again: %.200s", why->msg);
		r->wake_at = r->now + AGAIN_MS;
		return STEP_WAIT;
	}
	told = g->have ? facts(r, g) : json_pack("{s:s}", "fits", g->fits);
	json_object_set_new(told, "refused", json_text(why->msg));
	if (step_note(r, "the schema gate says no", told, e))
		return STEP_FAIL;
	*e = *why;
	if (why->kind == ERR_BUSY)
		e->kind = ERR_GATE;
	return STEP_FAIL;
}

/* --- asking ------------------------------------------------------------------------------------- */

static int gate_make(struct step_run *r, void **answer, struct err *e)
{
	struct gate *g = gate_new(r);

	*answer = g;
	return read_manifest(r, "blue", &g->blue, e) || read_manifest(r, "green", &g->green, e) ? -1 : 0;
}

static int gate_ask(const struct sql_from *from, void *answer, struct err *e)
{
	autosql struct sql *sql = NULL;
	struct gate *g = answer;
	int rc;

	if (sql_open(from, &sql_main, json_str(g->params, "name", ""), &sql, e))
		return -1;
	snprintf(g->server, sizeof g->server, "%s", sql_name(sql));
	g->db = sql_db(sql);
	rc = (g->db ? look_real(g, e) : look_simulated(g, sql, e)) || judge(g, e) ? -1 : 0;
	g->db = NULL;
	return rc;
}

static void gate_discard(void *answer)
{
	struct gate *g = answer;

	gate_free(&g);
}

static const struct beside question = { .name = "gate", .make = gate_make, .ask = gate_ask, .discard = gate_discard };

/* --- the step -------------------------------------------------------------------------------------- */

static bool is_no_answer(const struct gate *g, const struct err *why)
{
	return why->kind == ERR_NET || (!(g && g->have) && err_retryable(why));
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	autogate struct gate *g = NULL;
	struct err why = { 0 };
	void *answer;
	int rc = beside_ask(r, &question, &answer, &why);

	g = answer;
	if (rc > 0) {
		step_say(r, "reading what the database has");
		return STEP_WAIT;
	}
	if (rc && !is_no_answer(g, &why))
		return refused(r, g, &why, e);
	if (rc) {
		*e = why;
		return STEP_FAIL;
	}
	step_output(r, "Kind", schema_sharing_name(g->verdict.kind));
	return step_note(r, "the schema gate says yes", facts(r, g), e) ? STEP_FAIL : STEP_DONE;
}

static void check_waived(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(s->params, "waived"), i, v)
		if (!db_health_has(json_string_value(v)) && !data_check_find(json_string_value(v)))
			plan_bad(errs, p, s, "waived", "\"%.60s\" is no check of health or data", json_string_value(v));
}

static void validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	struct horizon h;

	sql_validate(s, p, errs);
	horizon_of(s, p, &h);
	if (json_object_get(s->params, "kind") && !h.sound)
		plan_bad(errs, p, s, "kind", "the order of the steps does not fit it: %s", h.why);
	if (s->timeout_ms <= json_num(s->params, "patience", 0))
		plan_bad(errs, p, s, "timeout", "must be longer than patience");
	if (s->timeout_ms <= json_num(s->params, "statement_limit", 0))
		plan_bad(errs, p, s, "timeout", "must be longer than statement_limit");
	check_waived(s, p, errs);
}

static int64_t worst_ms(const struct step *s)
{
	return json_num(s->params, "patience", 0);
}

static const char *const kinds[] = { "shared", "freeze", NULL }, *const sides[] = { "blue", "green", NULL },
		  *const roles[] = { "writer", "reader", "any", NULL };

static const struct param params[] = {
	{ .name = "kind", .type = PARAM_CHOICE, .required = true, .choices = kinds,
	  .about = "what this plan is: shared (both versions use one database) or freeze (green has an updated copy)" },
	{ .name = "fits", .type = PARAM_CHOICE, .def = "\"blue\"", .choices = sides,
	  .about = "whose version must work on this database now; with \"shared\", both must" },
	{ .name = "blue", .type = PARAM_STRING, .required = true,
	  .about = "manifest of blue's version (`cutover schema expect`), relative to the plan" },
	{ .name = "green", .type = PARAM_STRING, .required = true, .about = "manifest of green's version" },
	SQL_LOGIN_PARAMS(true),
	{ .name = "name", .type = PARAM_STRING, .required = true, .about = "name of the database ($wgDBname)" },
	{ .name = "prefix", .type = PARAM_STRING, .def = "\"\"", .about = "what its tables' names begin with ($wgDBprefix)" },
	{ .name = "data", .type = PARAM_BOOL, .def = "true", .about = "look for rows that the version could not read, too" },
	{ .name = "server", .type = PARAM_CHOICE, .def = "\"writer\"", .choices = roles, .about = "what the server must be" },
	{ .name = "replica", .type = PARAM_BOOL, .def = "false", .about = "it must follow another by binlog" },
	{ .name = "max_lag", .type = PARAM_DURATION, .def = "\"PT5S\"", .max = 86400000L, .about = "of a replica" },
	{ .name = "max_transaction", .type = PARAM_DURATION, .def = "\"PT1M\"", .max = 86400000L, .about = "age of the oldest open transaction" },
	{ .name = "max_ddl_waits", .type = PARAM_INT, .def = "0", .max = 1000, .about = "sessions that wait for a metadata lock" },
	{ .name = "min_headroom", .type = PARAM_PERCENT, .def = "\"10%\"", .max = 1000, .about = "of each auto_increment that is still free" },
	{ .name = "min_free_connections", .type = PARAM_INT, .def = "10", .max = 100000, .about = "connections that are free" },
	{ .name = "binlog", .type = PARAM_BOOL, .def = "false", .about = "it must write a full row-based binlog, for a copy to follow" },
	{ .name = "ddl_rights", .type = PARAM_BOOL, .def = "false", .about = "this login must be able to change tables" },
	{ .name = "statement_limit", .type = PARAM_DURATION, .def = "\"PT1M\"", .min = 1000, .max = 3600000L,
	  .about = "longest a question may take; what takes longer, such as one to all revisions, is unknown, and unknown is no" },
	{ .name = "waived", .type = PARAM_STRINGS, .max = 20, .about = "checks of health or data that may say no or nothing" },
	{ .name = "patience", .type = PARAM_DURATION, .def = "\"PT30S\"", .max = 3600000L,
	  .about = "how long health that is not good is looked at again" },
	{ 0 },
};

static const enum aws_op ops[] = { SECRETS_GET_SECRET_VALUE };

const struct step_kind step_schema = {
	.name = "schema", .about = "compare what a MediaWiki version needs of its database with what the database has; refuse what does not fit",
	.params = params, .timeout_ms = MINUTES(10), .ops = ops, .nops = COUNT(ops), .validate = validate, .worst_ms = worst_ms,
	.advance = advance,
};

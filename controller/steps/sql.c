#include "steps/sql.h"

#include "base/buf.h"
#include "base/err.h"
#include "net/http.h"
#include "plan/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STATEMENT_MS 5000
#define ANSWER_MAX ((size_t)1 << 20)

const struct sql_at sql_main = { "host", "port" }, sql_source = { "source_host", "source_port" };

struct sql_from {
	struct step_run *r; /* lent, of a simulated run; else NULL */
	struct {
		const struct sql_at *at;
		char name[320]; /* "" : the step has no such parameter */
		struct db_login *login;
	} of[2];
};

struct sql {
	struct step_run *r;   /* of a simulated run */
	struct db *db;        /* NULL: simulated */
	char name[320];
};

char *sql_path(const struct step_run *r, const char *path)
{
	const char *plan = r->plan->file, *slash = plan ? strrchr(plan, '/') : NULL;

	if (path[0] == '/' || !slash)
		return xstrdup(path);
	return xasprintf("%.*s/%s", (int)(slash - plan), plan, path);
}

/* --- opening --------------------------------------------------------------------------- */

static int port_of(const char *text, int *port, struct err *e)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 1 || n > 65535)
		return err_set(e, ERR_INPUT, "\"%.40s\" is no port", text);
	*port = (int)n;
	return 0;
}

static int login_of(struct step_run *r, const char *host, int port, struct db_login **out, struct err *e)
{
	const json_t *p = r->params;
	autofree char *ca = json_object_get(p, "ca") ? sql_path(r, json_str(p, "ca", "")) : NULL;
	struct db_source source = {
		.host = host, .port = port, .user = json_str(p, "user", NULL), .secret = json_str(p, "secret", NULL),
		.iam = json_yes(p, "iam"), .ca = ca, .statement_ms = (int)json_num(p, "statement_limit", STATEMENT_MS),
	};

	return db_login_new(&source, r->aws, out, e) || db_login_token(*out, e) ? -1 : 0;
}

static int from_one(struct step_run *r, const struct sql_at *at, struct sql_from *f, size_t i, struct err *e)
{
	const char *host = json_str(r->params, at->host, NULL), *port = json_str(r->params, at->port, "3306");
	int number = 0;

	f->of[i].at = at;
	if (!host)
		return 0;
	snprintf(f->of[i].name, sizeof f->of[i].name, "%.250s:%.10s", host, port);
	if (port_of(port, &number, e))
		return -1;
	return r->simulated ? 0 : login_of(r, host, number, &f->of[i].login, e);
}

int sql_from_new(struct step_run *r, struct sql_from **out, struct err *e)
{
	autofrom struct sql_from *f = xcalloc(1, sizeof *f);

	f->r = r->simulated ? r : NULL;
	if (from_one(r, &sql_main, f, 0, e) || from_one(r, &sql_source, f, 1, e))
		return -1;
	*out = steal(&f);
	return 0;
}

void sql_from_free(struct sql_from **f)
{
	for (size_t i = 0; *f && i < COUNT((*f)->of); i++)
		db_login_free(&(*f)->of[i].login);
	free(*f);
	*f = NULL;
}

int sql_open(const struct sql_from *f, const struct sql_at *at, const char *database, struct sql **out, struct err *e)
{
	size_t i = f->of[0].at == at ? 0 : 1;
	autosql struct sql *s = xcalloc(1, sizeof *s);

	s->r = f->r;
	memcpy(s->name, f->of[i].name, sizeof s->name);
	if (!*s->name)
		return err_set(e, ERR_BUG, "the step has no parameter %s", at->host);
	if (!f->r && (db_open(f->of[i].login, &s->db, e) || (database && db_use(s->db, database, e))))
		return -1;
	*out = steal(&s);
	return 0;
}

void sql_close(struct sql **s)
{
	if (*s)
		db_close(&(*s)->db);
	free(*s);
	*s = NULL;
}

struct db *sql_db(struct sql *s) { return s->db; }
const char *sql_name(const struct sql *s) { return s->name; }

/* --- the simulated world's databases ------------------------------------------------------ */

int sql_ask_simulated(struct sql *s, const char *question, json_t **out, struct err *e)
{
	autofree char *url = xasprintf("sim-database://%s/%s", s->name, question);
	struct http_req q = { .method = "GET", .url = url, .max_answer = ANSWER_MAX };
	autores struct http_res a = { 0 };

	if (http_send(s->r->http, &q, &a, e))
		return err_wrap(e, "asking database %s", s->name);
	*out = json_loadb(a.body, a.nbody, 0, NULL);
	if (a.status == 200 && json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return err_set(e, a.status == 404 ? ERR_GONE : ERR_NET, "database %s does not answer", s->name);
}

static void position_from(const json_t *j, const char *key, struct db_position *p)
{
	const json_t *o = json_object_get(j, key);

	snprintf(p->file, sizeof p->file, "%.120s", json_str(o, "file", ""));
	p->at = (uint64_t)json_num(o, "at", 0);
}

static int simulated_replica(struct sql *s, struct db_replica *out, struct err *e)
{
	autojson json_t *j = NULL;

	if (sql_ask_simulated(s, "replica", &j, e))
		return -1;
	*out = (struct db_replica){ .follows = json_yes(j, "follows"), .fetches = json_yes(j, "fetches"),
				    .applies = json_yes(j, "applies"), .lag_s = json_num(j, "lag_s", -1) };
	position_from(j, "done", &out->done);
	snprintf(out->error, sizeof out->error, "%.250s", json_str(j, "error", ""));
	snprintf(out->source, sizeof out->source, "%.120s", json_str(j, "source", ""));
	return 0;
}

/* The same rows as a server's, so that the same code reads them. */
static int simulated_rows(struct sql *s, const char *question, json_t **rows, struct err *e)
{
	autojson json_t *j = NULL;

	*rows = NULL;
	if (sql_ask_simulated(s, question, &j, e))
		return e->kind == ERR_GONE ? err_set(e, ERR_GATE, "its log has no such file or event") : -1;
	*rows = json_incref(json_object_get(j, "rows"));
	return 0;
}

static int simulated_status(void *sql, json_t **rows, struct err *e) { return simulated_rows(sql, "status", rows, e); }
static int simulated_files(void *sql, json_t **rows, struct err *e) { return simulated_rows(sql, "files", rows, e); }

static int simulated_events(void *sql, const struct db_position *from, int most, json_t **rows, struct err *e)
{
	autofree char *question = xasprintf("events?file=%s&at=%" PRIu64 "&most=%d", from->file, from->at, most);

	return simulated_rows(sql, question, rows, e);
}

/* --- questions ------------------------------------------------------------------------------ */

int sql_position(struct sql *s, struct db_position *out, struct err *e)
{
	autojson json_t *j = NULL;

	if (s->db)
		return db_position(s->db, out, e);
	*out = (struct db_position){ 0 };
	if (sql_ask_simulated(s, "position", &j, e))
		return -1;
	position_from(j, "position", out);
	return 0;
}

int sql_open_since(struct sql *s, int64_t older_s, int64_t *n, struct err *e)
{
	autofree char *question = xasprintf("open?since=%" PRId64, older_s);
	autojson json_t *j = NULL;

	if (s->db)
		return db_open_since(s->db, older_s, n, e);
	if (sql_ask_simulated(s, question, &j, e))
		return -1;
	*n = json_num(j, "open", 0);
	return 0;
}

int sql_open_writers(struct sql *s, const json_t *counts, int64_t *n, struct err *e)
{
	autojson json_t *j = NULL;

	if (s->db)
		return db_open_writers(s->db, counts, n, e);
	if (sql_ask_simulated(s, "writers", &j, e))
		return -1;
	*n = json_num(j, "writers", 0);
	return 0;
}

int sql_written_since(struct sql *s, const struct db_position *since, const json_t *counts, struct binlog_written *out,
		      struct err *e)
{
	struct binlog log = s->db ? binlog_of(s->db) : (struct binlog){ simulated_status, simulated_files, simulated_events, s };

	return binlog_written_since(&log, since, counts, out, e);
}

int sql_knows(struct sql *s, const json_t *counts, struct err *e)
{
	return s->db ? binlog_knows(s->db, counts, e) : 0;
}

int sql_replica(struct sql *s, struct db_replica *out, struct err *e)
{
	return s->db ? db_replica(s->db, out, e) : simulated_replica(s, out, e);
}

int sql_detach(struct sql *s, struct err *e)
{
	autojson json_t *j = NULL;

	return s->db ? db_replica_detach(s->db, e) : sql_ask_simulated(s, "detach", &j, e);
}

/* --- in the plan -------------------------------------------------------------------------------- */

void sql_validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	bool secret = json_object_get(s->params, "secret"), iam = json_yes(s->params, "iam");

	if (secret && iam)
		plan_bad(errs, p, s, "iam", "and secret are two ways to log in: leave one");
	if (iam && !json_object_get(s->params, "user"))
		plan_bad(errs, p, s, "user", "is missing: an IAM token is made for a user");
}

/* steps/sql.h - what schema and database ask of a database.
 *
 * In a simulated run no connection is made: the question goes through the HTTP
 * seam to "sim-database://host:port/...", a scheme that no real client speaks,
 * and the simulated world answers with the state it keeps (sim/databases.c). So
 * a question to a database is a request like any other: it can be lost, and the
 * process can die at it. */
#ifndef CUTOVER_STEPS_SQL_H
#define CUTOVER_STEPS_SQL_H

#include "db/binlog.h"
#include "db/replica.h"
#include "engine/step.h"

#define SQL_LOGIN_PARAMS(needed) \
	{ .name = "host", .type = PARAM_STRING, .required = needed, .about = "the database: \"${copy.Endpoint}\"" }, \
	{ .name = "port", .type = PARAM_STRING, .def = "\"3306\"", .about = "its port, as text: \"${copy.Port}\"" }, \
	{ .name = "user", .type = PARAM_STRING, .about = "who we are there; a secret may say it too" }, \
	{ .name = "secret", .type = PARAM_STRING, \
	  .about = "ARN of a secret with {\"username\", \"password\"}; exactly one of secret and iam, or none on loopback" }, \
	{ .name = "iam", .type = PARAM_BOOL, .def = "false", .about = "log in with an RDS IAM token, made for each connection" }, \
	{ .name = "ca", .type = PARAM_STRING, .about = "PEM bundle that signs its certificate, relative to the plan; without it, the system's" }

/* host and port of the step's parameters of these names; the login is the same
 * for source and copy, since a copy has its source's users. */
struct sql_at { const char *host, *port; };
extern const struct sql_at sql_main, sql_source; /* host, port; source_host, source_port */

/* Whom a step may ask, with the secrets and tokens fetched: all that another
 * thread needs. In the engine's thread; in a simulated run it lends r. */
struct sql_from;
int sql_from_new(struct step_run *r, struct sql_from **out, struct err *e);
void sql_from_free(struct sql_from **f);
#define autofrom __attribute__((cleanup(sql_from_free)))

/* A connection, or the simulated world's. It is opened, and asked, in a question
 * of steps/beside.h only: a real one takes as long as the other side likes. */
struct sql;
int sql_open(const struct sql_from *f, const struct sql_at *at, const char *database, struct sql **out, struct err *e);
void sql_close(struct sql **s);
#define autosql __attribute__((cleanup(sql_close)))
struct db *sql_db(struct sql *s);       /* NULL in a simulated run */
const char *sql_name(const struct sql *s);
/* A simulated run's question; *out: json_decref. */
int sql_ask_simulated(struct sql *s, const char *question, json_t **out, struct err *e);

int sql_position(struct sql *s, struct db_position *out, struct err *e);
int sql_open_since(struct sql *s, int64_t older_s, int64_t *n, struct err *e);
int sql_open_writers(struct sql *s, const json_t *counts, int64_t *n, struct err *e);
int sql_written_since(struct sql *s, const struct db_position *since, const json_t *counts, struct binlog_written *out,
		      struct err *e);
int sql_knows(struct sql *s, const json_t *counts, struct err *e); /* binlog_knows(); a simulated one does */
int sql_replica(struct sql *s, struct db_replica *out, struct err *e);
int sql_detach(struct sql *s, struct err *e);

/* A path of the plan, relative to the plan file; caller frees. */
char *sql_path(const struct step_run *r, const char *path);
void sql_validate(const struct step *s, const struct plan *p, struct plan_errors *errs);
#endif

/* The wiki's databases: edits, tables, who follows whom, and the lock file.
 *
 * A real run asks them by SQL, which has a protocol of its own; a simulated one
 * sends "sim-database://host:port/QUESTION" through http_send (steps/sql.h), and
 * is answered here:
 *   position  {"position": {"file", "at"}}          where the log ends
 *   status, files, events                            binlog.c
 *   open      {"open": n}                            old transactions
 *   writers   {"writers": n}                         that have changed rows
 *   replica   {"follows", "fetches", "applies", "lag_s", "done", "error", "source"}
 *   detach    {}                                     the copy follows no more
 *   schema    {"schema": "old" | "half" | "new"}     which version's tables it has
 * A host that is no copy's endpoint is the source. */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#define CATCH_UP 0.4     /* of what it lacks, each second */
#define EDITS 0.02       /* share of users' requests */

/* --- the lock ------------------------------------------------------------------------------ */

void databases_lock(struct sim *s, const char *text)
{
	if (!s->db.locked)
		s->db.locked_at = s->now;
	s->db.locked = true;
	snprintf(s->db.lock, sizeof s->db.lock, "%s", text);
}

void databases_unlock(struct sim *s)
{
	if (s->db.locked)
		s->db.locked_ms += (double)(s->now - s->db.locked_at);
	s->db.locked = false;
	s->db.locked_at = 0;
	s->db.lock[0] = '\0';
}

void sim_lock(struct sim *s, const char *reason)
{
	if (reason)
		databases_lock(s, reason);
	else
		databases_unlock(s);
}

/* --- who uses what ---------------------------------------------------------------------------- */

struct copy *databases_newest(struct sim *s)
{
	return s->db.ncopies ? &s->db.copy[s->db.ncopies - 1] : NULL;
}

enum tables *databases_tables(struct sim *s, int colour)
{
	struct copy *c = colour == GREEN ? databases_newest(s) : NULL;

	return c ? &c->tables : &s->db.tables;
}

bool databases_fit(struct sim *s, int colour)
{
	if (!s->upgrade)
		return *databases_tables(s, colour) != TABLES_HALF;
	return *databases_tables(s, colour) == (colour == GREEN ? TABLES_NEW : TABLES_OLD);
}

/* --- edits ---------------------------------------------------------------------------------------- */

void databases_edit(struct sim *s, int colour, double requests)
{
	double n = dice_count(&s->edits_dice, requests * EDITS);
	struct copy *c = colour == GREEN ? databases_newest(s) : NULL;

	if (s->db.locked) {
		s->db.refused += n;
		return;
	}
	if (!databases_fit(s, colour))
		return; /* they fail, and their users see it */
	if (c)
		c->own += n;
	else
		log_edits(s, n);
}

static void follow(struct sim *s, struct copy *c)
{
	double lacks = s->db.edits - c->has;

	if (!c->follows || s->db.stuck || s->now < c->ready)
		return;
	c->has = lacks < 2 ? s->db.edits : c->has + (double)(long)(lacks * CATCH_UP + 1);
}

void databases_tick(struct sim *s)
{
	log_tick(s);
	for (size_t i = 0; i < s->db.ncopies; i++)
		follow(s, &s->db.copy[i]);
}

/* --- answers ------------------------------------------------------------------------------------------ */

static struct copy *find_copy(struct sim *s, const char *host)
{
	size_t n = strcspn(host, ":");

	for (size_t i = 0; i < s->db.ncopies; i++)
		if (strlen(s->db.copy[i].endpoint) == n && !memcmp(s->db.copy[i].endpoint, host, n))
			return &s->db.copy[i];
	return NULL;
}

static json_t *replica_json(const struct sim *s, const struct copy *c)
{
	double lacks = c ? s->db.edits - c->has : 0;

	if (!c || !c->follows)
		return json_pack("{s:b}", "follows", 0);
	return json_pack("{s:b,s:b,s:b,s:I,s:o,s:s,s:s}", "follows", 1, "fetches", 1, "applies", !s->db.stuck, "lag_s",
			 (json_int_t)(s->db.stuck ? -1 : lacks > 0 ? 1 + (json_int_t)lacks / 100 : 0), "done", log_position(s, c->has), "error",
			 "", "source", "the source");
}

/* What green's code does to tables in a simulated run is what update.php did. */
static json_t *schema_said(const struct sim *s, const struct copy *c)
{
	static const char *const words[] = { [TABLES_OLD] = "old", [TABLES_HALF] = "half", [TABLES_NEW] = "new" };

	return json_pack("{s:s}", "schema", words[c ? c->tables : s->db.tables]);
}

static bool is_asked(const struct ask *k, const char *what)
{
	return !strcmp(k->path + (k->path[0] == '/'), what);
}

static const struct answer *of_log(const struct ask *k)
{
	const struct answer *r = log_answers;

	while (r->action && !is_asked(k, r->action))
		r++;
	return r->action ? r : NULL;
}

void databases_answer(struct sim *s, const struct ask *k, struct say *a)
{
	struct copy *c = find_copy(s, k->host);
	const struct answer *log = of_log(k);

	a->type = "application/json";
	a->took_ms = 5;
	if (c && s->now < c->ready)
		say_error(a, 503, "NotReady", "The copy is not there yet.");
	else if (log)
		log->fn(s, k, a);
	else if (is_asked(k, "position"))
		say_json(a, json_pack("{s:o}", "position", log_position(s, s->db.edits)));
	else if (is_asked(k, "open") || is_asked(k, "writers"))
		say_json(a, json_pack("{s:i}", is_asked(k, "open") ? "open" : "writers", 0));
	else if (is_asked(k, "replica"))
		say_json(a, replica_json(s, c));
	else if (is_asked(k, "schema"))
		say_json(a, schema_said(s, c));
	else if (is_asked(k, "detach")) {
		if (c)
			c->follows = false;
		say_json(a, json_object());
	} else {
		say_error(a, 404, "NoSuchQuestion", "Nobody asks databases that.");
	}
}

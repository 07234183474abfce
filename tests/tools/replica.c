/* Asks a database what db/replica.h asks, for tests/database/test_replica.py:
 *
 *   replica HOST PORT USER position | replica | open SECONDS | detach
 *   replica HOST PORT USER writers COUNTS
 *   replica HOST PORT USER written {"file", "at", "counts"}     counts: a list or null
 *   replica - - - reached DONE-FILE DONE-AT WANT-FILE WANT-AT
 *
 * Prints one JSON object; an error is {"kind", "msg"} with exit status 1. */
#include "base/err.h"
#include "base/json.h"
#include "db/binlog.h"
#include "db/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print(json_t *j)
{
	char *text = json_flat(j);

	puts(text);
	free(text);
	json_decref(j);
	return 0;
}

static json_t *position_json(const struct db_position *p)
{
	return json_pack("{s:s, s:I}", "file", p->file, "at", (json_int_t)p->at);
}

static int position(struct db *d, const char *more, struct err *e)
{
	struct db_position p;

	(void)more;
	return db_position(d, &p, e) ? -1 : print(position_json(&p));
}

static int replica(struct db *d, const char *more, struct err *e)
{
	struct db_replica r;

	(void)more;
	if (db_replica(d, &r, e))
		return -1;
	return print(json_pack("{s:b, s:b, s:b, s:I, s:o, s:s, s:s}", "follows", r.follows, "fetches", r.fetches, "applies", r.applies,
			       "lag_s", (json_int_t)r.lag_s, "done", position_json(&r.done), "source", r.source, "error", r.error));
}

static int open_since(struct db *d, const char *more, struct err *e)
{
	int64_t n;

	return db_open_since(d, more ? atoll(more) : 0, &n, e) ? -1 : print(json_pack("{s:I}", "open", (json_int_t)n));
}

static int writers(struct db *d, const char *more, struct err *e)
{
	autojson json_t *counts = json_loads(more, JSON_DECODE_ANY, NULL);
	int64_t n;

	return db_open_writers(d, counts, &n, e) ? -1 : print(json_pack("{s:I}", "writers", (json_int_t)n));
}

static int written(struct db *d, const char *more, struct err *e)
{
	autojson json_t *j = json_loads(more, 0, NULL);
	struct db_position since = { .at = (uint64_t)json_num(j, "at", 0) };
	autowritten struct binlog_written w = { 0 };
	struct binlog log = binlog_of(d);

	snprintf(since.file, sizeof since.file, "%s", json_str(j, "file", ""));
	if (binlog_knows(d, json_object_get(j, "counts"), e) || binlog_written_since(&log, &since, json_object_get(j, "counts"), &w, e))
		return -1;
	return print(json_pack("{s:O, s:b, s:I, s:o, s:s}", "tables", w.tables, "whole", w.whole, "events", (json_int_t)w.events, "upto",
			       position_json(&w.upto), "statement", w.statement));
}

static int detach(struct db *d, const char *more, struct err *e)
{
	(void)more;
	return db_replica_detach(d, e) ? -1 : print(json_object());
}

static int ask(char **argv, struct err *e)
{
	static const struct { const char *name; int (*fn)(struct db *, const char *, struct err *); } questions[] = {
		{ "position", position }, { "replica", replica }, { "open", open_since }, { "detach", detach },
		{ "writers", writers }, { "written", written },
	};
	struct db_source source = { .host = argv[1], .port = atoi(argv[2]), .user = argv[3] };
	autologin struct db_login *login = NULL;
	autodb struct db *d = NULL;

	if (db_login_new(&source, NULL, &login, e) || db_open(login, &d, e))
		return -1;
	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
		if (!strcmp(questions[i].name, argv[4]))
			return questions[i].fn(d, argv[5], e);
	return err_set(e, ERR_INPUT, "no such question: %s", argv[4]);
}

static int reached(char **argv)
{
	struct db_position done = { .at = strtoull(argv[6], NULL, 10) }, want = { .at = strtoull(argv[8], NULL, 10) };

	snprintf(done.file, sizeof done.file, "%s", argv[5]);
	snprintf(want.file, sizeof want.file, "%s", argv[7]);
	return print(json_pack("{s:b}", "reached", db_position_reached(&done, &want)));
}

int main(int argc, char **argv)
{
	struct err e = { 0 };

	if (argc == 9 && !strcmp(argv[4], "reached"))
		return reached(argv);
	if (argc < 5)
		return 2;
	if (!ask(argv, &e))
		return 0;
	print(json_pack("{s:s, s:s}", "kind", err_kind_name(e.kind), "msg", e.msg));
	return 1;
}

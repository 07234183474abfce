/* The log of the wiki's database: edits, what others write there, and what RDS
 * does by itself (a new file and a heartbeat every five minutes). Told in the
 * rows in which a server tells it (db/binlog.h). */
#include "sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_FIRST 42
#define LOG_START  157    /* where a file's first event of anybody begins */
#define LOG_EVENT  1000   /* bytes of an edit */
#define LOG_MAP    60     /* of these, what says which table it is */
#define BEAT_MS    300000
#define EVENTS     8192   /* that are remembered */

static const char heartbeat[] = "use `mysql`; INSERT INTO mysql.rds_heartbeat2(id, value) values (1,1767225600000) "
				"ON DUPLICATE KEY UPDATE value = 1767225600000";

void log_open(struct sim *s)
{
	s->db.log = (struct wiki_log){ .event = xcalloc(EVENTS, sizeof *s->db.log.event), .file = xcalloc(1, sizeof *s->db.log.file),
				     .files = 1, .next_beat = s->now + BEAT_MS };
}

void log_close(struct sim *s)
{
	free(s->db.log.event);
	free(s->db.log.file);
}

/* --- writing ------------------------------------------------------------------------------ */

/* The older half, and the files that are not whole any more. */
static void log_forget(struct wiki_log *l)
{
	l->events /= 2;
	memmove(l->event, l->event + EVENTS / 2, l->events * sizeof *l->event);
	while (l->purged + 1 < l->files && l->file[l->purged] < l->event[0].begin)
		l->purged++;
}

static void log_add(struct sim *s, bool statement, const char *info, int64_t bytes)
{
	struct wiki_log *l = &s->db.log;

	if (l->events == EVENTS)
		log_forget(l);
	l->event[l->events] = (struct logged){ .begin = l->end, .end = l->end + bytes, .edits = s->db.edits, .statement = statement };
	snprintf(l->event[l->events++].info, sizeof l->event->info, "%s", info);
	l->end += bytes;
}

static void log_rotate(struct sim *s)
{
	struct wiki_log *l = &s->db.log;

	l->file = xrealloc(l->file, (l->files + 1) * sizeof *l->file);
	l->file[l->files++] = l->end;
}

void log_edits(struct sim *s, double n)
{
	s->db.edits += n;
	if (n > 0)
		log_add(s, false, "wiki.page", (int64_t)(n * LOG_EVENT));
}

void log_tick(struct sim *s)
{
	if (s->now < s->db.log.next_beat)
		return;
	s->db.log.next_beat += BEAT_MS;
	log_rotate(s);
	log_add(s, true, heartbeat, 300);
}

void sim_write(struct sim *s, const char *table)
{
	if (!strncmp(table, "wiki.", 5))
		s->db.edits++;
	log_add(s, strchr(table, ' ') != NULL, table, LOG_EVENT);
}

void sim_purge(struct sim *s)
{
	log_rotate(s);
	s->db.log.purged = s->db.log.files - 1;
}

/* --- positions ------------------------------------------------------------------------------ */

static json_t *log_position_of(const struct wiki_log *l, int64_t offset)
{
	size_t i = l->files;
	char file[64];

	while (i > 1 && l->file[i - 1] > offset)
		i--;
	snprintf(file, sizeof file, "mysql-bin-changelog.%06zu", FILE_FIRST + i - 1);
	return json_pack("{s:s,s:I}", "file", file, "at", (json_int_t)(LOG_START + offset - l->file[i - 1]));
}

json_t *log_position(const struct sim *s, double edits)
{
	const struct wiki_log *l = &s->db.log;
	size_t i = l->events;

	if (edits >= s->db.edits)
		return log_position_of(l, l->end);
	while (i && l->event[i - 1].edits > edits)
		i--;
	return log_position_of(l, i ? l->event[i - 1].end : 0);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void log_say_rows(struct say *a, json_t *rows)
{
	say_json(a, json_pack("{s:o}", "rows", rows));
}

static void log_say_status(struct sim *s, const struct ask *k, struct say *a)
{
	autojson json_t *p = log_position(s, s->db.edits);

	(void)k;
	log_say_rows(a, json_pack("[{s:O,s:s,s:s}]", "File", json_object_get(p, "file"), "Binlog_Do_DB", "", "Binlog_Ignore_DB", ""));
}

static void log_say_files(struct sim *s, const struct ask *k, struct say *a)
{
	json_t *rows = json_array();

	(void)k;
	for (size_t i = s->db.log.purged; i < s->db.log.files; i++) {
		char name[64];

		snprintf(name, sizeof name, "mysql-bin-changelog.%06zu", FILE_FIRST + i);
		json_array_append_new(rows, json_pack("{s:s}", "Log_name", name));
	}
	log_say_rows(a, rows);
}

struct page {
	json_t *rows;
	int64_t from, base; /* offsets: of what is wanted, of the file */
	size_t most;
};

static void page_put(struct page *p, const char *type, const char *info, int64_t end)
{
	char text[32];

	if (end <= p->from || json_array_size(p->rows) >= p->most)
		return;
	snprintf(text, sizeof text, "%" PRId64, LOG_START + end - p->base);
	json_array_append_new(p->rows, json_pack("{s:s,s:s,s:s}", "Event_type", type, "Info", info, "End_log_pos", text));
}

static void page_put_event(struct page *p, const struct logged *v)
{
	char map[200];

	if (v->statement)
		return page_put(p, "Query", v->info, v->end);
	snprintf(map, sizeof map, "table_id: 18 (%s)", v->info);
	page_put(p, "Table_map", map, v->begin + LOG_MAP);
	page_put(p, "Write_rows_v1", "table_id: 18 flags: STMT_END_F", v->end);
}

/* "file=mysql-bin-changelog.000042&at=157&most=500": the number behind `key`; -1: none. */
static int64_t log_asked(const struct ask *k, const char *key)
{
	const char *p = strstr(k->query, key);

	return p ? strtoll(p + strlen(key), NULL, 10) : -1;
}

static void log_say_events(struct sim *s, const struct ask *k, struct say *a)
{
	const struct wiki_log *l = &s->db.log;
	int64_t at = log_asked(k, "&at="), most = log_asked(k, "&most="), number = log_asked(k, "changelog."), end;
	size_t file = (size_t)(number - FILE_FIRST);
	struct page p;

	if (at < 0 || most < 0 || number < FILE_FIRST || file < l->purged || file >= l->files)
		return say_error(a, 404, "1220", "Could not find target log");
	end = file + 1 < l->files ? l->file[file + 1] : l->end;
	p = (struct page){ .rows = json_array(), .base = l->file[file], .most = (size_t)most };
	p.from = p.base + (at > LOG_START ? at - LOG_START : 0);
	for (size_t i = 0; i < l->events; i++)
		if (l->event[i].begin >= p.base && l->event[i].end <= end)
			page_put_event(&p, &l->event[i]);
	log_say_rows(a, p.rows);
}

const struct answer log_answers[] = {
	{ "status", log_say_status },
	{ "files", log_say_files },
	{ "events", log_say_events },
	{ NULL, NULL },
};

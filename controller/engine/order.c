/* engine/order.c - the first line of a run, and orders: what anybody may write
 * into a journal, at any time, whoever drives. */
#include "engine/format.h"
#include "engine/internal.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

static void order_new_id(const char *prefix, int64_t at, char out[96])
{
	unsigned char r[3];
	char iso[21];

	if (RAND_bytes(r, sizeof r) != 1)
		abort();
	clock_iso(at, iso);
	snprintf(out, 96, "%.40s-%.4s%.2s%.2s-%.2s%.2s%.2s-%02x%02x%02x", prefix, iso, iso + 5, iso + 8, iso + 11,
		 iso + 14, iso + 17, r[0], r[1], r[2]);
}

int engine_start(struct store *s, const struct plan *p, struct clock *clock, const char *actor, char *id,
		 struct err *e)
{
	autojson json_t *body = json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:i, s:O*}", "plan",
					  json_stringn(p->text, p->ntext), "file", json_line(p->file), "sha256", p->sha256, "name",
					  p->name, "rule", p->rule, "program", CUTOVER_VERSION, "format", RUN_FORMAT, "env", p->env);

	if (!body)
		return err_set(e, ERR_INPUT, "the plan is not valid UTF-8");
	if (!id[0])
		order_new_id(p->name, clock_wall(clock), id);
	return journal_append(s, clock_wall(clock), id, 1, actor, EVENT_START, "", body, e);
}

static json_t *order_body(const struct engine_order *o, const char *id, struct err *e)
{
	bool names = o->kind == ORDER_PROMOTE || o->kind == ORDER_SKIP_BAKE;
	json_t *body = json_pack("{s:s, s:s, s:o, s:b}", "order", order_name(o->kind), "id", id, "reason",
				 json_line(o->reason), "full", o->full);

	if (!body)
		err_set(e, ERR_INPUT, "the order is not valid UTF-8");
	else if (names)
		json_object_update_new(body, json_pack("{s:s, s:I}", "step", o->step ? o->step : "", "line", (json_int_t)o->about));
	return body;
}

int engine_order_try(struct run *r, const struct engine_order *o, struct err *e)
{
	autojson json_t *body = order_body(o, o->id ? o->id : "\n", e);
	struct event ev = { .seq = r->seq + 1, .actor = (char *)o->actor };

	if (!body)
		return -1;
	orders_fold(r, &ev, body);
	return 0;
}

int engine_order(struct store *s, const char *run, struct clock *clock, const struct engine_order *o,
		 int64_t *line, struct err *e)
{
	autojson json_t *body = NULL;
	char fresh[96];
	int64_t last;
	int rc;

	order_new_id(order_name(o->kind), clock_wall(clock), fresh);
	body = order_body(o, o->id ? o->id : fresh, e);
	if (!body)
		return -1;
	/* Everybody may write; who loses the race for a line takes the next one. */
	do {
		if (store_last(s, run, &last, e))
			return -1;
		rc = journal_append(s, clock_wall(clock), run, last + 1, o->actor, EVENT_ORDER, "", body, e);
	} while (rc && e->kind == ERR_MOVED);
	if (line)
		*line = last + 1;
	return rc;
}

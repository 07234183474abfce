/* cli/find.c - which run is meant. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/out.h"
#include "engine/run.h"
#include "steps/registry.h"

#include <stdio.h>
#include <string.h>

#define FIND_SHOWN 12 /* of those that are listed */

struct found {
	char id[96];
	struct run *run; /* NULL: not loaded, or it cannot be */
};

struct finds {
	const char *prefix; /* "": all */
	struct found *at;
	size_t n;
	char exact[96];
};

static void find_free(struct finds *f)
{
	for (size_t i = 0; i < f->n; i++)
		run_free(f->at[i].run);
	free(f->at);
}
#define autofinds __attribute__((cleanup(find_free)))

static int find_collect(void *ctx, const struct event *ev)
{
	struct finds *f = ctx;

	if (strncmp(ev->run, f->prefix, strlen(f->prefix)))
		return 0;
	if (!strcmp(ev->run, f->prefix))
		snprintf(f->exact, sizeof f->exact, "%s", ev->run);
	f->at = xrealloc(f->at, (f->n + 1) * sizeof *f->at);
	f->at[f->n] = (struct found){ .run = NULL };
	snprintf(f->at[f->n++].id, sizeof f->at->id, "%s", ev->run);
	return 0;
}

static void find_load(struct finds *f, struct store *s)
{
	struct err ignored = { 0 }; /* a run that cannot be read is listed as that, and takes no order */

	for (size_t i = 0; i < f->n; i++)
		if (run_load(s, f->at[i].id, step_kinds, &f->at[i].run, &ignored))
			f->at[i].run = NULL;
}

static bool find_is_on(const struct found *x)
{
	return x->run && !run_is_over(x->run);
}

/* One that cannot be read may be the one that is meant: no order is guessed past it. */
static size_t find_count_unread(const struct finds *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += !f->at[i].run;
	return n;
}

static size_t find_count_on(const struct finds *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += find_is_on(&f->at[i]);
	return n;
}

static const struct found *find_newest_on(const struct finds *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (find_is_on(&f->at[i]))
			return &f->at[i];
	return NULL;
}

/* --- what there is ------------------------------------------------------------------------ */

/* "arn:...:listener-rule/app/wiki/50dc/f2f7/9683": what is behind the account says which. */
static const char *find_rule(const struct run *r)
{
	const char *p = strstr(r->plan->rule, "listener-rule/");

	return p ? p + strlen("listener-rule/") : r->plan->rule;
}

static void find_print(const struct found *x)
{
	char age[32];

	if (!x->run) {
		out_error("  %-40s  cannot be read\n", x->id);
		return;
	}
	duration_say(clock_wall(&clock_real) - x->run->started, age);
	out_error("  %-40s  %-13s  begun %s ago, rule %s\n", x->id, run_state_name(x->run->state), age, find_rule(x->run));
}

static void find_list(const struct finds *f, bool on_only)
{
	size_t shown = 0;

	for (size_t i = 0; i < f->n && shown < FIND_SHOWN; i++)
		if (!on_only || !f->at[i].run || find_is_on(&f->at[i]))
			find_print(&f->at[i]), shown++;
	if (f->n > shown && shown == FIND_SHOWN)
		out_error("  ... `cutover list` shows all\n");
}

/* --- choosing ------------------------------------------------------------------------------------- */

static int find_collect_all(const struct cli *c, struct store *s, struct finds *f, struct err *e)
{
	autofree char *path = cli_state_path(c);

	if (store_runs(s, find_collect, f, e))
		return -1;
	if (f->n)
		return 0;
	if (*f->prefix)
		return err_set(e, ERR_INPUT, "there is no run \"%s\" in %s: `cutover list` shows what there is", f->prefix, path);
	return err_set(e, ERR_INPUT, "there is no run in %s yet", path);
}

static int find_named(struct finds *f, struct store *s, char **id, struct err *e)
{
	if (!f->exact[0] && f->n > 1) {
		find_load(f, s);
		find_list(f, false);
		return err_set(e, ERR_INPUT, "%zu runs begin with \"%s\": give more of the name", f->n, f->prefix);
	}
	*id = xstrdup(f->exact[0] ? f->exact : f->at[0].id);
	return 0;
}

static int find_to_order(const struct finds *f, char **id, struct err *e)
{
	size_t on = find_count_on(f), unread = find_count_unread(f);

	if (on == 1 && !unread) {
		*id = xstrdup(find_newest_on(f)->id);
		return 0;
	}
	find_list(f, on + unread > 0);
	if (unread)
		return err_set(e, ERR_GATE, "%zu of the runs cannot be read, so which one is meant cannot be known: name it", unread);
	if (on)
		return err_set(e, ERR_GATE, "%zu runs are not over: name the one you mean", on);
	return err_set(e, ERR_GATE, "no run is under way: name the one you mean");
}

static void find_to_read(const struct finds *f, char **id)
{
	const struct found *on = find_newest_on(f);
	size_t n = find_count_on(f);

	*id = xstrdup(on ? on->id : f->at[0].id);
	if (f->n == 1)
		return;
	if (n > 1)
		out_error("cutover: %zu runs are not over; this is the newest of them, %s\n", n, *id);
	else if (on)
		out_error("cutover: this is %s, the one run that is not over\n", *id);
	else
		out_error("cutover: no run is under way; this is the newest, %s\n", *id);
}

static int find_run(const struct cli *c, struct store *s, bool to_order, char **id, struct err *e)
{
	autofinds struct finds f = { .prefix = cli_arg(c, 0) ? cli_arg(c, 0) : "" };

	if (find_collect_all(c, s, &f, e))
		return -1;
	if (*f.prefix)
		return find_named(&f, s, id, e);
	find_load(&f, s);
	if (to_order)
		return find_to_order(&f, id, e);
	find_to_read(&f, id);
	return 0;
}

int cli_run(const struct cli *c, struct store *s, char **id, struct err *e)
{
	return find_run(c, s, false, id, e);
}

int cli_run_to_order(const struct cli *c, struct store *s, char **id, struct err *e)
{
	return find_run(c, s, true, id, e);
}

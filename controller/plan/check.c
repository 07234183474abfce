/* plan/check.c - what no table can say: names, ARNs against region and account,
 * references to earlier steps, the order of steps, and numbers that only make
 * sense together. Each check says nothing about what another has refused. */
#include "base/duration.h"
#include "plan/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define TOP(k)     (&(struct at){ NULL, k, 0 })
#define IN(s, k)   (&(struct at){ TOP(s), k, 0 })
#define STEP(i)    (&(struct at){ TOP("steps"), NULL, i })
#define PARAM(i, k) (&(struct at){ STEP(i), k, 0 })

/* --- names ------------------------------------------------------------------------------------ */

static bool all_of(const char *s, const char *set, size_t min, size_t max)
{
	size_t n = strspn(s, set);

	return !s[n] && n >= min && n <= max;
}

#define DIGITS "0123456789"
#define NAMES "abcdefghijklmnopqrstuvwxyz0123456789-"

void plan_check_names(struct reader *r)
{
	const struct plan *p = r->plan;
	size_t n = strlen(p->region);

	/* a run's name, and what AWS is asked to call its schedule, begin with it: 64 characters in all */
	if (p->name[0] && !all_of(p->name, NAMES ".", 1, 32))
		bad(r, TOP("name"), "must be 1 to 32 of a-z, 0-9, - and .");
	if (p->account[0] && !all_of(p->account, DIGITS, 12, 12))
		bad(r, TOP("account"), "must be the 12 digits of an AWS account, as a string: \"123456789012\"");
	if (n && (!all_of(p->region, NAMES, 9, 25) || !strchr(p->region, '-') || !isdigit((unsigned char)p->region[n - 1])))
		bad(r, TOP("region"), "must be an AWS region such as \"eu-central-1\"");
}

/* --- ARNs ------------------------------------------------------------------------------------- */

struct arn_form {
	const char *service, *resource; /* resource: how it begins */
	int parts;                      /* of the resource, between slashes */
	bool regional;
	const char *like;
};
static const struct arn_form rule_form = {
	"elasticloadbalancing", "listener-rule/app/", 6, true,
	"arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener-rule/app/NAME/ID/ID/ID" };
static const struct arn_form group_form = {
	"elasticloadbalancing", "targetgroup/", 3, true,
	"arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID" };
static const struct arn_form role_form = { "iam", "role/", 0, false, "arn:aws:iam::ACCOUNT:role/NAME" };

struct arn { char *text, *partition, *service, *region, *account, *resource; };

/* Cuts a copy at the first five colons; false when it is none. */
static bool arn_split(const char *s, struct arn *a)
{
	char *p = a->text = xstrdup(s);

	strsep(&p, ":");
	a->partition = strsep(&p, ":");
	a->service = strsep(&p, ":");
	a->region = strsep(&p, ":");
	a->account = strsep(&p, ":");
	a->resource = p;
	return p && !strcmp(a->text, "arn") && !strncmp(a->partition, "aws", 3);
}

/* Not one part may be empty. */
static int parts_of(const char *s)
{
	int n = 1;

	for (const char *p = s; *p; p++)
		n += *p == '/';
	return strstr(s, "//") || !*s || s[strlen(s) - 1] == '/' || strpbrk(s, " \t\n:*") ? 0 : n;
}

static bool has_form(const struct arn *a, const struct arn_form *f)
{
	int parts = parts_of(a->resource);

	return !strcmp(a->service, f->service) && !strncmp(a->resource, f->resource, strlen(f->resource)) &&
	       parts && (!f->parts || parts == f->parts) && !a->region[0] == !f->regional;
}

static void check_arn(struct reader *r, const struct at *at, const char *s, const struct arn_form *f)
{
	const struct plan *p = r->plan;
	struct arn a;

	if (!*s)
		return; /* missing: said already */
	if (!arn_split(s, &a) || !has_form(&a, f)) {
		bad(r, at, "must be an ARN like %s", f->like);
	} else {
		if (f->regional && p->region[0] && strcmp(a.region, p->region))
			bad(r, at, "is in region %.30s, but the plan is for %.30s", a.region, p->region);
		if (p->account[0] && strcmp(a.account, p->account))
			bad(r, at, "is in account %.30s, but the plan is for %.30s", a.account, p->account);
	}
	free(a.text);
}

static void check_sides(struct reader *r)
{
	const struct plan *p = r->plan;
	const char *blue = p->blue.target_group, *green = p->green.target_group;

	check_arn(r, TOP("rule"), p->rule, &rule_form);
	check_arn(r, IN("blue", "target_group"), blue, &group_form);
	if (strncmp(green, "${", 2))
		check_arn(r, IN("green", "target_group"), green, &group_form);
	if (*blue && !strcmp(blue, green))
		bad(r, IN("green", "target_group"), "is blue's target group too; green must be another one");
	if (p->blue.service && p->green.service && p->blue.cluster && p->green.cluster &&
	    !strcmp(p->blue.service, p->green.service) && !strcmp(p->blue.cluster, p->green.cluster))
		bad(r, IN("green", "service"), "is blue's service too; retire would stop what serves");
	if (p->blue.stack && p->green.stack && !strcmp(p->blue.stack, p->green.stack))
		bad(r, IN("green", "stack"), "is blue's stack too; retire would delete what serves");
	if (p->deadman.on)
		check_arn(r, IN("deadman", "role"), p->deadman.role, &role_form);
}

static void check_roles(struct reader *r)
{
	for (size_t i = 0; i < r->plan->nsteps; i++) {
		const char *role = json_str(r->plan->steps[i].params, "role", "");

		if (!strstr(role, "${"))
			check_arn(r, PARAM(i, "role"), role, &role_form);
	}
}

/* --- references --------------------------------------------------------------------------------- */

struct refs {
	struct reader *r;
	const struct at *at;
	size_t before;       /* steps before this one may be named */
};

static size_t index_of(const struct plan *p, const char *id)
{
	size_t i = 0;

	while (i < p->nsteps && strcmp(p->steps[i].id, id))
		i++;
	return i;
}

static void see_ref(void *ctx, const char *step, const char *output)
{
	const struct refs *x = ctx;
	const struct plan *p = x->r->plan;
	size_t i = index_of(p, step);

	if (i == p->nsteps)
		bad(x->r, x->at, "${%.30s.%.60s}: there is no step \"%.30s\"", step, output, step);
	else if (i >= x->before)
		bad(x->r, x->at, "${%.30s.%.60s}: step \"%.30s\" has not run yet at this point; only earlier steps can be named",
		    step, output, step);
}

static void check_refs(struct reader *r, const json_t *v, const struct at *at, size_t before)
{
	const char *key, *s = json_string_value(v);
	json_t *in;
	size_t i;

	if (s)
		text_refs(s, see_ref, &(struct refs){ r, at, before });
	json_object_foreach((json_t *)v, key, in)
		check_refs(r, in, &(struct at){ at, key, 0 }, before);
	json_array_foreach(v, i, in)
		check_refs(r, in, &(struct at){ at, NULL, i }, before);
}

static bool is_kind(const struct step *s, const char *name)
{
	return !strcmp(s->kind->name, name);
}

static size_t first_traffic(const struct plan *p)
{
	size_t i = 0;

	while (i < p->nsteps && !(p->steps[i].kind->flags & STEP_TRAFFIC))
		i++;
	return i;
}

/* Nothing fills in these before the run, so only plain text can stand there. */
static void check_plain(struct reader *r, const struct at *at, const char *s)
{
	if (s && strstr(s, "${"))
		bad(r, at, "cannot hold ${step.output}: no step has run when it is needed");
}

static void check_metric_refs(struct reader *r, size_t before)
{
	size_t i;
	json_t *m;

	json_array_foreach(r->plan->watch.metrics, i, m) {
		const struct at at = { IN("watch", "metrics"), NULL, i };

		check_refs(r, json_object_get(m, "green"), &(struct at){ &at, "green", 0 }, before);
	}
}

static void check_references(struct reader *r)
{
	const struct plan *p = r->plan;

	for (size_t i = 0; i < p->nsteps; i++)
		check_refs(r, p->steps[i].params, STEP(i), i);
	text_refs(p->green.target_group, see_ref, &(struct refs){ r, IN("green", "target_group"), first_traffic(p) });
	check_metric_refs(r, first_traffic(p));
	check_refs(r, p->watch.probes, IN("watch", "probes"), first_traffic(p));
	check_plain(r, TOP("name"), p->name);
	for (int g = 0; g < 2; g++) {
		const struct plan_side *side = g ? &p->green : &p->blue;
		const char *name = g ? "green" : "blue";

		check_plain(r, IN(name, "cluster"), side->cluster);
		check_plain(r, IN(name, "service"), side->service);
		check_plain(r, IN(name, "stack"), side->stack);
	}
}

/* --- the order of steps ---------------------------------------------------------------------------- */

static void check_ids(struct reader *r)
{
	const struct plan *p = r->plan;

	for (size_t i = 0; i < p->nsteps; i++) {
		const char *id = p->steps[i].id;
		size_t first = index_of(p, id);

		/* client tokens hold it whole */
		if (*id && !all_of(id, NAMES, 1, 24))
			bad(r, PARAM(i, "id"), "must be 1 to 24 of a-z, 0-9 and -");
		else if (*id && first < i)
			bad(r, PARAM(i, "id"), "\"%.30s\" is the id of steps[%zu] too; ids are unique", id, first);
	}
}

/* What the steps seen so far forbid to the next. */
struct order {
	long weight;
	bool shifted, promoted, back;
};

static void check_shift(struct reader *r, size_t i, struct order *o)
{
	long weight = (long)json_num(r->plan->steps[i].params, "weight", 0);

	if (o->promoted)
		bad(r, STEP(i), "is a shift after promote; green has everything by then");
	else if (weight && weight < o->weight)
		bad(r, PARAM(i, "weight"), "is less than the %g%% before; a plan only goes forward (`cutover rollback` takes traffic back)",
		    (double)o->weight / 10);
	o->weight = weight > o->weight ? weight : o->weight;
	o->shifted = true;
}

static void check_order_of(struct reader *r, size_t i, struct order *o)
{
	const struct step *s = &r->plan->steps[i];

	if (is_kind(s, "preflight") && i)
		bad(r, STEP(i), "preflight must be the first step");
	if (is_kind(s, "shift"))
		check_shift(r, i, o);
	if (is_kind(s, "promote") && o->promoted)
		bad(r, STEP(i), "is a second promote; one is enough");
	o->promoted |= is_kind(s, "promote");
	o->back |= is_kind(s, "back");
}

static void check_order(struct reader *r)
{
	const struct plan *p = r->plan;
	struct order o = { 0 };

	for (size_t i = 0; i < p->nsteps; i++)
		check_order_of(r, i, &o);
	if (!p->nsteps || !p->steps[0].id[0])
		return;
	if ((o.shifted || o.promoted) && !is_kind(&p->steps[0], "preflight") && p->steps[0].kind->name[0] != '?')
		bad(r, STEP(0), "must be a preflight: a plan that moves traffic looks first");
	if (o.shifted && !o.promoted)
		bad(r, TOP("steps"), "shift traffic to green, but no promote follows: the run would end with both serving");
	if (o.back && (o.shifted || o.promoted))
		bad(r, TOP("steps"), "have back and shift or promote: a plan goes one way");
}

/* --- numbers that only make sense together ------------------------------------------------------------ */

static void check_watch(struct reader *r)
{
	const struct plan_watch *w = &r->plan->watch;

	if (w->period_ms % 1000)
		bad(r, IN("watch", "period"), "must be whole seconds");
	if (w->poll_ms > 2 * w->period_ms && w->poll_ms > 1000)
		bad(r, IN("watch", "poll"), "is longer than two periods: a bad period would be seen late");
	if (w->blind_after_ms && w->blind_after_ms < w->poll_ms)
		bad(r, IN("watch", "blind_after"), "is shorter than poll: one missed look would be a rollback");
	if (r->plan->deadman.on && r->plan->deadman.after_ms && r->plan->deadman.after_ms < 3 * w->poll_ms)
		bad(r, IN("deadman", "after"), "is shorter than three polls: it would fire while the run is well");
}

static void check_setting(struct reader *r, const char *name, const char *value, const struct at *up)
{
	const char *names[64];
	const struct judge_tunable *row, *known = NULL;
	autofree char *hint = NULL;
	size_t n = 0;
	char *end;
	double v = strtod(value, &end);

	for (size_t i = 0; (row = judge_tunable(i)); i++) {
		if (n < COUNT(names))
			names[n++] = row->name;
		known = strcmp(row->name, name) ? known : row;
	}
	hint = name_hint(name, names, n);
	if (!known)
		bad(r, &(struct at){ up, name, 0 }, "is no setting of the judge%s", hint);
	else if (end == value || *end || !(v >= known->min && v <= known->max))
		bad(r, &(struct at){ up, name, 0 }, "is \"%.40s\"; allowed: %g to %g", value, known->min, known->max);
}

static void check_judge(struct reader *r, const json_t *watch)
{
	const json_t *settings = json_object_get(json_object_get(watch, "judge"), "settings"), *lat = json_object_get(watch, "latency");
	const struct at *judge = IN("watch", "judge");
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)settings, name, v)
		if (!key_is_comment(name) && json_is_string(v))
			check_setting(r, name, json_string_value(v), &(struct at){ judge, "settings", 0 });
	if (json_object_get(lat, "periods") && !json_object_get(lat, "above"))
		bad(r, &(struct at){ IN("watch", "latency"), "periods", 0 }, "needs `above`: the limit that the periods must pass");
}

static void check_metric(struct reader *r, const json_t *m, size_t i)
{
	const struct at at = { IN("watch", "metrics"), NULL, i };
	const char *name = json_str(m, "name", ""), *key;
	json_t *v;

	if (strlen(name) > 40)
		bad(r, &(struct at){ &at, "name", 0 }, "is longer than 40 characters");
	for (size_t k = 0; k < i; k++)
		if (*name && !strcmp(name, json_str(json_array_get(r->plan->watch.metrics, k), "name", "")))
			bad(r, &(struct at){ &at, "name", 0 }, "\"%.40s\" stands twice in the list", name);
	if (json_object_get(m, "blue") && json_equal(json_object_get(m, "blue"), json_object_get(m, "green")))
		bad(r, &(struct at){ &at, "green", 0 }, "has blue's dimensions too: the two colours could not be told apart");
	check_plain(r, &(struct at){ &at, "namespace", 0 }, json_str(m, "namespace", NULL));
	check_plain(r, &(struct at){ &at, "metric", 0 }, json_str(m, "metric", NULL));
	json_object_foreach(json_object_get(m, "blue"), key, v)
		check_plain(r, &(struct at){ &(struct at){ &at, "blue", 0 }, key, 0 }, json_string_value(v));
}

static void check_metrics(struct reader *r)
{
	size_t i;
	json_t *m;

	json_array_foreach(r->plan->watch.metrics, i, m)
		check_metric(r, m, i);
}

static bool list_has(const json_t *list, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(json_string_value(json_array_get(list, i)), s))
			return true;
	return false;
}

static void check_alarms(struct reader *r)
{
	const struct plan_watch *w = &r->plan->watch;
	size_t i;
	json_t *v;

	json_array_foreach(w->alarms, i, v)
		if (list_has(w->alarms, json_string_value(v), i))
			bad(r, &(struct at){ IN("watch", "alarms"), NULL, i }, "stands twice in the list");
		else
			check_plain(r, &(struct at){ IN("watch", "alarms"), NULL, i }, json_string_value(v));
	json_array_foreach(w->waived, i, v)
		if (w->alarms && !list_has(w->alarms, json_string_value(v), json_array_size(w->alarms)))
			bad(r, &(struct at){ IN("watch", "waived"), NULL, i }, "\"%.80s\" is not one of watch.alarms",
			    json_string_value(v));
}

static void check_call(struct reader *r)
{
	const char *program = json_string_value(json_array_get(r->plan->call, 0));
	size_t i;
	json_t *v;

	if (program && program[0] != '/')
		bad(r, &(struct at){ TOP("call"), NULL, 0 }, "must be the absolute path of a program, such as \"/usr/local/bin/page-me\"");
	json_array_foreach(r->plan->call, i, v)
		check_plain(r, &(struct at){ TOP("call"), NULL, i }, json_string_value(v));
}

/* The least the way forward takes: bakes and soaks. */
static void check_deadline(struct reader *r)
{
	const struct plan *p = r->plan;
	char is[32], least[32];
	int64_t sum = 0;

	for (size_t i = 0; i < p->nsteps; i++)
		sum += json_num(p->steps[i].params, "bake", 0) + json_num(p->steps[i].params, "soak", 0);
	if (!p->deadline_ms || p->deadline_ms > sum)
		return;
	duration_say(p->deadline_ms, is);
	duration_say(sum, least);
	bad(r, TOP("deadline"), "is %s, but the bakes and soaks alone take %s", is, least);
}

void plan_check(struct reader *r, const json_t *watch)
{
	plan_check_names(r);
	check_sides(r);
	check_roles(r);
	check_ids(r);
	check_references(r);
	check_order(r);
	check_watch(r);
	check_judge(r, watch);
	check_metrics(r);
	probes_check(r);
	check_alarms(r);
	check_call(r);
	check_deadline(r);
}

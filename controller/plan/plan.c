/* plan/plan.c - from the bytes of a file to a plan that may run, or to the list
 * of everything that is wrong with it. */
#include "base/duration.h"
#include "base/err.h"
#include "base/file.h"
#include "plan/internal.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* --- from the tables' result into the struct ---------------------------------------------- */

/* "" where the text was wrong or missing: the error is reported, checks go on. */
static char *text_of(const json_t *o, const char *key)
{
	return xstrdup(json_str(o, key, ""));
}

static void fill_side(struct plan_side *side, const json_t *o)
{
	side->target_group = text_of(o, "target_group");
	side->cluster = xstrdup(json_str(o, "cluster", NULL));
	side->service = xstrdup(json_str(o, "service", NULL));
	side->stack = xstrdup(json_str(o, "stack", NULL));
}

static void fill_limits(struct judge_limits *lim, const json_t *watch)
{
	const json_t *cat = json_object_get(watch, "catastrophic"), *err = json_object_get(watch, "errors");
	const json_t *lat = json_object_get(watch, "latency");

	*lim = (struct judge_limits){
		.catastrophic_permille = (int)json_num(cat, "rate", 0),
		.catastrophic_requests = (int)json_num(cat, "min_requests", 0),
		.error_permille = (int)json_num(err, "rate", 0),
		.error_periods = (int)json_num(err, "periods", 0),
		.error_requests = (int)json_num(err, "min_requests", 0),
		.latency_ms = json_object_get(lat, "periods") ? (int)json_num(lat, "above", 0) : 0,
		.latency_periods = (int)json_num(lat, "periods", 0),
		.latency_requests = (int)json_num(lat, "min_requests", 0),
		.good_requests = (int)json_num(watch, "good_requests", 0),
		.blind_periods = (int)json_num(watch, "blind_periods", 0),
	};
}

/* Per mille in the file, a fraction in the judge. */
static void tune_share(struct judge_tuning *t, const json_t *o, const char *key, const char *name)
{
	if (json_object_get(o, key))
		judge_tune(t, name, (double)json_num(o, key, 0) / 1000);
}

/* What a plan wants surer than usual is surer everywhere: also before blue's last request is given away, and at the end. */
static void tune_missed(struct judge_tuning *t, const json_t *o)
{
	tune_share(t, o, "missed", "beta");
	tune_share(t, o, "missed", "beta_auto");
	if (t->beta < t->beta_look)
		judge_tune(t, "beta_look", t->beta);
	if (t->beta < t->beta_last)
		judge_tune(t, "beta_last", t->beta);
}

static double stat_quantile(const char *stat)
{
	return stat[0] == 'p' ? strtod(stat + 1, NULL) / 100 : .5;
}

/* Settings that are wrong are reported by plan_check. */
static void fill_judge(struct plan_watch *w, const json_t *o)
{
	const json_t *settings = json_object_get(o, "settings");
	const char *name;
	json_t *v;

	w->sequential = json_yes(o, "on");
	judge_tuning_usual(&w->tuning);
	judge_tune(&w->tuning, "quantile", stat_quantile(w->latency_stat));
	tune_share(&w->tuning, o, "false_rollback", "alpha");
	tune_missed(&w->tuning, o);
	if (json_object_get(o, "harm"))
		tune_harm(&w->tuning, (double)json_num(o, "harm", 0));
	json_object_foreach((json_t *)settings, name, v)
		judge_tune(&w->tuning, name, strtod(json_string_value(v), NULL));
}

static int64_t poll_default(int64_t period)
{
	return period < 2000 ? 1000 : period / 2;
}

static void fill_watch(struct plan_watch *w, const json_t *o)
{
	w->period_ms = json_num(o, "period", 60000);
	w->lag_ms = json_num(o, "lag", 2 * w->period_ms);
	w->poll_ms = json_num(o, "poll", poll_default(w->period_ms));
	w->blind_after_ms = json_num(o, "blind_after", 0);
	w->hold_limit_ms = json_num(o, "hold_limit", 0);
	w->on_hold = strcmp(json_str(o, "on_hold", ""), "call") ? PLAN_HOLD_ROLLBACK : PLAN_HOLD_CALL;
	w->foreign_grace_ms = json_num(o, "foreign_grace", 0);
	snprintf(w->latency_stat, sizeof w->latency_stat, "%s", json_str(json_object_get(o, "latency"), "stat", "p90"));
	w->slow_ms = (int)json_num(json_object_get(o, "latency"), "above", 0);
	fill_limits(&w->limits, o);
	fill_judge(w, json_object_get(o, "judge"));
	w->alarms = json_incref(json_object_get(o, "alarms"));
	w->waived = json_incref(json_object_get(o, "waived"));
	w->metrics = json_incref(json_object_get(o, "metrics"));
	w->probes = json_incref(json_object_get(o, "probes"));
}

static void fill_deadman(struct plan_deadman *d, const json_t *o)
{
	d->on = o != NULL;
	if (!o)
		return;
	d->role = text_of(o, "role");
	d->group = text_of(o, "group");
	d->after_ms = json_num(o, "after", 0);
}

static void fill_plan(struct plan *p, const json_t *o)
{
	p->name = text_of(o, "name");
	p->region = text_of(o, "region");
	p->account = text_of(o, "account");
	p->rule = text_of(o, "rule");
	p->deadline_ms = json_num(o, "deadline", 0);
	p->call = json_incref(json_object_get(o, "call"));
	fill_side(&p->blue, json_object_get(o, "blue"));
	fill_side(&p->green, json_object_get(o, "green"));
	fill_watch(&p->watch, json_object_get(o, "watch"));
	fill_deadman(&p->deadman, json_object_get(o, "deadman"));
}

/* --- steps ------------------------------------------------------------------------------------ */

static const struct param no_params[] = { { 0 } };
static const struct step_kind unknown_kind = { .name = "?", .about = "", .params = no_params };

static const struct step_kind *kind_find(const struct step_kind *const *kinds, const char *name)
{
	for (; kinds && *kinds; kinds++)
		if (!strcmp((*kinds)->name, name))
			return *kinds;
	return NULL;
}

static void refuse_kind(struct reader *r, const char *name, const struct at *at)
{
	const char *names[64];
	autofree char *hint = NULL;
	size_t n = 0;

	for (; r->kinds && r->kinds[n] && n < COUNT(names); n++)
		names[n] = r->kinds[n]->name;
	hint = name_hint(name, names, n);
	bad(r, at, "\"%.60s\" is not a kind of step%s", name, hint);
}

/* The keys of an unknown kind cannot be judged; its id and do can. */
static json_t *read_unknown(struct reader *r, const json_t *in, const struct at *at)
{
	autojson json_t *common = json_object();

	for (const struct param *p = plan_step_common; p->name; p++)
		if (json_object_get(in, p->name))
			json_object_set(common, p->name, json_object_get(in, p->name));
	return shape_read(r, &(struct shape){ .more = plan_step_common }, json_is_object(in) ? common : in, at);
}

/* As long as it takes when nothing goes wrong, and as long as the watch may hold it. */
static int64_t timeout_default(const struct step *s, const struct plan *p)
{
	int64_t need = s->kind->worst_ms ? s->kind->worst_ms(s) + p->watch.hold_limit_ms + 60000 : 0;

	return need > s->kind->timeout_ms ? need : s->kind->timeout_ms;
}

static void check_timeout(struct reader *r, const struct step *s, const struct at *up)
{
	int64_t need = s->kind->worst_ms ? s->kind->worst_ms(s) : 0;
	char is[32], least[32];

	if (s->timeout_ms >= need)
		return;
	duration_say(s->timeout_ms, is);
	duration_say(need, least);
	bad(r, &(struct at){ up, "timeout", 0 }, "is %s, but the step takes up to %s when nothing goes wrong", is, least);
}

static void read_params(struct reader *r, const json_t *in, struct step *s, const struct at *at)
{
	const char *kind = json_str(in, "do", NULL);
	const struct step_kind *known = kind ? kind_find(r->kinds, kind) : NULL;

	s->kind = known ? known : &unknown_kind;
	if (known)
		s->params = shape_read(r, &(struct shape){ .fields = known->params, .more = plan_step_common }, in, at);
	else
		s->params = read_unknown(r, in, at);
	if (kind && !known)
		refuse_kind(r, kind, &(struct at){ at, "do", 0 });
}

/* What the kind itself has to say about parameters that are right one by one. */
static void check_step(struct reader *r, struct step *s, const struct at *at)
{
	size_t before = r->errs->n;

	s->timeout_ms = json_num(s->params, "timeout", 0);
	if (!s->timeout_ms)
		s->timeout_ms = timeout_default(s, r->plan);
	if (s->kind->validate)
		s->kind->validate(s, r->plan, r->errs);
	if (r->errs->n == before)
		check_timeout(r, s, at);
}

/* Without a mistake in it? */
static bool read_step(struct reader *r, const json_t *in, struct step *s, const struct at *at)
{
	size_t before = r->errs->n;

	s->line = lines_find(r->plan->lines, at);
	read_params(r, in, s, at);
	s->id = text_of(s->params, "id");
	return r->errs->n == before;
}

static void finish_step(struct reader *r, struct step *s, bool good, const struct at *at)
{
	if (good)
		check_step(r, s, at);
	json_object_del(s->params, "id");
	json_object_del(s->params, "do");
	json_object_del(s->params, "timeout");
}

/* All are read before the first is checked: a step may be about a later one. */
static void read_each(struct reader *r, const json_t *list, const struct at *up)
{
	bool good[PLAN_MAX_STEPS] = { false };
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v) {
		free(r->plan->steps[i].id);
		good[i] = read_step(r, v, &r->plan->steps[i], &(struct at){ up, NULL, i });
	}
	json_array_foreach(list, i, v)
		finish_step(r, &r->plan->steps[i], good[i], &(struct at){ up, NULL, i });
}

static void read_steps(struct reader *r, const json_t *list)
{
	struct at at = { NULL, "steps", 0 };
	size_t n = json_array_size(list), i;
	json_t *v;

	if (!list)
		bad(r, &at, "is missing: the list of steps [{\"id\": ..., \"do\": ...}, ...]");
	else if (!json_is_array(list))
		bad(r, &at, "must be a list of steps, not %s", type_said(list));
	else if (!n || n > PLAN_MAX_STEPS)
		bad(r, &at, "has %zu steps; allowed: 1 to %d", n, PLAN_MAX_STEPS);
	if (n > PLAN_MAX_STEPS)
		return;
	r->plan->steps = xcalloc(n, sizeof *r->plan->steps);
	r->plan->nsteps = n;
	json_array_foreach(list, i, v) {
		r->plan->steps[i].id = xstrdup("");
		r->plan->steps[i].kind = &unknown_kind;
	}
	read_each(r, list, &at);
}

/* --- the document ------------------------------------------------------------------------------ */

/* Says what people write who take JSON for JavaScript. */
static const char *syntax_hint(const char *text, size_t n, const json_error_t *je)
{
	static const struct { const char *near, *hint; } hints[] = {
		{ "near '/'", "; a comment is a key that begins with \"//\"" },
		{ "near '#'", "; a comment is a key that begins with \"//\"" },
		{ "string or '}' expected near '}'", "; there is no comma after the last key" },
		{ "unexpected token near ']'", "; there is no comma after the last entry" },
		{ "near '''", "; texts stand in double quotes" },
		{ "premature end", "; a closing bracket is missing" },
		{ "end of file expected", "; something stands behind the last bracket" },
		{ "expected near end of file", "; a closing bracket is missing" },
	};

	if (!n)
		return "; the file is empty";
	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		return "; the file begins with a byte order mark: save it without";
	for (size_t i = 0; i < COUNT(hints); i++)
		if (strstr(je->text, hints[i].near))
			return hints[i].hint;
	return "";
}

json_t *plan_document(struct reader *r, const char *what)
{
	const struct plan *p = r->plan;
	json_error_t je;
	json_t *doc;

	r->plan->lines = lines_scan(p->text, p->ntext, r->errs);
	if (!r->plan->lines)
		return NULL;
	doc = json_loadb(p->text, p->ntext, 0, &je);
	if (!doc)
		errs_add(r->errs, je.line, NULL, "is not JSON: %s%s", je.text, syntax_hint(p->text, p->ntext, &je));
	else if (!json_is_object(doc))
		errs_add(r->errs, 1, NULL, "%s is an object {...}, not %s", what, type_said(doc));
	return doc;
}

static void read_plan(struct reader *r)
{
	autojson json_t *doc = plan_document(r, "a plan"), *top = NULL;

	if (!json_is_object(doc))
		return;
	secrets_check(r, doc);
	top = shape_read(r, &plan_shape, doc, NULL);
	fill_plan(r->plan, top);
	read_steps(r, json_object_get(doc, "steps"));
	stages_tune(r->plan);
	plan_check(r, json_object_get(top, "watch"));
}

static char *copy_bytes(const char *text, size_t n)
{
	char *s = xmalloc(n + 1);

	memcpy(s, text, n);
	s[n] = '\0';
	return s;
}

static void hash_text(struct plan *p)
{
	unsigned char h[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!EVP_Digest(p->text, p->ntext, h, &n, EVP_sha256(), NULL) || n != 32)
		abort();
	for (size_t i = 0; i < n; i++)
		snprintf(p->sha256 + 2 * i, 3, "%02x", h[i]);
}

int plan_parse(const char *text, size_t n, const char *file, const struct step_kind *const *kinds,
	       const json_t *env, struct plan **out, struct plan_errors *errs)
{
	autoplan struct plan *p = xcalloc(1, sizeof *p);
	struct reader r = { .plan = p, .errs = errs, .kinds = kinds, .env = env };

	if (n > PLAN_MAX_BYTES) {
		errs_add(errs, 0, NULL, "is larger than %zu bytes: this is not a plan", PLAN_MAX_BYTES);
		return -1;
	}
	p->file = xstrdup(file ? file : "plan");
	p->text = copy_bytes(text, n);
	p->ntext = n;
	p->env = json_object();
	hash_text(p);
	read_plan(&r);
	json_decref(steal(&p->lines));
	errs_sort(errs);
	if (errs->n)
		return -1;
	*out = steal(&p);
	return 0;
}

int plan_load(const char *path, const struct step_kind *const *kinds, struct plan **out,
	      struct plan_errors *errs)
{
	autofree char *text = NULL;
	struct err e = { 0 };
	size_t n;

	if (file_read(path, PLAN_MAX_BYTES, &text, &n, &e)) {
		errs_add(errs, 0, NULL, "%s", e.msg);
		return -1;
	}
	return plan_parse(text, n, path, kinds, NULL, out, errs);
}

static void side_free(struct plan_side *s)
{
	free(s->target_group);
	free(s->cluster);
	free(s->service);
	free(s->stack);
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->nsteps; i++) {
		free(p->steps[i].id);
		json_decref(p->steps[i].params);
	}
	char *const texts[] = { p->file, p->text, p->name, p->region, p->account, p->rule, p->deadman.role, p->deadman.group };

	for (size_t i = 0; i < COUNT(texts); i++)
		free(texts[i]);
	json_decref(p->watch.alarms);
	json_decref(p->watch.waived);
	json_decref(p->watch.metrics);
	json_decref(p->watch.probes);
	json_decref(p->call);
	json_decref(p->env);
	json_decref(p->lines);
	side_free(&p->blue);
	side_free(&p->green);
	free(p->steps);
	free(p);
}

const struct step *plan_step(const struct plan *p, const char *id)
{
	for (size_t i = 0; i < p->nsteps; i++)
		if (!strcmp(p->steps[i].id, id))
			return &p->steps[i];
	return NULL;
}

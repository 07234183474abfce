/* steps/database.c - a copy of blue's database for green to change, and the end
 * of its following.
 *
 * clone:      an Aurora copy-on-write clone, made after the freeze: it holds what
 *             the source held when it was asked for.
 * blue-green: an RDS blue/green deployment, made before the freeze; the copy
 *             follows by binlog. It is never switched over: blue goes on using
 *             its own database until nobody asks blue any more.
 * detach:     after the freeze: the copy has applied the source's last write,
 *             and stops following, since the first write of an updated copy's
 *             source would break it (error 1677, measured 1.39 to 1.43).
 *
 * No database is ever deleted here: the way back leaves the copy and says so. */
#include "aws/rds.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "plan/plan.h"
#include "steps/beside.h"
#include "steps/kinds.h"
#include "steps/token.h"

#include <stdio.h>
#include <string.h>

#define POLL_MS 15000
#define READ_AGAIN_MOST 500 /* events of the source's log */
#define QUICK_MS 250 /* while users cannot edit */
#define TOKEN_TAG "cutover:token"
#define NAME_LONGEST 46 /* with -12 digits and -1 it stays below RDS's 63 */

struct job {
	struct step_run *r;
	char phase[16];             /* memo: "quiet", "making", "stopping"; "" before */
	char name[64];              /* of the copy or deployment: of run, step and attempt */
	struct db_position at;      /* memo: nothing that counts was written to the source behind it */
	int64_t since;              /* memo: since when */
};

/* "arn:...:cluster:wiki" -> "wiki" */
static const char *id_of(const char *source)
{
	const char *colon = strrchr(source, ':');

	return colon ? colon + 1 : source;
}

static void make_name(const struct step_run *r, char out[64])
{
	char hash[13], base[NAME_LONGEST + 1];
	size_t n;

	token_hash(r->token, 12, hash);
	snprintf(base, sizeof base, "%s", id_of(json_str(r->params, "source", "copy")));
	n = strlen(base);
	while (n && base[n - 1] == '-')
		base[--n] = '\0';
	snprintf(out, 64, "%s-%s", base, hash);
}

static void position_in(const json_t *memo, struct db_position *p)
{
	snprintf(p->file, sizeof p->file, "%s", json_str(memo, "file", ""));
	p->at = (uint64_t)json_num(memo, "at", 0);
}

static void load(struct job *j, struct step_run *r)
{
	*j = (struct job){ .r = r, .since = json_num(r->memo, "since", 0) };
	snprintf(j->phase, sizeof j->phase, "%s", json_str(r->memo, "phase", ""));
	position_in(r->memo, &j->at);
	make_name(r, j->name);
}

static int save(struct job *j, const char *phase, struct err *e)
{
	snprintf(j->phase, sizeof j->phase, "%s", phase);
	return step_intend(j->r, json_pack("{s:s, s:s, s:s, s:I, s:I}", "phase", phase, "name", j->name, "file", j->at.file,
					   "at", (json_int_t)j->at.at, "since", (json_int_t)j->since), e);
}

static bool is_phase(const struct job *j, const char *phase) { return !strcmp(j->phase, phase); }

static enum step_verdict look_in(struct job *j, int64_t ms)
{
	j->r->wake_at = j->r->now + ms;
	return STEP_WAIT;
}

static json_t *tags(const struct job *j)
{
	return json_pack("{s:s, s:s}", TOKEN_TAG, j->r->token, "cutover:run", j->r->run);
}

/* --- what the databases say ------------------------------------------------------------------ */

struct look {
	int64_t begun;              /* wall ms: what it says is not older */
	int64_t older_s;            /* than which open transactions count */
	bool stopping;              /* the copy was told to stop following */
	char source[320], copy[320];
	struct db_replica replica;  /* of the copy, where that was asked */
	json_t *counts;             /* a copy */
	struct db_position from;    /* of the source's log; no file: its end */
	struct binlog_written written; /* since then */
	int64_t open;               /* transactions that were open before the freeze; asked in `since`: that write */
};

static void look_discard(void *look)
{
	struct look *l = look;

	if (!l)
		return;
	binlog_written_free(&l->written);
	json_decref(l->counts);
	free(l);
}

static void look_free(struct look **l) { look_discard(*l); }
#define autolook __attribute__((cleanup(look_free)))

static int look_make(struct step_run *r, void **answer, struct err *e)
{
	struct look *l = xcalloc(1, sizeof *l);

	(void)e;
	*l = (struct look){ .begun = r->now, .older_s = (r->now - r->since) / 1000,
			    .stopping = !strcmp(json_str(r->memo, "phase", ""), "stopping"),
			    .counts = json_deep_copy(json_object_get(r->params, "counts")) };
	position_in(r->memo, &l->from);
	*answer = l;
	return 0;
}

/* What was written to the source since l->from. */
static int look_written(struct sql *source, struct look *l, struct err *e)
{
	if (!l->from.file[0] && (sql_knows(source, l->counts, e) || sql_position(source, &l->from, e)))
		return -1;
	if (!sql_written_since(source, &l->from, l->counts, &l->written, e))
		return 0;
	return err_retryable(e) ? -1 : err_wrap(e, "what is written to %.100s after its copy was cut off cannot be known", sql_name(source));
}

/* Transactions first: what of them ends before the log is read is in the log. */
enum open_ones { OPEN_NONE, OPEN_OLD, OPEN_WRITERS };

static int look_open(struct sql *source, struct look *l, enum open_ones which, struct err *e)
{
	if (which == OPEN_WRITERS)
		return sql_open_writers(source, l->counts, &l->open, e);
	return which == OPEN_OLD ? sql_open_since(source, l->older_s, &l->open, e) : 0;
}

static int look_source(const struct sql_from *from, struct look *l, enum open_ones open, struct err *e)
{
	autosql struct sql *source = NULL;

	if (sql_open(from, &sql_source, NULL, &source, e))
		return -1;
	snprintf(l->source, sizeof l->source, "%s", sql_name(source));
	return look_open(source, l, open, e) || look_written(source, l, e) ? -1 : 0;
}

static int ask_since(const struct sql_from *from, void *answer, struct err *e) { return look_source(from, answer, OPEN_WRITERS, e); }
static int ask_source(const struct sql_from *from, void *answer, struct err *e) { return look_source(from, answer, OPEN_OLD, e); }

/* The copy first: what it has applied is not less later. */
static int ask_both(const struct sql_from *from, void *answer, struct err *e)
{
	autosql struct sql *copy = NULL;
	struct look *l = answer;

	if (sql_open(from, &sql_main, NULL, &copy, e) || sql_replica(copy, &l->replica, e))
		return -1;
	snprintf(l->copy, sizeof l->copy, "%s", sql_name(copy));
	if (l->stopping)
		return l->replica.follows ? 0 : look_source(from, l, OPEN_NONE, e);
	return l->replica.follows && !l->replica.error[0] ? look_source(from, l, OPEN_OLD, e) : 0;
}

static int ask_to_stop(const struct sql_from *from, void *answer, struct err *e)
{
	autosql struct sql *copy = NULL;

	(void)answer;
	return sql_open(from, &sql_main, NULL, &copy, e) || sql_detach(copy, e) ? -1 : 0;
}

static const struct beside source_alone = { .name = "source", .make = look_make, .ask = ask_source, .discard = look_discard },
	copy_and_source = { .name = "both", .make = look_make, .ask = ask_both, .discard = look_discard },
	stop_following = { .name = "stop", .make = look_make, .ask = ask_to_stop, .discard = look_discard },
	written_since = { .name = "since", .make = look_make, .ask = ask_since, .discard = look_discard, .standing = true };

/* The limit is the step's, whatever keeps it: nobody can edit meanwhile. */
static enum step_verdict within_limit(struct job *j, enum step_verdict v, const char *what, struct err *e)
{
	char text[32];

	if (j->r->now - j->r->since < json_num(j->r->params, "limit", 0))
		return v;
	duration_say(json_num(j->r->params, "limit", 0), text);
	return err_set(e, ERR_GATE, "not within %s: %s", text, what);
}

static enum step_verdict too_long(struct job *j, const char *what, struct err *e)
{
	step_say(j->r, "%s", what);
	return within_limit(j, look_in(j, QUICK_MS), what, e);
}

/* DONE with the look, which is the caller's to free. */
static enum step_verdict look(struct job *j, const struct beside *q, struct look **l, struct err *e)
{
	struct err why = { 0 };
	void *answer;
	int rc = beside_ask(j->r, q, &answer, &why);

	if (!rc) {
		*l = answer;
		return STEP_DONE;
	}
	look_discard(answer);
	if (rc > 0)
		return STEP_WAIT;
	*e = why;
	return STEP_FAIL;
}

/* The same before anything was done that takes long: then the limit holds. */
static enum step_verdict look_within_limit(struct job *j, const struct beside *q, struct look **l, struct err *e)
{
	enum step_verdict v = look(j, q, l, e);
	char what[200];

	if (v == STEP_DONE || (v == STEP_FAIL && !err_retryable(e)))
		return v;
	snprintf(what, sizeof what, "%.190s", v == STEP_FAIL ? e->msg : j->r->saying);
	return within_limit(j, v, what, e);
}

/* --- is the last write in? ------------------------------------------------------------------ */

/* Requests that began before the freeze may still write. The wiki is read-only
 * since before this step began, so what was open then is what must end. */
static enum step_verdict nothing_open(struct job *j, const struct look *l, struct err *e)
{
	char what[200];

	if (!l->open)
		return STEP_DONE;
	snprintf(what, sizeof what, "%lld transactions on %.100s are open since before the freeze, and may still write",
		 (long long)l->open, l->source);
	return too_long(j, what, e);
}

/* DONE when nothing that counts was written for `quiet`. */
static enum step_verdict source_is_quiet(struct job *j, const struct look *l, struct err *e)
{
	enum step_verdict v;
	char what[240];

	if (!is_phase(j, "quiet") || json_object_size(l->written.tables) || !l->written.whole) {
		j->at = l->written.upto;
		j->since = j->r->now;
		if (save(j, "quiet", e))
			return STEP_FAIL;
	}
	v = nothing_open(j, l, e);
	if (v != STEP_DONE)
		return v;
	if (l->begun - j->since >= json_num(j->r->params, "quiet", 0))
		return STEP_DONE;
	snprintf(what, sizeof what, "%.150s was written to %lld ms ago", l->source, (long long)(j->r->now - j->since));
	return too_long(j, what, e);
}

static enum step_verdict was_written(const struct job *j, const struct look *l, struct err *e)
{
	autofree char *what = binlog_say(&l->written);
	char iso[21];

	clock_iso(j->since, iso);
	return err_set(e, ERR_GATE, "something wrote into %.100s after the freeze, and the copy lacks it: %.300s since %s", l->source,
		       what, iso);
}

/* How much of the log may be read again by the next look; and its older files
 * may be removed meanwhile. */
static bool is_far(const struct look *l)
{
	return l->written.events > READ_AGAIN_MOST || strcmp(l->from.file, l->written.upto.file);
}

/* After the copy is cut off: a write that came later is in the source only. DONE:
 * there is none. */
static enum step_verdict nothing_was_written(struct job *j, const struct look *l, struct err *e)
{
	if (json_object_size(l->written.tables))
		return was_written(j, l, e);
	if (is_far(l)) {
		j->at = l->written.upto;
		if (save(j, json_str(j->r->memo, "phase", ""), e))
			return STEP_FAIL;
	}
	if (l->written.whole && !l->open)
		return STEP_DONE;
	if (l->written.whole) /* what they wrote comes into the log when they end */
		step_say(j->r, "%lld transactions on %.100s have changed rows and not ended", (long long)l->open, l->source);
	else
		step_say(j->r, "reading what was written to %.100s", l->source);
	return look_in(j, QUICK_MS);
}

/* What was written to blue since the cut: asked by the step itself, and then at
 * every gate until the door. */
static enum step_verdict nothing_came_later(struct job *j, struct err *e)
{
	autolook struct look *l = NULL;
	enum step_verdict v = look(j, &written_since, &l, e);

	return v == STEP_DONE ? nothing_was_written(j, l, e) : v;
}

/* --- what RDS says ------------------------------------------------------------------------------ */

/* States from which no copy comes without a person (UserGuide/accessing-monitoring.html). */
static bool is_hopeless(const char *status)
{
	static const char *const words[] = {
		"failed", "deleting", "inaccessible-encryption-credentials", "incompatible-", "storage-full", "restore-error",
		"insufficient-capacity", "cloning-failed", "migration-failed",
	};

	for (size_t i = 0; i < COUNT(words); i++)
		if (!strncmp(status, words[i], strlen(words[i])))
			return true;
	return false;
}

static enum step_verdict wait_for(struct job *j, const char *what, const char *id, const char *status, struct err *e)
{
	if (is_hopeless(status))
		return err_set(e, ERR_GATE, "%s %s is %s", what, id, status);
	step_say(j->r, "waiting for %s %.80s (%s)", what, id, status);
	return look_in(j, POLL_MS);
}

static enum step_verdict copy_is_there(struct job *j, const struct rds_database *d, struct err *e)
{
	char port[16];

	if (!d->endpoint[0] || !d->port)
		return wait_for(j, "the endpoint of database", d->id, d->status, e);
	snprintf(port, sizeof port, "%d", d->port);
	step_output(j->r, "Id", d->id);
	step_output(j->r, "Arn", d->arn);
	step_output(j->r, "Endpoint", d->endpoint);
	step_output(j->r, "ReaderEndpoint", d->reader);
	step_output(j->r, "Port", port);
	return step_note(j->r, "the copy is there", json_pack("{s:s, s:s, s:s}", "id", d->id, "endpoint", d->endpoint, "version",
							      d->version), e) ? STEP_FAIL : STEP_DONE;
}

/* --- clone ----------------------------------------------------------------------------------------- */

static const char *param(const struct job *j, const char *name) { return json_str(j->r->params, name, NULL); }

static int request_clone(struct job *j, struct err *e)
{
	autords struct rds_database source = { 0 };
	autojson json_t *mine = tags(j);
	struct rds_clone_request q = { .id = j->name, .tags = mine, .parameter_group = param(j, "parameter_group"),
				       .acu_min = param(j, "acu_min"), .acu_max = param(j, "acu_max") };

	if (rds_cluster_get(j->r->aws, param(j, "source"), &source, e))
		return -1;
	if (strcmp(source.status, "available"))
		return err_set(e, ERR_BUSY, "database %s is %s: it can be cloned when it is available", source.id, source.status);
	q.source = source.id;
	q.subnet_group = source.subnet_group[0] ? source.subnet_group : NULL;
	q.parameter_group = q.parameter_group ? q.parameter_group : source.parameter_group[0] ? source.parameter_group : NULL;
	q.groups = source.groups;
	q.iam = source.iam;
	return rds_clone(j->r->aws, &q, e);
}

static enum step_verdict begin_clone(struct job *j, struct err *e)
{
	autolook struct look *l = NULL;
	enum step_verdict v = look_within_limit(j, &source_alone, &l, e);

	v = v == STEP_DONE ? source_is_quiet(j, l, e) : v;
	if (v != STEP_DONE)
		return v;
	return save(j, "making", e) ? STEP_FAIL : look_in(j, 0);
}

static enum step_verdict clone_now(struct job *j, struct err *e)
{
	/* Nothing may have been written between the last look and this request. */
	enum step_verdict v = nothing_came_later(j, e);
	struct err why = { 0 };

	if (v != STEP_DONE)
		return v;
	if (!request_clone(j, &why) || !strcmp(why.code, "DBClusterAlreadyExistsFault")) {
		step_say(j->r, "the clone %.64s was asked for", j->name);
		return look_in(j, POLL_MS);
	}
	*e = why;
	return STEP_FAIL;
}

static enum step_verdict instance_of_clone(struct job *j, const struct rds_database *cluster, struct err *e)
{
	autords struct rds_database d = { 0 };
	autojson json_t *mine = tags(j);
	autofree char *id = xasprintf("%s-1", j->name);
	struct err why = { 0 };

	if (!rds_instance_get(j->r->aws, id, &d, &why)) {
		if (strcmp(d.status, "available"))
			return wait_for(j, "database instance", d.id, d.status, e);
		return copy_is_there(j, cluster, e);
	}
	if (why.kind != ERR_GONE) {
		*e = why;
		return STEP_FAIL;
	}
	if (rds_instance_create(j->r->aws, cluster->id, id, cluster->engine, param(j, "instance_class"), mine, &why) &&
	    strcmp(why.code, "DBInstanceAlreadyExists")) {
		*e = why;
		return STEP_FAIL;
	}
	return wait_for(j, "database instance", id, "creating", e);
}

static bool is_ours(const struct job *j, const struct rds_database *d)
{
	return !strcmp(json_str(d->tags, TOKEN_TAG, ""), j->r->token);
}

static enum step_verdict clone_step(struct job *j, struct err *e)
{
	autords struct rds_database d = { 0 };
	struct err why = { 0 };

	if (!is_phase(j, "making"))
		return begin_clone(j, e);
	if (rds_cluster_get(j->r->aws, j->name, &d, &why)) {
		if (why.kind == ERR_GONE)
			return clone_now(j, e);
		*e = why;
		return STEP_FAIL;
	}
	if (!is_ours(j, &d))
		return err_set(e, ERR_GATE, "database %s does not carry this run's token: it is left as it is", d.id);
	if (strcmp(d.status, "available"))
		return wait_for(j, "database cluster", d.id, d.status, e);
	return instance_of_clone(j, &d, e);
}

/* --- blue/green deployment ------------------------------------------------------------------------------ */

static enum step_verdict make_deployment(struct job *j, struct err *e)
{
	autords struct rds_database source = { 0 };
	autojson json_t *mine = tags(j);
	struct rds_deployment_request q = { .name = j->name, .tags = mine, .version = param(j, "engine_version") };
	struct err why = { 0 };
	char id[256];
	bool instance;

	if (rds_database_get(j->r->aws, param(j, "source"), &source, e))
		return STEP_FAIL;
	if (strcmp(source.status, "available"))
		return wait_for(j, "database", source.id, source.status, e);
	instance = strstr(source.arn, ":db:");
	q.source = source.arn;
	q.cluster_group = instance ? NULL : param(j, "parameter_group");
	q.instance_group = instance ? param(j, "parameter_group") : NULL;
	if ((!is_phase(j, "making") && save(j, "making", e)))
		return STEP_FAIL;
	if (rds_deployment_create(j->r->aws, &q, id, &why) && strcmp(why.code, "BlueGreenDeploymentAlreadyExistsFault")) {
		*e = why;
		return STEP_FAIL;
	}
	return wait_for(j, "blue/green deployment", j->name, "PROVISIONING", e);
}

static enum step_verdict deployment_is_there(struct job *j, const struct rds_deployment *d, struct err *e)
{
	autords struct rds_database target = { 0 };

	if (rds_database_get(j->r->aws, d->target, &target, e))
		return STEP_FAIL;
	if (strcmp(target.status, "available"))
		return wait_for(j, "database", target.id, target.status, e);
	step_output(j->r, "Deployment", d->id);
	return copy_is_there(j, &target, e);
}

static enum step_verdict deployment_step(struct job *j, struct err *e)
{
	struct rds_deployment d;
	struct err why = { 0 };

	if (rds_deployment_find(j->r->aws, j->name, &d, &why)) {
		if (why.kind == ERR_GONE)
			return make_deployment(j, e);
		*e = why;
		return STEP_FAIL;
	}
	if (!strcmp(d.status, "AVAILABLE") && d.target[0])
		return deployment_is_there(j, &d, e);
	if (!strcmp(d.status, "PROVISIONING") || !strcmp(d.status, "AVAILABLE"))
		return wait_for(j, "blue/green deployment", d.name, d.status, e);
	return err_set(e, ERR_GATE, "blue/green deployment %s is %s%s%s", d.name, d.status, d.details[0] ? ": " : "", d.details);
}

/* --- detach ------------------------------------------------------------------------------------------- */

static enum step_verdict copy_has_it(struct job *j, const struct look *l, struct err *e)
{
	const struct db_position *done = &l->replica.done;
	char what[240];

	if (db_position_reached(done, &j->at))
		return STEP_DONE;
	snprintf(what, sizeof what, "%.80s has applied %.60s:%llu of %.60s:%llu", l->copy, done->file,
		 (unsigned long long)done->at, j->at.file, (unsigned long long)j->at.at);
	return too_long(j, what, e);
}

static enum step_verdict copy_follows(struct job *j, const struct look *l, struct err *e)
{
	const struct db_replica *now = &l->replica;
	char what[240];

	if (!now->follows)
		return err_set(e, ERR_GATE, "%s does not follow any database: it is not known to have the last writes", l->copy);
	if (now->error[0])
		return err_set(e, ERR_GATE, "%s has stopped following: %s", l->copy, now->error);
	if (now->fetches && now->applies)
		return STEP_DONE;
	snprintf(what, sizeof what, "%.80s does not follow at present (its %s thread does not run)", l->copy,
		 now->fetches ? "applying" : "fetching");
	return too_long(j, what, e);
}

static enum step_verdict cut_off(struct job *j, struct err *e)
{
	autolook struct look *l = NULL;
	enum step_verdict v = look(j, &stop_following, &l, e);

	return v == STEP_DONE ? look_in(j, 0) : v;
}

static enum step_verdict catch_up(struct job *j, struct err *e)
{
	autolook struct look *l = NULL;
	enum step_verdict v = look_within_limit(j, &copy_and_source, &l, e);

	v = v == STEP_DONE ? copy_follows(j, l, e) : v;
	v = v == STEP_DONE ? source_is_quiet(j, l, e) : v;
	v = v == STEP_DONE ? copy_has_it(j, l, e) : v;
	if (v != STEP_DONE)
		return v;
	return save(j, "stopping", e) ? STEP_FAIL : cut_off(j, e);
}

static enum step_verdict is_cut_off(struct job *j, const struct look *l, struct err *e)
{
	enum step_verdict v = nothing_was_written(j, l, e);
	json_t *facts;

	if (v != STEP_DONE)
		return v;
	facts = json_pack("{s:s, s:I, s:I}", "file", j->at.file, "at", (json_int_t)j->at.at, "waited_ms",
			  (json_int_t)(j->r->now - j->r->since));
	return step_note(j->r, "the copy has every write and stands alone", facts, e) ? STEP_FAIL : STEP_DONE;
}

static enum step_verdict detach_step(struct job *j, struct err *e)
{
	autolook struct look *l = NULL;
	enum step_verdict v;

	if (!is_phase(j, "stopping"))
		return catch_up(j, e);
	if (beside_is_asked(j->r, &stop_following))
		return cut_off(j, e);
	v = look(j, &copy_and_source, &l, e);
	if (v != STEP_DONE)
		return v;
	return l->replica.follows ? cut_off(j, e) : is_cut_off(j, l, e);
}

/* --- the step -------------------------------------------------------------------------------------------- */

static const struct how {
	const char *name;
	enum step_verdict (*advance)(struct job *, struct err *);
	const char *needs[4];    /* parameters */
	bool frozen;             /* must come after a freeze */
} table[] = {
	{ "clone", clone_step, { "source", "instance_class", "source_host" }, true },
	{ "blue-green", deployment_step, { "source" }, false },
	{ "detach", detach_step, { "host", "source_host" }, true },
};

static const struct how *how_of(const json_t *params)
{
	for (size_t i = 0; i < COUNT(table); i++)
		if (!strcmp(table[i].name, json_str(params, "how", "")))
			return &table[i];
	return NULL;
}

static enum step_verdict advance(struct step_run *r, struct err *e)
{
	const struct how *h = how_of(r->params);
	struct job j;

	load(&j, r);
	return h ? h->advance(&j, e) : err_set(e, ERR_BUG, "step %s has no `how`", r->step->id);
}

/* Blue's database may be written to by what does not see the lock file. */
static enum step_verdict database_holds(struct step_run *r, struct err *e)
{
	const struct how *h = how_of(r->params);
	struct job j;

	load(&j, r);
	return h && h->frozen ? nothing_came_later(&j, e) : STEP_DONE;
}

static enum step_verdict left(const struct job *j, struct err *e)
{
	if (!strcmp(json_str(j->r->params, "how", ""), "detach"))
		return err_set(e, ERR_GATE, "the copy %s no longer follows blue's database; it is left as it is",
			       json_str(j->r->params, "host", ""));
	return err_set(e, ERR_GATE, "the copy %s costs money and is left as it is: no database is ever deleted by this program", j->name);
}

/* Nothing has to be said of a copy that was never made. */
static int is_made(struct job *j, bool *made, struct err *e)
{
	bool clone = !strcmp(json_str(j->r->params, "how", ""), "clone");
	autords struct rds_database d = { 0 };
	struct rds_deployment deployment;
	struct err why = { 0 };

	*made = true;
	if (!(clone ? rds_cluster_get(j->r->aws, j->name, &d, &why) : rds_deployment_find(j->r->aws, j->name, &deployment, &why)))
		return 0;
	*made = false;
	if (why.kind == ERR_GONE)
		return 0;
	*e = why;
	return -1;
}

static enum step_verdict undo(struct step_run *r, struct err *e)
{
	bool made;
	struct job j;

	load(&j, r);
	if (is_phase(&j, "stopping"))
		return left(&j, e);
	if (!is_phase(&j, "making"))
		return STEP_DONE;
	if (is_made(&j, &made, e))
		return STEP_FAIL;
	return made ? left(&j, e) : STEP_DONE;
}

/* --- in the plan --------------------------------------------------------------------------------------------- */

static bool follows_freeze(const struct step *s, const struct plan *p)
{
	for (const struct step *t = p->steps; t < s; t++)
		if (t->kind == &step_freeze)
			return true;
	return false;
}

static void validate(const struct step *s, const struct plan *p, struct plan_errors *errs)
{
	const struct how *h = how_of(s->params);
	const json_t *v;
	size_t i;

	if (!h)
		return; /* said already */
	for (i = 0; i < COUNT(h->needs) && h->needs[i]; i++)
		if (!json_object_get(s->params, h->needs[i]))
			plan_bad(errs, p, s, h->needs[i], "is missing: \"%s\" needs it", h->name);
	if (h->frozen && !follows_freeze(s, p))
		plan_bad(errs, p, s, NULL, "must come after a freeze step: writes that come later would not be in the copy");
	json_array_foreach(json_object_get(s->params, "counts"), i, v)
		if (!binlog_is_name(json_string_value(v)))
			plan_bad(errs, p, s, "counts", "\"%.80s\" must be \"database\" or \"database.table\", with one * at its end at most",
				 json_string_value(v));
	if (!json_object_get(s->params, "acu_min") != !json_object_get(s->params, "acu_max"))
		plan_bad(errs, p, s, "acu_min", "and acu_max go together");
	if (s->timeout_ms <= json_num(s->params, "limit", 0))
		plan_bad(errs, p, s, "timeout", "must be longer than limit");
	sql_validate(s, p, errs);
}

static int64_t worst_ms(const struct step *s)
{
	return !strcmp(json_str(s->params, "how", ""), "detach") ? json_num(s->params, "limit", 0) : MINUTES(30);
}

static const char *const hows[] = { "clone", "blue-green", "detach", NULL };

static const struct param params[] = {
	{ .name = "how", .type = PARAM_CHOICE, .required = true, .choices = hows,
	  .about = "clone: copy an Aurora cluster, after the freeze; blue-green: an RDS blue/green deployment, whose copy follows; detach: after the freeze, when the copy has everything, end its following" },
	{ .name = "source", .type = PARAM_STRING, .about = "blue's database: cluster identifier, or ARN of a cluster or instance" },
	{ .name = "instance_class", .type = PARAM_STRING, .about = "of the clone's instance: \"db.r6g.large\", \"db.serverless\"" },
	{ .name = "acu_min", .type = PARAM_STRING, .about = "of a Serverless v2 clone: \"2\"" },
	{ .name = "acu_max", .type = PARAM_STRING, .about = "of a Serverless v2 clone: \"16\"" },
	{ .name = "parameter_group", .type = PARAM_STRING,
	  .about = "of the copy; a blue/green deployment's copy is read-only unless its group says read_only=0, and update.php must write" },
	{ .name = "engine_version", .type = PARAM_STRING, .about = "of a blue/green deployment's copy" },
	SQL_LOGIN_PARAMS(false),
	{ .name = "source_host", .type = PARAM_STRING, .about = "blue's database, for the same login: where its log ends is asked there" },
	{ .name = "source_port", .type = PARAM_STRING, .def = "\"3306\"", .about = "its port, as text" },
	{ .name = "counts", .type = PARAM_STRINGS, .min = 1, .max = 64,
	  .about = "what is the wiki's where others write to blue's server too: its databases (\"wiki\"), or tables of them (\"shared.user\", \"farm.en_*\"); without it, every database but the server's own" },
	{ .name = "quiet", .type = PARAM_DURATION, .def = "\"PT1S\"", .max = 600000,
	  .about = "how long nothing may have been written into blue's database before the copy is cut off" },
	{ .name = "limit", .type = PARAM_DURATION, .def = "\"PT2M\"", .min = 1000, .max = 3600000L,
	  .about = "how long to wait for quiet and for the copy to have everything; then the run goes back" },
	{ 0 },
};

static const enum aws_op ops[] = {
	RDS_DESCRIBE_DB_CLUSTERS, RDS_DESCRIBE_DB_INSTANCES, RDS_RESTORE_DB_CLUSTER_TO_POINT_IN_TIME, RDS_CREATE_DB_INSTANCE,
	RDS_CREATE_BLUE_GREEN_DEPLOYMENT, RDS_DESCRIBE_BLUE_GREEN_DEPLOYMENTS, SECRETS_GET_SECRET_VALUE,
};

const struct step_kind step_database = {
	.name = "database", .about = "make a copy of blue's database, or end its following when it has every write; deletes none",
	.params = params, .flags = STEP_TOUCHES, .timeout_ms = HOURS(4), .ops = ops, .nops = COUNT(ops), .validate = validate,
	.worst_ms = worst_ms, .advance = advance, .holds = database_holds, .undo = undo,
};

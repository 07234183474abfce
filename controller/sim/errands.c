/* ECS again: one-off tasks. What a task does follows from its command and its
 * environment: update.php changes tables, CUTOVER_DO writes or removes the lock
 * file; anything else just takes its time and ends with 0. */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#define STARTS_MS  2000, 6000    /* image, network */
#define LOCK_MS    300, 900      /* how long commands take */
#define UPDATE_MS  10000, 30000
#define OTHER_MS   2000, 8000
#define KILLED     "OutOfMemoryError: Container killed due to memory usage"
#define FOREIGN    10            /* the lock command's exit code: not our lock */

/* --- finding ------------------------------------------------------------------------- */

static struct errand *by_arn(struct sim *s, const char *arn)
{
	for (int i = 0; i < ERRANDS; i++)
		if (s->errand[i].used && !strcmp(s->errand[i].arn, arn))
			return &s->errand[i];
	return NULL;
}

static struct errand *by_token(struct sim *s, const char *token)
{
	for (int i = 0; *token && i < ERRANDS; i++)
		if (s->errand[i].used && !strcmp(s->errand[i].token, token))
			return &s->errand[i];
	return NULL;
}

/* The oldest that has stopped gives way. */
static struct errand *fresh(struct sim *s)
{
	struct errand *old = NULL;

	for (int i = 0; i < ERRANDS; i++) {
		struct errand *x = &s->errand[i];

		if (!x->used)
			return x;
		if (x->stopped && (!old || x->asked < old->asked))
			old = x;
	}
	return old;
}

/* --- what a command does ----------------------------------------------------------------- */

static const char *variable(const json_t *container, const char *name)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(container, "environment"), i, v)
		if (!strcmp(json_str(v, "name", ""), name))
			return json_str(v, "value", "");
	return "";
}

static bool mentions(const json_t *container, const char *word)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(container, "command"), i, v)
		if (json_is_string(v) && strstr(json_string_value(v), word))
			return true;
	return false;
}

static void find_deed(struct errand *x, const json_t *container)
{
	const char *word = variable(container, "CUTOVER_DO");

	x->does = !strcmp(word, "freeze") ? DOES_FREEZE : !strcmp(word, "thaw") ? DOES_THAW :
		  mentions(container, "update") ? DOES_UPDATE : DOES_NOTHING;
	snprintf(x->mark, sizeof x->mark, "%.130s", variable(container, "CUTOVER_MARK"));
}

static int64_t length_of(struct sim *s, const struct errand *x)
{
	if (x->does == DOES_UPDATE)
		return dice_between(&s->world_dice, UPDATE_MS);
	return x->does == DOES_NOTHING ? dice_between(&s->world_dice, OTHER_MS) : dice_between(&s->world_dice, LOCK_MS);
}

static bool lock_is_foreign(const struct sim *s, const struct errand *x)
{
	return s->db.locked && !strstr(s->db.lock, x->mark);
}

static void lock_now(struct sim *s, struct errand *x)
{
	char text[200];

	if (lock_is_foreign(s, x)) {
		x->exit_code = FOREIGN;
		return;
	}
	snprintf(text, sizeof text, "Read-only for a while. %s", x->mark);
	if (x->does == DOES_FREEZE)
		databases_lock(s, text);
	else
		databases_unlock(s);
}

static void update_begins(struct sim *s, struct errand *x)
{
	enum tables *t = databases_tables(s, GREEN);

	if (*t == TABLES_OLD)
		*t = TABLES_HALF;
	if (s->db.update_dies > 0) {
		s->db.update_dies--;
		x->ends = s->now + (x->ends - s->now) / 2;
		x->killed = true;
		snprintf(x->reason, sizeof x->reason, KILLED);
	}
}

static void update_ends(struct sim *s)
{
	*databases_tables(s, GREEN) = s->db.update_breaks ? TABLES_HALF : TABLES_NEW;
}

/* --- its life --------------------------------------------------------------------------------- */

static void begin(struct sim *s, struct errand *x)
{
	x->begun = true;
	if (x->does == DOES_UPDATE)
		update_begins(s, x);
}

static void end(struct sim *s, struct errand *x)
{
	x->stopped = true;
	if (x->killed)
		return;
	if (x->does == DOES_UPDATE)
		update_ends(s);
	if (x->does == DOES_FREEZE || x->does == DOES_THAW)
		lock_now(s, x);
}

void errands_tick(struct sim *s)
{
	for (int i = 0; i < ERRANDS; i++) {
		struct errand *x = &s->errand[i];

		if (x->used && !x->stopped && !x->begun && s->now >= x->starts)
			begin(s, x);
		if (x->used && !x->stopped && s->now >= x->ends)
			end(s, x);
	}
}

/* --- answers ------------------------------------------------------------------------------------ */

static const char *status_of(const struct sim *s, const struct errand *x)
{
	return x->stopped ? "STOPPED" : s->now >= x->starts ? "RUNNING" : s->now >= x->starts - 2000 ? "PENDING" : "PROVISIONING";
}

static json_t *errand_json(const struct sim *s, const struct errand *x)
{
	json_t *container = json_pack("{s:s,s:s}", "name", x->container, "lastStatus", status_of(s, x));
	json_t *t = json_pack("{s:s,s:s,s:s,s:s,s:s,s:f}", "taskArn", x->arn, "lastStatus", status_of(s, x), "desiredStatus",
			      x->stopped ? "STOPPED" : "RUNNING", "startedBy", x->started_by, "taskDefinitionArn", x->definition,
			      "createdAt", (double)x->asked / 1000);

	if (s->now >= x->starts)
		json_object_set_new(t, "startedAt", json_real((double)x->starts / 1000));
	if (x->stopped && !x->killed)
		json_object_set_new(container, "exitCode", json_integer(x->exit_code));
	if (x->stopped) {
		json_object_set_new(t, "stoppedAt", json_real((double)x->ends / 1000));
		json_object_set_new(t, "stopCode", json_string(x->killed && !x->reason[0] ? "UserInitiated" : "EssentialContainerExited"));
		json_object_set_new(t, "stoppedReason", json_string(x->reason[0] ? x->reason : "Essential container in task exited"));
	}
	json_object_set_new(t, "containers", json_pack("[o]", container));
	return t;
}

static uint64_t digest_of(const json_t *in)
{
	autojson json_t *copy = json_copy((json_t *)in);
	autofree char *text = NULL;
	uint64_t h = 0xcbf29ce484222325u;

	json_object_del(copy, "clientToken");
	text = json_flat(copy);
	for (const char *p = text; *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3u;
	return h;
}

static const char *what_is_wrong(const json_t *in)
{
	const char *by = json_str(in, "startedBy", ""), *token = json_str(in, "clientToken", "");

	if (!*json_str(in, "taskDefinition", ""))
		return "TaskDefinition can not be blank.";
	if (strlen(by) > 128 || by[strspn(by, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/")])
		return "startedBy may have 128 letters, digits, - _ and /.";
	if (strlen(token) > 64)
		return "clientToken is longer than 64.";
	if (!strcmp(json_str(in, "launchType", ""), "FARGATE") && !json_object_get(in, "networkConfiguration"))
		return "Network Configuration must be provided when networkMode 'awsvpc' is specified.";
	return NULL;
}

static void say_one(struct sim *s, struct say *a, const struct errand *x)
{
	say_json(a, json_pack("{s:[o],s:[]}", "tasks", errand_json(s, x), "failures"));
}

static void make(struct sim *s, const json_t *in, struct errand *x)
{
	const json_t *container = json_array_get(json_object_get(json_object_get(in, "overrides"), "containerOverrides"), 0);

	*x = (struct errand){ .used = true, .asked = s->now, .digest = digest_of(in) };
	find_deed(x, container);
	x->starts = s->now + dice_between(&s->world_dice, STARTS_MS);
	x->ends = x->starts + length_of(s, x);
	snprintf(x->arn, sizeof x->arn, "arn:aws:ecs:%s:%s:task/wiki/%032llx", s->region, s->account, (unsigned long long)++s->ids);
	snprintf(x->started_by, sizeof x->started_by, "%s", json_str(in, "startedBy", ""));
	snprintf(x->token, sizeof x->token, "%s", json_str(in, "clientToken", ""));
	snprintf(x->definition, sizeof x->definition, "%.250s", json_str(in, "taskDefinition", ""));
	snprintf(x->container, sizeof x->container, "%.60s", json_str(container, "name", ""));
}

void errands_run(struct sim *s, const struct ask *k, struct say *a)
{
	const char *wrong = what_is_wrong(k->json);
	struct errand *x = by_token(s, json_str(k->json, "clientToken", ""));

	if (wrong)
		return say_error(a, 400, "InvalidParameterException", "%s", wrong);
	if (x && x->digest != digest_of(k->json))
		return say_error(a, 400, "ConflictException", "The clientToken was used with other parameters.");
	if (!x) {
		x = fresh(s);
		if (!x)
			return say_json(a, json_pack("{s:[],s:[{s:s}]}", "tasks", "failures", "reason", "RESOURCE:MEMORY"));
		make(s, k->json, x);
	}
	say_one(s, a, x);
}

void errands_describe(struct sim *s, const struct ask *k, struct say *a)
{
	const char *arn = json_string_value(json_array_get(json_object_get(k->json, "tasks"), 0));
	struct errand *x = by_arn(s, arn ? arn : "");

	if (x)
		return say_one(s, a, x);
	say_json(a, json_pack("{s:[],s:[{s:s,s:s}]}", "tasks", "failures", "arn", arn ? arn : "", "reason", "MISSING"));
}

void errands_list(struct sim *s, const struct ask *k, struct say *a)
{
	const char *by = json_str(k->json, "startedBy", ""), *want = json_str(k->json, "desiredStatus", "RUNNING");
	json_t *arns = json_array();

	for (int i = 0; i < ERRANDS; i++) {
		const struct errand *x = &s->errand[i];

		/* what was just asked for is not in the list yet */
		if (x->used && !strcmp(x->started_by, by) && x->stopped == !strcmp(want, "STOPPED") && s->now - x->asked >= 1000)
			json_array_append_new(arns, json_string(x->arn));
	}
	say_json(a, json_pack("{s:o}", "taskArns", arns));
}

void errands_stop(struct sim *s, const struct ask *k, struct say *a)
{
	struct errand *x = by_arn(s, json_str(k->json, "task", ""));

	if (!x)
		return say_error(a, 400, "InvalidParameterException", "The referenced task was not found.");
	if (!x->stopped) { /* SIGTERM, and its command is not waited for */
		x->killed = true;
		x->ends = s->now + 1500 < x->ends ? s->now + 1500 : x->ends;
	}
	say_json(a, json_pack("{s:o}", "task", errand_json(s, x)));
}

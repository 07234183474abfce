/* EventBridge Scheduler: one-time schedules that call ModifyRule when due. */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#define MODIFY_RULE "arn:aws:scheduler:::aws-sdk:elasticloadbalancingv2:modifyRule"

static struct sched *find_schedule(struct sim *s, const char *group, const char *name)
{
	for (int i = 0; i < SCHEDULES; i++)
		if (s->sched[i].used && !strcmp(s->sched[i].name, name) && !strcmp(s->sched[i].group, group))
			return &s->sched[i];
	return NULL;
}

static void forget(struct sched *d)
{
	json_decref(d->body);
	*d = (struct sched){ 0 };
}

void schedules_close(struct sim *s)
{
	for (int i = 0; i < SCHEDULES; i++)
		forget(&s->sched[i]);
}

/* --- firing ---------------------------------------------------------------------- */

static void read_groups(const json_t *config, struct modify *m)
{
	const json_t *groups = json_object_get(config, "TargetGroups"), *g;
	const json_t *sticky = json_object_get(config, "TargetGroupStickinessConfig");
	size_t i;

	json_array_foreach(groups, i, g) {
		if (m->n == COUNT(m->group))
			break;
		m->group[m->n].arn = json_str(g, "TargetGroupArn", "");
		m->group[m->n++].weight = (long)json_num(g, "Weight", 1);
	}
	m->sticky_given = sticky;
	m->sticky = json_yes(sticky, "Enabled");
	m->sticky_s = (long)json_num(sticky, "DurationSeconds", 0);
}

static void fire(struct sim *s, const json_t *body)
{
	const json_t *target = json_object_get(body, "Target"), *actions, *act;
	autojson json_t *input = json_loads(json_str(target, "Input", ""), 0, NULL);
	struct modify m = { .rule = json_str(input, "RuleArn", "") };
	char why[400];
	size_t i;

	actions = json_object_get(input, "Actions");
	json_array_foreach(actions, i, act)
		if (!strcmp(json_str(act, "Type", ""), "forward"))
			read_groups(json_object_get(act, "ForwardConfig"), &m);
	if (!strcmp(json_str(target, "Arn", ""), MODIFY_RULE) && !balancer_modify(s, &m, why, sizeof why))
		s->fired++;
}

void schedules_tick(struct sim *s)
{
	for (int i = 0; i < SCHEDULES; i++) {
		struct sched *d = &s->sched[i];

		if (!d->used || !d->fire || d->fire > s->now)
			continue;
		fire(s, d->body);
		d->fire = 0;
		if (d->erase)
			forget(d);
	}
}

/* --- answers ----------------------------------------------------------------------- */

static int64_t time_of(const json_t *body)
{
	const char *expr = json_str(body, "ScheduleExpression", "");
	size_t n = strlen(expr);
	char iso[32];

	if (strncmp(expr, "at(", 3) || n != 23 || expr[22] != ')' ||
	    strcmp(json_str(body, "ScheduleExpressionTimezone", "UTC"), "UTC"))
		return -1;
	snprintf(iso, sizeof iso, "%.19sZ", expr + 3);
	return clock_parse_iso(iso);
}

static const char *what_is_wrong(const json_t *body)
{
	const json_t *target = json_object_get(body, "Target"), *retry = json_object_get(target, "RetryPolicy");
	const char *mode = json_str(json_object_get(body, "FlexibleTimeWindow"), "Mode", "");
	json_int_t age = json_num(retry, "MaximumEventAgeInSeconds", 86400);

	if (time_of(body) < 0)
		return "Invalid Schedule Expression.";
	if (strcmp(mode, "OFF") && strcmp(mode, "FLEXIBLE"))
		return "FlexibleTimeWindow is not valid.";
	if (!*json_str(target, "Arn", "") || !*json_str(target, "RoleArn", ""))
		return "Target must have Arn and RoleArn.";
	if (age < 60 || age > 86400 || json_num(retry, "MaximumRetryAttempts", 185) > 185)
		return "RetryPolicy is not valid.";
	if (strlen(json_str(body, "ClientToken", "")) > 64)
		return "ClientToken is longer than 64.";
	return NULL;
}

static void store(struct sim *s, struct sched *d, const char *group, const char *name, const json_t *body)
{
	int64_t at = time_of(body), from = at > s->now ? at : s->now;

	forget(d);
	*d = (struct sched){ .used = true, .at = at, .body = json_deep_copy(body),
			     .fire = from + dice_between(&s->world_dice, 0, 20000),
			     .erase = !strcmp(json_str(body, "ActionAfterCompletion", "NONE"), "DELETE") };
	snprintf(d->group, sizeof d->group, "%s", group);
	snprintf(d->name, sizeof d->name, "%s", name);
	snprintf(d->token, sizeof d->token, "%s", json_str(body, "ClientToken", ""));
}

static void say_arn(struct sim *s, struct say *a, const char *group, const char *name)
{
	char arn[300];

	snprintf(arn, sizeof arn, "arn:aws:scheduler:%s:%s:schedule/%s/%s", s->region, s->account, group, name);
	say_json(a, json_pack("{s:s}", "ScheduleArn", arn));
}

static void put(struct sim *s, const struct ask *k, struct say *a, struct sched *d, const char *group,
		const char *name)
{
	bool create = !strcmp(k->http->method, "POST");
	const char *wrong = what_is_wrong(k->json), *token = json_str(k->json, "ClientToken", "");

	if (wrong)
		return say_error(a, 400, "ValidationException", "%s", wrong);
	if (!create && !d)
		return say_error(a, 404, "ResourceNotFoundException", "Schedule %s does not exist.", name);
	if (create && d && *token && !strcmp(d->token, token))
		return say_arn(s, a, group, name);
	if (create && d)
		return say_error(a, 409, "ConflictException", "Schedule %s already exists.", name);
	for (int i = 0; i < SCHEDULES && !d; i++)
		if (!s->sched[i].used)
			d = &s->sched[i];
	if (!d)
		return say_error(a, 402, "ServiceQuotaExceededException", "Too many schedules.");
	store(s, d, group, name, k->json);
	say_arn(s, a, group, name);
}

static void get(const struct sched *d, struct say *a)
{
	json_t *out = json_deep_copy(d->body);

	json_object_set_new(out, "Name", json_string(d->name));
	json_object_set_new(out, "GroupName", json_string(d->group));
	json_object_del(out, "ClientToken");
	say_json(a, out);
}

void schedules_answer(struct sim *s, const struct ask *k, struct say *a)
{
	const char *method = k->http->method, *name = k->path + strlen("/schedules/");
	const char *group = *ask_field(k, "groupName") ? ask_field(k, "groupName") :
			    json_str(k->json, "GroupName", "default");
	struct sched *d;

	if (strncmp(k->path, "/schedules/", 11) || !*name || strlen(name) > 64 || strlen(group) > 64)
		return say_error(a, 400, "ValidationException", "Not a schedule: %.100s", k->path);
	d = find_schedule(s, group, name);
	if (!strcmp(method, "POST") || !strcmp(method, "PUT"))
		return put(s, k, a, d, group, name);
	if (!d)
		return say_error(a, 404, "ResourceNotFoundException", "Schedule %s does not exist.", name);
	if (!strcmp(method, "GET"))
		return get(d, a);
	forget(d);
	say_json(a, json_object());
}

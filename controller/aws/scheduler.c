#include "aws/scheduler.h"

#include "aws/answer.h"
#include "aws/aws.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_MS    60000
/* A switch that fires late would hit the next release (AWS's default is 24 h). */
#define RETRY_AGE_S  300
#define RETRY_TIMES  10
#define NAME_MAX_LEN 64

/* AWS's own pattern; it also spares us encoding the path. */
static int check_name(const char *what, const char *s, struct err *e)
{
	size_t n = s ? strlen(s) : 0;

	if (!n || n > NAME_MAX_LEN || s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
						  "0123456789-_.")])
		return err_set(e, ERR_INPUT, "a schedule's %s is 1 to %d letters, digits or -_., not \"%.80s\"",
			       what, NAME_MAX_LEN, s ? s : "");
	return 0;
}

static int check_names(const char *group, const char *name, struct err *e)
{
	return check_name("name", name, e) || (group && check_name("group", group, e)) ? -1 : 0;
}

static char *path_of(const char *group, const char *name)
{
	return group ? xasprintf("/schedules/%s?groupName=%s", name, group) :
		       xasprintf("/schedules/%s", name);
}

/* UpdateSchedule overwrites every field it is not given: always all of them. */
static json_t *body_of(const struct schedule *s)
{
	int64_t at = (s->at + MINUTE_MS - 1) / MINUTE_MS * MINUTE_MS;
	autofree char *input = json_flat(s->input);
	char iso[21], expr[32];
	json_t *body;

	clock_iso(at, iso);
	iso[19] = '\0'; /* at() takes no zone */
	snprintf(expr, sizeof expr, "at(%s)", iso);
	body = json_pack("{s:s,s:s,s:{s:s},s:s,s:s,s:{s:s,s:s,s:s,s:{s:i,s:i}}}",
			 "ScheduleExpression", expr, "ScheduleExpressionTimezone", "UTC",
			 "FlexibleTimeWindow", "Mode", "OFF", "State", "ENABLED",
			 "ActionAfterCompletion", "DELETE",
			 "Target", "Arn", s->target, "RoleArn", s->role, "Input", input,
			 "RetryPolicy", "MaximumEventAgeInSeconds", RETRY_AGE_S,
			 "MaximumRetryAttempts", RETRY_TIMES);
	if (body && s->group)
		json_object_set_new(body, "GroupName", json_string(s->group));
	if (body && s->token)
		json_object_set_new(body, "ClientToken", json_string(s->token));
	return body;
}

static int read_at(const json_t *answer, int64_t *at, struct err *e)
{
	char expr[61], zone[41], iso[40];
	size_t n;

	answer_copy(expr, sizeof expr, json_str(answer, "ScheduleExpression", ""));
	answer_copy(zone, sizeof zone, json_str(answer, "ScheduleExpressionTimezone", "UTC"));
	n = strlen(expr);
	if (strcmp(zone, "UTC") || strncmp(expr, "at(", 3) || n < 5 || n > 30 || expr[n - 1] != ')')
		return err_set(e, ERR_UNSURE, "it is not a one-time schedule in UTC but \"%s\" in %s",
			       expr, zone);
	snprintf(iso, sizeof iso, "%.*sZ", (int)(n - 4), expr + 3);
	*at = clock_parse_iso(iso);
	return *at < 0 ? err_set(e, ERR_UNSURE, "its time is not readable: \"%s\"", expr) : 0;
}

int schedule_get(struct aws *a, const char *group, const char *name, bool *exists, int64_t *at,
		 struct err *e)
{
	autojson json_t *answer = NULL;
	autofree char *path = NULL;
	struct err why = { 0 };

	*exists = false;
	*at = 0;
	if (check_names(group, name, e))
		return -1;
	path = path_of(group, name);
	if (!aws_rest(a, SCHEDULER_GET_SCHEDULE, "GET", path, NULL, &answer, &why)) {
		*exists = true;
		if (!read_at(answer, at, &why))
			return 0;
	} else if (why.kind == ERR_GONE) {
		return 0;
	}
	*e = why;
	return err_wrap(e, "looking at schedule %s", name);
}

/* Surely: an update that was not answered has changed nothing then. */
static bool is_absent(struct aws *a, const struct schedule *s)
{
	struct err ignored = { 0 };
	bool exists;
	int64_t at;

	return !schedule_get(a, s->group, s->name, &exists, &at, &ignored) && !exists;
}

/* Update first: a switch is made once and moved many times. */
int schedule_put(struct aws *a, const struct schedule *s, struct err *e)
{
	autojson json_t *body = NULL, *answer = NULL;
	autofree char *path = NULL;
	struct err first = { 0 };
	int rc;

	if (check_names(s->group, s->name, e))
		return -1;
	body = body_of(s);
	if (!body)
		return err_set(e, ERR_INPUT, "schedule %s is not complete", s->name);
	path = path_of(NULL, s->name);
	rc = aws_rest(a, SCHEDULER_UPDATE_SCHEDULE, "PUT", path, body, &answer, &first);
	if (!rc)
		return 0;
	*e = first;
	if (first.kind == ERR_GONE || (first.kind == ERR_UNSURE && is_absent(a, s)))
		rc = aws_rest(a, SCHEDULER_CREATE_SCHEDULE, "POST", path, body, &answer, e);
	/* A retried create may meet its own first try. */
	if (rc && !strcmp(e->code, "ConflictException"))
		rc = aws_rest(a, SCHEDULER_UPDATE_SCHEDULE, "PUT", path, body, &answer, e);
	return rc ? err_wrap(e, "arming schedule %s", s->name) : 0;
}

/* One that is not there is as good as deleted. */
int schedule_delete(struct aws *a, const char *group, const char *name, struct err *e)
{
	autojson json_t *answer = NULL;
	autofree char *path = NULL;
	struct err why = { 0 };

	if (check_names(group, name, e))
		return -1;
	path = path_of(group, name);
	if (!aws_rest(a, SCHEDULER_DELETE_SCHEDULE, "DELETE", path, NULL, &answer, &why) ||
	    why.kind == ERR_GONE)
		return 0;
	*e = why;
	return err_wrap(e, "deleting schedule %s", name);
}

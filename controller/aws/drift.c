/* aws/drift.c - differences between a stack's resources and its template. */
#include "aws/answer.h"
#include "aws/cfn.h"
#include "aws/core.h"

#include <stdio.h>
#include <string.h>

#define ROWS_MAX 500        /* AWS: resources per stack */
#define DIFFERENCES_MAX 20  /* shown of one resource */

int cfn_drift_start(struct aws *a, const char *stack, char id[64], struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *r;

	aws_arg(args, stack, "StackName");
	if (aws_query(a, CFN_DETECT_STACK_DRIFT, args, &x, e))
		return cfn_failed(e, "looking for drift of", stack);
	r = answer_at(x, "DetectStackDriftResult", e);
	if (!r || answer_text(r, "StackDriftDetectionId", id, 64, e))
		return cfn_failed(e, "looking for drift of", stack);
	return 0;
}

static int read_status(struct xml *x, struct cfn_drift *out, struct err *e)
{
	struct xml *r = answer_at(x, "DescribeStackDriftDetectionStatusResult", e);
	char status[32];

	if (!r || answer_text(r, "DetectionStatus", status, sizeof status, e))
		return -1;
	out->over = strcmp(status, "DETECTION_IN_PROGRESS") != 0;
	answer_say(r, "DetectionStatusReason", out->reason, sizeof out->reason);
	if (strcmp(status, "DETECTION_COMPLETE") != 0)
		return 0;
	return answer_text(r, "StackDriftStatus", out->status, sizeof out->status, e);
}

int cfn_drift_get(struct aws *a, const char *id, struct cfn_drift *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;

	*out = (struct cfn_drift){ 0 };
	aws_arg(args, id, "StackDriftDetectionId");
	if (aws_query(a, CFN_DESCRIBE_STACK_DRIFT_DETECTION_STATUS, args, &x, e) || read_status(x, out, e))
		return err_wrap(e, "looking for drift");
	return 0;
}

static json_t *read_differences(struct xml *list)
{
	json_t *all = json_array();
	char line[400];

	for (struct xml *m = xml_at(list, "member"); m && json_array_size(all) < DIFFERENCES_MAX; m = xml_next(m)) {
		snprintf(line, sizeof line, "%.120s: the template says %.120s, it is %.120s", xml_text(m, "PropertyPath"),
			 xml_text(m, "ExpectedValue"), xml_text(m, "ActualValue"));
		json_array_append_new(all, json_text(line));
	}
	return all;
}

static int read_rows(struct xml *list, json_t *out, struct err *e)
{
	for (struct xml *m = xml_at(list, "member"); m; m = xml_next(m)) {
		if (json_array_size(out) >= ROWS_MAX)
			return err_set(e, ERR_UNSURE, "more than %d resources drifted", ROWS_MAX);
		json_array_append_new(out, json_pack("{s:o,s:o,s:o,s:o}",
			"logical", json_text(xml_text(m, "LogicalResourceId")),
			"type", json_text(xml_text(m, "ResourceType")),
			"status", json_text(xml_text(m, "StackResourceDriftStatus")),
			"differences", read_differences(xml_at(m, "PropertyDifferences"))));
	}
	return 0;
}

static int row_page(struct aws *a, const char *stack, char **next, json_t *out, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *r;

	aws_arg(args, stack, "StackName");
	aws_arg(args, "MODIFIED", "StackResourceDriftStatusFilters.member.1");
	aws_arg(args, "DELETED", "StackResourceDriftStatusFilters.member.2");
	aws_arg(args, *next, "NextToken");
	free(steal(next));
	if (aws_query(a, CFN_DESCRIBE_STACK_RESOURCE_DRIFTS, args, &x, e))
		return -1;
	r = answer_at(x, "DescribeStackResourceDriftsResult", e);
	if (!r || read_rows(xml_at(r, "StackResourceDrifts"), out, e))
		return -1;
	if (*xml_text(r, "NextToken"))
		*next = xstrdup(xml_text(r, "NextToken"));
	return 0;
}

int cfn_drift_rows(struct aws *a, const char *stack, json_t **out, struct err *e)
{
	autofree char *next = NULL;
	autojson json_t *rows = json_array();

	*out = NULL;
	for (int page = 0; page < CFN_PAGES_MAX; page++) {
		if (row_page(a, stack, &next, rows, e))
			return cfn_failed(e, "reading the drift of", stack);
		if (!next) {
			*out = steal(&rows);
			return 0;
		}
	}
	return err_set(e, ERR_UNSURE, "the drift of stack %.100s has more than %d pages", stack, CFN_PAGES_MAX);
}

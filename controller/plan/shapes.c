/* plan/shapes.c - every key of a plan file that is not a step's own, with its
 * default. The reader, the schema and the errors all come from here. */
#include "plan/internal.h"

#define SECOND 1000L
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const char *const hold_choices[] = { "rollback", "call", NULL };
/* plan_watch.latency_stat has room for seven characters */
static const char *const stat_choices[] = { "p50", "p75", "p90", "p95", "p99", "Average", NULL };

static const struct param catastrophic_fields[] = {
	{ .name = "rate", .type = PARAM_PERCENT, .def = "\"20%\"", .min = 1, .max = 1000,
	  .about = "share of failed green requests in one closed period from which it is a catastrophe" },
	{ .name = "min_requests", .type = PARAM_INT, .def = "50", .min = 1, .max = 1000000,
	  .about = "green requests the period must have for that" },
	{ 0 },
};

static const struct param errors_fields[] = {
	{ .name = "rate", .type = PARAM_PERCENT, .def = "\"2%\"", .min = 1, .max = 1000,
	  .about = "share of failed green requests above which the periods are bad" },
	{ .name = "periods", .type = PARAM_INT, .def = "3", .min = 1, .max = 60,
	  .about = "closed periods in a row that are looked at together" },
	{ .name = "min_requests", .type = PARAM_INT, .def = "100", .min = 1, .max = 1000000,
	  .about = "green requests these periods must have together" },
	{ 0 },
};

static const struct param latency_fields[] = {
	{ .name = "stat", .type = PARAM_CHOICE, .def = "\"p90\"", .choices = stat_choices,
	  .about = "statistic of TargetResponseTime: what is shown, and what is judged without `above`" },
	{ .name = "above", .type = PARAM_DURATION, .min = 1, .max = 5 * MINUTE,
	  .about = "slower answers are counted as slow, and judged as errors are: more of them on green than on blue" },
	{ .name = "periods", .type = PARAM_INT, .min = 1, .max = 60,
	  .about = "a fixed limit besides: green is BAD when the statistic is above `above` in that many closed periods in a row" },
	{ .name = "min_requests", .type = PARAM_INT, .def = "100", .min = 1, .max = 1000000,
	  .about = "green requests these periods must have together" },
	{ 0 },
};

static const struct param judge_fields[] = {
	{ .name = "on", .type = PARAM_BOOL, .def = "true",
	  .about = "compare green with blue at every look; false: fixed limits decide alone" },
	{ .name = "false_rollback", .type = PARAM_PERCENT, .min = 1, .max = 200,
	  .about = "chance of taking back a green that is as good as blue, over the whole run; without it: 1%" },
	{ .name = "missed", .type = PARAM_PERCENT, .min = 1, .max = 200,
	  .about = "chance of leaving a stage though the fault it must exclude is there; `cutover judge --settings` says which without it" },
	{ .name = "harm", .type = PARAM_INT, .min = 1, .max = 1000000000,
	  .about = "failed requests that one more stage may cost before its fault is seen, beside what that costs anyhow; `cutover judge --settings` says how many without it" },
	{ .name = "settings", .type = PARAM_MAP, .max = 64,
	  .about = "any other setting of the judge by name (`cutover judge --settings` lists them), such as {\"react\": \"6\"}" },
	{ 0 },
};

static const struct param metric_fields[] = {
	{ .name = "name", .type = PARAM_STRING, .required = true, .about = "what people call it, up to 40 characters" },
	{ .name = "namespace", .type = PARAM_STRING, .required = true, .about = "CloudWatch namespace" },
	{ .name = "metric", .type = PARAM_STRING, .required = true, .about = "CloudWatch metric; its Sum counts what went wrong" },
	{ .name = "blue", .type = PARAM_MAP, .required = true, .max = 30, .about = "dimensions of blue's series" },
	{ .name = "green", .type = PARAM_MAP, .required = true, .max = 30,
	  .about = "dimensions of green's series; may name outputs of earlier steps" },
	{ .name = "always", .type = PARAM_BOOL, .def = "false",
	  .about = "it has a datapoint in every period with requests, also when it is 0: none means that nobody counts" },
	{ 0 },
};

#define DOOR_HEADERS 8 /* as mediawiki/ask.h counts them */
static const struct param door_fields[] = {
	{ .name = "through", .type = PARAM_STRING,
	  .about = "\"host:port\" to connect to instead, mostly the load balancer's test listener; TLS name and Host stay" },
	{ .name = "headers", .type = PARAM_MAP, .max = DOOR_HEADERS,
	  .about = "request headers, such as the one the test listener tells colours by: {\"X-MW-Color\": \"green\"}" },
	{ 0 },
};

static const struct section probes_sections[] = {
	{ .name = "blue", .about = "how blue is reached", .required = true, .shape = { .fields = door_fields } },
	{ .name = "green", .about = "how green is reached; may name outputs of earlier steps", .required = true,
	  .shape = { .fields = door_fields } },
	{ 0 },
};

static const struct param probes_fields[] = {
	{ .name = "url", .type = PARAM_STRING, .required = true,
	  .about = "the wiki as its users name it: \"https://wiki.example.org\", no path" },
	{ .name = "every", .type = PARAM_DURATION, .def = "\"PT20S\"", .min = SECOND, .max = 10 * MINUTE,
	  .about = "time between two rounds; a round asks each thing of both colours" },
	{ .name = "paths", .type = PARAM_STRINGS, .def = "[]", .max = 10, .about = "what is read: \"/wiki/Main_Page\"; it must answer 200" },
	{ .name = "search", .type = PARAM_STRING, .about = "words that are searched for; no hits are an answer too" },
	{ .name = "sandbox", .type = PARAM_STRING,
	  .about = "a page that may be overwritten each time, without an account: \"Project:Sandbox/cutover\"" },
	{ .name = "scripts", .type = PARAM_STRING, .def = "\"\"", .about = "where api.php is: \"/w\" ($wgScriptPath)" },
	{ 0 },
};

static const struct section watch_sections[] = {
	{ .name = "catastrophic", .about = "hard limit in one closed period", .always = true,
	  .shape = { .fields = catastrophic_fields } },
	{ .name = "judge", .about = "green compared with blue, at every look", .always = true,
	  .shape = { .fields = judge_fields } },
	{ .name = "errors", .about = "a fixed limit of the error rate besides; without it there is none",
	  .shape = { .fields = errors_fields } },
	{ .name = "latency", .about = "which response times are slow", .always = true,
	  .shape = { .fields = latency_fields } },
	{ .name = "probes", .about = "requests of our own to both colours, while both have weight; failures are judged as errors are",
	  .shape = { .fields = probes_fields, .sections = probes_sections } },
	{ 0 },
};

static const struct param watch_fields[] = {
	{ .name = "period", .type = PARAM_DURATION, .def = "\"PT1M\"", .min = SECOND, .max = MINUTE,
	  .about = "CloudWatch period, whole seconds; below PT1M only where metrics are published that often" },
	{ .name = "lag", .type = PARAM_DURATION, .min = SECOND, .max = 15 * MINUTE,
	  .about = "a period counts as closed this long after its end; without it: two periods" },
	{ .name = "poll", .type = PARAM_DURATION, .min = SECOND, .max = 5 * MINUTE,
	  .about = "time between two looks; without it: half a period, at least a second" },
	{ .name = "blind_after", .type = PARAM_DURATION, .def = "\"PT5M\"", .min = SECOND, .max = HOUR,
	  .about = "nothing could be seen for this long: traffic goes back" },
	{ .name = "blind_periods", .type = PARAM_INT, .def = "3", .min = 1, .max = 60,
	  .about = "closed periods without sight after which the watch calls itself blind" },
	{ .name = "hold_limit", .type = PARAM_DURATION, .def = "\"PT1H\"", .min = SECOND, .max = DAY,
	  .about = "a stage may be lengthened this much while too little has been seen" },
	{ .name = "on_hold", .type = PARAM_CHOICE, .def = "\"rollback\"", .choices = hold_choices,
	  .about = "what happens when hold_limit is over: take traffic back, or call a person and wait" },
	{ .name = "foreign_grace", .type = PARAM_DURATION, .def = "\"PT2M\"", .min = SECOND, .max = HOUR,
	  .about = "somebody else changed the weights: time to say resume before traffic goes back" },
	{ .name = "good_requests", .type = PARAM_INT, .def = "100", .min = 1, .max = 10000000,
	  .about = "requests green must have answered in a stage before the next one may begin" },
	/* DescribeAlarms takes at most 100 names */
	{ .name = "alarms", .type = PARAM_STRINGS, .def = "[]", .max = 100,
	  .about = "CloudWatch alarms that mean rollback when they fire" },
	{ .name = "waived", .type = PARAM_STRINGS, .def = "[]", .max = 100,
	  .about = "those of them that may fire all the same" },
	{ .name = "metrics", .type = PARAM_OBJECTS, .def = "[]", .max = 6, .fields = metric_fields,
	  .about = "what else is counted per request and judged, such as API errors that are HTTP 200" },
	{ 0 },
};

#define SIDE_REST                                                                                      \
	{ .name = "cluster", .type = PARAM_STRING, .about = "ECS cluster, name or ARN" },              \
	{ .name = "service", .type = PARAM_STRING, .about = "ECS service, name or ARN" },              \
	{ .name = "stack", .type = PARAM_STRING, .about = "CloudFormation stack, name or ARN" }, { 0 }

static const struct param blue_fields[] = {
	{ .name = "target_group", .type = PARAM_STRING, .required = true, .about = "ARN of blue's target group" },
	SIDE_REST,
};
static const struct param green_fields[] = {
	{ .name = "target_group", .type = PARAM_STRING, .required = true,
	  .about = "ARN of green's target group, or the output of the step that makes it: \"${green.TargetGroupArn}\"" },
	SIDE_REST,
};

static const struct param deadman_fields[] = {
	{ .name = "role", .type = PARAM_STRING, .required = true,
	  .about = "ARN of the role EventBridge Scheduler takes to call ModifyRule on the rule" },
	{ .name = "group", .type = PARAM_STRING, .def = "\"default\"", .about = "schedule group" },
	/* schedules are exact to a minute */
	{ .name = "after", .type = PARAM_DURATION, .def = "\"PT15M\"", .min = 2 * MINUTE, .max = DAY,
	  .about = "AWS puts the weights back when no controller has been heard of for this long" },
	{ 0 },
};

static const struct param plan_fields[] = {
	{ .name = "name", .type = PARAM_STRING, .required = true, .about = "1 to 32 of a-z, 0-9, - and ." },
	{ .name = "region", .type = PARAM_STRING, .required = true, .about = "AWS region it may run in" },
	{ .name = "account", .type = PARAM_STRING, .required = true, .about = "AWS account it may run in, 12 digits" },
	{ .name = "rule", .type = PARAM_STRING, .required = true,
	  .about = "ARN of the production listener rule, the one whose weights are moved" },
	{ .name = "deadline", .type = PARAM_DURATION, .min = MINUTE, .max = 14 * DAY,
	  .about = "longest time for the whole way forward; then traffic goes back" },
	{ .name = "call", .type = PARAM_STRINGS, .min = 1, .max = 20,
	  .about = "program and arguments, started when a person is needed; the message is its stdin" },
	{ 0 },
};

static const struct section plan_sections[] = {
	{ .name = "blue", .about = "what serves now", .required = true, .shape = { .fields = blue_fields } },
	{ .name = "green", .about = "what shall serve", .required = true, .shape = { .fields = green_fields } },
	{ .name = "watch", .about = "when green is good, and when it is taken back", .always = true,
	  .shape = { .fields = watch_fields, .sections = watch_sections } },
	{ .name = "deadman", .about = "AWS itself puts the weights back when no controller is heard of",
	  .shape = { .fields = deadman_fields } },
	{ 0 },
};

static const char *const plan_also[] = { "steps", "$schema", NULL };

const struct shape plan_shape = { .fields = plan_fields, .sections = plan_sections, .also = plan_also };

const struct param plan_step_common[] = {
	{ .name = "id", .type = PARAM_STRING, .required = true, .about = "1 to 24 of a-z, 0-9 and -; unique in the plan" },
	{ .name = "do", .type = PARAM_STRING, .required = true, .about = "the kind of step" },
	{ .name = "timeout", .type = PARAM_DURATION, .min = SECOND, .max = 14 * DAY,
	  .about = "longest time the step may take; then the run rolls back" },
	{ 0 },
};

/* ELBv2: what is asked of the balancer, and what it says. */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#define STALE_MS 30000

static void say_tuples(struct say *a, const struct sim *s, const struct split *w)
{
	for (int i = 0; i < COLOURS; i++) {
		if (w->of[i] < 0)
			continue;
		buf_adds(&a->body, "<member>");
		say_tag(a, "TargetGroupArn", "%s", s->side[i].arn);
		say_tag(a, "Weight", "%d", w->of[i]);
		buf_adds(&a->body, "</member>");
	}
}

static void say_forward(struct say *a, const struct sim *s, const struct split *w)
{
	buf_adds(&a->body, "<Actions><member><Type>forward</Type><Order>1</Order>");
	for (int i = 0; i < COLOURS; i++) /* AWS names a lone group in both forms */
		if (w->of[i] >= 0 && w->of[!i] < 0)
			say_tag(a, "TargetGroupArn", "%s", s->side[i].arn);
	buf_adds(&a->body, "<ForwardConfig><TargetGroups>");
	say_tuples(a, s, w);
	buf_adds(&a->body, "</TargetGroups><TargetGroupStickinessConfig>");
	say_tag(a, "Enabled", "%s", s->sticky ? "true" : "false");
	if (s->sticky)
		say_tag(a, "DurationSeconds", "%d", s->sticky_s);
	buf_adds(&a->body, "</TargetGroupStickinessConfig></ForwardConfig></member></Actions>");
}

static struct split seen(const struct sim *s)
{
	size_t i = s->npast - 1;

	if (!s->stale)
		return s->control;
	while (i && s->past[i].at > s->now - STALE_MS)
		i--;
	return s->past[i].w;
}

static void say_rule(struct say *a, const struct sim *s)
{
	struct split w = seen(s);

	buf_adds(&a->body, "<Rules><member>");
	say_tag(a, "RuleArn", "%s", s->rule);
	buf_adds(&a->body, "<Priority>100</Priority><Conditions><member><Field>host-header</Field>"
			   "<HostHeaderConfig><Values><member>wiki.example.org</member></Values>"
			   "</HostHeaderConfig></member></Conditions>");
	say_forward(a, s, &w);
	buf_adds(&a->body, "<IsDefault>false</IsDefault></member></Rules>");
}

static void say_default_rule(struct say *a, const struct sim *s)
{
	buf_adds(&a->body, "<Rules><member>");
	say_tag(a, "RuleArn", "%s", s->default_rule);
	buf_adds(&a->body, "<Priority>default</Priority><Conditions/><Actions><member>"
			   "<Type>fixed-response</Type><FixedResponseConfig><StatusCode>503</StatusCode>"
			   "</FixedResponseConfig></member></Actions><IsDefault>true</IsDefault></member></Rules>");
}

static void describe_rules(struct sim *s, const struct ask *k, struct say *a)
{
	const char *arn = ask_field(k, "RuleArns.member.1");

	if (strcmp(arn, s->rule) && strcmp(arn, s->default_rule)) {
		say_error(a, 400, "RuleNotFound", "One or more rules not found");
		return;
	}
	say_begin(a);
	(strcmp(arn, s->rule) ? say_default_rule : say_rule)(a, s);
	say_end(a);
}

#define FORWARD "Actions.member.%zu.ForwardConfig."

/* Omitted weights are 1; a text that is no number is refused like -1. */
static long weight_of(const char *text)
{
	char *end;
	long w = strtol(text, &end, 10);

	return !*text ? 1 : *end ? -1 : w;
}

static void read_forward(const struct ask *k, size_t i, struct modify *m)
{
	const char *simple = ask_field(k, "Actions.member.%zu.TargetGroupArn", i);
	const char *sticky = ask_field(k, FORWARD "TargetGroupStickinessConfig.Enabled", i);

	for (size_t g = 1; g <= COUNT(m->group); g++) {
		const char *arn = ask_field(k, FORWARD "TargetGroups.member.%zu.TargetGroupArn", i, g);

		if (!*arn)
			break;
		m->group[m->n].arn = arn;
		m->group[m->n++].weight = weight_of(ask_field(k, FORWARD "TargetGroups.member.%zu.Weight", i, g));
	}
	if (!m->n && *simple) {
		m->group[m->n].arn = simple;
		m->group[m->n++].weight = 1;
	}
	m->sticky_given = *sticky;
	m->sticky = !strcmp(sticky, "true");
	m->sticky_s = strtol(ask_field(k, FORWARD "TargetGroupStickinessConfig.DurationSeconds", i), NULL, 10);
}

static bool read_actions(const struct ask *k, struct modify *m)
{
	bool forward = false;

	for (size_t i = 1; *ask_field(k, "Actions.member.%zu.Type", i); i++) {
		if (strcmp(ask_field(k, "Actions.member.%zu.Type", i), "forward"))
			continue;
		forward = true;
		read_forward(k, i, m);
	}
	return forward;
}

static void modify_rule(struct sim *s, const struct ask *k, struct say *a)
{
	struct modify m = { .rule = say_missing(a, "RuleArn") };
	char why[400];
	const char *code;

	if (!m.rule)
		return;
	if (!read_actions(k, &m)) {
		say_error(a, 400, "ValidationError", "The actions must contain a forward action");
		return;
	}
	code = balancer_modify(s, &m, why, sizeof why);
	if (code) {
		say_error(a, 400, code, "%s", why);
		return;
	}
	say_begin(a);
	say_rule(a, s);
	say_end(a);
}

static void describe_tags(struct sim *s, const struct ask *k, struct say *a)
{
	const char *arn = say_missing(a, "ResourceArns.member.1");

	(void)k;
	if (!arn)
		return;
	if (strcmp(arn, s->rule) && balancer_colour(s, arn) < 0) {
		say_error(a, 400, "RuleNotFound", "One or more resources not found");
		return;
	}
	say_begin(a);
	buf_adds(&a->body, "<TagDescriptions><member>");
	say_tag(a, "ResourceArn", "%s", arn);
	buf_adds(&a->body, "<Tags><member><Key>cutover:managed</Key><Value>true</Value></member></Tags>"
			   "</member></TagDescriptions>");
	say_end(a);
}

static const struct side *group_asked(struct sim *s, struct say *a, const char *field)
{
	const char *arn = say_missing(a, field);
	int colour = arn ? balancer_colour(s, arn) : -1;

	if (arn && colour < 0)
		say_error(a, 400, "TargetGroupNotFound", "Target groups '%.200s' not found", arn);
	return colour < 0 ? NULL : &s->side[colour];
}

static void describe_groups(struct sim *s, const struct ask *k, struct say *a)
{
	const struct side *c = group_asked(s, a, "TargetGroupArns.member.1");

	(void)k;
	if (!c)
		return;
	say_begin(a);
	buf_adds(&a->body, "<TargetGroups><member>");
	say_tag(a, "TargetGroupArn", "%s", c->arn);
	say_tag(a, "TargetGroupName", "%s", c->name);
	buf_adds(&a->body, "<Protocol>HTTP</Protocol><Port>8080</Port><VpcId>vpc-0a1b2c3d4e5f67890</VpcId>"
			   "<HealthCheckPath>/healthz</HealthCheckPath><TargetType>ip</TargetType><LoadBalancerArns>");
	if (c->on_rule)
		buf_addf(&a->body, "<member>arn:aws:elasticloadbalancing:%s:%s:loadbalancer/%s</member>", s->region,
			 s->account, s->balancer);
	buf_adds(&a->body, "</LoadBalancerArns></member></TargetGroups>");
	say_end(a);
}

static const struct { const char *state, *reason, *about; } healths[] = {
	[UNUSED] = { "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer" },
	[INITIAL] = { "initial", "Elb.InitialHealthChecking", "Initial health checks in progress" },
	[HEALTHY] = { "healthy", NULL, NULL },
	[UNHEALTHY] = { "unhealthy", "Target.Timeout", "Request timed out" },
	[DRAINING] = { "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress" },
};

static void say_target(struct say *a, int colour, int i, enum health state)
{
	buf_addf(&a->body, "<member><Target><Id>10.0.%d.%d</Id><Port>8080</Port>"
		 "<AvailabilityZone>all</AvailabilityZone></Target><TargetHealth>", colour + 1, i + 11);
	say_tag(a, "State", "%s", healths[state].state);
	if (healths[state].reason) {
		say_tag(a, "Reason", "%s", healths[state].reason);
		say_tag(a, "Description", "%s", healths[state].about);
	}
	buf_adds(&a->body, "</TargetHealth></member>");
}

static void describe_health(struct sim *s, const struct ask *k, struct say *a)
{
	const struct side *c = group_asked(s, a, "TargetGroupArn");

	(void)k;
	if (!c)
		return;
	say_begin(a);
	buf_adds(&a->body, "<TargetHealthDescriptions>");
	for (int i = 0; i < c->ntargets; i++)
		say_target(a, (int)(c - s->side), i, c->target[i].state);
	buf_adds(&a->body, "</TargetHealthDescriptions>");
	say_end(a);
}

const struct answer balancer_answers[] = {
	{ "DescribeRules", describe_rules },
	{ "ModifyRule", modify_rule },
	{ "DescribeTags", describe_tags },
	{ "DescribeTargetGroups", describe_groups },
	{ "DescribeTargetHealth", describe_health },
	{ NULL, NULL },
};

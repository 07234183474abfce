/* The simulated world: does it behave like the one it stands for? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/cloudwatch.h"
#include "aws/ecs.h"
#include "aws/elb.h"
#include "aws/scheduler.h"
#include "aws/sts.h"
#include "base/buf.h"
#include "sim/dice.h"
#include "simworld.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(call) do { if (call) fail_msg("%s: %s", #call, w.e.msg); } while (0)

static struct simworld w;

static int set_weights(int blue, int green)
{
	autorule struct elb_rule r = { 0 };
	struct elb_weight g[2] = { { SIM_BLUE, blue }, { SIM_GREEN, green } };

	return elb_rule_get(w.aws, SIM_RULE, &r, &w.e) || elb_rule_set(w.aws, &r, g, 2, &w.e);
}

static int set_weights_now(int blue, int green) /* one request only: mishaps count them */
{
	struct elb_rule r = { .arn = SIM_RULE };
	struct elb_weight g[2] = { { SIM_BLUE, blue }, { SIM_GREEN, green } };
	struct xml forward = { .name = (char[]){ "member" } }, type = { .name = (char[]){ "Type" }, .text = (char[]){ "forward" } };
	struct xml actions = { .name = (char[]){ "Actions" }, .kid = &forward };

	forward.kid = &type;
	r.actions = &actions;
	return elb_rule_set(w.aws, &r, g, 2, &w.e);
}

static struct sim_truth truth(void)
{
	struct sim_truth t;

	sim_truth(w.sim, &t);
	return t;
}

static void ready_green(void)
{
	OK(set_weights(999, 0));
	simworld_wait(&w, 90);
	assert_int_equal(truth().green_healthy, 4);
}

/* --- determinism ---------------------------------------------------------------- */

static void run_a_day(uint64_t seed, struct sim_truth *out)
{
	simworld_open(&w, &(struct sim_opts){ .seed = seed });
	sim_mishap_rate(w.sim, 0.05);
	for (int i = 0; i < 20; i++) {
		(void)set_weights(900 - i, 100 + i);
		simworld_wait(&w, 60);
	}
	*out = truth();
	simworld_close(&w);
}

static void same_seed_same_world(void **state)
{
	struct sim_truth a, b, other;

	(void)state;
	run_a_day(42, &a);
	run_a_day(42, &b);
	run_a_day(43, &other);
	assert_memory_equal(&a, &b, sizeof a);
	assert_true(a.users != other.users);
	assert_true(a.users > 200 * 60 * 20 * 0.5 && a.users < 200 * 60 * 20 * 2);
}

/* --- balancer -------------------------------------------------------------------- */

static void weights_propagate_late(void **state)
{
	int waited = 0;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 7 });
	ready_green();
	OK(set_weights(500, 500));
	assert_int_equal(truth().weight_green, 500);
	assert_int_equal(truth().live_green, 0);
	for (; truth().live_green != 500 && waited < 60; waited++)
		simworld_wait(&w, 1);
	assert_in_range(waited, 1, 20);
	simworld_close(&w);
}

static void a_group_on_no_rule_is_unused(void **state)
{
	struct elb_health h;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 3 });
	OK(elb_health(w.aws, SIM_GREEN, &h, &w.e));
	assert_int_equal(h.unused, 4);
	assert_non_null(strstr(h.reason, "Target.NotInUse"));
	OK(set_weights(999, 0));
	OK(elb_health(w.aws, SIM_GREEN, &h, &w.e));
	assert_int_equal(h.initial, 4);
	simworld_wait(&w, 61);
	OK(elb_health(w.aws, SIM_GREEN, &h, &w.e));
	assert_int_equal(h.healthy, 4);
	assert_string_equal(h.reason, "");
	simworld_close(&w);
}

static int raw_modify(const char *args)
{
	char body[2000];
	struct http_res a;
	struct err e;
	int status;

	snprintf(body, sizeof body, "Action=ModifyRule&Version=2015-12-01&%s", args);
	struct kv head[] = {
		{ "x-amz-date", "20260101T020000Z" },
		{ "authorization", "AWS4-HMAC-SHA256 Credential=A/20260101/" SIM_REGION "/elasticloadbalancing/aws4_request, "
		  "SignedHeaders=host;x-amz-date, Signature=0123456789012345678901234567890123456789012345678901234567890123" },
	};
	struct http_req q = { .method = "POST", .url = "https://elasticloadbalancing." SIM_REGION ".amazonaws.com/",
			      .head = head, .nhead = 2, .body = body, .nbody = strlen(body) };
	assert_int_equal(sim_send(w.sim, &q, &a, &e), 0);
	status = a.status;
	http_res_free(&a);
	return status;
}

#define G "Actions.member.1.ForwardConfig.TargetGroups.member."
#define FWD "&Actions.member.1.Type=forward&"

static void what_aws_refuses_is_refused(void **state)
{
	static const struct { const char *args; int status; } rows[] = {
		{ "RuleArn=" SIM_RULE FWD G "1.TargetGroupArn=" SIM_BLUE "&" G "1.Weight=999", 200 },
		{ "RuleArn=" SIM_RULE FWD G "1.TargetGroupArn=" SIM_BLUE "&" G "1.Weight=1000", 400 },
		{ "RuleArn=" SIM_RULE FWD G "1.TargetGroupArn=" SIM_BLUE "&" G "1.Weight=-1", 400 },
		{ "RuleArn=" SIM_RULE FWD G "1.TargetGroupArn=" SIM_BLUE "&" G "1.Weight=many", 400 },
		{ "RuleArn=" SIM_RULE FWD G "1.TargetGroupArn=" SIM_BLUE "x&" G "1.Weight=1", 400 },
		{ "RuleArn=" SIM_RULE FWD G "1.TargetGroupArn=" SIM_BLUE "&" G "2.TargetGroupArn=" SIM_BLUE, 400 },
		{ "RuleArn=" SIM_RULE FWD, 400 },
		{ "RuleArn=" SIM_RULE, 400 },
		{ FWD G "1.TargetGroupArn=" SIM_BLUE, 400 },
		{ "RuleArn=nonsense" FWD G "1.TargetGroupArn=" SIM_BLUE, 400 },
		{ "RuleArn=" SIM_ELB "listener-rule/app/wiki/50dc6c495c0c9188/f2f7dc8efc522ab2/default0default0" FWD G
		  "1.TargetGroupArn=" SIM_BLUE, 400 },
		{ "RuleArn=" SIM_RULE FWD G "1.TargetGroupArn=" SIM_BLUE "&"
		  "Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=true&"
		  "Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=604801", 400 },
		{ "RuleArn=" SIM_RULE FWD G "1.TargetGroupArn=a&" G "2.TargetGroupArn=b&" G "3.TargetGroupArn=c&" G
		  "4.TargetGroupArn=d&" G "5.TargetGroupArn=e&" G "6.TargetGroupArn=f", 400 },
	};

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 1 });
	for (size_t i = 0; i < COUNT(rows); i++)
		if (raw_modify(rows[i].args) != rows[i].status)
			fail_msg("row %zu is not %d", i, rows[i].status);
	assert_int_equal(truth().modify_rules, 1);
	simworld_close(&w);
}

static void only_signed_requests_count(void **state)
{
	struct http_req q = { .method = "POST", .url = "https://sts." SIM_REGION ".amazonaws.com/",
			      .body = "Action=GetCallerIdentity", .nbody = 24 };
	struct http_res a;
	struct sts_who who;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 1 });
	assert_int_equal(sim_send(w.sim, &q, &a, &w.e), 0);
	assert_int_equal(a.status, 403);
	http_res_free(&a);
	OK(sts_who(w.aws, &who, &w.e));
	assert_string_equal(who.account, SIM_ACCOUNT);
	simworld_wait(&w, 400); /* a signature of the beginning has now expired */
	assert_int_equal(raw_modify("RuleArn=" SIM_RULE FWD G "1.TargetGroupArn=" SIM_BLUE), 403);
	simworld_close(&w);
}

/* --- mishaps ------------------------------------------------------------------------ */

static void mishaps_do_what_they_say(void **state)
{
	static const struct { enum sim_mishap what; int rc; enum err_kind kind; int done; } rows[] = {
		{ SIM_FINE, 0, ERR_NONE, 1 },          { SIM_TIMEOUT_BEFORE, -1, ERR_UNSURE, 0 },
		{ SIM_REPLY_LOST, -1, ERR_UNSURE, 1 }, { SIM_TRUNCATED, -1, ERR_UNSURE, 1 },
		{ SIM_MALFORMED, -1, ERR_UNSURE, 1 },  { SIM_SLOW, 0, ERR_NONE, 1 },
		/* these two were surely not executed, so the client tries again */
		{ SIM_REFUSED, 0, ERR_NONE, 1 },       { SIM_THROTTLED, 0, ERR_NONE, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		simworld_open(&w, &(struct sim_opts){ .seed = i });
		sim_mishap_at(w.sim, 0, rows[i].what);
		assert_int_equal(set_weights_now(900, 99), rows[i].rc);
		assert_int_equal(truth().modify_rules, rows[i].done);
		assert_int_equal(truth().weight_green, rows[i].done ? 99 : -1);
		if (rows[i].rc)
			assert_int_equal(w.e.kind, rows[i].kind);
		assert_int_equal(sim_requests(w.sim), rows[i].what == SIM_REFUSED || rows[i].what == SIM_THROTTLED ? 2 : 1);
		simworld_close(&w);
	}
}

static void a_500_may_have_been_done(void **state)
{
	uint64_t done = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		simworld_open(&w, &(struct sim_opts){ .seed = seed });
		sim_mishap_at(w.sim, 0, SIM_500);
		assert_int_equal(set_weights_now(900, 99), -1);
		assert_int_equal(w.e.kind, ERR_UNSURE);
		done += truth().modify_rules;
		simworld_close(&w);
	}
	assert_in_range(done, 8, 32);
}

static void a_stale_read_is_of_the_past(void **state)
{
	autorule struct elb_rule r = { 0 };

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 1 });
	ready_green();
	OK(set_weights(500, 499));
	sim_mishap_at(w.sim, 0, SIM_STALE);
	OK(elb_rule_get(w.aws, SIM_RULE, &r, &w.e));
	assert_int_equal(elb_rule_weight(&r, SIM_GREEN), 0);
	elb_rule_free(&r);
	OK(elb_rule_get(w.aws, SIM_RULE, &r, &w.e));
	assert_int_equal(elb_rule_weight(&r, SIM_GREEN), 499);
	simworld_close(&w);
}

static void the_dead_send_nothing(void **state)
{
	(void)state;
	for (int before = 0; before < 2; before++) {
		simworld_open(&w, &(struct sim_opts){ .seed = 1 });
		sim_die_at(w.sim, 1, before);
		OK(set_weights_now(998, 1));
		assert_int_equal(set_weights_now(997, 2), -1);
		assert_true(sim_is_dead(w.sim));
		assert_int_equal(truth().weight_green, before ? 1 : 2);
		assert_int_equal(set_weights_now(996, 3), -1);
		assert_int_equal(w.e.kind, ERR_NET);
		assert_int_equal(truth().weight_green, before ? 1 : 2);
		sim_revive(w.sim);
		OK(set_weights_now(996, 3));
		simworld_close(&w);
	}
}

/* --- metrics --------------------------------------------------------------------------- */

#define GROUP_GREEN "targetgroup/wiki-green/2453ed029918f21f"
#define GROUP_BLUE  "targetgroup/wiki-blue/73e2d6bc24d8a067"
#define BALANCER    "app/wiki/50dc6c495c0c9188"
#define NS          "AWS/ApplicationELB"

static double sum(const struct cw_series *s)
{
	double n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->points[i].value;
	return n;
}

/* The last `minutes` closed ones, `lag` minutes ago. */
static void metrics(const char *group, int minutes, int lag, struct cw_series out[4])
{
	int64_t to = clock_wall(sim_clock(w.sim)) - lag * 60000;
	struct cw_query q[4] = { { NS, "RequestCount", "Sum", group, BALANCER, NULL, NULL },
				 { NS, "HTTPCode_Target_5XX_Count", "Sum", group, BALANCER, NULL, NULL },
				 { NS, "TargetConnectionErrorCount", "Sum", group, BALANCER, NULL, NULL },
				 { NS, "TargetResponseTime", "p90", group, BALANCER, NULL, NULL } };

	OK(cw_get(w.aws, q, 4, to - minutes * 60000, to, 60, out, &w.e));
}

static void what_did_not_happen_is_missing(void **state)
{
	struct cw_series s[4];

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 5 });
	simworld_wait(&w, 900);
	metrics(GROUP_BLUE, 10, 2, s);
	assert_int_equal(s[0].n, 10);
	assert_true(s[0].complete && s[1].complete);
	assert_true(sum(&s[0]) > 50000);
	assert_int_equal(s[2].n, 0); /* no connection errors: no points, not zeros */
	assert_int_equal(s[3].n, 10);
	assert_true(s[3].points[0].value > 0.1 && s[3].points[0].value < 0.3);
	cw_series_free(s, 4);
	metrics(GROUP_GREEN, 10, 2, s);
	assert_int_equal(s[0].n, 0);
	cw_series_free(s, 4);
	simworld_close(&w);
}

static void the_newest_minute_is_partial(void **state)
{
	struct cw_series s[4];
	int less = 0;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 11 });
	simworld_wait(&w, 630);
	for (int i = 0; i < 10; i++) {
		double young, old;

		simworld_wait(&w, 60);
		metrics(GROUP_BLUE, 1, 0, s);
		young = sum(&s[0]);
		cw_series_free(s, 4);
		simworld_wait(&w, 180);
		metrics(GROUP_BLUE, 1, 3, s);
		old = sum(&s[0]);
		cw_series_free(s, 4);
		assert_true(old > 0 && young <= old);
		less += young < old;
	}
	assert_true(less >= 8);
	simworld_close(&w);
}

/* Blue has a past, and its zones are two halves of it. */
static void blue_has_a_past_in_two_zones(void **state)
{
	const struct cw_query q[4] = { { NS, "RequestCount", "Sum", GROUP_BLUE, BALANCER, NULL, NULL },
				       { NS, "RequestCount", "Sum", GROUP_BLUE, BALANCER, SIM_REGION "a", NULL },
				       { NS, "RequestCount", "Sum", GROUP_BLUE, BALANCER, SIM_REGION "b", NULL },
				       { NS, "RequestCount", "Sum", GROUP_BLUE, BALANCER, SIM_REGION "c", NULL } };
	struct cw_series s[4];
	int64_t to;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 5 });
	to = clock_wall(sim_clock(w.sim)) - 120000;
	OK(cw_get(w.aws, q, 4, to - 180 * 60000, to, 60, s, &w.e));
	assert_int_equal(s[0].n, 180);
	assert_int_equal(s[3].n, 0);
	assert_true(fabs(sum(&s[1]) + sum(&s[2]) - sum(&s[0])) < 1);
	assert_true(fabs(sum(&s[1]) / sum(&s[0]) - 0.5) < 0.01 && s[1].points[7].value != s[1].points[8].value);
	cw_series_free(s, 4);
	simworld_close(&w);
}

/* PR(:x): of 100 requests, how many took at most x seconds. */
/* Of six errors each fell on either zone: a variance of 1.5, not that of a count with mean 3. */
static void a_half_of_few_varies_as_halves_do(void **state)
{
	struct dice d;
	double squares = 0;
	const int n = 20000;

	(void)state;
	dice_seed(&d, 7, 7);
	for (int i = 0; i < n; i++) {
		double off = dice_share(&d, 6, .5) - 3;

		squares += off * off;
	}
	assert_true(fabs(squares / n - 1.5) < .1);
}

static void slow_answers_can_be_counted(void **state)
{
	const struct cw_query q[3] = { { NS, "TargetResponseTime", "p90", GROUP_BLUE, BALANCER, NULL, NULL },
				       { NS, "TargetResponseTime", "PR(:0.173)", GROUP_BLUE, BALANCER, NULL, NULL },
				       { NS, "TargetResponseTime", "PR(:60)", GROUP_BLUE, BALANCER, NULL, NULL } };
	struct cw_series s[3];
	int64_t to;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 5 });
	to = clock_wall(sim_clock(w.sim)) - 120000;
	OK(cw_get(w.aws, q, 3, to - 30 * 60000, to, 60, s, &w.e));
	assert_int_equal(s[1].n, 30);
	for (size_t i = 0; i < s[1].n; i++) {
		assert_true(fabs(s[1].points[i].value - 90) < 2); /* the 90th percentile is about there */
		assert_true((s[0].points[i].value > 0.173) == (s[1].points[i].value < 90));
		assert_true(s[2].points[i].value > 99.99);
	}
	cw_series_free(s, 3);
	simworld_close(&w);
}

static void metrics_tell_the_truth(void **state)
{
	struct cw_series b[4], g[4];
	struct sim_truth t;
	int64_t began;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 8 });
	began = clock_wall(sim_clock(w.sim));
	ready_green();
	sim_green_errors(w.sim, 0.2);
	OK(set_weights(700, 300));
	simworld_wait(&w, 1200);
	OK(set_weights(999, 0));
	simworld_wait(&w, 240);
	t = truth();
	metrics(GROUP_BLUE, (int)((clock_wall(sim_clock(w.sim)) - began) / 60000) - 2, 2, b);
	metrics(GROUP_GREEN, 40, 2, g);
	assert_true(fabs(sum(&b[0]) + sum(&g[0]) - t.users) < 0.15 * t.users); /* the last minutes are not in */
	assert_true(fabs(sum(&g[1]) - t.failed_by_green) < 1);
	assert_true(fabs(sum(&g[1]) / sum(&g[0]) - 0.2) < 0.01);
	assert_true(sum(&g[0]) / (sum(&g[0]) + sum(&b[0])) < 0.3);
	cw_series_free(b, 4);
	cw_series_free(g, 4);
	simworld_close(&w);
}

static void many_points_come_in_pages(void **state)
{
	struct cw_query q[4];
	struct cw_series s[4];
	int64_t to;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 2 });
	simworld_wait(&w, 60 * 130);
	to = clock_wall(sim_clock(w.sim)) - 180000;
	for (int i = 0; i < 4; i++)
		q[i] = (struct cw_query){ NS, "RequestCount", "Sum", GROUP_BLUE, BALANCER, NULL, NULL };
	uint64_t before = sim_requests(w.sim);
	OK(cw_get(w.aws, q, 4, to - 120 * 60000, to, 60, s, &w.e));
	assert_int_equal(sim_requests(w.sim) - before, 2);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(s[i].n, 120);
		assert_true(s[i].complete);
		assert_true(sum(&s[i]) == sum(&s[0]));
	}
	cw_series_free(s, 4);
	simworld_close(&w);
}

/* --- the rest of AWS ----------------------------------------------------------------------- */

static void a_schedule_fires(void **state)
{
	json_t *input = json_pack("{s:s,s:[{s:s,s:{s:[{s:s,s:i},{s:s,s:i}]}}]}", "RuleArn", SIM_RULE, "Actions", "Type",
				  "forward", "ForwardConfig", "TargetGroups", "TargetGroupArn", SIM_BLUE, "Weight", 999,
				  "TargetGroupArn", SIM_GREEN, "Weight", 0);
	struct schedule d = { .name = "back", .target = "arn:aws:scheduler:::aws-sdk:elasticloadbalancingv2:modifyRule",
			      .role = "arn:aws:iam::" SIM_ACCOUNT ":role/deadman", .input = input, .token = "t-1" };
	bool exists;
	int64_t at, now;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 6 });
	now = clock_wall(sim_clock(w.sim));
	OK(set_weights(500, 499));
	d.at = now + 250000;
	OK(schedule_put(w.aws, &d, &w.e));
	d.at = now + 550000; /* moved before it fires */
	OK(schedule_put(w.aws, &d, &w.e));
	OK(schedule_get(w.aws, NULL, "back", &exists, &at, &w.e));
	assert_true(exists && at == now + 600000);
	simworld_wait(&w, 590);
	assert_int_equal(truth().weight_green, 499);
	assert_int_equal(truth().fired, 0);
	simworld_wait(&w, 40);
	assert_int_equal(truth().weight_green, 0);
	assert_int_equal(truth().fired, 1);
	OK(schedule_get(w.aws, NULL, "back", &exists, &at, &w.e));
	assert_false(exists);
	OK(schedule_put(w.aws, &d, &w.e));
	assert_int_equal(truth().schedules, 1);
	OK(schedule_delete(w.aws, NULL, "back", &w.e));
	OK(schedule_delete(w.aws, NULL, "back", &w.e)); /* twice is fine */
	assert_int_equal(truth().schedules, 0);
	json_decref(input);
	simworld_close(&w);
}

static void services_scale(void **state)
{
	struct ecs_service s;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 6 });
	OK(ecs_service_get(w.aws, "wiki", "wiki-blue", &s, &w.e));
	assert_int_equal(s.desired, 4);
	assert_int_equal(s.running, 4);
	OK(ecs_service_scale(w.aws, "wiki", "wiki-blue", 1, &w.e));
	simworld_wait(&w, 70);
	OK(ecs_service_get(w.aws, "wiki", "wiki-blue", &s, &w.e));
	assert_int_equal(s.running, 1);
	assert_int_equal(truth().blue_total, 1);
	assert_int_equal(ecs_service_get(w.aws, "wiki", "other", &s, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_GONE);
	simworld_close(&w);
}

/* --- faults ---------------------------------------------------------------------------------- */

static double share_failed(const struct sim_truth *from, const struct sim_truth *to)
{
	return (to->failed - from->failed) / (to->users - from->users);
}

static void green_dies_at_a_quarter(void **state)
{
	struct sim_truth before, after;
	struct elb_health h;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 6, .fault = "dead" });
	ready_green();
	OK(set_weights(800, 200));
	simworld_wait(&w, 120);
	assert_int_equal(truth().green_healthy, 4);
	OK(set_weights(750, 250));
	simworld_wait(&w, 120);
	assert_int_equal(truth().green_healthy, 0);
	OK(elb_health(w.aws, SIM_GREEN, &h, &w.e));
	assert_int_equal(h.unhealthy, 4);
	before = truth();
	simworld_wait(&w, 120);
	after = truth();
	assert_true(fabs(share_failed(&before, &after) - 0.25) < 0.03);
	simworld_close(&w);
}

static void faults_have_effects(void **state)
{
	static const struct { const char *name; double least, most; } rows[] = {
		{ "none", 0, 0.002 }, { "errors", 0.12, 0.18 }, { "slow-leak", 0.02, 0.2 }, { "slow", 0, 0.002 },
		{ "dead", 0.4, 0.6 }, { "cold", 0.4, 0.6 },     { "blue-sick", 0.25, 0.35 }, { "foreign", 0, 0.002 },
		{ "blind", 0, 0.002 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sim_truth before, after;

		simworld_open(&w, &(struct sim_opts){ .seed = i, .fault = rows[i].name });
		OK(set_weights(999, 0));
		simworld_wait(&w, 120);
		OK(set_weights(500, 500));
		simworld_wait(&w, 300);
		before = truth();
		simworld_wait(&w, 300);
		after = truth();
		if (share_failed(&before, &after) < rows[i].least || share_failed(&before, &after) > rows[i].most)
			fail_msg("%s: %.4f failed", rows[i].name, share_failed(&before, &after));
		assert_int_equal(after.weight_green, strcmp(rows[i].name, "foreign") ? 500 : 600);
		simworld_close(&w);
	}
	assert_null(sim_new(&(struct sim_opts){ .fault = "no such fault" }));
}

static void every_fault_starts(void **state)
{
	size_t n;
	const struct sim_fault_info *f = sim_faults(&n);

	(void)state;
	assert_true(n >= 12);
	for (size_t i = 0; i < n; i++) {
		struct sim *s = sim_new(&(struct sim_opts){ .fault = f[i].name });

		assert_non_null(s);
		clock_sleep(sim_clock(s), 3600000);
		sim_free(s);
	}
}

static void alarms_fire(void **state)
{
	static const char *const names[] = { "wiki-5xx", "wiki-latency" };
	struct cw_alarm a[2];

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 1, .fault = "alarm", .alarms = 2, .alarm_names = names });
	ready_green();
	OK(cw_alarms(w.aws, names, 2, a, &w.e));
	assert_true(a[0].state == CW_OK && a[1].state == CW_OK);
	OK(set_weights(700, 300));
	simworld_wait(&w, 30);
	OK(cw_alarms(w.aws, names, 2, a, &w.e));
	assert_true(a[0].state == CW_ALARM && a[1].state == CW_OK);
	simworld_close(&w);
}

/* The mishaps of "api" are AWS's: the wiki's users do not meet them. */
static void api_mishaps_are_of_aws(void **state)
{
	struct sts_who who;
	int failed = 0;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 4 });
	sim_mishap_rate(w.sim, 0.5);
	for (int i = 0; i < 40; i++) {
		struct http_req q = { .method = "GET", .url = "https://wiki.example.org/wiki/Main_Page" };
		struct http_res a;

		OK(sim_send(w.sim, &q, &a, &w.e));
		failed += a.status != 200;
		http_res_free(&a);
	}
	assert_in_range(failed, 0, 1);
	for (int i = 0; i < 40; i++)
		failed += !!sts_who(w.aws, &who, &w.e);
	assert_true(sim_requests(w.sim) > 100); /* tries, and tries again */
	simworld_close(&w);
}

/* --- the wiki ---------------------------------------------------------------------------------- */

static int get(const char *url, const char *connect_to, char *body, size_t size)
{
	struct http_req q = { .method = "GET", .url = url, .connect_to = connect_to };
	struct http_res a;
	int status;

	OK(sim_send(w.sim, &q, &a, &w.e));
	status = a.status;
	snprintf(body, size, "%s", a.body);
	http_res_free(&a);
	return status;
}

static void the_wiki_answers(void **state)
{
	char body[4096];

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 1 });
	assert_int_equal(get("https://wiki.example.org/w/api.php?action=query&meta=siteinfo&format=json", NULL, body,
			     sizeof body), 200);
	assert_non_null(strstr(body, "\"MediaWiki 1.43.9\""));
	assert_int_equal(get("https://wiki.example.org/w/api.php?action=query&meta=siteinfo&format=json",
			     "10.0.0.1:8443", body, sizeof body), 200);
	assert_non_null(strstr(body, "\"MediaWiki 1.43.11\""));
	assert_int_equal(get("https://wiki.example.org/w/rest.php/v1/page/Main_Page", NULL, body, sizeof body), 200);
	assert_non_null(strstr(body, "\"title\":\"Main Page\""));
	assert_int_equal(get("https://wiki.example.org/index.php/Main_Page", NULL, body, sizeof body), 200);
	assert_int_equal(get("https://wiki.example.org/nothing", NULL, body, sizeof body), 404);
	simworld_close(&w);
}

static void green_warms_up(void **state)
{
	int64_t first = 0, last = 0;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 1 });
	for (int i = 0; i < 60; i++) {
		struct http_req q = { .method = "GET", .url = "https://wiki.example.org:8443/wiki/Main_Page" };
		struct http_res a;

		OK(sim_send(w.sim, &q, &a, &w.e));
		if (i < 5)
			first += a.took_ms;
		if (i >= 55)
			last += a.took_ms;
		http_res_free(&a);
	}
	assert_true(first > 2 * last);
	simworld_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_seed_same_world),
		cmocka_unit_test(weights_propagate_late),
		cmocka_unit_test(a_group_on_no_rule_is_unused),
		cmocka_unit_test(what_aws_refuses_is_refused),
		cmocka_unit_test(only_signed_requests_count),
		cmocka_unit_test(mishaps_do_what_they_say),
		cmocka_unit_test(a_500_may_have_been_done),
		cmocka_unit_test(a_stale_read_is_of_the_past),
		cmocka_unit_test(the_dead_send_nothing),
		cmocka_unit_test(what_did_not_happen_is_missing),
		cmocka_unit_test(the_newest_minute_is_partial),
		cmocka_unit_test(blue_has_a_past_in_two_zones),
		cmocka_unit_test(a_half_of_few_varies_as_halves_do),
		cmocka_unit_test(slow_answers_can_be_counted),
		cmocka_unit_test(metrics_tell_the_truth),
		cmocka_unit_test(many_points_come_in_pages),
		cmocka_unit_test(a_schedule_fires),
		cmocka_unit_test(services_scale),
		cmocka_unit_test(green_dies_at_a_quarter),
		cmocka_unit_test(faults_have_effects),
		cmocka_unit_test(every_fault_starts),
		cmocka_unit_test(alarms_fire),
		cmocka_unit_test(api_mishaps_are_of_aws),
		cmocka_unit_test(the_wiki_answers),
		cmocka_unit_test(green_warms_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

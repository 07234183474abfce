/* Rules and health: what is sent back, and what hostile answers come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/elb.h"
#include "base/buf.h"
#include "net/xml.h"
#include "simworld.h"

#include <stdio.h>
#include <string.h>

#define OK(call) do { if (call) fail_msg("%s: %s", #call, w.e.msg); } while (0)

#define RULES(inside) "<DescribeRulesResponse xmlns=\"x\"><DescribeRulesResult><Rules>" inside \
		      "</Rules></DescribeRulesResult></DescribeRulesResponse>"
#define RULE(actions) RULES("<member><RuleArn>" SIM_RULE "</RuleArn><Priority>7</Priority><Actions>" actions \
			    "</Actions><IsDefault>false</IsDefault></member>")
#define TUPLE(arn, weight) "<member><TargetGroupArn>" arn "</TargetGroupArn>" weight "</member>"
#define W(n) "<Weight>" #n "</Weight>"
#define FORWARD(tuples) "<member><Type>forward</Type><Order>2</Order><ForwardConfig><TargetGroups>" tuples \
	"</TargetGroups><TargetGroupStickinessConfig><Enabled>true</Enabled><DurationSeconds>600</DurationSeconds>" \
	"</TargetGroupStickinessConfig></ForwardConfig></member>"
#define OIDC "<member><Type>authenticate-oidc</Type><AuthenticateOidcConfig><Issuer>https://id.example</Issuer>" \
	"<Scope>openid</Scope><AuthenticationRequestExtraParams><entry><key>a</key><value>b &amp; c</value></entry>" \
	"</AuthenticationRequestExtraParams></AuthenticateOidcConfig><Order>1</Order></member>"
#define MODIFIED "<ModifyRuleResponse><ModifyRuleResult/></ModifyRuleResponse>"

static struct simworld w;
static struct canned c;

static void answer(const char *const *bodies, int status)
{
	c = (struct canned){ .status = status, .bodies = bodies };
	simworld_open_canned(&w, &c);
}

static bool sent(const char *pair)
{
	const char *at = strstr(c.last, pair);

	return at && (at == c.last || at[-1] == '&') && strchr("&", at[strlen(pair)]);
}

static void all_actions_go_back_as_read(void **state)
{
	autorule struct elb_rule r = { 0 };
	struct elb_weight g[2] = { { SIM_BLUE, 950 }, { SIM_GREEN, 50 } };

	(void)state;
	answer((const char *const[]){ RULE(OIDC FORWARD(TUPLE(SIM_BLUE, W(999)))), MODIFIED, NULL }, 200);
	OK(elb_rule_get(w.aws, SIM_RULE, &r, &w.e));
	assert_int_equal(r.priority, 7);
	assert_int_equal(r.sticky_s, 600);
	assert_int_equal(r.ngroups, 1);
	assert_int_equal(elb_rule_weight(&r, SIM_BLUE), 999);
	assert_int_equal(elb_rule_weight(&r, SIM_GREEN), -1);
	OK(elb_rule_set(w.aws, &r, g, 2, &w.e));
	assert_true(sent("Actions.member.1.Type=authenticate-oidc"));
	assert_true(sent("Actions.member.1.Order=1"));
	assert_true(sent("Actions.member.1.AuthenticateOidcConfig.Issuer=https%3A%2F%2Fid.example"));
	assert_true(sent("Actions.member.1.AuthenticateOidcConfig.AuthenticationRequestExtraParams.entry.1.value=b%20%26%20c"));
	assert_true(sent("Actions.member.1.AuthenticateOidcConfig.UseExistingClientSecret=true"));
	assert_true(sent("Actions.member.2.Type=forward"));
	assert_true(sent("Actions.member.2.Order=2"));
	assert_true(sent("Actions.member.2.ForwardConfig.TargetGroups.member.1.Weight=950"));
	assert_true(sent("Actions.member.2.ForwardConfig.TargetGroups.member.2.Weight=50"));
	assert_true(sent("Actions.member.2.ForwardConfig.TargetGroupStickinessConfig.Enabled=true"));
	assert_true(sent("Actions.member.2.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=600"));
	assert_null(strstr(c.last, "Actions.member.2.TargetGroupArn"));
	assert_null(strstr(c.last, "Conditions"));
	assert_null(strstr(c.last, "member.3"));
	simworld_close(&w);
}

static void the_simple_form_is_one_group(void **state)
{
	autorule struct elb_rule r = { 0 };

	(void)state;
	answer((const char *const[]){ RULE("<member><Type>forward</Type><TargetGroupArn>" SIM_BLUE
					   "</TargetGroupArn></member>"), NULL }, 200);
	OK(elb_rule_get(w.aws, SIM_RULE, &r, &w.e));
	assert_int_equal(r.ngroups, 1);
	assert_int_equal(elb_rule_weight(&r, SIM_BLUE), 1);
	assert_int_equal(r.sticky_s, 0);
	simworld_close(&w);
}

static void what_is_missing_is_not_zero(void **state)
{
	static const struct { const char *body; enum err_kind kind; const char *says; } rows[] = {
		{ RULES(""), ERR_UNSURE, "Rules/member" },
		{ "<DescribeRulesResponse/>", ERR_UNSURE, "no DescribeRulesResult" },
		{ RULE(FORWARD(TUPLE(SIM_BLUE, ""))), ERR_UNSURE, "no Weight" },
		{ RULE(FORWARD(TUPLE(SIM_BLUE, "<Weight/>"))), ERR_UNSURE, "no Weight" },
		{ RULE(FORWARD(TUPLE(SIM_BLUE, W(0x10)))), ERR_UNSURE, "not a number" },
		{ RULE(FORWARD(TUPLE(SIM_BLUE, W(1000)))), ERR_UNSURE, "1000" },
		{ RULE(FORWARD(TUPLE(SIM_BLUE, W(-1)))), ERR_UNSURE, "-1" },
		{ RULE(FORWARD(TUPLE(SIM_BLUE, W(99999999999999999999)))), ERR_UNSURE, "not a number" },
		{ RULE(FORWARD(TUPLE("", W(1)))), ERR_UNSURE, "no TargetGroupArn" },
		{ RULE(FORWARD(TUPLE(SIM_BLUE, W(1)) TUPLE(SIM_BLUE, W(2)))), ERR_UNSURE, "twice" },
		{ RULE(FORWARD(TUPLE("a", W(1)) TUPLE("b", W(1)) TUPLE("c", W(1)) TUPLE("d", W(1)) TUPLE("e", W(1))
			       TUPLE("f", W(1)))), ERR_UNSURE, "more than 5" },
		{ RULE(FORWARD("")), ERR_UNSURE, "no TargetGroupArn" },
		{ RULE(FORWARD(TUPLE(SIM_BLUE, W(1))) FORWARD(TUPLE(SIM_BLUE, W(1)))), ERR_UNSURE, "more than one" },
		{ RULE("<member><Type>fixed-response</Type></member>"), ERR_INPUT, "no forward action" },
		{ RULES("<member><RuleArn>other</RuleArn><Priority>1</Priority></member>"), ERR_UNSURE, "another rule" },
		{ RULES("<member><RuleArn>" SIM_RULE "</RuleArn><Priority>1</Priority></member>"), ERR_UNSURE, "no Actions" },
		{ RULES("<member><RuleArn>" SIM_RULE "</RuleArn><Actions/></member>"), ERR_UNSURE, "no Priority" },
		{ "<html>", ERR_UNSURE, "" },
		{ "", ERR_UNSURE, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct elb_rule r;

		answer((const char *const[]){ rows[i].body, NULL }, 200);
		if (!elb_rule_get(w.aws, SIM_RULE, &r, &w.e))
			fail_msg("row %zu was read", i);
		if (w.e.kind != rows[i].kind || !strstr(w.e.msg, rows[i].says))
			fail_msg("row %zu: %s: %s", i, err_kind_name(w.e.kind), w.e.msg);
		assert_null(r.actions);
		simworld_close(&w);
	}
}

static void impossible_writes_are_not_sent(void **state)
{
	struct elb_weight g[6] = { { SIM_BLUE, 1000 } };
	autorule struct elb_rule r = { 0 };

	(void)state;
	answer((const char *const[]){ RULE(FORWARD(TUPLE(SIM_BLUE, W(999)))), NULL }, 200);
	OK(elb_rule_get(w.aws, SIM_RULE, &r, &w.e));
	c.last[0] = '\0';
	assert_int_equal(elb_rule_set(w.aws, &r, g, 1, &w.e), -1);
	g[0].weight = -1;
	assert_int_equal(elb_rule_set(w.aws, &r, g, 1, &w.e), -1);
	assert_int_equal(elb_rule_set(w.aws, &r, g, 0, &w.e), -1);
	assert_int_equal(elb_rule_set(w.aws, &r, g, 6, &w.e), -1);
	r.is_default = true;
	g[0].weight = 1;
	assert_int_equal(elb_rule_set(w.aws, &r, g, 1, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_INPUT);
	assert_string_equal(c.last, "");
	simworld_close(&w);
}

#define TARGET(id, health) "<member><Target><Id>" id "</Id><Port>80</Port></Target><TargetHealth>" health \
			   "</TargetHealth></member>"
#define HEALTH(inside) "<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions>" inside \
		       "</TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>"

static void states_are_counted(void **state)
{
	struct elb_health h;

	(void)state;
	answer((const char *const[]){
		HEALTH(TARGET("i-1", "<State>healthy</State>")
		       TARGET("i-2", "<State>unhealthy</State><Reason>Target.Timeout</Reason><Description>Request timed "
			      "out</Description>")
		       TARGET("i-3", "<State>unhealthy.draining</State>") TARGET("i-4", "<State>draining</State>")
		       TARGET("i-5", "<State>initial</State>") TARGET("i-6", "<State>hibernating</State>")
		       TARGET("i-7", "<State>unavailable</State>") TARGET("i-8", "<State>unused</State>")),
		NULL }, 200);
	OK(elb_health(w.aws, SIM_GREEN, &h, &w.e));
	assert_int_equal(h.total, 8);
	assert_int_equal(h.healthy, 1);
	assert_int_equal(h.unhealthy, 1);
	assert_int_equal(h.draining, 2);
	assert_int_equal(h.initial + h.unused + h.unavailable, 3);
	assert_string_equal(h.reason, "i-2:80 unhealthy (Target.Timeout): Request timed out");
	simworld_close(&w);

	answer((const char *const[]){ HEALTH(TARGET("i-1", "")), NULL }, 200);
	assert_int_equal(elb_health(w.aws, SIM_GREEN, &h, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_UNSURE);
	simworld_close(&w);
	answer((const char *const[]){ "<DescribeTargetHealthResponse/>", NULL }, 200);
	assert_int_equal(elb_health(w.aws, SIM_GREEN, &h, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_UNSURE);
	simworld_close(&w);
}

static void the_simulated_rule_reads_well(void **state)
{
	autorule struct elb_rule r = { 0 };
	autojson json_t *tags = NULL;
	struct elb_group g;

	(void)state;
	simworld_open(&w, &(struct sim_opts){ .seed = 1, .blue_weight = 500 });
	OK(elb_rule_get(w.aws, SIM_RULE, &r, &w.e));
	assert_int_equal(elb_rule_weight(&r, SIM_BLUE), 500);
	OK(elb_tags(w.aws, SIM_RULE, &tags, &w.e));
	assert_string_equal(json_str(tags, "cutover:managed", ""), "true");
	OK(elb_group_get(w.aws, SIM_BLUE, &g, &w.e));
	assert_string_equal(g.name, "wiki-blue");
	assert_int_equal(g.port, 8080);
	assert_non_null(strstr(g.load_balancer, "loadbalancer/app/wiki/"));
	OK(elb_group_get(w.aws, SIM_GREEN, &g, &w.e));
	assert_string_equal(g.load_balancer, "");
	assert_int_equal(elb_group_get(w.aws, SIM_GREEN "x", &g, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_GONE);
	elb_rule_free(&r);
	assert_int_equal(elb_rule_get(w.aws, SIM_RULE "x", &r, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_GONE);
	simworld_close(&w);
}

static void dimensions_come_from_arns(void **state)
{
	static const char *const not_balancers[] = {
		"", "arn", SIM_BLUE, SIM_ELB "listener-rule/net/wiki/1/2/3", SIM_ELB "loadbalancer/app/wiki",
		SIM_ELB "loadbalancer/app//1", SIM_ELB "loadbalancer/",
	};
	static const char *const not_groups[] = {
		"", SIM_RULE, SIM_ELB "targetgroup/", SIM_ELB "targetgroup/wiki", SIM_ELB "targetgroup/wiki/",
	};
	char out[128];

	(void)state;
	OK(elb_group_dimension(SIM_BLUE, out, sizeof out, &w.e));
	assert_string_equal(out, "targetgroup/wiki-blue/73e2d6bc24d8a067");
	OK(elb_balancer_dimension(SIM_RULE, out, sizeof out, &w.e));
	assert_string_equal(out, "app/wiki/50dc6c495c0c9188");
	OK(elb_balancer_dimension(SIM_ELB "loadbalancer/app/wiki/1", out, sizeof out, &w.e));
	assert_string_equal(out, "app/wiki/1");
	OK(elb_balancer_dimension(SIM_ELB "listener/app/wiki/1/2", out, sizeof out, &w.e));
	assert_string_equal(out, "app/wiki/1");
	for (size_t i = 0; i < COUNT(not_balancers); i++)
		assert_int_equal(elb_balancer_dimension(not_balancers[i], out, sizeof out, &w.e), -1);
	for (size_t i = 0; i < COUNT(not_groups); i++)
		assert_int_equal(elb_group_dimension(not_groups[i], out, sizeof out, &w.e), -1);
	assert_int_equal(elb_group_dimension(SIM_BLUE, out, 20, &w.e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_actions_go_back_as_read),
		cmocka_unit_test(the_simple_form_is_one_group),
		cmocka_unit_test(what_is_missing_is_not_zero),
		cmocka_unit_test(impossible_writes_are_not_sent),
		cmocka_unit_test(states_are_counted),
		cmocka_unit_test(the_simulated_rule_reads_well),
		cmocka_unit_test(dimensions_come_from_arns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

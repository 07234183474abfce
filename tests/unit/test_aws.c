/* One call to AWS: what is sent, what an answer means, what is tried again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/aws.h"
#include "aws/core.h"
#include "wire.h"

#include <stdio.h>
#include <string.h>

#define RULES_OK "<DescribeRulesResponse xmlns='u'><DescribeRulesResult><Rules/></DescribeRulesResult></DescribeRulesResponse>"
#define MODIFY_OK "<ModifyRuleResponse xmlns='u'><ModifyRuleResult/></ModifyRuleResponse>"
#define XML_ERROR(code, text) "<ErrorResponse xmlns='u'><Error><Type>Sender</Type><Code>" code \
			      "</Code><Message>" text "</Message></Error></ErrorResponse>"

static struct wire w;
static struct cred_chain *creds;
static struct aws *aws;
static int gate_asked, gate_says;

static int gate(void *ctx, struct err *e)
{
	(void)ctx;
	gate_asked++;
	return gate_says ? err_set(e, ERR_LOST, "another controller holds the run") : 0;
}

static void open_aws(const char *region, uint64_t seed)
{
	aws_free(aws);
	aws = aws_new(&(struct aws_opts){ .http = &w.http, .clock = &w.clock, .creds = creds,
					  .region = region, .gate = gate, .seed = seed });
}

static int setup(void **state)
{
	(void)state;
	wire_clean_env();
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	wire_init(&w);
	creds = cred_chain_new(&w.http, &w.clock);
	open_aws("eu-central-1", 1);
	gate_asked = gate_says = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	aws_free(aws);
	aws = NULL;
	cred_chain_free(creds);
	wire_free(&w);
	wire_clean_env();
	return 0;
}

static struct err last;

static int read_rules(void)
{
	autoxml struct xml *x = NULL;

	last = (struct err){ 0 };
	return aws_query(aws, ELB_DESCRIBE_RULES, NULL, &x, &last);
}

static int write_rule(void)
{
	autoxml struct xml *x = NULL;

	last = (struct err){ 0 };
	return aws_query(aws, ELB_MODIFY_RULE, NULL, &x, &last);
}

static void says(const char *text)
{
	if (!strstr(last.msg, text))
		fail_msg("\"%s\" does not say \"%s\"", last.msg, text);
}

static void asked_has(size_t n, const char *text)
{
	if (!strstr(wire_asked(&w, n), text))
		fail_msg("not in the request: \"%s\"\n%s", text, wire_asked(&w, n));
}

/* --- what is sent --- */

static void query_is_a_signed_form(void **state)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct err e = { 0 };

	(void)state;
	wire_add(&w, (struct wire_reply){ .status = 200, .body = RULES_OK });
	aws_arg(args, "arn:a/b c&d=ä", "RuleArns.member.%d", 1);
	aws_arg(args, NULL, "Left.Out");
	assert_int_equal(aws_query(aws, ELB_DESCRIBE_RULES, args, &x, &e), 0);
	assert_string_equal(x->name, "DescribeRulesResponse");
	assert_non_null(xml_at(x, "DescribeRulesResult/Rules"));
	asked_has(0, "POST https://elasticloadbalancing.eu-central-1.amazonaws.com/\n");
	asked_has(0, "\nhost: elasticloadbalancing.eu-central-1.amazonaws.com\n");
	asked_has(0, "\nx-amz-date: 20261122T020000Z\n");
	asked_has(0, "Credential=AKIDEXAMPLE/20261122/eu-central-1/elasticloadbalancing/aws4_request, "
		     "SignedHeaders=content-type;host;x-amz-date, Signature=");
	asked_has(0, "\n\nAction=DescribeRules&Version=2015-12-01"
		     "&RuleArns.member.1=arn%3Aa%2Fb%20c%26d%3D%C3%A4");
	assert_null(strstr(wire_asked(&w, 0), "security-token"));
	assert_null(strstr(wire_asked(&w, 0), "Left"));
	assert_false(w.last_once);
}

static void json_names_its_target_and_version(void **state)
{
	autojson json_t *in = json_pack("{s:i}", "a", 1), *cw = NULL, *ecs = NULL;
	struct err e = { 0 };

	(void)state;
	setenv("AWS_SESSION_TOKEN", "the/token", 1);
	wire_add(&w, (struct wire_reply){ .status = 200, .body = "{\"b\":2}", .stays = true });
	assert_int_equal(aws_json(aws, CW_GET_METRIC_DATA, in, &cw, &e), 0);
	assert_int_equal(json_num(cw, "b", 0), 2);
	asked_has(0, "POST https://monitoring.eu-central-1.amazonaws.com/\n");
	asked_has(0, "\nx-amz-target: GraniteServiceVersion20100801.GetMetricData\n");
	asked_has(0, "\ncontent-type: application/x-amz-json-1.0\n");
	asked_has(0, "\nx-amz-security-token: the/token\n");
	asked_has(0, "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target,");
	asked_has(0, "\n\n{\"a\":1}");
	assert_int_equal(aws_json(aws, ECS_DESCRIBE_SERVICES, NULL, &ecs, &e), 0);
	asked_has(1, "\ncontent-type: application/x-amz-json-1.1\n");
	asked_has(1, "\n\n{}");
}

static void rest_signs_path_and_query(void **state)
{
	autojson json_t *out = NULL;
	struct err e = { 0 };
	struct sigv4_out want;

	(void)state;
	wire_add(&w, (struct wire_reply){ .status = 200, .body = "" });
	assert_int_equal(aws_rest(aws, SCHEDULER_DELETE_SCHEDULE, "DELETE",
				  "/schedules/a%20b?groupName=my%2Fgroup&x", NULL, &out, &e), 0);
	assert_true(json_is_object(out));
	asked_has(0, "DELETE https://scheduler.eu-central-1.amazonaws.com/schedules/a%20b?groupName=my%2Fgroup&x\n");
	assert_null(strstr(wire_asked(&w, 0), "content-type"));
	sigv4_sign(&(struct sigv4_req){
		.method = "DELETE", .path = "/schedules/a%20b", .region = "eu-central-1",
		.service = "scheduler", .when = "20261122T020000Z",
		.query = (struct kv[]){ { "groupName", "my/group" }, { "x", "" } }, .nquery = 2,
		.head = &(struct kv){ "host", "scheduler.eu-central-1.amazonaws.com" }, .nhead = 1,
	}, &(struct sigv4_cred){ "AKIDEXAMPLE", "secret", NULL }, &want);
	asked_has(0, want.auth);
	sigv4_out_free(&want);
}

static void parts_of_answers_go_back_unchanged(void **state)
{
	static const char text[] =
		"<A>\n <member>\n  <Type>forward</Type>\n  <Order>1</Order>\n  <ForwardConfig>\n"
		"   <TargetGroups>\n    <member><Arn>a</Arn><Weight>0</Weight></member>\n"
		"    <member><Arn>b</Arn></member>\n   </TargetGroups>\n   <Stickiness> </Stickiness>\n"
		"  </ForwardConfig>\n </member>\n <member><Map><entry><key>k</key><value>v</value></entry></Map></member></A>";
	autoargs struct aws_args *args = aws_args_new();
	struct err e = { 0 };
	autoxml struct xml *x = xml_parse(text, sizeof text - 1, &e);
	autobuf struct buf form = BUF_MAX(4096);

	(void)state;
	aws_arg_tree(args, x, "Actions");
	aws_arg_tree(args, NULL, "Nothing");
	args_form(args, &form);
	assert_string_equal(form.p,
		"Actions.member.1.Type=forward&Actions.member.1.Order=1"
		"&Actions.member.1.ForwardConfig.TargetGroups.member.1.Arn=a"
		"&Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=0"
		"&Actions.member.1.ForwardConfig.TargetGroups.member.2.Arn=b"
		"&Actions.member.2.Map.entry.1.key=k&Actions.member.2.Map.entry.1.value=v");
}

static void too_much_is_not_sent(void **state)
{
	autoargs struct aws_args *args = aws_args_new();
	autofree char *big = xmalloc(2 << 20);
	autoxml struct xml *x = NULL;
	struct err e = { 0 };

	(void)state;
	memset(big, 'a', (2 << 20) - 1);
	big[(2 << 20) - 1] = '\0';
	aws_arg(args, big, "TemplateBody");
	assert_int_equal(aws_query(aws, CFN_CREATE_CHANGE_SET, args, &x, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(w.nasked, 0);
}

/* --- retry by kind --- */

struct retry_case {
	const char *name;
	struct wire_reply reply; /* to every request */
	enum err_kind kind;
	size_t reads, writes;    /* requests made */
	const char *code;
};

static const struct retry_case retry_cases[] = {
	{ "refused", { .fail = ERR_NET }, ERR_NET, 4, 4, "" },
	{ "lost", { .fail = ERR_UNSURE }, ERR_UNSURE, 4, 1, "" },
	{ "throttled", { .status = 400, .body = XML_ERROR("Throttling", "Rate exceeded") }, ERR_BUSY, 4, 4, "Throttling" },
	{ "throttled with 503", { .status = 503, .body = XML_ERROR("RequestLimitExceeded", "x") }, ERR_BUSY, 4, 4, "RequestLimitExceeded" },
	{ "429 without a code", { .status = 429, .body = "slow down" }, ERR_BUSY, 4, 4, "" },
	{ "500", { .status = 500, .body = XML_ERROR("InternalFailure", "x") }, ERR_UNSURE, 4, 1, "InternalFailure" },
	{ "503 without a code", { .status = 503, .body = "" }, ERR_UNSURE, 4, 1, "" },
	{ "500 with a code that says no", { .status = 500, .body = XML_ERROR("AccessDenied", "x") }, ERR_UNSURE, 4, 1, "AccessDenied" },
	{ "a page of a proxy", { .status = 502, .body = "<html><body>Bad Gateway<br></body></html>" }, ERR_UNSURE, 4, 1, "" },
	{ "200 and a page", { .status = 200, .body = "<html><body>sign in</body></html>" }, ERR_UNSURE, 4, 1, "" },
	{ "200 and nothing", { .status = 200, .body = "" }, ERR_UNSURE, 4, 1, "" },
	{ "200 of another service", { .status = 200, .body = "<ListAllMyBucketsResult/>" }, ERR_UNSURE, 4, 1, "" },
	{ "a redirect", { .status = 302, .body = "" }, ERR_UNSURE, 4, 1, "" },
	{ "408", { .status = 408, .body = "" }, ERR_UNSURE, 4, 1, "" },
	{ "denied", { .status = 403, .body = XML_ERROR("AccessDenied", "no") }, ERR_DENIED, 1, 1, "AccessDenied" },
	{ "403 without a code", { .status = 403, .body = "" }, ERR_DENIED, 1, 1, "" },
	{ "gone", { .status = 400, .body = XML_ERROR("RuleNotFound", "no such rule") }, ERR_GONE, 1, 1, "RuleNotFound" },
	{ "404 without a code is not gone", { .status = 404, .body = "<html/>" }, ERR_INPUT, 1, 1, "" },
	{ "wrong", { .status = 400, .body = XML_ERROR("ValidationError", "x") }, ERR_INPUT, 1, 1, "ValidationError" },
	{ "an unknown code", { .status = 400, .body = XML_ERROR("BrandNew", "x") }, ERR_INPUT, 1, 1, "BrandNew" },
};

static void kinds_decide_what_is_tried_again(void **state)
{
	teardown(state); /* each case begins anew */
	for (size_t i = 0; i < COUNT(retry_cases); i++) {
		const struct retry_case *c = &retry_cases[i];

		for (int write = 0; write < 2; write++) {
			size_t want = write ? c->writes : c->reads;

			setup(state);
			w.reply[w.nreply] = c->reply;
			w.reply[w.nreply++].stays = true;
			assert_int_equal(write ? write_rule() : read_rules(), -1);
			if (last.kind != c->kind || w.nasked != want || strcmp(last.code, c->code))
				fail_msg("%s, %s: %s after %zu requests, code \"%s\": %s", c->name,
					 write ? "write" : "read", err_kind_name(last.kind), w.nasked,
					 last.code, last.msg);
			assert_int_equal(gate_asked, write ? (int)want : 0);
			assert_int_equal(w.last_once, write);
			says(write ? "ModifyRule" : "DescribeRules");
			teardown(state);
		}
	}
	setup(state);
}

static void a_retry_that_works_is_success(void **state)
{
	(void)state;
	wire_add(&w, (struct wire_reply){ .fail = ERR_NET });
	wire_add(&w, (struct wire_reply){ .status = 400, .body = XML_ERROR("Throttling", "x") });
	wire_add(&w, (struct wire_reply){ .status = 500 });
	wire_add(&w, (struct wire_reply){ .status = 200, .body = RULES_OK });
	assert_int_equal(read_rules(), 0);
	assert_int_equal(w.nasked, 4);
	assert_int_equal(w.sleeps, 3);
	assert_true(w.slept <= 200 + 400 + 800);
}

static void jitter_differs_by_seed_and_repeats_by_seed(void **state)
{
	int64_t slept[3];

	teardown(state);
	for (int i = 0; i < 3; i++) {
		setup(state);
		open_aws("eu-central-1", i < 2 ? 7 : 8);
		wire_add(&w, (struct wire_reply){ .fail = ERR_NET, .stays = true });
		read_rules();
		slept[i] = w.slept;
		teardown(state);
	}
	setup(state);
	assert_int_equal(slept[0], slept[1]);
	assert_int_not_equal(slept[0], slept[2]);
}

static void a_call_ends_within_its_budget(void **state)
{
	int64_t began;

	(void)state;
	/* each request hangs as long as it may */
	wire_add(&w, (struct wire_reply){ .fail = ERR_UNSURE, .takes_ms = 10000 });
	wire_add(&w, (struct wire_reply){ .fail = ERR_UNSURE, .takes_ms = 1800 });
	wire_add(&w, (struct wire_reply){ .fail = ERR_UNSURE, .takes_ms = 10000, .stays = true });
	began = w.mono;
	assert_int_equal(read_rules(), -1);
	assert_int_equal(w.nasked, 2);
	assert_true(w.last_timeout <= 2000); /* the second got only what was left */
	assert_true(w.mono - began <= 12000);
}

/* --- buckets --- */

static int reads_without_waiting(void)
{
	int n = 0;

	while (!w.sleeps && n < 60) {
		w.nasked = 0; /* the log is not what this is about */
		free(w.asked[0]);
		w.asked[0] = NULL;
		if (read_rules())
			fail_msg("%s", last.msg);
		n += !w.sleeps;
	}
	return n;
}

static void rollback_may_use_the_whole_bucket(void **state)
{
	int normal, more;

	(void)state;
	wire_add(&w, (struct wire_reply){ .status = 200, .body = RULES_OK, .stays = true });
	normal = reads_without_waiting();
	assert_int_equal(normal, 20); /* two thirds of 30 */
	assert_true(w.slept >= 100 && w.slept <= 130); /* 8 a second */
	aws_set_lane(aws, AWS_LANE_ROLLBACK);
	w.sleeps = 0;
	more = reads_without_waiting();
	assert_int_equal(more, 10);
	assert_int_equal(w.nasked, 1);
}

static void buckets_of_services_and_writes_are_their_own(void **state)
{
	struct bucket b;
	struct limit l = { 3, 1 };

	(void)state;
	bucket_init(&b, &l, 0);
	assert_int_equal(bucket_take(&b, 0, false), 0);
	assert_int_equal(bucket_take(&b, 0, false), 0);
	assert_int_equal(bucket_take(&b, 0, false), 1000);
	assert_int_equal(bucket_take(&b, 0, true), 0);
	assert_int_equal(bucket_take(&b, 0, true), 1000);
	assert_int_equal(bucket_take(&b, 999, true), 1);
	assert_int_equal(bucket_take(&b, 1000, true), 0);
	assert_int_equal(bucket_take(&b, 500, true), 1000); /* time does not go back */
	assert_int_equal(bucket_take(&b, 1000000, true), 0);
	assert_int_equal((int)b.tokens, 2); /* never above the burst */
	wire_add(&w, (struct wire_reply){ .when = "Action=M", .status = 200, .body = MODIFY_OK, .stays = true });
	wire_add(&w, (struct wire_reply){ .status = 200, .body = RULES_OK, .stays = true });
	reads_without_waiting();
	w.sleeps = 0;
	assert_int_equal(write_rule(), 0);
	assert_int_equal(w.sleeps, 0);
}

/* --- the gate --- */

static void the_gate_is_asked_last_and_only_for_writes(void **state)
{
	(void)state;
	wire_add(&w, (struct wire_reply){ .status = 200, .body = MODIFY_OK, .stays = true });
	gate_says = 1;
	assert_int_equal(write_rule(), -1);
	assert_int_equal(last.kind, ERR_LOST);
	assert_string_equal(last.msg, "another controller holds the run");
	assert_int_equal(w.nasked, 0);
	assert_int_equal(gate_asked, 1);
	gate_says = 0;
	assert_int_equal(write_rule(), 0);
	assert_int_equal(w.nasked, 1);
}

/* Between two tries the run may have been lost. */
static void the_gate_is_asked_again_for_each_try(void **state)
{
	(void)state;
	wire_add(&w, (struct wire_reply){ .fail = ERR_NET });
	wire_add(&w, (struct wire_reply){ .fail = ERR_NET });
	wire_add(&w, (struct wire_reply){ .status = 200, .body = MODIFY_OK });
	assert_int_equal(write_rule(), 0);
	assert_int_equal(gate_asked, 3);
}

/* --- clock skew --- */

static void skewed(const char *code, const char *date, const char *want)
{
	autofree char *body = xasprintf(XML_ERROR("%s", "Signature expired"), code);
	autofree char *head = date ? xasprintf("Date: %s\r\n", date) : NULL;

	wire_add(&w, (struct wire_reply){ .status = 403, .body = body, .head = head });
	assert_int_equal(read_rules(), -1);
	assert_int_equal(last.kind, ERR_DENIED);
	assert_string_equal(last.code, code);
	says(want);
}

static void corrected(const char *code, const char *date, const char *signed_at)
{
	autofree char *body = xasprintf(XML_ERROR("%s", "Signature expired"), code);
	autofree char *head = xasprintf("Date: %s\r\n", date), *when = xasprintf("x-amz-date: %s", signed_at);

	wire_add(&w, (struct wire_reply){ .status = 403, .body = body, .head = head });
	wire_add(&w, (struct wire_reply){ .status = 200, .body = MODIFY_OK });
	assert_int_equal(write_rule(), 0);
	assert_non_null(strstr(w.asked[w.nasked - 1], when));
}

/* A clock two hours off made every request expire, the way back among them. */
static void a_clock_that_is_off_is_put_right_by_aws(void **state)
{
	(void)state;
	corrected("RequestTimeTooSkewed", "Sun, 22 Nov 2026 02:17:03 GMT", "20261122T021703Z");
	corrected("SignatureDoesNotMatch", "Sun, 22 Nov 2026 00:00:00 GMT", "20261122T000000Z");
	corrected("RequestExpired", "Mon, 23 Nov 2026 02:00:00 GMT", "20261123T020000Z");
	assert_int_equal(atomic_load(&w.clock.skew), 24 * 3600000);
}

static int64_t skew(void) { return atomic_load(&w.clock.skew); }

static void answered(const char *date)
{
	autofree char *head = xasprintf("Date: %s\r\n", date);

	wire_add(&w, (struct wire_reply){ .status = 200, .body = MODIFY_OK, .head = head });
	assert_int_equal(write_rule(), 0);
}

/* Who takes the signature has our time: another Date is of a proxy. Two of them,
 * two hours apart in turn, kept the way back from being sent. */
static void a_date_that_contradicts_a_signature_that_was_taken_is_not_believed(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		answered("Sun, 22 Nov 2026 04:00:00 GMT");
		answered("Sun, 22 Nov 2026 00:00:00 GMT");
		answered("Sun, 22 Nov 2026 04:00:00 GMT");
		answered("Sun, 22 Nov 2026 04:00:00 GMT");
	}
	assert_int_equal(skew(), 0);
}

static void minutes_are_believed_when_two_answers_agree(void **state)
{
	(void)state;
	answered("Sun, 22 Nov 2026 02:03:00 GMT");
	answered("Sun, 22 Nov 2026 01:57:00 GMT");
	answered("Sun, 22 Nov 2026 02:03:00 GMT");
	assert_int_equal(skew(), 0);
	answered("Sun, 22 Nov 2026 02:03:01 GMT");
	assert_int_equal(skew(), 181000);
}

/* The Date of a refusal is believed when AWS takes what was signed with it. */
static void a_date_that_does_not_help_is_not_kept(void **state)
{
	autofree char *body = xasprintf(XML_ERROR("%s", "Signature expired"), "RequestExpired");

	(void)state;
	for (int i = 0; i < 2; i++)
		wire_add(&w, (struct wire_reply){ .status = 403, .body = body, .head = "Date: Sun, 22 Nov 2026 09:00:00 GMT\r\n" });
	assert_int_equal(write_rule(), -1);
	assert_int_equal(last.kind, ERR_DENIED);
	assert_int_equal(skew(), 0);
	answered("Sun, 22 Nov 2026 02:00:00 GMT"); /* and the next request is signed as before */
	assert_non_null(strstr(w.asked[w.nasked - 1], "x-amz-date: 20261122T020000Z"));
}

static void a_clock_that_is_right_is_said_to_be(void **state)
{
	(void)state;
	skewed("InvalidSignatureException", "Sun, 22 Nov 2026 02:00:09 GMT", "signed is right (9 s off), so check the secret key");
	skewed("SignatureDoesNotMatch", NULL, "no Date to compare");
	skewed("SignatureDoesNotMatch", "yesterday", "no Date to compare");
}

static void other_refusals_do_not_speak_of_clocks(void **state)
{
	(void)state;
	wire_add(&w, (struct wire_reply){ .status = 403, .body = XML_ERROR("AccessDenied", "not authorized to perform X"),
					  .head = "Date: Sun, 22 Nov 2026 09:00:00 GMT\r\nx-amzn-RequestId: abc-1\r\n" });
	assert_int_equal(read_rules(), -1);
	assert_null(strstr(last.msg, "clock"));
	says("AccessDenied (HTTP 403, request abc-1): not authorized to perform X");
	says("[credentials: environment, key ...MPLE]");
}

/* --- expired tokens --- */

#define CONTAINER(id) "{\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"," \
		      "\"Expiration\":\"2026-11-22T08:00:00Z\"}"

static void use_container(void)
{
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/creds", 1);
	wire_add(&w, (struct wire_reply){ .when = "/creds", .status = 200, .body = CONTAINER("OLDKEY") });
	wire_add(&w, (struct wire_reply){ .when = "/creds", .status = 200, .body = CONTAINER("NEWKEY") });
}

static void an_expired_token_is_renewed_once(void **state)
{
	(void)state;
	use_container();
	wire_add(&w, (struct wire_reply){ .when = "OLDKEY", .status = 403, .body = XML_ERROR("ExpiredToken", "x") });
	wire_add(&w, (struct wire_reply){ .when = "NEWKEY", .status = 200, .body = MODIFY_OK });
	assert_int_equal(write_rule(), 0); /* a write: AWS surely did nothing */
	assert_int_equal(w.nasked, 4);
	assert_int_equal(gate_asked, 2);
}

static void a_token_that_stays_expired_fails(void **state)
{
	(void)state;
	use_container();
	wire_add(&w, (struct wire_reply){ .when = "amazonaws", .status = 403, .body = XML_ERROR("ExpiredToken", "x"), .stays = true });
	assert_int_equal(read_rules(), -1);
	assert_int_equal(last.kind, ERR_DENIED);
	assert_int_equal(w.nasked, 4);
}

static void a_token_of_the_environment_cannot_be_renewed(void **state)
{
	(void)state;
	setenv("AWS_SESSION_TOKEN", "t", 1);
	wire_add(&w, (struct wire_reply){ .status = 400, .body = XML_ERROR("ExpiredToken", "x"), .stays = true });
	assert_int_equal(read_rules(), -1);
	assert_int_equal(w.nasked, 1);
	says("log in again");
}

/* --- endpoints --- */

static const struct {
	const char *name, *value, *region, *want; /* want NULL: refused */
} endpoints[] = {
	{ NULL, NULL, "us-east-1", "https://elasticloadbalancing.us-east-1.amazonaws.com" },
	{ NULL, NULL, "cn-north-1", "https://elasticloadbalancing.cn-north-1.amazonaws.com.cn" },
	{ NULL, NULL, "us-gov-west-1", "https://elasticloadbalancing.us-gov-west-1.amazonaws.com" },
	{ NULL, NULL, "eusc-de-east-1", "https://elasticloadbalancing.eusc-de-east-1.amazonaws.eu" },
	{ NULL, NULL, "", NULL },
	{ NULL, NULL, "evil.example/", NULL },
	{ NULL, NULL, "EU-WEST-1", NULL },
	{ "AWS_ENDPOINT_URL", "http://127.0.0.1:5000", "x-1", "http://127.0.0.1:5000" },
	{ "AWS_ENDPOINT_URL", "http://localhost:5000/", "x-1", "http://localhost:5000" },
	{ "AWS_ENDPOINT_URL", "http://[::1]:5000", "x-1", "http://[::1]:5000" },
	{ "AWS_ENDPOINT_URL", "http://127.9.8.7", "x-1", "http://127.9.8.7" },
	{ "AWS_ENDPOINT_URL", "https://vpce-1.example.com", "x-1", "https://vpce-1.example.com" },
	{ "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "https://own.example.com", "x-1", "https://own.example.com" },
	{ "AWS_ENDPOINT_URL_STS", "https://own.example.com", "x-1", "https://elasticloadbalancing.x-1.amazonaws.com" },
	{ "AWS_ENDPOINT_URL", "http://example.com", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "http://10.0.0.1:5000", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "http://127.0.0.1@evil.example/", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "http://127.0.0.1.evil.example/", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "http://localhost.evil.example/", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "ftp://127.0.0.1/", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "127.0.0.1:5000", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "https://", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "https://a.example/?x=1", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "https://[::1", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "https://a b", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "https://user:pw@a.example", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "user:pw@a.example", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "https:/user:pw@a.example", "x-1", NULL },
	{ "AWS_ENDPOINT_URL", "https://user:pw/1@a.example", "x-1", NULL },
};

static void endpoints_by_region_and_environment(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(endpoints); i++) {
		struct endpoint at;
		struct err e = { 0 };
		int rc;

		if (endpoints[i].name)
			setenv(endpoints[i].name, endpoints[i].value, 1);
		rc = endpoint_find("elasticloadbalancing", endpoints[i].region, &at, &e);
		if (endpoints[i].name)
			unsetenv(endpoints[i].name);
		if (!!rc != !endpoints[i].want)
			fail_msg("%s %s: %s", endpoints[i].region, endpoints[i].value, rc ? e.msg : at.base);
		if (!rc)
			assert_string_equal(at.base, endpoints[i].want);
		else
			assert_int_equal(e.kind, ERR_INPUT);
		assert_null(strstr(e.msg, ":pw")); /* it is journalled */
	}
}

static void an_endpoint_may_have_a_path(void **state)
{
	(void)state;
	setenv("AWS_ENDPOINT_URL", "https://gateway.example.com:8443/aws/", 1);
	wire_add(&w, (struct wire_reply){ .status = 200, .body = RULES_OK });
	assert_int_equal(read_rules(), 0);
	asked_has(0, "POST https://gateway.example.com:8443/aws/\n");
	asked_has(0, "\nhost: gateway.example.com:8443\n");
}

static void without_a_region_nothing_is_sent(void **state)
{
	(void)state;
	open_aws(NULL, 1);
	assert_int_equal(read_rules(), -1);
	assert_int_equal(last.kind, ERR_INPUT);
	says("set AWS_REGION");
	assert_int_equal(w.nasked, 0);
}

/* --- hostile answers --- */

static const struct {
	const char *head, *body, *code;
	enum err_kind kind;
} json_errors[] = {
	{ "", "{\"__type\":\"com.amazonaws.ecs#ClusterNotFoundException\",\"message\":\"m\"}", "ClusterNotFoundException", ERR_GONE },
	{ "", "{\"__type\":\"ThrottlingException\"}", "ThrottlingException", ERR_BUSY },
	{ "x-amzn-ErrorType: ResourceNotFoundException:http://internal/\r\n", "{\"Message\":\"m\"}", "ResourceNotFoundException", ERR_GONE },
	{ "x-amzn-query-error: InvalidParameterValue;Sender\r\n", "{\"__type\":\"a#Other\"}", "InvalidParameterValue", ERR_INPUT },
	{ "x-amzn-query-error: ;;\r\n", "{\"__type\":\"AccessDeniedException\"}", "AccessDeniedException", ERR_DENIED },
	{ "", "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", "AccessDenied", ERR_DENIED },
	{ "", "<Error><Code>SlowDown</Code></Error>", "SlowDown", ERR_BUSY },
	{ "", "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>", "RequestLimitExceeded", ERR_BUSY },
	{ "", "{\"__type\":[1],\"message\":{}}", "", ERR_INPUT },
	{ "", "[[[[", "", ERR_INPUT },
	{ "", "{\"__type\":\"\\u0007\\u001b[31mX\"}", "??[31mX", ERR_INPUT },
};

static void error_codes_in_every_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(json_errors); i++) {
		struct http_res res = { .status = 400, .head = (char *)json_errors[i].head,
					.body = (char *)json_errors[i].body,
					.nbody = strlen(json_errors[i].body) };
		struct err e = { 0 };
		int flags;

		assert_int_equal(reply_refusal("Op", &res, w.wall, &flags, &e), -1);
		if (e.kind != json_errors[i].kind || strcmp(e.code, json_errors[i].code))
			fail_msg("%s: %s, \"%s\"", json_errors[i].body, err_kind_name(e.kind), e.code);
		for (const char *p = e.msg; *p; p++)
			assert_true((unsigned char)*p >= 0x20);
	}
}

static void long_answers_are_cut(void **state)
{
	autobuf struct buf b = BUF_MAX(1 << 20);

	(void)state;
	buf_adds(&b, "<ErrorResponse><Error><Code>");
	for (int i = 0; i < 5000; i++)
		buf_adds(&b, "C");
	buf_adds(&b, "</Code><Message>");
	for (int i = 0; i < 50000; i++)
		buf_adds(&b, "m\n\x7f");
	buf_adds(&b, "</Message></Error></ErrorResponse>");
	wire_add(&w, (struct wire_reply){ .status = 400, .body = b.p });
	assert_int_equal(read_rules(), -1);
	assert_int_equal(last.kind, ERR_INPUT);
	assert_int_equal(strlen(last.code), sizeof last.code - 1);
	assert_null(strpbrk(last.msg, "\n\x7f"));
}

static void json_that_is_no_object_is_unsure(void **state)
{
	static const char *const bad[] = { "", "[]", "null", "{", "{\"a\":\"\\u0000\"}", "<x/>" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		json_t *out = NULL;
		struct err e = { 0 };

		wire_add(&w, (struct wire_reply){ .status = 200, .body = bad[i] });
		assert_int_equal(aws_json(aws, ECS_UPDATE_SERVICE, NULL, &out, &e), -1);
		assert_int_equal(e.kind, ERR_UNSURE);
		assert_null(out);
	}
}

/* --- tables, presigning --- */

static void tables_are_whole(void **state)
{
	size_t n;
	const struct aws_code *c = aws_codes(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(aws_code_find(c[i].code), &c[i]); /* no code twice */
		assert_int_not_equal(c[i].kind, ERR_NONE);
		assert_true(!c[i].flags || c[i].kind == ERR_DENIED);
	}
	for (enum aws_op op = 0; op < AWS_OPS; op++) {
		const struct aws_op_info *i = aws_op_info(op);
		bool reads = !strncmp(i->name, "Describe", 8) || !strncmp(i->name, "Get", 3) || !strncmp(i->name, "Detect", 6) ||
			     !strncmp(i->name, "List", 4);

		assert_non_null(i->name);
		assert_non_null(aws_service(i->service));
		assert_non_null(strchr(i->iam, ':'));
		assert_string_equal(strchr(i->iam, ':') + 1, i->name);
		assert_int_equal(i->write, !reads);
	}
	assert_null(aws_op_info(AWS_OPS));
	assert_null(aws_code_find(""));
}

static void urls_can_sign_themselves(void **state)
{
	autoargs struct aws_args *args = aws_args_new();
	struct err e = { 0 };

	(void)state;
	aws_arg(args, "connect", "Action");
	aws_arg(args, "wiki", "DBUser");
	setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 1);
	autofree char *url = aws_presign(aws, "rds-db", "GET",
		"https://db.cluster-abc.eu-central-1.rds.amazonaws.com:3306/", args, 900, &e);
	assert_string_equal(url,
		"https://db.cluster-abc.eu-central-1.rds.amazonaws.com:3306/?Action=connect&DBUser=wiki"
		"&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261122%2Feu-central-1%2F"
		"rds-db%2Faws4_request&X-Amz-Date=20261122T020000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
		"&X-Amz-Signature=543ea12ce8a8547af7bb68cfc7b572b6cb073bfd12a0a0fab1ae227feaa4062f");
	assert_null(aws_presign(aws, "rds-db", "GET", "http://db.example.com/", args, 900, &e));
	assert_int_equal(e.kind, ERR_INPUT);
}

static void without_credentials_nothing_is_sent(void **state)
{
	(void)state;
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	assert_int_equal(write_rule(), -1);
	assert_int_equal(last.kind, ERR_DENIED);
	says("no AWS credentials");
	assert_int_equal(w.nasked, 0);
	assert_int_equal(gate_asked, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(query_is_a_signed_form), T(json_names_its_target_and_version),
		T(rest_signs_path_and_query), T(parts_of_answers_go_back_unchanged),
		T(too_much_is_not_sent), T(kinds_decide_what_is_tried_again),
		T(a_retry_that_works_is_success), T(jitter_differs_by_seed_and_repeats_by_seed),
		T(a_call_ends_within_its_budget), T(rollback_may_use_the_whole_bucket),
		T(buckets_of_services_and_writes_are_their_own),
		T(the_gate_is_asked_last_and_only_for_writes), T(the_gate_is_asked_again_for_each_try),
		T(a_clock_that_is_off_is_put_right_by_aws), T(a_clock_that_is_right_is_said_to_be),
		T(a_date_that_contradicts_a_signature_that_was_taken_is_not_believed),
		T(minutes_are_believed_when_two_answers_agree), T(a_date_that_does_not_help_is_not_kept), T(other_refusals_do_not_speak_of_clocks),
		T(an_expired_token_is_renewed_once), T(a_token_that_stays_expired_fails),
		T(a_token_of_the_environment_cannot_be_renewed),
		T(endpoints_by_region_and_environment), T(an_endpoint_may_have_a_path),
		T(without_a_region_nothing_is_sent), T(error_codes_in_every_form),
		T(long_answers_are_cut), T(json_that_is_no_object_is_unsure), T(tables_are_whole),
		T(urls_can_sign_themselves), T(without_credentials_nothing_is_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

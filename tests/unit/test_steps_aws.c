/* Steps that change AWS, one at a time against the simulated world. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fakestep.h"

#include "aws/cloudformation.h"
#include "aws/cred.h"
#include "aws/ecs.h"

#include <stdlib.h>
#include <unistd.h>

#define MINUTE 60000
#define HOUR (60 * MINUTE)

static struct sim_truth truth_of(const struct fake *f)
{
	struct sim_truth t;

	sim_truth(f->w.sim, &t);
	return t;
}

/* --- preflight ----------------------------------------------------------------------------- */

static void preflight_finds_nothing(void **state)
{
	static const char *const alarms[] = { "wiki-5xx" };
	struct fake f;

	(void)state;
	fake_open(&f, "preflight", "{}", &(struct sim_opts){ .seed = 3, .alarms = 1, .alarm_names = alarms });
	f.plan.watch.alarms = json_pack("[s]", "wiki-5xx");
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_true(fake_noted(&f, "safe to begin"));
	assert_int_equal(f.intents, 0);
	assert_int_equal(truth_of(&f).modify_rules, 0);
	json_decref(f.plan.watch.alarms);
	fake_close(&f);
}

static void preflight_reports_everything_at_once(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "preflight", "{}", NULL);
	sim_set_weights(f.w.sim, 500, 499);
	sim_kill_targets(f.w.sim, false);
	clock_sleep(sim_clock(f.w.sim), 5 * MINUTE);
	snprintf(f.rival, sizeof f.rival, "other-run");
	assert_int_equal(fake_advance(&f, 0), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "3 things are against it");
	assert_says(f.e.msg, "green weight 499");
	assert_says(f.e.msg, "blue has no healthy target");
	assert_says(f.e.msg, "run other-run is under way");
	assert_int_equal(json_array_size(json_object_get(json_array_get(f.notes, 0), "because")), 3);
	fake_close(&f);
}

static void preflight_refuses(void **state)
{
	static const struct { const char *account, *region, *rule, *says; int weight; } cases[] = {
		{ "999999999999", SIM_REGION, SIM_RULE, "account 111122223333, the plan is for 999999999999", 0 },
		{ SIM_ACCOUNT, "us-east-1", SIM_RULE, "asks region eu-central-1", 0 },
		{ SIM_ACCOUNT, SIM_REGION, SIM_RULE "x", "", 0 },
		{ SIM_ACCOUNT, SIM_REGION, "nonsense", "the rule is in account", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fake f;

		fake_open(&f, "preflight", "{}", NULL);
		f.plan.account = (char *)cases[i].account;
		f.plan.region = (char *)cases[i].region;
		f.plan.rule = (char *)cases[i].rule;
		assert_int_equal(fake_advance(&f, 0), STEP_FAIL);
		assert_int_equal(f.e.kind, ERR_GATE);
		assert_says(f.e.msg, cases[i].says);
		fake_close(&f);
	}
}

static void preflight_looks_at_alarms(void **state)
{
	static const char *const alarms[] = { "wiki-5xx", "wiki-latency" };
	struct sim_opts world = { .seed = 3, .alarms = 2, .alarm_names = alarms, .fault = "alarm" };
	struct fake f;

	(void)state;
	fake_open(&f, "preflight", "{}", &world);
	f.plan.watch.alarms = json_pack("[s,s]", "wiki-5xx", "wiki-latency");
	sim_set_weights(f.w.sim, 500, 499);
	clock_sleep(sim_clock(f.w.sim), 5 * MINUTE);
	sim_set_weights(f.w.sim, 999, 0);
	clock_sleep(sim_clock(f.w.sim), MINUTE);
	assert_int_equal(fake_advance(&f, 0), STEP_FAIL);
	assert_says(f.e.msg, "alarm wiki-5xx fires");
	f.plan.watch.waived = json_pack("[s]", "wiki-5xx");
	assert_int_equal(fake_advance(&f, 0), STEP_DONE);
	json_decref(f.plan.watch.alarms);
	f.plan.watch.alarms = json_pack("[s]", "nobody-made-this");
	assert_int_equal(fake_advance(&f, 0), STEP_FAIL);
	assert_says(f.e.msg, "nobody-made-this");
	json_decref(f.plan.watch.alarms);
	json_decref(f.plan.watch.waived);
	fake_close(&f);
}

/* An answer that did not come is asked for again; it is never "fine". */
static void preflight_does_not_guess(void **state)
{
	static const enum sim_mishap mishaps[] = { SIM_REFUSED, SIM_TIMEOUT_BEFORE, SIM_REPLY_LOST, SIM_THROTTLED, SIM_500,
						   SIM_TRUNCATED, SIM_MALFORMED };

	(void)state;
	for (size_t m = 0; m < COUNT(mishaps); m++)
		for (uint64_t at = 0; at < 8; at++) {
			struct fake f;

			fake_open(&f, "preflight", "{}", NULL);
			for (uint64_t again = 0; again < 6; again++)
				sim_mishap_at(f.w.sim, at + again, mishaps[m]);
			assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
			fake_close(&f);
		}
}

/* A secret that a later step logs in with is read before anything is touched. */
static void preflight_reads_what_later_steps_need(void **state)
{
	autojson json_t *known = json_pack("{s:s}", "secret", "wiki/db"), *later = json_pack("{s:s}", "secret", "${green.Secret}");
	struct step steps[2] = { { .id = "look" }, { .id = "gate", .kind = step_kind_find("schema"), .params = known } };
	struct fake f;

	(void)state;
	fake_open(&f, "preflight", "{}", NULL);
	steps[0].kind = f.step.kind;
	steps[0].params = f.params;
	f.plan.steps = steps;
	f.plan.nsteps = 2;
	assert_int_equal(fake_advance(&f, 0), STEP_FAIL);
	assert_says(f.e.msg, "step gate");
	f.simulated = true;
	assert_int_equal(fake_advance(&f, 0), STEP_DONE);
	f.simulated = false;
	steps[1].params = later;
	assert_int_equal(fake_advance(&f, 0), STEP_DONE);
	fake_close(&f);
}

static void preflight_wants_credentials_that_last(void **state)
{
	struct cred_chain *old;
	struct fake f;

	(void)state;
	fake_open(&f, "preflight", "{}", NULL);
	setenv("AWS_SESSION_TOKEN", "token", 1);
	old = f.w.creds;
	aws_free(f.w.aws);
	f.w.creds = cred_chain_new(&f.w.http, sim_clock(f.w.sim));
	f.w.aws = aws_new(&(struct aws_opts){ .http = &f.w.http, .clock = sim_clock(f.w.sim), .creds = f.w.creds,
					      .region = SIM_REGION, .seed = 1 });
	cred_chain_free(old);
	assert_int_equal(fake_advance(&f, 0), STEP_FAIL);
	assert_says(f.e.msg, "cannot be renewed and does not say when it ends");
	json_object_set_new(f.params, "accept_unknown_expiry", json_true());
	assert_int_equal(fake_advance(&f, 0), STEP_DONE);
	unsetenv("AWS_SESSION_TOKEN");
	fake_close(&f);
}

/* --- shift, promote ---------------------------------------------------------------------------- */

static void shift_waits_until_green_is_healthy(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "shift", "{\"weight\":250,\"bake\":60000}", NULL);
	assert_int_equal(fake_advance(&f, 0), STEP_WAIT);
	assert_says(f.saying, "of 4 healthy targets");
	assert_int_equal(truth_of(&f).weight_green, 0); /* on the rule, so that it is checked, with nothing */
	assert_int_equal(f.permille, 0);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(truth_of(&f).weight_green, 250);
	assert_true(clock_wall(sim_clock(f.w.sim)) - f.weight_since >= MINUTE);
	fake_close(&f);
}

static void shift_gives_up_on_a_green_that_stays_cold(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "shift", "{\"weight\":10,\"ready\":300000}", &(struct sim_opts){ .seed = 1, .fault = "cold" });
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "did not get ready within 5 min");
	assert_int_equal(truth_of(&f).weight_green, 0);
	fake_close(&f);
}

static void make_green_healthy(struct fake *f)
{
	sim_set_weights(f->w.sim, 999, 0);
	clock_sleep(sim_clock(f->w.sim), 10 * MINUTE);
	f->since = clock_wall(sim_clock(f->w.sim));
}

static void shift_needs_a_good_verdict(void **state)
{
	static const struct { enum verdict_kind kind; enum plan_hold hold; bool answered; enum step_verdict want; } cases[] = {
		{ VERDICT_GOOD, PLAN_HOLD_ROLLBACK, false, STEP_DONE },
		{ VERDICT_HOLD, PLAN_HOLD_ROLLBACK, false, STEP_FAIL },
		{ VERDICT_HOLD, PLAN_HOLD_CALL, false, STEP_WAIT },
		{ VERDICT_HOLD, PLAN_HOLD_CALL, true, STEP_DONE },
		{ VERDICT_HOLD, PLAN_HOLD_ROLLBACK, true, STEP_FAIL },
		{ VERDICT_BLIND, PLAN_HOLD_CALL, true, STEP_WAIT },
		{ VERDICT_BAD, PLAN_HOLD_CALL, true, STEP_WAIT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fake f;

		fake_open(&f, "shift", "{\"weight\":250,\"bake\":300000}", NULL);
		make_green_healthy(&f);
		f.plan.watch.on_hold = cases[i].hold;
		f.verdict = (struct verdict){ .kind = cases[i].kind, .why = "reasons" };
		f.answered = cases[i].answered;
		assert_int_equal(fake_advance(&f, HOUR), cases[i].want);
		if (cases[i].want == STEP_FAIL)
			assert_says(f.e.msg, "not enough evidence");
		if (cases[i].want == STEP_FAIL)
			assert_true(clock_wall(sim_clock(f.w.sim)) - f.weight_since >= 15 * MINUTE);
		assert_int_equal(f.asks, cases[i].want == STEP_WAIT && cases[i].kind == VERDICT_HOLD);
		fake_close(&f);
	}
}

static void shift_bakes_all_the_time_and_ends_early_on_order(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "shift", "{\"weight\":250,\"bake\":300000}", NULL);
	make_green_healthy(&f);
	assert_int_equal(fake_advance(&f, 4 * MINUTE), STEP_WAIT);
	assert_says(f.saying, "baking at 25 %");
	f.answered = true;
	assert_int_equal(fake_advance(&f, 0), STEP_WAIT); /* an answer to another question ends no bake */
	f.skipped = true;
	assert_int_equal(fake_advance(&f, 0), STEP_DONE);
	assert_true(fake_noted(&f, "bake ended early"));
	fake_close(&f);
}

/* Edits were taken again meanwhile, say: what the old share showed says nothing of that. */
static void a_share_of_an_earlier_step_is_judged_anew(void **state)
{
	struct fake f;
	int64_t seen;

	(void)state;
	fake_open(&f, "shift", "{\"weight\":250,\"bake\":60000}", NULL);
	make_green_healthy(&f);
	sim_set_weights(f.w.sim, 750, 250);
	f.permille = 250;
	f.weight_since = f.since;
	clock_sleep(sim_clock(f.w.sim), HOUR);
	f.since = clock_wall(sim_clock(f.w.sim));
	seen = 2 * f.plan.watch.period_ms + f.plan.watch.lag_ms; /* a period of its own has closed and can be read */
	clock_sleep(sim_clock(f.w.sim), seen - 2000);
	assert_int_equal(fake_advance(&f, 0), STEP_WAIT);
	clock_sleep(sim_clock(f.w.sim), 2000);
	assert_int_equal(fake_advance(&f, 0), STEP_DONE);
	fake_close(&f);
}

/* Less weight needs no health: it is asked for when things go wrong. */
static void shift_down_does_not_wait(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "shift", "{\"weight\":100,\"bake\":0}", NULL);
	make_green_healthy(&f);
	sim_set_weights(f.w.sim, 500, 500);
	f.permille = 500;
	sim_kill_targets(f.w.sim, true);
	clock_sleep(sim_clock(f.w.sim), 5 * MINUTE);
	assert_int_equal(fake_advance(&f, 0), STEP_DONE);
	assert_int_equal(truth_of(&f).weight_green, 100);
	fake_close(&f);
}

static void shift_undo_leaves_a_rule_without_green_alone(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "shift", "{\"weight\":100,\"bake\":0}", NULL);
	f.memo = json_object();
	assert_int_equal(fake_undo(&f, 0), STEP_DONE);
	assert_int_equal(truth_of(&f).modify_rules, 0);
	fake_close(&f);
}

static void promote_gives_everything_and_proves_it(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "promote", "{\"bake\":60000}", NULL);
	make_green_healthy(&f);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(truth_of(&f).weight_blue, 0);
	assert_true(truth_of(&f).weight_green > 0);
	assert_true(fake_noted(&f, "all traffic is on green"));
	fake_close(&f);
}

/* --- stack -------------------------------------------------------------------------------------- */

static char template[64];

static void open_stack(struct fake *f, struct sim_opts world, const char *more)
{
	static const char text[] = "{\"Resources\":{}}";
	autofree char *params = NULL;
	int fd;

	snprintf(template, sizeof template, "/tmp/cutover-template-XXXXXX");
	fd = mkstemp(template);
	assert_true(fd >= 0 && write(fd, text, sizeof text - 1) == sizeof text - 1);
	close(fd);
	params = xasprintf("{\"stack\":\"wiki-green\",\"template\":\"%s\"%s}", template, more);
	fake_open(f, "stack", params, &world);
}

static void close_stack(struct fake *f)
{
	unlink(template);
	fake_close(f);
}

static void stack_is_made_shown_and_gives_outputs(void **state)
{
	struct cfn_stack s;
	struct fake f;

	(void)state;
	open_stack(&f, (struct sim_opts){ .seed = 5, .green_by_stack = true }, ",\"tags\":{\"team\":\"wiki\"}");
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_true(fake_noted(&f, "change set"));
	assert_int_equal(json_array_size(json_object_get(json_array_get(f.notes, 0), "changes")), 4);
	assert_string_equal(json_str(f.out, "TargetGroupArn", ""), SIM_GREEN);
	assert_int_equal(cfn_stack_get(f.w.aws, "wiki-green", &s, &f.e), 0);
	assert_string_equal(json_str(s.tags, "cutover:token", ""), "run-it-1");
	assert_string_equal(json_str(s.tags, "team", ""), "wiki");
	cfn_stack_free(&s);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE); /* the goal holds already */
	assert_int_equal(truth_of(&f).stacks, 1);
	assert_int_equal(fake_undo(&f, HOUR), STEP_DONE);
	assert_int_equal(truth_of(&f).stacks, 0);
	close_stack(&f);
}

static void stack_is_like_another_but_for_what_is_written(void **state)
{
	struct cfn_stack s;
	struct fake f;

	(void)state;
	open_stack(&f, (struct sim_opts){ .seed = 5, .green_by_stack = true, .blue_stack = "wiki-blue" },
		   ",\"like\":\"wiki-blue\",\"parameters\":{\"Color\":\"green\"}");
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(cfn_stack_get(f.w.aws, "wiki-green", &s, &f.e), 0);
	assert_string_equal(json_str(s.parameters, "Color", ""), "green");
	assert_string_equal(json_str(s.parameters, "Release", ""), "1.43.9");
	cfn_stack_free(&s);
	close_stack(&f);
	open_stack(&f, (struct sim_opts){ .seed = 5, .green_by_stack = true }, ",\"like\":\"wiki-blue\"");
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_INPUT);
	assert_says(f.e.msg, "wiki-blue does not exist");
	close_stack(&f);
}

static void stack_that_fails_says_which_resource(void **state)
{
	struct fake f;

	(void)state;
	open_stack(&f, (struct sim_opts){ .seed = 5, .green_by_stack = true, .fault = "stack" }, "");
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "Service (AWS::ECS::Service)");
	assert_says(f.e.msg, "Circuit Breaker");
	assert_int_equal(fake_undo(&f, HOUR), STEP_DONE);
	assert_int_equal(truth_of(&f).stacks, 0);
	close_stack(&f);
}

/* The way back may begin at any moment: what was made until then goes, nothing else. */
static void stack_undo_at_every_moment(void **state)
{
	(void)state;
	for (int calls = 0; calls < 30; calls++) {
		struct fake f;
		int64_t wake;

		open_stack(&f, (struct sim_opts){ .seed = 5, .green_by_stack = true }, "");
		for (int i = 0; i < calls; i++) {
			assert_int_not_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_FAIL);
			clock_sleep(sim_clock(f.w.sim), wake - clock_wall(sim_clock(f.w.sim)));
		}
		assert_int_equal(fake_undo(&f, HOUR), STEP_DONE);
		assert_int_equal(truth_of(&f).stacks, 0);
		close_stack(&f);
	}
}

/* Each reply lost once, each request refused once: one stack, and the right one. */
static void stack_survives_every_mishap(void **state)
{
	static const enum sim_mishap mishaps[] = { SIM_REFUSED, SIM_REPLY_LOST, SIM_500, SIM_THROTTLED, SIM_MALFORMED };

	(void)state;
	for (size_t m = 0; m < COUNT(mishaps); m++)
		for (uint64_t at = 0; at < 12; at++) {
			struct fake f;

			open_stack(&f, (struct sim_opts){ .seed = 5, .green_by_stack = true }, "");
			sim_mishap_at(f.w.sim, at, mishaps[m]);
			if (fake_advance(&f, HOUR) != STEP_DONE)
				fail_msg("mishap %zu at request %d: %s", m, (int)at, f.e.msg);
			assert_int_equal(truth_of(&f).stacks, 1);
			assert_int_equal(fake_undo(&f, HOUR), STEP_DONE);
			assert_int_equal(truth_of(&f).stacks, 0);
			close_stack(&f);
		}
}

static void make_blue_stack_ours(struct fake *f)
{
	json_object_set_new(f->params, "stack", json_string("wiki-blue"));
}

static void stack_update_that_replaces_is_refused(void **state)
{
	struct fake f;

	(void)state;
	open_stack(&f, (struct sim_opts){ .seed = 5, .blue_stack = "wiki-blue" }, "");
	make_blue_stack_ours(&f);
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "replace Task (AWS::ECS::TaskDefinition)");
	assert_true(fake_noted(&f, "change set"));
	assert_int_equal(fake_undo(&f, HOUR), STEP_DONE); /* the change set is thrown away */
	assert_int_equal(truth_of(&f).stacks, 1);
	close_stack(&f);
}

static void stack_update_is_never_undone_by_deletion(void **state)
{
	struct cfn_stack s;
	struct fake f;

	(void)state;
	open_stack(&f, (struct sim_opts){ .seed = 5, .blue_stack = "wiki-blue" }, ",\"may_replace\":[\"Task\"]");
	make_blue_stack_ours(&f);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(cfn_stack_get(f.w.aws, "wiki-blue", &s, &f.e), 0);
	assert_string_equal(s.status, "UPDATE_COMPLETE");
	cfn_stack_free(&s);
	assert_int_equal(fake_undo(&f, HOUR), STEP_FAIL);
	assert_says(f.e.msg, "left as it is");
	assert_int_equal(truth_of(&f).stacks, 1);
	/* The same again changes nothing, and is done. */
	json_decref(f.memo);
	f.memo = NULL;
	f.attempt = 2;
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_true(fake_noted(&f, "nothing to change"));
	close_stack(&f);
}

/* An order may wake the engine at once, when CloudFormation still shows the state before. */
static void stack_update_is_not_taken_for_done_too_early(void **state)
{
	struct fake f;
	int64_t wake;

	(void)state;
	open_stack(&f, (struct sim_opts){ .seed = 5, .blue_stack = "wiki-blue" }, ",\"may_replace\":[\"Task\"]");
	make_blue_stack_ours(&f);
	while (strcmp(json_str(f.memo, "phase", ""), "executing")) {
		assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
		if (strcmp(json_str(f.memo, "phase", ""), "executing"))
			clock_sleep(sim_clock(f.w.sim), wake - clock_wall(sim_clock(f.w.sim)));
	}
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	close_stack(&f);
}

static void stack_of_somebody_else_is_not_deleted(void **state)
{
	struct fake f;

	(void)state;
	open_stack(&f, (struct sim_opts){ .seed = 5, .blue_stack = "wiki-blue" }, "");
	make_blue_stack_ours(&f);
	f.memo = json_pack("{s:s, s:b}", "phase", "executing", "created", 1);
	assert_int_equal(fake_undo(&f, HOUR), STEP_FAIL);
	assert_says(f.e.msg, "does not carry this run's token");
	assert_int_equal(truth_of(&f).stacks, 1);
	close_stack(&f);
}

static void stack_template_must_be_there_and_small(void **state)
{
	struct fake f;
	FILE *big;

	(void)state;
	open_stack(&f, (struct sim_opts){ .seed = 5, .green_by_stack = true }, "");
	big = fopen(template, "w");
	for (int i = 0; i < 51201; i++)
		fputc(' ', big);
	fclose(big);
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_says(f.e.msg, "template_url");
	assert_int_equal(truth_of(&f).stacks, 0);
	assert_int_equal(fake_undo(&f, HOUR), STEP_DONE);
	close_stack(&f);
}

/* --- retire, back ------------------------------------------------------------------------------- */

static void all_on_green(struct fake *f)
{
	make_green_healthy(f);
	sim_set_weights(f->w.sim, 0, 999);
	f->permille = 1000;
	f->since = f->weight_since = clock_wall(sim_clock(f->w.sim));
}

#define RETIRE "{\"soak\":1800000,\"quiet_periods\":3}"

static int tasks_of_blue(struct fake *f)
{
	struct ecs_service s;

	assert_int_equal(ecs_service_get(f->w.aws, "wiki", "blue", &s, &f->e), 0);
	return s.desired + s.running;
}

static int tasks_wanted(struct fake *f)
{
	struct ecs_service s;

	assert_int_equal(ecs_service_get(f->w.aws, "wiki", "blue", &s, &f->e), 0);
	return s.desired;
}

static void retire_soaks_proves_and_scales_down(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "retire", RETIRE, NULL);
	all_on_green(&f);
	assert_int_equal(fake_advance(&f, 29 * MINUTE), STEP_WAIT);
	assert_says(f.saying, "soaking");
	assert_null(f.memo); /* the door is still open */
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(tasks_of_blue(&f), 0);
	assert_true(fake_noted(&f, "nobody asks blue: retiring it"));
	fake_close(&f);
}

static void retire_deletes_a_stack(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "retire", "{\"soak\":0,\"quiet_periods\":2,\"how\":\"delete-stack\"}",
		  &(struct sim_opts){ .seed = 5, .blue_stack = "wiki-blue" });
	f.plan.blue.stack = (char *)"wiki-blue";
	all_on_green(&f);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(truth_of(&f).stacks, 0);
	fake_close(&f);
}

static void retire_touches_nothing_without_proof(void **state)
{
	static const struct { int permille; double rate; const char *fault; enum step_verdict want; const char *says; } cases[] = {
		{ 500, 200, NULL, STEP_FAIL, "has not given green all traffic" },
		{ 1000, 0.0001, NULL, STEP_WAIT, "waiting for proof" },
		{ 1000, 200, "blind", STEP_WAIT, "waiting for proof" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fake f;

		fake_open(&f, "retire", RETIRE, &(struct sim_opts){ .seed = 2, .requests_per_s = cases[i].rate, .fault = cases[i].fault });
		all_on_green(&f);
		f.permille = cases[i].permille;
		assert_int_equal(fake_advance(&f, HOUR), cases[i].want);
		assert_says(cases[i].want == STEP_FAIL ? f.e.msg : f.saying, cases[i].says);
		assert_null(f.memo);
		assert_int_equal(tasks_of_blue(&f), 8);
		fake_close(&f);
	}
}

/* Somebody gives blue traffic again, before the door or behind it. */
static void retire_stops_when_blue_has_weight(void **state)
{
	struct fake f;

	(void)state;
	for (int behind = 0; behind < 2; behind++) {
		fake_open(&f, "retire", RETIRE, NULL);
		all_on_green(&f);
		if (behind)
			f.memo = json_pack("{s:s, s:s, s:i}", "cluster", "wiki", "service", "blue", "desired", 4);
		sim_set_weights(f.w.sim, 100, 900);
		assert_int_equal(fake_advance(&f, HOUR), STEP_WAIT);
		assert_says(f.saying, "blue is not retired while it has weight");
		assert_int_equal(tasks_of_blue(&f), 8);
		fake_close(&f);
	}
}

/* Seven UpdateService in 45 s, without an end and with nobody called. */
static void retire_does_not_fight_an_autoscaler(void **state)
{
	int writes = 0;
	int64_t wake;
	struct fake f;
	size_t calls = 0, i;
	json_t *n;

	(void)state;
	fake_open(&f, "retire", RETIRE, NULL);
	all_on_green(&f);
	f.memo = json_pack("{s:s, s:s, s:i}", "cluster", "wiki", "service", "blue", "desired", 4);
	for (int k = 0; k < 30; k++) {
		assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
		writes += tasks_wanted(&f) == 0;
		sim_set_tasks(f.w.sim, 2); /* its minimum */
		clock_sleep(sim_clock(f.w.sim), wake - clock_wall(sim_clock(f.w.sim)));
	}
	assert_int_equal(writes, 2);
	json_array_foreach(f.notes, i, n)
		calls += !strcmp(json_str(n, "what", ""), "call");
	assert_int_equal(calls, 1);
	assert_says(f.saying, "Application Auto Scaling");
	sim_set_tasks(f.w.sim, 0); /* a person has ended that */
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	fake_close(&f);
}

/* Only what came after the last request proves that there are no more. */
static void quiet_counts_what_came_after_the_last_request(void **state)
{
	struct step_run r = { .blue = SIM_BLUE, .green = SIM_GREEN };
	struct drained q;
	struct fake f;

	(void)state;
	fake_open(&f, "back", "{}", NULL);
	make_green_healthy(&f);
	f.weight_since = f.since;
	clock_sleep(sim_clock(f.w.sim), 5 * MINUTE);
	r.engine = (struct engine *)&f, r.plan = &f.plan, r.aws = f.w.aws;
	r.now = clock_wall(sim_clock(f.w.sim));
	assert_int_equal(step_drained(&r, SIM_GREEN, SIM_BLUE, 10, &q, &f.e), 0);
	assert_true(q.complete && q.busy >= 2 && q.busy == q.closed && !q.loud && !q.silent);
	sim_set_weights(f.w.sim, 500, 500);
	clock_sleep(sim_clock(f.w.sim), 5 * MINUTE);
	r.now = clock_wall(sim_clock(f.w.sim));
	assert_int_equal(step_drained(&r, SIM_GREEN, SIM_BLUE, 10, &q, &f.e), 0);
	assert_true(q.loud >= 2 && q.closed > q.loud && q.requests > 0);
	assert_int_equal(q.busy, 0);
	fake_close(&f);
}

static void back_moves_and_proves(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "back", "{}", NULL);
	all_on_green(&f);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(truth_of(&f).weight_green, 0);
	assert_int_equal(truth_of(&f).live_green, 0);
	assert_true(fake_noted(&f, "traffic is on blue"));
	fake_close(&f);
}

static void back_does_not_send_users_into_the_void(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "back", "{}", NULL);
	all_on_green(&f);
	sim_kill_targets(f.w.sim, false);
	clock_sleep(sim_clock(f.w.sim), 5 * MINUTE);
	assert_int_equal(fake_advance(&f, 30 * MINUTE), STEP_WAIT);
	assert_says(f.saying, "blue has no healthy target");
	assert_true(truth_of(&f).weight_green > 0);
	fake_close(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(preflight_finds_nothing), cmocka_unit_test(preflight_reports_everything_at_once),
		cmocka_unit_test(preflight_refuses), cmocka_unit_test(preflight_looks_at_alarms),
		cmocka_unit_test(preflight_reads_what_later_steps_need),
		cmocka_unit_test(preflight_does_not_guess), cmocka_unit_test(preflight_wants_credentials_that_last),
		cmocka_unit_test(shift_waits_until_green_is_healthy), cmocka_unit_test(shift_gives_up_on_a_green_that_stays_cold),
		cmocka_unit_test(shift_needs_a_good_verdict), cmocka_unit_test(shift_bakes_all_the_time_and_ends_early_on_order),
		cmocka_unit_test(a_share_of_an_earlier_step_is_judged_anew),
		cmocka_unit_test(shift_down_does_not_wait), cmocka_unit_test(shift_undo_leaves_a_rule_without_green_alone),
		cmocka_unit_test(promote_gives_everything_and_proves_it), cmocka_unit_test(stack_is_made_shown_and_gives_outputs),
		cmocka_unit_test(stack_that_fails_says_which_resource),
		cmocka_unit_test(stack_is_like_another_but_for_what_is_written), cmocka_unit_test(stack_undo_at_every_moment),
		cmocka_unit_test(stack_survives_every_mishap), cmocka_unit_test(stack_update_that_replaces_is_refused),
		cmocka_unit_test(stack_update_is_never_undone_by_deletion), cmocka_unit_test(stack_update_is_not_taken_for_done_too_early),
		cmocka_unit_test(stack_of_somebody_else_is_not_deleted),
		cmocka_unit_test(stack_template_must_be_there_and_small), cmocka_unit_test(retire_soaks_proves_and_scales_down),
		cmocka_unit_test(retire_deletes_a_stack), cmocka_unit_test(retire_touches_nothing_without_proof),
		cmocka_unit_test(retire_stops_when_blue_has_weight), cmocka_unit_test(retire_does_not_fight_an_autoscaler), cmocka_unit_test(quiet_counts_what_came_after_the_last_request),
		cmocka_unit_test(back_moves_and_proves),
		cmocka_unit_test(back_does_not_send_users_into_the_void),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

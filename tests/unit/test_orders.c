/* What orders do, folded from journals that are written here line by line: no
 * world, no driver. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "cli/say_order.h"
#include "engine/engine.h"
#include "rig.h"
#include "sim/sim.h"
#include "steps/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T(name) cmocka_unit_test_setup_teardown(name, open_journal, close_journal)

static struct {
	struct store *store;
	struct run *run;
	int64_t last;
	const char *who;
} j;

static int write_line(const char *kind, const char *step, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Gives the line's number. */
static int write_line(const char *kind, const char *step, const char *fmt, ...)
{
	struct event ev = { .seq = ++j.last, .at = 1000000000000 + j.last * 1000, .run = (char *)"run", .actor = (char *)j.who,
			    .kind = (char *)kind, .step = (char *)step };
	struct err e = { 0 };
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&ev.body, fmt, ap) > 0);
	va_end(ap);
	if (store_append(j.store, &ev, &e) || (j.run && run_catch_up(j.run, j.store, &e)))
		fail_msg("%s", e.msg);
	free(ev.body);
	return (int)j.last;
}

static int open_journal(void **state)
{
	autofree char *text = rig_plan("{\"id\":\"look\",\"do\":\"preflight\"},{\"id\":\"to-25\",\"do\":\"shift\",\"weight\":\"25%\",\"bake\":\"PT5M\"},"
				       "{\"id\":\"ask\",\"do\":\"approve\",\"ask\":\"give green everything?\"},"
				       "{\"id\":\"to-50\",\"do\":\"shift\",\"weight\":\"50%\",\"bake\":\"PT5M\"},"
				       "{\"id\":\"promote\",\"do\":\"promote\",\"bake\":\"PT5M\"}");
	autojson json_t *start = json_pack("{s:s, s:s, s:s}", "plan", text, "file", "orders.json", "rule", RIG_RULE);
	autofree char *body = json_flat(start);
	struct err e = { 0 };

	(void)state;
	j.run = NULL, j.last = 0, j.who = "tester";
	if (store_open(":memory:", &j.store, &e))
		fail_msg("%s", e.msg);
	write_line("start", "", "%s", body);
	if (run_load(j.store, "run", step_kinds, &j.run, &e))
		fail_msg("%s", e.msg);
	return 0;
}

static int close_journal(void **state)
{
	(void)state;
	run_free(j.run);
	store_close(j.store);
	return 0;
}

/* --- what happens -------------------------------------------------------------------------- */

static void done(const char *step)
{
	write_line("begin", step, "{}");
	write_line("done", step, "{}");
}

static int begins(const char *step) { return write_line("begin", step, "{}"); }

static void green_gets(int permille)
{
	write_line("write", "", "{\"blue\":%d,\"green\":%d}", 1000 - permille, permille);
	write_line("weights", "", "{\"blue\":%d,\"green\":%d}", 1000 - permille, permille);
}

/* The run is at `ask`, which has asked; gives the question's line. */
static int asked(void)
{
	done("look");
	begins("to-25");
	green_gets(250);
	write_line("done", "to-25", "{}");
	begins("ask");
	return write_line("asks", "ask", "{\"question\":\"give green everything?\",\"until\":1000000900000,\"default\":\"rollback\"}");
}

/* It bakes at 50 %; gives the line of the stage's begin. */
static int bakes_at_50(void)
{
	int begin;

	asked();
	write_line("done", "ask", "{}");
	begin = begins("to-50");
	green_gets(500);
	return begin;
}

static int promote(const char *who, const char *step, int line, const char *id)
{
	j.who = who;
	line = write_line("order", "", "{\"order\":\"promote\",\"id\":\"%s\",\"reason\":\"\",\"step\":\"%s\",\"line\":%d}", id, step, line);
	j.who = "tester";
	return line;
}

static int order(const char *name, const char *id)
{
	return write_line("order", "", "{\"order\":\"%s\",\"id\":\"%s\",\"reason\":\"\"}", name, id);
}

static int skip_bake(const char *step, int begin, const char *id)
{
	return write_line("order", "", "{\"order\":\"skip-bake\",\"id\":\"%s\",\"reason\":\"it is late\",\"step\":\"%s\",\"line\":%d}",
			  id, step, begin);
}

static void assert_effect(int line, enum order_effect effect, const char *said)
{
	const struct run_order *o = run_order(j.run, line);
	autobuf struct buf text = BUF_MAX(2048);

	assert_non_null(o);
	say_effect(j.run, o, &text);
	if (o->effect != effect || !strstr(text.p, said))
		fail_msg("wanted %s, \"%s\"; is %s: %s", order_effect_name(effect), said, order_effect_name(o->effect), text.p);
}

/* --- answers ----------------------------------------------------------------------------------- */

/* 25 % -> 100 % in one second, with no evidence, both told "ordered" (kargo#4376). */
static void the_second_answer_to_one_question_ends_nothing(void **state)
{
	int q = asked(), anna = promote("anna", "ask", q, "1"), bert;

	(void)state;
	assert_null(run_question(j.run, NULL));
	write_line("done", "ask", "{}");
	begins("to-50");
	green_gets(500);
	bert = promote("bert", "ask", q, "2");
	assert_effect(anna, ORDER_OBEYED, "answers `ask`: give green everything?");
	assert_effect(bert, ORDER_VOID, "HAD NO EFFECT: `ask` was already answered by anna at ");
	assert_string_equal(j.run->step[2].yes, "anna");
	assert_string_equal(j.run->step[3].yes, "");
	assert_int_equal(j.run->step[3].skip, 0);
}

static void an_answer_to_a_question_that_is_gone_has_no_effect(void **state)
{
	int q = asked(), late, never;

	(void)state;
	never = promote("anna", "ask", q + 7, "0");
	write_line("back", "", "{\"why\":\"nobody approved\"}");
	late = promote("anna", "ask", q, "1");
	assert_effect(never, ORDER_VOID, "does not ask that now");
	assert_effect(late, ORDER_VOID, "the run was rolling back");
}

static void a_question_of_an_earlier_attempt_is_not_answered_in_this_one(void **state)
{
	int q = asked();

	(void)state;
	write_line("back", "", "{\"why\":\"x\"}");
	write_line("rolled-back", "", "{\"why\":\"x\"}");
	write_line("attempt", "", "{\"why\":\"again\"}");
	asked();
	assert_effect(promote("anna", "ask", q, "1"), ORDER_VOID, "does not ask that now");
	assert_non_null(run_question(j.run, NULL));
}

static void promote_where_nothing_is_asked_ends_no_bake(void **state)
{
	(void)state;
	bakes_at_50();
	assert_effect(promote("anna", "", 0, "1"), ORDER_VOID, "nothing is asked");
	assert_int_equal(j.run->step[3].skip, 0);
}

/* Yes beforehand is for questions: stages are left on evidence. */
static void full_answers_later_questions_and_ends_no_bake(void **state)
{
	int full;

	(void)state;
	done("look");
	begins("to-25");
	green_gets(250);
	full = write_line("order", "", "{\"order\":\"promote\",\"id\":\"1\",\"full\":true,\"step\":\"\",\"line\":0}");
	assert_effect(full, ORDER_OBEYED, "yes to every question still to come");
	assert_string_equal(j.run->full_by, "tester");
	assert_int_equal(j.run->step[1].skip, 0);
}

/* --- bakes -------------------------------------------------------------------------------------- */

static void the_end_of_one_bake_never_ends_the_next(void **state)
{
	int begin = bakes_at_50(), first = skip_bake("to-50", begin, "1"), late;

	(void)state;
	assert_effect(first, ORDER_PENDING, "as soon as the verdict is neither BAD nor BLIND");
	write_line("note", "to-50", "{\"what\":\"bake ended early\",\"verdict\":\"HOLD\",\"order\":%d}", first);
	write_line("done", "to-50", "{}");
	assert_effect(first, ORDER_OBEYED, "ended the bake of `to-50`, verdict HOLD");
	begins("promote");
	green_gets(1000);
	late = skip_bake("to-50", begin, "2");
	assert_effect(late, ORDER_VOID, "the bake of `to-50` was over");
	assert_effect(skip_bake("promote", begin, "3"), ORDER_VOID, "the bake of `promote` was over");
	assert_int_equal(j.run->step[4].skip, 0);
}

static void a_bake_that_ended_by_itself_was_not_ended_by_the_order(void **state)
{
	int line = skip_bake("to-50", bakes_at_50(), "1");

	(void)state;
	write_line("done", "to-50", "{}");
	assert_effect(line, ORDER_VOID, "the bake of `to-50` was over");
}

static void a_bake_that_has_not_begun_is_not_skipped(void **state)
{
	int begin;

	(void)state;
	asked();
	write_line("done", "ask", "{}");
	begin = begins("to-50");
	assert_effect(skip_bake("to-50", begin, "1"), ORDER_VOID, "has not begun");
	assert_int_equal(j.run->step[3].skip, 0);
}

static void an_order_that_the_way_back_overtook_had_no_effect(void **state)
{
	int line = skip_bake("to-50", bakes_at_50(), "1");

	(void)state;
	write_line("back", "", "{\"why\":\"green is worse\"}");
	assert_effect(line, ORDER_VOID, "the run was rolling back");
}

/* --- ids --------------------------------------------------------------------------------------------- */

/* pause --id build-7, then rollback --id build-7: exit 0, and green kept its traffic. */
static void a_used_id_swallows_no_other_order(void **state)
{
	int back;

	(void)state;
	asked();
	order("pause", "build-7");
	back = order("rollback", "build-7");
	assert_effect(back, ORDER_VOID, "its id was used for pause before by tester");
	assert_int_equal(j.run->wish, ORDER_NONE);
	assert_effect(order("rollback", "build-8"), ORDER_PENDING, "traffic goes back");
	assert_int_equal(j.run->wish, ORDER_ROLLBACK);
}

static void a_repeated_id_is_told_what_the_first_did(void **state)
{
	int first, again;

	(void)state;
	asked();
	first = order("pause", "hook-7");
	order("resume", "x");
	again = order("pause", "hook-7");
	assert_false(j.run->paused);
	assert_effect(again, ORDER_REPEATED, "repeats the order given by tester");
	assert_ptr_equal(run_order_counts(j.run, run_order(j.run, again)), run_order(j.run, first));
}

/* What had no effect has used up nothing: CI repeats it when the question has come. */
static void an_order_without_effect_does_not_use_up_its_id(void **state)
{
	int q;

	(void)state;
	begins("look");
	assert_effect(promote("ci", "", 0, "build-7"), ORDER_VOID, "nothing is asked");
	write_line("done", "look", "{}");
	begins("to-25");
	green_gets(250);
	write_line("done", "to-25", "{}");
	begins("ask");
	q = write_line("asks", "ask", "{\"question\":\"go?\",\"until\":1,\"default\":\"rollback\"}");
	assert_effect(promote("ci", "ask", q, "build-7"), ORDER_OBEYED, "answers `ask`");
}

/* A CI job that runs again with its build's id was told "yes", and the question of the new attempt stayed open. */
static void an_answer_of_an_earlier_attempt_answers_nothing_now(void **state)
{
	int q = asked();

	(void)state;
	assert_effect(promote("ci", "ask", q, "build-7"), ORDER_OBEYED, "answers `ask`");
	order("rollback", "alarm");
	write_line("back", "", "{\"why\":\"ordered\"}");
	write_line("rolled-back", "", "{\"why\":\"ordered\"}");
	order("retry", "again");
	write_line("attempt", "", "{\"why\":\"ordered\"}");
	begins("look");
	write_line("done", "look", "{}");
	begins("to-25");
	green_gets(250);
	write_line("done", "to-25", "{}");
	begins("ask");
	q = write_line("asks", "ask", "{\"question\":\"go?\",\"until\":1,\"default\":\"rollback\"}");
	assert_effect(promote("ci", "ask", q, "build-7"), ORDER_VOID, "its id was used for attempt 1");
	assert_effect(promote("ci", "ask", q, "build-8"), ORDER_OBEYED, "answers `ask`");
}

static void a_rollback_with_the_id_of_an_earlier_attempts_is_no_repetition(void **state)
{
	(void)state;
	asked();
	order("rollback", "alarm");
	write_line("back", "", "{\"why\":\"ordered\"}");
	assert_effect(order("rollback", "alarm"), ORDER_REPEATED, "which counts");
	write_line("rolled-back", "", "{\"why\":\"ordered\"}");
	order("retry", "again");
	write_line("attempt", "", "{\"why\":\"ordered\"}");
	assert_effect(order("rollback", "alarm"), ORDER_PENDING, "traffic goes back");
	write_line("back", "", "{\"why\":\"ordered\"}");
	write_line("rolled-back", "", "{\"why\":\"ordered\"}");
	assert_effect(order("retry", "again"), ORDER_REPEATED, "which counts"); /* forward is once for all */
	assert_true(run_is_over(j.run));
}

/* --- going back ------------------------------------------------------------------------------------------ */

static void a_rollback_says_what_became_of_it(void **state)
{
	int first, second;

	(void)state;
	asked();
	first = order("rollback", "1");
	second = order("rollback", "2");
	assert_effect(second, ORDER_NEEDLESS, "it was ordered before by tester");
	write_line("back", "", "{\"why\":\"ordered\"}");
	assert_effect(first, ORDER_OBEYED, "began the way back");
	assert_effect(order("rollback", "3"), ORDER_NEEDLESS, "the run was rolling back already");
	assert_effect(order("pause", "4"), ORDER_VOID, "the run was rolling back");
}

static void a_rollback_before_anything_was_touched_stops_the_run(void **state)
{
	int line;

	(void)state;
	begins("look");
	line = order("rollback", "1");
	write_line("stopped", "", "{\"why\":\"ordered\"}");
	assert_effect(line, ORDER_OBEYED, "stopped the run before anything was changed");
}

static void a_rollback_behind_the_door_had_no_effect(void **state)
{
	int line;

	(void)state;
	asked();
	line = order("rollback", "1");
	write_line("frozen", "", "{\"why\":\"the way back is closed\"}");
	assert_effect(line, ORDER_VOID, "the way back was closed");
}

static void a_rollback_withdraws_a_retry_that_nobody_has_begun(void **state)
{
	int retry, back;

	(void)state;
	asked();
	write_line("back", "", "{\"why\":\"x\"}");
	write_line("rolled-back", "", "{\"why\":\"x\"}");
	retry = order("retry", "1");
	back = order("rollback", "2");
	assert_true(run_is_over(j.run));
	assert_effect(retry, ORDER_VOID, "a rollback came before it was begun");
	assert_effect(back, ORDER_OBEYED, "withdrawn");
}

/* --- journals of before -------------------------------------------------------------------------------- */

static void an_order_without_names_means_the_step_that_was_there(void **state)
{
	int line;

	(void)state;
	done("look");
	begins("to-25");
	green_gets(250);
	line = order("promote", "1");
	assert_int_equal(j.run->step[1].skip, line);
	write_line("note", "to-25", "{\"what\":\"bake ended early\",\"by\":\"tester\"}");
	write_line("done", "to-25", "{}");
	begins("ask");
	order("promote", "2");
	assert_string_equal(j.run->step[2].yes, "tester");
	assert_effect(line, ORDER_OBEYED, "said yes to `to-25`");
}

/* An older program's second answer must not meet a newer program's bake. */
static void an_order_without_names_answers_one_question_where_questions_are_lines(void **state)
{
	int first, second;

	(void)state;
	asked();
	first = order("promote", "1");
	write_line("done", "ask", "{}");
	begins("to-50");
	green_gets(500);
	second = order("promote", "2");
	assert_effect(first, ORDER_OBEYED, "answers `ask`");
	assert_effect(second, ORDER_VOID, "nothing is asked");
	assert_int_equal(j.run->step[3].skip, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(the_second_answer_to_one_question_ends_nothing), T(an_answer_to_a_question_that_is_gone_has_no_effect),
		T(a_question_of_an_earlier_attempt_is_not_answered_in_this_one), T(promote_where_nothing_is_asked_ends_no_bake),
		T(full_answers_later_questions_and_ends_no_bake), T(the_end_of_one_bake_never_ends_the_next),
		T(a_bake_that_ended_by_itself_was_not_ended_by_the_order), T(a_bake_that_has_not_begun_is_not_skipped),
		T(an_order_that_the_way_back_overtook_had_no_effect), T(a_used_id_swallows_no_other_order),
		T(a_repeated_id_is_told_what_the_first_did), T(an_order_without_effect_does_not_use_up_its_id),
		T(an_answer_of_an_earlier_attempt_answers_nothing_now),
		T(a_rollback_with_the_id_of_an_earlier_attempts_is_no_repetition), T(a_rollback_says_what_became_of_it),
		T(a_rollback_before_anything_was_touched_stops_the_run),
		T(a_rollback_behind_the_door_had_no_effect), T(a_rollback_withdraws_a_retry_that_nobody_has_begun),
		T(an_order_without_names_means_the_step_that_was_there),
		T(an_order_without_names_answers_one_question_where_questions_are_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

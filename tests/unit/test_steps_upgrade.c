/* Steps of an upgrade whose tables differ: task, freeze, thaw, database, schema. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fakedb.h"
#include "fakestep.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MINUTE ((int64_t)60000)
#define HOUR (60 * MINUTE)

static struct sim_truth truth(struct fake *f)
{
	struct sim_truth t;

	sim_truth(f->w.sim, &t);
	return t;
}

static void open_in(struct fake *f, const char *kind, const char *params, const char *fault, bool upgrade)
{
	fake_open(f, kind, params, &(struct sim_opts){ .seed = 7, .fault = fault, .upgrade = upgrade });
	f->simulated = true; /* databases are the simulated world's */
}

/* The body of the first note that says `what`; NULL: none. */
static const json_t *note(const struct fake *f, const char *what)
{
	size_t i;
	json_t *n;

	json_array_foreach(f->notes, i, n)
		if (!strcmp(json_str(n, "what", ""), what))
			return n;
	return NULL;
}

/* --- task --------------------------------------------------------------------------------- */

#define TASK "\"cluster\":\"wiki\",\"task_definition\":\"wiki:1\",\"container\":\"mediawiki\",\"limit\":1800000"
#define UPDATE "{" TASK ",\"command\":[\"php\",\"maintenance/run.php\",\"update\"]}"
#define UPDATE_ONCE "{" TASK ",\"command\":[\"php\",\"maintenance/run.php\",\"update\"],\"runs\":1}"
#define UPDATE_JUDGED "{" TASK ",\"command\":[\"php\",\"maintenance/run.php\",\"update\"],\"runs\":1,\"judge\":\"after\"}"

static void task_runs_to_its_end(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "task", UPDATE, NULL, true);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_true(fake_noted(&f, "the task is done"));
	assert_string_equal(json_str(f.out, "ExitCode", "?"), "0");
	assert_non_null(strstr(json_str(f.out, "Task", ""), ":task/"));
	assert_int_equal(truth(&f).errands, 1);
	assert_true(truth(&f).updated);
	fake_close(&f);
}

static void task_whose_start_was_never_answered_is_found_again(void **state)
{
	static const enum sim_mishap all[] = { SIM_REPLY_LOST, SIM_500, SIM_TRUNCATED, SIM_MALFORMED, SIM_TIMEOUT_BEFORE };

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		struct fake f;

		open_in(&f, "task", UPDATE, NULL, true);
		sim_mishap_at(f.w.sim, 2, all[i]); /* two looks, then RunTask */
		assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
		assert_int_equal(truth(&f).errands, 1);
		fake_close(&f);
	}
}

static void task_that_is_killed_runs_again(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "task", UPDATE, "update", true);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(truth(&f).errands, 2);
	assert_true(truth(&f).updated);
	assert_says(json_str(note(&f, "the task did not end well"), "end", ""), "left no exit code (OutOfMemoryError");
	fake_close(&f);
}

static void task_without_another_run_fails(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "task", UPDATE_ONCE, "update", true);
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "left no exit code");
	assert_says(f.e.msg, "after 1 of 1 runs");
	fake_close(&f);
}

static void task_that_a_schema_step_judges_is_done_however_it_ends(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "task", UPDATE_JUDGED, "update", true);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_string_equal(json_str(f.out, "ExitCode", "?"), ""); /* none, and not 0 */
	assert_non_null(note(&f, "the task did not end well"));
	assert_false(truth(&f).updated);
	fake_close(&f);
}

static void task_is_stopped_at_its_limit(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "task", "{" TASK ",\"command\":[\"update\"],\"runs\":1}", NULL, true);
	json_object_set_new(f.params, "limit", json_integer(9000));
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_says(f.e.msg, "left no exit code");
	assert_int_equal(truth(&f).errands_alive, 0);
	fake_close(&f);
}

static void task_is_stopped_on_the_way_back(void **state)
{
	struct fake f;
	int64_t wake;

	(void)state;
	open_in(&f, "task", UPDATE, NULL, true);
	for (int i = 0; i < 2; i++) /* begin; start */
		assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	assert_int_equal(truth(&f).errands_alive, 1);
	assert_int_equal(fake_undo(&f, HOUR), STEP_DONE);
	assert_int_equal(truth(&f).errands_alive, 0);
	assert_false(truth(&f).updated);
	fake_close(&f);
}

/* Asked for, and never seen to start: the way back waits until it must be known. */
static void task_that_may_still_appear_is_waited_for(void **state)
{
	struct fake f;
	int64_t wake;

	(void)state;
	open_in(&f, "task", UPDATE, NULL, true);
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	assert_int_equal(fake_call(&f, f.step.kind->undo, &wake), STEP_WAIT);
	assert_says(f.saying, "it may still appear");
	assert_int_equal(fake_undo(&f, MINUTE), STEP_DONE);
	assert_int_equal(truth(&f).errands, 0);
	fake_close(&f);
}

/* --- freeze and thaw ------------------------------------------------------------------------- */

#define LOCK "{\"cluster\":\"wiki\",\"task_definition\":\"wiki:1\",\"container\":\"mediawiki\",\"file\":\"/srv/lock\"," \
	     "\"url\":\"https://wiki.example.org\",\"through\":[\"10.0.0.1:80\",\"10.0.0.2:80\"]}"

static void freeze_is_proved_by_the_wiki(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "freeze", LOCK, NULL, false);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_true(truth(&f).read_only);
	assert_int_equal(json_num(note(&f, "the wiki is read-only"), "answers", 0), 6); /* three of each address */
	assert_true(json_num(note(&f, "the wiki is read-only"), "first", 0) > 0);
	assert_int_equal(fake_undo(&f, HOUR), STEP_DONE);
	assert_false(truth(&f).read_only);
	assert_true(fake_noted(&f, "the wiki takes edits"));
	assert_int_equal(truth(&f).errands, 2);
	fake_close(&f);
}

/* All addresses were asked in one go: with many or slow ones, the engine neither
 * looked at the traffic nor gave a sign of life. */
static void many_addresses_do_not_hold_the_engine(void **state)
{
	struct fake f;
	enum step_verdict v;
	int64_t wake, most = 0;
	int waits = 0;

	(void)state;
	open_in(&f, "freeze", LOCK, NULL, false);
	json_object_set_new(f.params, "answers", json_integer(100));
	do {
		int64_t begun = clock_mono(sim_clock(f.w.sim)), took;

		v = fake_call(&f, f.step.kind->advance, &wake);
		took = clock_mono(sim_clock(f.w.sim)) - begun;
		most = took > most ? took : most;
		waits += !!strstr(f.saying, "of 200 answers are as wished so far");
		if (wake > clock_wall(sim_clock(f.w.sim)))
			clock_sleep(sim_clock(f.w.sim), wake - clock_wall(sim_clock(f.w.sim)));
	} while (v == STEP_WAIT || (v == STEP_FAIL && err_retryable(&f.e)));
	if (v == STEP_FAIL)
		fail_msg("%s", f.e.msg);
	assert_int_equal(v, STEP_DONE);
	assert_int_equal(json_num(note(&f, "the wiki is read-only"), "answers", 0), 200);
	assert_true(waits > 2);
	assert_true(most < 5000);
	fake_close(&f);
}

static void freeze_of_somebody_else_is_left_alone(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "freeze", LOCK, NULL, false);
	sim_lock(f.w.sim, "the disk is being moved");
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "not by this run: the disk is being moved");
	assert_int_equal(truth(&f).errands, 0);
	assert_int_equal(f.intents, 0);
	fake_close(&f);
}

/* Another step of this run has written the file that both colours share. */
static void freeze_that_holds_already_is_done(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "freeze", LOCK, NULL, false);
	sim_lock(f.w.sim, "upgrade (cutover run)");
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(truth(&f).errands, 0);
	assert_int_equal(fake_undo(&f, HOUR), STEP_DONE); /* nothing of its own to undo */
	assert_true(truth(&f).read_only);
	fake_close(&f);
}

/* The task that would freeze is still on its way when the run turns back. */
static void freeze_is_not_overtaken_by_its_own_task(void **state)
{
	struct fake f;
	int64_t wake;

	(void)state;
	open_in(&f, "freeze", LOCK, NULL, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	assert_int_equal(truth(&f).errands_alive, 1);
	assert_int_equal(fake_undo(&f, HOUR), STEP_DONE);
	simworld_wait(&f.w, 60);
	assert_false(truth(&f).read_only);
	assert_int_equal(truth(&f).errands_alive, 0);
	fake_close(&f);
}

static void freeze_lock_that_somebody_replaced_is_not_removed(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "freeze", LOCK, NULL, false);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	sim_lock(f.w.sim, "an incident");
	assert_int_equal(fake_undo(&f, HOUR), STEP_FAIL);
	assert_says(f.e.msg, "is not this run's");
	assert_true(truth(&f).read_only);
	fake_close(&f);
}

struct odd_wiki {
	const char *body;
	int status;
};

static int odd_send(void *ctx, const struct http_req *q, struct http_res *a, struct err *e)
{
	const struct odd_wiki *w = ctx;

	(void)q, (void)e;
	*a = (struct http_res){ .status = w->status, .head = xstrdup(""), .body = xstrdup(w->body), .nbody = strlen(w->body) };
	return 0;
}

static void freeze_believes_no_answer_that_says_nothing(void **state)
{
	static const struct { struct odd_wiki wiki; enum err_kind kind; const char *says; } odd[] = {
		{ { "{}", 200 }, ERR_GATE, "no siteinfo" },
		{ { "[1]", 200 }, ERR_GATE, "no siteinfo" },
		{ { "<html>", 200 }, ERR_GATE, "no siteinfo" },
		{ { "{\"query\":{\"general\":{}}}", 200 }, ERR_GATE, "does not say whether it is read-only" },
		{ { "{\"query\":{\"general\":{\"readonly\":\"\"}}}", 200 }, ERR_GATE, "does not say whether" },
		{ { "{\"query\":{\"general\":{\"readonly\":true}}}", 403 }, ERR_GATE, "answered 403" },
		{ { "busy", 503 }, ERR_BUSY, "answered 503" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(odd); i++) {
		struct odd_wiki w = odd[i].wiki;
		struct fake f;
		int64_t wake;

		open_in(&f, "freeze", LOCK, NULL, false);
		f.http = (struct http){ odd_send, &w };
		assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_FAIL);
		assert_int_equal(f.e.kind, odd[i].kind);
		assert_says(f.e.msg, odd[i].says);
		assert_int_equal(truth(&f).errands, 0);
		fake_close(&f);
	}
}

/* One address that still takes edits: a container that has not seen the file yet. */
struct late_wiki {
	struct http world;
	int late, well; /* answers it still gives as if it knew nothing; as wished in a row */
};

static int late_send(void *ctx, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct late_wiki *w = ctx;
	bool is;

	if (http_send(&w->world, q, a, e))
		return -1;
	if (!q->connect_to || strcmp(q->connect_to, "10.0.0.2:80") || a->status != 200)
		return 0;
	is = strstr(a->body, "\"readonly\":true") != NULL;
	w->well = is && w->late <= 0 ? w->well + 1 : 0;
	if (is && w->late-- > 0) {
		free(a->body);
		a->body = xstrdup("{\"query\":{\"general\":{\"readonly\":false}}}");
		a->nbody = strlen(a->body);
	}
	return 0;
}

/* Also where a round of answers takes several ticks. */
static void freeze_waits_for_the_last_address(void **state)
{
	static const int answers[] = { 3, 100 };

	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct late_wiki w = { .late = 60 };
		struct fake f;

		open_in(&f, "freeze", LOCK, NULL, false);
		json_object_set_new(f.params, "answers", json_integer(answers[i]));
		w.world = f.http;
		f.http = (struct http){ late_send, &w };
		assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
		assert_true(w.late <= 0);
		assert_true(w.well >= answers[i]);
		fake_close(&f);
	}
}

static void thaw_waits_for_all_traffic(void **state)
{
	struct fake f;
	int64_t wake;

	(void)state;
	open_in(&f, "thaw", LOCK, NULL, false);
	sim_lock(f.w.sim, "upgrade (cutover run)");
	sim_set_weights(f.w.sim, 500, 500);
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "only when green has everything");
	assert_int_equal(f.intents, 0); /* the door is open still */
	sim_set_weights(f.w.sim, 0, 999);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_false(truth(&f).read_only);
	assert_true(fake_noted(&f, "the wiki takes edits"));
	fake_close(&f);
}

/* The rule gives green everything since a moment; the load balancer does not yet. */
static void thaw_waits_until_nobody_asks_blue(void **state)
{
	struct fake f;
	int64_t wake;

	(void)state;
	open_in(&f, "thaw", LOCK, NULL, false);
	sim_lock(f.w.sim, "upgrade (cutover run)");
	simworld_wait(&f.w, 600);
	sim_set_weights(f.w.sim, 0, 999);
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	assert_says(f.saying, "nobody asks blue any more");
	assert_int_equal(f.intents, 0);
	assert_int_equal(truth(&f).errands, 0);
	simworld_wait(&f.w, 30); /* one look later it is still too early: no period has closed */
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	fake_close(&f);
}

static void thaw_does_not_open_on_bad_evidence(void **state)
{
	static const enum verdict_kind kinds[] = { VERDICT_BAD, VERDICT_BLIND };

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct fake f;
		int64_t wake;

		open_in(&f, "thaw", LOCK, NULL, false);
		sim_lock(f.w.sim, "upgrade (cutover run)");
		sim_set_weights(f.w.sim, 0, 999);
		simworld_wait(&f.w, 600);
		f.verdict = (struct verdict){ .kind = kinds[i], .why = "30 % fail" };
		assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
		assert_says(f.saying, "not while the verdict is");
		assert_int_equal(f.intents, 0);
		assert_true(truth(&f).read_only);
		fake_close(&f);
	}
}

/* Somebody has removed the file: edits are being taken, so the door is closed first. */
static void thaw_of_a_wiki_that_takes_edits_closes_the_door(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "thaw", LOCK, NULL, false);
	sim_set_weights(f.w.sim, 0, 999);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_true(f.intents > 0);
	assert_int_equal(truth(&f).errands, 0);
	fake_close(&f);
}

/* --- database ----------------------------------------------------------------------------------- */

#define COPY "{\"how\":\"blue-green\",\"source\":\"wiki\"}"
#define CLONE "{\"how\":\"clone\",\"source\":\"wiki\",\"instance_class\":\"db.r6g.large\",\"source_host\":\"wiki.internal\"}"

/* A copy that follows, in f's world; its endpoint. The fake's step is another afterwards. */
static void make_copy(struct fake *f, const char *fault, char endpoint[128])
{
	open_in(f, "database", COPY, fault, false);
	assert_int_equal(fake_advance(f, HOUR), STEP_DONE);
	snprintf(endpoint, 128, "%s", json_str(f->out, "Endpoint", ""));
	assert_string_equal(json_str(f->out, "Port", ""), "3306");
	assert_true(*endpoint && *json_str(f->out, "Deployment", ""));
}

static void to_detach(struct fake *f, const char *host)
{
	json_decref(f->memo);
	f->memo = NULL;
	f->since = clock_wall(sim_clock(f->w.sim));
	json_object_set_new(f->params, "how", json_string("detach"));
	json_object_set_new(f->params, "host", json_string(host));
	json_object_set_new(f->params, "source_host", json_string("wiki.internal"));
}

static void copy_is_made_once_and_left(void **state)
{
	char endpoint[128];
	struct fake f;

	(void)state;
	make_copy(&f, NULL, endpoint);
	assert_int_equal(truth(&f).copies, 1);
	assert_int_equal(fake_undo(&f, HOUR), STEP_FAIL);
	assert_says(f.e.msg, "no database is ever deleted");
	assert_int_equal(truth(&f).copies, 1);
	fake_close(&f);
}

static void copy_whose_request_was_lost_is_made_once(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "database", COPY, NULL, false);
	sim_mishap_at(f.w.sim, 2, SIM_REPLY_LOST); /* find, source, create */
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(truth(&f).copies, 1);
	fake_close(&f);
}

static void copy_never_made_needs_no_word(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "database", COPY, NULL, false);
	f.memo = json_pack("{s:s}", "phase", "making");
	assert_int_equal(fake_undo(&f, HOUR), STEP_DONE);
	fake_close(&f);
}

static void detach_waits_until_the_copy_has_every_write(void **state)
{
	char endpoint[128];
	struct fake f;

	(void)state;
	make_copy(&f, NULL, endpoint);
	sim_lock(f.w.sim, "frozen");
	to_detach(&f, endpoint);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_true(truth(&f).edits > 0);
	assert_true(truth(&f).edits_in_copy >= truth(&f).edits && truth(&f).edits_in_copy <= truth(&f).edits);
	assert_true(json_num(note(&f, "the copy has every write and stands alone"), "at", 0) > 0);
	assert_int_equal(fake_undo(&f, HOUR), STEP_FAIL);
	assert_says(f.e.msg, "no longer follows");
	fake_close(&f);
}

/* It knows no follower any more: whether it had everything cannot be known. */
static void detach_of_a_copy_that_does_not_follow_is_refused(void **state)
{
	char endpoint[128];
	struct fake f;

	(void)state;
	make_copy(&f, NULL, endpoint);
	sim_lock(f.w.sim, "frozen");
	to_detach(&f, endpoint);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	to_detach(&f, endpoint);
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_says(f.e.msg, "does not follow any database");
	fake_close(&f);
}

static void detach_gives_up_on_a_stuck_copy(void **state)
{
	char endpoint[128];
	struct fake f;

	(void)state;
	make_copy(&f, "lag", endpoint);
	sim_lock(f.w.sim, "frozen");
	to_detach(&f, endpoint);
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "not within 2 min");
	assert_int_equal(fake_undo(&f, HOUR), STEP_DONE); /* it follows still: nothing to say */
	fake_close(&f);
}

static void detach_gives_up_while_somebody_writes(void **state)
{
	char endpoint[128];
	struct fake f;

	(void)state;
	make_copy(&f, NULL, endpoint);
	to_detach(&f, endpoint);
	json_object_set_new(f.params, "quiet", json_integer(5000)); /* there are edits each second */
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_says(f.e.msg, "was written to");
	assert_true(truth(&f).edits_in_copy <= truth(&f).edits);
	fake_close(&f);
}

/* A write between the last look and the cut is in blue's database only. */
static void detach_notices_a_write_that_came_too_late(void **state)
{
	char endpoint[128];
	struct fake f;
	int64_t wake;

	(void)state;
	make_copy(&f, NULL, endpoint);
	sim_lock(f.w.sim, "frozen");
	to_detach(&f, endpoint);
	while (strcmp(json_str(f.memo, "phase", ""), "stopping")) {
		assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
		simworld_wait(&f.w, 1);
	}
	sim_lock(f.w.sim, NULL);
	simworld_wait(&f.w, 30);
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "after the freeze");
	assert_says(f.e.msg, "the copy lacks it");
	fake_close(&f);
}

/* RDS begins a new log and writes its heartbeat every five minutes: a step that
 * looked where the log ends went back for that. */
static void what_rds_writes_by_itself_does_not_count(void **state)
{
	char endpoint[128];
	struct fake f;

	(void)state;
	make_copy(&f, NULL, endpoint);
	sim_lock(f.w.sim, "frozen");
	to_detach(&f, endpoint);
	json_object_set_new(f.params, "quiet", json_integer(600000)); /* longer than two heartbeats are apart */
	json_object_set_new(f.params, "limit", json_integer(900000));
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	simworld_wait(&f.w, 3600);
	assert_int_equal(fake_run(&f, f.step.kind->holds, MINUTE), STEP_DONE);
	fake_close(&f);
}

/* A detached copy in f's world, whose source is asked about from now on. */
static void make_alone(struct fake *f, const char *counts)
{
	char endpoint[128];

	make_copy(f, NULL, endpoint);
	sim_lock(f->w.sim, "frozen");
	to_detach(f, endpoint);
	if (counts)
		json_object_set_new(f->params, "counts", json_loads(counts, 0, NULL));
	assert_int_equal(fake_advance(f, HOUR), STEP_DONE);
	assert_int_equal(fake_run(f, f->step.kind->holds, MINUTE), STEP_DONE);
}

static void a_write_after_the_cut_is_told_with_its_table(void **state)
{
	struct fake f;

	(void)state;
	make_alone(&f, NULL);
	simworld_wait(&f.w, 900); /* other files of the log since */
	for (int i = 0; i < 3; i++)
		sim_write(f.w.sim, "wiki.watchlist");
	sim_write(f.w.sim, "wiki.page");
	simworld_wait(&f.w, 900);
	assert_int_equal(fake_run(&f, f.step.kind->holds, MINUTE), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "the copy lacks it: 4 writes (wiki.watchlist 3, wiki.page 1) since 20");
	fake_close(&f);
}

static void a_write_of_another_wiki_does_not_count(void **state)
{
	struct fake f;

	(void)state;
	make_alone(&f, "[\"wiki\",\"shared.user\"]");
	sim_write(f.w.sim, "stores.objectcache");
	sim_write(f.w.sim, "use `shared2`; DELETE FROM user");
	assert_int_equal(fake_run(&f, f.step.kind->holds, MINUTE), STEP_DONE);
	sim_write(f.w.sim, "shared.user");
	assert_int_equal(fake_run(&f, f.step.kind->holds, MINUTE), STEP_FAIL);
	assert_says(f.e.msg, "(shared.user 1)");
	fake_close(&f);
}

static void a_log_that_is_gone_is_no_proof(void **state)
{
	struct fake f;

	(void)state;
	make_alone(&f, NULL);
	sim_purge(f.w.sim);
	assert_int_equal(fake_run(&f, f.step.kind->holds, MINUTE), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "cannot be known");
	assert_says(f.e.msg, "is gone");
	fake_close(&f);
}

/* RDS removes its older files: what was read is remembered, and only the newest is needed. */
static void older_files_of_the_log_may_go(void **state)
{
	struct fake f;

	(void)state;
	make_alone(&f, NULL);
	for (int i = 0; i < 4; i++) {
		simworld_wait(&f.w, 400);
		assert_int_equal(fake_run(&f, f.step.kind->holds, MINUTE), STEP_DONE);
		sim_write(f.w.sim, "mysql.user");
		assert_true(f.intents < 12); /* a line for each file, not for each look */
	}
	fake_close(&f);
}

/* Where the copy is no cut one there is nothing to ask. */
static void a_copy_that_follows_stands_for_nothing(void **state)
{
	struct fake f;
	int64_t wake;
	uint64_t asked;

	(void)state;
	open_in(&f, "database", COPY, NULL, false);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	asked = sim_requests(f.w.sim);
	assert_int_equal(fake_call(&f, f.step.kind->holds, &wake), STEP_DONE);
	assert_int_equal(sim_requests(f.w.sim), asked);
	fake_close(&f);
}

static void clone_notices_a_write_that_came_later(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "database", CLONE, NULL, false);
	sim_lock(f.w.sim, "frozen");
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(fake_run(&f, f.step.kind->holds, MINUTE), STEP_DONE);
	sim_write(f.w.sim, "wiki.page");
	assert_int_equal(fake_run(&f, f.step.kind->holds, MINUTE), STEP_FAIL);
	assert_says(f.e.msg, "(wiki.page 1)");
	fake_close(&f);
}

static void clone_holds_what_the_source_held(void **state)
{
	struct fake f;

	(void)state;
	open_in(&f, "database", CLONE, NULL, false);
	simworld_wait(&f.w, 60);
	sim_lock(f.w.sim, "frozen");
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_int_equal(truth(&f).copies, 1);
	assert_true(truth(&f).edits > 0 && truth(&f).edits_in_copy >= truth(&f).edits);
	assert_true(*json_str(f.out, "Endpoint", ""));
	fake_close(&f);
}

static void clone_is_made_once_whatever_is_lost(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 14; n++) {
		struct fake f;

		open_in(&f, "database", CLONE, NULL, false);
		sim_lock(f.w.sim, "frozen");
		sim_mishap_at(f.w.sim, n, SIM_REPLY_LOST);
		assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
		assert_int_equal(truth(&f).copies, 1);
		fake_close(&f);
	}
}

/* --- schema ------------------------------------------------------------------------------------------ */

#define GATE(more) "{\"blue\":\"tests/unit/schema-blue.json\",\"green\":\"tests/unit/schema-green.json\"," \
		   "\"host\":\"no-such-host.invalid\",\"name\":\"wiki\"," more "}"

static void open_gate(struct fake *f, const char *params, const char *fault)
{
	open_in(f, "schema", params, fault, true);
	f->plan.file = NULL;
}

static void schema_says_yes_to_what_the_plan_claims(void **state)
{
	struct fake f;

	(void)state;
	open_gate(&f, GATE("\"kind\":\"freeze\""), NULL);
	assert_int_equal(fake_advance(&f, HOUR), STEP_DONE);
	assert_string_equal(json_str(f.out, "Kind", ""), "freeze");
	assert_string_equal(json_str(note(&f, "the schema gate says yes"), "kind", ""), "freeze");
	assert_true(*json_str(note(&f, "the schema gate says yes"), "horizon", ""));
	assert_int_equal(f.intents, 0); /* it touches nothing */
	fake_close(&f);
}

static void schema_refuses_another_kind_than_it_is(void **state)
{
	struct fake f;

	(void)state;
	open_gate(&f, GATE("\"kind\":\"shared\""), NULL);
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "the plan says \"shared\", and it is \"freeze\"");
	assert_true(fake_noted(&f, "the schema gate says no"));
	fake_close(&f);
}

static void schema_refuses_tables_that_green_cannot_use(void **state)
{
	struct fake f;

	(void)state;
	open_gate(&f, GATE("\"kind\":\"freeze\",\"fits\":\"green\""), NULL);
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "green 1.43.11 does not work on database no-such-host.invalid:3306");
	fake_close(&f);
}

static void schema_without_its_manifest_is_refused(void **state)
{
	struct fake f;

	(void)state;
	open_gate(&f, GATE("\"kind\":\"freeze\""), NULL);
	json_object_set_new(f.params, "green", json_string("tests/unit/no-such-manifest.json"));
	assert_int_equal(fake_advance(&f, HOUR), STEP_FAIL);
	assert_false(err_retryable(&f.e));
	assert_says(f.e.msg, "green's manifest");
	assert_says(f.e.msg, "no-such-manifest.json");
	fake_close(&f);
}

/* A simulated run asks no database, and a real one does not ask the simulation. */
static void schema_asks_the_right_world(void **state)
{
	struct fake f;
	int64_t wake;

	(void)state;
	open_gate(&f, GATE("\"kind\":\"freeze\""), NULL);
	f.simulated = false;
	json_object_set_new(f.params, "host", json_string("127.0.0.1"));
	json_object_set_new(f.params, "port", json_string("1"));
	json_object_set_new(f.params, "user", json_string("nobody"));
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_NET);
	assert_says(f.e.msg, "127.0.0.1");
	assert_int_equal((int)sim_requests(f.w.sim), 0);
	fake_close(&f);
}

/* Its questions were asked while the engine waited: no look at the traffic and no
 * rollback for as long as a large table took, and after 30 s a lost lease. */
static void a_slow_database_does_not_hold_the_engine(void **state)
{
	struct fakedb db = { .trick = FAKEDB_HANGS };
	int64_t begun, wake;
	char port[16];
	struct fake f;

	(void)state;
	fakedb_start(&db);
	snprintf(port, sizeof port, "%d", db.port);
	open_gate(&f, GATE("\"kind\":\"freeze\",\"user\":\"cutover\""), NULL);
	f.simulated = false;
	json_object_set_new(f.params, "host", json_string("127.0.0.1"));
	json_object_set_new(f.params, "port", json_string(port));
	begun = clock_mono(&clock_real);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	assert_true(clock_mono(&clock_real) - begun < 5000);
	assert_says(f.saying, "reading what the database has");
	assert_int_equal(db.logins, 1); /* three looks at one question */
	f.attempt++; /* the next attempt asks anew, and leaves this */
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	assert_int_equal(db.logins, 2);
	assert_int_equal(db.ended, 1);
	f.attempt++;
	f.simulated = true;
	assert_int_equal(fake_advance(&f, MINUTE), STEP_DONE);
	fakedb_stop(&db); /* sees that no connection is left */
	fake_close(&f);
}

/* A database that sends its TLS handshake, or the answer to a login, a letter at a
 * time held the engine's own thread: 299 s without watching, and no order obeyed. */
static void a_database_that_trickles_does_not_hold_the_engine(void **state)
{
	static const enum fakedb_trick tricks[] = { FAKEDB_DRIPS_HELLO, FAKEDB_DRIPS_LOGIN };

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(tricks); i++) {
		struct fakedb db = { .trick = tricks[i / 2], .tls = FAKEDB_TLS };
		enum step_verdict v = STEP_WAIT;
		int64_t begun, longest = 0, wake;
		char port[16];
		struct fake f;

		fakedb_start(&db);
		snprintf(port, sizeof port, "%d", db.port);
		if (i % 2)
			open_gate(&f, GATE("\"kind\":\"freeze\",\"user\":\"cutover\",\"statement_limit\":2000"), NULL);
		else
			open_in(&f, "database", "{\"how\":\"detach\",\"limit\":120000}", NULL, false);
		f.simulated = false;
		json_object_set_new(f.params, "user", json_string("cutover"));
		json_object_set_new(f.params, "ca", json_string(db.ca));
		for (const char *const *p = (const char *const[]){ "host", "source_host", NULL }; *p; p++)
			json_object_set_new(f.params, *p, json_string("127.0.0.1"));
		for (const char *const *p = (const char *const[]){ "port", "source_port", NULL }; *p; p++)
			json_object_set_new(f.params, *p, json_string(port));
		begun = clock_mono(&clock_real);
		while (v == STEP_WAIT && clock_mono(&clock_real) - begun < 20000) {
			int64_t called = clock_mono(&clock_real);

			v = fake_call(&f, f.step.kind->advance, &wake);
			called = clock_mono(&clock_real) - called;
			longest = called > longest ? called : longest;
		}
		assert_int_equal(v, STEP_FAIL);
		assert_int_equal(f.e.kind, ERR_NET);
		assert_says(f.e.msg, "not logged in within");
		assert_true(longest < 1000); /* 100 ms, and a busy machine */
		assert_true(clock_mono(&clock_real) - begun < 3000 + 5000 + 2000);
		fakedb_stop(&db);
		fake_close(&f);
	}
}

/* It was asked again until the step's own timeout, which is hours. */
static void detach_without_an_answer_goes_back_at_its_limit(void **state)
{
	enum step_verdict v;
	struct fake f;

	(void)state;
	open_in(&f, "database", "{\"how\":\"detach\",\"limit\":120000,\"host\":\"127.0.0.1\",\"port\":\"1\",\"user\":\"cutover\","
		"\"source_host\":\"127.0.0.1\",\"source_port\":\"1\"}", NULL, false);
	f.simulated = false;
	for (int late = 0; late < 2; late++) {
		int64_t wake;

		f.since = clock_wall(sim_clock(f.w.sim)) - late * 120000;
		while ((v = fake_call(&f, f.step.kind->advance, &wake)) == STEP_WAIT)
			;
		assert_int_equal(v, STEP_FAIL);
		assert_int_equal(f.e.kind, late ? ERR_GATE : ERR_NET);
		assert_says(f.e.msg, late ? "not within 2 min: database cutover@127.0.0.1:1" : "nothing listens");
	}
	fake_close(&f);
}

/* The thread is ended before the libraries that it uses are taken down. */
static void a_program_that_ends_meanwhile_ends_well(void **state)
{
	struct fakedb db = { .trick = FAKEDB_HANGS };
	int64_t begun = clock_mono(&clock_real), wake;
	int status = 0;
	pid_t child;

	(void)state;
	fakedb_start(&db);
	child = fork();
	if (!child) {
		char port[16];
		struct fake f;

		snprintf(port, sizeof port, "%d", db.port);
		open_gate(&f, GATE("\"kind\":\"freeze\",\"user\":\"cutover\",\"statement_limit\":3600000"), NULL);
		f.simulated = false;
		json_object_set_new(f.params, "host", json_string("127.0.0.1"));
		json_object_set_new(f.params, "port", json_string(port));
		exit(fake_call(&f, f.step.kind->advance, &wake) == STEP_WAIT ? 7 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_true(clock_mono(&clock_real) - begun < 20000);
	fakedb_stop(&db);
}

/* The tables of schema-green.json, as a server tells them, and 203 rows that 1.43 would not see. */
static const struct fakedb_answer small_wiki[] = {
	{ "SELECT table_name, table_type", "n,t,e,c\nblock,BASE TABLE,InnoDB,binary\npage,BASE TABLE,InnoDB,binary\n"
					   "revision,BASE TABLE,InnoDB,binary\n" },
	{ "SELECT table_name, column_name", "t,c,y,n,d,x,s\nblock,bl_id,int unsigned,NO,NULL,auto_increment,NULL\n"
					    "page,page_id,int unsigned,NO,NULL,auto_increment,NULL\n"
					    "page,page_title,varbinary(255),NO,NULL,,NULL\npage,page_latest,int unsigned,NO,NULL,,NULL\n"
					    "revision,rev_id,bigint unsigned,NO,NULL,auto_increment,NULL\n"
					    "revision,rev_page,int unsigned,NO,NULL,,NULL\nrevision,rev_comment_id,bigint unsigned,NO,NULL,,NULL\n" },
	{ "SELECT table_name, index_name", "t,i,n,c,s,y\nblock,PRIMARY,0,bl_id,NULL,BTREE\npage,PRIMARY,0,page_id,NULL,BTREE\n"
					   "revision,PRIMARY,0,rev_id,NULL,BTREE\n" },
	{ "rev_comment_id = 0", "n\n203\n" }, { 0 },
};
#define HEALTH "\"role\",\"lag\",\"transactions\",\"waiting-ddl\",\"connections\",\"binlog\",\"read-rights\"," \
	       "\"auto-increment\",\"primary-keys\",\"engines\",\"charsets\""

/* What a real server is asked in the thread, from its health to its rows; and only the waiver lets them pass. */
static void schema_waives_rows_by_name(void **state)
{
	static const struct { const char *waived; enum step_verdict end; } rows[] = {
		{ HEALTH, STEP_FAIL }, { HEALTH ",\"revisions-without-comment\"", STEP_DONE }, { "\"revisions-without-comment\"", STEP_FAIL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fakedb db = { .answers = small_wiki };
		autofree char *params = NULL;
		enum step_verdict v;
		int64_t wake;
		struct fake f;

		fakedb_start(&db);
		params = xasprintf("{\"blue\":\"tests/unit/schema-green.json\",\"green\":\"tests/unit/schema-green.json\",\"kind\":\"shared\","
				   "\"host\":\"127.0.0.1\",\"port\":\"%d\",\"user\":\"cutover\",\"name\":\"wiki\",\"data\":true,\"patience\":0,"
				   "\"waived\":[%s]}", db.port, rows[i].waived);
		open_gate(&f, params, NULL);
		f.simulated = false;
		do
			v = fake_call(&f, f.step.kind->advance, &wake);
		while (v == STEP_WAIT && f.calls < 300); /* 100 ms each */
		if (v != rows[i].end)
			fail_msg("%s: %s", rows[i].waived, f.e.msg);
		if (i == 0)
			assert_says(f.e.msg, "revisions-without-comment");
		if (v == STEP_DONE)
			assert_string_equal(json_str(f.out, "Kind", ""), "shared");
		fakedb_stop(&db);
		fake_close(&f);
	}
}

static void schema_port_must_be_one(void **state)
{
	static const char *const odd[] = { "", "x", "0", "65536", "3306 " };

	(void)state;
	for (size_t i = 0; i < COUNT(odd); i++) {
		struct fake f;

		open_gate(&f, GATE("\"kind\":\"freeze\""), NULL);
		json_object_set_new(f.params, "port", json_string(odd[i]));
		assert_int_equal(fake_advance(&f, MINUTE), STEP_FAIL);
		assert_int_equal(f.e.kind, ERR_INPUT);
		assert_says(f.e.msg, "is no port");
		fake_close(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(task_runs_to_its_end),
		cmocka_unit_test(task_whose_start_was_never_answered_is_found_again),
		cmocka_unit_test(task_that_is_killed_runs_again),
		cmocka_unit_test(task_without_another_run_fails),
		cmocka_unit_test(task_that_a_schema_step_judges_is_done_however_it_ends),
		cmocka_unit_test(task_is_stopped_at_its_limit),
		cmocka_unit_test(task_is_stopped_on_the_way_back),
		cmocka_unit_test(task_that_may_still_appear_is_waited_for),
		cmocka_unit_test(freeze_is_proved_by_the_wiki),
		cmocka_unit_test(many_addresses_do_not_hold_the_engine),
		cmocka_unit_test(freeze_waits_for_the_last_address),
		cmocka_unit_test(freeze_of_somebody_else_is_left_alone),
		cmocka_unit_test(freeze_that_holds_already_is_done),
		cmocka_unit_test(freeze_is_not_overtaken_by_its_own_task),
		cmocka_unit_test(freeze_lock_that_somebody_replaced_is_not_removed),
		cmocka_unit_test(freeze_believes_no_answer_that_says_nothing),
		cmocka_unit_test(thaw_waits_for_all_traffic),
		cmocka_unit_test(thaw_waits_until_nobody_asks_blue),
		cmocka_unit_test(thaw_does_not_open_on_bad_evidence),
		cmocka_unit_test(thaw_of_a_wiki_that_takes_edits_closes_the_door),
		cmocka_unit_test(copy_is_made_once_and_left),
		cmocka_unit_test(copy_whose_request_was_lost_is_made_once),
		cmocka_unit_test(copy_never_made_needs_no_word),
		cmocka_unit_test(detach_waits_until_the_copy_has_every_write),
		cmocka_unit_test(detach_of_a_copy_that_does_not_follow_is_refused),
		cmocka_unit_test(detach_gives_up_on_a_stuck_copy),
		cmocka_unit_test(detach_gives_up_while_somebody_writes),
		cmocka_unit_test(detach_notices_a_write_that_came_too_late),
		cmocka_unit_test(what_rds_writes_by_itself_does_not_count),
		cmocka_unit_test(a_write_after_the_cut_is_told_with_its_table),
		cmocka_unit_test(a_write_of_another_wiki_does_not_count),
		cmocka_unit_test(a_log_that_is_gone_is_no_proof),
		cmocka_unit_test(older_files_of_the_log_may_go),
		cmocka_unit_test(a_copy_that_follows_stands_for_nothing),
		cmocka_unit_test(clone_notices_a_write_that_came_later),
		cmocka_unit_test(clone_holds_what_the_source_held),
		cmocka_unit_test(clone_is_made_once_whatever_is_lost),
		cmocka_unit_test(schema_says_yes_to_what_the_plan_claims),
		cmocka_unit_test(schema_refuses_another_kind_than_it_is),
		cmocka_unit_test(schema_refuses_tables_that_green_cannot_use),
		cmocka_unit_test(schema_without_its_manifest_is_refused),
		cmocka_unit_test(schema_asks_the_right_world),
		cmocka_unit_test(a_slow_database_does_not_hold_the_engine),
		cmocka_unit_test(a_database_that_trickles_does_not_hold_the_engine),
		cmocka_unit_test(detach_without_an_answer_goes_back_at_its_limit),
		cmocka_unit_test(a_program_that_ends_meanwhile_ends_well),
		cmocka_unit_test(schema_waives_rows_by_name),
		cmocka_unit_test(schema_port_must_be_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

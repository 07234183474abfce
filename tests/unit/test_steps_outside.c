/* Steps that ask the wiki, a program, a URL or a person. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fakestep.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MINUTE 60000

/* --- a wiki of our own making ------------------------------------------------------------ */

struct wiki {
	const char *generator, *page, *rest, *api_error;
	int status;          /* of every answer once `bad` are given */
	int bad, bad_status; /* so many answers of that status first; 0: no connection */
	int64_t took[64];
	size_t asked;
	char last[300], via[80], ask_key[120], body[2048];
	bool once;
	bool left; /* given up by the engine */
};

static void fill(struct http_res *a, int status, const char *head, const char *body, int64_t took)
{
	*a = (struct http_res){ .status = status, .head = xstrdup(head), .body = xstrdup(body), .nbody = strlen(body),
				.took_ms = took };
}

static const char *page_of(const struct wiki *w, const char *url)
{
	return strstr(url, "/api.php") ? w->generator : strstr(url, "/rest.php/v1/page/") ? w->rest : w->page;
}

static int wiki_send(void *ctx, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct wiki *w = ctx;
	char head[200] = "";

	snprintf(w->last, sizeof w->last, "%s", q->url);
	snprintf(w->via, sizeof w->via, "%s", q->connect_to ? q->connect_to : "");
	snprintf(w->body, sizeof w->body, "%s", q->body ? q->body : "");
	for (size_t i = 0; i < q->nhead; i++)
		if (!strcmp(q->head[i].k, "Idempotency-Key"))
			snprintf(w->ask_key, sizeof w->ask_key, "%s", q->head[i].v);
	w->once = q->once;
	w->asked++;
	if (w->left)
		return http_cancelled(q, e);
	if (w->bad-- > 0) {
		if (!w->bad_status)
			return err_set(e, ERR_NET, "no connection");
		fill(a, w->bad_status, "", "no", 10);
		return 0;
	}
	if (w->api_error && strstr(q->url, "api.php"))
		snprintf(head, sizeof head, "MediaWiki-API-Error: %s\r\n", w->api_error);
	fill(a, w->status ? w->status : 200, head, page_of(w, q->url), w->took[(w->asked - 1) % COUNT(w->took)]);
	return 0;
}

static const struct wiki good_wiki = {
	.generator = "{\"query\":{\"general\":{\"generator\":\"MediaWiki 1.43.11\"}}}",
	.page = "<html class=\"mw-content\">hello", .rest = "{\"id\":1}",
};

static void open_on(struct fake *f, struct wiki *w, const char *kind, const char *params)
{
	fake_open(f, kind, params, NULL);
	f->http = (struct http){ wiki_send, w };
}

#define PROBE "{\"url\":\"https://wiki.example.org/\",\"through\":\"10.0.0.1:8443\",\"version\":\"1.43.11\"," \
	      "\"paths\":[\"/load.php\"],\"patience\":120000}"

static void probe_passes_in_one_call(void **state)
{
	struct wiki w = good_wiki;
	struct fake f;

	(void)state;
	open_on(&f, &w, "probe", PROBE);
	assert_int_equal(fake_advance(&f, 0), STEP_DONE);
	assert_int_equal(w.asked, 3 * 4);
	assert_string_equal(w.via, "10.0.0.1:8443");
	assert_string_equal(w.last, "https://wiki.example.org/load.php");
	assert_int_equal(f.intents, 0);
	assert_true(fake_noted(&f, "green answers as it should"));
	fake_close(&f);
}

static void probe_names_the_fact(void **state)
{
	static const struct { struct wiki w; const char *says; } cases[] = {
		{ { .generator = "{\"query\":{\"general\":{\"generator\":\"MediaWiki 1.39.17\"}}}" }, "1.39.17" },
		{ { .generator = "{\"query\":{\"general\":{\"generator\":\"MediaWiki 1.43.110\"}}}" }, "1.43.110" },
		{ { .generator = "<html>" }, "no generator" },
		{ { .page = "<html>Sorry</html>" }, "does not contain" },
		{ { .rest = "[]" }, "JSON object" },
		{ { .status = 404 }, "404" },
		{ { .status = 301 }, "301" },
		{ { .api_error = "internal_api_error_DBQueryError" }, "DBQueryError" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wiki w = cases[i].w;
		struct fake f;

		w.generator = w.generator ? w.generator : good_wiki.generator;
		w.page = w.page ? w.page : good_wiki.page;
		w.rest = w.rest ? w.rest : good_wiki.rest;
		open_on(&f, &w, "probe", PROBE);
		assert_int_equal(fake_advance(&f, MINUTE), STEP_FAIL);
		assert_int_equal(f.e.kind, ERR_GATE);
		assert_says(f.e.msg, cases[i].says);
		assert_int_equal(f.calls, 1);
		fake_close(&f);
	}
}

static void probe_is_patient_with_what_may_pass(void **state)
{
	static const int trouble[] = { 0, 503, 500 };

	(void)state;
	for (size_t i = 0; i < COUNT(trouble); i++) {
		struct wiki w = good_wiki;
		struct fake f;

		w.bad = 10, w.bad_status = trouble[i];
		open_on(&f, &w, "probe", PROBE);
		assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_DONE);
		assert_int_equal(w.asked, 10 + 3 * 4);
		assert_int_equal(f.intents, 1);
		fake_close(&f);
	}
}

static void probe_loses_patience(void **state)
{
	struct wiki w = good_wiki;
	int64_t began;
	struct fake f;

	(void)state;
	w.status = 502;
	open_on(&f, &w, "probe", PROBE);
	began = f.since;
	assert_int_equal(fake_advance(&f, 60 * MINUTE), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "502");
	assert_in_range(clock_wall(sim_clock(f.w.sim)) - began, 2 * MINUTE, 2 * MINUTE + 10000);
	fake_close(&f);
}

/* What was given up for an order or a signal was taken for green's failure: a run
 * that was to go on later went back instead. */
static void probe_that_was_given_up_is_no_failure(void **state)
{
	struct wiki w = good_wiki;
	struct fake f;
	int64_t wake;

	(void)state;
	w.bad = 1;
	w.bad_status = 502;
	open_on(&f, &w, "probe", PROBE);
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	simworld_wait(&f.w, 300); /* its patience is over */
	w.left = true;
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_FAIL);
	assert_true(err_ends_tick(&f.e));
	w.left = false;
	assert_int_equal(fake_advance(&f, MINUTE), STEP_DONE);
	fake_close(&f);
}

/* Slow answers: the tick is given back, and the rounds go on where they were. */
static void probe_does_not_hold_the_engine(void **state)
{
	struct wiki w = good_wiki;
	struct fake f;
	int64_t wake;

	(void)state;
	for (size_t i = 0; i < COUNT(w.took); i++)
		w.took[i] = 2000;
	open_on(&f, &w, "probe", PROBE);
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	assert_int_equal(w.asked, 2);
	assert_int_equal(fake_advance(&f, MINUTE), STEP_DONE);
	assert_int_equal(w.asked, 3 * 4);
	fake_close(&f);
}

/* A failure in the last round begins all rounds anew. */
static void probe_wants_rounds_in_a_row(void **state)
{
	struct wiki w = good_wiki;
	struct fake f;
	int64_t wake;

	(void)state;
	for (size_t i = 0; i < COUNT(w.took); i++)
		w.took[i] = 1000;
	open_on(&f, &w, "probe", PROBE);
	while (w.asked < 9)
		assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	w.bad = 1, w.bad_status = 500;
	w.asked = 0;
	assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_DONE);
	assert_int_equal(w.asked, 1 + 3 * 4);
	fake_close(&f);
}

static void probe_encodes_titles(void **state)
{
	struct wiki w = good_wiki;
	struct fake f;
	int64_t wake;

	(void)state;
	open_on(&f, &w, "probe", "{\"url\":\"http://w\",\"page\":\"Über/uns & mehr\",\"scripts\":\"/w\",\"times\":1}");
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_DONE);
	assert_string_equal(w.last, "http://w/w/rest.php/v1/page/%C3%9Cber%2Funs%20%26%20mehr");
	fake_close(&f);
}

/* --- warm --------------------------------------------------------------------------------- */

#define WARM "{\"url\":\"https://wiki.example.org\",\"paths\":[\"/a\",\"/b\",\"/c\"],\"rounds\":6}"

static void warm_stops_when_nothing_is_gained(void **state)
{
	static const int64_t took[] = { 900, 800, 700, 400, 300, 350, 340, 100, 350 };
	struct wiki w = good_wiki;
	struct fake f;

	(void)state;
	memcpy(w.took, took, sizeof took);
	open_on(&f, &w, "warm", WARM);
	assert_int_equal(fake_advance(&f, MINUTE), STEP_DONE);
	assert_int_equal(w.asked, 9); /* medians 800, 350, 340 */
	assert_true(fake_noted(&f, "warm"));
	fake_close(&f);
}

static void warm_ends_after_its_rounds(void **state)
{
	struct wiki w = good_wiki;
	struct fake f;

	(void)state;
	for (size_t i = 0; i < COUNT(w.took); i++)
		w.took[i] = 4000 >> (i / 3);
	open_on(&f, &w, "warm", WARM);
	assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_DONE);
	assert_int_equal(w.asked, 6 * 3);
	assert_true(fake_noted(&f, "still getting faster when the rounds were over"));
	fake_close(&f);
}

static void warm_fails_on_server_errors_only(void **state)
{
	struct wiki w = good_wiki;
	struct fake f;

	(void)state;
	w.status = 404;
	open_on(&f, &w, "warm", WARM);
	assert_int_equal(fake_advance(&f, MINUTE), STEP_DONE);
	fake_close(&f);
	w = good_wiki;
	w.status = 503;
	open_on(&f, &w, "warm", WARM);
	assert_int_equal(fake_advance(&f, MINUTE), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "/a answered 503");
	fake_close(&f);
}

/* --- hook ----------------------------------------------------------------------------------- */

static char script[64];

static void write_script(const char *text)
{
	FILE *f;
	int fd;

	snprintf(script, sizeof script, "/tmp/cutover-hook-XXXXXX");
	fd = mkstemp(script);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	fprintf(f, "#!/bin/sh\n%s\n", text);
	fclose(f);
	chmod(script, 0700);
}

static void open_hook(struct fake *f, const char *text, const char *more)
{
	autofree char *params = NULL;

	write_script(text);
	params = xasprintf("{\"program\":[\"%s\",\"one arg\"],\"data\":{\"the-ticket\":\"T 42; rm\"}%s}", script, more);
	fake_open(f, "hook", params, NULL);
	unsetenv("CUTOVER_DATA_X");
	setenv("HOOK_MUST_NOT_SEE", "secret", 1);
}

static void close_hook(struct fake *f)
{
	unlink(script);
	fake_close(f);
}

static void hook_passes_with_what_it_needs(void **state)
{
	struct fake f;

	(void)state;
	open_hook(&f, "echo \"$1|$CUTOVER_RUN|$CUTOVER_STEP|$CUTOVER_ATTEMPT|$CUTOVER_PHASE|$CUTOVER_DATA_THE_TICKET|$HOOK_MUST_NOT_SEE$AWS_SECRET_ACCESS_KEY|\"; cat", "");
	assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_DONE);
	assert_true(fake_noted(&f, "hook passed"));
	assert_says(json_str(json_array_get(f.notes, 0), "output", ""), "one arg|run|it|1|advance|T 42; rm||\n{");
	assert_says(json_str(json_array_get(f.notes, 0), "output", ""), "\"green_permille\":0");
	assert_int_equal(f.intents, 1);
	close_hook(&f);
}

static void hook_vetoes_whatever_on_fail_says(void **state)
{
	struct fake f;

	(void)state;
	open_hook(&f, "echo not today; exit 10", ",\"on_fail\":\"continue\"");
	assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "vetoed");
	assert_says(f.e.msg, "not today");
	close_hook(&f);
}

static void hook_fails_as_the_plan_says(void **state)
{
	struct fake f;

	(void)state;
	open_hook(&f, "exit 3", "");
	assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_FAIL);
	assert_says(f.e.msg, "ended with 3");
	close_hook(&f);
	open_hook(&f, "exit 3", ",\"on_fail\":\"continue\"");
	assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_DONE);
	assert_true(fake_noted(&f, "hook failed"));
	close_hook(&f);
}

static void hook_that_does_not_exist_fails(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "hook", "{\"program\":[\"/nonexistent/hook\"]}", NULL);
	assert_int_equal(fake_advance(&f, MINUTE), STEP_FAIL);
	assert_int_equal(f.e.kind, ERR_GATE);
	assert_says(f.e.msg, "/nonexistent/hook");
	fake_close(&f);
}

/* The program is real, so its limit is counted in real time. */
static void hook_has_a_limit_and_does_not_block(void **state)
{
	int64_t began = clock_mono(&clock_real), wake, first;
	struct fake f;

	(void)state;
	open_hook(&f, "sleep 60", ",\"limit\":1000");
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	first = clock_mono(&clock_real) - began;
	assert_true(first < 500);
	assert_int_equal(fake_advance(&f, 3600 * 1000), STEP_FAIL);
	assert_says(f.e.msg, "was not done within 1 s");
	assert_true(clock_mono(&clock_real) - began < 10000);
	close_hook(&f);
}

static void hook_output_is_capped(void **state)
{
	struct fake f;

	(void)state;
	open_hook(&f, "head -c 100000 /dev/zero | tr '\\0' 'x'", "");
	assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_DONE);
	assert_int_equal(strlen(json_str(json_array_get(f.notes, 0), "output", "")), 16384);
	assert_true(json_yes(json_array_get(f.notes, 0), "capped"));
	close_hook(&f);
}

static void hook_is_ended_by_the_way_back(void **state)
{
	char file[80];
	struct fake f;
	int64_t wake;

	(void)state;
	open_hook(&f, "sleep 1; touch \"$0.ran\"", "");
	assert_int_equal(fake_call(&f, f.step.kind->advance, &wake), STEP_WAIT);
	assert_int_equal(fake_undo(&f, MINUTE), STEP_DONE);
	usleep(1500000);
	snprintf(file, sizeof file, "%s.ran", script);
	assert_int_not_equal(access(file, F_OK), 0);
	close_hook(&f);
}

static void hook_is_asked_on_the_way_back_if_wanted(void **state)
{
	struct fake f;

	(void)state;
	open_hook(&f, "echo $CUTOVER_PHASE", ",\"undo\":true");
	assert_int_equal(fake_undo(&f, MINUTE), STEP_DONE);
	assert_int_equal(json_array_size(f.notes), 0); /* it never began */
	assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_DONE);
	assert_int_equal(fake_undo(&f, 10 * MINUTE), STEP_DONE);
	assert_string_equal(json_str(json_array_get(f.notes, 1), "output", ""), "undo\n");
	close_hook(&f);
}

static void hook_is_not_run_in_a_rehearsal(void **state)
{
	struct fake f;
	char file[80];

	(void)state;
	open_hook(&f, "touch \"$0.ran\"", "");
	f.simulated = true;
	assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_DONE);
	snprintf(file, sizeof file, "%s.ran", script);
	assert_int_not_equal(access(file, F_OK), 0);
	close_hook(&f);
}

#define URL_HOOK "{\"url\":\"https://hook.example.org/x\",\"limit\":30000}"

static void hook_by_url(void **state)
{
	static const struct { int status; enum step_verdict want; const char *says; } cases[] = {
		{ 200, STEP_DONE, "" }, { 204, STEP_DONE, "" }, { 409, STEP_FAIL, "vetoed" },
		{ 500, STEP_FAIL, "answered 500" }, { 302, STEP_FAIL, "answered 302" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wiki w = good_wiki;
		struct fake f;

		w.status = cases[i].status;
		open_on(&f, &w, "hook", URL_HOOK);
		assert_int_equal(fake_advance(&f, MINUTE), cases[i].want);
		assert_says(f.e.msg, cases[i].says);
		assert_string_equal(w.ask_key, "run-it-1-advance");
		assert_true(w.once);
		assert_says(w.body, "\"step\":\"it\"");
		fake_close(&f);
	}
}

static void hook_by_url_is_asked_again_within_its_limit(void **state)
{
	struct wiki w = good_wiki;
	struct fake f;

	(void)state;
	w.bad = 3;
	open_on(&f, &w, "hook", URL_HOOK);
	assert_int_equal(fake_advance(&f, MINUTE), STEP_DONE);
	fake_close(&f);
	w = good_wiki;
	w.bad = 1000;
	open_on(&f, &w, "hook", URL_HOOK);
	assert_int_equal(fake_advance(&f, 10 * MINUTE), STEP_FAIL);
	assert_says(f.e.msg, "no connection");
	assert_in_range(w.asked, 9, 13);
	fake_close(&f);
}

/* --- approve --------------------------------------------------------------------------------- */

static void approve_waits_for_a_person(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, "approve", "{\"ask\":\"go?\",\"deadline\":3600000}", NULL);
	assert_int_equal(fake_advance(&f, 30 * MINUTE), STEP_WAIT);
	assert_says(f.saying, "go?");
	assert_string_equal(f.question, "go?");
	f.answered = true;
	assert_int_equal(fake_advance(&f, MINUTE), STEP_DONE);
	assert_string_equal(json_str(json_array_get(f.notes, 0), "by", ""), "anna");
	fake_close(&f);
}

static void approve_silence(void **state)
{
	static const struct { const char *def; enum verdict_kind kind; int permille; enum step_verdict want; } cases[] = {
		{ "rollback", VERDICT_GOOD, 0, STEP_FAIL }, { "promote", VERDICT_GOOD, 250, STEP_DONE },
		{ "promote", VERDICT_HOLD, 250, STEP_FAIL }, { "promote", VERDICT_HOLD, 0, STEP_DONE },
		{ "promote", VERDICT_BLIND, 1, STEP_FAIL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		autofree char *params = xasprintf("{\"ask\":\"go?\",\"deadline\":600000,\"default\":\"%s\"}", cases[i].def);
		struct fake f;

		fake_open(&f, "approve", params, NULL);
		f.verdict.kind = cases[i].kind;
		f.permille = cases[i].permille;
		assert_int_equal(fake_advance(&f, 11 * MINUTE), cases[i].want);
		assert_int_equal(clock_wall(sim_clock(f.w.sim)) - f.since, 10 * MINUTE);
		fake_close(&f);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(probe_passes_in_one_call), cmocka_unit_test(probe_names_the_fact),
		cmocka_unit_test(probe_is_patient_with_what_may_pass), cmocka_unit_test(probe_loses_patience),
		cmocka_unit_test(probe_that_was_given_up_is_no_failure),
		cmocka_unit_test(probe_does_not_hold_the_engine), cmocka_unit_test(probe_wants_rounds_in_a_row),
		cmocka_unit_test(probe_encodes_titles), cmocka_unit_test(warm_stops_when_nothing_is_gained),
		cmocka_unit_test(warm_ends_after_its_rounds), cmocka_unit_test(warm_fails_on_server_errors_only),
		cmocka_unit_test(hook_passes_with_what_it_needs), cmocka_unit_test(hook_vetoes_whatever_on_fail_says),
		cmocka_unit_test(hook_fails_as_the_plan_says), cmocka_unit_test(hook_that_does_not_exist_fails),
		cmocka_unit_test(hook_has_a_limit_and_does_not_block), cmocka_unit_test(hook_output_is_capped),
		cmocka_unit_test(hook_is_ended_by_the_way_back), cmocka_unit_test(hook_is_asked_on_the_way_back_if_wanted),
		cmocka_unit_test(hook_is_not_run_in_a_rehearsal), cmocka_unit_test(hook_by_url),
		cmocka_unit_test(hook_by_url_is_asked_again_within_its_limit), cmocka_unit_test(approve_waits_for_a_person),
		cmocka_unit_test(approve_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The sequential judge of whole runs: what it is told, what the journal keeps of
 * it, and what it decides. Its verdicts are made again here from the journal alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "judge/sequential.h"
#include "life.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LADDER ",{\"id\":\"to-5\",\"do\":\"shift\",\"weight\":\"5%\",\"bake\":\"PT3M\"}" SHIFT \
	",{\"id\":\"to-50\",\"do\":\"shift\",\"weight\":\"50%\",\"bake\":\"PT3M\"}" PROMOTE
#define AUTO ",{\"id\":\"shift\",\"do\":\"shift\",\"stages\":\"auto\",\"deadline\":\"PT4H\"}" PROMOTE
#define JUDGED ",\"judge\":{\"harm\":200}"
#define API ",\"metrics\":[{\"name\":\"API errors\",\"namespace\":\"Wiki\",\"metric\":\"ApiErrors\",\"blue\":{\"Colour\":\"blue\"},\"green\":{\"Colour\":\"green\"}}]"

#define DOORS "\"url\":\"https://wiki.example.org\",\"every\":\"PT15S\",\"scripts\":\"/w\"," \
	"\"blue\":{\"headers\":{\"X-MW-Color\":\"blue\"}},\"green\":{\"headers\":{\"X-MW-Color\":\"green\"}}"
#define PROBES ",\"probes\":{\"paths\":[\"/wiki/Main_Page\"],\"search\":\"main page\",\"sandbox\":\"Project:Sandbox/cutover\"," DOORS "}"
#define QUIET ",{\"id\":\"retire\",\"do\":\"retire\",\"soak\":\"PT10M\",\"quiet_periods\":2,\"timeout\":\"PT3H\"}"
#define NO_PROBES ",\"probes\":{\"url\":\"https://wiki.example.org\",\"paths\":[\"/\"],\"blue\":{},\"green\":{\"through\":\"${green.NoSuchOutput}:1\"}}"
#define ODD_PROBES ",\"probes\":{\"paths\":[\"/nowhere\"]," DOORS "}"

static const struct sim_opts busy = { .seed = 11, .requests_per_s = 100 };

/* --- the journal, judged again --------------------------------------------------------- */

struct again {
	struct judge_history past;
	struct judge judge;
	struct judge_answer answer;
	const struct plan *plan;
	int64_t origin;
	bool slow;
	int looks, pasts, wrong, slower;
};

static double at(const json_t *list, size_t i)
{
	const json_t *v = json_array_get(list, i);

	return json_is_number(v) ? json_number_value(v) : -1;
}

static void take_past(struct again *x, const json_t *b)
{
	static const char *const keys[] = { "requests", "errors", "slow", "half_requests", "half_errors", "half_slow" };
	double *const to[] = { x->past.requests, x->past.count[0], x->past.count[1], x->past.half_requests,
			       x->past.half_count[0], x->past.half_count[1] };

	for (size_t k = 0; k < COUNT(keys); k++)
		for (size_t i = 0; i < JUDGE_HISTORY; i++)
			to[k][i] = at(json_object_get(b, keys[k]), i);
	x->slow = json_yes(b, "counts_slow");
	x->pasts++;
}

static void take_look(struct again *x, const json_t *b, const json_t *look)
{
	unsigned others = ((1U << json_array_size(x->plan->watch.metrics)) - 1) << 2 | (x->plan->watch.probes ? 1U << JUDGE_PROBES : 0);
	const json_t *probes = json_object_get(look, "probes");
	struct judge_stages stages;
	size_t i;
	json_t *p;

	if (x->origin != json_num(look, "origin", 0)) {
		plan_stages(x->plan, &stages);
		judge_start(&x->judge, &x->plan->watch.tuning, &stages, &x->past,
			    1 | others | (x->slow ? 1U << JUDGE_SLOW : 1U << JUDGE_LATENCY));
		x->origin = json_num(look, "origin", 0);
	}
	json_array_foreach(json_object_get(look, "seen"), i, p) {
		struct judge_point point = { .period = (int)at(p, 1), .requests = at(p, 2), .latency = at(p, 3) };

		for (size_t m = 0; m < JUDGE_METRICS; m++)
			point.count[m] = at(p, 4 + m);
		point.slower = at(p, 4 + JUDGE_METRICS);
		x->slower += point.slower > 0;
		judge_see(&x->judge, at(p, 0) > 0 ? JUDGE_GREEN : JUDGE_BLUE, (int)json_num(look, "now", 0), &point);
	}
	if (probes)
		judge_probed(&x->judge, &(struct judge_probes){ { at(probes, 2), at(probes, 0) }, { at(probes, 3), at(probes, 1) } });
	judge_poll(&x->judge, (int)json_num(look, "now", 0), (int)json_num(look, "stage", 0), json_dbl(look, "weight", 0), &x->answer);
	x->looks++;
	x->wrong += fabs(x->answer.log_e - json_dbl(json_object_get(b, "evidence"), "log_e", -1)) > 1e-9;
	x->wrong += x->answer.kind == VERDICT_BAD && strcmp(json_str(b, "verdict", ""), "BAD");
}

static int judge_again(void *ctx, const struct event *ev)
{
	autojson json_t *b = json_loads(ev->body, 0, NULL);
	struct again *x = ctx;

	if (!strcmp(ev->kind, "history"))
		take_past(x, b);
	else if (!strcmp(ev->kind, "verdict") && json_object_get(b, "look"))
		take_look(x, b, json_object_get(b, "look"));
	return 0;
}

/* Invariant 10: replaying the journal gives the same decisions. Returns how many of its points had answers that took
 * twice the limit. */
static int assert_same_again(struct rig *r, int looks)
{
	autofree struct again *x = xcalloc(1, sizeof *x);
	struct err e = { 0 };

	x->plan = rig_run(r)->plan;
	assert_int_equal(store_read(r->store, r->id, 0, judge_again, x, &e), 0);
	assert_int_equal(x->pasts, 1);
	assert_int_equal(x->wrong, 0);
	assert_true(x->looks >= looks);
	return x->slower;
}

/* --- tests -------------------------------------------------------------------------------- */

static void a_healthy_green_is_promoted_and_told_about(void **state)
{
	struct rig *r = life_with(NULL, JUDGED, LOOK LADDER, &busy);
	autojson json_t *h = NULL;

	(void)state;
	life_to(r, RUN_PROMOTED);
	assert_same_again(r, 15);
	h = line(r, "history", 1);
	assert_int_equal(json_num(h, "periods", 0), JUDGE_HISTORY);
	assert_string_equal(json_str(h, "zone", ""), "eu-central-1a");
	life_over(r);
}

static void green_at_two_per_cent(struct rig *r)
{
	if (truth(r).live_green >= 50)
		sim_green_errors(r->sim, 0.02);
}

static void green_late_at_two_per_cent(struct rig *r)
{
	if (truth(r).live_green >= 250)
		sim_green_errors(r->sim, 0.02);
}

/* A process after the other dies, each at a later moment; the next may live. */
static void die_often(struct rig *r, uint64_t from, uint64_t to, uint64_t every)
{
	for (uint64_t n = from; n < to; n += every) {
		r->dead = 0;
		r->how = RIG_AFTER;
		r->die_at = n;
		if (rig_process(r) != 1)
			break;
	}
	r->dead = 0;
	r->how = RIG_LIVE;
}

/* No guarded rule minds 2 %; and each process that dies leaves the next one as wise as it was. */
static void two_per_cent_are_found_by_whoever_drives(void **state)
{
	struct rig *r = life_with(NULL, JUDGED, LOOK LADDER, &busy);

	(void)state;
	r->see = green_late_at_two_per_cent;
	die_often(r, 90, 170, 7);
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "worse: green is worse than blue, by its errors (green fails");
	assert_true(r->processes > 8);
	assert_same_again(r, 5);
	life_over(r);
}

static int slow_green_is_found(const char *watch, const char *why)
{
	const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .fault = "slow" };
	struct rig *r = life_with(NULL, watch, LOOK LADDER, &world);
	int slower;

	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, why);
	slower = assert_same_again(r, 5);
	life_over(r);
	return slower;
}

static void slow_answers_are_counted_or_compared(void **state)
{
	(void)state;
	assert_true(slow_green_is_found(JUDGED ",\"latency\":{\"above\":\"PT0.5S\"}", "by its slow answers (green ") > 0);
	assert_int_equal(slow_green_is_found(JUDGED ",\"latency\":{\"stat\":\"p95\"}", "by its response times (green "), 0);
}

static void errors_that_are_http_200_are_found(void **state)
{
	const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .fault = "api-errors" };
	struct rig *r = life_with(NULL, JUDGED API, LOOK LADDER, &world);

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "by its API errors (green ");
	assert_same_again(r, 5);
	life_over(r);
	r = life_with(NULL, JUDGED, LOOK LADDER, &world); /* nobody looks: nobody sees */
	life_to(r, RUN_PROMOTED);
	life_over(r);
}

/* --- probes --- */

static struct {
	int asked[2], edits[2], locked;
} probed;

static void count_probes(struct rig *r, const struct http_req *q)
{
	for (size_t i = 0; i < q->nhead; i++) {
		bool color = !strcmp(q->head[i].k, "X-MW-Color"), green = color && !strcmp(q->head[i].v, "green");

		probed.asked[green] += color;
		probed.edits[green] += color && !strcmp(q->method, "POST");
	}
	(void)r;
}

static struct rig *probe(const char *watch, const char *fault)
{
	const struct sim_opts world = { .seed = 11, .requests_per_s = 100, .fault = fault };
	struct rig *r = life_with(NULL, watch, LOOK LADDER, &world);

	memset(&probed, 0, sizeof probed);
	r->ask = count_probes;
	return r;
}

static void probes_ask_both_colours_alike(void **state)
{
	struct rig *r = probe(JUDGED PROBES, NULL);

	(void)state;
	life_to(r, RUN_PROMOTED);
	assert_true(probed.asked[1] > 100);
	assert_in_range(probed.asked[1] - probed.asked[0] + 8, 0, 16);
	assert_true(probed.edits[0] > 20 && probed.edits[1] > 20);
	assert_same_again(r, 15);
	life_over(r);
}

/* Probes are no readers: blue is retired though they asked it, and too few readers stay too few. */
static void probes_are_not_counted_as_readers(void **state)
{
	const struct sim_opts quiet = { .seed = 11, .requests_per_s = .01 };
	struct rig *r = life_with(NULL, JUDGED PROBES, LOOK LADDER QUIET, &busy);

	(void)state;
	r->ask = count_probes;
	life_to(r, RUN_PROMOTED);
	life_over(r);
	r = life_with(NULL, JUDGED PROBES, LOOK SHIFT PROMOTE, &quiet);
	memset(&probed, 0, sizeof probed);
	r->ask = count_probes;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(probed.asked[1] > 100);
	for (int i = 1; i <= lines(r, "verdict"); i++) {
		autojson json_t *v = line(r, "verdict", i);

		assert_true(json_dbl(json_object_get(v, "green"), "requests", 0) < 40);
	}
	life_over(r);
}

/* HTTP 200, and too few of all requests for any counter. */
static void edits_that_fail_are_found_by_probes_alone(void **state)
{
	struct rig *r = probe(JUDGED PROBES, "edits");

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "worse than blue, by its probes (green failed");
	assert_why(r, "editing Project:Sandbox/cutover");
	assert_same_again(r, 5);
	life_over(r);
	r = probe(JUDGED, "edits");
	life_to(r, RUN_PROMOTED);
	assert_int_equal(probed.asked[0] + probed.asked[1], 0);
	life_over(r);
}

/* Whoever takes over knows what the probes of the dead one were told. */
static void probes_survive_their_sender(void **state)
{
	struct rig *r = probe(JUDGED PROBES, "edits");

	(void)state;
	die_often(r, 120, 260, 23);
	life_to(r, RUN_ROLLED_BACK);
	assert_true(r->processes > 4);
	assert_same_again(r, 5);
	life_over(r);
}

/* An output that its step did not have: found out when green has traffic already. */
static void probes_that_cannot_be_asked_hold(void **state)
{
	struct rig *r = life_with(NULL, JUDGED NO_PROBES, LOOK STACK LADDER, &busy);

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "most probes of both colours fail");
	assert_why(r, "NoSuchOutput");
	life_over(r);
}

/* What answers neither colour says nothing against green; a person is called, and nothing is promoted. */
static void probes_that_fail_everywhere_hold(void **state)
{
	struct rig *r = probe(JUDGED ODD_PROBES, NULL);
	autojson json_t *call = NULL;

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "most probes of both colours fail");
	call = line(r, "call", 1);
	assert_non_null(strstr(json_str(call, "why", ""), "reading /nowhere: it answered 404"));
	assert_same_again(r, 5);
	life_over(r);
}

static void lock_green(struct rig *r, const struct http_req *q, struct http_res *a)
{
	(void)r;
	if (strcmp(q->method, "POST") || !q->body || !strstr(q->body, "action=edit"))
		return;
	probed.locked++;
	free(a->head);
	a->head = xstrdup("MediaWiki-API-Error: readonly\r\n");
}

static void a_locked_wiki_has_not_failed(void **state)
{
	struct rig *r = probe(JUDGED PROBES, NULL);

	(void)state;
	r->heard = lock_green;
	life_to(r, RUN_PROMOTED);
	assert_true(probed.locked > 40);
	life_over(r);
}

/* "always": a metric without datapoints is not zero errors. */
static void a_metric_that_nobody_publishes_is_blind(void **state)
{
	struct rig *r = life_with(NULL, JUDGED ",\"metrics\":[{\"name\":\"logins\",\"namespace\":\"Wiki\",\"metric\":\"Renamed\","
				  "\"blue\":{\"Colour\":\"blue\"},\"green\":{\"Colour\":\"green\"},\"always\":true}]", LOOK LADDER, &busy);

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "metric \"logins\" has no datapoint");
	life_over(r);
}

/* The watch's question has four metrics of each colour: green's errors are the sixth. */
static void more_errors_than_requests(struct rig *r, const struct http_req *q, struct http_res *a)
{
	autojson json_t *j = strstr(q->url, "monitoring") && is_call(q, "GetMetricData") ? json_loads(a->body, 0, NULL) : NULL;
	json_t *results = json_object_get(j, "MetricDataResults"), *asked = json_array_get(results, 4), *m = json_array_get(results, 5);

	(void)r;
	if (json_array_size(results) != 8 || !json_array_size(json_object_get(asked, "Timestamps")))
		return;
	json_object_set(m, "Timestamps", json_object_get(asked, "Timestamps"));
	json_object_set_new(m, "Values", json_array());
	for (size_t i = 0; i < json_array_size(json_object_get(asked, "Values")); i++)
		json_array_append_new(json_object_get(m, "Values"), json_integer(1000000));
	my.n++;
	free(a->body);
	a->body = json_flat(j);
	a->nbody = strlen(a->body);
}

/* They cannot both be right, and a million errors of some thousand requests are no catastrophe, but a mistake. */
static void contradicting_metrics_are_blind(void **state)
{
	struct rig *r = life_with(NULL, JUDGED, LOOK LADDER, &busy);

	(void)state;
	r->heard = more_errors_than_requests;
	life_to(r, RUN_ROLLED_BACK);
	assert_true(my.n > 0);
	assert_why(r, "one of the two is wrong");
	life_over(r);
}

/* Invariant 9: what a failed attempt did to blue is never the new normal. */
static void another_try_is_compared_with_before_the_first(void **state)
{
	struct rig *r = life_with(NULL, JUDGED, LOOK LADDER, &busy);

	(void)state;
	r->see = green_at_two_per_cent;
	life_to(r, RUN_ROLLED_BACK);
	r->see = NULL;
	sim_green_errors(r->sim, 0.0005);
	assert_int_equal(rig_order(r, "retry", "again", false), 0);
	life_to(r, RUN_PROMOTED);
	assert_same_again(r, 20);
	life_over(r);
}

static void the_judge_chooses_the_weights(void **state)
{
	struct rig *r = life_with(NULL, "", LOOK AUTO, &busy);
	autojson json_t *first = NULL;

	(void)state;
	life_to(r, RUN_PROMOTED);
	assert_true(lines(r, "weights") > 6);
	first = line(r, "weights", 2);
	assert_int_equal(json_num(first, "green", 0), 1);
	assert_same_again(r, 20);
	life_over(r);
}

static void a_bad_green_stays_small(void **state)
{
	struct rig *r = life_with(NULL, "", LOOK AUTO, &busy);

	(void)state;
	r->see = green_at_two_per_cent;
	for (uint64_t n = 200; n < 600; n += 131) { /* who takes over keeps the weight, and goes on from there */
		r->dead = 0;
		r->how = RIG_BEFORE;
		r->die_at = n;
		if (rig_process(r) != 1)
			break;
	}
	r->dead = 0;
	r->how = RIG_LIVE;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "worse: ");
	assert_true(truth(r).failed_by_green < 250);
	life_over(r);
}

static void the_deadline_of_auto_is_kept(void **state)
{
	const struct sim_opts quiet = { .seed = 11, .requests_per_s = 1 };
	struct rig *r = life_with(NULL, ",\"judge\":{\"harm\":1}", LOOK
				  ",{\"id\":\"shift\",\"do\":\"shift\",\"stages\":\"auto\",\"deadline\":\"PT30M\"}" PROMOTE, &quiet);

	(void)state;
	life_to(r, RUN_ROLLED_BACK);
	assert_why(r, "green has not shown enough within the deadline of 30 min");
	life_over(r);
}

/* Once a plan's number was the harm of fixed stages alone, and "auto" kept to its own. */
static void weights_of_its_own_take_the_harm_that_their_step_names(void **state)
{
	struct rig *r = life_with(NULL, "", LOOK ",{\"id\":\"shift\",\"do\":\"shift\",\"stages\":\"auto\",\"harm\":77}" PROMOTE, &busy);

	(void)state;
	life_to(r, RUN_PROMOTED);
	assert_true(rig_run(r)->plan->watch.tuning.harm_auto == 77);
	life_over(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_healthy_green_is_promoted_and_told_about),
		cmocka_unit_test(two_per_cent_are_found_by_whoever_drives),
		cmocka_unit_test(slow_answers_are_counted_or_compared),
		cmocka_unit_test(errors_that_are_http_200_are_found),
		cmocka_unit_test(probes_ask_both_colours_alike),
		cmocka_unit_test(probes_are_not_counted_as_readers),
		cmocka_unit_test(edits_that_fail_are_found_by_probes_alone),
		cmocka_unit_test(probes_survive_their_sender),
		cmocka_unit_test(probes_that_cannot_be_asked_hold),
		cmocka_unit_test(probes_that_fail_everywhere_hold),
		cmocka_unit_test(a_locked_wiki_has_not_failed),
		cmocka_unit_test(a_metric_that_nobody_publishes_is_blind),
		cmocka_unit_test(contradicting_metrics_are_blind),
		cmocka_unit_test(another_try_is_compared_with_before_the_first),
		cmocka_unit_test(the_judge_chooses_the_weights),
		cmocka_unit_test(a_bad_green_stays_small),
		cmocka_unit_test(the_deadline_of_auto_is_kept),
		cmocka_unit_test(weights_of_its_own_take_the_harm_that_their_step_names),
	};

	if (getenv("CUTOVER_TEST"))
		cmocka_set_test_filter(getenv("CUTOVER_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

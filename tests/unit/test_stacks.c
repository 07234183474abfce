/* `cutover stacks` in the simulated world: what is shown, refused, wired, done,
 * and what becomes of it when it is killed at each of its requests. */
#include "simworld.h"

#include "aws/elb.h"
#include "base/buf.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/stacks.h"
#include "plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NETWORK                                                                                        \
	"{\"Metadata\":{\"simulate\":true},\"Parameters\":{\"Cidr\":{\"Type\":\"String\",\"Default\":\"10.0.0.0/16\"}},\"Resources\":{"    \
	"\"Vpc\":{\"Type\":\"AWS::EC2::VPC\",\"Properties\":{\"CidrBlock\":{\"Ref\":\"Cidr\"}}},"        \
	"\"Net\":{\"Type\":\"AWS::EC2::Subnet\",\"Properties\":{}}},\"Outputs\":{"                       \
	"\"VpcId\":{\"Value\":{\"Ref\":\"Vpc\"}},\"SubnetIds\":{\"Value\":{\"Ref\":\"Net\"}}}}"
#define DATA                                                                                           \
	"{\"Metadata\":{\"simulate\":true},\"Parameters\":{\"VpcId\":{\"Type\":\"AWS::EC2::VPC::Id\"},\"SubnetIds\":{\"Type\":\"List<AWS::EC2::Subnet::Id>\"}," \
	"\"Size\":{\"Type\":\"Number\",\"Default\":\"1\"}},\"Resources\":{"                               \
	"\"Db\":{\"Type\":\"AWS::RDS::DBCluster\",\"Properties\":{\"Vpc\":{\"Ref\":\"VpcId\"},\"Size\":{\"Ref\":\"Size\"}}}}," \
	"\"Outputs\":{\"DbId\":{\"Value\":{\"Ref\":\"Db\"}},\"DbVpc\":{\"Value\":{\"Ref\":\"VpcId\"}}}}"
#define EDGE                                                                                           \
	"{\"Metadata\":{\"simulate\":true},\"Parameters\":{\"Store\":{\"Type\":\"String\"}},\"Resources\":{"                                \
	"\"Https\":{\"Type\":\"AWS::ElasticLoadBalancingV2::Listener\",\"Properties\":{\"SslPolicy\":\"a\"}}," \
	"\"Test\":{\"Type\":\"AWS::ElasticLoadBalancingV2::ListenerRule\",\"Properties\":{\"Actions\":\"100\"}}," \
	"\"Note\":{\"Type\":\"AWS::SSM::Parameter\",\"Properties\":{\"Text\":{\"Ref\":\"Store\"}}}},\"Outputs\":{}}"

struct lab {
	struct simworld w;
	struct stacks s;
	struct environment *env;
	char dir[64], path[96];
	json_t *told;
	int stop;
	struct err e;
};
static struct lab *now_in;

static void put(const struct lab *l, const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", l->dir, name);
	struct err e = { 0 };

	assert_int_equal(file_write(path, text, strlen(text), &e), 0);
}

/* Texts are replaced in the templates: what somebody edits. */
static char *edited(const char *text, const char *from, const char *to)
{
	const char *at = from ? strstr(text, from) : NULL;

	assert_true(!from || at);
	return at ? xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) : xstrdup(text);
}

static void put_edited(const struct lab *l, const char *name, const char *text, const char *from, const char *to)
{
	autofree char *new = edited(text, from, to);

	put(l, name, new);
}

static const char environment[] =
	"{\"name\":\"t\",\"region\":\"" SIM_REGION "\",\"account\":\"" SIM_ACCOUNT "\",\"stacks\":["
	"{\"name\":\"t-network\",\"template\":\"network.json\",\"about\":\"the net\",\"stateful\":true},"
	"{\"name\":\"t-data\",\"template\":\"data.json\",\"about\":\"what is kept\",\"stateful\":true,\"protect\":true,"
	"\"policy\":\"policy.json\",\"tags\":{\"mw:env\":\"t\"}},"
	"{\"name\":\"t-edge\",\"template\":\"edge.json\",\"about\":\"the way in\",\"stateful\":false,"
	"\"parameters\":{\"Store\":\"${t-data.DbId}\"}}]}";

static struct aws *lend(void *ctx, const char *region)
{
	struct lab *l = ctx;

	assert_string_equal(region, SIM_REGION);
	return l->w.aws;
}

static void hear(struct stacks *s, json_t *event)
{
	(void)s;
	json_array_append_new(now_in->told, event);
}

static void load(struct lab *l)
{
	struct plan_errors errs = { 0 };

	environment_free(l->env);
	l->env = NULL;
	if (environment_load(l->path, &l->env, &errs)) {
		autobuf struct buf text = BUF_MAX(4096);

		plan_errors_print(&errs, "env", &text);
		fail_msg("%s", text.p);
	}
}

static void lab_open_seed(struct lab *l, uint64_t seed)
{
	*l = (struct lab){ .dir = "/tmp/cutover-stacks-XXXXXX" };
	now_in = l;
	assert_non_null(mkdtemp(l->dir));
	snprintf(l->path, sizeof l->path, "%s/env.json", l->dir);
	simworld_open(&l->w, &(struct sim_opts){ .seed = seed });
	put(l, "network.json", NETWORK);
	put(l, "data.json", DATA);
	put(l, "edge.json", EDGE);
	put(l, "policy.json", "{\"Statement\":[]}");
	put(l, "env.json", environment);
	load(l);
}

static void lab_open(struct lab *l) { lab_open_seed(l, 7); }

static void lab_close(struct lab *l)
{
	static const char *const names[] = { "network.json", "data.json", "edge.json", "policy.json", "env.json" };

	for (size_t i = 0; i < COUNT(names); i++) {
		autofree char *path = xasprintf("%s/%s", l->dir, names[i]);

		unlink(path);
	}
	rmdir(l->dir);
	environment_free(l->env);
	json_decref(l->told);
	simworld_close(&l->w);
}
#define autolab __attribute__((cleanup(lab_close)))

typedef int verb(struct stacks *s, struct err *e);

static int status(struct stacks *s, struct err *e) { return stacks_status(s, true, e); }

/* As a process would: nothing is left of the one before. */
static int with(struct lab *l, verb *v, const char *may_replace, const char *may_delete)
{
	int rc;

	json_decref(l->told);
	l->told = json_array();
	l->e = (struct err){ 0 };
	l->s = (struct stacks){ .env = l->env, .clock = sim_clock(l->w.sim), .open = lend, .ctx = l, .may_replace = may_replace,
				.may_delete = may_delete, .outputs = json_object(), .tell = hear, .stop = &l->stop };
	rc = v(&l->s, &l->e);
	stacks_end(&l->s, NULL);
	return rc;
}

static int run(struct lab *l, verb *v) { return with(l, v, NULL, NULL); }

static void ends(struct lab *l, int rc, int want)
{
	if (rc == want)
		return;
	autofree char *told = json_dumps(l->told, JSON_INDENT(1));

	fail_msg("ended with %d, not %d: %s\n%s", rc, want, l->e.msg, told);
}

/* The event about a stack; NULL when nothing was said. */
static const json_t *event(const struct lab *l, const char *what, const char *stack)
{
	size_t i;
	json_t *ev;

	json_array_foreach(l->told, i, ev)
		if (!strcmp(json_str(ev, "what", ""), what) && !strcmp(json_str(ev, "stack", ""), stack))
			return ev;
	return NULL;
}

static const char *action(const struct lab *l, const char *stack) { return json_str(event(l, "plan", stack), "action", "none"); }

static size_t count(const struct lab *l, const char *what)
{
	size_t n = 0, i;
	json_t *ev;

	json_array_foreach(l->told, i, ev)
		n += !strcmp(json_str(ev, "what", ""), what);
	return n;
}

static int there(struct lab *l)
{
	struct sim_truth t;

	sim_truth(l->w.sim, &t);
	return t.stacks;
}

static void serves(struct lab *l, const char *name, const char *output, const char *value)
{
	autostack struct cfn_stack k = { 0 };

	assert_int_equal(cfn_stack_get(l->w.aws, name, &k, &l->e), 0);
	assert_int_equal(cfn_phase(k.status), CFN_READY);
	assert_string_equal(json_str(k.tags, "cutover:environment", ""), "t");
	if (output)
		assert_string_equal(json_str(k.outputs, output, ""), value);
}

/* --- from nothing ---------------------------------------------------------------------- */

static void a_plan_shows_and_leaves_nothing(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_plan), 0);
	assert_string_equal(action(&l, "t-network"), "create");
	assert_int_equal(json_array_size(json_object_get(event(&l, "plan", "t-network"), "changes")), 2);
	assert_string_equal(action(&l, "t-data"), "later");
	assert_string_equal(json_string_value(json_array_get(json_object_get(event(&l, "plan", "t-data"), "waits_for"), 0)), "t-network");
	simworld_wait(&l.w, 60);
	assert_int_equal(there(&l), 0);
}

static void apply_makes_them_in_order_and_wires_them(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_apply), 0);
	assert_int_equal(count(&l, "done"), 3);
	serves(&l, "t-data", "DbVpc", "vpc-0Vpc-1");
	serves(&l, "t-edge", NULL, NULL);
	assert_string_equal(sim_stack_policy(l.w.sim, "t-data"), "{\"Statement\":[]}");
	ends(&l, run(&l, status), 0);
	assert_true(json_yes(event(&l, "status", "t-data"), "protected"));
}

static void applied_again_it_changes_nothing(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_apply), 0);
	ends(&l, run(&l, stacks_apply), 0);
	assert_string_equal(action(&l, "t-network"), "unchanged");
	assert_string_equal(action(&l, "t-edge"), "unchanged");
	assert_int_equal(count(&l, "executing"), 0);
	assert_int_equal(count(&l, "done"), 3);
}

static void an_edited_template_is_an_update(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_apply), 0);
	put_edited(&l, "data.json", DATA, "\"Default\":\"1\"", "\"Default\":\"2\"");
	ends(&l, run(&l, stacks_apply), 0);
	assert_string_equal(action(&l, "t-data"), "update");
	assert_int_equal(count(&l, "executing"), 1);
	assert_false(json_yes(event(&l, "done", "t-edge"), "changed"));
}

/* The outputs of a replaced resource reach the stacks behind it, shown anew. */
static void a_new_output_is_wired_on(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_apply), 0);
	put_edited(&l, "network.json", NETWORK, "\"Properties\":{\"CidrBlock\"", "\"Properties\":{\"Name\":\"2\",\"CidrBlock\"");
	ends(&l, with(&l, stacks_apply, "t-network.Vpc", NULL), 0);
	serves(&l, "t-network", "VpcId", "vpc-0Vpc-2");
	serves(&l, "t-data", "DbVpc", "vpc-0Vpc-2");
	assert_int_equal(count(&l, "executing"), 2);
}

/* --- what is refused --------------------------------------------------------------------- */

static void no_change_set_is_left(struct lab *l, const char *stack)
{
	ends(l, run(l, stacks_plan), CUTOVER_EXIT_REFUSED);
	for (int i = 0; i < 10; i++) /* AWS keeps few change sets: leftovers would fill the place */
		ends(l, run(l, stacks_plan), CUTOVER_EXIT_REFUSED);
	assert_non_null(event(l, "plan", stack));
}

static void replacing_what_is_stateful_is_refused(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_apply), 0);
	put_edited(&l, "data.json", DATA, "\"Properties\":{", "\"Properties\":{\"Maybe\":\"x\",");
	put_edited(&l, "network.json", NETWORK, "10.0.0.0", "10.1.0.0"); /* harmless, and before it */
	ends(&l, run(&l, stacks_apply), CUTOVER_EXIT_REFUSED);
	assert_int_equal(count(&l, "executing"), 0); /* not even the harmless one before it */
	assert_string_equal(json_str(json_array_get(json_object_get(event(&l, "plan", "t-data"), "changes"), 0), "harm", ""),
			    "perhaps replace");
	no_change_set_is_left(&l, "t-data");
	ends(&l, with(&l, stacks_apply, "Other,t-data.Db", NULL), 0);
	assert_int_equal(count(&l, "executing"), 2);
	assert_string_equal(sim_stack_policy(l.w.sim, "t-data"), "{\"Statement\":[]}"); /* opened, and closed again */
}

static void removing_what_is_stateful_is_refused(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_apply), 0);
	put_edited(&l, "network.json", NETWORK, "\"Net\":", "\"Net2\":");
	put_edited(&l, "network.json", NETWORK, "{\"Ref\":\"Net\"}", "\"subnet-0\"");
	put_edited(&l, "data.json", DATA, "\"Db\":{\"Type\"", "\"Db2\":{\"Type\"");
	ends(&l, run(&l, stacks_plan), CUTOVER_EXIT_REFUSED);
	ends(&l, with(&l, stacks_plan, "Db", NULL), 0);
}

static void edge_becomes(struct lab *l, const char *from, const char *to, const char *harm)
{
	size_t i;
	json_t *v;
	bool found = false;

	put_edited(l, "edge.json", EDGE, from, to);
	ends(l, run(l, stacks_apply), harm ? CUTOVER_EXIT_REFUSED : 0);
	json_array_foreach(json_object_get(event(l, "plan", "t-edge"), "changes"), i, v)
		found |= harm && !strcmp(json_str(v, "harm", ""), harm);
	assert_int_equal(found, harm != NULL);
}

static void touching_weights_is_refused(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_apply), 0);
	edge_becomes(&l, "\"Actions\":\"100\"", "\"Actions\":\"50\"", "change the weights of");
	edge_becomes(&l, "\"SslPolicy\":\"a\"", "\"SslPolicy\":\"a\",\"DefaultActions\":\"x\"", "change the weights of");
	edge_becomes(&l, "\"SslPolicy\":\"a\"", "\"SslPolicy\":\"a\",\"Name\":\"2\"", "replace");
	edge_becomes(&l, "\"Test\":{", "\"Test2\":{", "remove");
	edge_becomes(&l, "\"Note\":{", "\"More\":{\"Type\":\"AWS::ElasticLoadBalancingV2::ListenerRule\"},\"Note\":{",
		     "add, perhaps before the production rule,");
	edge_becomes(&l, "\"SslPolicy\":\"a\"", "\"SslPolicy\":\"b\"", NULL); /* only its certificate's policy */
}

static void unknown_properties_are_not_harmless(void **state)
{
	autojson json_t *silent = json_pack("{s:s, s:s, s:s, s:[]}", "action", "Modify", "replacement", "False", "type",
					    "AWS::ElasticLoadBalancingV2::ListenerRule", "properties");

	(void)state;
	assert_string_equal(change_traffic_harm(silent, false), "perhaps change the weights of");
}

static void somebody_elses_stack_is_left(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_apply), 0);
	put_edited(&l, "env.json", environment, "\"name\":\"t\"", "\"name\":\"u\"");
	load(&l);
	ends(&l, run(&l, stacks_apply), -1);
	assert_int_equal(l.e.kind, ERR_GATE);
	assert_non_null(strstr(l.e.msg, "is not this environment's"));
	ends(&l, with(&l, stacks_delete, NULL, "t-network,t-data"), -1);
	assert_int_equal(there(&l), 3);
}

/* --- wiring ------------------------------------------------------------------------------------ */

static void says(struct lab *l, const char *words)
{
	ends(l, run(l, stacks_apply), -1);
	assert_int_equal(l->e.kind, ERR_INPUT);
	if (!strstr(l->e.msg, words))
		fail_msg("\"%s\" does not say \"%s\"", l->e.msg, words);
}

static void what_cannot_be_wired_is_named(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	put_edited(&l, "data.json", DATA, "\"Parameters\":{", "\"Parameters\":{\"Alone\":{\"Type\":\"String\"},");
	says(&l, "parameter Alone of stack t-data has no value");
	put_edited(&l, "data.json", DATA, "\"Parameters\":{", "\"Parameters\":{\"SubnetId\":{\"Type\":\"AWS::EC2::VPC::Id\"},");
	put_edited(&l, "env.json", environment, "\"tags\":{", "\"parameters\":{\"SubnetId\":\"${t-network.SubnetIds}\"},\"tags\":{");
	load(&l);
	says(&l, "is of type AWS::EC2::VPC::Id, the id of a VPC (vpc-...), and cannot be \"subnet-0Net-1\"");
	put(&l, "data.json", DATA);
	says(&l, "its template has no parameter \"SubnetId\"");
	put_edited(&l, "env.json", environment, "${t-data.DbId}", "${t-data.Nothing}");
	load(&l);
	says(&l, "has given no output \"Nothing\"");
	put_edited(&l, "edge.json", EDGE, "\"Store\":{", "\"VpcId\":{\"Type\":\"String\"},\"Store\":{");
	put_edited(&l, "data.json", DATA, "\"DbVpc\"", "\"VpcId\"");
	put(&l, "env.json", environment);
	load(&l);
	says(&l, "is an output of both t-network and t-data");
}

static void types(void **state)
{
	static const struct { const char *type, *value; bool fits; } rows[] = {
		{ "AWS::EC2::VPC::Id", "vpc-1", true },       { "AWS::EC2::VPC::Id", "vpc-", false },
		{ "AWS::EC2::VPC::Id", "", false },           { "List<AWS::EC2::Subnet::Id>", "subnet-1,subnet-2", true },
		{ "List<AWS::EC2::Subnet::Id>", "subnet-1,vpc-2", false }, { "List<AWS::EC2::Subnet::Id>", "subnet-1,", false },
		{ "Number", "12", true }, { "Number", "0.5", true }, { "Number", "x", false }, { "List<Number>", "1,2", true },
		{ "String", "", true },   { "CommaDelimitedList", "a,,b", true }, { "AWS::New::Thing::Id", "any", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(cfn_type_wants(rows[i].type, rows[i].value) == NULL, rows[i].fits);
}

/* --- what fails ------------------------------------------------------------------------------------ */

static void a_stack_that_fails_ends_it(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	put_edited(&l, "data.json", DATA, "\"Properties\":{", "\"Properties\":{\"Impossible\":\"1\",");
	ends(&l, run(&l, stacks_apply), -1);
	assert_true(l.s.touched);
	assert_non_null(strstr(l.e.msg, "stack t-data is in ROLLBACK_"));
	assert_non_null(strstr(l.e.msg, "Db (AWS::RDS::DBCluster): Resource limit exceeded"));
	assert_null(event(&l, "executing", "t-edge"));
	put(&l, "data.json", DATA);
	ends(&l, run(&l, stacks_apply), -1); /* a stack that never was must be deleted by a person */
	assert_non_null(strstr(l.e.msg, "delete it"));
	serves(&l, "t-network", NULL, NULL);
}

static void one_that_fails_to_update_can_be_put_right(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_apply), 0);
	put_edited(&l, "data.json", DATA, "\"Properties\":{", "\"Properties\":{\"Impossible\":\"1\",");
	ends(&l, run(&l, stacks_apply), -1);
	assert_non_null(strstr(l.e.msg, "UPDATE_ROLLBACK_"));
	put_edited(&l, "data.json", DATA, "\"Default\":\"1\"", "\"Default\":\"3\"");
	simworld_wait(&l.w, 60);
	ends(&l, run(&l, stacks_apply), 0);
	serves(&l, "t-data", NULL, NULL);
}

static void told_to_stop_it_leaves(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	l.stop = 1;
	ends(&l, run(&l, stacks_apply), CUTOVER_EXIT_RUNNING);
	l.stop = 0;
	ends(&l, run(&l, stacks_apply), 0);
}

static void as_if_nothing_had_been(struct lab *l)
{
	ends(l, run(l, stacks_apply), 0);
	serves(l, "t-network", NULL, NULL);
	serves(l, "t-data", "DbVpc", "vpc-0Vpc-1");
	serves(l, "t-edge", NULL, NULL);
	assert_string_equal(sim_stack_policy(l->w.sim, "t-data"), "{\"Statement\":[]}");
	assert_int_equal(there(l), 3);
}

/* Dies at the n-th request, before or after it took effect; then somebody starts it again. */
static bool killed_at(uint64_t n, bool before)
{
	autolab struct lab l;
	int rc;

	lab_open_seed(&l, n);
	sim_die_at(l.w.sim, n, before);
	rc = run(&l, stacks_apply);
	if (!sim_is_dead(l.w.sim)) {
		ends(&l, rc, 0);
		return false;
	}
	assert_int_equal(rc, -1);
	sim_revive(l.w.sim);
	as_if_nothing_had_been(&l);
	return true;
}

static void killed_at_each_request(void **state)
{
	uint64_t n = 0;

	(void)state;
	while (killed_at(n, true) && killed_at(n, false))
		n++;
	assert_true(n > 30);
	printf("  killed at each of %d requests, before and after\n", (int)n);
}

static void a_mishap_at(uint64_t n, enum sim_mishap what)
{
	autolab struct lab l;

	lab_open_seed(&l, n);
	sim_mishap_at(l.w.sim, n, what);
	as_if_nothing_had_been(&l);
}

static void mishaps_at_each_request(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 60; n++)
		for (int what = SIM_REFUSED; what < SIM_STALE; what++) /* stale reads are of weights */
			if (getenv("CUTOVER_CRASH_ALL") || (n + (uint64_t)what) % 3 == 0)
				a_mishap_at(n, (enum sim_mishap)what);
}

static void in_bad_weather(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		autolab struct lab l;

		lab_open_seed(&l, seed);
		sim_mishap_rate(l.w.sim, 0.1);
		ends(&l, run(&l, stacks_apply), 0);
		sim_mishap_rate(l.w.sim, 0);
		as_if_nothing_had_been(&l);
	}
}

/* --- looking, and the end ---------------------------------------------------------------------------- */

static void drift_is_seen(void **state)
{
	autolab struct lab l;
	const json_t *row;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, status), CUTOVER_EXIT_FROZEN);
	assert_string_equal(json_str(event(&l, "status", "t-data"), "status", ""), "not there");
	ends(&l, run(&l, stacks_apply), 0);
	ends(&l, run(&l, status), 0);
	assert_string_equal(json_str(event(&l, "status", "t-data"), "drift", ""), "IN_SYNC");
	assert_string_equal(json_str(event(&l, "status", "t-data"), "about", ""), "what is kept");
	sim_drift(l.w.sim, "t-network");
	ends(&l, run(&l, status), CUTOVER_EXIT_FROZEN);
	row = json_array_get(json_object_get(event(&l, "status", "t-network"), "resources"), 0);
	assert_string_equal(json_str(row, "logical", ""), "Vpc");
	assert_string_equal(json_string_value(json_array_get(json_object_get(row, "differences"), 0)),
			    "/EnableDnsSupport: the template says true, it is false");
}

static void what_is_stateful_is_not_deleted(void **state)
{
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	ends(&l, run(&l, stacks_apply), 0);
	ends(&l, with(&l, stacks_delete, NULL, "t-network"), -1);
	assert_non_null(strstr(l.e.msg, "stack t-data holds what cannot be made again"));
	assert_int_equal(there(&l), 3);
	ends(&l, with(&l, stacks_delete, NULL, "t-network,t-data"), 0);
	assert_int_equal(there(&l), 0);
	assert_string_equal(json_str(json_array_get(l.told, 0), "stack", ""), "t-edge"); /* in reverse */
	ends(&l, with(&l, stacks_delete, NULL, "t-network,t-data"), 0); /* once more is no error */
}

static void the_file_says_all_its_errors(void **state)
{
	static const struct { const char *from, *to, *says; } rows[] = {
		{ "\"stateful\":false,", "", "stateful is missing" },
		{ "\"t-edge\"", "\"t-data\"", "stands twice" },
		{ "\"t-edge\"", "\"Edge\"", "is not a stack name here" },
		{ "${t-data.DbId}", "${t-none.DbId}", "names no stack of this file" },
		{ "${t-data.DbId}", "${t-edge.DbId}", "names a stack that is made later" },
		{ "\"template\":\"edge.json\",", "", "needs template or template_url" },
		{ "\"mw:env\"", "\"cutover:mine\"", "is a reserved key" },
		{ "\"about\":\"the net\"", "\"abaut\":\"the net\"", "did you mean \"about\"" },
		{ SIM_ACCOUNT, "12", "12 digits" },
		{ "]}", "],\"rule\":{\"listener\":\"x\"}}", "rule.target_group is missing" },
		{ "{\"name\":\"t\"", "[{\"name\":\"t\"", "is not JSON" },
	};
	autolab struct lab l;

	(void)state;
	lab_open(&l);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct plan_errors errs = { 0 };
		struct environment *none = NULL;
		autobuf struct buf text = BUF_MAX(4096);

		put_edited(&l, "env.json", environment, rows[i].from, rows[i].to);
		assert_int_equal(environment_load(l.path, &none, &errs), -1);
		plan_errors_print(&errs, "env", &text);
		plan_errors_free(&errs);
		if (!strstr(text.p, rows[i].says))
			fail_msg("\"%s\" does not say \"%s\"", text.p, rows[i].says);
	}
}

/* --- the production rule, with canned answers ---------------------------------------------------------- */

#define NS " xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\""
#define RULES "<DescribeRulesResponse" NS "><DescribeRulesResult><Rules><member><RuleArn>arn:default</RuleArn><IsDefault>true</IsDefault></member>" \
	"<member><RuleArn>arn:one</RuleArn><IsDefault>false</IsDefault></member></Rules></DescribeRulesResult></DescribeRulesResponse>"
#define TAGS(value) "<DescribeTagsResponse" NS "><DescribeTagsResult><TagDescriptions><member><ResourceArn>arn:one</ResourceArn><Tags>" \
	"<member><Key>cutover:managed</Key><Value>" value "</Value></member></Tags></member></TagDescriptions></DescribeTagsResult></DescribeTagsResponse>"

static void the_rule_is_found_by_its_tag(void **state)
{
	static const char *const mine[] = { RULES, TAGS("true"), NULL }, *const other[] = { RULES, TAGS("no"), NULL };
	struct canned c = { .bodies = mine };
	struct simworld w;
	char arn[256];

	(void)state;
	simworld_open_canned(&w, &c);
	assert_int_equal(elb_rule_find(w.aws, "arn:listener", "cutover:managed", "true", arn, &w.e), 0);
	assert_string_equal(arn, "arn:one");
	assert_non_null(strstr(c.last, "ResourceArns.member.1=arn%3Aone"));
	assert_null(strstr(c.last, "default"));
	c = (struct canned){ .bodies = other };
	assert_int_equal(elb_rule_find(w.aws, "arn:listener", "cutover:managed", "true", arn, &w.e), 0);
	assert_string_equal(arn, "");
	simworld_close(&w);
}

static void the_rule_is_made_without_stickiness(void **state)
{
	static const char *const made[] = { "<CreateRuleResponse" NS "><CreateRuleResult><Rules><member><RuleArn>arn:new</RuleArn>"
		"</member></Rules></CreateRuleResult></CreateRuleResponse>", NULL };
	struct canned c = { .bodies = made };
	autojson json_t *tags = json_pack("{s:s}", "cutover:managed", "true");
	struct simworld w;
	char arn[256];

	(void)state;
	simworld_open_canned(&w, &c);
	assert_int_equal(elb_rule_create(w.aws, &(struct elb_new_rule){ "arn:l", "arn:g", 100, tags }, arn, &w.e), 0);
	assert_string_equal(arn, "arn:new");
	assert_non_null(strstr(c.last, "TargetGroupStickinessConfig.Enabled=false"));
	assert_non_null(strstr(c.last, "Weight=999"));
	assert_non_null(strstr(c.last, "Tags.member.1.Key=cutover%3Amanaged"));
	simworld_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_shows_and_leaves_nothing), cmocka_unit_test(apply_makes_them_in_order_and_wires_them),
		cmocka_unit_test(applied_again_it_changes_nothing), cmocka_unit_test(an_edited_template_is_an_update),
		cmocka_unit_test(a_new_output_is_wired_on), cmocka_unit_test(replacing_what_is_stateful_is_refused),
		cmocka_unit_test(removing_what_is_stateful_is_refused), cmocka_unit_test(touching_weights_is_refused),
		cmocka_unit_test(unknown_properties_are_not_harmless), cmocka_unit_test(somebody_elses_stack_is_left),
		cmocka_unit_test(what_cannot_be_wired_is_named), cmocka_unit_test(types),
		cmocka_unit_test(a_stack_that_fails_ends_it), cmocka_unit_test(one_that_fails_to_update_can_be_put_right),
		cmocka_unit_test(told_to_stop_it_leaves), cmocka_unit_test(killed_at_each_request),
		cmocka_unit_test(mishaps_at_each_request), cmocka_unit_test(in_bad_weather), cmocka_unit_test(drift_is_seen),
		cmocka_unit_test(what_is_stateful_is_not_deleted), cmocka_unit_test(the_file_says_all_its_errors),
		cmocka_unit_test(the_rule_is_found_by_its_tag), cmocka_unit_test(the_rule_is_made_without_stickiness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

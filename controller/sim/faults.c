/* What can go wrong with a release, by name: `simulate --fault`. */
#include "sim/world.h"

#include <string.h>

#define QUARTER   0.25
#define MISHAPS_OF_API 0.10
#define SHARED_AFTER_MS 200000
#define LEAK_PER_MINUTE 0.01
#define SLOW_AWS_MS 9000    /* less than a request waits */
#define LATE_WRITE_MS 29000 /* more than that */

struct fault {
	struct sim_fault_info info;
	void (*start)(struct sim *s); /* once, before anything else */
	void (*each)(struct sim *s);  /* every second until it struck, then only if `goes_on` */
	bool goes_on;
};

/* True once: when green first has a quarter of the users. */
static bool strikes(struct sim *s)
{
	if (s->fault_at || green_share(&s->live) < QUARTER)
		return false;
	s->fault_at = s->now;
	return true;
}

static void errors(struct sim *s)
{
	if (strikes(s))
		s->side[GREEN].errors = 0.30;
}

static void slow_leak(struct sim *s)
{
	if (s->side[GREEN].since)
		s->side[GREEN].errors = LEAK_PER_MINUTE * (double)(s->now - s->side[GREEN].since) / 60000;
	if (s->side[GREEN].errors > 0.5)
		s->side[GREEN].errors = 0.5;
}

static void few_errors(struct sim *s)
{
	if (strikes(s))
		s->side[GREEN].errors = 0.02;
}

static void api_errors(struct sim *s)
{
	if (strikes(s))
		s->side[GREEN].api = 0.02;
}

static void edits(struct sim *s)
{
	if (strikes(s))
		s->side[GREEN].edits_fail = true;
}

static void slow(struct sim *s)
{
	if (strikes(s))
		s->side[GREEN].slowness = 10;
}

static void dead(struct sim *s)
{
	if (strikes(s))
		sim_kill_targets(s, true);
}

static void cold(struct sim *s) { s->side[GREEN].cold = true; }
static void stack(struct sim *s) { s->stacks_fail = true; }
static void slow_aws(struct sim *s) { sim_slow(s, &(struct sim_slow){ .after_ms = SLOW_AWS_MS }); }
static void hanging_reads(struct sim *s) { sim_slow(s, &(struct sim_slow){ .only = SIM_READS }); }
static void late_writes(struct sim *s)
{
	sim_slow(s, &(struct sim_slow){ .after_ms = LATE_WRITE_MS, .service = "elasticloadbalancing", .only = SIM_WRITES });
}

static void api(struct sim *s) { s->mishap_rate = MISHAPS_OF_API; }

/* Somebody has waited for our write and makes his own. */
static void foreign(struct sim *s)
{
	if (strikes(s))
		sim_set_weights(s, 400, 600);
}

/* Later than the weights: what is shared does not wait for them. */
static void blue_sick(struct sim *s)
{
	if (!strikes(s) && s->fault_at && s->now - s->fault_at == SHARED_AFTER_MS)
		s->side[BLUE].errors = s->side[GREEN].errors = 0.30;
}

static void blind(struct sim *s)
{
	if (green_share(&s->live) > 0)
		s->side[GREEN].blind = true;
}

static void alarm_fires(struct sim *s)
{
	if (s->nalarms && strikes(s))
		s->firing = 0;
}

/* --- what can go wrong with a database --- */

static void update_dies(struct sim *s) { s->db.update_dies = 1; }
static void update_breaks(struct sim *s) { s->db.update_breaks = true; }
static void lag(struct sim *s) { s->db.stuck = true; }

/* A cron job that does not see the lock file, when green's tables are ready. */
static void stray(struct sim *s)
{
	const struct copy *c = databases_newest(s);

	if (s->fault_at || !c || c->follows || c->tables != TABLES_NEW || !s->db.locked)
		return;
	s->fault_at = s->now;
	sim_write(s, "wiki.page");
}

/* Only when edits are taken again: green's own ones are there. */
static void late(struct sim *s)
{
	const struct copy *c = databases_newest(s);

	if (!s->fault_at && c && c->own > 0 && green_share(&s->live) > 0) {
		s->fault_at = s->now;
		s->side[GREEN].errors = 0.30;
	}
}

static const struct fault faults[] = {
	{ { "none", "nothing goes wrong", 0 }, NULL, NULL, false },
	{ { "errors", "green fails 30 % of its requests from 25 % traffic on", 3 }, NULL, errors, false },
	{ { "few-errors", "green fails 2 % of its requests from 25 % traffic on", 3 }, NULL, few_errors, false },
	{ { "api-errors", "green answers 2 % of its requests with an API error and HTTP 200, which metric ApiErrors of Wiki counts",
	    3 }, NULL, api_errors, false },
	{ { "edits", "green answers every edit with an API error and HTTP 200 from 25 % traffic on, which only probes notice", 3 },
	  NULL, edits, false },
	{ { "slow-leak", "green fails 1 % more of its requests with every minute it has traffic", 3 }, NULL,
	  slow_leak, true },
	{ { "slow", "green takes ten times as long from 25 % traffic on", 3 }, NULL, slow, false },
	{ { "dead", "green's processes die at 25 % traffic", 3 }, NULL, dead, false },
	{ { "cold", "green never becomes healthy", 3 }, cold, NULL, false },
	{ { "stack", "green's CloudFormation stack fails", 3 }, stack, NULL, false },
	{ { "api", "one request to AWS in ten meets a mishap: refused, lost, throttled, garbled, slow, stale", 0 }, api, NULL,
	  false },
	{ { "slow-aws", "AWS answers each request rightly, after 9 s", 0 }, slow_aws, NULL, false },
	{ { "hanging-reads", "every other read of AWS gets no answer for 10 s; the try after it is answered at once", 0 },
	  hanging_reads, NULL, false },
	{ { "late-writes", "weights that are set take effect after 29 s, when the program has stopped to wait for the answer", 0 },
	  late_writes, NULL, false },
	{ { "foreign", "somebody else sets the weights to 400 and 600 at 25 % traffic", 3 }, NULL, foreign, false },
	{ { "blue-sick", "both colours fail 30 %, some minutes after green has 25 % traffic", 3 }, NULL, blue_sick, true },
	{ { "blind", "CloudWatch shows nothing of green once it has traffic", 3 }, NULL, blind, false },
	{ { "alarm", "the plan's first alarm fires at 25 % traffic", 3 }, NULL, alarm_fires, false },
	{ { "update", "update.php is killed half-way, the first time", 0 }, update_dies, NULL, false },
	{ { "schema", "a column that green needs is missing after update.php", 3 }, update_breaks, NULL, false },
	{ { "lag", "the copy of the database fetches what blue writes, but applies nothing", 3 }, lag, NULL, false },
	{ { "stray", "something that does not see the lock edits on blue after its copy was cut off", 3 }, NULL, stray, false },
	{ { "late", "green fails 30 % of its requests once it takes edits", 4 }, NULL, late, false },
};

const struct fault *fault_find(const char *name)
{
	for (size_t i = 0; i < COUNT(faults); i++)
		if (!strcmp(faults[i].info.name, name ? name : "none"))
			return &faults[i];
	return NULL;
}

void fault_start(struct sim *s)
{
	if (s->fault && s->fault->start)
		s->fault->start(s);
}

void fault_tick(struct sim *s)
{
	if (s->fault && s->fault->each && (!s->fault_at || s->fault->goes_on))
		s->fault->each(s);
}

/* The same rows, without what makes them happen. */
const struct sim_fault_info *sim_faults(size_t *n)
{
	static struct sim_fault_info infos[COUNT(faults)];

	for (size_t i = 0; i < COUNT(faults); i++)
		infos[i] = faults[i].info;
	*n = COUNT(faults);
	return infos;
}

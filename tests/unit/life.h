/* life.h - what tests of whole runs have in common: a rig, what happens in it
 * meanwhile, and questions about its journal and the truth. Include after cmocka.h. */
#ifndef TESTS_LIFE_H
#define TESTS_LIFE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "rig.h"
#include "steps/registry.h"

#define MINUTE ((int64_t)60000)

#define LOOK "{\"id\":\"look\",\"do\":\"preflight\"}"
#define SHIFT ",{\"id\":\"to-25\",\"do\":\"shift\",\"weight\":\"25%\",\"bake\":\"PT1M\"}"
#define PROMOTE ",{\"id\":\"promote\",\"do\":\"promote\",\"bake\":\"PT1M\"}"
#define PROBE ",{\"id\":\"probe\",\"do\":\"probe\",\"url\":\"https://wiki.example.org\",\"through\":\"test.example.org:8443\",\"version\":\"1.43.11\"}"
#define WARM ",{\"id\":\"warm\",\"do\":\"warm\",\"url\":\"https://wiki.example.org\",\"through\":\"test.example.org:8443\",\"paths\":[\"/index.php/Main_Page\"],\"rounds\":3}"
#define HOOK ",{\"id\":\"hook\",\"do\":\"hook\",\"program\":[\"/bin/true\"]}"
#define SLOW_HOOK ",{\"id\":\"hook\",\"do\":\"hook\",\"program\":[\"/bin/sleep\",\"60\"],\"limit\":\"PT2M\"}"
#define ASK ",{\"id\":\"ask\",\"do\":\"approve\",\"ask\":\"go on?\",\"deadline\":\"PT30M\"}"
#define STACK ",{\"id\":\"green\",\"do\":\"stack\",\"stack\":\"wiki-green\",\"template\":\"tests/unit/green.json\"}"
#define RETIRE ",{\"id\":\"retire\",\"do\":\"retire\",\"soak\":\"PT10M\",\"quiet_periods\":2,\"how\":\"scale-down\"}"

/* What the present test has seen and done so far. */
struct life {
	bool once, on;
	int64_t at;
	uint64_t n, writes, at_most;
	char broken[200];
};
extern struct life my;

/* world, top and watch may be NULL. Begins with an empty `my`. */
struct rig *life_with(const char *top, const char *watch, const char *steps, const struct sim_opts *world);
struct rig *life_new(const char *steps);
/* Drives on, in a further process, and expects that end. */
void life_to(struct rig *r, enum run_state end);
void life_over(struct rig *r); /* nothing was broken, and the journal is whole */
/* life_new, life_to and life_over, in between `see` meanwhile; r stays. */
struct rig *life_seen(const char *steps, void (*see)(struct rig *r), enum run_state end);

bool at_step(struct rig *r, const char *id);   /* it has begun, the run goes forward */
bool first_time(bool when);                    /* true once: when `when` first is */
int64_t now(struct rig *r);
struct sim_truth truth(struct rig *r);
bool is_call(const struct http_req *q, const char *action);
bool is_change(const struct http_req *q);      /* of anything in AWS */
void mishap(struct rig *r, enum sim_mishap what); /* meets the next request */
void forbid(bool what, const char *why);       /* remembered; life_over fails */

int lines(struct rig *r, const char *kind);    /* of the journal */
json_t *line(struct rig *r, const char *kind, int nth); /* body of the nth, from 1; json_decref; NULL: none */
int64_t line_at(struct rig *r, const char *kind, int nth); /* its wall time; 0: none */
void assert_on_blue(struct rig *r);
void assert_why(struct rig *r, const char *part);

/* Which rows of the state machine the runs so far have gone through. */
bool transition_reached(size_t i);
#endif

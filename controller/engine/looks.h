/* engine/looks.h - what the journal says of the judge's looks.
 *
 * Line `history`: blue's past, an array a key of JUDGE_HISTORY periods.
 * Object `look` in a line `verdict`: how the judge was asked (origin, now, stage,
 * weight), `seen`, the points it was told since the look before, and `probes`,
 * [green sent, failed, blue sent, failed] since then. The run writes and reads
 * it (mind.c), and `cutover replay` reads it. */
#ifndef CUTOVER_ENGINE_LOOKS_H
#define CUTOVER_ENGINE_LOOKS_H

#include "base/json.h"
#include "judge/sequential.h"

struct plan_watch;

#define LOOKS_PERIODS 10000000 /* nineteen years of minutes: no period has a higher number */

json_t *looks_history_json(const struct judge_history *h); /* the arrays alone */
void looks_history(const json_t *line, struct judge_history *h);
/* [colour, period, requests, latency, errors, slow, ...]; null: no datapoint. Behind all JUDGE_METRICS counts, if there
 * are any: those slower than twice the limit. */
json_t *looks_point_json(enum judge_colour c, const struct judge_point *p);
enum judge_colour looks_point(const json_t *a, struct judge_point *p); /* anything: period -1 where it is none */
json_t *looks_probes_json(const struct judge_probes *p); /* NULL: none was sent */
bool looks_probes(const json_t *look, struct judge_probes *p); /* false: none was sent */
/* What the judge is to watch: bits as judge_start takes them. */
unsigned looks_metrics(const struct plan_watch *w, bool counts_slow);
#endif

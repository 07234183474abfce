/* judge/protocol.h - the judge behind a pipe: JSON lines in, verdicts out.
 *
 * One process (one struct protocol) follows one cutover. Lines, in this order:
 *
 *   {"type":"start","stages":[{"weight":0.01},...],"adaptive":false,"slow_threshold_ms":306}
 *   {"type":"history","colour":"blue","period":-180,"requests":n,"errors":x,"slow":s,"az":[[n,x,s],...]}
 *   {"type":"obs","colour":"blue"|"green","period":k,"requests":n,"errors":x,"slow":s,"slower":z,
 *    "p50":..,"p90":..,"p99":..}
 *   {"type":"tick","now":t,"stage":i,"weight":w}
 *
 * Time is in periods. "errors" is left out where CloudWatch has no datapoint;
 * the first of "az" is one of blue's zones, and without it blue is taken for as
 * noisy as chance alone. Latency is judged by the requests slower than a limit
 * where the start names the limit or the history counts them, else by the
 * percentile nearest to the setting `quantile`. "slower" are those of "slow" that
 * took more than twice the limit; it may be left out. To each tick answers one line:
 *
 *   {"verdict":"continue"|"hold"|"rollback","reason":"...","log_e":...,"limit":...,
 *    "log_e_split":..,"log_e_level":..,"log_e_slow":..,"log_e_latency":..,
 *    "excess":..,"need":..,"suspicious":..,"stale":..,
 *    "blue":{"requests":n,"errors":x,"rate":r,"low":..,"high":..},"green":{...}}
 *
 * and with weights of its own "weight" and, at the end, "promote":true.
 * log_e reaches `limit` = ln(1/alpha): rollback. `excess`: the smallest excess
 * error rate that is excluded (1: none is), `need`: what the stage must exclude
 * before it is left (0: nothing). Types and keys that are not named here are ignored. */
#ifndef CUTOVER_JUDGE_PROTOCOL_H
#define CUTOVER_JUDGE_PROTOCOL_H

#include "judge/sequential.h"

struct buf;
struct err;

#define PROTOCOL_LINE 65536 /* bytes; a longer line is refused */

struct protocol {
	struct judge judge;
	struct judge_tuning tune;
	struct judge_stages stages;
	struct judge_history history;
	struct judge_point pending[2][JUDGE_RING]; /* seen since the last tick */
	bool started, running; /* the start was read; a tick was */
	bool counts;           /* slow requests are counted */
	int now;
};

void protocol_init(struct protocol *p, const struct judge_tuning *t, bool automatic);
/* Takes one line without its newline. 1: *out has the answer and a newline;
 * 0: nothing to answer; -1: ERR_INPUT, the sentence says what is wrong. */
int protocol_line(struct protocol *p, const char *line, size_t n, struct buf *out, struct err *e);
#endif

/* duration.h - ISO 8601 durations of fixed length ("PT5M", "P1DT2H", "PT0.5S").
 * Years and months are refused: they have no fixed length. */
#ifndef CUTOVER_BASE_DURATION_H
#define CUTOVER_BASE_DURATION_H

#include <stdint.h>

struct err;

int duration_parse(const char *s, int64_t *ms, struct err *e);
/* "1 h 5 min", "90 s", "250 ms": for people; at most two units. */
void duration_say(int64_t ms, char out[32]);
#endif

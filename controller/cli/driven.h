/* cli/driven.h - does anybody drive this run? */
#ifndef CUTOVER_CLI_DRIVEN_H
#define CUTOVER_CLI_DRIVEN_H

#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct run;
struct store;

struct store_said;

enum driven { DRIVEN_NO, DRIVEN_YES, DRIVEN_UNKNOWN }; /* its process cannot be seen from here */

/* At one look: from the holder's process. */
enum driven driven_look(const struct run *r);
/* {"driven": "yes"|"no"|"unknown", "driver": {"host", "pid"}}; without `driver` when nobody ever did. */
json_t *driven_json(const struct run *r, enum driven d);

/* What its driver says that it waits for just now; false: nothing that is of now. */
bool driven_said(struct store *s, const struct run *r, struct store_said *out);

/* By our own clock: a holder is alive while its process may exist and its signs
 * of life go on. Time in which they could not be read says nothing. Zeroed
 * before the first look. */
struct pulse {
	int64_t beats, since, looked;
	bool seen; /* a sign of life came while we looked */
};
bool driven_feel(struct pulse *p, const struct run *r, struct store *s);
#endif

/* aws/answer.h - reads what an answer must contain, or says what is missing.
 *
 * A missing element is never a default: whoever answered without it has told us
 * nothing, so these fail with ERR_UNSURE and name the element. */
#ifndef CUTOVER_AWS_ANSWER_H
#define CUTOVER_AWS_ANSWER_H

#include "base/json.h"

#include <stddef.h>

struct err;
struct xml;

/* The element at path below x; NULL and an error when it is not there. */
struct xml *answer_at(struct xml *x, const char *path, struct err *e);
/* Non-empty text that fits into out. */
int answer_text(struct xml *x, const char *path, char *out, size_t size, struct err *e);
int answer_int(struct xml *x, const char *path, int min, int max, int *out, struct err *e);
/* The same for JSON answers. */
int answer_json_text(const json_t *o, const char *key, char *out, size_t size, struct err *e);
int answer_json_int(const json_t *o, const char *key, int min, int max, int *out, struct err *e);
/* {k: v} of all <member><K>k</K><V>v</V></member> below list (NULL: empty); never NULL. */
json_t *answer_pairs(struct xml *list, const char *k, const char *v);
/* Text for people: cut to fit, and without what a terminal would obey. */
void answer_copy(char *out, size_t size, const char *s);
void answer_say(struct xml *x, const char *path, char *out, size_t size);
#endif

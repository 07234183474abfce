/* json.h - jansson with ownership by scope, and text made safe for it. */
#ifndef CUTOVER_BASE_JSON_H
#define CUTOVER_BASE_JSON_H

#include <jansson.h>

static inline void json_freep(json_t **j) { json_decref(*j); }
#define autojson __attribute__((cleanup(json_freep)))

/* Never NULL: bytes that are not UTF-8, and odd characters (text.h) except tab
 * and newline, become U+FFFD. Hook output and AWS texts go through here. */
json_t *json_text(const char *s);
json_t *json_text_n(const char *s, size_t n);
/* The same of what is one line: who somebody is, why he wants it. */
json_t *json_line(const char *s);
/* Lent; `or` when the key is absent or of another type. */
const char *json_str(const json_t *o, const char *key, const char *or);
json_int_t json_num(const json_t *o, const char *key, json_int_t or);
double json_dbl(const json_t *o, const char *key, double or);
int json_yes(const json_t *o, const char *key);
/* Compact text, odd characters as \uXXXX; caller frees. */
char *json_flat(const json_t *j);
#endif

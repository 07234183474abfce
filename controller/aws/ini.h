/* aws/ini.h - reads the AWS command line's two files as it reads them itself.
 * docs.aws.amazon.com/sdkref/latest/guide/file-format.html */
#ifndef CUTOVER_AWS_INI_H
#define CUTOVER_AWS_INI_H

#include <stddef.h>

struct err;
struct ini;

/* `from` names the file in errors. NULL and ERR_INPUT with file and line when
 * a line is none of section, setting, comment, or continuation. */
struct ini *ini_parse(const char *text, size_t n, const char *from, struct err *e);
void ini_free(struct ini *i);
static inline void ini_freep(struct ini **i) { ini_free(*i); }
#define autoini __attribute__((cleanup(ini_freep)))
/* Lent; NULL when absent. Sections of one name are one section; the last setting counts. */
const char *ini_get(const struct ini *i, const char *section, const char *key);
/* Is there such a section, even an empty one? */
int ini_has(const struct ini *i, const char *section);
/* Does any key of the section begin so? */
int ini_has_prefix(const struct ini *i, const char *section, const char *prefix);
#endif

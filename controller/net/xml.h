/* net/xml.h - just enough XML to read what AWS answers: a tree, made by expat.
 * DTDs are refused, depth and text have ceilings. */
#ifndef CUTOVER_NET_XML_H
#define CUTOVER_NET_XML_H

#include <stddef.h>

struct err;

struct xml {
	char *name;  /* without namespace prefix */
	char *text;  /* of a leaf; NULL when it has kids */
	struct xml *kid, *next, *up;
};

/* The document element; xml_free it. An answer that is not XML is ERR_UNSURE:
 * whoever sent it may have done what we asked. */
struct xml *xml_parse(const char *p, size_t n, struct err *e);
void xml_free(struct xml *x);
struct xml *xml_at(struct xml *x, const char *path);   /* "A/B/C" below x; first match or NULL; x may be NULL */
const char *xml_text(struct xml *x, const char *path); /* lent; "" when absent */
struct xml *xml_next(struct xml *x);                   /* next sibling of the same name */

static inline void xml_freep(struct xml **x) { xml_free(*x); }
#define autoxml __attribute__((cleanup(xml_freep)))
#endif

/* engine/copy.h - a driver's own copy of its run's lines, for the day the
 * journal is damaged, or an older one is put in its place. */
#ifndef CUTOVER_ENGINE_COPY_H
#define CUTOVER_ENGINE_COPY_H

struct copy;
struct err;
struct event;
struct store;

struct copy *copy_new(void);
void copy_free(struct copy *c);
void copy_keep(struct copy *c, const struct event *ev); /* the line after those that are kept */
/* All lines into a journal that has none of the run: the same chain, as long as
 * nothing had to be left out. Of a copy that grew beyond 64 MiB old verdicts and
 * notes are left out; a note that says so is in their place. */
int copy_write(const struct copy *c, const char *run, struct store *s, struct err *e);
#endif

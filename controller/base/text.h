/* text.h - text of others made fit for a line: of the journal, a terminal, a log.
 *
 * What people typed, a plan's file names, what AWS and programs answered: all of
 * it is data, and none may steer a terminal, print a line that looks like one of
 * ours, or turn what follows around. Used where such text comes in, and again
 * where it is shown, since journals may be older than this. */
#ifndef CUTOVER_BASE_TEXT_H
#define CUTOVER_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Bytes of the well-formed UTF-8 character at p, 0 when there is none (RFC 3629). */
size_t text_char(const char *p, size_t n);
/* Is that character (len bytes; 0 counts, too) one that must not be printed? All
 * control characters: C0 with tab and newline, DEL, C1 (U+0080 to U+009F); line
 * and paragraph separators; and what changes the direction of text (Unicode
 * UAX 9, 2: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069). */
bool text_is_odd(const char *p, size_t len);
unsigned text_code(const char *p, size_t len); /* Unicode's number of it */
/* A newline becomes "\n", two characters; a tab a space; other odd ones U+FFFD. */
void text_add_line(struct buf *out, const char *s, size_t n);
/* The same into a buffer, always terminated, never cut inside a character; s may be NULL. */
void text_line(char *out, size_t size, const char *s);
/* In place: newlines and tabs become spaces, other odd ones '?'. */
void text_clean(char *s);
#endif

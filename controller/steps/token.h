/* steps/token.h - short names made of long ones: what AWS cuts at 60 letters
 * still tells run, step and attempt apart. */
#ifndef CUTOVER_STEPS_TOKEN_H
#define CUTOVER_STEPS_TOKEN_H

#include <stddef.h>

/* The first digits (at most 32) of text's SHA-256, in hex; out: digits + 1. */
void token_hash(const char *text, size_t digits, char *out);
#endif

/* cli/columns.h - how wide text is on a terminal, and how it is folded there. */
#ifndef CUTOVER_CLI_COLUMNS_H
#define CUTOVER_CLI_COLUMNS_H

#include "base/buf.h"

/* Bytes of p[0..n) that fit into `room` columns. Escape sequences take none,
 * wide characters two, combining ones none; what is not UTF-8 one a byte. */
size_t columns_fit(const char *p, size_t n, int room);

/* Appends text's lines for a terminal of that size, each with "\033[2K" before
 * it, and gives their number. They are folded at words, and cut off instead
 * where that would be too high; the last line always stays. */
size_t columns_fold(const char *text, int width, int height, struct buf *out);
#endif

/* file.h - whole files in, whole files out. */
#ifndef CUTOVER_BASE_FILE_H
#define CUTOVER_BASE_FILE_H

#include <stddef.h>

struct err;

/* *text is NUL-terminated and the caller's to free. A file larger than max
 * is refused without reading it whole. */
int file_read(const char *path, size_t max, char **text, size_t *n, struct err *e);
/* A file is written beside, synced and renamed: a reader sees the old or the new
 * one, with the old one's mode. Links are followed. What is no file (a device, a
 * pipe) is written to. */
int file_write(const char *path, const char *text, size_t n, struct err *e);
/* mkdir -p with mode 0700. */
int file_mkdirs(const char *path, struct err *e);
#endif

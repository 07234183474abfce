/* Any bytes as a tables.json, as a manifest, and as what a server says of a column. */
#include "base/buf.h"
#include "mediawiki/internal.h"
#include "mediawiki/tree.h"
#include "mediawiki/verdict.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct err *e)
{
	if ((e->kind != ERR_INPUT && e->kind != ERR_GONE) || !*e->msg)
		abort();
}

/* What was taken can be written, is read again as the same, and is no different from itself. */
static void check_taken(const struct schema *s)
{
	autodiff struct schema_diff *d = schema_compare(s, s);
	autofree char *text = schema_text(s), *again = NULL;
	autojson json_t *doc = json_loads(text, 0, NULL);
	autoschema struct schema *b = NULL;
	struct err e = { 0 };

	if (d->n || !doc)
		abort();
	if (schema_from_json(doc, s->source, &b, &e))
		abort();
	again = schema_text(b);
	if (strcmp(text, again))
		abort();
}

static void as_tables(const uint8_t *data, size_t size)
{
	int fd = memfd_create("tables", MFD_CLOEXEC);
	autofree char *path = xasprintf("/proc/self/fd/%d", fd);
	autoschema struct schema *s = NULL;
	struct err e = { 0 };

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (schema_from_tree(&path, 1, NULL, 0, &s, &e))
		check_error(&e);
	else
		check_taken(s);
	close(fd);
}

static void as_manifest(const uint8_t *data, size_t size)
{
	autojson json_t *doc = json_loadb((const char *)data, size, 0, NULL);
	autoschema struct schema *s = NULL;
	struct err e = { 0 };

	if (!doc)
		return;
	if (schema_from_json(doc, "fuzz", &s, &e))
		check_error(&e);
	else
		check_taken(s);
}

/* The input's lines are the texts of one row. */
static void as_row(const uint8_t *data, size_t size)
{
	autofree char *text = xstrndup((const char *)data, size);
	autoschema struct schema *s = schema_new("fuzz");
	const char *at[5] = { 0 };
	struct err e = { 0 };
	char *save = NULL;

	for (size_t i = 0; i < COUNT(at); i++)
		at[i] = strtok_r(i ? NULL : text, "\n", &save);
	schema_set_origin(s, size % 2 ? SCHEMA_MARIADB : SCHEMA_MYSQL, NULL);
	if (schema_add_table(s, &(struct schema_table_row){ "t", "BASE TABLE", "InnoDB", at[4] }, &e) ||
	    schema_add_column(s, &(struct schema_column_row){ "t", "c", at[0], at[1], at[2], at[3], at[4] }, &e) ||
	    schema_add_index(s, &(struct schema_index_row){ "t", at[0], at[1], at[2], at[3], at[4] }, &e) || schema_seal(s, &e)) {
		check_error(&e);
		return;
	}
	autodiff struct schema_diff *d = schema_compare(s, s);

	if (d->n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_tables(data, size);
	as_manifest(data, size);
	as_row(data, size);
	return 0;
}

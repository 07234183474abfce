/* type.c - canonical types taken apart, so that wider and narrower can be told. */
#include "mediawiki/internal.h"

#include <ctype.h>
#include <string.h>

static const struct {
	const char *word;
	enum type_family family;
	uint64_t size; /* 0: in brackets */
	bool fixed;
} words[] = {
	{ "tinyint", TYPE_INT, 8, false }, { "smallint", TYPE_INT, 16, false }, { "mediumint", TYPE_INT, 24, false },
	{ "int", TYPE_INT, 32, false }, { "bigint", TYPE_INT, 64, false },
	{ "float", TYPE_FLOAT, 24, false }, { "double", TYPE_FLOAT, 53, false }, { "decimal", TYPE_DECIMAL, 0, false },
	{ "binary", TYPE_BYTES, 0, true }, { "varbinary", TYPE_BYTES, 0, false },
	{ "tinyblob", TYPE_BYTES, 255, false }, { "blob", TYPE_BYTES, 65535, false },
	{ "mediumblob", TYPE_BYTES, 16777215, false }, { "longblob", TYPE_BYTES, 4294967295, false },
	{ "char", TYPE_TEXT, 0, true }, { "varchar", TYPE_TEXT, 0, false },
	{ "tinytext", TYPE_TEXT, 255, false }, { "text", TYPE_TEXT, 65535, false },
	{ "mediumtext", TYPE_TEXT, 16777215, false }, { "longtext", TYPE_TEXT, 4294967295, false },
	{ "enum", TYPE_ENUM, 0, false },
	{ "timestamp", TYPE_TIME, 1, false }, { "datetime", TYPE_TIME, 2, false },
};

static void read_brackets(const char *s, struct type *t)
{
	char *end;

	if (*s != '(')
		return;
	if (t->family == TYPE_ENUM) {
		t->values = s + 1;
		return;
	}
	if (!isdigit((unsigned char)s[1]))
		return;
	if (t->family == TYPE_TIME) /* of datetime(6): digits of a second */
		return;
	t->size = strtoull(s + 1, &end, 10);
	if (*end == ',' && isdigit((unsigned char)end[1]))
		t->scale = (unsigned)strtoul(end + 1, NULL, 10);
}

void type_parse(const char *s, struct type *out)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz");

	*out = (struct type){ .family = TYPE_OTHER, .word = s, .nword = n };
	for (size_t i = 0; i < COUNT(words); i++)
		if (strlen(words[i].word) == n && !strncmp(s, words[i].word, n)) {
			out->family = words[i].family;
			out->size = words[i].size;
			out->fixed = words[i].fixed;
		}
	read_brackets(s + n, out);
	out->is_unsigned = out->family != TYPE_ENUM && strstr(s + n, " unsigned");
}

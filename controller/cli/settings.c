#include "cli/settings.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

/* What a plan calls them, and the judge. */
static const struct { const char *plan, *judge; } aliases[] = { { "false_rollback", "alpha" }, { "missed", "beta" } };

static const char *without_prefix(const char *name)
{
	static const char *const prefixes[] = { "watch.judge.settings.", "watch.judge.", "watch." };

	for (size_t i = 0; i < COUNT(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return name + strlen(prefixes[i]);
	return name;
}

static const struct judge_tunable *find(const char *name)
{
	const struct judge_tunable *row;

	for (size_t i = 0; i < COUNT(aliases); i++)
		if (!strcmp(aliases[i].plan, name))
			name = aliases[i].judge;
	for (size_t i = 0; (row = judge_tunable(i)); i++)
		if (!strcmp(row->name, name))
			return row;
	return NULL;
}

/* "0.5%" is .005. */
static bool number(const char *s, double *out)
{
	char *end;

	*out = strtod(s, &end);
	if (end != s && *end == '%') {
		*out /= 100;
		end++;
	}
	return end != s && !*end;
}

static int take(const struct cli *c, const char *given, struct judge_tuning *t)
{
	const char *eq = strchr(given, '=');
	autofree char *name = xstrndup(given, eq ? (size_t)(eq - given) : strlen(given));
	const struct judge_tunable *row = find(without_prefix(name));
	double v = 0;

	if (!row)
		return cli_usage(c, "--set %s: there is no such setting; `cutover judge --settings` lists them as NAME VALUE", given);
	if (!eq || !number(eq + 1, &v) || !judge_tune(t, row->name, v))
		return cli_usage(c, "--set %s: %s may be %g to %g", given, name, row->min, row->max);
	return 0;
}

int settings_take(const struct cli *c, struct judge_tuning *t)
{
	const char *given;
	int rc = 0;

	for (int i = 0; !rc && (given = cli_each(c, "set", i)); i++)
		rc = take(c, given, t);
	return rc;
}

void settings_print(const struct judge_tuning *t)
{
	const struct judge_tunable *row;

	for (size_t i = 0; (row = judge_tunable(i)); i++)
		printf("%-14s %-8g %g to %g: %s\n", row->name, *(const double *)(const void *)((const char *)t + row->at),
		       row->min, row->max, row->about);
}

/* plan/errors.c - the list of errors, and the nearest name for a typing mistake. */
#include "plan/internal.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define MAX_ERRORS 100   /* shown; one more says that there are more */
#define MAX_KEY 60

static void at_print(const struct at *at, struct buf *out)
{
	if (!at)
		return;
	at_print(at->up, out);
	if (at->key)
		buf_addf(out, "%s%.*s", out->len ? "." : "", MAX_KEY, at->key);
	else
		buf_addf(out, "[%zu]", at->i);
}

static char *errs_text(const char *s)
{
	autobuf struct buf line = BUF_MAX(8192);

	text_add_line(&line, s ? s : "", s ? strlen(s) : 0);
	return buf_take(&line);
}

void errs_addv(struct plan_errors *errs, int line, const struct at *at, const char *fmt, va_list ap)
{
	autobuf struct buf path = BUF_MAX(4096);
	char text[700];

	if (errs->n > MAX_ERRORS)
		return;
	vsnprintf(text, sizeof text, fmt, ap);
	if (errs->n == MAX_ERRORS)
		snprintf(text, sizeof text, "there are more errors than the %d shown", MAX_ERRORS);
	else
		at_print(at, &path);
	errs->at = xrealloc(errs->at, (errs->n + 1) * sizeof *errs->at);
	errs->at[errs->n++] = (struct plan_error){ line, errs_text(path.p), errs_text(text) };
}

void errs_add(struct plan_errors *errs, int line, const struct at *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	errs_addv(errs, line, at, fmt, ap);
	va_end(ap);
}

/* By line; errors of one line stay in the order they were found, and "there are more" last. */
void errs_sort(struct plan_errors *errs)
{
	for (size_t i = 1; i < errs->n && i < MAX_ERRORS; i++) {
		struct plan_error x = errs->at[i];
		size_t j = i;

		for (; j && errs->at[j - 1].line > x.line; j--)
			errs->at[j] = errs->at[j - 1];
		errs->at[j] = x;
	}
}

void plan_errors_free(struct plan_errors *errs)
{
	for (size_t i = 0; i < errs->n; i++) {
		free(errs->at[i].path);
		free(errs->at[i].text);
	}
	free(errs->at);
	*errs = (struct plan_errors){ 0 };
}

void plan_errors_print(const struct plan_errors *errs, const char *file, struct buf *out)
{
	for (size_t i = 0; i < errs->n; i++) {
		const struct plan_error *x = &errs->at[i];

		text_add_line(out, file ? file : "plan", file ? strlen(file) : 4);
		if (x->line)
			buf_addf(out, ":%d", x->line);
		buf_addf(out, ": %s%s%s\n", x->path, x->path[0] ? " " : "", x->text);
	}
}

/* --- nearest name ------------------------------------------------------------------- */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

#define MAX_NAME 48
/* How many letters to add, drop, change or swap (optimal string alignment). */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), d[MAX_NAME + 1][MAX_NAME + 1];

	if (n > MAX_NAME || m > MAX_NAME)
		return MAX_NAME;
	for (size_t i = 0; i <= n; i++)
		for (size_t j = 0; j <= m; j++) {
			d[i][j] = i + j;
			if (!i || !j)
				continue;
			d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[n][m];
}

static const char *nearest(const char *name, const char *const *names, size_t n)
{
	size_t best = strlen(name) < 5 ? 2 : 3;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(name, names[i]);

		if (d < best) {
			best = d;
			found = names[i];
		}
	}
	return found;
}

char *name_hint(const char *name, const char *const *names, size_t n)
{
	autobuf struct buf list = BUF_MAX(2048);
	const char *near = nearest(name, names, n);

	if (near)
		return xasprintf("; did you mean \"%s\"?", near);
	for (size_t i = 0; i < n; i++)
		buf_addf(&list, "%s%s", i ? ", " : "; allowed: ", names[i]);
	buf_adds(&list, "");
	return buf_take(&list);
}

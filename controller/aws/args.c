#include "aws/core.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ARGS_MAX  4000
#define BYTES_MAX ((size_t)1 << 20)

struct aws_args {
	struct kv *at; /* both owned */
	size_t n, cap, bytes;
	bool full;
};

struct aws_args *aws_args_new(void)
{
	return xcalloc(1, sizeof(struct aws_args));
}

void aws_args_free(struct aws_args **args)
{
	struct aws_args *a = *args;

	for (size_t i = 0; a && i < a->n; i++) {
		free((char *)a->at[i].k);
		free((char *)a->at[i].v);
	}
	if (a)
		free(a->at);
	free(a);
	*args = NULL;
}

/* Takes k, copies v. */
static void add(struct aws_args *a, char *k, const char *v)
{
	a->bytes += strlen(k) + strlen(v);
	if (a->n == ARGS_MAX || a->bytes > BYTES_MAX) {
		a->full = true;
		free(k);
		return;
	}
	if (a->n == a->cap) {
		a->cap = a->cap ? 2 * a->cap : 16;
		a->at = xrealloc(a->at, a->cap * sizeof *a->at);
	}
	a->at[a->n++] = (struct kv){ k, xstrdup(v) };
}

void aws_arg(struct aws_args *args, const char *value, const char *key_fmt, ...)
{
	autobuf struct buf key = BUF_MAX(4096);
	va_list ap;

	if (!value)
		return;
	va_start(ap, key_fmt);
	buf_addv(&key, key_fmt, ap);
	va_end(ap);
	if (key.full)
		args->full = true;
	add(args, buf_take(&key), value);
}

/* Lists are <member>, maps are <entry>; both count from 1. */
static bool is_listed(const struct xml *x)
{
	return !strcmp(x->name, "member") || !strcmp(x->name, "entry");
}

static bool is_blank(const char *s)
{
	return !s || !s[strspn(s, " \t\r\n")];
}

void aws_arg_tree(struct aws_args *args, const struct xml *x, const char *prefix)
{
	int nth = 0;

	if (!x)
		return;
	if (!x->kid && !is_blank(x->text))
		aws_arg(args, x->text, "%s", prefix);
	for (const struct xml *k = x->kid; k; k = k->next) {
		autofree char *below = is_listed(k) ? xasprintf("%s.%s.%d", prefix, k->name, ++nth) :
						      xasprintf("%s.%s", prefix, k->name);

		aws_arg_tree(args, k, below);
	}
}

bool args_too_long(const struct aws_args *args)
{
	return args && args->full;
}

size_t args_pairs(const struct aws_args *args, const struct kv **out)
{
	*out = args ? args->at : NULL;
	return args ? args->n : 0;
}

static void form_text(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-_.~", *s))
			buf_add(b, s, 1);
		else
			buf_addf(b, "%%%02X", (unsigned char)*s);
	}
}

void args_form(const struct aws_args *args, struct buf *out)
{
	for (size_t i = 0; args && i < args->n; i++) {
		if (out->len)
			buf_adds(out, "&");
		form_text(out, args->at[i].k);
		buf_adds(out, "=");
		form_text(out, args->at[i].v);
	}
}

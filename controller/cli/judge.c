/* cutover judge - the judge behind a pipe, as a run uses it: one line in, at each
 * tick one line out, written at once. */
#include "base/buf.h"
#include "base/err.h"
#include "cli/cli.h"
#include "judge/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct pipe {
	struct protocol protocol;
	char in[PROTOCOL_LINE]; /* of which `n` bytes wait for their newline */
	size_t n;
	unsigned long line;     /* for messages */
	struct buf out;
};

static int write_all(const struct buf *b, struct err *e)
{
	for (size_t done = 0; done < b->len;) {
		ssize_t n = write(STDOUT_FILENO, b->p + done, b->len - done);

		if (n < 0 && errno != EINTR)
			return err_set(e, ERR_STORE, "the verdict could not be written: %m");
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int take_line(struct pipe *p, const char *s, size_t n, struct err *e)
{
	int rc;

	p->line++;
	if (n && s[n - 1] == '\r')
		n--;
	if (!n)
		return 0;
	rc = protocol_line(&p->protocol, s, n, &p->out, e);
	if (rc < 0)
		return err_wrap(e, "line %lu of standard input", p->line);
	rc = write_all(&p->out, e);
	buf_clear(&p->out);
	return rc;
}

/* All whole lines; what is left moves to the front. */
static int take_lines(struct pipe *p, struct err *e)
{
	char *at = p->in, *end = p->in + p->n, *nl;

	for (; (nl = memchr(at, '\n', (size_t)(end - at))); at = nl + 1)
		if (take_line(p, at, (size_t)(nl - at), e))
			return -1;
	p->n = (size_t)(end - at);
	memmove(p->in, at, p->n);
	if (p->n == sizeof p->in)
		return err_set(e, ERR_INPUT, "line %lu of standard input is longer than %d bytes", p->line + 1, PROTOCOL_LINE);
	return 0;
}

static int listen_to_all(struct pipe *p, struct err *e)
{
	ssize_t n;

	while ((n = read(STDIN_FILENO, p->in + p->n, sizeof p->in - p->n))) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, ERR_INPUT, "standard input could not be read: %m");
		p->n += (size_t)n;
		if (take_lines(p, e))
			return -1;
	}
	return take_line(p, p->in, p->n, e);
}

/* --- settings ------------------------------------------------------------------------- */

static int bad_setting(const struct cli *c, const char *given)
{
	const struct judge_tunable *t;

	for (size_t i = 0; (t = judge_tunable(i)); i++)
		if (!strncmp(given, t->name, strlen(t->name)) && given[strlen(t->name)] == '=')
			return cli_usage(c, "--set %s: %s may be %g to %g", given, t->name, t->min, t->max);
	return cli_usage(c, "--set %s: there is no such setting; `cutover judge --settings` lists them as NAME=VALUE", given);
}

static int take_settings(const struct cli *c, struct judge_tuning *t)
{
	const char *given;

	for (int i = 0; (given = cli_each(c, "set", i)); i++) {
		const char *eq = strchr(given, '=');
		autofree char *name = xstrndup(given, eq ? (size_t)(eq - given) : strlen(given));
		char *end = NULL;
		double v = eq ? strtod(eq + 1, &end) : 0;

		if (!eq || end == eq + 1 || *end || !judge_tune(t, name, v))
			return bad_setting(c, given);
	}
	return 0;
}

static int print_settings(const struct judge_tuning *t)
{
	const struct judge_tunable *row;

	for (size_t i = 0; (row = judge_tunable(i)); i++)
		printf("%-14s %-8g %g to %g: %s\n", row->name, *(const double *)(const void *)((const char *)t + row->at),
		       row->min, row->max, row->about);
	return CUTOVER_EXIT_OK;
}

static int run(struct cli *c)
{
	autofree struct pipe *p = xcalloc(1, sizeof *p);
	struct judge_tuning t;
	struct err e = { 0 };
	int rc;

	(cli_opt(c, "reference") ? judge_tuning_reference : judge_tuning_usual)(&t);
	rc = take_settings(c, &t);
	if (rc)
		return rc;
	if (cli_opt(c, "settings"))
		return print_settings(&t);
	p->out = (struct buf)BUF_MAX(PROTOCOL_LINE);
	protocol_init(&p->protocol, &t, cli_opt(c, "auto") != NULL);
	rc = listen_to_all(p, &e);
	buf_free(&p->out);
	return rc ? cli_fail(&e) : CUTOVER_EXIT_OK;
}

const struct cli_command cli_judge = {
	.name = "judge", .args = "", .about = "judge a cutover told on standard input, one verdict a tick", .run = run,
	.options = (const struct cli_option[]){
		{ "auto", NULL, "the judge names the weights itself" },
		{ "reference", NULL, "with the settings of the published candidate, to compare" },
		{ "set", "NAME=VALUE", "another value for a setting; may be given several times" },
		{ "settings", NULL, "print the settings, their values and bounds" }, { 0 } },
	.detail = "The code that judges a run, behind a pipe. JSON lines in: start, history, obs, tick; one JSON line\n"
		  "out for each tick (controller/judge/protocol.h). No network, no journal.",
};

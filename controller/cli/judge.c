/* cutover judge - the judge behind a pipe, as a run uses it: one line in, at each
 * tick one line out, written at once. */
#include "base/buf.h"
#include "base/err.h"
#include "cli/settings.h"
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

static int run(struct cli *c)
{
	autofree struct pipe *p = xcalloc(1, sizeof *p);
	struct judge_tuning t;
	struct err e = { 0 };
	int rc;

	(cli_opt(c, "reference") ? judge_tuning_reference : judge_tuning_usual)(&t);
	rc = settings_take(c, &t);
	if (rc)
		return rc;
	if (cli_opt(c, "settings")) {
		settings_print(&t);
		return CUTOVER_EXIT_OK;
	}
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
		SETTINGS_OPTION,
		{ "settings", NULL, "print the settings, their values and bounds" }, { 0 } },
	.detail = "The code that judges a run, behind a pipe. JSON lines in: start, history, obs, tick; one JSON line\n"
		  "out for each tick (controller/judge/protocol.h). No network, no journal.",
};

/* credential_process: a program that prints credentials.
 * docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html */
#include "aws/core.h"
#include "aws/cred_sources.h"
#include "base/proc.h"

#include <string.h>
#include <unistd.h>

#define WAIT_MS    60000
#define OUTPUT_MAX ((size_t)64 << 10)
#define WORDS_MAX  64

void command_free(char ***words)
{
	for (size_t i = 0; *words && (*words)[i]; i++)
		free((*words)[i]);
	free(*words);
	*words = NULL;
}

/* One word from *p into b; false when a quote stays open. Inside '...' nothing
 * is special, inside "..." a backslash keeps only " and itself. */
static bool read_word(const char **p, struct buf *b)
{
	char quote = 0;

	for (; **p && (quote || !strchr(" \t", **p)); (*p)++) {
		bool escape = **p == '\\' && quote != '\'' && (*p)[1] &&
			      (!quote || strchr("\"\\", (*p)[1]));

		if (escape)
			buf_add(b, ++*p, 1);
		else if (quote ? **p == quote : **p == '"' || **p == '\'')
			quote = quote ? 0 : **p;
		else
			buf_add(b, *p, 1);
	}
	return !quote;
}

char **command_split(const char *line)
{
	autowords char **words = xcalloc(WORDS_MAX + 1, sizeof *words);
	size_t n = 0;

	for (const char *p = line + strspn(line, " \t"); *p; p += strspn(p, " \t")) {
		autobuf struct buf word = BUF_MAX(8192);

		if (n == WORDS_MAX || !read_word(&p, &word) || word.full)
			return NULL;
		words[n++] = buf_take(&word);
	}
	return n ? steal(&words) : NULL;
}

/* Its stderr explains; its stdout may hold keys and is never shown. */
static int explain(const struct proc_result *r, const char *program, const char *source,
		   struct err *e)
{
	const char *errs = r->errs + strspn(r->errs, " \t\r\n");

	if (r->timed_out)
		err_set(e, ERR_DENIED, "%s: credential_process %s did not end within %d s", source,
			program, WAIT_MS / 1000);
	else if (r->status)
		err_set(e, ERR_DENIED, "%s: credential_process %s ended with status %d%s%.300s", source,
			program, r->status, *errs ? ": " : "", errs);
	else if (r->capped)
		err_set(e, ERR_DENIED, "%s: credential_process %s printed more than %zu bytes", source,
			program, OUTPUT_MAX);
	else
		return 0;
	return -1;
}

static int read_output(const struct proc_result *r, const char *source, struct cred *out,
		       struct err *e)
{
	autojson json_t *j = json_loadb(r->out, r->nout, 0, NULL);

	if (json_is_object(j) && json_num(j, "Version", 0) != 1)
		return err_set(e, ERR_DENIED, "%s: credential_process answers without \"Version\": 1", source);
	return cred_read_json(r->out, r->nout, "SessionToken", source, out, e);
}

int cred_run_process(const char *command, const char *source, struct cred *out, struct err *e)
{
	autowords char **words = command_split(command);
	autoproc struct proc_result r = { .status = 0 };
	int rc;

	if (!words)
		return err_set(e, ERR_DENIED, "%s: credential_process is not a command line: a quote is "
			       "open, it is empty, or it is too long", source);
	/* the environment goes along: it says where the program's own logins are */
	if (proc_run_apart((const char *const *)words, (const char *const *)environ, NULL, WAIT_MS,
			   OUTPUT_MAX, &r, e))
		return err_wrap(e, "%s: credential_process", source);
	rc = explain(&r, words[0], source, e) ? -1 : read_output(&r, source, out, e);
	explicit_bzero(r.out, r.nout);
	return rc;
}

#include "aws/secrets.h"

#include "aws/aws.h"
#include "base/buf.h"
#include "base/err.h"

#include <string.h>

void secret_free(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

int secret_get(struct aws *a, const char *id, char **text, struct err *e)
{
	autojson json_t *in = json_pack("{s:s}", "SecretId", id);
	autojson json_t *answer = NULL;
	const char *s;

	if (!in)
		return err_set(e, ERR_INPUT, "the name of the secret is not UTF-8");
	if (aws_json(a, SECRETS_GET_SECRET_VALUE, in, &answer, e))
		return err_wrap(e, "reading secret %.200s", id);
	s = json_str(answer, "SecretString", NULL);
	if (!s && json_object_get(answer, "SecretBinary"))
		return err_set(e, ERR_INPUT, "secret %.200s holds bytes; store it as text: {\"username\": ..., "
			       "\"password\": ...}", id);
	if (!s)
		return err_set(e, ERR_UNSURE, "secret %.200s: AWS answered without SecretString", id);
	*text = xstrdup(s);
	return 0;
}

/* The password must be there; jansson's own message could quote it, so none is passed on. */
static int read_login(const json_t *doc, const char *id, char **user, char **password, struct err *e)
{
	const char *u = json_str(doc, "username", NULL), *p = json_str(doc, "password", NULL);

	if (!p || !*p)
		return err_set(e, ERR_INPUT, "secret %.200s is not of the form {\"username\": ..., \"password\": ...} "
			       "that RDS uses: its password is missing", id);
	*user = u && *u ? xstrdup(u) : NULL;
	*password = xstrdup(p);
	return 0;
}

int secret_login(struct aws *a, const char *id, char **user, char **password, struct err *e)
{
	autosecret char *text = NULL;
	autojson json_t *doc = NULL;

	if (secret_get(a, id, &text, e))
		return -1;
	doc = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	return read_login(doc, id, user, password, e);
}

#include "aws/core.h"
#include "aws/cred_sources.h"

#include <string.h>

/* Instance metadata says how it went in Code; the others have none. */
static int check(const json_t *j, const char *id, const char *secret, const char *source,
		 struct err *e)
{
	const char *code = json_str(j, "Code", "Success");

	if (strcmp(code, "Success"))
		err_set(e, ERR_DENIED, "%s answers %.60s: %.200s", source, code,
			json_str(j, "Message", json_str(j, "message", "")));
	else if (!*id || !*secret)
		err_set(e, ERR_DENIED, "%s answers without AccessKeyId or SecretAccessKey", source);
	else
		return 0;
	return -1;
}

int cred_read_json(const char *text, size_t n, const char *token_key, const char *source,
		   struct cred *out, struct err *e)
{
	autojson json_t *j = json_loadb(text, n, 0, NULL);
	const char *id = json_str(j, "AccessKeyId", ""), *secret = json_str(j, "SecretAccessKey", "");
	const char *ends = json_str(j, "Expiration", NULL);
	int64_t expires = ends ? clock_parse_iso(ends) : 0;

	/* the text stays out of the message: it may hold the keys */
	if (!json_is_object(j))
		return err_set(e, ERR_DENIED, "%s does not answer with a JSON object", source);
	if (check(j, id, secret, source, e))
		return -1;
	if (expires < 0)
		return err_set(e, ERR_DENIED, "%s answers with an Expiration that is not a time like "
			       "2026-11-22T02:00:00Z", source);
	cred_set(out, id, secret, json_str(j, token_key, NULL), expires, source);
	return 0;
}

/* Any bytes as the AWS configuration file, and as a credential_process line. */
#include "aws/cred_sources.h"

#include "aws/ini.h"
#include "base/buf.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	autoini struct ini *i = ini_parse((const char *)data, size, "file", &e);
	autofree char *line = xstrndup((const char *)data, size);
	autowords char **words = command_split(line);
	struct cred c = { .id = NULL };

	if (!i && (e.kind != ERR_INPUT || strncmp(e.msg, "file line ", 10)))
		abort();
	if (i && ini_get(i, "default", "region") && !ini_has(i, "default"))
		abort();
	if (words && !words[0])
		abort();
	if (!cred_read_json((const char *)data, size, "Token", "fuzz", &c, &e) && (!c.id || !c.secret))
		abort();
	cred_free(&c);
	return 0;
}

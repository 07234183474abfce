#include "base/buf.h"
#include "base/err.h"
#include "cli/follow.h"
#include "store/store.h"

static int run(struct cli *c)
{
	autostore struct store *s = NULL;
	autofree char *id = NULL;
	struct err e = { 0 };

	if (cli_store(c, &s, &e) || cli_run(c, s, &id, &e))
		return cli_fail(&e);
	return follow_run(c, s, id);
}

const struct cli_command cli_watch = {
	.name = "watch", .args = "[RUN]", .about = "show a run that another process drives, live", .run = run, .acts = true,
	.max_args = 1,
};

/* cli/order.h - what promote, rollback, pause, resume and retry share. */
#ifndef CUTOVER_CLI_ORDER_H
#define CUTOVER_CLI_ORDER_H

#include "cli/cli.h"

#define ORDER_OPTIONS                                                                                  \
	{ "reason", "TEXT", "goes into the journal" },                                                 \
	{ "id", "ID", "the order is taken once per id: hooks may repeat it" },                         \
	{ "no-wait", NULL, "write the order and leave; a driver is started in the background when nobody drives" }

/* Checks that the run can take the order, appends it, and shows the run to its
 * end; drives it when nobody does. */
int order_run(struct cli *c, const char *order);
#endif

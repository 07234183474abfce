/* cli/order.h - what promote, rollback, pause, resume and retry share. */
#ifndef CUTOVER_CLI_ORDER_H
#define CUTOVER_CLI_ORDER_H

#include "cli/cli.h"
#include "engine/orders.h"

#define ORDER_OPTIONS                                                                                  \
	{ "reason", "TEXT", "goes into the journal" },                                                 \
	{ "id", "ID", "the order is taken once per id: hooks may repeat it" },                         \
	{ "no-wait", NULL, "write the order and leave; a driver is started in the background when nobody drives" }

/* Refuses an order that would have no effect; else appends it, says what it
 * did, and shows the run to its end; drives it when nobody does. Options of
 * promote: --answer, --full, --skip-bake. */
int order_run(struct cli *c, enum order_kind kind);
#endif

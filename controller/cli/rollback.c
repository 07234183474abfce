#include "cli/order.h"

static int run(struct cli *c)
{
	return order_run(c, ORDER_ROLLBACK);
}

const struct cli_command cli_rollback = {
	.name = "rollback", .args = "[RUN]", .about = "take traffic back to blue, in whatever state the run is", .run = run, .acts = true, .max_args = 1,
	.options = (const struct cli_option[]){ ORDER_OPTIONS, { 0 } },
	.detail = "Without a living driver this process drives the way back itself.",
};

#include "cli/order.h"

static int run(struct cli *c)
{
	return order_run(c, ORDER_RETRY);
}

const struct cli_command cli_retry = {
	.name = "retry", .args = "[RUN]", .about = "try a run again that was rolled back or refused", .run = run, .acts = true, .max_args = 1,
	.options = (const struct cli_option[]){ ORDER_OPTIONS, { 0 } },
	.detail = "A new attempt with the baseline of the first one.",
};

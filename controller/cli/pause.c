#include "cli/order.h"

static int run(struct cli *c)
{
	return order_run(c, ORDER_PAUSE);
}

const struct cli_command cli_pause = {
	.name = "pause", .args = "[RUN]", .about = "hold before the next step; the watch goes on", .run = run, .acts = true, .max_args = 1,
	.options = (const struct cli_option[]){ ORDER_OPTIONS, { 0 } },
};

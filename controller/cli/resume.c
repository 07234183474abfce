#include "cli/order.h"

static int run(struct cli *c)
{
	return order_run(c, ORDER_RESUME);
}

const struct cli_command cli_resume = {
	.name = "resume", .args = "[RUN]", .about = "go on after a pause, after somebody else changed the weights, or after a crash", .run = run, .acts = true, .max_args = 1,
	.options = (const struct cli_option[]){ ORDER_OPTIONS, { 0 } },
	.detail = "Needs no flag after a crash: the first step that is not done is where it goes on.",
};

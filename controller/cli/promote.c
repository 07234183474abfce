#include "cli/order.h"

static int run(struct cli *c)
{
	return order_run(c, "promote");
}

const struct cli_command cli_promote = {
	.name = "promote", .args = "[RUN]", .about = "go on: answer the approval, or end the bake, that the run waits for", .run = run, .acts = true, .max_args = 1,
	.options = (const struct cli_option[]){ { "full", NULL, "answer all later ones too" },ORDER_OPTIONS, { 0 } },
	.detail = "A verdict of BAD or BLIND is never overruled by this.",
};

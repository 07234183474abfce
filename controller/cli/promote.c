#include "cli/order.h"

static int run(struct cli *c)
{
	const char *reason = cli_opt(c, "reason"), *skip = cli_opt(c, "skip-bake");

	if (!skip)
		return order_run(c, ORDER_PROMOTE);
	if (cli_opt(c, "answer") || cli_opt(c, "full"))
		return cli_usage(c, "--skip-bake ends one bake and answers nothing: give it without --answer and --full");
	if (!reason || !*reason)
		return cli_usage(c, "--skip-bake overrules missing evidence: say why with --reason");
	return order_run(c, ORDER_SKIP_BAKE);
}

const struct cli_command cli_promote = {
	.name = "promote", .args = "[RUN]", .about = "say yes to what the run asks; or end a bake", .run = run, .acts = true, .max_args = 1,
	.options = (const struct cli_option[]){
		{ "answer", "STEP[@LINE]", "the question that is meant; else the one that is open" },
		{ "full", NULL, "yes to every later question of this attempt, too; bakes still take their time" },
		{ "skip-bake", "STEP", "end the bake of this step, on too little evidence; needs --reason" },
		ORDER_OPTIONS, { 0 } },
	.detail = "An answer is for one question: who comes second is told who answered, with exit code 5.\n"
		  "A verdict of BAD or BLIND is never overruled by this.",
};

#include "cli/cli.h"

extern const struct cli_command cli_check, cli_explain, cli_simulate, cli_start, cli_status, cli_watch,
	cli_report, cli_events, cli_list, cli_promote, cli_rollback, cli_pause, cli_resume, cli_retry, cli_wait,
	cli_verify, cli_doctor, cli_plan_schema, cli_states, cli_schema, cli_stacks, cli_judge, cli_replay,
	cli_backtest;

const struct cli_command *const cli_commands[] = {
	&cli_check, &cli_explain, &cli_simulate, &cli_start, &cli_status, &cli_watch, &cli_wait, &cli_report,
	&cli_events, &cli_list, &cli_promote, &cli_rollback, &cli_pause, &cli_resume, &cli_retry, &cli_verify,
	&cli_doctor, &cli_states, &cli_schema, &cli_plan_schema, &cli_stacks, &cli_judge, &cli_replay, &cli_backtest, NULL,
};

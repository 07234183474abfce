/* cli/cli.h - a command is a row: name, arguments, options, function. Help and
 * completion are printed from the same rows the parser reads. */
#ifndef CUTOVER_CLI_CLI_H
#define CUTOVER_CLI_CLI_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

struct clock;
struct err;
struct store;

enum exit_code { /* of every command */
	CUTOVER_EXIT_OK = 0,          /* done as asked; start, wait: promoted and proved */
	CUTOVER_EXIT_INTERNAL = 1,
	CUTOVER_EXIT_USAGE = 2,       /* usage or invalid plan; nothing touched */
	CUTOVER_EXIT_ROLLED_BACK = 3, /* traffic proved on blue */
	CUTOVER_EXIT_FROZEN = 4,      /* a person is needed */
	CUTOVER_EXIT_REFUSED = 5,     /* refused by a safety check; nothing touched */
	CUTOVER_EXIT_HELD = 6,        /* another controller holds the run */
	CUTOVER_EXIT_RUNNING = 7,     /* still running when the wait ended */
};

struct cli_option {
	const char *name;  /* long, without dashes; NULL ends the table */
	const char *arg;   /* what its value is called; NULL: a flag */
	const char *about;
};

#define CLI_OPTIONS 32
#define CLI_GIVEN 64   /* options on one command line */
struct cli {
	const struct cli_command *command;
	int argc;          /* positional arguments */
	char **argv;
	const char *state; /* the journal's file */
	bool json, color, tty;
	bool began;        /* the command itself: not its help, not a usage error */
	const char *value[CLI_OPTIONS]; /* by the option's place in the table */
	struct { int option; const char *value; } given[CLI_GIVEN]; /* all of them, in order */
	int ngiven;
};

struct cli_command {
	const char *name, *args, *about;
	int (*run)(struct cli *c);
	const struct cli_option *options; /* may be NULL */
	int min_args, max_args;
	bool acts;                        /* its exit code is of what was done; else printing is what it does */
	const char *detail;               /* more for --help; may be NULL */
};
extern const struct cli_command *const cli_commands[]; /* NULL ends */

const char *cli_opt(const struct cli *c, const char *name); /* NULL: not given; "" for a given flag */
const char *cli_each(const struct cli *c, const char *name, int i); /* the i-th time it was given; NULL: no more */
const char *cli_arg(const struct cli *c, int i);            /* NULL: not given */
/* Prints "cutover: message" and gives the exit code of its kind. */
int cli_fail(const struct err *e);
int cli_usage(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *cli_state_path(const struct cli *c); /* the journal's file; caller frees */
/* Prints a document on one line and gives it back to whom it belongs: nobody. */
void cli_print_json(json_t *doc);
/* Opens the journal that is there; who only looks, or orders, makes none. ERR_GONE: there are no runs. */
int cli_store(const struct cli *c, struct store **out, struct err *e);
/* Makes it when it is not there, and its folders. */
int cli_store_made(const struct cli *c, struct store **out, struct err *e);
/* find.c: the run that RUN names; the beginning of its name is enough, when no
 * other run's begins so. Without RUN: the one that is not over, to read another
 * one too, and stderr says which; an order wants exactly one that is not over,
 * and else lists what there is (ERR_GATE). Caller frees. */
int cli_run(const struct cli *c, struct store *s, char **id, struct err *e);
int cli_run_to_order(const struct cli *c, struct store *s, char **id, struct err *e);
/* "name@host", or $CUTOVER_ACTOR. */
void cli_actor(char *out, unsigned long size);

/* commands: the table of commands.c, NULL ends. */
int cli_main(int argc, char **argv, const struct cli_command *const *commands);
#endif

#include "cli/cli.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/out.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct cli_command *const *commands; /* what there is: main.c says */

static const struct cli_option common[] = {
	{ "state", "PATH", "the journal's file; else $CUTOVER_STATE, else $XDG_STATE_HOME/cutover/journal.db" },
	{ "output", "json", "-o json: print JSON" },
	{ "help", NULL, "this text" },
	{ "version", NULL, "the program's version" },
	{ 0 },
};

/* --- help ------------------------------------------------------------------------- */

static void print_options(const struct cli_option *o)
{
	for (; o && o->name; o++) {
		autofree char *left = xasprintf("--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");

		printf("  %-28s %s\n", left, o->about);
	}
}

static int print_help(const struct cli_command *k)
{
	printf("usage: cutover %s %s\n\n%s.\n", k->name, k->args, k->about);
	if (k->detail)
		printf("\n%s\n", k->detail);
	if (k->options) {
		puts("\noptions:");
		print_options(k->options);
	}
	puts("\ncommon options:");
	print_options(common);
	return 0;
}

static int print_overview(FILE *out)
{
	fputs("cutover - replaces a running MediaWiki stack on AWS by a new one, in stages, and takes it back when it is worse\n\n"
	      "usage: cutover COMMAND [ARGUMENTS]\n\ncommands:\n", out);
	for (const struct cli_command *const *k = commands; *k; k++)
		fprintf(out, "  %-12s %-26s %s\n", (*k)->name, (*k)->args, (*k)->about);
	fputs("\n`cutover COMMAND --help` says more. Exit codes: 0 done; 1 internal error; 2 usage or invalid plan;\n"
	      "3 rolled back; 4 frozen, a person is needed; 5 refused, nothing touched; 6 another controller holds\n"
	      "the run; 7 still running.\n", out);
	return out == stdout ? CUTOVER_EXIT_OK : CUTOVER_EXIT_USAGE;
}

/* --- parsing ------------------------------------------------------------------------ */

enum { OPT_STATE = 256, OPT_HELP, OPT_VERSION, OPT_OWN };

static size_t fill_long(struct option *l, const struct cli_command *k)
{
	size_t n = 0;

	l[n++] = (struct option){ "state", required_argument, NULL, OPT_STATE };
	l[n++] = (struct option){ "output", required_argument, NULL, 'o' };
	l[n++] = (struct option){ "help", no_argument, NULL, OPT_HELP };
	l[n++] = (struct option){ "version", no_argument, NULL, OPT_VERSION };
	for (int i = 0; k->options && k->options[i].name && i < CLI_OPTIONS; i++)
		l[n++] = (struct option){ k->options[i].name, k->options[i].arg ? required_argument : no_argument, NULL,
					  OPT_OWN + i };
	l[n] = (struct option){ 0 };
	return n;
}

static int take_option(struct cli *c, int opt)
{
	if (opt >= OPT_OWN) {
		c->value[opt - OPT_OWN] = optarg ? optarg : "";
		if (c->ngiven == CLI_GIVEN)
			return cli_usage(c, "more than %d options", CLI_GIVEN);
		c->given[c->ngiven].option = opt - OPT_OWN;
		c->given[c->ngiven++].value = c->value[opt - OPT_OWN];
		return 0;
	}
	switch (opt) {
	case OPT_STATE:
		c->state = optarg;
		return 0;
	case 'o':
		c->json = !strcmp(optarg, "json");
		return c->json || !strcmp(optarg, "text") ? 0 :
			cli_usage(c, "-o takes json or text, not \"%s\"", optarg);
	case OPT_HELP:
		return print_help(c->command) ? 0 : -1;
	default:
		return CUTOVER_EXIT_USAGE;
	}
}

static int unknown_option(const struct cli *c, const char *given)
{
	if (optopt == 'o' || optopt >= OPT_STATE)
		return cli_usage(c, "option '%s' requires an argument", given);
	return cli_usage(c, "unrecognized option '%s'", given);
}

static int parse(struct cli *c, int argc, char **argv)
{
	struct option longs[CLI_OPTIONS + 8];
	int opt;

	fill_long(longs, c->command);
	optind = 1;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
		int rc = opt == '?' ? unknown_option(c, argv[optind - 1]) : take_option(c, opt);

		if (rc)
			return rc;
	}
	c->argc = argc - optind;
	c->argv = argv + optind;
	for (int i = 0; i < c->argc; i++)
		if (!*c->argv[i]) /* it must not mean what leaving it out means */
			return cli_usage(c, "argument %d is empty: is a variable not set?", i + 1);
	if (c->argc < c->command->min_args)
		return cli_usage(c, "%s is missing", c->command->args);
	if (c->argc > c->command->max_args)
		return cli_usage(c, "\"%s\" is one argument too many", c->argv[c->command->max_args]);
	return 0;
}

static const struct cli_command *find(const char *name)
{
	for (const struct cli_command *const *k = commands; *k; k++)
		if (!strcmp((*k)->name, name))
			return *k;
	return NULL;
}

static int print_unknown(const char *name)
{
	char said[80];

	text_line(said, sizeof said, name);
	fprintf(stderr, "cutover: there is no command \"%s\"\n\n", said);
	return print_overview(stderr);
}

static int dispatch(struct cli *c, int argc, char **argv)
{
	int rc;

	if (argc > 3 && !strcmp(argv[1], "--state")) { /* before the command too, as git takes -C */
		c->state = argv[2];
		argv += 2;
		argc -= 2;
	}
	if (argc < 2)
		return print_overview(stderr);
	if (!strcmp(argv[1], "--version"))
		return puts("cutover " CUTOVER_VERSION) < 0;
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
		return argc < 3 ? print_overview(stdout) : find(argv[2]) ? print_help(find(argv[2])) : print_unknown(argv[2]);
	c->command = find(argv[1]);
	if (!c->command)
		return print_unknown(argv[1]);
	rc = parse(c, argc - 1, argv + 1);
	if (rc)
		return rc < 0 ? CUTOVER_EXIT_OK : rc;
	c->began = true;
	return c->command->run(c);
}

/* A descriptor that is closed would be the next file's or connection's, and what
 * is printed would be written there. Output goes where writing fails, and is noticed. */
static void fill_descriptors(void)
{
	while (true) {
		int fd = open("/dev/null", O_RDONLY);

		if (fd > STDERR_FILENO)
			close(fd);
		if (fd < 0 || fd > STDERR_FILENO)
			return;
	}
}

#define FINISH_MS 500 /* for the last word, on a terminal that may be stopped */

/* What was printed and did not arrive is no success, unless it only told of what was done. */
static int finish(const struct cli *c, int rc)
{
	bool lost = ferror(stdout);
	const char *why = fflush(stdout) ? strerror(errno) : "its disk is full, or its reader has gone";
	int failed = out_close();

	if (!lost && !ferror(stdout) && !failed)
		return rc;
	out_error("cutover: what this command prints could not all be written: %s\n",
		  failed == EAGAIN ? "nobody takes it" : failed ? strerror(failed) : why);
	out_settle(FINISH_MS);
	return rc == CUTOVER_EXIT_OK && !(c->began && c->command->acts) ? CUTOVER_EXIT_INTERNAL : rc;
}

int cli_main(int argc, char **argv, const struct cli_command *const *table)
{
	const char *term = getenv("TERM");
	bool dumb = !term || !*term || !strcmp(term, "dumb"); /* it knows no escape sequences */
	struct cli c = { .tty = isatty(STDOUT_FILENO) && !dumb };

	commands = table;
	fill_descriptors();
	c.color = c.tty && !getenv("NO_COLOR");
	return finish(&c, dispatch(&c, argc, argv));
}

/* --- what commands share ---------------------------------------------------------- */

const char *cli_opt(const struct cli *c, const char *name)
{
	for (int i = 0; c->command->options && c->command->options[i].name; i++)
		if (!strcmp(c->command->options[i].name, name))
			return c->value[i];
	return NULL;
}

const char *cli_each(const struct cli *c, const char *name, int i)
{
	for (int k = 0; k < c->ngiven; k++)
		if (!strcmp(c->command->options[c->given[k].option].name, name) && !i--)
			return c->given[k].value;
	return NULL;
}

const char *cli_arg(const struct cli *c, int i)
{
	return i < c->argc ? c->argv[i] : NULL;
}

int cli_usage(const struct cli *c, const char *fmt, ...)
{
	struct err said; /* what was typed is shown as data */
	char text[sizeof said.msg];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_set(&said, ERR_INPUT, "%s", text);
	fprintf(stderr, "cutover %s: %s\nusage: cutover %s %s\n", c->command->name, said.msg, c->command->name,
		c->command->args);
	return CUTOVER_EXIT_USAGE;
}

int cli_fail(const struct err *e)
{
	out_error("cutover: %s\n", e->msg);
	switch (e->kind) {
	case ERR_INPUT:
	case ERR_GONE:
		return CUTOVER_EXIT_USAGE;
	case ERR_GATE:
	case ERR_DENIED:
		return CUTOVER_EXIT_REFUSED;
	case ERR_LOST:
	case ERR_MOVED:
		return CUTOVER_EXIT_HELD;
	default:
		return CUTOVER_EXIT_INTERNAL;
	}
}

void cli_print_json(json_t *doc)
{
	autojson json_t *mine = doc;
	autofree char *text = json_flat(mine);

	puts(text);
}

char *cli_state_path(const struct cli *c)
{
	const char *env = getenv("CUTOVER_STATE"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (c->state)
		return xstrdup(c->state);
	if (env && *env)
		return xstrdup(env);
	if (xdg && *xdg)
		return xasprintf("%s/cutover/journal.db", xdg);
	return xasprintf("%s/.local/state/cutover/journal.db", home && *home ? home : "/root");
}

static int cli_check_path(const char *path, struct err *e)
{
	if (!*path || *path == ':') /* SQLite's own: gone with the process, and nobody could resume the run */
		return err_set(e, ERR_INPUT, "the journal must be a file, and --state names \"%.100s\"", path);
	return 0;
}

int cli_store(const struct cli *c, struct store **out, struct err *e)
{
	autofree char *path = cli_state_path(c);

	return cli_check_path(path, e) ? -1 : store_open_existing(path, out, e);
}

int cli_store_made(const struct cli *c, struct store **out, struct err *e)
{
	autofree char *path = cli_state_path(c), *dir = xstrdup(path);

	if (cli_check_path(path, e) || file_mkdirs(dirname(dir), e))
		return -1;
	return store_open(path, out, e);
}

void cli_actor(char *out, unsigned long size)
{
	const char *given = getenv("CUTOVER_ACTOR");
	const struct passwd *pw = getpwuid(getuid());
	char host[64] = "localhost";

	gethostname(host, sizeof host - 1);
	if (given && *given)
		text_line(out, size, given);
	else
		snprintf(out, size, "%.40s@%.48s", pw ? pw->pw_name : "uid", host);
}

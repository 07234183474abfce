/* aws/cred_sources.h - one function a source of credentials; for cred*.c only. */
#ifndef CUTOVER_AWS_CRED_SOURCES_H
#define CUTOVER_AWS_CRED_SOURCES_H

#include "aws/cred.h"
#include "base/err.h"

struct ini;

struct cred_chain {
	const struct http *http;
	struct clock *clock;
	struct cred now;   /* id NULL: none */
	const char *won;   /* name of the source that gave `now`, kept when it is forgotten */
	bool renewable;    /* false as soon as a temporary key that stands somewhere took part */
	int64_t again_at;  /* mono ms before which a refresh is not tried again */
	struct ini *config, *shared; /* NULL: no such file */
	bool loaded;       /* the files have been looked at */
	char *region;
};

/* NOT_HERE: this source does not apply, ask the next. ERROR: it applies and
 * failed, stop. FOUND: *out is filled. */
enum found { FOUND_ERROR = -1, FOUND_NOT_HERE, FOUND };
typedef enum found cred_source_fn(struct cred_chain *c, struct cred *out, struct err *e);
cred_source_fn cred_from_env, cred_from_profile, cred_from_web_identity, cred_from_container,
	cred_from_imds;

/* NULL when unset or empty. */
const char *env_get(const char *name);
/* Fills *out with copies; token may be NULL or "" (none). Sets source. */
void cred_set(struct cred *out, const char *id, const char *secret, const char *token,
	      int64_t expires, const char *source);

/* --- cred_files.c: the shared files --- */
/* Reads them anew. What files_get lent before is gone. */
int files_load(struct cred_chain *c, struct err *e);
const char *files_profile(bool *named); /* AWS_PROFILE or "default" */
bool files_has_profile(const struct cred_chain *c, const char *profile);
const char *files_get(const struct cred_chain *c, const char *profile, const char *key);
bool files_has_prefix(const struct cred_chain *c, const char *profile, const char *prefix);

/* --- cred_json.c: what processes, containers and instances answer --- */
int cred_read_json(const char *text, size_t n, const char *token_key, const char *source,
		   struct cred *out, struct err *e);

/* --- cred_process.c --- */
int cred_run_process(const char *command, const char *source, struct cred *out, struct err *e);
/* Words as a command line has them: blanks part, quotes and backslashes keep
 * together. NULL-terminated, one allocation each; NULL when a quote is open. */
char **command_split(const char *line);
void command_free(char ***words);
#define autowords __attribute__((cleanup(command_free)))

/* --- cred_sts.c --- */
struct cred_role {
	const char *arn, *session, *external_id, *duration_s, *region; /* all but arn may be NULL */
	const char *token_file; /* web identity */
};
int cred_assume(struct cred_chain *c, const struct cred_role *role, const struct cred *with,
		const char *source, struct cred *out, struct err *e);
int cred_assume_web(struct cred_chain *c, const struct cred_role *role, const char *source,
		    struct cred *out, struct err *e);

/* cred_free for scopes. */
#define autocred __attribute__((cleanup(cred_free)))
#endif

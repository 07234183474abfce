/* mediawiki/settings.h - what LocalSettings.php says of its database.
 *
 * The file is a program and is not run: only `$wgDBname = "text";` is read, the
 * last one of each name. What is computed (getenv(), another file) is told
 * apart from what is not said at all.
 * www.mediawiki.org/wiki/Manual:LocalSettings.php, Manual:$wgDBserver */
#ifndef CUTOVER_MEDIAWIKI_SETTINGS_H
#define CUTOVER_MEDIAWIKI_SETTINGS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum settings_name { SETTING_TYPE, SETTING_SERVER, SETTING_NAME, SETTING_USER, SETTING_PASSWORD, SETTING_PREFIX, SETTINGS };

struct settings {
	char *value[SETTINGS];   /* NULL: not said, or computed; owned */
	bool computed[SETTINGS]; /* an assignment we cannot read */
	char *host;              /* of $wgDBserver; "/path" for a socket; owned */
	int port;                /* 0: not said */
};
/* Any bytes; never fails. */
void settings_parse(const char *text, size_t n, struct settings *out);
/* ERR_INPUT when the wiki's database is none that this program knows (SQLite,
 * PostgreSQL), or when what is needed to find it is computed. */
int settings_read(const char *path, struct settings *out, struct err *e);
void settings_free(struct settings *s); /* wipes the password */
#define autosettings __attribute__((cleanup(settings_free)))
#endif

/* cli/doctor.c - is this machine fit to drive a cutover? */
#include "aws/aws.h"
#include "aws/cred.h"
#include "aws/sts.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "net/http.h"
#include "store/store.h"

#include <curl/curl.h>
#include <expat.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static int bad;
static json_t *rows; /* NULL: for people */

static void tell(bool ok, const char *what, const char *fact)
{
	bad += !ok;
	if (rows)
		json_array_append_new(rows, json_pack("{s:b, s:s, s:o}", "ok", ok, "what", what, "fact", json_text(fact)));
	else
		printf("%-6s %-14s %s\n", ok ? "ok" : "BAD", what, fact);
}

static void libraries(void)
{
	char line[256];

	snprintf(line, sizeof line, "libcurl %s, %s, jansson %s, SQLite %s, %s", curl_version_info(CURLVERSION_NOW)->version,
		 OpenSSL_version(OPENSSL_VERSION), JANSSON_VERSION, sqlite3_libversion(), XML_ExpatVersion());
	tell(true, "libraries", line);
}

static void journal(const struct cli *c)
{
	autostore struct store *s = NULL;
	struct err e = { 0 };

	if (cli_store_made(c, &s, &e) || store_beat(s, "doctor", "doctor", &e))
		tell(false, "journal", e.msg);
	else
		tell(true, "journal", store_watch_fd(s) >= 0 ? "can be written; orders wake the driver at once" :
		     "can be written; no inotify: orders are seen within seconds");
}

static void identity(struct aws *a)
{
	struct sts_who who;
	struct err e = { 0 };
	char line[400];

	if (sts_who(a, &who, &e)) {
		tell(false, "AWS", e.msg);
		return;
	}
	snprintf(line, sizeof line, "account %s as %s in %s", who.account, who.arn, aws_region(a));
	tell(true, "AWS", line);
}

static void credentials(void)
{
	struct http_curl *curl = http_curl_new(getenv("AWS_CA_BUNDLE"));
	struct http http = { http_curl_send, curl };
	struct cred_chain *chain = cred_chain_new(&http, &clock_real);
	const char *region = cred_region(chain);
	const struct cred *cred;
	struct err e = { 0 };
	char line[256], until[21];

	if (cred_get(chain, &cred, &e)) {
		tell(false, "credentials", e.msg);
	} else {
		clock_iso(cred->expires, until);
		snprintf(line, sizeof line, "from %s, id ...%s, %s%s", cred->source,
			 strlen(cred->id) > 4 ? cred->id + strlen(cred->id) - 4 : "", cred->expires ? "until " : "do not expire",
			 cred->expires ? until : "");
		tell(true, "credentials", line);
	}
	if (!region) {
		tell(false, "region", "none: set AWS_REGION or `region` in the profile");
	} else if (!e.kind) {
		struct aws *a = aws_new(&(struct aws_opts){ .http = &http, .clock = &clock_real, .creds = chain, .region = region });

		identity(a);
		aws_free(a);
	}
	cred_chain_free(chain);
	http_curl_free(curl);
}

static int run(struct cli *c)
{
	bad = 0;
	rows = c->json ? json_array() : NULL;
	libraries();
	journal(c);
	credentials();
	if (rows)
		cli_print_json(json_pack("{s:b, s:o}", "ok", !bad, "looked_at", rows));
	return bad ? CUTOVER_EXIT_REFUSED : CUTOVER_EXIT_OK;
}

const struct cli_command cli_doctor = {
	.name = "doctor", .args = "", .about = "is this machine fit to drive a cutover?", .run = run,
};

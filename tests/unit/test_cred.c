/* Every source of credentials and how it fails; refresh; the files they stand in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/cred.h"
#include "aws/cred_sources.h"
#include "aws/ini.h"
#include "base/file.h"
#include "wire.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEYS(id, secret, token_key) "{\"Code\":\"Success\",\"Version\":1,\"AccessKeyId\":\"" id \
	"\",\"SecretAccessKey\":\"" secret "\",\"" token_key "\":\"tok\",\"Expiration\":\"2026-11-22T08:00:00Z\"}"
#define ASSUMED(action, id) "<" action "Response><" action "Result><Credentials><AccessKeyId>" id \
	"</AccessKeyId><SecretAccessKey>s2</SecretAccessKey><SessionToken>t2</SessionToken>" \
	"<Expiration>2026-11-22T03:00:00Z</Expiration></Credentials></" action "Result></" action "Response>"
#define EXPIRES_8 (1795312800000 + 6 * 3600000)

static struct wire w;
static struct cred_chain *chain;
static const struct cred *got;
static struct err last;
static char dir[64];

static int setup(void **state)
{
	(void)state;
	wire_clean_env();
	snprintf(dir, sizeof dir, "/tmp/test_cred.XXXXXX");
	assert_non_null(mkdtemp(dir));
	setenv("HOME", dir, 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	wire_init(&w);
	chain = cred_chain_new(&w.http, &w.clock);
	return 0;
}

static int teardown(void **state)
{
	autofree char *rm = xasprintf("rm -rf %s", dir);

	(void)state;
	cred_chain_free(chain);
	wire_free(&w);
	wire_clean_env();
	return system(rm);
}

static int get(void)
{
	last = (struct err){ 0 };
	got = NULL;
	return cred_get(chain, &got, &last);
}

static void gives(const char *id, const char *secret, const char *token, const char *source)
{
	if (get())
		fail_msg("%s", last.msg);
	assert_string_equal(got->id, id);
	assert_string_equal(got->secret, secret);
	if (token)
		assert_string_equal(got->token, token);
	else
		assert_null(got->token);
	assert_string_equal(got->source, source);
}

static void fails(enum err_kind kind, const char *text)
{
	assert_int_equal(get(), -1);
	if (last.kind != kind || !strstr(last.msg, text))
		fail_msg("%s: \"%s\" is not %s: \"%s\"", err_kind_name(last.kind), last.msg,
			 err_kind_name(kind), text);
}

static void put(const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", dir, name);
	struct err e = { 0 };

	if (file_write(path, text, strlen(text), &e))
		fail_msg("%s", e.msg);
}

/* A file below the test's folder, named by an environment variable. */
static void put_env(const char *env, const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", dir, name);

	put(name, text);
	setenv(env, path, 1);
}

static void config(const char *text) { put_env("AWS_CONFIG_FILE", "config", text); }
static void shared(const char *text) { put_env("AWS_SHARED_CREDENTIALS_FILE", "credentials", text); }

static void asked_has(size_t n, const char *text)
{
	if (!strstr(wire_asked(&w, n), text))
		fail_msg("not in the request: \"%s\"\n%s", text, wire_asked(&w, n));
}

/* --- environment --- */

static void keys_from_the_environment(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "sec", 1);
	gives("AKID", "sec", NULL, "environment");
	assert_int_equal(got->expires, 0);
	assert_true(cred_renewable(chain));
	cred_forget(chain);
	setenv("AWS_SESSION_TOKEN", "tok", 1);
	gives("AKID", "sec", "tok", "environment");
	assert_false(cred_renewable(chain));
	assert_int_equal(w.nasked, 0);
}

static void half_a_key_stops_the_search(void **state)
{
	(void)state;
	shared("[default]\naws_access_key_id=a\naws_secret_access_key=b\n");
	setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
	fails(ERR_DENIED, "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not");
	setenv("AWS_SECRET_ACCESS_KEY", "sec", 1);
	setenv("AWS_CREDENTIAL_EXPIRATION", "soon", 1);
	fails(ERR_DENIED, "is not a time");
}

static void keys_of_the_environment_may_end(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "sec", 1);
	setenv("AWS_CREDENTIAL_EXPIRATION", "2026-11-22T02:10:00+00:00", 1);
	gives("AKID", "sec", NULL, "environment");
	w.wall += 10 * 60000;
	w.mono += 10 * 60000;
	fails(ERR_DENIED, "expired at 2026-11-22T02:10:00Z (this machine's clock says 2026-11-22T02:10:00Z)");
}

/* --- profiles --- */

static void the_default_profile(void **state)
{
	(void)state;
	shared("[default]\naws_access_key_id = A1\naws_secret_access_key=S=1 \n");
	gives("A1", "S=1", NULL, "profile default");
	assert_true(cred_renewable(chain));
}

static void home_is_where_the_files_are(void **state)
{
	autofree char *aws = xasprintf("%s/.aws", dir);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(file_mkdirs(aws, &e), 0);
	put(".aws/credentials", "[default]\naws_access_key_id=H\naws_secret_access_key=S\n");
	put(".aws/config", "[default]\nregion = eu-north-1\n");
	gives("H", "S", NULL, "profile default");
	assert_string_equal(cred_region(chain), "eu-north-1");
	cred_forget(chain);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "~/other", 1);
	put("other", "[default]\naws_access_key_id=O\naws_secret_access_key=S\n");
	gives("O", "S", NULL, "profile default");
}

static void a_named_profile_from_either_file(void **state)
{
	(void)state;
	setenv("AWS_PROFILE", "prod", 1);
	config("[profile prod]\naws_access_key_id=C\naws_secret_access_key=SC\naws_session_token=T\nregion=us-west-2\n"
	       "[prod]\naws_access_key_id=WRONG\n");
	gives("C", "SC", "T", "profile prod");
	assert_false(cred_renewable(chain));
	assert_string_equal(cred_region(chain), "us-west-2");
	setenv("AWS_DEFAULT_REGION", "eu-west-1", 1);
	assert_string_equal(cred_region(chain), "eu-west-1");
	setenv("AWS_REGION", "eu-west-2", 1);
	assert_string_equal(cred_region(chain), "eu-west-2");
	cred_forget(chain);
	shared("[prod]\naws_access_key_id=P\naws_secret_access_key=SP\naws_session_token=\n");
	gives("P", "SP", NULL, "profile prod");
}

static void a_profile_that_is_named_must_work(void **state)
{
	(void)state;
	setenv("AWS_PROFILE", "prod", 1);
	fails(ERR_DENIED, "AWS_PROFILE names prod, which is neither");
	config("[profile prod]\nregion = eu-west-1\n");
	fails(ERR_DENIED, "profile prod says nothing about credentials");
	config("[profile prod]\naws_access_key_id = x\n");
	fails(ERR_DENIED, "profile prod has no aws_secret_access_key");
	config("[profile prod\n");
	fails(ERR_INPUT, "config line 1: the section's ] is missing");
	config("[profile prod]\nmfa_serial=x\nrole_arn=arn:r\nsource_profile=prod\n");
	fails(ERR_DENIED, "MFA");
	config("[profile prod]\nweb_identity_token_file=/x\n");
	fails(ERR_DENIED, "no role_arn");
}

static void a_default_profile_with_only_a_region_is_no_source(void **state)
{
	(void)state;
	config("[default]\nregion = eu-west-1\n");
	fails(ERR_DENIED, "no AWS credentials");
	assert_string_equal(cred_region(chain), "eu-west-1");
}

static void sso_is_explained(void **state)
{
	(void)state;
	setenv("AWS_PROFILE", "dev", 1);
	config("[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\n");
	fails(ERR_DENIED, "credential_process = aws configure export-credentials --format process --profile dev");
}

static void roles_of_roles(void **state)
{
	(void)state;
	setenv("AWS_PROFILE", "top", 1);
	config("[profile top]\nrole_arn=arn:aws:iam::1:role/top\nsource_profile=mid\nregion=eu-west-3\n"
	       "role_session_name=me\nexternal_id=x y\nduration_seconds=900\n"
	       "[profile mid]\nrole_arn=arn:aws:iam::1:role/mid\nsource_profile=base\nregion=eu-west-3\n");
	shared("[base]\naws_access_key_id=BASE\naws_secret_access_key=S\n");
	wire_add(&w, (struct wire_reply){ .when = "role%2Fmid", .status = 200, .body = ASSUMED("AssumeRole", "MID") });
	wire_add(&w, (struct wire_reply){ .when = "role%2Ftop", .status = 200, .body = ASSUMED("AssumeRole", "TOP") });
	gives("TOP", "s2", "t2", "profile top");
	assert_int_equal(got->expires, 1795312800000 + 3600000);
	assert_true(cred_renewable(chain));
	asked_has(0, "POST https://sts.eu-west-3.amazonaws.com/\n");
	asked_has(0, "Credential=BASE/20261122/eu-west-3/sts/aws4_request");
	asked_has(0, "RoleSessionName=cutover-1795312800");
	asked_has(1, "Credential=MID/");
	asked_has(1, "\nx-amz-security-token: t2\n");
	asked_has(1, "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ftop"
		     "&RoleSessionName=me&DurationSeconds=900&ExternalId=x%20y");
}

static void a_role_may_use_its_own_profiles_keys(void **state)
{
	(void)state;
	config("[default]\nrole_arn=arn:r\nsource_profile=default\naws_access_key_id=SELF\naws_secret_access_key=S\n");
	wire_add(&w, (struct wire_reply){ .when = "Credential=SELF", .status = 200, .body = ASSUMED("AssumeRole", "R") });
	gives("R", "s2", "t2", "profile default");
	asked_has(0, "sts.us-east-1.amazonaws.com");
}

static void a_role_ends_with_a_token_nobody_renews(void **state)
{
	(void)state;
	config("[default]\nrole_arn=arn:r\ncredential_source=Environment\n");
	setenv("AWS_REGION", "eu-west-1", 1);
	fails(ERR_DENIED, "no credentials in its credential_source Environment");
	config("[default]\nrole_arn=arn:r\nsource_profile=base\n[profile base]\naws_access_key_id=B\n"
	       "aws_secret_access_key=S\naws_session_token=T\n");
	wire_add(&w, (struct wire_reply){ .status = 200, .body = ASSUMED("AssumeRole", "R") });
	gives("R", "s2", "t2", "profile default");
	assert_false(cred_renewable(chain));
}

static void profiles_in_a_circle(void **state)
{
	autobuf struct buf deep = BUF_MAX(1 << 16);

	(void)state;
	config("[default]\nrole_arn=arn:a\nsource_profile=b\n[profile b]\nrole_arn=arn:b\nsource_profile=c\n"
	       "[profile c]\nrole_arn=arn:c\nsource_profile=b\n");
	fails(ERR_DENIED, "in a circle or too far: b <- c <- b <- default");
	config("[default]\nrole_arn=arn:a\nsource_profile=default\n");
	fails(ERR_DENIED, "default <- default");
	buf_adds(&deep, "[default]\nrole_arn=r\nsource_profile=p0\n");
	for (int i = 0; i < 100; i++)
		buf_addf(&deep, "[profile p%d]\nrole_arn=r\nsource_profile=p%d\n", i, i + 1);
	config(deep.p);
	fails(ERR_DENIED, "too far");
	assert_int_equal(w.nasked, 0);
}

static void roles_that_lack_something(void **state)
{
	(void)state;
	config("[default]\nrole_arn=arn:a\n");
	fails(ERR_DENIED, "needs source_profile or credential_source");
	config("[default]\nrole_arn=arn:a\nsource_profile=b\ncredential_source=Environment\n");
	fails(ERR_DENIED, "needs only one of");
	config("[default]\nrole_arn=arn:a\nsource_profile=b\n");
	fails(ERR_DENIED, "names source_profile b, which is in neither file");
	config("[default]\nrole_arn=arn:a\ncredential_source=Moon\n");
	fails(ERR_DENIED, "\"Moon\" is none of");
}

static void what_sts_says(void **state)
{
	(void)state;
	config("[default]\nrole_arn=arn:r\nsource_profile=b\n[profile b]\naws_access_key_id=B\naws_secret_access_key=S\n");
	wire_add(&w, (struct wire_reply){ .status = 403, .body = "<ErrorResponse><Error><Code>AccessDenied</Code>"
					  "<Message>not authorized to assume</Message></Error></ErrorResponse>" });
	fails(ERR_DENIED, "credentials from the profile: profile default: role arn:r: AssumeRole: AccessDenied");
	assert_int_equal(w.nasked, 1);
	/* an answer lost on the way to credentials: the call that wanted them was not sent */
	wire_add(&w, (struct wire_reply){ .fail = ERR_UNSURE });
	wire_add(&w, (struct wire_reply){ .status = 500 });
	fails(ERR_NET, "AssumeRole");
	assert_int_equal(w.nasked, 3);
	wire_add(&w, (struct wire_reply){ .status = 503 });
	wire_add(&w, (struct wire_reply){ .status = 200, .body = ASSUMED("AssumeRole", "OK") });
	gives("OK", "s2", "t2", "profile default");
	cred_forget(chain);
	wire_add(&w, (struct wire_reply){ .status = 200, .body = "<AssumeRoleResponse/>", .stays = true });
	fails(ERR_NET, "no complete credentials");
}

/* --- credential_process --- */

static void a_program_prints_keys(void **state)
{
	autofree char *text = NULL;

	(void)state;
	put("keys.json", KEYS("P", "S", "SessionToken"));
	text = xasprintf("[default]\ncredential_process = /bin/sh -c 'echo noise >&2; cat \"$0\"' \"%s/keys.json\"\n", dir);
	config(text);
	gives("P", "S", "tok", "profile default");
	assert_int_equal(got->expires, EXPIRES_8);
	assert_true(cred_renewable(chain));
}

static void programs_that_fail(void **state)
{
	static const struct {
		const char *command, *says;
	} bad[] = {
		{ "/no/such/program", "cannot run /no/such/program" },
		{ "/bin/sh -c 'echo please log in >&2; exit 3'", "ended with status 3: please log in" },
		{ "/bin/sh -c 'kill -9 $$'", "ended with status 137" },
		{ "/bin/echo hello", "does not answer with a JSON object" },
		{ "/bin/echo '{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\"}'", "without \"Version\": 1" },
		{ "/bin/echo '{\"Version\":1,\"AccessKeyId\":\"a\"}'", "without AccessKeyId or SecretAccessKey" },
		{ "/bin/echo '{\"Version\":1,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"x\"}'", "not a time" },
		{ "/bin/sh -c 'yes | head -c 100000'", "printed more than" },
		{ "/bin/echo 'open", "a quote is open" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		autofree char *text = xasprintf("[default]\ncredential_process = %s\n", bad[i].command);

		config(text);
		assert_int_equal(get(), -1);
		if (!strstr(last.msg, bad[i].says) || strstr(last.msg, "\"b\""))
			fail_msg("%s: %s", bad[i].command, last.msg);
	}
}

static void a_program_wins_over_sso_in_one_profile(void **state)
{
	autofree char *text = NULL;

	(void)state;
	put("keys.json", KEYS("P", "S", "SessionToken"));
	text = xasprintf("[default]\nsso_session=x\ncredential_process = cat %s/keys.json\n", dir);
	config(text);
	gives("P", "S", "tok", "profile default");
}

static void command_lines_are_split(void **state)
{
	static const struct {
		const char *line, *words; /* joined by |; NULL: refused */
	} lines[] = {
		{ "a b  c\t d ", "a|b|c|d" },
		{ "'a b' \"c d\" e\\ f", "a b|c d|e f" },
		{ "a'b'\"c\"d", "abcd" },
		{ "'' \"\"", "|" },
		{ "\"a\\\"b\\\\c\\d\" 'a\\b'", "a\"b\\c\\d|a\\b" },
		{ "$(id) `x` *;&", "$(id)|`x`|*;&" },
		{ "", NULL }, { "   ", NULL }, { "'a", NULL }, { "\"a", NULL }, { "a '", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		autowords char **words = command_split(lines[i].line);
		autobuf struct buf b = BUF_MAX(1000);

		assert_int_equal(!words, !lines[i].words);
		for (size_t k = 0; words && words[k]; k++)
			buf_addf(&b, "%s%s", k ? "|" : "", words[k]);
		if (words)
			assert_string_equal(b.p, lines[i].words);
	}
}

/* --- web identity --- */

static void a_pods_role(void **state)
{
	(void)state;
	put_env("AWS_WEB_IDENTITY_TOKEN_FILE", "token", "ey.J0 x\n");
	fails(ERR_DENIED, "AWS_ROLE_ARN is not");
	setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod", 1);
	setenv("AWS_ROLE_SESSION_NAME", "pod-7", 1);
	setenv("AWS_REGION", "eu-west-1", 1);
	wire_add(&w, (struct wire_reply){ .status = 200, .body = ASSUMED("AssumeRoleWithWebIdentity", "POD") });
	gives("POD", "s2", "t2", "web identity");
	asked_has(0, "POST https://sts.eu-west-1.amazonaws.com/\n");
	asked_has(0, "&RoleSessionName=pod-7&WebIdentityToken=ey.J0%20x");
	assert_null(strstr(wire_asked(&w, 0), "authorization"));
}

static void web_identity_in_a_profile(void **state)
{
	autofree char *text = xasprintf("[default]\nrole_arn=arn:p\nweb_identity_token_file=%s/token\n", dir);

	(void)state;
	config(text);
	fails(ERR_GONE, "web identity token: cannot open");
	put("token", "\n");
	fails(ERR_DENIED, "is empty");
	put("token", "abc");
	wire_add(&w, (struct wire_reply){ .status = 400, .body = "<ErrorResponse><Error><Code>InvalidIdentityToken"
					  "</Code></Error></ErrorResponse>" });
	fails(ERR_DENIED, "InvalidIdentityToken");
	wire_add(&w, (struct wire_reply){ .status = 200, .body = ASSUMED("AssumeRoleWithWebIdentity", "W") });
	gives("W", "s2", "t2", "profile default");
}

/* --- container --- */

static void a_containers_role(void **state)
{
	(void)state;
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x", 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc", 1);
	wire_add(&w, (struct wire_reply){ .status = 200, .body = KEYS("CID", "S", "Token") });
	gives("CID", "S", "tok", "container endpoint");
	asked_has(0, "GET http://169.254.170.2/v2/credentials/x\n");
	asked_has(0, "\nauthorization: Basic abc\n");
}

static void a_containers_token_file(void **state)
{
	(void)state;
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials", 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "not this", 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/no/such/file", 1);
	fails(ERR_GONE, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: cannot open");
	put_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token", "from-file\n");
	wire_add(&w, (struct wire_reply){ .status = 200, .body = KEYS("EKS", "S", "Token") });
	gives("EKS", "S", "tok", "container endpoint");
	asked_has(0, "\nauthorization: from-file\n");
}

static void container_hosts_are_restricted(void **state)
{
	static const struct {
		const char *url;
		bool ok;
	} urls[] = {
		{ "https://anywhere.example/creds", true }, { "http://127.0.0.1:9/creds", true },
		{ "http://[::1]:9/creds", true }, { "http://localhost/creds", true },
		{ "http://169.254.170.2/creds", true }, { "http://[fd00:ec2::23]/creds", true },
		{ "http://example.com/creds", false }, { "http://169.254.169.254/creds", false },
		{ "http://127.0.0.1@evil.example/creds", false }, { "http://10.0.0.1/creds", false },
		{ "http://169.254.170.2.evil.example/", false }, { "ftp://127.0.0.1/", false }, { "/creds", false },
	};

	(void)state;
	wire_add(&w, (struct wire_reply){ .status = 200, .body = KEYS("X", "S", "Token"), .stays = true });
	for (size_t i = 0; i < COUNT(urls); i++) {
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", urls[i].url, 1);
		cred_forget(chain);
		if (!get() != urls[i].ok)
			fail_msg("%s: %s", urls[i].url, last.msg);
	}
}

static void containers_that_refuse(void **state)
{
	(void)state;
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "no-slash", 1);
	fails(ERR_DENIED, "does not begin with /");
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c", 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\r\nEvil: 1", 1);
	fails(ERR_DENIED, "line break");
	unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	wire_add(&w, (struct wire_reply){ .status = 404, .body = "no \x1b[31m role" });
	fails(ERR_DENIED, "answers HTTP 404: no �[31m role");
	wire_add(&w, (struct wire_reply){ .status = 500, .body = "" });
	fails(ERR_BUSY, "HTTP 500");
	wire_add(&w, (struct wire_reply){ .status = 200, .body = "<html>" });
	fails(ERR_DENIED, "JSON object");
	fails(ERR_NET, "credentials from the container endpoint: nobody answers");
}

/* --- instance metadata --- */

static void imds(const char *token, int token_status, const char *role, int role_status, const char *keys)
{
	unsetenv("AWS_EC2_METADATA_DISABLED");
	wire_add(&w, (struct wire_reply){ .when = "/latest/api/token", .status = token_status, .body = token });
	wire_add(&w, (struct wire_reply){ .when = "security-credentials/\n", .status = role_status, .body = role });
	wire_add(&w, (struct wire_reply){ .when = "security-credentials/", .status = 200, .body = keys });
}

static void an_instances_role(void **state)
{
	(void)state;
	imds("TOKEN==", 200, "release-manager\n", 200, KEYS("IID", "S", "Token"));
	gives("IID", "S", "tok", "instance metadata role release-manager");
	asked_has(0, "PUT http://169.254.169.254/latest/api/token\n");
	asked_has(0, "\nx-aws-ec2-metadata-token-ttl-seconds: 21600\n");
	asked_has(1, "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/\n");
	asked_has(1, "\nx-aws-ec2-metadata-token: TOKEN==\n");
	asked_has(2, "security-credentials/release-manager\n");
	asked_has(2, "\nx-aws-ec2-metadata-token: TOKEN==\n");
	assert_int_equal(w.last_timeout, 1000);
}

static void the_metadata_endpoint_can_be_moved(void **state)
{
	(void)state;
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/", 1);
	imds("T", 200, "r", 200, KEYS("I", "S", "Token"));
	gives("I", "S", "tok", "instance metadata role r");
	asked_has(0, "PUT http://127.0.0.1:1338/latest/api/token\n");
	cred_forget(chain);
	unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6", 1);
	get();
	asked_has(3, "PUT http://[fd00:ec2::254]/latest/api/token\n");
}

static void machines_that_are_no_instances(void **state)
{
	(void)state;
	fails(ERR_DENIED, "no AWS credentials"); /* switched off */
	assert_int_equal(w.nasked, 0);
	unsetenv("AWS_EC2_METADATA_DISABLED");
	fails(ERR_DENIED, "no AWS credentials"); /* nobody there */
	assert_int_equal(w.nasked, 1);
	imds("", 403, "", 200, "");
	fails(ERR_DENIED, "no AWS credentials"); /* switched off at the other end */
}

static void instances_without_a_role(void **state)
{
	(void)state;
	imds("T", 200, "", 404, "");
	fails(ERR_DENIED, "no AWS credentials");
}

static void metadata_that_fails(void **state)
{
	(void)state;
	imds("T", 200, "../../../evil", 200, "");
	fails(ERR_DENIED, "no role name");
}

static void metadata_that_says_no(void **state)
{
	(void)state;
	imds("T", 200, "r", 200, "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"trust\"}");
	fails(ERR_DENIED, "answers AssumeRoleUnauthorizedAccess: trust");
}

static void metadata_behind_too_many_hops(void **state)
{
	(void)state;
	unsetenv("AWS_EC2_METADATA_DISABLED");
	wire_add(&w, (struct wire_reply){ .fail = ERR_UNSURE });
	fails(ERR_NET, "hop limit");
	wire_add(&w, (struct wire_reply){ .status = 500 });
	fails(ERR_BUSY, "HTTP 500 for the session token");
	wire_add(&w, (struct wire_reply){ .status = 200, .body = "a\r\nEvil: 1" });
	fails(ERR_DENIED, "session token");
}

/* --- order, refresh --- */

static void the_order_is_that_of_the_sdks(void **state)
{
	(void)state;
	imds("T", 200, "r", 200, KEYS("IMDS", "S", "Token"));
	wire_add(&w, (struct wire_reply){ .when = "/cont", .status = 200, .body = KEYS("CONTAINER", "S", "Token"), .stays = true });
	wire_add(&w, (struct wire_reply){ .when = "WebIdentity", .status = 200, .body = ASSUMED("AssumeRoleWithWebIdentity", "WEB"), .stays = true });
	gives("IMDS", "S", "tok", "instance metadata role r");
	cred_forget(chain);
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/cont", 1);
	gives("CONTAINER", "S", "tok", "container endpoint");
	cred_forget(chain);
	put_env("AWS_WEB_IDENTITY_TOKEN_FILE", "token", "x");
	setenv("AWS_ROLE_ARN", "arn:w", 1);
	gives("WEB", "s2", "t2", "web identity");
	cred_forget(chain);
	shared("[default]\naws_access_key_id=FILE\naws_secret_access_key=S\n");
	gives("FILE", "S", NULL, "profile default");
	cred_forget(chain);
	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "S", 1);
	gives("ENV", "S", NULL, "environment");
}

static void use_container(void)
{
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c", 1);
}

static void pass(int64_t ms)
{
	w.wall += ms;
	w.mono += ms;
}

static void refreshed_five_minutes_ahead(void **state)
{
	(void)state;
	use_container();
	wire_add(&w, (struct wire_reply){ .status = 200, .body = KEYS("ONE", "S", "Token") });
	gives("ONE", "S", "tok", "container endpoint");
	pass(6 * 3600000 - 300001);
	gives("ONE", "S", "tok", "container endpoint");
	assert_int_equal(w.nasked, 1);
	pass(1);
	wire_add(&w, (struct wire_reply){ .status = 200, .body =
		"{\"AccessKeyId\":\"TWO\",\"SecretAccessKey\":\"S\",\"Expiration\":\"2026-11-22T14:00:00Z\"}" });
	gives("TWO", "S", NULL, "container endpoint");
	assert_int_equal(w.nasked, 2);
}

static void the_old_ones_serve_until_they_end(void **state)
{
	(void)state;
	use_container();
	wire_add(&w, (struct wire_reply){ .status = 200, .body = KEYS("ONE", "S", "Token") });
	gives("ONE", "S", "tok", "container endpoint");
	pass(6 * 3600000 - 300000);
	gives("ONE", "S", "tok", "container endpoint"); /* the refresh failed */
	assert_int_equal(w.nasked, 2);
	gives("ONE", "S", "tok", "container endpoint");
	assert_int_equal(w.nasked, 2); /* not asked again at once */
	pass(30000);
	gives("ONE", "S", "tok", "container endpoint");
	assert_int_equal(w.nasked, 3);
	pass(270000);
	gives("ONE", "S", "tok", "container endpoint"); /* they are over by our clock: AWS may take them */
	assert_int_equal(w.nasked, 4);
}

/* A machine whose metadata service is ill, or whose clock is wrong, refused its own
 * role's keys, which AWS took from everybody else: the way back was shut. */
static void keys_of_the_machines_own_role_are_over_when_aws_says_so(void **state)
{
	(void)state;
	use_container();
	pass(6 * 3600000);
	wire_add(&w, (struct wire_reply){ .status = 200, .body = KEYS("OLD", "S", "Token") });
	gives("OLD", "S", "tok", "container endpoint");
	gives("OLD", "S", "tok", "container endpoint");
	assert_int_equal(w.nasked, 1); /* and its service is not asked for each call */
	pass(30000);
	wire_add(&w, (struct wire_reply){ .status = 200, .body = KEYS("STILL", "S", "Token") });
	gives("STILL", "S", "tok", "container endpoint");
	pass(30000);
	gives("STILL", "S", "tok", "container endpoint"); /* it does not answer at all */
	assert_int_equal(w.nasked, 3);
}

static void what_comes_expired_from_elsewhere_is_refused(void **state)
{
	(void)state;
	config("[default]\ncredential_process = " "/bin/echo '{\"Version\":1,\"AccessKeyId\":\"OLD\",\"SecretAccessKey\":\"S\","
	       "\"Expiration\":\"2026-11-22T01:00:00Z\"}'\n");
	fails(ERR_DENIED, "expired at 2026-11-22T01:00:00Z");
}

static void short_lived_ones_are_not_fetched_for_each_call(void **state)
{
	(void)state;
	use_container();
	pass(6 * 3600000 - 60000);
	wire_add(&w, (struct wire_reply){ .status = 200, .body = KEYS("BRIEF", "S", "Token"), .stays = true });
	for (int i = 0; i < 10; i++)
		gives("BRIEF", "S", "tok", "container endpoint");
	assert_int_equal(w.nasked, 1);
}

static void forgotten_means_fetched_again(void **state)
{
	(void)state;
	use_container();
	wire_add(&w, (struct wire_reply){ .status = 200, .body = KEYS("ONE", "S", "Token") });
	gives("ONE", "S", "tok", "container endpoint");
	cred_forget(chain);
	fails(ERR_NET, "nobody answers");
	unsetenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	fails(ERR_NET, "the container endpoint gave credentials before and does not any more");
}

/* --- the files --- */

static void settings_are_read(void **state)
{
	static const char text[] =
		"\xef\xbb\xbf# comment\r\n; another\r\n[default]\r\nKey = a = b ; c\r\nempty =\r\n"
		"colon: x\n\n[ profile  \"my name\" ]  # why not\ns3 =\n  max = 10\n  addressing = path\nafter = 1\n"
		"  indented = ignored\n[default]\nkey = later\nsso_start = x\n[indented]\n  a = 1\n  b = 2\n";
	struct err e = { 0 };
	autoini struct ini *i = ini_parse(text, sizeof text - 1, "f", &e);

	(void)state;
	if (!i)
		fail_msg("%s", e.msg);
	assert_string_equal(ini_get(i, "default", "KEY"), "later");
	assert_string_equal(ini_get(i, "default", "empty"), "");
	assert_string_equal(ini_get(i, "default", "colon"), "x");
	assert_string_equal(ini_get(i, "profile my name", "s3"), "");
	assert_null(ini_get(i, "profile my name", "max"));
	assert_string_equal(ini_get(i, "profile my name", "after"), "1");
	assert_null(ini_get(i, "profile my name", "indented"));
	assert_string_equal(ini_get(i, "indented", "a"), "1");
	assert_string_equal(ini_get(i, "indented", "b"), "2");
	assert_true(ini_has(i, "profile my name"));
	assert_false(ini_has(i, "my name"));
	assert_true(ini_has_prefix(i, "default", "sso_"));
	assert_false(ini_has_prefix(i, "indented", "sso_"));
	assert_null(ini_get(NULL, "a", "b"));
}

static void bad_lines_are_named(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "[a]\nx=1\nwhat is this\n", "f line 3: expected key = value" },
		{ "x = 1\n", "f line 1: a setting before the first [section]" },
		{ "[a]\n= 1\n", "f line 2: there is no key before the =" },
		{ "\n[a\n", "f line 2: the section's ] is missing" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = { 0 };

		assert_null(ini_parse(bad[i].text, strlen(bad[i].text), "f", &e));
		assert_int_equal(e.kind, ERR_INPUT);
		assert_string_equal(e.msg, bad[i].says);
	}
	struct err e = { 0 };
	assert_null(ini_parse("[a]\nb=\0c\n", 9, "f", &e));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(keys_from_the_environment), T(half_a_key_stops_the_search),
		T(keys_of_the_environment_may_end), T(the_default_profile),
		T(home_is_where_the_files_are), T(a_named_profile_from_either_file),
		T(a_profile_that_is_named_must_work),
		T(a_default_profile_with_only_a_region_is_no_source), T(sso_is_explained),
		T(roles_of_roles), T(a_role_may_use_its_own_profiles_keys),
		T(a_role_ends_with_a_token_nobody_renews), T(profiles_in_a_circle),
		T(roles_that_lack_something), T(what_sts_says), T(a_program_prints_keys),
		T(programs_that_fail), T(a_program_wins_over_sso_in_one_profile),
		T(command_lines_are_split), T(a_pods_role), T(web_identity_in_a_profile),
		T(a_containers_role), T(a_containers_token_file), T(container_hosts_are_restricted),
		T(containers_that_refuse), T(an_instances_role),
		T(the_metadata_endpoint_can_be_moved), T(machines_that_are_no_instances),
		T(instances_without_a_role), T(metadata_that_fails), T(metadata_that_says_no),
		T(metadata_behind_too_many_hops), T(the_order_is_that_of_the_sdks),
		T(refreshed_five_minutes_ahead), T(the_old_ones_serve_until_they_end),
		T(keys_of_the_machines_own_role_are_over_when_aws_says_so), T(what_comes_expired_from_elsewhere_is_refused), T(short_lived_ones_are_not_fetched_for_each_call),
		T(forgotten_means_fetched_again), T(settings_are_read), T(bad_lines_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

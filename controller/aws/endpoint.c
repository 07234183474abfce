/* Where a service is: the user's endpoint when there is one, else AWS's own.
 * docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html */
#include "aws/core.h"

#include "base/buf.h"
#include "net/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Partitions by the beginning of their regions' names (botocore's partitions.json). */
static const struct {
	const char *prefix, *suffix;
} partitions[] = {
	{ "cn-", "amazonaws.com.cn" },
	{ "us-isob-", "sc2s.sgov.gov" },
	{ "us-isof-", "csp.hci.ic.gov" },
	{ "us-iso-", "c2s.ic.gov" },
	{ "eu-isoe-", "cloud.adc-e.uk" },
	{ "eusc-", "amazonaws.eu" },
	{ "", "amazonaws.com" },
};

static const char *suffix_of(const char *region)
{
	size_t i = 0;

	while (strncmp(region, partitions[i].prefix, strlen(partitions[i].prefix)))
		i++;
	return partitions[i].suffix;
}

/* The region becomes part of a host name, so it must not bring its own dots. */
static int region_check(const char *region, struct err *e)
{
	size_t n = region ? strlen(region) : 0;

	if (!n)
		return err_set(e, ERR_INPUT, "no AWS region: set AWS_REGION, or region in the plan or profile");
	if (n > 40 || strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
		return err_set(e, ERR_INPUT, "\"%.60s\" is not an AWS region: write it like eu-central-1",
			       region);
	return 0;
}

bool endpoint_is_loopback(const char *host)
{
	struct in6_addr six;
	struct in_addr four;
	size_t n = strlen(host);

	if (inet_pton(AF_INET, host, &four) == 1)
		return (ntohl(four.s_addr) >> 24) == 127;
	if (inet_pton(AF_INET6, host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);
	return !strcasecmp(host, "localhost") || (n > 10 && !strcasecmp(host + n - 10, ".localhost"));
}

/* "[::1]:80" and "host:80" without brackets and port. */
static void bare_host(const char *host, char *out, size_t size)
{
	bool six = *host == '[';
	size_t n = six ? strcspn(host, "]") - 1 : strcspn(host, ":");

	snprintf(out, size, "%.*s", (int)n, host + six);
}

static int not_a_url(const char *url, const char *from, const char *why, struct err *e)
{
	autofree char *shown = url_hide_logins(url);

	return err_set(e, ERR_INPUT, "%s: \"%.120s\" cannot be an endpoint: %s", from, shown, why);
}

int endpoint_parse(const char *url, const char *from, struct endpoint *out, struct err *e)
{
	bool tls = !strncasecmp(url, "https://", 8), plain = !strncasecmp(url, "http://", 7);
	const char *host = url + (tls ? 8 : 7);
	char bare[256];
	size_t n;

	if (!tls && !plain)
		return not_a_url(url, from, "it must begin with https://", e);
	n = strcspn(host, "/?#");
	if (!n || n >= sizeof out->host || strlen(host + n) >= sizeof out->path)
		return not_a_url(url, from, "it has no host, or is too long", e);
	if (strchr(host, '@') || strpbrk(url, " ?#\\\"\r\n\t"))
		return not_a_url(url, from, "user names, queries, fragments and blanks do not belong there", e);
	if (*host == '[' && !memchr(host, ']', n))
		return not_a_url(url, from, "the bracket is not closed", e);
	snprintf(out->host, sizeof out->host, "%.*s", (int)n, host);
	snprintf(out->base, sizeof out->base, "%s://%s", tls ? "https" : "http", out->host);
	snprintf(out->path, sizeof out->path, "%s", host + n);
	for (size_t k = strlen(out->path); k && out->path[k - 1] == '/'; k--)
		out->path[k - 1] = '\0';
	bare_host(out->host, bare, sizeof bare);
	out->loopback = endpoint_is_loopback(bare);
	if (!tls && !out->loopback)
		return not_a_url(url, from, "without TLS only this machine's own addresses are allowed", e);
	return 0;
}

static bool ignored(void)
{
	const char *v = getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");

	return v && !strcasecmp(v, "true");
}

static const char *set_in(const char *name)
{
	const char *v = ignored() ? NULL : getenv(name);

	return v && *v ? v : NULL;
}

int endpoint_find(const char *service, const char *region, struct endpoint *out, struct err *e)
{
	const struct aws_service *s = aws_service(service);
	const char *from = "AWS_ENDPOINT_URL", *url;
	char own[96], theirs[320];

	if (region_check(region, e))
		return -1;
	snprintf(own, sizeof own, "AWS_ENDPOINT_URL_%s", s ? s->env : "");
	url = s ? set_in(own) : NULL;
	if (url)
		return endpoint_parse(url, own, out, e);
	url = set_in(from);
	if (url)
		return endpoint_parse(url, from, out, e);
	snprintf(theirs, sizeof theirs, "https://%s.%s.%s", service, region, suffix_of(region));
	return endpoint_parse(theirs, "region", out, e);
}

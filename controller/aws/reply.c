/* What came back, and what it means. Everything here may be hostile: an
 * answer's words reach terminals and journals. */
#include "aws/core.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>


struct refusal {
	char code[64], text[320];
};

static void put(char *out, size_t size, const char *s, size_t n)
{
	snprintf(out, size, "%.*s", (int)(n < size ? n : size), s);
	text_clean(out);
}

/* "com.amazonaws.ecs#ClusterNotFoundException:http://..." -> the middle. */
static void put_code(struct refusal *r, const char *s)
{
	const char *hash = strchr(s, '#');

	s = hash ? hash + 1 : s;
	put(r->code, sizeof r->code, s, strcspn(s, ":;, \t\r\n"));
}

static void from_json(const struct http_res *res, struct refusal *r)
{
	autojson json_t *j = json_loadb(res->body, res->nbody, 0, NULL);
	const char *type = json_str(j, "__type", json_str(j, "code", json_str(j, "Code", "")));
	const char *text = json_str(j, "message", json_str(j, "Message", json_str(j, "errorMessage", "")));

	put_code(r, type);
	put(r->text, sizeof r->text, text, strlen(text));
}

static void from_xml(const struct http_res *res, struct refusal *r)
{
	struct err ignored;
	autoxml struct xml *x = xml_parse(res->body, res->nbody, &ignored);
	struct xml *at = x && !strcmp(x->name, "Error") ? x : xml_at(x, "Error");

	if (!at)
		at = xml_at(x, "Errors/Error");
	put_code(r, xml_text(at, "Code"));
	put(r->text, sizeof r->text, xml_text(at, "Message"), strlen(xml_text(at, "Message")));
}

/* Headers win over the body: they are what the SDKs read first. */
static void from_head(const struct http_res *res, struct refusal *r)
{
	char v[128];

	bool is_query = http_header(res, "x-amzn-query-error", v, sizeof v);

	v[is_query ? strcspn(v, ";") : 0] = '\0';
	if ((is_query && aws_code_find(v)) ||
	    (!*r->code && http_header(res, "x-amzn-errortype", v, sizeof v)))
		put_code(r, v);
}

static void read_refusal(const struct http_res *res, struct refusal *r)
{
	char first = res->body[strspn(res->body, " \t\r\n")];

	*r = (struct refusal){ "", "" };
	if (first == '{')
		from_json(res, r);
	else if (first == '<')
		from_xml(res, r);
	from_head(res, r);
}

/* A code says what happened, except that a 5xx may have happened anyway. */
static enum err_kind kind_of(int status, const struct aws_code *known)
{
	if (known && (status < 500 || known->kind == ERR_BUSY))
		return known->kind;
	if (status == 429)
		return ERR_BUSY;
	if (status == 401 || status == 403)
		return ERR_DENIED;
	return status >= 400 && status < 500 && status != 408 ? ERR_INPUT : ERR_UNSURE;
}

int64_t reply_date(const struct http_res *res)
{
	struct tm tm = { 0 };
	char v[64];

	if (!http_header(res, "date", v, sizeof v) || !strptime(v, "%a, %d %b %Y %H:%M:%S", &tm))
		return -1;
	return (int64_t)timegm(&tm) * 1000;
}

/* The clock is named by what AWS's own says, not by what its message guesses.
 * One that is off was corrected by that before (aws.c). */
static void say_skew(const struct http_res *res, int64_t now, char out[200])
{
	int64_t theirs = reply_date(res);

	if (theirs < 0)
		snprintf(out, 200, "; the answer has no Date to compare this machine's clock with: check it");
	else
		snprintf(out, 200, "; the time that was signed is right (%lld s off), so check the secret key, "
			 "and what changes requests on their way", llabs(now - theirs) / 1000);
}

int reply_refusal(const char *what, const struct http_res *res, int64_t now, int *flags, struct err *e)
{
	const struct aws_code *known;
	struct refusal r;
	char skew[200] = "", id[64] = "";

	read_refusal(res, &r);
	known = aws_code_find(r.code);
	*flags = known ? known->flags : 0;
	if (*flags & AWS_CODE_SKEW)
		say_skew(res, now, skew);
	if (http_header(res, "x-amzn-requestid", id, sizeof id))
		text_clean(id);
	/* ours before theirs, which may be long: it repeats the canonical request */
	err_set(e, kind_of(res->status, known), "%s: %s (HTTP %d%s%s)%s%s%s", what,
		*r.code ? r.code : "an answer without an AWS error code", res->status,
		*id ? ", request " : "", id, skew, *r.text ? ": " : "", r.text);
	snprintf(e->code, sizeof e->code, "%s", r.code);
	return -1;
}

/* A 200 from something that is not this operation (a proxy's page, another
 * service's answer) proves nothing. */
static int read_xml(const struct aws_op_info *op, const struct http_res *res, struct reply *out,
		    struct err *e)
{
	autoxml struct xml *x = xml_parse(res->body, res->nbody, e);
	char want[80];

	if (!x)
		return err_wrap(e, "%s", op->name);
	snprintf(want, sizeof want, "%sResponse", op->name);
	if (strcmp(x->name, want))
		return err_set(e, ERR_UNSURE, "%s: the answer is <%.60s>, not <%s>: whoever sent it is not AWS's %s",
			       op->name, x->name, want, op->service);
	out->xml = steal(&x);
	return 0;
}

static int read_json(const struct aws_op_info *op, bool may_be_empty, const struct http_res *res,
		     struct reply *out, struct err *e)
{
	json_error_t why = { .line = 0 };
	autojson json_t *j = NULL;

	if (may_be_empty && !res->nbody)
		j = json_object();
	else
		j = json_loadb(res->body, res->nbody, 0, &why);
	if (!json_is_object(j)) {
		text_clean(why.text);
		return err_set(e, ERR_UNSURE, "%s: the answer is not a JSON object%s%s", op->name,
			       j ? "" : ": ", j ? "" : why.text);
	}
	out->json = steal(&j);
	return 0;
}

int reply_read(const struct aws_op_info *op, enum protocol protocol, const struct http_res *res,
		int64_t now, struct reply *out, int *flags, struct err *e)
{
	*flags = 0;
	*out = (struct reply){ NULL, NULL };
	if (res->status < 200 || res->status > 299)
		return reply_refusal(op->name, res, now, flags, e);
	if (protocol == PROTOCOL_QUERY)
		return read_xml(op, res, out, e);
	return read_json(op, protocol == PROTOCOL_REST, res, out, e);
}

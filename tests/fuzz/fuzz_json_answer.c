/* Any bytes as an AWS answer: status, header lines and body come from the
 * input, and whatever they are the verdict must be one the engine can use. */
#include "aws/core.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first line is the header (";" for line ends), the rest the body. */
static void split(const char *text, struct http_res *res)
{
	size_t n = strcspn(text, "\n");

	res->head = xstrndup(text, n);
	for (char *p = res->head; *p; p++)
		if (*p == ';')
			*p = '\n';
	res->body = xstrdup(text[n] ? text + n + 1 : "");
	res->nbody = strlen(res->body);
}

static void check(int rc, const struct reply *out, const struct err *e, int status)
{
	bool good = status >= 200 && status < 300;

	if (!rc && (!good || !out->xml == !out->json))
		abort();
	if (rc && (e->kind == ERR_NONE || e->kind == ERR_BUG || !*e->msg || out->xml || out->json))
		abort();
	if (rc && good && e->kind != ERR_UNSURE)
		abort();
	if (rc && status >= 500 && e->kind != ERR_UNSURE && e->kind != ERR_BUSY)
		abort(); /* a 5xx write may have been executed */
	for (const char *p = e->msg; rc && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 200, 204, 301, 400, 403, 404, 408, 429, 500, 502, 503 };
	static const enum aws_op ops[] = { ELB_MODIFY_RULE, CW_GET_METRIC_DATA, SCHEDULER_GET_SCHEDULE };
	autofree char *text = NULL;
	struct http_res res = { 0 };

	if (size < 2)
		return 0;
	res.status = statuses[data[0] % COUNT(statuses)];
	text = xstrndup((const char *)data + 2, size - 2);
	split(text, &res);
	for (enum protocol p = PROTOCOL_QUERY; p <= PROTOCOL_REST; p++) {
		struct reply out;
		struct err e = { 0 };
		int flags, rc = reply_read(aws_op_info(ops[p]), p, &res, 1795312800000, &out, &flags, &e);

		check(rc, &out, &e, res.status);
		xml_free(out.xml);
		json_decref(out.json);
	}
	http_res_free(&res);
	return 0;
}

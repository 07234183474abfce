/* Any bytes as the judge's protocol: each line is answered, refused or ignored;
 * an answer is one line of JSON, and no number in it ran away. */
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "judge/protocol.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_numbers(const json_t *v)
{
	const char *key;
	json_t *kid;

	if (json_is_real(v) && !isfinite(json_real_value(v)))
		abort();
	json_object_foreach((json_t *)(uintptr_t)v, key, kid)
		check_numbers(kid);
}

static void check_answer(const struct buf *out)
{
	json_error_t je;
	autojson json_t *o = json_loadb(out->p, out->len, 0, &je);
	double low, high;

	if (!o || out->full || !memchr(out->p, '\n', out->len) || out->p[out->len - 1] != '\n')
		abort();
	check_numbers(o);
	low = json_dbl(json_object_get(o, "green"), "low", -1);
	high = json_dbl(json_object_get(o, "green"), "high", -1);
	if (!json_str(o, "verdict", NULL) || low < 0 || high < low || high > 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct protocol p;
	autobuf struct buf out = BUF_MAX(PROTOCOL_LINE);
	const char *at = (const char *)data, *end = at + size, *nl;
	struct judge_tuning t;

	judge_tuning_usual(&t);
	t.early = size & 1; /* both ways through it */
	protocol_init(&p, &t, size >> 1 & 1);
	for (; at < end; at = nl + 1) {
		struct err e = { 0 };
		int rc;

		nl = memchr(at, '\n', (size_t)(end - at));
		nl = nl ? nl : end;
		rc = protocol_line(&p, at, (size_t)(nl - at), &out, &e);
		if ((rc < 0) != (e.kind == ERR_INPUT) || (rc == 1) != (out.len > 0) || (rc < 0 && !*e.msg))
			abort();
		if (rc == 1)
			check_answer(&out);
		buf_clear(&out);
	}
	return 0;
}

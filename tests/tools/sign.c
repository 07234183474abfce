/* Signs what it reads: one JSON object a line in, one signature a line out.
 * tests/sigv4_botocore.py compares it with another signer. */
#include "aws/sigv4.h"
#include "base/buf.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define PAIRS_MAX 64

/* [["k", "v"], ...], lent. */
static size_t pairs(const json_t *o, const char *key, struct kv out[PAIRS_MAX])
{
	const json_t *list = json_object_get(o, key);
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n && i < PAIRS_MAX; i++) {
		const json_t *p = json_array_get(list, i);

		out[i].k = json_string_value(json_array_get(p, 0));
		out[i].v = json_string_value(json_array_get(p, 1));
	}
	return n < PAIRS_MAX ? n : PAIRS_MAX;
}

static void sign(const json_t *j)
{
	struct kv query[PAIRS_MAX], head[PAIRS_MAX];
	const char *body = json_str(j, "body", NULL);
	autosig struct sigv4_out o = { .canonical = NULL };
	struct sigv4_cred c = {
		json_str(j, "id", ""), json_str(j, "secret", ""), json_str(j, "token", NULL),
	};
	struct sigv4_req r = {
		.method = json_str(j, "method", ""), .path = json_str(j, "path", ""),
		.query = query, .nquery = pairs(j, "query", query),
		.head = head, .nhead = pairs(j, "head", head),
		.body = body, .nbody = body ? strlen(body) : 0,
		.region = json_str(j, "region", ""), .service = json_str(j, "service", ""),
		.when = json_str(j, "when", ""), .s3_path = json_yes(j, "s3"),
		.hash_header = json_yes(j, "s3") && !json_yes(j, "presign"),
		.expires = (int)json_num(j, "expires", 0),
	};

	(json_yes(j, "presign") ? sigv4_presign : sigv4_sign)(&r, &c, &o);
	autojson json_t *out = json_pack("{s:s,s:s,s:s}", "signature", o.signature, "auth", o.auth,
					 "canonical", o.canonical);
	autofree char *text = json_flat(out);

	printf("%s\n", text);
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, stdin) > 0) {
		autojson json_t *j = json_loads(line, 0, NULL);

		if (!json_is_object(j)) {
			fprintf(stderr, "sign: not a JSON object: %.80s\n", line);
			return 2;
		}
		sign(j);
	}
	free(line);
	return 0;
}

/* Any bytes as text of others, in a line of ours. */
#include "base/buf.h"
#include "base/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_fit(const char *s)
{
	for (size_t i = 0, n = strlen(s), len; i < n; i += len) {
		len = text_char(s + i, n - i);
		if (!len || text_is_odd(s + i, len))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *s = xstrndup((const char *)data, size);
	autobuf struct buf line = BUF_MAX(1 << 20);
	char out[96];

	for (size_t room = 1; room <= sizeof out; room += 1 + room / 8) {
		text_line(out, room, s);
		if (strlen(out) >= room)
			abort();
		must_be_fit(out);
	}
	text_add_line(&line, (const char *)data, size);
	if (line.p)
		must_be_fit(line.p);
	text_clean(s);
	return 0;
}

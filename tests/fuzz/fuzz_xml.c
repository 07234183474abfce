/* Any bytes as an XML answer: parsed or refused, walked, and sent back as arguments. */
#include "aws/core.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Depth and links must hold, else the walk itself falls over. */
static size_t walk(const struct xml *x, const struct xml *up)
{
	size_t n = 0;

	for (; x; x = x->next) {
		if (x->up != up || !x->name || (x->kid && x->text))
			abort();
		n += 1 + walk(x->kid, x);
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	autoxml struct xml *x = xml_parse((const char *)data, size, &e);
	autoargs struct aws_args *args = aws_args_new();
	autobuf struct buf form = BUF_MAX((size_t)8 << 20);

	if (!x) {
		if (e.kind != ERR_UNSURE || !*e.msg)
			abort();
		return 0;
	}
	if (!walk(x, NULL))
		abort();
	xml_next(xml_at(x, "Error/Code"));
	if (!xml_text(x, "Error/Message"))
		abort();
	aws_arg_tree(args, x, "A");
	args_form(args, &form);
	return 0;
}

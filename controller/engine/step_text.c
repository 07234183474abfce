/* engine/step_text.c - what a step says and gives; knows nothing of the engine. */
#include "engine/step.h"

#include <stdarg.h>
#include <stdio.h>

void step_say(struct step_run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->saying, sizeof r->saying, fmt, ap);
	va_end(ap);
}

void step_output(struct step_run *r, const char *name, const char *value)
{
	json_object_set_new(r->out, name, json_text(value));
}

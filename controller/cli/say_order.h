/* cli/say_order.h - questions, orders and what became of them, for people and programs. */
#ifndef CUTOVER_CLI_SAY_ORDER_H
#define CUTOVER_CLI_SAY_ORDER_H

#include "base/buf.h"
#include "base/json.h"

struct run;
struct run_order;

/* What is asked now, until when, and how to answer: two lines; nothing when nothing is. */
void say_question(const struct run *r, long long now, struct buf *out);
json_t *say_question_json(const struct run *r); /* NULL: nothing is asked; json_decref */
/* "answers `ask`: give green everything?" */
void say_effect(const struct run *r, const struct run_order *o, struct buf *out);
void say_void(const struct run *r, const struct run_order *o, struct buf *out); /* why it had none */
json_t *say_effect_json(const struct run *r, const struct run_order *o);
#endif

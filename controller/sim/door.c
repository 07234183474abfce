/* sim_send: what stands between the program and the world - the network with
 * its mishaps, answers that come too late, and the death of the sender. */
#include "base/cancel.h"
#include "base/err.h"
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#define LEAVE_MS   1000   /* how often a request is asked whether it may be given up */
#define TIMEOUT_MS 10000  /* HTTP_TIMEOUT_MS, for requests that name none */
#define SLOW_MS    9000

static void replace_body(struct http_res *a, int status, const char *text)
{
	free(a->body);
	a->status = status;
	a->body = xstrdup(text);
	a->nbody = strlen(text);
}

static int64_t patience(const struct http_req *q) { return q->timeout_ms ? q->timeout_ms : TIMEOUT_MS; }

static int lost(struct http_res *a, struct err *e)
{
	http_res_free(a);
	*a = (struct http_res){ 0 };
	return err_set(e, ERR_UNSURE, "the connection was reset before the answer came");
}

/* Executes and then spoils the answer, as `what` says. */
static int spoil(struct sim *s, const struct http_req *q, struct http_res *a, enum sim_mishap what, struct err *e)
{
	if (what == SIM_500 && dice_real(&s->mishap_dice) < 0.5) { /* it may have been done, or not */
		*a = (struct http_res){ .head = xstrdup("") };
		replace_body(a, 500, "");
	} else {
		front_answer(s, q, a, what);
	}
	if (what == SIM_REPLY_LOST)
		return lost(a, e);
	if (what == SIM_500)
		replace_body(a, 500, "<html><body>Internal Server Error</body></html>");
	if (what == SIM_MALFORMED)
		replace_body(a, 200, "<html><body>It works!<br></body>");
	if (what == SIM_TRUNCATED)
		a->body[a->nbody /= 2] = '\0';
	return 0;
}

/* Time passes; -1: given up meanwhile. */
static int door_wait(struct sim *s, const struct http_req *q, int64_t ms, struct err *e)
{
	for (int64_t slice; ms > 0; ms -= slice) {
		slice = ms < LEAVE_MS ? ms : LEAVE_MS;
		sim_advance(s, slice);
		if (cancel_is_raised(q->cancel))
			return http_cancelled(q, e);
	}
	return 0;
}

static int wait_in_vain(struct sim *s, const struct http_req *q, struct err *e)
{
	if (door_wait(s, q, patience(q), e))
		return -1;
	return err_set(e, ERR_UNSURE, "no answer within %lld ms", (long long)patience(q));
}

/* 0: its sender still waits when it is carried out. */
static int door_be_slow(struct sim *s, const struct http_req *q, struct err *e)
{
	const char *service;
	char op[64];
	int64_t late;

	if (!s->slow_on)
		return 0;
	front_name(q, &service, op);
	late = slow_ms(s, service, op, q->once);
	if (late < patience(q))
		return door_wait(s, q, late, e);
	if (q->once && late < SLOW_NEVER)
		flight_begin(s, q, s->now + late);
	return wait_in_vain(s, q, e);
}

static int meet(struct sim *s, const struct http_req *q, struct http_res *a, enum sim_mishap what, struct err *e)
{
	int64_t asked = s->now;

	if (cancel_is_raised(q->cancel))
		return http_cancelled(q, e);
	if (what == SIM_REFUSED)
		return err_set(e, ERR_NET, "connection refused");
	if (what == SIM_TIMEOUT_BEFORE)
		return wait_in_vain(s, q, e);
	if (door_be_slow(s, q, e))
		return -1;
	sim_advance(s, dice_between(&s->net_dice, 10, 60));
	if (spoil(s, q, a, what, e))
		return -1;
	sim_advance(s, a->took_ms + dice_between(&s->net_dice, 10, 60) + (what == SIM_SLOW ? SLOW_MS : 0));
	a->took_ms = s->now - asked;
	if (a->took_ms > patience(q))
		return lost(a, e);
	if (a->nbody > (q->max_answer ? q->max_answer : HTTP_ANSWER_MAX)) {
		lost(a, e);
		return err_set(e, ERR_UNSURE, "the answer is longer than %zu bytes", q->max_answer);
	}
	return 0;
}

/* Random ones meet only requests to AWS; one that was asked for meets any. */
static enum sim_mishap next_mishap(struct sim *s, const struct http_req *q)
{
	for (size_t i = 0; i < s->nmishaps; i++)
		if (s->mishap[i].at == s->requests) {
			enum sim_mishap what = s->mishap[i].what;

			s->mishap[i] = s->mishap[--s->nmishaps];
			return what;
		}
	if (s->mishap_rate > 0 && front_is_aws(q) && dice_real(&s->mishap_dice) < s->mishap_rate)
		return (enum sim_mishap)dice_between(&s->mishap_dice, SIM_FINE + 1, SIM_MISHAPS - 1);
	return SIM_FINE;
}

/* The dying request: sent or not, its answer is never seen. */
static int die(struct sim *s, const struct http_req *q, struct err *e)
{
	struct http_res unseen = { 0 };

	s->dead = true;
	s->will_die = false;
	if (s->die_before)
		return err_set(e, ERR_NET, "dead: the process was killed before it sent this");
	front_answer(s, q, &unseen, SIM_FINE);
	http_res_free(&unseen);
	return err_set(e, ERR_UNSURE, "dead: the process was killed while it waited for the answer");
}

int sim_send(void *sim, const struct http_req *q, struct http_res *a, struct err *e)
{
	struct sim *s = sim;
	enum sim_mishap what;

	*a = (struct http_res){ 0 };
	if (s->dead)
		return err_set(e, ERR_NET, "dead");
	if (s->will_die && s->requests++ >= s->die_at)
		return die(s, q, e);
	if (!s->will_die)
		s->requests++;
	what = next_mishap(s, q);
	return meet(s, q, a, what, e);
}

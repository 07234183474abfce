/* STS: who asks. */
#include "sim/world.h"

static void get_caller_identity(struct sim *s, const struct ask *k, struct say *a)
{
	(void)k;
	say_begin(a);
	say_tag(a, "Arn", "arn:aws:sts::%s:assumed-role/cutover/simulated", s->account);
	say_tag(a, "UserId", "AROAEXAMPLE:simulated");
	say_tag(a, "Account", "%s", s->account);
	say_end(a);
}

const struct answer account_answers[] = {
	{ "GetCallerIdentity", get_caller_identity },
	{ NULL, NULL },
};

#include "aws/sts.h"

#include "aws/answer.h"
#include "aws/aws.h"
#include "base/err.h"

int sts_who(struct aws *a, struct sts_who *out, struct err *e)
{
	autoxml struct xml *x = NULL;
	struct xml *r;

	*out = (struct sts_who){ 0 };
	if (aws_query(a, STS_GET_CALLER_IDENTITY, NULL, &x, e))
		return -1;
	r = answer_at(x, "GetCallerIdentityResult", e);
	if (!r || answer_text(r, "Account", out->account, sizeof out->account, e) ||
	    answer_text(r, "Arn", out->arn, sizeof out->arn, e))
		return err_wrap(e, "asking AWS who we are");
	return 0;
}

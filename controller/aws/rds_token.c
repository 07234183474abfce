#include "aws/rds_token.h"

#include "aws/aws.h"
#include "aws/secrets.h"
#include "base/buf.h"
#include "base/err.h"

#include <string.h>

char *rds_token(struct aws *a, const char *host, int port, const char *user, struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autofree char *url = xasprintf("https://%s:%d/", host, port);
	autosecret char *whole = NULL;

	aws_arg(args, "connect", "Action");
	aws_arg(args, user, "DBUser");
	whole = aws_presign(a, "rds-db", "GET", url, args, RDS_TOKEN_SECONDS, e);
	if (!whole) {
		err_wrap(e, "making an IAM token for %.100s at %.200s", user, host);
		return NULL;
	}
	return xstrdup(whole + strlen("https://"));
}

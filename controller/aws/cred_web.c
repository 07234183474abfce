/* Web identity from the environment: how EKS gives a pod its role. */
#include "aws/cred_sources.h"

enum found cred_from_web_identity(struct cred_chain *c, struct cred *out, struct err *e)
{
	struct cred_role role = {
		.arn = env_get("AWS_ROLE_ARN"),
		.token_file = env_get("AWS_WEB_IDENTITY_TOKEN_FILE"),
	};

	if (!role.token_file)
		return FOUND_NOT_HERE;
	if (!role.arn)
		return err_set(e, ERR_DENIED, "AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not");
	return cred_assume_web(c, &role, "web identity", out, e) ? FOUND_ERROR : FOUND;
}

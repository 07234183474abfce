/* aws/rds_token.h - a password for one connection: a presigned rds-db:connect.
 * docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
 * AWS takes it for 15 minutes after it was made, only to connect; so one is
 * made per connect and none is kept. */
#ifndef CUTOVER_AWS_RDS_TOKEN_H
#define CUTOVER_AWS_RDS_TOKEN_H

struct aws;
struct err;

#define RDS_TOKEN_SECONDS 900

/* "host:port/?Action=connect&DBUser=...&X-Amz-...", without scheme; caller wipes
 * and frees (secret_free). NULL and *e when there are no credentials. */
char *rds_token(struct aws *a, const char *host, int port, const char *user, struct err *e);
#endif

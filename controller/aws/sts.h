/* aws/sts.h - who we are. */
#ifndef CUTOVER_AWS_STS_H
#define CUTOVER_AWS_STS_H

struct aws;
struct err;

struct sts_who {
	char account[16], arn[256];
};
int sts_who(struct aws *a, struct sts_who *out, struct err *e);
#endif

/* aws/cfn.h - what the files about CloudFormation share; for this room's own files. */
#ifndef CUTOVER_AWS_CFN_H
#define CUTOVER_AWS_CFN_H

#include "aws/cloudformation.h"

#define CFN_PAGES_MAX 50

/* Wraps *e; "does not exist" becomes ERR_GONE. -1. */
int cfn_failed(struct err *e, const char *doing, const char *stack);
#endif

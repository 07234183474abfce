/* steps/needs.h - the reads that a run will make, made before it begins: what is
 * refused now would be found out when green has users. */
#ifndef CUTOVER_STEPS_NEEDS_H
#define CUTOVER_STEPS_NEEDS_H

#include <stddef.h>

struct err;
struct step_run;

/* The nth of them. 1: there are no more; 0: it can be read, or this plan does not
 * need it; -1: it cannot, with AWS's words and the IAM action. BUSY, also while
 * CloudWatch does not show enough of blue yet to judge green by. */
int needs_read(struct step_run *r, size_t n, struct err *e);
#endif

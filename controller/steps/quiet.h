/* steps/quiet.h - is nobody asking this colour any more?
 *
 * CloudWatch publishes nothing for a group without requests, and also nothing
 * when it cannot see. So silence proves something only in periods in which the
 * other colour of the same load balancer is seen being asked. */
#ifndef CUTOVER_STEPS_QUIET_H
#define CUTOVER_STEPS_QUIET_H

#include "engine/step.h"

struct quiet {
	int closed;       /* periods looked at, all closed and all after the present weights; at most as many as asked for */
	int loud;         /* of these: the quiet colour was still asked */
	int busy;         /* after the last loud one: only the busy colour was asked */
	int silent;       /* after the last loud one: nobody was asked at all */
	double requests;  /* of the quiet colour */
	bool complete;    /* CloudWatch gave all it has */
};

/* Looks at the newest n closed periods. */
int quiet_look(struct step_run *r, const char *quiet, const char *busy, int n, struct quiet *out, struct err *e);
#endif

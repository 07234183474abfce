/* engine/drained.h - does nobody ask this colour any more, and who could serve?
 * The one answer to both, for the way back, and for steps that end a colour. */
#ifndef CUTOVER_ENGINE_DRAINED_H
#define CUTOVER_ENGINE_DRAINED_H

#include <stdbool.h>
#include <stdint.h>

struct aws;
struct err;
struct plan;

struct drained {
	int closed;       /* periods looked at, all closed and all after the present weights */
	int loud;         /* of these: the quiet colour was still asked */
	int busy;         /* after the last loud one: only the busy colour was asked */
	int silent;       /* after the last loud one: nobody was asked at all */
	double requests;  /* of the quiet colour */
	bool complete;    /* CloudWatch gave all it has */
};
#define DRAINED_SILENT 5 /* periods without any request after which nobody is there to be misled */

struct drained_of {
	const char *quiet, *busy; /* target groups */
	int64_t since, now;       /* wall ms: of the present weights; the present */
	int newest;               /* how many closed periods; 0: all since the weights */
};
int drained_look(struct aws *a, const struct plan *p, const struct drained_of *of, struct drained *out, struct err *e);
/* The quiet colour is free of requests: n periods say so, or nobody is there at all. */
bool drained_is_proved(const struct drained *d, int n);

/* Blue without a healthy target is no place to send users to, unless green has
 * none either. Not knowing is no reason to stay: the last known side is blue. */
bool drained_blue_can_serve(struct aws *a, const char *blue, const char *green);
#endif

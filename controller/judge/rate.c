#include "judge/rate.h"

#include <math.h>

#define STEPS 60 /* halvings; more than a double tells apart */

struct seen {
	double x, n, limit; /* limit: log evidence that refutes a rate */
};

static double log_beta(double a, double b)
{
	return lgamma(a) + lgamma(b) - lgamma(a + b);
}

static int refuted(const struct seen *s, double p)
{
	double l = (s->x > 0 ? s->x * log(p) : 0) + (s->n > s->x ? (s->n - s->x) * log1p(-p) : 0);

	return log_beta(s->x + .5, s->n - s->x + .5) - log_beta(.5, .5) - l >= s->limit;
}

/* Between a rate that holds and one that is refuted: the likelihood falls from the first to the second. */
static double edge(const struct seen *s, double holds, double refutes)
{
	for (int i = 0; i < STEPS; i++) {
		double middle = (holds + refutes) / 2;

		if (refuted(s, middle))
			refutes = middle;
		else
			holds = middle;
	}
	return holds;
}

struct rate_interval rate_interval(double errors, double requests, double alpha)
{
	struct seen s = { .n = requests, .limit = log(1 / alpha) };
	struct rate_interval r = { .high = 1 };

	if (!(requests > 0))
		return r;
	s.x = errors > 0 ? fmin(errors, requests) : 0;
	r.rate = s.x / s.n;
	r.low = s.x > 0 ? edge(&s, r.rate, 0) : 0;
	r.high = s.x < s.n ? edge(&s, r.rate, 1) : 1;
	return r;
}

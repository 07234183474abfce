/* judge/numbers.c - arithmetic in logarithms. */
#include "judge/parts.h"

#include <math.h>

double log_sum(double a, double b)
{
	double m = fmax(a, b);

	if (isinf(m))
		return m;
	return m + log1p(exp(-fabs(a - b)));
}

double clamp(double v, double low, double high)
{
	return v < low ? low : v > high ? high : v;
}

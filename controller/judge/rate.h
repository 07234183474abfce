/* judge/rate.h - the interval in which a rate lies, for people to read.
 *
 * Valid at every look, like the verdict: the rates p that a bet against them
 * has not refuted so far,
 *
 *     { p : B(x + 1/2, n - x + 1/2) / (B(1/2, 1/2) p^x (1-p)^(n-x)) < 1/alpha },
 *
 * with the beta mixture of Robbins (Statistical methods related to the law of
 * the iterated logarithm, 1970). It supposes a rate that stays the same, which
 * a wiki's does not quite: no verdict rests on it. */
#ifndef CUTOVER_JUDGE_RATE_H
#define CUTOVER_JUDGE_RATE_H

struct rate_interval {
	double rate, low, high; /* all in [0, 1]; without requests 0, 0, 1 */
};

/* alpha: chance that the true rate is ever outside; .05 for people. */
struct rate_interval rate_interval(double errors, double requests, double alpha);
#endif

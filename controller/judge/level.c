/* judge/level.c - the e-process that knows blue's level.
 *
 * The error rate that both colours share is hidden; it lies on a grid, its
 * long-run law is learnt from blue's history, and a sticky filter follows it:
 * mostly it stays or takes a small step, sometimes it jumps (an incident), and
 * sometimes it goes back to the usual. The filter is run twice: for "green is
 * as blue", and, jointly with the onset and the size of the fault, for "green
 * fails at max(2p, p + d)". The ratio of the two is the e-process. It has more
 * power than the split where blue has few errors, and trusts more: that the
 * level behaves as the filter thinks. So it gets half of the errors' budget.
 *
 * What green shows before blue's half of a minute is there may be an incident of
 * both, but for the very minute in which green begins: one a week falls there
 * once in ten thousand runs. And where green alone fails, all its errors but
 * three may be one event (clump.c), so "as blue" is never less likely than
 * that; where blue has an error or two, that is what green's errors say at least.
 *
 * Filter: forward recursion of a hidden Markov model (Baum & Petrie,
 * Statistical inference for probabilistic functions of finite state Markov
 * chains, 1966). */
#include "judge/parts.h"

#include <math.h>
#include <string.h>

#define LOWEST 1e-6
#define HIGHEST .95
#define JUMP .01        /* a period: the level goes anywhere */
#define BACK .05        /* ... to the usual */
#define JUMP_FIRST 1e-4 /* the same in the very period in which green begins: an incident of both does, too, if there is one a week */
#define BACK_FIRST .003 /* ... and the usual knows of incidents, too */
#define WALK .2         /* ... a step up or down the grid */
#define BROAD_FROM 3e-4 /* an incident is at least this bad */
#define COUNT_CAP 20.0  /* errors of a period that count in full: more only say the same again */
#define RATIO 2.0
#define WORST .995
#define NEGLIGIBLE (-690) /* exp() of less is less than 1e-299 */
#define IMPOSSIBLE 1e-280   /* likelihood of "as blue" from which on it is only kept above 0 */
#define OVERWHELMING 1e30   /* evidence of one level and excess: more says nothing more */
#define RECENT 30       /* periods of history that say where the level stands now */
#define BLOCK 5         /* periods of history taken together */

/* How much worse a green that fails may be. Between .1 and .98 the rates are close: where errors are too many to
 * count in full, those next to the true one would say little of it, and more errors would be less evidence. */
#define DENSE (.4 / 6)
static const struct {
	double excess, prior;
} fault[JUDGE_EXCESSES] = {
	{ 1e-4, .1 }, { 5e-4, .1 }, { 2e-3, .1 }, { 5e-3, .1 }, { .02, .1 }, { .05, .1 }, { .2, DENSE }, { .98, DENSE },
	/* not the reference's, to which the others are all as likely */
	{ .1, DENSE }, { .14, DENSE }, { .35, DENSE }, { .6, DENSE },
};
#define REFERENCE_EXCESSES 8

static double prior_of(const struct judge_level *l, int d)
{
	return l->excesses < JUDGE_EXCESSES ? 1.0 / l->excesses : fault[d].prior;
}

/* The grid and its logarithms: constants that C cannot write down. */
struct grid {
	double p[JUDGE_LEVELS], log_p[JUDGE_LEVELS], log_q[JUDGE_LEVELS], broad[JUDGE_LEVELS];
	double log_wp[JUDGE_EXCESSES][JUDGE_LEVELS], log_wq[JUDGE_EXCESSES][JUDGE_LEVELS];
};
static struct grid grid;

static void __attribute__((constructor)) grid_fill(void)
{
	double from = log10(LOWEST), to = log10(HIGHEST);
	int broad = 0;

	for (int g = 0; g < JUDGE_LEVELS; g++) {
		double p = grid.p[g] = pow(10, from + (to - from) * g / (JUDGE_LEVELS - 1));

		grid.log_p[g] = log(p);
		grid.log_q[g] = log1p(-p);
		broad += p >= BROAD_FROM;
		for (int d = 0; d < JUDGE_EXCESSES; d++) {
			double w = fmin(fmax(RATIO * p, p + fault[d].excess * (1 - p)), WORST);

			grid.log_wp[d][g] = log(w);
			grid.log_wq[d][g] = log1p(-w);
		}
	}
	for (int g = 0; g < JUDGE_LEVELS; g++)
		grid.broad[g] = grid.p[g] >= BROAD_FROM ? 1.0 / broad : 0;
}

static void walk(double *out, const double *in, double step)
{
	for (int g = 0; g < JUDGE_LEVELS; g++)
		out[g] = (1 - step) * in[g];
	for (int g = 0; g < JUDGE_LEVELS; g++) {
		out[g + 1 < JUDGE_LEVELS ? g + 1 : g] += step / 2 * in[g];
		out[g ? g - 1 : 0] += step / 2 * in[g];
	}
}

static double sum_of(const double *a)
{
	double t[4] = { 0 }; /* additions wait for each other */

	for (int g = 0; g < JUDGE_LEVELS; g += 4)
		for (int i = 0; i < 4; i++)
			t[i] += a[g + i];
	return t[0] + t[1] + t[2] + t[3];
}

/* One period on. What would leave the grid stays at its edge. */
static void advance(const struct judge_level *l, double *a)
{
	const double stay = 1 - l->leaves, total = sum_of(a);
	double was[JUDGE_LEVELS + 2];

	memcpy(was + 1, a, JUDGE_LEVELS * sizeof *a);
	was[0] = a[0];
	was[JUDGE_LEVELS + 1] = a[JUDGE_LEVELS - 1];
	for (int g = 0; g < JUDGE_LEVELS; g++)
		a[g] = stay * ((1 - WALK) * was[g + 1] + WALK / 2 * (was[g] + was[g + 2])) + total * l->drift[g];
}

/* How often the level leaves, and where it goes. */
static void move_by(struct judge_level *l, double jump, double back)
{
	l->leaves = jump + back;
	for (int g = 0; g < JUDGE_LEVELS; g++)
		l->drift[g] = jump * grid.broad[g] + back * l->usual[g];
}

/* Adds the posterior of one block of history to `sum`. */
static void learn_block(double *sum, const double *law, double n, double x)
{
	double l[JUDGE_LEVELS], most = -INFINITY, total = 0;

	for (int g = 0; g < JUDGE_LEVELS; g++) {
		l[g] = x * grid.log_p[g] + (n - x) * grid.log_q[g] + log(law[g] + 1e-12);
		most = fmax(most, l[g]);
	}
	for (int g = 0; g < JUDGE_LEVELS; g++)
		total += l[g] = exp(l[g] - most);
	for (int g = 0; g < JUDGE_LEVELS; g++)
		sum[g] += l[g] / total;
}

static double block_sum(const double *v, int from, int n, int size)
{
	double t = 0;

	for (int i = from; i < n && i < from + size; i++)
		t += v[i];
	return t;
}

static void learn(double *law, const double *requests, const double *errors, int n)
{
	for (int round = 0; round < 3; round++) { /* expectation maximisation; three are enough */
		double sum[JUDGE_LEVELS] = { 0 };
		int blocks = 0;

		for (int i = 0; i < n; i += BLOCK, blocks++)
			learn_block(sum, law, block_sum(requests, i, n, BLOCK), block_sum(errors, i, n, BLOCK));
		for (int g = 0; g < JUDGE_LEVELS && blocks; g++)
			sum[g] /= blocks;
		walk(law, sum, .1);
	}
}

/* Where blue stands just before green comes. */
static void follow(struct judge_level *l, double n, double x)
{
	double power = l->power * fmin(1, COUNT_CAP / fmax(x, 1)), most = -INFINITY, total = 0, k[JUDGE_LEVELS];

	advance(l, l->same);
	for (int g = 0; g < JUDGE_LEVELS; g++)
		most = fmax(most, k[g] = power * (x * grid.log_p[g] + (n - x) * grid.log_q[g]));
	for (int g = 0; g < JUDGE_LEVELS; g++)
		total += l->same[g] *= exp(k[g] - most);
	for (int g = 0; g < JUDGE_LEVELS; g++) /* the jump keeps the total well above 0 */
		l->same[g] /= total;
}

void level_start(struct judge_level *l, const double *requests, const double *errors, int n, const struct judge_dispersion *d, bool all)
{
	memset(l, 0, sizeof *l);
	for (int g = 0; g < JUDGE_LEVELS; g++)
		l->usual[g] = 1.0 / JUDGE_LEVELS;
	learn(l->usual, requests, errors, n);
	/* Never more certain than a history of hours allows. */
	for (int g = 0; g < JUDGE_LEVELS; g++)
		l->same[g] = l->usual[g] = .97 * l->usual[g] + .03 / JUDGE_LEVELS;
	for (int g = 0; g < JUDGE_LEVELS; g++)
		l->rate += l->usual[g] * grid.p[g];
	move_by(l, JUMP, BACK);
	l->excesses = all ? JUDGE_EXCESSES : REFERENCE_EXCESSES;
	l->power = 1 / d->clump;
	l->wander = all ? d->wander : 0;
	l->apart = all;
	l->unknown = d->unknown;
	for (int i = n > RECENT && all ? n - RECENT : n; i < n; i++)
		follow(l, requests[i], errors[i]);
	if (all)
		move_by(l, JUMP_FIRST, BACK_FIRST);
}

/* Of one period, under "as blue" and under each excess, at each level: logarithms. */
struct likelihood {
	double same[JUDGE_LEVELS], worse[JUDGE_EXCESSES][JUDGE_LEVELS], most;
};

/* Adds one colour's half. A count that is missing at first sight is zero, or
 * late: a rate at which there must have been some is left with the second.
 * Nothing seen speaks for nothing. */
static void add_half(double *row, const struct judge_level *l, const struct judge_pair *p, enum judge_colour c, double power,
		     const double *log_p, const double *log_q)
{
	double x = p->count[c], n = p->requests[c];

	if (p->known[c] == PAIR_KNOWN)
		for (int g = 0; g < JUDGE_LEVELS; g++)
			row[g] += power * (x * log_p[g] + (n - x) * log_q[g]);
	if (p->known[c] == PAIR_MISSING)
		for (int g = 0; g < JUDGE_LEVELS; g++)
			row[g] += l->power * (n * log_q[g] < NEGLIGIBLE ? log(PAIR_LATE) : log(PAIR_LATE + (1 - PAIR_LATE) * exp(n * log_q[g])));
}

static double known_count(const struct judge_pair *p, enum judge_colour c)
{
	return p->known[c] == PAIR_KNOWN ? p->count[c] : 0;
}

static double most_of(const double *row, double most)
{
	for (int g = 0; g < JUDGE_LEVELS; g++)
		most = row[g] > most ? row[g] : most;
	return most;
}

/* The information that green's errors have of the ratio, as far as blue's rate is known. */
static double information(const struct judge_level *l, const struct judge_pair *p)
{
	double n = p->requests[JUDGE_GREEN], blue = p->requests[JUDGE_BLUE];

	if (blue <= 0)
		return n * l->rate;
	return n * blue / (n + blue) * (p->known[JUDGE_BLUE] == PAIR_KNOWN ? p->count[JUDGE_BLUE] / blue : l->rate);
}

/* The power of a period's likelihood: less for clumps, for a ratio that wanders (as in split.c), and for more errors
 * than say anything new. */
static double power_of(const struct judge_level *l, const struct judge_pair *p, double failed)
{
	return l->power * fmin(1, COUNT_CAP / fmax(failed, 1)) / (1 + l->wander * l->power * information(l, p));
}

static double log_choose(double n, double k) { return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1); }

/* Green's errors, where blue has none, as three events, of which one brings all
 * others: the likelihood of "as blue" is at least that. Three events are too few
 * to say the same again, so COUNT_CAP is none of theirs; unless blue has an error
 * or two, when it may be the beginning of an incident. `power`: of green's errors. */
static void one_event(double *same, const struct judge_level *l, const struct judge_pair *p, const double *blue, double power)
{
	double n = p->requests[JUDGE_GREEN], x = p->count[JUDGE_GREEN];
	double power_events = known_count(p, JUDGE_BLUE) <= 0 ? power_of(l, p, CLUMP_SINGLES) : power;
	double ways = power_events * log_choose(n, CLUMP_SINGLES) - power * log_choose(n, x);
	double surprise = clump_surprise(&l->unknown, x - CLUMP_SINGLES + 1);

	for (int g = 0; g < JUDGE_LEVELS; g++) {
		double events = CLUMP_SINGLES * grid.log_p[g] + (n - CLUMP_SINGLES) * grid.log_q[g];

		same[g] = fmax(same[g], blue[g] + power_events * events + ways - surprise);
	}
}

/* Green's errors may be one event. */
static bool may_be_one_event(const struct judge_level *l, const struct judge_pair *p)
{
	return clump_alone(&l->unknown, known_count(p, JUDGE_BLUE), known_count(p, JUDGE_GREEN));
}

/* What a period may say against green: where it fails alone, all that `event`
 * leaves; where both do, what clumps leave, or what `event` leaves if it is more. */
static void bound(double *worse, const struct judge_level *l, const struct judge_pair *p, const double *same, const double *event)
{
	double blue = known_count(p, JUDGE_BLUE), green = known_count(p, JUDGE_GREEN);

	if ((event && blue <= 0) || !clump_feared(&l->unknown, blue, green))
		return;
	for (int g = 0; g < JUDGE_LEVELS; g++) {
		double said = worse[g] - same[g], most = clump_believed(&l->unknown, blue, green, said);

		worse[g] = same[g] + (event ? fmax(most, fmin(said, worse[g] - event[g])) : most);
	}
}

static void likelihood_of(struct likelihood *k, const struct judge_level *l, const struct judge_pair *p)
{
	double failed[2] = { known_count(p, JUDGE_BLUE), known_count(p, JUDGE_GREEN) }, both = failed[JUDGE_BLUE] + failed[JUDGE_GREEN];
	double power = power_of(l, p, l->apart ? failed[JUDGE_GREEN] : both), blue[JUDGE_LEVELS] = { 0 }, event[JUDGE_LEVELS];
	bool may_be = may_be_one_event(l, p);

	add_half(blue, l, p, JUDGE_BLUE, l->apart ? power_of(l, p, failed[JUDGE_BLUE]) : power, grid.log_p, grid.log_q);
	memcpy(k->same, blue, sizeof blue);
	add_half(k->same, l, p, JUDGE_GREEN, power, grid.log_p, grid.log_q);
	memcpy(event, k->same, sizeof event);
	if (may_be)
		one_event(event, l, p, blue, power);
	if (failed[JUDGE_BLUE] <= 0)
		memcpy(k->same, event, sizeof event);
	k->most = most_of(k->same, -INFINITY);
	for (int d = 0; d < l->excesses; d++) {
		memcpy(k->worse[d], blue, sizeof blue);
		add_half(k->worse[d], l, p, JUDGE_GREEN, power, grid.log_wp[d], grid.log_wq[d]);
		bound(k->worse[d], l, p, k->same, may_be ? event : NULL);
		k->most = most_of(k->worse[d], k->most);
	}
}

/* Much of the grid is out of the question most of the time. */
static void weigh(double *a, const double *row, double most)
{
	for (int g = 0; g < JUDGE_LEVELS; g++)
		a[g] *= row[g] - most < NEGLIGIBLE ? 0 : exp(row[g] - most);
}

/* Relative to `total`, and no more than is overwhelming. */
static void scale(double *a, double total)
{
	for (int g = 0; g < JUDGE_LEVELS; g++) {
		double v = a[g] / total;

		a[g] = v < OVERWHELMING ? v : OVERWHELMING;
	}
}

/* From the first period whose errors of green were seen, an incident may begin at any time. */
static void begin(struct judge_level *l, const struct judge_pair *p)
{
	if (l->begun || p->known[JUDGE_GREEN] != PAIR_KNOWN || p->requests[JUDGE_GREEN] <= 0)
		return;
	l->begun = true;
	move_by(l, JUMP, BACK);
}

void level_update(struct judge_level *l, const struct judge_pair *p, double onset, double left)
{
	struct likelihood k;
	double total, evidence = 0;

	advance(l, l->same);
	for (int d = 0; d < l->excesses; d++) {
		advance(l, l->worse[d]);
		for (int g = 0; g < JUDGE_LEVELS; g++)
			l->worse[d][g] += onset * prior_of(l, d) * l->same[g];
	}
	likelihood_of(&k, l, p);
	weigh(l->same, k.same, k.most);
	total = fmax(sum_of(l->same), IMPOSSIBLE);
	if (total > IMPOSSIBLE)
		scale(l->same, total);
	else /* "as blue" has become all but impossible */
		memcpy(l->same, l->usual, sizeof l->same);
	for (int d = 0; d < l->excesses; d++) {
		weigh(l->worse[d], k.worse[d], k.most);
		scale(l->worse[d], total);
		evidence += sum_of(l->worse[d]);
	}
	l->log_e = log(evidence + left);
	if (may_be_one_event(l, p))
		clump_seen(&l->unknown, p->count[JUDGE_GREEN] - CLUMP_SINGLES + 1);
	begin(l, p);
}

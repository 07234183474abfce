/* judge/tuning.c - what may be changed, by name, with its bounds.
 *
 * `usual` is what a run uses; `reference` is the published candidate that the
 * golden traces were made with. Where the two differ, the row says why. */
#include "judge/parts.h"

#include <string.h>

#define AT(f) offsetof(struct judge_tuning, f)
static const struct judge_tunable rows[] = {
	{ "alpha", AT(alpha), .01, .01, 1e-6, .2, "chance of taking back a green as good as blue, over the whole run" },
	{ "beta", AT(beta), .05, .002, 1e-6, .2, "chance of leaving a stage though the excess it must exclude is there" },
	{ "beta_auto", AT(beta_auto), .01, .002, 1e-6, .2, "the same of raising a weight of \"auto\"" },
	{ "beta_look", AT(beta_look), .0015, .002, 1e-6, .2, "chance of not seeing, before blue has no traffic left, what must be excluded there" },
	{ "beta_last", AT(beta_last), .0005, .002, 1e-6, .2, "... and at the end" },
	{ "harm", AT(harm), 3.3, 20, 1, 1e9, "failed requests one more stage may cost before its fault is seen" },
	{ "intrinsic", AT(intrinsic), 9, 0, 0, 1e6, "... and so many times what that fault costs at any weight for each unit of log evidence against it" },
	{ "hurry", AT(hurry), 12, 0, 0, 1e6, "... which grows with the square of the time in a stage, from so many periods on, and so does `suspect`; 0: never" },
	{ "harm_auto", AT(harm_auto), 15, 20, 1, 1e9, "the same with weights of its own, which need less time for the same proof" },
	{ "harm_first", AT(harm_first), 8, 8, 1, 1e9, "the same for the first weight of \"auto\"" },
	{ "react", AT(react), 4, 4, 1, 100, "periods from a fault to the rollback" },
	{ "observe", AT(observe), 30, 30, 1, 1000, "periods the last stage may look for what it cannot afford for ever" },
	{ "error_share", AT(error_share), .65, .75, .01, .99, "share of alpha for errors; the other metrics divide the rest" },
	{ "level_share", AT(level_share), .6, .5, .01, .99, "share of the errors' evidence for the part that follows blue's level" },
	{ "suspect", AT(suspect), 1.5, 4, 1.01, 1e6, "evidence from which on a stage is not left" },
	{ "suspect_auto", AT(suspect_auto), 1.8, 4, 1.01, 1e6, "the same with weights of its own" },
	{ "suspect_last", AT(suspect_last), 10, 4, 1.01, 1e6, "the same where blue has no traffic left: waiting shows no more" },
	{ "suspect_slow", AT(suspect_slow), 1.05, 1e9, 1, 1e9, "evidence of slow requests by themselves from which on a stage is not left while blue has traffic" },
	{ "hazard_first", AT(hazard_first), .5, .4, 0, .99, "prior mass of an onset at green's first request" },
	{ "hazard_stage", AT(hazard_stage), .15, .15, 0, .99, "... at each raise of the weight" },
	{ "hazard_auto", AT(hazard_auto), .1, .1, 0, .99, "... at each raise of \"auto\", which has more of them" },
	{ "hazard_slow", AT(hazard_slow), .12, .06, 0, .99, "... in between, divided by the periods since the start" },
	{ "gate_floor", AT(gate_floor), -15, -3, -100, 0, "lowest log evidence of a gate" },
	{ "gate_cap", AT(gate_cap), 0, 0, 0, 100, "most one period may take from a gate; 0: no limit" },
	{ "cap_alone", AT(cap_alone), 1.3, 0, 0, 100, "the same where blue has no traffic: an incident of both looks like a fault there" },
	{ "burst", AT(burst), 4, 0, 0, 100, "deviations by which blue's errors make a period one in which the level says nothing; 0: never" },
	{ "excess_ratio", AT(excess_ratio), 2, 2, 1.1, 100, "excess below this ratio of the usual level is not asked for" },
	{ "level_low", AT(level_low), .6, .6, .01, 1, "lowest level a gate assumes, as a ratio of the usual one" },
	{ "level_high", AT(level_high), 1.25, 1.6, 1, 100, "highest" },
	{ "level_prior", AT(level_prior), 2, 4, 0, 1000, "weight of history in that level, periods" },
	{ "lax", AT(lax), 4, 4, 1, 100, "what the last stage excludes by itself, as a multiple of what it cannot afford" },
	{ "last_look", AT(last_look), 1, 0, 0, 1000, "what is excluded before blue has no traffic left, as a multiple of what cannot be afforded; 0: no more than before" },
	{ "visible", AT(visible), 1.6, 0, 0, 100, "the last stage asks for no excess that gives less than this many times the evidence needed; 0: asks for it" },
	{ "visible_auto", AT(visible_auto), 2, 0, 0, 100, "the same with weights of its own, which leave the last stage less blue to see it by" },
	{ "gross", AT(gross), 4, 0, 0, 100, "a green that fails so many times as often as usual is asked for even if it can be afforded; 0: no" },
	{ "patience", AT(patience), 40, 0, 0, 10000, "... where so many periods can show it" },
	{ "firm", AT(firm), 1, 0, 0, 1, "1: what the last stage asks for does not grow with the traffic: no blue is left to show it by" },
	{ "fine", AT(fine), 1, 0, 0, 1, "1: twice as many excess rates in the gate, and what lies between them" },
	{ "joint", AT(joint), 1, 0, 0, 1, "1: what a period says against an excess is weighed over all levels blue may have; 0: at one estimate" },
	{ "warm", AT(warm), 5, 0, 0, 1000, "periods after green's first request in which slowness is forgiven: caches are cold" },
	{ "posterior", AT(posterior), 1, 0, 0, 1, "1: how healthy groups differ is weighed over all they may by each split of history; 0: by mean squares" },
	{ "clump_prior", AT(clump_prior), .35, .3, .01, .99, "how likely each larger clump is beside the next smaller one, before history is seen" },
	{ "clump_slack", AT(clump_slack), 1.4, 1.4, 1, 10, "clumps that are expected to be no larger are none" },
	{ "clump_more", AT(clump_more), 1.4, 1.4, 1, 10, "factor on what is beyond: a short history shows too little" },
	{ "clump_sure", AT(clump_sure), .01, .01, 0, .5, "chance left that clumps are smaller than what makes the gate slower, or that large ones are there" },
	{ "clump_unknown", AT(clump_unknown), 9, 1, 1, 100, "clumping feared where both colours fail and history has too few errors to show any" },
	{ "clump_alone", AT(clump_alone), 4, 0, 0, 100, "where green alone fails, its errors are feared to be one event, so many times as large as history's; 0: they are not" },
	{ "clump_known", AT(clump_known), 20, 20, 0, 1e6, "errors in one period with others, in all of history, that are enough to show it" },
	{ "wander_prior", AT(wander_prior), .7, .7, .01, .99, "how likely each larger wandering of the ratio is beside the next smaller one, before history is seen" },
	{ "wander_more", AT(wander_more), 2.1, 2.1, 1, 10, "factor on the wandering that is expected" },
	{ "noisy", AT(noisy), 0, 2.5, 0, 1e9, "healthy groups that differ by more are not compared by level; 0: they are, and it says as much less" },
	{ "slight", AT(slight), .05, 0, 0, .5, "how likely a fault is that adds a third to the failures, beside larger ones; asked for where healthy groups are known to differ less" },
	{ "speed", AT(speed), 1, 0, 0, 1, "1: a slow green is expected to have two to seven times as many slow requests; 0: as many more as failures may be" },
	{ "hot", AT(hot), .1, 0, 0, .9, "share of the evidence of slow requests for those of the forgiven periods that took twice the limit, against blue's slow ones" },
	{ "early", AT(early), 1, 0, 0, 1, "1: judge green's errors before blue's are final" },
	{ "ahead", AT(ahead), 1, 0, 0, 1, "1: a stage is left by periods that are not final, too, where they show green" },
	{ "window", AT(window), 9, 9, 2, JUDGE_RING - 1, "periods back that may still become final" },
	{ "growth", AT(growth), 4, 4, 1.1, 100, "auto: largest raise, as a ratio" },
	{ "weight_min", AT(weight_min), .001, .001, 1e-4, .5, "auto: smallest weight" },
	{ "hold_back", AT(hold_back), .65, .9, .5, 1, "auto: weight that keeps some blue for comparison" },
	{ "half", AT(half), 1, 1.5, 1, 100, "auto: what must be excluded before half is passed, as a multiple of what cannot be afforded" },
	{ "dwell", AT(dwell), 3, 3, 1, 1000, "auto: periods between two raises" },
	{ "bake", AT(bake), 15, 15, 1, 10000, "auto: periods at the highest weight" },
	{ "stuck", AT(stuck), 10, 10, 1, 1000, "auto: periods without a raise before a slow one" },
	{ "retreat", AT(retreat), 20, 20, 1.01, 1e6, "auto: evidence from which on the weight steps back" },
	{ "quantile", AT(quantile), .9, .9, .01, .9999, "which percentile the latency is, as a fraction" },
};
#define ROWS (sizeof rows / sizeof *rows)

static double *field(struct judge_tuning *t, const struct judge_tunable *row)
{
	return (double *)(void *)((char *)t + row->at);
}

void judge_tuning_usual(struct judge_tuning *t)
{
	for (size_t i = 0; i < ROWS; i++)
		*field(t, &rows[i]) = rows[i].usual;
}

void judge_tuning_reference(struct judge_tuning *t)
{
	for (size_t i = 0; i < ROWS; i++)
		*field(t, &rows[i]) = rows[i].reference;
}

const struct judge_tunable *judge_tunable(size_t i)
{
	return i < ROWS ? &rows[i] : NULL;
}

bool judge_tune(struct judge_tuning *t, const char *name, double value)
{
	for (size_t i = 0; i < ROWS; i++)
		if (!strcmp(rows[i].name, name)) {
			if (!(value >= rows[i].min && value <= rows[i].max))
				return false;
			*field(t, &rows[i]) = value;
			return true;
		}
	return false;
}

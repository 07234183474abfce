"""What a plan's run with a green that fails must cost: the evaluation's own loop (harness.py, ours.py), in worlds
that are like a run on the lab.

  predict.py PLAN --rate 19.6 --excess 0.02 --from 0.25 [--past 7] [--delay 2] [--runs 5] [--json]

Stages, periods and settings are the plan's; ${env:NAME:-value} is taken from the environment as the program does.
All is counted in periods: a minute of the harness is one of them. Of the rules around the judge these are here:
good_requests, the catastrophic rule, hold_limit, and a past of blue that is as short as the run's. Not here, since
none of them has a say in such a run: alarms, target health, slowness, a plan's
own metrics and probes, BLIND, both colours sick. And in the harness a
weight works at once, while readers of the lab get green for another second and a half after the verdict: some 4 %
of what the harness says.
"""
import argparse
import json
import math
import os
import re
import numpy as np
from harness import CONT, HIST, HOLD, ROLL, cell, run
from ours import Ours

UNITS = {'D': 86400, 'H': 3600, 'M': 60, 'S': 1}
NEWEST, OLDER = 30, 5  # how engine/evidence.c repeats a past that is shorter than what the judge learns from
PAST_LEAST = 5         # ... and without which nothing is compared: engine/mind.c
ABOVE = 1.5            # so many times the mean is too much


# --- the plan -------------------------------------------------------------------------

def seconds(text):
    parts = re.fullmatch(r'P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?', text)
    return sum(float(v or 0) * s for v, s in zip(parts.groups(), UNITS.values()))


def share(text):
    return float(text.rstrip('%')) / 100


def substituted(value):
    if isinstance(value, dict):
        return {k: substituted(v) for k, v in value.items() if not k.startswith('//')}
    if isinstance(value, list):
        return [substituted(v) for v in value]
    if isinstance(value, str):
        return re.sub(r'\$\{env:(\w+)(?::-([^}]*))?\}', lambda m: os.environ.get(m[1], m[2] or ''), value)
    return value


class Plan:
    """What the loop needs to know of a plan file; times in periods."""

    def __init__(self, path):
        with open(path) as f:
            plan = substituted(json.load(f))
        w = plan['watch']
        self.period = seconds(w.get('period', 'PT1M'))
        self.lag = math.ceil(self.periods(w['lag'])) if 'lag' in w else 2
        self.hold_limit = math.ceil(self.periods(w.get('hold_limit', 'PT1H')))
        if w.get('on_hold') == 'call' or any('stages' in s for s in plan['steps']):
            raise SystemExit('%s: a person who is called, or weights of the judge\'s own, are not part of this loop' % path)
        self.good_requests = w.get('good_requests', 100)
        worst = w.get('catastrophic', {})
        self.catastrophic = share(worst.get('rate', '20%')), worst.get('min_requests', 50)
        self.tune = self.tuning(w.get('judge', {}))
        self.stages = [(1.0 if s['do'] == 'promote' else share(s['weight']), max(1, math.ceil(self.periods(s['bake']))))
                       for s in plan['steps'] if s['do'] in ('shift', 'promote')]

    def periods(self, text):
        return seconds(text) / self.period

    def tuning(self, judge):
        names = {'false_rollback': ('alpha', share), 'missed': ('beta', share), 'harm': ('harm', float)}
        tune = {to: parse(judge[name]) for name, (to, parse) in names.items() if name in judge}
        return tune | {k: float(v) for k, v in judge.get('settings', {}).items()}


# --- the run --------------------------------------------------------------------------

def repeated(v, n):
    """The last n periods, again and again, and the older ones thinned: as engine/evidence.c does."""
    if n >= HIST:
        return v
    at = HIST - n + (np.arange(HIST) - (HIST - n)) % n
    thin = np.where(np.arange(HIST) < HIST - NEWEST, max(n - NEWEST, OLDER) / (HIST - NEWEST), 1)
    return v[:, at] * thin


class Watched(Ours):
    """The judge, and the rules of the plan around it."""

    def __init__(self, plan, past):
        super().__init__(name='watched', **plan.tune)
        self.plan, self.periods = plan, past
        self.bakes = np.array([d for _, d in plan.stages])

    def past(self, W):
        nobody = np.zeros_like(W.h_s)  # is slow
        return [repeated(v, self.periods) for v in (W.h_n, W.h_x, nobody, W.h_az[0], W.h_az[1], nobody)]

    def step(self, t, v, active, stage, clock):
        v.s = [np.where(np.isnan(n), n, 0) for n in v.n]
        out = super().step(t, v, active, stage, clock)
        closed = np.arange(v.w.shape[1]) < t - self.plan.lag
        green, failed = np.nan_to_num(v.n[1]) * closed, np.nan_to_num(v.x[1]) * closed
        in_stage = np.arange(v.w.shape[1]) > (t - clock)[:, None]
        out[(out == CONT) & ((green * in_stage).sum(1) < self.plan.good_requests)] = HOLD
        out[(out == HOLD) & (clock >= self.bakes[stage] + self.plan.hold_limit)] = ROLL
        rate, least = self.plan.catastrophic
        out[((green >= least) & (failed >= rate * green)).any(1)] = ROLL
        return out


def world(plan, rate, excess, least, delay):
    """A cell of the harness that is like the lab: steady Poisson traffic, no other errors, counts that come whole."""
    late = max(1, math.ceil(delay / plan.period))
    if late > 3:
        raise SystemExit('the harness knows delays of up to three periods, not %g s of %g s each' % (delay, plan.period))
    horizon = sum(d for _, d in plan.stages) + plan.hold_limit + 20
    return cell(volume=rate * plan.period, p0=0, noise='clean', flat=True, fault='add%g@%g' % (excess, least), T=horizon,
                stages=tuple(plan.stages), delay=tuple(float(i == late) for i in (1, 2, 3)), err_lag=0, partial=0, lat_colour_sd=0)


def predict(plan, a):
    if a.past < PAST_LEAST:
        raise SystemExit('%d periods of blue are too few: nothing would be compared' % a.past)
    c = world(plan, a.rate, a.excess, a.least, a.delay)
    res = run(c, Watched(plan, a.past), a.worlds, a.seed, keep=True)
    until = np.arange(c['T']) < res['end'][:, None]  # a run that is promoted ends too: what green costs for ever is no part of it
    harm, back = (res['truth'][3] * until).sum(1), res['state'] == 1  # nothing but the fault fails
    means = np.random.default_rng([a.seed, 3]).choice(harm, (20000, a.runs)).mean(1)
    onset = np.argmax(res['view'].w >= a.least, axis=1)
    return {'worlds': a.worlds, 'seed': a.seed, 'requests_a_period': c['volume'], 'past': a.past, 'stages': plan.stages,
            'harmed': spread(harm), 'periods': spread((res['end'] - onset)[back]), 'rolled_back': float(back.mean()),
            'promoted': float((res['state'] == 2).mean()), 'means': spread(means),
            'chance_above': float((means > ABOVE * harm.mean()).mean())}


def spread(v):
    low, median, high = (float(np.quantile(v, q)) for q in (.025, .5, .975))
    return {'mean': float(v.mean()), 'sd': float(v.std()), 'median': median, 'low': low, 'high': high}


# --- the command -----------------------------------------------------------------------

def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('plan')
    ap.add_argument('--rate', type=float, required=True, help='requests a second, of all readers and editors')
    ap.add_argument('--excess', type=float, required=True, help="share of green's answers that fail")
    ap.add_argument('--from', dest='least', type=float, default=0, help="green's share with which that begins")
    ap.add_argument('--past', type=int, default=HIST, help='periods of blue before the start')
    ap.add_argument('--delay', type=float, default=2, help='seconds until a count is visible, at most')
    ap.add_argument('--runs', type=int, default=5, help='how many runs a mean is taken of')
    ap.add_argument('--worlds', type=int, default=2000)
    ap.add_argument('--seed', type=int, default=1)
    ap.add_argument('--json', action='store_true')
    return ap.parse_args()


def main():
    a = arguments()
    found = predict(Plan(a.plan), a)
    if a.json:
        print(json.dumps(found))
        return
    told = '%-44s %7.1f %7.1f %10.1f to %.1f'
    print('%-44s %7s %7s %20s' % ('%d worlds, seed %d' % (a.worlds, a.seed), 'mean', 'median', '95 % of runs'))
    for what, key in (('failed because of green', 'harmed'), ('periods from the fault to the rollback', 'periods')):
        f = found[key]
        print(told % (what, f['mean'], f['median'], f['low'], f['high']))
    print('taken back: %.1f %%; promoted: %.1f %%' % (100 * found['rolled_back'], 100 * found['promoted']))
    print('the mean of %d such runs is above %g times that mean by chance: %.1f %%' % (a.runs, ABOVE, 100 * found['chance_above']))


if __name__ == '__main__':
    main()

"""The published cells: how often a healthy green is taken back, what a bad one costs next to what the oracle
loses, and how long a good one takes. Exit 1 when one of our goals is missed.

  cells.py [--worlds N] [--seed S] [--policies a,b] [--short] [--cutover build/cutover] [--each FILE]

--short    fewer cells and worlds, with bounds for them: what `make check` runs
--cutover  also: the same worlds through the program's pipe must end as in the batch
--each     one line a cell into FILE
"""
import argparse, math, os, sys
from multiprocessing import Pool
import numpy as np
from harness import BENIGN, External, cell, get_policy, run

VOLUMES, RATES = (50, 1000, 50000), (0, 1e-4, 1e-3, 1e-2)
FAULTS = ('x2', 'x3', 'err0.5', 'err2', 'err10', 'err100', 'leak', 'capacity', 'lat1.5', 'lat3', 'outage+err10')
ROUGH = (dict(colour_sd=.1), dict(clump=5), dict(cold=5))  # colours that differ, errors in clumps, a cold start
FOUND = .99  # a fault is one that can be seen where the oracle finds it this often


def is_one(p0, fault):
    return not (fault in ('x2', 'x3') and p0 == 0) and not (fault == 'err0.5' and p0 >= .005)


def harm_cells(short):
    return [dict(volume=v, p0=p, fault=f) for v in VOLUMES[1:] for p in RATES for f in FAULTS if is_one(p, f)
            and not (short and (f not in ('x3', 'err2', 'err100', 'leak', 'lat3') or p in (0, 1e-2)))]


def benign_cells(short):
    return [dict(volume=v, p0=p, fault=f) for v in VOLUMES for p in RATES for f in BENIGN if not (short and p in (0, 1e-4))]


def rough_cells(short):
    return [dict(c, **r) for c in benign_cells(short) if c['volume'] >= 1000 and c['fault'] != 'outage' for r in ROUGH]


def play(job):
    name, c, n, seed = job
    r = run(cell(**c), get_policy(name), n, seed)
    hurt = r['slow_harm'] if c['fault'].startswith('lat') else r['harm']
    good = r['state'] == 2
    return dict(c, policy=name, rollback=(r['state'] == 1).mean(), promoted=good.mean(), harm=hurt.mean(),
                se=hurt.std() / math.sqrt(n), minutes=float(np.median(np.where(good, r['end'], 999))))


def same(job):
    """The worlds of a cell through the pipe and through the batch."""
    command, name, c, n, seed = job
    auto, batch = name.endswith('auto'), get_policy(name)
    batch.pct = True  # External draws percentiles, too: the same dice
    a, b = run(cell(**c), batch, n, seed), run(cell(**c), External(command + (' --auto' if auto else ''), auto), n, seed)
    return '' if all(np.array_equal(a[k], b[k]) for k in ('state', 'end', 'harm', 'hold')) else '%s %s' % (name, c)


def key(c):
    return c['volume'], c['p0'], c['fault']


def figures(rows, oracle):
    """What one policy did, in the figures the goals are about."""
    harm = [(r['harm'] / o['harm'], r['promoted']) for r in rows['harm'] for o in [oracle[key(r)]] if o['rollback'] >= FOUND]
    ratio, bad = np.array([h[0] for h in harm]), np.array([h[1] for h in harm])
    fails = np.array([r['harm'] / oracle[key(r)]['harm'] for r in rows['harm']
                      if oracle[key(r)]['rollback'] >= FOUND and not r['fault'].startswith('lat')])
    false = np.array([r['rollback'] for r in rows['benign']])
    well = [r for r in rows['benign'] if r['fault'] == 'none' and r['volume'] >= 1000]
    f = dict(false_median=np.median(false), false_worst=false.max(), false_over=int((false > .01).sum()), false_cells=len(false),
             harm_median=np.median(ratio), harm_p90=np.quantile(ratio, .9), harm_worst=ratio.max(), harm_cells=len(ratio),
             fails_p90=np.quantile(fails, .9), fails_worst=fails.max(),
             bad_median=np.median(bad), bad_worst=bad.max(), bad_over=int((bad > .005).sum()),
             well_least=min(r['promoted'] for r in well), minutes=np.median([r['minutes'] for r in well]))
    if rows.get('rough'):
        f['rough_worst'] = max(r['rollback'] for r in rows['rough'])
    return f


# what, figure, at most (or at least), for fixed stages, for stages of its own
GOALS = (
    ('false rollback, worst cell', 'false_worst', '<=', .01, .01),
    ('false rollback, median cell', 'false_median', '<=', .002, .002),
    ('the same, rough colours, worst', 'rough_worst', '<=', .01, .01),
    ('harm / oracle, median', 'harm_median', '<=', 1.0, .7),
    ('harm / oracle, 90th percentile', 'harm_p90', '<=', 1.6, None),
    ('harm / oracle, worst', 'harm_worst', '<=', 3, 2.5),
    ('... of failures only, 90th pct', 'fails_p90', '<=', 1.6, None),
    ('... of failures only, worst', 'fails_worst', '<=', 3, 2.5),
    ('bad green promoted, worst', 'bad_worst', '<=', .005, .005),
    ('healthy promoted, least', 'well_least', '>=', .97, .97),
    ('minutes to it, median', 'minutes', '<=', 70, 70),
)
# Of fewer cells and worlds: chance is part of them, a broken judge is far outside. More than 7 of 200 worlds are
# taken back in one cell in a thousand whose rate is 1 %, more than 4 in one of twenty.
SHORT = {'false_median': .005,  # one world, which then is so in all cells: they draw the same traffic and speed
         'false_worst': .02, 'rough_worst': .035, 'harm_median': (1.35, .85), 'harm_p90': (3.4, None), 'harm_worst': (4, 3.6),
         'fails_p90': (2.4, None), 'fails_worst': (4, 3.4),
         'bad_worst': .05, 'well_least': .94, 'minutes': 78}


def goal_of(row, auto, short):
    _, figure, _, fixed, own = row
    g = own if auto else fixed
    if short and g is not None:
        g = SHORT.get(figure, g)
        g = g[auto] if isinstance(g, tuple) else g
    return g


def judge_goals(name, f, short, bound):
    """How many goals are met, and missed; where `bound`, what the oracle itself loses, is over the goal and was not beaten,
    that is said."""
    missed = met = 0
    print('\n%-34s %10s %10s' % (name, 'measured', 'goal'))
    for row in GOALS:
        g = goal_of(row, name.endswith('auto'), short)
        if g is None or row[1] not in f:
            continue
        ok = f[row[1]] <= g if row[2] == '<=' else f[row[1]] >= g
        met, missed = met + ok, missed + (not ok)
        beyond = ', out of reach: the bound is %.2f' % bound[row[1]] if g < bound.get(row[1], 0) <= f[row[1]] else ''
        print('%-34s %10.4g %2s %7.4g  %s' % (row[0], f[row[1]], row[2], g, 'met' if ok else 'MISSED' + beyond))
    return met, missed


HEAD = '%-16s %22s %24s %18s %18s' % ('', 'false rollback', 'harm / oracle', 'bad promoted', 'healthy promoted')


def line(name, f):
    return '%-16s %6.2f%% %6.2f%% (%2d of %d) %7.2f %7.2f %8.2f %8.2f%% %8.2f%% %9.1f%% %4.0f min' % (
        name, 100 * f['false_median'], 100 * f['false_worst'], f['false_over'], f['false_cells'], f['harm_median'], f['harm_p90'],
        f['harm_worst'], 100 * f['bad_median'], 100 * f['bad_worst'], 100 * f['well_least'], f['minutes'])


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--worlds', type=int, default=1000)
    ap.add_argument('--seed', type=int, default=1)
    ap.add_argument('--policies', default='ours,ours-auto')
    ap.add_argument('--short', action='store_true')
    ap.add_argument('--cutover')
    ap.add_argument('--each')
    ap.add_argument('--jobs', type=int, default=os.cpu_count())
    return ap.parse_args()


def play_all(pool, a):
    names, kinds = a.policies.split(','), {'harm': harm_cells(a.short), 'benign': benign_cells(a.short)}
    kinds['rough'] = rough_cells(a.short)
    jobs = [('harm', (n, c, a.worlds, a.seed)) for n in ['oracle', 'oracle-pair'] for c in kinds['harm']]
    jobs += [('harm', ('oracle-warm', c, a.worlds, a.seed)) for c in kinds['harm'] if c['fault'].startswith('lat')]
    jobs += [('harm', ('oracle-when', c, a.worlds, a.seed)) for c in kinds['harm'] if c['fault'] == 'leak']
    jobs += [(k, (n, c, a.worlds, a.seed)) for n in names for k in kinds if k != 'rough' or n.startswith('ours') for c in kinds[k]]
    done = {}
    for (kind, job), row in zip(jobs, pool.imap(play, [j for _, j in jobs])):
        done.setdefault(job[0], {}).setdefault(kind, []).append(row)
    return names, done


def each(path, done):
    with open(path, 'w') as f:
        f.write('policy\tkind\tvolume\tp0\tfault\tvariant\trollback\tpromoted\tharm\tse\tminutes\n')
        for name, kinds in done.items():
            for kind, rows in kinds.items():
                for r in rows:
                    v = ' '.join('%s=%g' % (k, r[k]) for k in ('colour_sd', 'clump', 'cold') if k in r)
                    f.write('%s\t%s\t%g\t%g\t%s\t%s\t%.4f\t%.4f\t%.3f\t%.3f\t%g\n' % (
                        name, kind, r['volume'], r['p0'], r['fault'], v, r['rollback'], r['promoted'], r['harm'], r['se'], r['minutes']))


def bound(done, oracle):
    """What nobody can do better who takes no green back for an incident of both that begins later than green, nor for a cold
    start, and moves by the plan until there is something to suspect (who waits for evidence before that may): the oracle,
    told the fault, its onset and the level of every minute, but waiting for blue's half of all periods after the first, for
    slowness until the sixth, and not told the minute in which a leak begins. A total failure (err100) looks like no incident
    and is not bounded."""
    least = {key(r): r['harm'] for r in done['oracle-pair']['harm'] if r['fault'] != 'err100'}
    for kind in ('oracle-warm', 'oracle-when'):
        least.update({key(r): max(r['harm'], least[key(r)]) for r in done[kind]['harm']})
    ratio = np.array([least.get(k, o['harm']) / o['harm'] for k, o in oracle.items() if o['rollback'] >= FOUND])
    print('\nthe bound: told the fault and the level of every minute, but waiting for blue\'s half of all periods but the first'
          '\n(an incident of both looks like a fault in green\'s), for slowness until caches are warm, not told when a leak begins,'
          '\nand moving by the plan until there is something to suspect, the oracle itself loses, at fixed stages, %.2f times as'
          '\nmuch (median of %d cells; 90th percentile %.2f, worst %.2f)' % (
              np.median(ratio), len(ratio), np.quantile(ratio, .9), ratio.max()))
    return {'harm_median': np.median(ratio), 'harm_p90': np.quantile(ratio, .9), 'harm_worst': ratio.max()}


def main():
    a = arguments()
    missed = met = 0
    with Pool(a.jobs) as pool:
        names, done = play_all(pool, a)
        oracle = {key(r): r for r in done['oracle']['harm']}
        print('%d worlds a cell, seed %d; %d cells with a fault, %d without\n%s' % (
            a.worlds, a.seed, len(harm_cells(a.short)), len(benign_cells(a.short)), HEAD))
        found = {n: figures(done[n], oracle) for n in names}
        for n in names:
            print(line(n, found[n]))
        least = bound(done, oracle)
        for n in ('ours', 'ours-auto'):
            if n in found:
                x, y = judge_goals(n, found[n], a.short, {} if n.endswith('auto') else least)
                met, missed = met + x, missed + y
        if a.cutover:
            c = harm_cells(a.short) + benign_cells(a.short)
            differ = [w for w in pool.imap(same, [(a.cutover + ' judge', n, c[i], 10, a.seed) for n in ('ours', 'ours-auto')
                                                  for i in range(0, len(c), 5)]) if w]
            print('\nthrough the pipe of %s: %s' % (a.cutover, 'the same' if not differ else 'DIFFER: ' + '; '.join(differ)))
            met, missed = met + (not differ), missed + bool(differ)
    if a.each:
        each(a.each, done)
    print('%d passed, %d failed' % (met, missed) if a.short else '%d goals met, %d missed' % (met, missed))
    sys.exit(missed > 0)


if __name__ == '__main__':
    main()

"""Where the judge is not the published candidate it began as, and what each difference is good for.

  differences.py [--worlds N] [--seed S] [NAME...]

Every setting whose usual value is not the candidate's (controller/judge/tuning.c) is set back, alone, and the same
worlds are judged with and without. A line is printed for each: the figure the difference improves, in a cell
picked because it shows there. So a line says that it helps somewhere, not that it does everywhere, and a small
difference may be chance: --seed throws other dice. Exit 1 when one improves nothing, or is not in
the list; 2 when the list has one that is none."""
import argparse, ctypes as C, os, sys
from multiprocessing import Pool
import numpy as np
from harness import cell, run
from ours import Ours, lib

# figure: what is counted of the worlds of a cell, and whether more of it is better
FIGURES = {
    'harm': ('failed requests', lambda r: r['harm'].mean(), False),
    'slow': ('slow requests', lambda r: r['slow_harm'].mean(), False),
    'false': ('taken back falsely', lambda r: (r['state'] == 1).mean(), False),
    'bad': ('bad promoted', lambda r: (r['state'] == 2).mean(), False),
    'healthy': ('healthy promoted', lambda r: (r['state'] == 2).mean(), True),
    'minutes': ('minutes, held: 120', lambda r: np.where(r['state'] == 2, r['end'], 120).mean(), False),
}
# setting: figure, requests a minute, blue's error rate, fault, what else the worlds have
X2, X3 = (50000, 1e-4, 'x2'), (1000, 1e-3, 'x3')
HEALTHY, THIN, CLUMPS = (1000, 1e-3, 'none'), (1000, 0, 'shared5'), (1000, 0, 'shared5', {'clump': 5})
FIXED = {
    'beta': ('minutes', 1000, 1e-2, 'none'),
    'beta_look': ('bad', *X2),
    'beta_last': ('healthy', *HEALTHY),
    'harm': ('harm', 1000, 0, 'leak'),
    'intrinsic': ('minutes', 1000, 1e-2, 'none'),
    'hurry': ('healthy', *THIN),
    'error_share': ('slow', 1000, 1e-2, 'lat3'),
    'level_share': ('harm', 1000, 0, 'leak'),
    'suspect': ('bad', *X3),
    'suspect_last': ('healthy', *HEALTHY),
    'suspect_slow': ('slow', 1000, 1e-3, 'lat1.5'),
    'hazard_first': ('slow', 1000, 1e-2, 'lat3'),
    'hazard_slow': ('slow', 1000, 1e-4, 'lat1.5'),
    'gate_floor': ('harm', *X3),
    'cap_alone': ('healthy', *THIN),
    'level_high': ('healthy', 1000, 1e-2, 'none'),
    'level_prior': ('healthy', 1000, 1e-2, 'none'),
    'last_look': ('bad', *X3),
    'visible': ('healthy', *HEALTHY),
    'gross': ('bad', 1000, 1e-4, 'x3'),
    'patience': ('bad', 1000, 1e-4, 'x3'),
    'firm': ('healthy', *THIN),
    'fine': ('minutes', *HEALTHY),
    'joint': ('healthy', *CLUMPS),
    'warm': ('false', 50000, 1e-2, 'none', {'cold': 5}),
    'posterior': ('false', *CLUMPS),
    'clump_unknown': ('false', *CLUMPS),
    'clump_alone': ('false', *CLUMPS),
    'noisy': ('harm', 1000, 0, 'leak'),
    'slight': ('bad', *X2),
    'speed': ('slow', 1000, 1e-2, 'lat3'),
    'hot': ('slow', 50000, 1e-3, 'lat3'),
    'early': ('harm', 50000, 0, 'err100'),
    'ahead': ('healthy', 1000, 1e-3, 'shared5', {'colour_sd': .1}),
}
AUTO = {
    'beta_auto': ('minutes', *HEALTHY),
    'harm_auto': ('harm', 1000, 0, 'leak'),
    'suspect_auto': ('harm', *X3),
    'visible_auto': ('healthy', *HEALTHY),
    'clump_prior': ('false', 1000, 1e-4, 'none', {'clump': 5}),
    'hold_back': ('false', *CLUMPS),
    'half': ('bad', *X3),
}
# What shows in none of the published cells, and why it is there.
NOWHERE = {
    'burst': 'in an incident of blue the level says nothing for green of what a stage must show by itself',
}


class Tunable(C.Structure):
    _fields_ = [('name', C.c_char_p), ('at', C.c_size_t), ('usual', C.c_double), ('reference', C.c_double),
                ('min', C.c_double), ('max', C.c_double), ('about', C.c_char_p)]


def differing():
    """Settings whose usual value is not the candidate's: name -> (usual, reference)."""
    lib().judge_tunable.restype, lib().judge_tunable.argtypes = C.POINTER(Tunable), [C.c_size_t]
    found, i = {}, 0
    while row := lib().judge_tunable(i):
        t = row.contents
        if t.usual != t.reference:
            found[t.name.decode()] = (t.usual, t.reference)
        i += 1
    return found


def measured(job):
    name, back, auto, (figure, volume, p0, fault, *more), n, seed = job
    c = cell(volume=volume, p0=p0, fault=fault, **(more[0] if more else {}))
    return [FIGURES[figure][1](run(c, Ours(auto=auto, name='ours-auto' if auto else 'ours', **tune), n, seed))
            for tune in ({}, {name: back})]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--worlds', type=int, default=4000)
    ap.add_argument('--seed', type=int, default=1)
    ap.add_argument('names', nargs='*')
    a = ap.parse_args()
    known, settings, failed = {**FIXED, **AUTO}, differing(), 0
    names = [n for n in settings if not a.names or n in a.names]
    if unknown := set(a.names) - set(settings):
        ap.error('as the candidate has it, or no setting: ' + ', '.join(sorted(unknown)))
    if stale := {*known, *NOWHERE} - set(settings):
        ap.error('listed here, but as the candidate has it, or no setting: ' + ', '.join(sorted(stale)))
    jobs = [(n, settings[n][1], n in AUTO, known[n], a.worlds, a.seed) for n in names if n in known]
    print('%d worlds a cell, seed %d; `without`: that setting as the candidate has it' % (a.worlds, a.seed))
    print('%-13s %7s %9s  %-19s %8s %8s  %s' % ('setting', 'ours', 'candidate', 'figure', 'with', 'without', 'in the cell'))
    with Pool(os.cpu_count()) as pool:
        for (n, back, auto, where, *_), (ours, without) in zip(jobs, pool.imap(measured, jobs, chunksize=1)):
            what, _, more = FIGURES[where[0]]
            better = ours > without if more else ours < without
            failed += not better
            print('%-13s %7g %9g  %-19s %8.4g %8.4g  %s%s' % (n, settings[n][0], back, what, ours, without, cell_name(auto, where),
                                                            '' if better else '  NOT BETTER'), flush=True)
    for n in names:
        if n in NOWHERE:
            print('%-13s %7g %9g  in no cell: %s' % (n, *settings[n], NOWHERE[n]))
        elif n not in known:
            failed += 1
            print('%-13s is not as the candidate has it, and no figure says why' % n)
    print('%d differences: %d show in no cell, %d improve nothing' % (len(names), len(NOWHERE.keys() & set(names)), failed))
    sys.exit(failed > 0)


def cell_name(auto, where):
    _, volume, p0, fault, *more = where
    return ' '.join(['auto:'] * auto + ['%g/min, %g, %s' % (volume, p0, fault)] + ['%s %g' % i for m in more for i in m.items()])


if __name__ == '__main__':
    main()

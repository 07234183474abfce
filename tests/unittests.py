#!/usr/bin/env python3
"""Runs a folder's test_*.py and ends with the line that tests/run counts.

usage: unittests.py [-j N] FOLDER [NAME...]   N tests at a time (1); NAME: only tests with it in theirs.
With N > 1 each test must stand alone: its own processes, its own files, no class fixtures;
those with an attribute `slow` begin first.
"""
import concurrent.futures
import os
import sys
import time
import unittest


def each(suite):
    for t in suite:
        yield from each(t) if isinstance(t, unittest.TestSuite) else [t]


def run_alone(test):
    result, start = unittest.TestResult(), time.monotonic()
    unittest.TestSuite([test]).run(result)
    bad = result.failures + result.errors + [(t, 'passed unexpectedly\n') for t in result.unexpectedSuccesses]
    how = 'FAIL' if bad else 'skip' if result.skipped else 'ok'
    why = ''.join(text for _, text in bad) or ''.join(f'  {why}\n' for _, why in result.skipped)
    print(f'{how:4} {test.id()} ({time.monotonic() - start:.1f} s)\n{why}', end='', flush=True)
    return how


def main():
    args, jobs = sys.argv[1:], 1
    if args[:1] == ['-j']:
        jobs, args = int(args[1]), args[2:]
    if not args:
        sys.exit(__doc__)
    loader = unittest.TestLoader()
    os.chdir(args[0])
    tests = [t for t in each(loader.discover('.')) if not args[1:] or any(n in t.id() for n in args[1:])]
    if jobs > 1:
        tests.sort(key=lambda t: not getattr(getattr(t, t._testMethodName), 'slow', False))
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            said = list(pool.map(run_alone, tests))
        passed, failed, skipped = (said.count(w) for w in ('ok', 'FAIL', 'skip'))
    else:
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(unittest.TestSuite(tests))
        failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
        skipped = len(result.skipped)
        passed = max(0, result.testsRun - failed - skipped)
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    return 1 if failed or not tests else 0


sys.exit(main())

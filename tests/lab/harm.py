"""What a failing green costs the lab's users, next to what the judge's evaluation says it costs.

    harm.py [RUNS]    make demo-harm [K=n]: so many demos with FAULT=few; exit status 1 when one of them does not agree,
                      or when on average more failed than ABOVE times what is predicted

One run is one throw of the dice: 95 % of such runs cost anything from 3 to 13 requests. So a single demo is compared
with that range, and only the mean of several with the predicted mean.
"""
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RUN = os.path.join(ROOT, 'build', 'lab', 'run', 'harm.json')  # of the last demo
ABOVE, RUNS = 1.5, 10


def predict(plan, env, rate, past, excess, least, delay, runs=RUNS):
    """What tests/judge/predict.py says; RuntimeError when it says nothing."""
    argv = [os.path.join(ROOT, 'build', 'judge', 'venv', 'bin', 'python'), os.path.join(ROOT, 'tests', 'judge', 'predict.py'),
            plan, '--json', *(f'--{k}={v:g}' for k, v in (('rate', rate), ('past', past), ('excess', excess), ('from', least),
                                                          ('delay', delay), ('runs', runs)))]
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f'no prediction: {done.stderr.strip()[-300:]}')
    return json.loads(done.stdout)


def agrees(harmed, predicted):
    """A single run: in the range of 95 % of them, or near it."""
    return predicted['low'] / ABOVE <= harmed <= predicted['high'] * ABOVE


def keep(path, **what):
    with open(path, 'w') as f:
        json.dump(what, f)


# --- many of them ------------------------------------------------------------------------

def demo(number):
    """What one demo kept, {} when it did not get so far; and its exit status."""
    if os.path.exists(RUN):
        os.remove(RUN)
    with open(os.path.join(ROOT, 'build', 'lab', f'harm-{number}.log'), 'w') as log:
        status = subprocess.run([os.path.join(HERE, 'demo'), '', 'few'], stdout=log, stderr=log).returncode
    if not os.path.exists(RUN):
        return {}, status
    with open(RUN) as f:
        return json.load(f), status


def run(number):
    began = time.time()
    kept, status = demo(number)
    told = '{harmed} failed because of green; {p[mean]:.1f} predicted ({p[low]:.0f} to {p[high]:.0f})'.format(
        **kept, p=kept['predicted']['harmed']) if kept else 'nothing was counted'
    print(f'{number:3}  {told}; {time.time() - began:.0f} s'
          + (f'  <-- NOT SO, exit status {status}: build/lab/harm-{number}.log' if status else ''), flush=True)
    return kept, status


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def compare(kept):
    """Of all runs together: is it at most ABOVE times as much as predicted?"""
    asked = kept[0]['asked'] | {k: mean(r['asked'][k] for r in kept) for k in ('rate', 'past')}
    found = predict(env=os.environ, **asked | {'past': round(asked['past']), 'runs': len(kept)})
    was, due = mean(r['harmed'] for r in kept), found['harmed']['mean']
    print(f'\n{len(kept)} runs: {was:.1f} requests failed because of green on average; the harness predicts {due:.1f}, so it is '
          f"{was / due:.2f} times that\n(in 95 % of cases such a mean is {found['means']['low']:.1f} to {found['means']['high']:.1f}, "
          f"and above {ABOVE:g} times by chance alone in {100 * found['chance_above']:.1f} %)")
    if was * ABOVE < due:
        print(f'less than 1/{ABOVE:g} of what is predicted: the prediction is too gloomy')
    return was <= ABOVE * due


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    done = [run(i + 1) for i in range(number)]
    kept = [k for k, _ in done if k]
    bad = sum(status != 0 for _, status in done)
    good = bool(kept) and compare(kept) and not bad
    print(f'\n{number - bad} of {number} demos agree; ' + ('the harm is as predicted.' if good else 'NOT everything agrees.'))
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
"""Small cutovers by a fixed seed, as the judge reads them, and what was answered.

  worlds.py NAME                      the lines of one world
  worlds.py --write REFERENCE...      golden.tsv anew, from a command that answers the same protocol
  worlds.py --check CUTOVER           build/cutover against golden.tsv; the last line is N passed, M failed
The answers in golden.tsv are those of the published candidate that `cutover judge --reference` repeats."""
import json, math, os, random, subprocess, sys

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.tsv")
PLAN = [(0.01, 5), (0.05, 5), (0.25, 10), (0.5, 10), (1.0, 10)]
# name: requests a minute, base error rate, errors of green, slow requests of green, clumps, green silent from, late
WORLDS = {
    "same": (400, .002, lambda p, k: p, 1, 1, None, 0),
    "double": (400, .01, lambda p, k: 2 * p, 1, 1, None, 0),
    "half-percent": (900, 0, lambda p, k: .005, 1, 1, None, 1),
    "broken": (200, 0, lambda p, k: 1, 1, 1, None, 0),
    "leak": (300, .001, lambda p, k: p + max(0, k - 12) * .002, 1, 1, None, 2),
    "slow": (300, .001, lambda p, k: p, 5, 1, None, 0),
    "clumps": (300, .02, lambda p, k: p, 1, 6, None, 0),
    "silent": (300, .002, lambda p, k: p, 1, 1, 8, 0),
    "thin": (8, .01, lambda p, k: p + .3, 1, 1, None, 3),
}


def count(r, n, p):
    """Binomial: by skips where p is small."""
    if p <= 0 or n <= 0:
        return 0
    if p >= .1:
        return sum(r.random() < p for _ in range(n))
    x, at = 0, -1
    while True:
        at += 1 + int(math.log(1 - r.random()) / math.log1p(-p))
        if at >= n:
            return x
        x += 1


def clumped(r, n, p, size):
    return min(n, sum(1 + int(r.random() * (2 * size - 1)) for _ in range(count(r, n, p / size)))) if size > 1 else count(r, n, p)


def line(**fields):
    return json.dumps(fields, separators=(",", ":"))


def history(r, volume, p0, clump):
    for k in range(-180, 0):
        na, nb = count(r, volume, .5), count(r, volume, .5)
        a = [na, clumped(r, na, p0, clump), count(r, na, .01)]
        b = [nb, clumped(r, nb, p0, clump), count(r, nb, .01)]
        fields = dict(type="history", colour="blue", period=k, requests=na + nb, slow=a[2] + b[2], az=[a, b])
        if a[1] + b[1]:
            fields["errors"] = a[1] + b[1]
        if na + nb:
            yield line(**fields)


def obs(r, colour, k, n, p, slow, clump):
    x = clumped(r, n, p, clump)
    fields = dict(type="obs", colour=colour, period=k, requests=n, slow=count(r, n, min(.01 * slow, 1)))
    if x:
        fields["errors"] = x
    return line(**fields)


def lines(name):
    volume, p0, fault, slow, clump, silent, late = WORLDS[name]
    r = random.Random("cutover " + name)
    yield line(type="start", period_s=60, slow_threshold_ms=300, stages=[dict(weight=w, dwell_min=m) for w, m in PLAN])
    yield from history(r, volume, p0, clump)
    waiting = []
    for t in range(sum(m for _, m in PLAN)):
        stage = next(i for i in range(len(PLAN)) if t < sum(m for _, m in PLAN[:i + 1]))
        for _, text in [w for w in waiting if w[0] <= t]:
            yield text
        waiting = [w for w in waiting if w[0] > t]
        yield line(type="tick", now=t, stage=stage, weight=PLAN[stage][0] if t else 0.0, stage_clock=t)
        weight = PLAN[stage][0]
        total = volume + int(r.random() * volume / 4)
        green = count(r, total, weight) if weight < 1 else total
        shown = t + 1 + (int(r.random() * (late + 1)) if late else 0)
        if green and (silent is None or t < silent):
            waiting.append((shown, obs(r, "green", t, green, fault(p0, t), slow, clump)))
        if total - green:
            waiting.append((shown + (r.random() < .1), obs(r, "blue", t, total - green, p0, 1, clump)))


def answers(command, name):
    text = "".join(l + "\n" for l in lines(name))
    p = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return [json.loads(l) for l in p.stdout.splitlines()]


def rows(command, automatic_flag):
    for name in WORLDS:
        for automatic in (False, True):
            for t, a in enumerate(answers(command + ([automatic_flag] if automatic else []), name)):
                yield (name, "auto" if automatic else "stages", t, a["verdict"], a["log_e"], a["log_e_split"], a["log_e_level"],
                       a["log_e_slow"], a.get("weight", 0), int(a.get("promote", False)))


def agree(want, row):
    return [str(v) for v in row[:4]] == want[:4] and all(
        abs(float(w) - v) <= tolerance for w, v, tolerance in zip(want[4:], row[4:], (1e-6,) * 4 + (1e-9, 0)))


def check(cutover):
    wanted = [l.rstrip("\n").split("\t") for l in open(GOLDEN, encoding="ascii") if l.strip()]
    said = list(rows([cutover, "judge", "--reference"], "--auto"))
    bad = {tuple(w[:2]) for w, row in zip(wanted, said) if not agree(w, row)}
    worlds = {tuple(w[:2]) for w in wanted}
    for name in sorted(bad):
        first = next((w, row) for w, row in zip(wanted, said) if tuple(w[:2]) == name and not agree(w, row))
        print(f"FAILED {' '.join(name)}: wanted {first[0][2:]}, said {first[1][2:]}")
    if len(wanted) != len(said):
        print(f"FAILED: {len(said)} answers, {len(wanted)} wanted")
    return len(worlds) - len(bad), len(bad) + (len(wanted) != len(said))


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        with open(GOLDEN, "w", encoding="ascii") as f:
            for row in rows(sys.argv[2:], "--ramp"):
                f.write("\t".join(f"{v:.12g}" if isinstance(v, float) else str(v) for v in row) + "\n")
    elif sys.argv[1] == "--check":
        print("%d passed, %d failed" % check(sys.argv[2]))
    else:
        print("\n".join(lines(sys.argv[1])))

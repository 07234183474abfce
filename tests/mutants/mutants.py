#!/usr/bin/env python3
"""Does a test notice when a line of the safety core is wrong?

Makes one small mistake at a time in a copy of the project - a condition turned
round, a comparison off by one, a call left out, a constant changed - builds it,
and runs the tests that table.txt names for the file. A mutant that they all
pass has survived: nothing here would notice that mistake.

    tests/mutants/mutants.py [--of N] [--seed S] [--only FILE] [--jobs J]

Prints a line a mutant, then the survivors, then `N passed, N failed`: failed is
a survivor that survivors.txt does not name with a reason, or fewer than 95 %
killed. The same seed picks the same mistakes."""
import argparse, hashlib, os, random, re, shutil, subprocess, sys, time

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.abspath(os.path.join(here, "..", ".."))
ENOUGH = .95
LIMIT = 600  # seconds a test may take: a mutant that hangs is noticed, too

# What is replaced, and by what. Only code: comments and strings are left out.
SWAPS = [(r"(?<![<>=!-])<(?![<=])", "<="), (r"<=", "<"), (r"(?<![->=])>(?![>=])", ">="), (r">=", ">"),
         (r"==", "!="), (r"!=", "=="), (r"&&", "||"), (r"\|\|", "&&"), (r" \+ ", " - "), (r" - ", " + "),
         (r"\btrue\b", "false"), (r"\bfalse\b", "true"),
         (r"\bSTEP_WAIT\b", "STEP_DONE"), (r"\bSTEP_DONE\b", "STEP_WAIT"), (r"\bSTEP_FAIL\b", "STEP_WAIT"),
         (r"\bERR_MOVED\b", "ERR_LOST"), (r"\bERR_UNSURE\b", "ERR_NET")]


def code_only(line):
    """The line with strings and comments blanked, so that columns stay."""
    line = re.sub(r'"(?:[^"\\]|\\.)*"', lambda m: '"' + " " * (len(m[0]) - 2) + '"', line)
    line = re.sub(r"/\*.*?(\*/|$)", lambda m: " " * len(m[0]), line)
    return re.sub(r"^\s*\*.*", lambda m: " " * len(m[0]), line)


def mistakes(path):
    """Every (line number, what, new line) that can be made in one file."""
    out, depth = [], 0
    for n, line in enumerate(open(path, encoding="utf-8").read().split("\n")):
        code = code_only(line)
        inside = depth > 0
        depth += code.count("{") - code.count("}")
        if line.startswith("#define") and (m := re.search(r"\b([1-9]\d+)\b", code)):
            out.append((n, f"{m[1]} -> 0", line[:m.start()] + "0" + line[m.end():]))
            out.append((n, f"{m[1]} * 100", line[:m.start()] + m[1] + "00" + line[m.end():]))
        if not inside or line.startswith("#"):
            continue
        for pattern, new in SWAPS:
            for m in re.finditer(pattern, code):
                if "for (" in code and m[0] in ("<", "<="):
                    continue # a loop that runs too far is the sanitizers' business
                out.append((n, f"{m[0].strip()} -> {new.strip()}", line[:m.start()] + new + line[m.end():]))
        if m := re.match(r"(\t+)(\w+\(.*\);)$", code):
            out.append((n, "left out", m[1] + "; /* " + line.strip().replace("*/", "") + " */"))
        if m := re.match(r"(\t+)(\w[\w>.\[\]-]*) (=|\+=|\|=) .*;$", code):
            out.append((n, "left out", m[1] + ";"))
        if m := re.match(r"(\t+(?:else )?if \()(.*)(\))( \{)?$", code):
            a, b = m.start(2), m.end(2)
            out.append((n, "never", line[:a] + "0 && (" + line[a:b] + ")" + line[b:]))
            out.append((n, "always", line[:a] + "1 || (" + line[a:b] + ")" + line[b:]))
        if m := re.match(r"(\t+return )(0|-1|1)(;)$", code):
            other = {"0": "-1", "-1": "0", "1": "0"}[m[2]]
            out.append((n, f"return {m[2]} -> {other}", m[1] + other + m[3]))
    return out


def table():
    rows = {}
    for line in open(os.path.join(here, "table.txt"), encoding="utf-8"):
        words = line.split("#")[0].split()
        if words:
            rows[words[0]] = words[1:]
    return rows


def excused():
    """survivors.txt: `FILE: the line's text: what: why no test can or need notice`."""
    path = os.path.join(here, "survivors.txt")
    lines = open(path, encoding="utf-8").read().split("\n") if os.path.exists(path) else []
    return [l for l in lines if l and not l.startswith("#")]


def name_of(file, line, what):
    return f"{file}: {line.strip()}: {what}"


def run(cmd, cwd, limit=None):
    try:
        return subprocess.run(cmd, cwd=cwd, capture_output=True, timeout=limit, stdin=subprocess.DEVNULL).returncode
    except subprocess.TimeoutExpired:
        return "too long"


def life(copy, file, n, new, tests):
    """How one mutant fared: 'does not build', the test that noticed, or None."""
    path = os.path.join(copy, "controller", file)
    whole = open(path, encoding="utf-8").read()
    lines = whole.split("\n")
    lines[n] = new
    open(path, "w", encoding="utf-8").write("\n".join(lines))
    try:
        for t in tests:
            if run(["make", "-s", "--no-print-directory", "WARN=-w", "VERSION=mutant", f"build/asan/tests/{t}"], copy):
                return "does not build"
            if run([f"build/asan/tests/{t}"], copy, LIMIT):
                return t
        return None
    finally:
        open(path, "w", encoding="utf-8").write(whole)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--of", type=int, default=300, help="how many mutants")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--only", help="one FILE of table.txt")
    o = ap.parse_args()
    rows = {f: t for f, t in table().items() if not o.only or f == o.only}
    rng = random.Random(o.seed)
    # Each file has its share, however long it is; the rest goes by length.
    pool = {f: mistakes(os.path.join(top, "controller", f)) for f in rows}
    picked = []
    for f in rows:
        rng.shuffle(pool[f])
    while len(picked) < o.of and any(pool.values()):
        for f in rows:
            if pool[f] and len(picked) < o.of:
                picked.append((f, *pool[f].pop()))
    copy = os.path.join(top, "build", "mutants")
    shutil.rmtree(copy, ignore_errors=True)
    os.makedirs(copy)
    for d in ("controller", "tests", "plans", "templates", "Makefile"):
        src = os.path.join(top, d)
        (shutil.copytree if os.path.isdir(src) else shutil.copy2)(src, os.path.join(copy, d))
    os.makedirs(os.path.join(copy, "build"))
    for stamp in (".deps-build", ".deps-check"):
        open(os.path.join(copy, "build", stamp), "w").close()
    tests = sorted({t for ts in rows.values() for t in ts})
    print(f"seed {o.seed}: {len(picked)} mutants of {sum(map(len, pool.values())) + len(picked)} in {len(rows)} files", flush=True)
    for t in tests: # what fails by itself notices nothing
        if run(["make", "-s", f"-j{os.cpu_count()}", "WARN=-w", "VERSION=mutant", f"build/asan/tests/{t}"], copy) or \
           run([f"build/asan/tests/{t}"], copy, LIMIT):
            sys.exit(f"{t} fails without any mutant")
    known, killed, alive, unbuilt = excused(), 0, [], 0
    for i, (f, n, what, new) in enumerate(picked):
        old = open(os.path.join(top, "controller", f), encoding="utf-8").read().split("\n")[n]
        began = time.monotonic()
        fate = life(copy, f, n, new, rows[f])
        print(f"{i + 1:4d} {f}:{n + 1} {what}: {fate or 'SURVIVED'} ({time.monotonic() - began:.0f} s)", flush=True)
        if fate == "does not build":
            unbuilt += 1
        elif fate:
            killed += 1
        else:
            alive.append((name_of(f, old, what), f"{f}:{n + 1}"))
    why = {a: next((k for k in known if k.startswith(a + ": ")), None) for a, _ in alive}
    counted = killed + sum(1 for a, _ in alive if not why[a])
    for a, at in alive:
        print(f"survived: {at} {why[a] or a}")
    share = killed / counted if counted else 0
    print(f"{killed} of {counted} killed ({100 * share:.1f} %; at least {100 * ENOUGH:.0f} are wanted), "
          f"{sum(1 for a in why.values() if a)} survivors with a reason, {unbuilt} did not build")
    unknown = sum(1 for a, _ in alive if not why[a])
    ok = share >= ENOUGH
    print(f"{killed} passed, {unknown if not ok else 0} failed")
    sys.exit(not ok)


main()

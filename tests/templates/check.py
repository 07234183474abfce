"""Reads every template with every tool, checks the forty criteria and what hangs
together (wiring.py), and injects mistakes that a gate must catch. tests/parts/templates runs it."""
import copy
import json
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import cost
import criteria
import gates
import image
import wiring
from resolve import HERE, TEMPLATES, Refused, Resolver, Stack, load, scenarios, template_names

RESOLVED = os.path.join(gates.DIR, 'resolved')
good, bad = 0, 0


def yes():
    global good
    good += 1


def no(what, whys):
    global bad
    bad += 1
    print('FAILED: ' + what)
    for why in whys[:200]:
        print('  ' + why)


def is_so(what, whys):
    if whys:
        no(what, whys)
    else:
        yes()


def write(name, document):
    path = os.path.join(RESOLVED, name + '.json')
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(document, f, indent=1)
    return path


def distinct(stacks):
    """Of stacks that differ in nothing but the environment's name, one; and {name: the name of the one}."""
    one, stands_for = {}, {}
    for s in stacks:
        text = re.sub(r'\b(prod|hosts|staging|lab)\b', 'ENV', json.dumps(s.resolved, sort_keys=True))
        stands_for[name_of(s)] = name_of(one.setdefault(text, s))
    return {name_of(s): s for s in one.values()}, stands_for


def name_of(stack):
    return '%s.%s' % (stack.scenario, stack.name)


def without_parameters(resolved):
    return {k: v for k, v in resolved.items() if k != 'Parameters'}  # nag would tell of each that is not used any more


def clean(kept, stacks):
    """Every gate over every scenario: (lint, own guard, what waivers must cover, name -> template, name -> whose findings are its too)"""
    one, stands_for = distinct(stacks)
    files = {n: write(n, s.resolved) for n, s in one.items()}
    bare = {n: write('bare.' + n, without_parameters(s.resolved)) for n, s in one.items()}
    sources = {n: os.path.join(TEMPLATES, s.template) for n, s in one.items()}
    given = {n: ({k: str(v) for k, v in s.parameters.items()}, s.region) for n, s in one.items()}
    with ThreadPoolExecutor(2) as pool:  # each waits for a program
        runs = [pool.submit(*call) for call in (
            (gates.nag, kept, bare), (gates.control_tower, kept, files),
            (gates.lint, kept, {t: os.path.join(TEMPLATES, t) for t in template_names()}),
            (gates.validate, kept, sources, given), (gates.own_guard, kept, files))]
        nag, tower, lint, validate, guard = (r.result() for r in runs)
    return lint, guard, tower + nag + validate, {n: s.template[:-5] for n, s in one.items()}, stands_for


# --- each guard rule passes and fails -------------------------------------------------------------


def at(document, path, value):
    """document with value at path; None takes it away."""
    out = copy.deepcopy(document)
    x = out['Resources']
    for key in path[:-1]:
        x = x[key]
    if value is None:
        del x[path[-1]]
    else:
        x[path[-1]] = value
    return out


def broken_by(document, path, value):
    if path == 'parameter':
        out = copy.deepcopy(document)
        out['Parameters'][value] = {'Type': 'String', 'NoEcho': True}
        return out
    return at(document, path, value)


def guard_cases(kept, stacks):
    by_name = {'%s/%s' % (s.scenario, s.name.split('-', 2)[2]): s for s in stacks}
    cases = []
    for rule, case in load(os.path.join(HERE, 'cases.json')).items():
        if rule.startswith('//'):
            continue
        stack, path, value = case
        whole = by_name[stack].resolved
        cases.append({'name': rule + ' passes', 'input': whole, 'expectations': {'rules': {rule: 'PASS'}}})
        cases.append({'name': rule + ' fails', 'input': broken_by(whole, path, value), 'expectations': {'rules': {rule: 'FAIL'}}})
    code, out = gates.guard_test(kept, cases)
    wrong = [line for line in out.splitlines() if 'Expected' in line and 'Evaluated' in line and 'PASS Rules' not in line]
    passed = out.count('PASS Rules')
    if code:
        wrong = wrong or out.splitlines()[-10:]
    is_so('cfn-guard test: %d cases' % len(cases), wrong)
    is_so('cfn-guard evaluated each case', [] if passed >= len(cases) else ['%d of %d' % (passed, len(cases))])


# --- injected mistakes --------------------------------------------------------------------------


class Mistake:
    def __init__(self, number, m, stacks):
        self.what, self.gate, self.rule = m['what'], m['gate'], m['rule']
        stack = stacks[m['stack']]
        self.template, self.stack = stack.template, stack
        with open(os.path.join(TEMPLATES, stack.template), encoding='utf-8') as f:
            text = f.read()
        if m['old'] not in text:
            raise ValueError('mistake "%s": its text is not in %s any more' % (self.what, stack.template))
        self.path = os.path.join(RESOLVED, 'mistake%02d.yaml' % number)
        with open(self.path, 'w', encoding='utf-8') as f:
            f.write(text.replace(m['old'], m['new'], 1))
        self.name = 'mistake%02d' % number
        self.parameters = {**{k: str(v) for k, v in stack.parameters.items()}, **m.get('parameters', {})}
        self.refused, self.resolved = '', None
        try:
            self.resolved = Resolver(load(self.path), self.given(), stack.name, stack.region).resolved()
        except Refused as e:
            self.refused = str(e)

    def given(self):
        there = load(self.path)['Parameters']
        return {k: v for k, v in self.parameters.items() if k in there}


def mistakes(kept, stacks, world):
    by_name = {'%s/%s' % (s.scenario, s.name.split('-', 2)[2]): s for s in stacks}
    all_ = [Mistake(n, m, by_name) for n, m in enumerate(load(os.path.join(HERE, 'mistakes.json')))]

    def of(gate):
        return [m for m in all_ if m.gate == gate]
    found = gates.lint(kept, {m.name: m.path for m in of('lint')})
    found += gates.validate(kept, {m.name: m.path for m in of('validate')}, {m.name: (m.given(), m.stack.region) for m in of('validate')})
    found += gates.own_guard(kept, {m.name: write(m.name, m.resolved) for m in of('guard')})
    found += gates.control_tower(kept, {m.name: write(m.name, m.resolved) for m in of('tower')})
    found += gates.nag(kept, {m.name: write('bare.' + m.name, without_parameters(m.resolved)) for m in of('nag')})
    for m in all_:
        if m.gate == 'resolve':
            caught = m.rule in m.refused
        elif m.gate == 'criterion':
            caught = bool(criteria.CHECKS[int(m.rule)][1](changed(world, m)))  # the world as it is passes
        elif m.gate == 'wiring':
            caught = bool(wiring.CHECKS[m.rule][1](changed(world, m)))
        else:
            # New over the clean template: a rule that fires there already catches nothing.
            before = {(f[0], f[2], f[3]) for f in world.everything if f[1] in (world.stands_for[name_of(m.stack)], m.template)}
            caught = any(f[0] == m.gate and f[1] == m.name and f[2] == m.rule and (f[0], f[2], f[3]) not in before for f in found)
        is_so('mistake is caught by %s %s: %s' % (m.gate, m.rule, m.what), [] if caught else [str([f[2:] for f in found if f[1] == m.name])[:600] + m.refused])
    unproved = sorted(set(wiring.CHECKS) - {m.rule for m in all_ if m.gate == 'wiring'})
    is_so('each check of wiring.py catches a mistake', unproved)
    is_so('at least 20 mistakes', [] if len(all_) >= 20 else [str(len(all_))])


def changed(world, m):
    """The world with one stack as the mistake makes it."""
    other = copy.copy(world)
    stack = copy.copy(m.stack)
    stack.source, stack.resolved, stack.parameters = load(m.path), m.resolved, m.given()
    other.stacks = [stack if s is m.stack else s for s in world.stacks]
    other.scenarios = {k: [stack if s is m.stack else s for s in v] for k, v in world.scenarios.items()}
    other.sources = {**world.sources, m.template: stack.source}
    return other


# --------------------------------------------------------------------------------------------------


def main():
    began = time.time()
    os.makedirs(RESOLVED, exist_ok=True)
    kept = gates.Kept()
    scenes = scenarios()
    stacks = [s for all_ in scenes.values() for s in all_]
    lint, guard, others, template_of, stands_for = clean(kept, stacks)
    waivers = criteria.read_waivers(os.path.join(HERE, 'waivers.txt'))
    world = criteria.World(scenes, guard, lint, criteria.beyond(waivers, others, template_of))
    world.everything, world.stands_for = lint + guard + others, stands_for
    is_so('no rule of mw.guard is broken', ['%s at %s in %s' % (f[2], f[3], f[1]) for f in guard])
    for number in range(1, 41):
        if number not in criteria.CHECKS:
            no('criterion %d has no check' % number, [])
            continue
        text, check = criteria.CHECKS[number]
        is_so('criterion %d: %s' % (number, text), check(world))
    for text, check in wiring.CHECKS.values():
        is_so(text, check(world))
    guard_cases(kept, stacks)
    mistakes(kept, stacks, world)
    is_so('the cost table of templates/README.md is what the templates cost', cost.stale())
    for what, whys in image.checks(stacks):
        is_so(what, whys)
    kept.save()
    print('%d stacks in %d scenarios, %.0f s' % (len(stacks), len(scenes), time.time() - began))
    print('%d passed, %d failed' % (good, bad))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())

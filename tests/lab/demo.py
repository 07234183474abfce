"""A whole cutover of real MediaWiki by build/cutover, with or without a fault, and
what the wiki's users saw of it. Exit status 0 only when everything agrees: the
program's exit status, the weights that AWS holds, the colour that answers
users, the edits in the database, and the journal's own chain.
"""
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import harm
import lab as labs
import users

PROGRAM = os.environ.get('LAB_CUTOVER', os.path.join(labs.ROOT, 'build', 'cutover'))
LIMIT_S = 420          # no run of the lab's plan takes longer
LAST_S = 10            # users are looked at for so long after the end
HALFWAY = 0.25         # share of green at which a fault strikes
PROMOTED, ROLLED_BACK, FROZEN = 0, 3, 4
TOLERATED = 0.002      # failed requests where no fault hits users: none but a rare reset


class Fault:
    """What goes wrong, when, and what has to come of it."""

    def __init__(self, about, expected, strike, at_start=False, hits_users=False, excess=0):
        self.about, self.expected, self.strike = about, expected, strike
        self.at_start, self.hits_users = at_start, hits_users
        self.excess = excess  # share of green's answers, where what that costs is predicted


def errors(run):
    for name in run.lab.green_services():
        run.lab.ecs.inject(name, err=300)


def few(run):
    for name in run.lab.green_services():
        run.lab.ecs.inject(name, err=20)


def slow(run):
    for name in run.lab.green_services():
        run.lab.ecs.inject(name, delay=1500)


def dead(run):
    for name in run.lab.green_services():
        run.lab.ecs.break_service(name)


def api(run):
    run.lab.api.faults.add(['throttle', 'error', 'reset', 'lost', 'truncate', 'slow'], share=0.15, delay=1.0)


def crash(run):
    time.sleep(1.5)  # in the middle of a stage, not at its edge
    run.crashed = True
    run.child.kill()


def foreign(run):
    weights = run.lab.weights()
    groups = [{'TargetGroupArn': a, 'Weight': 500 if a == run.lab.blue else 499} for a in weights]
    run.lab.client('somebody-else', 'elbv2').modify_rule(RuleArn=run.lab.rule, Actions=[
        {'Type': 'forward', 'ForwardConfig': {'TargetGroups': groups}}])


FAULTS = {
    '': Fault('no fault', PROMOTED, None),
    'errors': Fault('30 % of what green answers is a 500', ROLLED_BACK, errors, hits_users=True),
    'few': Fault('2 % of what green answers is a 500', ROLLED_BACK, few, hits_users=True, excess=0.02),
    'slow': Fault('green takes 1.5 s longer', ROLLED_BACK, slow),
    'dead': Fault("green's processes are killed and do not come back", ROLLED_BACK, dead, hits_users=True),
    'api': Fault('15 % of the calls to AWS are throttled, fail, are cut or lose their answer', PROMOTED, api, at_start=True),
    'crash': Fault('the controller is killed with -9 and started again', PROMOTED, crash),
    'foreign': Fault('somebody else sets the weights to 500:499', ROLLED_BACK, foreign),
}


INTERRUPTED = Fault('Ctrl-C', ROLLED_BACK, None)


def say(text):
    print('lab: ' + text, file=sys.stderr, flush=True)


class Run:
    lab_kind, plan, faults = labs.Lab, 'lab.json', FAULTS

    def __init__(self, lab, name):
        self.lab, self.name, self.fault = lab, name, self.faults[name]
        self.child, self.crashed, self.struck, self.notes = None, False, None, []
        self.journal = os.path.join(lab.out, 'journal.db')
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith('AWS_')}, **lab.environment(),
                    'CUTOVER_STATE': self.journal}

    # --- the program -------------------------------------------------------------

    def cutover(self, *args):
        """Runs the program on our terminal; its exit status, negative when a signal ended it."""
        self.child = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', PROGRAM, *args], env=self.env)
        try:
            return self.child.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.notes.append(f'cutover was still running after {LIMIT_S} s')
            self.end_child()
            return None
        except KeyboardInterrupt:  # the program got the signal too, and takes traffic back first
            self.fault = INTERRUPTED
            return self.after_interrupt()

    def after_interrupt(self):
        try:
            return self.child.wait(120)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self.end_child()
            return None

    def end_child(self):
        if self.child and self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def drive(self):
        status = self.cutover('start', os.path.join(labs.ROOT, 'plans', self.plan))
        if self.crashed and status == -signal.SIGKILL:
            say('the controller was killed; starting it again')
            status = self.cutover('resume')
        return status

    # --- the fault ---------------------------------------------------------------

    def strike(self):
        self.struck = time.time()
        try:
            self.fault.strike(self)
        except Exception as e:
            self.notes.append(f'the fault could not be made: {e!r}')

    def wait_to_strike(self):
        """Strikes when readers really get green: what the load balancer does, not what the rule says."""
        while not self.lab.stopping.wait(0.1):
            weights = {k.split(':')[1]: w for k, w in self.lab.plane.weights.items() if k.startswith('prod:')}
            total = sum(weights.values())
            if total and 1 - weights['blue'] / total >= HALFWAY:
                self.strike()
                return

    def start_fault(self):
        if self.fault.at_start:
            self.strike()
        elif self.fault.strike:
            threading.Thread(target=self.wait_to_strike, daemon=True, name='fault').start()

    # --- what came of it -----------------------------------------------------------

    def judge(self, status, began, ended, seen, weights):
        """[(what, was, should be, is it so)]"""
        expected = self.fault.expected
        green = [a for a in weights if a != self.lab.blue]
        share = 1 - weights.get(self.lab.blue, 0) / max(1, sum(weights.values()))
        last = seen.between(ended, time.time())
        colours = seen.by_colour(last)
        failed_last, total_last = seen.failed(last)
        failed, total = seen.failed()
        side = 'green' if expected == PROMOTED else 'blue'
        rows = [
            ('exit status of cutover', status, expected, status == expected),
            ('weight of green by the API', f'{100 * share:.1f} %', '100 %' if expected == PROMOTED else '0 %',
             share == (1 if expected == PROMOTED else 0) and (expected == ROLLED_BACK or bool(green))),
            ('who answers users at the end', ', '.join(f'{c} {n}' for c, (_, n) in colours.items()) or 'nobody', side,
             set(colours) == {side}),
            ('failed requests at the end', users.share_text(failed_last, total_last), 'none', total_last > 0 and failed_last == 0),
            ('edits accepted and lost', f'{len(seen.lost)} of {len(seen.accepted)}', '0', not seen.lost and len(seen.accepted) > 5),
            ('journal', self.verify(), 'whole', None),
        ]
        rows[-1] = rows[-1][:3] + (rows[-1][1] == 'whole',)
        if not self.fault.hits_users:
            rows.append(('failed requests in all', users.share_text(failed, total), 'under 0.2 %', failed <= TOLERATED * total))
        if self.fault.excess:
            rows.append(self.cost(seen))
        if self.fault.strike:
            rows.append(('fault', 'struck' if self.struck else 'did not strike', 'struck', bool(self.struck)))
        tasks, wanted = self.tasks(), {'blue': 0, 'green': 2} if expected == PROMOTED else {'blue': 2, 'green': 0}
        rows.append(('tasks that run', told(tasks), told(wanted), tasks == wanted))
        left = self.left()
        rows.append(('left behind', ', '.join(left) or 'nothing', 'nothing', not left))
        refused = self.refused()
        rows.append(('requests of ours that AWS would refuse', '; '.join(refused) or 'none', 'none', not refused))
        rows.append(('bugs of the lab', '; '.join(self.lab.bugs()[:3]) or 'none', 'none', not self.lab.bugs()))
        return rows

    def cost(self, seen):
        """The row that compares what green cost with what the judge's evaluation says, and what is kept of it."""
        good, total = seen.by_colour(seen.lines).get('green', (0, 0))
        times, failed = [li['t'] for li in seen.lines], total - good
        asked = {'plan': os.path.join(labs.ROOT, 'plans', self.plan), 'rate': len(times) / (max(times) - min(times)),
                 'past': self.past(), 'excess': self.fault.excess, 'least': HALFWAY, 'delay': self.lab.metrics.delay[1]}
        try:
            found = harm.predict(env=self.env, **asked)
        except RuntimeError as e:
            return ('failed because of green', failed, str(e), False)
        harm.keep(os.path.join(self.lab.out, 'harm.json'), harmed=failed, asked=asked, predicted=found)
        p = found['harmed']
        return ('failed because of green', f"{failed}; the harness predicts {p['mean']:.1f} on average",
                f"95 % of runs: {p['low']:.0f} to {p['high']:.0f}", harm.agrees(failed, p))

    def past(self):
        """Periods of blue that the judge of this run had seen before green."""
        with sqlite3.connect(f'file:{self.journal}?mode=ro', uri=True) as db:
            return sum(json.loads(body)['periods'] for body, in db.execute("select body from event where kind = 'history'"))

    def tasks(self):
        with self.lab.ecs.lock:
            tasks = [t for ts in self.lab.ecs.tasks.values() for t in ts if t.state in ('PENDING', 'RUNNING')]  # as ECS counts: who drains does not run
        blue = sum(t.service.name == 'blue' for t in tasks)
        return {'blue': blue, 'green': len(tasks) - blue}

    def left(self):
        """What a finished run must not leave: an armed dead-man's switch, and after a rollback a stack."""
        schedules = self.lab.client('operator', 'scheduler').list_schedules()['Schedules']
        stacks = self.lab.client('operator', 'cloudformation').describe_stacks()['Stacks']
        return [f"schedule {s['Name']}" for s in schedules] + \
            [f"stack {s['StackName']} {s['StackStatus']}" for s in stacks if self.fault.expected == ROLLED_BACK]

    def kept(self):
        """How often each edit is in the database that counts in the end."""
        return self.lab.wiki.summaries()

    def verify(self):
        done = subprocess.run([PROGRAM, 'verify'], env=self.env, capture_output=True, text=True)
        return 'whole' if done.returncode == 0 else (done.stdout + done.stderr).strip()[:200] or f'verify: {done.returncode}'

    def refused(self):
        """Calls of the controller whose signature or shape was wrong."""
        with open(os.path.join(self.lab.out, 'api.jsonl')) as f:
            lines = [json.loads(line) for line in f]
        return sorted({f"{li.get('service', '?')} {li.get('action', '')} {li['error'][:160]}" for li in lines
                       if li.get('refused') and li.get('who', 'controller') == 'controller'})

    def tell(self, rows, seen, began, ended):
        print(f"\n{'what':38} {'was':34} should be")
        for what, was, should, good in rows:
            print(f"{what:38} {str(was):34} {str(should):12} {'' if good else '  <-- NOT SO'}")
        print(f'\nthe run took {ended - began:.0f} s; users made {len(seen.lines)} requests in all')
        print('failed requests:', users.share_text(*seen.failed()))
        for colour, (good, total) in sorted(seen.by_colour(seen.lines).items()):
            mine = [li for li in seen.lines if users.colour(li) == colour]
            print(f'  {colour:6} {users.share_text(total - good, total):24} median {seen.latency(mine):.0f} ms, '
                  f'p90 {seen.latency(mine, 0.9):.0f} ms')
        if self.struck and not self.fault.at_start:
            print(f'the fault struck {self.struck - began:.0f} s after the start; {self.back_after(seen)}')
        if self.lab.api.faults.hits:
            print('calls to AWS hit by faults:', ', '.join(f'{n} {k}' for k, n in sorted(self.lab.api.faults.hits.items())))
        if self.lab.schedules.fired:
            print('schedules that fired:', self.lab.schedules.fired)
        for note in self.notes:
            print('note:', note)
        print('journal:', self.journal)
        print('logs, users and every call to AWS:', self.lab.out)

    def back_after(self, seen):
        answers = [li['t'] for li in seen.lines if users.colour(li) == 'green' and li['t'] >= self.struck]
        if self.fault.expected != ROLLED_BACK:
            return 'it was ridden out'
        return f'green answered users for {answers[-1] - self.struck:.1f} s more' if answers else 'green answered nobody after it'


def told(counts):
    return ', '.join(f'{k} {v}' for k, v in counts.items())


def carry_out(run, lab):
    lab.start_load()
    time.sleep(6)  # CloudWatch has numbers of blue before anybody asks
    run.start_fault()
    try:
        return carry_through(run, lab)
    finally:
        run.end_child()


def carry_through(run, lab):
    say(f"blue {lab.wiki.blue}, green {lab.wiki.green}; readers and editors are on {lab.wiki.server}; {run.fault.about}")
    began = time.time()
    status = run.drive()
    ended = time.time()
    weights = lab.weights()
    time.sleep(LAST_S)
    lab.stop_load()
    seen = users.Seen(users.read(lab.users), run.kept())
    rows = run.judge(status, began, ended, seen, weights)
    run.tell(rows, seen, began, ended)
    good = all(row[3] for row in rows) and not run.notes
    sys.stdout.flush()
    print('\nEverything agrees.' if good else '\nNOT everything agrees.')
    return 0 if good else 1


def main(name='', kind=Run):
    if name not in kind.faults:
        print(f"FAULT is one of: {' '.join(n for n in kind.faults if n)}, or not set", file=sys.stderr)
        return 2
    lab = None
    labs.on_signals()
    try:
        lab = kind.lab_kind(say=say)
        lab.start()
        return carry_out(kind(lab, name), lab)
    except KeyboardInterrupt:
        say('interrupted')
        return 130
    except RuntimeError as e:
        say(str(e))
        return 1
    finally:
        if lab:
            lab.stop()

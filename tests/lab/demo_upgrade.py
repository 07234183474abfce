"""A real upgrade, 1.39 to 1.43, by build/cutover: a copy of the database that follows,
a freeze, update.php, the schema gate, a staged shift and a thaw, under readers and
editors; and its faults.

What is proved is what editors care about: each edit the wiki accepted is in the
database that counts in the end, exactly once; each that it refused was refused
in words, and is nowhere.
"""
import json
import os
import subprocess
import threading
import time

import demo
import upgrade
import users
from demo import FROZEN, PROMOTED, ROLLED_BACK, Fault

GOAL_S = 2.0         # what cutover itself may add to the time without edits
HALF = 40            # rows that update.php adds to updatelog; half of them
STRAY = [f'lab edit cron {n}' for n in range(3)]
COLUMN = 'ALTER TABLE page DROP COLUMN page_lang'


def is_update(errand):
    return 'update' in errand.command


def update(run):
    """kill -9 for the first update.php, when it has done half of its work."""
    def watch(errand):
        copy = run.lab.wiki.copies[-1]
        began = int(copy.sql('SELECT COUNT(*) FROM updatelog;', 'labwiki')[0][0])
        while errand.program.poll() is None:
            done = int(copy.sql('SELECT COUNT(*) FROM updatelog;', 'labwiki')[0][0]) - began
            if done >= HALF:
                run.strike()
                run.lab.procs.signal(errand.program, 9)
                return

    def on_start(errand):
        if is_update(errand) and not run.struck:
            threading.Thread(target=watch, args=(errand,), daemon=True, name='fault').start()
    run.lab.errands.on_start = on_start


def lag(run):
    """Something on the copy holds a lock that replication waits for."""
    def work():
        while not run.lab.stopping.wait(0.1):
            if any(d.status == 'AVAILABLE' for d in run.lab.rds.deployments):
                copy = run.lab.wiki.copies[-1]
                run.lab.procs.start('fault-lock', ['mariadb', '--no-defaults', '-uroot', '--socket=' + copy.sock, '-e',
                                                   'FLUSH TABLES WITH READ LOCK; DO SLEEP(600)'])
                run.strike()
                return
    threading.Thread(target=work, daemon=True, name='fault').start()


def schema(run):
    """Somebody drops a column of the copy when update.php has just ended."""
    def on_stop(errand):
        if is_update(errand) and errand.exit_code == 0 and not run.struck:
            run.lab.wiki.copies[-1].sql(COLUMN, 'labwiki')
            run.strike()
    run.lab.errands.on_stop = on_stop


def stray(run):
    """A cron container of blue's, without the mount of the lock file, edits when update.php has ended."""
    def on_stop(errand):
        if is_update(errand) and not run.struck:
            for summary in STRAY:
                run.lab.wiki.edit_past_the_lock('Cron', summary)
            run.strike()
    run.lab.errands.on_stop = on_stop


def late(run):
    """Green turns bad when users have begun to write to it."""
    def work():
        while not run.lab.stopping.wait(0.05):
            if run.lab.window.unlocked:
                run.lab.stopping.wait(1.5)
                demo.errors(run)
                run.strike()
                return
    threading.Thread(target=work, daemon=True, name='fault').start()


def crash(run):
    """The controller dies while update.php runs and nobody can edit."""
    def on_start(errand):
        if is_update(errand) and not run.struck:
            run.strike()
            demo.crash(run)
    # not in the thread that starts tasks: it goes on while the controller is dead
    run.lab.errands.on_start = lambda errand: threading.Thread(target=on_start, args=(errand,), daemon=True, name='fault').start()


class UpgradeRun(demo.Run):
    lab_kind, plan = upgrade.UpgradeLab, 'lab-upgrade.json'
    faults = {
        '': Fault('no fault', PROMOTED, None),
        'update': Fault('update.php is killed half-way', PROMOTED, update),
        'crash': Fault('the controller is killed with -9 in mid-update, and started again', PROMOTED, crash),
        'lag': Fault('the copy of the database stops to follow', ROLLED_BACK, lag),
        'schema': Fault("a column of green's is dropped after update.php", ROLLED_BACK, schema),
        'stray': Fault('a cron container that lacks the lock file edits on blue after the copy was cut off', ROLLED_BACK, stray),
        'late': Fault('green turns bad when edits are taken again', FROZEN, late, hits_users=True),
    }

    def strike(self):
        self.struck = time.time()

    def start_fault(self):
        if self.fault.strike:
            self.fault.strike(self)

    # --- what came of it -----------------------------------------------------------

    def side(self):
        return 'blue' if self.fault.expected == ROLLED_BACK else 'green'

    def runs(self):
        """A killed one is run again; a copy that lacks writes is not updated at all."""
        return {'update': 2, 'lag': 0}.get(self.name, 1)

    def kept(self):
        wiki = self.lab.wiki
        self.elsewhere = wiki.summaries() if self.side() == 'green' else {}
        kept = wiki.summaries(wiki.copies[-1] if self.side() == 'green' and wiki.copies else None)
        self.elsewhere = sorted(set(self.elsewhere) - set(kept))
        self.strays = sum(kept.get(summary, 0) for summary in STRAY)
        return kept

    def judge(self, status, began, ended, seen, weights):
        expected, side = self.fault.expected, self.side()
        share = 1 - weights.get(self.lab.blue, 0) / max(1, sum(weights.values()))
        last = seen.between(ended, time.time())
        failed, total = seen.failed()
        self.parts = self.measure()
        rows = [
            ('exit status of cutover', status, expected, status == expected),
            ('weight of green by the API', f'{100 * share:.1f} %', '100 %' if side == 'green' else '0 %', share == (side == 'green')),
            ('who answers users at the end', ', '.join(f'{c} {n}' for c, (_, n) in seen.by_colour(last).items()) or 'nobody', side,
             set(seen.by_colour(last)) == {side}),
            *self.edits(seen, last),
            ('time without edits', f"{self.parts['total']:.1f} s" if self.parts else 'none', 'measured', bool(self.parts)),
        ]
        if not self.name and self.parts:
            rows.append(('of which cutover added', f"{self.parts['cutover']:.1f} s", f'at most {GOAL_S:.0f} s', self.parts['cutover'] <= GOAL_S))
        if expected == ROLLED_BACK:
            green = seen.by_colour(seen.lines).get('green', (0, 0))[1]
            rows.append(('users who ever saw green', green, '0', not green))
        if self.name == 'stray':
            rows.append(('edits past the lock file, and there', f'{self.strays} of {len(STRAY)}', 'all', self.strays == len(STRAY)))
        runs = [t for t in self.lab.errands.all if is_update(t)]
        rows.append(('runs of update.php', len(runs), self.runs(), len(runs) == self.runs()))
        if not self.fault.hits_users:
            rows.append(('failed requests in all', users.share_text(failed, total), 'under 0.2 %', failed <= demo.TOLERATED * total))
        if self.fault.strike:
            rows.append(('fault', 'struck' if self.struck else 'did not strike', 'struck', bool(self.struck)))
        return rows + self.world(expected)

    def edits(self, seen, last):
        """What editors were told, against the revision table of the database that counts."""
        edits = [li for li in last if li['kind'] == 'edit']
        odd = [li for li in seen.edits if not li['ok'] and not users.refused(li)]
        refused_last, good_last = sum(map(users.refused, edits)), sum(li['ok'] for li in edits)
        return [
            ('edits accepted and lost', f'{len(seen.lost)} of {len(seen.accepted)}', '0', not seen.lost and len(seen.accepted) > 5),
            ('edits there twice', len(seen.doubled), '0', not seen.doubled),
            ("edits in blue's database only", len(self.elsewhere), '0', not self.elsewhere),
            ('edits refused and there all the same', f'{len(seen.kept_though_refused)} of {len(seen.refused)}', '0',
             not seen.kept_though_refused and len(seen.refused) > 0),
            ('edits that failed in another way', f"{len(odd)} {sorted({li.get('error') or li['status'] for li in odd}, key=str) or ''}",
             'none' if not self.fault.hits_users else 'any', not odd or self.fault.hits_users),
            ('edits at the end', f'{good_last} accepted, {refused_last} refused', 'accepted', good_last > 0 and not refused_last),
        ]

    def world(self, expected):
        tasks = self.tasks()
        wanted = {PROMOTED: {'blue': 0, 'green': 2}, ROLLED_BACK: {'blue': 2, 'green': 0}, FROZEN: {'blue': 2, 'green': 2}}[expected]
        left, refused, journal, bugs = self.left(), self.refused(), self.verify(), self.lab.bugs()
        databases = sorted(self.lab.rds.clusters)
        return [
            ('tasks that run', demo.told(tasks), demo.told(wanted), tasks == wanted),
            ('lock file', 'there' if os.path.exists(self.lab.wiki.lock) else 'gone', 'gone', not os.path.exists(self.lab.wiki.lock)),
            ('databases', len(databases), '2: none is deleted', len(databases) == 2),
            ('left behind', ', '.join(left) or 'nothing', 'nothing', not left),
            ('journal', journal, 'whole', journal == 'whole'),
            ('requests of ours that AWS would refuse', '; '.join(refused) or 'none', 'none', not refused),
            ('bugs of the lab', '; '.join(bugs[:3]) or 'none', 'none', not bugs),
        ]

    # --- the window -----------------------------------------------------------------

    def measure(self):
        """Seconds of the time in which nobody could edit, and what they were spent on."""
        w = self.lab.window
        if not w.locked or not w.unlocked:
            return None
        inside = [t for t in self.lab.errands.all if t.started and w.locked < t.started.timestamp() <= w.unlocked]
        parts = {'update.php': sum(t.ran() for t in inside if is_update(t)),
                 'replication': max(0.0, (w.caught_up or w.unlocked) - w.locked),
                 'ECS starting tasks': sum((t.started - t.created).total_seconds() for t in inside),
                 "the plan's looks at green": self.looks(w.locked, w.unlocked)}
        return {'total': w.unlocked - w.locked, **parts, 'cutover': w.unlocked - w.locked - sum(parts.values())}

    def looks(self, start, end):
        """Probing, warming and the stages of the shift: as long as the plan wants them."""
        with open(os.path.join(demo.labs.ROOT, 'plans', self.plan)) as f:
            mine = {s['id'] for s in json.load(f)['steps'] if s['do'] in ('probe', 'warm', 'shift')}
        done = subprocess.run([demo.PROGRAM, 'events', '-o', 'json'], env=self.env, capture_output=True, text=True)
        began, seconds = {}, 0.0
        for line in map(json.loads, filter(str.strip, done.stdout.splitlines())):
            at = line['at'] / 1000
            if line['kind'] == 'begin':
                began[line['step']] = at
            elif line['kind'] in ('done', 'failed') and line['step'] in mine & set(began) and start <= at <= end:
                seconds += at - max(start, began[line['step']])
        return seconds

    def tell(self, rows, seen, began, ended):
        super().tell(rows, seen, began, ended)
        if self.parts and self.fault.expected != ROLLED_BACK:
            print('time without edits: ' + ', '.join(f'{k} {v:.2f} s' for k, v in self.parts.items()))

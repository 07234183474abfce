"""The journal's file: who looks is in nobody's way, makes nothing, and others may not even open it."""
import fcntl
import hashlib
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
import unittest

from world import ALARM, ALL, LOOK, PATIENT, Case, Driver, kinds, shift

LOOKING = ('events', 'report', 'watch', 'status', 'list', 'verify', 'wait')
SOON = 30  # seconds; with a lock held it was never


class Readers(Case):
    def alarm_on_demand(self):
        self.bad = False
        self.world(edit=lambda action, status, body: (status, body.replace(b'"OK"', b'"ALARM"').replace(b'>OK<', b'>ALARM<'))
                   if action == 'DescribeAlarms' and self.bad else None)

    def nobody_reads(self):
        """A pipe of one page that is full already."""
        end, begin = os.pipe()
        fcntl.fcntl(begin, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(begin, False)
        try:
            while os.write(begin, b'x' * 512):
                pass
        except BlockingIOError:
            os.set_blocking(begin, True)
        self.addCleanup(os.close, end)
        return begin

    def everybody_looks(self):
        """Each reader, in both forms, with a pager that shows nothing; more than any buffer holds is there to be read."""
        for n in range(12):
            self.expect(0, self.run_it('resume', '--no-wait', '--reason', f'{n} ' + 'much to say ' * 300))
        for command in LOOKING:
            for form in ((), ('-o', 'json')):
                pipe = self.nobody_reads()
                Driver(self, [command, *form], stdout=pipe)
                os.close(pipe)
        time.sleep(3)  # by now they print

    def test_a_pager_that_does_not_read_stops_no_rollback(self):
        self.alarm_on_demand()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT10M'), ALL))
        self.wait_for_green(25, driver)
        self.everybody_looks()
        self.bad = True
        self.assertEqual(driver.end(SOON).code, 3, driver.said())
        self.assertIn(ALARM, '\n'.join(driver.said()))

    def test_a_pager_that_does_not_read_stops_no_order(self):
        self.world_that_waits()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT10M'), ALL, watch=PATIENT))
        self.wait_for_green(25, driver)
        self.everybody_looks()
        self.expect(0, self.run_it('rollback', '--no-wait', seconds=SOON))
        self.wait_for(lambda ev: [e for e in ev if e['kind'] == 'weights'][-1]['body']['permille'] == 0, SOON, of=driver)
        self.metrics.set()
        self.assertEqual(driver.end().code, 3, driver.said())


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Begun(Case):
    def begin(self, umask):
        """A run that is refused at once: there is no AWS."""
        self.rule = 'arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener-rule/app/a/1/2/3'
        self.blue, self.green = (self.rule.replace('listener-rule/app/a/1/2/3', f'targetgroup/{c}/0123456789abcdef')
                                 for c in ('blue', 'green'))
        self.env['AWS_ENDPOINT_URL'] = 'http://127.0.0.1:9'
        driver = self.drive('start', self.plan(LOOK, ALL), preexec_fn=lambda: os.umask(umask))
        self.wait_for(lambda ev: 'claim' in kinds(ev), of=driver)
        driver.kill()


class Private(Begun):
    """Whoever may read it can hold SQLite's lock, on purpose or with a pager of another kind."""

    def test_the_file_and_its_folder_are_its_owners_alone(self):
        for umask in (0o000, 0o022, 0o077, 0o177):
            with self.subTest(umask=oct(umask)):
                self.begin(umask)
                self.assertEqual(mode(self.state), 0o600)
                self.assertEqual(mode(os.path.dirname(self.state)), 0o700)
                shutil.rmtree(os.path.dirname(self.state))

    def test_sqlites_own_journal_is_private_too(self):
        self.begin(0)
        was = os.umask(0)
        other = sqlite3.connect(self.state, isolation_level=None)
        other.execute('BEGIN IMMEDIATE')
        other.execute("INSERT INTO beat VALUES('x', 1, 'y')")
        os.umask(was)
        self.assertEqual(mode(self.state + '-journal'), 0o600)
        other.close()

    def test_a_readable_one_is_tightened_by_its_owner(self):
        self.begin(0)
        os.chmod(self.state, 0o644)
        self.expect(0, self.run_it('list'))
        self.assertEqual(mode(self.state), 0o600)

    @unittest.skipUnless(os.geteuid() == 0, 'only root becomes somebody else')
    def test_somebody_else_can_hold_no_lock(self):
        self.state = self.env['CUTOVER_STATE'] = os.path.join(self.dir, 'journal.db')  # a folder that others may enter
        os.chmod(self.dir, 0o755)
        self.begin(0)
        said = subprocess.run(['cat', self.state], user=65534, group=65534, extra_groups=[], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.assertIn('Permission denied', said.stderr)


class Damaged(Case):
    """Under a driver whose green has a quarter: it says so, takes traffic back in a journal of its own, and calls."""

    def begin(self):
        self.world()
        self.called = os.path.join(self.dir, 'called')
        call = self.file('call', f'#!/bin/sh\necho "$1" >> {self.called}\n')
        os.chmod(call, 0o755)
        self.driver = self.drive('start', self.plan(LOOK, shift(25, 'PT10M'), ALL, call=[call]))
        self.run_id = self.wait_for_green(25, self.driver)[0]['run']

    def goes_on_beside(self):
        rescue = f'{self.state}.rescue-{self.run_id}'
        self.expect(3, self.driver.end(), 'cannot be relied on any more', 'ROLLED BACK: traffic is proved on blue',
                    f'cutover --state {rescue} report')
        self.assertEqual(self.writes(), ['ModifyRule', 'ModifyRule'])
        self.assertEqual(mode(rescue), 0o600)
        self.env['CUTOVER_STATE'] = rescue
        self.expect(0, self.run_it('verify'))
        events = self.events()
        self.assertEqual([e['seq'] for e in events], list(range(1, len(events) + 1)))
        self.assertEqual([e['body']['permille'] for e in events if e['kind'] == 'weights'][-1], 0)
        self.assertIn('proved', kinds(events))
        with open(self.called, encoding='utf-8') as f:
            self.assertIn(rescue, f.read())

    def older_copy(self):
        with open(self.state, 'rb') as f:
            old = f.read()
        before = len(self.events())
        self.wait_for(lambda ev: len(ev) > before + 2, of=self.driver)
        return old

    def test_cut_off_to_one_page(self):
        self.begin()
        os.truncate(self.state, 4096)
        self.goes_on_beside()

    def test_cut_off_to_nothing(self):
        self.begin()
        os.truncate(self.state, 0)
        self.goes_on_beside()

    def test_an_older_copy_over_it(self):
        self.begin()
        old = self.older_copy()
        with open(self.state, 'r+b') as f:
            f.write(old)
            f.truncate()
        self.goes_on_beside()
        self.assertIn('cannot be relied on', self.run_it('events', '--state', self.state).out)  # word was left there, too

    def test_an_older_copy_in_its_place(self):
        self.begin()
        old = self.file('old', self.older_copy())
        os.rename(old, self.state)
        self.goes_on_beside()

    def test_noise_in_pages_that_are_cached(self):
        self.begin()
        with open(self.state, 'r+b') as f:
            f.seek(4096)
            f.write(os.urandom(os.path.getsize(self.state) - 4096))
        self.goes_on_beside()

    def test_removed_for_good(self):
        self.begin()
        os.remove(self.state)
        self.goes_on_beside()

    def test_a_whole_copy_in_its_place_is_gone_on_with(self):
        self.begin()
        self.driver.signal(signal.SIGSTOP)
        with open(self.state, 'rb') as f:
            copy = self.file('copy', f.read())
        os.rename(copy, self.state)
        self.driver.signal(signal.SIGCONT)
        self.expect(0, self.run_it('rollback', '--no-wait'))
        self.expect(3, self.driver.end(), 'ROLLED BACK: traffic is proved on blue')
        self.assertFalse([n for n in os.listdir(os.path.dirname(self.state)) if 'rescue' in n])


class Formats(Begun):
    """What a line means has a number: a newer program's run is refused in a sentence, an older one's goes on."""

    def rewrite(self, kind, old, new):
        """Line of that kind, and the chain from there on, as another program would have written them."""
        db = sqlite3.connect(self.state)
        before = ''
        for row in db.execute('SELECT run, seq, at, actor, kind, step, body FROM event ORDER BY seq').fetchall():
            body = row[6].replace(old, new) if row[4] == kind else row[6]
            self.assertTrue(row[4] != kind or body != row[6], row)
            text = '\n'.join([before, *map(str, row[:6]), body])
            now = hashlib.sha256(text.encode()).hexdigest()
            db.execute('UPDATE event SET body=?, prev=?, hash=? WHERE seq=?', (body, before, now, row[1]))
            before = now
        db.commit()
        db.close()

    def test_a_newer_programs_run_is_refused_and_can_be_looked_at(self):
        for kind in ('start', 'claim'):
            with self.subTest(kind):
                self.begin(0o077)
                self.rewrite(kind, '"format":2', '"format":3')
                for command in ('status', 'resume', 'rollback'):
                    self.expect(5, self.run_it(command, self.events()[0]['run']), 'newer cutover', 'has format 3', 'up to 2')
                self.expect(0, self.run_it('events'), kind)
                self.expect(0, self.run_it('list'), 'newer cutover')
                shutil.rmtree(os.path.dirname(self.state))

    def test_a_run_without_a_number_is_of_the_first_format(self):
        self.begin(0o077)
        self.rewrite('start', '"format":2', '"was":0')
        self.rewrite('claim', '"format":2', '"was":0')
        self.expect(0, self.run_it('verify'))
        self.expect(0, self.run_it('status'), 'going forward')


class Mistyped(Case):
    """A --state that names nothing."""

    def test_who_only_looks_or_orders_makes_no_journal(self):
        path = os.path.join(self.dir, 'nowhere', 'jurnal.db')
        for command in (*LOOKING, 'rollback', 'pause', 'resume', 'promote', 'retry'):
            with self.subTest(command):
                self.expect(0 if command == 'list' else 2, self.run_it(command, '--state', path), f'there are no runs in {path}')
        self.expect(0, self.run_it('list', '-o', 'json', '--state', path), '[]')
        self.assertFalse(os.path.exists(os.path.dirname(path)))

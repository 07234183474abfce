"""The journal's file: who looks is in nobody's way, makes nothing, and others may not even open it."""
import fcntl
import os
import shutil
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


class Private(Case):
    """Whoever may read it can hold SQLite's lock, on purpose or with a pager of another kind."""

    def begin(self, umask):
        """A run that is refused at once: there is no AWS."""
        self.rule = 'arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener-rule/app/a/1/2/3'
        self.blue, self.green = (self.rule.replace('listener-rule/app/a/1/2/3', f'targetgroup/{c}/0123456789abcdef')
                                 for c in ('blue', 'green'))
        self.env['AWS_ENDPOINT_URL'] = 'http://127.0.0.1:9'
        driver = self.drive('start', self.plan(LOOK, ALL), preexec_fn=lambda: os.umask(umask))
        self.wait_for(lambda ev: 'claim' in kinds(ev), of=driver)
        driver.kill()

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


class Mistyped(Case):
    """A --state that names nothing."""

    def test_who_only_looks_or_orders_makes_no_journal(self):
        path = os.path.join(self.dir, 'nowhere', 'jurnal.db')
        for command in (*LOOKING, 'rollback', 'pause', 'resume', 'promote', 'retry'):
            with self.subTest(command):
                self.expect(0 if command == 'list' else 2, self.run_it(command, '--state', path), f'there are no runs in {path}')
        self.expect(0, self.run_it('list', '-o', 'json', '--state', path), '[]')
        self.assertFalse(os.path.exists(os.path.dirname(path)))

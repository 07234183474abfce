"""What is shown never stops what is driven, and leaving a screen is leaving a screen."""
import fcntl
import os
import pty
import sqlite3
import struct
import subprocess
import termios
import threading
import time

from world import ALL, CUTOVER, HUP, INT, LONG, LOOK, TERM, Case, kinds, shift

BAKE = shift(25, 'PT20M')  # stays there until somebody comes
F_SETPIPE_SZ = 1031


def fill(fd):
    """Until nothing more fits."""
    os.set_blocking(fd, False)
    try:
        while os.write(fd, b'x' * 512):
            pass
    except BlockingIOError:
        os.set_blocking(fd, True)


class Screen:
    """A command on a terminal of its own, whose screen is read, or not."""

    def __init__(self, case, *args, size=(24, 80), reads=True, **env):
        self.case, self.text, self.reads = case, b'', threading.Event()
        self.fd, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack('HHHH', *size, 0, 0))
        if not reads:
            fill(there)
        self.process = subprocess.Popen([CUTOVER, *args], env={**case.env, 'TERM': 'xterm', **env}, cwd=case.dir,
                                        stdin=there, stdout=there, stderr=there, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(there, termios.TIOCSCTTY, 0))
        os.close(there)
        case.drivers.append(self)
        if reads:
            self.reads.set()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while self.reads.wait():
            try:
                part = os.read(self.fd, 65536)
            except OSError:
                part = b''
            if not part:
                return
            self.text += part

    def type(self, keys):
        os.write(self.fd, keys)

    def said(self):
        return self.text.decode('utf-8', 'replace')

    def wait_said(self, words, seconds=LONG):
        end = time.monotonic() + seconds
        while words not in self.said():
            self.case.assertLess(time.monotonic(), end, self.said()[-3000:])
            time.sleep(0.05)

    def end(self, seconds=LONG):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.case.fail('it did not end: ' + self.said()[-3000:])
        if self.reads.is_set():
            self.reader.join(5)
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait()


class Stuck(Case):
    """Nobody takes what the driver prints; green fails: it goes back all the same."""

    def alarming(self):
        self.alarm = threading.Event()
        self.world(edit=lambda action, status, body: (status, body.replace(b'"OK"', b'"ALARM"').replace(b'>OK<', b'>ALARM<'))
                   if action == 'DescribeAlarms' and self.alarm.is_set() else None)

    def goes_back(self, process):
        self.alarm.set()
        self.wait_for(lambda ev: 'rolled-back' in kinds(ev), 60)
        self.assertEqual(self.writes(), ['ModifyRule', 'ModifyRule'])
        process.wait(LONG)  # nor does anybody have to read for it to end
        self.assertEqual(process.returncode, 3)

    def test_ctrl_s(self):
        self.alarming()
        screen = Screen(self, 'start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25)
        screen.type(b'\x13')
        time.sleep(2)
        seen, asked = len(screen.text), len(self.asked())
        time.sleep(3)
        self.assertEqual(len(screen.text), seen, 'the terminal is not stopped')
        self.assertGreater(len(self.asked()), asked)
        self.goes_back(screen.process)

    def test_ctrl_s_and_ctrl_q(self):
        """The newest picture, not all that were drawn meanwhile."""
        self.world()
        screen = Screen(self, 'start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25)
        screen.type(b'\x13')
        time.sleep(6)
        seen = len(screen.text)
        screen.type(b'\x11')
        self.expect(3, self.run_it('rollback'))
        self.assertEqual(screen.end(), 3)
        self.assertIn('ROLLED BACK: traffic is proved on blue', screen.said()[-400:])
        self.assertLess(screen.text[seen:seen + 8192].count(b'going forward'), 5)

    def test_a_terminal_whose_peer_is_gone(self):
        self.alarming()
        screen = Screen(self, 'start', self.plan(LOOK, BAKE, ALL), reads=False)
        self.wait_for_green(25)
        self.goes_back(screen.process)

    def test_a_pipe_that_nobody_reads(self):
        self.alarming()
        reader, writer = os.pipe()
        fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
        fill(writer)
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL), stdout=writer)
        os.close(writer)
        self.wait_for_green(25, driver)
        self.goes_back(driver.process)
        self.assertIn('could not all be written: nobody takes it', driver.said()[1])
        os.close(reader)

    def test_a_pipe_that_is_read_late(self):
        """Every line, in its order: what did not fit was read from the journal again."""
        self.world()
        reader, writer = os.pipe()
        fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT2S'), ALL), '-o', 'json', stdout=writer)
        os.close(writer)
        self.wait_for(lambda ev: 'promoted' in kinds(ev), of=driver)
        with os.fdopen(reader, 'rb') as f:
            text = f.read()
        self.assertEqual(driver.end().code, 0)
        self.assertEqual(text.decode().splitlines(), self.run_it('events', '-o', 'json').out.splitlines())

    def test_standard_error_that_nobody_reads(self):
        """The last word of a driver that lost its run does not hold it."""
        self.world()
        reader, writer = os.pipe()
        fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
        fill(writer)
        driver = subprocess.Popen([CUTOVER, 'start', self.plan(LOOK, BAKE, ALL)], env=self.env, cwd=self.dir, stderr=writer,
                                  stdout=writer, stdin=subprocess.DEVNULL)
        os.close(writer)
        self.wait_for_green(25)
        driver.send_signal(TERM)
        self.assertEqual(driver.wait(30), 7)
        os.close(reader)
        self.expect(3, self.run_it('rollback'))


class Leaving(Case):
    def test_ctrl_c_leaves_a_screen_that_only_follows(self):
        """And is not remembered when that process would have to drive one day."""
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        for command, number in (('resume', None), ('watch', None), ('resume', TERM), ('watch', HUP), ('wait', INT)):
            with self.subTest(command, signal=number):
                screen = Screen(self, command)
                if number:
                    time.sleep(1)
                    screen.process.send_signal(number)
                else:
                    screen.wait_said('Ctrl-C: leaves, the run goes on')
                    screen.type(b'\x03')
                self.assertEqual(screen.end(20), 7, screen.said())
                self.assertIn(f'goes on, driven by {os.uname().nodename}, pid {driver.process.pid}', screen.said())
        driver.kill()
        self.assertEqual({e['body']['order'] for e in self.events() if e['kind'] == 'order'}, {'resume'})
        self.expect(3, self.run_it('rollback'))

    def test_a_follower_drives_when_the_driver_dies_and_ctrl_c_rolls_back_then(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        screen = Screen(self, 'resume')
        screen.wait_said('Ctrl-C: leaves, the run goes on')
        driver.kill()
        screen.wait_said('Ctrl-C: rolls back; twice: leaves')
        screen.type(b'\x03')
        self.assertEqual(screen.end(), 3, screen.said())

    def test_what_ctrl_c_does_stands_on_the_screen(self):
        self.world()
        screen = Screen(self, 'start', self.plan(LOOK, BAKE, ALL))
        screen.wait_said('Ctrl-C: rolls back; twice: leaves')
        self.wait_for_green(25)
        screen.type(b'\x03')
        screen.wait_said('Ctrl-C: leaves, and nobody drives the run then')
        self.assertEqual(screen.end(), 3, screen.said())

    def test_one_ctrl_c_that_a_wrapper_hands_on_is_one(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        driver.signal(INT)
        time.sleep(0.1)
        driver.signal(INT)
        self.expect(3, driver.end(), 'interrupted at the terminal', 'ROLLED BACK')

    def test_ctrl_c_ends_a_read_that_hangs(self):
        """CloudWatch does not answer; the order to go back does not wait for it."""
        hang = threading.Event()
        self.world(edit=lambda action, status, body: time.sleep(20) if action == 'GetMetricData' and hang.is_set() else None)
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL, watch={'blind_after': 'PT10M'}))
        self.wait_for_green(25, driver)
        hang.set()
        time.sleep(3)
        began = time.monotonic()
        driver.signal(INT)
        self.wait_for(lambda ev: any(e['kind'] == 'weights' and e['body']['green'] == 0 for e in ev[10:]), 60, of=driver)
        self.assertLess(time.monotonic() - began, 8)
        hang.clear()
        self.expect(3, driver.end(), 'ROLLED BACK')


class Kept(Case):
    """One Ctrl-C while the journal cannot be written is kept, and the process stays."""

    def locked(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        db = sqlite3.connect(self.state, isolation_level=None, timeout=60)
        db.execute('BEGIN EXCLUSIVE')
        self.addCleanup(db.close)
        return driver, db

    def wait_kept(self, driver):
        end = time.monotonic() + LONG
        while 'your Ctrl-C is kept: ' not in driver.said()[1]:
            self.assertLess(time.monotonic(), end, driver.said())
            self.assertIsNone(driver.process.poll(), driver.said())
            time.sleep(0.1)

    def test_ctrl_c_while_the_journal_cannot_be_written(self):
        driver, db = self.locked()
        driver.signal(INT)
        self.wait_kept(driver)
        time.sleep(8)
        self.assertIsNone(driver.process.poll(), driver.said())
        db.execute('ROLLBACK')
        self.expect(3, driver.end(), 'rollback ordered by tester: interrupted at the terminal', 'ROLLED BACK')

    def test_a_second_one_leaves_and_says_that_nothing_was_ordered(self):
        driver, db = self.locked()
        driver.signal(INT)
        self.wait_kept(driver)
        driver.signal(INT)
        self.expect(7, driver.end(), 'was NOT ordered', 'nobody drives it now')
        db.execute('ROLLBACK')
        self.assertNotIn('order', kinds(self.events()))
        self.expect(3, self.run_it('rollback'))

"""A journal that cannot be written: nothing more is sent to AWS until it can, and then it goes on."""
import os
import resource
import signal
import subprocess
import time
import unittest

from world import ALL, LONG, LOOK, PATIENT, Case, kinds, shift

WORDS = 'nothing is sent to AWS until it can be written: make room on its disk'
QUIET_S = 4  # the bake below ends within it: without the fault there would be a write


class FullDisk(Case):
    def mount(self, size):
        """A disk of its own for the journal; unmounted at the end."""
        os.makedirs(os.path.dirname(self.state))
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', os.path.dirname(self.state)],
                              capture_output=True, check=False)
        if done.returncode:
            raise unittest.SkipTest('no tmpfs can be mounted here: ' + done.stderr.decode().strip())
        self.addCleanup(subprocess.run, ['umount', '-l', os.path.dirname(self.state)], check=False)

    def fill(self):
        self.ballast = os.path.join(os.path.dirname(self.state), 'ballast')
        with open(self.ballast, 'ab', buffering=0) as f:
            try:
                while f.write(b'x' * 4096):
                    pass
            except OSError:
                pass
        self.metrics.set()

    def stands_still(self, driver):
        """The bake ends, no write follows, and the program waits."""
        self.wait_said(driver, WORDS)
        time.sleep(QUIET_S)
        self.assertEqual(self.writes(), ['ModifyRule'])
        self.assertIsNone(driver.process.poll(), driver.said())

    def wait_said(self, driver, words, seconds=LONG):
        end = time.monotonic() + seconds
        while words not in '\n'.join(driver.said()):
            self.assertLess(time.monotonic(), end, '\n'.join(driver.said())[-3000:])
            time.sleep(0.1)

    def test_full_before_the_start(self):
        self.world_that_waits()
        self.mount('64k')
        self.fill()
        self.expect(1, self.run_it('start', self.plan(LOOK, ALL)), 'full', WORDS)
        self.assertEqual(self.asked(), [])
        os.remove(self.ballast)
        self.expect(0, self.run_it('list', '-o', 'json'), '[]')

    def test_full_while_it_runs(self):
        self.world_that_waits()
        self.mount('2m')
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT3S'), ALL, watch=PATIENT))
        self.wait_for_green(25, driver)
        self.fill()
        self.stands_still(driver)
        self.expect(1, self.run_it('rollback'), 'full', WORDS)  # nor does an order get lost in silence
        os.remove(self.ballast)
        self.expect(0, driver.end(), 'PROMOTED')
        self.assertEqual(self.writes(), ['ModifyRule', 'ModifyRule'])
        self.expect(0, self.run_it('verify'))
        self.assertNotIn('order', kinds(self.events()))

    def test_full_and_rolled_back_afterwards(self):
        self.world_that_waits('--fault', 'errors')
        self.mount('2m')
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT1M'), ALL, watch=PATIENT))
        self.wait_for_green(25, driver)
        self.fill()
        self.stands_still(driver)
        os.remove(self.ballast)
        self.expect(3, driver.end(), 'ROLLED BACK: traffic is proved on blue')
        self.expect(0, self.run_it('verify'))

    def test_full_and_killed(self):
        """What was being written when the process died is not half there."""
        self.world_that_waits()
        self.mount('2m')
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT3S'), ALL, watch=PATIENT))
        self.wait_for_green(25, driver)
        self.fill()
        self.stands_still(driver)
        driver.kill()
        self.expect(1, self.run_it('resume'), WORDS)
        os.remove(self.ballast)
        self.expect(0, self.run_it('resume'), 'PROMOTED')
        self.expect(0, self.run_it('verify'))

    def test_a_limit_of_file_size(self):
        """Without a disk of our own: the kernel refuses to let the journal grow."""
        self.world_that_waits()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT3S'), ALL, watch=PATIENT),
                            preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN), restore_signals=False)
        self.wait_for_green(25, driver)
        resource.prlimit(driver.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        self.metrics.set()
        time.sleep(QUIET_S)  # it cannot say so: its output is a file too
        self.assertEqual(self.writes(), ['ModifyRule'])
        self.assertIsNone(driver.process.poll(), driver.said())
        resource.prlimit(driver.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.expect(0, driver.end(), 'PROMOTED')
        self.assertEqual(self.writes(), ['ModifyRule', 'ModifyRule'])

    def test_a_journal_that_is_moved(self):
        """Somebody tidies up in the wrong folder: no change of AWS without a line."""
        self.world_that_waits()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT3S'), ALL, watch=PATIENT))
        self.wait_for_green(25, driver)
        os.rename(self.state, self.state + '.old')
        self.metrics.set()
        self.wait_said(driver, 'the file was moved or removed: nothing is sent to AWS until it is back')
        time.sleep(QUIET_S)
        self.assertEqual(self.writes(), ['ModifyRule'])
        os.rename(self.state + '.old', self.state)
        self.expect(0, driver.end(), 'PROMOTED')
        self.assertEqual(self.writes(), ['ModifyRule', 'ModifyRule'])
        self.expect(0, self.run_it('verify'))

"""An order that nobody waits for is carried out all the same, and a driver in the background is one."""
import fcntl
import os
import signal
import sqlite3
import time

from world import ALL, CONT, LOOK, STOP, Case, Driver, kinds, shift

BAKE = shift(25, 'PT20M')  # stays there until somebody comes


class Detached(Case):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.end_holders)

    def holders(self):
        """Pids of all that ever claimed a run."""
        with sqlite3.connect(self.state) as db:
            found = db.execute("SELECT json_extract(body, '$.holder') FROM event WHERE kind='claim'").fetchall()
        db.close()
        return [int(h.split()[2]) for h, in found]

    def end_holders(self):
        for pid in self.holders():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def at_25(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        return driver

    def test_an_order_without_a_driver_is_carried_out(self):
        driver = self.at_25()
        driver.kill()
        said = self.expect(0, self.run_it('rollback', '--no-wait', '--id', 'alarm-7', '--reason', 'alarm', seconds=30),
                           'rollback ordered', 'nobody drove run', 'a driver was started for it, pid ')
        self.expect(0, self.run_it('wait', '--for', 'rolled-back'))
        self.assertIn(str(self.holders()[-1]), said.err)
        self.assertEqual(self.writes(), ['ModifyRule', 'ModifyRule'])
        self.expect(0, self.run_it('verify'))

    def test_an_order_whose_output_nobody_takes_finds_a_driver_too(self):
        """It blocked on its own first line, before it had started one."""
        driver = self.at_25()
        driver.kill()
        end, begin = os.pipe()
        fcntl.fcntl(begin, fcntl.F_SETPIPE_SZ, 4096)
        os.write(begin, b'x' * 4096)
        self.addCleanup(os.close, end)
        order = Driver(self, ['rollback', '--no-wait', '--reason', 'alarm'], stdout=begin)
        os.close(begin)
        deadline = time.monotonic() + 30
        while len(self.writes()) < 2:
            self.assertLess(time.monotonic(), deadline, 'nobody takes traffic back')
            time.sleep(.1)
        self.expect(0, self.run_it('wait', '--for', 'rolled-back'))
        order.kill()

    def test_an_order_to_a_living_driver_starts_none(self):
        driver = self.at_25()
        said = self.expect(0, self.run_it('rollback', '--no-wait', seconds=30))
        self.assertEqual(said.err, '')
        self.expect(3, driver.end(), 'ROLLED BACK')
        self.assertEqual(kinds(self.events()).count('claim'), 1)

    def test_two_orders_at_once_without_a_driver(self):
        """Both are carried out, by one; the other leaves without a word."""
        driver = self.at_25()
        driver.kill()
        orders = [self.drive('rollback', '--no-wait', '--id', f'alarm-{n}') for n in range(4)]
        for o in orders:
            self.expect(0, o.end(60))
        self.expect(0, self.run_it('wait', '--for', 'rolled-back'))
        self.assertEqual(self.writes(), ['ModifyRule', 'ModifyRule'])
        self.assertEqual(kinds(self.events()).count('back'), 1)
        self.expect(0, self.run_it('verify'))

    def test_four_orders_that_are_waited_for(self):
        """Who loses the claim follows who won it, and all see the end."""
        driver = self.at_25()
        driver.kill()
        for o in [self.drive('rollback') for _ in range(4)]:
            self.expect(3, o.end(), 'ROLLED BACK')
        self.assertEqual(kinds(self.events()).count('claim'), 2)

    def test_a_pause_that_nobody_obeys_says_so(self):
        driver = self.at_25()
        self.expect(0, self.run_it('pause'))
        driver.kill()
        self.expect(7, self.run_it('pause'), 'nobody drives run', 'nothing happens until `cutover resume wiki-')
        self.expect(3, self.run_it('rollback'))

    def test_an_order_to_a_driver_that_hangs(self):
        driver = self.at_25()
        driver.signal(STOP)
        self.expect(0, self.run_it('rollback', '--no-wait', seconds=60), 'gives no sign of life: another was started')
        self.wait_for(lambda ev: 'rolled-back' in kinds(ev), 200)
        written = len(self.writes())
        driver.signal(CONT)
        self.expect(6, driver.end(), 'is driven by')
        self.assertEqual(len(self.writes()), written)
    test_an_order_to_a_driver_that_hangs.slow = True

    def test_start_in_the_background_is_driven_when_it_returns(self):
        self.world()
        self.expect(0, self.run_it('start', '--detach', self.plan(LOOK, BAKE, ALL), seconds=30))
        self.assertEqual(self.status()['driven'], 'yes')
        self.assertEqual(self.status()['driver']['pid'], self.holders()[0])
        self.expect(3, self.run_it('rollback'))

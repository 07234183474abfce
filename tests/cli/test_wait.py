"""wait: 0 is what was waited for, nobody is waited for who is dead, and it says what the run waits for."""
import json
import os

from world import ALL, INT, LOOK, TERM, Case, kinds, shift

BAKE = shift(25, 'PT20M')  # stays there until somebody comes
ASK = {'id': 'ok', 'do': 'approve', 'ask': 'All of it?'}


class Wait(Case):
    def driven(self, *steps):
        self.world()
        driver = self.drive('start', self.plan(LOOK, *steps))
        self.wait_for_green(25, driver)
        return driver

    def test_what_was_waited_for_is_0_and_nothing_else_is(self):
        driver = self.driven(BAKE, ALL)
        self.expect(7, self.run_it('wait', '--for', 'rolled-back', '--timeout', 'PT1S'), 'the time is up')
        self.expect(7, self.run_it('wait', '--for', 'rolled-back', '--timeout', 'PT0S'), 'the time is up') # one look, and not for ever
        self.expect(3, self.run_it('rollback'))
        driver.end()
        self.expect(0, self.run_it('wait', '--for', 'rolled-back', '--timeout', 'PT0S'))
        self.expect(0, self.run_it('wait', '--for', 'over'))
        self.expect(3, self.run_it('wait', '--for', 'promoted'), 'will not come')
        self.expect(3, self.run_it('wait', '--for', 'approval'), 'is rolled back: what was waited for will not come')
        self.expect(3, self.run_it('wait'))
        self.expect(0, self.run_it('start', self.plan(LOOK, ALL)))
        run = self.status()['run']
        self.expect(1, self.run_it('wait', run, '--for', 'rolled-back'), 'is promoted: what was waited for will not come')
        self.expect(1, self.run_it('wait', run, '--for', 'approval'))
        self.expect(0, self.run_it('wait', run, '--for', 'promoted'))
        self.expect(0, self.run_it('wait', run))

    def test_a_dead_driver_is_not_waited_for(self):
        driver = self.driven(BAKE, ALL)
        waits = [self.drive('wait'), self.drive('wait', '--for', 'promoted', '-o', 'json')]
        self.wait_until(lambda: all(w.said()[0] for w in waits))
        driver.kill()
        for w in waits:
            self.expect(7, w.end(20), 'nobody drives it now')
        self.expect(7, self.run_it('wait', seconds=20), 'nobody drives it now', 'cutover resume')
        self.expect(3, self.run_it('rollback'))

    def wait_until(self, holds):
        self.wait_for(lambda events: holds())

    def test_a_signal_leaves(self):
        driver = self.driven(BAKE, ALL)
        for number in (INT, TERM):
            w = self.drive('wait')
            self.wait_until(lambda w=w: w.said()[0])
            w.signal(number)
            self.expect(7, w.end(20), f'goes on, driven by {os.uname().nodename}, pid {driver.process.pid}')
        self.assertNotIn('order', kinds(self.events()))
        self.expect(3, self.run_it('rollback'))
        driver.end()

    def test_it_says_what_the_run_waits_for(self):
        driver = self.driven(shift(25, 'PT3S'), ASK, ALL)
        text, lines = self.drive('wait'), self.drive('wait', '--for', 'over', '--timeout', 'PT10M', '-o', 'json')
        self.expect(0, self.run_it('wait', '--for', 'approval'))
        self.wait_until(lambda: 'ok (approve)' in text.said()[0])
        self.expect(0, self.run_it('promote'))
        self.expect(0, driver.end())
        said = self.expect(0, text.end(), 'waiting     for the end of run wiki-', 'It is going forward, step 3 of 4: ok (approve)',
                           f'; driven by {os.uname().nodename}, pid {driver.process.pid}')
        self.assertLess(len(said.out.splitlines()), 8)
        said = [json.loads(line) for line in self.expect(0, lines.end()).out.splitlines()]
        self.assertEqual(said[-1], {**said[-1], 'waits_for': 'over', 'came_true': True, 'state': 'promoted', 'exit_code': 0})
        at_ok = [s for s in said[:-1] if s['now']['step'] == 'ok'][0]
        self.assertEqual(at_ok['now'], {**at_ok['now'], 'do': 'approve', 'place': 3, 'of': 4})
        self.assertEqual((at_ok['driven'], at_ok['driver']['pid']), ('yes', driver.process.pid))
        self.assertRegex(at_ok['until'], r'^\d{4}-\d\d-\d\dT')


class Driven(Case):
    def test_everybody_can_read_whether_somebody_drives(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        for said in (self.status(), self.run_it('list', '-o', 'json').json()[0]):
            self.assertEqual((said['driven'], said['driver']), ('yes', {'host': os.uname().nodename, 'pid': driver.process.pid}))
        driver.kill()
        for said in (self.status(), self.run_it('list', '-o', 'json').json()[0]):
            self.assertEqual((said['driven'], said['driver']['pid']), ('no', driver.process.pid))
        self.expect(0, self.run_it('list'), 'NOBODY DRIVES IT')
        self.expect(3, self.run_it('rollback'))
        self.assertEqual(self.status()['driven'], 'no')

    def test_who_only_follows_sees_what_is_waited_for_too(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        self.wait_for(lambda ev: 'baking at ' in self.status().get('says', {}).get('text', ''), of=driver)
        status = self.status()
        self.assertEqual((status['now']['step'], status['now']['place'], status['now']['of']), ('to-25', 2, 3))
        self.expect(0, self.run_it('status'), 'now      to-25: baking at ',
                    f'driver   {os.uname().nodename}, pid {driver.process.pid}; step 2 of 3: to-25 (shift), then all (promote)')
        for command in ('watch', 'wait'):
            seen = self.drive(command)
            self.wait_for(lambda ev, seen=seen: 'baking at ' in seen.said()[0], of=seen)
            seen.kill()
        driver.kill()
        self.assertNotIn('says', self.status())
        self.expect(3, self.run_it('rollback'))

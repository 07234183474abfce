"""AWS that does not answer: nobody guesses, nothing is forgotten, and it ends when AWS is back."""
import threading
import time

from world import ALL, INT, LONG, LOOK, PATIENT, TERM, Case, kinds, shift


class Outage(Case):
    def switch(self, trips=False):
        """An AWS whose answers can be turned off; trips: that goes off by itself, once green has weight and metrics are asked for."""
        self.off, self.trips = False, trips
        self.world(edit=self.answer)

    def answer(self, action, _status, _body):
        if self.trips and action == 'GetMetricData' and 'ModifyRule' in self.asked():
            self.off, self.trips = True, False
        return (503, b'<html>Service Unavailable</html>') if self.off else None

    def test_nobody_there(self):
        """Nothing listens at all: the safety check cannot be made, so nothing begins."""
        self.world()
        self.env['AWS_ENDPOINT_URL'] = 'http://127.0.0.1:1'
        plan = self.plan({**LOOK, 'timeout': 'PT1M'}, ALL)
        self.expect(5, self.run_it('start', plan), 'took longer than its timeout of 60 s', 'REFUSED, nothing was touched')
        self.assertEqual(self.asked(), [])
    test_nobody_there.slow = True

    def test_stopped_while_nobody_is_there(self):
        """Nothing touched and nothing known: both are said, and nothing is called proved, by any command."""
        self.world()
        self.env['AWS_ENDPOINT_URL'] = 'http://127.0.0.1:1'
        driver = self.drive('start', self.plan(LOOK, shift(25), ALL))
        self.wait_for(lambda ev: 'begin' in kinds(ev), of=driver)
        driver.signal(INT)
        said = self.expect(5, driver.end(), 'STOPPED: nothing was touched', 'stopped before anything was changed; AWS has not answered')
        self.assertTrue({'back', 'proved', 'rolled-back'}.isdisjoint(kinds(self.events())))
        for command in ('status', 'report', 'list', 'events', 'watch'):
            said = self.run_it(command)
            self.assertIn('AWS has not answered', said.text)
            for word in ('proved', 'ROLLED BACK', '0.0 %', '100'):
                self.assertNotIn(word, said.text)
        for command in ('status', 'report'):
            traffic = self.run_it(command, '-o', 'json').json()['traffic']
            self.assertEqual([traffic[k] for k in ('known', 'blue', 'green', 'at', 'free_of_green')],
                             [False, None, None, None, 'nothing'])

    def test_a_short_one(self):
        self.switch(trips=True)
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT2S'), ALL, watch=PATIENT))
        self.wait_for(lambda ev: ev[-1]['kind'] == 'verdict' and ev[-1]['body']['verdict'] == 'BLIND', of=driver)
        self.assertEqual(self.writes(), ['ModifyRule'])
        self.off = False
        self.expect(0, driver.end(), 'PROMOTED')

    def test_a_long_one(self):
        """Blind for longer than the plan allows: back, as soon as AWS takes the write."""
        self.switch()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT2M'), ALL, watch={'blind_after': 'PT25S'}))
        self.wait_for_green(25, driver)
        self.off = True
        self.wait_for(lambda ev: 'back' in kinds(ev), of=driver)
        time.sleep(3)
        self.assertNotIn('rolled-back', kinds(self.events()))  # it cannot know
        self.assertIsNone(driver.process.poll())
        self.off = False
        self.expect(3, driver.end(), 'blind for too long', 'ROLLED BACK: traffic is proved on blue')
    test_a_long_one.slow = True

    def test_rollback_ordered_meanwhile(self):
        self.switch()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT2M'), ALL))
        self.wait_for_green(25, driver)
        self.off = True
        driver.signal(INT)
        self.wait_for(lambda ev: 'back' in kinds(ev), of=driver)
        time.sleep(3)
        self.assertIsNone(driver.process.poll())
        self.expect(7, self.run_it('wait', '--timeout', 'PT1S'))
        self.off = False
        self.expect(3, driver.end(), 'ROLLED BACK')

    def hang(self, action, _status, _body):
        if action in ('GetMetricData', 'DescribeAlarms') and 'ModifyRule' in self.asked():
            self.hanging.set()
            self.over.wait(LONG)

    def driver_that_waits(self):
        self.hanging, self.over = threading.Event(), threading.Event()
        self.world(edit=self.hang)
        self.addCleanup(self.over.set)
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT10M'), ALL, watch=PATIENT))
        self.wait_for_green(25, driver)
        self.assertTrue(self.hanging.wait(LONG))
        return driver

    def ordered_while_cloudwatch_hangs(self, order):
        """An order does not wait until all that hangs has used up its time, which is 12 s for each call."""
        driver = self.driver_that_waits()
        begun = time.monotonic()
        order(driver)
        while len(self.writes()) < 2 and time.monotonic() < begun + LONG:
            time.sleep(0.05)
        took = time.monotonic() - begun
        self.over.set()
        self.expect(3, driver.end(), 'ROLLED BACK')
        self.assertLess(took, 8)

    def test_rollback_ordered_while_cloudwatch_hangs(self):
        self.ordered_while_cloudwatch_hangs(lambda _: self.drive('rollback', '--reason', 'it hangs'))

    def test_interrupted_while_cloudwatch_hangs(self):
        self.ordered_while_cloudwatch_hangs(lambda driver: driver.signal(INT))

    def test_stopped_while_cloudwatch_hangs(self):
        """It leaves, and what it gave up for that is not told as blindness: the next one goes on."""
        driver = self.driver_that_waits()
        begun = time.monotonic()
        driver.signal(TERM)
        self.expect(7, driver.end())
        self.assertLess(time.monotonic() - begun, 8)
        self.assertNotIn('given up', self.run_it('events', '-o', 'json').text)
        self.over.set()
        self.expect(3, self.run_it('rollback'), 'ROLLED BACK')

"""Orders in real time: which run they are for, which question they answer, and what became of them."""
import os
import time

from world import ALL, LOOK, PATIENT, Case, kinds, shift

BAKE = shift(25, 'PT1M')  # stays there until somebody comes
ASK = {'id': 'ask', 'do': 'approve', 'ask': 'give green everything?'}


class Which(Case):
    def one_on_and_one_refused(self):
        """The driver of the one; the name of the other, which is newer."""
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        refused = self.expect(5, self.run_it('start', self.plan(LOOK, ALL)), 'is under way on the same rule')
        return driver, next(w for w in refused.out.split() if w.startswith('wiki-'))

    def test_an_order_without_run_is_for_the_one_that_is_not_over(self):
        """It went to the newest, which was refused, with exit 0; green kept its traffic."""
        driver, refused = self.one_on_and_one_refused()
        on = self.status()['run']
        self.assertNotEqual(on, refused)
        self.expect(0, self.run_it('status'), f'this is {on}, the one run that is not over', 'going forward')
        self.expect(0, self.run_it('rollback', '--reason', 'alarm wiki-5xx', '--id', 'evt-9', '--no-wait'),
                    f'rollback ordered for run {on}: traffic goes back to blue')
        self.expect(3, driver.end(), 'because alarm wiki-5xx')
        self.assertNotIn('order', kinds(self.events(refused)))
        over = self.expect(5, self.run_it('rollback'), 'no run is under way: name the one you mean', on, refused, 'rolled back',
                           'refused', 'rule app/')
        self.assertEqual(over.out, '')
        self.expect(0, self.run_it('status'), 'no run is under way; this is the newest', refused)
        self.expect(2, self.run_it('rollback', 'wiki'), '2 runs begin with "wiki"', on, refused)

    def test_several_runs_are_listed(self):
        self.world()
        drivers = [self.drive('start', self.plan(ASK)) for _ in range(2)]
        end = time.monotonic() + 60
        while time.monotonic() < end and len(self.expect(0, self.run_it('list', '-o', 'json')).json()) < 2:
            time.sleep(0.1)
        runs = [r['run'] for r in self.expect(0, self.run_it('list', '-o', 'json')).json()]
        for order in ('rollback', 'pause', 'promote', 'resume', 'retry'):
            self.expect(5, self.run_it(order, '--no-wait'), '2 runs are not over: name the one you mean', *runs)
        for run in runs:
            self.assertNotIn('order', kinds(self.events(run)))
        for d in drivers:
            d.kill()

    def test_an_empty_run_is_no_run(self):
        """`cutover rollback "$RUN"` with an unset variable."""
        driver, _ = self.one_on_and_one_refused()
        for command in ('promote', 'rollback', 'pause', 'resume', 'retry', 'status', 'watch', 'events', 'report', 'wait', 'verify',
                        'replay', 'start', 'check'):
            self.expect(2, self.run_it(command, ''), 'argument 1 is empty')
        self.assertNotIn('order', kinds(self.events()))
        driver.kill()


class Answers(Case):
    def asking(self, *more, **top):
        self.world()
        driver = self.drive('start', self.plan(LOOK, shift(25), ASK, *more, **top))
        events = self.wait_for(lambda ev: 'asks' in kinds(ev), of=driver)
        return driver, next(e for e in events if e['kind'] == 'asks')

    def by(self, who, *args):
        self.env['CUTOVER_ACTOR'] = who
        said = self.drive(*args)
        self.env['CUTOVER_ACTOR'] = 'tester'
        return said

    def test_two_people_answer_one_question(self):
        """The second one's answer ended the next bake: 25 % -> 100 % in a second."""
        driver, asks = self.asking(shift(50, 'PT1M'), ALL)
        said = {who: d.end() for who, d in [(w, self.by(w, 'promote', '--no-wait', '--answer', f'ask@{asks["seq"]}'))
                                            for w in ('anna', 'bert')]}
        self.assertEqual(sorted(s.code for s in said.values()), [0, 5], [s.text for s in said.values()])
        first, second = sorted(said, key=lambda w: said[w].code)
        self.expect(0, said[first], 'answers `ask`: give green everything?')
        self.expect(5, said[second], f'`ask` was already answered by {first} at ')
        self.wait_for_green(50, driver)
        self.expect(5, self.run_it('promote', '--no-wait'), 'asks nothing now: it is at step to-50 (shift), which bakes',
                    f'the last question, of `ask`, was answered by {first}')
        time.sleep(3)
        self.assertEqual(self.status()['traffic']['green'], 500)
        self.expect(2, self.run_it('promote', '--skip-bake', 'to-50'), 'say why with --reason')
        self.expect(0, self.run_it('promote', '--skip-bake', 'to-50', '--reason', 'it is late', '--no-wait'), 'ends the bake of `to-50`')
        self.expect(0, driver.end())
        self.expect(0, self.run_it('events'), 'skip-bake ordered by tester: it is late - ended the bake of `to-50`, verdict ',
                    f'promote ordered by {first} - answers `ask`: give green everything?')
        orders = [(e['body']['order'], e['effect']['effect']) for e in self.events() if e['kind'] == 'order']
        orders = [o for o in orders if o != ('promote', 'none')]  # the second one's, if it did not read the first one's line
        self.assertEqual(orders, [('promote', 'obeyed'), ('skip-bake', 'obeyed')])

    def test_an_approval_is_asked_of_everybody(self):
        """It stood on the driver's own screen only, cut off; nobody was called."""
        called = os.path.join(self.dir, 'called')
        call = self.file('call', f'#!/bin/sh\necho "$1" >>{called}\n')
        os.chmod(call, 0o755)
        driver, asks = self.asking(ALL, call=[call])
        self.assertEqual((asks['step'], asks['body']['question'], asks['body']['default']), ('ask', ASK['ask'], 'rollback'))
        run, answer = self.status()['run'], f'ask@{asks["seq"]}'
        for said in (self.status()['asks'], self.expect(0, self.run_it('list', '-o', 'json')).json()[0]['asks'],
                     self.expect(0, self.run_it('report', '-o', 'json')).json()['asks']):
            self.assertEqual((said['step'], said['question'], said['default'], said['answer']),
                             ('ask', ASK['ask'], 'rollback', answer))
        self.assertEqual(self.expect(0, self.run_it('status')).out.splitlines()[1], 'ASKS     ask: give green everything?')
        self.expect(0, self.run_it('status'), f'then rollback: `cutover promote {run}` says yes')
        for command in ('list', 'events', 'report'):
            self.expect(0, self.run_it(command), ASK['ask'])
        self.wait_for(lambda ev: 'call' in kinds(ev), of=driver)
        driver.kill()
        driver = self.drive('resume')
        self.wait_for(lambda ev: kinds(ev).count('claim') == 2, of=driver)
        self.expect(0, self.run_it('promote', '--answer', answer), 'PROMOTED')
        self.expect(0, driver.end())
        with open(called, encoding='utf-8') as f:
            self.assertRegex(f.read(), rf'^ask asks until \S+, then rollback: give green everything\? - .*--answer {answer}.*\n$')
        self.assertNotIn('asks', self.status())

    def test_the_simulation_asks_too(self):
        self.world()
        said = self.run_it('simulate', self.plan(LOOK, {**ASK, 'deadline': 'PT5M'}, ALL))
        self.assertIn('give green everything? (until ', said.out)


class Ids(Case):
    def test_a_used_id_swallows_no_rollback(self):
        """pause --id build-7, then rollback --id build-7: exit 0, and green kept its traffic."""
        self.world_that_waits()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL, watch=PATIENT))
        self.wait_for_green(25, driver)
        self.expect(0, self.run_it('pause', '--id', 'build-7'), 'no further step begins')
        self.expect(5, self.run_it('rollback', '--id', 'build-7', '--no-wait'),
                    'its id was used for pause before by tester', 'give this rollback an id of its own')
        self.expect(2, self.run_it('rollback', '--id', '', '--no-wait'), '--id is empty')
        self.assertEqual(kinds(self.events()).count('order'), 1)
        self.metrics.set()
        self.expect(3, self.run_it('rollback', '--id', 'build-8'), 'ROLLED BACK')
        self.expect(3, driver.end())
        self.expect(3, self.run_it('rollback', self.status()['run'], '--id', 'build-8'), 'repeats the order given by tester',
                    'began the way back')

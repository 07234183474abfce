"""Whole runs in real time: how they end, what they tell, and who may drive them."""
import json
import os
import re
import sqlite3
import subprocess
import time

from world import ALL, CUTOVER, HUP, INT, LOOK, PATIENT, TERM, Case, kinds, shift

BAKE = shift(25, 'PT1M')  # stays there until somebody comes
ASK = {'id': 'ok', 'do': 'approve', 'ask': 'All of it?'}


class Ends(Case):
    def test_promoted(self):
        self.world()
        said = self.expect(0, self.run_it('start', self.plan(LOOK, shift(25), ALL)), 'PROMOTED: all steps are done',
                           'AWS confirms 25.0 % green', 'AWS confirms 100.0 % green', 'started by tester')
        self.assertEqual(said.err, '')
        self.assertEqual(self.writes(), ['ModifyRule', 'ModifyRule'])
        self.assertEqual(self.expect(0, self.run_it('wait')).text, 'exit 0\n\n')
        self.everything_tells_it('promoted', 0)

    def everything_tells_it(self, state, code):
        """Each command that prints, in JSON and for people."""
        status = self.status()
        self.assertEqual((status['state'], status['exit_code']), (state, code))
        self.assertEqual({s['state'] for s in status['steps']}, {'done'})
        self.assertEqual(status['traffic']['green'], 999)
        run = status['run']
        listed = self.expect(0, self.run_it('list', '-o', 'json')).json()
        self.assertEqual([(r['run'], r['state']) for r in listed], [(run, state)])
        events = self.events()
        self.assertEqual([e['seq'] for e in events], list(range(1, len(events) + 1)))
        self.assertEqual([e['prev'] for e in events], [''] + [e['hash'] for e in events[:-1]])
        verify = self.expect(0, self.run_it('verify', '-o', 'json')).json()
        self.assertEqual((verify['lines'], verify['state']), (len(events), state))
        self.assertEqual(self.expect(0, self.run_it('report', '-o', 'json')).json()['run'], run)
        for command in ('status', 'list', 'events', 'report', 'verify', 'watch'):
            self.expect(0, self.run_it(command), run[:20])
        self.expect(0, self.run_it('verify', run[:12]), f'{len(events)} lines')

    def test_green_fails(self):
        self.world('--fault', 'errors')
        said = self.expect(3, self.run_it('start', self.plan(LOOK, shift(25, 'PT30S'), ALL)), 'ROLLING BACK',
                           'AWS confirms 0.0 % green', 'proved that green is free of requests', 'ROLLED BACK: traffic is proved on blue')
        self.assertRegex(said.out, r'ROLLING BACK: \S+: green (failed \d+ of \d+|is worse than blue, by its errors \(green fails [1-9])')
        self.assertEqual(self.status()['state'], 'rolled back')
        self.expect(3, self.run_it('wait'))
        self.expect(3, self.run_it('wait', '--for', 'promoted'))

    def test_somebody_else(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        self.somebody_sets(400, 600)
        said = self.expect(3, driver.end(), 'SOMEBODY ELSE set the weights to blue 400, green 600; this run had left 750 and 250',
                           'and nobody said resume')
        self.assertLess(said.out.index('SOMEBODY ELSE'), said.out.index('ROLLING BACK'))

    def test_somebody_else_and_resume(self):
        self.world_that_waits()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT3S'), ALL, watch={'foreign_grace': 'PT10M', **PATIENT}))
        self.wait_for_green(25, driver)
        self.somebody_sets(400, 600)
        self.wait_for(lambda ev: 'foreign' in kinds(ev), of=driver)
        self.expect(0, self.run_it('resume', '--no-wait'))
        self.metrics.set()
        self.expect(0, driver.end(), 'resume ordered by tester')
        self.assertEqual(self.writes(), ['ModifyRule'] * 4)  # ours, theirs, ours again, all of it

    def test_json_is_one_object_a_line(self):
        self.world()
        said = self.expect(0, self.run_it('start', self.plan(LOOK, ALL), '-o', 'json'))
        self.assertEqual(kinds(map(json.loads, said.out.splitlines())), kinds(self.events()))


class Orders(Case):
    def test_rollback_while_it_runs(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        self.expect(3, self.run_it('rollback', '--reason', 'edits fail'), 'ROLLED BACK')
        self.expect(3, driver.end(), 'rollback ordered by tester: edits fail', 'because edits fail')
        self.assertEqual(set(self.writes()), {'ModifyRule'})
        last = [e for e in self.events() if e['kind'] == 'weights'][-1]['body']
        self.assertEqual((last['blue'], last['green']), (999, 0))

    def test_an_order_is_taken_once(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, ASK, ALL))
        self.wait_for(lambda ev: any(e['step'] == 'ok' and e['kind'] == 'begin' for e in ev), of=driver)
        for _ in range(3):
            self.expect(0, self.run_it('pause', '--id', 'hook-7', '--reason', 'look at this'), 'pause ordered', 'no further step begins')
        self.assertTrue(self.status()['paused'])
        self.expect(0, self.run_it('resume', '--no-wait'))
        self.expect(0, self.run_it('pause', '--id', 'hook-7'), 'repeats the order given by tester')
        self.assertFalse(self.status()['paused'])
        driver.kill()

    def test_approval(self):
        """wait --for approval says when, promote says yes."""
        self.world()
        driver = self.drive('start', self.plan(LOOK, shift(25), ASK, ALL))
        self.wait_for(lambda events: True, of=driver)
        self.expect(0, self.run_it('wait', '--for', 'approval'))
        self.assertIn('to-25', [e['step'] for e in self.events() if e['kind'] == 'done'])
        self.expect(7, self.run_it('wait', '--timeout', 'PT1S'))
        self.expect(7, self.run_it('wait', '--for', 'promoted', '--timeout', 'PT1S'))
        self.expect(0, self.run_it('promote', '--reason', 'looks good'), 'PROMOTED')
        self.expect(0, driver.end(), 'promote ordered by tester: looks good')
        self.expect(0, self.run_it('wait', '--for', 'promoted'))

    def test_nothing_to_promote(self):
        self.world()
        hook = self.file('slow', '#!/bin/sh\nsleep 20\n')
        os.chmod(hook, 0o755)
        driver = self.drive('start', self.plan(LOOK, {'id': 'slow', 'do': 'hook', 'program': [hook]}, ALL))
        self.wait_for(lambda ev: any(e['step'] == 'slow' and e['kind'] == 'intend' for e in ev), of=driver)
        self.expect(5, self.run_it('promote'), 'asks nothing now: it is at step slow (hook)')
        self.assertNotIn('order', kinds(self.events()))
        self.expect(5, self.run_it('retry'), 'only a run that was rolled back or refused')
        self.expect(3, self.run_it('rollback'))
        self.expect(3, driver.end())
        self.assertEqual(self.writes(), [])

    def test_retry(self):
        """What was refused can be tried again once the reason is gone."""
        self.world()
        self.somebody_sets(700, 300)
        self.expect(5, self.run_it('start', self.plan(LOOK, ALL)))
        self.somebody_sets(999, 0)
        run = self.status()['run']
        self.expect(0, self.run_it('retry', run, '--reason', 'weights are right now'), 'another attempt')
        self.assertEqual(self.status()['attempt'], 2)


class Processes(Case):
    def test_detach(self):
        self.world()
        said = self.expect(0, self.run_it('start', '--detach', self.plan(LOOK, ALL)))
        run = said.out.strip()
        self.assertRegex(run, r'^wiki-\d{8}-\d{6}-[0-9a-f]{6}$')
        self.assertEqual(self.expect(0, self.run_it('watch', run), 'PROMOTED').err, '')
        self.expect(0, self.run_it('wait', run))

    def test_interrupted(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        driver.signal(INT)
        self.expect(3, driver.end(), 'rollback ordered by tester: interrupted at the terminal', 'ROLLED BACK')

    def test_interrupted_before_anything(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, ASK, ALL))
        self.wait_for(lambda ev: any(e['step'] == 'ok' and e['kind'] == 'begin' for e in ev), of=driver)
        driver.signal(INT)
        self.expect(5, driver.end(), 'STOPPED: nothing was touched', 'AWS last said: blue ')
        self.assertEqual(self.writes(), [])

    def test_interrupted_twice(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        driver.signal(INT)
        self.wait_for(lambda ev: 'back' in kinds(ev), of=driver)
        time.sleep(0.6)  # two within half a second are one, that a wrapper handed on
        driver.signal(INT)
        self.expect(7, driver.end(), 'nobody drives it now', 'cutover resume')
        self.expect(0, self.run_it('status'), 'NOBODY DRIVES THIS RUN')
        self.expect(3, self.run_it('resume'))

    def test_terminated(self):
        """A machine that is shut down leaves the run as it is; the next process goes on."""
        self.world()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT4S'), ALL))
        self.wait_for_green(25, driver)
        driver.signal(TERM)
        self.expect(7, driver.end(), 'nobody drives it now')
        self.expect(0, self.run_it('status'), 'NOBODY DRIVES THIS RUN')
        self.expect(7, self.run_it('watch'), 'nobody drives it now')
        self.expect(0, self.run_it('resume'), 'taken over from', 'PROMOTED')
        self.assertEqual(self.writes(), ['ModifyRule', 'ModifyRule'])

    def test_terminated_and_killed_on_the_way_back(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        driver.signal(INT)
        self.wait_for(lambda ev: 'back' in kinds(ev), of=driver)
        driver.signal(TERM)
        self.expect(7, driver.end(), 'is rolling back and nobody drives it now')
        driver = self.drive('resume')
        self.wait_for(lambda ev: kinds(ev).count('claim') == 2, of=driver)
        driver.kill()
        self.expect(3, self.run_it('resume'), 'ROLLED BACK')
        self.expect(0, self.run_it('verify'))

    def test_the_environment_of_the_start(self):
        """What the plan took from the environment stays as it was, whoever goes on."""
        self.world()
        self.env['SHARE'] = '30%'
        plan = self.plan(LOOK, {**BAKE, 'weight': '${env:SHARE}'}, ALL)
        driver = self.drive('start', plan)
        self.wait_for_green(30, driver)
        driver.kill()
        self.env['SHARE'] = '60%'
        os.remove(plan)
        driver = self.drive('resume')
        self.wait_for(lambda ev: kinds(ev).count('claim') == 2 and ev[-1]['kind'] == 'verdict', of=driver)
        self.assertEqual([e['body']['permille'] for e in self.events() if e['kind'] == 'weights'], [0, 300])
        self.expect(3, self.run_it('rollback'))
        self.expect(3, driver.end())

    def test_started_twice_at_once(self):
        """Each sees the other's first line before it looks: never do both move weights."""
        self.world()
        plan = self.plan(LOOK, ALL)
        said = [d.end() for d in [self.drive('start', plan) for _ in range(3)]]
        self.assertLessEqual([s.code for s in said].count(0), 1, said)
        self.assertTrue({s.code for s in said} <= {0, 5}, [s.text for s in said])
        self.assertLessEqual(len(self.writes()), 1)

    def test_a_lost_terminal(self):
        """Neither SIGHUP nor a reader that has gone ends a run."""
        self.world()
        reader, writer = os.pipe()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT3S'), ALL), stdout=writer)
        os.close(writer)
        self.wait_for_green(25, driver)
        os.close(reader)
        driver.signal(HUP)
        self.expect(0, driver.end())
        self.expect(0, self.run_it('wait'))

    def test_killed_and_resumed(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT4S'), ALL))
        self.wait_for_green(25, driver)
        driver.kill()
        self.expect(0, self.run_it('status'), 'NOBODY DRIVES THIS RUN')
        self.expect(0, self.run_it('resume'), 'taken over from', 'PROMOTED')
        self.assertEqual(self.writes(), ['ModifyRule', 'ModifyRule'])
        self.expect(0, self.run_it('verify'))

    def test_killed_and_rolled_back(self):
        self.world()
        driver = self.drive('start', self.plan(LOOK, BAKE, ALL))
        self.wait_for_green(25, driver)
        driver.process.kill()  # and not waited for: a zombie drives nothing either
        self.expect(3, self.run_it('rollback', '--reason', 'the driver died'), 'taken over from', 'ROLLED BACK')
        driver.process.wait()

    def test_killed_at_many_moments(self):
        """kill -9 again and again, resumed each time: promoted in the end, no write twice."""
        self.world()
        driver = self.drive('start', self.plan(LOOK, shift(10), shift(50), ALL))
        for moment in ('begin', 'write', 'weights', 'verdict', 'done', 'write', 'weights', 'done'):
            seen = len(self.wait_for(lambda ev: len(ev) > 1, of=driver))
            self.wait_for(lambda ev, m=moment, n=seen: m in kinds(ev[n:]) or ev[-1]['kind'] == 'promoted')
            driver.kill()
            driver = self.drive('resume')
        said = driver.end()
        if said.code != 0:
            self.expect(5, said, 'promoted')  # there was nothing left to resume
        self.expect(0, self.run_it('wait'))
        self.expect(0, self.run_it('verify'))
        weights = [(e['body']['blue'], e['body']['green']) for e in self.events() if e['kind'] == 'weights']
        self.assertEqual(sorted(set(weights), key=lambda w: w[1]), [(999, 0), (900, 100), (500, 500), (0, 999)])

    def test_two_drivers(self):
        """resume while somebody drives follows him, and drives nothing."""
        self.world()
        driver = self.drive('start', self.plan(LOOK, shift(25, 'PT5S'), ALL))
        self.wait_for_green(25, driver)
        self.expect(0, self.run_it('resume'), 'PROMOTED')
        self.expect(0, driver.end())
        self.assertEqual(kinds(self.events()).count('claim'), 1)

    def test_a_driver_that_slept(self):
        """Stopped for longer than its lease: the run has another driver, and the first one lets go."""
        self.world()
        first = self.drive('start', self.plan(LOOK, shift(25, 'PT10M'), ALL))
        self.wait_for_green(25, first)
        first.process.send_signal(19)  # SIGSTOP
        self.expect(3, self.run_it('rollback', '--reason', 'it does not move', seconds=200), 'taken over from', 'ROLLED BACK')
        written = len(self.writes())
        first.process.send_signal(18)  # SIGCONT
        self.expect(6, first.end(), 'is driven by')
        self.assertEqual(len(self.writes()), written)
    test_a_driver_that_slept.slow = True


class Tampering(Case):
    def finished(self):
        self.world()
        self.expect(3, self.run_it('start', self.plan(LOOK, {'id': 'no', 'do': 'hook', 'program': ['/bin/false']})))
        return sqlite3.connect(self.state)

    def changed(self, sql, *words):
        with self.finished() as db:
            db.execute(sql)
        db.close()
        self.expect(5, self.run_it('verify'), 'is broken', *words)

    def test_a_changed_line(self):
        self.changed("UPDATE event SET actor='somebody' WHERE seq=4", 'line 4 was changed after it was written')

    def test_a_changed_number(self):
        self.changed("UPDATE event SET at=at-1 WHERE seq=3", 'line 3 was changed')

    def test_a_missing_line(self):
        self.changed("DELETE FROM event WHERE seq=3", 'line 3 is missing')

    def test_a_forged_hash(self):
        self.changed("UPDATE event SET hash=substr(hash,1,63)||'x' WHERE seq=2", 'line 2 was changed')

    def test_lines_exchanged(self):
        self.changed("UPDATE event SET body=(SELECT body FROM event WHERE seq=5) WHERE seq=4", 'line 4')

    def test_another_programs_database(self):
        db = sqlite3.connect(self.file('other.db', ''))
        db.executescript('PRAGMA application_id=7; CREATE TABLE t(x);')
        db.close()
        self.env['CUTOVER_STATE'] = os.path.join(self.dir, 'other.db')
        self.expect(2, self.run_it('list'), 'other.db is a database of another program')

    def test_a_torn_file(self):
        self.finished().close()
        with open(self.state, 'r+b') as f:
            f.truncate(os.path.getsize(self.state) // 2 + 100)
        said = self.run_it('verify')
        self.assertIn(said.code, (1, 2, 5), said.text)
        self.assertRegex(said.err, 'malformed|broken|is missing')


class Terminal(Case):
    def typed(self, *args, **env):
        """On a terminal, by script(1)'s own means."""
        reader, writer = os.openpty()
        with subprocess.Popen([CUTOVER, *args], env={**self.env, 'TERM': 'xterm', **env}, stdin=writer, stdout=writer,
                              stderr=writer) as p:
            os.close(writer)
            text = b''
            try:
                while part := os.read(reader, 65536):
                    text += part
            except OSError:
                pass  # how a terminal says that nobody writes any more
            os.close(reader)
            p.wait()
        return p.returncode, text.decode()

    def test_the_living_screen(self):
        self.world()
        plan = self.plan(LOOK, shift(25), ALL)
        code, text = self.typed('start', plan)
        self.assertEqual(code, 0, text)
        for words in ('going forward', '25.0 %', 'targets healthy', '\033[', 'PROMOTED'):
            self.assertIn(words, text)
        self.assertIn('\033[1m', self.typed('status')[1])
        plain = self.typed('status', NO_COLOR='1')[1]
        self.assertNotIn('\033', plain)
        self.assertTrue(re.search('promoted', plain))

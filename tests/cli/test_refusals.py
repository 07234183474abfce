"""What is refused before anything is touched, and with which words."""
import json
import os
import re

from world import ACCOUNT, ALL, LOOK, ROOT, Case, shift

COMMANDS = ('check explain simulate start status watch wait report events list promote rollback pause resume retry '
            'verify doctor states plan-schema judge replay backtest schema stacks').split()
RULE = f'arn:aws:elasticloadbalancing:eu-central-1:{ACCOUNT}:listener-rule/app/wiki/50dc6c495c0c9188/f2f7dc8efc522ab2/'


class Usage(Case):
    def test_no_command(self):
        self.expect(2, self.run_it(), 'usage: cutover COMMAND')

    def test_unknown_command(self):
        self.expect(2, self.run_it('rollbak'), 'no command "rollbak"')

    ODD = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]')

    def test_what_was_typed_is_data(self):
        """Names, arguments and files: nothing in them steers a terminal, or makes a line of its own or none at all."""
        bad = 'x\x1b[2J\n10:00:00 promoted    PROMOTED\x9b31m\u202e'
        self.world()
        for args in ([bad], ['check', bad], ['start', bad], ['status', bad], ['list', f'--{bad}'], ['list', '-o', bad], ['list', bad],
                     ['list', '--state', bad + '/x/y']):
            said = self.run_it(*args)
            self.assertNotRegex(said.text, self.ODD)
            self.assertNotIn('\n10:00:00', said.text)
        self.env['CUTOVER_ACTOR'] = bad + 'ä' * 60
        self.expect(5, self.run_it('start', self.plan(LOOK, shift(25), ALL, watch={'alarms': ['none']})))
        self.assertTrue(all(json.loads(line)['actor'] for line in self.run_it('events', '-o', 'json').out.splitlines()))
        for args in (['events'], ['events', '-o', 'json'], ['report'], ['report', '-o', 'json'], ['status'], ['list'], ['watch']):
            said = self.run_it(*args)
            self.assertNotRegex(said.text, self.ODD)
            self.assertNotIn('\n10:00:00', said.text)

    def test_every_command_has_help(self):
        overview = self.expect(0, self.run_it('--help')).out
        for name in COMMANDS:
            said = self.expect(0, self.run_it(name, '--help'), f'usage: cutover {name}', '--state PATH')
            self.assertEqual(said.err, '')
            self.assertIn(f'\n  {name} ', overview)
        self.assertEqual(sorted(re.findall(r'^  ([a-z-]+) ', overview, re.M)), sorted(COMMANDS))

    def test_version(self):
        self.assertRegex(self.expect(0, self.run_it('--version')).out, r'^cutover \S+\n$')

    def test_too_much_and_too_little(self):
        for name in COMMANDS:
            words = 'what to do is missing, or not known' if name == 'schema' else 'one argument too many'
            self.expect(2, self.run_it(name, 'a', 'b', 'c'), words)
            self.expect(2, self.run_it(name, '--no-such-option'), 'no-such-option')
            self.expect(2, self.run_it(name, '-o', 'yaml', 'x'), 'json or text, not "yaml"')
        for name in ('check', 'explain', 'simulate', 'start'):
            self.expect(2, self.run_it(name), 'PLAN is missing')

    def test_option_values(self):
        self.expect(2, self.run_it('wait', '--for', 'godot'), 'not "godot"')
        self.expect(2, self.run_it('wait', '--timeout', '5m'), '"5m" is not a duration')
        self.expect(2, self.run_it('simulate', '--fault', 'gremlins', os.devnull))

    def test_numbers_that_are_none(self):
        for n in ('0', '-1', '', '1e3', '9' * 20):
            for option in ('--seed', '--runs'):
                self.expect(2, self.run_it('simulate', os.devnull, option, n), 'take a number from 1')

    def test_help_for_nothing(self):
        self.expect(2, self.run_it('help', 'rollbak'), 'no command "rollbak"')
        self.expect(0, self.run_it('help', 'rollback'), 'usage: cutover rollback')

    def test_a_journal_that_would_be_gone(self):
        """--state "$VARIABLE" with nothing in it: SQLite would make a file that ends with the process, and a run that nobody can resume."""
        for path in ('', ':memory:'):
            for command in (('start', os.path.join(ROOT, 'plans', 'rollback-only.json')), ('list',), ('status',), ('rollback',)):
                self.expect(2, self.run_it(*command, '--state', path), 'the journal must be a file')

    def test_nothing_there_yet(self):
        for name in ('status', 'watch', 'wait', 'report', 'events', 'promote', 'rollback', 'pause', 'resume', 'retry', 'verify'):
            self.expect(2, self.run_it(name), 'there are no runs in')
            self.expect(2, self.run_it(name, 'wiki'), 'there are no runs in')
        self.assertEqual(self.expect(0, self.run_it('list', '-o', 'json')).json(), [])

    def test_a_journal_that_is_none(self):
        self.env['CUTOVER_STATE'] = self.file('notes.txt', 'not a database, but long enough to look like one\n' * 50)
        self.expect(2, self.run_it('status'), 'notes.txt', 'file is not a database')
        with open(self.env['CUTOVER_STATE'], encoding='utf-8') as f:
            self.assertTrue(f.read().startswith('not a database'))

    def test_a_journal_in_no_folder(self):
        self.env['CUTOVER_STATE'] = os.path.join(self.file('file', 'x'), 'journal.db')
        self.expect(1, self.run_it('status'), 'file')
        self.env['CUTOVER_STATE'] = self.dir
        self.expect(1, self.run_it('list'), 'unable to open database file')


class Simulated(Case):
    def test_a_group_that_is_not_on_the_rule_has_no_weight_of_minus_one(self):
        """first.json makes green by a stack; after a rollback the rule does not name it."""
        said = self.expect(3, self.run_it('simulate', os.path.join(ROOT, 'plans', 'first.json'), '--fault', 'errors'))
        self.assertIn('weights at the end: blue 999, green is not on the rule', said.out)


    def test_a_stack_is_deleted_when_the_rule_does_not_name_its_group(self):
        """AWS deletes no target group that a rule names: such a run once froze behind the door, at weight 0."""
        self.world()
        blue = {'target_group': self.blue, 'stack': 'wiki-blue'}
        gone = {'id': 'gone', 'do': 'retire', 'how': 'delete-stack', 'soak': 'PT1M', 'quiet_periods': 2}
        plan = self.plan(LOOK, ALL, gone, blue=blue, watch={'period': 'PT1M', 'poll': 'PT30S', 'blind_after': 'PT5M'})
        self.expect(0, self.run_it('simulate', plan), 'taking blue off the rule',
                    'AWS confirms 100.0 % green (blue off the rule, green 999)', 'weights at the end: blue is not on the rule, green 999')


class Unwritten(Case):
    """What is printed and does not arrive: half a schema in a file is no success."""
    WORDS = 'what this command prints could not all be written'

    def closed(self, *args):
        """Without a standard output, as some supervisors start programs."""
        return self.run_it(*args, preexec_fn=lambda: os.close(1))

    def test_a_full_disk_and_a_closed_output(self):
        plan = os.path.join(ROOT, 'plans', 'first.json')
        for args in (('check', plan), ('explain', plan), ('simulate', plan, '--runs', '1'), ('states',), ('plan-schema',), ('list', '-o', 'json'), ('--help',),
                     ('check', '--help'), ('--version',)):
            with open('/dev/full', 'wb') as full:
                self.expect(1, self.drive(*args, stdout=full).end(), self.WORDS)
            self.expect(1, self.closed(*args), self.WORDS)

    def test_a_refusal_stays_one(self):
        with open('/dev/full', 'wb') as full:
            self.expect(2, self.drive('check', 'none.json', '-o', 'json', stdout=full).end(), self.WORDS)

    def test_a_run_that_nobody_hears_is_a_run(self):
        """Nor is a line of its log written into a connection or the journal that has the number of the screen."""
        self.world()
        plan = self.plan(LOOK, ALL)
        self.expect(0, self.closed('start', plan), self.WORDS)
        self.assertEqual(self.writes(), ['ModifyRule'])
        self.expect(0, self.run_it('verify'))
        self.expect(0, self.closed('wait'))
        said = self.run_it('start', plan, preexec_fn=lambda: [os.close(n) for n in (0, 1, 2)])
        self.assertEqual((said.code, said.text), (5, 'exit 5\n\n'))  # green has all of it already


class BrokenPlans(Case):
    """check and start say the same, and start leaves no run behind."""

    def refused(self, path, *words, seconds=20):
        for command in ('check', 'start', 'explain', 'simulate'):
            said = self.expect(2, self.run_it(command, path, seconds=seconds), *words)
            self.assertLess(len(said.text), 100000)
            said = self.expect(2, self.run_it(command, path, '-o', 'json')).json()
            self.assertFalse(said['ok'])
            self.assertTrue(all(e['error'] for e in said['errors']) and said['errors'])
        self.assertFalse(os.path.exists(self.state))

    def test_missing(self):
        self.refused('none.json', 'none.json', 'No such file')

    def test_folder(self):
        self.refused(self.dir, 'directory')

    def test_empty(self):
        self.refused(self.file('empty.json', ''), 'empty.json')

    def test_huge(self):
        self.refused(self.file('huge.json', '{"name":"' + 'a' * (1 << 20) + '"}'), 'huge.json', '1')

    def test_endless(self):
        self.refused('/dev/zero', '/dev/zero')

    def test_binary(self):
        self.refused(self.file('binary.json', os.urandom(4096)), 'binary.json')
        self.refused(self.file('nul.json', b'{"name": "a\0b"}'), 'nul.json')
        self.refused(self.file('latin1.json', '{"name": "ä"}'.encode('latin-1')), 'latin1.json')

    def test_deep(self):
        self.refused(self.file('deep.json', '[' * 500000), 'deep.json')

    def test_truncated(self):
        self.refused(self.file('cut.json', '{"name": "wiki",\n "steps": ['), 'cut.json:2')

    def test_another_document(self):
        self.refused(self.file('list.json', '[1, 2]'), 'list.json')

    def test_a_number_with_two_points(self):
        self.refused(self.file('two.json', '{"watch": {"period": "PT1.2.3S"}}'), '"PT1.2.3S" is not a duration')


    def test_edits_while_green_has_a_copy(self):
        """They would be in the copy, and blue would not have them."""
        with open(os.path.join(ROOT, 'plans', 'upgrade.json'), encoding='utf-8') as f:
            plan = json.load(f)
        plan['watch']['probes'] = {'url': 'https://w.example.org', 'blue': {}, 'green': {'through': 'w.example.org:1'}, 'sandbox': 'Sandbox'}
        self.refused(self.file('copy.json', json.dumps(plan)), 'cannot be edited through both colours: step "copy" gives green a database')


class Preflight(Case):
    """Exit 5, the reason in words, and no write in AWS's log."""

    def refused(self, plan, *words):
        self.expect(5, self.run_it('start', plan), 'REFUSED, nothing was touched', *words)
        self.assertEqual(self.writes(), [])
        self.assertEqual(self.status()['state'], 'refused')
        self.expect(5, self.run_it('wait'))
        self.expect(5, self.run_it('rollback'), 'refused')  # there is nothing to take back
        self.assertEqual(self.writes(), [])

    def test_wrong_account(self):
        self.world()
        other = {name: getattr(self, name).replace(ACCOUNT, '999988887777') for name in ('rule', 'blue', 'green')}
        plan = self.plan(LOOK, ALL, account='999988887777', rule=other['rule'], blue={'target_group': other['blue']},
                         green={'target_group': other['green']})
        self.refused(plan, f'the credentials are of account {ACCOUNT}, the plan is for 999988887777')

    def test_wrong_region(self):
        self.world()
        there = {name: getattr(self, name).replace('eu-central-1', 'us-east-1') for name in ('rule', 'blue', 'green')}
        plan = self.plan(LOOK, ALL, region='us-east-1', rule=there['rule'], blue={'target_group': there['blue']},
                         green={'target_group': there['green']})
        self.refused(plan, 'SignatureDoesNotMatch')

    def test_unknown_rule(self):
        self.world()
        self.refused(self.plan(LOOK, ALL, rule=RULE + '0000000000000000'), 'RuleNotFound')

    def test_a_rule_that_is_not_ours(self):
        self.world(edit=lambda action, status, body: (status, body.replace(b'cutover:managed', b'team')) if
                   action == 'DescribeTags' else None)
        self.refused(self.plan(LOOK, ALL), 'not marked as ours', 'cutover:managed=true')

    def test_green_has_weight_already(self):
        self.world()
        self.somebody_sets(700, 300)
        before = len(self.writes())
        self.expect(5, self.run_it('start', self.plan(LOOK, ALL)), 'gives green weight 300 already')
        self.assertEqual(len(self.writes()), before)

    def test_blue_has_no_weight(self):
        self.world()
        self.somebody_sets(0, 100)
        before = len(self.writes())
        self.expect(5, self.run_it('start', self.plan(LOOK, ALL)), 'gives blue no weight', '2 things are against it')
        self.assertEqual(len(self.writes()), before)

    def test_stickiness(self):
        self.world(edit=lambda action, status, body: (status, body.replace(
            b'<Enabled>false</Enabled>', b'<Enabled>true</Enabled><DurationSeconds>3600</DurationSeconds>')) if
            action == 'DescribeRules' else None)
        self.refused(self.plan(LOOK, ALL), 'stickiness (3600 s)')

    def test_expired_token(self):
        answer = (b'<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token '
                  b'included in the request is expired</Message></Error></ErrorResponse>')
        self.world(edit=lambda action, status, body: (403, answer))
        self.env['AWS_SESSION_TOKEN'] = 'token'
        self.refused(self.plan(LOOK, ALL), 'ExpiredToken', 'is expired')

    def test_a_token_of_unknown_life(self):
        self.world()
        self.env['AWS_SESSION_TOKEN'] = 'token'
        self.refused(self.plan(LOOK, ALL), 'does not say when it ends')

    def put_right(self, skew, words):
        """A clock hours off made every request expire; AWS's own Date puts it right, and the journal says so."""
        self.world('--skew', skew)
        self.expect(0, self.run_it('start', self.plan(LOOK, {'id': 'wait', 'do': 'approve', 'ask': 'on?', 'deadline': 'PT1S',
                                                             'default': 'promote', 'timeout': 'PT1M'})), words)

    def test_clock_behind(self):
        self.put_right('3630', "this machine's clock is 1 h behind AWS's")

    def test_clock_ahead(self):
        self.put_right('-7300', "this machine's clock is 2 h 1 min ahead of AWS's")

    def test_no_credentials(self):
        self.world()
        del self.env['AWS_ACCESS_KEY_ID']
        self.refused(self.plan(LOOK, ALL), 'credentials')

    def test_a_veto(self):
        """A hook that ran may have done something: that is a way back, though not one that AWS sees."""
        self.world()
        hook = self.file('hook', '#!/bin/sh\ncat >asked-hook\necho "release is frozen"\nexit 10\n')
        os.chmod(hook, 0o755)
        plan = self.plan(LOOK, {'id': 'ask', 'do': 'hook', 'program': [hook, 'x']}, ALL)
        self.expect(3, self.run_it('start', plan), 'the hook vetoed: it ended with 10: release is frozen')
        self.assertEqual(self.writes(), [])

    def test_another_run_is_under_way(self):
        self.world()
        first = self.drive('start', self.plan(LOOK, {'id': 'ok', 'do': 'approve', 'ask': 'go on?'}, ALL))
        self.wait_for(lambda ev: any(e['step'] == 'ok' and e['kind'] == 'begin' for e in ev), of=first)
        self.expect(5, self.run_it('start', self.plan(LOOK, shift(10), ALL)), 'is under way on the same rule')
        self.assertEqual(self.writes(), [])

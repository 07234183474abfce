"""`cutover stacks` as a process: exit codes, what it prints, signals, and a second one that goes on."""
import json
import os

from world import ACCOUNT, REGION, TERM, Case

TEMPLATE = {'Metadata': {'simulate': True}, 'Parameters': {'Cidr': {'Type': 'String', 'Default': '10.0.0.0/16'}},
            'Resources': {'Vpc': {'Type': 'AWS::EC2::VPC', 'Properties': {'CidrBlock': {'Ref': 'Cidr'}}}},
            'Outputs': {'VpcId': {'Value': {'Ref': 'Vpc'}}}}


class Stacks(Case):
    def environment(self, account=ACCOUNT, template=TEMPLATE, **stack):
        self.file('net.json', json.dumps(template))
        return self.file('env.json', json.dumps({'name': 't', 'region': REGION, 'account': account, 'stacks': [
            {'name': 't-net', 'template': 'net.json', 'about': 'the net', 'stateful': True, **stack}]}))

    def test_what_is_wrong_is_said_before_anything_is_asked(self):
        self.world()
        self.expect(2, self.run_it('stacks', 'make', self.environment()), '"make" is none of plan, apply, status and delete')
        self.expect(2, self.run_it('stacks', 'plan', 'nothing.json'), 'nothing was touched')
        said = self.expect(2, self.run_it('stacks', 'apply', self.environment(nam='x', name='T')), 'env.json:1:',
                           'is not a key that is known here', 'is not a stack name here', '2 errors; nothing was touched')
        self.assertEqual(said.out, '')
        self.assertEqual(self.asked(), [])

    def test_files_that_are_no_environment(self):
        """Nothing is asked, whatever the file is and whichever verb was meant."""
        self.world()
        for path, words in ((self.dir, 'directory'), ('/dev/zero', 'larger than'), (self.file('binary.json', os.urandom(4096)), 'binary.json'),
                            (self.file('empty.json', ''), 'empty.json'), (self.file('list.json', '[]'), 'list.json'),
                            (self.file('deep.json', '[' * 200000), 'deep.json')):
            for verb in ('plan', 'apply', 'status', 'delete'):
                said = self.expect(2, self.run_it('stacks', verb, path), words, 'nothing was touched')
                self.assertLess(len(said.text), 100000)
        self.assertEqual(self.asked(), [])

    def test_values_of_the_wrong_type(self):
        self.world()
        good = self.environment()
        with open(good, encoding='utf-8') as f:
            doc = json.load(f)
        for wrong in (None, True, -1, 1e300, [], {}, [[]], {'a': {}}, 'x' * 70000, '${a.b}'):
            for change in ([{**doc, k: wrong} for k in doc if wrong != doc[k]] +
                           [{**doc, 'stacks': [{**doc['stacks'][0], k: wrong}]} for k in ('name', 'parameters', 'tags', 'region', 'protect')]):
                said = self.run_it('stacks', 'plan', self.file('wrong.json', json.dumps(change)))
                self.assertIn(said.code, (0, 2, 5), said.text[:2000])
                self.assertTrue(said.code == 0 or said.err, change)
        self.assertEqual([w for w in self.writes() if w.startswith('Execute')], [])

    def test_templates_that_are_none(self):
        self.world()
        with open(self.environment(), encoding='utf-8') as f:
            doc = json.load(f)
        for template, words in (('none.yaml', 'No such file'), ('.', 'directory'), ('/dev/zero', 'larger than')):
            doc['stacks'][0]['template'] = template
            self.expect(2, self.run_it('stacks', 'apply', self.file('env.json', json.dumps(doc))), words)
        self.assertEqual(self.writes(), [])

    def test_a_deletion_that_did_not_get_there_is_not_waited_for(self):
        """It was asked for in vain, and then looked at for two hours whether it was over."""
        self.world(edit=lambda action, status, body: None)
        env = self.environment()
        self.expect(0, self.run_it('stacks', 'apply', env))
        self.wire.closed = {'DeleteStack'}
        delete = ('stacks', 'delete', env, '--confirm', 't', '--may-delete', 't-net')
        self.expect(4, self.run_it(*delete), 'the same command again goes on from there')
        self.wire.closed = set()
        self.expect(0, self.run_it(*delete), 'gone')
    test_a_deletion_that_did_not_get_there_is_not_waited_for.slow = True

    def test_another_account_is_refused(self):
        self.world()
        self.expect(5, self.run_it('stacks', 'apply', self.environment(account='999999999999')), f'the credentials are of account {ACCOUNT}')
        self.assertEqual(self.writes(), [])

    def test_a_plan_is_shown_and_nothing_is_left(self):
        self.world()
        self.expect(0, self.run_it('stacks', 'plan', self.environment()), 'create', 't-net', 'the net', '+ Vpc', 'AWS::EC2::VPC')
        self.assertEqual(self.writes(), ['CreateChangeSet', 'DeleteChangeSet', 'DeleteStack'])

    def test_applied_told_to_stop_and_gone_on_with(self):
        self.world()
        driver = self.drive('stacks', 'apply', self.environment(protect=True), '-o', 'json')
        while 'ExecuteChangeSet' not in self.writes():
            self.assertIsNone(driver.process.poll(), driver.said())
        driver.signal(TERM)
        self.expect(7, driver.end(), 'the same command again waits for it and goes on')
        said = self.expect(0, self.run_it('stacks', 'apply', os.path.join(self.dir, 'env.json'), '-o', 'json'))
        events = [json.loads(line) for line in said.out.splitlines()]
        self.assertEqual(events[-1]['what'], 'done')
        self.assertEqual(events[-1]['outputs'], {'VpcId': 'vpc-0Vpc-1'})
        self.assertEqual(self.writes().count('ExecuteChangeSet'), 1)
        self.expect(0, self.run_it('stacks', 'status', os.path.join(self.dir, 'env.json')), 'CREATE_COMPLETE', 'IN_SYNC', 'the net')
        self.refused()

    def refused(self):
        """A new network is asked for by mistake."""
        changed = json.loads(json.dumps(TEMPLATE))
        changed['Resources']['Vpc']['Properties']['Name'] = '2'
        before = self.writes().count('ExecuteChangeSet')
        self.expect(5, self.run_it('stacks', 'apply', self.environment(template=changed)), 'REFUSED: this would replace it',
                    '--may-replace')
        self.assertEqual(self.writes().count('ExecuteChangeSet'), before)
        self.assertEqual(self.writes()[-1], 'DeleteChangeSet')
        self.expect(5, self.run_it('stacks', 'delete', os.path.join(self.dir, 'env.json'), '--confirm', 't'), '--may-delete t-net')
        self.expect(0, self.run_it('stacks', 'delete', os.path.join(self.dir, 'env.json'), '--confirm', 't', '--may-delete', 't-net'))
        self.expect(4, self.run_it('stacks', 'status', os.path.join(self.dir, 'env.json')), 'not there')

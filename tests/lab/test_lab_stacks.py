"""templates/ from an empty account to its end, by the program itself: every stack
in order, killed and started again, both colours side by side, a shift, an update of
the edge in the middle of it, refusals, drift, and deletion in reverse.
"""
import copy
import glob
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

import cfn
import elb
from aws_api import ACCOUNT, REGION
from stacks_rig import CUTOVER, HERE, ROOT, Rig, until

UNKNOWN = os.path.join(HERE, 'unknown_types.txt')
STATEFUL = 'mw-lab-network,mw-lab-platform,mw-lab-data,mw-lab-edge,mw-lab-controller,mw-lab-cdn,mw-lab-data-copy'


def environment(*changes):
    """The lab's environment file with all the other templates added, and changed by each of changes(document)."""
    with open(os.path.join(ROOT, 'plans', 'environments', 'lab.json'), encoding='utf-8') as f:
        doc = json.load(f)
    doc['stacks'] += [colour(doc, 'green', '1.43.11'), {
        'name': 'mw-lab-cdn', 'template': '../../templates/45-cdn.yaml', 'about': 'CloudFront', 'stateful': True, 'region': 'us-east-1',
        'parameters': {'SiteHost': '${env:WIKI_HOST}', 'CdnCertificateArn': '${env:WIKI_CDN_CERTIFICATE}'}}, {
        'name': 'mw-lab-data-copy', 'template': '../../templates/35-database-copy.yaml', 'about': 'a copy', 'stateful': True,
        'parameters': {'SourceClusterId': '${mw-lab-data.DbClusterId}'}}]
    for change in changes:
        change(doc)
    for stack in doc['stacks']:  # the file lies elsewhere
        for key in ('template', 'policy'):
            if key in stack and not os.path.isabs(stack[key]):
                stack[key] = os.path.normpath(os.path.join(ROOT, 'plans', 'environments', stack[key]))
    return doc


def colour(doc, name, release):
    stack = copy.deepcopy(next(s for s in doc['stacks'] if s['name'] == 'mw-lab-blue'))
    stack['name'] = 'mw-lab-' + name
    stack['parameters'].update(Color=name, Release=release)
    stack['tags'].update({'mw:color': name, 'mw:release': release})
    return stack


def stack_of(doc, name):
    return next(s for s in doc['stacks'] if s['name'] == 'mw-lab-' + name)


class Account(unittest.TestCase):
    """One account for all of it: the tests are steps, done in the order of their numbers."""

    @classmethod
    def setUpClass(cls):
        cls.step, cfn.STEP_S = cfn.STEP_S, 0.02
        cls.rig, cls.dir = Rig(), tempfile.TemporaryDirectory(prefix='cutover-stacks-')
        cls.env = cls.file(environment())

    @classmethod
    def tearDownClass(cls):
        cls.rig.end()
        cls.dir.cleanup()
        cfn.STEP_S = cls.step

    @classmethod
    def file(cls, doc):
        path = os.path.join(cls.dir.name, f'env-{len(os.listdir(cls.dir.name))}.json')
        with open(path, 'w', encoding='utf-8') as f:
            json.dump(doc, f)
        return path

    def stacks(self, verb, code, env=None, *more):
        """What `stacks VERB -o json` told, when it ended with that code."""
        done = self.rig.run('stacks', verb, env or self.env, '-o', 'json', *more)
        self.assertEqual(done.returncode, code, done.stdout[-3000:] + done.stderr)
        self.assertEqual(self.rig.api.bugs, [])
        self.said = done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def told(self, events, what, **more):
        return [e for e in events if e['what'] == what and all(e.get(k) == v for k, v in more.items())]

    def live(self):
        return {s.name: s for s in self.rig.cfn.stacks if s.status != 'DELETE_COMPLETE'}

    def output(self, stack, key):
        return next(o['OutputValue'] for o in self.live()['mw-lab-' + stack].outputs if o['OutputKey'] == key)

    def rule(self):
        tags = {li.arn: rule for li, rule in elb.all_rules() if not rule.is_default and li.arn == self.output('edge', 'HttpsListenerArn')}
        self.assertEqual(len(tags), 1)
        return next(iter(tags.values()))

    def weights(self):
        return elb.rule_weights(self.rule())

    def health(self, colour_):
        told = self.rig.client('elbv2').describe_target_health(TargetGroupArn=self.output(colour_, 'TargetGroupArn'))
        return [t['TargetHealth']['State'] for t in told['TargetHealthDescriptions']]

    # --- the steps -------------------------------------------------------------------

    def test_00_every_template_has_its_stack(self):
        used = {os.path.basename(s['template']) for s in environment()['stacks']}
        self.assertEqual(used, {os.path.basename(t) for t in glob.glob(os.path.join(ROOT, 'templates', '*.yaml'))})

    def test_01_the_plan_leaves_nothing(self):
        events = self.stacks('plan', 0)
        self.assertEqual([e['stack'] for e in self.told(events, 'plan', action='create')], ['mw-lab-network'])
        self.assertEqual(len(self.told(events, 'plan', action='later')), len(environment()['stacks']) - 1)
        until('the empty stack to go', lambda: not self.live())

    def test_02_somebody_elses_account(self):
        done = self.rig.run('stacks', 'apply', self.env, WIKI_ACCOUNT='999999999999')
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn(f'the credentials are of account {ACCOUNT}', done.stderr)
        self.assertEqual(self.live(), {})

    def test_03_killed_in_the_middle(self):
        cfn.STEP_S = 0.1
        driver = subprocess.Popen([CUTOVER, 'stacks', 'apply', self.env], env=self.rig.environment(), stdout=subprocess.DEVNULL)
        until('the network to begin', lambda: 'mw-lab-network' in self.live() and
              self.live()['mw-lab-network'].status in ('CREATE_IN_PROGRESS', 'CREATE_COMPLETE'))
        driver.send_signal(signal.SIGKILL)
        self.assertEqual(driver.wait(), -signal.SIGKILL)
        cfn.STEP_S = 0.02

    def test_04_applied(self):
        events = self.stacks('apply', 0)
        names = [s['name'] for s in environment()['stacks']]
        self.assertEqual([e['stack'] for e in self.told(events, 'done')], names)
        self.assertEqual(self.told(events, 'executing', stack='mw-lab-network'), [])  # the killed one had begun it
        self.assertEqual({s.status for s in self.live().values()}, {'CREATE_COMPLETE'})
        self.assertEqual([s.name for s in self.rig.cfn.stacks if s.status == 'CREATE_COMPLETE'], names)  # in this order
        for stack in self.live().values():
            self.assertTrue(all(r['physical'] for r in stack.resources.values()), stack.resources)
        self.assertEqual(len(self.told(events, 'rule', made=True)), 1)

    def test_05_what_this_machine_does_not_know(self):
        with open(UNKNOWN, encoding='utf-8') as f:
            listed = {line.strip() for line in f if line.strip() and not line.startswith('#')}
        self.maxDiff = None
        self.assertEqual(sorted(self.rig.cfn.air - listed), [], 'not known to this AWS and not in unknown_types.txt')
        self.assertEqual(sorted(listed - self.rig.cfn.air), [], 'in unknown_types.txt, and known or not used any more')

    def test_06_guarded(self):
        for stack in environment()['stacks']:
            live = self.live()[stack['name']]
            self.assertEqual(live.id in self.rig.cfn.protected, bool(stack.get('protect')), stack['name'])
            self.assertEqual(live.id in self.rig.cfn.policies, 'policy' in stack, stack['name'])

    def test_07_once_more_changes_nothing(self):
        events = self.stacks('apply', 0)
        self.assertEqual(self.told(events, 'executing'), [])
        self.assertEqual({e['action'] for e in self.told(events, 'plan')}, {'unchanged', 'left'})
        self.assertEqual(len(self.told(events, 'rule', made=False)), 1)

    def test_08_two_colours_side_by_side(self):
        blue, green = self.live()['mw-lab-blue'], self.live()['mw-lab-green']
        self.assertEqual(set(blue.resources), set(green.resources))
        for name in blue.resources:
            self.assertNotEqual(blue.resources[name]['physical'], green.resources[name]['physical'], name)
        rules = {c: elb.find_rule(self.output(c, 'TestRuleArn'))[1] for c in ('blue', 'green')}
        self.assertNotEqual(rules['blue'].priority, rules['green'].priority)
        for c, rule in rules.items():
            self.assertEqual(set(elb.rule_weights(rule)), {self.output(c, 'TargetGroupArn')})
            until('two healthy targets of ' + c, lambda c=c: self.health(c) == ['healthy'] * 2)
        self.assertEqual(self.weights(), {self.output('blue', 'TargetGroupArn'): 999})

    def test_09_the_edge_changes_in_the_middle_of_a_shift(self):
        share = {self.output('blue', 'TargetGroupArn'): 949, self.output('green', 'TargetGroupArn'): 50}
        self.rig.client('elbv2').modify_rule(RuleArn=self.rule().arn, Actions=[{'Type': 'forward', 'ForwardConfig': {
            'TargetGroups': [{'TargetGroupArn': a, 'Weight': w} for a, w in share.items()]}}])

        def change(doc):
            stack_of(doc, 'edge')['parameters'].update(RequestsPerAddress='5000', SslPolicy='ELBSecurityPolicy-TLS13-1-2-2021-06')
        events = self.stacks('apply', 0, self.file(environment(change)))
        changed = self.told(events, 'plan', stack='mw-lab-edge')[0]
        self.assertEqual({c['logical']: c['properties'] for c in changed['changes']},
                         {'HttpsListener': ['SslPolicy'], 'TestListener': ['SslPolicy'], 'WebAcl': ['Rules']})
        self.assertEqual([e['stack'] for e in self.told(events, 'executing')], ['mw-lab-edge'])
        self.assertEqual(self.weights(), share)
        type(self).env = self.file(environment(change))

    # --- what is refused ---------------------------------------------------------------

    def edited(self, name, **replacements):
        """A copy of that stack's template with texts replaced, and the environment that uses it."""
        def change(doc):
            stack_of(doc, 'edge')['parameters'].update(RequestsPerAddress='5000', SslPolicy='ELBSecurityPolicy-TLS13-1-2-2021-06')
            stack = stack_of(doc, name)
            with open(os.path.normpath(os.path.join(ROOT, 'plans', 'environments', stack['template'])), encoding='utf-8') as f:
                text = f.read()
            for old, new in replacements['texts']:
                self.assertIn(old, text)
                text = text.replace(old, new)
            doc['stacks'] = doc['stacks'][:doc['stacks'].index(stack) + 1]  # what comes behind is not looked at
            del doc['rule']
            stack['template'] = os.path.join(self.dir.name, f'{name}-{len(os.listdir(self.dir.name))}.yaml')
            with open(stack['template'], 'w', encoding='utf-8') as f:
                f.write(text)
        return self.file(environment(change))

    def refused(self, env, stack, logical, harm):
        before = {s.name: (s.status, len(s.events)) for s in self.live().values()}
        events = self.stacks('apply', 5, env)
        rows = [c for e in self.told(events, 'plan', stack=stack) for c in e['changes'] if 'harm' in c]
        self.assertEqual([(c['logical'], c['harm'], c['allowed']) for c in rows], [(logical, harm, False)])
        self.assertEqual({s.name: (s.status, len(s.events)) for s in self.live().values()}, before, 'something was touched')
        self.assertFalse(any(c.execution == 'AVAILABLE' for s in self.live().values() for c in s.change_sets.values()))

    def test_10_a_database_is_not_replaced(self):
        env = self.edited('data', texts=[('DatabaseName: ', 'DatabaseName: other')])
        self.refused(env, 'mw-lab-data', 'DbCluster', 'replace')
        events = self.stacks('plan', 0, env, '--may-replace', 'mw-lab-data.DbCluster')
        self.assertEqual([c['allowed'] for e in self.told(events, 'plan', stack='mw-lab-data') for c in e['changes'] if 'harm' in c], [True])

    def test_11_no_template_moves_traffic(self):
        env = self.edited('edge', texts=[('no release is live', 'closed for today')])
        self.refused(env, 'mw-lab-edge', 'HttpsListener', 'change the weights of')

    def test_12_a_removed_bucket_is_refused(self):
        with open(os.path.join(ROOT, 'templates', '30-data.yaml'), encoding='utf-8') as f:
            bucket = re.search(r'\n  (\w+):\n    Type: AWS::S3::Bucket\n', f.read())[1]
        env = self.edited('data', texts=[(bucket, bucket + 'Two')])
        events = self.stacks('plan', 5, env)
        rows = {c['logical']: c.get('harm') for e in self.told(events, 'plan', stack='mw-lab-data') for c in e['changes']}
        self.assertEqual(rows[bucket], 'remove')

    def test_13_the_stack_policy_is_the_second_lock(self):
        """Around the program, AWS itself refuses."""
        c = self.rig.client('cloudformation')
        live = self.live()['mw-lab-blue']
        with open(os.path.join(ROOT, 'templates', '50-colour.yaml'), encoding='utf-8') as f:
            body = f.read().replace('      Protocol: HTTP\n      Port: !Ref AppPort', '      Protocol: HTTP\n      Port: 8099')
        c.create_change_set(StackName='mw-lab-blue', ChangeSetName='around', ChangeSetType='UPDATE', TemplateBody=body,
                            Parameters=[{'ParameterKey': k, 'UsePreviousValue': True} for k in live.values],
                            Capabilities=['CAPABILITY_IAM'])
        until('the change set', lambda: live.change_sets['around'].execution == 'AVAILABLE')
        c.execute_change_set(StackName='mw-lab-blue', ChangeSetName='around')
        until('the end', lambda: live.status == 'UPDATE_ROLLBACK_COMPLETE')
        self.assertTrue(any('Action denied by stack policy' in e.get('ResourceStatusReason', '') for e in live.events))

    def test_14_drift_is_told(self):
        self.assertEqual({e['drift'] for e in self.told(self.stacks('status', 4), 'status')}, {'IN_SYNC'})  # blue: see above
        self.rig.cfn.somebody_changes('mw-lab-edge', 'Alb', '/LoadBalancerAttributes/0/Value', 'true', 'false')
        row = self.told(self.stacks('status', 4), 'status', stack='mw-lab-edge')[0]
        self.assertEqual((row['drift'], row['resources'][0]['logical']), ('DRIFTED', 'Alb'))
        self.assertIn('load balancer', row['about'])

    # --- the end ---------------------------------------------------------------------------

    def test_20_nothing_is_deleted_unless_it_is_named(self):
        self.stacks('delete', 5)
        self.assertIn('--confirm lab', self.said)
        self.stacks('delete', 5, None, '--confirm', 'lab')
        self.assertIn('--may-delete mw-lab-', self.said)
        self.assertEqual(len(self.live()), len(environment()['stacks']))
        self.assertEqual(len(self.weights()), 2)

    def test_21_deleted_in_reverse(self):
        kept = self.retained()
        self.rig.client('elbv2').modify_load_balancer_attributes(  # by hand, as at AWS: its own protection
            LoadBalancerArn=self.output('edge', 'LoadBalancerArn'), Attributes=[{'Key': 'deletion_protection.enabled', 'Value': 'false'}])
        events = self.stacks('delete', 0, None, '--confirm', 'lab', '--may-delete', STATEFUL)
        names = [s['name'] for s in environment()['stacks']]
        self.assertEqual([e['stack'] for e in self.told(events, 'gone')], names[::-1])
        self.assertEqual(self.live(), {})
        self.assertEqual(elb.all_rules(), [])
        skipped = {e['LogicalResourceId'] for s in self.rig.cfn.stacks for e in s.events if e['ResourceStatus'] == 'DELETE_SKIPPED'}
        self.assertEqual(skipped, kept, 'what holds data stays')

    def retained(self):
        return {n for s in self.live().values() for n, r in s.template['Resources'].items()
                if n in s.resources and r.get('DeletionPolicy') in ('Retain', 'Snapshot')}


if __name__ == '__main__':
    unittest.main()

"""The controller's own policy is enough, and is needed: a whole cutover by a
principal that may do what templates/60-controller.yaml says and nothing else.
"""
import json
import os
import tempfile
import time
import unittest

import cfn
import elb
import iam
from aws_api import ACCOUNT, REGION
from procs import Loop
from schedules import Schedules
from stacks_rig import DIGEST, ROOT, Rig
from test_lab_stacks import environment

GREEN_DIGEST = DIGEST[:-1] + '0'
# What the policy allows for plans with other steps than this one's, and for journals on S3.
FOR_OTHER_PLANS = {
    'ecs:RunTask', 'ecs:DescribeTasks', 'ecs:ListTasks', 'ecs:StopTask',  # task
    'rds:DescribeDBClusters', 'rds:DescribeDBInstances', 'rds-db:connect',  # database, schema
    's3:PutObject', 's3:ListBucket', 'kms:Decrypt', 'kms:GenerateDataKey',  # journals on S3
}


class Evaluation(unittest.TestCase):
    """The evaluator itself, against the rules of AWS's documentation."""

    def decide(self, statements, action='s3:GetObject', resource='arn:aws:s3:::b/k', **context):
        return iam.decide([{'Statement': statements}], action, resource, {k.replace('_', ':', 1): v for k, v in context.items()})

    def test_nothing_is_allowed_unless_it_is_said(self):
        self.assertNotEqual(self.decide([]), 'allowed')
        allow = {'Effect': 'Allow', 'Action': 's3:Get*', 'Resource': 'arn:aws:s3:::b/*'}
        self.assertEqual(self.decide([allow]), 'allowed')
        self.assertNotEqual(self.decide([allow], action='s3:PutObject'), 'allowed')
        self.assertNotEqual(self.decide([allow], resource='arn:aws:s3:::c/k'), 'allowed')
        self.assertNotEqual(self.decide([allow], resource='*'), 'allowed')

    def test_a_deny_wins(self):
        allow = {'Effect': 'Allow', 'Action': '*', 'Resource': '*'}
        deny = {'Effect': 'Deny', 'Action': ['s3:GetObject'], 'Resource': '*', 'Sid': 'No'}
        self.assertIn('explicit deny', self.decide([allow, deny]))

    def test_conditions(self):
        def allowed(operator, wanted, **context):
            return self.decide([{'Effect': 'Allow', 'Action': '*', 'Resource': '*', 'Condition': {operator: {'a:b': wanted}}}],
                               **context) == 'allowed'
        for operator, wanted, context, want in (
                ('StringEquals', 'x', {'a_b': 'x'}, True), ('StringEquals', ['y', 'x'], {'a_b': 'x'}, True),
                ('StringEquals', 'x', {'a_b': 'X'}, False), ('StringEquals', 'x', {}, False), ('StringLike', 'x*', {'a_b': 'xy'}, True),
                ('StringNotLike', 'x*', {'a_b': 'xy'}, False), ('StringNotLike', 'x*', {'a_b': 'z'}, True),
                ('StringNotLike', 'x*', {}, True), ('StringNotLike', ['x*', 'z*'], {'a_b': 'z'}, False), ('Bool', 'true', {'a_b': 'True'}, True)):
            self.assertEqual(allowed(operator, wanted, **context), want, (operator, wanted, context))
        with self.assertRaisesRegex(RuntimeError, 'does not know the operator'):
            allowed('DateLessThan', 'x', a_b='x')


class Traffic:
    """What readers do, as the rule's weights send them: counted for CloudWatch."""

    def __init__(self, rig, rule):
        self.rig, self.rule, self.loop = rig, rule, Loop('traffic', 0.1, self.tick)
        self.next = time.time() - 30  # blue had readers before: what a judge compares with
        self.tick()

    def tick(self):
        """Each tenth of a second since the last tick, however late this one is."""
        while self.next <= time.time():
            self.count(self.next)
            self.next += 0.1

    def count(self, at):
        weights = elb.rule_weights(elb.find_rule(self.rule)[1])
        total = sum(weights.values())
        balancer = {'LoadBalancer': '/'.join(self.rule.split('/')[1:4])}
        for group, weight in weights.items():
            both = {'TargetGroup': group.split(':', 5)[5], **balancer}
            for _ in range(round(60 * weight / total)):
                for dims in (both, balancer):
                    for name in ('RequestCount', 'HTTPCode_Target_2XX_Count'):
                        self.rig.metrics.add('AWS/ApplicationELB', name, dims, 1, at)
                    self.rig.metrics.add('AWS/ApplicationELB', 'TargetResponseTime', dims, 0.05, at)


class Cutover(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.step, cfn.STEP_S = cfn.STEP_S, 0.02
        cls.rig, cls.dir = Rig(), tempfile.TemporaryDirectory(prefix='cutover-iam-')
        Schedules(lambda service: cls.rig.client(service, 'scheduler')).install(cls.rig.api)

    @classmethod
    def tearDownClass(cls):
        cls.traffic.loop.end()
        cls.rig.end()
        cls.dir.cleanup()
        cfn.STEP_S = cls.step

    def file(self, name, doc):
        path = os.path.join(self.dir.name, name)
        with open(path, 'w', encoding='utf-8') as f:
            json.dump(doc, f)
        return path

    def output(self, stack, key):
        return next(o['OutputValue'] for o in self.rig.cfn.find('mw-lab-' + stack).outputs if o['OutputKey'] == key)

    def plan(self, rule, blue='blue', green='green', how='delete-stack', release='1.43.11', digest=GREEN_DIGEST):
        serving = self.rig.cfn.find('mw-lab-' + blue)
        return {
            'name': 'wiki', 'region': REGION, 'account': ACCOUNT, 'rule': rule,
            'blue': {'target_group': self.output(blue, 'TargetGroupArn'), 'cluster': self.output('platform', 'ClusterName'),
                     'service': self.output(blue, 'ServiceName'), 'stack': serving.name},
            'green': {'target_group': '${green.TargetGroupArn}', 'stack': 'mw-lab-' + green},
            'watch': {'period': 'PT1S', 'poll': 'PT1S', 'good_requests': 20, 'blind_after': 'PT1M', 'foreign_grace': 'PT10S', 'hold_limit': 'PT1M',
                      'judge': {'harm': 500},  # rights are what is looked at here, not evidence
                      'alarms': [self.output('edge', 'NoAnswerAlarmName')]},
            'deadman': {'role': self.output('controller', 'DeadmanRoleArn'), 'after': 'PT5M'},
            'steps': [
                {'id': 'look', 'do': 'preflight'},
                {'id': 'green', 'do': 'stack', 'stack': 'mw-lab-' + green, 'like': serving.name, 'role': self.output('controller', 'StackRoleArn'),
                 'template_url': self.url, 'capabilities': ['CAPABILITY_IAM'],
                 'parameters': {'Color': green, 'Release': release, 'Image': serving.values['Image'].partition('@')[0] + '@' + digest},
                 'tags': {'mw:env': 'lab', 'mw:color': green, 'mw:release': release}},
                {'id': 'to-25', 'do': 'shift', 'weight': '25%', 'bake': 'PT2S'},
                {'id': 'all', 'do': 'promote', 'bake': 'PT2S'},
                {'id': 'retire', 'do': 'retire', 'how': how, 'soak': 'PT2S', 'quiet_periods': 2}]}

    def documents(self):
        """Exactly what the template gives the role, as CloudFormation resolved it."""
        role = self.rig.cfn.find('mw-lab-controller').resources['ControllerRole']['properties']
        self.assertEqual(role.get('ManagedPolicyArns', []), [], 'the database rights are a role of their own')
        return [p['PolicyDocument'] for p in role['Policies']]

    def cutover(self, code, *args):
        done = self.rig.run('--state', os.path.join(self.dir.name, 'journal.db'), *args, who='controller')
        self.assertEqual(done.returncode, code, done.stdout[-3000:] + done.stderr)
        return done.stdout

    def test_a_cutover_with_exactly_this_policy(self):
        def cut(doc):
            doc['stacks'] = [s for s in doc['stacks'] if s['name'].split('-')[-1] in ('network', 'platform', 'data', 'edge', 'controller', 'blue')
                             and 'copy' not in s['name']]
        made = self.rig.run('stacks', 'apply', self.file('env.json', environment(cut)), '-o', 'json')
        self.assertEqual(made.returncode, 0, made.stdout[-2000:] + made.stderr)
        rule = json.loads(made.stdout.splitlines()[-1])['rule']
        type(self).traffic = Traffic(self.rig, rule)
        self.traffic.loop.start()
        bucket = self.output('controller', 'StoreBucket')
        self.url = f'https://{bucket}.s3.{REGION}.amazonaws.com/templates/50-colour.yaml'
        with open(os.path.join(ROOT, 'templates', '50-colour.yaml'), encoding='utf-8') as f:
            self.rig.cfn.store[self.url] = f.read()

        guard = iam.Guard(self.rig.cfn)
        documents = self.documents()
        guard.policies['controller'] = documents
        self.rig.api.guards.append(guard)
        path = self.file('plan.json', self.plan(rule))
        shown = json.loads(self.cutover(0, 'explain', path, '-o', 'json'))['iam_actions']
        self.cutover(0, 'start', path)
        self.assertEqual(guard.refused, [])
        self.assertEqual(self.rig.api.bugs, [])

        allowed = iam.actions_of(documents)
        rows = iam.comparison(guard.used, shown, allowed)
        iam.print_comparison(rows)
        self.assertEqual([a for a, used, told, _ in rows if used and not told], [], 'used, and `explain` does not say so')
        self.assertEqual([a for a, _, told, sids in rows if told and not sids and a not in iam.FREE], [], 'shown, and not allowed')
        self.assertEqual({a for a, _, told, sids in rows if sids and not told}, FOR_OTHER_PLANS, 'allowed, and no plan needs it')
        self.assertIsNone(self.rig.cfn.find('mw-lab-blue'))
        again = self.rig.run('stacks', 'apply', os.path.join(self.dir.name, 'env.json'))
        self.assertEqual(again.returncode, 0, again.stdout[-2000:] + again.stderr)
        self.assertIsNone(self.rig.cfn.find('mw-lab-blue'), 'a release that was retired was made again')
        self.assertEqual(elb.rule_weights(elb.find_rule(rule)[1]), {self.output('green', 'TargetGroupArn'): 999})
        self.nothing_is_torn_down(rule)
        self.around_it(guard, rule, path)
        self.the_next_release(guard, rule)

    def the_next_release(self, guard, rule):
        """The colours change their parts: the stack that was deleted is made again, beside the one that serves."""
        before = len(guard.refused)
        path = self.file('next.json', self.plan(rule, 'green', 'blue', 'scale-down', '1.43.12', DIGEST))
        self.cutover(0, 'start', path)
        self.assertEqual(guard.refused[before:], [])
        self.assertEqual(self.rig.api.bugs, [])
        self.assertEqual(elb.rule_weights(elb.find_rule(rule)[1]),
                         {self.output('blue', 'TargetGroupArn'): 999, self.output('green', 'TargetGroupArn'): 0})
        self.assertIn('it has no weight. If an earlier release left it there', self.cutover(
            5, 'start', self.file('third.json', self.plan(rule, 'blue', 'green', 'scale-down', '1.43.13', GREEN_DIGEST))))

    def nothing_is_torn_down(self, rule):
        """An environment is not deleted under a colour that it knows nothing of: that would end half way, without the rule."""
        said = self.rig.run('stacks', 'delete', os.path.join(self.dir.name, 'env.json'), '--confirm', 'lab', '--may-delete',
                            ','.join(s.name for s in self.rig.cfn.stacks))
        self.assertEqual(said.returncode, 5, said.stdout[-2000:] + said.stderr)
        self.assertIn('a plan has made that colour', said.stderr)
        self.assertTrue(elb.find_rule(rule))

    def around_it(self, guard, rule, path):
        """What the policy is there to prevent is refused."""
        c, e = self.rig.client('cloudformation', 'controller'), self.rig.client('elbv2', 'controller')
        listener = self.output('edge', 'HttpsListenerArn')
        role = self.output('controller', 'StackRoleArn')
        change = {'StackName': 'mw-lab-blue', 'ChangeSetName': 'x', 'ChangeSetType': 'CREATE', 'RoleARN': role}
        for what, call, params in (
                ('another template', c.create_change_set, {**change, 'TemplateBody': '{"Resources":{}}'}),
                ('another bucket', c.create_change_set, {**change, 'TemplateURL': 'https://other.s3.amazonaws.com/templates/x.yaml'}),
                ('without the stack role', c.create_change_set, {**change, 'TemplateURL': self.url, 'RoleARN': role + 'x'}),
                ('a shared stack', c.delete_stack, {'StackName': 'mw-lab-data'}),
                ('its own stack', c.delete_stack, {'StackName': 'mw-lab-controller'}),
                ('the test rule', e.modify_rule, {'RuleArn': self.output('green', 'TestRuleArn'), 'Actions': [
                    {'Type': 'fixed-response', 'FixedResponseConfig': {'StatusCode': '200'}}]}),
                ('the end of the rule', e.delete_rule, {'RuleArn': rule}),
                ('the listener', e.modify_listener, {'ListenerArn': listener, 'Port': 443}),
                ('a rule before it', e.create_rule, {'ListenerArn': listener, 'Priority': 1, 'Actions': [
                    {'Type': 'fixed-response', 'FixedResponseConfig': {'StatusCode': '200'}}],
                    'Conditions': [{'Field': 'path-pattern', 'Values': ['/*']}]})):
            with self.assertRaises(Exception, msg=what) as caught:
                call(**params)
            self.assertEqual(caught.exception.response['Error']['Code'], 'AccessDenied', what)


if __name__ == '__main__':
    unittest.main()

"""CloudFormation takes its time, tells each resource, and takes back what failed."""
import time
import unittest

import cfn
import cfn_types
import template
from errors import ApiError
from labtest import ApiTest, forward

GROUP = '''
Parameters:
  Vpc: {Type: String}
  Secret: {Type: String, NoEcho: true, Default: hidden}
Resources:
  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      Protocol: HTTP
      Port: 80
      TargetType: ip
      VpcId: !Ref Vpc
      TargetGroupAttributes: [{Key: deregistration_delay.timeout_seconds, Value: "7"}]
Outputs:
  Arn: {Value: !Ref Group}
  Full: {Value: !GetAtt Group.TargetGroupFullName}
'''
SERVICE = GROUP.replace('Outputs:', '''  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions: [{Name: wiki, Image: "mediawiki:1.43.9", Memory: 128}]
  Rule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: LISTENER
      Priority: 50
      Conditions: [{Field: path-pattern, PathPatternConfig: {Values: ["/x"]}}]
      Actions: [{Type: forward, TargetGroupArn: !Ref Group}]
  Service:
    Type: AWS::ECS::Service
    DependsOn: Rule
    Properties:
      Cluster: lab
      DesiredCount: 1
      TaskDefinition: !Ref Task
      LoadBalancers: [{TargetGroupArn: !Ref Group, ContainerName: wiki, ContainerPort: 8080}]
Outputs:''')


class Stacks(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cfn.STEP_S, cfn_types.STABLE_S = 0.05, 0.6
        cls.cfn = cfn.CloudFormation(cls.api, cls.client)
        cls.cfn.install()
        cls.listener, cls.rule, cls.groups = cls.balancer()
        cls.vpc = cls.client('elbv2').describe_target_groups(TargetGroupArns=cls.groups[:1])['TargetGroups'][0]['VpcId']
        cls.client('ecs').create_cluster(clusterName='lab')
        cls.number = 0

    def setUp(self):
        Stacks.number += 1
        self.name, self.c = f'stack-{self.number}', self.client('cloudformation')

    def change_set(self, body=GROUP, name='first', kind='CREATE', **more):
        more.setdefault('Parameters', [{'ParameterKey': 'Vpc', 'ParameterValue': self.vpc}])
        return self.c.create_change_set(StackName=self.name, ChangeSetName=name, ChangeSetType=kind, TemplateBody=body, **more)

    def described(self, name='first'):
        return self.c.describe_change_set(StackName=self.name, ChangeSetName=name)

    def until(self, what, test, seconds=60):
        end = time.monotonic() + seconds
        while not test():
            self.assertLess(time.monotonic(), end, 'waited in vain for ' + what)
            time.sleep(0.02)

    def ready(self, **more):
        self.change_set(**more)
        self.until('the change set', lambda: self.described(more.get('name', 'first'))['Status'] in ('CREATE_COMPLETE', 'FAILED'))
        return self.described(more.get('name', 'first'))

    def stack(self, name=None):
        return self.c.describe_stacks(StackName=name or self.name)['Stacks'][0]

    def run_it(self, end, token='token-1', **more):
        self.ready(**more)
        self.c.execute_change_set(StackName=self.name, ChangeSetName=more.get('name', 'first'), ClientRequestToken=token)
        self.until(end, lambda: not self.stack()['StackStatus'].endswith('_IN_PROGRESS'))
        self.assertEqual(self.stack()['StackStatus'], end, self.told())

    def events(self, name=None):
        out, token = [], {}
        while True:
            page = self.c.describe_stack_events(StackName=name or self.name, **token)
            out += page['StackEvents']
            if 'NextToken' not in page:
                return out
            token = {'NextToken': page['NextToken']}

    def told(self, name=None):
        return [(e['LogicalResourceId'], e['ResourceStatus']) for e in reversed(self.events(name))]

    def test_nothing_is_done_when_the_call_returns(self):
        self.change_set()
        self.assertEqual(self.described()['Status'], 'CREATE_PENDING')
        self.assertEqual(self.stack()['StackStatus'], 'REVIEW_IN_PROGRESS')
        self.refused('InvalidChangeSetStatus', self.c.execute_change_set, StackName=self.name, ChangeSetName='first')
        self.until('the change set', lambda: self.described()['ExecutionStatus'] == 'AVAILABLE')
        self.c.execute_change_set(StackName=self.name, ChangeSetName='first', ClientRequestToken='tok')
        self.assertEqual(self.stack()['StackStatus'], 'CREATE_IN_PROGRESS')
        self.assertEqual(self.stack()['Outputs'], [])
        self.until('the stack', lambda: self.stack()['StackStatus'] == 'CREATE_COMPLETE')

    def test_a_good_stack(self):
        change = self.ready()
        self.assertEqual([(c['ResourceChange']['Action'], c['ResourceChange']['LogicalResourceId'], c['ResourceChange']['ResourceType'])
                          for c in change['Changes']], [('Add', 'Group', 'AWS::ElasticLoadBalancingV2::TargetGroup')])
        self.c.execute_change_set(StackName=self.name, ChangeSetName='first', ClientRequestToken='tok')
        self.until('the stack', lambda: self.stack()['StackStatus'] == 'CREATE_COMPLETE')
        outputs = {o['OutputKey']: o['OutputValue'] for o in self.stack()['Outputs']}
        self.assertTrue(outputs['Arn'].endswith(outputs['Full']))
        got = self.client('elbv2').describe_target_group_attributes(TargetGroupArn=outputs['Arn'])['Attributes']
        self.assertIn({'Key': 'deregistration_delay.timeout_seconds', 'Value': '7'}, got)
        self.assertEqual(self.told(), [
            (self.name, 'REVIEW_IN_PROGRESS'), (self.name, 'CREATE_IN_PROGRESS'), ('Group', 'CREATE_IN_PROGRESS'),
            ('Group', 'CREATE_IN_PROGRESS'), ('Group', 'CREATE_COMPLETE'), (self.name, 'CREATE_COMPLETE')])
        self.assertEqual({e.get('ClientRequestToken') for e in self.events() if e['ResourceStatus'] != 'REVIEW_IN_PROGRESS'}, {'tok'})
        values = {p['ParameterKey']: p['ParameterValue'] for p in self.stack()['Parameters']}
        self.assertEqual(values['Secret'], '****')

    def test_a_service_that_never_runs_is_taken_back(self):
        before = len(self.client('elbv2').describe_target_groups()['TargetGroups'])
        self.run_it('ROLLBACK_COMPLETE', body=SERVICE.replace('LISTENER', self.listener))
        failed = [e for e in self.events() if e['ResourceStatus'] == 'CREATE_FAILED']
        self.assertEqual([e['LogicalResourceId'] for e in failed], ['Service'])
        self.assertIn('Circuit Breaker', failed[0]['ResourceStatusReason'])
        self.assertEqual(len(self.client('elbv2').describe_target_groups()['TargetGroups']), before)
        self.assertIn('[Service]', next(e['ResourceStatusReason'] for e in self.events() if e['ResourceStatus'] == 'ROLLBACK_IN_PROGRESS'))
        self.refused('AlreadyExistsException', self.change_set, name='again')
        self.refused('ValidationError', self.change_set, name='again', kind='UPDATE')

    def test_an_unknown_type_fails(self):
        self.run_it('ROLLBACK_COMPLETE', body=GROUP.replace('Outputs:', '  Queue: {Type: AWS::SQS::Queue}\nOutputs:'))
        self.assertIn('Unrecognized resource types: [AWS::SQS::Queue]', [e.get('ResourceStatusReason') for e in self.events()])

    def test_an_unknown_property_fails(self):
        self.run_it('ROLLBACK_COMPLETE', body=GROUP.replace('Port: 80', 'Port: 80\n      Bogus: 1'))
        self.assertTrue(any('extraneous key [Bogus]' in e.get('ResourceStatusReason', '') for e in self.events()))

    def test_on_failure(self):
        body = GROUP.replace('TargetType: ip', 'TargetType: nonsense')
        self.run_it('CREATE_FAILED', body=body, OnStackFailure='DO_NOTHING')
        self.name += '-b'
        stack = self.change_set(body=body, OnStackFailure='DELETE')['StackId']
        self.until('the change set', lambda: self.described()['ExecutionStatus'] == 'AVAILABLE')
        self.c.execute_change_set(StackName=self.name, ChangeSetName='first')
        self.until('deletion', lambda: self.stack(stack)['StackStatus'] == 'DELETE_COMPLETE')
        self.refused('ValidationError', self.c.describe_stacks, StackName=self.name)

    def test_a_named_fault(self):
        self.cfn.fail['Group'] = 'Resource limit exceeded'
        try:
            self.run_it('ROLLBACK_COMPLETE')
        finally:
            del self.cfn.fail['Group']
        self.assertIn('Resource limit exceeded', [e.get('ResourceStatusReason') for e in self.events()])

    def test_change_sets_that_are_refused(self):
        parameter = [{'ParameterKey': 'Vpc', 'ParameterValue': self.vpc}]
        self.refused('ValidationError', self.change_set, kind='UPDATE')
        self.refused('ValidationError', self.c.create_change_set, StackName=self.name, ChangeSetName='x', TemplateBody=GROUP,
                     Parameters=parameter)  # AWS's default is UPDATE
        self.refused('ValidationError', self.change_set, Parameters=[])
        self.refused('ValidationError', self.change_set, Parameters=parameter + [{'ParameterKey': 'Other', 'ParameterValue': 'x'}])
        self.refused('ValidationError', self.change_set, body='a: [')
        self.refused('ValidationError', self.change_set, body=GROUP.replace('!Ref Vpc', '!Ref Nothing'))
        self.refused('ValidationError', self.change_set, body=GROUP + '#' * 51200)
        self.refused('ValidationError', self.c.create_change_set, StackName=self.name, ChangeSetName='x', ChangeSetType='CREATE')
        self.refused('ValidationError', self.c.describe_stacks, StackName=self.name)
        iam = GROUP.replace('Outputs:', '  R: {Type: AWS::IAM::Role}\nOutputs:')
        self.refused('InsufficientCapabilitiesException', self.change_set, body=iam)

    def test_the_same_again(self):
        first = self.change_set(ClientToken='t')
        self.assertEqual(self.change_set(ClientToken='t')['Id'], first['Id'], 'the same token is the same request')
        self.refused('AlreadyExistsException', self.change_set, ClientToken='u')
        self.refused('ChangeSetNotFound', self.c.describe_change_set, StackName=self.name, ChangeSetName='other')

    def test_executed_once_only(self):
        self.run_it('CREATE_COMPLETE')
        self.refused('InvalidChangeSetStatus', self.c.execute_change_set, StackName=self.name, ChangeSetName='first')

    def test_update_without_a_change_fails(self):
        self.run_it('CREATE_COMPLETE')
        change = self.ready(name='second', kind='UPDATE')
        self.assertEqual((change['Status'], change['ExecutionStatus']), ('FAILED', 'UNAVAILABLE'))
        self.assertIn("didn't contain changes", change['StatusReason'])

    def test_update_adds_and_goes_back(self):
        self.run_it('CREATE_COMPLETE')
        two = GROUP.replace('Outputs:', '''  Second:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: {Protocol: HTTP, Port: 81, TargetType: KIND, VpcId: !Ref Vpc}
Outputs:''')
        self.run_it('UPDATE_ROLLBACK_COMPLETE', body=two.replace('KIND', 'nonsense'), name='bad', kind='UPDATE')
        self.assertNotIn('Second', self.cfn.find(self.name).resources)
        self.run_it('UPDATE_COMPLETE', body=two.replace('KIND', 'ip'), name='good', kind='UPDATE')
        self.assertIn('Second', self.cfn.find(self.name).resources)

    def test_delete(self):
        self.run_it('CREATE_COMPLETE')
        stack = self.stack()
        self.c.delete_stack(StackName=self.name, ClientRequestToken='del')
        self.until('deletion', lambda: self.stack(stack['StackId'])['StackStatus'] == 'DELETE_COMPLETE')
        self.refused('ValidationError', self.c.describe_stacks, StackName=self.name)
        self.assertEqual(self.told(stack['StackId'])[-3:], [('Group', 'DELETE_IN_PROGRESS'), ('Group', 'DELETE_COMPLETE'),
                                                            (self.name, 'DELETE_COMPLETE')])
        self.c.delete_stack(StackName=self.name)  # once more is no error

    def test_delete_of_what_is_in_use_fails(self):
        self.run_it('CREATE_COMPLETE')
        arn = self.stack()['Outputs'][0]['OutputValue']
        self.client('elbv2').modify_rule(RuleArn=self.rule, Actions=[forward((self.groups[0], 999), (arn, 0))])
        self.c.delete_stack(StackName=self.name)
        self.until('failure', lambda: self.stack()['StackStatus'] == 'DELETE_FAILED')
        self.client('elbv2').modify_rule(RuleArn=self.rule, Actions=[forward((self.groups[0], 999))])
        stack = self.stack()['StackId']
        self.c.delete_stack(StackName=self.name)
        self.until('deletion', lambda: self.stack(stack)['StackStatus'] == 'DELETE_COMPLETE')


class Templates(unittest.TestCase):
    def test_functions(self):
        read = template.read('''
Parameters: {Name: {Type: String}, Many: {Type: CommaDelimitedList}}
Conditions: {IsA: !Equals [!Ref Name, a], Other: !Not [!Condition IsA]}
Resources: {R: {Type: T}, S: {Type: T, DependsOn: R}, Q: {Type: T, Properties: {x: !GetAtt S.A.B}}}
''')
        scope = template.Scope(read, {'Name': 'a', 'Many': 'x,y'}, {'AWS::Region': 'here'}, lambda n: 'id-' + n,
                               lambda n, a: f'{n}/{a}')
        for source, value in (('!Ref R', 'id-R'), ('!Sub "${Name}-${R.Arn}-${AWS::Region}-${!x}"', 'a-R/Arn-here-${x}'),
                              ('!Sub ["${k}", {k: !Ref Name}]', 'a'), ('!Join ["-", !Ref Many]', 'x-y'),
                              ('!Select [1, !Split [",", "p,q"]]', 'q'), ('!If [IsA, 1, 2]', 1), ('!If [Other, 1, 2]', 2),
                              ('{a: !If [IsA, !Ref "AWS::NoValue", 2], b: 3}', {'b': 3})):
            import yaml
            self.assertEqual(scope.resolve(yaml.load(source, template.Loader)), value, source)
        self.assertEqual(template.order(read, ['Q', 'R', 'S']), ['R', 'S', 'Q'])

    def test_circles(self):
        read = template.read('Resources: {A: {Type: T, DependsOn: B}, B: {Type: T, DependsOn: A}}')
        with self.assertRaisesRegex(ApiError, 'Circular'):
            template.order(read, ['A', 'B'])

    def test_parameter_rules(self):
        read = template.read('Parameters: {N: {Type: Number, MinValue: 1, MaxValue: 3}, P: {Type: String, AllowedPattern: "[a-z]+", Default: x}}\nResources: {R: {Type: T}}')

        def given(**values):
            return template.parameters(read, [{'ParameterKey': k, 'ParameterValue': v} for k, v in values.items()])
        self.assertEqual(given(N='2'), {'N': '2', 'P': 'x'})
        for values in ({'N': '4'}, {'N': 'x'}, {'N': '1', 'P': 'X'}, {'P': 'x'}):
            with self.assertRaises(ApiError):
                given(**values)


if __name__ == '__main__':
    unittest.main()

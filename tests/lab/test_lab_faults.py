"""Faults do what they say: what is lost was done, what is refused was not."""
import datetime
import unittest

from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

import elb
from labtest import ApiTest, forward
from schedules import Schedules


class Faults(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.listener, cls.rule, cls.groups = cls.balancer()

    def tearDown(self):
        self.api.faults.clear()

    def set(self, weight):
        return self.client('elbv2').modify_rule(RuleArn=self.rule, Actions=[forward((self.groups[0], weight))])

    def weight(self):
        return elb.rule_weights(elb.find_rule(self.rule)[1])[self.groups[0]]

    def strike(self, kind, **more):
        self.set(1)
        self.api.faults.add([kind], who='tester', **{'count': 1, **more})

    def test_throttled_is_not_done(self):
        self.strike('throttle')
        self.refused('Throttling', self.set, weight=2)
        self.assertEqual(self.weight(), 1)
        self.set(2)
        self.assertEqual(self.weight(), 2)

    def test_json_services_throttle_in_their_own_way(self):
        self.strike('throttle')
        self.refused('ThrottlingException', self.client('ecs').describe_clusters)

    def test_error_is_not_done(self):
        self.strike('error')
        self.refused('InternalFailure', self.set, weight=2)
        self.assertEqual(self.weight(), 1)

    def test_reset_is_not_done(self):
        self.strike('reset')
        with self.assertRaises((ConnectionClosedError, HTTPClientError)):
            self.set(2)
        self.assertEqual(self.weight(), 1)

    def test_lost_is_done(self):
        self.strike('lost')
        with self.assertRaises((ConnectionClosedError, HTTPClientError)):
            self.set(2)
        self.assertEqual(self.weight(), 2)

    def test_truncated_is_done_and_is_no_answer(self):
        self.strike('truncate')
        with self.assertRaises(Exception) as caught:
            self.set(2)
        self.assertNotIsInstance(caught.exception, ClientError)
        self.assertEqual(self.weight(), 2)

    def test_only_whom_it_is_meant_for(self):
        self.api.faults.add(['throttle'], who='tester', action='DescribeRules')
        self.set(3)
        self.refused('Throttling', self.client('elbv2').describe_rules, RuleArns=[self.rule])
        other = self.client('elbv2', self.api.new_key('somebody'))
        self.assertEqual(len(other.describe_rules(RuleArns=[self.rule])['Rules']), 1)

    def test_share_and_skip(self):
        self.api.faults.add(['throttle'], who='tester', share=0.3)
        hits = sum(self.fails() for _ in range(100))
        self.assertTrue(10 < hits < 55, hits)
        self.api.faults.clear()
        self.api.faults.add(['throttle'], who='tester', skip=2, count=1)
        self.assertEqual([self.fails() for _ in range(4)], [False, False, True, False])

    def fails(self):
        try:
            self.client('elbv2').describe_rules(RuleArns=[self.rule])
            return False
        except ClientError:
            return True


class Firing(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.listener, cls.rule, cls.groups = cls.balancer()
        cls.schedules = Schedules(cls.client)
        cls.schedules.install(cls.api)

    def put(self, at='2030-01-01T00:00:00', **more):
        import json
        target = {'Arn': 'arn:aws:scheduler:::aws-sdk:elasticloadbalancingv2:modifyRule', 'RoleArn': 'arn:aws:iam::123456789012:role/x',
                  'Input': json.dumps({'RuleArn': self.rule, 'Actions': [forward((self.groups[0], 5))]})}
        return self.client('scheduler').create_schedule(**{
            'Name': 'switch', 'ScheduleExpression': f'at({at})', 'FlexibleTimeWindow': {'Mode': 'OFF'}, 'Target': target,
            'ActionAfterCompletion': 'DELETE', **more})

    def test_it_fires_when_due_and_is_gone(self):
        self.put()
        due = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
        self.schedules.tick(due - datetime.timedelta(seconds=1))
        self.assertEqual(elb.rule_weights(elb.find_rule(self.rule)[1]), {self.groups[0]: 999})
        self.schedules.tick(due)
        self.assertEqual(elb.rule_weights(elb.find_rule(self.rule)[1]), {self.groups[0]: 5})
        self.refused('ResourceNotFoundException', self.client('scheduler').get_schedule, Name='switch')

    def test_what_is_refused(self):
        self.refused('ValidationException', self.put, at='garbage')
        self.refused('ValidationException', self.put, at='2030-13-01T00:00:00')
        self.refused('ValidationException', self.put, FlexibleTimeWindow={'Mode': 'OFF', 'MaximumWindowInMinutes': 5})
        for arn in ('arn:aws:scheduler:::aws-sdk:elasticloadbalancingv2:describeRules', 'arn:aws:lambda:eu-central-1:1:function:x'):
            self.refused('ValidationException', self.put, Target={'Arn': arn, 'RoleArn': 'arn:aws:iam::123456789012:role/x'})


if __name__ == '__main__':
    unittest.main()

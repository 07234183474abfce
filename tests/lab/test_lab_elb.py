"""Load balancing: what AWS refuses, how it tells rules, and how targets become healthy."""
import http.server
import threading
import time
import unittest

import elb
import health
from labtest import ApiTest, forward
from procs import free_port


class Rules(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.listener, cls.rule, cls.groups = cls.balancer()

    def modify(self, *actions, checked=True):
        return self.client('elbv2', checked=checked).modify_rule(RuleArn=self.rule, Actions=list(actions))

    def refused_actions(self, code, *actions, checked=True):
        before = self.weights()
        message = self.refused(code, self.modify_raw, actions=actions, checked=checked)
        self.assertEqual(self.weights(), before, 'a refused change must change nothing')
        return message

    def modify_raw(self, actions, checked):
        return self.modify(*actions, checked=checked)

    def weights(self):
        rule = self.client('elbv2').describe_rules(RuleArns=[self.rule])['Rules'][0]
        return elb.weights_of(rule['Actions'])

    def test_weights_are_kept(self):
        self.modify(forward((self.groups[0], 0), (self.groups[1], 999)))
        self.assertEqual(self.weights(), {self.groups[0]: 0, self.groups[1]: 999})

    def test_weights_out_of_range(self):
        for weight in (1000, -1, 99999):
            self.refused_actions('ValidationError', forward((self.groups[0], weight), (self.groups[1], 1)))

    def test_weight_that_is_no_number(self):
        self.refused_actions('MalformedInput', forward((self.groups[0], 'abc')), checked=False)

    def test_six_groups(self):
        self.refused_actions('TooManyTargetGroups', forward(*((g, 1) for g in self.groups[:6])))
        self.modify(forward(*((g, 1) for g in self.groups[:5])))

    def test_one_group_twice(self):
        self.refused_actions('InvalidLoadBalancerAction', forward((self.groups[0], 1), (self.groups[0], 2)))

    def test_unknown_group(self):
        self.refused_actions('TargetGroupNotFound', forward((self.groups[0], 1), (self.groups[1] + '0', 1)))

    def test_both_ways_must_agree(self):
        action = forward((self.groups[0], 1), (self.groups[1], 1))
        self.refused_actions('InvalidLoadBalancerAction', {**action, 'TargetGroupArn': self.groups[0]})

    def test_stickiness(self):
        for seconds in (0, 604801):
            self.refused_actions('ValidationError', forward((self.groups[0], 1), TargetGroupStickinessConfig={
                'Enabled': True, 'DurationSeconds': seconds}))
        self.client('elbv2').modify_target_group_attributes(TargetGroupArn=self.groups[6], Attributes=[
            {'Key': 'stickiness.enabled', 'Value': 'true'}])
        self.refused_actions('InvalidConfigurationRequest', forward((self.groups[0], 1), (self.groups[6], 1)))

    def test_actions_need_an_end(self):
        self.refused_actions('InvalidLoadBalancerAction', forward((self.groups[0], 1)), forward((self.groups[1], 1)))

    def test_default_rule(self):
        rules = self.client('elbv2').describe_rules(ListenerArn=self.listener)['Rules']
        default = next(r['RuleArn'] for r in rules if r['IsDefault'])
        self.refused('OperationNotPermitted', self.client('elbv2').modify_rule, RuleArn=default,
                     Actions=[forward((self.groups[0], 1))])

    def test_unknown_rule(self):
        self.refused('RuleNotFound', self.client('elbv2').modify_rule, RuleArn=self.rule[:-1] + 'x',
                     Actions=[forward((self.groups[0], 1))])
        self.refused('RuleNotFound', self.client('elbv2').describe_rules, RuleArns=[self.rule[:-1] + 'x'])

    def test_one_group_is_told_both_ways(self):
        self.modify(forward((self.groups[0], 7)))
        action = self.client('elbv2').describe_rules(RuleArns=[self.rule])['Rules'][0]['Actions'][0]
        self.assertEqual(action['TargetGroupArn'], self.groups[0])
        self.assertEqual(action['ForwardConfig']['TargetGroups'], [{'TargetGroupArn': self.groups[0], 'Weight': 7}])
        self.modify(forward((self.groups[0], 7), (self.groups[1], 1)))
        action = self.client('elbv2').describe_rules(RuleArns=[self.rule])['Rules'][0]['Actions'][0]
        self.assertNotIn('TargetGroupArn', action)

    def test_listener_is_checked_too(self):
        self.refused('ValidationError', self.client('elbv2').modify_listener, ListenerArn=self.listener,
                     DefaultActions=[forward((self.groups[0], 1000))])
        self.refused('TargetGroupNotFound', self.client('elbv2').modify_listener, ListenerArn=self.listener,
                     DefaultActions=[forward((self.groups[0] + '0', 1))])

    def test_rules_come_by_priority_and_in_pages(self):
        client = self.client('elbv2')
        for priority in (30, 20):
            client.create_rule(ListenerArn=self.listener, Priority=priority, Actions=[forward((self.groups[0], 1))],
                               Conditions=[{'Field': 'path-pattern', 'Values': [f'/{priority}']}])
        seen, marker = [], {}
        while True:
            page = client.describe_rules(ListenerArn=self.listener, PageSize=2, **marker)
            seen += [r['Priority'] for r in page['Rules']]
            if 'NextMarker' not in page:
                break
            marker = {'Marker': page['NextMarker']}
        self.assertEqual(seen, ['10', '20', '30', 'default'])


class Target(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args):
        pass


class TargetHealth(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.listener, cls.rule, cls.groups = cls.balancer()
        cls.vpc = elb.backend().target_groups[cls.groups[0]].vpc_id
        cls.health.start()

    @classmethod
    def tearDownClass(cls):
        cls.health.end()
        super().tearDownClass()

    def states(self, arn):
        told = self.client('elbv2').describe_target_health(TargetGroupArn=arn)['TargetHealthDescriptions']
        return [(t['TargetHealth']['State'], t['TargetHealth'].get('Reason')) for t in told]

    def until(self, arn, want, seconds=60):
        end = time.monotonic() + seconds
        while self.states(arn) != want:
            self.assertLess(time.monotonic(), end, f'{self.states(arn)} never became {want}')
            time.sleep(0.05)

    def group(self, **more):
        client = self.client('elbv2')
        arn = client.create_target_group(Name=f'h{time.monotonic_ns() % 10**9}', Protocol='HTTP', Port=80, TargetType='ip',
                                         VpcId=self.vpc, HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
                                         HealthyThresholdCount=2, UnhealthyThresholdCount=2, **more)['TargetGroups'][0]['TargetGroupArn']
        client.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[
            {'Key': 'deregistration_delay.timeout_seconds', 'Value': '5'}])
        return arn

    def test_the_life_of_a_target(self):
        server = http.server.HTTPServer(('127.0.0.1', 0), Target)
        server.status = 200
        threading.Thread(target=server.serve_forever, daemon=True).start()
        arn, port = self.group(), server.server_address[1]
        self.health.register(arn, '127.0.0.1', port)
        time.sleep(0.5)
        self.assertEqual(self.states(arn), [('unused', 'Target.NotInUse')], 'no rule names the group')
        self.client('elbv2').modify_rule(RuleArn=self.rule, Actions=[forward((self.groups[0], 999), (arn, 0))])
        self.until(arn, [('healthy', None)])
        server.status = 500
        self.until(arn, [('unhealthy', 'Target.ResponseCodeMismatch')])
        server.status = 200
        self.until(arn, [('healthy', None)])
        server.shutdown()
        server.server_close()
        self.until(arn, [('unhealthy', 'Target.FailedHealthChecks')])
        self.health.deregister(arn, '127.0.0.1', port)
        self.assertEqual(self.states(arn), [('draining', 'Target.DeregistrationInProgress')])
        self.until(arn, [])

    def test_never_answered_is_initial_and_then_unhealthy(self):
        target = health.Target('127.0.0.1', free_port())
        health.judge(target, 'Target.Timeout', 'Request timed out', 2, 2)
        self.assertEqual((target.state, target.reason), ('initial', 'Elb.InitialHealthChecking'))
        health.judge(target, 'Target.Timeout', 'Request timed out', 2, 2)
        self.assertEqual((target.state, target.reason), ('unhealthy', 'Target.Timeout'))
        health.judge(target, None, None, 2, 2)
        self.assertEqual(target.state, 'unhealthy', 'one pass is not enough')

    def test_unknown_group(self):
        self.refused('TargetGroupNotFound', self.client('elbv2').describe_target_health, TargetGroupArn=self.groups[0] + '0')


if __name__ == '__main__':
    unittest.main()

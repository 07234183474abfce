"""For the lab's own tests: the AWS end alone, no wiki and no proxy."""
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import cloudwatch
import elb
from aws_api import REGION, Api, Server
from health import Health


class ApiTest(unittest.TestCase):
    """One API per class; self.client(service) signs as 'tester'."""

    @classmethod
    def setUpClass(cls):
        from moto.elbv2.models import elbv2_backends
        from moto.ecs.models import ecs_backends
        from moto.scheduler.models import scheduler_backends
        for backends in (elbv2_backends, ecs_backends, scheduler_backends):
            backends.reset()
        cls.api = Api()
        cls.health = Health()
        cls.metrics = cloudwatch.Metrics(delay=(0, 0))
        cls.alarms = cloudwatch.Alarms(cls.metrics, lag=0)
        elb.install(cls.api, cls.health)
        cloudwatch.install(cls.api, cls.metrics, cls.alarms)
        cls.server = Server(cls.api)
        cls.key, cls.made = cls.api.new_key('tester'), {}

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    @classmethod
    def client(cls, service, key=None, checked=True):
        """checked=False: without botocore's own validation, which would refuse before we can."""
        if (service, key, checked) not in cls.made:
            use = key or cls.key
            cls.made[service, key, checked] = boto3.session.Session().client(
                service, region_name=REGION, endpoint_url=cls.server.url, aws_access_key_id=use.id,
                aws_secret_access_key=use.secret, aws_session_token=use.token,
                config=Config(retries={'total_max_attempts': 1}, parameter_validation=checked, disable_request_compression=True))
        return cls.made[service, key, checked]

    def refused(self, code, call, **params):
        with self.assertRaises(ClientError) as caught:
            call(**params)
        self.assertEqual(caught.exception.response['Error']['Code'], code, caught.exception)
        return caught.exception.response['Error']['Message']

    @classmethod
    def balancer(cls):
        """(listener, rule, [target groups]) of a balancer with one rule."""
        client = cls.client('elbv2')
        subnets = cls.client('ec2').describe_subnets()['Subnets'][:2]
        lb = client.create_load_balancer(Name='t', Subnets=[s['SubnetId'] for s in subnets])['LoadBalancers'][0]
        groups = [client.create_target_group(Name=f't{i}', Protocol='HTTP', Port=80, VpcId=subnets[0]['VpcId'], TargetType='ip')
                  ['TargetGroups'][0]['TargetGroupArn'] for i in range(7)]
        listener = client.create_listener(LoadBalancerArn=lb['LoadBalancerArn'], Protocol='HTTP', Port=80, DefaultActions=[
            {'Type': 'fixed-response', 'FixedResponseConfig': {'StatusCode': '503'}}])['Listeners'][0]['ListenerArn']
        rule = client.create_rule(ListenerArn=listener, Priority=10, Conditions=[{'Field': 'path-pattern', 'Values': ['/*']}],
                                  Actions=[forward((groups[0], 999))])['Rules'][0]['RuleArn']
        return listener, rule, groups


def forward(*groups, **config):
    return {'Type': 'forward', 'ForwardConfig': {
        'TargetGroups': [{'TargetGroupArn': a, 'Weight': w} for a, w in groups], **config}}

"""Requests that AWS's own models do not allow are refused, whoever signed them."""
import json
import unittest
import urllib.error
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aws_api import REGION
from labtest import ApiTest

ELB = 'Action=ModifyRule&Version=2015-12-01&RuleArn=arn:aws:x'
ACTION = '&Actions.member.1.Type=forward&Actions.member.1.TargetGroupArn=arn'


class Shape(ApiTest):
    def send(self, service, body, path='/', method='POST', **headers):
        """(status, code, body) of a signed request that no SDK would send."""
        headers = {'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8', **headers}
        data = body.encode() if isinstance(body, str) else body
        request = AWSRequest(method, self.server.url + path, data=data, headers=headers)
        SigV4Auth(Credentials(self.key.id, self.key.secret), service, REGION).add_auth(request)
        plain = urllib.request.Request(self.server.url + path, data, dict(request.headers), method=method)
        try:
            with urllib.request.urlopen(plain) as answer:
                return answer.status, '', answer.read().decode()
        except urllib.error.HTTPError as e:
            text = e.read().decode()
            code = json.loads(text)['__type'] if text.startswith('{') else text.partition('<Code>')[2].partition('</Code>')[0]
            return e.code, code, text

    def elb(self, body):
        return self.send('elasticloadbalancing', body)[1]

    def json_call(self, service, target, body, version, **more):
        return self.send(service, body if isinstance(body, str) else json.dumps(body),
                         **{'Content-Type': 'application/x-amz-json-' + version, 'X-Amz-Target': target, **more})[1]

    def test_a_good_shape_gets_further(self):
        self.assertEqual(self.elb(ELB + ACTION), 'RuleNotFound')

    def test_query(self):
        for body, code in ((ELB + ACTION + '&Bogus=1', 'ValidationError'),
                           (ELB + ACTION.replace('member.1', 'member.3'), 'ValidationError'),
                           (ELB + ACTION.replace('.member', ''), 'ValidationError'),
                           (ELB.replace('&RuleArn=arn:aws:x', '') + ACTION, 'ValidationError'),
                           (ELB + ACTION.replace('forward', 'fly'), 'ValidationError'),
                           (ELB + ACTION + '&RuleArn=again', 'ValidationError'),
                           (ELB.replace('2015-12-01', '2012-06-01') + ACTION, 'NoSuchVersion'),
                           (ELB.replace('ModifyRule', 'ModifyRules') + ACTION, 'InvalidAction'),
                           ('', 'MissingAction'), ('Action', 'MalformedQueryString')):
            self.assertEqual(self.elb(body), code, body)

    def test_page_size_out_of_range(self):
        self.assertEqual(self.elb('Action=DescribeTargetGroups&Version=2015-12-01&PageSize=401'), 'ValidationError')

    def test_json(self):
        target = 'AmazonEC2ContainerServiceV20141113.DescribeServices'
        good = {'cluster': 'c', 'services': ['s']}
        self.assertEqual(self.json_call('ecs', target, good, '1.1'), 'ClusterNotFoundException')
        for body in ({'cluster': 'c'}, {**good, 'bogus': 1}, {**good, 'services': 's'}, {**good, 'include': ['EVERYTHING']}):
            self.assertEqual(self.json_call('ecs', target, body, '1.1'), 'ValidationException', body)
        self.assertEqual(self.json_call('ecs', target, good, '1.0'), 'SerializationException')
        self.assertEqual(self.json_call('ecs', target, '{"services": [', '1.1'), 'SerializationException')
        self.assertEqual(self.json_call('ecs', 'Wrong.DescribeServices', good, '1.1'), 'UnknownOperationException')
        self.assertEqual(self.json_call('ecs', target + 's', good, '1.1'), 'UnknownOperationException')

    def test_rest(self):
        good = {'ScheduleExpression': 'at(2030-01-01T00:00:00)', 'FlexibleTimeWindow': {'Mode': 'OFF'},
                'Target': {'Arn': 'arn:aws:scheduler:::aws-sdk:elasticloadbalancingv2:modifyRule',
                           'RoleArn': 'arn:aws:iam::123456789012:role/x'}}

        def put(body, path='/schedules/name'):
            return self.send('scheduler', json.dumps(body), path, **{'Content-Type': 'application/json'})[:2]
        self.assertEqual(put(good)[0], 200)
        self.assertEqual(put({**good, 'Bogus': 1})[1], 'ValidationException')
        self.assertEqual(put({**good, 'Name': 'in the body'})[1], 'ValidationException')
        self.assertEqual(put({**good, 'FlexibleTimeWindow': {'Mode': 'SOMETIMES'}})[1], 'ValidationException')
        self.assertEqual(put({'ScheduleExpression': 'x'})[1], 'ValidationException')
        self.assertEqual(put(good, '/schedules/bad%20name')[1], 'ValidationException')
        self.assertEqual(put(good, '/schedule/name')[0], 404)
        self.assertEqual(put(good, '/schedules/name?bogus=1')[1], 'ValidationException')

    def test_errors_have_the_form_of_their_protocol(self):
        text = self.send('elasticloadbalancing', ELB + ACTION)[2]
        self.assertIn('<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">', text)
        text = self.send('ecs', '{}', **{'Content-Type': 'application/x-amz-json-1.1',
                                         'X-Amz-Target': 'AmazonEC2ContainerServiceV20141113.DescribeServices'})[2]
        self.assertEqual(set(json.loads(text)), {'__type', 'message'})

    def test_unsigned_gets_nothing(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(self.server.url, b'Action=GetCallerIdentity&Version=2011-06-15'))
        self.assertEqual(caught.exception.code, 403)

    def test_another_region_gets_nothing(self):
        import boto3
        other = boto3.session.Session().client('sts', region_name='us-east-1', endpoint_url=self.server.url,
                                               aws_access_key_id=self.key.id, aws_secret_access_key=self.key.secret)
        self.refused('SignatureDoesNotMatch', other.get_caller_identity)


if __name__ == '__main__':
    unittest.main()

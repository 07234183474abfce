"""Signatures: botocore's own are taken, and each way to be wrong is refused."""
import datetime
import time
import unittest

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import signature
from aws_api import Request
from errors import ApiError

KEYS = {'AKIAA': signature.Key('one', 'AKIAA', 'secret-a'),
        'ASIAB': signature.Key('two', 'ASIAB', 'secret-b', token='token-b'),
        'ASIAC': signature.Key('three', 'ASIAC', 'secret-c', token='token-c', expires=1000.0)}
URL = 'http://127.0.0.1:4000/'


def signed(key_id='AKIAA', secret='secret-a', token=None, body=b'Action=X&Version=1', url=URL, method='POST', service='sts'):
    request = AWSRequest(method, url, data=body, headers={'Content-Type': 'text/plain', 'Host': '127.0.0.1:4000'})
    SigV4Auth(Credentials(key_id, secret, token), service, 'eu-central-1').add_auth(request)
    headers = {k.lower(): v for k, v in request.headers.items()}
    return Request(method, url[len('http://127.0.0.1:4000'):], headers, body)


class Signature(unittest.TestCase):
    def refused(self, code, request, now=None):
        with self.assertRaises(ApiError) as caught:
            signature.verify(request, KEYS, now)
        self.assertEqual(caught.exception.code, code)

    def test_good_ones(self):
        self.assertEqual(signature.verify(signed(), KEYS)[0].who, 'one')
        self.assertEqual(signature.verify(signed('ASIAB', 'secret-b', 'token-b'), KEYS)[0].who, 'two')
        self.assertEqual(signature.verify(signed(), KEYS)[1:], ('eu-central-1', 'sts'))
        for target in ('schedules/a%20b%2Fc?groupName=x%2By&b=&a=2', 'a/../b//c', '?z=1&a=2&a=1'):
            signature.verify(signed(url=URL + target, method='GET', body=b''), KEYS)

    def test_unsigned(self):
        request = signed()
        del request.headers['authorization']
        self.refused('MissingAuthenticationToken', request)

    def test_wrong_secret(self):
        self.refused('SignatureDoesNotMatch', signed(secret='another'))

    def test_unknown_key(self):
        self.refused('InvalidClientTokenId', signed('AKIAX'))

    def test_changed_after_signing(self):
        for change in ({'body': b'Action=Y&Version=1'}, {'method': 'PUT'}, {'path': '/x'}, {'query': 'a=1'}):
            request = signed()
            for name, value in change.items():
                setattr(request, name, value)
            self.refused('SignatureDoesNotMatch', request)
        request = signed()
        request.headers['host'] = '127.0.0.1:4001'
        self.refused('SignatureDoesNotMatch', request)

    def test_session_token(self):
        self.refused('InvalidClientTokenId', signed('ASIAB', 'secret-b'))
        self.refused('InvalidClientTokenId', signed('ASIAB', 'secret-b', 'token-x'))
        self.refused('InvalidClientTokenId', signed(token='one too many'))
        self.refused('ExpiredToken', signed('ASIAC', 'secret-c', 'token-c'))

    def test_clock(self):
        signature.verify(signed(), KEYS, time.time() + 290)
        self.refused('SignatureDoesNotMatch', signed(), time.time() + 310)
        self.refused('SignatureDoesNotMatch', signed(), time.time() - 310)

    def test_date_and_scope_differ(self):
        request = signed()
        day = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%d')
        request.headers['authorization'] = request.headers['authorization'].replace(f'/{day}/', '/20010101/')
        self.refused('IncompleteSignature', request)

    def test_unsigned_amz_header(self):
        request = signed()
        request.headers['x-amz-target'] = 'Something.Else'
        self.refused('SignatureDoesNotMatch', request)

    def test_payload_header_must_be_true(self):
        request = signed()
        request.headers['x-amz-content-sha256'] = '0' * 64
        self.refused('SignatureDoesNotMatch', request)

    def test_header_order_and_form(self):
        request = signed()
        request.headers['authorization'] = request.headers['authorization'].replace('content-type;host', 'host;content-type')
        self.refused('SignatureDoesNotMatch', request)
        request = signed()
        request.headers['authorization'] = request.headers['authorization'].replace('AWS4-HMAC-SHA256', 'AWS3')
        self.refused('IncompleteSignature', request)


if __name__ == '__main__':
    unittest.main()

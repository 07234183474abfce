#!/usr/bin/env python3
"""Random requests signed by us and by botocore: both must say the same.

usage: sigv4_botocore.py [N [SEED]]   (PYTHON with botocore; CC; ends with a plain
"N passed, N failed" line, exit 1 when anything differs or nothing ran)
"""
import json
import os
import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, quote

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

if os.environ.get('PYTHON') and not os.environ.get('SIGV4_PYTHON_CHOSEN'):
    os.environ['SIGV4_PYTHON_CHOSEN'] = '1'
    os.execvp(os.environ['PYTHON'], [os.environ['PYTHON'], *sys.argv])

try:
    from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    sys.exit('sigv4_botocore.py: this python has no botocore: set PYTHON to one that has')

ODD = 'aZ09-_.~ /+=&%$!*\'(),:;@?#"<>|\\^`{}[]äß€漢😀\t'


def build():
    """The driver, from the same sources as the program."""
    out = os.path.join(ROOT, 'build', 'tools', 'sign')
    os.makedirs(os.path.dirname(out), exist_ok=True)
    src = ['tests/tools/sign.c', 'controller/aws/sigv4.c', 'controller/base/buf.c',
           'controller/base/json.c', 'controller/base/text.c']
    subprocess.run([os.environ.get('CC', 'gcc'), '-std=gnu17', '-D_GNU_SOURCE', '-g', '-O1',
                    '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-Icontroller',
                    *src, '-o', out, '-ljansson', '-lcrypto'], cwd=ROOT, check=True)
    return out


def word(r, most=12, least=0, chars=ODD):
    return ''.join(r.choice(chars) for _ in range(r.randint(least, most)))


def path(r, s3):
    parts = [quote(word(r, 8, 1), safe='') for _ in range(r.randint(0, 4))]
    if parts and parts[-1] in ('.', '..'):
        parts[-1] = 'end'  # RFC 3986 leaves a slash after a last dot, botocore does not
    p = '/' + '/'.join(parts)
    return p + '/' if parts and not s3 and r.random() < .2 else p


def random_request(r):
    presign, s3 = r.random() < .35, r.random() < .25
    when = datetime(2015, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=r.randrange(10 ** 9))
    method = r.choice(['GET', 'POST', 'PUT', 'DELETE', 'HEAD'])
    plain = 'abcdefghijklmnopqrstuvwxyz0123456789-'
    head = [['host', word(r, 12, 3, plain).strip('-') + '.example.com' + r.choice(['', ':8443'])]]
    if not presign:
        for _ in range(r.randint(0, 4)):
            head.append(['X-Amz-' + word(r, 8, 1, 'ABCabcxyz019'), word(r, 20, 1, 'ab \t,;=xyz09"')])
    names = set()
    head = [h for h in head if not (h[0].lower() in names or names.add(h[0].lower()))]
    query = [[word(r, 8, 1), word(r)] for _ in range(r.randint(0, 6))]
    names.clear()  # botocore joins repeated names of presigned queries
    query = [q for q in query if not (q[0] in names or names.add(q[0]))]
    return {'method': method, 'path': path(r, s3), 'query': query, 'head': head,
            'body': None if presign or method in ('GET', 'HEAD') else word(r, 200),
            'region': r.choice(['us-east-1', 'eu-central-1', 'cn-north-1']),
            'service': 's3' if s3 else r.choice(['sts', 'ecs', 'monitoring', 'rds-db', 'scheduler']),
            'when': when.strftime('%Y%m%dT%H%M%SZ'), 's3': s3, 'presign': presign,
            'expires': r.randint(1, 604800), 'id': 'AKIDEXAMPLE' + word(r, 4, 0, 'XYZ'),
            'secret': word(r, 40, 8, 'abcXYZ019/+'),
            'token': word(r, 60, 1, 'abcXYZ019/+=') if r.random() < .5 else None}


def botocore_signature(q):
    creds = Credentials(q['id'], q['secret'], q['token'])
    query = '&'.join(quote(k, safe='-_.~') + '=' + quote(v, safe='-_.~') for k, v in q['query'])
    url = 'https://' + q['head'][0][1] + q['path'] + ('?' + query if query else '')
    req = AWSRequest(q['method'], url, headers=dict(map(tuple, q['head'][1:])),
                     data=(q['body'] or '').encode())
    req.headers['host'] = q['head'][0][1]
    req.context['timestamp'] = q['when']
    req.context['payload_signing_enabled'] = True
    if q['presign']:
        kind = S3SigV4QueryAuth if q['s3'] else SigV4QueryAuth
        auth = kind(creds, q['service'], q['region'], expires=q['expires'])
        auth._modify_request_before_signing(req)
    else:
        kind = S3SigV4Auth if q['s3'] else SigV4Auth
        auth = kind(creds, q['service'], q['region'])
        auth._modify_request_before_signing(req)
    canonical = auth.canonical_request(req)
    return auth.signature(auth.string_to_sign(req, canonical), req), canonical


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2 ** 32)
    r = random.Random(seed)
    asked = [random_request(r) for _ in range(n)]
    ours = subprocess.run([build()], input='\n'.join(map(json.dumps, asked)), text=True,
                          stdout=subprocess.PIPE, check=True).stdout.splitlines()
    good = bad = 0
    for q, line in zip(asked, ours):
        got = json.loads(line)
        want, canonical = botocore_signature(q)
        same = got['signature'] == want
        if same and q['presign']:
            same = parse_qs(got['auth'])['X-Amz-Signature'] == [want]
        good, bad = good + same, bad + (not same)
        if not same and bad <= 3:
            print(f'differs (seed {seed}): {json.dumps(q)}\n--- botocore\n{canonical}\n--- ours\n'
                  f'{got["canonical"]}')
    missing = n - len(ours)
    print(f'sigv4 against botocore, seed {seed}')
    print(f'{good} passed, {bad + missing} failed')
    return 1 if bad or missing or not good else 0


sys.exit(main())

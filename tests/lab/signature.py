"""Signature Version 4, checked twice: by this verifier, written from the
specification, and by botocore's own signer as a second opinion.

docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""
import datetime
import hashlib
import hmac
import re
import time
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from errors import ApiError

ALGORITHM = 'AWS4-HMAC-SHA256'
SKEW_S = 300
AUTHORIZATION = re.compile(
    ALGORITHM + r' Credential=([^,\s/]+)/(\d{8})/([^,\s/]+)/([^,\s/]+)/aws4_request,'
    r'\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})')


class Key:
    """One access key and who it belongs to."""

    def __init__(self, who, key_id, secret, token=None, expires=None):
        self.who, self.id, self.secret, self.token, self.expires = who, key_id, secret, token, expires


def quote(text):
    return urllib.parse.quote(text, safe='-_.~')


def refuse(code, message, status=403):
    raise ApiError(code, message, status)


def canonical_query(query):
    pairs = (p.partition('=') for p in query.split('&') if p)
    return '&'.join(sorted(quote(urllib.parse.unquote(k)) + '=' + quote(urllib.parse.unquote(v))
                           for k, _, v in pairs))


def signed_value(request, name):
    value = request.headers.get(name)
    if value is None:
        refuse('SignatureDoesNotMatch', f'The signed header {name} is not in the request')
    return re.sub(' +', ' ', value.strip())


def derive(secret, *scope):
    key = ('AWS4' + secret).encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def check_time(request, date, now):
    stamp = request.headers.get('x-amz-date', '')
    if not re.fullmatch(r'\d{8}T\d{6}Z', stamp) or stamp[:8] != date:
        refuse('IncompleteSignature', 'Date in Credential scope does not match X-Amz-Date', 400)
    then = datetime.datetime.strptime(stamp, '%Y%m%dT%H%M%SZ').replace(tzinfo=datetime.timezone.utc)
    age = now - then.timestamp()
    if age > SKEW_S:
        refuse('SignatureDoesNotMatch', f'Signature expired: {stamp} is now earlier than the clock minus 5 min.')
    if age < -SKEW_S:
        refuse('SignatureDoesNotMatch', f'Signature not yet current: {stamp} is still later than the clock plus 5 min.')
    return stamp


def check_key(request, keys, key_id, now):
    key = keys.get(key_id)
    if key is None or (request.headers.get('x-amz-security-token') or None) != key.token:
        refuse('InvalidClientTokenId', 'The security token included in the request is invalid.')
    if key.expires is not None and now >= key.expires:
        refuse('ExpiredToken', 'The security token included in the request is expired')
    return key


def check_headers(request, signed):
    if signed != sorted(signed) or 'host' not in signed:
        refuse('SignatureDoesNotMatch', 'SignedHeaders must be sorted and name host')
    for name in request.headers:
        if name.startswith('x-amz-') and name not in signed:
            refuse('SignatureDoesNotMatch', f'The header {name} is not signed')


def normal_path(path):
    """Without dot segments and doubled slashes (RFC 3986); S3 alone keeps them."""
    parts = []
    for part in path.split('/'):
        if part == '..':
            parts = parts[:-1]
        elif part not in ('', '.'):
            parts.append(part)
    return '/' + '/'.join(parts) + ('/' if parts and path.endswith('/') else '')


def canonical_request(request, signed, digest):
    path = '/'.join(quote(part) for part in normal_path(request.path).split('/'))
    lines = ''.join(f'{name}:{signed_value(request, name)}\n' for name in signed)
    return '\n'.join([request.method, path, canonical_query(request.query), lines, ';'.join(signed), digest])


def second_opinion(request, key, region, service, stamp, signed):
    auth = SigV4Auth(Credentials(key.id, key.secret, key.token), service, region)
    theirs = AWSRequest(request.method, 'http://' + request.headers['host'] + request.target,
                        data=request.body, headers={n: signed_value(request, n) for n in signed})
    theirs.context['timestamp'] = stamp
    return auth.signature(auth.string_to_sign(theirs, auth.canonical_request(theirs)), theirs)


def verify(request, keys, now=None):
    """The Key that signed this request, its region and its service; ApiError when
    AWS would refuse it."""
    now = time.time() if now is None else now
    header = request.headers.get('authorization')
    if not header:
        refuse('MissingAuthenticationToken', 'Request is missing Authentication Token')
    match = AUTHORIZATION.fullmatch(header)
    if not match:
        refuse('IncompleteSignature', 'The Authorization header is not in the form of Signature Version 4', 400)
    key_id, date, region, service, names, signature = match.groups()
    signed = names.split(';')
    stamp = check_time(request, date, now)
    key = check_key(request, keys, key_id, now)
    check_headers(request, signed)
    digest = hashlib.sha256(request.body).hexdigest()
    if request.headers.get('x-amz-content-sha256', digest) != digest:
        refuse('SignatureDoesNotMatch', 'x-amz-content-sha256 is not the digest of the body')
    canonical = canonical_request(request, signed, digest)
    text = '\n'.join([ALGORITHM, stamp, f'{date}/{region}/{service}/aws4_request',
                      hashlib.sha256(canonical.encode()).hexdigest()])
    own = hmac.new(derive(key.secret, date, region, service, 'aws4_request'), text.encode(),
                   hashlib.sha256).hexdigest()
    theirs = second_opinion(request, key, region, service, stamp, signed)
    if not hmac.compare_digest(own, signature):
        agree = 'agrees with us' if theirs == own else f'says {theirs}'
        refuse('SignatureDoesNotMatch',
               f'The request signature we calculated does not match. botocore {agree}. '
               f'The canonical string was\n{canonical}')
    if theirs != signature:
        refuse('SignatureDoesNotMatch', 'our verifier accepts this signature, botocore does not')
    return key, region, service

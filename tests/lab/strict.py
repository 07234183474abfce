"""Is this request one that the AWS service's own model allows?

The model is botocore's. The parser is moto's; its result is checked with
botocore's validator plus what that one leaves out (enum, maximum, pattern), and
serialised again: keys that do not come back were unknown, misspelt or had a gap
in their numbering, all of which moto would silently drop.
"""
import json
import re
import urllib.parse

import botocore.serialize
import botocore.validate
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.responses import get_service_model
from werkzeug.datastructures import MultiDict

from errors import ApiError

SERVICES = {  # signing name: botocore's name
    'elasticloadbalancing': 'elbv2', 'monitoring': 'cloudwatch', 'cloudformation': 'cloudformation',
    'sts': 'sts', 'ecs': 'ecs', 'scheduler': 'scheduler', 'ec2': 'ec2', 'iam': 'iam',
    'rds': 'rds', 'secretsmanager': 'secretsmanager',
}
FORM = 'application/x-www-form-urlencoded'
MODELS = {}


def model(name):
    if name not in MODELS:
        MODELS[name] = get_service_model(name)  # botocore's data in moto's classes
    return MODELS[name]


class Call:
    """A checked request: .service ('elbv2'), .action, .params, .op (its model), .protocol."""

    def __init__(self, service, op, params, protocol):
        self.service, self.op, self.params, self.protocol = service, op, params, protocol
        self.action = op.name


def bad(protocol, text):
    code = {'query': 'ValidationError', 'ec2': 'ValidationError', 'json': 'ValidationException'}
    return ApiError(code.get(protocol, 'ValidationException'), text)


def check_value(shape, value, path, protocol):
    """What ParamValidator leaves out: enum, maximum, pattern; and unknown members."""
    kind = shape.type_name
    if kind == 'structure':
        for name, inner in value.items():
            if name not in shape.members:
                raise bad(protocol, f'unknown member {path}.{name}')
            check_value(shape.members[name], inner, f'{path}.{name}', protocol)
    elif kind == 'list':
        check_range(shape, len(value), path, 'length', protocol)
        for i, inner in enumerate(value):
            check_value(shape.member, inner, f'{path}[{i}]', protocol)
    elif kind == 'map':
        for key, inner in value.items():
            check_value(shape.value, inner, f'{path}[{key}]', protocol)
    elif kind in ('integer', 'long', 'float', 'double'):
        check_range(shape, value, path, 'value', protocol)
    elif kind == 'string':
        check_range(shape, len(value), path, 'length', protocol)
        check_text(shape, value, path, protocol)


def check_range(shape, number, path, what, protocol):
    low, high = shape.metadata.get('min'), shape.metadata.get('max')
    if (low is not None and number < low) or (high is not None and number > high):
        raise bad(protocol, f"Value at '{path}' failed to satisfy constraint: {what} must be {low}..{high}, is {number}")


def check_text(shape, value, path, protocol):
    allowed = getattr(shape, 'enum', None)
    if allowed and value not in allowed:
        raise bad(protocol, f"Value '{value}' at '{path}' failed to satisfy constraint: "
                            f"Member must satisfy enum value set: {list(allowed)}")
    pattern = shape.metadata.get('pattern')
    if pattern and not java_match(pattern, value):
        raise bad(protocol, f"Value '{value}' at '{path}' failed to satisfy constraint: "
                            f"Member must satisfy regular expression pattern: {pattern}")


def java_match(pattern, value):
    for theirs, ours in ((r'\p{L}', 'A-Za-z\u00aa-\uffff'), (r'\p{Z}', ' \u00a0'), (r'\p{N}', '0-9'),
                         (r'\p{Alnum}', 'A-Za-z0-9'), (r'\p{Alpha}', 'A-Za-z')):
        pattern = pattern.replace(theirs, ours)
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # a Java expression that Python cannot read: AWS decides, not we
        return True


def check_model(op, params, protocol):
    shape = op.input_shape
    if shape is None:
        return
    check_value(shape, params, '', protocol)
    report = botocore.validate.ParamValidator().validate(params, shape)
    if report.has_errors():
        raise bad(protocol, report.generate_report())


def operation(service, action, protocol):
    try:
        return model(service).operation_model(action)
    except botocore.exceptions.ClientError as e:
        raise ApiError('InvalidAction', str(e)) from e
    except Exception as e:
        code = 'UnknownOperationException' if protocol == 'json' else 'InvalidAction'
        raise ApiError(code, f'Could not find operation {action}') from e


def text_of(value):
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return str(value)


def parse_query(service, request):
    protocol = 'ec2' if service == 'ec2' else 'query'
    try:
        pairs = urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True)
    except ValueError as e:
        raise ApiError('MalformedQueryString', str(e)) from e
    sent = dict(pairs)
    if 'Action' not in sent:
        raise ApiError('MissingAction', 'The request must contain the parameter Action')
    if len(sent) != len(pairs):
        raise bad(protocol, 'a parameter is there twice')
    wanted = model(service).api_version
    if sent.get('Version') != wanted:
        raise ApiError('NoSuchVersion', f"Version {sent.get('Version')!r}, this service has {wanted}")
    op = operation(service, sent.get('Action', ''), protocol)
    try:
        params = PROTOCOL_PARSERS[protocol](op).parse({
            'method': 'POST', 'values': MultiDict(pairs), 'headers': {}, 'body': request.body,
            'url_path': '/', 'url_params': {}})
    except ValueError as e:
        raise ApiError('MalformedInput', str(e)) from e
    check_model(op, params, protocol)
    again = botocore.serialize.create_serializer(protocol, False).serialize_to_request(params, op)['body']
    again = {k: text_of(v) for k, v in again.items()}
    if set(sent) != set(again):
        raise bad(protocol, f'parameters not in the model: {sorted(set(sent) - set(again))}, '
                            f'lost on the way: {sorted(set(again) - set(sent))}')
    return Call(service, op, params, protocol)


def parse_json_body(body):
    try:
        value = json.loads(body or b'{}')
    except ValueError as e:
        raise ApiError('SerializationException', str(e)) from e
    if not isinstance(value, dict):
        raise ApiError('SerializationException', 'the body is not an object')
    return value


def parse_json(service, request):
    meta = model(service).metadata
    prefix, _, action = request.headers.get('x-amz-target', '').partition('.')
    if prefix != meta['targetPrefix']:
        raise ApiError('UnknownOperationException', f"X-Amz-Target {prefix!r}, this service has {meta['targetPrefix']}")
    wanted = 'application/x-amz-json-' + meta['jsonVersion']
    if request.headers.get('content-type') != wanted:
        raise ApiError('SerializationException', f"Content-Type {request.headers.get('content-type')!r}, not {wanted}")
    op = operation(service, action, 'json')
    params = parse_json_body(request.body)
    check_model(op, params, 'json')
    return Call(service, op, params, 'json')


def rest_operation(service, request):
    """(operation, labels) whose HTTP binding this method and path are."""
    for name in model(service).operation_names:
        op = model(service).operation_model(name)
        uri = op.http['requestUri'].partition('?')[0]
        names = re.findall(r'{(\w+)}', uri)
        pattern = re.sub(r'{\w+}', '([^/]+)', uri)
        match = re.fullmatch(pattern, request.path)
        if match and op.http['method'] == request.method:
            return op, dict(zip(names, map(urllib.parse.unquote, match.groups())))
    raise ApiError('UnknownOperationException', f'{request.method} {request.path} is no operation of {service}', 404)


def parse_rest(service, request):
    op, labels = rest_operation(service, request)
    query = dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))
    params = parse_json_body(request.body)
    for name, shape in (op.input_shape.members if op.input_shape else {}).items():
        where, key = shape.serialization.get('location'), shape.serialization.get('name', name)
        if where is None:
            continue
        if name in params:
            raise ApiError('ValidationException', f'{name} belongs into the {where}, not into the body')
        source = labels if where == 'uri' else query
        if key in source:
            params[name] = source.pop(key)
    if query:
        raise ApiError('ValidationException', f'unknown query parameters {sorted(query)}')
    if request.body and request.headers.get('content-type') != 'application/json':
        raise ApiError('ValidationException', f"Content-Type {request.headers.get('content-type')!r}, not application/json")
    check_model(op, params, 'rest-json')
    return Call(service, op, params, 'rest-json')


def parse(signing_name, request):
    """A Call, or ApiError when the service's model does not allow the request."""
    service = SERVICES.get(signing_name)
    if service is None:
        raise ApiError('UnrecognizedClientException', f'the lab has no service {signing_name}', 403)
    if service == 'scheduler':
        return parse_rest(service, request)
    if 'x-amz-target' in request.headers:
        return parse_json(service, request)
    if not request.headers.get('content-type', '').startswith(FORM) or request.method != 'POST':
        raise ApiError('InvalidAction', 'neither a Query nor a JSON request')
    if service in ('ecs', 'scheduler'):
        raise ApiError('UnknownOperationException', f'{service} does not speak the Query protocol')
    return parse_query(service, request)

#!/usr/bin/env python3
"""Every error code that the service models declare for our operations is in
aws/codes.c, and aws/ops.c names services, versions and targets as they do.

usage: codes_botocore.py   (PYTHON with botocore; ends with "N passed, N failed")
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
AWS = os.path.join(os.path.dirname(HERE), 'controller', 'aws')

if os.environ.get('PYTHON') and not os.environ.get('CODES_PYTHON_CHOSEN'):
    os.environ['CODES_PYTHON_CHOSEN'] = '1'
    os.execvp(os.environ['PYTHON'], [os.environ['PYTHON'], *sys.argv])

try:
    import botocore.session
except ImportError:
    sys.exit('codes_botocore.py: this python has no botocore: set PYTHON to one that has')

# our macro in ops.c -> the model's name
MODELS = {'ELB': 'elbv2', 'CFN': 'cloudformation', 'STS': 'sts', 'CW': 'cloudwatch', 'ECS': 'ecs',
          'PLAN': 'scheduler', 'SECRETS': 'secretsmanager', 'RDS': 'rds'}
# made outside the table, by cred_sts.c
MORE = [('STS', 'AssumeRole'), ('STS', 'AssumeRoleWithWebIdentity')]


def text(name):
    with open(os.path.join(AWS, name), encoding='utf-8') as f:
        return f.read()


def code_of(shape):
    return shape.metadata.get('error', {}).get('code') or shape.name


def main():
    ops, codes = text('ops.c'), set(re.findall(r'\{ "(\w+)", ERR_', text('codes.c')))
    macros = dict(re.findall(r'#define (\w+)\(op\)\s+op, (.*)', ops))
    session, good, bad = botocore.session.get_session(), 0, []
    used = re.findall(r'= \{ (\w+)\("(\w+)"\), (true|false)', ops)
    for macro, op in [u[:2] for u in used] + MORE:
        model = session.get_service_model(MODELS[macro])
        service, version = re.match(r'"([^"]*)", "([^"]*)"', macros[macro]).groups()
        target = model.metadata.get('targetPrefix') or ''
        checks = [(f'{op} exists', op in model.operation_names),
                  (f'{op} service {service}', service in (model.signing_name, model.endpoint_prefix)),
                  (f'{op} version {version}', version in (model.api_version, target))]
        if op in model.operation_names:
            checks += [(f'{op} {code_of(s)}', code_of(s) in codes or s.name in codes)
                       for s in model.operation_model(op).error_shapes]
        good += sum(ok for _, ok in checks)
        bad += [what for what, ok in checks if not ok]
    for what in bad:
        print('not so:', what)
    print(f'{good} passed, {len(bad)} failed')
    return 1 if bad or not used else 0


sys.exit(main())

"""The tools that read templates, each started once over many files: what a tool found
in a file of the same content is kept in build/templates/found.json.

A finding is (tool, file, id, resource, message). A tool that is missing, or that
fails by itself, is an error here and never an empty list.
"""
import hashlib
import json
import os
import platform
import subprocess

from resolve import HERE, ROOT

DIR = os.path.join(ROOT, 'build/templates')
NODE_MODULES = os.path.join(DIR, 'npm/node_modules')
GUARD = os.path.join(NODE_MODULES, '@cdklabs/cdk-validator-cfnguard/bin/ubuntu', platform.machine(), 'cfn-guard')
CONTROL_TOWER = os.path.join(NODE_MODULES, '@cdklabs/cdk-validator-cfnguard/rules/control-tower/cfn-guard')
OWN_RULES = os.path.join(HERE, 'mw.guard')
# What these stacks are made of; rules for other services would only be read.
SERVICES = ('certificatemanager cloudfront cloudwatch ec2 ec2autoscaling ecr ecs efs elasticache elasticloadbalancing '
            'identityandaccessmanagement keymanagementservice kinesis rds s3 sqs waf').split()


def node():
    own = os.path.join(DIR, 'node/node_modules')
    if os.path.isdir(own):
        return os.path.join(own, os.listdir(own)[0], 'bin/node')
    return 'node'


def read(path):
    with open(path, 'rb') as f:
        return f.read()


class Kept:
    """What was found before, by tool and content."""

    def __init__(self):
        self.path = os.path.join(DIR, 'found.json')
        try:
            self.all = json.loads(read(self.path))
        except (OSError, ValueError):
            self.all = {}
        self.used = {}

    def key(self, tool, about, path):
        return hashlib.sha256(b'\0'.join([tool.encode(), read(os.path.join(DIR, '.want')), about.encode(), read(path)])).hexdigest()

    def run(self, tool, files, about, ask):
        """files: {name: path}; about(name): what else decides; ask([names]) -> [(name, id, resource, message)]"""
        keys = {n: self.key(tool, about(n), p) for n, p in files.items()}
        new = [n for n in files if keys[n] not in self.all]
        if new:
            fresh = {n: [] for n in new}
            for name, *rest in ask(new):
                fresh[name].append(rest)
            for n in new:
                self.all[keys[n]] = fresh[n]
        self.used.update({k: self.all[k] for k in keys.values()})
        return [(tool, n, *f) for n in files for f in self.all[keys[n]]]

    def save(self):
        with open(self.path + '.new', 'w', encoding='utf-8') as f:
            json.dump(self.used, f)
        os.replace(self.path + '.new', self.path)


def lint(kept, files):
    def ask(names):
        by_path = {files[n]: n for n in names}
        run = subprocess.run([os.path.join(DIR, 'venv/bin/cfn-lint'), '-f', 'json', '-r', 'eu-west-1', 'us-east-1', '-c', 'I', '--', *by_path],
                             capture_output=True, text=True, check=False, cwd='/')  # no .cfnlintrc of anybody's
        if run.returncode not in (0, 2, 4, 6, 8, 10, 12, 14):
            raise RuntimeError('cfn-lint: ' + run.stderr[-500:])
        return [(by_path[f['Filename']], f['Rule']['Id'], '/'.join(str(p) for p in f['Location']['Path'] or []), f['Message'])
                for f in json.loads(run.stdout)]
    return kept.run('lint', files, lambda n: '', ask)


def resources_in(x, out):
    if isinstance(x, dict):
        path = x.get('path')
        if isinstance(path, str) and path.startswith('/Resources/'):
            out.add(path.split('/')[2])
        for v in x.values():
            resources_in(v, out)
    elif isinstance(x, list):
        for v in x:
            resources_in(v, out)
    return out


def guard_findings(names, files, rules):
    by_path = {files[n]: n for n in names}
    args = [a for r in rules for a in ('-r', r)] + [a for p in by_path for a in ('-d', p)]
    run = subprocess.run([GUARD, 'validate', '--structured', '-o', 'json', '--show-summary', 'none', *args],
                         capture_output=True, text=True, check=False)
    if run.returncode not in (0, 19):
        raise RuntimeError('cfn-guard: ' + (run.stderr or run.stdout)[-500:])
    by_base = {os.path.basename(p): n for p, n in by_path.items()}
    for report in json.loads(run.stdout):
        for broken in report['not_compliant']:
            rule = broken['Rule']['name']
            for resource in sorted(resources_in(broken, set())) or ['-']:
                yield by_base[os.path.basename(report['name'])], rule, resource, 'rule %s does not hold' % rule


def own_guard(kept, files):
    rules = read(OWN_RULES).decode()
    return kept.run('guard', files, lambda n: rules, lambda names: guard_findings(names, files, [OWN_RULES]))


def control_tower(kept, files):
    rules = [os.path.join(CONTROL_TOWER, s) for s in SERVICES if os.path.isdir(os.path.join(CONTROL_TOWER, s))]
    return kept.run('tower', files, lambda n: ' '.join(SERVICES), lambda names: guard_findings(names, files, rules))


def ask_node(asked):
    run = subprocess.run([node(), os.path.join(HERE, 'nag.js')], input=json.dumps({'nag': [], 'validate': [], **asked}), capture_output=True,
                         text=True, check=False, env={**os.environ, 'NODE_PATH': NODE_MODULES})
    if run.returncode:
        raise RuntimeError('nag.js: ' + run.stderr[-500:])
    found = json.loads(run.stdout)
    broken = [f for f in found if f['id'] == 'error']
    if broken:
        raise RuntimeError('%(tool)s could not read %(name)s: %(message)s' % broken[0])
    return [(f['name'], f['id'], f['resource'], f['message']) for f in found]


def nag(kept, files):
    program = read(os.path.join(HERE, 'nag.js')).decode()
    return kept.run('nag', files, lambda n: program, lambda names: ask_node({'nag': [{'name': n, 'path': files[n]} for n in names]}))


def validate(kept, files, given):
    """given: {name: (parameters, region)}"""
    program = read(os.path.join(HERE, 'nag.js')).decode()

    def about(name):
        return program + json.dumps(given[name], sort_keys=True)

    def ask(names):
        return ask_node({'validate': [{'name': n, 'path': files[n], 'parameters': given[n][0], 'region': given[n][1]} for n in names]})
    return kept.run('validate', files, about, ask)


def guard_test(kept, cases):
    """cases: [{"name", "input", "expectations"}] -> exit status and words of cfn-guard's own tests"""
    path = os.path.join(DIR, 'cases.json')
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(cases, f)
    rules = read(OWN_RULES).decode()

    def ask(names):
        run = subprocess.run([GUARD, 'test', '-r', OWN_RULES, '-t', path], capture_output=True, text=True, check=False)
        return [('cases', run.returncode, '-', run.stdout + run.stderr)]
    (_, _, code, _, out), = kept.run('test', {'cases': path}, lambda n: rules, ask)
    return code, out

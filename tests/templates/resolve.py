"""Templates as CloudFormation would see them for one choice of parameters: conditions
decided, references to parameters replaced. What only AWS can know stays as it is.

Rules that compare text see nothing under !If, !Ref or !Sub; on resolved templates
they do. Needs PyYAML, which cfn-lint brings along.
"""
import ipaddress
import json
import os
import re

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TEMPLATES = os.path.join(ROOT, 'templates')
ACCOUNT = '111122223333'  # AWS's own example
NOTHING = object()


class Loader(yaml.SafeLoader):
    pass


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix in ('Ref', 'Condition'):
        return {suffix: value}
    if suffix == 'GetAtt' and isinstance(value, str):
        value = value.split('.', 1)
    return {'Fn::' + suffix: value}


Loader.add_multi_constructor('!', short_form)
Loader.yaml_implicit_resolvers = {  # 2012-10-17 is text
    key: [(tag, r) for tag, r in rules if tag != 'tag:yaml.org,2002:timestamp']
    for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def load(path):
    with open(path, encoding='utf-8') as f:
        return yaml.load(f, Loader=Loader)


def template_names():
    return sorted(n for n in os.listdir(TEMPLATES) if n.endswith('.yaml'))


class Refused(Exception):
    """What CloudFormation would refuse before it made anything."""


class Resolver:
    def __init__(self, template, parameters, stack='mw-test-stack', region='eu-west-1'):
        self.t, self.region = template, region
        self.names = {
            'AWS::Region': region, 'AWS::AccountId': ACCOUNT, 'AWS::Partition': 'aws', 'AWS::URLSuffix': 'amazonaws.com',
            'AWS::StackName': stack, 'AWS::NoValue': NOTHING,
            'AWS::StackId': 'arn:aws:cloudformation:%s:%s:stack/%s/0f1e2d3c-aaaa-bbbb-cccc-001122334455' % (region, ACCOUNT, stack)}
        for name, p in template.get('Parameters', {}).items():
            self.names[name] = self.parameter(name, p, parameters)
        unknown = set(parameters) - set(template.get('Parameters', {}))
        if unknown:
            raise Refused('unknown parameters: ' + ', '.join(sorted(unknown)))
        self.assertions()

    @staticmethod
    def parameter(name, p, given):
        value = given.get(name, p.get('Default'))
        if value is None:
            raise Refused('parameter %s has no value' % name)
        text = str(value)
        if 'AllowedPattern' in p and not re.fullmatch(p['AllowedPattern'].lstrip('^').rstrip('$') if '|^' not in p['AllowedPattern']
                                                      else p['AllowedPattern'], text):
            raise Refused('%s: "%s" does not match %s' % (name, text, p['AllowedPattern']))
        if 'AllowedValues' in p and text not in [str(v) for v in p['AllowedValues']]:
            raise Refused('%s: "%s" is none of %s' % (name, text, p['AllowedValues']))
        if p['Type'] == 'Number':
            if float(text) < p.get('MinValue', float('-inf')) or float(text) > p.get('MaxValue', float('inf')):
                raise Refused('%s: %s is out of range' % (name, text))
            return int(text)
        if p['Type'].startswith('AWS::SSM::Parameter::Value<AWS::EC2::Image::Id'):
            return 'ami-0a1b2c3d4e5f60718'
        return text.split(',') if p['Type'].startswith(('List<', 'Comma')) else text

    def assertions(self):
        for name, rule in self.t.get('Rules', {}).items():
            if 'RuleCondition' in rule and not self.decide(rule['RuleCondition']):
                continue
            for a in rule['Assertions']:
                if not self.decide(a['Assert']):
                    raise Refused('%s: %s' % (name, a['AssertDescription']))

    def decide(self, x):
        (key, v), = x.items()
        if key == 'Condition':
            return self.decide(self.t['Conditions'][v])
        if key == 'Fn::Equals':
            a, b = (self.value(y) for y in v)
            return str(a) == str(b)
        return {'Fn::Not': lambda: not self.decide(v[0]), 'Fn::And': lambda: all(self.decide(y) for y in v),
                'Fn::Or': lambda: any(self.decide(y) for y in v)}[key]()

    def sub(self, v):
        text, own = (v, {}) if isinstance(v, str) else (v[0], {k: self.value(y) for k, y in v[1].items()})

        def one(m):
            found = own.get(m[1], self.names.get(m[1]))
            return m[0] if found is None or isinstance(found, (dict, list)) else str(found)
        text = re.sub(r'\$\{([A-Za-z0-9:.]+)\}', one, text)
        left = {k: y for k, y in own.items() if '${%s}' % k in text}
        if '${' not in text:
            return text
        return {'Fn::Sub': [text, left]} if left else {'Fn::Sub': text}

    def function(self, key, v):
        if key == 'Ref':
            return self.names.get(v, {'Ref': v})
        if key == 'Fn::If':
            return self.value(v[1] if self.decide({'Condition': v[0]}) else v[2])
        if key == 'Fn::Sub':
            return self.sub(v)
        if key == 'Fn::GetAZs':
            return [self.region + z for z in 'abc']
        w = self.value(v)
        if key == 'Fn::FindInMap':
            return self.t['Mappings'][w[0]][w[1]][w[2]]
        if key == 'Fn::Cidr' and isinstance(w[0], str):
            nets = ipaddress.ip_network(w[0]).subnets(new_prefix=32 - int(w[2]))
            return [str(n) for n, _ in zip(nets, range(int(w[1])))]
        if key == 'Fn::Select' and isinstance(w[1], list):
            return w[1][int(w[0])]
        if key == 'Fn::Split' and isinstance(w[1], str):
            return w[1].split(w[0])
        if key == 'Fn::Join' and isinstance(w[1], list) and all(isinstance(y, (str, int)) for y in w[1]):
            return w[0].join(str(y) for y in w[1])
        return {key: w}

    def value(self, x):
        if isinstance(x, dict):
            if len(x) == 1:
                (key, v), = x.items()
                if key == 'Ref' or key.startswith('Fn::'):
                    return self.function(key, v)
            pairs = ((k, self.value(v)) for k, v in x.items())
            return {k: v for k, v in pairs if v is not NOTHING}
        if isinstance(x, list):
            return [v for v in (self.value(y) for y in x) if v is not NOTHING]
        return x

    def there(self, r):
        return 'Condition' not in r or self.decide({'Condition': r['Condition']})

    def resolved(self):
        out = {'AWSTemplateFormatVersion': '2010-09-09', 'Description': self.t['Description'],
               'Parameters': self.t.get('Parameters', {})}
        for part in ('Resources', 'Outputs'):
            out[part] = {}
            for name, r in self.t.get(part, {}).items():
                if self.there(r):
                    out[part][name] = self.value({k: v for k, v in r.items() if k != 'Condition'})
        for r in out['Resources'].values():
            needs = [r['DependsOn']] if isinstance(r.get('DependsOn'), str) else r.get('DependsOn', [])
            if needs:
                r['DependsOn'] = [n for n in needs if n in out['Resources']]
        return out


# --- environments -------------------------------------------------------------------------------

# What AWS would answer, by the output's name; criterion 5 sees to it that each is one.
ANSWERS = {
    'VpcId': 'vpc-0a1b2c3d4e5f60718',
    'PublicSubnetIds': 'subnet-0aaaaaaaaaaaaaaa1,subnet-0aaaaaaaaaaaaaaa2',
    'PrivateSubnetIds': 'subnet-0bbbbbbbbbbbbbbb1,subnet-0bbbbbbbbbbbbbbb2',
    'DataSubnetIds': 'subnet-0ccccccccccccccc1,subnet-0ccccccccccccccc2',
    'EndpointClientSecurityGroupId': 'sg-0aaaaaaaaaaaaaaa1', 'DataClientSecurityGroupId': 'sg-0aaaaaaaaaaaaaaa2',
    'TaskSecurityGroupId': 'sg-0aaaaaaaaaaaaaaa3', 'StoreSecurityGroupId': 'sg-0aaaaaaaaaaaaaaa4',
    'KeyArn': 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
    'AlarmTopicArn': 'arn:aws:sns:eu-west-1:111122223333:alarms',
    'ClusterName': 'mw-test-platform-Cluster-1', 'AppLogGroup': 'mw-test-platform-AppLogGroup-1',
    'ClusterArn': 'arn:aws:ecs:eu-west-1:111122223333:cluster/mw-test-platform-Cluster-1',
    'AccessLogBucket': 'mw-test-platform-accesslogbucket-1', 'Ec2CapacityProvider': 'mw-test-platform-HostProvider-1',
    'HttpsListenerArn': 'arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/alb/50dc6c495c0c9188/f2f7dc8efc522ab2',
    'TestListenerArn': 'arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/alb/50dc6c495c0c9188/a2f7dc8efc522ab2',
    'LoadBalancerFullName': 'app/alb/50dc6c495c0c9188', 'LoadBalancerDnsName': 'alb-1.eu-west-1.elb.amazonaws.com',
    'DbClusterId': 'mw-test-data-dbcluster-1', 'DbClusterResourceId': 'cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ',
    'DbWriterEndpoint': 'writer.cluster-1.eu-west-1.rds.amazonaws.com', 'DbReaderEndpoint': 'reader.cluster-ro-1.eu-west-1.rds.amazonaws.com',
    'DbPort': '3306', 'DbSubnetGroupName': 'mw-test-data-dbsubnets-1', 'DbClusterParameterGroupName': 'mw-test-data-parameters-1',
    'AppDbSecretArn': 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:AppDb-1', 'SiteSecretArn': 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:Site-1',
    'MasterSecretArn': 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:Master-1', 'AdminSecretArn': 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:Admin-1',
    'UploadBucket': 'mw-test-data-uploadbucket-1', 'UploadBucketDomain': 'mw-test-data-uploadbucket-1.s3.eu-west-1.amazonaws.com',
    'EfsFileSystemId': 'fs-0123456789abcdef0', 'EfsAccessPointId': 'fsap-0123456789abcdef0', 'ControlAccessPointId': 'fsap-0123456789abcdef1',
    'CacheEndpoint': 'a.cache.amazonaws.com:11211,b.cache.amazonaws.com:11211',
    'TaskBoundaryArn': 'arn:aws:iam::111122223333:policy/mw-test-controller-TaskBoundary-1',
}
# What a person would set.
SETTINGS = {
    'AWS_REGION': 'eu-west-1', 'WIKI_ACCOUNT': ACCOUNT, 'WIKI_HOST': 'wiki.example.org', 'WIKI_READERS': '192.0.2.0/24', 'WIKI_TESTERS': '198.51.100.7/32',
    'WIKI_CERTIFICATE': 'arn:aws:acm:eu-west-1:111122223333:certificate/1', 'WIKI_CDN_CERTIFICATE': 'arn:aws:acm:us-east-1:111122223333:certificate/2',
    'WIKI_CONTROLLER': 'arn:aws:iam::111122223333:role/release-manager', 'WIKI_RELEASE': '1.43.11', 'WIKI_CLOUDFRONT_PREFIXES': 'pl-4fa04526',
    'WIKI_IMAGE': '111122223333.dkr.ecr.eu-west-1.amazonaws.com/mw-test@sha256:' + 'ab' * 32,
    'WIKI_LOG_ROUTER': 'public.ecr.aws/aws-observability/aws-for-fluent-bit@sha256:' + 'cd' * 32,
    'WIKI_SIEM': 'https://siem.example.org/collect', 'WIKI_SIEM_LOGIN_ARN': 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:Siem-1',
    'WIKI_SYSLOG': 'syslog.example.org', 'WIKI_SYSLOG_RANGE': '203.0.113.9/32',
}


def settings(text):
    def one(m):
        if m[1] not in SETTINGS and m[2] is None:
            raise Refused('${env:%s} is not known' % m[1])
        return SETTINGS.get(m[1], m[2])
    return re.sub(r'\$\{env:([A-Z0-9_]+)(?::-([^}]*))?\}', one, text)


class Stack:
    """One stack of a scenario: its template, what it gets, and what comes of it."""

    def __init__(self, scenario, entry, outputs, over):
        self.scenario, self.name = scenario, entry['name']
        self.template = os.path.basename(entry['template'])
        self.region = settings(entry.get('region', '${env:AWS_REGION}'))
        self.written = {k: settings(v) for k, v in {**entry.get('parameters', {}), **over}.items()}
        self.source = load(os.path.join(TEMPLATES, self.template))
        self.wired = {p: outputs[p] for p in self.source.get('Parameters', {}) if p in outputs and p not in self.written}
        self.parameters = {**self.wired, **self.written}
        self.resolved = Resolver(self.source, self.parameters, self.name, self.region).resolved()

    def outputs(self):
        out = {}
        for name, o in self.resolved['Outputs'].items():
            out[name] = o['Value'] if isinstance(o['Value'], (str, int)) else ANSWERS.get(name, 'made-by-aws-' + name.lower())
        three = 3 if self.parameters.get('AzCount') == '3' else 2
        for name in ('PublicSubnetIds', 'PrivateSubnetIds', 'DataSubnetIds'):
            if name in out:
                first = ANSWERS[name].split(',')[0]
                out[name] = ','.join(first[:-1] + str(i + 1) for i in range(three))
        return out


def scenario(name, described):
    """described: {"environment": NAME, "add": [entries], "with": {stack: {parameter: value}}}"""
    with open(os.path.join(ROOT, 'plans/environments', described['environment'] + '.json'), encoding='utf-8') as f:
        env = json.load(f)
    outputs, stacks = {}, []
    for entry in env['stacks'] + described.get('add', []):
        short = entry['name'].split('-', 2)[2]
        stack = Stack(name, entry, outputs, described.get('with', {}).get(short, {}))
        stacks.append(stack)
        if not short.startswith(('blue', 'green')):
            outputs.update(stack.outputs())
    return stacks


def scenarios():
    with open(os.path.join(HERE, 'scenarios.json'), encoding='utf-8') as f:
        return {name: scenario(name, d) for name, d in json.load(f).items() if not name.startswith('//')}

"""The forty acceptance criteria, each a check by its number. Those that look at
properties are rules of mw.guard, named after the criterion; here stands what needs
the sources, several templates at once, or arithmetic.

Each function gets a World and says what is wrong, as a list of sentences.
"""
import fnmatch
import glob
import json
import os
import re

from resolve import HERE, ROOT, TEMPLATES, Refused, Resolver, load

CHECKS = {}
LINES_MAX = 400
PROSE = ('AWSTemplateFormatVersion', 'Description', 'Metadata')
COLOUR_OUTPUTS = 'Color Release TargetGroupArn TargetGroupFullName ServiceName ServiceArn TaskDefinitionArn TestRuleArn AlarmNames ScalableTargetId'
EDGE_OUTPUTS = ('LoadBalancerArn LoadBalancerFullName LoadBalancerDnsName LoadBalancerZoneId HttpsListenerArn TestListenerArn '
                'TaskSecurityGroupId AppPort NoAnswerAlarmName')
TEMPLATE_FILES = ('10-network 20-platform 30-data 35-database-copy 40-edge 45-cdn 50-colour 55-setup 60-controller').split()
# ECS developer guide, task_definition_parameters "Task size"
FARGATE = {'256': (512, 2048), '512': (1024, 4096), '1024': (2048, 8192), '2048': (4096, 16384), '4096': (8192, 30720)}
# Aurora MySQL 3 versions that cfn-lint's data call deprecated
DEPRECATED = ('3.01', '3.02', '3.03', '3.05', '3.06', '3.07', '3.09', '3.11')


class World:
    def __init__(self, scenarios, guard_found, lint_found, other_found):
        self.scenarios = scenarios
        self.stacks = [s for stacks in scenarios.values() for s in stacks]
        self.guard_found, self.lint_found, self.other_found = guard_found, lint_found, other_found
        self.sources = {n + '.yaml': load(os.path.join(TEMPLATES, n + '.yaml')) for n in TEMPLATE_FILES}

    def of(self, template):
        return [s for s in self.stacks if s.template.startswith(template)]

    def each(self, *types):
        for s in self.stacks:
            for name, r in s.resolved['Resources'].items():
                if r['Type'] in types:
                    yield s, name, r

    def guarded(self, number):
        """What mw.guard's rules of this criterion found."""
        rule = 'c%02d_' % number
        rules = [r for r in rule_names() if r.startswith(rule)]
        bad = ['%s: %s at %s' % (f[1], f[2], f[3]) for f in self.guard_found if f[2].startswith(rule)]
        return bad if rules else ['mw.guard has no rule %s*' % rule]


def rule_names():
    with open(os.path.join(HERE, 'mw.guard'), encoding='utf-8') as f:
        return re.findall(r'^rule (\w+)', f.read(), re.M)


def criterion(number, text):
    def add(fn):
        CHECKS[number] = (text, fn)
        return fn
    return add


def by_guard(number, text, extra=None):
    CHECKS[number] = (text, lambda w: w.guarded(number) + (extra(w) if extra else []))


def refuses(world, template, why, **changes):
    """One resolved stack of that template, with something changed, must be refused, and for that reason."""
    stack = world.of(template)[0]
    try:
        Resolver(stack.source, {**stack.parameters, **changes}, stack.name)
    except Refused as e:
        return [] if why in str(e) else ['%s is refused for another reason: %s' % (changes, e)]
    return ['%s accepts %s' % (stack.template, changes)]


def policy_documents(stack):
    """(role or policy, statements) of identity policies."""
    for name, r in stack.resolved['Resources'].items():
        p = r.get('Properties', {})
        if r['Type'] == 'AWS::IAM::Role':
            for inline in p.get('Policies', []):
                yield name, inline['PolicyDocument']['Statement']
        elif r['Type'] == 'AWS::IAM::ManagedPolicy':
            yield name, p['PolicyDocument']['Statement']


def listed(x):
    return x if isinstance(x, list) else [x]


# --- structure --------------------------------------------------------------------------------


@criterion(1, 'templates are .yaml, one for each stack, below 400 lines, everything described')
def structure(w):
    bad = []
    there = sorted(os.path.basename(p) for p in glob.glob(os.path.join(TEMPLATES, '*')) if re.search(r'\.(ya?ml|template)$', p))
    if there != sorted(w.sources):
        bad.append('templates/ holds %s' % ', '.join(there))
    for name, t in w.sources.items():
        with open(os.path.join(TEMPLATES, name), encoding='utf-8') as f:
            text = f.read()
        if text.count('\n') >= LINES_MAX:
            bad.append('%s has %d lines' % (name, text.count('\n')))
        if len(text.encode()) > 51200:
            bad.append('%s is larger than a TemplateBody may be' % name)
        groups = t['Metadata']['AWS::CloudFormation::Interface']['ParameterGroups']
        grouped = [p for g in groups for p in g['Parameters']]
        if sorted(grouped) != sorted(t['Parameters']):
            bad.append('%s: groups and parameters differ: %s' % (name, sorted(set(grouped) ^ set(t['Parameters']))))
        for part in ('Parameters', 'Outputs'):
            bad += ['%s: %s has no description' % (name, k) for k, v in t[part].items() if len(v.get('Description', '')) < 4]
        if not t.get('Description'):
            bad.append('%s has no description' % name)
    return bad


@criterion(2, 'cfn-lint with informational checks in two regions finds nothing, and nothing is ignored globally')
def linted(w):
    bad = ['%s: %s %s: %s' % f[1:] for f in w.lint_found]
    bad += [p + ' configures cfn-lint' for p in ('.cfnlintrc', '.cfnlintrc.yaml', '.cfnlintrc.yml') if os.path.exists(os.path.join(ROOT, p))]
    bad += ['%s ignores checks for the whole template' % n for n, t in w.sources.items() if 'cfn-lint' in t.get('Metadata', {})]
    return bad


@criterion(3, "AWS's validator, cdk-nag and Control Tower's rules find nothing beyond the waivers, and no waiver is stale")
def waived(w):
    return w.other_found


@criterion(4, 'each guard rule has a case that passes and one that fails, and cfn-guard test agrees')
def guard_cases(w):
    cases = load(os.path.join(HERE, 'cases.json'))
    names = rule_names()
    return (['rule %s has no case' % r for r in names if r not in cases] +
            ['case %s is for no rule' % c for c in cases if c not in names and not c.startswith('//')])


@criterion(5, 'no ImportValue; what is wired is an output of an earlier stack')
def wiring(w):
    bad = ['%s uses ImportValue' % n for n, t in w.sources.items() if 'Fn::ImportValue' in json.dumps(t)]
    for stacks in w.scenarios.values():
        known = {}
        for s in stacks:
            bad += ['%s: %s comes from no earlier stack' % (s.name, p) for p in s.wired if p not in known]
            one_of_two = not s.name.endswith(('blue', 'green'))
            for output in s.resolved['Outputs']:
                if output in known and one_of_two:
                    bad.append('%s and %s both say %s' % (known[output], s.name, output))
                if one_of_two:
                    known[output] = s.name
    return bad


LITERALS = {
    'an account': r'(?<![0-9a-fA-Fx-])\d{12}(?![0-9a-fA-F-])', 'an availability zone': r'\b[a-z]{2}-[a-z]+-\d[a-f]\b',
    'a region': r'\b(eu|us|ap|sa|ca|me|af|il|mx)-(north|south|east|west|central)(east|west)?-\d\b', 'an image': r'\bami-[0-9a-f]{8,}',
    'an address': r'[\w.+-]+@[\w-]+\.[a-z]{2,}', 'a password': r'(?i)password["\']?\s*[:=]\s*["\']?[A-Za-z0-9!@#$%^&*]{6,}["\']?\s*$'}


@criterion(6, 'no account, region, zone, image, password or mail address in templates and environments')
def literals(w):
    bad = []
    for path in glob.glob(os.path.join(TEMPLATES, '*.yaml')) + glob.glob(os.path.join(ROOT, 'plans/environments/*.json')):
        with open(path, encoding='utf-8') as f:
            for n, line in enumerate(f, 1):
                if 'us-east-1' in line and ('45-cdn' in path or '"region": "us-east-1"' in line or 'exists in us-east-1 only' in line):
                    line = line.replace('us-east-1', '')  # AWS has CloudFront's firewall and certificates nowhere else
                line = re.sub(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '', line)  # ids of AWS's managed policies
                bad += ['%s:%d holds %s: %s' % (os.path.basename(path), n, what, line.strip()[:80]) for what, r in LITERALS.items() if re.search(r, line)]
    return bad


def lab_tests(*ends):
    """The lab's tests, which the part `lab` runs: an AWS on this machine makes the stacks."""
    path = os.path.join(ROOT, 'tests/lab/test_lab_stacks.py')
    if not os.path.exists(path):
        return ['there is no ' + path]
    with open(path, encoding='utf-8') as f:
        text = f.read()
    return ['test_lab_stacks.py has no test ..._%s' % e for e in ends if not re.search(r'^    def test_\w*%s\(self\):\n(?!        pass\b)' % e, text, re.M)]


@criterion(7, "the lab makes every stack in order and deletes them in reverse; what its AWS does not know is a committed list")
def made(w):
    bad = lab_tests('every_template_has_its_stack', 'applied', 'does_not_know', 'deleted_in_reverse')
    with open(os.path.join(ROOT, 'tests/lab/unknown_types.txt'), encoding='utf-8') as f:
        unknown = set(re.findall(r'^(AWS::\w+::\w+)', f.read(), re.M))
    ours = {r['Type'] for t in w.sources.values() for r in t['Resources'].values()}
    return bad + ['unknown_types.txt names %s, which no template has' % t for t in sorted(unknown - ours)]


# --- blue/green ---------------------------------------------------------------------------------


def pairs(w):
    for stacks in w.scenarios.values():
        blue = [s for s in stacks if s.name.endswith('-blue')]
        green = [s for s in stacks if s.name.endswith('-green')]
        if blue and green:
            yield blue[0].resolved['Resources'], green[0].resolved['Resources']


NAMED = ('Name', 'RoleName', 'ServiceName', 'Family', 'AlarmName', 'LogGroupName', 'FunctionName', 'BucketName', 'TopicName', 'TableName', 'RuleName',
         'GroupName', 'DBClusterIdentifier', 'QueueName')


@criterion(8, 'two colours of one template share no name')
def side_by_side(w):
    bad = []
    for blue, green in pairs(w):
        for name, r in blue.items():
            same = [k for k in NAMED if k in r.get('Properties', {}) and r['Properties'][k] == green.get(name, {}).get('Properties', {}).get(k)]
            bad += ['%s: both colours have %s' % (name, k) for k in same]
    return bad if list(pairs(w)) else ['no scenario has two colours']


by_guard(9, 'nothing in a colour has a fixed name')
by_guard(10, 'no weights in any template')
by_guard(11, 'listeners answer by themselves: 503 in production, 404 for tests')


def only_test_listener(w):
    rules = [r for n, t in w.sources.items() for r in t['Resources'].values() if r['Type'] == 'AWS::ElasticLoadBalancingV2::ListenerRule']
    return ['a rule is on %s' % r['Properties']['ListenerArn'] for r in rules if r['Properties']['ListenerArn'] != {'Ref': 'TestListenerArn'}]


by_guard(12, "a service waits for its own target group's rule, which is on the test listener only", only_test_listener)


@criterion(13, 'an update of the edge in the middle of a shift leaves the weights')
def weights_stay(w):
    return lab_tests('edge_changes_in_the_middle_of_a_shift', 'no_template_moves_traffic') + w.guarded(10)


def different_priorities(w):
    return ['both colours want priority %s' % b['TestRule']['Properties']['Priority'] for b, g in pairs(w)
            if b['TestRule']['Properties']['Priority'] == g['TestRule']['Properties']['Priority']]


by_guard(14, "the two colours' rules differ in priority and lead to their own group", different_priorities)


@criterion(15, 'colour and edge have exactly the outputs that a controller reads')
def outputs(w):
    bad = []
    for template, want in (('50-colour', COLOUR_OUTPUTS), ('40-edge', EDGE_OUTPUTS)):
        for s in w.of(template):
            if set(s.resolved['Outputs']) != set(want.split()):
                bad.append('%s: %s' % (s.name, sorted(set(s.resolved['Outputs']) ^ set(want.split()))))
    return bad


by_guard(16, 'a service rolls, with a circuit breaker, and no count of its own')


@criterion(17, 'an image is taken by digest only')
def digest(w):
    good = w.of('50-colour')[0].parameters['Image']
    return (refuses(w, '50-colour', 'Image', Image=good.split('@')[0] + ':1.43.11') + refuses(w, '50-colour', 'Image', Image=good[:-1]) +
            refuses(w, '50-colour', 'Image', Image='mediawiki') + refuses(w, '55-setup', 'Image', Image=good.split('@')[0] + ':latest'))


def release_parameters(w):
    there = w.sources['50-colour.yaml']['Parameters']
    return ['there is no parameter ' + p for p in ('Color', 'Release', 'Image') if p not in there] + refuses(w, '50-colour', 'Color', Color='red')


by_guard(18, 'colour, release and image are parameters, and tags reach group, service and tasks', release_parameters)


@criterion(19, 'stack policies deny replacing what carries traffic or data, and the environments name them')
def stack_policies(w):
    bad = []
    for file, want in (('colour', ['TargetGroup', 'Service']), ('edge', ['Alb', 'HttpsListener', 'TestListener']), ('data', ['DbCluster', 'Efs', 'UploadBucket'])):
        policy = load(os.path.join(TEMPLATES, 'policies', file + '.json'))
        denied = [r for s in policy['Statement'] if s['Effect'] == 'Deny' and {'Update:Replace', 'Update:Delete'} <= set(s['Action']) for r in s['Resource']]
        source = w.sources[{'colour': '50-colour', 'edge': '40-edge', 'data': '30-data'}[file] + '.yaml']['Resources']
        bad += ['%s.json does not deny replacing %s' % (file, r) for r in want if 'LogicalResourceId/' + r not in denied]
        bad += ['%s.json names %s, which is not there' % (file, r) for r in denied if r.split('/')[1] not in source]
    for path in glob.glob(os.path.join(ROOT, 'plans/environments/*.json')):
        for s in load(path)['stacks']:
            kind = {'30-data.yaml': 'data', '40-edge.yaml': 'edge', '50-colour.yaml': 'colour'}.get(os.path.basename(s['template']))
            if kind and not s.get('policy', '').endswith('policies/%s.json' % kind):
                bad.append('%s: %s has no policy' % (os.path.basename(path), s['name']))
    return bad


def draining_fits(w):
    bad = []
    for s in w.of('50-colour'):
        r = s.resolved['Resources']
        delay = {a['Key']: a['Value'] for a in r['TargetGroup']['Properties']['TargetGroupAttributes']}['deregistration_delay.timeout_seconds']
        stop = r['TaskDefinition']['Properties']['ContainerDefinitions'][0]['StopTimeout']
        if int(delay) > stop:
            bad.append('%s drains for %s s but is killed after %s' % (s.name, delay, stop))
    return bad


by_guard(20, 'stickiness off, draining shorter than stopping, healthy is 200, attributes known', draining_fits)

# --- security -----------------------------------------------------------------------------------


def client_range(w):
    bad = ['%s has a default' % p for p in ('ClientCidr', 'TestCidr') if 'Default' in w.sources['40-edge.yaml']['Parameters'][p]]
    bad += refuses(w, '40-edge', 'ClientCidr', ClientCidr='0.0.0.0/0') + refuses(w, '40-edge', 'TestCidr', TestCidr='0.0.0.0/0')
    for s, name, r in w.each('AWS::EC2::SecurityGroup'):
        ranges = [i for i in r['Properties'].get('SecurityGroupIngress', []) if 'CidrIp' in i]
        if ranges and name != 'AlbSecurityGroup':
            bad.append('%s/%s takes a range of addresses' % (s.name, name))
    return bad


by_guard(21, 'the only ranges that may come in are those of 443 and 8443 at the load balancer', client_range)
by_guard(22, 'stores trust one group; every group says what may go out')
by_guard(23, 'HTTPS with a TLS 1.3 policy and a certificate')
by_guard(24, 'everything stored or sent is encrypted')


def secret_values(w):
    bad = []
    for n, t in w.sources.items():
        for p, d in t['Parameters'].items():
            if re.search(r'(?i)secret|password|token', p) and not (p.endswith('Arn') and 'arn:' in d['AllowedPattern']) and p != 'DbCredentialMode':
                bad.append('%s: %s may hold a secret' % (n, p))
    return bad


by_guard(25, 'no secret is a parameter; passwords are references', secret_values)
by_guard(26, 'secrets reach containers as secrets')


@criterion(27, "what MediaWiki logs in with is not the master's secret")
def not_the_master(w):
    bad = ['%s may read the master\'s secret' % s.name for s in w.of('50-colour') if 'Master-1' in json.dumps(s.resolved['Resources'])]
    for s in w.of('50-colour'):
        froms = {x['Name']: x['ValueFrom'] for x in s.resolved['Resources']['TaskDefinition']['Properties']['ContainerDefinitions'][0]['Secrets']}
        bad += ['%s: %s is %s' % (s.name, n, froms.get(n)) for n in ('MW_DB_USER', 'MW_DB_PASSWORD') if ':AppDb-' not in str(froms.get(n))]
    return bad


def actions_of_aws():
    path, = glob.glob(os.path.join(ROOT, 'build/templates/venv/lib/python3*/site-packages/cfnlint/data/AdditionalSpecs/Policies.json'))
    with open(path, encoding='utf-8') as f:
        return json.load(f)


def least(w):
    bad, aws, seen = [], actions_of_aws(), set()
    for s in w.stacks:
        for name, statements in policy_documents(s):
            text = json.dumps(statements)
            if text in seen:
                continue
            seen.add(text)
            for st in statements:
                if st['Effect'] != 'Allow':
                    continue
                for a in listed(st['Action']):
                    service, action = a.lower().split(':')
                    known = aws.get(service, {}).get('Actions', {}).get(action)
                    if known is None:
                        bad.append('%s/%s: AWS has no action %s' % (s.name, name, a))
                    elif '*' in listed(st['Resource']) and known.get('Resources') and 'Condition' not in st:
                        bad.append('%s/%s: %s could be limited to a resource' % (s.name, name, a))
                    if a == 'iam:PassRole' and 'iam:PassedToService' not in json.dumps(st.get('Condition', {})):
                        bad.append('%s/%s passes roles to any service' % (s.name, name))
        for name, r in s.resolved['Resources'].items():
            inline = sum(len(json.dumps(p['PolicyDocument'], separators=(',', ':'))) for p in r.get('Properties', {}).get('Policies', []) if isinstance(p, dict) and 'PolicyDocument' in p)
            if r['Type'] == 'AWS::IAM::Role' and inline > 10240:  # IAM quotas
                bad.append('%s/%s: inline policies of %d characters' % (s.name, name, inline))
    return bad


by_guard(28, 'rights name actions and resources; roles are passed to one service and trusted for our account', least)

# What the controller may do beyond what it asks for over the network.
NOT_IN_OPS = {'iam:PassRole': 'named with CreateChangeSet, RunTask and CreateSchedule', 's3:GetObject': 'journals and templates', 's3:PutObject': 'journals',
              's3:ListBucket': 'journals', 'kms:Decrypt': "the store's key", 'kms:GenerateDataKey': "the store's key", 'rds-db:connect': 'schema steps log in',
              'cloudformation:TagResource': 'comes with CreateChangeSet'}
# What the program asks for that is no cutover: people who apply the shared stacks have rights of their own.
ONLY_STACKS = ('elasticloadbalancing:CreateRule elasticloadbalancing:DeleteRule cloudformation:GetTemplateSummary cloudformation:SetStackPolicy '
               'cloudformation:UpdateTerminationProtection cloudformation:DetectStackDrift cloudformation:DescribeStackDriftDetectionStatus '
               'cloudformation:DescribeStackResourceDrifts').split()


def controller_rights(stack):
    roles = stack.resolved['Resources']
    allowed, denied = set(), []
    for name in ('ControllerRole', 'DatabasePolicy'):
        p = roles[name]['Properties']
        documents = [x['PolicyDocument'] for x in p['Policies']] if 'Policies' in p else [p['PolicyDocument']]
        for st in (st for d in documents for st in d['Statement']):
            if st['Effect'] == 'Allow':
                allowed |= set(listed(st['Action']))
            else:
                denied.append(st)
    return allowed, denied


def program_asks():
    names = {'ELB': 'elasticloadbalancing', 'CFN': 'cloudformation', 'CW': 'cloudwatch', 'ECS': 'ecs', 'SECRETS': 'secretsmanager', 'PLAN': 'scheduler',
             'RDS': 'rds', 'STS': 'sts'}
    with open(os.path.join(ROOT, 'controller/aws/ops.c'), encoding='utf-8') as f:
        return {'%s:%s' % (names[m[0]], m[1]) for m in re.findall(r'=\s*\{ ([A-Z]+)\("(\w+)"\)', f.read())}


@criterion(29, 'the controller can touch neither a shared stack nor a listener, and may do what it does and no more')
def controller(w):
    bad = []
    for s in w.of('60-controller'):
        allowed, denied = controller_rights(s)
        for shared in ('network', 'platform', 'data', 'edge', 'cdn', 'controller'):
            for action in ('UpdateStack', 'DeleteStack', 'CreateChangeSet', 'ExecuteChangeSet', 'UpdateTerminationProtection'):
                if not any('cloudformation:' + action in listed(d['Action']) and any(('-%s/' % shared) in r for r in listed(d['Resource'])) for d in denied):
                    bad.append('%s: %s of %s is not denied' % (s.name, action, shared))
        for action in ('ModifyListener', 'DeleteListener', 'DeleteRule', 'SetRulePriorities'):
            if not any('elasticloadbalancing:' + action in listed(d['Action']) for d in denied):
                bad.append('%s: %s is not denied' % (s.name, action))
        wanted = program_asks() - {'sts:GetCallerIdentity'} - set(ONLY_STACKS)
        bad += ['%s: the program asks for %s, the role may not' % (s.name, a) for a in sorted(wanted - allowed - {'secretsmanager:GetSecretValue'})]
        spare = {a for a in allowed - wanted if a not in NOT_IN_OPS and not a.startswith('rds:')}
        bad += ['%s: the role may %s, the program never asks' % (s.name, a) for a in sorted(spare)]
    return bad


def amis(w):
    bad = []
    for n, t in w.sources.items():
        for name, r in t['Resources'].items():
            image = r.get('Properties', {}).get('LaunchTemplateData', {}).get('ImageId')
            if image and not t['Parameters'][image['Ref']]['Type'].startswith('AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>'):
                bad.append('%s/%s takes a fixed image' % (n, name))
    ssh = [s.name for s, name, r in w.each('AWS::EC2::SecurityGroup') for i in r['Properties'].get('SecurityGroupIngress', []) if i.get('FromPort') == 22]
    return bad + [n + ' lets SSH in' for n in ssh]


by_guard(30, 'hosts: IMDSv2, one hop, no SSH, image by SSM parameter', amis)


def owners(w):
    bad = []
    for s, name, r in w.each('AWS::S3::Bucket'):
        owner = r['Properties']['OwnershipControls']['Rules'][0]['ObjectOwnership']
        if owner != ('BucketOwnerPreferred' if name == 'UploadBucket' else 'BucketOwnerEnforced'):
            bad.append('%s/%s: %s' % (s.name, name, owner))
        policies = [p for p in s.resolved['Resources'].values() if p['Type'] == 'AWS::S3::BucketPolicy' and p['Properties']['Bucket'] == {'Ref': name}]
        if len(policies) != 1 or 'aws:SecureTransport' not in json.dumps(policies):
            bad.append('%s/%s has no policy that wants TLS' % (s.name, name))
        if name in ('AccessLogBucket', 'LogBucket') and 'AES256' not in json.dumps(r['Properties']['BucketEncryption']):
            bad.append('%s/%s: logs cannot be delivered to a bucket with a KMS default' % (s.name, name))
    return bad


by_guard(31, 'buckets: closed, TLS only, versioned, owned', owners)
by_guard(32, 'load balancer: protected, logged, strict, behind a firewall')

# --- durability and operation -------------------------------------------------------------------


def prod_backups(w):
    return ['%s keeps backups for %s days' % (s.name, r['Properties']['BackupRetentionPeriod']) for s, n, r in w.each('AWS::RDS::DBCluster')
            if s.scenario == 'prod' and s.name.endswith('-data') and r['Properties']['BackupRetentionPeriod'] < 35]


by_guard(33, 'what holds something is kept or leaves a snapshot', prod_backups)


def flow_logs(w):
    return ['%s writes no flow log' % s.name for s in w.of('20-platform') if not any(r['Type'] == 'AWS::EC2::FlowLog' for r in s.resolved['Resources'].values())]


by_guard(34, 'logs end some day, never stop the wiki, and the network has one', flow_logs)


def aurora(w):
    bad = []
    for s in w.of('30-data'):
        r = s.resolved['Resources']
        version = r['DbCluster']['Properties']['EngineVersion'].split('mysql_aurora.')[1]
        bad += ['%s: Aurora %s is deprecated' % (s.name, version) for d in DEPRECATED if version.startswith(d + '.')]
        readers = sum(1 for n in r if n.startswith('DbReader'))
        if s.scenario in ('prod', 'hosts') and readers < 1:
            bad.append('%s has no reader' % s.name)
        if len(r['DbSubnets']['Properties']['SubnetIds']) < 2:
            bad.append('%s is in one zone' % s.name)
    return bad


by_guard(35, 'Aurora MySQL 3, ready for blue/green, private, with a reader in production', aurora)


def credentials(w):
    bad = []
    for s in w.of('30-data'):
        p = s.resolved['Resources']['DbCluster']['Properties']
        managed = s.parameters.get('DbCredentialMode') == 'rds-managed'
        if managed == ('MasterUserPassword' in p) or managed != ('ManageMasterUserPassword' in p):
            bad.append('%s mixes an own and a managed password' % s.name)
    return bad if {s.parameters.get('DbCredentialMode') for s in w.of('30-data')} >= {None, 'rds-managed'} else ['both kinds must be in scenarios']


by_guard(36, 'own and managed passwords exclude each other; copies name nothing that they inherit', credentials)


def dimensions(w):
    bad = []
    for s in w.of('50-colour'):
        for name, r in s.resolved['Resources'].items():
            if r['Type'] != 'AWS::CloudWatch::Alarm':
                continue
            text = json.dumps(r['Properties'])
            if 'AWS/ApplicationELB' in text and ('"TargetGroupFullName"' not in text or 'app/alb/' not in text):
                bad.append('%s/%s does not use the full names' % (s.name, name))
            if str(r['Properties']['ActionsEnabled']) != s.parameters.get('AlarmActionsEnabled', 'false'):
                bad.append('%s/%s: actions' % (s.name, name))
    default = w.sources['50-colour.yaml']['Parameters']['AlarmActionsEnabled']['Default']
    return bad + (['an idle colour would wake people'] if default != 'false' else [])


by_guard(37, 'each colour is watched; silence has a meaning; an idle colour wakes nobody', dimensions)


def doubled(w):
    return ['%s: at most %s tasks, at least %s' % (s.name, r['Properties']['MaxCapacity'], r['Properties']['MinCapacity'])
            for s, n, r in w.each('AWS::ApplicationAutoScaling::ScalableTarget') if r['Properties']['MaxCapacity'] < 2 * r['Properties']['MinCapacity']]


by_guard(38, 'scaling tracks a target, from two tasks to at least twice the least', doubled)


def modes(w):
    there = {s.parameters.get('LaunchMode', 'FARGATE') for s in w.of('50-colour')}
    bad = [] if there == {'FARGATE', 'EC2'} else ['scenarios have %s only' % there]
    bad += refuses(w, '50-colour', 'Ec2NeedsHosts', LaunchMode='EC2', Ec2CapacityProvider='')
    bad += refuses(w, '50-colour', 'S3NeedsCdn', UploadStore='s3', UploadDomain='')
    bad += refuses(w, '50-colour', 'SyslogNeedsRouter', SyslogHost='syslog.example.org', LogRouterImage='')
    bad += refuses(w, '20-platform', 'SiemIsWhole', SiemHttpEndpoint='https://siem.example.org', SiemSecretArn='')
    sizes = w.sources['50-colour.yaml']['Mappings']['Task']
    for size in w.sources['50-colour.yaml']['Parameters']['Size']['AllowedValues']:
        low, high = FARGATE[sizes[size]['Cpu']]
        memory = int(sizes[size]['Memory'])
        if not low <= memory <= high or memory % 1024:
            bad.append('size %s is no pair that Fargate takes' % size)
    return bad


by_guard(39, 'Fargate and hosts both resolve; each size is a pair that Fargate takes; EC2 without hosts is refused', modes)


@criterion(40, 'templates/README.md answers each wish and each defect of the old setup with a template and a resource that is there')
def answered(w):
    with open(os.path.join(TEMPLATES, 'README.md'), encoding='utf-8') as f:
        text = f.read()
    bad = []
    for kind, want in (('W', 18), ('D', 40)):
        rows = re.findall(r'^\| (%s\d+) \| ([^|]+) \| ([^|]*) \|' % kind, text, re.M)
        numbers = [int(r[0][1:]) for r in rows]
        if numbers != list(range(1, len(numbers) + 1)) or len(numbers) < want:
            bad.append('rows %s: %s' % (kind, numbers))
        for number, _, answer in rows:
            refs = re.findall(r'`(\d\d-[a-z-]+)(?:\.yaml)?(?:: ([A-Za-z0-9, ]+))?`', answer)
            files = [f for f in re.findall(r'`((?:templates|plans|tests)/[A-Za-z0-9./_-]+)`', answer)]
            if not refs and not files:
                bad.append('row %s names no template' % number)
            bad += ['row %s: there is no %s' % (number, f) for f in files if not os.path.exists(os.path.join(ROOT, f))]
            for template, names in refs:
                source = w.sources.get(template + '.yaml')
                if not source:
                    bad.append('row %s: there is no template %s' % (number, template))
                    continue
                there = set(source['Resources']) | set(source['Parameters']) | set(source['Outputs']) | set(source.get('Mappings', {}))
                bad += ['row %s: %s has no %s' % (number, template, n) for n in filter(None, names.split(', ')) if n not in there]
    return bad


# --- waivers ------------------------------------------------------------------------------------


def read_waivers(path):
    """tool | id | template/resource | reason; * stands for anything, in the resource only: ids hold stars of their own"""
    out = []
    with open(path, encoding='utf-8') as f:
        for n, line in enumerate(f, 1):
            if line.strip() and not line.startswith('#'):
                fields = [x.strip() for x in line.split(' | ')]
                if len(fields) != 4 or len(fields[3]) < 12:
                    raise ValueError('%s:%d: tool | id | template/resource | reason' % (path, n))
                out.append((n, *fields))
    return out


def beyond(waivers, findings, template_of):
    """What no waiver covers, and the waivers that cover nothing."""
    used, bad = set(), set()
    for tool, name, rule, resource, message in findings:
        where = '%s/%s' % (template_of[name], resource)
        rule = re.sub(r'\bmw-(prod|hosts|staging|lab)\b', 'mw-ENV', rule)
        hits = [n for n, t, i, at, _ in waivers if t == tool and i == rule and fnmatch.fnmatchcase(where, at)]
        used.update(hits)
        if not hits:
            bad.add('%s %s at %s: %s' % (tool, rule, where, message[:200]))
    stale = ['waiver in line %d is stale: %s | %s | %s' % w[:4] for w in waivers if w[0] not in used]
    return sorted(bad) + stale

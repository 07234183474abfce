"""What no linter knows: that the right things hang together. Each property alone is
allowed by AWS; together they would be an open door, or a wiki that does not work.

Each function gets a World (criteria.py) and says what is wrong, as a list of sentences.
"""
import ipaddress
import json
import re

from criteria import listed, policy_documents

CHECKS = {}


def wired(text):
    def add(fn):
        CHECKS[fn.__name__] = (text, fn)
        return fn
    return add


def text_of(x):
    return json.dumps(x, sort_keys=True)


def having(s, *types):
    return [(n, r['Properties']) for n, r in s.resolved['Resources'].items() if r['Type'] in types]


def is_not(where, have, want):
    return [] if have == want else ['%s: %s, not %s' % (where, text_of(have)[:150], text_of(want)[:150])]


# --- network ----------------------------------------------------------------------------------------


def outward(s):
    """{route table: what its default route goes to}"""
    return {p['RouteTableId']['Ref']: p.get('GatewayId', p.get('NatGatewayId', {})).get('Ref') for _, p in having(s, 'AWS::EC2::Route')}


@wired('public subnets go out by the gateway, private ones by a NAT gateway of their zone, data subnets not at all')
def routes(w):
    bad = []
    for s in w.of('10-network'):
        ways, subnets = outward(s), dict(having(s, 'AWS::EC2::Subnet'))
        nats = {n: subnets[p['SubnetId']['Ref']]['AvailabilityZone'] for n, p in having(s, 'AWS::EC2::NatGateway')}
        tables = {p['SubnetId']['Ref']: p['RouteTableId']['Ref'] for _, p in having(s, 'AWS::EC2::SubnetRouteTableAssociation')}
        for name, p in subnets.items():
            way, kind = ways.get(tables.get(name)), re.match('[A-Z][a-z]+', name)[0]
            right = {'Public': way == 'Igw', 'Data': way is None, 'Private': way in nats if nats else way is None}[kind]
            if kind == 'Private' and len(nats) > 1:
                right = nats.get(way) == p['AvailabilityZone']
            if name not in tables or not right:
                bad.append('%s: %s goes out by %s' % (s.name, name, way))
    return bad


@wired('subnets of a kind lie in different zones, none overlaps another, and each list holds its own kind')
def subnets(w):
    bad = []
    for s in w.of('10-network'):
        all_ = having(s, 'AWS::EC2::Subnet')
        ranges = [ipaddress.ip_network(p['CidrBlock']) for _, p in all_]
        bad += ['%s: %s overlaps %s' % (s.name, a, b) for i, a in enumerate(ranges) for b in ranges[:i] if a.overlaps(b)]
        for kind in ('Public', 'Private', 'Data'):
            mine = sorted(n for n, _ in all_ if n.startswith(kind))
            zones = [p['AvailabilityZone'] for n, p in all_ if n in mine]
            told = s.resolved['Outputs'][kind + 'SubnetIds']['Value']['Fn::Join'][1]
            bad += is_not('%s %sSubnetIds' % (s.name, kind), [x['Ref'] for x in told], mine)
            bad += ['%s: %s subnets share a zone' % (s.name, kind)] if len(set(zones)) < len(zones) else []
    return bad


@wired('stores are in the group of stores, behind it nobody but clients, one cache server a zone')
def stores(w):
    bad, mine = [], [{'Ref': 'StoreSecurityGroup'}]
    for s in w.of('30-data'):
        for name, p in having(s, 'AWS::RDS::DBCluster', 'AWS::EFS::MountTarget', 'AWS::ElastiCache::CacheCluster', 'AWS::ElastiCache::ReplicationGroup'):
            groups = p.get('VpcSecurityGroupIds') or p.get('SecurityGroups') or p.get('SecurityGroupIds')
            bad += is_not('groups of %s/%s' % (s.name, name), groups, mine)
        zones = [p['PreferredAvailabilityZone'] for _, p in having(s, 'AWS::ElastiCache::CacheCluster')]
        bad += ['%s: cache servers share a zone' % s.name] if len(set(zones)) < len(zones) else []
    for s in w.of('35-database-copy'):
        for name, p in having(s, 'AWS::RDS::DBCluster'):
            bad += is_not('groups of %s/%s' % (s.name, name), p['VpcSecurityGroupIds'], [s.parameters['StoreSecurityGroupId']])
    return bad


@wired('what is told as writer writes, as reader reads, as cache is every server once, at its port')
def endpoints(w):
    bad = []
    for s in w.of('30-data') + w.of('35-database-copy'):
        out = {n.removeprefix('Copy'): o['Value'] for n, o in s.resolved['Outputs'].items()}
        bad += is_not(s.name + ' writer', out['DbWriterEndpoint'], {'Fn::GetAtt': ['DbCluster', 'Endpoint.Address']})
        bad += is_not(s.name + ' reader', out['DbReaderEndpoint'], {'Fn::GetAtt': ['DbCluster', 'ReadEndpoint.Address']})
    for s in w.of('30-data'):
        servers = [n for n, _ in having(s, 'AWS::ElastiCache::CacheCluster', 'AWS::ElastiCache::ReplicationGroup')]
        told = re.findall(r'\$\{(\w+)\.[A-Za-z.]+\}:(\d+)', text_of(s.resolved['Outputs']['CacheEndpoint']['Value']))
        bad += is_not(s.name + ' cache', sorted(n for n, _ in told), sorted(servers))
        port = {'memcached': '11211', 'valkey': '6379'}[s.parameters.get('CacheEngine', 'memcached')]
        bad += is_not(s.name + ' port of the cache', [p for _, p in told], [port] * len(servers))
    return bad


# Without a NAT gateway tasks on Fargate and on hosts, their images, logs and secrets need these.
# ECS developer guide, "Amazon ECS interface VPC endpoints"
ENDPOINTS = sorted('ecr.api ecr.dkr ecs ecs-agent ecs-telemetry kms logs monitoring s3 secretsmanager ssm ssmmessages'.split())


@wired('a network without a way out has an endpoint for each service that a task needs')
def closed(w):
    bad = []
    for s in w.of('10-network'):
        have = sorted(p['ServiceName'].split('.', 3)[3] for _, p in having(s, 'AWS::EC2::VPCEndpoint'))
        bad += is_not(s.name, have, ['s3'] if having(s, 'AWS::EC2::NatGateway') else ENDPOINTS)
    return bad


# --- who may what ---------------------------------------------------------------------------------------


def statements(w):
    """(stack, resource, statement) of everything that is allowed to a principal or by an identity policy."""
    for s in w.stacks:
        for name, found in policy_documents(s):
            yield from ((s, name, st) for st in found if st['Effect'] == 'Allow')


def conditions(st):
    return text_of(st.get('Condition', {}))


@wired("weights of rules that are not ours, other people's roles, and databases' ends are in nobody's hands")
def narrow(w):
    bad = []
    for s, name, st in statements(w):
        actions, resources, where = listed(st['Action']), text_of(st['Resource']), '%s/%s' % (s.name, name)
        if 'elasticloadbalancing:ModifyRule' in actions and name != 'StackRole' and '"aws:ResourceTag/cutover:managed": "true"' not in conditions(st):
            bad.append(where + ' may change rules without cutover:managed')
        if {'iam:CreateRole', 'iam:PutRolePolicy', 'iam:AttachRolePolicy'} & set(actions) and 'iam:PermissionsBoundary' not in conditions(st):
            bad.append(where + ' may make roles without a boundary')
        if 'cloudformation:CreateChangeSet' in actions and 'cloudformation:RoleArn' not in conditions(st):
            bad.append(where + ' may make stacks with rights of its own')
        if 's3:PutObject' in actions and 'templates/' in resources:
            bad.append(where + ' may write the templates that it is limited to')
        bad += ['%s may %s' % (where, a) for a in actions if re.match(r'rds:(Delete(DB|Global)|\*)', a)]
    for s in w.of('60-controller'):
        denied = {a for st in s.resolved['Resources']['DatabasePolicy']['Properties']['PolicyDocument']['Statement'] if st['Effect'] == 'Deny' for a in listed(st['Action'])}
        bad += ['%s: %s is not denied' % (s.name, a) for a in ('rds:DeleteDBCluster', 'rds:DeleteDBInstance') if a not in denied]
    return bad


@wired('no role can be taken by anybody; CloudFormation takes the stack role for the two colours only')
def trust(w):
    bad = []
    for s, name, r in w.each('AWS::IAM::Role'):
        for st in r['Properties']['AssumeRolePolicyDocument']['Statement']:
            if st['Principal'] == '*' or '*' in listed(st['Principal'].get('AWS', [])):
                bad.append('%s/%s trusts everybody' % (s.name, name))
            if name == 'StackRole':
                froms = [a.split('stack/')[1] for a in listed(st['Condition'].get('ArnLike', {}).get('aws:SourceArn', ['stack/*']))]
                env = s.parameters['EnvName']
                bad += is_not('%s/%s for' % (s.name, name), sorted(froms), ['mw-%s-%s/*' % (env, c) for c in ('blue', 'green')])
        if s.template == '50-colour.yaml' and r['Properties'].get('PermissionsBoundary') != s.parameters['TaskBoundaryArn']:
            bad.append('%s/%s has no boundary' % (s.name, name))
    return bad


@wired("another account's CloudFront, S3 or load balancer is not taken for ours; an endpoint leads to our buckets or named ones")
def deputies(w):
    bad = []
    for s, name, r in w.each('AWS::S3::BucketPolicy', 'AWS::SQS::QueuePolicy', 'AWS::SNS::TopicPolicy', 'AWS::KMS::Key', 'AWS::EC2::VPCEndpoint'):
        p = r['Properties']
        for st in (p.get('PolicyDocument') or p.get('KeyPolicy') or {'Statement': []})['Statement']:
            if st['Effect'] != 'Allow':
                continue
            service = isinstance(st['Principal'], dict) and 'Service' in st['Principal']
            if service and not re.search('aws:Source(Account|Arn)|kms:EncryptionContext', conditions(st)):
                bad.append("%s/%s: %s of any account" % (s.name, name, st['Principal']['Service']))
            if st['Principal'] == '*' and st['Resource'] == '*' and 'aws:ResourceAccount' not in conditions(st):
                bad.append('%s/%s leads to anybody' % (s.name, name))
    for s in w.of('30-data'):
        r = s.resolved['Resources']
        if not any(st['Effect'] == 'Deny' and 'aws:SecureTransport' in conditions(st) for st in r['Efs']['Properties']['FileSystemPolicy']['Statement']):
            bad.append('%s: files may be read without TLS' % s.name)
        hidden = [x for st in r['UploadBucketPolicy']['Properties']['PolicyDocument']['Statement'] if st['Effect'] == 'Deny' for x in listed(st['Resource'])]
        if '/images/deleted/*' not in text_of(hidden):
            bad.append('%s: deleted files can be read through the CDN' % s.name)
    return bad


@wired("each password is its own account's: the master's, MediaWiki's, the site's key")
def secrets(w):
    bad = []
    for s in w.of('30-data'):
        cluster = s.resolved['Resources']['DbCluster']['Properties']
        for key in ('MasterUsername', 'MasterUserPassword'):
            if isinstance(cluster.get(key), dict) and '${MasterSecret}' not in text_of(cluster[key]):
                bad.append("%s: %s is not the master's" % (s.name, key))
    for s in w.of('50-colour'):
        have = {x['Name']: x['ValueFrom'] for x in s.resolved['Resources']['TaskDefinition']['Properties']['ContainerDefinitions'][0]['Secrets']}
        database, site = s.parameters['AppDbSecretArn'], s.parameters['SiteSecretArn']
        bad += is_not(s.name, have, {'MW_DB_USER': database + ':username::', 'MW_DB_PASSWORD': database + ':password::', 'MW_SECRET_KEY': site + ':secretKey::'})
    return bad


# --- a colour ---------------------------------------------------------------------------------------------


@wired("a colour answers to its own name, at one port, with its own tasks' scaling and room for new ones")
def colour(w):
    bad = []
    for s in w.of('50-colour'):
        r, port = s.resolved['Resources'], int(s.parameters['AppPort'])
        service, group = r['Service']['Properties'], r['TargetGroup']['Properties']
        bad += is_not(s.name + ' header', r['TestRule']['Properties']['Conditions'][0]['HttpHeaderConfig']['Values'], [s.parameters['Color']])
        ports = [service['LoadBalancers'][0]['ContainerPort'], group['Port'],
                 r['TaskDefinition']['Properties']['ContainerDefinitions'][0]['PortMappings'][0]['ContainerPort']]
        bad += is_not(s.name + ' ports', [int(x) for x in ports], [port] * 3)
        told = {e['Name']: e['Value'] for e in r['TaskDefinition']['Properties']['ContainerDefinitions'][0]['Environment']}
        bad += is_not(s.name + ' is told', [told['MW_ENV'], told['MW_COLOR'], told['MW_RELEASE']], [s.parameters[k] for k in ('EnvName', 'Color', 'Release')])
        bad += is_not(s.name + ' health check', [group['Protocol'], group['HealthCheckProtocol']], ['HTTP', 'HTTP'])
        bad += is_not(s.name + ' scaling', '${Service.Name}' in text_of(r['ScalableTarget']['Properties']['ResourceId']), True)
        deploys = service['DeploymentConfiguration']
        bad += is_not(s.name + ' room for new tasks', deploys['MaximumPercent'] >= deploys['MinimumHealthyPercent'] + 50, True)
        volumes = {v['Name']: v.get('EFSVolumeConfiguration', {}).get('AuthorizationConfig', {}).get('AccessPointId') for v in r['TaskDefinition']['Properties']['Volumes']}
        bad += is_not(s.name + ' volume of the lock', volumes['control'], s.parameters['ControlAccessPointId'])
        bad += is_not(s.name + ' volume of uploads', volumes.get('images'), None if s.parameters.get('UploadStore') == 's3' else s.parameters['EfsAccessPointId'])
    return bad


# metric: (namespace, direction, dimensions)
TARGETS = ('AWS/ApplicationELB', 'GreaterThanThreshold', ['LoadBalancer', 'TargetGroup'])
TASKS = ['ClusterName', 'ServiceName']
ALARMS = {'UnHealthyHostCount': TARGETS, 'TargetResponseTime': TARGETS, 'HTTPCode_ELB_5XX_Count': (*TARGETS[:2], ['LoadBalancer']),
          'RunningTaskCount': ('ECS/ContainerInsights', 'LessThanThreshold', TASKS)}


@wired('alarms ask for a metric that there is, and fire in the right direction')
def alarms(w):
    bad = []
    for s, name, r in w.each('AWS::CloudWatch::Alarm'):
        p, where = r['Properties'], '%s/%s' % (s.name, name)
        if 'Metrics' in p:
            ids = {m['Id']: m['MetricStat']['Metric']['MetricName'] for m in p['Metrics'] if 'MetricStat' in m}
            formula = re.sub(r'[a-z]+', lambda m: ids.get(m[0], m[0]), next(m['Expression'] for m in p['Metrics'] if 'Expression' in m))  # pylint: disable=cell-var-from-loop
            bad += is_not(where, [formula, p['ComparisonOperator']], ['100*HTTPCode_Target_5XX_Count/RequestCount', 'GreaterThanThreshold'])
            continue
        want = ALARMS.get(p['MetricName'])
        if p['MetricName'] == 'CPUUtilization':
            want = ('AWS/ECS', TARGETS[1], TASKS) if s.template == '50-colour.yaml' else ('AWS/RDS', TARGETS[1], ['DBClusterIdentifier', 'Role'])
        bad += is_not(where, [p['Namespace'], p['ComparisonOperator'], sorted(d['Name'] for d in p['Dimensions'])], list(want) if want else None)
    for s in w.of('40-edge'):
        bad += is_not(s.name + '/NoAnswerAlarm', s.resolved['Resources']['NoAnswerAlarm']['Properties']['MetricName'], 'HTTPCode_ELB_5XX_Count')
    return bad


# --- the edge -----------------------------------------------------------------------------------------------


@wired("the firewall blocks, the load balancer uses every zone's targets and may write its log where it does")
def edge(w):
    bad = []
    for s, name, r in w.each('AWS::WAFv2::WebACL'):
        for rule in r['Properties']['Rules']:
            does = rule.get('Action', rule.get('OverrideAction'))
            bad += is_not('%s/%s %s' % (s.name, name, rule['Name']), does, {'Block': {}} if 'Action' in rule else {'None': {}})
    for scenario in w.scenarios.values():
        balancer, = [s for s in scenario if s.template == '40-edge.yaml']
        platform, = [s for s in scenario if s.template == '20-platform.yaml']
        has = {a['Key']: a['Value'] for a in balancer.resolved['Resources']['Alb']['Properties']['LoadBalancerAttributes']}
        bad += is_not(balancer.name + ' cross-zone', has.get('load_balancing.cross_zone.enabled'), 'true')
        if '/%s/AWSLogs/' % has['access_logs.s3.prefix'] not in text_of(platform.resolved['Resources']['AccessLogBucketPolicy']):
            bad.append('%s may not write its log to %s' % (balancer.name, has['access_logs.s3.prefix']))
    return bad


@wired('the CDN caches no page, passes on everything that a page depends on, and takes edits')
def cdn(w):
    bad = []
    for s in w.of('45-cdn'):
        managed = s.source['Mappings']['Managed']
        config = s.resolved['Resources']['Distribution']['Properties']['DistributionConfig']
        page = config['DefaultCacheBehavior']
        bad += is_not(s.name + ' pages', [page['CachePolicyId'], page.get('OriginRequestPolicyId'), page['TargetOriginId']],
                      [managed['Cache']['None'], managed['Request']['AllViewer'], 'wiki'])
        bad += is_not(s.name + ' methods', sorted(page['AllowedMethods']), sorted('GET HEAD OPTIONS PUT PATCH POST DELETE'.split()))
        for other in config['CacheBehaviors']:
            static = other['CachePolicyId'] == managed['Cache']['Static']
            bad += is_not('%s %s' % (s.name, other['PathPattern']), static, other['TargetOriginId'] == 'uploads')
    return bad


@wired('hosts keep what runs on them until it is drained, and tasks on them have no rights of the host')
def hosts(w):
    bad = []
    for s in w.of('20-platform'):
        r = s.resolved['Resources']
        if 'HostGroup' not in r:
            continue
        provider = r['HostProvider']['Properties']['AutoScalingGroupProvider']
        bad += is_not(s.name, [provider['ManagedTerminationProtection'], provider['ManagedDraining'], r['HostGroup']['Properties']['NewInstancesProtectedFromScaleIn']],
                      ['ENABLED', 'ENABLED', True])
        if 'ECS_AWSVPC_BLOCK_IMDS=true' not in text_of(r['HostTemplate']['Properties']['LaunchTemplateData']['UserData']):
            bad.append("%s: tasks reach the host's metadata" % s.name)
    return bad

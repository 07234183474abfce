"""What an environment costs a month: its resources, counted in the resolved templates,
times the prices of templates/prices.json. Prints the table of templates/README.md;
with --write, puts it there."""
import json
import os
import re
import sys
from collections import Counter

from resolve import TEMPLATES, scenarios

README = os.path.join(TEMPLATES, 'README.md')
SHOWN = ('prod', 'hosts', 'staging')
BETWEEN = re.compile(r'(<!-- cost: tests/templates/cost.py --write -->\n).*?(<!-- end of cost -->)', re.S)


def tasks_of(stack, count):
    r = stack.resolved['Resources']
    task, least = r['TaskDefinition']['Properties'], r['ScalableTarget']['Properties']['MinCapacity']
    processors, memory = int(task['Cpu']) / 1024, int(task['Memory']) / 1024
    if stack.parameters.get('LaunchMode') == 'EC2':
        count['host m8g.large'] += max(2, -(-least * processors // 2))  # two processors each, in two zones
    else:
        count['Fargate, ARM: processor'] += least * processors
        count['Fargate, ARM: GB of memory'] += least * memory
    count['uploads: 50 GB on ' + {'s3': 'S3', 'efs': 'EFS'}[stack.parameters.get('UploadStore', 'efs')]] += 1


def counted(stack, count):
    simple = {'AWS::EC2::NatGateway': 'NAT gateway', 'AWS::EC2::EIP': 'public address', 'AWS::KMS::Key': 'key', 'AWS::SecretsManager::Secret': 'secret',
              'AWS::WAFv2::WebACL': 'firewall with its rules', 'AWS::CloudWatch::Alarm': 'alarm', 'AWS::RDS::DBCluster': 'database: 20 GB, 50 million I/O',
              'AWS::ElasticLoadBalancingV2::LoadBalancer': 'load balancer, with one capacity unit', 'AWS::CloudFront::Distribution': 'CloudFront below its free tier'}
    for r in stack.resolved['Resources'].values():
        p, kind = r.get('Properties', {}), r['Type']
        if kind in simple:
            count[simple[kind]] += 1
        elif kind == 'AWS::RDS::DBInstance':
            count[p['DBInstanceClass']] += 1
        elif kind == 'AWS::ElastiCache::CacheCluster':
            count['memcached ' + p['CacheNodeType']] += 1
        elif kind == 'AWS::ElastiCache::ReplicationGroup':
            count['valkey ' + p['CacheNodeType']] += p['NumCacheClusters']
        elif kind == 'AWS::EC2::VPCEndpoint' and p['VpcEndpointType'] == 'Interface':
            count['interface endpoint in a zone'] += len(p['SubnetIds'])
        if kind == 'AWS::ElasticLoadBalancingV2::LoadBalancer':
            count['public address'] += len(p['Subnets'])
    if stack.template == '20-platform.yaml':
        count['10 GB of logs'] += 1
    if stack.template == '50-colour.yaml':
        tasks_of(stack, count)


def table():
    with open(os.path.join(TEMPLATES, 'prices.json'), encoding='utf-8') as f:
        prices = json.load(f)
    each = {**{k: v[0] * prices['hours'] for k, v in prices['hourly'].items()}, **{k: v[0] for k, v in prices['monthly'].items()}}
    source = {k: v[1] for k, v in {**prices['hourly'], **prices['monthly']}.items()}
    columns, second = {}, {}
    for name, stacks in scenarios().items():
        if name not in SHOWN:
            continue
        columns[name], green = Counter(), Counter()
        for s in stacks:
            if not s.name.endswith(('green', 'copy')):
                counted(s, columns[name])
        counted([s for s in stacks if s.name.endswith('blue')][0], green)
        second[name] = sum(each[k] * n for k, n in green.items() if not k.startswith('uploads')) / prices['hours']
    lines = ['| each, a month | price | ' + ' | '.join('`%s`' % n for n in SHOWN) + ' | source |', '|---|---|' + '---|' * (len(SHOWN) + 1)]
    for item, price in each.items():
        cells = ['%g' % columns[n][item] if columns[n][item] else '' for n in SHOWN]
        if any(cells):
            lines.append('| %s | $%.2f | %s | %s |' % (item, price, ' | '.join(cells), source[item]))
    totals = ['**$%.0f**' % sum(each[k] * c for k, c in columns[n].items()) for n in SHOWN]
    lines.append('| **one colour, a month** | | ' + ' | '.join(totals) + ' | |')
    lines.append('| the second colour, an hour of cutover | | ' + ' | '.join('$%.2f' % second[n] for n in SHOWN) + ' | |')
    return '\n'.join(lines) + '\n'


def stale():
    with open(README, encoding='utf-8') as f:
        found = BETWEEN.search(f.read())
    return [] if found and found[0] == found[1] + table() + found[2] else ['run tests/templates/cost.py --write']


if __name__ == '__main__':
    if '--write' in sys.argv:
        with open(README, encoding='utf-8') as f:
            whole = f.read()
        with open(README, 'w', encoding='utf-8') as f:
            f.write(BETWEEN.sub(lambda m: m[1] + table() + m[2], whole))
    else:
        print(table(), end='')

"""IAM: may this principal make this call? Policies are evaluated as AWS does:
a Deny that matches wins, else an Allow that matches is needed, else it is denied.

docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
Which resources and keys a call has: docs.aws.amazon.com/service-authorization.
"""
import fnmatch
import re

import elb
from aws_api import ACCOUNT, REGION
from errors import ApiError

FREE = {'sts:GetCallerIdentity'}  # needs no permission


def arn(service, resource, region=REGION):
    return f'arn:aws:{service}:{region}:{ACCOUNT}:{resource}'


def listed(value):
    return value if isinstance(value, list) else [value]


def like(pattern, text):
    return re.fullmatch(fnmatch.translate(pattern.replace('[', '[[]')), text) is not None


# --- what a call asks for: [(action, resource, {context key: value})] -------------

def of_rule(call):
    rule_arn = call.params['RuleArn']
    listener = next((li.arn for li, r in elb.all_rules() if r.arn == rule_arn), '')
    context = {'aws:ResourceTag/' + k: v for k, v in elb.backend().tagging_service.get_tag_dict_for_resource(rule_arn).items()}
    return [('elasticloadbalancing:' + call.action, rule_arn, {**context, 'listener': listener})]


class Questions:
    """cfn: the lab's CloudFormation, which knows the ids of stacks."""

    def __init__(self, cfn):
        self.cfn = cfn

    def stack(self, name):
        found = self.cfn.find(name)
        if found:
            return found.id
        return name if name.startswith('arn:') else arn('cloudformation', f'stack/{name}/00000000-0000-0000-0000-000000000000')

    def change_set(self, call):
        p = call.params
        context = {k: p[v] for k, v in (('cloudformation:RoleArn', 'RoleARN'), ('cloudformation:TemplateUrl', 'TemplateURL')) if v in p}
        asked = [('cloudformation:CreateChangeSet', self.stack(p['StackName']), context)]
        if p.get('Tags'):
            asked.append(('cloudformation:TagResource', self.stack(p['StackName']), {}))
        if 'RoleARN' in p:
            asked.append(('iam:PassRole', p['RoleARN'], {'iam:PassedToService': 'cloudformation.amazonaws.com'}))
        if 'TemplateURL' in p:  # CloudFormation reads it with the caller's rights
            bucket, _, key = p['TemplateURL'].removeprefix('https://').partition('/')
            asked.append(('s3:GetObject', f"arn:aws:s3:::{bucket.split('.s3.')[0]}/{key}", {}))
        return asked

    def on_stack(self, call):
        return [('cloudformation:' + call.action, self.stack(call.params['StackName']), {})]

    @staticmethod
    def services(call):
        cluster = call.params.get('cluster', 'default').split('/')[-1]
        names = call.params.get('services') or [call.params['service']]
        return [('ecs:' + call.action, n if n.startswith('arn:') else arn('ecs', f'service/{cluster}/{n}'),
                 {'ecs:cluster': arn('ecs', 'cluster/' + cluster)}) for n in names]

    @staticmethod
    def schedule(call):
        p = call.params
        asked = [('scheduler:' + call.action, arn('scheduler', f"schedule/{p.get('GroupName', 'default')}/{p['Name']}"), {})]
        if 'Target' in p:
            asked.append(('iam:PassRole', p['Target']['RoleArn'], {'iam:PassedToService': 'scheduler.amazonaws.com'}))
        return asked

    def asked(self, call):
        """Every (action, resource, context) that this call needs; a call that is not known here is a bug of the lab."""
        way = {
            'elbv2': {'ModifyRule': of_rule, 'DeleteRule': of_rule}, 'ecs': {'DescribeServices': self.services, 'UpdateService': self.services},
            'cloudformation': {'CreateChangeSet': self.change_set, **{a: self.on_stack for a in (
                'DescribeChangeSet', 'ExecuteChangeSet', 'DeleteChangeSet', 'DescribeStacks', 'DescribeStackEvents', 'DeleteStack',
                'UpdateTerminationProtection', 'SetStackPolicy')}},
            'scheduler': {a: self.schedule for a in ('GetSchedule', 'CreateSchedule', 'UpdateSchedule', 'DeleteSchedule')},
            'cloudwatch': {'DescribeAlarms': lambda c: [('cloudwatch:DescribeAlarms', arn('cloudwatch', 'alarm:*'), {})]},
        }
        anywhere = {('elbv2', a): 'elasticloadbalancing:' + a for a in (
            'DescribeRules', 'DescribeTags', 'DescribeTargetGroups', 'DescribeTargetHealth', 'DescribeListeners')}
        anywhere.update({('cloudwatch', 'GetMetricData'): 'cloudwatch:GetMetricData',
                         ('sts', 'GetCallerIdentity'): 'sts:GetCallerIdentity'})
        if call.action in way.get(call.service, {}):
            return way[call.service][call.action](call)
        if (call.service, call.action) in anywhere:
            return [(anywhere[call.service, call.action], '*', {})]
        if call.service == 'elbv2' and 'ListenerArn' in call.params:
            return [('elasticloadbalancing:' + call.action, call.params['ListenerArn'], {})]
        raise RuntimeError(f'iam.py does not know which resource {call.service} {call.action} is about')


# --- policies ---------------------------------------------------------------------

def holds(operator, wanted, value):
    """One condition. A key that is not there fails it, but for the negated operators."""
    negated = operator.startswith(('StringNot', 'ArnNot'))
    if value is None:
        return negated
    base = operator.replace('Not', '')
    tests = {'StringEquals': lambda w: w == value, 'StringLike': lambda w: like(w, value), 'ArnLike': lambda w: like(w, value),
             'ArnEquals': lambda w: like(w, value), 'Bool': lambda w: str(w).lower() == str(value).lower()}
    if base not in tests:
        raise RuntimeError(f'iam.py does not know the operator {operator}')
    return any(map(tests[base], listed(wanted))) != negated


def matches(statement, action, resource, context):
    unknown = set(statement) - {'Sid', 'Effect', 'Action', 'Resource', 'Condition'}
    if unknown:
        raise RuntimeError(f'iam.py does not know {unknown} of a statement')
    if not any(like(a.lower(), action.lower()) for a in listed(statement['Action'])):
        return False
    # A call without a resource of its own is only allowed, or denied, by "*".
    if not any(like(r, resource) for r in listed(statement['Resource'])):
        return False
    return all(holds(op, wanted, context.get(key)) for op, keys in statement.get('Condition', {}).items()
               for key, wanted in keys.items())


def decide(documents, action, resource, context):
    """'allowed', or why not."""
    hits = [s for d in documents for s in listed(d['Statement']) if matches(s, action, resource, context)]
    denied = next((s for s in hits if s['Effect'] == 'Deny'), None)
    if denied:
        return f"with an explicit deny in an identity-based policy ({denied.get('Sid', '?')})"
    return 'allowed' if hits else f'because no identity-based policy allows the {action} action'


def actions_of(documents):
    """{action: statements that allow it}; wildcards as they are written."""
    out = {}
    for document in documents:
        for s in listed(document['Statement']):
            if s['Effect'] == 'Allow':
                for action in listed(s['Action']):
                    out.setdefault(action, []).append(s.get('Sid', '?'))
    return out


class Guard:
    """Put into Api.guards: principals in `policies` may do only what those say; everybody else everything."""

    def __init__(self, cfn):
        self.policies, self.questions, self.used, self.refused = {}, Questions(cfn), {}, []

    def __call__(self, call):
        documents = self.policies.get(call.who)
        if documents is None:
            return
        for action, resource, context in self.questions.asked(call):
            self.used[action] = self.used.get(action, 0) + 1
            if action in FREE:
                continue
            verdict = decide(documents, action, resource, {'aws:RequestedRegion': REGION, **context})
            if verdict != 'allowed':
                self.refused.append((action, resource))
                raise ApiError('AccessDenied', f'User: arn:aws:iam::{ACCOUNT}:user/{call.who} is not authorized to perform: {action} '
                                               f'on resource: {resource} {verdict}', 403)


def comparison(used, shown, allowed):
    """[(action, used, shown by `explain`, allowed)] of everything that is in one of them."""
    return [(a, used.get(a, 0), a in shown, allowed.get(a, [])) for a in sorted(set(used) | set(shown) | set(allowed))]


def print_comparison(rows, file=None):
    print(f"{'action':54} {'calls':>6}  explain  policy", file=file)
    for action, used, shown, sids in rows:
        print(f"{action:54} {used or '':>6}  {'yes' if shown else '-':7}  {', '.join(sids) or '-'}", file=file)

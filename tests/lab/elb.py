"""Elastic Load Balancing: what AWS refuses and moto lets pass, rules as AWS tells
them, and target health as the checks in health.py found it.

Limits: docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
"""
from moto.elbv2.models import elbv2_backends

from aws_api import ACCOUNT, REGION
from errors import ApiError, invalid

MAX_GROUPS, MAX_WEIGHT, MAX_STICKY_S = 5, 999, 604800


def backend():
    return elbv2_backends[ACCOUNT][REGION]


def all_listeners():
    return [li for lb in list(backend().load_balancers.values()) for li in list(lb.listeners.values())]


def all_rules():
    return [(li, rule) for li in all_listeners() for rule in list(li.rules.values())]


def find_rule(arn):
    for listener, rule in all_rules():
        if rule.arn == arn:
            return listener, rule
    raise ApiError('RuleNotFound', f'One or more rules not found: {arn}')


def weights_of(actions):
    """{target group ARN: weight} of a list of actions in dicts; {} when none forwards."""
    for action in actions:
        if action.get('Type') == 'forward':
            groups = action.get('ForwardConfig', {}).get('TargetGroups', [])
            if groups:
                return {g['TargetGroupArn']: int(g.get('Weight', 1)) for g in groups}
            return {action['TargetGroupArn']: 1}
    return {}


def rule_weights(rule):
    return weights_of([a.data for a in rule.actions])


def groups_in_use():
    """Target groups that some rule names, at whatever weight."""
    return {arn for _, rule in all_rules() for arn in rule_weights(rule)}


# --- what is refused -------------------------------------------------------

def check_forward(action):
    config = action.get('ForwardConfig', {})
    groups = config.get('TargetGroups', [])
    single = action.get('TargetGroupArn')
    if not groups and not single:
        raise invalid('A forward action needs a target group')
    if single and groups and [g['TargetGroupArn'] for g in groups] != [single]:
        raise ApiError('InvalidLoadBalancerAction',
                       'You must specify the same target group in TargetGroupArn and ForwardConfig')
    arns = [g.get('TargetGroupArn') for g in groups] or [single]
    if len(arns) > MAX_GROUPS:
        raise ApiError('TooManyTargetGroups', f'at most {MAX_GROUPS} target groups per action')
    if len(set(arns)) != len(arns):
        raise ApiError('InvalidLoadBalancerAction', 'a target group is named twice in one action')
    for arn in arns:
        if arn not in backend().target_groups:
            raise ApiError('TargetGroupNotFound', f"Target groups '{arn}' not found")
    for group in groups:
        if not 0 <= group.get('Weight', 1) <= MAX_WEIGHT:
            raise invalid(f"Weight {group['Weight']} is not between 0 and {MAX_WEIGHT}")
    check_stickiness(config, arns)


def check_stickiness(config, arns):
    sticky = config.get('TargetGroupStickinessConfig', {})
    seconds = sticky.get('DurationSeconds')
    if seconds is not None and not 1 <= seconds <= MAX_STICKY_S:
        raise invalid(f'DurationSeconds {seconds} is not between 1 and {MAX_STICKY_S}')
    if sticky.get('Enabled') and seconds is None:
        raise invalid('Group stickiness needs DurationSeconds')
    on = [a for a in arns if str(backend().target_groups[a].attributes.get('stickiness.enabled')).lower() == 'true']
    if on and len(arns) > 1 and not sticky.get('Enabled'):
        raise ApiError('InvalidConfigurationRequest', 'You must enable group stickiness on a rule if you enabled '
                                                      'target stickiness on one of its target groups')


def check_actions(actions):
    last = [a for a in actions if a['Type'] in ('forward', 'redirect', 'fixed-response')]
    if len(last) != 1:
        raise ApiError('InvalidLoadBalancerAction', 'exactly one action must be forward, redirect or fixed-response')
    if len(actions) > 1 and sorted(a.get('Order', 0) for a in actions) != \
            sorted({a.get('Order', 0) for a in actions} - {0}):
        raise ApiError('InvalidLoadBalancerAction', 'several actions need an Order each, all different')
    if last[0].get('Order', 1) != max(a.get('Order', 1) for a in actions):
        raise ApiError('InvalidLoadBalancerAction', 'The last action must be forward, redirect or fixed-response')
    for action in actions:
        if action['Type'] == 'forward':
            check_forward(action)


def check_new_actions(call):
    check_actions(call.params.get('Actions') or call.params.get('DefaultActions') or [])


def check_modify_rule(call):
    _, rule = find_rule(call.params['RuleArn'])
    if rule.is_default:
        raise ApiError('OperationNotPermitted', f"Default rule '{rule.arn}' cannot be modified")
    if 'Actions' in call.params:
        check_actions(call.params['Actions'])


def check_modify_listener(call):
    if call.params.get('DefaultActions'):
        check_actions(call.params['DefaultActions'])


def check_create_listener(call):
    check_new_actions(call)
    lb = backend().load_balancers.get(call.params['LoadBalancerArn'])
    if lb and any(int(li.port) == call.params.get('Port') for li in lb.listeners.values()):
        raise ApiError('DuplicateListener', f"A listener already exists on port {call.params.get('Port')}")


# --- rules, as AWS tells them ----------------------------------------------

def told_action(action):
    """AWS tells a forward to one group in both ways, TargetGroupArn and ForwardConfig."""
    out = dict(action)
    if out.get('Type') == 'forward':
        weights = weights_of([action])
        config = dict(out.get('ForwardConfig') or {})
        config['TargetGroups'] = [{'TargetGroupArn': a, 'Weight': w} for a, w in weights.items()]
        config.setdefault('TargetGroupStickinessConfig', {'Enabled': False})
        out['ForwardConfig'] = config
        if len(weights) == 1:
            out['TargetGroupArn'] = next(iter(weights))
        else:
            out.pop('TargetGroupArn', None)
    return out


def told_rule(rule):
    return {'RuleArn': rule.arn, 'Priority': 'default' if rule.is_default else str(rule.priority),
            'Conditions': rule.conditions, 'Actions': [told_action(a.data) for a in rule.actions],
            'IsDefault': rule.is_default}


def page(items, params, default=400):
    """One page of items and the marker of the next; markers are positions."""
    marker = params.get('Marker', '0')
    if not marker.isdigit():
        raise invalid(f'Invalid marker {marker}')
    start, size = int(marker), params.get('PageSize', default)
    rest = start + size < len(items)
    return items[start:start + size], ({'NextMarker': str(start + size)} if rest else {})


def describe_rules(call):
    arns, listener = call.params.get('RuleArns'), call.params.get('ListenerArn')
    if bool(arns) == bool(listener):
        raise invalid('You must specify either listener rule ARNs or a listener ARN')
    if arns:
        rules = [find_rule(a)[1] for a in arns]
    else:
        rules = [r for li, r in all_rules() if li.arn == listener]
        if not rules:
            raise ApiError('ListenerNotFound', 'One or more listeners not found')
    rules.sort(key=lambda r: (r.is_default, 0 if r.is_default else int(r.priority)))
    chosen, more = page(rules, call.params)
    return {'Rules': [told_rule(r) for r in chosen], **more}


def modify_rule(call):
    check_modify_rule(call)
    listener, rule = find_rule(call.params['RuleArn'])
    backend().modify_rule(rule.arn, call.params.get('Conditions', []), call.params.get('Actions', []))
    return {'Rules': [told_rule(rule)]}


def told_group(group):
    users = [li.load_balancer_arn for li, rule in all_rules() if group.arn in rule_weights(rule)]
    return {'TargetGroupArn': group.arn, 'TargetGroupName': group.name, 'Protocol': group.protocol,
            'Port': int(group.port), 'VpcId': group.vpc_id, 'TargetType': group.target_type,
            'HealthCheckProtocol': group.health_check_protocol, 'HealthCheckPort': group.health_check_port,
            'HealthCheckEnabled': group.health_check_enabled, 'HealthCheckPath': group.health_check_path,
            'HealthCheckIntervalSeconds': int(group.health_check_interval_seconds),
            'HealthCheckTimeoutSeconds': int(group.health_check_timeout_seconds),
            'HealthyThresholdCount': int(group.healthy_threshold_count),
            'UnhealthyThresholdCount': int(group.unhealthy_threshold_count),
            'Matcher': group.matcher, 'LoadBalancerArns': sorted(set(users)), 'ProtocolVersion': 'HTTP1',
            'IpAddressType': 'ipv4'}


def describe_groups(call):
    groups = list(backend().target_groups.values())
    arns, names = call.params.get('TargetGroupArns'), call.params.get('Names')
    for arn in arns or []:
        if arn not in backend().target_groups:
            raise ApiError('TargetGroupNotFound', 'One or more target groups not found')
    groups = [g for g in groups if (not arns or g.arn in arns) and (not names or g.name in names)]
    if names and not groups:
        raise ApiError('TargetGroupNotFound', 'One or more target groups not found')
    told = [told_group(g) for g in groups]
    if call.params.get('LoadBalancerArn'):
        told = [g for g in told if call.params['LoadBalancerArn'] in g['LoadBalancerArns']]
    chosen, more = page(told, call.params)
    return {'TargetGroups': chosen, **more}


def describe_health(health):
    def handler(call):
        arn = call.params['TargetGroupArn']
        if arn not in backend().target_groups:
            raise ApiError('TargetGroupNotFound', f"Target groups '{arn}' not found")
        known = {(t['Target']['Id'], t['Target']['Port']): t for t in health.told(arn)}
        asked = call.params.get('Targets')
        if not asked:
            return {'TargetHealthDescriptions': list(known.values())}
        return {'TargetHealthDescriptions': [known.get((t['Id'], t.get('Port')), unknown_target(t)) for t in asked]}
    return handler


def unknown_target(target):
    return {'Target': target, 'TargetHealth': {'State': 'unused', 'Reason': 'Target.NotRegistered',
                                               'Description': 'Target is not registered to the target group'}}


def install(api, health=None):
    def guard(check):
        def handler(call):
            check(call)
            return None  # moto does the rest
        return handler
    api.handlers.update({
        ('elbv2', 'CreateRule'): guard(check_new_actions),
        ('elbv2', 'CreateListener'): guard(check_create_listener),
        ('elbv2', 'ModifyListener'): guard(check_modify_listener),
        ('elbv2', 'ModifyRule'): modify_rule,
        ('elbv2', 'DescribeRules'): describe_rules,
        ('elbv2', 'DescribeTargetGroups'): describe_groups,
    })
    if health:
        api.handlers['elbv2', 'DescribeTargetHealth'] = describe_health(health)

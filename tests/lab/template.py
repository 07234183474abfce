"""CloudFormation templates: reading them, and resolving their functions."""
import base64
import ipaddress
import json
import re

import yaml

from errors import invalid

FUNCTIONS = {'Ref', 'Fn::GetAtt', 'Fn::Sub', 'Fn::Join', 'Fn::Select', 'Fn::Split', 'Fn::If', 'Fn::Equals', 'Fn::Not',
             'Fn::And', 'Fn::Or', 'Condition', 'Fn::FindInMap', 'Fn::Cidr', 'Fn::GetAZs', 'Fn::Base64', 'Fn::Contains'}
PSEUDO = {'AWS::Region', 'AWS::AccountId', 'AWS::StackName', 'AWS::StackId', 'AWS::Partition', 'AWS::NoValue',
          'AWS::URLSuffix'}
MAX_BODY = 51200
SECTIONS = {'AWSTemplateFormatVersion', 'Description', 'Metadata', 'Parameters', 'Conditions', 'Resources', 'Outputs',
            'Mappings', 'Rules', 'Transform'}
RESOURCE_KEYS = {'Type', 'Properties', 'DependsOn', 'Condition', 'DeletionPolicy', 'UpdateReplacePolicy', 'Metadata',
                 'UpdatePolicy', 'CreationPolicy'}


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms; dates stay text."""


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = node.value
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == 'GetAtt' and isinstance(value, str):
        value = value.split('.', 1)
    return {suffix if suffix in ('Ref', 'Condition') else 'Fn::' + suffix: value}


Loader.add_multi_constructor('!', short_form)
Loader.yaml_implicit_resolvers = {
    k: [(tag, r) for tag, r in v if tag != 'tag:yaml.org,2002:timestamp']
    for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def read(body):
    if len(body.encode()) > MAX_BODY:
        raise invalid(f"1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
                      f'Member must have length less than or equal to {MAX_BODY}')
    try:
        template = json.loads(body) if body.lstrip().startswith('{') else yaml.load(body, Loader)
    except (ValueError, yaml.YAMLError) as e:
        raise invalid(f'Template format error: {e}') from e
    if not isinstance(template, dict) or not template.get('Resources'):
        raise invalid('Template format error: At least one Resources member must be defined.')
    unknown = set(template) - SECTIONS
    if unknown:
        raise invalid(f'Invalid template property or properties {sorted(unknown)}')
    for section in ('Transform',):
        if section in template:
            raise invalid(f'the lab cannot read the section {section}')
    check(template)
    return template


def check(template):
    for name, resource in template['Resources'].items():
        if not re.fullmatch('[A-Za-z0-9]+', name):
            raise invalid(f'Template format error: Resource name {name} is non alphanumeric.')
        if 'Type' not in resource:
            raise invalid(f'Template format error: [/Resources/{name}] Every Resources object must contain a Type member.')
        unknown = set(resource) - RESOURCE_KEYS
        if unknown:
            raise invalid(f'Invalid template resource property {sorted(unknown)}')
    known = set(template['Resources']) | set(template.get('Parameters', {})) | PSEUDO
    used = set()
    walk({k: v for k, v in template.items() if k in ('Resources', 'Outputs', 'Conditions')}, used.add)
    missing = sorted(used - known)
    if missing:
        raise invalid(f"Template format error: Unresolved resource dependencies {missing} in the Resources block of the template")


def names_in_sub(text, extra=()):
    return [n.split('.')[0] for n in re.findall(r'\${([^!}][^}]*)}', text) if n not in extra]


def walk(node, use):
    """Calls use(name) for every parameter or resource that node refers to."""
    if isinstance(node, list):
        for inner in node:
            walk(inner, use)
    elif isinstance(node, dict):
        if len(node) == 1:
            function, value = next(iter(node.items()))
            if function == 'Ref':
                use(value)
            elif function == 'Fn::GetAtt':
                use(value[0])
            elif function == 'Fn::Sub':
                text, extra = (value, {}) if isinstance(value, str) else value
                for name in names_in_sub(text, extra):
                    use(name)
            elif function.startswith('Fn::') and function not in FUNCTIONS:
                raise invalid(f'Template error: the lab does not know {function}')
        for inner in node.values():
            walk(inner, use)


def order(template, wanted):
    """The names of the wanted resources, each after what it needs."""
    done, path = [], []

    def visit(name):
        if name in done:
            return
        if name in path:
            raise invalid(f'Circular dependency between resources: {sorted(path)}')
        path.append(name)
        needs = set()
        walk(template['Resources'][name].get('Properties', {}), needs.add)
        depends = template['Resources'][name].get('DependsOn', [])
        needs.update([depends] if isinstance(depends, str) else depends)
        for need in sorted(needs & set(wanted)):
            visit(need)
        path.pop()
        done.append(name)
    for name in sorted(wanted):
        visit(name)
    return done


# --- parameters --------------------------------------------------------------

def parameters(template, given, old=None):
    """{name: value}, as CloudFormation checks them. given: the API's list."""
    declared = template.get('Parameters', {})
    values = {}
    for item in given:
        name = item['ParameterKey']
        if name not in declared:
            raise invalid(f'Parameters: [{name}] do not exist in the template')
        if item.get('UsePreviousValue'):
            if old is None or name not in old:
                raise invalid(f'Parameters: [{name}] have no previous value')
            values[name] = old[name]
        else:
            values[name] = item.get('ParameterValue', '')
    missing = [n for n, d in declared.items() if n not in values and 'Default' not in d]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    for name, rules in declared.items():
        values.setdefault(name, str(rules.get('Default')))
        check_parameter(name, values[name], rules)
    return values


def check_parameter(name, value, rules):
    wrong = None
    if 'AllowedValues' in rules and value not in [str(v) for v in rules['AllowedValues']]:
        wrong = f"must be one of {rules['AllowedValues']}"
    elif 'AllowedPattern' in rules and not re.fullmatch(rules['AllowedPattern'], value):
        wrong = f"must match pattern {rules['AllowedPattern']}"
    elif rules.get('Type') == 'Number':
        if not re.fullmatch(r'-?\d+(\.\d+)?', value):
            wrong = 'must be a number'
        elif not float(rules.get('MinValue', '-inf')) <= float(value) <= float(rules.get('MaxValue', 'inf')):
            wrong = 'is out of range'
    elif not int(rules.get('MinLength', 0)) <= len(value) <= int(rules.get('MaxLength', 4096)):
        wrong = 'has a wrong length'
    if wrong:
        raise invalid(f'Parameter {name} failed to satisfy constraint: {wrong}')


# --- functions ---------------------------------------------------------------

class Scope:
    """Resolves the functions of one stack's template. attributes: (resource, name) -> text."""

    def __init__(self, template, values, pseudo, physical, attribute):
        self.template, self.values, self.pseudo = template, values, pseudo
        self.physical, self.attribute = physical, attribute

    def ref(self, name):
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.values:
            kind = self.template['Parameters'][name].get('Type', 'String')
            if kind.startswith('AWS::SSM::Parameter::Value<'):
                return 'ami-0123456789abcdef0'  # the only parameters named so are images
            return self.values[name].split(',') if kind.startswith(('List<', 'CommaDelimitedList')) else self.values[name]
        return self.physical(name)

    def dotted(self, name):
        if '.' in name:
            return self.attribute(*name.split('.', 1))
        return self.ref(name)

    def condition(self, name):
        conditions = self.template.get('Conditions', {})
        if name not in conditions:
            raise invalid(f'Template format error: Unresolved condition {name}')
        return bool(self.resolve(conditions[name]))

    def resolve(self, node):
        if isinstance(node, list):
            return [v for v in (self.resolve(n) for n in node) if v is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            function, value = next(iter(node.items()))
            if function in FUNCTIONS:
                return self.call(function, value)
        out = {k: self.resolve(v) for k, v in node.items()}
        return {k: v for k, v in out.items() if v is not NO_VALUE}

    def call(self, function, value):
        if function == 'Ref':
            return NO_VALUE if value == 'AWS::NoValue' else self.ref(value)
        if function == 'Condition':
            return self.condition(value)
        if function == 'Fn::GetAtt':
            return self.attribute(value[0], value[1])
        if function == 'Fn::Sub':
            return self.sub(value)
        if function == 'Fn::If':
            return self.resolve(value[1] if self.condition(value[0]) else value[2])
        args = self.resolve(value)
        if function == 'Fn::GetAZs':
            return [(args or self.pseudo['AWS::Region']) + letter for letter in 'abc']
        if function == 'Fn::FindInMap':
            return self.find_in_map(*args)
        if function == 'Fn::Cidr':
            return cidr(*args)
        return {'Fn::Base64': lambda: base64.b64encode(args.encode()).decode(), 'Fn::Contains': lambda: args[1] in args[0],
                'Fn::Join': lambda: args[0].join(str(a) for a in args[1]), 'Fn::Select': lambda: args[1][int(args[0])],
                'Fn::Split': lambda: args[1].split(args[0]), 'Fn::Equals': lambda: str(args[0]) == str(args[1]),
                'Fn::Not': lambda: not args[0], 'Fn::And': lambda: all(args), 'Fn::Or': lambda: any(args)}[function]()

    def find_in_map(self, name, top, second):
        found = self.template.get('Mappings', {}).get(name, {}).get(top, {})
        if second not in found:
            raise invalid(f"Template error: Unable to get mapping for {name}::{top}::{second}")
        return found[second]

    def check_rules(self):
        for name, rule in self.template.get('Rules', {}).items():
            if 'RuleCondition' in rule and not self.resolve(rule['RuleCondition']):
                continue
            for assertion in rule['Assertions']:
                if not self.resolve(assertion['Assert']):
                    raise invalid(f"Template validation error: {assertion.get('AssertDescription', name)}")

    def sub(self, value):
        text, extra = (value, {}) if isinstance(value, str) else (value[0], self.resolve(value[1]))
        return re.sub(r'\${([^}]+)}', lambda m: '${' + m[1][1:] + '}' if m[1].startswith('!')
                      else str(extra[m[1]] if m[1] in extra else self.dotted(m[1])), text)


def cidr(block, count, bits):
    '''count subnets of 2**bits addresses each.'''
    nets = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
    return [str(next(nets)) for _ in range(int(count))]


NO_VALUE = object()
